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
# # Inside the Transformer
#
# Every model that this course trains is a [Transformer](../book/glossary.md#transformer).
# This chapter opens one. You build each part in a few lines, and compare it with the same part of a trained model.
#
# After this chapter you will be able to
#
# - follow a sentence from its letters to the numbers that a model computes with;
# - write attention with several heads and a mask, and reproduce a whole layer of a trained model;
# - say why a Transformer needs position vectors, and what happens at lengths that it never saw in training;
# - draw attention maps, measure what a head does over many sentences, and say what a map does not prove;
# - say what a Transformer computes at the same time, what an LSTM has to wait for, and what each costs;
# - tell encoder, decoder and encoder-decoder apart by their masks.
#
# Reading and running take about 50 minutes, the exercises about as long again.
# The notebook itself runs in about half a minute on two CPU cores.
# You should have met matrix products and PyTorch tensors. You need no other chapter first.

# %% [markdown]
# ## From text to vectors
#
# A Transformer computes with vectors, so a text must become vectors first. There are three steps.
#
# 1. A [tokenizer](../book/glossary.md#tokenizer) cuts the text into [tokens](../book/glossary.md#token).
# 2. Each token has a number, its id: its place in the [vocabulary](../book/glossary.md#vocabulary).
# 3. The id picks a row of a table. The row is a vector, the [embedding](../book/glossary.md#embedding) of the token.
#
# The model of this chapter is `bert-mini-en`, which comes with the course.

# %% tags=["install", "hide-input"]
# Set-up, written from site.toml: says what to do when the course package is missing.
import importlib.util

if importlib.util.find_spec("companion") is None:
    raise ImportError("The course package is missing. Locally: run `make book`, choose .venv "
                      "as the kernel. On Colab: first set `repository` in site.toml.")

# %%
import math
import time
from copy import deepcopy

import numpy as np
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import cross_entropy, gelu
from torch.utils.flop_counter import FlopCounterMode

from companion import checkpoints
from companion.corpora import movie_reviews
from companion.display import curves, heatmaps, table
from companion.exercises import check
from companion.objectives import masked
from companion.tokenization import pack
from companion.transformer import head_weights, sinusoidal, without_head

# No gradients are needed until something is trained.
_ = torch.set_grad_enabled(False)

# %%
model, tokenizer = checkpoints.load("bert-mini-en")
body = model.base_model  # the layers, without the head that guesses tokens
width, heads = body.config.hidden_size, body.config.num_attention_heads
ids = tokenizer("They watched a remarkable film.", return_tensors="pt")["input_ids"]
vectors = body.embeddings.word_embeddings(ids)
print("ids", tuple(ids.shape), "become vectors", tuple(vectors.shape))
print(table(["token", "id", "its vector begins"], [
    [token, number, " ".join(f"{x:5.2f}" for x in vector[:4].tolist())] for token, number, vector
    in zip(tokenizer.convert_ids_to_tokens(ids[0].tolist()), ids[0].tolist(), vectors[0])]))

# %% [markdown]
# The tokenizer added `[CLS]` in front and `[SEP]` at the end, which are [special tokens](../book/glossary.md#special-token). A word that is not in the vocabulary would be cut into pieces.
#
# The shape of the result is (texts, tokens, width). The width is the same from here to the last layer.
#
# An embedding depends on the id only. So a word has the same vector in every sentence. The layers change that. Follow the word *like* through two sentences, in which it stands at the same place but means two things. The *cosine* of two vectors is 1 when they point the same way, and near 0 when they have nothing in common.

# %%
def states_of(text: str) -> tuple[torch.Tensor, ...]:
    """The vectors of a text after the embedding step and after each layer, (1, L, D) each."""
    return body(**tokenizer(text, return_tensors="pt"), output_hidden_states=True).hidden_states


verb, comparison = states_of("we like this film"), states_of("looks like a bad film")
assert tokenizer("we like")["input_ids"][2] == tokenizer("looks like")["input_ids"][2]
alike = [torch.cosine_similarity(a[0, 2], b[0, 2], dim=0).item()
         for a, b in zip(verb, comparison)]
print(table(["after layer", "cosine of the two 'like'"],
            [[i, f"{value:.2f}"] for i, value in enumerate(alike)]))
assert alike[0] > 0.999 and alike[-1] < 0.8

# %% [markdown]
# At the start the two vectors are equal. After some layers they are not: each has taken something from its sentence. Such a vector is called a [hidden state](../book/glossary.md#hidden-state).
#
# The step in which a token takes something from other tokens is called attention. The next sections build it.

# %% [markdown]
# ## Attention in six lines
#
# In [attention](../book/glossary.md#attention), every token makes three vectors from its own one, by three matrices that are learned:
#
# - a [query](../book/glossary.md#query-key-and-value): what it is looking for;
# - a *key*: how it can be found;
# - a *value*: what it hands over when it is found.
#
# The *score* of two tokens is the product of the query of the first and the key of the second. The [softmax](../book/glossary.md#softmax) turns the scores of one query into weights that sum to one. The result is the weighted mean of the values (Vaswani et al., 2017, section 3.2.1):
#
# $$\mathrm{Attention}(Q, K, V) = \mathrm{softmax}\!\left(\frac{Q K^\top}{\sqrt{d}}\right) V$$
#
# Here $d$ is the width of a query. Why its root stands there is a question for the next section.

# %%
def attention(query, key, value, allowed=None):
    """Weights (..., L, S) and collected values (..., L, D).

    query: (..., L, d). key: (..., S, d). value: (..., S, D).
    allowed: boolean, (..., L, S), True where a query may look; None for everywhere.
    """
    scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
    if allowed is not None:
        scores = scores.masked_fill(~allowed, -math.inf)
    weights = scores.softmax(-1)
    return weights, weights @ value


# %% [markdown]
# Try it on three tokens with vectors of width 2. The numbers are chosen so that you can check them by hand. The first query is like the second key. The second query is like no key more than another. The third is the opposite of the first.

