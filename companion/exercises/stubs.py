"""Stubs are made from solutions, so that the two cannot disagree."""

from __future__ import annotations

import ast

from companion.errors import CourseError


def blank(source: str) -> str:
    """The stub of a solution: each function keeps its head and docstring and loses its body.

    Args:
        source: the code of one cell, with one or more top-level functions.

    Returns:
        The same code where the body after each docstring is `raise NotImplementedError`.

    Raises:
        CourseError: the code does not parse, has no function, or a function has no docstring.
    """
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise CourseError(f"the solution does not parse: {error}; mend it first.") from error
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    if not functions:
        raise CourseError("the solution has no function: write one at the top level of the cell.")
    lines = source.splitlines()
    for function in reversed(functions):  # from the end, so that earlier line numbers hold
        if ast.get_docstring(function) is None:
            raise CourseError(f"{function.name} has no docstring: say there what is to be done.")
        docstring = function.body[0]
        stop = " " * docstring.col_offset + "raise NotImplementedError"
        lines[docstring.end_lineno:function.end_lineno] = [stop]
    return "\n".join(lines)
