"""Exercises with feedback: `check("<id>", function)` compares an answer with a trusted reference.

A chapter shows a stub whose body raises `NotImplementedError`. The next cell calls `check`,
which prints one of three things: ✓, "not attempted yet", or ✗ with a hint.

To add a chapter: write a module with a tuple `EXERCISES` and name it in `CHAPTERS`
of `registry.py`. The tests find its solutions and wrong answers by the name of the module.
"""

from companion.exercises.checking import Outcome, check
from companion.exercises.exercise import Case, Exercise
from companion.exercises.registry import find, ids
from companion.exercises.stubs import blank

__all__ = ["Case", "Exercise", "Outcome", "blank", "check", "find", "ids"]
