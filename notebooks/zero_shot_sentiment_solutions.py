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
# # Solutions: zero-shot sentiment
#
# These are solutions of the exercises in the chapter
# [Zero-shot sentiment](zero_shot_sentiment.ipynb).
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
import torch

from companion.exercises import check

# %% [markdown]
# ## Exercise 1: prior matching
#
# **Task** ([back to the exercise](zero_shot_sentiment.ipynb#exercise-1-prior-matching)):
# find the border with which the mean probability is the prior.

# %%
def matching_border(differences: torch.Tensor, share: float) -> float:
    """Return the border of prior matching, for two labels.

    differences: positive minus negative score of unlabelled texts, shape (N,). The
        probability of "positive" is the sigmoid of the difference minus the border.
    share: the mean that these probabilities shall have, above 0 and below 1.
    Returns the border, right to six digits. All borders asked for lie between -20 and 20.

    Example: matching_border(torch.tensor([3.0, -1.0]), 0.5) returns 1.0.
    """
    low, high = -20.0, 20.0
    for _ in range(60):
        middle = (low + high) / 2
        mean = (differences.double() - middle).sigmoid().mean()
        low, high = (middle, high) if mean > share else (low, middle)
    return middle

# %%
check("zeroshot-prior", matching_border)

# %% [markdown]
# **Why it is right.** A higher border makes every probability smaller, so the mean falls steadily as the border grows.
# There is only one place where it equals the share.
# Each round looks at the middle of an interval and keeps the half in which that place lies.
#
# The companion takes another way, which works for more than two labels: it moves each label's score by the logarithm of what its mean lacks, until nothing changes.
#
# **What wrong answers teach.**
#
# - *A quantile of the differences.*
#   That is the median border and its relatives: they count texts, whatever their probabilities are.
#   Prior matching counts probabilities. A few sure texts weigh as much as many unsure ones.
# - *The mean of the differences.*
#   The sigmoid is a curve. The mean of its values is not its value at the mean.
# - *One step.*
#   The logarithm says in which direction to go, and roughly how far. The mean after the step is only closer.

# %% [markdown]
# ## Exercise 2: a border from unlabelled texts
#
# **Task** ([back to the exercise](zero_shot_sentiment.ipynb#exercise-2-a-border-from-unlabelled-texts)):
# label texts, when you know which share of the unlabelled ones is positive.

# %%
def predict(scores: torch.Tensor, unlabelled: torch.Tensor, share: float) -> torch.Tensor:
    """Label texts with a border that comes from unlabelled texts.

    scores: of the texts to label, shape (N,). Higher means more positive.
    unlabelled: scores of other texts without labels, shape (M,).
    share: the share of positive texts that you expect among the unlabelled ones.
    Returns whole numbers (torch.int64), shape (N,): 1 where the score lies above the
    border, 0 elsewhere. The border is the quantile of the unlabelled scores that has
    `share` of them above it.

    Example: for share 0.5 the border is the median.
    """
    border = unlabelled.quantile(1 - share)
    return (scores > border).long()

# %%
check("zeroshot-border", predict)

# %% [markdown]
# **Why it is right.** The quantile at $q$ has $q$ of the values below it.
# If the share $s$ must lie above, then $1 - s$ lies below.
#
# **What wrong answers teach.**
#
# - *The quantile at the share itself.*
#   For one half the two are equal, so the mistake stays hidden until the labels are uneven.
# - *The mean in place of the median.*
#   One extreme score moves a mean, but not a median.
# - *A score at the border gets 1.*
#   The task says "above". With `>=` a score that equals the border counts as positive.
# - *The quantile of the scores that are to be labelled.*
#   The label of a text would then depend on the texts that happen to stand beside it.
#   For one text alone, nothing sensible comes out.

# %% [markdown]
# ## Exercise 3: the price of a wrong prior
#
# **Task** ([back to the exercise](zero_shot_sentiment.ipynb#exercise-3-the-price-of-a-wrong-prior)):
# what accuracy can the median border reach at best?

