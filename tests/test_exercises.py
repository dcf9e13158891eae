"""Exercises: solutions pass, blanks are not attempted, wrong answers get hints of their own.

The solutions are read from the cells of the solutions page, so the page and the tests share one
source; other answers, wrong and right, lie in `exercises_mutants`.
"""

import ast
import re
import runpy
from itertools import product
from pathlib import Path

import jupytext
import pytest
import torch
from IPython.core.formatters import DisplayFormatter

from companion.errors import CourseError
from companion.exercises import blank, check, find, ids
from companion.exercises.compare import equal
from companion.exercises.registry import CHAPTERS

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

def test_every_exercise_has_a_solution_in_its_order():
    assert list(SOURCES) == ids()


@pytest.mark.parametrize("exercise_id", ids())
def test_solution_passes(exercise_id, capsys):
    outcome = check(exercise_id, _function(exercise_id, SOURCES[exercise_id]))
    assert outcome and outcome.status == "passed"
    assert capsys.readouterr().out == outcome.message + "\n"
    assert outcome.message.startswith(f"✓ {exercise_id}: ")


@pytest.mark.parametrize(("exercise_id", "way", "function"), _flat(RIGHT))
def test_another_right_answer_passes(exercise_id, way, function):
    assert check(exercise_id, function)


@pytest.mark.parametrize("exercise_id", ids())
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


@pytest.mark.parametrize("exercise_id", ids())
def test_each_mistake_has_a_hint_of_its_own(exercise_id):
    hints = [check(exercise_id, function).message for _, function in MUTANTS[exercise_id]]
    assert len(hints) >= 3
    assert len(set(hints)) == len(hints)


@pytest.mark.parametrize(("exercise_id", "phrase", "function"), _flat(STOPPED))
def test_known_exception_gets_a_hint(exercise_id, phrase, function):
    outcome = check(exercise_id, function)
    assert outcome.status == "error"
    assert phrase in outcome.message and outcome.message.count("\n") == 1


# --- the learner's exceptions ---------------------------------------------------------------

def _learner(body, head="def answer(*given):"):
    namespace = {"torch": torch}
    exec(compile(f"{head}\n    {body}", "learner", "exec"), namespace)
    return namespace["answer"]


def test_exception_is_reported_with_type_message_and_line():
    outcome = check("masked-fresh", _learner("x = 1\n    raise KeyError('no such thing')"))
    assert outcome.status == "error"
    assert outcome.message == (
        "✗ masked-fresh: your code stopped in line 3 with KeyError: 'no such thing'")


def test_line_is_the_learners_even_when_a_library_raises():
    outcome = check("masked-loss", _learner("return torch.ones(2).view(\n        3)"))
    assert "in line 2 with RuntimeError" in outcome.message


def test_wrong_number_of_arguments_is_reported():
    outcome = check("masked-loss", _learner("return 1", "def answer(logits):"))
    assert "TypeError" in outcome.message and "answer() takes 1" in outcome.message


def test_not_implemented_by_torch_is_an_error_and_not_a_blank():
    body = "raise NotImplementedError('not implemented for Long')"
    assert check("masked-loss", _learner(body)).status == "error"


def test_interrupt_reaches_the_learner():
    with pytest.raises(KeyboardInterrupt):
        check("masked-fresh", _learner("raise KeyboardInterrupt"))


def test_a_result_instead_of_a_function():
    outcome = check("masked-fresh", 10.3)
    assert 'check("masked-fresh", fresh_loss)' in outcome.message


# Nothing of the kind asked for; a check that raised on one of these would leave a traceback.
ODD = [None, 0, -1.5, float("nan"), "text", [], [[]], [["a"]], [[None]], (), (1, 2), {}, {1: 2},
       object, torch.tensor([]), torch.tensor(float("nan"), requires_grad=True),
       torch.ones(8), torch.ones(8, dtype=torch.bool), torch.ones(2, 2).numpy(),
       [torch.ones(2)], [[torch.ones(2)]], [torch.ones(2).numpy()], ([[1]], 2),
       (torch.ones(2, 6).long(), torch.ones(2, 6).long()), 1 + 2j, torch.ones(2, 6).numpy()]


@pytest.mark.parametrize("exercise_id", ids())
@pytest.mark.parametrize("odd", ODD, ids=lambda value: repr(value)[:30].replace("\n", " "))
def test_odd_results_are_wrong_and_raise_nothing(exercise_id, odd):
    outcome = check(exercise_id, lambda *given: odd)
    assert outcome.status == "wrong"
    assert len(outcome.message) > len(f"✗ {exercise_id}: ")


def test_forgotten_return_is_named():
    assert "`return`" in check("masked-apply", _learner("x = 1")).message


# --- inputs, state, output ------------------------------------------------------------------

@pytest.mark.parametrize("exercise_id", ids())
def test_nothing_of_the_exercise_is_modified(exercise_id):
    """A learner who overwrites everything must not spoil the next check."""
    def destructive(*given):
        for value in given:
            if isinstance(value, torch.Tensor):
                value.detach().zero_()
            elif isinstance(value, list):
                value.clear()

    solution = _function(exercise_id, SOURCES[exercise_id])
    has_mutable = any(isinstance(value, (list, torch.Tensor))
                      for value in find(exercise_id).cases()[0].given.values())
    assert ("modifies its argument" in check(exercise_id, destructive).message) == has_mutable
    assert check(exercise_id, solution)