# %%
key = torch.tensor([[0.0, 1.0], [1.0, 0.0], [0.0, -1.0]])
value = torch.tensor([[10.0, 0.0], [20.0, 0.0], [30.0, 1.0]])
query = 4 * torch.tensor([[1.0, 0.0], [0.0, 0.0], [-1.0, 0.0]])
weights, collected = attention(query, key, value)
print(table(["query", "weight 1", "weight 2", "weight 3", "collected"],
            [[i + 1, *(f"{w:.2f}" for w in weights[i].tolist()),
              " ".join(f"{x:.2f}" for x in collected[i].tolist())] for i in range(3)]))
assert torch.allclose(weights.sum(-1), torch.ones(3))
assert torch.allclose(collected[1], value.mean(0))

# %% [markdown]
# The first query takes nearly all from token 2. The second weighs all three the same, so it gets their mean. The third avoids token 2.
#
# Two things are worth noting. The weights say *where* to look, and the values say *what* is taken from there. And nothing in the formula knows in which order the tokens stand.

# %% [markdown]
# ## Why the scores are divided
#
# A score is a sum of $d$ products. If the entries of queries and keys are independent, with mean 0 and variance 1, each product has variance 1, and the sum has variance $d$. So its standard deviation is $\sqrt{d}$: wider vectors give larger scores.
#
# What do large scores do to the softmax? It then gives nearly all the weight to one key. The *entropy* of the weights, $-\sum_i w_i \ln w_i$, measures this, in [nats](../book/glossary.md#nat): it is $\ln n$ when all $n$ weights are equal, and 0 when one has everything.
#
# There is a second effect. The [gradient](../book/glossary.md#gradient) that reaches a score contains the factor $w_i(1 - w_i)$. It is near 0 when every weight is near 0 or 1. Then training cannot move the scores (Vaswani et al., 2017, section 3.2.1). The next cell measures all three for random vectors, with 16 keys for each query.

# %%
def spread(scores: torch.Tensor) -> tuple[float, float, float]:
    """Standard deviation of the scores, entropy of the weights, and sum of w(1 - w)."""
    w = scores.softmax(-1)
    return (scores.std().item(), -(w * w.clamp(min=1e-30).log()).sum(-1).mean().item(),
            (w * (1 - w)).sum(-1).mean().item())


draw, measured = torch.Generator().manual_seed(0), {}
for d in (4, 16, 64, 256, 1024):
    query, key = (torch.randn(2000, n, d, generator=draw) for n in (1, 16))
    scores = (query @ key.transpose(1, 2))[:, 0]
    measured[d] = spread(scores) + spread(scores / math.sqrt(d))
print(table(["d", "deviation", "entropy", "w(1-w)", "divided:", "entropy ", "w(1-w) "],
            [[d, f"{r[0]:.0f}", f"{r[1]:.1f}", f"{r[2]:.2f}", f"{r[3]:.1f}", f"{r[4]:.1f}",
              f"{r[5]:.2f}"] for d, r in measured.items()]))
curves({"not divided": (list(measured), [r[1] for r in measured.values()]),
        "divided by √d": (list(measured), [r[4] for r in measured.values()])},
       x="d", y="entropy (nats)", level=(math.log(16), "ln 16"), logx=True)

# %%
assert all(abs(r[0] / math.sqrt(d) - 1) < 0.1 for d, r in measured.items())
assert measured[1024][1] < 0.2 < 2.0 < min(r[4] for r in measured.values())

# %% [markdown]
# Without the division, the deviation follows $\sqrt{d}$, the entropy falls towards 0, and so does the factor of the gradient. With it, all three stay where they are, whatever the width. So the division lets you choose the width freely.

# %% [markdown]
# ## Masks: where a token may not look
#
# A *mask* forbids some pairs of tokens. Its score becomes minus infinity, so its weight becomes 0. Two masks occur again and again.
#
# - **Padding.** Texts of one batch have different lengths. The short ones are filled up with `[PAD]` (see [padding](../book/glossary.md#padding)). No token may look there.
# - **Causal.** A model that writes text must not see what it has not written yet. Each token may look at itself and at the tokens before it. This is the [causal mask](../book/glossary.md#causal-mask).

# %%
real = torch.tensor([True, True, True, False])  # three tokens and one [PAD]
causal = torch.ones(4, 4).bool().tril()
score_free = torch.zeros(4, 2)  # queries of zeros: equal weights on all that is allowed
for name, allowed in (("padding", real.expand(4, 4)), ("causal", causal),
                      ("both", real & causal)):
    weights, _ = attention(score_free, torch.randn(4, 2), torch.randn(4, 2), allowed)
    print(name, *(" ".join(f"{w:.2f}" for w in row) for row in weights.tolist()), sep="\n  ")

# %% [markdown]
# One row holds the weights that one token gives. In the causal rows, the part above the diagonal is 0.
#
# What a mask forbids must have no influence. You can test this. Change what must not be seen, and look whether any result changes. The next cell does it for the causal mask, and for the padding of a real model. There it also shows what happens when you forget the mask.

# %%
states = torch.randn(6, 8, generator=draw)
changed = states.clone()
changed[4:] = 100.0  # other tokens at the places 4 and 5
order = torch.ones(6, 6).bool().tril()
before, after = (attention(s, s, s, order)[1] for s in (states, changed))
print("causal mask: places 0 to 3 unchanged:", torch.equal(before[:4], after[:4]))

short, long = "a fine film", "a fine film , although it takes its time before it begins"
alone = body(**tokenizer(short, return_tensors="pt")).last_hidden_state[0]
batch = tokenizer([short, long], return_tensors="pt", padding=True)
with_mask = body(**batch).last_hidden_state[0, :len(alone)]
without = body(input_ids=batch["input_ids"]).last_hidden_state[0, :len(alone)]
print("padding, with the mask:    largest change below 1e-4:",
      (with_mask - alone).abs().max().item() < 1e-4)
print(f"padding, mask forgotten:   largest change {(without - alone).abs().max().item():.1f}")
assert (with_mask - alone).abs().max() < 1e-4 < 0.1 < (without - alone).abs().max()

