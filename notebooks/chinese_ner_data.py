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
# # Chinese NER data
#
# [Named-entity recognition](../book/glossary.md#named-entity-recognition), NER, finds the names in a text: who, where, which organisation.
# Before any model is trained, somebody decided what counts as a name, how names are written down as labels, and how answers are scored. This chapter looks at these decisions in Chinese news.
# You need no Chinese: every example is translated.
#
# After this chapter you will be able to
#
# - write [entities](../book/glossary.md#entity) as one tag for each character, and read them back, also from illegal tags;
# - carry the tags over to the tokens of any model, and the model's answers back to the text;
# - say what a corpus calls an entity, and where it contradicts itself;
# - score a tagger by whole entities, and see how each score can mislead;
# - measure how much a careless split of the data adds to a score.
#
# Reading and running take about 45 minutes, the exercises about as long again.
# The notebook itself runs in less than a minute on two CPU cores.
# Read [The data](data_card.ipynb) first; it describes where the newspaper comes from.

# %% [markdown]
# ## Why tag characters
#
# The question is about [spans](../book/glossary.md#span): an entity is a start, an end and a type. But a text of $n$ characters has $n(n+1)/2$ spans, and most models answer one question for each position. So the spans are translated into one tag for each position. Then NER is a row of classifications, and everything you know about classification can be used.
#
# In English the positions are words. Chinese is written without spaces. Where a word ends is itself a question, and people who cut text by hand do not always agree on it. A wrong cut would make a name impossible to find. So Chinese NER tags **characters**. There is nothing to cut, and no name is lost.
#
# In symbols: a text $x_1 \dots x_n$ gets tags $y_1 \dots y_n$. In the tag scheme [BIO](../book/glossary.md#bio) (Ramshaw and Marcus, 1995; the form used today is called IOB2), an entity of type $t$ from $s$ to $e$ (with $e$ not included) gives
#
# $$y_s = \text{B-}t, \qquad y_{s+1} = \dots = y_{e-1} = \text{I-}t$$
#
# and all other positions get $\text{O}$, for *outside*.

# %% tags=["install", "hide-input"]
# Set-up, written from site.toml: says what to do when the course package is missing.
import importlib.util

if importlib.util.find_spec("companion") is None:
    raise ImportError("The course package is missing. Locally: run `make book`, choose .venv "
                      "as the kernel. On Colab: first set `repository` in site.toml.")

# %%
import re
from collections import Counter, defaultdict

import numpy as np
from transformers import BertTokenizer

from companion.corpora import people_daily
from companion.display import bars, table
from companion.display_entities import brackets
from companion.exercises import check
from companion.ner import Entity, alignment, people, schemes, scoring
from companion.ner.gazetteer import Gazetteer

paper = people_daily()
splits = people.load()

# %% [markdown]
# ## The smallest function
#
# Here is the translation, in four lines. The toy text says "Li Peng and Wu Bangguo arrive in Beijing": two persons side by side, and a place. PER stands for person, LOC for location (a place), ORG for organisation.

# %%
def bio(entities: list[tuple[int, int, str]], length: int) -> list[str]:
    """One BIO tag for each of `length` characters."""
    tags = ["O"] * length
    for start, end, kind in entities:
        tags[start:end] = [f"B-{kind}"] + [f"I-{kind}"] * (end - start - 1)
    return tags


text = "李鹏吴邦国到北京。"
toy = [(0, 2, "PER"), (2, 5, "PER"), (6, 8, "LOC")]
sounds = ["Li", "Peng", "Wu", "Bang", "guo", "arrive in", "Bei", "jing", "."]
for character, sound, tag in zip(text, sounds, bio(toy, len(text))):
    print(character, f"{sound:10}", tag)

# %% [markdown]
# The course's function is `schemes.to_tags`. It knows three [tag schemes](../book/glossary.md#tag-scheme).

# %%
entities = [Entity(*span) for span in toy]
assert schemes.to_tags(entities, len(text)) == bio(toy, len(text))
for scheme in schemes.SCHEMES:
    tags = schemes.to_tags(entities, len(text), scheme)
    found = schemes.from_tags(tags, scheme)
    print(f"{scheme:6}", " ".join(f"{tag:5}" for tag in tags), " exact:", found == entities)

