"""Write the stub and the solution of each exercise into the pages of its chapter.

    python -m tools.exercises            write the cells, in twins and notebooks
    python -m tools.exercises --check    change nothing; fail when a cell is not up to date

The source is the exercise's block in `companion/exercises/CHAPTER.py`. The page of the chapter
gets the function without its body, the page of the solutions the whole function. Outputs stay.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from companion import storage
from companion.errors import CourseError
from companion.exercises.registry import CHAPTERS, of_chapter
from tools import pages


def blank(source: str) -> str:
    """The stub of a solution: head and docstring, then `raise NotImplementedError`.

    Raises:
        CourseError: the function has no docstring.
    """
    function = ast.parse(source).body[0]
    if ast.get_docstring(function) is None:
        raise CourseError(f"{function.name} has no docstring: say there what is to be done.")
    lines = source.splitlines()[:function.body[0].end_lineno]
    return "\n".join([*lines, "    raise NotImplementedError"])


def cells(page: str) -> dict[str, str]:
    """What the cells of a page must be, by the name of their function."""
    chapter = page.removesuffix("_solutions")
    made = blank if page == chapter else str
    return {one.function: made(one.source) for one in of_chapter(chapter)}


def twin_text(text: str, page: str) -> str:
    """A twin with its exercise cells as they must be."""
    for name, source in cells(page).items():
        cell = re.compile(rf"^(# %%[^\n]*\n)def {name}\(.*?(?=\n+# %%|\n*\Z)",
                          re.MULTILINE | re.DOTALL)
        text, found = cell.subn(lambda match, new=source: match[1] + new, text)
        _require_one(found, name, f"{page}.py")
    return text


def notebook_text(text: str, page: str) -> str:
    """The same for a notebook (JSON). A stub or a solution prints nothing: outputs stay true."""
    notebook = json.loads(text)
    for name, source in cells(page).items():
        found = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"
                 and "".join(cell["source"]).startswith(f"def {name}(")]
        _require_one(len(found), name, f"{page}.ipynb")
        found[0]["source"] = source.splitlines(keepends=True)
    return json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def _require_one(found: int, name: str, file: str) -> None:
    if found != 1:
        raise CourseError(f"{file} has {found} cells that begin with `def {name}(`; "
                          "write one, and the rest of it is filled in.")


def stale(read: Callable[[Path], str]) -> Iterator[tuple[Path, str]]:
    """Files of which a cell is not up to date, each with its right text.

    `read` gives the text of a file, for example that of the last commit.
    """
    for page in [page for chapter in CHAPTERS for page in (chapter, f"{chapter}_solutions")]:
        for path, made in ((pages.twin_path(page), twin_text),
                           (pages.notebook_path(page), notebook_text)):
            old = read(path)
            new = made(old, page)
            if new != old:
                yield path, new


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.exercises", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing, only tell")
    options = parser.parse_args(arguments)
    try:
        found = list(stale(lambda path: path.read_text(encoding="utf-8")))
    except CourseError as error:
        print(error, file=sys.stderr)
        return 1
    for path, text in found:
        if not options.check:
            storage.write_text(path, text)
        print(f"{path.name}: {'not up to date' if options.check else 'written'}")
    return int(options.check and bool(found))


if __name__ == "__main__":
    sys.exit(main())
