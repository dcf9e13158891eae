"""`check`: run a learner's function on the cases of an exercise and say what it found."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch

from companion.errors import CourseError
from companion.exercises import running
from companion.exercises.compare import first_difference, kind_problem
from companion.exercises.display import is_large, place_of_difference, shown
from companion.exercises.exercise import Case, Exercise
from companion.exercises.recognise import holds, known_hint
from companion.exercises.registry import find, find_function
from companion.exercises.running import Run, TooLong


@dataclass(frozen=True)
class Outcome:
    """What `check` found. It is true when the answer passed.

    `status` is "passed", "not attempted", "wrong" or "error"; `message` is the text printed.
    `given` has the inputs of the example that the message is about, by argument name.
    """

    exercise_id: str
    status: str
    message: str
    given: dict[str, Any] | None = None

    def __bool__(self) -> bool:
        return self.status == "passed"

    def _ipython_display_(self) -> None:
        """Show nothing: `check` has printed the message, and a notebook would repeat it."""


def check(exercise_id: str, answer: Callable[..., Any] | None = None) -> Outcome:
    """Compare `answer` with the reference of an exercise and print the finding.

    A wrong answer never raises: an exception inside `answer` is caught and reported, and a loop
    without end is stopped after 10 seconds. `answer` works on copies, so nothing of yours is
    modified.

    Args:
        exercise_id: for example "masked-loss".
        answer: your function, not the result of calling it.

    Raises:
        CourseError: no exercise has this id.
    """
    if callable(exercise_id):
        asked = find(answer) if isinstance(answer, str) else find_function(exercise_id.__name__)
        raise CourseError(f"the id of the exercise comes first: {_call(asked)}")
    exercise = find(exercise_id)
    with torch.random.fork_rng(devices=[]):
        outcome = _judge(exercise, answer)
    print(outcome.message)
    return outcome


def _call(exercise: Exercise) -> str:
    return f'check("{exercise.id}", {exercise.function})'


def _judge(exercise: Exercise, answer: Any) -> Outcome:
    if not callable(answer):
        what = "give your function too" if answer is None else (
            "give the function itself, without calling it")
        return _outcome(exercise, "wrong", f"{what}: {_call(exercise)}")
    cases = exercise.cases()
    runs = running.run_all(answer, cases, running.SECONDS)
    for number, run in enumerate(runs):
        outcome = _judge_run(exercise, answer, runs, number)
        if outcome is not None:
            also = [f"\n    It also modifies its argument `{name}`." for name in run.modified]
            return replace(outcome, message=outcome.message + "".join(also))
    return _passed(exercise, runs)


def _passed(exercise: Exercise, runs: list[Run]) -> Outcome:
    modified = dict.fromkeys(name for run in runs for name in run.modified)
    for name in filter(exercise.forbids_to_modify, modified):
        return _outcome(exercise, "wrong", f"your function modifies its argument `{name}`. "
                                           "Work on a copy, so that the caller keeps the original.")
    note = "".join(f"\n    Note: your function modifies its argument `{name}`. Here it is allowed, "
                   "but the caller loses the original." for name in modified)
    return Outcome(exercise.id, "passed", f"✓ {exercise.id}: {exercise.success}{note}")


def _judge_run(exercise: Exercise, answer: Callable, runs: list[Run], number: int
               ) -> Outcome | None:
    """The outcome that one run decides, or None when it is right."""
    case, run = exercise.cases()[number], runs[number]
    if run.error:
        return _raised(exercise, answer, runs, number)
    problem = kind_problem(case.expected, run.value, exercise.results)
    difference = None if problem else first_difference(case.expected, run.value, exercise.results)
    if problem is None and difference is None:
        refused = (rule.hint for rule in exercise.rules
                   if rule.always and holds(rule, case, run.value))
        hint = next(refused, None)
    else:
        hint = known_hint(exercise, runs, number) or problem or _comparison(case, *difference)
    return _outcome(exercise, "wrong", hint, case) if hint else None


def _outcome(exercise: Exercise, status: str, hint: str, case: Case | None = None) -> Outcome:
    return Outcome(exercise.id, status, f"✗ {exercise.id}: {hint}", case and case.given)


def _comparison(case: Case, name: str, expected: Any, got: Any) -> str:
    lines = [f"{name}: not right yet for this example."]
    lines += [f"    {argument} = {shown(value)}" for argument, value in case.given.items()]
    lines += [f"    expected: {shown(expected)}", f"    got:      {shown(got)}"]
    place = place_of_difference(expected, got)
    lines += [f"    The first difference is {place}."] if place else []
    if any(map(is_large, case.given.values())):
        lines += ["    All values of this example: check(...).given"]
    return "\n".join(lines)


def _raised(exercise: Exercise, answer: Callable, runs: list[Run], number: int) -> Outcome:
    error, case = runs[number].error, exercise.cases()[number]
    # torch raises NotImplementedError too, with a text; the one in a stub has none.
    if isinstance(error, NotImplementedError) and not str(error):
        return Outcome(exercise.id, "not attempted", f"{exercise.id}: not attempted yet")
    line = _line_of(answer, error)
    place = f" in line {line.lineno}" if line else ""
    source = line.line if line else None
    if isinstance(error, TooLong):
        what = (f"your code was stopped{place} after {running.SECONDS:g} seconds. "
                "Does a loop never end?")
        return _outcome(exercise, "error", what + (f"\n    {source}" if source else ""), case)
    what = f"your code stopped{place} with {type(error).__name__}: {_short(error)}"
    second = known_hint(exercise, runs, number) or _while_sorting(error, source) or source
    return _outcome(exercise, "error", what + (f"\n    {second}" if second else ""), case)


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]


def _while_sorting(error: BaseException, source: str | None) -> str | None:
    """Python empties a list while it sorts it, which nobody can guess from the message."""
    if isinstance(error, ValueError) and "is not in list" in str(error) and ".sort(" in (
            source or ""):
        return "a list is empty while it sorts itself: look the places up in a copy, or use sorted."
    return None


def _line_of(answer: Callable, error: BaseException) -> traceback.FrameSummary | None:
    """The deepest line that the learner wrote, rather than one inside a library."""
    code = getattr(answer, "__code__", None)
    frames = traceback.extract_tb(error.__traceback__)
    mine = [frame for frame in frames if code and frame.filename == code.co_filename]
    return mine[-1] if mine else None
