"""Notebooks on disk: which there are, how one is read from its text twin, how it is written.

Every `notebooks/NAME.ipynb` has a twin `notebooks/NAME.py` in jupytext's py:percent format.
The twin is the source of the cells; the notebook adds the outputs.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import jupytext
import nbformat
from nbformat import NotebookNode

from companion import storage

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "notebooks"
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python", "pygments_lexer": "ipython3"},
}
INSTALL_TAG = "install"


def names(folder: Path = FOLDER) -> list[str]:
    """Names of all pages in `folder`, from twins and notebooks alike."""
    return sorted({path.stem for path in folder.glob("*") if path.suffix in (".py", ".ipynb")})


def notebook_path(name: str, folder: Path = FOLDER) -> Path:
    """Where the notebook of a page lies."""
    return folder / f"{name}.ipynb"


def twin_path(name: str, folder: Path = FOLDER) -> Path:
    """Where the text twin of a page lies."""
    return folder / f"{name}.py"


def read_twin(path: Path) -> NotebookNode:
    """The notebook that a twin describes, without outputs."""
    text = path.read_text(encoding="utf-8")
    return normalised(jupytext.reads(text, fmt="py:percent"))


def read_notebook(path: Path) -> NotebookNode:
    """A notebook with its outputs."""
    return nbformat.read(path, as_version=4)


def normalised(notebook: NotebookNode) -> NotebookNode:
    """A copy that keeps only what a reader sees, so that diffs stay small.

    Cell ids are left out (format 4.4): new ones are drawn each time a twin is read.
    """
    cells = []
    for cell in notebook.cells:
        tags = list(cell.metadata.get("tags", []))
        kept = {"cell_type": cell.cell_type, "metadata": {"tags": tags} if tags else {},
                "source": cell.source}
        if cell.cell_type == "code":
            kept["execution_count"] = cell.get("execution_count")
            kept["outputs"] = [_output(output) for output in cell.get("outputs", [])]
        cells.append(kept)
    return nbformat.from_dict(
        {"nbformat": 4, "nbformat_minor": 4, "metadata": METADATA, "cells": cells})


def _output(output: NotebookNode) -> NotebookNode:
    output = nbformat.from_dict(output)
    if "metadata" in output:
        output.metadata = {}
    return output


def write_notebook(notebook: NotebookNode, path: Path) -> None:
    """Write in the one fixed form."""
    storage.write_text(path, text_of(notebook))


def text_of(notebook: NotebookNode) -> str:
    """The file of a notebook: one space of indent, no escapes, a final newline."""
    text = nbformat.writes(normalised(notebook), version=nbformat.NO_CONVERT)
    return text.rstrip("\n") + "\n"


def write_twin(notebook: NotebookNode, path: Path) -> None:
    """Write the text twin of a notebook that was edited in Jupyter."""
    copy = normalised(notebook)
    copy.metadata = {"jupytext": {"notebook_metadata_filter": "-all",
                                  "cell_metadata_filter": "tags,-all"}}
    storage.write_text(path, jupytext.writes(copy, fmt="py:percent"))


def keep_edited(path: Path, wanted: NotebookNode) -> Path | None:
    """Copy a page into ``my/`` before it is replaced, if its cells would then be nowhere:
    neither those of ``wanted``, which replaces it, nor those that git has. Gives the copy."""
    if not path.is_file():
        return None
    cells = cells_of(_read(path.suffix, path.read_text(encoding="utf-8")))
    if cells in (cells_of(wanted), _committed(path)):
        return None
    mine, number = path.resolve().parents[1] / "my", 1
    while (copy := mine / f"{path.stem}-{number}{path.suffix}").exists():
        number += 1
    storage.write_file(copy, lambda new: new.write_bytes(path.read_bytes()))
    return copy


def _committed(path: Path) -> list | None:
    try:
        found = subprocess.run(["git", "show", f"HEAD:./{path.name}"], cwd=path.parent,
                               capture_output=True, check=True)
        return cells_of(_read(path.suffix, found.stdout.decode()))
    except (OSError, subprocess.CalledProcessError, ValueError):  # no git, or not there
        return None


def _read(suffix: str, text: str) -> NotebookNode:
    return nbformat.reads(text, as_version=4) if suffix == ".ipynb" \
        else jupytext.reads(text, fmt="py:percent")


def cells_of(notebook: NotebookNode) -> list[tuple[str, str, tuple[str, ...]]]:
    """What a twin and its notebook must agree on: type, source and tags of every cell."""
    return [(cell.cell_type, cell.source.rstrip(), tuple(cell.metadata.get("tags", [])))
            for cell in notebook.cells]
