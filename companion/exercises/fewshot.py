"""The exercises of the chapter "Few-shot: prompt tuning against head fine-tuning"."""

from __future__ import annotations

import math
import statistics

import torch

from companion.exercises import fewshot_hints as hints
from companion.exercises.old import Case, Exercise


def _draw_cases() -> list[Case]:
    """By hand: classes of three and four, mixed, with two K; then three classes."""
    labels = [1, 0, 1, 1, 0, 0, 1]
    keys = ["c7", "f0", "a1", "b9", "a0", "d2", "e5"]
    colours = ["red", "blue", "red", "green", "blue", "green", "red"]
    return [Case({"labels": labels, "keys": keys, "k": 2}, [2, 3, 4, 5]),
            Case({"labels": labels, "keys": keys, "k": 3}, [0, 1, 2, 3, 4, 5]),
            Case({"labels": colours, "keys": keys, "k": 1}, [2, 3, 4])]


def _loss_cases() -> list[Case]:
    """Scores 2 and 0, and 1 and 3, by hand; then one with words out of order, in doubles."""
    small = torch.tensor([[1.0, 3.0, 0.0], [1.0, 1.0, 3.0]], requires_grad=True)
    by_hand = (math.log(1 + math.exp(-2)) + math.log(1 + math.exp(2))) / 2
    given = {"word_logits": small, "words": [[0, 1], [2]], "labels": torch.tensor([0, 0])}
    return [Case(given, torch.tensor(by_hand, requires_grad=True)), _large_loss_case()]


def _large_loss_case() -> Case:
    logits = torch.randn((5, 6), generator=torch.Generator().manual_seed(13)) * 2
    words, labels = [[4, 0], [1], [5, 2, 3]], [2, 0, 1, 2, 2]
    losses = []
    for row, label in zip(logits.double().tolist(), labels):
        scores = [sum(row[i] for i in places) / len(places) for places in words]
        losses.append(math.log(sum(map(math.exp, scores))) - scores[label])
    given = {"word_logits": logits.requires_grad_(), "words": words,
             "labels": torch.tensor(labels)}
    return Case(given, torch.tensor(sum(losses) / 5, requires_grad=True))


def _spread_cases() -> list[Case]:
    """Standard deviations 3 and 4 by hand, so 5 together; then accuracies."""
    first, second = [7.0, 10.0, 13.0], [2.0, 6.0, 10.0]
    one, two = [0.71, 0.75, 0.73, 0.70, 0.76], [0.61, 0.72, 0.66, 0.58, 0.63]
    return [Case({"first": first, "second": second}, (4.0, 5.0)),
            Case({"first": two, "second": one},
                 (statistics.mean(two) - statistics.mean(one),
                  math.sqrt(statistics.variance(one) + statistics.variance(two))))]


def _passes_cases() -> list[Case]:
    rows = ((30, 8, 4, 2), (30, 8, 64, 2), (10, 16, 2, 3), (25, 10, 6, 5))
    return [Case({"steps": steps, "size": size, "k": k, "classes": classes},
                 steps * min(size, k * classes) / (k * classes))
            for steps, size, k, classes in rows]


EXERCISES = (
    Exercise(
        id="few-draw", function="k_shot", results=("the places",),
        success="every class has K examples, and the order of the data decides nothing.",
        cases=_draw_cases, hint=hints.draw),
    Exercise(
        id="few-loss", function="prompt_loss", results=("the loss",),
        success="label words become scores of labels, and the cross-entropy does the rest.",
        cases=_loss_cases, hint=hints.loss, error_hint=hints.loss_error),
    Exercise(
        id="few-spread", function="compare", results=("the difference", "the joint spread"),
        success="a difference is now seen beside what chance alone can do.",
        cases=_spread_cases, hint=hints.spread),
    Exercise(
        id="few-passes", function="passes", results=("the passes",),
        success="the same number of steps means many passes over few examples.",
        cases=_passes_cases, hint=hints.passes),
)
