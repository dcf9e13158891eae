"""K-shot draws: a few labelled examples per class, the same on every machine.

Gao et al. (2021, section 3.3) draw K examples per class five times, with five named seeds, and
as many again for validation. Here an example's place in the draw is a hash of the seed and of
the example's id. So a draw depends neither on the order of the data nor on the version of a
random generator, and draws of one seed are *nested*: the 4 examples per class of K = 4 are
among the 8 of K = 8. Draws of different seeds are independent of each other.
"""

import hashlib
import math
import statistics
from collections.abc import Hashable, Sequence

from datasets import Dataset
from pandas import DataFrame

from companion.errors import CourseError
from companion.guards import door

SEEDS = (13, 21, 42, 87, 100)  # those of Gao et al.
SIZES = (4, 8, 16, 32, 64)  # K


def key(seed: int, name: str) -> str:
    """The place of one example in the order of a seed: 64 hexadecimal digits."""
    return hashlib.sha256(f"few-shot {seed}: {name}".encode()).hexdigest()


@door
def draw(split: Dataset | DataFrame, k: int, seed: int) -> tuple[Dataset, Dataset]:
    """K examples per class to learn from, and K others per class for validation.

    Within a class, the examples stand in the order of ``key``. Every first one goes to the
    training part, every second one to the validation part, so the two never overlap, whatever
    their K.

    Args:
        split: *training* split with the column ``label``. Without a column ``id``, the number of
            a row is its id, so that the draw depends on the order of the rows.
        k: examples per class, at least 1.
        seed: one of ``SEEDS``; another one for choosing settings.

    Returns:
        ``(training, validation)``, each with k rows of every class, classes taken in turn.

    Raises:
        CourseError: no column ``label``, a row without label, k below 1, fewer than two classes,
            or a class with fewer than 2 k examples.
    """
    split = _with_ids(split)
    groups = _by_class(split, k)
    names = split["id"][:]  # a slice: walking over a column one by one takes much longer
    order = [sorted(group, key=lambda place: key(seed, names[place])) for group in groups]
    parts = [[group[2 * i + part] for i in range(k) for group in order] for part in (0, 1)]
    return split.select(parts[0]), split.select(parts[1])


def _with_ids(split: Dataset | DataFrame) -> Dataset:
    """The split as a Dataset with ids that are texts."""
    if isinstance(split, DataFrame):
        try:
            split = Dataset.from_pandas(split.rename(columns=str), preserve_index=False)
        except (ValueError, TypeError, OverflowError, NotImplementedError, KeyError) as problem:
            first = (str(problem).splitlines() or [""])[0]
            raise CourseError(f"the table is no Dataset ({first}): give each column one type and "
                              "a name of its own") from None
    ids = split["id"][:] if "id" in split.column_names else range(len(split))
    if all(isinstance(i, str) for i in ids):
        return split
    if "id" in split.column_names:
        split = split.remove_columns("id")
    return split.add_column("id", [str(i) for i in ids])


def _by_class(split: Dataset, k: int) -> list[list[int]]:
    if "label" not in split.column_names:
        raise CourseError("the split has no column 'label': name the column of the labels so")
    if k < 1:
        raise CourseError(f"K is {k}: give at least 1 example per class")
    labels = split["label"][:]
    for row, label in enumerate(labels):
        if label is None or label != label or not isinstance(label, Hashable):
            raise CourseError(f"row {row} has no label: fill it, or drop the row")
    try:
        kinds = sorted(set(labels))
    except TypeError:
        raise CourseError("the labels are of several types: make all of them str, or all "
                          "numbers") from None
    groups = [[i for i, label in enumerate(labels) if label == kind] for kind in kinds]
    if len(groups) < 2:
        raise CourseError(f"the split has {len(groups)} classes: a draw needs at least two")
    smallest = min(map(len, groups))
    if smallest < 2 * k:
        raise CourseError(f"a class has {smallest} examples, and K = {k} needs {2 * k}, half of "
                          "them for validation: give a smaller K")
    return groups


@door
def checksum(parts: Sequence[Dataset]) -> str:
    """16 hexadecimal digits that change when any example or its place changes.

    Raises:
        CourseError: a part without the column ``id``, which ``draw`` gives its parts.
    """
    if any("id" not in part.column_names for part in parts):
        raise CourseError("a part has no column 'id': take the parts from draw")
    names = "\n".join(str(name) for part in parts for name in part["id"][:])
    return hashlib.sha256(names.encode()).hexdigest()[:16]


@door
def compare(first: Sequence[float], second: Sequence[float]) -> dict[str, float]:
    """Two methods after the same draws: is their difference larger than their spread?

    Args:
        first, second: accuracies, one for each seed in the same order.

    Returns:
        ``difference`` of the means (first minus second); ``joint``, the root of the summed
        squared standard deviations (with n - 1), which is the standard deviation of the
        difference of two independent runs; ``paired``, the standard deviation of the
        differences seed by seed; ``wins``, the number of seeds where the first is better.

    Raises:
        CourseError: fewer than two seeds, or not the same number of both.
    """
    flat = all(getattr(part, "ndim", 1) == 1 for part in (first, second))
    if not flat or len(first) != len(second) or len(first) < 2:
        raise CourseError(f"{len(first)} and {len(second)} accuracies: give one of each method "
                          "for every seed, and at least two seeds")
    first, second = [float(a) for a in first], [float(b) for b in second]
    pairs = [a - b for a, b in zip(first, second)]
    return {"difference": statistics.mean(pairs),
            "joint": math.hypot(statistics.stdev(first), statistics.stdev(second)),
            "paired": statistics.stdev(pairs), "wins": sum(pair > 0 for pair in pairs)}