# %% [markdown]
# Forgetting the mask raises no error. The numbers are only wrong, and how wrong depends on the other texts of the batch. The tokenizer returns the mask as `attention_mask`: give it to the model whenever there is padding.

# %% [markdown]
# ## Several heads, and a whole layer of BERT
#
# One set of weights can look for one thing at a time. So a layer has several [attention heads](../book/glossary.md#attention-head): the query, key and value of each token are cut into $h$ parts, each part does its own attention, and the results are put together again (Vaswani et al., 2017, section 3.2.2).

# %%
def split(states):
    """(B, L, D) -> (B, heads, L, D / heads)."""
    return states.unflatten(-1, (heads, -1)).transpose(1, 2)


def join(states):
    """(B, heads, L, D / heads) -> (B, L, D)."""
    return states.transpose(1, 2).flatten(2)


def self_attention(part, states, allowed=None):
    """Weights of all heads and the joined result, with the matrices of a BERT layer."""
    query, key, value = (split(matrix(states)) for matrix in (part.query, part.key, part.value))
    weights, collected = attention(query, key, value, allowed)
    return weights, join(collected)


# %% [markdown]
# Is it the same as in the library? Take a batch of real reviews, with padding, and compare with the first layer of `bert-mini-en`. The reviews are from the validation [split](../book/glossary.md#split).

# %%
reviews = movie_reviews(collection="rotten_tomatoes")["validation"]["text"]
batch = tokenizer(reviews[:8], return_tensors="pt", padding=True)
allowed = batch["attention_mask"].bool()[:, None, None, :]  # the same for all heads and queries
theirs = body(**batch, output_hidden_states=True).hidden_states  # embeddings, then each layer
layer = body.encoder.layer[0]
library = layer.attention.self(theirs[0], attention_mask=allowed)[0]
_, ours = self_attention(layer.attention.self, theirs[0], allowed)
print(f"{heads} heads of width {width // heads}, shape {tuple(ours.shape)}")
print("largest difference below 1e-5:", (ours - library).abs().max().item() < 1e-5)
assert (ours - library).abs().max() < 1e-5

# %% [markdown]
# Attention only mixes. A layer does more (Vaswani et al., 2017, sections 3.1 and 3.3):
#
# $$u = \mathrm{LN}\bigl(x + W_o\,\mathrm{heads}(x)\bigr) \qquad y = \mathrm{LN}\bigl(u + W_2\,\mathrm{gelu}(W_1 u)\bigr)$$
#
# - $W_o$ mixes the results of the heads.
# - $x + \ldots$ is a [residual connection](../book/glossary.md#residual-connection). The layer adds something to $x$ and does not replace it. So the gradient has a direct way from the last layer to the first.
# - LN is [layer normalisation](../book/glossary.md#layer-normalisation). It brings each vector to mean 0 and variance 1, then applies a learned scale and shift. So the sizes of the numbers stay under control.
# - The [feed-forward](../book/glossary.md#feed-forward-network) part $W_2\,\mathrm{gelu}(W_1 u)$ works on each token alone. In BERT it is four times as wide inside. The function gelu is a smooth form of $\max(0, z)$. Vaswani et al. took $\max(0, z)$ itself; BERT takes gelu (Devlin et al., 2019, appendix A.2). Biases are left out in the formula.

# %%
def normalise(states, norm):
    """Layer normalisation with the learned scale and shift of `norm`."""
    centred = states - states.mean(-1, keepdim=True)
    variance = centred.square().mean(-1, keepdim=True)
    return centred / (variance + norm.eps).sqrt() * norm.weight + norm.bias


def whole_layer(layer, states, allowed=None):
    """One layer of BERT, (B, L, D) -> (B, L, D)."""
    _, collected = self_attention(layer.attention.self, states, allowed)
    output = layer.attention.output
    states = normalise(states + output.dense(collected), output.LayerNorm)
    inner = gelu(layer.intermediate.dense(states))
    return normalise(states + layer.output.dense(inner), layer.output.LayerNorm)


ours, worst = theirs[0], 0.0
for number, layer in enumerate(body.encoder.layer):
    ours = whole_layer(layer, ours, allowed)
    worst = max(worst, (ours - theirs[number + 1]).abs().max().item())
print(f"{number + 1} layers; largest difference in any of them below 1e-5: {worst < 1e-5}")
assert worst < 1e-5

# %% [markdown]
# These are all layers of BERT. Every layer is the same few lines with other numbers in its matrices. A head that guesses tokens comes on top, and the next chapter trains it.

# %% [markdown]
# ## What attention cannot see: the order
#
# The result of attention is a sum over tokens, and a sum does not depend on the order of its terms. So exchange the tokens in any way: each token gets the same result as before, only at its new place. A layer built from attention and a part that works on each token alone has the same property.
#
# This matters. The next two sentences have the same tokens and opposite meanings. Does the model notice?
#
# Before the first layer of BERT stands the *embedding step*. It adds three vectors for each token: that of the token, that of its position, and that of its [segment](../book/glossary.md#segment-ids). Then it normalises the sum. With this step and the layers, the body of BERT is complete. The function `read` runs it with or without the position vectors.

# %%
def read(ids, positions=True):
    """Vectors of the last layer, (B, L, D); no padding."""
    tables = body.embeddings
    states = tables.word_embeddings(ids) + tables.token_type_embeddings.weight[0]
    if positions:
        states = states + tables.position_embeddings.weight[:ids.shape[1]]
    states = normalise(states, tables.LayerNorm)
    for layer in body.encoder.layer:
        states = whole_layer(layer, states)
    return states


praise, blame = (tokenizer(text, return_tensors="pt")["input_ids"] for text in
                 ("the film was good , not bad", "the film was bad , not good"))