# %% [markdown]
# IO marks only the inside, so the two persons become one. IO comes back exactly only where entities of one type do not touch. BIO and BIOES always come back exactly. BIOES adds the end: `E` is the last character, `S` an entity of a single character. It gives a model more to learn and more to get wrong.
#
# How often does it matter? In the training text:

# %%
def touching(examples: list) -> int:
    """How many entities begin where another one of their type ends."""
    return sum(a.end == b.start and a.type == b.type
               for x in examples for a, b in zip(x.entities, x.entities[1:]))


total = sum(len(x.entities) for x in splits["train"])
print(f"{touching(splits['train']):,} of {total:,}, {touching(splits['train']) / total:.1%}")

# %% [markdown]
# ## Illegal tags
#
# A model decides tag by tag. Nothing stops it from writing `I-PER` behind `O`, although nobody began a person there. Two answers are possible: forbid such sequences, or repair them.
#
# To forbid them, we list what may follow what. The chapter [ALBERT NER](albert_ner.ipynb) uses this table inside a [CRF](../book/glossary.md#crf).

# %%
names = schemes.labels(["PER", "LOC"])
rule = schemes.legal(names)
print(table(["", *names, "end"], [
    ["start", *("yes" if ok else "-" for ok in rule.start), ""],
    *([name, *("yes" if ok else "-" for ok in row), "yes" if last else "-"]
      for name, row, last in zip(names, rule.between, rule.end))]))

# %% [markdown]
# Read a row as "before" and a column as "after". An `I-` needs a `B-` or `I-` of its own type before it; everything else is allowed.
#
# To repair, we follow the scorer of the CoNLL shared tasks (Tjong Kim Sang and Buchholz, 2000): an `I-` that continues nothing of its type begins an entity. No tagged character is lost. The alternative is to drop what is illegal, as the library seqeval does in its mode `strict`. The same tags then give two different answers:

# %%
for tags in ("O I-PER I-PER O", "B-PER I-LOC I-LOC", "I-LOC B-LOC I-PER"):
    for repair in (True, False):
        found = schemes.from_tags(tags.split(), repair=repair)
        print(f"{tags:18} {'repair' if repair else 'strict'}",
              [(e.start, e.end, e.type) for e in found])

# %% [markdown]
# So a score depends on this choice when a model writes illegal tags. Say which one you made. Ours is to repair when a model answers, and to let no illegal sequence arise where we can.
#
# ## From word tags to entities
#
# The newspaper was cut into words by hand, and each word has a tag (Yu et al., 2002). Four tags matter here: `nr` for persons, `ns` for places, `nt` for organisations, and `w` for punctuation. Here is one line of the training text, the signature under a photograph: "(Henan, Xixia county, Chen Fei, Fang Xianyun)".

# %%
row = next(row for row in paper["train"] if row["id"] == "199801:08463")
print(" ".join(f"{w}/{t}" for w, t in zip(row["tokens"], row["pos"])))
print(brackets(row["text"], people.entities(row)))

# %% [markdown]
# The corpus cuts a Chinese name into family name and given name. For us they are one person. Three things make the joining less simple than it looks.
#
# 1. People stand side by side without a comma, mostly reporters. A rule that joins all neighbouring `nr` would make one person of them.
# 2. A family name can stand alone, as in 江主席, President Jiang. Foreign names are one word.
# 3. Some married women carry two family names, as 陈方安生, Anson Chan, does.
#
# Our rule reads from left to right. A word of one character, or one of a few family names of two, takes the next `nr` word with it. Other words are names by themselves. A group of exactly one, one and two characters is a married name.

# %%
for group in (["李", "鹏", "吴", "邦国"], ["陈", "方", "安生"], ["欧阳", "修"], ["克林顿"], ["江"]):
    lengths = people.name_lengths(group)
    edges = np.cumsum([0, *lengths])
    print(" ".join(group), "->", ["".join(group[a:b]) for a, b in zip(edges, edges[1:])])
runs = Counter()
for row in (row for split in ("train", "validation") for row in paper[split]):
    line = " ".join(map("/".join, zip(row["tokens"], row["pos"])))
    for run in re.findall(r"(?:\S+/nr ?)+", line):
        words = run.replace("/nr", "").split()
        runs[" ".join(words)] += [len(word) for word in words] == [1, 1, 2]
