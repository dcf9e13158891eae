"""The program that counts which changes of the code the tests notice."""

import json
from pathlib import Path

import pytest

from tools import mutate
from tools.mutate import Runner, try_all
from tools.mutations import changes

MODULE = '''"""A module: 1 + 1."""
import os


def first(numbers: list[int] | None, least=0):
    """0 < 1."""
    for number in numbers:
        if not number:
            continue
        if number > least and number < 9:
            return number
    raise ValueError(f"none above {least + 1}")


def is_used():
    return False
'''
TEST = '''from companion.metrics import first


def test_first():
    assert first([0, -1, 3, 4]) == 3
'''


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in {"companion/metrics.py": MODULE, "tests/test_metrics.py": TEST}.items():
        (tmp_path / "root" / name).parent.mkdir(parents=True)
        (tmp_path / "root" / name).write_text(text, encoding="utf-8")
    return tmp_path / "root"


FILE = "companion/metrics.py"


def test_the_changes_of_a_module(root):
    """Every one that there is, none in docstrings, annotations and messages."""
    found = {(one.line, one.text) for one in changes(root, FILE)}
    assert found == {
        (5, "1"), (5, "(-1)"), (8, "(number)"), (9, "break"),
        (10, "(number > least or number < 9)"), (10, "(not (number > least and number < 9))"),
        (10, "(number >= least)"), (10, "(number <= 9)"), (10, "10"), (10, "(8)"), (16, "True")}


def test_a_change_is_made_where_it_was_found(root):
    for one in changes(root, FILE):
        one.apply(root)
        text = (root / FILE).read_text(encoding="utf-8")
        assert one.after in " ".join(text.split()) and text != MODULE
        (root / FILE).write_text(MODULE, encoding="utf-8")


def test_caught_survived_equal_and_resumed(root, tmp_path, capsys):
    """What the one test above notices was worked out by hand."""
    found = {one.text: one for one in changes(root, FILE)}
    wanted = {"break": "caught", "(number >= least)": "survived", "10": "equal"}
    some = [found[text] for text in wanted]
    files = {FILE: ["tests/test_metrics.py"]}
    reasons = {(FILE, found["10"].before, found["10"].after): "no number above 8 is used"}
    out = tmp_path / "results.jsonl"
    try_all(some[:2], files, out, root, reasons)
    try_all(some, files, out, root, reasons)
    results = mutate.read(out)
    assert [one["result"] for one in results] == list(wanted.values())
    assert (root / FILE).read_text(encoding="utf-8") == MODULE
    assert "   1 of   2  companion/metrics.py" in mutate.report(results)
    assert "1 of 2 caught (50.0%)" in mutate.report(results)
    assert json.loads(out.read_text().splitlines()[0])["line"] == 9


def test_tests_that_do_not_end_count_as_a_change_that_was_noticed(root, tmp_path):
    (root / FILE).write_text("def first(_):\n    while 0 > 0:\n        pass\n    return 3\n")
    endless = next(one for one in changes(root, FILE) if one.text == "(0 >= 0)")
    runner, tests = Runner(tmp_path / "copy", root), ["tests/test_metrics.py"]
    runner.limits[tests[0]] = 5
    assert not runner.survives(endless, tests)


def test_tests_that_fail_without_a_change_are_refused(root, tmp_path):
    (root / "tests/test_metrics.py").write_text("def test(): assert False\n")
    with pytest.raises(RuntimeError, match="fails without a change"):
        Runner(tmp_path / "copy", root).limit(["tests/test_metrics.py"])


def test_every_module_has_tests_and_every_equal_change_is_one_of_the_code():
    files = mutate.modules(list(mutate.TESTS))
    of_packages = {str(path.relative_to(mutate.ROOT)) for name in ("objectives", "ner", "prompting")
                   for path in (mutate.ROOT / "companion" / name).glob("[!_]*.py")}
    assert set(files) == of_packages | {"companion/metrics.py"}
    assert all((mutate.ROOT / name).is_file() for names in files.values() for name in names)
    there = {(one.file, one.before, one.after) for file in {key[0] for key in mutate.equal()}
             for one in changes(mutate.ROOT, file)}
    assert set(mutate.equal()) <= there and all(mutate.equal().values())


def test_the_draw_depends_on_the_seed_alone(capsys):
    mutate.main(["--list", "--count", "3", "--package", "metrics"])
    first = capsys.readouterr().out
    mutate.main(["--list", "--count", "3", "--package", "metrics"])
    assert capsys.readouterr().out == first
    mutate.main(["--list", "--count", "3", "--package", "metrics", "--seed", "14"])
    assert capsys.readouterr().out != first
