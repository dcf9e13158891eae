"""Exercises in the old form, whose hints lie in `X_hints.py`. Goes when the last is converted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from companion.exercises.compare import equal
from companion.exercises.exercise import Case


def _no_hint(*_: Any) -> None:
    return None


@dataclass(frozen=True)
class Exercise:
    """One exercise in the old form: hints are functions of a case and a wrong answer."""

    id: str
    function: str
    success: str
    results: tuple[str, ...]
    cases: Callable[[], Sequence[Case]]
    hint: Callable[[Case, Any], str | None] = _no_hint
    error_hint: Callable[[Exception], str | None] = _no_hint
    rules: tuple = ()

    def forbids_to_modify(self, argument: str) -> bool:
        """Always."""
        return True


def _first(rules: Iterable[tuple[Any, str]]) -> str | None:
    """The hint of the first rule that holds."""
    return next((hint for holds, hint in rules if holds), None)


def _same_result(got: Any, wrong_results: Iterable[tuple[Any, str]]) -> str | None:
    """The hint of the wrong result that `got` is equal to."""
    return _first((equal(wrong, got), hint) for wrong, hint in wrong_results)
