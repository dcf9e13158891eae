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
# # Solutions: zero-shot NER
#
# These are solutions of the exercises in the chapter
# [Zero-shot NER by prompts](zero_shot_ner.ipynb).
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

from companion.exercises import check

# %% [markdown]
# ## Exercise 1: how many questions
#
# **Task** ([back to the exercise](zero_shot_ner.ipynb#exercise-1-how-many-questions)):
# count the spans of at most `longest` words.

# %%
def count_spans(words: int, longest: int) -> int:
    """Return the number of spans of at most `longest` words.

    words: the number of words of the text. There is no punctuation in it.
    longest: the most words of a span, at least 1. It may be larger than `words`.

    Example: count_spans(3, 2) returns 5: three spans of one word, two of two words.
    """
    k = min(words, longest)
    return k * words - k * (k - 1) // 2

# %%
check("entities-count", count_spans)

# %% [markdown]
# **Why this is right.**
# A span of $j$ words can begin at $n - j + 1$ places. The sum of these numbers for $j$ from 1 to $k$ is $kn - k(k-1)/2$.
# No span has more words than the text, so $k$ is at most $n$.
#
# **What wrong answers teach.**
#
# - *`words * longest`.*
#   It lets spans run out of the text. For long texts the error is small, so a single long example would not show it.
# - *The formula without `min`.*
#   For two words and spans of up to four words it gives 2, although there are three spans. Formulas have limits; try the smallest case.

# %% [markdown]
# ## Exercise 2: the lead of the best type
#
# **Task** ([back to the exercise](zero_shot_ner.ipynb#exercise-2-the-lead-of-the-best-type)):
# calibrate, then compare the best type with "no entity".

# %%
def lead(scores: torch.Tensor, free: torch.Tensor) -> torch.Tensor:
    """Return the calibrated lead of the best type over "no entity" for each span.

    scores: log-probabilities, shape (N, K). Row i belongs to span i. The last column is
        "no entity", the others are the types.
    free: the same for the question without content, shape (K,).
    Returns a tensor of shape (N,): subtract `free` from each row; then take the best type
    minus the last column. It is negative where "no entity" wins.

    Example: when all rows are equal to `free`, every lead is 0.
    """
    fair = scores - free
    return fair[:, :-1].amax(1) - fair[:, -1]

# %%
check("entities-lead", lead)

# %% [markdown]
# **Why this is right.**
# A difference of log-probabilities is the logarithm of a ratio: how many times more probable the words have become through the name and its text.
#
# **What wrong answers teach.**
#
# - *Only the types are calibrated, or only the last column.*
#   Then all leads move by the same constant. A margin chosen afterwards moves with them, and the mistake stays hidden.
# - *The maximum over all columns.*
#   "No entity" then never wins: the lead is at least 0.

# %% [markdown]
# ## Exercise 3: resolve overlaps
#
# **Task** ([back to the exercise](zero_shot_ner.ipynb#exercise-3-resolve-overlaps)):
# keep the best spans that do not overlap.

# %%
def resolve(spans: list[tuple]) -> list[tuple]:
    """Return spans that do not overlap, the best first chosen.

    spans: tuples (start, end, type, score) in any order. `end` is the first place behind
        the span. No two scores are equal. The list must not be modified.
    Returns the spans that remain, in the order of the text: go through the spans from the
    best score to the worst, and keep a span if it overlaps none that you have kept.

    Example: resolve([(0, 3, "PER", 0.5), (0, 8, "ORG", 2.0)]) returns
    [(0, 8, "ORG", 2.0)].
    """
    kept = []
    for span in sorted(spans, key=lambda span: -span[3]):
        if all(span[1] <= other[0] or other[1] <= span[0] for other in kept):
            kept.append(span)
    return sorted(kept)

# %%
check("entities-resolve", resolve)

# %% [markdown]
# **Why this is right.**
# Two spans do not overlap when one ends before, or where, the other starts. Going from the best to the worst, a span is compared with better ones only.
#
# **What wrong answers teach.**
#
# - *Dropping every span that overlaps any better one.*
#   The better one may be gone itself, dropped for a third. Then its place stays empty.
# - *`<` instead of `<=`.*
#   Neighbours that touch would count as overlapping. With `end` as the first place behind a span, they share no character.
#
# Greedy does not always give the largest sum of scores. In the next example the middle span wins, although its two neighbours have more together.

# %%
trio = [(0, 5, "PER", 2.0), (4, 9, "LOC", 3.0), (8, 12, "PER", 2.0)]
kept = resolve(trio)
print("greedy:", sum(span[3] for span in kept), " without the middle:", 2.0 + 2.0)
assert kept == [trio[1]]

# %% [markdown]
# ## Exercise 4: entity F1
#
# **Task** ([back to the exercise](zero_shot_ner.ipynb#exercise-4-entity-f1)):
# count right entities over all texts.

# %%
def entity_f1(gold: list[list[tuple]], predicted: list[list[tuple]]) -> float:
    """Return the F1 of entities, strict by span and type.

    gold: for each text its entities, tuples (start, end, type).
    predicted: the same for the predictions; no list has an entity twice.
    Returns one number for all texts together. It is 0.0 when no entity is right.

    Example: entity_f1([[(0, 3, "PER")]], [[(0, 3, "LOC")]]) returns 0.0, since the type
    is wrong.
    """
    right = sum(len(set(g) & set(p)) for g, p in zip(gold, predicted))
    total = sum(map(len, gold)) + sum(map(len, predicted))
    return 2 * right / total if total else 0.0

# %%
check("entities-f1", entity_f1)

# %% [markdown]
# **Why this is right.**
# With precision $P = r/p$ and recall $R = r/g$, the harmonic mean $2PR/(P+R)$ is $2r/(p+g)$: twice the right ones, divided by all that were predicted and all that were to be found.
#
# **What wrong answers teach.**
#
# - *The mean of the F1 of each text.*
#   A text with one name would weigh as much as a text with ten. And what is the F1 of a text without a name, in which nothing was found?
# - *One set for all texts.*
#   Offsets begin anew in each text. An entity of one text would make a wrong prediction in another one right.
# - *Dividing by the number of predictions.*
#   A recogniser that finds nothing would stop your program.
