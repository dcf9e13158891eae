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
# # The article, reproduced and repaired
#
# Part II of this course grew from an article with a short class, `Prompting`. It asks a [masked language model](../book/glossary.md#masked-language-modelling) for an opinion, and it tunes the model on a few sentences.
# The code runs and prints good-looking numbers. Some of them are wrong.
# In this chapter you find out why, you write the right code, and you measure what each fault costs.
#
# After this chapter you will be able to
#
# - compare two lists of [label words](../book/glossary.md#label-words) in a way that does not depend on their lengths;
# - build the rows, the [loss](../book/glossary.md#loss) and the steps of a [fine-tuning](../book/glossary.md#fine-tuning) loop, and name the usual faults in each;
# - test code for a fault that raises no error;
# - measure a difference on the same texts, with an interval, and the effect of one fault alone.
#
# Reading and running take about 40 minutes, the exercises about as long again.
# The notebook itself runs in less than a minute on two CPU cores.
# Read [Masked language modelling](masked_lm.ipynb) first.

# %% tags=["install", "hide-input"]
# Set-up, written from site.toml: says what to do when the course package is missing.
import importlib.util

if importlib.util.find_spec("companion") is None:
    raise ImportError("The course package is missing. Locally: run `make book`, choose .venv "
                      "as the kernel. On Colab: first set `repository` in site.toml.")

# %% [markdown]
# ## The article's class
#
# The class `LiteralPrompting` does what the article's code does, faults and all. It was written from a description of that code. Do not use it for your work.
#
# It reads a text that already ends in a [prompt](../book/glossary.md#prompt) with a `[MASK]`. The method `prompt_pred` returns every token of the vocabulary with its score, best first.

# %%
import json
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from companion import checkpoints
from companion.corpora import movie_reviews
from companion.display import bars, table
from companion.errors import CourseError
from companion.exercises import check
from companion.prompting import Prompting
from companion.prompting.literal import LiteralPrompting

CHECKPOINT = checkpoints.folder("bert-mini-en")  # or a hub id, or another folder
article = LiteralPrompting(CHECKPOINT)
PRAISE, BLAME = "I really like the film a lot.", "this movie makes me very disgusting."
for text in (PRAISE, BLAME):
    best = article.prompt_pred(f"{text} Because it was [MASK].")[:5]
    print(text, [(token, round(score.item(), 1)) for token, score in best])

# %% [markdown]
# The scores are [logits](../book/glossary.md#logits), not probabilities. Already here the model is not sure of itself: after the praise its best token is a word of blame.
#
# One word decides little. So the article compares two lists of words with `compute_tokens_prob`. It returns two numbers whose sum is 1, the first for the first list.

# %%
LISTS = {"two against two": (["great", "good"], ["bad", "terrible"]),
         "two against three": (["great", "good"], ["bad", "awful", "terrible"]),
         "with a spelling mistake": (["great", "amazin", "good"], ["bad", "terrible"])}
shares = {}
for name, lists in LISTS.items():
    for text in (PRAISE, BLAME):
        pair = article.compute_tokens_prob(f"{text} Because it was [MASK].", *lists)
        shares[name, text] = pair[0].item()
    print(f"{name:24} good after praise {shares[name, PRAISE]:.3f}, "
          f"after blame {shares[name, BLAME]:.3f}")
assert max(shares["two against three", text] for text in (PRAISE, BLAME)) < 0.001
assert shares["with a spelling mistake", PRAISE] == shares["two against two", PRAISE]

# %% [markdown]
# Look at the second line. One more word in the second list, and the model seems to be certain that the praise is blame.
# Look at the third line. A word that does not exist, `amazin`, changes nothing and raises no error.
#
# Both are faults of the code, not of the model. The next section lets you find them, and three more in the way the article tunes.

# %% [markdown]
# ## Find the faults
#
# Each exercise first shows a function with a fault, as the article has it. The task is the same function without the fault.
# Replace `raise NotImplementedError` by your code, run the cell, and run the check below it.
# The check prints ✓, or *not attempted yet*, or a hint.
#
# When you are done, or stuck, compare with the [solutions](article_repaired_solutions.ipynb).
# The rest of the chapter tells you the faults, so try the exercises before you read on.

# %% [markdown]
# ### Exercise 1: two lists of words
#
# This is how the article compares two lists. What is wrong with it?

# %%
def article_shares(logits: torch.Tensor, first: list[int], second: list[int]) -> torch.Tensor:
    """The article's way to divide 1 between two lists of words (ids)."""
    return torch.stack([logits[first].sum(), logits[second].sum()]).softmax(0)


