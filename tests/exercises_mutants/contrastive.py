"""Answers to the exercises of "Contrastive learning", as learners write them.

What the tables hold is said in `answer_tables.py`.
"""

import math

import numpy
import torch
from answer_tables import tables
from torch.nn.functional import cross_entropy, normalize

MUTANTS, STOPPED, RIGHT, wrong, stops, right = tables()


# --- contrastive-loss ---------------------------------------------------------------------

@wrong("contrastive-loss", "wrong axis")
def _(similarities, temperature):
    return -(similarities / temperature).softmax(0).diagonal().log().mean()


@wrong("contrastive-loss", "the mean of two losses")
def _(similarities, temperature):
    scores, right = similarities / temperature, torch.arange(len(similarities))
    return (cross_entropy(scores, right) + cross_entropy(scores.T, right)) / 2


@wrong("contrastive-loss", "the right answer is missing below")
def _(similarities, temperature):
    scores = (similarities / temperature).exp()
    right = scores.diagonal()
    return -(right / (scores.sum(1) - right)).log().mean()


@wrong("contrastive-loss", "temperature is not used")
def _(similarities, temperature):
    return cross_entropy(similarities, torch.arange(len(similarities)))


@wrong("contrastive-loss", "multiplied by the temperature")
def _(similarities, temperature):
    return cross_entropy(similarities * temperature, torch.arange(len(similarities)))


@wrong("contrastive-loss", "sum over the rows")
def _(similarities, temperature):
    return cross_entropy(similarities / temperature, torch.arange(len(similarities)),
                         reduction="sum")


@wrong("contrastive-loss", "the sign is wrong")
def _(similarities, temperature):
    return (similarities / temperature).log_softmax(1).diagonal().mean()


@wrong("contrastive-loss", "softmax is applied twice")
def _(similarities, temperature):
    return cross_entropy((similarities / temperature).softmax(1), torch.arange(len(similarities)))


@wrong("contrastive-loss", "before the logarithm")
def _(similarities, temperature):
    return -(similarities / temperature).softmax(1).diagonal().mean().log()


@wrong("contrastive-loss", "only the similarity of the right pairs")
def _(similarities, temperature):
    return -(similarities / temperature).diagonal().mean()


@wrong("contrastive-loss", "base 2")
def _(similarities, temperature):
    return -(similarities / temperature).softmax(1).diagonal().log2().mean()


@wrong("contrastive-loss", "the logarithm is missing")
def _(similarities, temperature):
    return 1 - (similarities / temperature).softmax(1).diagonal().mean()


@wrong("contrastive-loss", "whole matrix")
def _(similarities, temperature):
    scores = (similarities / temperature).exp()
    return -(scores / scores.sum()).diagonal().log().mean()


@wrong("contrastive-loss", "no gradient can flow back")
def _(similarities, temperature):
    return cross_entropy(similarities.detach() / temperature, torch.arange(len(similarities)))


@wrong("contrastive-loss", "the shape is (3,)")
def _(similarities, temperature):
    return -(similarities / temperature).log_softmax(1).diagonal()


@stops("contrastive-loss", "torch.arange(N)")
def _(similarities, temperature):
    return cross_entropy(similarities / temperature, torch.arange(len(similarities)).float())


@stops("contrastive-loss", "N labels for N rows")
def _(similarities, temperature):
    return cross_entropy(similarities / temperature, torch.arange(2 * len(similarities)))


# --- contrastive-temperature --------------------------------------------------------------

@wrong("contrastive-temperature", "the right answer counts twice")
def _(right, wrong, count, temperature):
    top = math.exp(right / temperature)
    return top / (top + count * math.exp(wrong / temperature))


@wrong("contrastive-temperature", "only one wrong answer counts")
def _(right, wrong, count, temperature):
    return 1 / (1 + math.exp((wrong - right) / temperature))


@wrong("contrastive-temperature", "temperature is not used")
def _(right, wrong, count, temperature):
    return 1 / (1 + (count - 1) * math.exp(wrong - right))


@wrong("contrastive-temperature", "multiplied by the temperature")
def _(right, wrong, count, temperature):
    return 1 / (1 + (count - 1) * math.exp((wrong - right) * temperature))


@wrong("contrastive-temperature", "this is the loss")
def _(right, wrong, count, temperature):
    return math.log(1 + (count - 1) * math.exp((wrong - right) / temperature))


@wrong("contrastive-temperature", "one wrong answer.")
def _(right, wrong, count, temperature):
    scores = torch.tensor([right] + [wrong] * (count - 1), dtype=torch.float64) / temperature
    return scores.softmax(0)[-1]


@wrong("contrastive-temperature", "all wrong answers together")
def _(right, wrong, count, temperature):
    scores = torch.tensor([right] + [wrong] * (count - 1), dtype=torch.float64) / temperature
    return 1 - scores.softmax(0)[0]


@wrong("contrastive-temperature", "the chance level")
def _(right, wrong, count, temperature):
    return 1 / count


