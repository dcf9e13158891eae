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
# # Contrastive learning: sentences as vectors
#
# A [masked language model](../book/glossary.md#masked-language-modelling) gives one vector for each [token](../book/glossary.md#token).
# Many tasks need one vector for a whole text: to find texts that belong together, you compare their vectors.
# This chapter trains an [encoder](../book/glossary.md#encoder) so that this comparison works. No label is needed.
#
# After this chapter you will be able to
#
# - turn a text into one vector, and measure how good such vectors are for search;
# - write InfoNCE, the loss of [contrastive learning](../book/glossary.md#contrastive-learning), and predict its value for simple cases;
# - make two views of a text, by dropout or by crops, and train an encoder with them;
# - explain a result by alignment and uniformity;
# - compare your model with word overlap, and say honestly which one is better.
#
# Reading and running take about 35 minutes, the exercises about as long again.
# The notebook itself runs in less than a minute on two CPU cores.
# Read [Masked language modelling](masked_lm.ipynb) first.

# %% [markdown]
# ## One vector for a text
#
# The encoder of this chapter is `bert-scratch-en`. It is a small BERT that started from random numbers and learned by masked language modelling only.
#
# The other English [checkpoint](../book/glossary.md#checkpoint) of the course, `bert-mini-en`, would be the wrong start. Its layers come from MiniLM, which its makers trained contrastively. You could not tell what this chapter adds.

# %% tags=["install", "hide-input"]
# Set-up, written from site.toml: says what to do when the course package is missing.
import importlib.util

if importlib.util.find_spec("companion") is None:
    raise ImportError("The course package is missing. Locally: run `make book`, choose .venv "
                      "as the kernel. On Colab: first set `repository` in site.toml.")

# %%
import json
import math
from pathlib import Path
from textwrap import fill

import numpy as np
import torch
from torch.nn.functional import cosine_similarity, cross_entropy, normalize

from companion import checkpoints, retrieval
from companion.corpora import movie_reviews
from companion.display import bars, curves, table
from companion.exercises import check
from companion.objectives import contrastive
from companion.pretraining.contrast import Settings, set_dropout, train

CHECKPOINT = "bert-scratch-en"
model, tokenizer = checkpoints.load(CHECKPOINT, kind="encoder")
config = model.config
print(f"{config.num_hidden_layers} layers, {config.hidden_size} wide, "
      f"rows of at most {config.max_position_embeddings} tokens")

# %% [markdown]
# The simplest way from token vectors to a text vector is their mean. This step is called [pooling](../book/glossary.md#pooling).
# To compare two vectors $a$ and $b$, take the [cosine similarity](../book/glossary.md#cosine-similarity): the cosine of the angle between them.
#
# $$\cos(a, b) = \frac{a \cdot b}{\lVert a \rVert \, \lVert b \rVert}$$
#
# It is 1 for the same direction and 0 for a right angle. The lengths do not count.

# %%
def vector(text: str) -> torch.Tensor:
    """The mean of a text's hidden states, shape (width,)."""
    ids = tokenizer(text, return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        return model(input_ids=ids).last_hidden_state[0].mean(0)


plot = vector("A detective looks for a murderer in London.")
same = vector("The police hunt a killer through the streets of the city.")
other = vector("My children laughed at every song and at the funny animals.")
close = cosine_similarity(plot, same, dim=0).item()
far = cosine_similarity(plot, other, dim=0).item()
print(f"two crime stories {close:.1f}, crime story and children's film {far:.1f}")
assert min(close, far) > 0.4

# %% [markdown]
# Both numbers are high, also for two texts that have nothing to do with each other. Hold on to this. It will be the topic of a later section.

# %% [markdown]
# ## A task that needs good vectors
#
# Three sentences prove nothing. You need a task with many right answers that are known, and without labels from people.
#
# Here is one. Cut each film review into two halves, between two sentences. The first half is the *query*. The *documents* are the second halves of 1,000 reviews. Which one belongs to the query?
# This kind of task is called [retrieval](../book/glossary.md#retrieval). To solve it, a method must notice that two texts speak of the same film, in the same manner.

# %%
reviews = movie_reviews(collection="imdb")
first, second = retrieval.all_halves(reviews["validation"]["text"], count=1000)
print(len(first), "reviews")
for name, text in (("first half", first[1]), ("second half", second[1])):
    print(f"\n{name}\n{fill(text[:300] + ' [...]', 90)}")
assert len(first) == len(second) == 1000

# %% [markdown]
# The cut never goes through a sentence: half a sentence would give away which other half is missing.
# `retrieval.halves` takes the border between two sentences that is nearest to the middle, and leaves out a review that has none.
#
# The measure is [recall@k](../book/glossary.md#recall-at-k): for which share of the queries is the right document among the $k$ documents with the highest scores? The [chance level](../book/glossary.md#chance-level) of recall@k is $k/1000$.
#
# Before any neural network, measure the simplest thing that could work: count common words. [BM25](../book/glossary.md#bm25) is the usual way. It gives a weight to each word that query and document share, and a rare word weighs more (Robertson and Zaragoza, 2009).

# %%
def recalls(scores: torch.Tensor) -> str:
    """Recall at 1 and at 10, as text."""
    return ", ".join(f"recall@{k} {retrieval.recall_at(scores, k):.2f}" for k in (1, 10))


words = retrieval.bm25(first, second)
print("chance level   recall@1 0.001, recall@10 0.010")
print("BM25          ", recalls(words))
assert retrieval.recall_at(words, 1) > 0.3

# %% [markdown]
# Word overlap is strong here. The names of actors and parts are rare words, and they come back in the second half. Keep this number in mind until the end.