@pytest.mark.parametrize("exercise_id", ids())
def test_cases_give_the_same_values_each_time(exercise_id):
    first, second = find(exercise_id).cases(), find(exercise_id).cases()
    for one, other in zip(first, second, strict=True):
        assert equal(list(one.given.values()), list(other.given.values()))
        assert equal(one.expected, other.expected)


@pytest.mark.parametrize("exercise_id", ids())
def test_global_random_state_is_left_alone(exercise_id):
    for module in CHAPTERS.values():
        for function in vars(module).values():
            getattr(function, "cache_clear", lambda: None)()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(20)  # a state that no seeding inside the check can restore
        before = torch.get_rng_state()
        check(exercise_id, _function(exercise_id, SOURCES[exercise_id]))
        assert torch.equal(before, torch.get_rng_state())


def test_gradients_can_be_checked_inside_no_grad():
    with torch.no_grad():
        assert check("masked-loss", _function("masked-loss", SOURCES["masked-loss"]))


def test_notebook_shows_the_message_once():
    outcome = check("masked-fresh", 1)
    assert DisplayFormatter().format(outcome) == ({}, {})


def test_general_comparison_shows_a_small_example():
    message = check("masked-fresh", lambda vocab_size: 1.5).message
    assert message.splitlines() == [
        "✗ masked-fresh: the loss: not right yet for this example.",
        "    vocab_size = 30522", "    expected: 10.3262", "    got:      1.5"]


# --- ids ------------------------------------------------------------------------------------

def test_unknown_id_lists_ids_like_it():
    with pytest.raises(CourseError) as caught:
        check("masked-los", print)
    assert "masked-loss" in str(caught.value) and "\n" not in str(caught.value)


def test_id_like_no_other_lists_all_ids():
    with pytest.raises(CourseError) as caught:
        check("zzz", print)
    assert all(exercise_id in str(caught.value) for exercise_id in ids())


def test_exchanged_arguments_are_named():
    with pytest.raises(CourseError, match="the id of the exercise comes first"):
        check(print, "masked-loss")


# --- references against other references ----------------------------------------------------

def test_positions_agree_with_the_mask_of_a_hugging_face_tokenizer():
    from transformers import BertTokenizer

    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "film"]
    tokenizer = BertTokenizer(vocab={piece: number for number, piece in enumerate(pieces)})
    row = tokenizer("a film", "film", padding="max_length", max_length=9,
                    return_special_tokens_mask=True)
    solution = _function("masked-positions", SOURCES["masked-positions"])
    assert row["input_ids"] == [2, 5, 6, 3, 6, 3, 0, 0, 0]
    mine = solution(torch.tensor(row["input_ids"]), [2, 3, 0])
    assert mine.tolist() == [not special for special in row["special_tokens_mask"]]


def test_loss_case_has_what_its_mistakes_need():
    """Label 0 occurs, and no two rows have the same number of labels."""
    (case,) = find("masked-loss").cases()
    counts = (case.given["labels"] != -100).sum(-1).tolist()
    assert 0 in case.given["labels"] and len(set(counts)) == len(counts)
    assert 0 < sum(counts) < case.given["labels"].numel()


def test_large_apply_case_draws_some_original_ids():
    given = find("masked-apply").cases()[1].given
    drawn = given["chosen"] & (given["kinds"] >= 0.8) & (given["kinds"] < 0.9)
    assert (given["random_ids"] == given["ids"])[drawn].any()


def test_pair_loss_case_has_what_its_mistakes_need():
    """Both labels occur, and not equally often."""
    (case,) = find("pairs-loss").cases()
    ones = int(case.given["labels"].sum())
    assert 0 < ones < len(case.given["labels"]) - ones


def test_cut_pair_keeps_the_lengths_that_the_collators_keep():
    from companion.objectives.pairs import fair_lengths

    cut = _function("pairs-cut", SOURCES["pairs-cut"])
    for a, b, room in product(range(1, 9), range(1, 9), range(2, 18)):
        kept = [len(half) for half in cut(list(range(a)), list(range(b)), room)]
        assert sorted(kept) == sorted(fair_lengths([a, b], room))


# --- blank ----------------------------------------------------------------------------------

SOLVED = '''import math

@cache
def one(a: int,
        b: int) -> int:
    """Do it.

    In two lines."""
    # a comment
    return a + b


def two():
    """Two."""
    return 2  # last
'''
STUB = '''import math

@cache
def one(a: int,
        b: int) -> int:
    """Do it.

    In two lines."""
    raise NotImplementedError


def two():
    """Two."""
    raise NotImplementedError'''


def test_blank_keeps_all_but_the_bodies():
    assert blank(SOLVED) == STUB
    assert blank(STUB) == STUB


@pytest.mark.parametrize("source", ["x = 1", "def f():\n    return 1", "def f(:\n"])
def test_blank_refuses_what_is_no_solution(source):
    with pytest.raises(CourseError):
        blank(source)
