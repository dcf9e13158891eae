"""What an exercise is made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Case:
    """One call of the learner's function and the right answer to it.

    `given` maps argument names to values, in the order of the arguments. A tuple in `expected`
    stands for several results; a list is one result.
    """

    given: dict[str, Any]
    expected: Any


def _no_hint(*_: Any) -> None:
    return None


@dataclass(frozen=True)
class Exercise:
    """One exercise: its cases, and the hints for mistakes that are recognised.

    Attributes:
        id: the name the learner gives to `check`.
        function: the name of the function in the stub.
        success: the sentence after the ✓.
        results: one name for each result, for messages such as "labels: wrong shape".
        cases: builds the cases. It is called on every check, so a slow one caches its result.
        hint: gets a case and a wrong answer of the right kind and shape; returns a hint for the
            mistake, or None where the mistake is not known.
        error_hint: the same for an exception that the learner's function raised.
    """

    id: str
    function: str
    success: str
    results: tuple[str, ...]
    cases: Callable[[], Sequence[Case]]
    hint: Callable[[Case, Any], str | None] = _no_hint
    error_hint: Callable[[Exception], str | None] = _no_hint
