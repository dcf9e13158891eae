"""Hints for the mistakes that are recognised in "Zero-shot NER by prompts".

Every function gets a case and a wrong answer that already has the right kind and shape. It
returns one hint, or None. A mistake is recognised by its result, never by reading the code.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from companion.exercises.old import Case
from companion.exercises.old import _same_result


def count(case: Case, got: Any) -> str | None:
    """Hints for `entities-count`."""
    n, k = case.given["words"], case.given["longest"]
    return _same_result(got, [
        (n * k, "spans that would begin inside the text and end behind it are counted, too."),
        (n * (n + 1) // 2, "these are the spans of every length. Only those of at most "
                           "`longest` words are asked about."),
        (n * (n - 1) // 2, "these are the pairs of different words. A single word is a span, "
                           "too, and a span has at most `longest` words."),
        (n - k + 1, "these are the spans of exactly `longest` words. Shorter ones count as well."),
        (sum(n - size + 1 for size in range(1, k)),
         "the spans of exactly `longest` words are missing: range(1, k) ends at k - 1."),
        (k * n - k * (k - 1) // 2,
         "a span cannot have more words than the text: for a short text the formula needs the "
         "smaller of the two numbers."),
        (sum(n - size for size in range(1, k + 1)),
         "each length has one span more: a span of n words fits once into n words."),
    ])


def lead(case: Case, got: Tensor) -> str | None:
    """Hints for `entities-lead`: each wrong rule gives other numbers."""
    scores, free = case.given["scores"], case.given["free"]
    fair = scores - free
    best = fair[:, :-1].amax(1)
    return _same_result(got, [
        (_lead(scores), "the scores are not calibrated: subtract what the model says about the "
                        "question without content."),
        (_lead(scores + free), "the scores of the question without content are added. Subtract "
                               "them."),
        (_lead(-fair), "the sign of the difference is wrong: scores minus free."),
        (_lead(scores / free), "log-probabilities are subtracted, not divided."),
        (best, "this is the score of the best type. Subtract the score of no entity from it."),
        (fair.amax(1) - fair[:, -1],
         "no entity is among the types of which the best is taken, so no lead is below 0."),
        (best - scores[:, -1], "the last column is not calibrated. It favours its words as well."),
        (scores[:, :-1].amax(1) - fair[:, -1],
         "only the last column is calibrated. Each type has favourite words, too."),
        (fair[:, -1] - best, "the lead has the wrong sign: it is high for an entity."),
        (fair[:, :-1].mean(1) - fair[:, -1], "the mean of the types is taken. Take the best one."),
        (fair[:, :-1].logsumexp(1) - fair[:, -1],
         "the types are added up. The question is which one of them wins, and by how much."),
    ])


def _lead(scores: Tensor) -> Tensor:
    return scores[:, :-1].amax(1) - scores[:, -1]


def _chosen(spans: list, key: Any, apart: Any) -> list:
    kept: list = []
    for span in sorted(spans, key=key):
        if all(apart(span, other) for other in kept):
            kept.append(span)
    return kept


def _apart(a: tuple, b: tuple) -> bool:
    return a[1] <= b[0] or b[1] <= a[0]


def _alone(spans: list) -> list:
    return [s for s in spans if all(s is o or _apart(s, o) or s[3] > o[3] for o in spans)]


def resolve(case: Case, got: list) -> str | None:
    """Hints for `entities-resolve`."""
    spans = case.given["spans"]
    by_score = _chosen(spans, lambda s: -s[3], _apart)
    strict = _chosen(spans, lambda s: -s[3], lambda a, b: a[1] < b[0] or b[1] < a[0])
    return _same_result(got, [
        (by_score, "the right spans, in the order of their scores. Return them in the order of "
                   "the text."),
        (sorted(_chosen(spans, lambda s: s[3], _apart)),
         "the worst score goes first. sorted() puts small numbers first."),
        (sorted(_chosen(spans, lambda s: 0, _apart)),
         "the spans are taken in the order of the list. The best score goes first."),
        (sorted(_chosen(spans, lambda s: s[0] - s[1], _apart)),
         "the longest span goes first. The best score goes first."),
        (sorted(_alone(spans)),
         "a span is dropped for a better one that was itself dropped. Compare a span with those "
         "that you have kept."),
        (sorted(strict), "spans that touch do not overlap: `end` is the first place behind a "
                         "span."),
        (sorted(spans), "nothing is dropped: no two spans of the result may overlap."),
        (sorted(spans, key=lambda s: -s[3])[:1],
         "only the best span is kept. A text may have several entities."),
    ])


def f1(case: Case, got: Any) -> str | None:
    """Hints for `entities-f1`: each wrong rule gives another number."""
    pairs = [(set(g), set(p)) for g, p in zip(*case.given.values(), strict=True)]
    right, gold, found = (sum(map(len, sets)) for sets in
                          zip(*[(g & p, g, p) for g, p in pairs], strict=True))
    spans = [({e[:2] for e in g}, {e[:2] for e in p}) for g, p in pairs]
    merged = [{e for pair in pairs for e in pair[side]} for side in (0, 1)]
    return _same_result(got, [
        (_f1(spans), "the type does not count here. An entity is right only "
                                        "when start, end and type are."),
        (right / max(found, 1), "this is precision: the share of the predicted ones that are "
                                "right."),
        (right / max(gold, 1), "this is recall: the share of the entities that were found."),
        ((right / max(found, 1) + right / max(gold, 1)) / 2,
         "this is the plain mean of precision and recall. F1 is their harmonic mean."),
        (right / max(gold + found - right, 1),
         "each entity of the union counts once: this is the Jaccard index, lower than F1."),
        (right / max(gold + found, 1), "the factor 2 is missing."),
        (sum(_f1([pair]) for pair in pairs) / len(pairs),
         "this is the mean of the F1 of each text. Count over all texts first."),
        (_f1([(merged[0], merged[1])]),
         "entities of different texts are mixed up. Two texts may have an entity at the same "
         "place."),
    ])


def _f1(pairs: list[tuple[set, set]]) -> float:
    right = sum(len(g & p) for g, p in pairs)
    return 2 * right / max(sum(len(g) + len(p) for g, p in pairs), 1)


def f1_error(error: Exception) -> str | None:
    """A hint for a division by zero."""
    if isinstance(error, ZeroDivisionError):
        return "nothing is predicted in one of the cases. F1 is 0 there, without a division."
    return None
