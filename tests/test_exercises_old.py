"""Exercises in the old form; this file goes when the last chapter is converted.

The solutions are read from the cells of the solutions page, so the page and the tests share one
source; other answers, wrong and right, lie in `exercises_mutants`.
"""

import ast
import re
import runpy
from pathlib import Path

import jupytext
import pytest

from companion.exercises import check, find
from companion.exercises.registry import CHAPTERS as ALL
from tools.exercises import blank

CHAPTERS = {name: module for name, module in ALL.items() if hasattr(module, "EXERCISES")}

ROOT = Path(__file__).parents[1]


def _tables(module):
    """Wrong and right answers of one chapter: `exercises_mutants/NAME.py` for its module."""
    name = module.__name__.rpartition(".")[2]
    return runpy.run_path(str(Path(__file__).parent / "exercises_mutants" / f"{name}.py"))


def _joined(table):
    return {exercise_id: rows for module in CHAPTERS.values()
            for exercise_id, rows in _tables(module)[table].items()}


MUTANTS, STOPPED, RIGHT = map(_joined, ("MUTANTS", "STOPPED", "RIGHT"))


def _flat(table):
    return [pytest.param(exercise_id, phrase, function, id=f"{exercise_id}: {phrase}")
            for exercise_id, rows in table.items() for phrase, function in rows]


def _cells(name):
    twin = ROOT / "notebooks" / f"{name}.py"
    return [cell.source for cell in jupytext.read(twin).cells if cell.cell_type == "code"]


def _sources(name):
    """The cell that defines the function of each `check` call of a page, by exercise id."""
    cells = _cells(name)
    defined = {node.name: cell for cell in cells for node in ast.parse(cell).body
               if isinstance(node, ast.FunctionDef)}
    calls = re.findall(r'^check\("([\w-]+)", (\w+)\)$', "\n".join(cells), re.MULTILINE)
    return {exercise_id: defined[name] for exercise_id, name in calls}


def _imports(name):
    """The imports of a page, which its functions may use."""
    tree = ast.parse("\n".join(_cells(name)))
    return "\n".join(ast.unparse(node) for node in tree.body
                     if isinstance(node, (ast.Import, ast.ImportFrom)))


SOURCES, IMPORTS = {}, {}
for _chapter in CHAPTERS:
    _found = _sources(f"{_chapter}_solutions")
    SOURCES |= _found
    IMPORTS |= dict.fromkeys(_found, _imports(f"{_chapter}_solutions"))


def _function(exercise_id, source):
    namespace = {}
    exec(IMPORTS[exercise_id] + "\n" + source, namespace)
    return namespace[find(exercise_id).function]


# --- solutions, blanks, stubs ---------------------------------------------------------------

@pytest.mark.parametrize("exercise_id", SOURCES)
def test_solution_passes(exercise_id, capsys):
    outcome = check(exercise_id, _function(exercise_id, SOURCES[exercise_id]))
    assert outcome and outcome.status == "passed"
    assert capsys.readouterr().out == outcome.message + "\n"
    assert outcome.message.startswith(f"✓ {exercise_id}: ")


@pytest.mark.parametrize(("exercise_id", "way", "function"), _flat(RIGHT))
def test_another_right_answer_passes(exercise_id, way, function):
    assert check(exercise_id, function)


@pytest.mark.parametrize("exercise_id", SOURCES)
def test_blank_is_not_attempted(exercise_id):
    outcome = check(exercise_id, _function(exercise_id, blank(SOURCES[exercise_id])))
    assert not outcome
    assert outcome.message == f"{exercise_id}: not attempted yet"


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_stubs_of_the_chapter_are_the_blanked_solutions(chapter):
    solutions = _sources(f"{chapter}_solutions")
    assert len(solutions) >= 3
    assert _sources(chapter) == {name: blank(source) for name, source in solutions.items()}


# --- wrong answers --------------------------------------------------------------------------

@pytest.mark.parametrize(("exercise_id", "phrase", "function"), _flat(MUTANTS))
def test_wrong_answer_gets_its_hint(exercise_id, phrase, function):
    outcome = check(exercise_id, function)
    assert outcome.status == "wrong" and not outcome
    assert outcome.message.startswith(f"✗ {exercise_id}: ")
    assert phrase in outcome.message


@pytest.mark.parametrize("exercise_id", SOURCES)
def test_each_mistake_has_a_hint_of_its_own(exercise_id):
    hints = [check(exercise_id, function).message for _, function in MUTANTS[exercise_id]]
    assert len(hints) >= 3
    assert len(set(hints)) == len(hints)


@pytest.mark.parametrize(("exercise_id", "phrase", "function"), _flat(STOPPED))
def test_known_exception_gets_a_hint(exercise_id, phrase, function):
    outcome = check(exercise_id, function)
    assert outcome.status == "error"
    assert phrase in outcome.message and outcome.message.count("\n") == 1
