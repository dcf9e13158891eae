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
# # Solutions: causal language modelling
#
# These are solutions of the exercises in the chapter
# [Causal language modelling](causal_lm.ipynb).
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
import math

import torch
from torch.nn.functional import cross_entropy

from companion.exercises import check

# %% [markdown]
# ## Exercise 1: the loss
#
# **Task** ([back to the exercise](causal_lm.ipynb#exercise-1-the-loss)):
# compute the mean cross-entropy of the next tokens.

# %%
def next_token_loss(logits: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """Compute the loss of causal language modelling.

    logits: what each position predicts, a score for each token, shape (B, L, V).
    ids: the token ids of the rows, shape (B, L), without padding.
    Returns a tensor with one number, in nats: the mean cross-entropy over all tokens but
    the first of each row. Gradients must be able to flow from it to the logits.

    Example: when all logits are 0, the loss is ln V, whatever the ids are.
    """
    predicted, targets = logits[:, :-1], ids[:, 1:]
    return cross_entropy(predicted.flatten(0, 1), targets.flatten())

# %%
check("causal-loss", next_token_loss)

# %% [markdown]
# **Why it is right.** The logits of position 0 are compared with the token at position 1, and so on.
# The logits of the last position have no token to be compared with, so they are dropped.
# The first token has no position before it, so it is dropped from the targets.
#
# **What wrong answers teach.**
#
# - *No shift.* Every position sees the token that it is asked for. The loss falls to nearly 0, and the model has learned to copy.
# - *The shift in the other direction.* The same mistake: each position has already seen what it is asked for.
# - *`roll` instead of dropping.* The last position is asked for the first token of the row. The error is small in long rows, and it never goes away.

# %% [markdown]
# ## Exercise 2: the labels
#
# **Task** ([back to the exercise](causal_lm.ipynb#exercise-2-the-labels)):
# write the labels of a padded batch, as transformers wants them.

# %%
def causal_labels(ids: torch.Tensor, pad_id: int) -> torch.Tensor:
    """Write the labels of a batch for a causal model of transformers.

    ids: token ids, shape (B, L), padded on the right. They must not be modified.
    pad_id: the id of the padding. No other token has it.
    Returns a tensor of shape (B, L): the ids themselves (the model shifts them), and -100
    at padding and at the first position, which nothing can predict.

    Example: causal_labels(torch.tensor([[0, 5, 6, 9]]), 9)
    returns tensor([[-100, 5, 6, -100]]).
    """
    labels = ids.masked_fill(ids == pad_id, -100)
    labels[:, 0] = -100
    return labels

# %%
check("causal-labels", causal_labels)

# %% [markdown]
# **Why it is right.** `masked_fill` makes a copy, so the ids of the caller stay.
# The labels are not shifted here, because the models of transformers do that inside.
#
# **What wrong answers teach.**
#
# - *Shifting the labels.* The model shifts them once more. Then every position learns the token after the next one. The loss still falls, but less.
# - *No label at the end of a text.* Then the model never learns to stop. This happens by itself when the same token is used for padding and for the end of a text.
# - *0 instead of −100.* Then the model learns to write the token with the id 0 after every text.

# %% [markdown]
# ## Exercise 3: who may look where
#
# **Task** ([back to the exercise](causal_lm.ipynb#exercise-3-who-may-look-where)):
# write the attention mask of a row that holds several texts.

# %%
def may_look(texts: torch.Tensor) -> torch.Tensor:
    """Say which positions each position may look at.

    texts: for each position the number of its text, shape (L,).
    Returns a boolean tensor of shape (L, L): at [i, j] whether position i may look at
    position j. It may look at itself and to its left, in its own text.

    Example: may_look(torch.tensor([0, 0, 1])) returns
    tensor([[True, False, False], [True, True, False], [False, False, True]]).
    """
    same_text = texts[:, None] == texts[None, :]
    place = torch.arange(len(texts))
    return same_text & (place[:, None] >= place[None, :])

# %%
check("causal-mask", may_look)

# %% [markdown]
# **Why it is right.** Comparing a column with a row gives a table: one entry for each pair of positions.
# The first table says that both belong to the same text. The second says that $j$ is not to the right of $i$. Both must hold.
#
# **What wrong answers teach.**
#
# - *Only the triangle.* The first words of a text are then predicted from the text before it, which has nothing to do with it.
# - *Only the same text.* Every position sees the token that it is asked for.
# - *Without the diagonal.* The newest token is the most useful one, and a first token would see nothing at all.

# %% [markdown]
# ## Exercise 4: the nucleus
#
# **Task** ([back to the exercise](causal_lm.ipynb#exercise-4-the-nucleus)):
# keep the fewest tokens whose probabilities reach a sum.

# %%
def nucleus(probabilities: torch.Tensor, p: float) -> torch.Tensor:
    """Keep the fewest most probable tokens whose probabilities sum to p or more.

    probabilities: shape (V,), from 0 to 1, with sum 1. Those that are kept all differ.
    p: the sum to reach, above 0 and below 1.
    Returns a tensor of shape (V,) in the same order: 0 for the tokens that are left out,
    and the others divided by their sum.

    Example: nucleus(torch.tensor([0.125, 0.5, 0.375]), 0.625)
    returns tensor([0.0000, 0.5714, 0.4286]).
    """
    ordered, order = probabilities.sort(descending=True)
    before = ordered.cumsum(0) - ordered
    keep = torch.zeros_like(probabilities).bool()
    keep[order] = before < p
    left = torch.where(keep, probabilities, 0.0)
    return left / left.sum()

# %%
check("causal-nucleus", nucleus)

# %% [markdown]
# **Why it is right.** `before` is the sum of all tokens that are more probable.
# A token is needed as long as this sum has not reached $p$. For the first token it is 0, so the first token always stays.
# `keep[order]` writes the answers back to the places of the vocabulary.
#
# **What wrong answers teach.**
#
# - *Comparing the sum with the token included.* The token that reaches $p$ is lost, and when the first token alone is above $p$, nothing is left.
# - *Comparing each probability with $p$.* That is another rule. With $p = 0.9$ it would nearly always leave nothing.
# - *Not dividing by the sum.* The numbers are then no probabilities any more.

# %% [markdown]
# ## Exercise 5: perplexity per character
#
# **Task** ([back to the exercise](causal_lm.ipynb#exercise-5-perplexity-per-character)):
# make the losses of two models with different vocabularies comparable.

# %%
def perplexity_per_character(losses: torch.Tensor, text: str) -> float:
    """Return the perplexity of a text per character.

    losses: the cross-entropy of each of its tokens, in nats, shape (T,).
    text: the text itself.
    Returns one number: exp of the loss per character. Characters are counted as Python
    counts them.

    Example: perplexity_per_character(torch.tensor([1.0, 2.0]), "abc") returns 2.718...
    """
    return math.exp(losses.sum().item() / len(text))

# %%
check("causal-perplexity", perplexity_per_character)

# %% [markdown]
# **Why it is right.** The sum of the losses is the surprise about the whole text, however it is cut into tokens.
# A character is a unit that does not depend on the vocabulary.
#
# **What wrong answers teach.**
#
# - *The mean over the tokens.* A vocabulary with longer tokens has fewer of them, and each is harder. So a worse-looking figure may belong to the better model.
# - *exp of each loss, then the mean.* One rare token would decide the figure. The mean belongs into the exponent.
# - *Bytes instead of characters.* For English there is little difference. In UTF-8 a Chinese character is three bytes.
