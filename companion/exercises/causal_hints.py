"""Hints for the mistakes that are recognised in "Causal language modelling".

Every function gets a case and a wrong answer that already has the right kind and shape. It
returns one hint, or None. A mistake is recognised by its result, never by reading the code.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from companion.exercises.compare import equal
from companion.exercises.old import Case
from companion.exercises.old import _first, _same_result

IGNORED = -100


def loss(case: Case, got: Tensor) -> str | None:
    """Hints for `causal-loss`: each wrong rule gives another number for the same logits."""
    logits, ids = case.given["logits"].detach(), case.given["ids"]
    each = cross_entropy(logits[:, :-1].mT, ids[:, 1:], reduction="none")
    return _same_result(got, [
        (cross_entropy(logits.mT, ids),
         "every position is asked for the token that it sees itself. Position t must be asked "
         "for token t + 1: drop the last logits and the first id."),
        (cross_entropy(logits[:, 1:].mT, ids[:, :-1]),
         "the shift goes the wrong way: each position is asked for the token before it, which "
         "it has seen."),
        (cross_entropy(logits.mT, ids.roll(-1, 1)),
         "the last position is asked for the first token of the row (look for `roll`). Nothing "
         "follows the last position: leave it out."),
        (cross_entropy(logits[:, :-2].mT, ids[:, 2:]),
         "the labels are shifted twice: position t is asked for token t + 2."),
        (each[:, -1].mean(), "only the last prediction of each row counts. All of them should."),
        (each.sum(), "this is the sum over the predictions. The loss is their mean."),
        (each.sum() / ids.numel(),
         "the sum is divided by all positions. A row of L tokens has L - 1 predictions."),
        (each.sum() / len(ids),
         "the sum is divided by the number of rows. Divide by the number of predictions."),
        (each[ids[:, 1:] > 0].mean(),
         "labels that are 0 were dropped. 0 is a token like any other here."),
        (cross_entropy(logits[:, :-1].softmax(-1).mT, ids[:, 1:]),
         "softmax is applied twice. Cross-entropy takes the logits as they are."),
        (-each.mean(), "the sign is wrong. The loss is minus the mean log-probability."),
        (each.mean() / math.log(2), "the logarithm has base 2. The loss is in nats: use ln."),
    ])


def loss_error(error: Exception) -> str | None:
    """A hint for an error that `cross_entropy` raises for this exercise."""
    text = str(error)
    if "target size" in text or "batch_size" in text:
        return "cross_entropy wants the classes on axis 1: flatten to (N, V) and (N,)."
    return None


def labels(case: Case, got: Tensor) -> str | None:
    """Hints for `causal-labels`."""
    ids, pad = case.given["ids"], case.given["pad_id"]
    kept = ids.masked_fill(ids == pad, IGNORED)
    first = torch.zeros_like(ids, dtype=torch.bool)
    first[:, 0] = True
    shifted = torch.full_like(ids, IGNORED)
    shifted[:, :-1] = ids[:, 1:]
    begin = ids[:, :1]
    return _first([
        (pad != 1 and equal(ids.masked_fill(first | (ids == 1), IGNORED), got),
         "the id 1 is written into your function. Use pad_id."),
        (equal(ids, got), "every position has a label, padding too. A model would learn to write "
                          "padding."),
        (equal(kept, got), "the first position has a label, but nothing stands to its left that "
                           "could predict it."),
        (equal(ids.masked_fill(first, IGNORED), got),
         "padding has labels. A model would learn to write padding."),
        (equal(shifted.masked_fill(shifted == pad, IGNORED), got) or equal(shifted, got),
         "the labels are shifted already. transformers shifts them once more, so that every "
         "position would be asked for the token after the next one."),
        (equal(kept.masked_fill(ids == begin, IGNORED), got),
         "the ends of texts have no label, so the model would never learn to stop. Only the "
         "first position of the row is without a label."),
        (equal(ids.masked_fill(first | (ids == pad), 0), got),
         "0 stands where nothing is asked. 0 is the id of a token; only -100 is skipped."),
        (equal(kept[:, 1:], got[:, 1:]) and not equal(kept[:, :1], got[:, :1]),
         "the first label must be -100."),
    ])


def mask(case: Case, got: Tensor) -> str | None:
    """Hints for `causal-mask`."""
    texts, right = case.given["texts"], case.expected
    same = texts[:, None] == texts
    left = torch.ones_like(same).tril()
    return _same_result(got, [
        (left, "positions look into the texts before their own. Compare the numbers in `texts`."),
        (same, "positions look to their right, at the tokens that they are asked for."),
        (right.T, "rows and columns are exchanged: row i says what position i may look at."),
        (~right, "the mask is the wrong way round: True means that a position may look."),
        (right & ~torch.eye(len(texts), dtype=torch.bool),
         "a position must also see itself: it holds the newest token that is known."),
        (same | left, "use `and`, not `or`: the same text and not to the right."),
    ])


def nucleus(case: Case, got: Tensor) -> str | None:
    """Hints for `causal-nucleus`."""
    given, p = case.given["probabilities"], case.given["p"]
    ordered, order = given.sort(descending=True)
    below = ordered.cumsum(0) <= p
    kept = case.expected > 0

    def only(which: Tensor) -> Tensor:
        return torch.where(which, given, 0.0)

    def back(chosen: Tensor) -> Tensor:
        return torch.zeros_like(given).bool().scatter(0, order, chosen)

    strict, by_value = back(below), given >= p
    one_more = back(torch.cat([torch.tensor([True]), below[:-1]]))
    return _first([
        (equal(given, got), "nothing was left out."),
        (equal(only(kept), got), "the probabilities that are left do not sum to 1: divide by "
                                 "their sum."),
        (not equal(strict, kept) and strict.any() and _scaled(only(strict), got),
         "the token with which the sum reaches p is missing. Without it the sum is below p."),
        (not equal(one_more, kept) and _scaled(only(one_more), got),
         "there is one token too many: when the sum is p exactly, the set is complete."),
        (_scaled(only(by_value), got) or not by_value.any() and bool(got.isnan().all()),
         "p was compared with each probability. It is compared with their sum, from the most "
         "probable token on."),
        (_scaled(torch.where(kept[order], ordered, 0.0), got),
         "the result is sorted. Each probability must stay at the place of its token."),
        (_scaled(only(given.cumsum(0) - given < p), got),
         "the sum runs in the order of the vocabulary. Sort by probability first."),
        (equal(case.expected.count_nonzero(), got.count_nonzero())
         and equal(torch.where(kept, given, -math.inf).softmax(0), got),
         "softmax was applied to probabilities. They only need to be divided by their sum."),
    ])


def _scaled(values: Tensor, got: Tensor) -> bool:
    """Whether `got` is `values`, as they are or divided by their sum."""
    return equal(values, got) or bool(values.sum() > 0) and equal(values / values.sum(), got)


def perplexity(case: Case, got: Any) -> str | None:
    """Hints for `causal-perplexity`."""
    losses, text = case.given["losses"].double(), case.given["text"]
    total, size = losses.sum().item(), len(text)
    return _same_result(got, [
        (math.exp(total / len(losses)), "this is the perplexity per token: divide the sum of the "
                                        "losses by the number of characters instead."),
        (total / size, "this is the loss per character. The perplexity is exp of it."),
        (total / size / math.log(2), "these are bits per character. The perplexity is exp of the "
                                     "loss in nats per character."),
        (2 ** (total / size), "the losses are in nats: use exp, not a power of 2."),
        (math.exp(total), "divide by the number of characters before you take exp."),
        (losses.exp().sum().item() / size,
         "exp comes after the mean: take it of the loss per character, once."),
        (math.exp(losses.mean().item()) / size,
         "the division stands outside exp. Divide the sum of the losses, then take exp."),
        (math.exp(total / len(text.encode())) if len(text.encode()) != size else None,
         "you divided by bytes. A letter with an accent is one character but several bytes."),
        (math.exp(total / len(text.split())), "you divided by words, not by characters."),
        (math.exp(-total / size), "the sign is wrong: losses are positive, and so perplexity is "
                                  "above 1."),
    ])
