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
# # Solutions: three families, one budget
#
# These are the solutions to the exercises of [Three families, one budget](three_families.ipynb).
# Try them yourself first: the checks tell you what is wrong.
#
# A solution is one of several right ones.

# %% tags=["install", "hide-input"]
# Set-up, written from site.toml: says what to do when the course package is missing.
import importlib.util

if importlib.util.find_spec("companion") is None:
    raise ImportError("The course package is missing. Locally: run `make book`, choose .venv "
                      "as the kernel. On Colab: first set `repository` in site.toml.")

# %%
import math
from statistics import mean as average
from statistics import stdev

import torch
from scipy.stats import t as student

from companion.exercises import check

# %% [markdown]
# ## Exercise 1: how many tokens are asked for
#
# **Task** ([back to the exercise](three_families.ipynb#exercise-1-how-many-tokens-are-asked-for)):
# say how many labels a row has, for each of the three objectives.

# %%
def asked(kind: str, length: int, share: float, mean: float) -> int:
    """Count the tokens that a model is asked for in one row.

    kind: "masked", "causal" or "spans".
    length: tokens in the row. A row of a masked model begins with [CLS] and ends with
        [SEP], which are never chosen. The rows of the two others have no such frame.
    share: which part of the tokens that can be chosen is hidden; without meaning for
        "causal".
    mean: the mean length of a span, for "spans" alone.
    Numbers of tokens and of spans are rounded with `round`. For "spans" every label of
    the decoder counts: the tokens, a sentinel for each span, one more sentinel, and eos.

    Example: asked("spans", 20, 0.15, 3.0) returns 6.
    """
    if kind == "masked":
        return round(share * (length - 2))
    if kind == "causal":
        return length - 1
    noise = round(share * length)
    return noise + round(noise / mean) + 2

# %%
check("families-asked", asked)

# %% [markdown]
# **Why it is right.** A masked model has a label where a token was chosen, whatever stands there now. A causal model has one for each token that has another in front of it. The decoder of an encoder-decoder has one for everything that it writes.

# %%
numbers = {kind: asked(kind, 128, 0.15, 3.0) for kind in ("masked", "causal", "spans")}
print(numbers)
print(f"causal / masked: {numbers['causal'] / numbers['masked']:.1f}")

# %% [markdown]
# **What wrong answers teach.**
#
# - *Counting only the tokens that became `[MASK]`.*
#   The loss counts all chosen positions: also those that show a random token, or the right one.
# - *Forgetting sentinels and eos.*
#   They are labels like the others. That is why a loss of T5 holds answers that are known beforehand.

# %% [markdown]
# ## Exercise 2: among the first k
#
# **Task** ([back to the exercise](three_families.ipynb#exercise-2-among-the-first-k)):
# compute how often the right token is among the k best ones.

# %%
def top_k(logits: torch.Tensor, targets: torch.Tensor, allowed: torch.Tensor, k: int) -> float:
    """Compute the share of rows whose right token is among the k most probable ones.

    logits: scores of the vocabulary, shape (B, V). No two of a row are equal.
    targets: the right ids, shape (B,). All of them are allowed.
    allowed: which ids may be an answer, shape (V,), bool. At least k are.
    k: how many guesses a row has.

    Example: with scores [[9., 1., 2.]], target [1], and ids 1 and 2 allowed,
    k = 1 gives 0.0 and k = 2 gives 1.0.
    """
    scores = logits.masked_fill(~allowed, -torch.inf)
    best = scores.topk(k, 1).indices
    return (best == targets[:, None]).any(1).float().mean().item()

# %%
check("families-top", top_k)

# %% [markdown]
# **Why it is right.** A score of minus infinity is a probability of zero, and all columns stay where they are. `targets[:, None]` has the shape (B, 1), so each target is compared with the k guesses of its own row.
#
# **What wrong answers teach.**
#
# - *Taking the allowed columns, `logits[:, allowed]`.*
#   The columns get new numbers. The targets still have the old ones.
# - *Not excluding anything.*
#   T5 has sentinels in its vocabulary, and GPT the end of a text. A guess that is spent on one of them is lost, and the families would not have the same choice.

# %% [markdown]
# ## Exercise 3: bits of what was written
#
# **Task** ([back to the exercise](three_families.ipynb#exercise-3-bits-of-what-was-written)):
# turn log-probabilities into bits for each written token.

# %%
def written_bits(log_probs: list, written: int) -> float:
    """Return how many bits a written token costs, on average.

    log_probs: natural logarithms of the probabilities that a yardstick gives to the
        tokens of a prompt and of what was written after it, in this order.
    written: how many tokens were written. The prompt is the rest.

    Example: written_bits([-9.0, -math.log(2), -3 * math.log(2)], 2) returns 2.0.
    """
    return -average(log_probs[-written:]) / math.log(2)

# %%
check("families-bits", written_bits)

# %% [markdown]
# **Why it is right.** $\log_2 p = \ln p / \ln 2$. The prompt was given, so its tokens say nothing about the writer. They still serve as context for the tokens behind them.
#
# **What wrong answers teach.**
#
# - *Averaging over the prompt too.*
#   All writers got the same prompt. Its tokens make their differences smaller.
# - *Nats called bits.*
#   The numbers then look better by a factor of $1 / \ln 2$:

# %%
print(f"{1 / math.log(2):.3f}")

# %% [markdown]
# ## Exercise 4: an interval for a difference
#
# **Task** ([back to the exercise](three_families.ipynb#exercise-4-an-interval-for-a-difference)):
# compute the confidence interval of a difference between two variants.

# %%
def paired_interval(first: list, second: list, factor: float) -> tuple:
    """Return the two ends of the confidence interval of first minus second.

    first, second: a measure of two variants, one number for each seed, in the same order
        of seeds.
    factor: how many standard errors the interval reaches to each side.
    The standard error of the mean difference is the standard deviation of the
    differences (with n - 1), divided by the root of their number.

    Example: paired_interval([3.0, 5.0], [1.0, 1.0], 2.0) returns (1.0, 5.0).
    """
    differences = [a - b for a, b in zip(first, second)]
    middle = average(differences)
    half = factor * stdev(differences) / math.sqrt(len(differences))
    return middle - half, middle + half

# %%
check("families-interval", paired_interval)

# %% [markdown]
# **Why it is right.** Runs with the same seed share the order of the rows and the masks. What makes one seed easy makes it easy for both variants, and it cancels in the difference.
#
# For many seeds the factor is about 1.96. For three seeds Student's t asks for more than twice as much, because a spread that was estimated from three numbers may be far too small by chance:

# %%
for seeds in (2, 3, 5, 10, 100):
    print(seeds, f"{student.ppf(0.975, seeds - 1):.2f}")

# %% [markdown]
# **What wrong answers teach.**
#
# - *Adding the two variances.*
#   That is right for independent runs. Here it throws away what the pairs know.
# - *1.96 for three seeds.*
#   The interval is then less than half as wide as it must be, and many a chance difference would look like a result.
