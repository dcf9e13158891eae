"""Hints for the mistakes that are recognised in "Zero-shot sentiment".

Every function gets a case and a wrong answer that already has the right kind and shape. It
returns one hint, or None. A mistake is recognised by its result, never by reading the code.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from companion.exercises.old import Case
from companion.exercises.old import _first, _same_result


def prior(case: Case, got: Any) -> str | None:
    """Hints for `zeroshot-prior`."""
    differences, share = case.given["differences"].double(), case.given["share"]
    ordered = differences.sort(descending=True).values
    mean = differences.sigmoid().mean()
    return _same_result(got, [
        (-case.expected, "the sign is wrong: the border is subtracted from the differences."),
        (differences.quantile(1 - share).item(),
         "this is the border with the share of *texts* above it. Here the mean of the "
         "*probabilities* must be the share."),
        (differences.median().item(), "this is the median: half of the texts lie above it, but "
                                      "the mean probability is another number."),
        (differences.mean().item(), "this is the mean of the differences. The sigmoid is curved, "
                                    "so the mean of its values is another one."),
        ((mean.logit() - torch.tensor(share).double().logit()).item(),
         "this is one step towards the border. Subtract it, look at the mean again, and go on "
         "until it is the share."),
        ((differences.mean() - torch.tensor(share).double().logit()).item(),
         "the mean was taken before the sigmoid. Take the sigmoid of each difference first."),
        (_bisected(differences, 1 - share), "the mean probability is 1 - share with this border. "
                                            "`share` belongs to the positive label."),
        (round(case.expected, 2), "the border is rounded. Go on until the mean is right to six "
                                  "digits."),
        (ordered[0].item(), "this is the highest difference: nearly all probabilities would lie "
                            "below one half."),
    ])


def _bisected(differences: Tensor, share: float) -> float:
    low, high = -50.0, 50.0
    for _ in range(100):
        middle = (low + high) / 2
        above = (differences - middle).sigmoid().mean() > share
        low, high = (middle, high) if above else (low, middle)
    return low


def border(case: Case, got: Tensor) -> str | None:
    """Hints for `zeroshot-border`."""
    scores, unlabelled, share = case.given.values()

    def above(level: Tensor | float) -> Tensor:
        return (scores > level).long()

    right = unlabelled.quantile(1 - share)
    return _same_result(got, [
        ((scores < right).long(),
         "the labels are the wrong way round: 1 is for scores above the border."),
        ((scores >= right).long(),
         "a score that equals the border does not lie above it: its label is 0."),
        (above(unlabelled.quantile(share)),
         "the border has the share below it. The share of *positive* texts must lie above it."),
        (above(unlabelled.median()),
         "the share is not used: the border is the median for every share."),
        (above(unlabelled.mean()),
         "the border is a mean. A few extreme scores move a mean far; use a quantile."),
        (above(0.0), "the border is 0. Take it from the unlabelled scores."),
        (above(scores.quantile(1 - share)),
         "the border comes from the scores that are to be labelled. Use the unlabelled ones, so "
         "that a text's label does not depend on the texts beside it."),
        (above(unlabelled.max() * (1 - share)),
         "the border is a share of the highest score. Find the score that so many texts exceed."),
    ])


def limit(case: Case, got: Any) -> str | None:
    """Hints for `zeroshot-limit`."""
    share = case.given["share"]
    return _same_result(got, [
        (1.0, "the order of the scores is perfect, but the border is not: it always gives half "
              "of the texts each label."),
        (max(share, 1 - share),
         "this is the accuracy of giving every text the more frequent label."),
        (share, "this is the share of positive texts. Count the texts on the wrong side."),
        (1 - 2 * abs(share - 0.5),
         "the wrong texts are counted twice. Only one label has too many; the other one's texts "
         "are all right."),
        (1 - (share - 0.5), "a share below a half gives more than 1: the difference needs abs()."),
        (abs(share - 0.5), "this is the share of wrong texts. Accuracy is the share of right ones."),
        (0.5, "half of the texts get each label, but that does not make half of them wrong."),
    ])


def separation(case: Case, got: Tensor) -> str | None:
    """Hints for `zeroshot-separation`."""
    scores, labels = case.given.values()
    one, zero = scores[labels == 1], scores[labels == 0]
    difference = one.mean(0) - zero.mean(0)
    variances = one.var(0), zero.var(0)
    common = (sum(variances) / 2).sqrt()
    free = (((len(one) - 1) * variances[0] + (len(zero) - 1) * variances[1]) / (len(scores) - 2))
    error = (variances[0] / len(one) + variances[1] / len(zero)).sqrt()
    return _same_result(got, [
        (-case.expected, "the sign is wrong: above 0 means higher where the label is 1."),
        (difference, "this is the difference of the means. Divide it by the common standard "
                     "deviation, or a word whose scores vary much looks best."),
        (difference.abs() / common, "the sign is lost, so nobody knows which label a word is for."),
        (difference / scores.std(0),
         "this is the standard deviation of all texts. It contains the difference itself; use "
         "those of the two labels."),
        (difference / (sum(variances) / 2), "the root is missing: divide by a standard deviation, "
                                            "not by a variance."),
        (difference / ((variances[0].sqrt() + variances[1].sqrt()) / 2),
         "this is the mean of the standard deviations. Take the mean of the variances first, "
         "then the root."),
        (difference / sum(variances).sqrt(), "the variances are added. Take their mean."),
        (difference / error, "this is a t statistic: it grows with the number of texts."),
        (difference / free.sqrt(), "the larger group weighs more here. Both variances count half."),
        (difference / ((one.var(0, correction=0) + zero.var(0, correction=0)) / 2).sqrt(),
         "the variances are divided by n. Divide by n - 1, as torch does."),
    ])


def interval(case: Case, got: Any) -> str | None:
    """Hints for `zeroshot-interval`."""
    right_a, right_b, draws = (value.numpy() for value in case.given.values())
    a, b = right_a[draws].mean(1), right_b[draws].mean(1)
    both, low_high = a - b, [2.5, 97.5]

    def ends(values: Any, percent: list[float] = low_high) -> tuple[float, ...]:
        return tuple(float(x) for x in np.percentile(values, percent))

    middle, spread = float(both.mean()), float(both.std())
    return _first((_near(wrong, got), hint) for wrong, hint in [
        (ends(both)[::-1], "low and high are swapped."),
        (ends(-both), "this is the difference b - a. It should be a - b."),
        (ends(a), "this is the interval of method a alone. Subtract b's accuracy in each "
                  "resample."),
        (ends(both, [5, 95]), "this is a 90 % interval: leave 2.5 % out at each end."),
        (ends(both, [0, 100]), "these are the smallest and the largest value. Take percentiles."),
        ((ends(a)[0] - ends(b)[1], ends(a)[1] - ends(b)[0]),
         "two intervals are subtracted. The texts are the same for both methods: take the "
         "difference in each resample, then the percentiles."),
        ((ends(a)[0] - ends(b)[0], ends(a)[1] - ends(b)[1]),
         "percentiles are subtracted. Take the difference in each resample first."),
        (ends(right_a[draws].mean(0) - right_b[draws].mean(0)),
         "the mean runs over the resamples. It should run over the texts of each resample."),
        ((middle - 1.96 * spread, middle + 1.96 * spread),
         "this is the mean plus and minus 1.96 standard deviations. Take percentiles."),
        (ends(right_a.astype(float) - right_b.astype(float)),
         "`draws` is not used: these are percentiles of single texts."),
    ])


def interval_error(error: Exception) -> str | None:
    """A hint for the error that the mean of a boolean tensor raises."""
    if "mean()" in str(error) or "could not infer output dtype" in str(error).lower():
        return "the entries are true and false: make numbers of them first, with .float()."
    return None


def _near(wrong: tuple[float, ...], got: Any) -> bool:
    values = [torch.as_tensor(x).double().item() for x in got]
    return bool(np.allclose(wrong, values, rtol=1e-5, atol=1e-7))
