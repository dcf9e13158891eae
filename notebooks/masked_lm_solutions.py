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
# # Solutions: masked language modelling
#
# These are solutions of the exercises in the chapter
# [Masked language modelling](masked_lm.ipynb).
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
from torch.nn.functional import cross_entropy

from companion.exercises import check

# %% [markdown]
# ## Exercise 1: which positions may be masked
#
# **Task** ([back to the exercise](masked_lm.ipynb#exercise-1-which-positions-may-be-masked)):
# say for each position of a row whether it may be masked.

# %%
def which_positions(ids: torch.Tensor, special_ids: list[int]) -> torch.Tensor:
    """Say for each position of one row whether it may be masked.

    ids: the token ids of the row, shape (L,).
    special_ids: the ids of [CLS], [SEP] and [PAD], in this order.
    Returns a boolean tensor of shape (L,): False at a special token, True elsewhere.

    Example: which_positions(torch.tensor([2, 11, 12, 3, 0]), [2, 3, 0])
    returns tensor([False, True, True, False, False]).
    """
    return ~torch.isin(ids, torch.tensor(special_ids))

# %%
check("masked-positions", which_positions)

# %% [markdown]
# **Why it is right.** `torch.isin` is true where an id is one of the special ids.
# The sign `~` turns true into false and false into true.
# Nothing depends on where a token stands or on which tokenizer made the ids.
#
# **What wrong answers teach.**
#
# - *Leaving out the first and the last position.*
#   A row can hold two sentences, with `[SEP]` between them, and it can end with
#   [padding](../book/glossary.md#padding).
#   Ask what a token is, not where it stands.
# - *Leaving out `[PAD]` only.*
#   The model would then learn to predict `[CLS]` and `[SEP]`.
#   Their places are nearly always the same, so the loss falls, and nothing about language is
#   learned.
# - *Writing 101, 102 and 0 into the function.*
#   These are the ids of BERT's English vocabulary.
#   Another tokenizer uses these numbers for words.

# %% [markdown]
# ## Exercise 2: mask a batch
#
# **Task** ([back to the exercise](masked_lm.ipynb#exercise-2-mask-a-batch)):
# turn a batch of ids into inputs and labels, by BERT's rule of 80, 10 and 10 %.

# %%
def mask_ids(ids, chosen, kinds, mask_id, random_ids):
    """Make inputs and labels for masked language modelling.

    ids: the original token ids, shape (B, L). They must not be modified.
    chosen: boolean, shape (B, L). True where the model must predict the original id.
    kinds: numbers from 0 to 1, shape (B, L). They decide what a chosen position becomes:
        below 0.8 mask_id, from 0.8 to below 0.9 its entry of random_ids, else no change.
    mask_id: the id of [MASK].
    random_ids: ids drawn at random, shape (B, L).
    Returns inputs and labels, both of shape (B, L). A label is the original id where
    chosen is True, and -100 elsewhere.
    """
    inputs = ids.clone()
    inputs[chosen & (kinds < 0.8)] = mask_id
    exchange = chosen & (kinds >= 0.8) & (kinds < 0.9)
    inputs[exchange] = random_ids[exchange]
    labels = torch.where(chosen, ids, -100)
    return inputs, labels

# %%
check("masked-apply", mask_ids)

# %% [markdown]
# **Why it is right.** The inputs start as a copy, and two separate groups of positions are
# overwritten.
# The labels depend on `chosen` only.
# Here is one row in which every position is chosen, with the id 4 for `[MASK]`:

# %%
row = torch.tensor([[11, 12, 13]])
everything = torch.tensor([[True, True, True]])
inputs, labels = mask_ids(row, everything, torch.tensor([[0.5, 0.85, 0.95]]), 4, row + 20)
print("inputs", inputs.tolist())
print("labels", labels.tolist())