shuffle = torch.randperm(praise.shape[1], generator=draw)
for positions in (False, True):
    first = (read(praise, positions)[0, 0] - read(blame, positions)[0, 0]).abs().max()
    moved = (read(praise[:, shuffle], positions) - read(praise, positions)[:, shuffle]).abs().max()
    print(f"positions {str(positions):5}   [CLS] of the two sentences differ: {bool(first > 1e-4)}"
          f"   order matters: {bool(moved > 1e-4)}")
    assert (first > 0.01) == (moved > 0.01) == positions

# %% [markdown]
# Without positions, the two sentences give the same `[CLS]` vector. No classifier on top of it could ever tell them apart. With positions they differ.

# %% [markdown]
# ## Two ways to write a position
#
# The cure is to add a vector that says where a token stands (see [position embedding](../book/glossary.md#position-embedding)). There are two classic ways.
#
# **Sinusoidal** (Vaswani et al., 2017, section 3.5). The vector of position $p$ is computed from sines and cosines, slow ones and fast ones:
#
# $$v_{p,2i} = \sin\bigl(p / 10000^{2i/D}\bigr) \qquad v_{p,2i+1} = \cos\bigl(p / 10000^{2i/D}\bigr)$$
#
# **Learned** (in GPT: Radford et al., 2018, section 4.1; in BERT, too). The vectors are parameters, one row of a table for each position up to a longest length. They start at random.

# %%
print(sinusoidal(length=4, width=6).numpy().round(2))
learned = body.embeddings.position_embeddings.weight
print("learned, of bert-mini-en:", tuple(learned.shape))

# %% [markdown]
# How do they differ? Compare two positions by the cosine of their vectors, as their distance grows. For each distance the table shows the mean over pairs among the positions 1 to 126, and the standard deviation. Position 0 always holds `[CLS]` and position 127 was the last one of every row when the course trained this model, so these two are left out. The third column is what vectors at random give.

# %%
def by_distance(vectors: torch.Tensor, distances: list[int]) -> list[tuple[float, float]]:
    """Mean and deviation of the cosine of two positions, for each distance."""
    unit = vectors / vectors.norm(dim=1, keepdim=True)
    along = [(unit @ unit.T).diagonal(d) for d in distances]
    return [(c.mean().item(), c.std().item()) for c in along]


distances = [1, 2, 4, 8, 16, 32, 64, 100]
kinds = {"sinusoidal": sinusoidal(128, width), "learned": learned,
         "random": torch.randn(128, width, generator=draw)}
found = {name: by_distance(v[1:127], distances) for name, v in kinds.items()}
print(table(["distance", *kinds], [
    [d, *(f"{round(found[name][i][0], 2) + 0:.2f} ± {found[name][i][1]:.2f}" for name in kinds)]
    for i, d in enumerate(distances)]))
curves({name: (distances, [mean for mean, _ in values]) for name, values in found.items()},
       x="distance of two positions", y="cosine", logx=True)

# %%
assert max(deviation for _, deviation in found["sinusoidal"]) < 1e-4
assert found["learned"][0][0] > 0.7 > 0.6 > found["learned"][1][0] > found["learned"][3][0]
assert max(deviation for _, deviation in found["learned"][4:7]) > 0.1

# %% [markdown]
# Three observations.
#
# - The cosine of sinusoidal vectors depends on the distance alone: its deviation is 0. This follows from $\sin a \sin b + \cos a \cos b = \cos(a - b)$.
# - Nobody told the learned vectors that position 5 is beside position 6. Training on text made neighbours alike all the same.
# - Beyond the nearest positions, the learned ones follow no simple rule: the deviation is large.

# %% [markdown]
# ## A task that needs positions
#
# Now train. The task is as small as can be: *say which token stands before you*. The rows are random, so there is nothing else to learn. A model without positions sees the other tokens as a set. The best that it can do is to name the most frequent one.
#
# `Reader` is one layer of PyTorch with one head, and a position table of one of three kinds.

# %%
SYMBOLS, LENGTH, LONGER = 16, 16, 32  # rows of 16 in training; rows of 32 come later


class Reader(nn.Module):
    """One Transformer layer that names a token for each position."""

    def __init__(self, kind: str, size: int = 32):
        super().__init__()
        self.tokens = nn.Embedding(SYMBOLS, size)
        self.layer = nn.TransformerEncoderLayer(size, 1, 2 * size, dropout=0.0, batch_first=True)
        self.head = nn.Linear(size, SYMBOLS)
        table = sinusoidal(LONGER, size) if kind == "sinusoidal" else torch.zeros(LONGER, size)
        if kind == "learned":
            table = torch.randn(LONGER, size)
        self.positions = nn.Parameter(table, requires_grad=kind == "learned")

    def forward(self, ids, start: int = 0):
        """Scores (B, L, SYMBOLS); the first token gets the position `start`."""
        return self.head(self.layer(self.tokens(ids) + self.positions[start:][:ids.shape[1]]))


# %%
@torch.enable_grad()
def trained(kind: str, seed: int, starts: int = 1, size: int = 32, steps: int = 200) -> Reader:
    """A Reader trained on rows of 16; each batch begins at one of `starts` positions."""
    torch.manual_seed(seed)
    reader, draw = Reader(kind, size), torch.Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW([p for p in reader.parameters() if p.requires_grad], lr=1e-2)
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = 1e-2 * min((step + 1) / 20, (steps - step) / (steps - 20))
        ids = torch.randint(SYMBOLS, (64, LENGTH), generator=draw)
        start = int(torch.randint(starts, (), generator=draw))
        loss = cross_entropy(reader(ids, start)[:, 1:].flatten(0, 1), ids[:, :-1].flatten())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return reader.eval()


def accuracy(reader: Reader, length: int) -> np.ndarray:
    """Share of right answers at each position from 1 on, over 500 new rows."""
    ids = torch.randint(SYMBOLS, (500, length), generator=torch.Generator().manual_seed(99))
    return (reader(ids)[:, 1:].argmax(-1) == ids[:, :-1]).float().mean(0).numpy()