@wrong("contrastive-temperature", "the exponential is missing")
def _(right, wrong, count, temperature):
    right, wrong = right / temperature, wrong / temperature
    return right / (right + (count - 1) * wrong)


# --- contrastive-pooling ------------------------------------------------------------------

@wrong("contrastive-pooling", "padding is in the mean")
def _(states, mask):
    return states.mean(1)


@wrong("contrastive-pooling", "divided by the length of the row")
def _(states, mask):
    return (states * mask[..., None]).mean(1)


@wrong("contrastive-pooling", "this is the sum")
def _(states, mask):
    return (states * mask[..., None]).sum(1)


@wrong("contrastive-pooling", "tokens of the whole batch")
def _(states, mask):
    return (states * mask[..., None]).sum(1) / mask.sum()


@wrong("contrastive-pooling", "the mean number of tokens")
def _(states, mask):
    return (states * mask[..., None]).sum(1) / mask.sum(1).float().mean()


@wrong("contrastive-pooling", "[CLS] pooling")
def _(states, mask):
    return states[:, 0]


@wrong("contrastive-pooling", "largest value")
def _(states, mask):
    return states.masked_fill(mask[..., None] == 0, float("-inf")).amax(1)


@wrong("contrastive-pooling", "the wrong way round")
def _(states, mask):
    padding = (1 - mask)[..., None]
    return (states * padding).sum(1) / padding.sum(1)


@wrong("contrastive-pooling", "the first and the last token are missing")
def _(states, mask):
    return torch.stack([row[: keep.sum()][1:-1].mean(0)
                        for row, keep in zip(states, mask, strict=True)])


@wrong("contrastive-pooling", "the shape is (2,)")
def _(states, mask):
    return states[mask.bool()].mean(0)


@stops("contrastive-pooling", "mask[..., None]")
def _(states, mask):
    return (states * mask).sum(1) / mask.sum(1)


# --- contrastive-recall -------------------------------------------------------------------

def _found(scores, k):
    return (scores.topk(k, dim=1).indices == torch.arange(len(scores))[:, None]).any(1)


@wrong("contrastive-recall", "number of queries")
def _(scores, k):
    return _found(scores, k).sum().item()


@wrong("contrastive-recall", "precision")
def _(scores, k):
    return _found(scores, k).float().mean().item() / k


@wrong("contrastive-recall", "lowest scores come first")
def _(scores, k):
    best = scores.argsort(dim=1)[:, :k]
    return (best == torch.arange(len(scores))[:, None]).any(1).float().mean()


@wrong("contrastive-recall", "one document too many")
def _(scores, k):
    ranks = (scores > scores.diagonal()[:, None]).sum(1)
    return (ranks <= k).float().mean().item()


@wrong("contrastive-recall", "one document too few")
def _(scores, k):
    ranks = (scores > scores.diagonal()[:, None]).sum(1) + 1
    return (ranks < k).float().mean().item()


@wrong("contrastive-recall", "the columns are searched")
def _(scores, k):
    return _found(scores[:, : len(scores)].T, k).float().mean().item()


@wrong("contrastive-recall", "only the best document")
def _(scores, k):
    return (scores.argmax(1) == torch.arange(len(scores))).float().mean().item()


@wrong("contrastive-recall", "the chance level")
def _(scores, k):
    return k / scores.shape[1]


@wrong("contrastive-recall", "not found")
def _(scores, k):
    return 1 - _found(scores, k).float().mean().item()


@wrong("contrastive-recall", "one number is expected")
def _(scores, k):
    return _found(scores, k)


# --- contrastive-uniformity ---------------------------------------------------------------

def _squared(vectors):
    return torch.pdist(normalize(vectors, dim=1)) ** 2


@wrong("contrastive-uniformity", "with itself")
def _(vectors):
    unit = normalize(vectors, dim=1)
    return (-2 * torch.cdist(unit, unit) ** 2).exp().mean().log()


@wrong("contrastive-uniformity", "not scaled to length 1")
def _(vectors):
    return (-2 * torch.pdist(vectors) ** 2).exp().mean().log()


@wrong("contrastive-uniformity", "not squared")
def _(vectors):
    return (-2 * torch.pdist(normalize(vectors, dim=1))).exp().mean().log()


@wrong("contrastive-uniformity", "the factor 2")
def _(vectors):
    return (-_squared(vectors)).exp().mean().log()


@wrong("contrastive-uniformity", "logarithm is missing")
def _(vectors):
    return (-2 * _squared(vectors)).exp().mean()


@wrong("contrastive-uniformity", "mean of the exponents")
def _(vectors):
    return (-2 * _squared(vectors)).exp().log().mean()


@wrong("contrastive-uniformity", "the sign is wrong")
def _(vectors):
    return -(-2 * _squared(vectors)).exp().mean().log()


@wrong("contrastive-uniformity", "the pairs are summed")
def _(vectors):
    return (-2 * _squared(vectors)).logsumexp(0)


