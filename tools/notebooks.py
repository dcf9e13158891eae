"""Build the notebooks from their text twins and run them.

    python -m tools.notebooks run [NAME ...]    build and execute (all when none is named)
    python -m tools.notebooks sync [NAME ...]   the same, only where cells have changed
    python -m tools.notebooks twin NAME ...     write the twin of a notebook edited in Jupyter
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode

from tools import environment, pages
from tools.notebook_rules import OUTPUT_RULES, SOURCE_RULES, faults


class PageError(RuntimeError):
    """A page that may not be written; the message says what to mend, one fault a line."""


def build(name: str, folder: Path = pages.FOLDER) -> NotebookNode:
    """Execute the cells of a twin in a fresh kernel; return the notebook with outputs.

    Raises:
        PageError: when a cell fails or a rule of `notebook_rules` is broken.
    """
    twin = pages.twin_path(name, folder)
    if not twin.is_file():
        raise PageError(f"{name}: there is no {twin.name}; write it, or `twin {name}`")
    notebook = pages.read_twin(twin)
    _refuse(name, faults(notebook, SOURCE_RULES))
    client = NotebookClient(
        notebook, timeout=900, startup_timeout=600, kernel_name="python3", record_timing=False,
        store_widget_state=False, coalesce_streams=True,
        resources={"metadata": {"path": str(folder)}})
    try:
        client.execute()
    except CellExecutionError as error:
        raise PageError(f"{name}: a cell failed\n{error}") from None
    notebook = pages.normalised(notebook)
    _refuse(name, faults(notebook, OUTPUT_RULES))
    return notebook


def _refuse(name: str, found: list[str]) -> None:
    if found:
        raise PageError("\n".join(f"{name}: {fault}" for fault in found))


def is_current(name: str, folder: Path = pages.FOLDER) -> bool:
    """Whether the notebook exists and has the cells of its twin."""
    notebook, twin = pages.notebook_path(name, folder), pages.twin_path(name, folder)
    return (notebook.is_file() and twin.is_file() and pages.cells_of(
        pages.read_notebook(notebook)) == pages.cells_of(pages.read_twin(twin)))


def run(names: list[str], folder: Path = pages.FOLDER) -> None:
    """Build each page in turn; a page that fails leaves its old notebook as it was."""
    for name in names:
        start = time.monotonic()
        built, path = build(name, folder), pages.notebook_path(name, folder)
        _say(pages.keep_edited(path, built))
        pages.write_notebook(built, path)
        print(f"{name}: executed in {time.monotonic() - start:.0f} s", flush=True)


def _say(copy: Path | None) -> None:
    if copy is not None:
        print(f"what was there had been edited: it is kept as {copy.parent.name}/{copy.name}")


def main(arguments: list[str] | None = None) -> int:
    """The command line; 1 when a page could not be built."""
    parser = argparse.ArgumentParser(prog="python -m tools.notebooks", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("run", "sync", "twin"))
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--folder", type=Path, default=pages.FOLDER, help="where they lie")
    options = parser.parse_args(arguments)
    known, folder = pages.names(options.folder), options.folder
    unknown = set(options.names) - set(known)
    if unknown or (options.command == "twin" and not options.names):
        parser.error(f"name one of: {', '.join(known) or 'none found'}")
    chosen = options.names or known
    environment.apply()
    try:
        if options.command == "twin":
            for name in chosen:
                notebook = pages.read_notebook(pages.notebook_path(name, folder))
                _say(pages.keep_edited(pages.twin_path(name, folder), notebook))
                pages.write_twin(notebook, pages.twin_path(name, folder))
        elif options.command == "sync":
            run([name for name in chosen if not is_current(name, folder)], folder)
        else:
            run(chosen, folder)
    except PageError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
