"""Answers to the exercises of "Zero-shot NER by prompts", as learners write them.

What the tables hold is said in `answer_tables.py`.
"""

import torch
from answer_tables import tables

MUTANTS, STOPPED, RIGHT, wrong, stops, right = tables()


# --- entities-count -----------------------------------------------------------------------

@wrong("entities-count", "begin inside the text and end behind it")
def _(words, longest):
    return words * longest


@wrong("entities-count", "spans of every length")
def _(words, longest):
    return words * (words + 1) // 2


@wrong("entities-count", "pairs of different words")
def _(words, longest):
    return words * (words - 1) // 2


@wrong("entities-count", "exactly `longest` words. Shorter")
def _(words, longest):
    return words - longest + 1


@wrong("entities-count", "range(1, k) ends at k - 1")
def _(words, longest):
    return sum(words - size + 1 for size in range(1, longest))


@wrong("entities-count", "cannot have more words than the text")
def _(words, longest):
    return longest * words - longest * (longest - 1) // 2


@wrong("entities-count", "one span more")
def _(words, longest):
    return sum(words - size for size in range(1, longest + 1))


@right("entities-count", "the formula")
def _(words, longest):
    k = min(words, longest)
    return k * words - k * (k - 1) // 2


@right("entities-count", "two loops")
def _(words, longest):
    return len([1 for i in range(words) for j in range(i + 1, min(i + longest, words) + 1)])


# --- entities-lead ------------------------------------------------------------------------

@wrong("entities-lead", "are not calibrated: subtract")
def _(scores, free):
    return scores[:, :-1].max(1).values - scores[:, -1]


@wrong("entities-lead", "are added")
def _(scores, free):
    fair = scores + free
    return fair[:, :-1].max(1).values - fair[:, -1]


@wrong("entities-lead", "sign of the difference is wrong")
def _(scores, free):
    fair = free - scores
    return fair[:, :-1].max(1).values - fair[:, -1]


@wrong("entities-lead", "subtracted, not divided")
def _(scores, free):
    fair = scores / free
    return fair[:, :-1].max(1).values - fair[:, -1]


@wrong("entities-lead", "this is the score of the best type")
def _(scores, free):
    return (scores - free)[:, :-1].max(1).values


@wrong("entities-lead", "no lead is below 0")
def _(scores, free):
    fair = scores - free
    return fair.max(1).values - fair[:, -1]


@wrong("entities-lead", "the last column is not calibrated")
def _(scores, free):
    return (scores - free)[:, :-1].max(1).values - scores[:, -1]


@wrong("entities-lead", "only the last column is calibrated")
def _(scores, free):
    return scores[:, :-1].max(1).values - (scores - free)[:, -1]


@wrong("entities-lead", "the lead has the wrong sign")
def _(scores, free):
    fair = scores - free
    return fair[:, -1] - fair[:, :-1].max(1).values


@wrong("entities-lead", "the mean of the types")
def _(scores, free):
    fair = scores - free
    return fair[:, :-1].mean(1) - fair[:, -1]


@wrong("entities-lead", "the types are added up")
def _(scores, free):
    fair = scores - free
    return fair[:, :-1].logsumexp(1) - fair[:, -1]


@right("entities-lead", "row by row")
def _(scores, free):
    rows = [(row - free).tolist() for row in scores]
    return torch.tensor([max(row[:-1]) - row[-1] for row in rows])


# --- entities-resolve ---------------------------------------------------------------------

def greedy(spans, key, apart=lambda a, b: a[1] <= b[0] or b[1] <= a[0]):
    kept = []
    for span in sorted(spans, key=key):
        if all(apart(span, other) for other in kept):
            kept.append(span)
    return kept


@wrong("entities-resolve", "in the order of their scores")
def _(spans):
    return greedy(spans, lambda s: -s[3])


@wrong("entities-resolve", "the worst score goes first")
def _(spans):
    return sorted(greedy(spans, lambda s: s[3]))


@wrong("entities-resolve", "in the order of the list")
def _(spans):
    return sorted(greedy(spans, lambda s: 0))


@wrong("entities-resolve", "the longest span goes first")
def _(spans):
    return sorted(greedy(spans, lambda s: s[0] - s[1]))


@wrong("entities-resolve", "that was itself dropped")
def _(spans):
    return sorted(s for s in spans if not any(
        o[3] > s[3] and o[0] < s[1] and s[0] < o[1] for o in spans))


@wrong("entities-resolve", "spans that touch")
def _(spans):
    return sorted(greedy(spans, lambda s: -s[3], lambda a, b: a[1] < b[0] or b[1] < a[0]))


@wrong("entities-resolve", "nothing is dropped")
def _(spans):
    return sorted(spans)


@wrong("entities-resolve", "only the best span")
def _(spans):
    return sorted(spans, key=lambda s: -s[3])[:1]


@right("entities-resolve", "by marking places")
def _(spans):
    taken, kept = set(), []
    for start, end, kind, score in sorted(spans, key=lambda s: s[3], reverse=True):
        if not taken & set(range(start, end)):
            taken |= set(range(start, end))
            kept.append((start, end, kind, score))
    return sorted(kept)


# --- entities-f1 --------------------------------------------------------------------------

def counts(gold, predicted):
    right = sum(len(set(g) & set(p)) for g, p in zip(gold, predicted))
    return right, sum(map(len, gold)), sum(map(len, predicted))


@wrong("entities-f1", "the type does not count")
def _(gold, predicted):
    bare = [[[e[:2] for e in own] for own in side] for side in (gold, predicted)]
    right, wanted, found = counts(*bare)
    return 2 * right / (wanted + found)


@wrong("entities-f1", "this is precision")
def _(gold, predicted):
    right, _, found = counts(gold, predicted)
    return right / found if found else 0.0


@wrong("entities-f1", "this is recall")
def _(gold, predicted):
    right, wanted, _ = counts(gold, predicted)
    return right / wanted


@wrong("entities-f1", "harmonic mean")
def _(gold, predicted):
    right, wanted, found = counts(gold, predicted)
    return (right / max(found, 1) + right / wanted) / 2


@wrong("entities-f1", "Jaccard")
def _(gold, predicted):
    right, wanted, found = counts(gold, predicted)
    return right / (wanted + found - right)


@wrong("entities-f1", "the factor 2")
def _(gold, predicted):
    right, wanted, found = counts(gold, predicted)
    return right / (wanted + found)


@wrong("entities-f1", "mean of the F1 of each text")
def _(gold, predicted):
    each = [counts([g], [p]) for g, p in zip(gold, predicted)]
    return sum(2 * r / max(w + f, 1) for r, w, f in each) / len(each)


@wrong("entities-f1", "different texts are mixed up")
def _(gold, predicted):
    gold, predicted = ({e for own in side for e in own} for side in (gold, predicted))
    return 2 * len(gold & predicted) / (len(gold) + len(predicted))


@stops("entities-f1", "nothing is predicted in one of the cases")
def _(gold, predicted):
    right, wanted, found = counts(gold, predicted)
    precision, recall = right / found, right / wanted
    return 2 * precision * recall / (precision + recall)


@right("entities-f1", "precision and recall first")
def _(gold, predicted):
    right, wanted, found = counts(gold, predicted)
    if not right:
        return 0.0
    precision, recall = right / found, right / wanted
    return 2 * precision * recall / (precision + recall)
