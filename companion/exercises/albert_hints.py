"""Hints for the mistakes that are recognised in "ALBERT".

Every function gets a case and a wrong answer that already has the right kind and shape. It
returns one hint, or None. A mistake is recognised by its result, never by reading the code.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from companion.exercises.compare import equal
from companion.exercises.old import Case


def _first(rules: Iterable[tuple[Any, str]]) -> str | None:
    """The hint of the first rule that holds."""
    return next((hint for holds, hint in rules if holds), None)


def _same_result(got: Any, wrong_results: Iterable[tuple[Any, str]]) -> str | None:
    """The hint of the wrong result that `got` is equal to."""
    return _first((equal(wrong, got), hint) for wrong, hint in wrong_results)


def parameters(case: Case, got: Any) -> str | None:
    """Hints for `albert-parameters`: each forgotten or extra part changes the number."""
    v, p, e, h, i, layers, groups = case.given.values()
    right = case.expected
    layer = 4 * (h * h + h) + (h * i + i) + (i * h + h) + 4 * h
    biases = h + groups * (4 * h + i + h) + h
    return _same_result(got, [
        (right + (layers - groups) * layer,
         "every layer was counted. Layers of one group share their parameters: count groups."),
        (right - (groups - 1) * layer, "one group was counted. Each group has a layer of its own."),
        (right + v * (h - e),
         "the table of tokens was counted as wide as the hidden states. It is factorised: each "
         "token has `embedding` numbers."),
        (right - e * h - h, "the map from the embedding to the hidden size is missing."),
        (right - h, "one bias of length `hidden` is missing: that of the map or of the pooler."),
        (right - h * h - h, "the pooler is missing: a linear layer from hidden to hidden."),
        (right - 2 * e, "2 times `embedding` are missing: the table of segments, or the layer "
                        "normalisation of the embeddings."),
        (right - 4 * e, "the table of segments and the layer normalisation of the embeddings are "
                        "both missing."),
        (right - p * e, "the table of positions is missing."),
        (right - groups * 4 * h, "the two layer normalisations of a layer are missing: each has "
                                 "a scale and a shift."),
        (right - groups * 2 * h, "a layer has two layer normalisations: one behind the attention "
                                 "and one at its end."),
        (right - groups * (h * h + h), "attention has four linear layers: query, key, value, "
                                       "and the one that joins the heads."),
        (right - biases, "the biases are missing. Each linear layer has one number for each "
                         "output."),
    ])


def embedding(case: Case, got: Tensor) -> str | None:
    """Hints for `albert-embedding`."""
    ids, table, lift, bias = case.given.values()
    vectors, right = table[ids], case.expected
    rules = [(right - bias, "the bias is missing."),
             (right.tanh(), "tanh was applied. The map is linear: it only changes the width."),
             (right.relu(), "relu was applied. The map is linear: it only changes the width."),
             (right * math.sqrt(right.shape[-1]),
              "the result was scaled. ALBERT does not do that.")]
    if lift.shape[0] == lift.shape[1]:  # elsewhere this order of the axes raises an exception
        rules += [(vectors @ lift + bias,
                   "`lift` must be transposed: its shape is (hidden, embedding), as in nn.Linear.")]
    return _same_result(got, rules)


def embedding_error(error: Exception) -> str | None:
    """Hints for shapes that do not fit."""
    text = str(error)
    shapes = re.search(r"shapes cannot be multiplied \(\d+x(\d+) and \d+x(\d+)\)", text)
    return _first([
        (shapes and shapes[1] == shapes[2],
         "lift has shape (hidden, embedding), as the weight of nn.Linear: transpose it."),
        (shapes or "dtype" in text or "scalar type" in text,
         "the ids are numbers of rows: look them up with table[ids], do not multiply them."),
    ])


def groups(case: Case, got: list) -> str | None:
    """Hints for `albert-groups`. The first case tells the mistakes apart."""
    layers, count = case.given["layers"], case.given["groups"]
    right = case.expected
    return _same_result(got, [
        ([layer % count for layer in range(layers)],
         "the groups take turns. In ALBERT a group is a run of neighbouring layers."),
        ([layer // count for layer in range(layers)],
         "each group got as many layers as there are groups. A group has layers / groups layers."),
        ([group + 1 for group in right], "groups are counted from 0."),
        (right[::-1], "the order is reversed: the first layers belong to group 0."),
        ([right.count(group) for group in range(count)],
         "these are the sizes of the groups. Say for each layer which group it belongs to."),
        ([[i for i, g in enumerate(right) if g == group] for group in range(count)],
         "these are the layers of each group. Say for each layer which group it belongs to."),
        ([0] * layers, "every layer is in group 0. That is right for one group only."),
        (list(range(layers)), "every layer has a group of its own. That is right only for as many "
                              "groups as layers."),
        ([layer * count / layers for layer in range(layers)],
         "the numbers of groups are whole: use // in place of /."),
    ])


def row(case: Case, got: tuple[list, list]) -> str | None:
    """Hints for `albert-row`: the ids first, then the segments."""
    a, b, swapped, room, cls, sep = case.given.values()
    made, segments = got
    one, two = room // 2, room - room // 2
    first, second = (b, a) if swapped else (a, b)
    right, right_segments = case.expected
    if equal(right, made):
        return _segments_hint(segments, right_segments, one, two, swapped)

    def joined(x: list, y: list) -> list:
        return [cls, *x, sep, *y, sep]

    cut_before = (b[:two], a[len(a) - one :]) if swapped else (a[len(a) - one :], b[:two])
    return _same_result(made, [
        (joined(a[len(a) - one :], b[:two]),
         "the stretches were not swapped. With `swapped` true, b comes first."),
        (joined(b[len(b) - one :], a[:two]),
         "the stretches were swapped although `swapped` is false."),
        (joined(*cut_before),
         "the stretches were cut before they were swapped. Then only a swapped row breaks off "
         "in front of the first [SEP], and that gives the label away. Swap first, then cut by "
         "the place in the row."),
        (joined(first[:one], second[:two]),
         "the first place lost its end, where the two stretches meet. It loses its beginning."),
        (joined(first[len(first) - one :], second[len(second) - two :]),
         "the second place lost its beginning, where the two stretches meet. It loses its end."),
        (joined(first[len(first) - two :], second[:one]),
         "of an odd room the second place gets the larger part: room // 2 is for the first."),
        (joined(first, second), "nothing was cut. Together the stretches may have `room` tokens."),
        ([cls, *first[len(first) - one :], *second[:two], sep],
         "the [SEP] between the stretches is missing."),
        (right[1:], "[CLS] is missing at the beginning."),
        (right[:-1], "the last [SEP] is missing."),
    ])


def _segments_hint(
    segments: list, right: list, one: int, two: int, swapped: bool
) -> str | None:
    return _same_result(segments, [
        ([1 - s for s in right],
         "the segments moved with the stretches. They belong to the places of the row: moved, "
         "they would give the label away." if swapped else
         "the segments are the wrong way round: the first place has 0."),
        ([0] * (one + 1) + [1] * (two + 2),
         "the first [SEP] has segment 1. It belongs to the stretch that it ends."),
        ([0] * (one + 2) + [1] * two + [0], "the last [SEP] has segment 0. It ends the second "
                                            "stretch, so it has 1."),
        ([0] * one + [1] * two, "the special tokens need a segment too: one number for each id."),
        ([0] * len(right), "all segments are 0. The second place has 1."),
    ])


def loss(case: Case, got: Tensor) -> str | None:
    """Hints for `albert-loss`: each wrong rule gives another number for the same logits."""
    logits, labels, order_logits, order = case.given.values()
    logits, order_logits = logits.detach(), order_logits.detach()
    masked = cross_entropy(logits.flatten(0, 1), labels.flatten())
    asked = order != -100
    if not asked.any():
        return _first([
            (torch.isnan(got), "without a pair the loss is not a number: the mean over no row. "
                               "Then only the masked part counts."),
            (equal(torch.zeros(()), got), "the masked part counts also without a pair."),
        ])
    pairs = cross_entropy(order_logits, order)
    every = cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
    return _same_result(got, [
        (masked, "the order of sentences is missing."),
        (pairs, "the masked words are missing."),
        ((masked + pairs) / 2, "this is the mean of the two losses. ALBERT adds them."),
        (masked + cross_entropy(order_logits, order, reduction="sum") / len(order),
         "the loss of order was divided by all rows. Divide by the pairs: plain rows do not "
         "count."),
        (masked + cross_entropy(order_logits[order == 1], order[order == 1]),
         "the pairs with label 0 were left out. 0 is a class: as it was written."),
        (masked + cross_entropy(order_logits, order.clamp(min=0)),
         "plain rows count as pairs in order. They have no order: leave out the label -100."),
        (masked + cross_entropy(order_logits.flip(-1), order),
         "the labels of order are the wrong way round: column 0 is the score of label 0."),
        (every.sum() / labels.numel() + pairs,
         "the masked part was divided by all positions. Divide by those with a label."),
        (every.sum() + cross_entropy(order_logits, order, reduction="sum"),
         "these are sums. Each of the two losses is a mean."),
        (masked + cross_entropy(order_logits.softmax(-1), order),
         "softmax is applied before cross_entropy, which does it itself."),
        (torch.cat([every[labels.flatten() != -100],
                    cross_entropy(order_logits[asked], order[asked], reduction="none")]).mean(),
         "positions and pairs were put into one mean, so a pair weighs no more than a word. "
         "Take two means and add them."),
    ])


def loss_error(error: Exception) -> str | None:
    """Hints for errors that `cross_entropy` raises for this exercise."""
    text = str(error)
    return _first([
        ("Expected target size" in text or "batch_size" in text,
         "the shapes do not fit: flatten logits to (B * L, V) and labels to (B * L,)."),
        ("out of bounds" in text, "a label -100 reached a loss that does not skip it."),
    ])
