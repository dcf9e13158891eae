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
# # Solutions: contrastive learning
#
# These are solutions of the exercises in the chapter
# [Contrastive learning: sentences as vectors](contrastive_learning.ipynb).
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
from torch.nn.functional import cross_entropy, normalize

from companion.exercises import check

# %% [markdown]
# ## Exercise 1: InfoNCE
#
# **Task** ([back to the exercise](contrastive_learning.ipynb#exercise-1-infonce)):
# compute the loss from a table of similarities.

# %%
def info_nce(similarities: torch.Tensor, temperature: float) -> torch.Tensor:
    """Compute InfoNCE.

    similarities: shape (N, N). Entry (i, j) is the similarity of the first view of text i
        and the second view of text j.
    temperature: the similarities are divided by it.
    Returns a tensor with one number, in nats: the mean over the first views. The answers
    to choose from are all second views. Gradients must be able to flow from it.

    Example: when all similarities are equal, the loss is ln N.
    """
    scores = similarities / temperature
    return cross_entropy(scores, torch.arange(len(scores)))

# %%
check("contrastive-loss", info_nce)

# %% [markdown]
# **Why it is right.** Row $i$ is a question with $N$ answers, and answer $i$ is right.
# So the labels are 0, 1, 2 and so on, and `cross_entropy` does the rest.
#
# **What wrong answers teach.**
#
# - *The softmax over the columns, or the mean of both.*
#   A table of similarities between two sets of views is not symmetric: entry $(i, j)$ compares the first view of text $i$ with the second view of text $j$.
#   Some papers use the mean of both directions. It is another loss, so say which one you use.
# - *Leaving the diagonal out of the sum.*
#   The right answer is one of the answers, so it belongs below the fraction line.
#   Without it the loss can become negative:

# %%
table = torch.tensor([[0.9, 0.1], [0.1, 0.9]])
scores = table / 0.1
without = torch.stack([scores[0, 1], scores[1, 0]]) - scores.diagonal()
print(f"right {info_nce(table, 0.1):.4f}, without the diagonal {without.mean():.1f}")
assert without.mean() < 0 < info_nce(table, 0.1)

# %% [markdown]
# - *Only the right pairs.*
#   Then nothing pushes different texts apart. The loss is best when all vectors are the same.
# - *The mean before the logarithm.*
#   One very wrong row hardly changes a mean of probabilities. It changes a mean of logarithms a lot.

# %% [markdown]
# ## Exercise 2: what the temperature does
#
# **Task** ([back to the exercise](contrastive_learning.ipynb#exercise-2-what-the-temperature-does)):
# give the probability of the right answer when all wrong answers are equally similar.

# %%
def right_probability(right: float, wrong: float, count: int, temperature: float) -> float:
    """Return the probability that the softmax gives to the right answer.

    right: the similarity of the right answer.
    wrong: the similarity of each wrong answer; it is the same for all of them.
    count: the number of all answers, the right one included.
    temperature: the similarities are divided by it.

    Example: right_probability(0.7, 0.7, 5, 0.05) returns 0.2.
    """
    return 1 / (1 + (count - 1) * math.exp((wrong - right) / temperature))

# %%
check("contrastive-temperature", right_probability)

# %% [markdown]
# **Why it is right.** The softmax is
#
# $$p = \frac{e^{r/\tau}}{e^{r/\tau} + (N-1)\,e^{w/\tau}}$$
#
# with $r$ for the similarity of the right answer and $w$ for that of a wrong one.
# Divide above and below the fraction line by $e^{r/\tau}$.
# What remains depends on the difference $w - r$ only.
#
# **What wrong answers teach.**
#
# - *$N$ wrong answers.* Among $N$ answers, one is right.
# - *Forgetting the temperature, or multiplying by it.*
#   A cosine lies between −1 and 1. With temperature 1 even the best possible vectors would keep a high loss:

# %%
for temperature in (1.0, 0.2, 0.05):
    best = right_probability(1.0, 0.0, 64, temperature)
    print(f"temperature {temperature:4}   loss {-math.log(best):.2f}")

# %% [markdown]
# Here the right answer has the similarity 1, and 63 wrong ones have the similarity 0.
# Dividing by a small number stretches the scale, until a softmax can be sure.

# %% [markdown]
# ## Exercise 3: the mean without padding
#
# **Task** ([back to the exercise](contrastive_learning.ipynb#exercise-3-the-mean-without-padding)):
# turn the states of each row into one vector.

