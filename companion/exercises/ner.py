"""The exercises of the chapter "ALBERT NER"."""

from __future__ import annotations

import math
from functools import cache

import torch

from companion.exercises import ner_hints as hints
from companion.exercises.old import Case, Exercise


def _labels_cases() -> list[Case]:
    """A row with padding; then other ids, and a separator in the middle."""
    first = {"ids": torch.tensor([2, 11, 12, 13, 3, 0, 0]), "tags": torch.tensor([1, 2, 0]),
             "special_ids": [2, 3, 0]}
    other = {"ids": torch.tensor([0, 7, 2, 8, 2, 9, 5, 2, 1, 1]),
             "tags": torch.tensor([0, 3, 4, 0]), "special_ids": [0, 2, 1]}
    skip = hints.IGNORED
    return [Case(first, torch.tensor([skip, 1, 2, 0, skip, skip, skip])),
            Case(other, torch.tensor([skip, 0, skip, 3, skip, 4, 0, skip, skip, skip]))]


def _rates_cases() -> list[Case]:
    """Powers of one half by hand; then one of everyday use; then a model of one layer."""
    return [
        Case({"layers": 3, "rate": 8.0, "decay": 0.5}, [1.0, 2.0, 4.0, 8.0]),
        Case({"layers": 4, "rate": 3e-4, "decay": 0.9},
             [3e-4 * 0.6561, 3e-4 * 0.729, 3e-4 * 0.81, 3e-4 * 0.9, 3e-4]),
        Case({"layers": 1, "rate": 1e-3, "decay": 0.1}, [1e-4, 1e-3])]


@cache
def _viterbi_cases() -> list[Case]:
    """Labels O, B, I: the best label of every token by itself makes an illegal order; a case
    where the best beginning is not part of the best whole; then one compared with all orders."""
    never = -1e4
    between = torch.tensor([[0.0, 0.0, never], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    illegal = torch.tensor([[2.0, 0.0, 0.0], [1.0, 0.5, 0.0], [0.0, 0.2, 2.0], [1.0, 0.0, 0.0]])
    greedy = torch.tensor([[0.0, 1.0], [0.0, 0.0], [2.0, 0.0]])
    costs = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
    return [Case({"emissions": illegal, "between": between}, [0, 1, 2, 0]),
            Case({"emissions": greedy, "between": costs}, [0, 0, 0]), _all_orders()]


def _all_orders() -> Case:
    from itertools import product

    source = torch.Generator().manual_seed(13)
    emissions = torch.randn((6, 3), generator=source)
    between = torch.randn((3, 3), generator=source) * 2
    def total(tags):
        return (sum(emissions[i, t].item() for i, t in enumerate(tags))
                + sum(between[a, b].item() for a, b in zip(tags, tags[1:])))
    best = max(product(range(3), repeat=6), key=total)
    return Case({"emissions": emissions, "between": between}, list(best))


def _seeds_cases() -> list[Case]:
    """Three whole numbers by hand; a seed on which `two` is better, and pairs that sorting
    would change; then five seeds: both systems vary a lot, but together."""
    one, two = [0.82, 0.90, 0.86, 0.78, 0.84], [0.79, 0.86, 0.84, 0.75, 0.81]
    apart = [a - b for a, b in zip(one, two)]
    mean = sum(apart) / 5
    spread = math.sqrt(sum((d - mean) ** 2 for d in apart) / 4)
    return [Case({"one": [5.0, 9.0, 4.0], "two": [4.0, 6.0, 2.0]}, (2.0, 1.0)),
            Case({"one": [5.0, 2.0, 8.0], "two": [1.0, 4.0, 7.0]}, (1.0, 3.0)),
            Case({"one": one, "two": two}, (mean, spread))]


EXERCISES = (
    Exercise(
        id="ner-labels", function="labels_of_row", results=("the labels",),
        success="only tokens of the text count in the loss.",
        cases=_labels_cases, hint=hints.labels),
    Exercise(
        id="ner-rates", function="layer_rates", results=("the rates",),
        success="the top layer learns fastest, the embeddings slowest.",
        cases=_rates_cases, hint=hints.rates),
    Exercise(
        id="ner-viterbi", function="best_labels", results=("the labels",),
        success="no other order of labels has a higher score.",
        cases=_viterbi_cases, hint=hints.viterbi),
    Exercise(
        id="ner-seeds", function="difference", results=("the mean", "the standard deviation"),
        success="seeds are compared in pairs.",
        cases=_seeds_cases, hint=hints.seeds),
)
