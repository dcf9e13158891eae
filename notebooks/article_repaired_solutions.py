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
# # Solutions: the article, reproduced and repaired
#
# These are solutions of the exercises in the chapter
# [The article, reproduced and repaired](article_repaired.ipynb).
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
from torch.nn.functional import cross_entropy

from companion.exercises import check

# %% [markdown]
# ## Exercise 1: two lists of words
#
# **Task** ([back to the exercise](article_repaired.ipynb#exercise-1-two-lists-of-words)):
# divide the probability between two lists of words, so that no list has an advantage because it is longer.

# %%
def list_shares(logits: torch.Tensor, first: list[int], second: list[int]) -> torch.Tensor:
    """Divide the probability at the mask between two lists of words.

    logits: a score for each token of the vocabulary, shape (V,). They can be large.
    first, second: the ids of the words of each list.
    Returns a tensor of shape (2,): the mean probability of the words of either list, divided
    by the sum of the two means.

    Example: when all logits are equal, the result is tensor([0.5, 0.5]), whatever the lists.
    """
    means = [logits[ids].logsumexp(0) - torch.tensor(float(len(ids))).log()
             for ids in (first, second)]
    return torch.stack(means).softmax(0)

# %%
check("article-shares", list_shares)

# %% [markdown]
# **Why it is right.** `logsumexp` is the logarithm of the sum of the exponentials.
# Minus $\ln n$ makes a mean of it.
# The softmax of two logarithms divides each mean by their sum.
# The probabilities of the whole vocabulary are not needed: what they are divided by is the same for both lists and cancels.
#
# **What wrong answers teach.**
#
# - *The softmax of two sums of logits.*
#   This is the article's way.
#   A logit has no fixed zero: add a number to all of them, and no probability changes.
#   But a sum of three logits then grows more than a sum of two.
# - *The sum of the probabilities.*
#   It is a probability: that any of the words stands at the mask.
#   But the longer list collects more of it, which is an opinion about your list and not about the text.
# - *The mean of the logits.*
#   It is free of both faults, and it also works well.
#   It weighs every word alike, also those that the model finds impossible.
#   The task asked for the mean of the probabilities.
# - *`exp` before the mean.*
#   It works until a logit is large. Then `exp` gives infinity, and infinity divided by infinity is no number.

# %% [markdown]
# ## Exercise 2: a word that is not there
#
# **Task** ([back to the exercise](article_repaired.ipynb#exercise-2-a-word-that-is-not-there)):
# look up words in a vocabulary and report those that are missing.

# %%
def look_up(words: list[str], vocabulary: dict[str, int]) -> tuple[list[int], list[str]]:
    """Find the ids of words, and the words that have none.

    words: words of a list, such as ["great", "amazin"].
    vocabulary: the id of each token. Any number from 0 upwards can be an id.
    Returns two lists: the ids of the words that are in the vocabulary, and the other words.
    Both are in the order of `words`.

    Example: look_up(["great", "amazin"], {"great": 9}) returns ([9], ["amazin"]).
    """
    ids = [vocabulary[word] for word in words if word in vocabulary]
    return ids, [word for word in words if word not in vocabulary]

# %%
check("article-words", look_up)

# %% [markdown]
# **Why it is right.** Every word is in one of the two lists, and none is counted that the model does not know.
# The caller sees the second list and can stop.
# `Prompting` raises an error there, with near words of the vocabulary in its message.
#
# **What wrong answers teach.**
#
# - *0 for a missing word.*
#   The article adds 0 to the sum. As an id, 0 is another token.
#   Either way a spelling mistake becomes a number that looks like any other.
# - *Leaving the word out and saying nothing.*
#   The list is then shorter than you think. You will explain a result by a word that was never asked for.
# - *`[UNK]` for a missing word.*
#   The model has a score for `[UNK]`, but it is not the score of your word.
# - *Testing the id instead of the word.*
#   `if vocabulary.get(word)` is false for the id 0 as well.

# %% [markdown]
# ## Exercise 3: the row that the model reads
#
# **Task** ([back to the exercise](article_repaired.ipynb#exercise-3-the-row-that-the-model-reads)):
# build a row from a sentence and a prompt, with special tokens, and cut only the sentence.

# %%
def training_row(sentence, prompt, cls: int, sep: int, max_length: int) -> list[int]:
    """Build the ids that the model reads.

    sentence, prompt: lists of token ids without special tokens. The prompt holds the mask.
    cls, sep: the ids of [CLS] and [SEP].
    max_length: the most ids that the row may have.
    Returns [CLS], sentence, prompt, [SEP] as one list. If it would be too long, the *end of
    the sentence* is left out. The prompt is always whole; there is room for it and at least
    one id of the sentence.

    Example: training_row([11, 12], [4], 2, 3, 4) returns [2, 11, 4, 3].
    """
    room = max_length - len(prompt) - 2
    return [cls, *sentence[:room], *prompt, sep]

# %%
check("article-row", training_row)

