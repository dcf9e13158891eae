"""From the scores of units to the entities of texts."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from companion.entity import Entity
from companion.ner import alignment, schemes
from companion.ner.batching import reading_batches
from companion.ner.crf import LinearChainCRF
from companion.ner.rows import Rows


def entities(scores: np.ndarray, rows: Rows, labels: Sequence[str], scheme: str,
             crf: LinearChainCRF | None = None) -> list[list[Entity]]:
    """The entities of every text, with text and score.

    Args:
        scores: of all units, shape (units, labels), as `rows.emissions` gives them.
        crf: None takes the best label of every unit by itself.
    """
    best, alone, after = _softmax(scores) if crf is None else _chains(scores, rows.bounds, crf)
    labels = [schemes.OUTSIDE if schemes.is_no_word(label) else label for label in labels]
    outside, found = labels.index(schemes.OUTSIDE), []
    for text, first, end in zip(rows.texts, rows.bounds, rows.bounds[1:]):
        tags = best[first:end]
        if (tags == outside).all():
            found.append([])
            continue
        spans = schemes.of_tags([labels[i] for i in tags.tolist()], scheme)
        spans = [replace(e, score=_probability(alone[first:end], after[first:end], e))
                 for e in spans]
        found.append(alignment.to_characters(spans, text))
    return found


def _probability(alone: np.ndarray, after: np.ndarray, span: Entity) -> float:
    """Of the labels of a span: p(first) times p(label, given the label before) for the rest."""
    return float(np.exp(alone[span.start] + after[span.start + 1 : span.end].sum()))


def _softmax(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The best label of every unit, and the logarithm of its probability, twice: no unit
    knows of the one before."""
    above = scores - scores.max(-1, keepdims=True)
    logs = -np.log(np.exp(above).sum(-1))
    return scores.argmax(-1), logs, logs


@torch.inference_mode()
def _chains(scores: np.ndarray, bounds: np.ndarray,
            crf: LinearChainCRF) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The labels of the best sequences; the logarithms of the probability of each label, and
    of its probability given the label before."""
    best, alone, after = np.zeros(len(scores), int), *np.zeros((2, len(scores)))
    lengths = np.diff(bounds)
    texts = np.flatnonzero(lengths)
    for which in (texts[w] for w in reading_batches(lengths[texts], 65536)):
        emissions, mask = _together(scores, bounds, which, crf.start.device)
        tags = crf.viterbi(emissions, mask)[0].clamp(min=0)
        parts = tags, *_log_probabilities(crf, emissions, mask, tags)
        for values, rows in zip((best, alone, after), parts):
            for i, row in zip(which, rows.cpu().numpy()):
                values[bounds[i] : bounds[i + 1]] = row[: lengths[i]]
    return best, alone, after


def _log_probabilities(crf: LinearChainCRF, emissions: Tensor, mask: Tensor,
                       tags: Tensor) -> tuple[Tensor, Tensor]:
    """Of given tags: alone, and given the tag before; both (texts, length)."""
    def of(values: Tensor) -> Tensor:
        return values.gather(2, tags[..., None])[..., 0]

    forward = torch.stack(crf._forward(emissions, mask), 1)
    backward = torch.stack(crf._backward(emissions, mask), 1)
    alone = of((forward + backward).log_softmax(2))
    step = crf._steps(emissions)[1][tags[:, :-1], tags[:, 1:]]
    after = alone.clone()
    after[:, 1:] = step + of(emissions + backward)[:, 1:] - of(backward)[:, :-1]
    return alone, after


def _together(scores, bounds, which, device) -> tuple[Tensor, Tensor]:
    """Texts of one batch as emissions (texts, longest, labels) and mask (texts, longest)."""
    lengths = np.diff(bounds)[which]
    made = np.zeros((len(which), int(lengths.max()), scores.shape[1]), np.float32)
    for row, i in zip(made, which):
        row[: bounds[i + 1] - bounds[i]] = scores[bounds[i] : bounds[i + 1]]
    mask = np.arange(made.shape[1]) < lengths[:, None]
    return torch.from_numpy(made).to(device), torch.from_numpy(mask).to(device)