# %%
def best_accuracy(share: float) -> float:
    """Return the best accuracy that a median border can reach.

    share: the share of the texts that is positive. The scores put the texts in a perfect
        order: every positive text has a higher score than every negative one. The border
        is the median of these same scores. There are so many texts that rounding does
        not matter.

    Example: best_accuracy(0.5) returns 1.0.
    """
    return 1 - abs(share - 0.5)

# %%
check("zeroshot-limit", best_accuracy)

# %% [markdown]
# **Why it is right.** The border calls half of the texts positive.
# If the share $s$ of them is positive, then $|s - 1/2|$ of all texts stand on the wrong side. All other texts are right.
#
# **What wrong answers teach.**
#
# - *The accuracy is 1, because the order is perfect.*
#   A good order and a good border are two things. Calibration is about the border only.
# - *Counting the wrong texts twice.*
#   If too many texts are called positive, then those are wrong, and no text called negative is.
# - *The accuracy of the more frequent label.*
#   For a share of 0.9 it is even higher than what the median border can reach.

# %%
for share in (0.5, 0.6, 0.75, 0.9):
    print(f"share {share:.2f}: at best {best_accuracy(share):.2f}, "
          f"always the more frequent label {max(share, 1 - share):.2f}")

# %% [markdown]
# ## Exercise 4: separation
#
# **Task** ([back to the exercise](zero_shot_sentiment.ipynb#exercise-4-separation)):
# measure how well each word tells the labels apart.

# %%
def separation(scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Measure how far apart the scores of the two labels lie, for each word.

    scores: of the words at the mask, shape (texts, words).
    labels: shape (texts,), 0 or 1. Each label has at least two texts.
    Returns a tensor of shape (words,): the mean score where the label is 1, minus the mean
    score where it is 0, divided by the common standard deviation. That is the root of the
    mean of the two variances; a variance of n numbers is divided by n - 1.
    """
    one, zero = scores[labels == 1], scores[labels == 0]
    common = ((one.var(0) + zero.var(0)) / 2).sqrt()
    return (one.mean(0) - zero.mean(0)) / common

# %%
check("zeroshot-separation", separation)

# %% [markdown]
# **Why it is right.** Everything is computed along dimension 0, the texts, so one number remains for each word.
# This measure is called Cohen's $d$.
#
# **What wrong answers teach.**
#
# - *The difference alone.*
#   A word whose scores vary a lot has large differences by chance.
# - *The standard deviation of all texts.*
#   It contains the difference of the two labels itself, so the best words look worse than they are.
# - *A t statistic.*
#   It says how sure you can be that there is a difference, and it grows with the number of texts.
#   The separation says how large the difference is.

# %% [markdown]
# ## Exercise 5: is it better, or is it chance?
#
# **Task** ([back to the exercise](zero_shot_sentiment.ipynb#exercise-5-is-it-better-or-is-it-chance)):
# an interval for the difference of two accuracies.

# %%
def difference_interval(right_a: torch.Tensor, right_b: torch.Tensor,
                        draws: torch.Tensor) -> tuple[float, float]:
    """Return a 95 % bootstrap interval for the accuracy of a minus the accuracy of b.

    right_a, right_b: whether each text is labelled rightly by method a and by method b.
        Boolean, shape (N,), the same texts in the same order.
    draws: shape (R, N). Each row is one resample: N numbers of texts, some of them more
        than once, others never.
    Returns the percentiles 2.5 and 97.5 (with linear interpolation) of the R differences
    of the accuracies, as two floats, the lower one first.
    """
    difference = right_a.double() - right_b.double()
    resampled = difference[draws].mean(1)
    return resampled.quantile(0.025).item(), resampled.quantile(0.975).item()

# %%
check("zeroshot-interval", difference_interval)

# %% [markdown]
# **Why it is right.** The difference of two means over the same texts is the mean of the differences.
# So you can subtract first, text by text, and resample once.
#
# **What wrong answers teach.**
#
# - *Two intervals, one for each method.*
#   They may overlap although one method is clearly better.
#   Both methods find the same texts hard. In the difference this cancels out, in two intervals it does not.
# - *The smallest and the largest difference.*
#   They grow further apart with every resample you draw. Percentiles settle down.
# - *Leaving `draws` out.*
#   A single text is right or wrong. The interval is about means of many texts.
