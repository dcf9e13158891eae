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
# # Solutions: ALBERT
#
# These are solutions of the exercises in the chapter
# [ALBERT](albert.ipynb).
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
import torch
from torch.nn.functional import cross_entropy

# %%
import torch
from torch.nn.functional import cross_entropy

from companion.exercises import check

# %% [markdown]
# ## Exercise 1: count the parameters
#
# **Task** ([back to the exercise](albert.ipynb#exercise-1-count-the-parameters)):
# compute the number of parameters of an ALBERT from its sizes.

# %%
def albert_parameters(vocabulary: int, positions: int, embedding: int, hidden: int, inner: int,
                      layers: int, groups: int) -> int:
    """Count the parameters of an ALBERT with a pooler and without other heads.

    vocabulary, positions: rows of the tables of tokens and of positions. A third table has
        2 rows, for the segments. Each row has `embedding` numbers. One layer normalisation
        follows, as wide as the embedding.
    embedding, hidden: widths. A linear layer leads from the first to the second.
    inner: the width inside the feed-forward network.
    layers, groups: how many layers are run, and how many of them have weights of their own.
    The pooler is a linear layer from hidden to hidden. Every linear layer has a bias.

    Example: albert_parameters(10, 4, 2, 3, 5, 6, 1) returns 155.
    """
    def linear(width_in: int, width_out: int) -> int:
        return width_in * width_out + width_out

    norm = 2 * hidden
    layer = 4 * linear(hidden, hidden) + linear(hidden, inner) + linear(inner, hidden) + 2 * norm
    entrance = (vocabulary + positions + 2) * embedding + 2 * embedding + linear(embedding, hidden)
    return entrance + groups * layer + linear(hidden, hidden)

# %%
check("albert-parameters", albert_parameters)

# %% [markdown]
# **Why it is right.** A linear layer from $m$ to $n$ has $mn$ weights and $n$ biases. A layer normalisation has a scale and a shift for each of its places.
# The number of layers does not occur in the result. Only the number of groups does:

# %%
for layers, groups in ((12, 1), (24, 1), (12, 12)):
    number = albert_parameters(30000, 512, 128, 768, 3072, layers, groups)
    print(f"{layers} layers, {groups:2} with weights of their own: {number / 1e6:.1f} million")

# %% [markdown]
# **What wrong answers teach.**
#
# - *Counting every layer.*
#   This is the number for BERT. In ALBERT the same numbers are used again.
# - *A table of tokens as wide as the hidden states.*
#   This is also BERT. With a large vocabulary it is the largest single part.
# - *Forgetting biases, segments or normalisations.*
#   They are few. But a count that is nearly right cannot be compared with `==`, and an
#   exact one can: it tells you that you know the whole network.

# %% [markdown]
# ## Exercise 2: a factorised embedding
#
# **Task** ([back to the exercise](albert.ipynb#exercise-2-a-factorised-embedding)):
# look up narrow vectors and map them to the hidden size.

# %%
def embed(ids: torch.Tensor, table: torch.Tensor, lift: torch.Tensor,
          bias: torch.Tensor) -> torch.Tensor:
    """Turn ids into vectors of the hidden size, by way of narrow ones.

    ids: token ids, shape (B, L).
    table: one narrow vector for each entry of the vocabulary, shape (V, E).
    lift, bias: weight and bias of the linear map from E to H, shapes (H, E) and (H,), as
        nn.Linear stores them.
    Returns a tensor of shape (B, L, H).

    Example: with the table [[1.], [2.]], lift [[1.], [10.]] and bias [0., 5.],
    the ids [[1, 0]] become [[[2., 25.], [1., 15.]]].
    """
    return table[ids] @ lift.T + bias

# %%
check("albert-embedding", embed)

# %% [markdown]
# **Why it is right.** `table[ids]` has the shape (B, L, E). The product with `lift.T` acts on the last axis and gives (B, L, H).
# You may also multiply first, `(table @ lift.T + bias)[ids]`. The result is the same. But then a large matrix of shape (V, H) is computed for a few tokens, which is what the factorisation avoids.
#
# **What wrong answers teach.**
#
# - *Not transposing.*
#   PyTorch stores the weight of a linear layer as (outputs, inputs). When both are equally
#   many, the wrong order raises no error. So test such code with two different widths.
# - *Adding tanh or relu.*
#   Then it is no factorisation any more: no single matrix of shape (V, H) would do the same
#   with a linear map.

# %% [markdown]
# ## Exercise 3: which layer uses which weights
#
# **Task** ([back to the exercise](albert.ipynb#exercise-3-which-layer-uses-which-weights)):
# give each layer the number of its group.

