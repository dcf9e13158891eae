"""Every notebook of the course keeps the rules, and every rule can find a broken notebook."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tools import notebook_rules as rules
from tools import pages, working_copy
from tools.links import broken_links
from tools.notebooks import is_current

PAGES = pages.names()
ALL_RULES = rules.SOURCE_RULES + rules.OUTPUT_RULES


@cache
def shipped(page: str) -> tuple[NotebookNode, bool]:
    for path in (pages.notebook_path(page), pages.twin_path(page)):
        assert path.exists(), f"{path.name} is missing; run `make notebooks NAME={page}`"
    return working_copy.shipped(page)


def test_the_course_has_notebooks() -> None:
    assert PAGES, "no notebook found: the tests below would pass without testing anything"


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("rule", ALL_RULES, ids=lambda rule: rule.__name__)
def test_notebook_keeps_the_rule(page: str, rule: rules.Rule) -> None:
    notebook, outputs_known = shipped(page)
    if rule in rules.OUTPUT_RULES + (rules.few_ignored,) and not outputs_known:
        pytest.skip("your working copy, and no git: what the chapter prints is not known")
    assert list(rule(notebook)) == []


@pytest.mark.parametrize("page", PAGES)
def test_links_of_the_notebook_lead_somewhere(page: str) -> None:
    path = pages.notebook_path(page)
    assert path.exists(), f"run `make notebooks NAME={page}`"
    assert broken_links(path) == []


@pytest.mark.parametrize("page", PAGES)
def test_twin_agrees_with_the_notebook(page: str) -> None:
    notebook, outputs_known = shipped(page)
    twin = pages.read_twin(pages.twin_path(page))
    assert not outputs_known or pages.cells_of(notebook) == pages.cells_of(twin), (
        f"run `make notebooks NAME={page}`")


@pytest.mark.parametrize("page", PAGES)
def test_twin_is_valid_python(page: str) -> None:
    """A Markdown line without its # is read as text all the same, so the rules miss it."""
    ast.parse(pages.twin_path(page).read_text(encoding="utf-8"), page)


# --- each rule finds what it is for -------------------------------------------------------

def stream(text: str, name: str = "stdout") -> NotebookNode:
    return new_output("stream", name=name, text=text)


def picture(kind: str = "image/png") -> NotebookNode:
    return new_output("display_data", data={kind: "aGVsbG8=", "text/plain": "<Figure 1x1>"})


def code(source: str, *outputs: NotebookNode, count: int | None = 1,
         tags: tuple[str, ...] = ()) -> NotebookNode:
    metadata = {"tags": list(tags)} if tags else {}
    return new_code_cell(source, outputs=list(outputs), execution_count=count,
                         metadata=metadata)


def text(source: str) -> NotebookNode:
    return new_markdown_cell(source)


def ignored(count: int) -> list[NotebookNode]:
    return [code(f"# {rules.IGNORE}\nprint({n})", count=n + 1) for n in range(count)]


LONG = "\n".join(f"x{n} = {n}" for n in range(26))
CLOCK = "def took(f):\n    began = time.monotonic()\n    f()\n    return time.monotonic() - began"
DIRECTIVE, ROLE = "`" * 3 + "{note}\nText.\n" + "`" * 3, "See {ref}`here`."
HOME = "/" + "home/somebody/course"

