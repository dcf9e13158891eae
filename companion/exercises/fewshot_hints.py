"""Hints for the mistakes that are recognised in "Few-shot: prompt tuning against head
fine-tuning".

Every function gets a case and a wrong answer that already has the right kind and shape. It
returns one hint, or None. A mistake is recognised by its result, never by reading the code.
"""

from __future__ import annotations

import math
import statistics
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from companion.exercises.compare import equal
from companion.exercises.old import Case
from companion.exercises.old import _first, _same_result


def draw(case: Case, got: list) -> str | None:
    """Hints for `few-draw`."""
    labels, keys, k = case.given.values()
    kinds = sorted(set(labels))
    groups = [[i for i, label in enumerate(labels) if label == kind] for kind in kinds]
    taken = [sorted(group, key=keys.__getitem__)[:k] for group in groups]
    right = case.expected
    return _same_result(list(got), [
        (sorted(i for group in groups for i in group[:k]),
         "these are the first K of each class as they stand in the data. Take those with the "
         "smallest keys."),
        (sorted(sorted(range(len(keys)), key=keys.__getitem__)[:k]),
         "these are K examples altogether. Take K of every class."),
        (sorted(sorted(range(len(keys)), key=keys.__getitem__)[:k * len(kinds)]),
         "the keys are compared across the classes, so one class gets more than K. Sort each "
         "class by itself."),
        (sorted(i for group in groups for i in sorted(group, key=keys.__getitem__)[-k:]),
         "these have the largest keys. The smallest ones are asked for."),
        ([i for group in taken for i in group],
         "the right examples, in another order. Return the places in rising order."),
        ([keys[i] for i in right], "these are keys. Return the places in the list."),
        ([labels[i] for i in right], "these are labels. Return the places in the list."),
        (taken, "there is one list for each class. Return one list of all places."),
        (right[:k] if len(right) > k else None, "the examples of a class are missing."),
    ])


def loss(case: Case, got: Tensor) -> str | None:
    """Hints for `few-loss`: each wrong rule gives another number."""
    logits, words, labels = (case.given[name] for name in ("word_logits", "words", "labels"))
    logits, right = logits.detach(), case.expected.detach()

    def scores(together, table=logits) -> Tensor:
        return torch.stack([together(table[:, places]) for places in words], 1)

    mean = scores(lambda part: part.mean(1))
    sums = scores(lambda part: part.sum(1))
    chances = logits.softmax(1)
    return _same_result(got, [
        (cross_entropy(sums, labels),
         "the logits of a label are added up. Then a label with more words has an advantage: "
         "take their mean."),
        (cross_entropy(scores(lambda part: part.logsumexp(1)), labels),
         "the words are put together by log-sum-exp. That is another aggregation: the mean of "
         "the logits is asked for."),
        (cross_entropy(scores(lambda part: part.amax(1)), labels),
         "only the best word of each label counts. The mean of all its words is asked for."),
        (cross_entropy(scores(lambda part: part[:, 0]), labels),
         "only the first word of each label counts. The mean of all its words is asked for."),
        (cross_entropy(scores(lambda part: part.mean(1), chances).log(), labels),
         "the softmax comes before the mean. Take the mean of the logits first."),
        (cross_entropy(scores(lambda part: part.mean(1), chances), labels),
         "cross_entropy gets means of probabilities. It takes logits: leave the softmax out."),
        (cross_entropy(logits, torch.tensor([words[label][0] for label in labels.tolist()])),
         "this is the loss of a word, as in masked language modelling. Here the answers to "
         "choose from are the labels."),
        (cross_entropy(mean.softmax(1), labels),
         "softmax is applied twice. Cross-entropy takes the scores as they are."),
        (right * len(labels), "this is the sum over the texts. The loss is their mean."),
        (-right, "the sign is wrong. The loss is minus the mean log-probability, above zero."),
        (right / math.log(2), "the logarithm has base 2. The loss is in nats: use ln."),
        (-mean[range(len(labels)), labels].mean(),
         "only the score of the right label counts. Without the others, every logit could grow "
         "for ever: use the softmax over the labels."),
    ])


def loss_error(error: Exception) -> str | None:
    """Hints for errors that torch raises for this exercise."""
    text = str(error)
    return _first([
        ("list" in text and "mean" in text,
         "`words` is a list of lists of places: take the mean over the columns of one label at "
         "a time."),
        ("stack" in text or "same size" in text or "equal size" in text,
         "the labels have different numbers of words. Take the mean of each before stacking."),
    ])


def spread(case: Case, got: tuple) -> str | None:
    """Hints for `few-spread`: the difference first, then the spread."""
    first, second = case.given["first"], case.given["second"]
    difference, joint = case.expected
    one, two = statistics.stdev(first), statistics.stdev(second)
    pairs = [a - b for a, b in zip(first, second)]
    count = len(first)
    if not equal(difference, got[0]):
        return _same_result(got[0], [
            (-difference, "the difference is the wrong way round: first minus second."),
            (statistics.median(first) - statistics.median(second),
             "this is the difference of the medians. Take the means."),
            (max(first) - max(second),
             "this compares the best seeds. The best of several says little: take the means."),
            (sum(pairs), "this is the sum of the differences. Divide it by their number."),
        ])
    return _same_result(got[1], [
        (math.hypot(statistics.pstdev(first), statistics.pstdev(second)),
         "the squares are divided by n. The seeds are a sample: divide by n - 1."),
        (one + two,
         "the two standard deviations are added. Chance rarely pushes both the same far way: "
         "add the squares and take the root."),
        (one**2 + two**2, "this is the sum of the variances. Take its square root."),
        (joint / math.sqrt(2), "this is the mean of the two variances, and its root. Add them."),
        (joint / math.sqrt(count),
         "this is the standard error of the difference of the means. The joint spread is that "
         "of single draws."),
        (statistics.stdev([*first, *second]),
         "all numbers were put into one list. Then the difference itself counts as spread."),
        (statistics.stdev(pairs),
         "this is the spread of the differences, pair by pair. It is useful too, but here each "
         "method has a spread of its own."),
        (max(one, two), "this is the larger of the two. Both count."),
    ])


def passes(case: Case, got: Any) -> str | None:
    """Hints for `few-passes`."""
    steps, size, k, classes = case.given.values()
    total, right = k * classes, case.expected
    return _same_result(got, [
        (steps * size / total,
         "a batch cannot hold more examples than there are, so it is smaller then."),
        (steps * size / k, "k is the number for each class. Count the examples of all classes."),
        (float(right // 1), "the last pass may be a part of one: do not round."),
        (1 / right, "this is the part of the examples in a pass, upside down: how many passes "
                    "fit into the steps?"),
        (steps * min(size, total), "this is how many examples are used, repeats counted. How "
                                   "often is that all of them?"),
        (steps / total, "a step uses more than one example: multiply by the size of the batch."),
    ])
