"""Hints for the mistakes that are recognised in "Three families, one budget".

Every function gets a case and a wrong answer that already has the right kind and shape. It
returns one hint, or None. A mistake is recognised by its result, never by reading the code.
"""

from __future__ import annotations

import math
import statistics
from typing import Any

import torch

from companion.exercises.old import Case
from companion.exercises.old import _first, _same_result


def asked(case: Case, got: Any) -> str | None:
    """Hints for `families-asked`: each forgotten part changes the number."""
    kind, length, share, mean = case.given.values()
    noise = max(1, round(share * length))
    spans = max(1, round(noise / mean))
    if kind == "masked":
        return _same_result(got, [
            (round(share * length), "[CLS] and [SEP] are never chosen: take the share of the "
                                    "other tokens."),
            (round(0.8 * share * (length - 2)),
             "only those that become [MASK] were counted. All chosen positions have a label."),
            (length - 2, "every position was counted. Only the chosen share has a label."),
            (share * (length - 2), "the number of positions is whole: use round."),
        ])
    if kind == "causal":
        return _same_result(got, [
            (length, "nothing stands before the first token, so nothing can predict it."),
            (round(share * length), "a causal model is asked at every position, whatever the "
                                    "share is."),
        ])
    return _same_result(got, [
        (noise, "the decoder writes sentinels and eos too, and each has a label."),
        (noise + spans, "one more sentinel and eos end the targets."),
        (noise + spans + 1, "one token is missing: behind the last span stand one more sentinel "
                            "and eos."),
        (length - noise + spans + 1,
         "this is the length of the inputs. Labels are in the decoder."),
        (noise + mean + 2, "mean is the length of a span. The number of spans is the tokens taken "
                           "out, divided by it."),
    ])


def top(case: Case, got: Any) -> str | None:
    """Hints for `families-top`."""
    logits, targets, allowed, k = case.given.values()
    inside = logits.masked_fill(~allowed, -torch.inf)

    def share(scores: torch.Tensor, count: int) -> float:
        best = scores.topk(min(count, scores.shape[1]), 1).indices
        return float((best == targets[:, None]).any(1).float().mean())

    return _same_result(got, [
        (share(logits, k), "tokens that are not allowed took places among the guesses. Set their "
                           "scores to minus infinity first."),
        (share(logits[:, allowed], k), "the columns moved: after logits[:, allowed] the targets "
                                       "name other columns."),
        (share(-inside.masked_fill(~allowed, torch.inf), k),
         "these are the least probable tokens."),
        (share(inside, k) * len(targets), "this is a number of rows: divide by all rows."),
        (1 - share(inside, k), "this is the share of wrong rows."),
        (share(inside, k) / k, "a row is right or wrong: do not divide by k."),
        (share(inside, 1) if k > 1 else None, "only the first guess was looked at."),
        (share(inside, k + 1), "one guess too many."),
    ])


def top_error(error: Exception) -> str | None:
    """Hints for operations that PyTorch refuses."""
    text = str(error)
    return _first([
        ("out of range" in text and "k" in text, "fewer tokens are left than k: keep all columns "
                                                 "and set scores to minus infinity."),
        ("must match the size" in text, "give the targets a second axis, targets[:, None], to "
                                        "compare each row with its guesses."),
    ])


def bits(case: Case, got: Any) -> str | None:
    """Hints for `families-bits`."""
    values, written = case.given.values()
    last, two = values[-written:], math.log(2)
    return _same_result(got, [
        (-statistics.mean(last), "these are nats. A bit is ln 2 nats, so divide by ln 2."),
        (-statistics.mean(last) * two, "multiplying goes the wrong way: divide by ln 2."),
        (statistics.mean(last) / two, "the sign is missing: probabilities below 1 cost bits."),
        (-statistics.mean(values) / two, "the prompt was counted too. Take the last `written` "
                                         "values only."),
        (-statistics.mean(values[:written]) / two, "these are the first values. What was written "
                                                   "stands at the end."),
        (-sum(last) / two, "this is a sum. Divide by the number of written tokens."),
        (-sum(last) / two / len(values), "the sum was divided by all tokens, the prompt included."),
        (statistics.mean(2 ** -v for v in last) if max(map(abs, last)) < 50 else None,
         "the mean of perplexities is not asked for: average the logarithms."),
    ])


def interval(case: Case, got: tuple) -> str | None:
    """Hints for `families-interval`."""
    first, second, factor = case.given.values()
    differences = [a - b for a, b in zip(first, second)]
    middle, root = statistics.mean(differences), math.sqrt(len(differences))
    spread = statistics.stdev(differences)
    joint = math.sqrt(statistics.variance(first) + statistics.variance(second))

    def ends(half: float, centre: float = middle) -> tuple[float, float]:
        return centre - half, centre + half

    half = factor * spread / root
    return _same_result(got, [
        (ends(half, -middle), "the difference is first minus second."),
        (ends(half)[::-1], "the low end comes first."),
        (ends(factor * spread), "divide the spread by the root of the number of seeds: the mean of "
                                "several differences varies less than one of them."),
        (ends(factor * joint / root), "the seeds are pairs. Take the differences seed by seed, and "
                                      "their spread."),
        (ends(factor * statistics.pstdev(differences) / root),
         "the standard deviation of a sample divides by n - 1."),
        (ends(1.96 * spread / root), "1.96 is for many values. Use the factor that is given."),
        (ends(spread / root), "the factor is missing: this is one standard error."),
        (ends(factor * spread / len(differences)), "divide by the root of the number of seeds, not "
                                                   "by the number."),
        ((middle, half), "these are the middle and half the width. Return the two ends."),
    ])
