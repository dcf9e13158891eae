# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Solutions: inside the Transformer
#
# These are solutions of the exercises in the chapter
# [Inside the Transformer](inside_transformer.ipynb).
# Try each exercise there before you read on.
#
# Each section has the task, one solution with its check, why it is right, and what common
# wrong answers teach.
# Yours may look different: if the check shows ✓, it is right too.

# %% tags=["install", "hide-input"]
# Set-up, written from site.toml: says what to do when the course package is missing.
import importlib.util

if importlib.util.find_spec("companion") is None:
    raise ImportError("The course package is missing. Locally: run `make book`, choose .venv "
                      "as the kernel. On Colab: first set `repository` in site.toml.")

# %%
import math

import torch

from companion.exercises import check

# %% [markdown]
# ## Exercise 1: position vectors
#
# **Task** ([back to the exercise](inside_transformer.ipynb#exercise-1-position-vectors)):
# compute the sinusoidal position vectors.

# %%
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

# %%
check("transformer-positions", position_vectors)

# %% [markdown]
# **Why it is right.** `angles` has one column for each pair of entries.
# The sines go to the even columns and the cosines to the odd ones.
#
# A pair is a point on a circle, and the next position is the same point turned by a fixed angle.
# So the step from $p$ to $p + k$ is the same rotation for every $p$.
# This is what the authors hoped a model would use (Vaswani et al., 2017, section 3.5).
# You can see it in the products of two positions: they depend on the distance alone.

# %%
vectors = position_vectors(50, 8)
print("positions  3 and  7:", round((vectors[3] @ vectors[7]).item(), 3))
print("positions 33 and 37:", round((vectors[33] @ vectors[37]).item(), 3))

# %% [markdown]
# **What wrong answers teach.**
#
# - *All sines first, then all cosines.*
#   Some programs do this.
#   It is as good, because only the order of the entries differs.
#   But a checkpoint that was trained with one order cannot be used with the other.
# - *The exponent $i/D$ where $i$ counts the pairs.*
#   The slowest wave is then much too fast, and far positions become alike.
# - *Each entry with an angle of its own.*
#   Sine and cosine no longer belong to one circle, and the step from $p$ to $p + k$ is no longer
#   a rotation.
# - *Positions from 1.*
#   Nothing fails, until you load a checkpoint that counts from 0.

# %% [markdown]
# ## Exercise 2: who may look where
#
# **Task** ([back to the exercise](inside_transformer.ipynb#exercise-2-who-may-look-where)):
# make the mask of a batch, for an encoder or for a decoder.

# %%
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

# %%
check("transformer-mask", may_look)

# %% [markdown]
# **Why it is right.** `real[:, None, :]` has the shape (B, 1, L).
# Its last axis is the token that is looked at, and all rows share it.
# `order` has the shape (L, L) and is the same for all texts.
# `&` brings both to (B, L, L).
#
# **What wrong answers teach.**
#
# - *`real[:, :, None]`.*
#   This switches off the padding tokens as readers.
#   All others still read the padding, which is what the mask should prevent.
# - *Both at once, `real[:, None, :] & real[:, :, None]`.*
#   The rows of padding tokens are then all False.
#   A softmax over minus infinity everywhere gives NaN, and a NaN spreads in training.
# - *Without the diagonal.*
#   The first token of a decoder could look at nothing, with the same result.
# - *The upper triangle.*
#   Each token then sees its future, and the loss of a language model falls to nearly 0.
#   A loss that looks too good is a reason to test the mask.
#
# With padding on the left, the first rows of a decoder are all False by the rule.
# Their results are never used, but NaN must still be kept out.
# Libraries use a very large negative number there instead of minus infinity.

# %% [markdown]
# ## Exercise 3: cross-attention
#
# **Task** ([back to the exercise](inside_transformer.ipynb#exercise-3-cross-attention)):
# let the states of a decoder collect from the states of an encoder.

# %%
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

# %%
check("transformer-cross", cross_attention)

# %% [markdown]
# **Why it is right.** The scores have one row for each token of the decoder and one column for
# each token of the encoder.
# The mask is about columns, so `real` with its shape (S,) fits as it is.
# The number of results is the number of queries, T.
#
# **What wrong answers teach.**
#
# - *Keys or values from the decoder.*
#   With texts of equal length this runs without an error.
#   The result then says something about the text that is written, not about the one that is read.
# - *Setting scores to 0 instead of minus infinity.*
#   $e^0 = 1$, so padding keeps a weight.
# - *Setting weights to 0 after the softmax.*
#   Padding is gone, but the other weights no longer sum to one.
#   The more padding, the smaller the result.
# - *Dividing by $\sqrt{D}$, the width of the states.*
#   What counts is how many products a score sums up, and that is the width of a query.
# - *Softmax over the other axis.*
#   The tokens of the decoder then compete for a token of the encoder.
#   It should be the other way round.

