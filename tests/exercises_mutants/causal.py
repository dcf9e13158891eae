"""Answers to the exercises of "Causal language modelling", as learners write them.

What the tables hold is said in `answer_tables.py`.
"""

import math

import torch
from answer_tables import tables
from torch.nn.functional import cross_entropy

MUTANTS, STOPPED, RIGHT, wrong, stops, right = tables()


# --- causal-loss --------------------------------------------------------------------------

@wrong("causal-loss", "that it sees itself")
def _(logits, ids):
    return cross_entropy(logits.flatten(0, 1), ids.flatten())


@wrong("causal-loss", "the wrong way")
def _(logits, ids):
    return cross_entropy(logits[:, 1:].flatten(0, 1), ids[:, :-1].flatten())


@wrong("causal-loss", "`roll`")
def _(logits, ids):
    return cross_entropy(logits.flatten(0, 1), ids.roll(-1, dims=1).flatten())


@wrong("causal-loss", "shifted twice")
def _(logits, ids):
    return cross_entropy(logits[:, :-2].flatten(0, 1), ids[:, 2:].flatten())


@wrong("causal-loss", "only the last prediction")
def _(logits, ids):
    return cross_entropy(logits[:, -2], ids[:, -1])


@wrong("causal-loss", "the sum over the predictions")
def _(logits, ids):
    return cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten(), reduction="sum")


@wrong("causal-loss", "divided by all positions")
def _(logits, ids):
    total = cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten(), reduction="sum")
    return total / ids.numel()


@wrong("causal-loss", "number of rows")
def _(logits, ids):
    total = cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten(), reduction="sum")
    return total / len(ids)


@wrong("causal-loss", "that are 0 were dropped")
def _(logits, ids):
    return cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten(), ignore_index=0)


@wrong("causal-loss", "softmax is applied twice")
def _(logits, ids):
    return cross_entropy(logits[:, :-1].softmax(-1).flatten(0, 1), ids[:, 1:].flatten())


@wrong("causal-loss", "the sign is wrong")
def _(logits, ids):
    return -cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())


@wrong("causal-loss", "base 2")
def _(logits, ids):
    return cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten()) / math.log(2)


@wrong("causal-loss", "no gradient can flow back")
def _(logits, ids):
    return cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten()).detach()


@wrong("causal-loss", "the shape is (3, 5)")
def _(logits, ids):
    return cross_entropy(logits[:, :-1].transpose(1, 2), ids[:, 1:], reduction="none")


@stops("causal-loss", "classes on axis 1")
def _(logits, ids):
    return cross_entropy(logits[:, :-1], ids[:, 1:])


@right("causal-loss", "by hand")
def _(logits, ids):
    chances = logits[:, :-1].log_softmax(-1).gather(-1, ids[:, 1:, None])
    return -chances.mean()


@right("causal-loss", "row by row")
def _(logits, ids):
    return torch.stack([cross_entropy(a[:-1], b[1:]) for a, b in zip(logits, ids)]).mean()


# --- causal-labels ------------------------------------------------------------------------

@wrong("causal-labels", "padding too")
def _(ids, pad_id):
    return ids.clone()


@wrong("causal-labels", "the first position has a label")
def _(ids, pad_id):
    return ids.masked_fill(ids == pad_id, -100)


@wrong("causal-labels", "padding has labels")
def _(ids, pad_id):
    labels = ids.clone()
    labels[:, 0] = -100
    return labels


@wrong("causal-labels", "shifted already")
def _(ids, pad_id):
    labels = torch.cat([ids[:, 1:], torch.full_like(ids[:, :1], -100)], 1)
    return labels.masked_fill(labels == pad_id, -100)


@wrong("causal-labels", "never learn to stop")
def _(ids, pad_id):
    return ids.masked_fill((ids == pad_id) | (ids == ids[0, 0]), -100)


@wrong("causal-labels", "only -100 is skipped")
def _(ids, pad_id):
    labels = ids.masked_fill(ids == pad_id, 0)
    labels[:, 0] = 0
    return labels


@wrong("causal-labels", "Use pad_id")
def _(ids, pad_id):
    labels = ids.masked_fill(ids == 1, -100)
    labels[:, 0] = -100
    return labels.masked_fill(torch.zeros_like(ids).bool(), -100)


@wrong("causal-labels", "modifies its argument `ids`")
def _(ids, pad_id):
    ids[ids == pad_id] = -100
    ids[:, 0] = -100
    return ids


@right("causal-labels", "with torch.where")
def _(ids, pad_id):
    place = torch.arange(ids.shape[1])
    return torch.where((ids != pad_id) & (place > 0), ids, -100)


# --- causal-mask --------------------------------------------------------------------------

@wrong("causal-mask", "the texts before their own")
def _(texts):
    return torch.ones(len(texts), len(texts)).tril().bool()


@wrong("causal-mask", "look to their right")
def _(texts):
    return texts[:, None] == texts[None, :]


