"""How good are found entities? Precision, recall and F1 of whole entities (Tjong Kim Sang, 2002).

A found entity is right when its start, its end and its type are right; there is no part of a
point. Everything is computed from counts for each sentence, so the bootstrap costs little.
The figures are those of seqeval in ``mode="strict"`` with the scheme of the tags.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from companion.entity import Entity, Example
from companion.errors import CourseError
from companion.guards import door
from companion.ner.schemes import to_tags

MICRO = "micro"
ERRORS = ("right", "type", "boundary", "boundary and type", "missed", "invented")


@dataclass(frozen=True)
class Score:
    """Counts of entities, and the shares that follow (0 where there is nothing to divide by).

    Attributes:
        right: found and true. predicted: all found. true: all of the reference.
    """

    right: int
    predicted: int
    true: int

    @property
    def precision(self) -> float:
        return self.right / self.predicted if self.predicted else 0.0

    @property
    def recall(self) -> float:
        return self.right / self.true if self.true else 0.0

    @property
    def f1(self) -> float:
        both = self.predicted + self.true
        return 2 * self.right / both if both else 0.0


Sentences = Sequence[Sequence[Entity]]


@door
def count(true: Sentences, predicted: Sentences, types: Sequence[str]) -> np.ndarray:
    """Right, predicted and true entities of each sentence and type.

    Returns:
        (sentences, types, 3), int.

    Raises:
        CourseError: lists of different lengths, none at all, or a type that is not in `types`.
    """
    _same_length(true, predicted)
    number = {name: i for i, name in enumerate(types)}
    table = np.zeros((len(true), len(types), 3), int)
    for row, pair in enumerate(zip(true, predicted)):
        wanted, found = map(set, pair)
        for column, part in enumerate((wanted & found, found, wanted)):
            for entity in part:
                if entity.type not in number:
                    raise CourseError(f"there is an entity of type {entity.type!r}: name all "
                                      "types")
                table[row, number[entity.type], column] += 1
    return table


@door
def score(
    true: Sentences, predicted: Sentences, types: Sequence[str] | None = None
) -> dict[str, Score]:
    """Scores of each type (sorted, unless given) and of all entities together (``"micro"``)."""
    if types is None:
        types = sorted({e.type for part in (true, predicted) for row in part for e in row})
    counts = count(true, predicted, types).sum(0).tolist()
    total = np.sum(counts, axis=0, dtype=int).tolist() if counts else [0, 0, 0]
    return {name: Score(*row) for name, row in zip(types, counts)} | {MICRO: Score(*total)}


@door
def bootstrap(
    true: Sentences, predicted: Sentences, samples: int = 1000, level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Confidence interval of the micro F1 over sentences drawn with replacement (Efron, 1979).

    It says how much the score would move with other test sentences of this kind, not how much
    it would move with another training run.

    Returns:
        ``(low, high)``: the share ``level`` of the samples lies between.
    """
    if not 0 < level < 1 or not 1 <= samples <= 10**6:
        raise CourseError(f"level is {level} and samples is {samples}: give a share between 0 "
                          "and 1, and 1 to a million samples")
    types = sorted({e.type for part in (true, predicted) for row in part for e in row})
    each = count(true, predicted, types).sum(1)
    draw = np.random.default_rng(seed)
    times = draw.multinomial(len(each), np.full(len(each), 1 / len(each)), samples)
    right, found, wanted = (times @ each).T
    f1 = 2 * right / np.maximum(found + wanted, 1)
    low, high = np.quantile(f1, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


@door
def token_accuracy(
    true: Sentences, predicted: Sentences, lengths: Sequence[int], scheme: str = "BIO"
) -> float:
    """Share of units (characters, or tokens) whose tag is right. Most of them are ``O``.

    Args:
        lengths: how many units each sentence has, in which the entities count.
    """
    _same_length(true, predicted)
    _same_length(true, lengths)
    same = total = 0
    for wanted, found, length in zip(true, predicted, lengths):
        pairs = zip(to_tags(wanted, length, scheme), to_tags(found, length, scheme))
        same, total = same + sum(a == b for a, b in pairs), total + length
    if not total:
        raise CourseError("there is no unit to score: give at least one")
    return same / total


@door
def strings(examples: Sequence[Example]) -> set[tuple[str, str]]:
    """The entities of examples as ``(text, type)``, for `seen_and_unseen`."""
    return {(x.text[e.start : e.end], e.type) for x in examples for e in x.entities}


@door
def seen_and_unseen(
    examples: Sequence[Example], predicted: Sentences, known: Collection[tuple[str, str]]
) -> dict[str, Score]:
    """Scores of the entities that the training text has, and of the others.

    Args:
        known: ``(text, type)`` of the training entities (`strings`). An entity is seen when
            it is in there with the same type. True and found entities are divided alike.
    """
    _same_length(examples, predicted)
    parts = {"seen": ([], []), "unseen": ([], [])}
    for example, found in zip(examples, predicted):
        for column, part in enumerate((example.entities, found)):
            seen = [(example.text[e.start : e.end], e.type) in known for e in part]
            parts["seen"][column].append([e for e, yes in zip(part, seen) if yes])
            parts["unseen"][column].append([e for e, yes in zip(part, seen) if not yes])
    return {name: score(*part)[MICRO] for name, part in parts.items()}


@door
def errors(true: Sentences, predicted: Sentences) -> dict[str, int]:
    """What became of the entities: counts of each of ``ERRORS``.

    Each true entity is counted once: right; right place, wrong *type*; right type, wrong
    *boundary* (the two share a character); both wrong; or *missed*: nothing was found there.
    So the first five add up to the true entities. *Invented* are found entities that share
    no character with a true one.
    """
    _same_length(true, predicted)
    counts = dict.fromkeys(ERRORS, 0)
    for wanted, found in zip(true, predicted):
        for entity in wanted:
            counts[_fate(entity, [f for f in found if f.overlaps(entity)])] += 1
        counts["invented"] += sum(not any(f.overlaps(e) for e in wanted) for f in found)
    return counts


def _fate(entity: Entity, near: Sequence[Entity]) -> str:
    place = {(f.start, f.end) for f in near}
    if entity in near:
        return "right"
    if (entity.start, entity.end) in place:
        return "type"
    if any(f.type == entity.type for f in near):
        return "boundary"
    return "boundary and type" if near else "missed"


def _same_length(one: Sequence, two: Sequence) -> None:
    if len(one) != len(two) or not len(one):
        raise CourseError(f"{len(one)} sentences against {len(two)}: give the same number, at "
                          "least one")
