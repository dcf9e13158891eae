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
# # Zero-shot sentiment
#
# A masked language model fills gaps. Put a review before the gap, and what it fills in is an opinion.
# So it can tell good reviews from bad ones although nobody ever gave it a label. This is called [zero-shot](../book/glossary.md#zero-shot) classification.
# This chapter measures how well that works on thousands of real reviews, and how much depends on details of the question.
#
# After this chapter you will be able to
#
# - build a classifier from a template and label words, and say where its scores come from;
# - find the border between two labels without a single label, in three ways;
# - say how much accuracy depends on the template, on the words and on calibration;
# - choose label words from labelled texts, and report how many labels that took;
# - compare with two baselines, and put an interval around every accuracy.
#
# Reading and running take about 40 minutes, the exercises about as long again.
# The notebook itself runs in well under a minute on two CPU cores.
# Read [From MLM to prompts](prompts.ipynb) first: it builds the parts that you use here.

# %% tags=["install", "hide-input"]
# Set-up, written from site.toml: says what to do when the course package is missing.
import importlib.util

if importlib.util.find_spec("companion") is None:
    raise ImportError("The course package is missing. Locally: run `make book`, choose .venv "
                      "as the kernel. On Colab: first set `repository` in site.toml.")

# %%
import json
from pathlib import Path
from textwrap import fill

import matplotlib.pyplot as plt
import numpy as np
import torch

from companion import checkpoints
from companion.corpora import movie_reviews
from companion.display import MARKERS, PALETTE, table
from companion.exercises import check
from companion.prompting import PromptClassifier, Template, Verbalizer, calibration, word_choice

CHECKPOINT = "bert-mini-en"  # or another masked LM with these words in its vocabulary
model, tokenizer = checkpoints.load(CHECKPOINT)
tokenizer.model_max_length = 128  # the length of its training rows; longer reviews are cut
reviews = {name: movie_reviews(collection=name) for name in ("rotten_tomatoes", "imdb")}
for name, splits in reviews.items():
    print(name, {split: len(part) for split, part in splits.items()})

# %% [markdown]
# There are two collections of film reviews. *Rotten Tomatoes* holds single sentences, *IMDB* whole reviews (Pang and Lee, 2005; Maas et al., 2011).
# The [test splits](../book/glossary.md#test-set) are read only at the end of this chapter. Whatever is chosen before is chosen on training reviews, and what you run yourself uses validation reviews.
#
# ## A question instead of a classifier
#
# The chapter before has built three parts.
#
# - A [template](../book/glossary.md#template) puts the text into a sentence with a gap.
# - [Label words](../book/glossary.md#label-words) are words that could fill the gap, some for each label. The table that holds them is the [verbalizer](../book/glossary.md#verbalizer).
# - A masked language model gives each of these words a score.
#
# The template and the words here are those of Gao et al. (2021). Nothing in them was chosen on our data.

# %%
template = Template("{text} It was {mask}.", cut="beginning")
one_word = Verbalizer({"negative": ["terrible"], "positive": ["great"]})
simple = PromptClassifier(model, template, one_word, tokenizer=tokenizer)
sentences = ["I would watch this film every day.", "I want my two hours back.",
             "The actors are wonderful and the music is, too.", "I fell asleep twice."]
for sentence, row in zip(sentences, simple.predict_proba(sentences)):
    print(f"positive {row[1]:.2f}  {template.fill(sentence)}")

# %% [markdown]
# The second sentence is a complaint, and it gets a high score: none of its words is a bad word. You will meet this error again.
#
# `cut="beginning"` says what happens to a review that is too long: it loses its beginning, because the verdict often comes last. The gap is never cut.
#
# ## From words to a label
#
# Let $z_w(x)$ be the [logit](../book/glossary.md#logits) of the word $w$ at the gap behind the text $x$. Let $V_y$ be the label words of the label $y$. The score of a label is the mean over its words, and the [softmax](../book/glossary.md#softmax) makes probabilities of the scores:
#
# $$s_y(x) = \frac{1}{|V_y|} \sum_{w \in V_y} z_w(x) \qquad p(y \mid x) = \frac{e^{s_y(x)}}{\sum_{y'} e^{s_{y'}(x)}}$$
#
# All other words of the vocabulary play no part. In code, this is a mean over columns.

