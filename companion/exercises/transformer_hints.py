"""Hints for the mistakes that are recognised in "Inside the Transformer".

Every function gets a case and a wrong answer that already has the right kind and shape. It
returns one hint, or None. A mistake is recognised by its result, never by reading the code.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from companion.exercises.old import Case
from companion.exercises.old import _first, _same_result


def _angles(length: int, width: int, step: float = 2.0, start: int = 0,
            base: float = 10000.0, sign: float = -1.0) -> Tensor:
    """Position times rate, shape (length, width / 2), with what learners change by mistake."""
    places = torch.arange(start, start + length).double()[:, None]
    return places * base ** (sign * step * torch.arange(width // 2).double() / width)


def _paired(angles: Tensor) -> Tensor:
    return torch.stack([angles.sin(), angles.cos()], -1).flatten(1).float()


def positions(case: Case, got: Tensor) -> str | None:
    """Hints for `transformer-positions`."""
    length, width = case.given["length"], case.given["width"]
    right = _angles(length, width)
    columns = torch.arange(width).double()
    every = torch.arange(length).double()[:, None] * 10000.0 ** (-columns / width)
    return _same_result(got, [
        (torch.cat([right.sin(), right.cos()], 1).float(),
         "all sines stand before all cosines. Here they take turns: entry 0 is a sine, "
         "entry 1 its cosine."),
        (torch.stack([right.cos(), right.sin()], -1).flatten(1).float(),
         "sine and cosine have changed places: the even entries are sines."),
        (_paired(_angles(length, width, start=1)),
         "the first position is counted as 1. Positions are counted from 0."),
        (_paired(_angles(length, width, step=1.0)),
         "the exponent is i/width, where i counts the pairs. It should be 2i/width."),
        (torch.where(columns % 2 == 0, every.sin(), every.cos()).float(),
         "the cosine has a rate of its own. The two entries of a pair share one angle."),
        (_paired(_angles(length, width, sign=1.0)),
         "the position is multiplied by 10000^(2i/width). Divide it."),
        (every.sin().float(), "all entries are sines. Every second one is a cosine."),
        (_paired(_angles(length, width, base=1000.0)), "the base is 1000. It should be 10000."),
        (right.repeat_interleave(2, 1).float(),
         "these are the angles. The vectors hold their sines and cosines."),
    ])


def mask(case: Case, got: Tensor) -> str | None:
    """Hints for `transformer-mask`."""
    real, causal = case.given["real"], case.given["causal"]
    length = real.shape[1]
    keys, queries = real[:, None, :], real[:, :, None]
    past = torch.ones(length, length).bool().tril()
    order = past if causal else torch.ones_like(past)
    return _same_result(got, [
        (~case.expected, "the mask is the wrong way round: True means that a token may look."),
        (queries & order & torch.ones_like(case.expected),
         "padding is left out as a row, but nothing keeps the other tokens from looking at it. "
         "The last axis says what is looked at."),
        (queries & keys & order,
         "the rows of padding tokens are all False. The rule asks only what is looked at; the "
         "results of padding tokens are never read."),
        ((order & torch.ones_like(keys)), "padding can still be looked at: use `real`."),
        (keys & past & torch.ones_like(case.expected),
         "the mask is causal although `causal` is False: an encoder looks both ways."),
        (keys & torch.ones_like(past),
         "later tokens can still be looked at: when `causal` is True, j must not be after i."),
        (keys & past.T, "the triangle is the wrong way round: each token looks at later ones. "
                        "Rows are the tokens that look."),
        (keys & past.tril(-1), "no token may look at itself. It may: j equal to i is allowed."),
        (keys | order, "a token must meet both conditions, not one of them: use & and not |."),
    ])


def cross(case: Case, got: Tensor) -> str | None:
    """Hints for `transformer-cross`: each rule gives other numbers for the same states."""
    decoder, encoder, real, w_query, w_key, w_value = case.given.values()
    query, key, value = decoder @ w_query, encoder @ w_key, encoder @ w_value
    scores = query @ key.T
    size = w_query.shape[1] ** 0.5

    def mixed(scores: Tensor, values: Tensor = value) -> Tensor:
        return scores.softmax(-1) @ values

    def hidden(scores: Tensor, keep: Tensor = real, number: float = float("-inf")) -> Tensor:
        return scores.masked_fill(~keep, number)

    rules = [
        (mixed(hidden(scores)), "the scores are not divided by the square root of the width of "
                                "the queries."),
        (mixed(hidden(scores / size**2)), "the scores are divided by the width. Divide by its "
                                          "square root."),
        (mixed(hidden(scores / decoder.shape[1] ** 0.5)),
         "the scores are divided by the square root of the width of the states. Use the width "
         "of the queries and keys."),
        (mixed(scores / size), "padding of the encoder gets weight: use `real` before the "
                               "softmax."),
        (mixed(hidden(scores / size, number=0.0)),
         "the scores of padding are set to 0. After the softmax this is still some weight: use "
         "minus infinity."),
        (((scores / size).softmax(-1) * real) @ value,
         "the weights of padding are set to 0 after the softmax, so the others no longer sum to "
         "one. Mask the scores, before the softmax."),
        (mixed(hidden(scores / size, ~real)), "the mask is the wrong way round: only padding is "
                                              "looked at."),
        ((scores / size).masked_fill(~real, float("-inf")).softmax(0).nan_to_num() @ value,
         "the softmax runs over the decoder's tokens. The weights that one query gives sum to "
         "one: use the last axis."),
        (hidden(scores / size, number=0.0) @ value,
         "the softmax is missing: weights must be positive and sum to one."),
    ]
    if len(decoder) == len(encoder):
        swapped = (encoder @ w_query) @ (decoder @ w_key).T / size
        rules += [
            (mixed(hidden(swapped), decoder @ w_value),
             "the two sides are exchanged: the decoder asks (queries), the encoder answers (keys "
             "and values)."),
            (mixed(hidden(query @ (decoder @ w_key).T / size)),
             "the keys come from the decoder. Keys and values both come from the encoder."),
            (mixed(hidden(scores / size), decoder @ w_value),
             "the values come from the decoder. What is collected comes from the encoder."),
            (mixed(hidden(query @ (decoder @ w_key).T / size), decoder @ w_value),
             "this is self-attention of the decoder: keys and values come from the encoder."),
        ]
    return _same_result(got, rules)


def cross_error(error: Exception) -> str | None:
    """A hint for states of the wrong side, whose number differs in the second case."""
    text = str(error)
    return _first([
        ("size of tensor" in text or "mat1 and mat2" in text or "cannot be multiplied" in text,
         "sizes do not fit: the scores have shape (T, S), one row for each state of the decoder. "
         "`real` has length S."),
    ])


def heads(case: Case, got: Tensor) -> str | None:
    """Hints for `transformer-heads`."""
    weights, real = case.given["weights"], case.given["real"]
    before = weights.diagonal(-1, -2, -1)
    counted = real[1:]
    same, after = weights.diagonal(0, -2, -1), weights.diagonal(1, -2, -1)
    last = weights[:, 0, -1]
    summed = before[:, counted].sum(1)
    later = ("this is the weight on the token after. weights[h, i, j] is what i gives to j, and "
             "the token before i is j = i - 1.")
    itself = "this is the weight that each token gives to itself."
    extra = ("one token too many is counted: the first token has none before it. (The index -1 "
             "would be the last token.)")
    return _same_result(got, [
        (after[:, counted].mean(1), later),
        (after[:, real[:-1]].mean(1), later),
        (same[:, 1:][:, counted].mean(1), itself),
        (same[:, real].mean(1), itself),
        (before.mean(1), "padding counts too. Take the mean over real tokens only."),
        (summed / real.sum(), extra),
        ((summed + last) / real.sum(), extra),
        (summed / len(real),
         "the sum is divided by the length of the row. Divide by the number of tokens counted."),
        (summed, "this is the sum. The mean is asked."),
        ((summed / counted.sum()).mean().expand(len(weights)),
         "all heads have the same number. Take a mean for each head."),
    ])


def parameters(case: Case, got: Any) -> str | None:
    """Hints for `transformer-parameters`."""
    width, inner = case.given["width"], case.given["inner"]
    matrices, biases = 4 * width * width + 2 * width * inner, 4 * width + inner + width
    norms = 4 * width
    right = matrices + biases + norms
    return _same_result(got, [
        (float(matrices), "only the matrices are counted. Linear layers have biases, and there "
                          "are two LayerNorms."),
        (float(matrices + norms), "the biases of the linear layers are missing."),
        (float(matrices + biases), "the two LayerNorms are missing. Each has a scale and a shift "
                                   "for every entry."),
        (float(right - 2 * width), "LayerNorm is counted too low: there are two of them, each with "
                                   "a scale and a shift."),
        (float(right - width * width - width),
         "one of the four square matrices is missing. Query, key, value, and the output "
         "projection after the heads."),
        (float(right - 3 * (width * width + width)),
         "query, key and value have a matrix each, and the output projection is the fourth."),
        (float(right - width * inner - width),
         "the feed-forward part has two matrices: up to `inner`, and back to `width`."),
        (float(right - width * inner - inner),
         "the feed-forward part has two matrices: up to `inner` first, and back to `width`."),
        (float(right - inner), "the bias of the first feed-forward matrix is missing. It has "
                               "`inner` entries."),
        (float(right - inner + width), "the bias of the first feed-forward matrix has `inner` "
                                       "entries, not `width`."),
    ])


def cost(case: Case, got: Any) -> str | None:
    """Hints for `transformer-cost`."""
    length, width, inner = case.given.values()
    pairs, linear = 2 * length * width, 4 * width * width + 2 * width * inner
    def share(pairs: float, linear: float) -> float:
        return pairs / (pairs + linear)

    return _same_result(got, [
        (1 - share(pairs, linear), "this is the share of the other work. The share of the pairs "
                                   "is asked."),
        (pairs / linear, "this is the ratio to the other work. Divide by all of it."),
        (share(pairs / 2, linear),
         "the pairs are counted once. They are needed twice: for the scores, and for the sums "
         "of the values."),
        (share(pairs, linear - width * width),
         "there are four square matrices: query, key, value and the output projection."),
        (share(pairs, linear - width * inner),
         "the feed-forward part multiplies with two matrices, up and down."),
        (share(pairs, linear - 2 * width * inner), "the feed-forward part is missing."),
        (share(2 * length * length * width, linear),
         "the pairs are those of a whole row, the rest is the work for one token. Count both for "
         "the row."),
        (share(2 * length, linear),
         "a score is a product of two vectors: each pair costs `width` multiplications, not one."),
    ])