# %%
def group_of_layers(layers: int, groups: int) -> list[int]:
    """Say for each layer which group of weights it uses.

    layers: how many layers are run; a multiple of groups.
    groups: how many groups of weights there are. Each serves a run of neighbouring layers,
        and all runs are equally long.
    Returns the numbers of the groups, counted from 0, in the order of the layers.

    Example: group_of_layers(4, 2) returns [0, 0, 1, 1].
    """
    return [layer * groups // layers for layer in range(layers)]

# %%
check("albert-groups", group_of_layers)

# %% [markdown]
# **Why it is right.** A group serves `layers // groups` layers. So layer number $i$ belongs to group $\lfloor i \cdot \text{groups} / \text{layers} \rfloor$.
#
# **What wrong answers teach.**
#
# - *Taking turns, `layer % groups`.*
#   This is another way to share, and networks exist that do it. A checkpoint of ALBERT would
#   load without an error and compute something else.
# - *`layer // groups`.*
#   It mixes up the number of groups with their size. With six layers in three groups you see it,
#   with four layers in two groups you do not.

# %% [markdown]
# ## Exercise 4: a row that gives nothing away
#
# **Task** ([back to the exercise](albert.ipynb#exercise-4-a-row-that-gives-nothing-away)):
# write two stretches of text into a row, in order or swapped.

# %%
def order_row(a: list[int], b: list[int], swapped: bool, room: int, cls_id: int,
              sep_id: int) -> tuple[list[int], list[int]]:
    """Write a row for sentence-order prediction.

    a, b: token ids of two stretches of a text; b follows a, and they meet at the end of a
        sentence. Each is at least as long as its place. They must not be modified.
    swapped: whether b comes first.
    room: how many tokens of a and b the row holds. The first place has room // 2 of them,
        the second place the rest.
    A stretch in the first place loses its beginning, one in the second place its end.
    Returns the ids [CLS] first [SEP] second [SEP] and the segments: 0 up to the first
    [SEP], 1 behind it.

    Example: with room 3, [5, 6] and [7, 8, 9] become
    [cls_id, 6, sep_id, 7, 8, sep_id] and [0, 0, 0, 1, 1, 1].
    """
    first, second = (b, a) if swapped else (a, b)
    first, second = first[len(first) - room // 2 :], second[: room - room // 2]
    ids = [cls_id, *first, sep_id, *second, sep_id]
    return ids, [0] * (len(first) + 2) + [1] * (len(second) + 1)

# %%
check("albert-row", order_row)

# %% [markdown]
# **Why it is right.** The stretches change places first. Then each is cut by the rule of its place. So the row looks the same for both labels: the first place ends with the end of a sentence, the second begins with a beginning.
#
# **What wrong answers teach.**
#
# - *Cutting before swapping.*
#   In a swapped row the first place then breaks off in the middle of a sentence. In a row in
#   order it never does. A model needs to read only one token to know the label.
# - *Segments that move with the stretches.*
#   The same mistake in another form: a row that begins with 1 would be a swapped one.
# - *`first[-(room // 2) :]`.*
#   It is right here. But for a room of 1 it becomes `first[-0:]`, which is everything.

# %% [markdown]
# ## Exercise 5: the loss of ALBERT
#
# **Task** ([back to the exercise](albert.ipynb#exercise-5-the-loss-of-albert)):
# add the loss of the masked words and the loss of the order.

# %%
def albert_loss(logits: torch.Tensor, labels: torch.Tensor, order_logits: torch.Tensor,
                order: torch.Tensor) -> torch.Tensor:
    """Compute the loss of ALBERT's pretraining.

    logits: scores of the vocabulary at every position, shape (B, L, V).
    labels: the right ids, shape (B, L); -100 where a position does not count.
    order_logits: scores of label 0 and label 1 for every row, shape (B, 2).
    order: 0 as written, 1 swapped, -100 for a row that is no pair; shape (B,).
    Returns a tensor with one number, in nats: the mean cross-entropy over the positions
    that count, plus the mean cross-entropy over the pairs. In a batch without a pair, the
    first of the two alone. Gradients must be able to flow from it to the logits.

    Example: when all logits are 0 and there is a pair, the loss is ln V + ln 2.
    """
    total = cross_entropy(logits.flatten(0, 1), labels.flatten())
    if (order != -100).any():
        total = total + cross_entropy(order_logits, order)
    return total

# %%
check("albert-loss", albert_loss)

# %% [markdown]
# **Why it is right.** `cross_entropy` skips the label -100 and divides by the number of the others. Without any label it would divide by zero. The result would be *not a number*, and one such batch spoils all weights of a model:

# %%
none = torch.tensor([-100, -100])
print("mean over nothing:", cross_entropy(torch.zeros(2, 2), none).item())
zeros = torch.zeros(2, 3, 5)
loss = albert_loss(zeros, torch.tensor([[-100, 1, 4], [-100, -100, 0]]), torch.zeros(2, 2), none)
print(f"without a pair: {loss.item():.3f}, ln 5 = {torch.tensor(5.0).log().item():.3f}")

# %% [markdown]
# **What wrong answers teach.**
#
# - *One mean over positions and pairs.*
#   There are many more masked positions than pairs. In one mean the order of sentences would
#   weigh almost nothing.
# - *Plain rows as pairs in order.*
#   The model would learn that most rows are in order, and the loss of the true pairs would
#   suffer.
# - *Leaving out label 0.*
#   It is a class, not a sign for padding. See
#   [Sentence pairs](sentence_pairs.ipynb#the-head-and-a-label-that-must-not-be-lost).
