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
# # Solutions: few-shot
#
# These are solutions of the exercises in the chapter
# [Few-shot: prompt tuning against head fine-tuning](few_shot.ipynb).
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
import statistics

import torch
from torch.nn.functional import cross_entropy

from companion.exercises import check

# %% [markdown]
# ## Exercise 1: draw K examples per class
#
# **Task** ([back to the exercise](few_shot.ipynb#exercise-1-draw-k-examples-per-class)):
# choose the examples of a draw.

# %%
def k_shot(labels: list, keys: list, k: int) -> list:
    """Choose K examples of every class.

    labels: the class of each example.
    keys: one string for each example; all are different. Within a class, the examples
        with the smallest keys are chosen.
    k: examples per class. Every class has at least as many.
    Returns the places of the chosen examples in the list, in rising order.

    Example: k_shot([0, 1, 0, 1], ["b", "c", "a", "d"], 1) returns [1, 2].
    """
    chosen = []
    for kind in set(labels):
        places = [i for i, label in enumerate(labels) if label == kind]
        chosen += sorted(places, key=lambda i: keys[i])[:k]
    return sorted(chosen)

# %%
check("few-draw", k_shot)

# %% [markdown]
# **Why it is right.** Every class is sorted by itself, so every class gives exactly K examples.
# The key belongs to the example and not to its place. So the same examples are chosen when the data comes in another order.
#
# **What wrong answers teach.**
#
# - *The first K of each class.*
#   Data files are often sorted, by date or by source. Then the first K are alike, and another order gives another result.
# - *K altogether, or the keys compared across classes.*
#   The classes then have different numbers of examples. With few examples this can go far:

# %%
draw = torch.Generator().manual_seed(13)
counts = [int(torch.randint(2, (8,), generator=draw).sum()) for _ in range(2000)]
uneven = sum(count not in (3, 4, 5) for count in counts) / len(counts)
print(f"8 examples without regard to the class: {uneven:.2f} of the draws are 6 to 2 or worse")
assert 0.24 < uneven < 0.34

# %% [markdown]
# ## Exercise 2: the loss of prompt tuning
#
# **Task** ([back to the exercise](few_shot.ipynb#exercise-2-the-loss-of-prompt-tuning)):
# compute the loss from the logits of the label words.

# %%
def prompt_loss(word_logits, words, labels):
    """Compute the loss of prompt tuning.

    word_logits: shape (B, W): for each of B texts, the logits of W words at the mask.
    words: for each label, the list of the columns of its words. Labels may have
        different numbers of words.
    labels: shape (B,), whole numbers: the right label of each text.
    Returns a tensor with one number, in nats: the mean cross-entropy over the texts. The
    score of a label is the mean logit of its words. Gradients must be able to flow from it.
    """
    scores = [word_logits[:, columns].mean(1) for columns in words]
    return cross_entropy(torch.stack(scores, dim=1), labels)

# %%
check("few-loss", prompt_loss)

# %% [markdown]
# **Why it is right.** The scores of the labels are logits like any others. The answers to choose from are the labels, so the softmax runs over as many scores as there are labels.
#
# **What wrong answers teach.**
#
# - *The sum of the logits.*
#   A label with more words gets a larger sum when logits are positive, whatever the text says:

# %%
same = torch.full((1, 3), 5.0)  # all three words are equally probable
label = torch.tensor([0])
summed = torch.stack([same[:, [0, 1]].sum(1), same[:, [2]].sum(1)], dim=1)
print(f"mean {prompt_loss(same, [[0, 1], [2]], label):.3f}   "
      f"sum, the label with two words is right {cross_entropy(summed, label):.3f}")
assert abs(prompt_loss(same, [[0, 1], [2]], label) - math.log(2)) < 1e-6

# %% [markdown]
# - *Log-sum-exp.*
#   It is the logarithm of the summed probabilities, and a fair choice. But it gives two equally probable words more than one. The package offers both.
# - *The loss of a word.*
#   Then the model is trained to say exactly this word. *Good* would be wrong where *great* is asked for.
# - *Only the right score.*
#   The loss can be made as small as you like by raising all logits together.

# %% [markdown]
# ## Exercise 3: a difference and its spread
#
# **Task** ([back to the exercise](few_shot.ipynb#exercise-3-a-difference-and-its-spread)):
# compare two methods that were run with several seeds.

# %%
def compare(first: list, second: list) -> tuple:
    """Compare the accuracies of two methods.

    first, second: the accuracies of a method, one for each seed; at least two.
    Returns two numbers: the mean of first minus the mean of second, and the joint spread,
    the root of the sum of the squared standard deviations (with n - 1).

    Example: compare([7.0, 10.0, 13.0], [2.0, 6.0, 10.0]) returns (4.0, 5.0).
    """
    difference = statistics.mean(first) - statistics.mean(second)
    return difference, math.sqrt(statistics.variance(first) + statistics.variance(second))

# %%
check("few-spread", compare)

# %% [markdown]
# **Why it is right.** `statistics.variance` is the squared standard deviation with $n - 1$.
# Variances of independent numbers add up. So the root of their sum is the standard deviation of the difference of one draw of each method.
#
# **What wrong answers teach.**
#
# - *Dividing by $n$.*
#   The mean was computed from the same numbers, so they lie closer to it than to the true mean. With five seeds the result is too small by a tenth:

# %%
print(f"root of 4/5: {math.sqrt(4 / 5):.2f}")
assert 1 - math.sqrt(4 / 5) > 0.1

# %% [markdown]
# - *Adding the standard deviations.*
#   That would be right if chance always pushed the two methods in opposite directions.
# - *The standard error.*
#   Divided by the root of $n$ it says how well the *mean* is known. It answers another question: is the one method better on average? The joint spread asks: would I see the difference with one draw of my own?
# - *The spread of the differences, pair by pair.*
#   Both methods had the same draws, so this is a third good question. The chapter shows it too.
# - *The best seeds.*
#   The best of five tries is always above the mean. A method with a larger spread then looks better.

# %% [markdown]
# ## Exercise 4: passes over few examples
#
# **Task** ([back to the exercise](few_shot.ipynb#exercise-4-passes-over-few-examples)):
# say how often a training uses each example.

# %%
def passes(steps: int, size: int, k: int, classes: int) -> float:
    """Return how often a training uses each example, on average.

    steps: the number of steps.
    size: examples in a batch. If there are fewer examples, a batch holds all of them.
    k: examples per class.
    classes: the number of classes.

    Example: passes(30, 8, 4, 2) returns 30.0.
    """
    examples = k * classes
    return steps * min(size, examples) / examples

# %%
check("few-passes", passes)

# %% [markdown]
# **Why it is right.** Each step uses a batch, and all batches together use `steps * min(size, examples)` examples, repeats counted.
#
# **What wrong answers teach.**
#
# - *Counting one class.* K is a number per class. Two classes with K = 4 have eight examples.
# - *Forgetting small sets.* With fewer examples than a batch can hold, the batch is smaller, and so are the costs.
#
# The table shows what an equal number of steps means:

# %%
for k in (4, 8, 16, 32, 64):
    print(f"K = {k:2}   {passes(30, 8, k, 2):6.1f} passes")

# %% [markdown]
# With K = 4 the model sees each example many times, and can learn it by heart. With K = 64 it sees each one about twice.
