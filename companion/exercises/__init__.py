"""Exercises with feedback: `check("<id>", function)` compares an answer with a trusted reference.

A chapter shows a stub whose body raises `NotImplementedError`. The next cell calls `check`,
which prints one of three things: ✓, "not attempted yet", or ✗ with a hint.

The exercises of a chapter lie in the file with the chapter's name; `exercise.py` shows how one
is written. `python -m tools.exercises` writes the stubs and solutions of the pages from it.
"""

from companion.exercises.checking import Outcome, check
from companion.exercises.registry import find, ids

__all__ = ["Outcome", "check", "find", "ids"]
