"""Showing the values of an example: small tables in full, and the first place that differs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from companion.exercises.compare import equal, plain

WIDEST, LONGEST, LARGEST = 16, 300, 24


def shown(value: Any) -> str:
    """A short text for a value: one line, or the lines of a small table after a line break.

    In a table of True and False, ■ is True and · is False.
    """
    if isinstance(value, Tensor):
        if is_large(value):
            return f"tensor of shape {tuple(value.shape)}"
        rows = value.dim() == 2 and (value.dtype == torch.bool or value.numel() > LARGEST)
        return _table(value) if rows else shown(value.tolist())
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, (list, tuple)):
        return _cut(f"[{', '.join(map(shown, value))}]")
    return _cut(repr(value))


def is_large(value: Any) -> bool:
    """Whether a tensor is shown by its shape only."""
    if not isinstance(value, Tensor) or value.numel() <= LARGEST:
        return False
    return value.dim() != 2 or max(value.shape) > WIDEST


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[:LONGEST] + " ..."


def _table(value: Tensor) -> str:
    if value.dtype == torch.bool:
        rows = [["■" if one else "·" for one in row] for row in value.tolist()]
    else:
        rows = [[f"{one:.4g}" for one in row] for row in value.tolist()]
    width = max((len(one) for row in rows for one in row), default=0)
    return "".join("\n        " + " ".join(one.rjust(width) for one in row) for row in rows)


def place_of_difference(expected: Any, got: Any) -> str | None:
    """Where two values of several parts first differ: "at [1, 0]: 5 instead of 7", or None."""
    place, right, mine = _first(plain(expected), plain(got))
    if place:
        return f"at {list(place)}: {shown(mine)} instead of {shown(right)}"
    lists = isinstance(right, (list, tuple)) and isinstance(mine, (list, tuple))
    return f"in the length: {len(mine)} instead of {len(right)}" if lists else None


def _first(expected: Any, got: Any) -> tuple[tuple[int, ...], Any, Any]:
    """Indices of the first part that differs, and that part of both."""
    if isinstance(expected, (list, tuple)) and isinstance(got, (list, tuple)):
        if len(expected) == len(got):
            for index, (right, mine) in enumerate(zip(expected, got)):
                if not equal(right, mine):
                    place, right, mine = _first(plain(right), plain(mine))
                    return (index, *place), right, mine
    return (), expected, got

