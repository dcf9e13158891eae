"""The exercises of the chapter "Inside the Transformer"."""

from __future__ import annotations

import math

import torch
from torch.nn import TransformerEncoderLayer
from torch.nn.functional import scaled_dot_product_attention

from companion.exercises.exercise import case, exercise


@exercise("transformer-positions", "the vectors", "these are the sinusoidal position vectors.",
          cases=[case(2, 4, expected=torch.tensor([
              [0, 1, 0, 1], [math.sin(1), math.cos(1), math.sin(.01), math.cos(.01)]])),
              case(10, 6)],
          expected=lambda length, width: torch.tensor([[
              (math.cos if i % 2 else math.sin)(place / 10000 ** ((i - i % 2) / width))
              for i in range(width)] for place in range(length)]))
def position_vectors(length: int, width: int) -> torch.Tensor:
    """Compute sinusoidal position vectors.

    length: the number of positions, counted from 0.
    width: the size of each vector, an even number.
    Returns a tensor of shape (length, width), float32. Entry 2i of position p is the sine of
    p / 10000^(2i/width), and entry 2i+1 is the cosine of the same angle.

    Example: position_vectors(1, 4) returns tensor([[0., 1., 0., 1.]]).
    """
    positions = torch.arange(length)[:, None]
    angles = positions / 10000 ** (torch.arange(0, width, 2) / width)
    vectors = torch.empty(length, width)
    vectors[:, 0::2] = angles.sin()
    vectors[:, 1::2] = angles.cos()
    return vectors


def _woven(length, width, base, kind=torch.float):
    angles = torch.arange(length)[:, None] * base ** (torch.arange(0, width, 2, dtype=kind) / width)
    return torch.stack([angles.sin(), angles.cos()], -1).flatten(1)


