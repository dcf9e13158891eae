"""Hints for the mistakes that are recognised in "Contrastive learning: sentences as vectors".

Every function gets a case and a wrong answer that already has the right kind and shape. It
returns one hint, or None. A mistake is recognised by its result, never by reading the code.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from companion.exercises.old import Case
from companion.exercises.old import _first, _same_result


def _nce(scores: Tensor) -> Tensor:
    return cross_entropy(scores, torch.arange(len(scores)))


def loss(case: Case, got: Tensor) -> str | None:
    """Hints for `contrastive-loss`: each wrong rule gives another number."""
    similarities, temperature = case.given["similarities"].detach(), case.given["temperature"]
    scores = similarities / temperature
    right, diagonal = case.expected.detach(), scores.diagonal()
    others = scores.masked_fill(torch.eye(len(scores)).bool(), float("-inf"))
    return _same_result(got, [
        (_nce(scores.T),
         "the softmax runs over the wrong axis. Row i is the question, its columns are the "
         "answers to choose from."),
        ((right + _nce(scores.T)) / 2,
         "this is the mean of two losses, one for the rows and one for the columns. Only the "
         "rows are asked for here."),
        ((others.logsumexp(1) - diagonal).mean(),
         "the right answer is missing below the fraction line. The sum runs over all answers, "
         "the right one included."),
        (_nce(similarities), "the temperature is not used: divide the similarities by it."),
        (_nce(similarities * temperature),
         "the similarities are multiplied by the temperature. Divide them by it."),
        (right * len(scores), "this is the sum over the rows. The loss is their mean."),
        (-right, "the sign is wrong. The loss is minus the mean log-probability, above zero."),
        (right / math.log(2), "the logarithm has base 2. The loss is in nats: use ln."),
        (_nce(scores.softmax(1)),
         "softmax is applied twice. Cross-entropy takes the scores as they are."),
        (1 - scores.softmax(1).diagonal().mean(),
         "the logarithm is missing: this is one minus the probability."),
        (-scores.softmax(1).diagonal().mean().log(),
         "the mean is taken before the logarithm. Take the logarithm of each row first."),
        (-diagonal.mean(),
         "only the similarity of the right pairs counts here. Without the others, all vectors "
         "could become the same."),
        (-scores.flatten().softmax(0).view_as(scores).diagonal().log().mean(),
         "the softmax runs over the whole matrix. Each row is a choice of its own."),
    ])


def loss_error(error: Exception) -> str | None:
    """Hints for errors that `cross_entropy` raises for these exercises."""
    text = str(error)
    return _first([
        ("probabilities" in text or "Float" in text or "Long" in text,
         "the labels of cross_entropy are whole numbers: row i has the right answer i, "
         "torch.arange(N)."),
        ("batch_size" in text or "target size" in text,
         "cross_entropy wants N labels for N rows: torch.arange(N)."),
    ])


def temperature(case: Case, got: Any) -> str | None:
    """Hints for `contrastive-temperature`."""
    right, wrong, count, heat = case.given.values()
    gap = wrong - right

    def share(others: float, exponent: float) -> float:
        return 1 / (1 + others * math.exp(exponent))

    return _same_result(got, [
        (share(count, gap / heat),
         "the right answer counts twice: among N answers there are N - 1 wrong ones."),
        (share(1, gap / heat), "only one wrong answer counts. There are N - 1 of them."),
        (share(count - 1, gap), "the temperature is not used: divide the similarities by it."),
        (share(count - 1, gap * heat),
         "the similarities are multiplied by the temperature. Divide them by it."),
        (-math.log(case.expected), "this is the loss. The probability itself is asked for."),
        (math.exp(gap / heat) * case.expected, "this is the probability of one wrong answer."),
        (1 - case.expected, "this is the probability of all wrong answers together."),
        (1 / count, "this is the chance level. The similarities differ."),
        (right / (right + (count - 1) * wrong),
         "the exponential is missing: a softmax takes exp of each score first."),
    ])


def pooling(case: Case, got: Tensor) -> str | None:
    """Hints for `contrastive-pooling`."""
    states, mask = case.given["states"], case.given["mask"]
    weights = mask[..., None].float()
    sums = (states * weights).sum(1)
    inner = [[place for place, keep in enumerate(row) if keep][1:-1] for row in mask.tolist()]
    places = [[place for place, keep in enumerate(row) if keep] for row in mask.tolist()]
    middle = None
    if all(inner):
        middle = torch.stack([row[keep].mean(0) for row, keep in zip(states, inner, strict=True)])
    return _same_result(got, [
        (states.mean(1), "padding is in the mean. Count only the positions where mask is 1."),
        (sums / mask.shape[1],
         "the sum leaves out the padding, but it is divided by the length of the row. Divide by "
         "the number of tokens that count."),
        (sums, "this is the sum. Divide it by the number of tokens that count."),
        (sums / weights.sum(), "the sum of each row is divided by the tokens of the whole batch."),
        (sums / weights.sum(1).mean(),
         "each row is divided by the mean number of tokens. Each row has a number of its own."),
        (states[:, 0], "this is the state of the first position, [CLS] pooling. The mean is asked."),
        (torch.stack([row[keep].amax(0) for row, keep in zip(states, places, strict=True)]),
         "this is the largest value of each column. The mean is asked for."),
        ((states * (1 - weights)).sum(1) / (1 - weights).sum(1),
         "the mask is the wrong way round: 1 marks a token, 0 marks padding."),
        (middle, "the first and the last token are missing. All positions with mask 1 count."),
    ])


def pooling_error(error: Exception) -> str | None:
    """A hint for a product of shapes that do not fit."""
    return _first([("size of tensor" in str(error) or "broadcast" in str(error),
                    "the mask has shape (B, L) and the states (B, L, H): give the mask a last "
                    "axis of length 1, mask[..., None].")])


def recall(case: Case, got: Any) -> str | None:
    """Hints for `contrastive-recall`."""
    scores, k = case.given["scores"], case.given["k"]
    number, square = len(scores), scores[:, : len(scores)]

    def share(table: Tensor, places: int) -> float:
        ranks = (table > table.diagonal()[:, None]).sum(1)
        return (ranks < places).float().mean().item()

    return _same_result(got, [
        (case.expected * number, "this is the number of queries. Divide by how many there are."),
        (case.expected / k,
         "this is divided by k as well. That is precision; recall asks whether the one right "
         "document was found."),
        (share(-scores, k), "the lowest scores come first. The highest should."),
        (share(scores, k + 1), "one document too many is looked at: a document is among the k "
                               "best if fewer than k have a higher score."),
        (share(scores, k - 1), "one document too few is looked at: a document is among the k "
                               "best if fewer than k have a higher score."),
        (share(square.T, k) if k <= number else None,
         "the columns are searched. Row i is the query; look for its best columns."),
        (share(scores, 1), "only the best document of each query counts. Use k."),
        (k / scores.shape[1], "this is the chance level. Compare the scores."),
        (1 - case.expected, "this is the share that was not found."),
    ])


def uniformity(case: Case, got: Tensor) -> str | None:
    """Hints for `contrastive-uniformity`."""
    vectors = case.given["vectors"]
    count = len(vectors)

    def value(points: Tensor, rule: Callable[[Tensor], Tensor], own: bool = False) -> Tensor:
        table = torch.cdist(points, points)
        keep = torch.ones(count, count).bool() if own else ~torch.eye(count).bool()
        return rule(table[keep])

    unit = normalize(vectors, dim=1)
    usual = (lambda d: (-2 * d**2).exp().mean().log())
    return _same_result(got, [
        (value(unit, usual, own=True),
         "pairs of a row with itself count, too. Their distance is always 0: leave them out."),
        (value(vectors, usual), "the vectors are not scaled to length 1. Only directions count."),
        (value(unit, lambda d: (-2 * d).exp().mean().log()), "the distances are not squared."),
        (value(unit, lambda d: (-(d**2)).exp().mean().log()),
         "the factor 2 before the squared distance is missing."),
        (value(unit, lambda d: (-2 * d**2).exp().mean()), "the logarithm is missing at the end."),
        (value(unit, lambda d: (-2 * d**2).mean()) if count > 2 else None,
         "this is the mean of the exponents. Take exp first, then the mean, then the logarithm."),
        (-case.expected, "the sign is wrong: lower is better, and no value is above zero."),
        (value(unit, lambda d: (-2 * d**2).exp().sum().log() - math.log(2)) if count > 2 else None,
         "the pairs are summed. Take their mean."),
        (value(unit, lambda d: (-2 * d**2).exp().sum().log()),
         "the pairs are summed. Take their mean."),
        (value(unit, lambda d: (2 * d**2).exp().mean().log()),
         "the minus sign in the exponent is missing."),
    ])


def copies(case: Case, got: Tensor) -> str | None:
    """Hints for `contrastive-copies`."""
    scores = case.given["similarities"].detach() / case.given["temperature"]
    texts = case.given["texts"]
    same = texts[:, None] == texts
    own = torch.eye(len(texts)).bool()
    copied = same & ~own
    alone = ~copied.any(1)
    right = case.expected.detach()
    cut = scores.masked_fill(copied, float("-inf"))
    log_all = scores.softmax(1).masked_fill(~same, 0).sum(1).log()
    first = torch.tensor([i for i, row in enumerate(same) if row.nonzero()[0] == i])
    return _same_result(got, [
        (_nce(scores), "copies still count as wrong answers. Leave out each place where "
                       "texts[i] == texts[j] and i is not j."),
        (_nce(scores.masked_fill(copied, 0)),
         "the scores of the copies are set to 0. exp(0) is 1, so they still count: use minus "
         "infinity."),
        (_nce(scores.masked_fill(copied.triu(), float("-inf"))),
         "only one of two copies leaves out the other. Both must."),
        (_nce(scores.masked_fill(copied.tril(), float("-inf"))),
         "only one of two copies leaves out the other. Both must."),
        (_nce(cut[alone][:, alone]), "texts that occur twice are left out altogether. They are "
                                     "questions like the others."),
        (_nce(scores[first][:, first]),
         "the second copy is no question any more. Every row has a loss."),
        (cross_entropy(cut[alone], alone.nonzero()[:, 0]),
         "the rows of the copies are missing in the mean. Every row has a loss."),
        (-log_all.mean(),
         "copies count as right answers. Row i has one right answer, its own second view."),
        (_nce(cut.T), "the softmax runs over the wrong axis: row i is the question."),
        (_nce(case.given["similarities"].detach().masked_fill(copied, float("-inf"))),
         "the temperature is not used: divide the similarities by it."),
        (right * len(texts), "this is the sum over the rows. The loss is their mean."),
        (-right, "the sign is wrong. The loss is minus the mean log-probability, above zero."),
        (torch.tensor(float("inf")),
         "the right answer is left out, too: a text is the same as itself. Keep the diagonal."),
    ])
