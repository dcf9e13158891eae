"""Every figure in a chapter's prose must be backed by a cell of its section.

A figure is a number with a percent sign or a unit. It is backed when a code cell of the same
section asserts it (the number stands in an `assert`), or when a compared output of the section
prints it. A share may be written as 15 % and computed as 0.15. The minutes in a chapter's opening
say how long it takes to read: they are advice, not a figure.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from nbformat import NotebookNode

from tools.notebook_rules import IGNORE

UNITS = ("%", "percent", "per cent", "points", "times", "nats", "bits", "MB", "GB", "ms",
         "seconds", "minutes", "hours", "parameters", "tokens", "sentences", "reviews", "words",
         "layers", "heads", "steps", "rows", "entries", "positions")
_NUMBER = r"(?<![\w.,$^{/-])(\d[\d,]*(?:\.\d+)?)"
_FIGURE = re.compile(_NUMBER + r"(?:\s|\u00a0|-)?(" + "|".join(map(re.escape, UNITS)) + r")(?!\w)")
_LINK = re.compile(r"\]\([^)]*\)|`[^`]*`|\$[^$]*\$")
_CITED = re.compile(r"\([^()]*\b(?:19|20)\d\d[a-z]?\b[^()]*\)")


def figures(text: str) -> list[tuple[str, str]]:
    """The figures of a Markdown text as (number, unit); code, formulas and links do not count."""
    plain = _CITED.sub("", _LINK.sub("", text))
    return [(number.replace(",", ""), unit) for number, unit in _FIGURE.findall(plain)]


def sections(notebook: NotebookNode) -> Iterator[tuple[str, list[NotebookNode]]]:
    """Title and cells of every section; a heading of level 1 or 2 begins one.

    A Markdown cell with a heading inside belongs to the section before and to the new one.
    """
    title, cells = "", []
    for cell in notebook.cells:
        heads = re.findall(r"^##? (.+)$", cell.source, re.MULTILINE) \
            if cell.cell_type == "markdown" else []
        if not heads:
            cells.append(cell)
            continue
        for part in re.split(r"^(?=##? )", cell.source, flags=re.MULTILINE):
            head = re.match(r"##? (.+)", part)
            if head:
                yield title, cells
                title, cells = head.group(1).strip(), []
            cells.append(NotebookNode(cell_type="markdown", source=part, metadata={}))
    yield title, cells


def backed(cells: list[NotebookNode]) -> set[float]:
    """All numbers that the code cells of a section assert or print."""
    found: set[float] = set()
    for cell in cells:
        if cell.cell_type != "code":
            continue
        nodes = ast.walk(ast.parse(cell.source))
        asserts = [node for node in nodes if isinstance(node, ast.Assert)]
        values = [node.value for a in asserts for node in ast.walk(a)
                  if isinstance(node, ast.Constant)]
        found |= {float(value) for value in values
                  if isinstance(value, (int, float)) and not isinstance(value, bool)}
        if IGNORE in cell.source:
            continue
        for output in cell.get("outputs", []):
            text = output.get("text", "") or output.get("data", {}).get("text/plain", "")
            found |= {float(n.replace(",", "")) for n in re.findall(r"\d[\d,]*(?:\.\d+)?", text)}
    return found


def unbacked(notebook: NotebookNode) -> list[str]:
    """One line for every figure that no cell of its section backs: "section: number unit"."""
    out = []
    for place, (title, cells) in enumerate(sections(notebook)):
        known, opening = backed(cells), place <= 1  # place 0 is what stands before the title
        for cell in cells:
            if cell.cell_type != "markdown":
                continue
            for number, unit in figures(cell.source):
                if opening and unit == "minutes":
                    continue
                value = float(number)
                shares = {value, value / 100} if unit in ("%", "percent", "per cent") else {value}
                if not any(abs(k - v) < 1e-9 for k in known for v in shares):
                    out.append(f"{title}: {number} {unit}")
    return out