# %%
def label_scores(word_scores: torch.Tensor, sizes: list[int]) -> torch.Tensor:
    """Mean score of each label's words: (texts, words) becomes (texts, labels)."""
    return torch.stack([part.mean(1) for part in word_scores.split(sizes, 1)], 1)


NEGATIVE = "terrible bad awful horrible boring poor".split()
POSITIVE = "great good excellent wonderful amazing fantastic".split()
toy = torch.tensor([[4.0, 2.0, 1.0, 3.0], [0.0, 2.0, 5.0, 5.0]])
print("toy scores", label_scores(toy, [2, 2]).tolist())

words = Verbalizer({"negative": NEGATIVE, "positive": POSITIVE}, aggregation="mean")
classifier = PromptClassifier(model, template, words, tokenizer=tokenizer)
scores = label_scores(classifier.word_scores(sentences), [6, 6])
assert torch.allclose(scores, classifier.scores(sentences))
print(table(["negative", "positive", "sentence"],
            [[f"{a:.2f}", f"{b:.2f}", text] for (a, b), text in zip(scores.tolist(), sentences)]))

# %% [markdown]
# Several words a side are steadier than one: a single word may fit a sentence badly for reasons of its own.
#
# ## Where is the border?
#
# Here are 200 validation sentences of Rotten Tomatoes. A little more than half of them are positive.

# %%
part = reviews["rotten_tomatoes"]["validation"].select(range(200))
truth = torch.tensor(part["label"])
scores = classifier.scores(part["text"])
difference = scores[:, 1] - scores[:, 0]
print(f"positive in truth {truth.float().mean():.2f}, called positive "
      f"{(difference > 0).float().mean():.2f}")
for name, border in (("0", 0.0), ("the median", difference.median())):
    right = (difference > border) == truth
    print(f"accuracy with the border at {name}: {right.float().mean():.2f}")

# %% [markdown]
# The model has a preference. Part of it comes from the template and from how frequent the words are. Part of it may come from the kind of text.
# Such a preference moves all scores to one side. Taking it out is called [calibration](../book/glossary.md#calibration). It adds one number $b_y$ to the score of each label:
#
# $$\hat{y}(x) = \arg\max_y \left( s_y(x) + b_y \right)$$
#
# With two labels only the difference of the two numbers matters. It moves the border between the labels.

# %%
figure, axes = plt.subplots(figsize=(6.4, 3), layout="constrained")
edges = np.linspace(difference.min(), difference.max(), 25)
for label, name in enumerate(("negative", "positive")):
    axes.hist(difference[truth == label].numpy(), edges, alpha=0.6, color=PALETTE[label],
              label=name, hatch=("", "//")[label])
axes.axvline(0, color="black", label="0")
axes.axvline(difference.median(), color="black", linestyle="--", label="median")
axes.set(xlabel="positive score - negative score", ylabel="sentences")
axes.legend(frameon=False)
plt.close(figure)
print(f"median {difference.median():.2f}; mean of the negative sentences "
      f"{difference[truth == 0].mean():.2f}, of the positive ones "
      f"{difference[truth == 1].mean():.2f}")
figure

# %% [markdown]
# The two groups overlap: no border separates them well. But 0 is a bad one.
#
# ### Without any text: contextual calibration
#
# You know this one from the chapter before. Zhao et al. (2021) ask the same question about a [text without content](../book/glossary.md#content-free-input), such as "N/A", nothing at all, or a second gap. A fair prompt would answer with equal probabilities. Let $\bar{p}_y$ be the mean probability of the label $y$ over these inputs. The bias undoes it:
#
# $$b_y = -\ln \bar{p}_y$$
#
# In words: the probabilities are divided by $\bar{p}_y$ and scaled to sum to 1 again.

# %%
toy = torch.tensor([[1.0, 3.0], [0.0, 1.0]])  # scores of two content-free inputs
bias = calibration.contextual(toy)
print("mean probability", [f"{p:.2f}" for p in toy.softmax(1).mean(0)])
print("bias            ", [f"{b:.2f}" for b in bias])
assert torch.allclose(bias, -toy.softmax(1).mean(0).log())

