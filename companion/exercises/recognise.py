"""Finding the known mistake that an answer makes.

An answer makes a mistake when it has the results of the wrong function in *every* case, in each
result that the mistake gets wrong. One case would be too little: there, other mistakes often
have the same result. Never is the code of an answer read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from companion.exercises.compare import equal, kind_problem
from companion.exercises.exercise import Case, Exercise
from companion.exercises.running import Run, run_all


def known_hint(exercise: Exercise, runs: Sequence[Run], first_wrong: int) -> str | None:
    """The hint for the mistake that these runs show, or None."""
    cases = exercise.cases()[:len(runs)]
    for mistake in exercise.known:
        for function in mistake.functions:
            if _makes(run_all(function, cases), runs, cases, len(exercise.results)):
                return mistake.hint
    case, run = cases[first_wrong], runs[first_wrong]
    if run.error or kind_problem(case.expected, run.value, exercise.results):
        return None
    return next((rule.hint for rule in exercise.rules if holds(rule, case, run.value)), None)


def holds(rule: Any, case: Case, value: Any) -> bool:
    """Whether a rule holds; one that cannot be asked about such a value does not."""
    try:
        return bool(rule.holds(case, value))
    except Exception:  # noqa: BLE001 (learners return anything)
        return False


def _makes(wrong: Sequence[Run], runs: Sequence[Run], cases: Sequence[Case], count: int) -> bool:
    """Whether the answer agrees with the wrong function wherever that one is wrong."""
    def parts(value: Any) -> tuple:
        several = count > 1 and isinstance(value, (tuple, list)) and len(value) == count
        return tuple(value) if several else (value,)

    places: set[int] = set()
    for case, theirs in zip(cases, wrong, strict=True):
        right, parted = parts(case.expected), parts(theirs.value)
        if theirs.error or len(parted) != len(right):
            places.add(-1)  # nothing but the whole outcome can be compared
        else:
            places |= {i for i, (a, b) in enumerate(zip(right, parted)) if not equal(a, b)}
    return bool(places) and all(
        _same_error(theirs.error, mine.error) if theirs.error or mine.error
        else -1 in places and _alike(theirs.value, mine.value)
        or -1 not in places and _agree(parts(theirs.value), parts(mine.value), places)
        for theirs, mine in zip(wrong, runs, strict=True))


def _agree(theirs: tuple, mine: tuple, places: set[int]) -> bool:
    return len(theirs) == len(mine) and all(_alike(theirs[i], mine[i]) for i in places)


def _alike(theirs: Any, mine: Any) -> bool:
    """Equal, also where one is a tensor and the other a number."""
    return equal(theirs, mine) or equal(mine, theirs)


def _same_error(theirs: BaseException | None, mine: BaseException | None) -> bool:
    """The same type and the same words; numbers such as shapes may differ."""
    def words(error: BaseException | None) -> str:
        return re.sub(r"\d+", "", str(error))

    return type(theirs) is type(mine) and words(theirs) == words(mine)
