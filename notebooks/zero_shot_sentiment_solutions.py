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
# ## Exercise 1: contextual calibration
#
# **Task** ([back to the exercise](zero_shot_sentiment.ipynb#exercise-1-contextual-calibration)):
# take the preference for a label out of the probabilities.

# %%
def calibrated(probabilities: torch.Tensor, free: torch.Tensor) -> torch.Tensor:
    """Take out the preference that the prompt has without any content.

    probabilities: of the labels for each text, shape (texts, labels). Each row sums to 1.
    free: the same for a few content-free inputs, shape (inputs, labels).
    Returns the calibrated probabilities, shape (texts, labels): each label is divided by
    its mean probability over the content-free inputs; then each row is made to sum to 1.

    Example: a text with the same probabilities as that mean gets equal probabilities.
    """
    quotients = probabilities / free.mean(0)
    return quotients / quotients.sum(1, keepdim=True)

# %%
check("zeroshot-contextual", calibrated)

# %% [markdown]
# **Why it is right.** The mean runs over the content-free inputs, so one number for each label remains.
# The sum runs over the labels, so one number for each text remains.
#
# The companion does the same with scores.
# There a division becomes a difference of logarithms: the bias of a label is minus the logarithm of its mean probability.
#
# **What wrong answers teach.**
#
# - *Multiplying.*
#   The preference is then counted twice.
#   Look at a text that has the same probabilities as the content-free inputs: it must come out undecided.
# - *Taking the mean over the texts.*
#   That is another method. It assumes that the texts have equally many of each label.
#   Content-free inputs need no such assumption, and no texts at all.
# - *A mean of logarithms.*
#   It is a geometric mean. For one content-free input the two agree, for several they do not.
#   Zhao et al. (2021) take the mean of the probabilities.
# - *A softmax at the end.*
#   It makes the rows sum to 1, but it also changes their ratios.

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
