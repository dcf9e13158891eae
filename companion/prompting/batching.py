"""Batches of texts of similar length."""

from collections.abc import Sequence

import torch


def batches(lengths: Sequence[int], tokens: int = 1024) -> list[list[int]]:
    """Indices of texts, shortest first, so that a padded batch has at most ``tokens`` tokens.

    A text longer than that is a batch of its own.
    """
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    groups: list[list[int]] = []
    for index in order:
        if groups and lengths[index] * (len(groups[-1]) + 1) <= tokens:
            groups[-1].append(index)
        else:
            groups.append([index])
    return groups


def pad(rows: Sequence[Sequence[int]], padding: int) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Ids (batch, length), and the attention mask, or None where no row needed padding."""
    width = max(map(len, rows))
    ids = torch.tensor([[*row, *[padding] * (width - len(row))] for row in rows])
    if all(len(row) == width for row in rows):
        return ids, None
    lengths = torch.tensor([len(row) for row in rows])
    return ids, (torch.arange(width) < lengths[:, None]).long()
