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
# # Solutions: sequence to sequence
#
# These are solutions of the exercises in the chapter
# [Sequence to sequence](sequence_to_sequence.ipynb).
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
from collections import Counter

import torch

from companion.exercises import check

# %% [markdown]
# ## Exercise 1: take spans out
#
# **Task** ([back to the exercise](sequence_to_sequence.ipynb#exercise-1-take-spans-out)):
# make inputs and targets from a text and its spans.

# %%
def corrupt(ids: list[int], spans: list[tuple[int, int]], sentinels: list[int]):
    """Take spans out of a text.

    ids: the token ids of the text.
    spans: where each span begins, and the first position after it, from left to right. Two
        spans never touch.
    sentinels: ids of sentinels in their order, more than there are spans.
    Returns two lists, inputs and targets. In the inputs each span has become one sentinel.
    The targets hold each span after its sentinel, and one more sentinel at the end.

    Example: corrupt([11, 12, 13, 14], [(1, 3)], [99, 98, 97])
    returns ([11, 99, 14], [99, 12, 13, 98]).
    """
    inputs, targets, done = [], [], 0
    for sentinel, (begin, end) in zip(sentinels, spans):
        inputs += [*ids[done:begin], sentinel]
        targets += [sentinel, *ids[begin:end]]
        done = end
    return inputs + ids[done:], [*targets, sentinels[len(spans)]]

# %%
check("spans-corrupt", corrupt)

# %% [markdown]
# **Why it is right.** The text is read once from left to right. `done` says how much of it has
# been dealt with. What lies between two spans goes to the inputs, the spans go to the targets.
#
# **What wrong answers teach.**
#
# - *One sentinel for each token.*
#   The input would then say how long each span is.
#   The model should find the length itself.
# - *No sentinel at the end of the targets.*
#   The last span would have no end.
#   The model could not learn when to stop writing it.
# - *The same sentinel for all spans.*
#   With two spans, nobody could say which target belongs to which gap.
# - *Replacing the spans one after the other in one list.*
#   After the first replacement all later positions have moved.
#   Work from the right, or count in the original text.

# %% [markdown]
# ## Exercise 2: what the decoder reads
#
# **Task** ([back to the exercise](sequence_to_sequence.ipynb#exercise-2-what-the-decoder-reads)):
# shift the labels to the right.

# %%
def decoder_inputs(labels: torch.Tensor, start: int, pad: int) -> torch.Tensor:
    """Make what the decoder reads while it is asked for the labels.

    labels: the targets of a batch, shape (B, T), with -100 where nothing is asked. The -100
        stand at the end of a row. The tensor must not be modified.
    start: the id of the token that every row begins with.
    pad: the id of padding, which stands where -100 would.
    Returns ids of shape (B, T): at each step the label of the step before.

    Example: decoder_inputs(torch.tensor([[11, 12, 3, -100, -100]]), 1, 0)
    returns tensor([[1, 11, 12, 3, 0]]).
    """
    begun = torch.full_like(labels[:, :1], start)
    shifted = torch.cat([begun, labels[:, :-1]], dim=1)
    return shifted.masked_fill(shifted == -100, pad)

# %%
check("spans-shift", decoder_inputs)

# %% [markdown]
# **Why it is right.** The start token comes first, the last label falls out, and no −100 is
# left. The check compares with the shift that T5 itself makes.
#
# **What wrong answers teach.**
#
# - *No shift.*
#   The decoder reads the token that it is asked for.
#   The chapter shows what happens: the loss falls to nearly nothing, and nothing useful is
#   learned.
# - *A shift to the left.*
#   The decoder then reads the *next* token, which is even more of the answer.
# - *`roll`.*
#   It moves the last token to the front.
#   The first thing that the decoder reads would then be the end of the answer.
# - *−100 is left in the row.*
#   It marks a label, and it is no id.
#   The embedding has no row −100, so the model stops with an error.

# %% [markdown]
# ## Exercise 3: the mask of a prefix LM
#
# **Task** ([back to the exercise](sequence_to_sequence.ipynb#exercise-3-the-mask-of-a-prefix-lm)):
# say for each pair of positions whether the first may look at the second.

# %%
def prefix_mask(prefix: int, length: int) -> torch.Tensor:
    """Say which positions of a row see which.

    prefix: how many positions at the start belong to the prefix, from 0 to length.
    length: the number of positions.
    Returns a boolean tensor of shape (length, length). Its entry [i, j] is True where
    position i sees position j. Each position sees the whole prefix, all that is to its left,
    and itself; it sees nothing else.

    Example: prefix_mask(2, 3) returns
    tensor([[True, True, False], [True, True, False], [True, True, True]]).
    """
    place = torch.arange(length)
    seer, seen = place[:, None], place[None, :]
    return (seen <= seer) | (seen < prefix)

# %%
check("spans-prefix-mask", prefix_mask)

# %% [markdown]
# **Why it is right.** It is the sentence of the docstring, written down: to the left or itself,
# or in the prefix. With an empty prefix the mask is causal. With a prefix as long as the row,
# everything sees everything, as in an encoder.
#
# **What wrong answers teach.**
#
# - *Rows and columns exchanged.*
#   The picture looks plausible, and the model would see the future.
#   Test a mask by changing a token, as the chapter does.
# - *The prefix sees the rest.*
#   The rest is what the model has to write.
#   If the prefix sees it, and the rest sees the prefix, then the answer leaks in two steps.
# - *One position too long.*
#   The first token of the answer then belongs to the prefix, and earlier positions see it.