print({run: number for run, number in runs.items() if number})

# %% [markdown]
# The last line lists all groups of that form that the rule was made for. Each is a married name, and the first one is the same person every time. The other groups are the names of Li Peng and Wu Bangguo, of the poet Ouyang Xiu, of Clinton, and of Jiang.
#
# Places and organisations stay one word each. 河北省 张家口, "Hebei province, Zhangjiakou", is two places, because the corpus says so.
#
# ## What the corpus holds
#
# Lines of the paper are paragraphs. `people.load` cuts them into sentences: behind 。！？ and the quotation marks and brackets that close there. No cut falls inside an entity.

# %%
print(people.sentences("他说：“北京好！”大家笑了。", [Entity(4, 6, "LOC")])[0])
rows = []
for split, examples in splits.items():
    kinds = Counter(e.type for x in examples for e in x.entities)
    lengths = [len(x.text) for x in examples]
    rows.append([split, f"{len(examples):,}", f"{sum(lengths):,}", *map(kinds.get, people.TYPES),
                 f"{sum(not x.entities for x in examples) / len(examples):.2f}",
                 int(np.median(lengths)), max(lengths)])
print(table(["split", "sentences", "characters", *people.TYPES, "without", "median", "longest"],
            rows))
assert sum(len(x.text) for x in splits["test"]) == sum(map(len, paper["test"]["text"]))

# %% [markdown]
# The toy sentence says: He said: "Beijing is good!" Everybody laughed. `without` is the share of sentences without any entity. `median` and `longest` are lengths in characters: a few sentences are longer than many models can read, and we come back to them.
#
# Organisations are few. In the original corpus, brackets hold the words of a long name together, as in [中国 人民 银行], the People's Bank of China. This copy has lost the brackets (see [The data](data_card.ipynb#defects-of-the-newspaper)). What is left are organisations of one word, and few of those are different:

# %%
strings = {kind: Counter(e.text for x in splits["train"] for e in x.entities if e.type == kind)
           for kind in people.TYPES}
print(table(["type", "mentions", "different", "first five"], [
    [kind, f"{counts.total():,}", f"{len(counts):,}",
     f"{sum(n for _, n in counts.most_common(5)) / counts.total():.2f}"]
    for kind, counts in strings.items()]))
print(strings["ORG"].most_common(5))

# %% [markdown]
# The five are the Xinhua news agency, the State Council, the United Nations, and two names for the Central Committee of the party. They are two thirds of all mentions. So a high score for organisations says little here: it mostly says that a model knows a handful of words.

# %% [markdown]
# ## Ten oddities
#
# Tags made by people contain mistakes and unclear cases. We read the training text and kept what a learner of NER should have seen. The next cell defines a search: it prints how often a pattern of `word/tag` occurs in the training text, and the first place. `j` is the tag of short forms, `n` of common nouns, `nz` of other names.

# %%
tagged = [" ".join(f"{w}/{t}" for w, t in zip(row["tokens"], row["pos"])) for row in paper["train"]]


def look(pattern: str, before: int = 2, after: int = 2) -> None:
    """How often a pattern of tagged words occurs, and its first place with some context."""
    wanted = re.compile(rf"(?<!\S){pattern}(?!\S)")
    hits = [(line, match) for line in tagged for match in wanted.finditer(line)]
    line, match = hits[0]
    left = line[: match.start()].split()[-before:] if before else []
    right = line[match.end() :].split()[:after]
    print(f"{len(hits):5}  {' '.join(left)} [{match.group()}] {' '.join(right)}")


# %% [markdown]
# **Wrong type.** (1) Netanyahu, the prime minister of Israel, is a place in some lines and a person in others. (2) Beirut is a person, once, where every other city stands: after the name of the news agency. (3) Islam is a place about as often as it is another kind of name.

# %%
look("内塔尼亚胡/nr", 2, 1)
look("内塔尼亚胡/ns", 2, 1)
look("新华社/nt 贝鲁特/nr", 0)
look("伊斯兰/ns", 1, 1)
look("伊斯兰/nz", 1, 1)