# %% [markdown]
# **Why it is right.** The room for the sentence is what the prompt and the two special tokens leave.
# A slice that is longer than the list changes nothing, so short sentences need no extra case.
#
# **What wrong answers teach.**
#
# - *No special tokens.*
#   In pretraining every row began with `[CLS]` and ended with `[SEP]`.
#   Without them the model reads something that it never saw, and you train it for a row that nobody will ask about.
# - *Cutting the end of the whole row.*
#   The mask stands near the end. Without it nothing is asked.
# - *`[SEP]` before the prompt.*
#   The prompt continues the text. `[SEP]` says that another text begins.

# %% [markdown]
# ## Exercise 4: the loss
#
# **Task** ([back to the exercise](article_repaired.ipynb#exercise-4-the-loss)):
# compute the loss over two label words, with label 1 for the good one.

# %%
def two_word_loss(logits: torch.Tensor, labels: torch.Tensor, good: int, bad: int) -> torch.Tensor:
    """Compute the loss of choosing between two label words.

    logits: scores of the whole vocabulary at the mask of each text, shape (B, V).
    labels: 1 where the text is positive, 0 where it is negative, shape (B,).
    good, bad: the ids of the label words for 1 and for 0.
    Returns a tensor with one number, in nats: the mean over the texts of minus the log of the
    right word's share, where the two words share all of the probability. Gradients must be
    able to flow from it to the logits.

    Example: when the two words have equal logits everywhere, the loss is ln 2.
    """
    return cross_entropy(logits[:, [bad, good]], labels)

# %%
check("article-loss", two_word_loss)

# %% [markdown]
# **Why it is right.** After the choice of columns, column 0 is the bad word and column 1 the good one, as the labels say.
# `cross_entropy` applies the one softmax that is needed.
#
# **What wrong answers teach.**
#
# - *A softmax first.*
#   The loss then sees two numbers between 0 and 1.
#   Even a perfect answer, 1 and 0, cannot bring it to zero: its smallest value is $\ln(1+e^{-1})$.
#   Worse, where the model is sure and wrong, the gradient vanishes.
# - *The columns in the order good, bad.*
#   Nothing fails, and the model learns the opposite.
# - *The softmax over the whole vocabulary.*
#   It also pushes down all other words, which nobody asked about. It is a loss too, but another one.

# %%
smallest = cross_entropy(torch.tensor([[1.0, 0.0]]), torch.tensor([0])).item()
print(f"smallest loss after a second softmax: {smallest:.3f}")
for logit in (0.0, 5.0, 20.0):
    line = []
    for twice in (False, True):
        pair = torch.tensor([[logit, 0.0]], requires_grad=True)
        cross_entropy(pair.softmax(-1) if twice else pair, torch.tensor([1])).backward()
        line.append(pair.grad[0, 0].item())
    print(f"wrong word ahead by {logit:4.1f}: gradient {line[0]:.4f}, with two softmaxes {line[1]:.4f}")

# %% [markdown]
# The more wrong the model is, the less it learns from the second column.

# %% [markdown]
# ## Exercise 5: one pass over the data
#
# **Task** ([back to the exercise](article_repaired.ipynb#exercise-5-one-pass-over-the-data)):
# make gradient steps, each from the mean loss of one batch.

# %%
def one_pass(weight, inputs, targets, size: int, rate: float) -> torch.Tensor:
    """Make one pass of gradient descent.

    weight: the weight at the start, shape (D,). It must not be modified.
    inputs, targets: examples in the order in which they are read, shapes (N, D) and (N,).
        The model says the probability sigmoid(input · weight) for the target 1.
    size: the number of examples of a batch; the last batch may be smaller.
    rate: the learning rate.
    Returns the weight after one step for each batch, shape (D,), without a gradient. A step
    subtracts rate times the gradient of the mean loss (in nats) of its own batch.
    """
    weight = weight.clone()
    for x, y in zip(inputs.split(size), targets.split(size)):
        start = weight.detach().requires_grad_()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(x @ start, y)
        (gradient,) = torch.autograd.grad(loss, start)
        weight = weight - rate * gradient
    return weight

# %%
check("article-steps", one_pass)

# %% [markdown]
# **Why it is right.** `torch.autograd.grad` returns the gradient and stores it nowhere, so nothing is left over from the batch before.
# With an optimiser, `zero_grad` does the same: it clears what `backward` has stored.
#
# **What wrong answers teach.**
#
# - *No `zero_grad`.*
#   `backward` *adds* to the stored gradient. The tenth step then repeats the nine before it.
#   This is useful when you want one step from several small batches, and a fault when you do not know it.
# - *A step after each example.*
#   Each step follows the chance of one sentence. A mean over several sentences is steadier.
# - *A weight with a gradient attached.*
#   A tensor made with `requires_grad_` keeps this property, and whatever is computed from it joins its graph. `detach()` gives the plain numbers.
# - *The sum instead of the mean.*
#   The step then grows with the batch, and a good learning rate for one size is a bad one for another.