@wrong("causal-mask", "rows and columns")
def _(texts):
    return ((texts[:, None] == texts[None, :]).int().triu()).bool()


@wrong("causal-mask", "the wrong way round")
def _(texts):
    return ~(texts[:, None] == texts[None, :]).int().tril().bool()


@wrong("causal-mask", "also see itself")
def _(texts):
    return (texts[:, None] == texts[None, :]).int().tril(-1).bool()


@wrong("causal-mask", "use `and`")
def _(texts):
    return (texts[:, None] == texts[None, :]) | torch.ones(len(texts), len(texts)).tril().bool()


@wrong("causal-mask", "dtype is torch.float32")
def _(texts):
    return (texts[:, None] == texts[None, :]).float().tril()


@right("causal-mask", "with loops")
def _(texts):
    size = len(texts)
    return torch.tensor([[j <= i and bool(texts[i] == texts[j]) for j in range(size)]
                         for i in range(size)])


# --- causal-nucleus -----------------------------------------------------------------------

def _kept(probabilities, p):
    ordered, order = probabilities.sort(descending=True)
    keep = ordered.cumsum(0) - ordered < p
    return torch.zeros_like(keep).scatter(0, order, keep)


@wrong("causal-nucleus", "nothing was left out")
def _(probabilities, p):
    return probabilities.clone()


@wrong("causal-nucleus", "divide by their sum")
def _(probabilities, p):
    return torch.where(_kept(probabilities, p), probabilities, 0.0)


@wrong("causal-nucleus", "Without it the sum is below p")
def _(probabilities, p):
    ordered, order = probabilities.sort(descending=True)
    keep = torch.zeros_like(order).bool().scatter(0, order, ordered.cumsum(0) <= p)
    left = torch.where(keep, probabilities, 0.0)
    return left / left.sum()


@wrong("causal-nucleus", "one token too many")
def _(probabilities, p):
    ordered, order = probabilities.sort(descending=True)
    keep = ordered.cumsum(0) - ordered <= p
    left = torch.where(torch.zeros_like(keep).scatter(0, order, keep), probabilities, 0.0)
    return left / left.sum()


@wrong("causal-nucleus", "with their sum")
def _(probabilities, p):
    left = torch.where(probabilities >= p, probabilities, 0.0)
    return left / left.sum()


@wrong("causal-nucleus", "the result is sorted")
def _(probabilities, p):
    ordered, _ = probabilities.sort(descending=True)
    left = torch.where(ordered.cumsum(0) - ordered < p, ordered, 0.0)
    return left / left.sum()


@wrong("causal-nucleus", "order of the vocabulary")
def _(probabilities, p):
    left = torch.where(probabilities.cumsum(0) - probabilities < p, probabilities, 0.0)
    return left / left.sum()


@wrong("causal-nucleus", "softmax was applied to probabilities")
def _(probabilities, p):
    return torch.where(_kept(probabilities, p), probabilities, -math.inf).softmax(0)


@wrong("causal-nucleus", "the shape is (3,)")
def _(probabilities, p):
    left = probabilities[_kept(probabilities, p)]
    return left / left.sum()


@right("causal-nucleus", "with a loop")
def _(probabilities, p):
    total, result = 0.0, torch.zeros_like(probabilities)
    for place in probabilities.argsort(descending=True).tolist():
        result[place] = probabilities[place]
        total += float(probabilities[place])
        if total >= p - 1e-7:
            break
    return result / result.sum()


# --- causal-perplexity --------------------------------------------------------------------

@wrong("causal-perplexity", "the perplexity per token")
def _(losses, text):
    return losses.mean().exp().item()


@wrong("causal-perplexity", "the loss per character")
def _(losses, text):
    return losses.sum().item() / len(text)


@wrong("causal-perplexity", "bits per character")
def _(losses, text):
    return losses.sum().item() / len(text) / math.log(2)


@wrong("causal-perplexity", "not a power of 2")
def _(losses, text):
    return 2 ** (losses.sum().item() / len(text))


@wrong("causal-perplexity", "before you take exp")
def _(losses, text):
    return losses.sum().exp().item()


@wrong("causal-perplexity", "exp comes after the mean")
def _(losses, text):
    return losses.exp().sum().item() / len(text)


@wrong("causal-perplexity", "outside exp")
def _(losses, text):
    return losses.mean().exp().item() / len(text)


@wrong("causal-perplexity", "divided by bytes")
def _(losses, text):
    return math.exp(losses.sum().item() / len(text.encode("utf8")))


@wrong("causal-perplexity", "divided by words")
def _(losses, text):
    return math.exp(losses.sum().item() / len(text.split()))


@wrong("causal-perplexity", "the sign is wrong")
def _(losses, text):
    return math.exp(-losses.sum().item() / len(text))


@right("causal-perplexity", "a tensor with one number")
def _(losses, text):
    return (losses.sum() / len(text)).exp()
