"""What a notebook of the course must be. Each rule yields one line per fault.

`SOURCE_RULES` look at the cells only, so they can be asked before a long run;
`OUTPUT_RULES` look at what a run has stored.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator

from nbformat import NotebookNode

from tools.text_rules import machine_paths

MAX_LINES = 25
MAX_IGNORED = 2
IGNORE = "NBVAL_IGNORE_OUTPUT"
OTHER_MARKS = ("NBVAL_SKIP", "NBVAL_RAISES_EXCEPTION", "RAISES_EXCEPTION",
               "PYTEST_VALIDATE_IGNORE_OUTPUT")

Rule = Callable[[NotebookNode], Iterator[str]]


def faults(notebook: NotebookNode, rules: tuple[Rule, ...]) -> list[str]:
    """All faults that the given rules find, in order."""
    return [fault for rule in rules for fault in rule(notebook)]


def _code(notebook: NotebookNode) -> Iterator[tuple[str, NotebookNode]]:
    """Each code cell with a name for messages: its number and its first line."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for number, cell in enumerate(cells, start=1):
        first = (cell.source.strip().splitlines() or ["(empty)"])[0]
        yield f"code cell {number} ({first[:50]})", cell


def _marks(cell: NotebookNode) -> set[str]:
    """The nbval marks of a cell, whether written as a comment or as a tag."""
    comments = (line.strip().lstrip("#").strip() for line in cell.source.splitlines()
                if line.strip().startswith("#"))
    tags = (tag.upper().replace("-", "_") for tag in cell.metadata.get("tags", []))
    return {*comments, *tags} & {IGNORE, *OTHER_MARKS}


# --- rules about the cells themselves -----------------------------------------------------

def short_cells(notebook: NotebookNode) -> Iterator[str]:
    """A code cell has at most 25 lines."""
    for name, cell in _code(notebook):
        lines = len(cell.source.splitlines())
        if lines > MAX_LINES:
            yield f"{name}: {lines} lines; split it, {MAX_LINES} is the limit"


def plain_python(notebook: NotebookNode) -> Iterator[str]:
    """A code cell is Python that parses: no magics, no shell commands, not empty."""
    for name, cell in _code(notebook):
        try:
            empty = not cell.source.strip()
            ast.parse(cell.source)
        except SyntaxError as error:
            yield f"{name}: not plain Python, line {error.lineno}: {error.msg}"
        else:
            if empty:
                yield f"{name}: empty; remove it"


def few_ignored(notebook: NotebookNode) -> Iterator[str]:
    """At most two cells are left out of the comparison, and none out of the run."""
    ignored = [name for name, cell in _code(notebook) if IGNORE in _marks(cell)]
    if len(ignored) > MAX_IGNORED:
        yield f"{len(ignored)} cells marked {IGNORE}; at most {MAX_IGNORED}: {ignored}"
    for name, cell in _code(notebook):
        for mark in sorted(_marks(cell) & set(OTHER_MARKS)):
            yield f"{name}: the mark {mark} is not allowed; every cell is run and succeeds"


_CLOCKS = {"perf_counter", "perf_counter_ns", "monotonic", "monotonic_ns", "process_time", "time",
           "timeit"}


def _names(node: ast.AST) -> set[str]:
    """The names that a piece of code reads or calls; of `time.monotonic()` the last part."""
    return ({n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
            | {n.func.attr for n in ast.walk(node) if isinstance(n, ast.Call)
               and isinstance(n.func, ast.Attribute)})


def _base(target: ast.AST) -> set[str]:
    """The variables that an assignment changes: of `seconds[name] = 1` only `seconds`."""
    while isinstance(target, (ast.Subscript, ast.Attribute, ast.Starred)):
        target = target.value
    return _names(target)


def _bound(node: ast.AST) -> Iterator[tuple[set[str], ast.AST]]:
    """What a statement names, each with the code that decides its value."""
    if isinstance(node, ast.FunctionDef):
        yield {node.name}, node
    elif isinstance(node, ast.Assign):
        for target in node.targets:
            pairs = [(target, node.value)]
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                pairs = list(zip(target.elts, node.value.elts))
            yield from ((_base(left), right) for left, right in pairs)


def no_asserted_times(notebook: NotebookNode) -> Iterator[str]:
    """No assert reads a clock, nor a value computed from one: another program may be running."""
    timed = set(_CLOCKS)
    for name, cell in _code(notebook):
        try:
            nodes = list(ast.walk(ast.parse(cell.source)))
        except SyntaxError:
            continue  # plain_python reports it
        for node in nodes:
            timed |= {key for keys, value in _bound(node) if _names(value) & timed
                      for key in keys}
        for node in nodes:
            if isinstance(node, ast.Assert) and _names(node.test) & timed:
                yield f"{name}: asserts a time; count operations, and print the time only"


_FENCE = re.compile(r"^ {0,3}(```+|~~~+).*?^ {0,3}\1[ \t]*$", re.MULTILINE | re.DOTALL)
_DIRECTIVE = re.compile(r"^ {0,3}(?:```+|~~~+|:::+)\s*\{[^}\n]*\}.*$", re.MULTILINE)
_TARGET = re.compile(r"^\([\w:-]+\)=\s*$", re.MULTILINE)
_SPAN = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)
_ROLE = re.compile(r"\{[A-Za-z][\w:+-]*\}$")