# %% [markdown]
# **A name that is no entity.** (4) 中国 (China) and 美国 (the USA) are places, but their short forms 中 and 美 have the tag `j`, as in "Sino-American relations". No model can guess that from meaning alone. (5) "Deng Xiaoping Theory" is one common noun: the person inside it does not count. (6) The All-China Federation of Trade Unions is three words that are no organisation, because the brackets around them are lost.

# %%
look("中/j 美/j", 1, 1)
look("[中美俄日英法]/j", 1, 1)
look("邓小平理论/n", 1, 1)
look("中华/nz 全国/n 总工会/n", 0, 2)

# %% [markdown]
# **A rule that nobody wrote down.** (7) The foreign ministry of China is an organisation. That of another country is a common noun, with few exceptions. A spokesman of the ministry speaks in the same sentence either way; only the country before it differs. The State Council of China and the State Department of the USA share one name, 国务院, and are told apart in the same way, with some slips.

# %%
look("外交部/nt 发言人/n", 0, 0)
look("中国/ns 外交部/nt", 1, 1)
look("(?:俄罗斯|伊拉克|越南|巴基斯坦|菲律宾)/ns 外交部/n", 1, 1)
look("菲/j 外交部/nt", 1, 1)
look("美国/ns 国务院/n", 1, 1)
look("国务院/n 举行/v", 0, 1)

# %% [markdown]
# **Where does the name end?** (8) The Nehru-Gandhi family is one person. (9) "The flag of Saint Vincent and the Grenadines" is a place, flag included. (10) Brackets inside names: the river Yangtze with its first character added by the editor, and a given name whose second character no font of 1998 had, so it is described by its two halves.

# %%
look("尼赫鲁—甘地/nr", 1, 1)
look("圣文森特和格林纳丁斯旗/ns", 1, 1)
look(r"\(长\)江/ns", 1, 1)
look(r"秦/nr 惠\(君音\)/nr", 1, 1)

# %% [markdown]
# No score can reach 1 on such data, and the last points of a score measure how well a model has learned the habits of the annotators.
#
# ## The same string
#
# One string can be several things. There are two kinds of [ambiguity](../book/glossary.md#ambiguity): of which type is it, and is it an entity at all? We count both in the training text.

# %%
dictionary = Gazetteer.from_examples(splits["train"])
kinds = defaultdict(Counter)
for e in (e for x in splits["train"] for e in x.entities):
    kinds[e.text][e.type] += 1
several = {string: dict(types) for string, types in kinds.items() if len(types) > 1}
print(f"{len(kinds):,} strings, {len(several)} of them with two types:")
print({string: several[string] for string in ("南阳", "钱江", "江南", "内塔尼亚胡")})
occurs = dictionary.occurrences([x.text for x in splits["train"]])
meanings = {"邓小平": "Deng Xiaoping; Deng Xiaoping Theory", "马克思": "Marx; Marxism",
            "贝尔": "Bell; part of Nobel", "南海": "South China Sea; part of Zhongnanhai",
            "朝阳": "a district; the morning sun", "王": "Wang as a whole name; part of names",
            "江": "Jiang as a whole name; part of names and rivers"}
print(table(["", "entity", "in all", "meaning"], [
    [string, kinds[string].total(), f"{occurs[string]:,}", meaning]
    for string, meaning in meanings.items()]))

# %% [markdown]
# Two types are rare. Nanyang is a city and a person's name, Qianjiang a river and a person; Netanyahu is oddity 1 again. In this corpus the second kind is the hard one: a string that is a name in one place and part of something else in another. Only the context tells.
#
# ## Characters and tokens
#
# A model reads the tokens of its own tokenizer. Chinese BERT models have a token for each Chinese character, but [WordPiece](../book/glossary.md#wordpiece) still joins digits and Latin letters, and what is not in the vocabulary becomes `[UNK]`. So tags for characters are not yet tags for tokens. [Alignment](../book/glossary.md#alignment) carries them over.
#
# A fast tokenizer gives the [offsets](../book/glossary.md#offset) of each token: where in the text it begins and ends. That is all we need. Here is a small vocabulary of that form, with all characters of the training text, and a hard sentence: "Li Peng sees the NBA in 1998", with a smile. There is a zero-width space inside the name.