# %% [markdown]
# Three kinds, three [seeds](../book/glossary.md#seed) each. (The tensors are so small that a second thread would only cost time, so PyTorch uses one here.) The limit of a model without order can be computed: for each token, count the other tokens of its row, and name the most frequent one.

# %%
threads = torch.get_num_threads()
torch.set_num_threads(1)
readers = {kind: [trained(kind, seed) for seed in range(3)]
           for kind in ("sinusoidal", "learned", "none")}
short = {kind: [accuracy(r, LENGTH).mean() for r in three] for kind, three in readers.items()}
rows = torch.randint(SYMBOLS, (500, LENGTH), generator=torch.Generator().manual_seed(99))
others = nn.functional.one_hot(rows, SYMBOLS)
others = others.sum(1, keepdim=True) - others  # counts of the other tokens, for each position
limit = others.max(-1).values[:, 1:].float().mean().item() / (LENGTH - 1)
print(table(["positions", "accuracy", "largest difference of seeds"],
            [[kind, f"{np.mean(v):.1f}", f"{np.ptp(v):.1f}"] for kind, v in short.items()]))
print(f"chance {1 / SYMBOLS:.2f}, the limit without order {limit:.2f}")
assert min(short["sinusoidal"] + short["learned"]) > 0.9
assert max(short["none"]) < limit + 0.05

# %% [markdown]
# With positions, of either kind, the task is solved. Without them the model reaches the limit of a set and stays there, however long you train it.

# %% [markdown]
# ## Lengths that training never showed
#
# The rows of the training had 16 tokens. What happens in rows of 32? The positions from 16 on are new. The learned vectors of these positions are still what they were at the start: random numbers. The sinusoidal ones are given by a formula, so they exist. Vaswani et al. (2017, section 3.5) hoped that a model might use them beyond the lengths of its training.
#
# There is also a cure to try: let the rows of the training begin at random positions. Then each position is seen, although no row is longer than 16.

# %%
# NBVAL_IGNORE_OUTPUT
readers["sinusoidal, twice as wide"] = [trained("sinusoidal", seed, size=64) for seed in range(3)]
for kind in ("sinusoidal", "learned"):
    readers[f"{kind}, random start"] = [trained(kind, seed, starts=LONGER - LENGTH + 1)
                                        for seed in range(3)]
torch.set_num_threads(threads)
along = {kind: np.array([accuracy(r, LONGER) for r in three]) for kind, three in readers.items()}
seen = {kind: a[:, :LENGTH - 1].mean(1) for kind, a in along.items()}
new = {kind: a[:, LENGTH - 1:].mean(1) for kind, a in along.items()}
print(table(["positions", "1 to 15", "16 to 31", "spread"], [
    [kind, f"{seen[kind].mean():.2f}", f"{new[kind].mean():.2f}", f"{np.ptp(new[kind]):.2f}"]
    for kind in along]))
curves({kind: (range(1, LONGER), a.mean(0)) for kind, a in along.items()},
       x="position", y="accuracy", level=(1 / SYMBOLS, "chance"))

# %%
assert new["learned"].max() < 0.2 < 0.9 < seen["learned"].min()
for kind in ("sinusoidal", "sinusoidal, twice as wide"):
    assert new[kind].max() < 0.7 < 0.9 < seen[kind].min()
assert min(new["sinusoidal, random start"].min(), new["learned, random start"].min()) > 0.8
print("new positions, largest of three seeds: learned below 0.2, sinusoidal below 0.7")
print("with random starts, smallest of three seeds: both above 0.8")
longest = len(learned)
try:
    body(input_ids=torch.full((1, longest + 1), 5))
except (IndexError, RuntimeError):
    print(f"bert-mini-en reads {longest} tokens; {longest + 1} are refused")
assert (longest, LENGTH, LONGER) == (512, 16, 32)

# %% [markdown]
# The table is the mean of three seeds. Its second digit changes from machine to machine, so nothing in this text depends on it.
#
# - Learned positions fail at once. At new positions they are about as good as chance.
# - Sinusoidal positions fail, too. How fast depends on the model: look at the two widths. That a formula gives a vector does not mean that the layer has learned what to do with it.
# - With random starts both work in the whole row, apart from single positions.
#
# So the limit is not in the formula. It is in what training showed. This is why a model card states a longest length. And `bert-mini-en` cannot read a longer text at all, as the last line shows: its table of positions ends there. Later models use other ways to bring in positions. T5 adds to each score a learned number that depends on the *distance* of the two tokens (Raffel et al., 2020, section 2.1). [Rotary positions](../book/glossary.md#rotary-positions) turn queries and keys by an angle that grows with the position, so that a score depends on the distance, too (Su et al., 2021, RoFormer). The course's own `bert-scratch-en` has them. All of these ways have to answer the same question.

# %% [markdown]
# ## Attention maps of one sentence
#
# Now look at attention in a trained model. An [attention map](../book/glossary.md#attention-map) shows the weights of one head: one row for each token that looks, one column for each token that is looked at. The library keeps the weights only with its plain ("eager") form of attention.

# %%
model.set_attn_implementation("eager")
review = next(text for text in reviews if 8 <= len(text.split()) <= 12 and "not" in text.split())
row = tokenizer(review, return_tensors="pt")
tokens = tokenizer.convert_ids_to_tokens(row["input_ids"][0].tolist())
maps = torch.stack(body(**row, output_attentions=True).attentions)[:, 0].numpy()
shown = {"layer 1, head 3": maps[0, 2], "layer 2, head 9": maps[1, 8],
         "layer 4, head 7": maps[3, 6]}
print(review)
for name, weights in shown.items():
    print(name, *(f"{token} → {tokens[w.argmax()]} {w.max():.1f}" for token, w in
                  zip(tokens[1:8], weights[1:8])), sep="   ")
heatmaps(shown, tokens, tokens, x="looks at", y="token", top=1.0)

# %% [markdown]
# Each row sums to one. The printed lines name the largest weight of some rows.
#
# In the first map, each token looks at the token before it. In the second, each looks at the token after it. In the third, nearly all look at `[CLS]`. The three heads were chosen because their pattern is easy to see. Most heads are less clear, and one sentence proves nothing. So count.

