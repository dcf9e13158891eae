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
# # The article, reproduced and repaired
#
# Part II of this course grew from an article with a short class, `Prompting`. It asks a [masked language model](../book/glossary.md#masked-language-modelling) for an opinion, and it tunes the model on a few sentences.
# With the libraries of its time the code ran and printed good-looking numbers. Some of them are wrong.
# In this chapter you find out why, you write the right code, and you measure what each fault costs.
#
# After this chapter you will be able to
#
# - compare two lists of [label words](../book/glossary.md#label-words) in a way that does not depend on their lengths;
# - build the rows, the [loss](../book/glossary.md#loss) and the steps of a [fine-tuning](../book/glossary.md#fine-tuning) loop, and name the usual faults in each;
# - test code for a fault that raises no error;
# - measure a difference on the same texts, with an interval, and the effect of one fault alone.
#
# Reading and running take about 40 minutes, the exercises about as long again.
# The notebook itself runs in less than a minute on two CPU cores.
# Read [Masked language modelling](masked_lm.ipynb) first.

# %% tags=["install", "hide-input"]
# Set-up, written from site.toml: says what to do when the course package is missing.
import importlib.util

if importlib.util.find_spec("companion") is None:
    raise ImportError("The course package is missing. Locally: run `make book`, choose .venv "
                      "as the kernel. On Colab: first set `repository` in site.toml.")

# %% [markdown]
# ## The article's class
#
# The class `LiteralPrompting` does what the article's code does, faults and all. It was written from a description of that code. Do not use it for your work.
#
# One line had to be another one: the article imports the [optimiser](../book/glossary.md#optimiser) [AdamW](../book/glossary.md#adamw), the rule by which the weights are changed, from `transformers`. Today that library has none, so the article's code stops at the import. `LiteralPrompting` takes the one of PyTorch.
#
# It reads a text that already ends in a [prompt](../book/glossary.md#prompt) with a `[MASK]`. The method `prompt_pred` returns every token of the vocabulary with its score, best first.

# %%
import json
from pathlib import Path

import numpy as np
import torch
import transformers
from torch.nn.functional import cross_entropy

from companion import checkpoints
from companion.corpora import movie_reviews
from companion.display import bars, table
from companion.errors import CourseError
from companion.exercises import check
from companion.prompting import Prompting
from companion.prompting.literal import LiteralPrompting

CHECKPOINT = "bert-mini-en"  # or another BERT, by its hub id or its folder
OURS = CHECKPOINT == "bert-mini-en"  # what the text says of the answers is about this one
known = CHECKPOINT in checkpoints.COURSE
article = LiteralPrompting(checkpoints.folder(CHECKPOINT) if known else CHECKPOINT)
assert not hasattr(transformers, "AdamW")  # the article's code imports it
PRAISE, BLAME = "I really like the film a lot.", "this movie makes me very disgusting."
for text in (PRAISE, BLAME):
    best = article.prompt_pred(f"{text} Because it was [MASK].")[:5]
    print(text, [(token, round(score.item(), 1)) for token, score in best])

# %% [markdown]
# The scores are [logits](../book/glossary.md#logits), not probabilities. Already here the model is not sure of itself: after the praise its best token is a word of blame.
#
# One word decides little. So the article compares two lists of words with `compute_tokens_prob`. It returns two numbers whose sum is 1, the first for the first list.

# %%
LISTS = {"two against two": (["great", "good"], ["bad", "terrible"]),
         "two against three": (["great", "good"], ["bad", "awful", "terrible"]),
         "with a spelling mistake": (["great", "amazin", "good"], ["bad", "terrible"])}
shares = {}
for name, lists in LISTS.items():
    for text in (PRAISE, BLAME):
        pair = article.compute_tokens_prob(f"{text} Because it was [MASK].", *lists)
        shares[name, text] = pair[0].item()
    print(f"{name:24} good after praise {shares[name, PRAISE]:.3f}, "
          f"after blame {shares[name, BLAME]:.3f}")
assert max(shares["two against three", text] for text in (PRAISE, BLAME)) < 0.001 or not OURS
assert shares["with a spelling mistake", PRAISE] == shares["two against two", PRAISE]

