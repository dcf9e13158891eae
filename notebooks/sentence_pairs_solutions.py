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
# # Solutions: sentence pairs
#
# These are solutions of the exercises in the chapter
# [Sentence pairs](sentence_pairs.ipynb).
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
# ## Exercise 1: a balanced batch
#
# **Task** ([back to the exercise](sentence_pairs.ipynb#exercise-1-a-balanced-batch)):
# exchange the second halves of the pairs that are to be changed, and give the labels.

# %%
def next_sentence_batch(pairs: list, changed: list[bool]) -> tuple[list, list]:
    """Make a batch for next-sentence prediction.

    pairs: a list of [first half, second half], each from another document.
    changed: for each pair, whether it gets a second half that does not follow.
    Returns the pairs and the labels, in the order of the batch. A changed pair has the
    second half of the next changed pair, the last one that of the first. The others stay
    as they are. Labels: 0 as written, 1 changed.

    Example: [["a", "b"], ["c", "d"], ["e", "f"]] with [True, False, True]
    returns [["a", "f"], ["c", "d"], ["e", "b"]] and [1, 0, 1].
    """
    places = [i for i, one in enumerate(changed) if one]
    made = [list(pair) for pair in pairs]
    for here, there in zip(places, places[1:] + places[:1]):
        made[here][1] = pairs[there][1]
    return made, [int(one) for one in changed]

# %%
check("pairs-batch", next_sentence_batch)

# %% [markdown]
# **Why it is right.** `places` lists the changed pairs. Each of them takes the second half of the next one in this list, and the last takes that of the first.
# The halves are read from `pairs` and written to a copy, so nothing is overwritten before it is lent.
# Every second half stands in the batch exactly once:

# %%
batch = [["a", "b"], ["c", "d"], ["e", "f"], ["g", "h"]]
made, labels = next_sentence_batch(batch, [True, False, True, True])
print(made, labels)
print(sorted(b for _, b in made) == sorted(b for _, b in batch))

# %% [markdown]
# **What wrong answers teach.**
#
# - *Taking the second half of the next pair, changed or not.*
#   This half then stands in two pairs, once with each label, and another half stands only in pairs with label 1.
#   A model can learn such halves by heart.
# - *Swapping the two halves of a pair.*
#   That is sentence-order prediction. Both halves are still from one document.
# - *Labels the wrong way round.*
#   Training works with any labels. But a head of somebody else's model has learned 0 for "follows", and your numbers would be exchanged.
# - *Writing into `pairs` in a loop.*
#   The first pair loses its half before the last pair can take it.

# %% [markdown]
# ## Exercise 2: swap the halves
#
# **Task** ([back to the exercise](sentence_pairs.ipynb#exercise-2-swap-the-halves)):
# swap the two halves of a row, and write the segment ids of the new row.

# %%
def swap_halves(ids: torch.Tensor, segments: torch.Tensor, sep_id: int):
    """Swap the halves of one row.

    ids: the row [CLS] A [SEP] B [SEP] and then padding, shape (L,).
    segments: its segment ids, shape (L,): 0 up to the first [SEP], 1 for B and its [SEP],
        0 for padding.
    sep_id: the id of [SEP]. No other token has it.
    Returns ids and segments of the row [CLS] B [SEP] A [SEP], both of shape (L,).

    Example: with sep_id 3, [2, 11, 12, 3, 21, 3, 0] and [0, 0, 0, 0, 1, 1, 0]
    become [2, 21, 3, 11, 12, 3, 0] and [0, 0, 0, 1, 1, 1, 0].
    """
    middle, end = (ids == sep_id).nonzero().flatten().tolist()
    a, b = ids[1 : middle + 1], ids[middle + 1 : end + 1]
    swapped = torch.cat([ids[:1], b, a, ids[end + 1 :]])
    new = torch.zeros_like(segments)
    new[1 + len(b) : end + 1] = 1
    return swapped, new

# %%
check("pairs-swap", swap_halves)

# %% [markdown]
# **Why it is right.** The two places of `[SEP]` are the borders. Each half is moved together with its own `[SEP]`.
# The new segments depend only on the new row: 0 as far as the first `[SEP]`, then 1, then 0 for padding.

