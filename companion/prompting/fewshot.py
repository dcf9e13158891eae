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
from collections.abc import Sequence

from datasets import Dataset

from companion.errors import CourseError
from companion.guards import as_list, is_count

SEEDS = (13, 21, 42, 87, 100)  # those of Gao et al.
SIZES = (4, 8, 16, 32, 64)  # K


def key(seed: int, name: str) -> str:
    """The place of one example in the order of a seed: 64 hexadecimal digits."""
    return hashlib.sha256(f"few-shot {seed}: {name}".encode()).hexdigest()


def draw(split: Dataset, k: int, seed: int) -> tuple[Dataset, Dataset]:
    """K examples per class to learn from, and K others per class for validation.

    Within a class, the examples stand in the order of ``key``. Every first one goes to the
    training part, every second one to the validation part, so the two never overlap, whatever
    their K.

    Args:
        split: *training* split with the columns ``label`` and ``id``.
        k: examples per class, at least 1.
        seed: one of ``SEEDS``; another one for choosing settings.

    Returns:
        ``(training, validation)``, each with k rows of every class, classes taken in turn.

    Raises:
        CourseError: columns missing, k below 1, fewer than two classes, or a class with fewer
            than 2 k examples.
    """
    groups = _by_class(split, k)
    names = split["id"][:]  # a slice: walking over a column one by one takes much longer
    order = [sorted(group, key=lambda place: key(seed, names[place])) for group in groups]
    parts = [[group[2 * i + part] for i in range(k) for group in order] for part in (0, 1)]
    return split.select(parts[0]), split.select(parts[1])


def _by_class(split: Dataset, k: int) -> list[list[int]]:
    missing = {"label", "id"} - set(split.column_names)
    if missing:
        raise CourseError(f"the split has no column '{min(missing)}': take one of "
                          "companion.corpora")
    if not is_count(k):
        raise CourseError(f"K is {k}: give at least 1 example per class")
    labels = split["label"][:]
    groups = [[i for i, label in enumerate(labels) if label == kind]
              for kind in sorted(set(labels))]
    if len(groups) < 2:
        raise CourseError(f"the split has {len(groups)} classes: a draw needs at least two")
    smallest = min(map(len, groups))
    if smallest < 2 * k:
        raise CourseError(f"a class has {smallest} examples, and K = {k} needs {2 * k}, half of "
                          "them for validation: give a smaller K")
    return groups


def checksum(parts: Sequence[Dataset]) -> str:
    """16 hexadecimal digits that change when any example or its place changes."""
    names = "\n".join(name for part in parts for name in part["id"][:])
    return hashlib.sha256(names.encode()).hexdigest()[:16]


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
    first, second = as_list(first, "first"), as_list(second, "second")
    if len(first) != len(second) or len(first) < 2:
        raise CourseError(f"{len(first)} and {len(second)} accuracies: give one of each method "
                          "for every seed, and at least two seeds")
    pairs = [a - b for a, b in zip(first, second)]
    return {"difference": statistics.mean(pairs),
            "joint": math.hypot(statistics.stdev(first), statistics.stdev(second)),
            "paired": statistics.stdev(pairs), "wins": sum(pair > 0 for pair in pairs)}
