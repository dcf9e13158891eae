"""Batches of rows of similar length, in few shapes: little padding, and memory that is reused."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch

IGNORE = -100  # the label of positions that do not count
STEP = 8  # widths are multiples of this many tokens
POOL = 50  # batches that are sorted by length together


def width_of(longest: int, most: int | None = None) -> int:
    """The number of columns for rows of at most ``longest`` tokens; ``most`` the model reads."""
    width = -(-longest // STEP) * STEP
    return width if most is None else min(width, most)


def training_batches(
    lengths: Sequence[int], size: int, seed: int, epoch: int
) -> list[np.ndarray]:
    """Indices of the rows of every batch of one epoch, each row once.

    Rows are shuffled, sorted by length within pools of ``POOL`` batches, cut into batches, and
    the batches are shuffled. So rows of a batch are alike in length, and which rows meet
    changes from epoch to epoch. The same seed and epoch give the same batches.
    """
    draw = np.random.default_rng([seed, epoch])
    order = draw.permutation(len(lengths))
    lengths = np.asarray(lengths)
    pools = [order[i : i + size * POOL] for i in range(0, len(order), size * POOL)]
    order = np.concatenate([pool[np.argsort(lengths[pool], kind="stable")] for pool in pools])
    batches = [order[i : i + size] for i in range(0, len(order), size)]
    return [batches[i] for i in draw.permutation(len(batches))]


def reading_batches(lengths: Sequence[int], tokens: int = 1024) -> Iterator[np.ndarray]:
    """Indices of rows, longest first, in batches of at most ``tokens`` tokens with padding.

    The longest come first, so a memory that is too small shows at once.
    """
    order = np.argsort(-np.asarray(lengths), kind="stable")
    start = 0
    while start < len(order):
        count = max(1, tokens // width_of(int(lengths[order[start]])))
        yield order[start : start + count]
        start += count


def padded(rows: Sequence[Sequence[int]], fill: int, width: int) -> torch.Tensor:
    """Rows of ids or labels as one tensor of shape (rows, width), filled up at the right."""
    made = np.full((len(rows), width), fill, np.int64)
    for i, row in enumerate(rows):
        made[i, : len(row)] = row
    return torch.from_numpy(made)


def attention(lengths: Sequence[int], width: int) -> torch.Tensor:
    """1 where a row has a token and 0 where it is padding, shape (rows, width)."""
    return (torch.arange(width) < torch.as_tensor(lengths)[:, None]).long()
