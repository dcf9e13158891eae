"""Hints for the mistakes that are recognised in "ALBERT NER".

Every function gets a case and a wrong answer that already has the right kind and shape. It
returns one hint, or None. A mistake is recognised by its result, never by reading the code.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from statistics import fmean, pstdev, stdev
from typing import Any

import torch
from torch import Tensor

from companion.exercises.compare import equal
from companion.exercises.old import Case

IGNORED = -100


def _first(rules: Iterable[tuple[Any, str]]) -> str | None:
    """The hint of the first rule that holds."""
    return next((hint for holds, hint in rules if holds), None)


def _same_result(got: Any, wrong_results: Iterable[tuple[Any, str]]) -> str | None:
    """The hint of the wrong result that `got` is equal to."""
    return _first((equal(wrong, got), hint) for wrong, hint in wrong_results)


def labels(case: Case, got: Tensor) -> str | None:
    """Hints for `ner-labels`."""
    ids, tags, special = case.given.values()
    right = case.expected
    text = right != IGNORED
    in_front = torch.full_like(right, IGNORED)
    in_front[: len(tags)] = tags
    behind = torch.full_like(right, IGNORED)
    behind[1 : 1 + len(tags)] = tags
    ends = torch.where(text | (ids != special[2]), right.where(text, torch.tensor(0)), IGNORED)
    return _same_result(got, [
        (torch.where(text, right, 0),
         "special tokens have the label 0. That is the label O: they would count in the loss. "
         "Use -100."),
        (ends, "[CLS] and [SEP] have the label O, only the padding is skipped. None of the three "
               "is a token of the text."),
        (in_front, "the tags begin at the first position, where [CLS] stands. Each tag belongs to "
                   "the next token of the text."),
        (behind, "the tags follow one another from the second position on. A [SEP] can stand in "
                 "the middle: ask each id whether it is special."),
        (torch.where(text & (right == 0), IGNORED, right),
         "tokens with the label O are skipped. O is a label like the others: the model must "
         "learn where no name is."),
        (torch.where(text, IGNORED, 0), "the labels are the wrong way round: -100 stands at the "
                                        "tokens of the text."),
        (torch.where(text, right, -1), "-1 marks what does not count. The loss of torch skips "
                                       "-100 unless it is told another number."),
    ])


def rates(case: Case, got: list) -> str | None:
    """Hints for `ner-rates`."""
    layers, rate, decay = case.given.values()
    right = case.expected
    return _same_result(got, [
        (right[::-1], "the order is reversed: the embeddings come first, and the top layer, with "
                      "the full rate, last."),
        (right[1:], "the embeddings are missing: they are one step below the lowest layer."),
        (right[:-1], "the top layer is missing. It has the full rate."),
        ([r * decay for r in right], "everything is one step too low: the top layer has the full "
                                     "rate, decay to the power 0."),
        ([rate * decay] * layers + [rate], "all lower layers have the same rate. Every layer "
                                           "multiplies once more by decay."),
        ([right[1]] + right[1:], "the embeddings have the rate of the lowest layer. They are one "
                                 "step below it."),
        ([rate - rate * (1 - decay) * (layers - i) for i in range(layers + 1)],
         "the rates fall by equal steps. Each is the one above *times* decay."),
        ([rate / decay ** (layers - i) for i in range(layers + 1)],
         "lower layers learn faster than the top. Multiply by decay, do not divide."),
        ([rate] * (layers + 1), "all rates are the same: decay is not used."),
    ])


def _walk(emissions: Tensor, between: Tensor) -> list[int]:
    """From left to right, the best next label given the one just taken."""
    tags = [int(emissions[0].argmax())]
    for row in emissions[1:]:
        tags.append(int((row + between[tags[-1]]).argmax()))
    return tags


def best_order(emissions: Tensor, between: Tensor) -> list[int]:
    """Viterbi: the labels with the highest sum of emissions and transitions."""
    best, back = emissions[0], []
    for row in emissions[1:]:
        best, came_from = (best[:, None] + between).max(0)
        back.append(came_from)
        best = best + row
    tags = [int(best.argmax())]
    for came_from in reversed(back):
        tags.append(int(came_from[tags[-1]]))
    return tags[::-1]


def viterbi(case: Case, got: list) -> str | None:
    """Hints for `ner-viterbi`."""
    emissions, between = case.given.values()
    right = case.expected
    late = torch.cat([torch.zeros_like(emissions[:1]), emissions[1:]])
    return _same_result(got, [
        (right[::-1], "the labels are in reverse order: the way back begins at the last token."),
        (emissions.argmax(1).tolist(), "every token has its own best label. The score of the step "
                                       "from one label to the next counts too."),
        (_walk(emissions, between), "each label is the best after the one before. An early label "
                                    "can be worth less and open a better way: keep the best score "
                                    "for *every* label."),
        (best_order(emissions, between.T), "between was read the wrong way: its row is the label "
                                           "before, its column the label after."),
        (best_order(late, between), "the scores of the first token are missing."),
        (right[1:], "the first label is missing: there is one label for each token, and one step "
                    "fewer."),
        (right[:-1], "the last label is missing: it is the best of the last scores."),
        (best_order(-emissions, -between), "these labels have the lowest score. Look for the "
                                           "highest."),
    ])


def seeds(case: Case, got: tuple) -> str | None:
    """Hints for `ner-seeds`."""
    one, two = case.given.values()
    apart = [a - b for a, b in zip(one, two)]
    mean, spread = case.expected
    if not equal(mean, got[0]):
        return _same_result(got[0], [
            (-mean, "the difference has the wrong sign: it is `one` minus `two`."),
            (sum(apart), "this is the sum of the differences. Divide by the number of seeds."),
            (max(one) - max(two), "these are the best seeds only. The best of five is a matter "
                                  "of luck: use all of them."),
            (spread, "the results are in the wrong order: the mean comes first."),
            (fmean(abs(d) for d in apart) + 0.0 if fmean(map(abs, apart)) != mean else None,
             "the signs are lost: a seed on which `two` is better counts against `one`."),
        ])
    return _same_result(got[1], [
        (stdev(a - b for a, b in zip(sorted(one), sorted(two))),
         "the pairs are broken: a difference is taken between the results of one seed, so leave "
         "the lists in their order."),
        (pstdev(apart), "the sum of squares is divided by the number of seeds. Divide by one less, "
                        "because the mean was estimated from the same seeds."),
        (stdev(apart) ** 2, "this is the variance. The standard deviation is its square root."),
        (stdev(apart) / math.sqrt(len(apart)), "this is the standard error of the mean. Asked for "
                                               "is the standard deviation of the differences."),
        (math.sqrt(stdev(one) ** 2 + stdev(two) ** 2),
         "the systems were taken apart. With the same seeds they rise and fall together: take the "
         "difference of each seed first."),
        (stdev(one) - stdev(two), "this is a difference of two deviations. Take the deviation of "
                                  "the differences."),
        (max(apart) - min(apart), "this is the range, largest minus smallest."),
    ])
