"""Hints for the mistakes that are recognised in "Sequence to sequence".

Every function gets a case and a wrong answer that already has the right kind and shape. It
returns one hint, or None. A mistake is recognised by its result, never by reading the code.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from companion.exercises.compare import equal
from companion.exercises.old import Case

IGNORED = -100


def _same_result(got: Any, wrong_results: Iterable[tuple[Any, str]]) -> str | None:
    """The hint of the wrong result that `got` is equal to."""
    return next((hint for wrong, hint in wrong_results if equal(wrong, got)), None)


# --- spans-corrupt ------------------------------------------------------------------------

def corrupt(case: Case, got: tuple[list, list]) -> str | None:
    """Hints for `spans-corrupt`: the inputs first, then the targets."""
    inputs, targets = case.expected
    if equal(inputs, got[1]) and equal(targets, got[0]):
        return "the results are in the wrong order: return inputs first, then targets."
    return _inputs_hint(case, got[0]) or _targets_hint(case, got[1])


def _inputs_hint(case: Case, inputs: list) -> str | None:
    ids, places, marks = case.given.values()
    right = case.expected[0]
    return None if equal(right, inputs) else _same_result(inputs, [
        (ids, "inputs are the whole text. Each span is taken out, and one sentinel stands there."),
        ([token for token in right if token not in marks],
         "inputs have no sentinels. Without them the model cannot know where tokens are missing."),
        ([marks[0] if token in marks else token for token in right],
         "every span has the same sentinel. The next span takes the next sentinel."),
        (_marked(ids, places, marks, each=True),
         "inputs have one sentinel for each token that was taken. A span has one sentinel, "
         "however long it is: its length is part of what the model must find."),
        (_marked(ids, [(a, b + 1) for a, b in places], marks),
         "the end of a span is the first position after it, as in a slice of Python."),
        (_shifting(ids, places, marks),
         "positions are counted in the shortened text. After the first span was replaced, "
         "all that follows has moved: count in the original text."),
        (_without(right, marks),
         "what follows the last span is missing."),
    ])


def _marked(ids: list, places: list, marks: list, each: bool = False) -> list:
    """Inputs: every span replaced by its mark, or (`each`) by a mark for every token."""
    out, done = [], 0
    for mark, (begin, end) in zip(marks, places):
        out += ids[done:begin] + [mark] * (len(ids[begin:end]) if each else 1)
        done = end
    return out + ids[done:]


def _shifting(ids: list, places: list, marks: list) -> list:
    ids = list(ids)
    for mark, (begin, end) in zip(marks, places):
        ids[begin:end] = [mark]
    return ids


def _without(inputs: list, marks: list) -> list:
    """Inputs up to the last sentinel."""
    last = max((i for i, token in enumerate(inputs) if token in marks), default=-1)
    return inputs[: last + 1]


def _targets_hint(case: Case, targets: list) -> str | None:
    ids, places, marks = case.given.values()
    right, taken = case.expected[1], [ids[begin:end] for begin, end in places]
    flat = [token for span in taken for token in span]
    closing = marks[len(places)]
    return _same_result(targets, [
        (right[:-1], "the last sentinel of the targets is missing. It says that the last span "
                     "has ended, and it stands there also when there is no span."),
        (flat, "targets have no sentinels. Each span needs its own before it, and one closes "
               "the row."),
        ([*flat, closing], "only the last sentinel is there. Each span needs its own before it."),
        ([marks[0] if token in marks else token for token in right],
         "every span has the same sentinel. The next span takes the next sentinel."),
        ([t for mark, span in zip(marks, taken) for t in (*span, mark)],
         "the sentinels stand behind their spans. Each stands before its span, and one more "
         "closes the row."),
        ([*right[:-1], marks[-1]],
         "the row is closed by the last sentinel of the list. Take the next one in order."),
        (right[:-1] + marks[max(0, len(places) - 1) : max(1, len(places))],
         "the row is closed by a sentinel that was used before. Take the next one in order."),
        (ids, "targets are the whole text. Only what was taken out belongs there: that is why "
              "they are short."),
        (case.expected[0], "targets are a copy of the inputs. They hold what is missing there."),
    ])


# --- spans-shift --------------------------------------------------------------------------

def shift(case: Case, got: Tensor) -> str | None:
    """Hints for `spans-shift`."""
    labels, start, pad = case.given.values()
    right = case.expected
    filled = labels.masked_fill(labels == IGNORED, pad)
    begun = torch.full_like(labels[:, :1], start)
    left = torch.cat([filled[:, 1:], torch.full_like(begun, pad)], 1)
    raw = torch.cat([begun, labels[:, :-1]], 1)
    return _same_result(got, [
        (labels, "these are the labels themselves. The decoder would read the token that it is "
                 "asked for, and learn to copy."),
        (filled, "the rows are not shifted: the decoder would read the token that it is asked "
                 "for, and learn to copy."),
        (left, "the rows are shifted to the left. At step t the decoder reads what comes before "
               "t, so everything moves to the right."),
        (raw, "-100 is still there. It is no token: put the padding in its place."),
        (filled.roll(1, 1), "the last token has moved to the front (roll does that). The row "
                            "begins with `start`."),
        (labels.roll(1, 1), "the last token has moved to the front (roll does that), and -100 is "
                            "still there."),
        (torch.cat([torch.full_like(begun, pad), right[:, 1:]], 1),
         "the row begins with the padding. It begins with `start`; only in T5 the two are the "
         "same."),
        (torch.cat([begun, filled[:, 1:]], 1),
         "the first label was overwritten by `start`. Everything moves by one, and the last "
         "label falls out."),
        (raw.masked_fill(raw == IGNORED, start),
         "-100 became `start`. Put the padding in its place."),
        (torch.cat([begun, right[:, :-1]], 1),
         "everything has moved by two positions. By one is right."),
        (raw.clamp(min=pad + 1),
         "-100 became another number than the padding."),
    ])


# --- spans-prefix-mask --------------------------------------------------------------------

def mask(case: Case, got: Tensor) -> str | None:
    """Hints for `spans-prefix-mask`."""
    prefix, length = case.given.values()
    right = case.expected
    place = torch.arange(length)
    row, column = place[:, None], place[None, :]
    causal, inside = column <= row, column < prefix
    both = (row < prefix) & inside
    return _same_result(got, [
        (~right, "the mask is the wrong way round: True means that a position may look."),
        (right.T, "rows and columns are exchanged: mask[i, j] says whether i may look at j."),
        (causal, "this is a causal mask. The positions of the prefix also see what is to their "
                 "right, within the prefix."),
        (torch.ones_like(right), "every position sees everything. The rest of the row sees only "
                                 "what is to its left."),
        (both | (causal & ~inside), "the rest does not see the prefix. It sees all that is to its "
                                    "left, the prefix too."),
        (both, "only the prefix sees anything. The rest sees all that is to its left."),
        (inside.expand(length, length), "the rest sees only the prefix. It also sees what was "
                                        "written before it, and itself."),
        (inside.expand(length, length) | (column < row),
         "a position of the rest does not see itself. Its own token is known when the next one "
         "is predicted."),
        (causal | (column <= prefix), "the prefix is one position too long. It ends before "
                                      "position `prefix`, as positions count from 0."),
        (causal | (column < prefix - 1), "the prefix is one position too short. Its last position "
                                         "is `prefix` - 1."),
        (causal | (row < prefix), "the prefix sees the rest as well. It sees only itself."),
    ])


# --- spans-cost ---------------------------------------------------------------------------

def cost(case: Case, got: tuple) -> str | None:
    """Hints for `spans-cost`."""
    length, share, mean = case.given.values()
    inputs, targets = case.expected
    taken = max(1, round(share * length))
    count = max(1, round(taken / mean))
    exact = share * length
    floor = max(1, int(share * length))
    floored = max(1, int(floor / mean))
    ceiling = max(1, math.ceil(exact))
    return _same_result(tuple(got), [
        ((targets, inputs), "the results are in the wrong order: return inputs first."),
        ((inputs - 1, targets - 1), "eos is missing: inputs and targets both end with it."),
        ((inputs - 1, targets), "the eos of the inputs is missing."),
        ((inputs, targets - 1), "the targets are one short: they have a sentinel before each "
                                "span, one more at the end, and eos."),
        ((inputs - 1, targets - 2), "eos is missing on both sides, and the targets lack the "
                                    "sentinel that closes the last span."),
        ((length - taken + 1, taken + 1), "the sentinels are missing, on both sides."),
        ((length - taken + 1, targets), "the inputs have no sentinels: one stands for each span."),
        ((inputs, taken + 2), "the targets have no sentinels before the spans."),
        ((length + 1, targets), "the inputs are the whole text. What was taken out is not there."),
        ((inputs, length + 1), "the targets are the whole text. Only what was taken out is "
                               "there: that is what makes them short."),
        ((length + 1, 2 * taken + 2), "every token that was taken is a span of its own. Divide "
                                      "by the mean length of a span."),
        ((length - taken + round(mean) + 1, taken + round(mean) + 2),
         "`mean` is the length of a span, not the number of spans."),
        ((length - exact + exact / mean + 1, exact + exact / mean + 2),
         "the counts are not rounded. There is no part of a token."),
        ((length - floor + floored + 1, floor + floored + 2),
         "the counts are cut off. Use round, as the docstring says."),
        *(((length - tokens + spans + 1, tokens + spans + 2),
           "the counts are rounded up. Use round, as the docstring says.")
          for tokens, spans in ((ceiling, math.ceil(ceiling / mean)),
                                (taken, math.ceil(taken / mean)))),
        ((length - round(exact) + round(round(exact) / mean) + 1,
          round(exact) + round(round(exact) / mean) + 2),
         "in a short text the numbers round to 0. At least one token is taken, in at least one "
         "span."),
    ])


# --- spans-precision ----------------------------------------------------------------------

def precision(case: Case, got: Any) -> str | None:
    """Hints for `spans-precision`."""
    answer, reference, size = case.given.values()
    ours, theirs = _grams(answer.split(), size), _grams(reference.split(), size)
    shared = (ours & theirs).total()
    found = sum(count for gram, count in ours.items() if gram in theirs)
    letters = _grams(list(answer), size), _grams(list(reference), size)
    single = _grams(answer.split(), 1), _grams(reference.split(), 1)
    return _same_result(got, [
        (100 * case.expected, "this is a percentage. A share from 0 to 1 is asked."),
        (found / ours.total(), "a sequence counts as often as the answer repeats it. It counts "
                               "at most as often as it stands in the reference."),
        (shared / theirs.total(), "this is divided by the sequences of the reference, which is "
                                  "recall: ROUGE. Divide by those of the answer."),
        (len(ours.keys() & theirs.keys()) / len(ours),
         "repeated sequences were dropped (a set does that), in the answer too. Count them."),
        (len(ours.keys() & theirs.keys()) / ours.total(),
         "each sequence counts once at most. It counts as often as it stands in both."),
        (float(shared), "this is the number of matches. Divide by the number of sequences in "
                        "the answer."),
        ((single[0] & single[1]).total() / single[0].total(),
         "these are single words. `size` says how many words a sequence has."),
        ((letters[0] & letters[1]).total() / letters[0].total(),
         "these are sequences of characters. Split the texts into words first."),
        (shared / len(answer.split()),
         "this is divided by the number of words. A text of n words has n - size + 1 sequences "
         "of `size` words."),
    ])


def _grams(units: list[str], size: int) -> Counter:
    return Counter(tuple(units[i : i + size]) for i in range(len(units) - size + 1))


# --- spans-next ---------------------------------------------------------------------------

def following(case: Case, got: list) -> str | None:
    """Hints for `spans-next`."""
    words, written = case.given.values()
    left = Counter(words) - Counter(written)
    once = sorted(set(words) - set(written))
    if equal(case.expected, sorted(got) if all(isinstance(w, str) for w in got) else got):
        return "these are the right words, but not in alphabetical order: sort them."
    if not left and equal([], list(got)):
        return "when no word is left, the text must be able to end: return ['</s>']."
    return _same_result(list(got), [
        (sorted(set(words)), "words that were used up are still offered. Each may be written as "
                             "often as it was given."),
        (once or ["</s>"], "a word that was written once is gone, although it was given twice. "
                           "Count how often each is left."),
        (once, "a word that was written once is gone, although it was given twice. Count how "
               "often each is left."),
        (sorted(left.elements()), "a word is offered twice. Name each word once."),
        (sorted([*left, "</s>"]), "the end is offered although words are left. It may come only "
                                  "when all were written."),
        (["</s>", *sorted(left)], "the end is offered although words are left. It may come only "
                                  "when all were written."),
        ([*sorted(left), "</s>"], "the end is offered although words are left. It may come only "
                                  "when all were written."),
        (sorted(set(written)), "these are the words that have been written. Those that are left "
                               "are asked."),
    ])