# %%
row, kinds = torch.tensor([2, 11, 12, 3, 21, 3, 0]), torch.tensor([0, 0, 0, 0, 1, 1, 0])
swapped, new = swap_halves(row, kinds, 3)
print(swapped.tolist())
print(new.tolist())
print("twice is the same row:", torch.equal(swap_halves(swapped, new, 3)[0], row))

# %% [markdown]
# **What wrong answers teach.**
#
# - *Keeping the old segments.*
#   With halves of equal length nothing happens, so a test with such halves does not find the mistake.
#   Otherwise some tokens are said to be in the wrong half. This occurs mostly in swapped rows, so it also gives the label away.
# - *Moving the segments with the halves.*
#   Every swapped row then begins with segment 1. The model reads the label there and nothing else.
#   The accuracy is perfect, and worthless.
# - *Segment 1 for padding.*
#   The [attention mask](../book/glossary.md#attention-mask) hides padding, so the loss does not change. But rows of a tokenizer and rows of yours would no longer be equal, and equality is the easiest test there is.

# %% [markdown]
# ## Exercise 3: cut fairly
#
# **Task** ([back to the exercise](sentence_pairs.ipynb#exercise-3-cut-fairly)):
# cut the longer half until both fit, away from their border.

# %%
def cut_pair(a: list[int], b: list[int], room: int) -> tuple[list[int], list[int]]:
    """Cut two halves until they fit.

    a, b: token ids without special tokens. They must not be modified.
    room: how many tokens both may have together, at least 2.
    As long as they are too long, the longer half loses one token; when both are equally
    long, B loses it. A loses its first token each time, B its last.
    Returns what is left of a and of b.

    Example: cut_pair([1, 2, 3, 4], [5, 6], 4) returns [3, 4] and [5, 6].
    """
    size_a, size_b = len(a), len(b)
    while size_a + size_b > room:
        if size_a > size_b:
            size_a -= 1
        else:
            size_b -= 1
    return a[len(a) - size_a :], b[:size_b]

# %%
check("pairs-cut", cut_pair)

# %% [markdown]
# **Why it is right.** The loop counts the two lengths down by the rule of the docstring. Then A keeps its last tokens and B its first ones, so nothing is missing where they meet.

# %%
print(cut_pair(list(range(1, 9)), list(range(21, 25)), 6))
print(cut_pair(list(range(1, 9)), [21], 6))

# %% [markdown]
# `a[len(a) - size_a :]` looks clumsy beside `a[-size_a:]`. But `a[-0:]` is the whole list, so the short form fails where nothing may be kept.
#
# **What wrong answers teach.**
#
# - *Cutting only B.*
#   A long A leaves little of B or nothing. In sentence order the halves change places, so the *other* half would be cut in swapped rows, and the lengths would tell the label.
# - *Half of the room for each.*
#   A short half does not use its part, and the room is lost.
# - *Cutting the end of A.*
#   Whether B follows A shows best where A ends. This end would be gone.
# - *Taking off room for special tokens once more.*
#   Say in the docstring what a number counts, and count it in one place only.

# %% [markdown]
# ## Exercise 4: the loss of a pair
#
# **Task** ([back to the exercise](sentence_pairs.ipynb#exercise-4-the-loss-of-a-pair)):
# compute the mean cross-entropy over all pairs.

