# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Solutions: ALBERT NER
#
# These are solutions of the exercises in the chapter [ALBERT NER](albert_ner.ipynb).
# Try each exercise there before you read on.
#
# Each section has the task, one solution with its check, why it is right, and what common
# wrong answers teach.
# Yours may look different: if the check shows ✓, it is right too.

# %% tags=["install", "hide-input"]
# Set-up, written from site.toml: says what to do when the course package is missing.
import importlib.util

if importlib.util.find_spec("companion") is None:
    raise ImportError("The course package is missing. Locally: run `make book`, choose .venv "
                      "as the kernel. On Colab: first set `repository` in site.toml.")

# %%
from statistics import fmean, stdev

import torch

from companion.exercises import check

# %% [markdown]
# ## Exercise 1: labels of a row
#
# **Task** ([back to the exercise](albert_ner.ipynb#exercise-1-labels-of-a-row)):
# give every token of the text its tag, and keep special tokens out of the loss.

# %%
def labels_of_row(ids, tags, special_ids):
    """Make the labels of one row.

    ids: the ids of the row, shape (L,).
    tags: the numbers of the tags of the ordinary tokens, in their order, shape (T,).
    special_ids: the ids of [CLS], [SEP] and [PAD], in this order. They can stand anywhere.
    Returns whole numbers of shape (L,): the tag where a token of the text stands, and -100
    where a special token stands.

    Example: labels_of_row(torch.tensor([2, 11, 12, 3]), torch.tensor([1, 0]), [2, 3, 0])
    returns tensor([-100, 1, 0, -100]).
    """
    labels = torch.full_like(ids, -100)
    text = ~torch.isin(ids, torch.tensor(special_ids))
    labels[text] = tags
    return labels

# %%
check("ner-labels", labels_of_row)

# %% [markdown]
# **Why it is right.** The mask `text` has as many True entries as there are tags, and
# assigning to a mask fills its places from left to right.
#
# **What wrong answers teach.**
#
# - *Label 0 for special tokens.* Label 0 is O. The loss looks better, because `[CLS]` and
#   padding are easy to get right, and nothing is learned from them.
# - *Tags from the second position on.* This works until a `[SEP]` stands in the middle of a row.
# - *Skipping O.* Most tokens are outside of names. A model that is never told so finds names
#   everywhere.

# %% [markdown]
# ## Exercise 2: a rate for each layer
#
# **Task** ([back to the exercise](albert_ner.ipynb#exercise-2-a-rate-for-each-layer)):
# compute the learning rates of a model whose lower layers learn slower.

# %%
def layer_rates(layers: int, rate: float, decay: float) -> list[float]:
    """Compute the learning rate of every layer of an encoder.

    layers: how many layers stand above the embeddings.
    rate: the learning rate of the top layer.
    decay: each layer has the rate of the layer above it times decay. The embeddings count
        as the layer below the lowest.
    Returns layers + 1 numbers, from the embeddings up to the top layer.

    Example: layer_rates(2, 4.0, 0.5) returns [1.0, 2.0, 4.0].
    """
    return [rate * decay ** (layers - level) for level in range(layers + 1)]

# %%
check("ner-rates", layer_rates)

# %% [markdown]
# **Why it is right.** From the top layer down to level $l$ there are `layers` $- l$ steps, and
# each multiplies by `decay`. The embeddings are level 0.
#
# An ALBERT shares one layer. All its levels are the same parameters, so they can only have one
# rate; the embeddings can have another.
#
# **What wrong answers teach.**
#
# - *Dividing.* The lower layers then learn fastest. They hold what is most general, and lose it.
# - *Forgetting the embeddings.* In a small model they are the largest part of the parameters.

# %% [markdown]
# ## Exercise 3: the best labels
#
# **Task** ([back to the exercise](albert_ner.ipynb#exercise-3-the-best-labels)):
# find the row of labels with the highest score.

# %%
def best_labels(emissions: torch.Tensor, between: torch.Tensor) -> list[int]:
    """Find the row of labels with the highest score.

    emissions: the score of every label at every token, shape (T, K).
    between: the score of every step, shape (K, K): row = label before, column = label after.
    Returns T labels. Their score is the sum of their emissions and of their steps; it is
    higher than that of all other rows of labels.

    Example: with between all zero, it is the best label of every token.
    """
    best, came_from = emissions[0], []
    for scores in emissions[1:]:
        best, before = (best[:, None] + between).max(dim=0)
        best = best + scores
        came_from.append(before)
    labels = [int(best.argmax())]
    for before in reversed(came_from):
        labels.append(int(before[labels[-1]]))
    return labels[::-1]

# %%
check("ner-viterbi", best_labels)

# %% [markdown]
# **Why it is right.** `best[k]` is the score of the best row that ends with label $k$. The next
# token needs no more than that: whatever comes later is added to the whole row alike. So each
# step looks at $K \times K$ pairs, not at all $K^T$ rows.
# `before` remembers where each best row came from, and the way back begins at the best end.
#
# **What wrong answers teach.**
#
# - *The best label of every token.* It takes steps that cost more than they bring, even
#   forbidden ones.
# - *The best next label, from left to right.* This is greedy search. The first label can be a
#   little worse and open a much better way.
# - *The table read the wrong way round.* O after I and I after O are different steps.

# %% [markdown]
# ## Exercise 4: two systems, several seeds
#
# **Task** ([back to the exercise](albert_ner.ipynb#exercise-4-two-systems-several-seeds)):
# say by how much one system is better, and how steady the difference is.

# %%
def difference(one: list[float], two: list[float]) -> tuple[float, float]:
    """Compare two systems that were trained with the same seeds.

    one, two: the F1 of each system, one number a seed, in the same order of seeds.
    Returns two numbers: the mean of `one` minus `two`, and the standard deviation of this
    difference over the seeds (divide by the number of seeds minus one).

    Example: difference([3.0, 5.0], [1.0, 1.0]) returns (3.0, 1.41421...).
    """
    apart = [a - b for a, b in zip(one, two)]
    return fmean(apart), stdev(apart)

# %%
check("ner-seeds", difference)

# %% [markdown]
# **Why it is right.** The difference is taken seed by seed, and then described by mean and
# standard deviation.
#
# **What wrong answers teach.**
#
# - *The best seed of each.* With more seeds the best one gets better without any better system.
# - *Two deviations put together.* What both systems share, such as the order of the training
#   sentences, goes away in the difference. Taken apart, it counts twice.
# - *Dividing by the number of seeds.* The mean comes from the same few numbers, so they lie
#   nearer to it than to the true mean. Dividing by one less repairs that.