example = torch.tensor([1.0, 1.0, 1.0, 1.0, 1.0])
print(article_shares(example, [0, 1], [2, 3, 4]))

# %% [markdown]
# All five words are equally probable, and still the longer list wins.
#
# Write `list_shares`, which compares the mean probabilities of the two lists.

# %%
def list_shares(logits: torch.Tensor, first: list[int], second: list[int]) -> torch.Tensor:
    """Divide the probability at the mask between two lists of words.

    logits: a score for each token of the vocabulary, shape (V,). They can be large.
    first, second: the ids of the words of each list.
    Returns a tensor of shape (2,): the mean probability of the words of either list, divided
    by the sum of the two means.

    Example: when all logits are equal, the result is tensor([0.5, 0.5]), whatever the lists.
    """
    raise NotImplementedError

# %%
check("article-shares", list_shares)

# %% [markdown]
# ### Exercise 2: a word that is not there
#
# This is how the article adds the scores of a list. What does it do with a spelling mistake?

# %%
def article_sum(scores: dict[str, float], words: list[str]) -> float:
    """The article's sum of the scores of a list."""
    return sum(scores.get(word, 0) for word in words)


print(article_sum({"great": -2.0, "good": -3.0}, ["great", "amazin"]))

# %% [markdown]
# Write `look_up`, which tells the words that the vocabulary has from those that it has not.

# %%
def look_up(words: list[str], vocabulary: dict[str, int]) -> tuple[list[int], list[str]]:
    """Find the ids of words, and the words that have none.

    words: words of a list, such as ["great", "amazin"].
    vocabulary: the id of each token. Any number from 0 upwards can be an id.
    Returns two lists: the ids of the words that are in the vocabulary, and the other words.
    Both are in the order of `words`.

    Example: look_up(["great", "amazin"], {"great": 9}) returns ([9], ["amazin"]).
    """
    raise NotImplementedError

# %%
check("article-words", look_up)

# %% [markdown]
# ### Exercise 3: the row that the model reads
#
# This is how the article builds the ids for tuning. Compare it with what the [tokenizer](../book/glossary.md#tokenizer) gives for the same text.

# %%
def article_row(sentence: list[int], prompt: list[int]) -> list[int]:
    """The article's row for tuning."""
    return sentence + prompt


words = [article.tokenizer(text, add_special_tokens=False)["input_ids"]
         for text in ("A fine film.", "Since it was [MASK].")]
print("article:  ", article.tokenizer.decode(article_row(*words)))
print("tokenizer:", article.tokenizer.decode(
    article.tokenizer("A fine film. Since it was [MASK].")["input_ids"]))

# %% [markdown]
# Write `training_row`, which builds the row as in pretraining. When the row would be too long, it leaves out the end of the sentence, and nothing else.

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
    raise NotImplementedError

# %%
check("article-row", training_row)

# %% [markdown]
# ### Exercise 4: the loss
#
# This is the article's loss. Two things are wrong with it. Remember that in the data sets of this course the label 1 means positive.

# %%
def article_loss(logits: torch.Tensor, labels: torch.Tensor, good: int, bad: int) -> torch.Tensor:
    """The article's loss for two label words."""
    return cross_entropy(logits[:, [good, bad]].softmax(-1), labels)


print(article_loss(torch.tensor([[9.0, -9.0]]), torch.tensor([1]), good=0, bad=1))

# %% [markdown]
# The logits say *good* as clearly as possible, the label says positive, and the loss is large.
#
# Write `two_word_loss`.

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
    raise NotImplementedError

# %%
check("article-loss", two_word_loss)

# %% [markdown]
# ### Exercise 5: one pass over the data
#
# This is the article's loop, for a model so small that you see all of it: a weight, and the probability $\sigma(x \cdot w)$ for the target 1. What is missing, and what should be done less often?

# %%
def article_pass(weight, inputs, targets, rate: float) -> torch.Tensor:
    """The article's way through the examples."""
    weight = weight.clone().requires_grad_()
    for x, y in zip(inputs, targets):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(x @ weight, y)
        loss.backward()
        with torch.no_grad():
            weight -= rate * weight.grad
    return weight.detach()


same = torch.ones(4, 1)
print(article_pass(torch.zeros(1), same, torch.ones(4), rate=0.1))

# %% [markdown]
# Write `one_pass`, which makes one step for each batch, with the gradient of that batch only.

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
    raise NotImplementedError

# %%
check("article-steps", one_pass)