BROKEN = [
    (rules.short_cells, [code(LONG)]),
    (rules.plain_python, [code("%timeit 1")]),
    (rules.plain_python, [code("!ls")]),
    (rules.plain_python, [code("")]),
    (rules.few_ignored, ignored(3)),
    (rules.few_ignored, [*ignored(2), code("x = 1", tags=("nbval-ignore-output",))]),
    (rules.few_ignored, [code("# NBVAL_SKIP\nx = 1")]),
    (rules.few_ignored, [code("x = 1", tags=("nbval-skip",))]),
    (rules.few_ignored, [code("x = 1", tags=("raises-exception",))]),
    (rules.no_asserted_times, [code("assert perf_counter() - began < 2")]),
    (rules.no_asserted_times, [code(CLOCK), code("ratio = took(f) / took(g)", count=2),
                               code("assert 0.6 < ratio < 1.7", count=3)]),
    (rules.plain_markdown, [text(DIRECTIVE)]),
    (rules.plain_markdown, [text(":::{note}\nText.\n:::")]),
    (rules.plain_markdown, [text(ROLE)]),
    (rules.plain_markdown, [text("(label)=\n# Heading")]),
    (rules.executed_in_order, [code("x = 1", count=None)]),
    (rules.executed_in_order, [code("x = 1", count=2)]),
    (rules.executed_in_order, [code("x = 1"), code("x = 2", count=3)]),
    (rules.no_errors, [code("f()", new_output("error", ename="E", evalue="", traceback=[]))]),
    (rules.no_errors, [code("f()", stream("warning", "stderr"))]),
    (rules.outputs_stored, [code("print(1)")]),
    (rules.outputs_stored, [code("for x in range(3):\n    print(x)\ny = 1")]),
    (rules.outputs_stored, [code("x = 1\nx")]),
    (rules.pictures_have_text, [code("draw()", picture())]),
    (rules.pictures_have_text, [code("draw()", picture(), stream(" \n"))]),
    (rules.steady_outputs, [code("f", stream("<function f at 0x7f12ab34cd>"))]),
    (rules.steady_outputs, [code("draw()", picture("image/svg+xml"), stream("1"))]),
    (rules.steady_outputs, [code("bar", picture("application/vnd.jupyter.widget-view+json"))]),
    (rules.no_machine_path, [code(f"open('{HOME}')")]),
    (rules.no_machine_path, [text(f"See {HOME}/a.txt")]),
    (rules.no_machine_path, [code("f()", stream(f"saved in {HOME}/a.txt"))]),
    (rules.no_machine_path, [code("f()", stream(str(pages.ROOT / "companion")))]),
]


@pytest.mark.parametrize(
    ("rule", "cells"), BROKEN, ids=[f"{rule.__name__}-{n}" for n, (rule, _) in enumerate(BROKEN)])
def test_rule_finds_the_broken_notebook(rule: rules.Rule, cells: list[NotebookNode]) -> None:
    assert len(list(rule(new_notebook(cells=cells)))) == 1


def test_every_rule_has_a_broken_notebook() -> None:
    assert {rule for rule, _ in BROKEN} == set(ALL_RULES)


def test_a_good_notebook_has_no_fault() -> None:
    notebook = new_notebook(cells=[
        text("# Title\n\nA template `Text: {text}` and $x_{i}$, `{mask}`.\n\n"
             "```python\nx = {1: 2}\n```"),
        code("def speak():\n    print(1)"),
        code("speak()", stream("1"), count=2),
        code("seed(0);", count=3),
        code(f"# {rules.IGNORE}\nbegan, loss = time(), f()\nassert loss < 1\nprint(time())", count=4),
        code("draw()\nprint(0.5)", picture(), stream("0.5"), count=5),
    ])
    assert rules.faults(notebook, ALL_RULES) == []


@pytest.fixture
def linked(tmp_path: Path) -> Path:
    (tmp_path / "other.md").write_text("(a-label)=\n# A *long* `Heading`\n\n## Again\n\n## Again\n")
    return tmp_path / "page.md"


@pytest.mark.parametrize("address", [
    "other.md", "other.md#a-long-heading", "other.md#a-label", "other.md#again-1", "#here",
    "https://example.org/no/such#thing", "mailto:a@example.org"])
def test_good_links_are_accepted(linked: Path, address: str) -> None:
    linked.write_text(f"# Here\n\nSee **[it]({address})**.")
    assert broken_links(linked) == []


@pytest.mark.parametrize("address", ["none.md", "other.md#none", "#none", "other.md#again-2"])
@pytest.mark.parametrize("bang", ["", "!"])
def test_broken_links_are_found(linked: Path, address: str, bang: str) -> None:
    linked.write_text(f"# Here\n\n- a list with {bang}[it]({address})")
    assert len(broken_links(linked)) == 1


def test_links_in_code_are_no_links(linked: Path) -> None:
    linked.write_text("`[it](none.md)`\n\n```\n[it](none.md)\n```\n")
    assert broken_links(linked) == []


@pytest.mark.parametrize("change", ["x = 2", "# %% [markdown]\n# x = 1", '# %% tags=["a"]\nx = 1'])
def test_a_twin_that_differs_is_found(tmp_path: Path, change: str) -> None:
    pages.write_notebook(new_notebook(cells=[code("x = 1")]), tmp_path / "page.ipynb")
    twin = tmp_path / "page.py"
    twin.write_text("# %%\nx = 1\n")
    assert is_current("page", tmp_path)
    twin.write_text(change if change.startswith("# %%") else f"# %%\n{change}\n")
    assert not is_current("page", tmp_path)