# %% [markdown]
# ## What the heads do, over 400 sentences
#
# For each head, take the mean weight that a token gives to the token before it, to the token after it, to itself, to `[CLS]` and to `[SEP]`. `head_weights` does it over all tokens of 400 sentences of the validation split, in the manner of Clark et al. (2019). The yardstick is a head that looks everywhere alike: one divided by the number of tokens.

# %%
sample = reviews[:400]
look = head_weights(body, tokenizer, sample)
even = look.pop("even").mean()
lines = []
for name, weights in look.items():
    layer, head = np.unravel_index(weights.argmax(), weights.shape)
    lines.append([name, f"layer {layer + 1}, head {head + 1}", f"{weights.max():.2f}",
                  f"{weights.mean():.2f}"])
print(f"{len(sample)} sentences; looking everywhere alike: {even:.2f}")
print(table(["place", "strongest head", "its weight", "mean of all heads"], lines))
numbers = [str(i + 1) for i in range(heads)]
heatmaps({"token before": look["previous"], "token after": look["next"], "[CLS]": look["first"]},
         numbers[:len(look["first"])], numbers, x="head", y="layer", top=1.0)

# %%
assert look["previous"].max() > 0.95 and look["next"].max() > 0.9
assert look["first"].mean(1)[2:5].min() > 0.5 > 5 * look["last"].mean()
print("mean weight on [CLS] by layer:", *(f"{w:.2f}" for w in look["first"].mean(1)))

# %% [markdown]
# One head of the first layer looks at the token before, and at hardly anything else. One of the second layer looks at the token after. These are real patterns: they hold over all sentences, not only in one.
#
# And in the layers 3 to 5, more than half of the weight of all tokens goes to `[CLS]`. In BERT, much of it goes to `[SEP]` instead (Clark et al., 2019, section 3.2); here `[SEP]` gets little. Why should so many words need `[CLS]`?

# %% [markdown]
# ## A map is not an explanation
#
# A weight says how much of a value is taken. It does not say how large the value is. Compare the length of the value vectors, of `[CLS]` and of the words (Kobayashi et al., 2020, ask the same of BERT).

# %%
rows = tokenizer(sample[:100], return_tensors="pt", padding=True)
states = body(**rows, output_hidden_states=True).hidden_states
words = ~torch.isin(rows["input_ids"], torch.tensor(tokenizer.all_special_ids))
lines, ratios = [], []
for number, layer in enumerate(body.encoder.layer):
    lengths = split(layer.attention.self.value(states[number])).norm(dim=-1).mean(1)
    ratios.append((lengths[:, 0].mean() / lengths[words].mean()).item())
    lines.append([number + 1, f"{look['first'][number].mean():.2f}", f"{ratios[-1]:.2f}"])
print(table(["layer", "weight on [CLS]", "length of its value, words = 1"], lines))
assert max(ratios[1:5]) < 0.25

# %% [markdown]
# Where `[CLS]` gets the most weight, its value is short: a small part of the length of a word's value. So these weights carry little. A possible reason: the weights of a token must sum to one, also when the head finds nothing to collect, and then this model puts them on `[CLS]`. The table fits this reading but does not prove it.
#
# A second test is stronger than any look at weights: take a head away, and see what the model loses. This is called an [ablation](../book/glossary.md#ablation). The measure is the loss of [masked language modelling](masked_lm.ipynb): hide some words, let the model guess them, and take the mean of $-\ln p$ of the right ones. Take away the head that is strongest on each place.

# %%
hidden = masked.MaskedLM(tokenizer)(pack(reviews, tokenizer, length=64)[:96])
whole = masked.loss(model, hidden).item()
print(f"all heads: loss {whole:.2f}")
cost = {}
for name in ("previous", "next", "first"):
    layer, head = np.unravel_index(look[name].argmax(), look[name].shape)
    with without_head(model, int(layer), int(head)):
        cost[name] = masked.loss(model, hidden).item() - whole
    print(f"without layer {layer + 1}, head {head + 1} (weight {look[name].max():.2f} on "
          f"'{name}'): {cost[name] + 0:+.2f}")
assert cost["next"] > 2 * cost["previous"] > 4 * abs(cost["first"])
assert hidden["input_ids"].shape == (96, 64)

# %% [markdown]
# The head with the sharpest map costs less when it is gone than the head with the second sharpest. The head with most of its weight on `[CLS]` costs next to nothing. (The text has 96 rows of 64 tokens, and the hidden words are the same each time.)
#
# So read attention maps like this: they show where weights lie. They do not show what is carried along, and not what the model needs. Whether they can explain a decision is disputed (Jain and Wallace, 2019; Wiegreffe and Pinter, 2019). When you want to know what a part is for, take it away and measure. An ablation has a limit of its own: when two heads do the same work, each of them alone can be spared.

# %% [markdown]
# ## Why it trains in parallel
#
# Before the Transformer, texts were read by recurrent networks. The best known is the [LSTM](../book/glossary.md#lstm) (Hochreiter and Schmidhuber, 1997). It reads the tokens one after another and carries a state $h$ along:
#
# $$h_t = f\,(W x_t + U h_{t-1})$$
#
# $f$ stands for the gates of the LSTM. The product $W x_t$ needs only the input, so it can be computed for all tokens in one large matrix product. The product $U h_{t-1}$ must wait for the step before. The next cell writes the LSTM of PyTorch in this way and checks it.

# %%
torch.manual_seed(0)
SIZE = 256
lstm = nn.LSTM(SIZE, SIZE, batch_first=True)
inputs = torch.randn(4, 50, SIZE)
at_once = inputs @ lstm.weight_ih_l0.T + lstm.bias_ih_l0  # all tokens in one product
state = memory = torch.zeros(4, SIZE)
outputs, waited = [], 0
for step in range(inputs.shape[1]):  # each round needs `state` of the round before
    gates = at_once[:, step] + state @ lstm.weight_hh_l0.T + lstm.bias_hh_l0
    admit, keep, new_content, show = gates.chunk(4, dim=-1)
    memory = keep.sigmoid() * memory + admit.sigmoid() * new_content.tanh()
    state = show.sigmoid() * memory.tanh()
    outputs.append(state)
    waited += 1