# %% [markdown]
# ### With unlabelled texts: prior matching, and the median
#
# Often you know about how many texts of each label there are, in other words the [prior](../book/glossary.md#prior). In our two collections it is one half. Two methods use it. They need texts, but no labels.
#
# - [Prior matching](../book/glossary.md#prior-matching) (Liusie et al., 2023) looks for the bias with which the **mean probability** of each label is its prior.
# - *The median border* looks for the bias with which the **share of texts** that get each label is its prior. For equal shares this puts the border at the median of the score differences.
#
# Both bring an assumption with them: that the unlabelled texts really have this prior. Exercise 3 asks what a wrong one costs.

# %%
unlabelled = reviews["rotten_tomatoes"]["train"].select(range(200))["text"]  # no label is read
for method in ("none", "contextual", "prior", "median"):
    classifier.calibrate(method, unlabelled if method in ("prior", "median") else None)
    right = (scores + classifier.bias).argmax(1) == truth  # calibrate() only sets the bias
    border = classifier.bias[0] - classifier.bias[1]
    print(f"{method:10}  border {border:5.2f}  accuracy {right.float().mean():.2f}")

# %% [markdown]
# ## How much depends on the question?
#
# So far you have seen one template and two lists of words. The program `benchmarks/zero_shot.py` tries twenty templates, with four sets of words and four kinds of calibration, on training reviews. The labels of these reviews are read, to count the right answers. The next cells read its results.

# %%
results = [json.loads(line) for line in
           Path("../benchmarks/results/zero_shot.jsonl").read_text(encoding="utf8").splitlines()]
spread = [row for row in results if row["part"] == "spread"]
COLLECTIONS, METHODS = ("rotten_tomatoes", "imdb"), ("none", "contextual", "prior", "median")


def accuracies(collection: str, words: str, method: str) -> list[float]:
    """Accuracy of every template."""
    return [row["accuracy"][collection][words][method] for row in spread]


print(len(spread), "templates,", spread[0]["texts"])
lines = [[row["template"][:52], *(f"{row['accuracy'][c]['24 words'][m]:.2f}" for c in COLLECTIONS
                                  for m in ("none", "contextual", "median"))] for row in spread]
print(table(["24 words by hand", "RT none", "context", "median", "IMDB none", "context", "median"],
            lines))

# %%
order = np.argsort([sum(row["accuracy"][c]["24 words"]["median"] for c in COLLECTIONS)
                    for row in spread])
figure, panels = plt.subplots(1, 2, figsize=(9, 5.2), sharey=True, layout="constrained")
for axes, collection in zip(panels, COLLECTIONS):
    for k, method in enumerate(("none", "contextual", "median")):
        values = np.array(accuracies(collection, "24 words", method))[order]
        axes.scatter(values, range(len(order)), color=PALETTE[k], marker=MARKERS[k], label=method)
    axes.axvline(0.5, color="0.4", linestyle="--", linewidth=1)
    axes.set(title=collection, xlabel="accuracy")
    axes.grid(alpha=0.3)
panels[0].set_yticks(range(len(order)), [spread[i]["template"].replace("{text}", "x")[:44]
                                         for i in order], fontsize=8)
figure.legend(*panels[1].get_legend_handles_labels(), loc="outside upper center", ncols=3)
plt.close(figure)
for method in METHODS:
    values = accuracies("imdb", "24 words", method)
    print(f"imdb, {method:10}  from {min(values):.2f} to {max(values):.2f}")
figure

# %% [markdown]
# Read the picture like this: a row is a question, and its marks show what calibration does to it.
#
# Which of the three matters most? Vary one of them and hold the others fixed.

# %%
def mean(collection: str, words_: str, method: str) -> float:
    """Mean accuracy over the templates."""
    return float(np.mean(accuracies(collection, words_, method)))


for collection in COLLECTIONS:
    print(collection)
    by_method = {m: mean(collection, "24 words", m) for m in METHODS}
    by_words = {w: mean(collection, w, "median") for w in ("1 word", "6 words", "24 words",
                                                           "chosen")}
    values = sorted(accuracies(collection, "24 words", "median"))
    for name, means in (("calibration", by_method), ("words", by_words),
                        ("template", {"worst": values[0], "middle": np.median(values),
                                      "best": values[-1]})):
        print(f"    {name:12}", ", ".join(f"{k} {v:.2f}" for k, v in means.items()))
    assert by_method["median"] - by_method["none"] > by_words["chosen"] - by_words["1 word"]

