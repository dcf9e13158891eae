"""From scores of tokens to entities of texts."""

from collections.abc import Sequence

import numpy as np
import torch

from companion.ner import schemes
from companion.ner.rows import Rows
from companion.ner.spans import Entity


def entities(scores: np.ndarray, rows: Rows, labels: Sequence[str], scheme: str,
             crf=None) -> list[list[Entity]]:
    """The entities of every text, with text and score.

    Args:
        scores: of all tokens, shape (tokens, labels), as `rows.emissions` gives them.
        crf: None takes the best label of every token by itself.
    """
    best, sure = (_softmax(scores) if crf is None else _chain(scores, rows.bounds, crf))
    found = []
    for i, text in enumerate(rows.texts):
        first, end = rows.bounds[i], rows.bounds[i + 1]
        found.append(_of_text(best[first:end], sure[first:end], rows.offsets[i], text, labels,
                              scheme))
    return found


def _softmax(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The best label of every token and the logarithm of its probability."""
    if not len(scores):
        return np.zeros(0, int), np.zeros(0)
    top = scores.max(-1)
    return scores.argmax(-1), -np.log(np.exp(scores - top[:, None]).sum(-1))


def _of_text(best, sure, offsets, text, labels, scheme) -> list[Entity]:
    outside = labels.index(schemes.OUTSIDE)
    if not (best != outside).any():
        return []
    found, at = [], 0
    for span in schemes.from_tags([labels[i] for i in best], scheme):
        start, end = offsets[span.start][0], offsets[span.end - 1][1]
        if at <= start < end:  # a normaliser may give two tokens the same character
            score = float(np.exp(sure[span.start : span.end].sum()))
            found.append(Entity(start, end, span.type, text[start:end], score))
            at = end
    return found
