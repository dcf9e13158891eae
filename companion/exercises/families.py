"""The exercises of the chapter "Three families, one budget"."""

from __future__ import annotations

import math

import torch

from companion.exercises import families_hints as hints
from companion.exercises.old import Case, Exercise


def _asked_cases() -> list[Case]:
    """Counted by hand, by the rules of `MaskedLM`, `CausalLM` and `SpanCorruption`: 128 tokens
    as in the chapter, then other lengths, shares and means."""
    rows = [("masked", 128, 0.15, 3.0, 19), ("causal", 128, 0.15, 3.0, 127),
            ("spans", 128, 0.15, 3.0, 27), ("masked", 42, 0.3, 4.0, 12),
            ("causal", 66, 0.25, 4.0, 65), ("spans", 66, 0.25, 4.0, 22),
            ("spans", 100, 0.5, 10.0, 57)]
    return [Case({"kind": kind, "length": length, "share": share, "mean": mean}, count)
            for kind, length, share, mean, count in rows]


def _top_cases() -> list[Case]:
    """Random scores whose ranks were counted by sorting Python lists; then by hand."""
    small = torch.tensor([[9.0, 1.0, 2.0, 3.0], [9.0, 3.0, 2.0, 1.0]])
    allowed = torch.tensor([False, True, True, True])
    given = {"logits": small, "targets": torch.tensor([3, 2]), "allowed": allowed, "k": 1}
    logits = torch.randn((40, 12), generator=torch.Generator().manual_seed(1))
    logits[:, :2] += 2
    targets = torch.arange(40) % 10 + 2
    large = {"logits": logits, "targets": targets, "allowed": torch.arange(12) >= 2, "k": 3}
    right = 0
    for row, target in zip(logits.tolist(), targets.tolist()):
        right += target in sorted(range(2, 12), key=lambda i: -row[i])[:3]
    return [Case(large, right / 40), Case(given, 0.5), Case(given | {"k": 2}, 1.0)]


def _bits_cases() -> list[Case]:
    """Probabilities that are powers of two, by hand; then others."""
    powers = [-5.0, -1.0, -2.0, -4.0, -6.0, -3.0]
    first = [p * math.log(2) for p in powers]
    other = [math.log(p) for p in (0.3, 0.02, 0.5, 0.11, 0.07)]
    return [Case({"log_probs": first, "written": 4}, 3.75),
            Case({"log_probs": first, "written": 1}, 3.0),
            Case({"log_probs": other, "written": 3}, -math.log2(0.5 * 0.11 * 0.07) / 3)]


def _difference_cases() -> list[Case]:
    """`scipy.stats.ttest_rel`, which knows the interval of a paired difference."""
    from scipy.stats import ttest_rel

    cases = []
    for first, second in (([5.4, 5.5, 5.8], [5.0, 5.1, 5.3]), ([4.3, 4.5, 4.2], [4.4, 4.2, 4.3])):
        found = ttest_rel(first, second).confidence_interval(0.95)
        cases.append(Case({"first": first, "second": second, "factor": 4.302652729696142},
                          (float(found.low), float(found.high))))
    return cases


EXERCISES = (
    Exercise(
        id="families-asked", function="asked", results=("the number",),
        success="as many labels as the collators of the course make.",
        cases=_asked_cases, hint=hints.asked),
    Exercise(
        id="families-top", function="top_k", results=("the share",),
        success="special tokens take no place among the guesses.",
        cases=_top_cases, hint=hints.top, error_hint=hints.top_error),
    Exercise(
        id="families-bits", function="written_bits", results=("the bits",),
        success="the prompt is read, and only what was written is counted.",
        cases=_bits_cases, hint=hints.bits),
    Exercise(
        id="families-interval", function="paired_interval", results=("the low end", "the high end"),
        success="scipy's paired test gives the same interval.",
        cases=_difference_cases, hint=hints.interval),
)