# %%
for collection in COLLECTIONS:
    span = {}
    for method in ("none", "median"):
        values = accuracies(collection, "24 words", method)
        span[method] = max(values) - min(values)
        print(f"{collection:16} {method:7} best minus worst template {span[method]:.2f}, "
              f"standard deviation {np.std(values, ddof=1):.3f}")
    gain = mean(collection, "24 words", "median") - mean(collection, "24 words", "none")
    print(f"{collection:16} gain of the mean from the median border {gain:.2f}")
    assert span["none"] > gain > span["median"]
    assert span["median"] > (mean(collection, "chosen", "median")
                             - mean(collection, "1 word", "median"))

# %% [markdown]
# Averaged over the templates, *calibration* gains most. Without calibration the choice of the *template* matters even more: the same words and the same model can be anywhere between chance and a good result. With the median border little of that is left. The two methods that look at unlabelled texts agree, and they help nearly everywhere.
# Contextual calibration uses no texts at all. It helps most templates, but not all: what a prompt prefers without content is not always what it prefers with it.

# %%
for collection in COLLECTIONS:
    by_method = {m: np.array(accuracies(collection, "24 words", m)) for m in METHODS}
    for method in ("contextual", "median"):
        worse = int((by_method[method] < by_method["none"]).sum())
        print(f"{collection:16} {method:10} is worse than none with {worse:2} of "
              f"{len(spread)} templates")

# %% [markdown]
# With the median border, the worst and the best template are still further apart than one word a side and many *words*. So do not trust a result that was reported with one prompt only: ask how the prompt was found, and on which texts.
#
# ## Choosing label words
#
# So far people chose the words. You can also ask the model, if you have some labelled texts: which words get higher scores after positive reviews than after negative ones? The idea comes from Gao et al. (2021, section 5.1).
#
# For each word of the vocabulary, take its log-probability at the gap, after every labelled text. The *separation* of a word is the difference of its two means, divided by the common [standard deviation](../book/glossary.md#standard-deviation):
#
# $$d_w = \frac{\bar{z}_w^{+} - \bar{z}_w^{-}}{\sqrt{(v_w^{+} + v_w^{-}) / 2}}$$
#
# Here is the ranking from 400 labelled training sentences. Two rules keep out entries that nobody would read as a label: a word has three letters or more and nothing else, and it is among the thousand words that fit this gap best on average.

# %%
asked = reviews["rotten_tomatoes"]["train"].select(range(200, 600))
vocabulary = word_choice.plain_words(tokenizer)
table_of_words = word_choice.log_probabilities(
    model, tokenizer, Template("{text} All in all, it was {mask}."), asked["text"],
    list(vocabulary.values()), precision="fp32")
names, best = list(vocabulary), word_choice.fillers([table_of_words], 1000)
separations = word_choice.separation(table_of_words[:, best], torch.tensor(asked["label"]))
ranking = [names[best[i]] for i in separations.argsort(descending=True).tolist()]
print(len(names), "words, of which", len(best), "are kept")
print("highest:", " ".join(ranking[:12]))
print("lowest: ", " ".join(ranking[:-13:-1]))

# %% [markdown]
# Nobody told the model what these words mean. It has learned from reading which words follow which reviews.
#
# The best words one by one are not the best list: *wonderful* and *marvelous* say nearly the same. So `word_choice.choose` builds two lists step by step. From the 50 best candidates a side, it always takes the word with which the means of the two lists separate the labels best. The benchmark did this with many more texts. This is its choice.

# %%
(choice,) = [row for row in results if row["part"] == "words"]


def worth(row: dict) -> float:
    """What the template was chosen by: the sum of both accuracies with chosen words."""
    return sum(row["accuracy"][c]["chosen"]["median"] for c in COLLECTIONS)


for tried in (choice["of"], len(spread)):
    best_template = max(spread[:tried], key=worth)["template"]
    print(f"best of {tried} templates: {best_template}")
    assert best_template == choice["template"]
