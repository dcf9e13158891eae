"""The exercises of the chapter "Zero-shot NER by prompts"."""

from functools import reduce

import torch

from companion.exercises.exercise import case, exercise


# Counted by listing the spans. The last two texts have fewer words than a span may have.
@exercise("entities-count", "the number of spans",
          "this is the number of questions for one sentence.",
          cases=[case(11, 4), case(5, 3), case(6, 1), case(7, 7), case(3, 5), case(2, 4)],
          expected=lambda words, longest: sum(
              last - first < longest for first in range(words) for last in range(first, words)))
def count_spans(words: int, longest: int) -> int:
    """Return the number of spans of at most `longest` words.

    words: the number of words of the text. There is no punctuation in it.
    longest: the most words of a span, at least 1. It may be larger than `words`.

    Example: count_spans(3, 2) returns 5: three spans of one word, two of two words.
    """
    k = min(words, longest)
    return k * words - k * (k - 1) // 2


count_spans.mistakes(
    ("spans that would end after the text are counted, too.", lambda n, k: n * k),
    ("these are the spans of every length. Only those of at most `longest` words count.",
     lambda n, k: n * (n + 1) // 2),
    ("these are the pairs of different words. A single word is a span, too, and a span has at "
     "most `longest` words.", lambda n, k: n * (n - 1) // 2),
    ("these are the spans of exactly `longest` words. Shorter ones count, too.",
     lambda n, k: n - k + 1, lambda n, k: max(n - k + 1, 0)),
    ("the spans of exactly `longest` words are missing: range(1, k) ends at k - 1.",
     lambda n, k: count_spans(n, k - 1)),
    ("a span cannot have more words than the text: use the smaller of the two numbers.",
     lambda n, k: k * n - k * (k - 1) // 2),
    ("each length has one span more: a span of n words fits once into n words.",
     lambda n, k: sum(n - size for size in range(1, k + 1)),
     lambda n, k: sum(n - size for size in range(1, min(n, k) + 1))))
count_spans.also_right(lambda n, k: sum(n - size + 1 for size in range(1, min(n, k) + 1)))


# Columns: PER, LOC, ORG, no entity. Calibrated: -1, -.5, -1, .5; -3, 1.5, 1.5, -1;
# -2.5, -.5, .75, 1.5; 0, .5, 2.5, -4. Then two types: -1, .5, -.5.
@exercise("entities-lead", "the leads", "what the model says about nothing is taken away.",
          cases=[case(torch.tensor([[-2.0, -3.0, -5.0, -1.5], [-4.0, -1.0, -2.5, -3.0],
                                    [-3.5, -3.0, -3.25, -0.5], [-1.0, -2.0, -1.5, -6.0]]),
                      torch.tensor([-1.0, -2.5, -4.0, -2.0]),
                      expected=torch.tensor([-1.0, 2.5, -0.75, 6.5])),
                 case(torch.tensor([[-2.0, -1.5, -1.0]]), torch.tensor([-1.0, -2.0, -0.5]),
                      expected=torch.tensor([1.0]))])
def lead(scores: torch.Tensor, free: torch.Tensor) -> torch.Tensor:
    """Return the calibrated lead of the best type over "no entity" for each span.

    scores: log-probabilities, shape (N, K). Row i belongs to span i. The last column is
        "no entity", the others are the types.
    free: the same for the question without content, shape (K,).
    Returns a tensor of shape (N,): subtract `free` from each row; then take the best type
    minus the last column. It is negative where "no entity" wins.

    Example: when all rows are equal to `free`, every lead is 0.
    """
    fair = scores - free
    return fair[:, :-1].amax(1) - fair[:, -1]


lead.mistakes(
    ("the scores are not calibrated: subtract the scores of the question without content.",
     lambda scores, free: lead(scores, free * 0)),
    ("the scores without content are added. Subtract them.", lambda x, free: lead(x, -free)),
    ("the sign of the difference is wrong: scores minus free.", lambda x, free: lead(-x, -free)),
    ("log-probabilities are subtracted, not divided.", lambda x, free: lead(x / free, free * 0)),
    ("this is the score of the best type. Subtract the score of no entity from it.",
     lambda scores, free: (scores - free)[:, :-1].amax(1)),
    ("no entity is among the types of which the best is taken, so no lead is below 0.",
     lambda scores, free: lead(scores, free).relu()),
    ("the last column is not calibrated. It has favourite words, too.",
     lambda scores, free: lead(scores, free) - free[-1]),
    ("only the last column is calibrated. Each type has favourite words, too.",
     lambda scores, free: lead(scores, free * 0) + free[-1]),
    ("the lead has the wrong sign: it is high for an entity.", lambda *given: -lead(*given)),
    ("the mean of the types is taken. Take the best one.",
     lambda scores, free: (scores - free)[:, :-1].mean(1) - (scores - free)[:, -1]),
    ("the types are added up. The question is which one of them wins, and by how much.",
     lambda scores, free: (scores - free)[:, :-1].logsumexp(1) - (scores - free)[:, -1]))
lead.also_right(lambda scores, free: torch.tensor(
    [max(row[:-1]) - row[-1] for row in (scores - free).tolist()]))


# A chain, in which the middle one decides; a bad long span; neighbours that touch.
@exercise("entities-resolve", "the spans that remain",
          "the best spans remain, and none overlaps another.", cases=[
    case([(12, 16, "ORG", 1.5), (0, 5, "PER", 1.0), (4, 10, "LOC", 3.0), (9, 14, "PER", 2.0),
          (15, 20, "LOC", 1.25), (22, 25, "PER", 0.5)],
         expected=[(4, 10, "LOC", 3.0), (12, 16, "ORG", 1.5), (22, 25, "PER", 0.5)]),
    case([(0, 20, "ORG", 0.75), (3, 8, "PER", 1.5), (9, 12, "LOC", 0.5), (13, 20, "PER", 1.0)],
         expected=[(3, 8, "PER", 1.5), (9, 12, "LOC", 0.5), (13, 20, "PER", 1.0)]),
    case([(0, 4, "PER", 0.5), (4, 9, "LOC", 0.25), (10, 12, "ORG", 2.0)],
         expected=[(0, 4, "PER", 0.5), (4, 9, "LOC", 0.25), (10, 12, "ORG", 2.0)]),
    case([], expected=[])])
def resolve(spans: list[tuple]) -> list[tuple]:
    """Return spans that do not overlap, the best first chosen.

    spans: tuples (start, end, type, score) in any order. `end` is the first place behind
        the span. No two scores are equal. The list must not be modified.
    Returns the spans that remain, in the order of the text: go through the spans from the
    best score to the worst, and keep a span if it overlaps none that you have kept.

    Example: resolve([(0, 3, "PER", 0.5), (0, 8, "ORG", 2.0)]) returns
    [(0, 8, "ORG", 2.0)].
    """
    kept = []
    for span in sorted(spans, key=lambda span: -span[3]):
        if all(span[1] <= other[0] or other[1] <= span[0] for other in kept):
            kept.append(span)
    return sorted(kept)


def _greedy(key, gap=0):
    def answer(spans):
        kept = []
        for span in sorted(spans, key=key):
            if all(span[1] + gap <= other[0] or other[1] + gap <= span[0] for other in kept):
                kept.append(span)
        return sorted(kept)
    return answer


resolve.mistakes(
    ("the right spans, in the order of their scores. Return them in the order of the text.",
     lambda spans: sorted(resolve(spans), key=lambda span: -span[3])),
    ("the worst score goes first. sorted() puts small numbers first.", _greedy(lambda s: s[3])),
    ("the spans are taken in the order of the list, not of the scores.", _greedy(lambda s: 0)),
    ("the longest span goes first. The best score goes first.", _greedy(lambda s: s[0] - s[1])),
    ("a span is dropped for a better one that was itself dropped. Compare a span with those that "
     "you have kept.", lambda spans: sorted(a for a in spans if not any(
         b[3] > a[3] and b[0] < a[1] and a[0] < b[1] for b in spans))),
    ("spans that touch do not overlap: `end` is the first place after a span.",
     _greedy(lambda span: -span[3], gap=1)),
    ("nothing is dropped: no two spans of the result may overlap.", sorted),
    ("only the best span is kept. A text may have several entities.",
     lambda spans: sorted(spans, key=lambda span: -span[3])[:1]))
resolve.also_right(lambda spans: sorted(reduce(  # by the places that two spans share
    lambda kept, new: kept + [new] * (not any({*range(*new[:2])} & {*range(*old[:2])}
                                              for old in kept)),
    sorted(spans, key=lambda span: span[3], reverse=True), [])))


# 4 right, 8 to find, 11 predicted, one of them in the wrong text; then nothing is predicted.
@exercise("entities-f1", "F1", "an entity counts only when span and type are right.", cases=[
    case([[(0, 3, "PER"), (8, 12, "LOC")], [(0, 5, "ORG")], [], [(4, 9, "LOC")],
          [(2, 6, "PER"), (9, 15, "ORG"), (20, 24, "LOC"), (30, 33, "LOC")]],
         [[(0, 3, "PER"), (8, 12, "ORG")], [(0, 5, "ORG")], [(8, 12, "LOC")], [(4, 8, "LOC")],
          [(2, 6, "PER"), (9, 15, "ORG"), (20, 26, "LOC"), (30, 33, "PER"), (36, 40, "PER"),
           (44, 47, "PER")]], expected=8 / 19),
    case([[(0, 3, "PER")]], [[]], expected=0.0)])
def entity_f1(gold: list[list[tuple]], predicted: list[list[tuple]]) -> float:
    """Return the F1 of entities, strict by span and type.

    gold: for each text its entities, tuples (start, end, type).
    predicted: the same for the predictions; no list has an entity twice.
    Returns one number for all texts together. It is 0.0 when no entity is right.

    Example: entity_f1([[(0, 3, "PER")]], [[(0, 3, "LOC")]]) returns 0.0, since the type
    is wrong.
    """
    right = sum(len(set(g) & set(p)) for g, p in zip(gold, predicted))
    total = sum(map(len, gold)) + sum(map(len, predicted))
    return 2 * right / total if total else 0.0


def _counted(rule):
    """`rule(right, to find, predicted)`"""
    return lambda gold, predicted: rule(sum(len({*g} & {*p}) for g, p in zip(gold, predicted)),
                                        sum(map(len, gold)), sum(map(len, predicted)))


entity_f1.mistakes(
    ("the type does not count here. An entity is right only when start, end and type are.",
     lambda *sides: entity_f1(*([[e[:2] for e in text] for text in side] for side in sides))),
    ("this is precision: the share of the predicted ones that are right.",
     _counted(lambda r, gold, found: r / max(found, 1)), _counted(lambda r, g, found: r / found)),
    ("this is recall: the share of the entities that were found.", _counted(lambda r, g, _: r / g)),
    ("this is the plain mean of precision and recall. F1 is their harmonic mean.",
     _counted(lambda right, gold, found: (right / max(found, 1) + right / gold) / 2)),
    ("each entity of the union counts once: this is the Jaccard index, lower than F1.",
     _counted(lambda right, gold, found: right / (gold + found - right))),
    ("the factor 2 is missing.", lambda *given: entity_f1(*given) / 2),
    ("this is the mean of the F1 of each text. Count over all texts first.",
     lambda *sides: sum(entity_f1([g], [p]) for g, p in zip(*sides)) / len(sides[0])),
    ("entities of different texts are mixed up. Two texts may have an entity at the same place.",
     lambda *sides: entity_f1(*([sum(side, [])] for side in sides))),
    ("nothing is predicted in one of the cases. F1 is 0 there, without a division.",
     _counted(lambda right, gold, found: 2 / (found / right + gold / right)),
     _counted(lambda right, gold, found: 2 / (1 / (right / max(found, 1)) + gold / max(right, 1)))))
entity_f1.also_right(_counted(
    lambda right, gold, found: right and 2 / (found / right + gold / right)))
