"""Answers to the exercises of "Inside the Transformer", as learners write them.

What the tables hold is said in `answer_tables.py`.
"""

import math

import numpy
import torch
from answer_tables import tables
from torch.nn.functional import scaled_dot_product_attention, softmax

MUTANTS, STOPPED, RIGHT, wrong, stops, right = tables()


# --- transformer-positions ----------------------------------------------------------------

def _angles(length, width):
    return torch.arange(length)[:, None] / 10000 ** (torch.arange(0, width, 2) / width)


def _woven(angles):
    vectors = torch.zeros(len(angles), 2 * angles.shape[1])
    vectors[:, 0::2], vectors[:, 1::2] = angles.sin(), angles.cos()
    return vectors


@wrong("transformer-positions", "all sines stand before all cosines")
def _(length, width):
    angles = _angles(length, width)
    return torch.cat([angles.sin(), angles.cos()], dim=1)


@wrong("transformer-positions", "changed places")
def _(length, width):
    angles = _angles(length, width)
    vectors = torch.zeros(length, width)
    vectors[:, 0::2], vectors[:, 1::2] = angles.cos(), angles.sin()
    return vectors


@wrong("transformer-positions", "counted as 1")
def _(length, width):
    return _woven(_angles(length + 1, width)[1:])


@wrong("transformer-positions", "should be 2i/width")
def _(length, width):
    return _woven(torch.arange(length)[:, None] / 10000 ** (torch.arange(width // 2) / width))


@wrong("transformer-positions", "share one angle")
def _(length, width):
    vectors = torch.zeros(length, width)
    for place in range(length):
        for column in range(width):
            angle = place / 10000 ** (column / width)
            vectors[place, column] = math.cos(angle) if column % 2 else math.sin(angle)
    return vectors


@wrong("transformer-positions", "Divide it")
def _(length, width):
    places, pairs = torch.arange(length).double(), torch.arange(0, width, 2).double()
    return _woven(places[:, None] * 10000 ** (pairs / width)).float()


@wrong("transformer-positions", "all entries are sines")
def _(length, width):
    return torch.sin(torch.arange(length)[:, None] / 10000 ** (torch.arange(width) / width))


@wrong("transformer-positions", "the base is 1000")
def _(length, width):
    return _woven(torch.arange(length)[:, None] / 1000 ** (torch.arange(0, width, 2) / width))


@wrong("transformer-positions", "these are the angles")
def _(length, width):
    return _angles(length, width).repeat_interleave(2, dim=1)


@wrong("transformer-positions", "the shape is (4, 2)")
def _(length, width):
    return _woven(_angles(length, width)).T.contiguous()


@wrong("transformer-positions", "not a ndarray")
def _(length, width):
    return _woven(_angles(length, width)).numpy()


# --- transformer-mask ---------------------------------------------------------------------

def _order(real, causal):
    length = real.shape[1]
    every = torch.ones(length, length, dtype=torch.bool)
    return every.tril() if causal else every


@wrong("transformer-mask", "the wrong way round: True means")
def _(real, causal):
    return ~(real[:, None, :] & _order(real, causal))


@wrong("transformer-mask", "padding is left out as a row")
def _(real, causal):
    return real[:, :, None] & _order(real, causal)


@wrong("transformer-mask", "the rows of padding tokens are all False")
def _(real, causal):
    return real[:, None, :] & real[:, :, None] & _order(real, causal)


@wrong("transformer-mask", "padding can still be looked at")
def _(real, causal):
    return _order(real, causal).repeat(len(real), 1, 1)


@wrong("transformer-mask", "the mask is causal although")
def _(real, causal):
    return real[:, None, :] & _order(real, True)


@wrong("transformer-mask", "later tokens can still be looked at")
def _(real, causal):
    return real[:, None, :].repeat(1, real.shape[1], 1)


@wrong("transformer-mask", "the triangle is the wrong way round")
def _(real, causal):
    return real[:, None, :] & _order(real, causal).T


@wrong("transformer-mask", "no token may look at itself")
def _(real, causal):
    every = torch.ones(real.shape[1], real.shape[1], dtype=torch.bool)
    return real[:, None, :] & (every.tril(-1) if causal else every)


@wrong("transformer-mask", "use & and not |")
def _(real, causal):
    every = torch.ones(real.shape[1], real.shape[1], dtype=torch.bool)
    if not causal:
        return (real[:, None, :] & every)
    return real[:, None, :] | every.tril()


@wrong("transformer-mask", "dtype is torch.float32")
def _(real, causal):
    return torch.zeros(len(real), *_order(real, causal).shape).masked_fill(
        ~(real[:, None, :] & _order(real, causal)), -1e9)


@wrong("transformer-mask", "the shape is (2, 1, 4, 4)")
def _(real, causal):
    return real[:, None, None, :] & _order(real, causal)


# --- transformer-cross --------------------------------------------------------------------

INFINITE = float("-inf")


@wrong("transformer-cross", "not divided by the square root")
def _(decoder, encoder, real, w_query, w_key, w_value):
    scores = (decoder @ w_query) @ (encoder @ w_key).T
    return scores.masked_fill(~real, INFINITE).softmax(-1) @ (encoder @ w_value)


@wrong("transformer-cross", "Divide by its square root")
def _(decoder, encoder, real, w_query, w_key, w_value):
    scores = (decoder @ w_query) @ (encoder @ w_key).T / w_key.shape[1]
    return scores.masked_fill(~real, INFINITE).softmax(-1) @ (encoder @ w_value)


@wrong("transformer-cross", "square root of the width of the states")
def _(decoder, encoder, real, w_query, w_key, w_value):
    scores = (decoder @ w_query) @ (encoder @ w_key).T / math.sqrt(decoder.shape[-1])
    return scores.masked_fill(~real, INFINITE).softmax(-1) @ (encoder @ w_value)


def _scores(decoder, encoder, w_query, w_key):
    return (decoder @ w_query) @ (encoder @ w_key).T / math.sqrt(w_key.shape[1])


@wrong("transformer-cross", "padding of the encoder gets weight")
def _(decoder, encoder, real, w_query, w_key, w_value):
    return _scores(decoder, encoder, w_query, w_key).softmax(-1) @ (encoder @ w_value)


@wrong("transformer-cross", "set to 0. After the softmax")
def _(decoder, encoder, real, w_query, w_key, w_value):
    return (_scores(decoder, encoder, w_query, w_key) * real).softmax(-1) @ (encoder @ w_value)


@wrong("transformer-cross", "no longer sum to one")
def _(decoder, encoder, real, w_query, w_key, w_value):
    weights = _scores(decoder, encoder, w_query, w_key).softmax(-1)
    return (weights * real) @ (encoder @ w_value)


@wrong("transformer-cross", "only padding is looked at")
def _(decoder, encoder, real, w_query, w_key, w_value):
    scores = _scores(decoder, encoder, w_query, w_key).masked_fill(real, INFINITE)
    return scores.softmax(-1) @ (encoder @ w_value)


@wrong("transformer-cross", "the softmax is missing")
def _(decoder, encoder, real, w_query, w_key, w_value):
    return (_scores(decoder, encoder, w_query, w_key) * real) @ (encoder @ w_value)


@wrong("transformer-cross", "the two sides are exchanged")
def _(decoder, encoder, real, w_query, w_key, w_value):
    scores = _scores(encoder, decoder, w_query, w_key).masked_fill(~real, INFINITE)
    return scores.softmax(-1) @ (decoder @ w_value)


@wrong("transformer-cross", "the keys come from the decoder")
def _(decoder, encoder, real, w_query, w_key, w_value):
    scores = _scores(decoder, decoder, w_query, w_key).masked_fill(~real, INFINITE)
    return scores.softmax(-1) @ (encoder @ w_value)


@wrong("transformer-cross", "the values come from the decoder")
def _(decoder, encoder, real, w_query, w_key, w_value):
    scores = _scores(decoder, encoder, w_query, w_key).masked_fill(~real, INFINITE)
    return scores.softmax(-1) @ (decoder @ w_value)


@wrong("transformer-cross", "this is self-attention of the decoder")
def _(decoder, encoder, real, w_query, w_key, w_value):
    scores = _scores(decoder, decoder, w_query, w_key).masked_fill(~real, INFINITE)
    return scores.softmax(-1) @ (decoder @ w_value)


@wrong("transformer-cross", "the softmax runs over the decoder's tokens")
def _(decoder, encoder, real, w_query, w_key, w_value):
    scores = _scores(decoder, encoder, w_query, w_key)
    weights = scores.softmax(0) * real
    return weights @ (encoder @ w_value)


@stops("transformer-cross", "one row for each state of the decoder")
def _(decoder, encoder, real, w_query, w_key, w_value):
    return scaled_dot_product_attention(
        decoder @ w_query, encoder @ w_key, encoder @ w_value, attn_mask=real[:-1])


# --- transformer-heads --------------------------------------------------------------------

@wrong("transformer-heads", "the token after")
def _(weights, real):
    return weights.diagonal(1, 1, 2)[:, real[1:]].mean(1)


@wrong("transformer-heads", "to itself")
def _(weights, real):
    return torch.stack([head.diagonal()[real].mean() for head in weights])


@wrong("transformer-heads", "padding counts too")
def _(weights, real):
    return torch.stack([head.diagonal(-1).mean() for head in weights])


@wrong("transformer-heads", "one token too many")
def _(weights, real):
    places = torch.arange(len(real))
    return weights[:, places, places - 1][:, real].mean(1)


@wrong("transformer-heads", "divided by the length")
def _(weights, real):
    return (weights.diagonal(-1, 1, 2) * real[1:]).sum(1) / len(real)


@wrong("transformer-heads", "this is the sum")
def _(weights, real):
    return (weights.diagonal(-1, 1, 2) * real[1:]).sum(1)


@wrong("transformer-heads", "all heads have the same number")
def _(weights, real):
    mean = weights.diagonal(-1, 1, 2)[:, real[1:]].mean()
    return torch.full((len(weights),), mean.item())


@wrong("transformer-heads", "the shape is ()")
def _(weights, real):
    return weights.diagonal(-1, 1, 2)[:, real[1:]].mean()


@wrong("transformer-heads", "not a list")
def _(weights, real):
    return weights.diagonal(-1, 1, 2)[:, real[1:]].mean(1).tolist()


# --- transformer-parameters ---------------------------------------------------------------

@wrong("transformer-parameters", "only the matrices")
def _(width, inner):
    return 4 * width**2 + 2 * width * inner


@wrong("transformer-parameters", "the biases of the linear layers are missing")
def _(width, inner):
    return 4 * width**2 + 2 * width * inner + 4 * width


@wrong("transformer-parameters", "the two LayerNorms are missing")
def _(width, inner):
    return 4 * (width**2 + width) + 2 * width * inner + inner + width


@wrong("transformer-parameters", "LayerNorm is counted too low")
def _(width, inner):
    return 4 * (width**2 + width) + 2 * width * inner + inner + width + 2 * width


@wrong("transformer-parameters", "one of the four square matrices")
def _(width, inner):
    return 3 * (width**2 + width) + 2 * width * inner + inner + width + 4 * width


@wrong("transformer-parameters", "have a matrix each")
def _(width, inner):
    return width**2 + width + 2 * width * inner + inner + width + 4 * width


@wrong("transformer-parameters", "up to `inner`, and back")
def _(width, inner):
    return 4 * (width**2 + width) + width * inner + inner + 4 * width


@wrong("transformer-parameters", "the bias of the first feed-forward matrix is missing")
def _(width, inner):
    return 4 * (width**2 + width) + 2 * width * inner + width + 4 * width


@wrong("transformer-parameters", "has `inner` entries, not `width`")
def _(width, inner):
    return 4 * (width**2 + width) + 2 * width * inner + 2 * width + 4 * width


# --- transformer-cost ---------------------------------------------------------------------

@wrong("transformer-cost", "share of the other work")
def _(length, width, inner):
    other = 4 * width**2 + 2 * width * inner
    return other / (other + 2 * length * width)


@wrong("transformer-cost", "ratio to the other work")
def _(length, width, inner):
    return 2 * length * width / (4 * width**2 + 2 * width * inner)


@wrong("transformer-cost", "counted once")
def _(length, width, inner):
    return length / (length + 4 * width + 2 * inner)


@wrong("transformer-cost", "four square matrices")
def _(length, width, inner):
    return 2 * length / (2 * length + 3 * width + 2 * inner)


@wrong("transformer-cost", "two matrices, up and down")
def _(length, width, inner):
    return 2 * length / (2 * length + 4 * width + inner)


@wrong("transformer-cost", "the feed-forward part is missing")
def _(length, width, inner):
    return 2 * length / (2 * length + 4 * width)


@wrong("transformer-cost", "Count both for the row")
def _(length, width, inner):
    pairs = 2 * length**2 * width
    return pairs / (pairs + 4 * width**2 + 2 * width * inner)


@wrong("transformer-cost", "each pair costs `width`")
def _(length, width, inner):
    return 2 * length**2 / (2 * length**2 + length * (4 * width**2 + 2 * width * inner))


# --- right answers, written in another way --------------------------------------------------

@right("transformer-positions", "numpy, entry by entry")
def _(length, width):
    vectors = numpy.zeros((length, width), dtype=numpy.float32)
    for place in range(length):
        for pair in range(width // 2):
            angle = place / 10000 ** (2 * pair / width)
            vectors[place, 2 * pair] = math.sin(angle)
            vectors[place, 2 * pair + 1] = math.cos(angle)
    return torch.from_numpy(vectors)


@right("transformer-positions", "exponential of a logarithm")
def _(length, width):
    rates = torch.exp(torch.arange(0, width, 2) * (-math.log(10000.0) / width))
    return _woven(torch.arange(length).unsqueeze(1) * rates)


@right("transformer-mask", "loops")
def _(real, causal):
    rows, length = real.shape
    out = torch.zeros(rows, length, length, dtype=torch.bool)
    for row in range(rows):
        for i in range(length):
            for j in range(length):
                out[row, i, j] = real[row, j] and (not causal or j <= i)
    return out


@right("transformer-cross", "the function of PyTorch")
def _(decoder, encoder, real, w_query, w_key, w_value):
    return scaled_dot_product_attention(
        decoder @ w_query, encoder @ w_key, encoder @ w_value,
        attn_mask=real.expand(len(decoder), -1))


@right("transformer-cross", "padding removed, one query at a time")
def _(decoder, encoder, real, w_query, w_key, w_value):
    encoder = encoder[real]
    rows = []
    for state in decoder:
        scores = (encoder @ w_key) @ (state @ w_query) / w_key.shape[1] ** 0.5
        rows.append(softmax(scores, dim=0) @ (encoder @ w_value))
    return torch.stack(rows)


@right("transformer-cross", "a large negative number")
def _(decoder, encoder, real, w_query, w_key, w_value):
    scores = _scores(decoder, encoder, w_query, w_key) + (real.float() - 1) * 1e9
    return torch.einsum("ts,sd->td", scores.softmax(-1), encoder @ w_value)


@right("transformer-heads", "a loop over tokens")
def _(weights, real):
    places = [i for i in range(1, len(real)) if real[i]]
    return sum(weights[:, i, i - 1] for i in places) / len(places)


@right("transformer-parameters", "counted in PyTorch")
def _(width, inner):
    layer = torch.nn.TransformerEncoderLayer(width, 1, inner, device="meta")
    return sum(parameter.numel() for parameter in layer.parameters())


@right("transformer-cost", "per pair of tokens")
def _(length, width, inner):
    return 1 / (1 + (2 * width + inner) / length)