first_test = [row["part"] for row in results].index("test")
assert results.index(choice) < first_test < results.index(spread[choice["of"]])
assert (choice["of"], len(spread)) == (11, 20)
print("labels read:", choice["labels read"])
for side in ("positive", "negative"):
    print(fill(f"{side}: " + " ".join(choice[side]), 90))

# %% [markdown]
# The template was chosen when eleven of the twenty had been measured. The other nine were measured later, when the program had begun to read test reviews. Over all twenty, the best template is the same one.
#
# Remember what this took: thousands of labels. A classifier with words chosen like this is no longer zero-shot in the strict sense. What stays untouched is the model: not one weight has changed.
#
# Read the lists critically. Most entries are opinions. Some are things that good or bad films have or lack. One, *lou*, is a name: the two rules let it through, and it stayed in, because the list was fixed before the test. Each entry only says: the model finds it more probable after reviews of one side.
#
# ## The test splits
#
# Now the results that count. Every row comes from `benchmarks/zero_shot.py`, with the median border of unlabelled training reviews. The brackets are [bootstrap](../book/glossary.md#bootstrap) intervals: the test reviews are drawn again and again, with replacement, and the accuracy is computed each time. Below and above the brackets lies one fortieth of these accuracies each.

# %%
tests = [row for row in results if row["part"] == "test"]


def found(collection: str, template: str, words: str, method: str = "median") -> dict:
    """The row of one run on a test split."""
    (row,) = [r for r in tests if (r["collection"], r["template"], r["words"], r["calibration"])
              == (collection, template, words, method)]
    return row


FIXED = "{text} It was {mask}."
lines = []
for template_, words_ in ((FIXED, "1 word"), (FIXED, "6 words"), (FIXED, "24 words"),
                          (choice["template"], "6 words"), (choice["template"], "24 words"),
                          (choice["template"], "chosen")):
    cells = []
    for collection in COLLECTIONS:
        row = found(collection, template_, words_)
        cells += [f"{row['accuracy']:.3f}", f"[{row['interval'][0]:.2f}, {row['interval'][1]:.2f}]"]
    lines.append([template_, words_, *cells])
print(table(["template", "words", "RT", "interval", "IMDB", "interval"], lines))

# %% [markdown]
# In the first three rows the template is one that others published. The words are hand-written; that 24 work better than few was seen earlier on labelled training reviews. So the rows with one word and with six are zero-shot in the strict sense, and the third row nearly is.
# In the next two rows labels chose the template, in the last one also the words.
#
# Is the step from hand-written to chosen words more than chance? Both lists were tested on the same reviews, so compare them review by review.

# %%
rng = np.random.default_rng(0)
for collection in COLLECTIONS:
    truth_ = np.array(reviews[collection]["test"]["label"])
    right = [(np.array(found(collection, choice["template"], words_)["scores"]) > 0) == truth_
             for words_ in ("chosen", "24 words")]
    gain = right[0].astype(float) - right[1]
    resampled = gain[rng.integers(0, len(gain), (5000, len(gain)))].mean(1)
    low, high = np.percentile(resampled, [2.5, 97.5])
    assert low <= 0 <= high
    print(f"{collection:16} {len(gain)} reviews  gain {gain.mean():+.3f}  "
          f"[{low:+.3f}, {high:+.3f}]")

# %% [markdown]
# On whole reviews the chosen words gain a little. On single sentences they gain nothing. Both intervals hold 0, so this test cannot tell the two lists apart, and the labels that were read for the choice have bought nothing certain.
# That is a negative result, and it is reported as one. The goal for Rotten Tomatoes, set beforehand, was 0.74: it was not reached.
#
# Would a better list have reached it? A list with a border uses nothing but the log-probabilities at the gap. So give a classifier those of a thousand words: [logistic regression](../book/glossary.md#logistic-regression) with a weight of its own for each, learned from all the labels that the choice of words has read. `benchmarks/zero_shot_ceiling.py` did this, with the same template.