# %%
def pair_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Compute the loss of next-sentence or sentence-order prediction.

    logits: the scores of label 0 and label 1, shape (B, 2).
    labels: 0 or 1 for each pair, shape (B,), int64.
    Returns a tensor with one number, in nats: the mean cross-entropy over the pairs.
    Gradients must be able to flow from it to the logits.

    Example: when all logits are 0, the loss is ln 2, whatever the labels are.
    """
    return cross_entropy(logits, labels)

# %%
check("pairs-loss", pair_loss)

# %% [markdown]
# **Why it is right.** `cross_entropy` takes the logits of both labels and the right label, and returns the mean of $-\ln p$. No pair is left out.
# The reference in this check is the loss of `BertForNextSentencePrediction`.

# %%
labels = torch.tensor([0, 1, 0, 1])
print(f"all logits equal: {pair_loss(torch.zeros(4, 2), labels):.4f}")
always_one = torch.tensor([[-9.0, 9.0]]).expand(4, 2)
print(f"always label 1:   {pair_loss(always_one, labels):.1f}")
print(f"the same, skipped: {cross_entropy(always_one, labels, ignore_index=0):.1f}")

# %% [markdown]
# **What wrong answers teach.**
#
# - *`ignore_index=0`.*
#   The last two lines show it: the answer "always 1" is punished by the right loss and is perfect for the other.
# - *Multiplying by the labels.*
#   A label is a name here. Pairs with the name 0 must not vanish from the sum.
# - *One sigmoid on the second score.*
#   It is right on the *difference* of the two scores. On one score alone it is another model.
# - *Two sigmoids.*
#   They let both labels be probable at once. A pair has exactly one label.

# %% [markdown]
# ## Exercise 5: find a leak
#
# **Task** ([back to the exercise](sentence_pairs.ipynb#exercise-5-find-a-leak)):
# compute the accuracy of the best rule that sees one property of a pair.

# %%
def best_accuracy(seen: list, labels: list[int]) -> float:
    """Return the accuracy of the best rule that sees one property of each pair.

    seen: the property of each pair: a number or a text, for example the length of B.
    labels: 0 or 1 for each pair.
    A rule gives all pairs with the same property the same label. The best one gives each
    value the label that is more frequent with it.
    Returns the share of these pairs that the best rule gets right, between 0.5 and 1.

    Example: best_accuracy([7, 7, 7, 9], [1, 1, 0, 0]) returns 0.75.
    """
    ones, every = {}, {}
    for value, label in zip(seen, labels):
        ones[value] = ones.get(value, 0) + label
        every[value] = every.get(value, 0) + 1
    right = sum(max(ones[value], every[value] - ones[value]) for value in every)
    return right / len(labels)

# %%
check("pairs-leak", best_accuracy)

# %% [markdown]
# **Why it is right.** For each value the rule must choose one label. The more frequent one is right most often, and the values do not influence each other. So the best counts are added and divided by the number of pairs.

# %%
print("fair ", best_accuracy(["short", "long", "long", "short"], [0, 0, 1, 1]))
print("leaky", best_accuracy(["opening", "later", "opening", "later"], [1, 0, 1, 0]))

# %% [markdown]
# One warning. The rule is chosen and tested on the same pairs. If every pair has a value of its own, the result is 1 and says nothing. So use properties with few values, or choose the rule on one half of the pairs and count on the other.
#
# **What wrong answers teach.**
#
# - *The share of the more frequent label.*
#   This rule does not look at the property. It is the [baseline](../book/glossary.md#baseline) to compare with.
# - *A mean over the values.*
#   A value that occurs once then counts as much as one that occurs a thousand times.
# - *Counting only values with a single label.*
#   A leak is often partial. A value that has label 1 in three of four pairs helps, too.

# %% [markdown]
# ## Exercise 6: put the sentences back
#
# **Task** ([back to the exercise](sentence_pairs.ipynb#exercise-6-put-the-sentences-back)):
# put shuffled sentences back into their order.

# %%
def restore(sentences: list[str], places: list[int]) -> list[str]:
    """Put shuffled sentences back into their order.

    sentences: the sentences, shuffled. The list must not be modified.
    places: for each of them the place that it had in the text, counted from 0.
    Returns the sentences as they were written.

    Example: restore(["So we left.", "It rained."], [1, 0])
    returns ["It rained.", "So we left."].
    """
    order = sorted(range(len(places)), key=lambda i: places[i])
    return [sentences[i] for i in order]

# %%
check("pairs-restore", restore)

# %% [markdown]
# **Why it is right.** The sentences are taken in the order of their places: first the one whose place is 0, then the one whose place is 1, and so on.

# %%
shuffled, places = ["Then tea.", "Bo slept.", "He woke."], [2, 0, 1]
print(restore(shuffled, places))
print([shuffled[place] for place in places], "is not the text")

# %% [markdown]
# **What wrong answers teach.**
#
# - *`[sentences[place] for place in places]`.*
#   This asks which sentence stands at a place. The labels say the opposite: which place a sentence had.
#   For two sentences both give the same result, so a test needs three.
# - *Sorting pairs of place and sentence and returning them.*
#   The order is right, but the result still carries the places.
# - *Sorting in place.*
#   The caller keeps only the sorted list, and the labels no longer fit to it.