# %% [markdown]
# Look at the second line. One more word in the second list, and the model seems to be certain that the praise is blame.
# Look at the third line. A word that does not exist, `amazin`, changes nothing and raises no error.
#
# Both are faults of the code, not of the model. The next section lets you find them, and three more in the way the article tunes.

# %% [markdown]
# ## Find the faults
#
# Each exercise first shows a function with a fault, as the article has it. The task is the same function without the fault.
# Replace `raise NotImplementedError` by your code, run the cell, and run the check below it.
# The check prints ✓, or *not attempted yet*, or a hint.
#
# When you are done, or stuck, compare with the [solutions](article_repaired_solutions.ipynb).
# The rest of the chapter tells you the faults, so try the exercises before you read on.

# %% [markdown]
# ### Exercise 1: two lists of words
#
# This is how the article compares two lists. What is wrong with it?

# %%
def article_shares(logits: torch.Tensor, first: list[int], second: list[int]) -> torch.Tensor:
    """The article's way to divide 1 between two lists of words (ids)."""
    return torch.stack([logits[first].sum(), logits[second].sum()]).softmax(0)


example = torch.tensor([1.0, 1.0, 1.0, 1.0, 1.0])
print(article_shares(example, [0, 1], [2, 3, 4]))

# %% [markdown]
# All five words are equally probable, and still the longer list wins.
#
# Write `list_shares`, which compares the mean probabilities of the two lists.

# %%
def list_shares(logits: torch.Tensor, first: list[int], second: list[int]) -> torch.Tensor:
    """Divide the probability at the mask between two lists of words.

    logits: a score for each token of the vocabulary, shape (V,). They can be large.
    first, second: the ids of the words of each list.
    Returns a tensor of shape (2,): the mean probability of the words of either list, divided
    by the sum of the two means.

    Example: when all logits are equal, the result is tensor([0.5, 0.5]), whatever the lists.
    """
    raise NotImplementedError

# %%
check("article-shares", list_shares)

# %% [markdown]
# ### Exercise 2: a word that is not there
#
# This is how the article adds the scores of a list. What does it do with a spelling mistake?

# %%
def article_sum(scores: dict[str, float], words: list[str]) -> float:
    """The article's sum of the scores of a list."""
    return sum(scores.get(word, 0) for word in words)


print(article_sum({"great": -2.0, "good": -3.0}, ["great", "amazin"]))

# %% [markdown]
# Write `look_up`, which tells the words that the vocabulary has from those that it has not.

# %%
def look_up(words: list[str], vocabulary: dict[str, int]) -> tuple[list[int], list[str]]:
    """Find the ids of words, and the words that have none.

    words: words of a list, such as ["great", "amazin"].
    vocabulary: the id of each token. Any number from 0 upwards can be an id.
    Returns two lists: the ids of the words that are in the vocabulary, and the other words.
    Both are in the order of `words`.

    Example: look_up(["great", "amazin"], {"great": 9}) returns ([9], ["amazin"]).
    """
    raise NotImplementedError

# %%
check("article-words", look_up)

# %% [markdown]
# ### Exercise 3: the row that the model reads
#
# This is how the article builds the ids for tuning. Compare it with what the [tokenizer](../book/glossary.md#tokenizer) gives for the same text.

# %%
def article_row(sentence: list[int], prompt: list[int]) -> list[int]:
    """The article's row for tuning."""
    return sentence + prompt


words = [article.tokenizer(text, add_special_tokens=False)["input_ids"]
         for text in ("A fine film.", "Since it was [MASK].")]
print("article:  ", article.tokenizer.decode(article_row(*words)))
print("tokenizer:", article.tokenizer.decode(
    article.tokenizer("A fine film. Since it was [MASK].")["input_ids"]))

# %% [markdown]
# Write `training_row`, which builds the row as in pretraining. When the row would be too long, it leaves out the end of the sentence, and nothing else.

# %%
def training_row(sentence, prompt, cls: int, sep: int, max_length: int) -> list[int]:
    """Build the ids that the model reads.

    sentence, prompt: lists of token ids without special tokens. The prompt holds the mask.
    cls, sep: the ids of [CLS] and [SEP].
    max_length: the most ids that the row may have.
    Returns [CLS], sentence, prompt, [SEP] as one list. If it would be too long, the *end of
    the sentence* is left out. The prompt is always whole; there is room for it and at least
    one id of the sentence.

    Example: training_row([11, 12], [4], 2, 3, 4) returns [2, 11, 4, 3].
    """
    raise NotImplementedError

