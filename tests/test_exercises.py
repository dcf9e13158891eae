"""Exercises: each proves itself by its own block; the engine is tested with three made-up ones."""

import inspect
import subprocess
import threading
from itertools import product

import numpy as np
import pytest
import torch
from IPython.core.formatters import DisplayFormatter

from companion.errors import CourseError
from companion.exercises import check, find, ids, registry, running
from companion.exercises.compare import kind_problem
from companion.exercises.exercise import case, exercise
from companion.objectives.pairs import fair_lengths
from tools import exercises, pages

# --- every exercise -------------------------------------------------------------------------

@pytest.fixture(params=ids())
def each(request):
    return find(request.param)


def test_solution_is_right_and_agrees_with_every_other_reference(each):
    assert check(each.id, each.solution).message == f"✓ {each.id}: {each.success}"
    for one in each.cases():
        assert not kind_problem(one.expected, each(*one.given.values()), each.results)


def test_stub_is_not_attempted(each):
    space = dict(inspect.getmodule(each.solution).__dict__)
    exec(exercises.blank(each.source), space)
    outcome = check(each.id, space[each.function])
    assert (outcome.status, outcome.message) == ("not attempted", f"{each.id}: not attempted yet")


def test_each_mistake_is_told_by_its_own_hint(each):
    wrong = [(hint, function) for hint, functions in each.known for function in functions]
    wrong += [(rule.hint, rule.example) for rule in each.rules]
    hints = {hint for hint, _ in wrong}
    assert len(hints) == len(each.known) + len(each.rules) >= 3
    for hint, function in wrong:
        outcome = check(each.id, function)
        assert outcome.status in ("wrong", "error") and hint in outcome.message, hint


def test_other_right_answers_pass(each):
    for function in each.others:
        assert check(each.id, function)


def test_cells_of_the_pages_are_written_from_the_blocks():
    """As committed: a learner who solves an exercise in the notebook breaks nothing."""
    def committed(path):
        shown = subprocess.run(["git", "show", f"HEAD:./{path.name}"], cwd=path.parent,
                               capture_output=True, encoding="utf-8")
        return path.read_text(encoding="utf-8") if shown.returncode else shown.stdout

    assert [path.name for path, _ in exercises.stale(committed)] == []


@pytest.mark.parametrize("chapter", registry.CHAPTERS)
def test_chapters_check_their_exercises_in_order(chapter):
    mine = registry.of_chapter(chapter)
    for page in (chapter, f"{chapter}_solutions"):
        calls = [cell.source for cell in pages.read_twin(pages.twin_path(page)).cells
                 if cell.source.startswith("check(")]
        assert calls == [f'check("{one.id}", {one.function})' for one in mine]


# --- the engine -----------------------------------------------------------------------------

@exercise("half-mean", "the mean", "this is half the mean.",
          cases=lambda: [case(torch.tensor([2.0, 6.0], requires_grad=True)),
                         case(torch.tensor([1.0, 1.0], requires_grad=True))])
def half_mean(numbers):
    """Return half the mean, a tensor with one number."""
    return numbers.mean() / 2


half_mean.mistakes(("this is the mean.", lambda x: x.mean()),
                   ("not two numbers.", lambda x: x.view(3, 5)))
half_mean.hint_if("it is negative.", lambda case, got: got < 0, lambda x: -x.mean())


@exercise("split-mask", ("the mask", "the rest"), "split.",
          cases=lambda: [case(torch.tensor([[3, 0, 5]]), [4, 7]), case(torch.eye(2).long(), [9])])
def split_mask(table, numbers):
    """Return a mask of what is above 0, and numbers[1:].

    table: whole numbers, shape (A, B).
    numbers: a list. It must not
        be modified.
    """
    return table > 0, numbers[1:]


split_mask.mistakes(("the mask shows zeros.", lambda table, numbers: (table == 0, numbers[1:])),
                    ("the rest is whole.", lambda table, numbers: (table > 0, numbers)))


@exercise("words", "the words", "sorted.", cases=[case(["b", "a"]), case(["c", "c"])])
def in_order(words):
    """Return the words in their order."""
    return sorted(words)


in_order.refuse_if("give a list, not a tuple.", lambda case, got: isinstance(got, tuple),
                   lambda words: tuple(sorted(words)))
FAKES = (half_mean, split_mask, in_order)


@pytest.fixture(autouse=True)
def fakes(monkeypatch):
    for fake in FAKES:
        monkeypatch.setitem(registry._BY_ID, fake.id, fake)


def endless(*_):
    while True:
        pass


def swallowing(*_):
    while True:
        try:
            while True:
                pass
        except BaseException:
            return 1


def sorting(words):
    words.sort(key=lambda word: words.index(word))


MEAN, MASK, WORDS = (fake.id for fake in FAKES)
def narrow(table, numbers):
    return table > 3, numbers[1:]