# %% [markdown]
# The first id became `[MASK]`, the second a random one, the third stayed.
# All three have a label.
#
# **What wrong answers teach.**
#
# - *Labels only where the id changed.*
#   This is the mistake that is easiest to miss, because the loss still looks sensible.
#   The chosen positions that stay the same count too, and they have a purpose.
#   The texts of most later tasks contain no `[MASK]`: the model sees every word and must
#   describe it.
#   These positions prepare it for that
#   (Devlin et al. 2019, section 3.1; see the [references](../book/references.md)).
# - *Labels at every position.*
#   Most words are visible in the inputs, so the model learns to copy them.
#   The loss falls, and says nothing about the hidden words.
# - *Changing `ids` in place.*
#   The labels are then made from ids that are already masked.
#   Worse, the next epoch reads the same tensor and finds its words gone.
# - *`inputs[chosen & (kinds < 0.9)] = ...` as the second step.*
#   It also covers the positions below 0.8 and overwrites each `[MASK]`.

# %% [markdown]
# ## Exercise 3: the loss
#
# **Task** ([back to the exercise](masked_lm.ipynb#exercise-3-the-loss)):
# compute the mean cross-entropy over the positions that count.

# %%
def mlm_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Compute the loss of masked language modelling.

    logits: a score for each token of the vocabulary, shape (B, L, V).
    labels: the right ids, shape (B, L); -100 where a position does not count.
    Returns a tensor with one number, in nats: the mean cross-entropy over the positions
    that count. Gradients must be able to flow from it to the logits.

    Example: when all logits are 0, the loss is ln V, whatever the labels are.
    """
    counted = labels != -100
    return cross_entropy(logits[counted], labels[counted])

# %%
check("masked-loss", mlm_loss)

# %% [markdown]
# **Why it is right.** `logits[counted]` has one row of $V$ scores for each position that counts.
# `cross_entropy` computes $-\ln p$ of the right id in each row, and returns the mean.
# The reference in this check is the loss of `BertForMaskedLM` from the `transformers` library.
#
# The shorter `cross_entropy(logits.flatten(0, 1), labels.flatten())` is right too,
# because -100 is the number that this function skips unless you name another one.
#
# **What wrong answers teach.**
#
# - *Dividing by all positions.*
#   Most positions do not count, so the loss looks far too good.
#   It also changes with the amount of padding.
# - *Taking the mean of each row first.*
#   A chosen token in a row with few of them then weighs more than one in another row.
# - *Skipping label 0.*
#   0 is the id of a token like any other.
#   A number that marks "does not count" must not be an id, and -100 never is.
# - *Softmax before `cross_entropy`.*
#   The function applies it itself.
#   The second time, all its inputs lie between 0 and 1, so no token can get a probability
#   near one.
# - *`.item()` at the end.*
#   It returns a plain number, and nothing can be learned from a plain number.
#
# One test finds several such mistakes: change the logits where nothing counts.
# The loss must stay the same.

# %%
logits = torch.zeros(1, 3, 5)
labels = torch.tensor([[-100, 2, -100]])
before = mlm_loss(logits, labels)
logits[0, 0, 1] = 100.0
print("unchanged:", torch.equal(before, mlm_loss(logits, labels)))

# %% [markdown]
# ## Exercise 4: the loss of a fresh model
#
# **Task** ([back to the exercise](masked_lm.ipynb#exercise-4-the-loss-of-a-fresh-model)):
# predict the loss before the first step of training.

# %%
def fresh_loss(vocab_size: int) -> float:
    """Return the loss of a model that knows nothing, in nats.

    vocab_size: the number of tokens in the vocabulary. The model gives each of them the
    same probability.

    Example: fresh_loss(1) returns 0.0, since there is only one token to choose.
    """
    return math.log(vocab_size)

# %%
check("masked-fresh", fresh_loss)

# %% [markdown]
# **Why it is right.** Each of the $V$ tokens has the probability $1/V$, and
# $-\ln(1/V) = \ln V$.
# The loss grows slowly with the size of the vocabulary:

# %%
for size in (2, 1000, 30522):
    print(f"V = {size:5d}   ln V = {fresh_loss(size):.2f}")

# %% [markdown]
# The last size is that of BERT's English vocabulary.
#
# **What wrong answers teach.**
#
# - *Base 2 or base 10.*
#   A loss has a unit.
#   The natural logarithm gives nats, base 2 gives bits, and the two differ by a factor of $\ln 2$.
#   Ask for the unit before you compare two losses.
# - *$1/V$ or $V$.*
#   The first is a probability, the second a [perplexity](../book/glossary.md#perplexity).
#   The loss stands between them: $V = e^{\text{loss}}$.
# - *A negative number.*
#   A probability is at most one, so its logarithm is at most zero.
#   The loss has a minus sign before it.
#
# This number is a test of your code that costs nothing.
# When a fresh model starts far above it, or below it, look for a mistake in the loss or in
# the initial weights.

# %% [markdown]
# ## Exercise 5: whole words
#
# **Task** ([back to the exercise](masked_lm.ipynb#exercise-5-whole-words)):
# group the positions of a row by word.

# %%
def word_groups(tokens: list[str]) -> list[list[int]]:
    """Group the positions of one row by word.

    tokens: the tokens of the row. One that starts with ## continues the word before it.
    Returns one list of positions for each word, in the order of the row. Positions are
    counted from 0 in the whole row. [CLS], [SEP] and [PAD] are in no group.

    Example: word_groups(["[CLS]", "a", "film", "##s", "[SEP]"])
    returns [[1], [2, 3]].
    """
    groups = []
    for position, token in enumerate(tokens):
        if token in ("[CLS]", "[SEP]", "[PAD]"):
            continue
        if token.startswith("##"):
            groups[-1].append(position)
        else:
            groups.append([position])
    return groups

# %%
check("masked-whole-words", word_groups)

# %% [markdown]
# **Why it is right.** A token either opens a group or joins the last one.
# `enumerate` runs over the whole row, so the positions stay those of the row.
# The check compares with the word numbers that the `tokenizers` library keeps for each token.
#
# To mask whole words, you choose groups instead of positions.
# A word then hides completely, and its other pieces do not give it away.
# See [whole-word masking](../book/glossary.md#whole-word-masking) in the glossary.
#
# **What wrong answers teach.**
#
# - *Removing the special tokens before counting.*
#   Every position after `[CLS]` is then too small by one.
#   The code runs, and masks the neighbour of each word.
# - *Keeping the last word in a variable and not storing it.*
#   A loop that stores a group when the *next* one starts must store once more at its end.
# - *Looking for `#` instead of `##`.*
#   A text may contain the character `#` itself.

# %% [markdown]
# ## Exercise 6: what the model sees
#
# **Task** ([back to the exercise](masked_lm.ipynb#exercise-6-what-the-model-sees)):
# compute the share of all positions whose id is expected to differ from the original one.

# %%
def changed_share(vocab_size: int, share: float) -> float:
    """Return the expected share of all positions whose input id is not the original.

    vocab_size: the size of the vocabulary. A random id is any of its ids, each with the
        same probability. The text itself never contains [MASK].
    share: the share of positions that are chosen, for example 0.15. Of these, 80 % become
        [MASK], 10 % get a random id, and 10 % stay.

    Example: changed_share(1, 0.5) returns 0.4, since the only random id is the original.
    """
    random_differs = (vocab_size - 1) / vocab_size
    return share * (0.8 + 0.1 * random_differs)

# %%
check("masked-share", changed_share)

# %% [markdown]
# **Why it is right.** A `[MASK]` always differs from the original.
# A random id differs unless the original was drawn, which happens once in $V$ times.
# An id that stays never differs.
# For a share $s$ of chosen positions this gives $s\,(0.8 + 0.1\,(V-1)/V)$.
#
# You can also count.
# The next cell masks a million positions with your function from exercise 2:

# %%
source = torch.Generator().manual_seed(13)
ids, random_ids = torch.randint(0, 20, (2, 1000, 1000), generator=source)
chosen, kinds = torch.rand(2, 1000, 1000, generator=source)
inputs, _ = mask_ids(ids, chosen < 0.15, kinds, 20, random_ids)
print(f"counted {(inputs != ids).float().mean().item():.3f}")
print(f"formula {changed_share(20, 0.15):.3f}")

# %% [markdown]
# **What wrong answers teach.**
#
# - *All chosen positions.*
#   "Chosen" and "changed" are two things.
#   The loss counts the chosen positions, and the model sees the changed ones.
# - *Nine tenths of them.*
#   A random id can be the original one.
#   With a large vocabulary this is rare, and the two formulas nearly agree.
#   With a small one, as in the cell above, they do not.
# - *Eight tenths of them.*
#   A random id is a change as well: the model must find it without a sign that says where it is.