position_vectors.mistakes(
    ("all sines come before all cosines. Entry 0 is a sine, entry 1 its cosine, and so on.",
     lambda n, w: position_vectors(n, w).view(n, -1, 2).mT.flatten(1)),
    ("sine and cosine have changed places: the even entries are sines.",
     lambda n, w: position_vectors(n, w).view(n, -1, 2).flip(-1).flatten(1)),
    ("positions are counted from 0, not from 1.", lambda n, w: position_vectors(n + 1, w)[1:]),
    ("the exponent is i/width, where i counts the pairs. It should be 2i/width.",
     lambda n, w: position_vectors(n, 2 * w)[:, :w]),
    ("the cosine has a rate of its own. The two entries of a pair share one angle.",
     lambda n, w: position_vectors(n, 2 * w)[:, [2 * c + c % 2 for c in range(w)]]),
    ("the position is multiplied by 10000^(2i/width). Divide it.",
     lambda n, w: _woven(n, w, 1e4), lambda n, w: _woven(n, w, 1e4, torch.double)),
    ("all entries are sines. Every second one is a cosine.",
     lambda n, w: position_vectors(n, 2 * w)[:, ::2]),
    ("the base is 1000. It should be 10000.", lambda n, w: _woven(n, w, 1e-3)),
    ("these are the angles. The vectors hold their sines and cosines.",
     lambda n, w: torch.arange(n)[:, None] / 1e4 ** (torch.arange(w) // 2 * 2 / w)),
)
position_vectors.also_right(lambda n, w: _woven(n, w, 1e-4))


@exercise("transformer-mask", "the mask",
          "padding is never looked at, and a causal model never looks ahead.",
          cases=lambda: [case(torch.tensor(real).bool(), causal, expected=torch.tensor(mask).bool())
                         for real, causal, mask in [  # padding on the right, then on the left
              ([[1, 1, 1, 0], [1] * 4], False, [[[1, 1, 1, 0]] * 4, [[1] * 4] * 4]),
              ([[1, 1, 1, 0], [1] * 4], True,
               [[[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 0]],
                [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]]]),
              ([[0, 1, 1]], True, [[[0, 0, 0], [0, 1, 0], [0, 1, 1]]])]])
def may_look(real: torch.Tensor, causal: bool) -> torch.Tensor:
    """Say which token may look at which.

    real: boolean, shape (B, L). False where a row has padding, at its end or at its start.
    causal: True for a decoder, whose tokens look at themselves and at earlier ones only.
    Returns a boolean tensor of shape (B, L, L). Entry [b, i, j] is True when token i of row b
    may look at token j: j is no padding, and in a decoder j is not after i. What padding
    tokens look at makes no difference, so the rule is the same for them.

    Example: may_look(torch.tensor([[True, True, False]]), True) returns
    tensor([[[True, False, False], [True, True, False], [True, True, False]]]).
    """
    length = real.shape[1]
    order = torch.ones(length, length, dtype=torch.bool)
    if causal:
        order = order.tril()
    return real[:, None, :] & order


may_look.mistakes(
    ("the wrong way round: True means that a token may look.", lambda *x: ~may_look(*x)),
    ("padding is left out as a row: it can still be looked at. Use `real` on the last axis.",
     lambda r, c: r[:, :, None] & may_look(r | True, c)),
    ("the rows of padding tokens are all False. The rule asks only which token is looked at.",
     lambda r, c: r[:, :, None] & may_look(r, c)),
    ("padding can still be looked at: use `real`.", lambda r, c: may_look(r | True, c)),
    ("the mask is causal although `causal` is False: an encoder looks both ways.",
     lambda r, c: may_look(r, True)),
    ("later tokens can still be looked at: when `causal` is True, j must not be after i.",
     lambda r, c: may_look(r, False)),
    ("the triangle is the wrong way round: tokens look at later ones. Rows are those that look.",
     lambda r, c: r[:, None] & may_look(r | True, c).mT),
    ("no token may look at itself. It may: j equal to i is allowed.",
     lambda r, c: may_look(r, c) & ~(c & torch.eye(r.shape[1]).bool())),
    ("a token must meet both conditions, not one of them: use & and not |.",
     lambda r, c: r[:, None] | may_look(r | True, c) if c else may_look(r, c)),
)
may_look.also_right(lambda real, causal: torch.tensor([[[
    bool(row[j]) and (not causal or j <= i) for j in range(len(row))] for i in range(len(row))]
    for row in real]))


def _cross_case(targets, sources, width):
    draw = torch.Generator().manual_seed(targets)
    sizes = [(targets, 6), (sources, 6), *3 * [(6, width)]]
    decoder, encoder, *matrices = (torch.randn(size, generator=draw) for size in sizes)
    return case(decoder, encoder, torch.arange(sources) < sources - 2, *matrices)


@exercise("transformer-cross", "the result",
          "your result is that of scaled_dot_product_attention in PyTorch.",
          # As many states on both sides first, so that a mix-up has the right shape too.
          cases=lambda: [_cross_case(5, 5, 4), _cross_case(3, 6, 6)],
          expected=lambda decoder, encoder, real, query, key, value: scaled_dot_product_attention(
              decoder @ query, encoder @ key, encoder @ value, real.expand(len(decoder), -1)))
def cross_attention(decoder, encoder, real, w_query, w_key, w_value):
    """Collect from the encoder what each token of the decoder looks for.

    decoder: states of the tokens that are written, shape (T, D).
    encoder: states of the tokens that are read, shape (S, D).
    real: boolean, shape (S,). False where the encoder's text has padding.
    w_query, w_key, w_value: matrices of shape (D, d). A query is state @ w_query.
    Returns the collected values, shape (T, d). Scores are divided by the square root of d.
    """
    query, key, value = decoder @ w_query, encoder @ w_key, encoder @ w_value
    scores = query @ key.T / math.sqrt(query.shape[-1])
    scores = scores.masked_fill(~real, -math.inf)
    return scores.softmax(-1) @ value


def _mixed(query, key, value, real):
    scores = query @ key.T / query.shape[1] ** 0.5
    return scores.masked_fill(~real, -math.inf).softmax(-1) @ value


def _weighted(way):
    return lambda d, e, r, q, k, v: way(d @ q @ (e @ k).T / q.shape[1] ** 0.5, r) @ (e @ v)


cross_attention.mistakes(
    ("the scores are not divided by the square root of the width of the queries.",
     lambda d, e, r, q, k, v: cross_attention(d, e, r, q * q.shape[1] ** 0.5, k, v)),
    ("the scores are divided by the width. Divide by its square root.",
     lambda d, e, r, q, k, v: cross_attention(d, e, r, q / q.shape[1] ** 0.5, k, v)),
    ("the scores are divided by the square root of the width of the states, not of the queries.",
     lambda d, e, r, q, k, v: cross_attention(d, e, r, q * (q.shape[1] / len(q)) ** 0.5, k, v)),
    ("padding of the encoder gets weight: use `real` before the softmax.",
     lambda d, e, r, *matrices: cross_attention(d, e, r | True, *matrices)),
    ("the scores of padding are set to 0. After the softmax it has weight: use minus infinity.",
     _weighted(lambda scores, r: (scores * r).softmax(-1))),
    ("padding is set to 0 after the softmax: weights no longer sum to one. Mask the scores.",
     _weighted(lambda scores, r: scores.softmax(-1) * r)),
    ("the mask is the wrong way round: only padding is looked at.",
     lambda d, e, r, *matrices: cross_attention(d, e, ~r, *matrices)),
    ("the softmax runs over the decoder's tokens. Use the last axis: a query's weights sum to 1.",
     _weighted(lambda scores, r: scores.softmax(0) * r),
     _weighted(lambda scores, r: scores.masked_fill(~r, -math.inf).softmax(0))),
    ("the softmax is missing: weights are positive and sum to one.", _weighted(torch.mul)),
    ("the two sides are exchanged: the decoder asks (queries), the encoder has keys and values.",
     lambda d, e, *rest: cross_attention(e, d, *rest)),
    ("the keys come from the decoder. Keys and values both come from the encoder.",
     lambda d, e, r, q, k, v: _mixed(d @ q, d @ k, e @ v, r)),
    ("the values come from the decoder. What is collected comes from the encoder.",
     lambda d, e, r, q, k, v: _mixed(d @ q, e @ k, d @ v, r)),
    ("this is self-attention of the decoder: keys and values come from the encoder.",
     lambda d, e, *rest: cross_attention(d, d, *rest)),
    ("sizes do not fit: the scores have shape (T, S), a row for each query; `real` has length S.",
     lambda d, e, r, q, k, v: _mixed(d @ q, (e @ k).T, e @ v, r),
     _weighted(lambda scores, r: (scores + torch.zeros(len(r), 1) * r).softmax(-1)),
     lambda d, e, r, q, k, v: scaled_dot_product_attention(d @ q, e @ k, e @ v, r[:-1])),
)
cross_attention.also_right(
    lambda d, e, r, *matrices: torch.cat([
        cross_attention(one, e[r], r[r], *matrices) for one in d[:, None]]),
    _weighted(lambda scores, r: (scores + (r.float() - 1) * 1e9).softmax(-1)))


@exercise("transformer-heads", "the means", "this is how much each head looks at the token before.",
          cases=lambda: [  # two heads and a row with one padding token, then a full row
              case(torch.tensor([
                  [[.5, .25, .25, 0], [.5, .25, .25, 0], [.125, .75, .125, 0], [.25, .25, .5, 0]],
                  [[0, 1, 0, 0], [.25, .25, .5, 0], [.5, 0, .5, 0], [0, .25, .75, 0]]]),
                   torch.tensor([1, 1, 1, 0]).bool(), expected=torch.tensor([.625, .125])),
              case(torch.tensor([[[.75, .125, .125], [1, 0, 0], [.25, .5, .25]]]),
                   torch.ones(3).bool(), expected=torch.tensor([.75]))])
def previous_weight(weights: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """Measure for each head how much a token looks at the token before it.

    weights: attention weights of one text, shape (H, L, L). weights[h, i, j] is the weight
        that token i gives to token j in head h.
    real: boolean, shape (L,). False for padding, which stands at the end.
    Returns a tensor of shape (H,): the mean weight over all real tokens that have a token
    before them.
    """
    before = weights.diagonal(offset=-1, dim1=1, dim2=2)  # entry i - 1 is weights[:, i, i - 1]
    return before[:, real[1:]].mean(dim=1)


previous_weight.mistakes(
    ("this is the weight on the token after. weights[h, i, j] is what i gives to j: j = i - 1.",
     lambda w, r: previous_weight(w.mT, r),
     lambda w, r: w.diagonal(1, 1, 2)[:, r[:-1]].mean(1)),
    ("this is the weight that each token gives to itself.",
     lambda w, r: w.diagonal(0, 1, 2)[:, r].mean(1),
     lambda w, r: w.diagonal(0, 1, 2)[:, 1:][:, r[1:]].mean(1)),
    ("padding counts too. Use only real tokens.", lambda w, r: previous_weight(w, r | True)),
    ("one token too many is counted: none comes before the first. (Index -1 is the last token.)",
     lambda w, r: previous_weight(w, r) * (r.sum() - 1) / r.sum(),
     lambda w, r: (previous_weight(w, r) * (r.sum() - 1) + w[:, 0, -1]) / r.sum()),
    ("the sum is divided by the length of the row. Divide by the number of tokens counted.",
     lambda w, r: previous_weight(w, r) * (r.sum() - 1) / len(r)),
    ("this is the sum. The mean is asked.", lambda w, r: previous_weight(w, r) * (r.sum() - 1)),
    ("all heads have the same number. Take a mean for each head.",
     lambda w, r: previous_weight(w, r).mean().expand(len(w))),
)
previous_weight.also_right(
    lambda w, r: sum(w[:, i, i - 1] for i in range(1, len(r)) if r[i]) / (sum(r) - 1))


@exercise("transformer-parameters", "the number", "a layer of BERT has this many parameters.",
          cases=[case(8, 20), case(384, 1536), case(768, 3072)],
          expected=lambda width, inner: float(sum(parameter.numel() for parameter in (
              TransformerEncoderLayer(width, 1, inner, device="meta").parameters()))))
def layer_parameters(width: int, inner: int) -> int:
    """Return the number of parameters of one BERT layer.

    width: the width of the states.
    inner: the width inside the feed-forward part.
    Every linear part has a bias. A layer normalisation has a scale and a shift for each entry.
    """
    attention = 4 * (width * width + width)
    feed_forward = width * inner + inner + inner * width + width
    normalisations = 2 * (width + width)
    return attention + feed_forward + normalisations


layer_parameters.mistakes(
    ("only the matrices are counted. Linear layers have biases, and there are two LayerNorms.",
     lambda w, i: 4 * w * w + 2 * w * i),
    ("the biases of the linear layers are missing.", lambda w, i: 4 * w * w + 2 * w * i + 4 * w),
    ("the two LayerNorms are missing.", lambda w, i: layer_parameters(w, i) - 4 * w),
    ("LayerNorm is counted too low: there are two of them, each with a scale and a shift.",
     lambda w, i: layer_parameters(w, i) - 2 * w),
    ("there are four square matrices: query, key, value, and the output after the heads.",
     lambda w, i: layer_parameters(w, i) - w * w - w,
     lambda w, i: layer_parameters(w, i) - 3 * (w * w + w)),
    ("the feed-forward part has two matrices: up to `inner` first, and back to `width`.",
     lambda w, i: layer_parameters(w, i) - w * i - w,
     lambda w, i: layer_parameters(w, i) - w * i - i),
    ("the first feed-forward matrix has a bias of `inner` entries. Yours has `width`, or none.",
     lambda w, i: layer_parameters(w, i) - i, lambda w, i: layer_parameters(w, i) - i + w),
)


@exercise("transformer-cost", "the share",
          "this is the share of the work that grows with the square of the length.",
          cases=[case(128, 384, 1536), case(512, 64, 160), case(2304, 384, 1536, expected=0.5)],
          expected=lambda length, width, inner: 1 / (1 + (2 * width + inner) / length))
def pair_share(length: int, width: int, inner: int) -> float:
    """Return the share of a layer's multiplications that is spent on pairs of tokens.

    length: the number of tokens of the text.
    width: the width of the states, over all heads together.
    inner: the width inside the feed-forward part.
    The pairs are the scores and the weighted sums of the values. The other work is the four
    square matrices of attention and the two matrices of the feed-forward part.
    """
    pairs = 2 * length * length * width
    matrices = length * (4 * width * width + 2 * width * inner)
    return pairs / (pairs + matrices)


# For one token, divided by `width`: 2 length for the pairs, 4 width + 2 inner for the matrices.
pair_share.mistakes(
    ("this is the share of the other work, not of the pairs.", lambda *x: 1 - pair_share(*x)),
    ("this is the ratio to the other work. Divide by all of it.", lambda n, w, i: n / (2 * w + i)),
    ("the pairs are counted once. They are needed for the scores and for the sums of the values.",
     lambda n, w, i: n / (n + 4 * w + 2 * i)),
    ("there are four square matrices: query, key, value and the output projection.",
     lambda n, w, i: 2 * n / (2 * n + 3 * w + 2 * i)),
    ("the feed-forward part multiplies with two matrices, up and down.",
     lambda n, w, i: 2 * n / (2 * n + 4 * w + i)),
    ("the feed-forward part is missing.", lambda n, w, i: pair_share(n, w, 0)),
    ("the pairs are those of a row, the rest is that of one token. Count both for the row.",
     lambda n, w, i: 2 * n * n / (2 * n * n + 4 * w + 2 * i)),
    ("a score is a product of two vectors: each pair costs `width` multiplications, not one.",
     lambda n, w, i: 2 * n / (2 * n + w * (4 * w + 2 * i))),
)
