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
# # Solutions: Chinese NER data
#
# These are solutions of the exercises in the chapter
# [Chinese NER data](chinese_ner_data.ipynb).
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
import numpy as np
from transformers import BertTokenizer

from companion.exercises import check
from companion.ner import Entity, alignment, people, schemes, scoring

# %% [markdown]
# ## Exercise 1: write BIOES
#
# **Task** ([back to the exercise](chinese_ner_data.ipynb#exercise-1-write-bioes)):
# write the BIOES tags of a text.

# %%
def bioes_tags(entities: list[tuple[int, int, str]], length: int) -> list[str]:
    """Write entities as BIOES tags.

    entities: (start, end, type) with 0 <= start < end <= length; none overlap.
    length: how many units (characters) the text has.
    Returns one tag for each unit: S-type for an entity of one unit; B-type, I-type, E-type
    for the first, the inner and the last unit of a longer one; "O" elsewhere.

    Example: bioes_tags([(0, 2, "PER"), (3, 4, "LOC")], 4)
    returns ["B-PER", "E-PER", "O", "S-LOC"].
    """
    tags = ["O"] * length
    for start, end, kind in entities:
        inner = end - start - 2
        places = ["S"] if inner < 0 else ["B", *["I"] * inner, "E"]
        tags[start:end] = [f"{place}-{kind}" for place in places]
    return tags

# %%
check("tags-write", bioes_tags)

# %% [markdown]
# **Why it is right.** An entity of one unit has `inner` -1 and gets `S`. A longer one gets `B`, then `inner` times `I`, then `E`, which are as many tags as it has units. The course's own function says the same:

# %%
entities = [(1, 4, "PER"), (5, 6, "LOC"), (6, 8, "LOC")]
tags = bioes_tags(entities, 9)
print(tags)
print(tags == schemes.to_tags([Entity(*e) for e in entities], 9, "BIOES"))

# %% [markdown]
# **What wrong answers teach.**
#
# - *`end` taken as the last unit.* Each entity then grows by one character, and neighbours overwrite each other.
# - *`E` written over `B`.* An entity of one unit needs its own mark; otherwise it looks like the end of something that never began.

# %% [markdown]
# ## Exercise 2: read BIO, and repair it
#
# **Task** ([back to the exercise](chinese_ner_data.ipynb#exercise-2-read-bio-and-repair-it)):
# read entities from BIO tags that need not be legal.

# %%
def read_bio(tags: list[str]) -> list[tuple[int, int, str]]:
    """Read the entities of a BIO sequence; repair what is illegal.

    tags: "O", "B-type" or "I-type", in any order.
    An I- that does not continue an entity of its own type begins one. An entity ends where
    the next tag does not continue it.
    Returns (start, end, type) of each entity, in the order of the text; end is not included.

    Example: read_bio(["I-PER", "I-PER", "I-LOC", "O"])
    returns [(0, 2, "PER"), (2, 3, "LOC")].
    """
    found, before = [], "O"
    for i, tag in enumerate(tags):
        place, _, kind = tag.partition("-")
        if place == "I" and before[2:] == kind:
            found[-1] = (found[-1][0], i + 1, kind)
        elif place != "O":
            found.append((i, i + 1, kind))
        before = tag
    return found

# %%
check("tags-read", read_bio)

# %% [markdown]
# **Why it is right.** Every tagged unit either goes on with the last entity or begins one, so none is lost. It goes on when it is an `I-` and the tag before it has the same type: then that unit belongs to the last entity. Nothing special happens at the end of the text.

# %%
tags = "I-LOC I-PER O B-PER B-PER I-PER".split()
print(read_bio(tags))
print(read_bio(tags) == [(e.start, e.end, e.type) for e in schemes.from_tags(tags)])

# %% [markdown]
# **What wrong answers teach.**
#
# - *Waiting for an `O` to close an entity.* The last entity of a text has no `O` behind it and gets lost.
# - *Grouping equal types.* Two neighbours of one type become one; `B-` is there to prevent it.
# - *Dropping an `I-` that stands alone.* It is a possible rule, but another one: seqeval's strict mode.

# %% [markdown]
# ## Exercise 3: put names together
#
# **Task** ([back to the exercise](chinese_ner_data.ipynb#exercise-3-put-names-together)):
# list the persons of a line of tagged words.

# %%
def people_of(words: list[str], tags: list[str]) -> list[str]:
    """List the persons of a line of the newspaper.

    words, tags: the words and their part-of-speech tags; neither may be modified.
    A word with the tag "nr" is a person or a part of one. If it has one character, it is a
    family name, and the next word belongs to it if that has the tag "nr" too.
    Returns the names in the order of the text, also repeated ones.

    Example: people_of(["江", "泽民", "见", "安南"], ["nr", "nr", "v", "nr"])
    returns ["江泽民", "安南"].
    """
    names, open_family = [], False
    for word, tag in zip(words, tags):
        if tag == "nr" and open_family:
            names[-1] += word
        elif tag == "nr":
            names.append(word)
        open_family = tag == "nr" and not open_family and len(word) == 1
    return names

# %%
check("tags-names", people_of)