# %%
characters = sorted({c for x in splits["train"] for c in x.text})
pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *characters, "19", "##98", "nb", "##a"]
tokenizer = BertTokenizer(vocab={piece: i for i, piece in enumerate(dict.fromkeys(pieces))})
hard = "李\u200b鹏 1998看NBA 🙂。"
encoded = alignment.encode(tokenizer, [hard], longest=64)[0]
true = [Entity(0, 3, "PER"), Entity(9, 12, "ORG")]
tags = alignment.unit_tags(true, encoded)
for (start, end), tag in zip(encoded.offsets, tags):
    print(f"{start:3} {end:3}  {hard[start:end]:5} {tag}")
print([e.text for e in alignment.from_unit_tags(tags, encoded)])
print(tokenizer.convert_ids_to_tokens(encoded.rows[0]))

# %% [markdown]
# Every token that covers new characters gets a tag of its own. The later pieces of a word get `I-` or `O` like any other token. The space and the zero-width space belong to no token and get no tag; they are inside an entity when the tokens around them are. On the way back an entity runs from the beginning of its first token to the end of its last, so `text[start:end]` is always a piece of the text.
#
# In English a common advice is to tag only the first piece of each word. For Chinese it is dangerous: some tokenizers take everything between two punctuation marks for one word, and all names but the first would be lost.
#
# **When a name begins inside a token**, no tag can say so. We give the entity every token that it shares a character with, and count it as grown. `to_units` reports these counts, so look at them before you train:

# %%
_, counts = alignment.to_units([Entity(5, 8, "LOC")], encoded)  # begins inside the token 19
print("begins inside a token:", counts)
total = Counter()
for x, units in zip(splits["validation"], alignment.encode(
        tokenizer, [x.text for x in splits["validation"]], longest=512)):
    total.update(alignment.to_units(x.entities, units)[1])
    total["entities"] += len(x.entities)
print("validation:", dict(total))

# %% [markdown]
# For this corpus and this vocabulary nothing is lost.
#
# **Texts longer than the model** are read in [windows](../book/glossary.md#window) that overlap. A token near the edge of a window has little context, so each token's answer is taken from the window where it is farthest from an edge. Cutting the text off, the default of many programs, would lose all entities behind the cut and give no message.

# %%
longest = max(splits["train"], key=lambda x: len(x.text))
units = alignment.encode(tokenizer, [longest.text], longest=128, overlap=32)[0]
own = np.bincount(units.window)
print(f"{len(units):,} tokens, {len(units.rows)} windows of {len(units.rows[0])} tokens")
print("tokens whose answer each window gives:", own.tolist())
edge = units.offsets[len(units.rows[0]) - 3, 1]  # two positions are special tokens
kept = [e for e in longest.entities if e.end <= edge]
print(f"entities: {len(longest.entities)}; left when the text is cut off: {len(kept)}")

# %% [markdown]
# ## Scores, and how they mislead
#
# A found entity is right when start, end and type are all right. From the counts follow [precision](../book/glossary.md#precision) $P$, the share of the found entities that are right, [recall](../book/glossary.md#recall) $R$, the share of the true entities that were found, and
#
# $$F_1 = \frac{2PR}{P+R} = \frac{2 \cdot \text{right}}{\text{found} + \text{true}}$$
#
# Counts are added over all sentences and types before dividing. This is the [micro average](../book/glossary.md#micro-average). The other score you will meet is [accuracy](../book/glossary.md#accuracy) over tags. Let us give both to taggers that we understand completely.

# %%
def short(entity: Entity) -> Entity:
    """The entity without its last character."""
    return Entity(entity.start, max(entity.end - 1, entity.start + 1), entity.type)


validation = splits["validation"]
gold, texts = [x.entities for x in validation], [x.text for x in validation]
taggers = {"O everywhere": [[] for _ in gold],
           "last character missing": [[short(e) for e in row] for row in gold],
           "always PER": [[Entity(e.start, e.end, "PER") for e in row] for row in gold],
           "dictionary": dictionary.predict(texts)}
accuracy = {name: scoring.token_accuracy(gold, found, list(map(len, texts)))
            for name, found in taggers.items()}
