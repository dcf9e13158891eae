"""The maintainers' tools: building notebooks, comparing them, writing the generated parts."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest
import yaml
from packaging.requirements import Requirement

from tools import environment, notebooks, pages, working_copy
from tools.first_cell import install_cell, notebook_text, twin_text
from tools.readme import chapter_table, readme_text
from tools.requirements import closure
from tools.settings import Site
from tools.site import citation_text, config_text
from tools.site import main as site_main

TWIN = '''# %% [markdown]
# # A page
#
# Words.

# %%
import sys

x = 1

# %%
print(x)
print("warn", file=sys.stdout)

# %% tags=["hide-input"]
x + 1
'''
EMPTY = Site("Title", "Subtitle", "", "main")
PUBLIC = replace(EMPTY, repository="https://github.com/owner/name")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "page.py").write_text(TWIN, encoding="utf-8")
    return tmp_path


# --- notebooks ----------------------------------------------------------------------------

def test_run_builds_a_notebook_twice_the_same(folder: Path) -> None:
    notebooks.run(["page"], folder)
    path = folder / "page.ipynb"
    first = path.read_bytes()
    cells = pages.read_notebook(path).cells
    assert [cell.get("execution_count") for cell in cells] == [None, 1, 2, 3]
    assert cells[2].outputs[0].text == "1\nwarn\n"
    assert cells[3].outputs[0].data["text/plain"] == "2"
    assert notebooks.is_current("page", folder)
    notebooks.run(["page"], folder)
    assert path.read_bytes() == first


@pytest.mark.parametrize(("cell", "message"), [
    ("raise ValueError('broken')", "broken"),
    ("import sys\nprint('x', file=sys.stderr)", "stderr"),
    ("import os\nprint(os.getcwd())", "machine path"),
    ("from tqdm.notebook import tqdm\nfor _ in tqdm(range(3)): pass", "progress bar"),
    ("\n".join(f"x{n} = 1" for n in range(30)), "30 lines"),
])
def test_a_page_with_a_fault_is_not_written(folder: Path, cell: str, message: str) -> None:
    (folder / "page.ipynb").write_text("old")
    (folder / "page.py").write_text(f"# %%\n{cell}\n")
    with pytest.raises(notebooks.PageError, match=message):
        notebooks.run(["page"], folder)
    assert (folder / "page.ipynb").read_text() == "old"


def test_sync_runs_only_what_has_changed(folder: Path, capsys: pytest.CaptureFixture) -> None:
    command = ["sync", "--folder", str(folder)]
    assert notebooks.main(command) == 0
    assert "executed" in capsys.readouterr().out
    assert notebooks.main(command) == 0
    assert capsys.readouterr().out == ""


def test_twin_is_written_from_the_notebook(folder: Path) -> None:
    notebook = pages.read_twin(folder / "page.py")
    pages.write_notebook(notebook, folder / "page.ipynb")
    (folder / "page.py").unlink()
    assert notebooks.main(["twin", "page", "--folder", str(folder)]) == 0
    assert (folder / "page.py").read_text(encoding="utf-8") == TWIN


def test_an_unknown_page_is_refused(folder: Path) -> None:
    with pytest.raises(SystemExit) as stop:
        notebooks.main(["run", "nothing", "--folder", str(folder)])
    assert stop.value.code == 2


COMPARED = [  # (what a fresh run prints, what is stored, whether nbval must accept it)
    ("loss 4.28", "loss 4.28", True),
    ("loss 4.28", "loss 4.29", False),
    ("took 4.2 s, 11,600 tokens/s", "took 5.1 s, 900 tokens/s", True),
    ("4.2 nats", "5.2 nats", False),
    ("", "gone", False),
    ("new", "", False),
]


def test_nbval_compares_all_but_durations(folder: Path) -> None:
    cells = [f"# %%\nprint({fresh!r}, end='')\n" for fresh, _, _ in COMPARED]
    (folder / "page.py").write_text("\n".join(cells))
    notebook = pages.read_twin(folder / "page.py")
    for number, (_, stored, _) in enumerate(COMPARED, start=1):
        cell = notebook.cells[number - 1]
        cell.execution_count = number
        if stored:
            cell.outputs = [{"output_type": "stream", "name": "stdout", "text": stored}]
    pages.write_notebook(notebook, folder / "page.ipynb")
    passed = compared(folder / "page.ipynb")
    assert [n in passed for n in range(len(cells))] == [fine for *_, fine in COMPARED]


def compared(path: Path) -> set[int]:
    """The numbers of the cells that nbval accepts, run as `make test` runs it."""
    command = [sys.executable, "-m", "pytest", "-rA", "-p", "no:cacheprovider", "-p", "conftest",
               "-c", str(pages.ROOT / "pyproject.toml"), "--rootdir", str(path.parent),
               "--nbval", "--nbval-current-env", "--nbval-sanitize-with",
               str(pages.ROOT / "tools" / "nbval_sanitize.cfg"), str(path)]
    report = subprocess.run(command, cwd=pages.ROOT, capture_output=True, text=True).stdout
    return set(map(int, re.findall(r"^PASSED .*::Cell (\d+)$", report, re.MULTILINE)))


SOLVED = """# %%
def answer():
    raise NotImplementedError