@wrong("contrastive-uniformity", "minus sign in the exponent")
def _(vectors):
    return (2 * _squared(vectors)).exp().mean().log()


@wrong("contrastive-uniformity", "a tensor of shape ()")
def _(vectors):
    return (-2 * _squared(vectors)).exp().mean().log().item()


# --- contrastive-copies -------------------------------------------------------------------

def _copies(texts):
    return (texts[:, None] == texts) & ~torch.eye(len(texts)).bool()


def _rows(scores):
    return cross_entropy(scores, torch.arange(len(scores)))


@wrong("contrastive-copies", "still count as wrong answers")
def _(similarities, temperature, texts):
    return _rows(similarities / temperature)


@wrong("contrastive-copies", "exp(0) is 1")
def _(similarities, temperature, texts):
    return _rows((similarities / temperature).masked_fill(_copies(texts), 0))


@wrong("contrastive-copies", "Both must")
def _(similarities, temperature, texts):
    scores = (similarities / temperature).clone()
    for i in range(len(texts)):
        for j in range(i + 1, len(texts)):
            if texts[i] == texts[j]:
                scores[i, j] = float("-inf")
    return _rows(scores)


@wrong("contrastive-copies", "left out altogether")
def _(similarities, temperature, texts):
    alone = ~_copies(texts).any(1)
    return _rows(similarities[alone][:, alone] / temperature)


@wrong("contrastive-copies", "no question any more")
def _(similarities, temperature, texts):
    seen, kept = set(), []
    for place, text in enumerate(texts.tolist()):
        if text not in seen:
            kept.append(place)
        seen.add(text)
    return _rows(similarities[kept][:, kept] / temperature)


@wrong("contrastive-copies", "missing in the mean")
def _(similarities, temperature, texts):
    scores = (similarities / temperature).masked_fill(_copies(texts), float("-inf"))
    right = torch.arange(len(texts)).masked_fill(_copies(texts).any(1), -100)
    return cross_entropy(scores, right)


@wrong("contrastive-copies", "count as right answers")
def _(similarities, temperature, texts):
    chances = (similarities / temperature).softmax(1)
    return -(chances * (texts[:, None] == texts)).sum(1).log().mean()


@wrong("contrastive-copies", "Keep the diagonal")
def _(similarities, temperature, texts):
    same = texts[:, None] == texts
    return _rows((similarities / temperature).masked_fill(same, float("-inf")))


@wrong("contrastive-copies", "wrong axis")
def _(similarities, temperature, texts):
    return _rows((similarities / temperature).masked_fill(_copies(texts), float("-inf")).T)


@wrong("contrastive-copies", "temperature is not used")
def _(similarities, temperature, texts):
    return _rows(similarities.masked_fill(_copies(texts), float("-inf")))


@wrong("contrastive-copies", "sum over the rows")
def _(similarities, temperature, texts):
    scores = (similarities / temperature).masked_fill(_copies(texts), float("-inf"))
    return cross_entropy(scores, torch.arange(len(texts)), reduction="sum")


# --- right answers, written in another way --------------------------------------------------

@right("contrastive-loss", "exponentials")
def _(similarities, temperature):
    scores = (similarities / temperature).exp()
    return -(scores.diagonal() / scores.sum(1)).log().mean()


@right("contrastive-loss", "logsumexp")
def _(similarities, temperature):
    scores = similarities / temperature
    return (scores.logsumexp(1) - scores.diagonal()).mean()


@right("contrastive-temperature", "numpy")
def _(right, wrong, count, temperature):
    scores = numpy.exp(numpy.array([right] + [wrong] * (count - 1)) / temperature)
    return (scores / scores.sum())[0]


@right("contrastive-pooling", "a loop")
def _(states, mask):
    return torch.stack([row[keep.bool()].mean(0) for row, keep in zip(states, mask, strict=True)])


@right("contrastive-pooling", "a product of matrices")
def _(states, mask):
    weights = mask / mask.sum(1, keepdim=True)
    return torch.einsum("bl,blh->bh", weights, states)


@right("contrastive-recall", "topk")
def _(scores, k):
    return _found(scores, k).float().mean()


@right("contrastive-recall", "sorting with numpy")
def _(scores, k):
    order = numpy.argsort(-scores.numpy(), axis=1)[:, :k]
    return float(numpy.mean([row in best for row, best in enumerate(order)]))


@right("contrastive-uniformity", "ordered pairs of different rows")
def _(vectors):
    unit = vectors / vectors.norm(dim=1, keepdim=True)
    different = ~torch.eye(len(unit)).bool()
    return (-2 * (2 - 2 * (unit @ unit.T)[different])).exp().mean().log()


@right("contrastive-copies", "a loop")
def _(similarities, temperature, texts):
    losses = []
    for i, row in enumerate(similarities / temperature):
        counted = (texts != texts[i]) | (torch.arange(len(texts)) == i)
        losses.append(row[counted].logsumexp(0) - row[i])
    return torch.stack(losses).mean()