# %%
check("article-row", training_row)

# %% [markdown]
# ### Exercise 4: the loss
#
# This is the article's loss. Two things are wrong with it. Remember that in the data sets of this course the label 1 means positive.

# %%
def article_loss(logits: torch.Tensor, labels: torch.Tensor, good: int, bad: int) -> torch.Tensor:
    """The article's loss for two label words."""
    return cross_entropy(logits[:, [good, bad]].softmax(-1), labels)


print(article_loss(torch.tensor([[9.0, -9.0]]), torch.tensor([1]), good=0, bad=1))

# %% [markdown]
# The logits say *good* as clearly as possible, the label says positive, and the loss is large.
#
# Write `two_word_loss`.

# %%
def two_word_loss(logits: torch.Tensor, labels: torch.Tensor, good: int, bad: int) -> torch.Tensor:
    """Compute the loss of choosing between two label words.

    logits: scores of the whole vocabulary at the mask of each text, shape (B, V).
    labels: 1 where the text is positive, 0 where it is negative, shape (B,).
    good, bad: the ids of the label words for 1 and for 0.
    Returns a tensor with one number, in nats: the mean over the texts of minus the log of the
    right word's share, where the two words share all of the probability. Gradients must be
    able to flow from it to the logits.

    Example: when the two words have equal logits everywhere, the loss is ln 2.
    """
    raise NotImplementedError

# %%
check("article-loss", two_word_loss)

# %% [markdown]
# ### Exercise 5: one pass over the data
#
# This is the article's loop, for a model so small that you see all of it: a weight, and the probability $\sigma(x \cdot w)$ for the target 1. The [sigmoid](../book/glossary.md#sigmoid) $\sigma(z) = 1 / (1 + e^{-z})$ makes a probability of any number. What is missing, and what should be done less often?

# %%
def article_pass(weight, inputs, targets, rate: float) -> torch.Tensor:
    """The article's way through the examples."""
    weight = weight.clone().requires_grad_()
    for x, y in zip(inputs, targets):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(x @ weight, y)
        loss.backward()
        with torch.no_grad():
            weight -= rate * weight.grad
    return weight.detach()


same = torch.ones(4, 1)
print(article_pass(torch.zeros(1), same, torch.ones(4), rate=0.1))

# %% [markdown]
# Write `one_pass`, which makes one step for each [batch](../book/glossary.md#batch), with the [gradient](../book/glossary.md#gradient) of that batch only.

# %%
def one_pass(weight, inputs, targets, size: int, rate: float) -> torch.Tensor:
    """Make one pass of gradient descent.

    weight: the weight at the start, shape (D,). It must not be modified.
    inputs, targets: examples in the order in which they are read, shapes (N, D) and (N,).
        The model says the probability sigmoid(input · weight) for the target 1.
    size: the number of examples of a batch; the last batch may be smaller.
    rate: the learning rate.
    Returns the weight after one step for each batch, shape (D,), without a gradient. A step
    subtracts rate times the gradient of the mean loss (in nats) of its own batch.
    """
    raise NotImplementedError

# %%
check("article-steps", one_pass)

# %% [markdown]
# ## Why a sum of logits is no score
#
# The [softmax](../book/glossary.md#softmax) turns the logits $z_i$ into probabilities:
#
# $$p_i = \frac{e^{z_i}}{\sum_j e^{z_j}}.$$
#
# Add the same number $c$ to all logits. The factor $e^c$ stands above and below and cancels, so no probability changes. A logit therefore has no fixed zero. Only differences of logits mean something.
#
# The article compares $\sum_{i \in A} z_i$ with $\sum_{i \in B} z_i$. After the shift the first has grown by $|A|\,c$, the second by $|B|\,c$. When the lists differ in length, the comparison depends on $c$, which means nothing.
#
# The repaired class compares the mean probabilities,
#
# $$\log\frac{\frac{1}{|A|}\sum_{i \in A} e^{z_i}}{\frac{1}{|B|}\sum_{i \in B} e^{z_i}}.$$
#
# This number is the [log-odds](../book/glossary.md#log-odds) of the two lists. Here $c$ cancels again. You wrote this in exercise 1.
#
# So there is a test which finds the fault without knowing the right answer: *shift all logits, and ask whether the answer changes.*