# %%
ceilings = [row for row in results if row["part"] == "ceiling"]
assert [row["collection"] for row in ceilings] == list(COLLECTIONS)
for row in ceilings:
    assert row["template"] == choice["template"] and row["words"] == 1000
    chosen_ = found(row["collection"], choice["template"], "chosen")["accuracy"]
    print(f"{row['collection']:16} {row['labels read']} labels: {row['accuracy']:.3f} "
          f"[{row['interval'][0]:.2f}, {row['interval'][1]:.2f}] on the test split, "
          f"the chosen words {chosen_:.3f}")
    assert 0 < row["accuracy"] - chosen_ < 0.025
assert abs(ceilings[0]["accuracy"] - 0.74) < 0.01

# %% [markdown]
# On both test splits this classifier is only a little better than the chosen words. On Rotten Tomatoes it comes to about the goal, and it needs a thousand weights and thousands of labels for that. This is an estimate and no bound: one template, a thousand words, these labels. It suggests that with this model and template a better list would gain little.
#
# ### Two baselines
#
# A number means little without something to compare it with.
#
# - *VADER* (Hutto and Gilbert, 2014) is a [baseline](../book/glossary.md#baseline) without any model. It has a list of words with scores made by people, adds them up, and knows a few rules, for example for *not*.
# - The *linear [bag of words](../book/glossary.md#bag-of-words)* is a baseline with labels: [logistic regression](../book/glossary.md#logistic-regression) on [tf-idf](../book/glossary.md#tf-idf). With all training labels it shows what labels can buy. With fewer it shows what zero-shot is worth.

# %%
baselines = sorted((row for row in results if row["part"] == "baseline"),
                   key=lambda row: (row["collection"], row["labels"]))
print(table(["collection", "baseline", "labels", "accuracy"],
            [[row["collection"], row["name"], row["labels"], f"{row['accuracy']:.3f}"]
             for row in baselines]))

# %%
figure, panels = plt.subplots(1, 2, figsize=(8.4, 3.4), sharey=True, layout="constrained")
for axes, collection in zip(panels, COLLECTIONS):
    bag = [row for row in baselines
           if row["collection"] == collection and row["name"] == "bag of words"]
    levels = {"no label": found(collection, FIXED, "6 words"),
              "chosen words": found(collection, choice["template"], "chosen"),
              "VADER": [row for row in baselines if row["collection"] == collection
                        and row["name"] == "VADER, median border"][0]}
    axes.plot([row["labels"] for row in bag], [row["accuracy"] for row in bag], "o-",
              color=PALETTE[0], label="bag of words")
    for k, (name, row) in enumerate(levels.items(), 1):
        axes.axhline(row["accuracy"], color=PALETTE[k], linestyle=("", "-", "--", ":")[k],
                     label=name)
    more = [row["labels"] for row in bag if row["accuracy"] > levels["no label"]["accuracy"]]
    print(f"{collection:16} no label {levels['no label']['accuracy']:.3f}; the bag of words is "
          f"better from {more[0]:,} labels on")
    axes.set(title=collection, xlabel="labels", xscale="log")
panels[0].set_ylabel("accuracy")
panels[1].legend(frameon=False, fontsize=8)
plt.close(figure)
figure

# %% [markdown]
# Two things to take from this. A linear classifier needs hundreds to thousands of labels until it reaches what the prompt does without any. And with as many labels as the choice of words has read, it is a serious rival: labels are better spent on training than on choosing words. The next chapters train.
#
# ## Errors, read one by one
#
# An accuracy does not say what goes wrong. So read. Here is the chosen list on the 200 validation sentences from before: the sentences on which the model is most sure and wrong.

# %%
chosen = Verbalizer({"negative": choice["negative"], "positive": choice["positive"]},
                    aggregation="mean")
final = PromptClassifier(model, Template(choice["template"], cut="beginning"), chosen,
                         tokenizer=tokenizer).calibrate("median", unlabelled)
scores = final.scores(part["text"])
difference = scores[:, 1] - scores[:, 0]
wrong = (difference > 0) != truth
print(f"accuracy {1 - wrong.float().mean():.2f}: {int(wrong.sum())} of {len(wrong)} are wrong")
for i in (wrong * difference.abs()).argsort(descending=True)[:10].tolist():
    print(f"{'negative positive'.split()[truth[i]]}, scored {difference[i]:+.1f}")
    print(fill(part["text"][i], 90, initial_indent="    ", subsequent_indent="    "))