WRONG = [  # exercise, answer, what its message must say
    (MEAN, lambda x: x.mean().item() / 2, "a tensor of shape () is expected, not a float"),
    (MEAN, lambda x: x.mean().detach() / 2, "no gradient can flow back"),
    (MEAN, lambda x: x / 2, "the shape is (2,); () is expected"),
    (MEAN, lambda x: None, "is the `return` missing?"),
    (MEAN, lambda x: x.mean().double(), "this is the mean."),
    (MEAN, lambda x: -x.sum(), "it is negative."),
    (MEAN, lambda x: x.sum() / 4 if x[0] > 1 else x.mean(), "expected: 0.5\n    got:      1"),
    (MEAN, lambda x: x.view(7, 11), "not two numbers."),
    (MEAN, lambda x: x.no_such_thing, "with AttributeError: 'Tensor' object has no"),
    (MEAN, lambda: 1, "TypeError"),
    (MEAN, 2.0, 'without calling it: check("half-mean", half_mean)'),
    (MEAN, None, 'give your function too: check("half-mean", half_mean)'),
    (MEAN, endless, "after 0.2 seconds. Does a loop never end?"),
    (MEAN, swallowing, "a tensor of shape () is expected, not a int"),
    (MASK, lambda t, n: t > 0, "return 2 results: the mask, the rest"),
    (MASK, lambda t, n: (t > 0, n[1:], 1), "your function returned 3 results"),
    (MASK, lambda t, n: ((t > 0).int(), n[1:]), "dtype is torch.int32; torch.bool is expected"),
    (MASK, lambda t, n: (t == 0, [8]), "the mask shows zeros."),  # each result on its own
    (MASK, lambda t, n: (t > 0, list(n)), "the rest is whole."),
    (MASK, narrow, "expected: \n        ■ · ■\n    got:      \n        · · ■\n"),
    (MASK, narrow, "first difference is at [0, 0]: False instead of True"),
    (MASK, narrow, "table = [[3, 0, 5]]\n    numbers = [4, 7]"),
    (MASK, lambda t, n: (n.pop(0), (t > 0, n))[1], "modifies its argument `numbers`. Work on a"),
    (MASK, lambda t, n: (t > 3, n.clear()), "It also modifies its argument `numbers`"),
    (WORDS, lambda words: words.sort(), "is the `return` missing?"),
    (WORDS, lambda words: tuple(sorted(words)), "give a list, not a tuple."),
    (WORDS, lambda words: set(words), "a list is expected, not a set"),
    (WORDS, lambda words: words, "at [0]: 'b' instead of 'a'"),
    (WORDS, lambda words: words[1:], "The first difference is in the length: 1 instead of 2."),
    (WORDS, sorting, "a list is empty while it sorts itself"),
]
RIGHT = [
    (MEAN, lambda x: x.double().mean() / 2, ""),
    (MEAN, lambda x: x.mean().reshape(1) / 2, ""),
    (MASK, lambda t, n: [t > 0, tuple(n[1:])], ""),
    (MASK, lambda t, n: (t > 0, np.array(n[1:])), ""),
    (MASK, lambda t, n: (t.clamp_(max=1) == 1, n[1:]), "Note: your function modifies its argument"),
    (WORDS, lambda words: words.sort() or words, "Note: your function modifies its argument"),
]


@pytest.mark.parametrize(("exercise_id", "answer", "text"), WRONG, ids=[row[2] for row in WRONG])
def test_wrong_answers_are_told(exercise_id, answer, text, monkeypatch, capsys):
    monkeypatch.setattr(running, "SECONDS", 0.2)
    outcome = check(exercise_id, answer)
    assert outcome.status in ("wrong", "error") and not outcome
    assert outcome.message.startswith(f"✗ {exercise_id}: ") and text in outcome.message
    assert capsys.readouterr().out == outcome.message + "\n"
    assert DisplayFormatter().format(outcome) == ({}, {})


@pytest.mark.parametrize(("exercise_id", "answer", "note"), RIGHT)
def test_right_answers_pass_in_any_form(exercise_id, answer, note):
    outcome = check(exercise_id, answer)
    assert outcome and note in outcome.message and ("\n" in outcome.message) == bool(note)


ODD = [None, 0, -1.5, float("nan"), "text", [], [[]], [["a"]], [[None]], (), (1, 2), {}, {1: 2},
       object, torch.tensor([]), torch.tensor(float("nan"), requires_grad=True),
       torch.ones(8), torch.ones(8, dtype=torch.bool), torch.ones(2, 2).numpy(), np.array("a"),
       [torch.ones(2)], [[torch.ones(2)]], [torch.ones(2).numpy()], ([[1]], 2), ([None], [set()]),
       (torch.ones(2, 6).long(), torch.ones(2, 6).long()), 1 + 2j, torch.tensor([1j]), range(2)]


@pytest.mark.parametrize(("fake", "number"), list(product(FAKES, range(len(ODD)))))
def test_odd_results_are_wrong_and_raise_nothing(fake, number):
    outcome = check(fake.id, lambda *given: ODD[number])
    assert outcome.status == "wrong" and len(outcome.message) > len(f"✗ {fake.id}: ")


def test_an_endless_loop_ends_outside_the_main_thread_too(monkeypatch):
    monkeypatch.setattr(running, "SECONDS", 0.2)
    found = []
    thread = threading.Thread(target=lambda: found.append(check(MEAN, endless)))
    thread.start()
    thread.join(30)
    assert found and found[0].status == "error"