# %%
def moves_with_a_shift(prompting, lists, shift: float = -9.0) -> bool:
    """Whether an answer changes when the same number is added to all logits."""
    text, bias = f"{PRAISE} Because it was [MASK].", prompting.model.get_output_embeddings().bias
    before = prompting.compute_tokens_prob(text, *lists)
    with torch.no_grad():
        bias += shift
        after = prompting.compute_tokens_prob(text, *lists)
        bias -= shift
    return not torch.allclose(before, after, atol=1e-3)


repaired = Prompting(model=CHECKPOINT)
for name in ("two against two", "two against three"):
    print(f"{name}: article {moves_with_a_shift(article, LISTS[name])}, "
          f"repaired {moves_with_a_shift(repaired, LISTS[name])}")

# %% [markdown]
# With two words on either side the article passes the test, because $c$ is added twice on both sides. A test with one pair of lists would not have found the fault. With two against three it fails.
#
# ## The repaired class
#
# `companion.prompting.Prompting` has the names and the return shapes of the article. You can put it in the place of the old class.

# %%
for text in (PRAISE, BLAME):
    ranked = repaired.prompt_pred(f"{text} Because it was [MASK].")
    pair = repaired.compute_tokens_prob(f"{text} Because it was [MASK].",
                                        *LISTS["two against three"])
    print(f"{len(ranked):,} tokens, the best: {[token for token, _ in ranked[:3]]}; "
          f"first list {pair[0].item():.2f}")
total = sum(score.item() for _, score in ranked)
assert abs(total - 1) < 1e-4 and abs(pair.sum().item() - 1) < 1e-6
assert len(repaired.scores_dict) == len(ranked)

# %% [markdown]
# `prompt_pred` now gives probabilities, and their sum is 1. The blame is found. After the praise the two lists come out close to each other: this is the doubt of the model itself, and no repair of the code removes it.
#
# What the class cannot use, it refuses in one line. This is what happens to the article's own spelling mistake, and to some other inputs:

# %%
text = f"{PRAISE} Because it was [MASK]."
ATTEMPTS = {
    "a spelling mistake": lambda: repaired.compute_tokens_prob(text, ["amazin"], ["bad"]),
    "no mask": lambda: repaired.prompt_pred(PRAISE),
    "two masks": lambda: repaired.prompt_pred(f"{text} It is [MASK]."),
    "a label that is no label": lambda: repaired.fine_tune([PRAISE], [2]),
    "two sentences, one label": lambda: repaired.fine_tune([PRAISE, BLAME], [1]),
}
for name, attempt in ATTEMPTS.items():
    try:
        attempt()
    except CourseError as problem:
        print(f"{name}: {problem}")

# %% [markdown]
# ## One thousand reviews
#
# Two sentences prove nothing. The next cells read the committed result of `benchmarks/article_faults.py`. It asked both classes about 1,000 reviews of the [test splits](../book/glossary.md#test-set), half of them from Rotten Tomatoes, half from IMDB. A [hash](../book/glossary.md#hash) of the review's id chose them, a long number computed from it that looks random. So nobody picked.
# A long review lost its beginning, so that it fits into 128 tokens together with the prompt. The prompt was never cut.

# %%
result = json.loads(Path("../benchmarks/results/article_faults.json").read_text())
texts = result["texts"]
labels = np.array([int(digit) for digit in texts["labels"]])
assert texts["count"] == len(labels) == 1000 and result["setting"]["length"] == 128
print(f"{texts['count']:,} reviews, {labels.mean():.0%} of them positive; shortened:",
      *(f"{name} {count}" for name, count in texts["shortened"].items()))

# %% [markdown]
# The exact lists of the article are not known to this course. So the benchmark used five pairs of lists of its kind, which were fixed before the test reviews were read. Where the article's spellings `amazin` and `awfull` stand, the repaired class got `amazing` and `awful`: it refuses the others.