scores = {name: scoring.score(gold, found)["micro"] for name, found in taggers.items()}
print(table(["tagger", "accuracy", "precision", "recall", "F1"], [
    [name, f"{accuracy[name]:.3f}", f"{s.precision:.3f}", f"{s.recall:.3f}", f"{s.f1:.3f}"]
    for name, s in scores.items()]))

# %%
assert round(accuracy["O everywhere"], 2) == 0.92
assert round(accuracy["last character missing"], 2) == 0.97 > accuracy["dictionary"]
drawn = {f"{name}, {kind}": value for name in taggers
         for kind, value in (("accuracy", accuracy[name]), ("F1", scores[name].f1))}
print({name: round(value, 2) for name, value in drawn.items()})
bars(drawn, "score")

# %% [markdown]
# **Accuracy misleads.** The tagger that finds nothing has an accuracy of 92 %, because 92 % of the characters are outside. The tagger that always forgets the last character has 97 % and almost no name right. The dictionary, the only useful one, has less.
#
# **F1 misleads too.** The tagger that says PER to every name finds all names with the right edges. Whoever only wants to hide the names of a text would be content, and F1 is low. The tagger that forgets the last character is good enough to count sentences with names. F1 gives no part of a point, so ask first which mistakes matter to you. The next section shows what else one number hides.

# %% [markdown]
# ## A dictionary as baseline
#
# A [gazetteer](../book/glossary.md#gazetteer) is a list of names. Ours holds all entities of the training text, each with its most frequent type. It looks for them from left to right, the longest first. It was the last row of the table above, and its precision was poor. The table of ambiguous strings shows why: 江 is a person when it stands alone before a title, and much more often a part of something else.
#
# So we leave out what is seldom a name. `sure` is the share of an entry's occurrences in the training text that must be entities. We choose it on the validation split.

# %%
found = {}
for sure in (0.0, 0.3, 0.6):
    found[sure] = Gazetteer.from_examples(splits["train"], sure).predict(texts)
    s = scoring.score(gold, found[sure])["micro"]
    print(f"sure {sure}: precision {s.precision:.3f}  recall {s.recall:.3f}  F1 {s.f1:.3f}")

# %% [markdown]
# Of the three, 0.3 is the best, far better than no limit. Much of what a large model must beat is here already: a list, counted carefully. Now to the parts of this score.

# %%
best = found[0.3]
parts = scoring.score(gold, best, people.TYPES) | scoring.seen_and_unseen(
    validation, best, scoring.strings(splits["train"]))
print(table(["", "precision", "recall", "F1", "true"], [
    [name, f"{s.precision:.3f}", f"{s.recall:.3f}", f"{s.f1:.3f}", f"{s.true:,}"]
    for name, s in parts.items()]))
print(scoring.errors(gold, best))
print("95 % interval of F1: {:.3f} to {:.3f}".format(*scoring.bootstrap(gold, best)))

# %% [markdown]
# The table says four things that one number hides.
#
# - **By type.** Places and organisations repeat, so a list finds them. Persons are the task.
# - **Seen or unseen.** An entity is *seen* when the training text has it with the same type. A list finds no unseen one, by construction. What a model adds to a list shows in this row.
# - **Kinds of errors.** Most errors by far are *missed* names. A tagger with the same F1 could have the opposite fault, and be useless or useful to you for that reason. `boundary` counts names that were found with a wrong start or end; F1 punishes each of them twice, as one missed and one invented.
# - **The interval.** With other sentences of the same kind the score would be a little different. The [bootstrap](../book/glossary.md#bootstrap) draws sentences with replacement and scores each sample (Efron, 1979). Two taggers whose difference is smaller than the width of this interval need a closer look.
#
# ## A leak that nobody sees
#
# Our splits keep 50 neighbouring lines of the paper together. A plain split draws single lines. Then paragraphs of one article stand in training *and* test: different sentences, the same people. No sentence occurs twice, so a search for duplicates finds nothing. It is [leakage](../book/glossary.md#leakage) all the same.
#
# We draw such splits with three seeds, with as many lines in each part as ours, and score the same dictionary on the *test* part of each. Nothing is chosen here.

