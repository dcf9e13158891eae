"""The notebooks that the tests read: as committed, when a learner has worked in the file.

A learner who solves an exercise in `notebooks/NAME.ipynb` has broken nothing. So a notebook that
`tools.notebooks` did not write, or whose cells are not those of its twin, counts as somebody's
working copy. In its place the tests take the notebook of the last commit; without git the cells of
the twin, whose outputs are then not compared.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from tools import pages
from tools.notebook_rules import IGNORE


def is_working_copy(name: str, folder: Path = pages.FOLDER) -> bool:
    """Whether somebody has saved the notebook from Jupyter."""
    path, twin = pages.notebook_path(name, folder), pages.twin_path(name, folder)
    notebook = pages.read_notebook(path)
    ours = pages.text_of(notebook) == path.read_text(encoding="utf-8")
    return not ours or pages.cells_of(notebook) != pages.cells_of(pages.read_twin(twin))


def committed(name: str, folder: Path = pages.FOLDER) -> NotebookNode | None:
    """The notebook of the last commit; None without git, or when it was never committed."""
    command = ["git", "show", f"HEAD:./{pages.notebook_path(name, folder).name}"]
    try:
        shown = subprocess.run(command, cwd=folder, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return nbformat.reads(shown.decode("utf-8"), as_version=4)


def shipped(name: str, folder: Path = pages.FOLDER) -> tuple[NotebookNode, bool]:
    """The notebook to test, and whether its outputs are known."""
    if not is_working_copy(name, folder):
        return pages.read_notebook(pages.notebook_path(name, folder)), True
    notebook = committed(name, folder)
    if notebook is not None:
        return notebook, True
    notebook = pages.read_twin(pages.twin_path(name, folder))
    for cell in notebook.cells:
        if cell.cell_type == "code" and IGNORE not in cell.source:
            cell.source = f"# {IGNORE}\n{cell.source}"
    return notebook, False


def read_for_nbval(path: str, as_version: int) -> NotebookNode:
    """In place of `nbformat.read` in nbval: a page of the course as `shipped` gives it."""
    file = Path(path)
    if file.with_suffix(".py").is_file():
        return shipped(file.stem, file.parent)[0]
    return nbformat.read(path, as_version=as_version)