# %%
lines = []
for name, call in result["calls"].items():
    literal_way, right_way = (call["ways"][way]["accuracy"] for way in ("literal", "repaired"))
    lines.append([name, f"{literal_way:.3f}", f"{right_way:.3f}",
                  f"{100 * (right_way - literal_way):+.1f}"])
print(table(["lists", "article", "repaired", "points"], lines))
answers = np.array([int(r) for r in call["ways"]["literal"]["right"]]) == labels
print(f"article, last lists: answers 'good' {answers.mean():.1%} of the time")
assert answers.mean() < 0.01

# %% [markdown]
# Read the table from the top. With two words on either side, both classes are about equally good: the sums are equally long. With two against three the article is no better than a coin. It says *bad* nearly every time, because three logits add up to more than two.
#
# ### Is the difference real?
#
# Both classes read the same texts. So you can look at each text alone: was one class right where the other was wrong? The difference in accuracy is the mean of these 1,000 numbers, each of which is 1, 0 or −1.
#
# How much could it change with other reviews? The [bootstrap](../book/glossary.md#bootstrap) answers with the reviews at hand. Draw 1,000 of them with replacement, take the mean difference, and do this thousands of times. The middle 95 % of the results are an [interval](../book/glossary.md#confidence-interval).

# %%
def bootstrap(gaps: np.ndarray, draws: int = 10_000) -> tuple[float, float]:
    """The middle 95 % of the means of resampled gaps."""
    picks = np.random.default_rng(0).integers(0, len(gaps), (draws, len(gaps)))
    low, high = np.percentile(gaps[picks].mean(1), [2.5, 97.5])
    return low, high


def right(call: dict, way: str) -> np.ndarray:
    """Which texts were answered rightly: 1 or 0 for each."""
    return np.array([int(digit) for digit in call["ways"][way]["right"]], dtype=float)


print("difference, and the middle 95 % of the resampled differences")
for name, call in result["calls"].items():
    gaps = right(call, "repaired") - right(call, "literal")
    low, high = bootstrap(gaps)
    print(f"{name:30} {100 * gaps.mean():+5.1f} points, from {100 * low:+.1f} to {100 * high:+.1f}")
    assert np.isclose(low, call["repaired minus"]["literal"]["low"])
    assert (low > 0.15) == ("two against three" in name) and (low < 0) == (
        name in ("two against two", "three against three, misspelt"))
    if "two against three" in name:
        assert abs(100 * gaps.mean() - 22) < 1 and 18 < 100 * low < 100 * high < 27
main = result["calls"][result["main"]]["repaired minus"]

# %% [markdown]
# With two words against three the gain is far above 0 in the whole interval. With three correct words on either side it is small, but its interval lies above 0 as well.
#
# In the other two cases the interval holds 0: no difference can be seen. In one of them each list has two words. In the other each list has three words and one of them is misspelt, so again two real words are compared with two. The faults hide each other there.
#
# So the honest sentence is: *the repair gains about 22 points (18 to 27) when the lists differ in length, and little or nothing when they do not.*
#
# ### One fault at a time
#
# Two faults are mixed in the last pair of lists: the sum, and the words that do not exist. To see what each one costs, put one fault at a time into the right code. This is called an [ablation](../book/glossary.md#ablation).

# %%
ways = result["calls"][result["main"]]["ways"]
lines = [[name, f"{way['accuracy']:.3f}", f"{way['confidence']:.2f}", f"{way['loss']:.2f}"]
         for name, way in ways.items()]
print(table(["way", "accuracy", "confidence", "loss"], lines))
assert main["fault 2 alone"]["low"] > 0.15 and main["fault 3 alone"]["low"] < 0
assert ways["fault 2 alone"]["loss"] > 4 * np.log(2)

