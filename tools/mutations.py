"""Single changes to a module, from its syntax tree: what ``tools.mutate`` draws from."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

COMPARISONS = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
               ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
               ast.In: ast.NotIn, ast.NotIn: ast.In}
OPERATORS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
             ast.FloorDiv: ast.Mult, ast.Mod: ast.FloorDiv, ast.Pow: ast.Mult, ast.MatMult: ast.Add,
             ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.BitXor: ast.BitOr}
WORDS = {"min": "max", "max": "min", "any": "all", "all": "any", "argmax": "argmin",
         "argmin": "argmax"}
# Messages, annotations and what is no behaviour are left as they are.
LEFT_OUT = (ast.Raise, ast.JoinedStr)
UNREAD = ("annotation", "returns", "decorator_list")


@dataclass(frozen=True)
class Change:
    """One change: the bytes ``begin`` to ``end`` of a file become ``text``.

    ``before`` and ``after`` are the changed lines with single spaces. By them an equal mutant
    is found again when lines have moved.
    """

    file: str
    line: int
    begin: int
    end: int
    text: str
    before: str
    after: str

    def apply(self, root: Path) -> None:
        """Write the change into the copy of the repository under ``root``."""
        path = root / self.file
        source = path.read_bytes()
        path.write_bytes(source[: self.begin] + self.text.encode() + source[self.end :])

    def record(self) -> dict:
        """What is reported of it."""
        return {key: asdict(self)[key] for key in ("file", "line", "before", "after")}


def changes(root: Path, file: str) -> list[Change]:
    """All single changes of one module, in the order of its text."""
    source = (root / file).read_bytes()
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    found = set()
    for node, text in _sites(ast.parse(source)):
        first, last = starts[node.lineno - 1], starts[node.end_lineno]
        begin, end = first + node.col_offset, starts[node.end_lineno - 1] + node.end_col_offset
        after = source[first:begin].decode() + text + source[end:last].decode()
        found.add(Change(file, node.lineno, begin, end, text,
                         " ".join(source[first:last].decode().split()), " ".join(after.split())))
    return sorted(found, key=lambda one: (one.begin, one.end, one.text))


def _sites(node: ast.AST) -> Iterator[tuple[Any, str]]:
    """Nodes, and what may stand in their place."""
    yield from ((node, text) for text in _others(node))
    for test in _conditions(node):
        if not isinstance(test, ast.UnaryOp):  # its `not` is dropped already
            yield test, f"(not ({ast.unparse(test)}))"
    for name, value in ast.iter_fields(node):
        children = value if isinstance(value, list) else [value]
        for child in children if name not in UNREAD else []:
            if isinstance(child, ast.AST) and not isinstance(child, LEFT_OUT):
                yield from _sites(child)


def _conditions(node: ast.AST) -> list[ast.expr]:
    if isinstance(node, (ast.If, ast.While, ast.IfExp)):
        return [node.test]
    return node.ifs if isinstance(node, ast.comprehension) else []


def _others(node: Any) -> Iterator[str]:
    match node:
        case ast.Constant(value=bool(truth)):
            yield str(not truth)
        case ast.Constant(value=int(number)):
            yield from (str(number + 1), f"({number - 1})")
        case ast.Constant(value=float(number)):
            yield f"({number!r} * 2)" if number else "1.0"
        case ast.UnaryOp():
            yield f"({ast.unparse(node.operand)})"
        case ast.BoolOp(op=op, values=values):
            other = ast.Or() if isinstance(op, ast.And) else ast.And()
            yield f"({ast.unparse(ast.BoolOp(other, values))})"
        case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATORS:
            yield f"({ast.unparse(ast.BinOp(left, OPERATORS[type(op)](), right))})"
        case ast.AugAssign(target=target, op=op, value=value) if type(op) in OPERATORS:
            yield ast.unparse(ast.AugAssign(target, OPERATORS[type(op)](), value))
        case ast.Compare(left=left, ops=ops, comparators=right):
            for place, one in enumerate(ops):
                changed = [*ops[:place], COMPARISONS[type(one)](), *ops[place + 1 :]]
                yield f"({ast.unparse(ast.Compare(left, changed, right))})"
        case ast.Name(id=word) | ast.Attribute(attr=word) if word in WORDS:
            whole = ast.unparse(node)
            yield whole[: len(whole) - len(word)] + WORDS[word]
        case ast.Break():
            yield "continue"
        case ast.Continue():
            yield "break"
