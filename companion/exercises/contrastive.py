"""The exercises of the chapter "Contrastive learning: sentences as vectors"."""

from __future__ import annotations

import math

import torch

from companion.exercises import contrastive_hints as hints
from companion.exercises.old import Case, Exercise


def _loss_cases() -> list[Case]:
    """By hand, from powers of two; then one larger, checked in double precision.

    With temperature 1 / ln 2, exp(s / temperature) is 2 to the power s.
    """
    small = torch.tensor([[1.0, 0.0, -1.0], [0.0, 2.0, 1.0], [2.0, 0.0, 0.0]], requires_grad=True)
    # Rows of powers: 2, 1, 1/2 -> 4/7; 1, 4, 2 -> 4/7; 4, 1, 1 -> 1/6.
    by_hand = -(2 * math.log(4 / 7) + math.log(1 / 6)) / 3
    given = {"similarities": small, "temperature": 1 / math.log(2)}
    return [Case(given, torch.tensor(by_hand, requires_grad=True)), _large_loss_case()]


def _large_loss_case() -> Case:
    source = torch.Generator().manual_seed(13)
    scores = torch.rand((7, 7), generator=source) * 1.6 - 0.8
    exact = scores.double() / 0.1
    losses = [math.log(sum(math.exp(s) for s in row)) - row[i]
              for i, row in enumerate(exact.tolist())]
    given = {"similarities": scores.requires_grad_(), "temperature": 0.1}
    return Case(given, torch.tensor(sum(losses) / 7, requires_grad=True))


def _temperature_cases() -> list[Case]:
    """Three answers, one similarity apart; then values of everyday use; then a flat case."""
    rows = ((0.6, -0.4, 3, 1.0), (0.9, 0.3, 64, 0.05), (0.9, 0.3, 64, 0.5), (0.2, 0.4, 10, 0.1),
            (0.7, 0.7, 5, 0.05))
    return [Case({"right": right, "wrong": wrong, "count": count, "temperature": temperature},
                 1 / (1 + (count - 1) * math.exp((wrong - right) / temperature)))
            for right, wrong, count, temperature in rows]


def _pooling_cases() -> list[Case]:
    """Whole numbers, worked out by hand. Padding holds large numbers, so that it shows."""
    states = torch.tensor([
        [[1.0, 2.0], [3.0, 4.0], [5.0, 12.0], [70.0, 80.0], [7.0, 9.0], [7.0, 9.0]],
        [[2.0, -6.0], [4.0, 8.0], [0.0, 2.0], [2.0, 0.0], [90.0, -20.0], [40.0, 30.0]],
        [[1.0, 0.0], [2.0, 0.0], [3.0, 0.0], [6.0, 8.0], [3.0, 2.0], [60.0, 50.0]],
    ])
    mask = torch.tensor([[1, 1, 1, 0, 0, 0], [1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1, 0]])
    right = torch.tensor([[3.0, 6.0], [2.0, 1.0], [3.0, 2.0]])
    left = torch.tensor([[0, 0, 1], [0, 1, 1]])  # padding may also stand in front
    return [Case({"states": states, "mask": mask}, right),
            Case({"states": torch.tensor([[[9.0], [9.0], [4.0]], [[9.0], [4.0], [-2.0]]]),
                  "mask": left}, torch.tensor([[4.0], [1.0]]))]


def _recall_cases() -> list[Case]:
    """Ranks found by sorting; then ranks 1, 3, 2 and 4 by hand."""
    source = torch.Generator().manual_seed(58)  # every known mistake gives another number
    order = torch.rand((12, 15), generator=source)
    ranks = [sorted(row, reverse=True).index(row[i]) + 1 for i, row in enumerate(order.tolist())]
    scores = torch.tensor([[0.9, 0.1, 0.2, 0.3, 0.4],
                           [0.5, 0.3, 0.4, 0.1, 0.2],
                           [0.8, 0.2, 0.6, 0.1, 0.3],
                           [0.7, 0.6, 0.5, 0.2, 0.1]])
    shares = {1: 0.25, 2: 0.5, 3: 0.75, 5: 1.0}
    return [Case({"scores": order, "k": 3}, sum(rank <= 3 for rank in ranks) / 12),
            *(Case({"scores": scores, "k": k}, share) for k, share in shares.items())]


def _uniformity_cases() -> list[Case]:
    """Four directions at right angles: four pairs at squared distance 2, two at 4."""
    cross = torch.tensor([[3.0, 0.0], [0.0, 0.5], [-2.0, 0.0], [0.0, -1.0]])
    by_hand = math.log((4 * math.exp(-4) + 2 * math.exp(-8)) / 6)
    half = torch.tensor([[1.0, 0.0], [0.5, math.sqrt(0.75)]])  # 60 degrees: squared distance 1
    return [Case({"vectors": cross}, torch.tensor(by_hand)),
            Case({"vectors": half}, torch.tensor(-2.0))]


def _copies_cases() -> list[Case]:
    """Texts 0 and 2 are the same. Then a batch of seven with three copies of one text."""
    small = torch.tensor([[2.0, 0.0, 1.0], [1.0, 1.0, 0.0], [2.0, 1.0, 2.0]], requires_grad=True)
    # Row 0: 4, 1 -> 4/5; row 1: 2, 2, 1 -> 2/5; row 2: 2, 4 -> 2/3.
    by_hand = -(math.log(4 / 5) + math.log(2 / 5) + math.log(2 / 3)) / 3
    given = {"similarities": small, "temperature": 1 / math.log(2),
             "texts": torch.tensor([5, 3, 5])}
    source = torch.Generator().manual_seed(21)
    scores = torch.rand((7, 7), generator=source) * 1.6 - 0.8
    texts = [4, 1, 4, 9, 2, 1, 4]
    losses = []
    for i, row in enumerate((scores.double() / 0.2).tolist()):
        counted = [s for j, s in enumerate(row) if j == i or texts[j] != texts[i]]
        losses.append(math.log(sum(map(math.exp, counted))) - row[i])
    large = {"similarities": scores.requires_grad_(), "temperature": 0.2,
             "texts": torch.tensor(texts)}
    return [Case(given, torch.tensor(by_hand, requires_grad=True)),
            Case(large, torch.tensor(sum(losses) / 7, requires_grad=True))]


EXERCISES = (
    Exercise(
        id="contrastive-loss", function="info_nce", results=("the loss",),
        success="this is InfoNCE: a cross-entropy whose classes are the texts of the batch.",
        cases=_loss_cases, hint=hints.loss, error_hint=hints.loss_error),
    Exercise(
        id="contrastive-temperature", function="right_probability", results=("the probability",),
        success="a low temperature makes small differences count.",
        cases=_temperature_cases, hint=hints.temperature),
    Exercise(
        id="contrastive-pooling", function="mean_pool", results=("the vectors",),
        success="padding is in no mean.",
        cases=_pooling_cases, hint=hints.pooling, error_hint=hints.pooling_error),
    Exercise(
        id="contrastive-recall", function="recall_at", results=("the recall",),
        success="you count the queries whose right document comes early enough.",
        cases=_recall_cases, hint=hints.recall),
    Exercise(
        id="contrastive-uniformity", function="uniformity", results=("the uniformity",),
        success="directions that are spread out give a low value.",
        cases=_uniformity_cases, hint=hints.uniformity),
    Exercise(
        id="contrastive-copies", function="info_nce_with_copies", results=("the loss",),
        success="a copy of the right answer is no wrong answer.",
        cases=_copies_cases, hint=hints.copies, error_hint=hints.loss_error),
)