# %% [markdown]
# *Confidence* is the mean probability that the class gives to its own answer. *Loss* is the [cross-entropy](../book/glossary.md#cross-entropy) in nats. A coin that says 0.5 each time has the loss $\ln 2 \approx 0.69$.
#
# The sum alone (fault 2) costs all of the gain. With it the code is also sure of itself: it is wrong half of the time and gives its answers nearly all of the probability. Its loss is several times that of the coin.
#
# The missing words alone (fault 3) cost nothing that can be seen here. In a mean of probabilities, a word with the logit 0 has almost no probability. It changes little more than the number that the mean is divided by. It is a fault all the same: you would report a word that was never asked for.
#
# The last line is not a repair of a fault but one step more. A model may prefer one list whatever the text says. The median log-odds of 400 unlabelled training reviews is taken as the border between the two answers; no label is read. This is a form of [calibration](../book/glossary.md#calibration).

# %%
for name, call in result["calls"].items():
    gap = call["ways"]["repaired, border"]["accuracy"] - call["ways"]["repaired"]["accuracy"]
    assert abs(gap) < 0.01
    print(f"{name:30} border at {call['ways']['repaired, border']['border']:+.2f}: "
          f"{100 * gap:+.1f} points")

# %% [markdown]
# The border changes the accuracy by less than one point, up or down. With this prompt the model prefers neither list by much, so there is little to correct. With another prompt or other words that can be different.
#
# ## Tuning, fault by fault
#
# `fine_tune` learns from sentences with labels: all weights move so that *good* becomes more probable after positive sentences and *bad* after negative ones. The article's version has eight faults.
#
# | number | fault | what the repaired code does |
# | --- | --- | --- |
# | 4 | a step after each sentence | one step for each batch |
# | 5 | AdamW with 1e-3 | 5e-5, with [warm-up](../book/glossary.md#warm-up), then falling to zero |
# | 6 | no `zero_grad` | gradients are cleared before each step |
# | 7 | no `[CLS]` and `[SEP]` | the rows of pretraining |
# | 8 | a softmax before the loss | the loss gets logits |
# | 9 | label 0 means good | label 1 means good, as in the data sets |
# | 10 | trained with "Since it was", asked with "Because it was" | `predict` asks with the prompt of the training |
# | 11 | the tokenizer is a global variable | it belongs to the object |
#
# Fault 1 is that the argument `tokenizer` is ignored. It has no measurement. Faults 2 and 3 are those of the word lists, which were measured above on 1,000 reviews. Faults 4 to 11 are measured below, on 300 of these reviews and with three seeds.
#
# The benchmark took 16 training reviews of each class from Rotten Tomatoes, tuned, and asked 300 of the test reviews. It did so with five [seeds](../book/glossary.md#seed), and each seed chose other reviews. First the whole classes:

# %%
tuning = result["tuning"]
SEEDS = ("13", "21", "42", "87", "100")
assert result["setting"]["shots"] == 16 and result["setting"]["held"] == 300
assert texts["count"] == 1000


def over_seeds(way: str, seeds=SEEDS) -> tuple[float, float]:
    """Mean accuracy over the seeds, and its standard deviation."""
    found = [tuning[way][seed]["accuracy"] for seed in seeds]
    return float(np.mean(found)), float(np.std(found, ddof=1))


MAIN = ("before", "literal", "literal, labels turned", "repaired")
lines = [[way, *(f"{tuning[way][seed]['accuracy']:.3f}" for seed in SEEDS),
          *map("{:.3f}".format, over_seeds(way))] for way in MAIN]
print(table(["way", *SEEDS, "mean", "deviation"], lines))
one_sided = [tuning[way][seed]["good"] in (0, 1) for way in MAIN[1:3] for seed in SEEDS]
print("literal runs that give one and the same answer to every review:", sum(one_sided),
      "of", len(one_sided))
for seed in SEEDS:
    worse, start, better = (tuning[way][seed]["accuracy"] for way in
                            ("literal", "before", "repaired"))
    assert worse < start < better

# %% [markdown]
# The line *before* is the model as it is. It needs no training reviews, so it is the same for every seed.
#
# The article's `fine_tune` makes the model worse with every seed. Most of its runs end in a model that gives one answer to everything. One might think that only the meaning of the labels is wrong. So the third line gives it the labels turned round, as it wants them. That does not help.
#
# The repaired `fine_tune` is better than the untuned model with every seed. The gain is small: sixteen examples of each class are few.
#
# Now each fault alone in the repaired code, with the first three of the seeds. The column *points* is the mean difference to the repaired class with the same seed; beside it stand the lowest and the highest of the three differences.