def test_the_stop_of_one_answer_does_not_reach_the_next(monkeypatch):
    monkeypatch.setattr(running, "SECONDS", 0.01)
    for _ in range(40):
        check(MEAN, lambda x: [None for _ in range(200_000)])  # about as long as the limit
        sum(range(10_000))


def test_a_mistake_is_recognised_by_all_cases_and_not_by_one():
    assert kind_problem(half_mean.cases()[0].expected, torch.tensor(4.0, requires_grad=True), ["x"]
                        ) is None
    outcome = check(MEAN, lambda x: x.max() - 2)  # the mean in the first case, not in the second
    assert "this is the mean." not in outcome.message and "expected: 2" in outcome.message
    assert outcome.given["numbers"].tolist() == [2, 6]


@pytest.mark.parametrize("kind", [float, torch.tensor])
def test_a_mistake_is_recognised_as_a_number_and_as_a_tensor(kind):
    outcome = check("causal-perplexity", lambda x, text: kind(float(x.sum() / len(text))))
    assert "this is the loss per character" in outcome.message


def test_large_inputs_can_be_had():
    @exercise("large", "x", "y", cases=lambda: [case(torch.ones(5, 5, 5))])
    def large(table):
        """Return its sum."""
        return float(table.sum())

    registry._BY_ID["large"] = large
    try:
        outcome = check("large", lambda table: 1.0)
    finally:
        del registry._BY_ID["large"]
    assert "table = tensor of shape (5, 5, 5)" in outcome.message
    assert "check(...).given" in outcome.message and outcome.given["table"].shape == (5, 5, 5)


def test_the_line_is_the_learners_even_when_a_library_raises():
    space = {}
    exec(compile("def answer(x):\n    return x.view(\n        3)", "mine", "exec"), space)
    assert "in line 2 with RuntimeError" in check(MEAN, space["answer"]).message


def test_not_implemented_by_torch_is_an_error_and_not_a_blank():
    def answer(x):
        raise NotImplementedError("not implemented for Long")

    assert check(MEAN, answer).status == "error"


def test_interrupt_reaches_the_learner():
    def answer(x):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check(MEAN, answer)


def test_nothing_of_the_exercise_or_the_session_is_modified():
    def destructive(table, numbers):
        table.zero_()
        numbers.clear()
        torch.manual_seed(1)

    before = torch.get_rng_state()
    assert not check(MASK, destructive)
    with torch.no_grad():
        assert check(MASK, split_mask.solution) and check(MEAN, half_mean.solution)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(("given", "text"), [
    (("masked-los", print), "masked-loss"), (("zzz", print), ", ".join(ids()[:3])),
    ((half_mean.solution, "half-mean"), 'the id of the exercise comes first: check("half-mean", h'),
    ((half_mean.solution,), 'check("half-mean", half_mean)'), ((3, print), "the id of the exerc")])
def test_wrong_calls_get_one_line_with_the_right_call(given, text):
    with pytest.raises(CourseError) as caught:
        check(*given)
    assert text in str(caught.value) and "\n" not in str(caught.value)


# --- writing the pages ----------------------------------------------------------------------

def test_blank_keeps_all_but_the_body():
    source = 'def one(a: int,\n        b: int) -> int:\n    """Do it.\n\n    Now."""\n'
    stub = source + "    raise NotImplementedError"
    assert exercises.blank(source + "    # a comment\n    return a + b") == stub
    assert exercises.blank(stub) == stub
    with pytest.raises(CourseError, match="one has no docstring"):
        exercises.blank("def one():\n    return 1")


def test_only_the_cells_of_exercises_are_written():
    chapter = "masked_lm"
    for path, made in ((pages.twin_path(chapter), exercises.twin_text),
                       (pages.notebook_path(chapter), exercises.notebook_text)):
        text = path.read_text(encoding="utf-8")
        solved = text.replace("    raise NotImplementedError", "    return 7")
        assert "return 7" in solved and made(solved, chapter) == text
        with pytest.raises(CourseError, match="0 cells that begin with `def fresh_loss"):
            made(text.replace("def fresh_loss", "def fresh"), chapter)


# --- references against other references ----------------------------------------------------

def test_positions_agree_with_the_mask_of_a_hugging_face_tokenizer():
    from transformers import BertTokenizer

    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "film"]
    tokenizer = BertTokenizer(vocab={piece: number for number, piece in enumerate(pieces)})
    row = tokenizer("a film", "film", padding="max_length", max_length=9,
                    return_special_tokens_mask=True)
    mine = find("masked-positions")(torch.tensor(row["input_ids"]), [2, 3, 0])
    assert mine.tolist() == [not special for special in row["special_tokens_mask"]]


def test_cut_pair_keeps_the_lengths_that_the_collators_keep():
    for a, b, room in product(range(1, 9), range(1, 9), range(2, 18)):
        kept = [len(half) for half in find("pairs-cut")(list(range(a)), list(range(b)), room)]
        assert sorted(kept) == sorted(fair_lengths([a, b], room))
