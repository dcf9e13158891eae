"""Hints for the mistakes that are recognised in "Sentence pairs".

Every function gets a case and a wrong answer that already has the right kind and shape. It
returns one hint, or None. A mistake is recognised by its result, never by reading the code.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot

from companion.exercises.compare import equal
from companion.exercises.old import Case


def _first(rules: Iterable[tuple[Any, str]]) -> str | None:
    """The hint of the first rule that holds."""
    return next((hint for holds, hint in rules if holds), None)


def _same_result(got: Any, wrong_results: Iterable[tuple[Any, str]]) -> str | None:
    """The hint of the wrong result that `got` is equal to."""
    return _first((equal(wrong, got), hint) for wrong, hint in wrong_results)


def batch(case: Case, got: tuple[list, list]) -> str | None:
    """Hints for `pairs-batch`: the order of the results, the labels, then the pairs."""
    pairs, changed = case.given["pairs"], case.given["changed"]
    right_pairs, right_labels = case.expected
    made, labels = got
    if equal(right_labels, made):
        return "the results are in the wrong order: return the pairs first, then the labels."
    if not equal(right_labels, labels):
        return _same_result(labels, [
            ([1 - label for label in right_labels],
             "the labels are the wrong way round: 0 is text as it was written, 1 was changed."),
            (sorted(right_labels), "the labels are sorted. Each must stay with its own pair."),
            (sorted(right_labels, reverse=True),
             "the labels begin with all the ones. Each must stay with its own pair."),
            ([1] * len(labels), "every label is 1. A pair that was not changed has label 0."),
        ])
    return _pairs_hint(pairs, [i for i, one in enumerate(changed) if one], right_pairs, made)


def _pairs_hint(pairs: list, places: list[int], right: list, made: list) -> str | None:
    def changed(halves: dict[int, list]) -> list:
        return [halves.get(i, pair) for i, pair in enumerate(pairs)]

    after = dict(zip(places, places[1:] + places[:1], strict=True))
    before = dict(zip(places, places[-1:] + places[:-1], strict=True))
    follow = {i: [pairs[i][0], pairs[(i + 1) % len(pairs)][1]] for i in places}
    overwritten = {i: [pairs[i][0], pairs[after[i]][1]] for i in places}
    overwritten[places[-1]] = [pairs[places[-1]][0], overwritten[places[0]][1]]
    return _same_result(made, [
        (pairs, "the pairs are as they were. A pair with label 1 needs another second half."),
        (changed({i: [pairs[i][1], pairs[i][0]] for i in places}),
         "the halves of a pair changed places. This is sentence order; for next sentence the "
         "second half comes from another pair."),
        (changed({i: [pairs[after[i]][0], pairs[i][1]] for i in places}),
         "the first halves were exchanged. Keep them, and exchange the second halves."),
        (changed(follow),
         "a second half was taken from a pair that is not changed. It then stands in two pairs, "
         "once with each label. Lend among the changed pairs only."),
        (changed({i: [pairs[i][0], pairs[before[i]][1]] for i in places}),
         "the halves come from the changed pair before. Take that of the next changed pair."),
        (changed({i: [pairs[i][0], pairs[after[i]][1]] for i in places[:-1]}),
         "the last changed pair still has its own second half, but label 1. It takes that of "
         "the first changed pair."),
        (changed(overwritten),
         "the last changed pair got a half that had been overwritten before. Collect the second "
         "halves first, then write them."),
        ([pair for i, pair in enumerate(right) if i not in places] + [right[i] for i in places],
         "the pairs are in another order. Each stays at its place in the batch."),
    ])


def swap(case: Case, got: tuple[Tensor, Tensor]) -> str | None:
    """Hints for `pairs-swap`: the ids first, then the segments."""
    ids, old, sep = case.given["ids"], case.given["segments"], case.given["sep_id"]
    right_ids, right = case.expected
    made, segments = got
    middle, end = (ids == sep).nonzero().flatten().tolist()
    a, b, padding = ids[1:middle], ids[middle + 1 : end], ids[end + 1 :]
    cls, one = ids[:1], torch.tensor([sep])
    if not equal(right_ids, made):
        return _same_result(made, [
            (ids, "the ids are as they were: B must come first."),
            (torch.cat([ids[middle + 1 : end + 1], cls, a, one, padding]),
             "[CLS] has moved with A. It stays at the beginning of the row."),
            (torch.cat([cls, b, a, one, one, padding]),
             "both [SEP] stand at the end. One of them ends the first half."),
            (torch.cat([cls, b, padding, one, a, one]),
             "the padding stands inside the row. It belongs to the end."),
            (torch.cat([cls, b, one, padding, a, one]),
             "the padding stands inside the row. It belongs to the end."),
            (torch.cat([cls, b.flip(0), one, a.flip(0), one, padding]),
             "the tokens inside the halves are reversed. Only the halves change places."),
            (torch.cat([cls, one, b, one, a, padding]),
             "a [SEP] stands before its half. It ends the half."),
        ])
    flipped = torch.where(right_ids == 0, 0, 1 - right)
    return _same_result(segments, [
        (old, "the segments are those of the old row. Their border must move: the first half has "
              "another length now."),
        (flipped, "the segments moved with the halves, so the row begins with 1. A segment says "
                  "which place a half has in the row, not which text it was. Moved with the "
                  "halves, it would give the label away."),
        (1 - right, "the segments are the wrong way round, also at the padding."),
        (torch.where(torch.arange(len(ids)) > len(b) + 1, 1, 0),
         "the padding has segment 1. Tokenizers give it 0."),
        (torch.where((torch.arange(len(ids)) > len(b)) & (torch.arange(len(ids)) <= end), 1, 0),
         "the first [SEP] has segment 1. It belongs to the half that it ends."),
        (torch.zeros_like(ids), "all segments are 0. The second half has segment 1."),
    ])


def cut(case: Case, got: tuple[list, list]) -> str | None:
    """Hints for `pairs-cut`: how much was kept, then which end was lost."""
    a, b, room = case.given["a"], case.given["b"], case.given["room"]
    (right_a, right_b), (made_a, made_b) = case.expected, got
    size_a, size_b, half = len(right_a), len(right_b), room // 2
    tie_a, less = _sizes(len(a), len(b), room, tie="a"), _sizes(len(a), len(b), room - 3)
    share = round(room * len(a) / (len(a) + len(b)))
    only_b = max(0, room - len(a))
    kept = (len(made_a), len(made_b))
    if kept == (size_a, size_b):
        return _first([
            (equal(a[:size_a], made_a) and not equal(right_a, made_a),
             "A lost its end. The end of A is where B begins or does not: A loses its beginning."),
            (equal(right_a, made_a) and equal(b[len(b) - size_b :], made_b),
             "B lost its beginning, which is where it meets A. B loses its end."),
        ])
    return _first([
        (kept == (len(a), len(b)), "nothing was cut, but together they are longer than room."),
        (kept == (len(a), only_b),
         "only B was cut. What is cut must not depend on the place: cut the longer one."),
        (kept == (min(len(a), half), min(len(b), half)),
         "each half got room // 2, and room is left over. A short half leaves its room to the "
         "other, and an odd room is not wasted."),
        (kept == tie_a, "when both are equally long, B loses the next token, not A."),
        (kept == less, "room is for the tokens of the two halves; special tokens are not in it."),
        (kept == (share, room - share),
         "both were cut in proportion to their lengths, so a short half lost tokens although "
         "the other was longer. Cut only the longer one."),
        (sum(kept) > room, "together they are still longer than room."),
        (sum(kept) < min(room, len(a) + len(b)), "more was cut than necessary."),
    ])


def _sizes(a: int, b: int, room: int, tie: str = "b") -> tuple[int, int]:
    while a + b > max(room, 0):
        if a > b or (a == b and tie == "a"):
            a -= 1
        else:
            b -= 1
    return a, b


def loss(case: Case, got: Tensor) -> str | None:
    """Hints for `pairs-loss`: each wrong rule gives another number for the same logits."""
    logits, labels = case.given["logits"].detach(), case.given["labels"]
    every = cross_entropy(logits, labels, reduction="none")
    right, chance = every.mean(), logits.softmax(-1).gather(1, labels[:, None])[:, 0]
    return _same_result(got, [
        (cross_entropy(logits, labels, ignore_index=0),
         "the pairs with label 0 were left out. Here 0 is a class, \"as it was written\", and "
         "not a sign for padding: every pair counts."),
        (every[labels == 0].mean(), "only the pairs with label 0 count. Both labels count."),
        ((every * labels).sum() / len(labels),
         "the pairs with label 0 add nothing to the sum. Both labels count."),
        (every.sum(), "this is the sum over the pairs. The loss is their mean."),
        (right / 2, "the sum is divided by the number of logits. Divide by the number of pairs."),
        (cross_entropy(logits, 1 - labels),
         "the labels are the wrong way round: column 0 is the score of label 0."),
        (cross_entropy(logits.softmax(-1), labels),
         "softmax is applied twice. Cross-entropy takes the logits as they are."),
        (right / math.log(2), "the logarithm has base 2. The loss is in nats: use ln."),
        (-right, "the sign is wrong. The loss is minus the mean log-probability, above zero."),
        (1 - chance.mean(), "the logarithm is missing: this is one minus the probability."),
        ((logits.softmax(-1) - one_hot(labels, 2)).pow(2).mean(),
         "this is a squared error. The loss is the cross-entropy."),
        (torch.nn.functional.binary_cross_entropy_with_logits(logits, one_hot(labels, 2).float()),
         "each score is judged by itself, with a sigmoid. The two scores are alternatives: "
         "one softmax over both."),
        (torch.nn.functional.binary_cross_entropy_with_logits(logits[:, 1], labels.float()),
         "only the score of label 1 is used. What counts is its difference from the other."),
    ])


def loss_error(error: Exception) -> str | None:
    """Hints for errors that `cross_entropy` and its relatives raise for this exercise."""
    text = str(error)
    return _first([
        ("target size" in text or "batch_size" in text,
         "the shapes do not fit: cross_entropy wants logits (B, 2) and labels (B,)."),
        ("expected scalar type Long" in text or "not implemented for 'Float'" in text
         or "expected target" in text.lower(),
         "cross_entropy wants the labels as whole numbers (int64): do not turn them into floats."),
    ])


def leak(case: Case, got: Any) -> str | None:
    """Hints for `pairs-leak`."""
    seen, labels = case.given["seen"], case.given["labels"]
    groups = defaultdict(list)
    for value, label in zip(seen, labels, strict=True):
        groups[value].append(label)
    best = {value: max(Counter(group).values()) for value, group in groups.items()}
    count, ones = len(labels), sum(labels)
    pure = sum(len(group) for group in groups.values() if len(set(group)) == 1)
    any_one = sum(sum(group) if any(group) else len(group) for group in groups.values())
    return _same_result(got, [
        (1 - case.expected, "this is the share of mistakes. The accuracy is the share of right "
                            "answers."),
        (case.expected * count, "this is a number of answers. Divide by the number of pairs."),
        (case.expected * 100, "this is in percent. Return a share between 0 and 1."),
        (max(ones, count - ones) / count,
         "this rule gives every pair the same label. It may look at `seen`: choose a label for "
         "each value."),
        (ones / count, "this is the share of label 1."),
        (sum(best[value] / len(groups[value]) for value in groups) / len(groups),
         "this is a mean over the values. A value that occurs often must weigh more: count pairs."),
        (pure / count, "only values with a single label were counted. For the other values the "
                       "rule guesses too, and is sometimes right."),
        (any_one / count, "a value that occurs with label 1 once is always given label 1. Choose "
                          "the label that it has more often."),
    ])


def restore(case: Case, got: list) -> str | None:
    """Hints for `pairs-restore`."""
    sentences, places = case.given["sentences"], case.given["places"]
    order = sorted(range(len(places)), key=places.__getitem__)
    return _same_result(got, [
        ([sentences[place] for place in places],
         "this is the opposite direction: places[i] says where sentence i belongs, not which "
         "sentence stands at place i."),
        (sentences, "the sentences are in the order in which they came."),
        (case.expected[::-1], "the order is reversed: place 0 is the first."),
        (sorted(sentences), "the sentences are sorted by their letters. Sort by their places."),
        (order, "these are numbers. Return the sentences."),
        (sorted(zip(places, sentences, strict=True)),
         "each sentence still carries its place. Return the sentences alone."),
        ([sentences[place - 1] for place in places],
         "this is the opposite direction, and it counts from 1. Places are counted from 0."),
        (case.expected[-1:] + case.expected[:-1],
         "every sentence is one place too late. Places are counted from 0."),
        (case.expected[1:], "the first sentence is missing. Places are counted from 0."),
    ])