# %%
try:
    print(answer())
except NotImplementedError:
    print("not attempted yet")

# %%
print(2)
"""


@pytest.mark.parametrize("git", [True, False])
def test_a_solved_exercise_breaks_nothing(folder: Path, git: bool) -> None:
    """Without git what is printed is not known; the cells of the chapter are run all the same."""
    (folder / "page.py").write_text(SOLVED)
    notebooks.run(["page"], folder)
    if git:
        for command in ("init -q", "add .", "-c user.name=a -c user.email=a@b commit -qm x"):
            subprocess.run(["git", *command.split()], cwd=folder, check=True)
    path = folder / "page.ipynb"
    assert not working_copy.is_working_copy("page", folder)
    notebook = pages.read_notebook(path)
    notebook.metadata["language_info"]["version"] = "3.11.7"  # as Jupyter writes it
    notebook.cells[1].outputs[0].text = "3\n"
    nbformat.write(notebook, path)
    assert working_copy.is_working_copy("page", folder)  # run again, nothing solved yet
    notebook.cells[0].source = "def answer():\n    return 3"
    nbformat.write(notebook, path)
    assert compared(path) == {0, 1, 2}
    found, outputs_known = working_copy.shipped("page", folder)
    assert "NotImplementedError" in found.cells[0].source and outputs_known is git


def test_a_change_of_the_chapter_is_tested_before_it_is_committed(folder: Path) -> None:
    test_a_solved_exercise_breaks_nothing(folder, True)
    (folder / "page.py").write_text("# %%\nprint(5)\n")
    notebooks.run(["page"], folder)
    assert working_copy.shipped("page", folder)[0].cells[0].source == "print(5)"


def test_progress_bars_are_silent_and_figures_inline(folder: Path) -> None:
    (folder / "page.py").write_text(
        "# %%\nfrom tqdm import tqdm\n\nprint(sum(tqdm(range(3))))\n\n"
        "# %%\nimport matplotlib.pyplot as plt\n\nplt.plot([1, 2])\nprint(1, 2)\n")
    notebooks.run(["page"], folder)
    cells = pages.read_notebook(folder / "page.ipynb").cells
    assert [output.output_type for output in cells[0].outputs] == ["stream"]
    assert any("image/png" in output.get("data", {}) for output in cells[1].outputs)


def test_a_variable_that_is_set_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    environment.apply()
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert os.environ["TQDM_DISABLE"] == "1"
    assert "inline" in os.environ["MPLBACKEND"]


def test_make_work_copies_once(tmp_path: Path) -> None:
    shutil.copy(pages.ROOT / "Makefile", tmp_path)
    for name in ("requirements.txt", "pyproject.toml"):
        (tmp_path / name).touch()
    (tmp_path / "notebooks").mkdir()
    chapter, mine = tmp_path / "notebooks" / "page.ipynb", tmp_path / "my" / "page.ipynb"
    chapter.write_text("chapter")

    def make(name: str) -> int:
        return subprocess.run(["make", "-s", "work", f"NAME={name}"], cwd=tmp_path,
                              capture_output=True).returncode

    assert make("page") == 0 and mine.read_text() == "chapter"
    mine.write_text("mine")
    assert make("page") and make("none") and make("") and mine.read_text() == "mine"
    assert list(mine.parent.iterdir()) == [mine]


# --- what depends on site.toml ------------------------------------------------------------

@pytest.mark.parametrize("line", ['repository = "http://example.org/x"', 'repository = "o/n"',
                                  'repository = "https://github.com/o/n/"', 'other = "x"'])
def test_a_wrong_setting_is_refused(tmp_path: Path, line: str) -> None:
    path = tmp_path / "site.toml"
    path.write_text(f'title = "T"\nsubtitle = "S"\nbranch = "main"\n{line}\n')
    with pytest.raises(ValueError, match="site.toml") as refusal:
        Site.read(path)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("site", [EMPTY, PUBLIC])
def test_install_cell_is_short_plain_and_harmless_here(site: Site) -> None:
    cell = install_cell(site)
    assert len(cell.splitlines()) <= 25 and max(map(len, cell.splitlines())) <= 100
    exec(compile(ast.parse(cell), "install", "exec"), {})  # companion is here: does nothing


@pytest.mark.parametrize("site", [EMPTY, PUBLIC])
def test_install_cell_says_what_to_do(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match="make book") as refusal:
        exec(install_cell(site), {})
    assert "\n" not in str(refusal.value)
    assert ("site.toml" in str(refusal.value)) is (site is EMPTY)


@pytest.mark.parametrize("there", [False, True])
def test_install_cell_fetches_and_installs_on_colab(monkeypatch: pytest.MonkeyPatch,
                                                    tmp_path: Path, there: bool) -> None:
    """The results that chapters read lie beside the notebooks, so the whole course is fetched."""
    calls: list[list[str]] = []
    course = tmp_path / "plm-course"
    if there:
        (course / "notebooks").mkdir(parents=True)
        calls.append(["fetched and installed before"])

    def run(command: list[str], check: bool) -> None:
        assert check
        calls.append(command)
        (course / "notebooks").mkdir(parents=True, exist_ok=True)

    monkeypatch.setitem(sys.modules, "google.colab", sys)
    monkeypatch.setattr("pathlib.Path.home", lambda: tmp_path)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: sys if calls[1:] or there else None)
    monkeypatch.setattr("subprocess.run", run)
    monkeypatch.chdir(tmp_path)
    exec(install_cell(PUBLIC), {})
    assert Path.cwd() == course / "notebooks"
    if there:
        assert len(calls) == 1
        return
    clone, install = calls
    assert clone[:2] == ["git", "clone"] and clone[-1] == str(course)
    assert clone[-2] == "https://github.com/owner/name" and clone[-3] == "main"
    assert install[1:4] == ["-m", "pip", "install"] and install[-1] == str(course)
    # Either option would replace a torch or numpy that is new enough.
    assert not {"--upgrade", "-U", "--force-reinstall"} & set(install)


def test_install_cell_goes_before_the_first_code_and_is_replaced() -> None:
    once = twin_text(TWIN, EMPTY)
    assert once.index("# A page") < once.index('tags=["install"') < once.index("import sys")
    assert twin_text(once, EMPTY) == once
    public = twin_text(once, PUBLIC)
    assert public.count('"install"') == 1 + install_cell(PUBLIC).count('"install"')
    assert twin_text(public, EMPTY) == once
    assert public.endswith(TWIN[TWIN.index("# %%\nimport"):])


def test_notebook_follows_its_twin_without_a_run(folder: Path) -> None:
    twin, path = folder / "page.py", folder / "page.ipynb"
    twin.write_text(twin_text(TWIN, EMPTY))
    notebook = pages.read_twin(twin)
    notebook.cells[-1].outputs = [{"output_type": "stream", "name": "stdout", "text": "字 é\n"}]
    pages.write_notebook(notebook, path)
    text = path.read_text(encoding="utf-8")
    assert notebook_text(text, EMPTY) == text
    path.write_text(notebook_text(text, PUBLIC), encoding="utf-8")
    twin.write_text(twin_text(twin.read_text(), PUBLIC))
    assert notebooks.is_current("page", folder)
    assert notebook_text(path.read_text(encoding="utf-8"), EMPTY) == text


CONFIG = '''title: "Old"
html:
  favicon: x
# A comment stays.
repository:
  url: ""
launch_buttons:
  notebook_interface: classic
sphinx:
  config: {}
'''


def test_config_follows_the_settings_and_back() -> None:
    empty, public = config_text(CONFIG, EMPTY), config_text(CONFIG, PUBLIC)
    values = yaml.safe_load(public)
    assert values["title"] == "Title"
    assert values["repository"] == {"url": PUBLIC.repository, "branch": "main"}
    assert "colab_url" in values["launch_buttons"]
    assert values["html"] == {"use_repository_button": True, "favicon": "x"}
    assert "# A comment stays." in public and values["sphinx"] == {"config": {}}
    assert empty == CONFIG.replace("Old", "Title")
    assert config_text(public, EMPTY) == empty and config_text(public, PUBLIC) == public


def test_citation_names_the_code_only_when_it_is_known() -> None:
    text = 'cff-version: 1.2.0\ntitle: "x"\n'
    public = citation_text(text, PUBLIC)
    assert yaml.safe_load(public)["repository-code"] == PUBLIC.repository
    assert citation_text(public, EMPTY) == text.replace('"x"', '"Title: Subtitle"')


@pytest.fixture
def course(tmp_path: Path) -> Path:
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "page.py").write_text(TWIN)
    (tmp_path / "notebooks" / "page_solutions.ipynb").write_text('{"cells": []}')
    (tmp_path / "_toc.yml").write_text(
        "root: book/index\nparts:\n  - caption: One\n    chapters:\n      - file: book/x\n"
        "      - file: notebooks/page\n        sections:\n"
        "          - file: notebooks/page_solutions\n")
    (tmp_path / "_config.yml").write_text(CONFIG)
    (tmp_path / "CITATION.cff").write_text('title: "x"\n')
    (tmp_path / "README.md").write_text(
        "".join(f"<!-- {name}: written by `make site` -->\n<!-- end of {name} -->\ntext\n"
                for name in ("head", "chapters")))
    (tmp_path / "site.toml").write_text(
        'title = "T"\nsubtitle = "S"\nrepository = ""\nbranch = "main"\n')
    return tmp_path


def test_chapter_table_has_colab_links_only_with_an_address(course: Path) -> None:
    row = "| One | [A page](notebooks/page.ipynb) | [Solutions](notebooks/page_solutions.ipynb) |"
    assert chapter_table(EMPTY, course).splitlines()[2] == row
    assert "site.toml" in chapter_table(EMPTY, course)
    public = chapter_table(PUBLIC, course)
    assert public.splitlines()[2].startswith(row)
    assert "/github/owner/name/blob/main/notebooks/page.ipynb" in public
    assert "site.toml" not in public


def test_check_fails_until_the_files_are_written(course: Path) -> None:
    root = ["--root", str(course)]
    assert site_main(["--check", *root]) == 1
    assert site_main(root) == 0
    assert site_main(["--check", *root]) == 0
    toml = course / "site.toml"
    toml.write_text(toml.read_text().replace('""', json.dumps(PUBLIC.repository)))
    assert site_main(["--check", *root]) == 1


def test_readme_without_its_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="README.md"):
        readme_text("# Title", EMPTY, "")


# --- requirements -------------------------------------------------------------------------

def test_closure_follows_dependencies_but_not_foreign_markers() -> None:
    found = closure([Requirement("nbval>=0.1"), Requirement("torch; python_version < '3'")])
    assert {"nbval", "pytest", "pluggy", "ipykernel"} <= set(found)
    assert "torch" not in found
    assert all("+" not in version for version in found.values())