close = torch.allclose(torch.stack(outputs, 1), lstm(inputs)[0], atol=1e-5)
print(f"equal to nn.LSTM: {close}; products that had to wait: {waited} for 50 tokens")
assert close and waited == 50

# %% [markdown]
# Half of the work of an LSTM is the product with $U$. For 50 tokens it consists of 50 small products, each of which needs the result of the one before. Attention has no such chain. All scores of a head are one product. Only the layers wait for each other, and their number does not depend on the length. This is so in training, where the whole text is known. When a model *writes* text, every token waits for the one before, in a Transformer as well.
#
# The price is that every token is compared with every other. For $n$ tokens and width $D$, the scores and the weighted sums cost $2 n^2 D$ multiplications. The matrix products of the layer below cost $8 n D^2$. So the two are equal at $n = 4D$, and the cost of a *token* grows with the length.
#
# What does this mean on your machine? Measure it: one layer of each kind, with the same number of parameters, forward and backward. Each batch has 2,048 tokens, as many short rows or as few long ones. The feed-forward part of the Transformer layer is twice as wide inside, not four times, to make the numbers of parameters equal.

# %%
transformer = nn.TransformerEncoderLayer(SIZE, 4, 2 * SIZE, dropout=0.0, batch_first=True)
counts = [sum(p.numel() for p in part.parameters()) for part in (lstm, transformer)]
print("parameters: LSTM {:,}, Transformer layer {:,}".format(*counts))
assert abs(counts[1] / counts[0] - 1) < 0.01