# %% [markdown]
# Read them twice: once for what they say, once word by word, as the model seems to. Ask each time which words may carry the score. Some remarks on the ten:
#
# - "a mess , but it's a sincere mess": a positive sentence in which *mess* stands twice. The praise is the single word *sincere*.
# - "the respective charms of sandra bullock and hugh grant have worn threadbare": *charms* is a friendly word. The verdict is in the last two words.
# - "all very stylish and beautifully photographed , but far more trouble than it's worth": praise comes first, the verdict after *but*.
# - "starts out bizarre and just keeps getting weirder": it counts as positive here. Would you have known?
#
# Praise for one thing in a bad film, the vocabulary of a sad or violent story, and irony are frequent causes to look for. That such a word carries the score is a guess as long as nobody has counted or changed it.
#
# Is it true that sentences with *but*, or with a negation, are harder? Count, on these 200 and not only on the worst ones.

# %%
TURNS = {"but, yet, though": {"but", "yet", "though", "although", "however"},
         "negation": {"not", "no", "never", "n't", "without", "nothing", "neither", "nor"}}
tokens = [set(text.lower().replace("n't", " n't").split()) for text in part["text"]]
for name, signs in TURNS.items():
    has = torch.tensor([bool(words_ & signs) for words_ in tokens])
    for which, label in ((has, "with"), (~has, "without")):
        print(f"{name:17} {label:8} {int(which.sum()):4} sentences, accuracy "
              f"{1 - wrong[which].float().mean():.2f}")

# %% [markdown]
# The groups are small, so a few hundredths mean nothing. A suspicion from reading errors is a start. Only a count can confirm it, and often it does not.
#
# ## Where it fails
#
# *A wrong prior.* The median border assumes as many positive as negative texts. Take 90 positive sentences and 10 negative ones from those above, as if somebody had collected mostly praise.

# %%
raw = scores - final.bias
most = [i for i in range(200) if truth[i]][:90] + [i for i in range(200) if not truth[i]][:10]
for name, prior in (("one half", None), ("nine tenths", [0.1, 0.9])):
    right = (raw + calibration.median(raw[most], prior)).argmax(1) == truth
    print(f"prior taken as {name:12} accuracy {right[most].float().mean():.2f}")
    assert name != "one half" or right[most].float().mean() < 0.9
print("always positive             accuracy 0.90")

# %% [markdown]
# With the wrong prior the method calls half of these sentences negative, and is worse than always saying "positive", which needs no model. Nothing is wrong with the scores: only the border has moved.
#
# *Negation.* Say the same thing with and without *not*.

# %%
for text in ("a good film .", "not a good film .", "a bad film .", "not a bad film at all .",
             "i have never seen a better film .", "nobody could call this film dull ."):
    (row,) = final.scores([text])
    print(f"{row[1] - row[0]:+5.1f}  {text}")

# %% [markdown]
# Compare the first two pairs. The word *not* moves the score, but the words *good* and *bad* themselves move it more.
#
# - *Chosen on reviews of films.* Words and border belong to this kind of text. For reviews of restaurants you need new unlabelled texts at least.
# - *One small model.* It read many film reviews (without their labels) when it was trained. A model that never read reviews may do worse.
# - *These are not the published test sets.* The splits are cut from the published training sets, so do not compare our figures with those in papers.

# %% [markdown]
# ## Take-away
#
# - A zero-shot classifier is made of three choices: template, label words, border. All three can be made without a label.
# - On average over templates, the right border gains most, and with it the choice of the template matters much less. Unlabelled texts find it, if you know how frequent the labels are. With a wrong prior they spoil it.
# - One prompt is one draw from many. Report how it was found, on which texts, and how far others are from it.
# - Words can be chosen from labels. Then say how many labels, and compare with a classifier that was trained on as many.
# - Put an interval around each accuracy, and compare two methods on the same texts.

# %% [markdown]
# ## Exercises
#
# Each exercise is a function without a body.
# Replace `raise NotImplementedError` by your code, run the cell, and run the check below it.
# The check prints ✓, or *not attempted yet*, or a hint.
#
# When you are done, or stuck, compare with the [solutions](zero_shot_sentiment_solutions.ipynb).