# %%
FAULTS = [way for way in tuning if way[0].isdigit()]
THREE = SEEDS[:3]
gaps = {way: np.array([tuning[way][seed]["accuracy"] - tuning["repaired"][seed]["accuracy"]
                       for seed in THREE]) for way in FAULTS}
lines = [[way, f"{over_seeds(way, THREE)[0]:.3f}", f"{100 * gap.mean():+.1f}",
          f"{100 * gap.min():+.1f}", f"{100 * gap.max():+.1f}"] for way, gap in gaps.items()]
print(table(["fault put in", "accuracy", "points", "lowest", "highest"], lines))
costly = [way for way, gap in gaps.items() if gap.max() < 0]
assert [way.split(":")[0] for way in costly] == ["5", "6", "9", "11"]
assert all(abs(gap.mean()) < 0.02 for way, gap in gaps.items() if way not in costly)
bars({way: over_seeds(way, THREE)[0] for way in ("repaired", *FAULTS)},
     x="accuracy, mean of three seeds")

# %% [markdown]
# Four faults cost accuracy with each of the three seeds. Labels the wrong way round (9) cost most, then steps that are too large (5) and gradients that are never cleared (6). A foreign tokenizer (11) leaves little of what could be learned: the ids mean other words.
#
# The other four (4, 7, 8, 10) show no effect here. Their mean differences are below two points, in both directions, and three seeds and 300 reviews cannot tell such differences from chance. Do not conclude that they are harmless. The second softmax, for example, takes the gradient away just where the model is sure and wrong.
#
# ## A small run of your own
#
# The same call, live: eight reviews of each class. The losses are returned, one for each step, so you can look at what happened.

# %%
train = movie_reviews(collection="rotten_tomatoes")["train"]
classes = [[text for text, label in zip(train["text"][:100], train["label"][:100]) if label == c]
           for c in (0, 1)]
sentences = classes[0][:8] + classes[1][:8]
losses = repaired.fine_tune(sentences, [0] * 8 + [1] * 8, batch_size=8, seed=13)
print(len(losses), "steps; the last loss is below the first:", losses[-1] < losses[0])
print("its own sentences, right:", sum(np.array(repaired.predict(sentences)) == [0] * 8 + [1] * 8),
      "of", len(sentences))
print("asked with:", repaired.prompt, repaired.goodToken, repaired.badToken)

# %% [markdown]
# Right answers on the sentences it was tuned on say little. That is why the tables above use other reviews.
#
# ## Where the repaired code fails
#
# Clean code does not make the model understand. Here are four sentences for the zero-shot question, before any tuning.

# %%
fresh = Prompting(model=CHECKPOINT)
HARD = ("This film is not good.", "This film is not bad at all.",
        "I expected a masterpiece and got a lecture.", "I laughed and I cried.")
hard = [fresh.compute_tokens_prob(f"{text} Because it was [MASK].", *LISTS["two against two"])[0]
        for text in HARD]
for text, share in zip(HARD, hard):
    print(f"{share.item():.2f}  {text}")
assert (hard[0] > 0.5 > hard[1] and hard[3] < 0.5) or not OURS

# %% [markdown]
# The number is the share of the good words. The first two are the wrong way round: the model sees *good* and *bad* and pays little attention to *not*. For the third, which is blame without a word of blame, it cannot decide. And whoever laughed and cried at a film mostly means praise.
#
# Such sentences are one kind of error. Whether they explain the accuracy of about seven in ten is another question: [Zero-shot sentiment](zero_shot_sentiment.ipynb) counts, and finds hardly a difference.
#
# ## Take-away
#
# - A logit has no fixed zero. Compare probabilities, or differences of logits, and never sums over lists of different lengths.
# - A fault that raises no error needs a test of its own. Good tests say what must *not* change: the answer under a shift, the loss at positions that do not count, the gradient when a sentence comes again.
# - Refuse what you cannot use. A word that silently counts as 0 is worse than an error.
# - Measure a repair on the same texts, with an interval, and measure each part of it alone. Some faults cost much, some nothing that can be seen.
# - A model that answers everything alike has learned nothing, even when its training raises no error. Look at the answers, not only at the accuracy.