# %% [markdown]
# **Why it is right.** `open_family` is true when the word before was a family name that still waits for its given name. A given name of one character, as 鹏 in 李鹏, does not wait, because it was itself waited for. A word with another tag ends the waiting.

# %%
words, tags = ["李", "鹏", "吴", "邦国", "和", "江", "主席"], ["nr"] * 4 + ["c", "nr", "n"]
print(people_of(words, tags))
edges = np.cumsum([0, *people.name_lengths(words[:4])])
print(["".join(words[a:b]) for a, b in zip(edges, edges[1:])])

# %% [markdown]
# **What wrong answers teach.**
#
# - *Joining all neighbours.* Reporters often stand side by side; they would become one person with four words.
# - *Pairing words without looking at lengths.* A foreign name is one word. Behind it, all pairs would be shifted by one.
# - *Taking the word behind a family name whatever its tag.* 江主席 is President Jiang, and "President" is no name.

# %% [markdown]
# ## Exercise 4: tags for tokens
#
# **Task** ([back to the exercise](chinese_ner_data.ipynb#exercise-4-tags-for-tokens)):
# carry entities over from characters to tokens.

# %%
def token_tags(entities: list[tuple[int, int, str]], offsets: list[tuple[int, int]]) -> list[str]:
    """Write entities that count characters as BIO tags of tokens.

    entities: (start, end, type) in characters; no two share a token.
    offsets: (start, end) of each token in characters, from left to right; there may be
        characters between two tokens.
    An entity has all tokens that share at least one character with it.
    Returns one BIO tag for each token.

    Example: token_tags([(2, 5, "LOC")], [(0, 1), (1, 3), (3, 5)])
    returns ["O", "B-LOC", "I-LOC"].
    """
    tags = ["O"] * len(offsets)
    for start, end, kind in entities:
        own = [i for i, (a, b) in enumerate(offsets) if a < end and b > start]
        for i in own:
            tags[i] = f"{'B' if i == own[0] else 'I'}-{kind}"
    return tags

# %%
check("tags-tokens", token_tags)

# %% [markdown]
# **Why it is right.** Two half-open ranges share a character exactly when each begins before the other ends. The first token of an entity is the first of its list, wherever that token begins. `alignment.to_units` uses the same rule, with a search instead of a loop:

# %%
vocabulary = {piece: i for i, piece in enumerate(["[UNK]", "[CLS]", "[SEP]", *"李鹏看", "19", "##98"])}
encoded = alignment.encode(BertTokenizer(vocab=vocabulary), ["李鹏 1998看"], 16, 0)[0]
entities = [(0, 2, "PER"), (4, 7, "LOC")]
offsets = [tuple(pair) for pair in encoded.offsets.tolist()]
print(offsets, token_tags(entities, offsets))
print(token_tags(entities, offsets) == alignment.unit_tags([Entity(*e) for e in entities], encoded))

# %% [markdown]
# **What wrong answers teach.**
#
# - *Asking that the whole token lies inside.* An entity that begins inside a token loses it, or disappears.
# - *Giving `B-` where the token starts with the entity.* An entity that begins inside a token would never get a `B-`.
# - *Using `<=` instead of `<`.* Tokens that only touch the entity would belong to it.

# %% [markdown]
# ## Exercise 5: F1 over entities
#
# **Task** ([back to the exercise](chinese_ner_data.ipynb#exercise-5-f1-over-entities)):
# compute the micro F1 over whole entities.

# %%
def entity_f1(true: list[list], found: list[list]) -> float:
    """Compute the micro-averaged F1 over whole entities.

    true, found: for each sentence a list of (start, end, type). No list has repeats.
    An entity is right when the same sentence has it with the same start, end and type.
    Returns 2 * right / (number of found + number of true), counted over all sentences;
    there is at least one true entity.

    Example: entity_f1([[(0, 2, "PER")], [(0, 2, "LOC")]], [[(0, 2, "PER")], []])
    returns 0.666...
    """
    right = sum(len(set(a) & set(b)) for a, b in zip(true, found))
    return 2 * right / (sum(map(len, found)) + sum(map(len, true)))

# %%
check("tags-f1", entity_f1)

# %% [markdown]
# **Why it is right.** With $P = \text{right}/\text{found}$ and $R = \text{right}/\text{true}$, the harmonic mean $2PR/(P+R)$ becomes $2 \cdot \text{right} / (\text{found} + \text{true})$. In this form nothing is divided by zero when a tagger finds nothing. The entities of a sentence are compared with those of the same sentence only.

# %%
true = [[(0, 3, "PER"), (4, 6, "LOC")], [(0, 3, "PER")]]
found = [[(0, 3, "PER"), (4, 6, "ORG")], []]
as_entities = [[[Entity(*e) for e in row] for row in rows] for rows in (true, found)]
print(f"{entity_f1(true, found):.3f} {scoring.score(*as_entities)['micro'].f1:.3f}")

# %% [markdown]
# **What wrong answers teach.**
#
# - *The mean of the F1 of each sentence.* A sentence with one entity then counts as much as one with ten.
# - *One set for all sentences.* Offsets begin at 0 in each sentence, so entities of different sentences would meet by chance.
# - *Comparing starts and ends only.* A place called a person would be right.
