"""The exercises of the chapter "Zero-shot NER by prompts"."""

from __future__ import annotations

import torch

from companion.exercises import entities_hints as hints
from companion.exercises.old import Case, Exercise


def _count_cases() -> list[Case]:
    """Counted by listing the spans; the last two have fewer words than a span may have."""
    rows = ((11, 4), (5, 3), (6, 1), (7, 7), (3, 5), (2, 4))
    return [Case({"words": n, "longest": k},
                 sum(1 for first in range(n) for last in range(first, n) if last - first < k))
            for n, k in rows]


def _lead_cases() -> list[Case]:
    """Log-probabilities by hand, in quarters. Columns: PER, LOC, ORG, no entity."""
    scores = torch.tensor([[-2.0, -3.0, -5.0, -1.5],
                           [-4.0, -1.0, -2.5, -3.0],
                           [-3.5, -3.0, -3.25, -0.5],
                           [-1.0, -2.0, -1.5, -6.0]])
    free = torch.tensor([-1.0, -2.5, -4.0, -2.0])
    # Row 0: -1, -.5, -1, .5; row 1: -3, 1.5, 1.5, -1; row 2: -2.5, -.5, .75, 1.5;
    # row 3: 0, .5, 2.5, -4.
    right = torch.tensor([-1.0, 2.5, -0.75, 6.5])
    return [Case({"scores": scores, "free": free}, right)]


Spans = list[tuple[int, int, str, float]]


def _greedy(spans: Spans) -> Spans:
    kept: Spans = []
    for span in sorted(spans, key=lambda s: -s[3]):
        if all(span[1] <= start or end <= span[0] for start, end, _, _ in kept):
            kept.append(span)
    return sorted(kept)


def _resolve_cases() -> list[Case]:
    """Neighbours that touch; a chain, in which the middle one decides; a bad long span."""
    touching = [(0, 4, "PER", 0.5), (4, 9, "LOC", 0.25), (10, 12, "ORG", 2.0)]
    chain = [(12, 16, "ORG", 1.5), (0, 5, "PER", 1.0), (4, 10, "LOC", 3.0), (9, 14, "PER", 2.0),
             (15, 20, "LOC", 1.25), (22, 25, "PER", 0.5)]
    nested = [(0, 20, "ORG", 0.75), (3, 8, "PER", 1.5), (9, 12, "LOC", 0.5), (13, 20, "PER", 1.0)]
    return [Case({"spans": spans}, _greedy(spans)) for spans in (chain, nested, touching, [])]


def _f1_cases() -> list[Case]:
    """Each known mistake gives another number. The second: nothing right, nothing predicted."""
    gold = [[(0, 3, "PER"), (8, 12, "LOC")], [(0, 5, "ORG")], [], [(4, 9, "LOC")],
            [(2, 6, "PER"), (9, 15, "ORG"), (20, 24, "LOC"), (30, 33, "LOC")]]
    predicted = [[(0, 3, "PER"), (8, 12, "ORG")], [(0, 5, "ORG")], [(0, 3, "PER")],
                 [(4, 8, "LOC")],
                 [(2, 6, "PER"), (9, 15, "ORG"), (20, 26, "LOC"), (30, 33, "PER"), (36, 40, "PER"),
                  (44, 47, "PER")]]
    # 4 right, 8 to find, 11 predicted.
    return [Case({"gold": gold, "predicted": predicted}, 8 / 19),
            Case({"gold": [[(0, 3, "PER")]], "predicted": [[]]}, 0.0)]


EXERCISES = (
    Exercise(
        id="entities-count", function="count_spans", results=("the number of spans",),
        success="this is the number of questions for one sentence.",
        cases=_count_cases, hint=hints.count),
    Exercise(
        id="entities-lead", function="lead", results=("the leads",),
        success="what the model says about nothing is taken away.",
        cases=_lead_cases, hint=hints.lead),
    Exercise(
        id="entities-resolve", function="resolve", results=("the spans that remain",),
        success="the best spans remain, and none overlaps another.",
        cases=_resolve_cases, hint=hints.resolve),
    Exercise(
        id="entities-f1", function="entity_f1", results=("F1",),
        success="an entity counts only when span and type are right.",
        cases=_f1_cases, hint=hints.f1, error_hint=hints.f1_error),
)