# %% [markdown]
# ### Exercise 1: prior matching
#
# You have the score differences of unlabelled texts, and you know the prior. The [sigmoid](../book/glossary.md#sigmoid) turns a difference $d$ into a probability: $1 / (1 + e^{-d})$.
#
# Write `matching_border`. No formula gives the answer, but you can search for it: what happens to the mean when the border grows?

# %%
def matching_border(differences: torch.Tensor, share: float) -> float:
    """Return the border of prior matching, for two labels.

    differences: positive minus negative score of unlabelled texts, shape (N,). The
        probability of "positive" is the sigmoid of the difference minus the border.
    share: the mean that these probabilities shall have, above 0 and below 1.
    Returns the border, right to six digits. All borders asked for lie between -20 and 20.

    Example: matching_border(torch.tensor([3.0, -1.0]), 0.5) returns 1.0.
    """
    raise NotImplementedError

# %%
check("zeroshot-prior", matching_border)

# %% [markdown]
# ### Exercise 2: a border from unlabelled texts
#
# You know which share of the texts is positive, but not which ones. A [quantile](../book/glossary.md#quantile) is the number that has a given share of all numbers below it; the median is the one for one half.
#
# Write `predict`.

# %%
def predict(scores: torch.Tensor, unlabelled: torch.Tensor, share: float) -> torch.Tensor:
    """Label texts with a border that comes from unlabelled texts.

    scores: of the texts to label, shape (N,). Higher means more positive.
    unlabelled: scores of other texts without labels, shape (M,).
    share: the share of positive texts that you expect among the unlabelled ones.
    Returns whole numbers (torch.int64), shape (N,): 1 where the score lies above the
    border, 0 elsewhere. The border is the quantile of the unlabelled scores that has
    `share` of them above it.

    Example: for share 0.5 the border is the median.
    """
    raise NotImplementedError

# %%
check("zeroshot-border", predict)

# %% [markdown]
# ### Exercise 3: the price of a wrong prior
#
# Think first, with paper and pencil. The scores are perfect, the border is the median, and the labels are uneven. Which share of the texts is still right?
#
# Write the answer as the function `best_accuracy`.

# %%
def best_accuracy(share: float) -> float:
    """Return the best accuracy that a median border can reach.

    share: the share of the texts that is positive. The scores put the texts in a perfect
        order: every positive text has a higher score than every negative one. The border
        is the median of these same scores. There are so many texts that rounding does
        not matter.

    Example: best_accuracy(0.5) returns 1.0.
    """
    raise NotImplementedError

# %%
check("zeroshot-limit", best_accuracy)

# %% [markdown]
# ### Exercise 4: separation
#
# Which words tell the labels apart?
#
# Write `separation`.

# %%
def separation(scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Measure how far apart the scores of the two labels lie, for each word.

    scores: of the words at the mask, shape (texts, words).
    labels: shape (texts,), 0 or 1. Each label has at least two texts.
    Returns a tensor of shape (words,): the mean score where the label is 1, minus the mean
    score where it is 0, divided by the common standard deviation. That is the root of the
    mean of the two variances; a variance of n numbers is divided by n - 1.
    """
    raise NotImplementedError

# %%
check("zeroshot-separation", separation)

# %% [markdown]
# ### Exercise 5: is it better, or is it chance?
#
# Two methods were tested on the same texts. Somebody has drawn the resamples for you. A [percentile](../book/glossary.md#quantile) is a quantile whose share is given in hundredths.
#
# Write `difference_interval`.

# %%
def difference_interval(right_a: torch.Tensor, right_b: torch.Tensor,
                        draws: torch.Tensor) -> tuple[float, float]:
    """Return a 95 % bootstrap interval for the accuracy of a minus the accuracy of b.

    right_a, right_b: whether each text is labelled rightly by method a and by method b.
        Boolean, shape (N,), the same texts in the same order.
    draws: shape (R, N). Each row is one resample: N numbers of texts, some of them more
        than once, others never.
    Returns the percentiles 2.5 and 97.5 (with linear interpolation) of the R differences
    of the accuracies, as two floats, the lower one first.
    """
    raise NotImplementedError

# %%
check("zeroshot-interval", difference_interval)