# %% [markdown]
# ## Exercise 4: what a head looks at
#
# **Task** ([back to the exercise](inside_transformer.ipynb#exercise-4-what-a-head-looks-at)):
# measure how much each head looks at the token before.

# %%
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

# %%
check("transformer-heads", previous_weight)

# %% [markdown]
# **Why it is right.** `diagonal(offset=-1)` picks the entries just below the diagonal:
# row $i$, column $i - 1$.
# The first token has no such entry, so the result has L − 1 columns, and `real[1:]` says which of
# them belong to real tokens.
#
# **What wrong answers teach.**
#
# - *`offset=1`.*
#   This is the token after.
#   Both kinds of head exist in `bert-mini-en`, so a wrong sign gives a result that looks right
#   for another head.
# - *Padding counts.*
#   A padding token has weights, too, but they mean nothing.
#   The mean then depends on how long the other texts of the batch are.
# - *`weights[:, i, i - 1]` with $i = 0$.*
#   In Python the index −1 is the last entry.
#   No error is raised.
# - *Dividing by the length.*
#   One token less has a neighbour than the text has tokens.
#   In short texts this is a visible mistake.

# %% [markdown]
# ## Exercise 5: count the parameters
#
# **Task** ([back to the exercise](inside_transformer.ipynb#exercise-5-count-the-parameters)):
# count the parameters of one layer of BERT.

# %%
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

# %%
check("transformer-parameters", layer_parameters)

# %% [markdown]
# **Why it is right.** Query, key, value and output each have a square matrix and a bias.
# The feed-forward part has a matrix up and a matrix down, each with the bias of its result.
# The number of heads does not occur: more heads are narrower heads.
# Compare with the library:

# %%
from transformers import BertConfig
from transformers.models.bert.modeling_bert import BertLayer

for width, inner in ((384, 1536), (768, 3072)):
    config = BertConfig(hidden_size=width, intermediate_size=inner, num_attention_heads=12)
    library = sum(p.numel() for p in BertLayer(config).parameters())
    print(f"width {width}: {layer_parameters(width, inner):,}, BertLayer {library:,}")
    assert layer_parameters(width, inner) == library

# %% [markdown]
# With `inner = 4 * width` the large terms are $4D^2$ for attention and $8D^2$ for the feed-forward
# part.
# So two thirds of a layer is the part that works on each token alone.
#
# **What wrong answers teach.**
#
# - *Three square matrices.*
#   The output projection is easy to forget, since it stands outside the formula of attention.
# - *Matrices times heads.*
#   The heads share the width.
#   Each has a part of the matrix, not a matrix of its own.
# - *One layer normalisation.*
#   There is one after each residual connection.
# - *Leaving out the biases.*
#   They are few.
#   But a count that is nearly right is no check of a model you have built.

# %% [markdown]
# ## Exercise 6: the price of looking everywhere
#
# **Task** ([back to the exercise](inside_transformer.ipynb#exercise-6-the-price-of-looking-everywhere)):
# compute which share of a layer's multiplications is spent on pairs of tokens.

# %%
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

# %%
check("transformer-cost", pair_share)

# %% [markdown]
# **Why it is right.** All scores of a head are a product of an $n \times d$ and a $d \times n$
# matrix, which has $n^2 d$ multiplications.
# All heads together have $n^2 D$.
# The weighted sums have as many again.
# The number of heads does not occur.

# %%
for length in (128, 512, 2304, 8192):
    print(f"{length:5d} tokens: {pair_share(length, 384, 1536):.2f}")

# %% [markdown]
# For the short texts of this course, the pairs are a small part of the work.
# With `inner = 4 * width` they reach one half at $n = 6D$.
# So "attention costs $n^2$" is true, and matters only for long texts.
#
# **What wrong answers teach.**
#
# - *Counting the pairs once.*
#   Scores and weighted sums are two products.
# - *Mixing one token and the whole text.*
#   Both parts must be counted for the same amount of text.
# - *The ratio of the two parts.*
#   A ratio of 1 is a share of one half.
# - *Forgetting the feed-forward part.*
#   It has two thirds of the matrices.