@torch.enable_grad()
def microseconds(part: nn.Module, length: int, tokens: int = 2048) -> float:
    """Best of three: time for one token, forward and backward."""
    rows, best = torch.randn(tokens // length, length, SIZE), math.inf
    for _ in range(3):
        start = time.perf_counter()
        result = part(rows)
        (result[0] if isinstance(result, tuple) else result).sum().backward()
        best = min(best, time.perf_counter() - start)
    return best / tokens * 1e6


# %%
# NBVAL_IGNORE_OUTPUT
lengths = [16, 64, 256, 1024, 2048]
times = {name: [microseconds(part, n) for n in lengths]
         for name, part in (("LSTM", lstm), ("Transformer layer", transformer))}
print(table(["length", "rows", "LSTM", "Transformer", "LSTM / Transformer"],
            [[n, 2048 // n, *(f"{times[k][i]:.0f}" for k in times),
              f"{times['LSTM'][i] / times['Transformer layer'][i]:.1f}"]
             for i, n in enumerate(lengths)]))
print("microseconds for one token, forward and backward")
curves({name: (lengths, values) for name, values in times.items()},
       x="length", y="µs per token", logx=True)

# %%
def multiplications(part: nn.Module, length: int, tokens: int = 2048) -> float:
    """For one token, forward, as a multiple of the width squared."""
    rows = torch.randn(tokens // length, length, SIZE, dtype=torch.float64)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        deepcopy(part).double()(rows)  # in this form every product can be counted
    return counter.get_total_flops() / 2 / tokens / SIZE**2


work = {name: [multiplications(part, n) for n in lengths]
        for name, part in (("LSTM", lstm), ("Transformer layer", transformer))}
print(table(["length", "LSTM", "Transformer"],
            [[n, *(f"{work[k][i]:.1f}" for k in work)] for i, n in enumerate(lengths)]))
print("multiplications for one token, forward, divided by the width squared")
assert work["LSTM"] == [8] * len(lengths)
assert work["Transformer layer"] == [8 + 2 * n / SIZE for n in lengths]

# %% [markdown]
# The times are those of the machine that built this page; yours differ. The multiplications are the same everywhere. Read both in three steps.
#
# - **Short rows, many of them.** The two are close. The LSTM has few steps, and each works on many rows at once. This keeps two cores busy.
# - **Long rows, few of them.** The LSTM needs more time for each token, though its number of multiplications has not changed. Its steps are small products that wait for each other.
# - **Very long rows.** In the Transformer, too, a token now costs more, because it is compared with more others.
#
# Two cores are little. A processor that computes thousands of products at the same time can gain more from work that need not wait. This page was not measured on such a processor, so it does not say how much.

# %% [markdown]
# ## Three families, three masks
#
# The same layer makes three families of models. They differ in who may look where.
#
# - An [encoder](../book/glossary.md#encoder) looks both ways. BERT is one. It suits tasks in which the whole text is known.
# - A [decoder](../book/glossary.md#decoder) has the causal mask. GPT is one. It can write.
# - An [encoder-decoder](../book/glossary.md#encoder-decoder) has both. The decoder looks back at its own tokens, and in a second attention at all tokens of the encoder. That is [cross-attention](../book/glossary.md#cross-attention): the queries come from the decoder, the keys and values from the encoder. T5 is one.

# %%
target, source = 4, 6  # tokens that are written, and tokens that are read
masks = {
    "encoder": torch.ones(source, source),
    "decoder": torch.ones(target, target).tril(),
    "cross-attention": torch.ones(target, source),
}
for name, allowed in masks.items():
    print(name, *(" ".join("x" if look else "." for look in row) for row in allowed), sep="\n  ")
queries = torch.randn(target, 8, generator=draw)
states = torch.randn(source, 8, generator=draw)
weights, collected = attention(queries, states, states)
print("cross-attention: weights", tuple(weights.shape), "result", tuple(collected.shape))
assert weights.shape == (target, source) and collected.shape == (target, 8)

# %% [markdown]
# The mask also decides what a model can be trained on. A decoder can learn from every token of a text at once, since no token sees the one that it must name. An encoder sees everything, so something must be hidden from it first.
#
# | family | objective | chapter of part I |
# | --- | --- | --- |
# | encoder | guess hidden tokens | [Masked language modelling](masked_lm.ipynb) |
# | encoder | do two sentences belong together | [Sentence pairs](sentence_pairs.ipynb) |
# | encoder | vectors for whole sentences | [Contrastive learning](contrastive_learning.ipynb) |
# | decoder | name the next token | [Causal language modelling](causal_lm.ipynb) |
# | encoder-decoder | write what is missing | [Sequence to sequence](sequence_to_sequence.ipynb) |
#
# The last chapter of the part, [Three families, one budget](three_families.ipynb), trains them and compares them.

# %% [markdown]
# ## Take-away
#
# - A text becomes tokens, ids, vectors. The layers turn vectors of tokens into vectors of tokens in their sentence.
# - Attention is a weighted mean: queries meet keys, and values are collected. The scores are divided by $\sqrt{d}$, so that the weights do not all go to one token.
# - A layer is attention with several heads, a feed-forward part, two residual connections and two normalisations. You have rebuilt all six of a trained model.
# - Without positions a Transformer reads a set. What it can do at a position depends on what training showed there.
# - A map shows where weights lie. What the model needs is found by taking parts away.
# - A Transformer layer computes all tokens of a text at the same time; its cost has a part that grows with $n^2$. An LSTM has no such part, but its steps must wait for each other.
# - Encoder and decoder are the same layer with another mask.

# %% [markdown]
# ## Exercises
#
# Each exercise is a function without a body.
# Replace `raise NotImplementedError` by your code, run the cell, and run the check below it.
# The check prints ✓, or *not attempted yet*, or a hint.
#
# When you are done, or stuck, compare with the [solutions](inside_transformer_solutions.ipynb).

# %% [markdown]
# ### Exercise 1: position vectors
#
# The formula of the sinusoidal vectors stands in [its section](#two-ways-to-write-a-position).
#
# Write `position_vectors`, with PyTorch, NumPy or plain Python.

# %%
def position_vectors(length: int, width: int) -> torch.Tensor:
    """Compute sinusoidal position vectors.

    length: the number of positions, counted from 0.
    width: the size of each vector, an even number.
    Returns a tensor of shape (length, width), float32. Entry 2i of position p is the sine of
    p / 10000^(2i/width), and entry 2i+1 is the cosine of the same angle.

    Example: position_vectors(1, 4) returns tensor([[0., 1., 0., 1.]]).
    """
    raise NotImplementedError

# %%
check("transformer-positions", position_vectors)

# %% [markdown]
# ### Exercise 2: who may look where
#
# A batch usually needs both masks at once: nobody looks at padding, and in a decoder nobody looks ahead.
#
# Write `may_look`. It makes the mask that `attention` of this chapter takes.

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
    raise NotImplementedError

# %%
check("transformer-mask", may_look)

# %% [markdown]
# ### Exercise 3: cross-attention
#
# In [cross-attention](../book/glossary.md#cross-attention) two texts meet. The decoder asks, the encoder answers.
#
# Write `cross_attention` for one head and one pair of texts. The encoder's text may have padding.
# The check compares your result with `scaled_dot_product_attention` of PyTorch. Try it without that function first.

# %%
def cross_attention(decoder, encoder, real, w_query, w_key, w_value):
    """Collect from the encoder what each token of the decoder looks for.

    decoder: states of the tokens that are written, shape (T, D).
    encoder: states of the tokens that are read, shape (S, D).
    real: boolean, shape (S,). False where the encoder's text has padding.
    w_query, w_key, w_value: matrices of shape (D, d). A query is state @ w_query.
    Returns the collected values, shape (T, d). Scores are divided by the square root of d.
    """
    raise NotImplementedError

# %%
check("transformer-cross", cross_attention)

# %% [markdown]
# ### Exercise 4: what a head looks at
#
# The chapter measured heads with `head_weights`. Write the core of it yourself, for one text:
# how much weight does a token give to the token before it, on average?

# %%
def previous_weight(weights: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """Measure for each head how much a token looks at the token before it.

    weights: attention weights of one text, shape (H, L, L). weights[h, i, j] is the weight
        that token i gives to token j in head h.
    real: boolean, shape (L,). False for padding, which stands at the end.
    Returns a tensor of shape (H,): the mean weight over all real tokens that have a token
    before them.
    """
    raise NotImplementedError

# %%
check("transformer-heads", previous_weight)

# %% [markdown]
# ### Exercise 5: count the parameters
#
# How many [parameters](../book/glossary.md#parameter) does one layer of BERT have?
# Think of all parts in [the formula of a layer](#several-heads-and-a-whole-layer-of-bert), and of the biases, which the formula leaves out.
#
# Write the answer as the function `layer_parameters`.

# %%
def layer_parameters(width: int, inner: int) -> int:
    """Return the number of parameters of one BERT layer.

    width: the width of the states.
    inner: the width inside the feed-forward part.
    Every linear part has a bias. A layer normalisation has a scale and a shift for each entry.
    """
    raise NotImplementedError

# %%
check("transformer-parameters", layer_parameters)

# %% [markdown]
# ### Exercise 6: the price of looking everywhere
#
# The work of a layer has two parts. The products with matrices cost the same for every token. The scores, and the sums of the values, cost more for every token the longer the text is.
#
# Count multiplications, and nothing else: no softmax, no normalisation, no biases.
# A product of an $a \times b$ matrix and a $b \times c$ matrix has $abc$ of them.
#
# Write `pair_share`: which share of the multiplications of a layer is spent on pairs of tokens?

# %%
def pair_share(length: int, width: int, inner: int) -> float:
    """Return the share of a layer's multiplications that is spent on pairs of tokens.

    length: the number of tokens of the text.
    width: the width of the states, over all heads together.
    inner: the width inside the feed-forward part.
    The pairs are the scores and the weighted sums of the values. The other work is the four
    square matrices of attention and the two matrices of the feed-forward part.
    """
    raise NotImplementedError

# %%
check("transformer-cost", pair_share)
