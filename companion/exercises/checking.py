"""`check`: run a learner's function on the cases of an exercise and say what it found."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from companion.exercises.compare import copied, equal, first_difference, kind_problem, shown
from companion.exercises.exercise import Case, Exercise
from companion.exercises.registry import find


@dataclass(frozen=True)
class Outcome:
    """What `check` found. It is true when the answer passed.

    `status` is "passed", "not attempted", "wrong" or "error"; `message` is the text printed.
    """

    exercise_id: str
    status: str
    message: str

    def __bool__(self) -> bool:
        return self.status == "passed"

    def _ipython_display_(self) -> None:
        """Show nothing: `check` has printed the message, and a notebook would repeat it."""


def check(exercise_id: str, answer: Callable[..., Any]) -> Outcome:
    """Compare `answer` with the reference of an exercise and print the finding.

    A wrong answer never raises: an exception inside `answer` is caught and reported. `answer`
    works on copies, so nothing of yours is modified.

    Args:
        exercise_id: for example "masked-loss".
        answer: your function, not the result of calling it.

    Raises:
        CourseError: no exercise has this id.
    """
    exercise = find(exercise_id)
    outcome = _judge(exercise, answer)
    print(outcome.message)
    return outcome


def _judge(exercise: Exercise, answer: Any) -> Outcome:
    if not callable(answer):
        call = f'check("{exercise.id}", {exercise.function})'
        return _wrong(exercise, f"give the function itself, without calling it: {call}")
    for case in exercise.cases():
        outcome = _judge_case(exercise, answer, case)
        if outcome is not None:
            return outcome
    return Outcome(exercise.id, "passed", f"✓ {exercise.id}: {exercise.success}")


def _judge_case(exercise: Exercise, answer: Callable[..., Any], case: Case) -> Outcome | None:
    """The outcome that one case decides, or None when the case is right."""
    with torch.enable_grad():
        given = {name: copied(value) for name, value in case.given.items()}
        try:
            got = answer(*given.values())
        except Exception as error:  # noqa: BLE001 (whatever the learner's code raises)
            return _raised(exercise, answer, error)
    changed = [name for name, value in given.items() if not equal(case.given[name], value)]
    if changed:
        return _wrong(exercise, f"your function modifies its argument `{changed[0]}`. "
                                "Work on a copy, so that the caller keeps the original.")
    problem = kind_problem(case.expected, got, exercise.results)
    if problem:
        return _wrong(exercise, problem)
    difference = first_difference(case.expected, got, exercise.results)
    if difference is None:
        return None
    return _wrong(exercise, exercise.hint(case, got) or _comparison(case, *difference))


def _wrong(exercise: Exercise, hint: str) -> Outcome:
    return Outcome(exercise.id, "wrong", f"✗ {exercise.id}: {hint}")


def _comparison(case: Case, name: str, expected: Any, got: Any) -> str:
    lines = [f"{name}: not right yet for this example."]
    lines += [f"    {argument} = {shown(value)}" for argument, value in case.given.items()]
    lines += [f"    expected: {shown(expected)}", f"    got:      {shown(got)}"]
    return "\n".join(lines)


def _raised(exercise: Exercise, answer: Callable[..., Any], error: Exception) -> Outcome:
    # torch raises NotImplementedError too, with a text; the one in a stub has none.
    if isinstance(error, NotImplementedError) and not str(error):
        return Outcome(exercise.id, "not attempted", f"{exercise.id}: not attempted yet")
    text = " ".join(str(error).split())[:200]
    line = _line_of(answer, error)
    place = f" in line {line.lineno}" if line else ""
    message = f"✗ {exercise.id}: your code stopped{place} with {type(error).__name__}: {text}"
    second = exercise.error_hint(error) or (line.line if line else None)
    return Outcome(exercise.id, "error", message + (f"\n    {second}" if second else ""))


def _line_of(answer: Callable[..., Any], error: Exception) -> traceback.FrameSummary | None:
    """The deepest line that the learner wrote, rather than one inside a library."""
    code = getattr(answer, "__code__", None)
    frames = traceback.extract_tb(error.__traceback__)
    mine = [frame for frame in frames if code and frame.filename == code.co_filename]
    return mine[-1] if mine else None
