"""Comparing an answer with the expected one, and saying where they differ.

Three questions are kept apart, because each asks for another message: is the answer of the right
kind and shape (`kind_problem`), are its values right (`equal`), and where does it go wrong
(`first_difference`).
"""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

# Float32 arithmetic in another order moves the sixth digit; no known mistake is this small.
RELATIVE = 1e-5


def copied(value: Any) -> Any:
    """A copy that can be modified freely; a tensor's copy stays in the graph of the original."""
    return value.clone() if isinstance(value, Tensor) else copy.deepcopy(value)


def kind_problem(expected: Any, got: Any, names: tuple[str, ...]) -> str | None:
    """One sentence on a wrong type, dtype, shape or number of results, or None.

    `names` has one name for each result; several are expected where `expected` is a tuple.
    """
    if got is None and expected is not None:
        return "your function returned None: is the `return` missing?"
    if not isinstance(expected, tuple):
        return _one_kind(expected, got, names[0])
    wanted = f"return {len(expected)} results: {', '.join(names)}."
    if not isinstance(got, (tuple, list)):
        return f"your function returned one {type(got).__name__}; {wanted}"
    if len(got) != len(expected):
        return f"your function returned {len(got)} results; {wanted}"
    problems = map(_one_kind, expected, got, names)
    return next((problem for problem in problems if problem), None)


def _one_kind(expected: Any, got: Any, name: str) -> str | None:
    if isinstance(expected, Tensor):
        return _tensor_kind(expected, got, name)
    kind = type(got).__name__
    if isinstance(expected, list) and not isinstance(plain(got), (list, tuple)):
        return f"{name}: a list is expected, not a {kind}."
    if isinstance(expected, float) and _number(got) is None:
        return f"{name}: one number is expected, not a {kind}."
    return None


def _tensor_kind(expected: Tensor, got: Any, name: str) -> str | None:
    shape = tuple(expected.shape)
    if not isinstance(got, Tensor):
        return f"{name}: a tensor of shape {shape} is expected, not a {type(got).__name__}."
    if tuple(got.shape) != shape and not (shape == () and tuple(got.shape) == (1,)):
        return f"{name}: the shape is {tuple(got.shape)}; {shape} is expected."
    if _number_kind(got) != _number_kind(expected):
        return f"{name}: the dtype is {got.dtype}; {expected.dtype} is expected."
    if expected.requires_grad and not got.requires_grad:
        return f"{name}: no gradient can flow back (look for .item(), .detach() or no_grad)."
    return None


def _number_kind(tensor: Tensor) -> str:
    """Float64 is as good as float32, and int32 as int64; a table of 0 and 1 is no mask."""
    if tensor.dtype == torch.bool:
        return "truth"
    return ("complex" if tensor.is_complex() else
            "real" if tensor.is_floating_point() else "whole")


def plain(value: Any) -> Any:
    """Arrays and tensors as lists."""
    return value.tolist() if isinstance(value, (Tensor, np.ndarray)) else value


def _number(value: Any) -> float | None:
    if isinstance(value, str):
        return None
    try:
        return float(value.detach() if isinstance(value, Tensor) else value)
    except (TypeError, ValueError, RuntimeError):
        return None


def equal(expected: Any, got: Any) -> bool:
    """Whether two values agree: floats to `RELATIVE`, all else exactly; tuple or list alike."""
    if isinstance(expected, Tensor):
        return isinstance(got, Tensor) and _equal_tensors(expected, got)
    expected, got = plain(expected), plain(got)
    if isinstance(expected, float):
        number = _number(got)
        return number is not None and (math.isclose(number, expected, rel_tol=RELATIVE)
                                       or math.isnan(number) and math.isnan(expected))
    if isinstance(expected, (list, tuple)):
        return (isinstance(got, (list, tuple)) and len(got) == len(expected)
                and all(map(equal, expected, got)))
    if isinstance(expected, int):
        return _number(got) == expected
    return isinstance(got, type(expected)) and bool(expected == got)


def _equal_tensors(expected: Tensor, got: Tensor) -> bool:
    if got.shape != expected.shape and not got.numel() == expected.numel() == 1:
        return False
    if _number_kind(got) != _number_kind(expected):
        return False
    got = got.reshape(expected.shape).to(expected.dtype)
    if expected.is_floating_point():
        return torch.allclose(got, expected, rtol=RELATIVE, atol=1e-8, equal_nan=True)
    return torch.equal(got, expected)


def first_difference(
    expected: Any, got: Any, names: tuple[str, ...]
) -> tuple[str, Any, Any] | None:
    """The first result that is wrong as (name, expected, got), or None when all are right."""
    if not isinstance(expected, tuple):
        expected, got = (expected,), (got,)
    for name, right, mine in zip(names, expected, got, strict=True):
        if not equal(right, mine):
            return name, right, mine
    return None
