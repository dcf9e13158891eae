"""The exercises of the chapter "Zero-shot sentiment"."""

from __future__ import annotations

import math
import statistics

import numpy as np
import torch

from companion.exercises import zero_shot_hints as hints
from companion.exercises.old import Case, Exercise


def _prior_cases() -> list[Case]:
    """Found by halving an interval in double precision; the last one also by hand.

    Two differences a and -a + 2 lie even around 1, and so do their probabilities at border 1.
    """
    skewed = [9.0, 0.5, -1.0, 2.5, 0.0, 7.0, 1.5]
    return [*(Case({"differences": torch.tensor(skewed), "share": share}, _matched(skewed, share))
              for share in (0.8, 0.5, 0.25)),
            Case({"differences": torch.tensor([3.0, -1.0]), "share": 0.5}, 1.0)]


def _matched(differences: list[float], share: float) -> float:
    low, high = -50.0, 50.0
    for _ in range(100):
        middle = (low + high) / 2
        mean = statistics.mean(1 / (1 + math.exp(middle - one)) for one in differences)
        low, high = (middle, high) if mean > share else (low, middle)
    return low


def _border_cases() -> list[Case]:
    """By hand. A median of 3 (and a mean of 12) first; then 1 to 9, a quarter of them above 7.

    The last one has a score at the border itself, which does not lie above it.
    """
    skewed = {"scores": torch.tensor([2.5, 3.5, 15.0, 2.9]),
              "unlabelled": torch.tensor([1.0, 40.0, 3.0, 14.0, 2.0]), "share": 0.5}
    unlabelled = torch.tensor([4.0, 9.0, 1.0, 7.0, 5.0, 2.0, 8.0, 3.0, 6.0])
    scores = torch.tensor([2.5, 7.5, 5.5, -1.0, 4.5, 6.5, 12.0])
    return [Case(skewed, torch.tensor([0, 1, 1, 0])),
            Case({"scores": scores, "unlabelled": unlabelled, "share": 0.25},
                 torch.tensor([0, 1, 0, 0, 0, 0, 1])),
            Case({"scores": scores, "unlabelled": unlabelled, "share": 0.5},
                 torch.tensor([0, 1, 1, 0, 0, 1, 1])),
            Case(skewed | {"scores": torch.tensor([3.5, 3.0, 1.0])}, torch.tensor([1, 0, 0]))]


def _limit_cases() -> list[Case]:
    """By hand: 30 of 100 positive: the 20 best-ranked negative texts are taken for positive."""
    return [Case({"share": share}, limit)
            for share, limit in ((0.3, 0.8), (0.9, 0.6), (0.5, 1.0), (0.45, 0.95), (1.0, 0.5))]


def _separation_cases() -> list[Case]:
    """Small numbers by hand; then random ones, by the statistics module of Python."""
    small = torch.tensor([[1.0, 6.0], [5.0, 1.0], [2.0, 8.0], [7.0, 1.0], [3.0, 10.0]])
    by_hand = torch.tensor([4 / math.sqrt(1.5), -7 / math.sqrt(2.0)])
    return [Case({"scores": small, "labels": torch.tensor([0, 1, 0, 1, 0])}, by_hand),
            _random_separation_case()]


def _random_separation_case() -> Case:
    source = torch.Generator().manual_seed(13)
    scores = torch.randn((9, 3), generator=source)
    labels = torch.tensor([1, 0, 0, 1, 1, 0, 1, 1, 1])
    found = []
    for column in scores.double().T.tolist():
        one, zero = ([x for x, y in zip(column, labels.tolist()) if y == k] for k in (1, 0))
        common = math.sqrt((statistics.variance(one) + statistics.variance(zero)) / 2)
        found.append((statistics.mean(one) - statistics.mean(zero)) / common)
    return Case({"scores": scores, "labels": labels}, torch.tensor(found))


def _interval_cases() -> list[Case]:
    """Three resamples of four texts by hand (0, 1/4 and 1/2); then many, by numpy."""
    right_a, right_b = torch.tensor([1, 1, 0, 1]).bool(), torch.tensor([1, 0, 1, 0]).bool()
    draws = torch.tensor([[0, 1, 2, 0], [1, 1, 2, 0], [3, 1, 0, 0]])
    # The percentiles 2.5 and 97.5 lie a twentieth of the way from the ends to the middle.
    return [Case({"right_a": right_a, "right_b": right_b, "draws": draws}, (0.0125, 0.4875)),
            _many_draws_case()]


def _many_draws_case() -> Case:
    source = torch.Generator().manual_seed(7)
    right_a = torch.rand(60, generator=source) < 0.8
    right_b = right_a ^ (torch.rand(60, generator=source) < 0.2)
    draws = torch.randint(0, 60, (300, 60), generator=source)
    differences = [np.mean(right_a.numpy()[row]) - np.mean(right_b.numpy()[row])
                   for row in draws.numpy()]
    low, high = np.percentile(differences, [2.5, 97.5])
    given = {"right_a": right_a, "right_b": right_b, "draws": draws}
    return Case(given, (float(low), float(high)))


EXERCISES = (
    Exercise(
        id="zeroshot-prior", function="matching_border", results=("the border",),
        success="with this border the mean probability is the prior.",
        cases=_prior_cases, hint=hints.prior),
    Exercise(
        id="zeroshot-border", function="predict", results=("the labels",),
        success="the border is where the unlabelled texts say it is.",
        cases=_border_cases, hint=hints.border),
    Exercise(
        id="zeroshot-limit", function="best_accuracy", results=("the accuracy",),
        success="this is what a wrong prior costs, however good the scores are.",
        cases=_limit_cases, hint=hints.limit),
    Exercise(
        id="zeroshot-separation", function="separation", results=("the separation",),
        success="this is Cohen's d of every word.",
        cases=_separation_cases, hint=hints.separation),
    Exercise(
        id="zeroshot-interval", function="difference_interval", results=("low", "high"),
        success="both methods were resampled on the same texts.",
        cases=_interval_cases, hint=hints.interval, error_hint=hints.interval_error),
)