def plain_markdown(notebook: NotebookNode) -> Iterator[str]:
    """No MyST directive, role or target: Colab would show its raw text."""
    for cell in notebook.cells:
        if cell.cell_type != "markdown":
            continue
        text = cell.source
        found = [match.group().strip() for match in _DIRECTIVE.finditer(text)]
        text = _FENCE.sub("", text)
        found += [match.group().strip() for match in _TARGET.finditer(text)]
        for span in _SPAN.finditer(text):
            role = _ROLE.search(text[:span.start()])
            if role:
                found.append(role.group() + span.group())
        for raw in found:
            yield f"Markdown holds {raw[:40]!r}; use plain Markdown in notebooks"


def no_machine_path(notebook: NotebookNode) -> Iterator[str]:
    """Neither a cell nor an output names a folder of the machine it was run on."""
    for cell in notebook.cells:
        outputs = "\n".join(_texts(cell, everything=True))
        for excerpt in machine_paths(cell.source + "\n" + outputs):
            yield f"machine path in {excerpt!r}; print a name, not a path"


# --- rules about what a run has stored ----------------------------------------------------

def _texts(cell: NotebookNode, everything: bool = False) -> Iterator[str]:
    """The texts of a cell's outputs that nbval compares; with `everything`, all of them."""
    for output in cell.get("outputs", []):
        if output.output_type == "stream":
            yield output.text
        elif output.output_type == "error":
            if everything:
                yield "\n".join([output.evalue, *output.traceback])
        else:
            for kind, data in output.data.items():
                is_text = kind.startswith("text/") or kind == "application/json"
                extra = everything and not kind.startswith("image/")
                if isinstance(data, str) and (is_text or extra):
                    yield data


def executed_in_order(notebook: NotebookNode) -> Iterator[str]:
    """All code cells were run, in order, in a fresh kernel: counts are 1, 2, 3, ..."""
    for number, (name, cell) in enumerate(_code(notebook), start=1):
        if cell.execution_count != number:
            yield (f"{name}: execution count {cell.execution_count}, expected {number}; "
                   "run `make notebooks`")


def no_errors(notebook: NotebookNode) -> Iterator[str]:
    """No cell stores an exception, nor anything written to stderr (nbval compares that)."""
    for name, cell in _code(notebook):
        for output in cell.outputs:
            if output.output_type == "error":
                yield f"{name}: stored exception {output.ename}: {output.evalue[:60]}"
            elif output.output_type == "stream" and output.name == "stderr":
                yield f"{name}: stored stderr {output.text[:60]!r}; mend its cause"


def _prints(source: str) -> bool:
    """Whether the cell itself calls print or display (a call inside a `def` is not its own)."""
    queue: list[ast.AST] = list(ast.parse(source).body)
    while queue:
        node = queue.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            continue
        if (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
                and node.func.id in ("print", "display")):
            return True
        queue.extend(ast.iter_child_nodes(node))
    return False


def _ends_with_value(source: str) -> bool:
    body = ast.parse(source).body
    return bool(body) and isinstance(body[-1], ast.Expr) and not source.rstrip().endswith(";")


def outputs_stored(notebook: NotebookNode) -> Iterator[str]:
    """A compared cell that prints, or whose last statement is an expression, has an output.

    nbval says nothing about a cell without one. An expression that returns None (a seed
    being set) may end a cell when a semicolon follows it.
    """
    for name, cell in _code(notebook):
        if IGNORE in _marks(cell) or cell.outputs:
            continue
        try:
            speaks = _prints(cell.source) or _ends_with_value(cell.source)
        except SyntaxError:
            continue  # plain_python reports it
        if speaks:
            yield f"{name}: no stored output to compare; run `make notebooks` (or end it with ;)"


def pictures_have_text(notebook: NotebookNode) -> Iterator[str]:
    """A cell that draws prints what it draws: nbval compares no pictures."""
    for name, cell in _code(notebook):
        kinds = {kind for output in cell.outputs for kind in output.get("data", {})}
        texts = [text.strip() for text in _texts(cell)]
        if any(kind.startswith("image/") for kind in kinds) and not any(
                text and not text.startswith("<Figure") for text in texts):
            yield f"{name}: draws but prints nothing; print the values that it draws"


_ADDRESS = re.compile(r"\bat 0x[0-9a-f]{6,}")
_UNSTEADY = {
    "image/svg+xml": "an SVG figure has random ids; draw PNG",
    "application/vnd.jupyter.widget-view+json":
        "a widget shows nothing on the website; for a progress bar use `from tqdm import tqdm`",
}


def steady_outputs(notebook: NotebookNode) -> Iterator[str]:
    """No output differs from run to run by nature: addresses, widgets, SVG figures."""
    for name, cell in _code(notebook):
        for output in cell.outputs:
            for kind in output.get("data", {}):
                if kind in _UNSTEADY:
                    yield f"{name}: {_UNSTEADY[kind]}"
        for text in _texts(cell):
            for match in _ADDRESS.finditer(text):
                yield f"{name}: output holds {match.group()!r}; print something readable"


SOURCE_RULES: tuple[Rule, ...] = (short_cells, plain_python, few_ignored, no_asserted_times,
                                  plain_markdown)
OUTPUT_RULES: tuple[Rule, ...] = (executed_in_order, no_errors, outputs_stored,
                                  pictures_have_text, steady_outputs, no_machine_path)