# %%
def exposure(parts: dict) -> list[str]:
    """Of the test part: entities and persons seen in training, dictionary F1, F1 of persons."""
    known = scoring.strings(parts["train"])
    test = parts["test"]
    all_of = [(e.text, e.type) for x in test for e in x.entities]
    persons = [pair for pair in all_of if pair[1] == "PER"]
    answers = Gazetteer.from_examples(parts["train"], 0.3).predict([x.text for x in test])
    s = scoring.score([x.entities for x in test], answers)
    shares = [sum(pair in known for pair in group) / len(group) for group in (all_of, persons)]
    return [f"{value:.3f}" for value in (*shares, s["micro"].f1, s["PER"].f1)]


rows = [["blocks of 50 lines", *exposure(splits)]]
rows += [[f"single lines, seed {seed}", *exposure(people.load_line_split(seed))]
         for seed in range(3)]
print(table(["split", "seen", "persons seen", "F1", "F1 of persons"], rows))

# %%
gain = [float(row[3]) - float(rows[0][3]) for row in rows[1:]]
persons = [float(row[4]) - float(rows[0][4]) for row in rows[1:]]
print(f"F1 rises by {np.mean(gain):.3f} ({min(gain):.3f} to {max(gain):.3f}); "
      f"of persons by {np.mean(persons):.3f} ({min(persons):.3f} to {max(persons):.3f})")
sizes = {split: len(part) for split, part in people.load_line_split(0, lines=True).items()}
assert sizes == {split: len(part) for split, part in paper.items()}

# %% [markdown]
# Same corpus, same method, and the score is higher, for persons most of all. Nothing has improved but the luck of the test part: more of its people had been met in training. A model that learns names by heart would gain in the same way.
#
# Two things make the comparison less than perfect. The test parts are different sentences, so a part of each difference is chance; that is why there are three seeds. And near-duplicates were removed before any split. Where they stay in, a leak is larger.
#
# ## Where it fails
#
# - **Blocks are no articles.** The copy of the corpus has lost the borders between articles, so a block can cut one in two, and people of national fame are in every block anyway. Some leakage remains.
# - **Names inside names** cannot be written with one tag for each character. Of "Bank of China" inside "Bank of China, Beijing branch" one must be left out. Other schemes exist for nested names; this course does not need them.
# - **One month of one newspaper.** The score says nothing about reviews, novels or chats.
#
# ## Take-away
#
# - Tags are a translation of spans. BIO and BIOES translate exactly; IO does not when names touch.
# - Say what you do with illegal tags: repair, drop, or forbid.
# - Use offsets to align, give every token a tag, and count what does not fit. Read long texts in windows.
# - Accuracy over tags says almost nothing. F1 over whole entities says more when you also print it by type, for seen and unseen names, and with an interval.
# - A list of names is a strong baseline. What a model adds shows on names that the list does not have.
# - Split by what belongs together, not by line.
#
# ## Exercises
#
# Each exercise has a stub, and a check that compares your answer with a trusted reference. The check prints ✓, or a hint. In the exercises an entity is `(start, end, type)`, with `end` behind the last unit.
#
# When you are done, or stuck, compare with the [solutions](chinese_ner_data_solutions.ipynb).

# %% [markdown]
# ### Exercise 1: write BIOES
#
# Write `bioes_tags`.

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
    raise NotImplementedError

# %%
check("tags-write", bioes_tags)

# %% [markdown]
# ### Exercise 2: read BIO, and repair it
#
# A model gives you tags, legal or not.
#
# Write `read_bio`.
# No tagged position may be lost.

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
    raise NotImplementedError

# %%
check("tags-read", read_bio)

# %% [markdown]
# ### Exercise 3: put names together
#
# In the newspaper a Chinese name is two words, and people can stand side by side.
#
# Write `people_of`.
# Married names with two family names do not occur here.

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
    raise NotImplementedError

# %%
check("tags-names", people_of)

# %% [markdown]
# ### Exercise 4: tags for tokens
#
# Entities count characters, and tokens can be longer than a character.
#
# Write `token_tags`.

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
    raise NotImplementedError

# %%
check("tags-tokens", token_tags)

# %% [markdown]
# ### Exercise 5: F1 over entities
#
# Write `entity_f1`, the micro average.

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
    raise NotImplementedError

# %%
check("tags-f1", entity_f1)