# %% [markdown]
# ## Exercise 4: what it costs
#
# **Task** ([back to the exercise](sequence_to_sequence.ipynb#exercise-4-what-it-costs)):
# compute how long inputs and targets are.

# %%
def widths(length: int, share: float, mean: float) -> tuple[int, int]:
    """Return how many positions the inputs and the targets of one text have.

    length: the number of tokens of the text.
    share: the share of them that is taken out. The number is rounded with `round`; at least
        one token is taken.
    mean: the mean length of a span. The number of spans is the number of tokens taken, divided
        by it, rounded with `round`; there is at least one span.
    Inputs and targets both end with one eos.

    Example: widths(20, 0.15, 3.0) returns (19, 6): 17 tokens, a sentinel and eos, and 3 tokens,
    two sentinels and eos.
    """
    taken = max(1, round(share * length))
    spans = max(1, round(taken / mean))
    return length - taken + spans + 1, taken + spans + 1 + 1

# %%
check("spans-cost", widths)

# %% [markdown]
# **Why it is right.** The inputs hold what is kept, one sentinel a span, and eos.
# The targets hold what was taken, one sentinel a span, the closing one, and eos.
#
# Longer spans need fewer sentinels. So the two rows together become shorter:

# %%
for mean in (1.0, 3.0, 10.0):
    inputs, targets = widths(512, 0.15, mean)
    print(f"mean length {mean:4.0f}: {inputs} + {targets} = {inputs + targets}")

# %% [markdown]
# **What wrong answers teach.**
#
# - *Forgetting eos or the closing sentinel.*
#   A batch is a table. If the width is one too small, some row does not fit.
# - *`int` for `round`.*
#   `int` cuts off, so the share is always a little too small.
# - *No lower limit.*
#   A short text would lose nothing, and there would be nothing to learn from it.

# %% [markdown]
# ## Exercise 5: a trap in BLEU
#
# **Task** ([back to the exercise](sequence_to_sequence.ipynb#exercise-5-a-trap-in-bleu)):
# compute the clipped precision, from which BLEU is made.

# %%
def clipped_precision(answer: str, reference: str, size: int) -> float:
    """Return the share of the answer's word sequences that are in the reference.

    answer, reference: texts; words are separated by spaces.
    size: how many words a sequence has. The answer has at least so many words.
    A sequence that the answer has several times counts at most as often as the reference
    has it.

    Example: clipped_precision("a a film", "a film", 1) returns 2 / 3: one "a" and "film".
    """
    def sequences(text):
        words = text.split()
        return Counter(tuple(words[i : i + size]) for i in range(len(words) - size + 1))

    ours, theirs = sequences(answer), sequences(reference)
    return (ours & theirs).total() / ours.total()

# %%
check("spans-precision", clipped_precision)

# %% [markdown]
# **Why it is right.** `&` of two `Counter` objects takes the smaller count of each sequence.
# This is the clipping. The check compares with the counts of sacrebleu.
#
# **What wrong answers teach.**
#
# - *No clipping.*
#   An answer that repeats one frequent word would be perfect.
#   The last case of the check is such an answer; it comes from the paper
#   (Papineni et al. 2002, section 2.1; see the [references](../book/references.md)).
# - *Sets.*
#   A set forgets how often something occurs, in the answer and in the reference.
# - *Dividing by the reference.*
#   This is recall, which ROUGE reports.
#   BLEU uses precision, and a separate penalty for answers that are too short.
# - *Single words only.*
#   Shuffled words have a perfect precision for sequences of one word, as the third case shows.

# %%
print(clipped_precision("good film a is this", "this is a good film", 1),
      clipped_precision("good film a is this", "this is a good film", 2))

# %% [markdown]
# ## Exercise 6: which words may come next
#
# **Task** ([back to the exercise](sequence_to_sequence.ipynb#exercise-6-which-words-may-come-next)):
# list the words that constrained decoding allows.

# %%
def next_words(words: list[str], written: list[str]) -> list[str]:
    """Return the words that may come next when each given word must be written once.

    words: the given words, in any order. A word that is given twice is written twice. The
        list must not be modified.
    written: the words written so far, all of them given. It must not be modified either.
    Returns the different words that are left, in alphabetical order, or ["</s>"] when none is
    left.

    Example: next_words(["film", "a"], ["a"]) returns ["film"].
    """
    left = Counter(words) - Counter(written)
    return sorted(left) or ["</s>"]

# %%
check("spans-next", next_words)

# %% [markdown]
# **Why it is right.** Subtracting one `Counter` from another leaves what has not been written,
# with its number. An empty list is false in Python, so `or` gives the end.
#
# **What wrong answers teach.**
#
# - *A difference of sets.*
#   The second *very* of "very, very bad" disappears.
# - *No end when nothing is left.*
#   Every token would then be forbidden, and the model must write one.
#   The softmax of a row of $-\infty$ is not a number.
# - *The end is always allowed.*
#   A model likes short answers, because every further word costs probability.
#   It would leave words out.