# %%
def mean_pool(states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return the mean state of each row, over its tokens.

    states: the hidden states, shape (B, L, H).
    mask: shape (B, L), whole numbers: 1 at a token, 0 at padding. Each row has a token.
    Returns a tensor of shape (B, H).
    """
    weights = mask[..., None].to(states)
    return (states * weights).sum(1) / weights.sum(1)

# %%
check("contrastive-pooling", mean_pool)

# %% [markdown]
# **Why it is right.** Padding gets the weight 0 in the sum, and it is not counted below the fraction line either.
#
# **What wrong answers teach.**
#
# - *`states.mean(1)`.*
#   A short text would be mostly padding. Two short texts would look alike because both are short.
# - *Only the sum ignores the padding.*
#   If you divide by $L$, the vector of a short text is too short.
#   The cosine does not see it, since only the direction counts.
#   A probe or a distance does see it.
# - *Without `[CLS]` and `[SEP]`.*
#   This is a fair choice, but another one. The mask says what counts.
#
# One test finds the first mistake: write anything into the padding. The result must stay the same.

# %%
states = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(13))
mask = torch.tensor([[1, 1, 0, 0], [1, 1, 1, 0]])
changed = states.masked_fill(mask[..., None] == 0, 99.0)
print("unchanged:", torch.equal(mean_pool(states, mask), mean_pool(changed, mask)))

# %% [markdown]
# ## Exercise 4: recall at k
#
# **Task** ([back to the exercise](contrastive_learning.ipynb#exercise-4-recall-at-k)):
# count how often the right document is among the first $k$.

# %%
def recall_at(scores: torch.Tensor, k: int) -> float:
    """Return the share of the queries whose right document is among the k best.

    scores: shape (N, M), M at least N. Entry (i, j) is the score of document j for query i.
        Document i is the right one for query i. No two scores of a row are equal.
    k: how many documents with the highest scores are looked at.

    Example: recall_at(torch.tensor([[0.9, 0.1], [0.8, 0.3]]), 1) returns 0.5.
    """
    better = (scores > scores.diagonal()[:, None]).sum(1)
    return (better < k).float().mean().item()

# %%
check("contrastive-recall", recall_at)

# %% [markdown]
# **Why it is right.** A document is among the $k$ best when fewer than $k$ documents have a higher score.
#
# **What wrong answers teach.**
#
# - *Searching the columns.*
#   Then the documents ask and the queries answer. In a table from one set of texts the two numbers are often close, so the mistake hides.
# - *Dividing by $k$.*
#   That is [precision](../book/glossary.md#precision): which share of what was shown is right.
# - *`<=` instead of `<`.*
#   Test with $k = 1$: the right document must be the best one.
#
# Equal scores need a rule.
# With `>`, a method that gives every document the same score would get the recall 1.
# The course's `companion.retrieval.recall_at` takes equal scores in random order, so this method gets the [chance level](../book/glossary.md#chance-level):

# %%
from companion import retrieval

flat = torch.zeros(10, 10)
print("this solution", recall_at(flat, 1), "  companion", retrieval.recall_at(flat, 1))

# %% [markdown]
# ## Exercise 5: uniformity
#
# **Task** ([back to the exercise](contrastive_learning.ipynb#exercise-5-uniformity)):
# measure how evenly vectors are spread.

# %%
def uniformity(vectors: torch.Tensor) -> torch.Tensor:
    """Return the uniformity of vectors.

    vectors: one for each text, shape (N, H), of any length but zero.
    Returns a tensor with one number: scale each vector to length 1; for each pair of
    different rows take exp(-2 d^2), where d is their distance; then the logarithm of the
    mean over the pairs.

    Example: it is 0 when all vectors have the same direction.
    """
    distances = torch.pdist(normalize(vectors, dim=1))
    return (-2 * distances**2).exp().mean().log()

# %%
check("contrastive-uniformity", uniformity)

# %% [markdown]
# **Why it is right.** `torch.pdist` gives each pair of different rows once.
#
# **What wrong answers teach.**
#
# - *Pairs of a row with itself.*
#   Their distance is 0, and $e^0 = 1$ is the largest term of all.
#   With few texts these terms decide the result:

# %%
points = torch.eye(4)  # four directions at right angles
table = (-2 * torch.cdist(points, points) ** 2).exp()
print(f"right {uniformity(points):.2f}, with the pairs of a row with itself "
      f"{table.mean().log():.2f}")

# %% [markdown]
# - *The mean of the exponents.*
#   That would be a mean squared distance. It is the same for two tight groups on opposite sides and for vectors in all directions.
#   The exponential makes close pairs count most.
# - *Without the scaling.*
#   Longer vectors would then look better spread.

# %% [markdown]
# ## Exercise 6: copies in the batch
#
# **Task** ([back to the exercise](contrastive_learning.ipynb#exercise-6-copies-in-the-batch)):
# leave copies of the right answer out of the wrong answers.

# %%
def info_nce_with_copies(similarities, temperature, texts):
    """Compute InfoNCE for a batch in which a text may occur more than once.

    similarities: as in exercise 1, shape (N, N).
    temperature: the similarities are divided by it.
    texts: shape (N,), whole numbers. Rows with the same number show the same text.
    Returns a tensor with one number, in nats: the mean over all N rows. For row i, the
    right answer is i; another row with the same text is no answer to choose from.
    """
    same = texts[:, None] == texts
    copies = same & ~torch.eye(len(texts)).bool()
    scores = (similarities / temperature).masked_fill(copies, float("-inf"))
    return cross_entropy(scores, torch.arange(len(texts)))

# %%
check("contrastive-copies", info_nce_with_copies)

# %% [markdown]
# **Why it is right.** $e^{-\infty} = 0$, so a copy adds nothing below the fraction line.
# The diagonal stays, since it holds the right answers.
#
# **What wrong answers teach.**
#
# - *Setting the score to 0.*
#   $e^0$ is 1, so the copy still counts. A cosine of 0 is an ordinary value.
# - *Leaving out the diagonal as well.*
#   The right answer then has the probability 0, and the loss is infinite:

# %%
similarities = torch.tensor([[0.9, 0.8], [0.8, 0.9]])
same = torch.tensor([0, 0])[:, None] == torch.tensor([0, 0])
print(cross_entropy(similarities.masked_fill(same, float("-inf")), torch.arange(2)).item())
assert same.all()

# %% [markdown]
# - *Leaving out the rows.*
#   A text that occurs twice still has two views to bring together.
# - *Counting copies as right answers.*
#   Then the model may choose the copy and ignore the second view of the row itself. That is another loss, which is used when the right answers are known in groups.
