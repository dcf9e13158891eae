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
# # Three families, one budget
#
# You know three ways to learn from plain text: fill gaps (BERT), write the next token (GPT), write what was taken out (T5).
# Which one is best? Published models cannot answer this: they differ in size, text, and length of training, all at once.
# This chapter compares the three with everything else equal. The models are very small, so the comparison is one that you can repeat.
#
# After this chapter you will be able to
#
# - set up a fair comparison of [objectives](../book/glossary.md#objective), and say what "fair" leaves open;
# - explain why the losses of two objectives cannot be compared, and ask all models the same question instead;
# - say what an encoder, a decoder and an encoder-decoder can and cannot do after pretraining;
# - read [ablations](../book/glossary.md#ablation) with the spread of several [seeds](../book/glossary.md#seed), and tell a result from luck;
# - repeat the first steps of a committed run.
#
# Reading and running take about 40 minutes, the exercises about as long again.
# Read [Masked language modelling](masked_lm.ipynb), [Causal language modelling](causal_lm.ipynb) and [Sequence to sequence](sequence_to_sequence.ipynb) first.

# %% [markdown]
# ## The budget
#
# What has to be equal? The text, the [vocabulary](../book/glossary.md#vocabulary), the number of [parameters](../book/glossary.md#parameter), and the number of tokens that are read. Each variant has a [recipe](../book/glossary.md#recipe), and each recipe was run with several seeds. The next cell reads the recipes and builds the models without memory for their numbers.

# %% tags=["install", "hide-input"]
# Set-up, written from site.toml: says what to do when the course package is missing.
import importlib.util

if importlib.util.find_spec("companion") is None:
    raise ImportError("The course package is missing. Locally: run `make book`, choose .venv "
                      "as the kernel. On Colab: first set `repository` in site.toml.")

# %%
import json
import math
import tempfile
from pathlib import Path
from statistics import mean, stdev  # math and stdev are for the exercises
from textwrap import fill

import numpy as np
import torch
import transformers
from transformers import AutoTokenizer

from companion import rerun
from companion.__main__ import main
from companion.comparison import Comparison, clear, interval, shown
from companion.display import curves, read_log, table
from companion.exercises import check
from companion.objectives import spans
from companion.pretraining import Recipe, pretrain
from companion.pretraining.tasks import TASKS

# %%
VARIANTS = ("bert", "gpt", "t5", "bert-nsp", "bert-shared", "bert-factorised", "bert-plain")
recipes = {name: Recipe.read(f"families-{name}") for name in VARIANTS}


def count(recipe: Recipe, size: int = 2000) -> int:
    """The number of parameters of a recipe's model."""
    kind = transformers.CONFIG_MAPPING[recipe.model.kind]
    auto = getattr(transformers, TASKS[recipe.objective].model)
    with torch.device("meta"):
        ends = {"bos_token_id": 3, "eos_token_id": 3}  # GPT-2's own lie outside
        model = auto.from_config(kind(vocab_size=size, **ends, **recipe.model.config))
    return sum(p.numel() for p in model.parameters())


sizes = {name: count(recipe) for name, recipe in recipes.items()}
print(table(["variant", "objective", "parameters", "row tokens"],
            [[name, r.objective, f"{sizes[name]:,}", f"{r.training.tokens:,}"]
             for name, r in recipes.items()]))
three = [sizes[name] for name in ("bert", "gpt", "t5")]
assert max(three) / min(three) - 1 < 0.04
assert len({str(r.training) + str(r.text) for r in recipes.values()}) == 1

# %% [markdown]
# The first three variants are the families. Their numbers of parameters differ by less than 4 %. The T5 has two layers in its [encoder](../book/glossary.md#encoder) and two in its [decoder](../book/glossary.md#decoder). A decoder layer has a second [attention](../book/glossary.md#attention), so its [feed-forward networks](../book/glossary.md#feed-forward-network) are narrower than those of the others. Sentinels are not counted here.
#
# The others change one thing of `bert` each. They come back below.
#
# Two aids are the same for all families, because the models are small and the budget is too:
#
# - a [head start](../book/glossary.md#head-start): token vectors from counts of neighbours, and half of the [attention heads](../book/glossary.md#attention-head) begin by looking at a fixed distance. T5's decoder also looks at its encoder, so it gets a third thing: half of the heads between the two begin by looking at the same token as the one that the decoder has just read. One variant, `bert-plain`, does without any head start;
# - [Muon](../book/glossary.md#muon), an optimiser for the matrices between hidden layers. It makes each step equally long in all directions of a matrix, so that rare directions are learned too (Jordan et al., 2024). Everything else is trained by [AdamW](../book/glossary.md#adamw).
#
# The course publishes the recipes and the logs. The models themselves are not in the repository: a run takes some minutes, and there are many.

# %% [markdown]
# ## One row, three questions
#
# All three read rows of 128 tokens. What are they asked? With $x$ for the tokens of a row:
#
# $$\text{BERT: } \sum_{i \in M} -\ln p(x_i \mid x_{\setminus M}) \qquad
# \text{GPT: } \sum_{i \ge 2} -\ln p(x_i \mid x_1 \dots x_{i-1}) \qquad
# \text{T5: } \sum_{t} -\ln p(y_t \mid y_1 \dots y_{t-1}, x_{\setminus S})$$
#
# $M$ is the set of masked places, $S$ the spans that were taken out, and $y$ the spans with their [sentinels](../book/glossary.md#sentinel). Here are the three questions about the beginning of one row of the training text. (It was packed for BERT, with `[CLS]` in front and `[SEP]` at the end. The rows of the others begin with text.)

# %%
START = Path("../benchmarks/results/families/start")
tokenizer = AutoTokenizer.from_pretrained(START)
kept = np.load(START / "rows.npz")
row = kept["train"][7:8]


def batch_of(name: str, rows: np.ndarray, number: int = 0) -> tuple[dict, object]:
    """Batch `number` of a variant, and its tokenizer."""
    task, recipe = TASKS[recipes[name].objective], recipes[name]
    made = task.prepare(AutoTokenizer.from_pretrained(START), recipe)
    return task.collator(recipe, made)(rows, number), made


asked_for = {}
for name in ("bert", "gpt", "t5"):
    batch, made = batch_of(name, row)
    labels = batch["labels"][0]
    asked_for[name] = int((labels != -100).sum())
    print(f"{name}: {asked_for[name]} of {row.size} row tokens are asked for")
    print(fill("reads " + made.decode(batch["input_ids"][0, :45]), 95))
    print(fill("asked " + made.decode(labels[labels != -100][:22]), 95), end="\n\n")
assert asked_for == {"bert": 19, "gpt": 127, "t5": 27}

# %% [markdown]
# From the same row, GPT gets 127 answers to learn from, T5 gets 27 and BERT 19. This is the first difference between the families, and it has nothing to do with what is learned: a causal model wastes no token.
#
# BERT's few answers come with more to read: both sides of the gap.
#
# ## Losses that cannot be compared
#
# Each log has a [held-out](../book/glossary.md#held-out) loss in [nats](../book/glossary.md#nat). It is tempting to put the three curves into one picture and call the lowest the best. To see why this is wrong, look at what is easy in each question.
#
# Take the simplest forecaster: it knows how often each *label* occurs, and nothing else. Its loss is the cross-entropy of these frequencies.

# %%
def by_frequency(name: str) -> float:
    """The loss of label frequencies, counted in training rows, on validation rows."""
    counts = np.ones(2100)
    for number in range(8):  # other gaps in the same rows
        labels = batch_of(name, kept["train"], number)[0]["labels"].numpy()
        counts += np.bincount(labels[labels >= 0], minlength=2100)
    held = batch_of(name, kept["validation"])[0]["labels"].numpy()
    return float(-np.log(counts / counts.sum())[held[held >= 0]].mean())


levels = {name: by_frequency(name) for name in ("bert", "gpt", "t5")}
batch, made = batch_of("t5", kept["validation"])
labels = batch["labels"]
marks = torch.isin(labels, torch.tensor([*spans.sentinels(made), made.eos_token_id]))
print(f"loss of frequencies: { {name: round(level, 1) for name, level in levels.items()} }")
print(f"T5's labels that are sentinels or eos: {marks.float().mean():.2f}")
assert levels["t5"] < min(levels["bert"], levels["gpt"]) - 0.4
assert abs(levels["bert"] - levels["gpt"]) < 0.2 and marks.float().mean() > 0.25

# %% [markdown]
# For T5 the level is clearly lower. More than a quarter of its labels are sentinels and the end of the text. Which sentinel comes next is no secret: they are numbered. (A text may hold an eos of its own as well, so the share is a little above 8 of 27.) One and the same loss may be a success for BERT and a failure for T5.
#
# BERT and GPT begin at the same level. Still their losses answer different questions: what stands in a gap, given both sides, and what comes next, given the left side. The first has more to go on. So it is an easier question. A lower loss of BERT does not mean a better model.
#
# So the next picture shows how each family *learns*. It is not a race between them. Each curve is the mean of a family's runs; the last loss of each run is printed.

# %%
found = Comparison.read()


def mean_curve(name: str) -> tuple[list, list]:
    """Row tokens, and the mean held-out loss over the seeds."""
    each = [found.curve(name, seed) for seed in sorted(found.logs[name])]
    return each[0][0], [mean(losses) for losses in zip(*(losses for _, losses in each))]


for name in ("bert", "gpt", "t5"):
    tokens, losses = mean_curve(name)
    last = found.values(name, "loss")
    print(f"{name:5} held-out loss {losses[0]:.2f} -> {losses[-1]:.2f}, below its frequencies by "
          f"{levels[name] - losses[-1]:.2f}; each run: {', '.join(f'{v:.2f}' for v in last)}")
    assert losses[-1] < levels[name] - 0.7 and max(last) - min(last) < 0.3
curves({name: mean_curve(name) for name in ("bert", "gpt", "t5")},
       x="row tokens", y="held-out loss, own question (nats)")

# %% [markdown]
# The runs of a family end close together. BERT begins at its frequencies, because the head start sets the bias of its output to them; the others have no such bias. At the end T5 has the lowest loss of the three. Does it know most, then? Its labels are of three kinds, so take its loss apart:
#
# - *marks*: sentinels and eos;
# - the *first* token of each span: only the encoder's states can tell the decoder what it is;
# - *later* tokens of a span: the decoder has just read the token before.

# %%
def middle(name: str, key: str) -> float:
    """The mean of a measure over the runs of a variant."""
    return mean(found.values(name, key))


def spread(name: str, key: str, digits: int = 3) -> str:
    """Mean ± standard deviation over the runs of a variant."""
    return shown(found.values(name, key), f"{{:.{digits}f}}")


frequency = found.measures["baseline"][0]
for kind in ("marks", "first", "later"):
    print(f"t5, {kind:5} {spread('t5', kind + '_nats', 2)} nats")
print(f"an ordinary token by its frequency: {frequency['fill_nats']:.2f} nats")
last = {name: found.values(name, "loss") for name in ("bert", "gpt", "t5")}
assert max(last["t5"]) < min(last["bert"]) < max(last["bert"]) < min(last["gpt"])
assert max(found.values("t5", "marks_nats")) < 1
for kind in ("first_nats", "later_nats"):
    assert middle("bert", "loss") + 1.2 < middle("t5", kind)
    assert max(found.values("t5", kind)) < frequency["fill_nats"] - 0.6

# %% [markdown]
# T5's marks are cheap, and they pull the mean down. Its words cost over one nat more than BERT's. This is not quite the same question either, as T5's gaps are longer. But it shows that a low sum says little: only its parts tell.
#
# Still, all its parts are better than frequencies: T5 has left the [unigram plateau](../book/glossary.md#unigram-plateau). Does its decoder use what the encoder has read? Two measures tell:
#
# - *wrong text*: the loss of first tokens when the encoder reads another row. A decoder that does not look at the encoder would not mind;
# - *sentinel seen*: a head between decoder and encoder gives attention from a sentinel to the same sentinel on the other side. This is the share in the head that gives most. Behind the sentinel the gap begins, and around it stand the words that say what is missing.
#
# Beside them stand three runs of T5 without the third part of its head start. They were made by the same recipe, before the course's code had this part, and their measures were kept in a file.

# %%
file = Path("../benchmarks/results/families_t5_unmatched.jsonl")
unmatched = [json.loads(line) for line in file.read_text(encoding="utf8").splitlines()]


def without(key: str) -> list[float]:
    """A measure of the runs of T5 without matched heads."""
    return [run[key] for run in unmatched]


keys = {"held-out loss": "loss", "first token": "first_nats", "later token": "later_nats",
        "first token, wrong text": "other_nats", "sentinel seen": "sentinel_seen"}
print(table(["t5", "with the third part", "without it"],
            [[name, spread("t5", key, 2), shown(without(key), "{:.2f}")]
             for name, key in keys.items()]))
assert min(found.values("t5", "sentinel_seen")) > 0.95 > 0.4 > max(without("sentinel_seen"))
assert min(found.values("t5", "other_nats")) > frequency["fill_nats"] + 0.8
assert all(abs(a - b) < 0.2 for a, b in zip(without("first_nats"), without("other_nats")))
assert all(value > frequency["fill_nats"] for value in without("first_nats"))
assert 0.6 < mean(without("first_nats")) - middle("t5", "first_nats") < 0.9
assert 0.1 < mean(without("loss")) - middle("t5", "loss") < 0.2
assert abs(mean(without("later_nats")) - middle("t5", "later_nats")) < 0.05

# %% [markdown]
# With the third part, T5 looks at its sentinel with nearly all the attention of a head. The wrong text makes its guesses worse than frequencies, so its guesses do come from what the encoder reads.
#
# Without it, T5 stays on the plateau in what counts. First tokens cost what frequencies cost, and the wrong text makes little difference. These runs had learned where spans end, and a little about which token follows another. They had not discovered [cross-attention](../book/glossary.md#cross-attention) within this budget.
#
# Look at the held-out loss of the two: it hardly shows the difference. First tokens are few, and the later tokens of a span did not get cheaper.
#
# This is no judgement of span corruption. Its authors trained on many thousand times more tokens and needed no head start, and [Sequence to sequence](sequence_to_sequence.ipynb) trains a small T5 that uses its encoder without one.
#
# ## The table
#
# Now the comparison itself. One command makes it from the logs and from a file of measures, both in the repository. In a terminal it is `python -m companion compare`; here is the same function.

# %%
code = main(["compare"])
assert code == 0

# %% [markdown]
# The table has three parts: the families, the ablations, and the differences of the ablations from `bert`.
#
# - *untrained* is a BERT with random weights. *No network* is what counting can do: a [bag](../book/glossary.md#bag-of-words) of the same tokens for classification, frequencies of tokens for the rest.
# - ± is one [standard deviation](../book/glossary.md#standard-deviation) over the seeds.
# - *Tokens a second* come from the logs. The machine had other work at the time, so they are no measurement. The *operations* were counted, and do not depend on the machine.
#
# - A star means that zero lies outside the 95 % interval of the seeds. There are many comparisons in the table, and one in twenty gets its star by chance alone.
#
# The following sections go through it, question by question.

# %% [markdown]
# ## The same question: one hidden token
#
# A fair question must be one that all three can answer. In the middle of each of 1,000 test reviews one token is hidden, at the same place for all:
#
# - BERT reads both sides, with `[MASK]` in the gap;
# - T5 reads both sides too, with a sentinel in the gap, and its decoder writes the token behind that sentinel. It does not know how many tokens are missing, which BERT does;
# - GPT reads the left side alone. It has no way to look at the right.
#
# All choose among the same ordinary tokens. Now the losses can be compared, for they are answers to one question.

# %%
print(table(["", "loss (nats)", "first guess right", "among five"],
            [[name, spread(name, "fill_nats", 2), spread(name, "fill_top1"),
              spread(name, "fill_top5")] for name in ("bert", "gpt", "t5")]))
assert frequency["setting"]["test"] == 1000
print(f"frequencies alone: {frequency['fill_nats']:.2f} nats, {frequency['fill_top1']:.3f}, "
      f"{frequency['fill_top5']:.3f}")
assert middle("bert", "fill_nats") + 0.1 < middle("gpt", "fill_nats") < frequency["fill_nats"] - 1
assert middle("gpt", "fill_nats") + 0.8 < middle("t5", "fill_nats")
assert max(found.values("t5", "fill_nats")) < frequency["fill_nats"] - 0.9
assert middle("t5", "fill_top1") > 2 * frequency["fill_top1"]
assert middle("t5", "fill_top1") < 0.6 * middle("gpt", "fill_top1")

# %% [markdown]
# BERT's loss is lower than GPT's: the right side helps. Yet GPT is not far behind, although it sees only half of the row. It had more than six times as many answers to learn from.
#
# T5 sees as much as BERT. It does clearly better than frequencies: its first guess is right more than twice as often. And it is far behind both others, as the parts of its loss had announced. Its own loss was the lowest, and its answers to the common question are the worst.
#
# Why is it behind? The table cannot tell. It got as few answers about words as BERT. A token passes through half as many layers. In its training the neighbours of a missing token were often missing too. And its way from the gap to the answer is longer, through two stacks.

# %% [markdown]
# ## Vectors for a classifier
#
# The second question is what the [hidden states](../book/glossary.md#hidden-state) hold. The mean of the last layer over the first 126 tokens of a review is one vector ([pooling](../book/glossary.md#pooling)). Logistic regression on 2,000 such vectors learns whether a review is positive: a [linear probe](../book/glossary.md#linear-probe). Of the T5 the encoder is asked.

# %%
print(table(["features", "accuracy on 1,000 test reviews"],
            [[name, spread(name, "classification")] for name in ("bert", "gpt", "t5", "untrained")]
            + [["bag of the same tokens", f"{frequency['classification']:.3f}"],
               ["the largest class", f"{frequency['majority']:.3f}"]]))
assert frequency["setting"]["length"] == 126 and frequency["setting"]["train"] == 2000
print(f"reviews that are longer, and were cut: {frequency['longer']:.2f}")
families = [middle(name, "classification") for name in ("bert", "gpt", "t5")]
assert middle("untrained", "classification") < min(families) < max(families) < 0.7
assert frequency["classification"] > 0.7
error = math.sqrt(0.65 * 0.35 / 1000)
print(f"standard error of an accuracy of 0.65 on 1,000 reviews: {error:.3f}")
assert round(error, 3) == 0.015 and frequency["classification"] > max(families) + 2 * error
print(f"t5 without the third part: {shown(without('classification'), '{:.3f}')}")
assert mean(without("classification")) > max(families) - 0.01

# %% [markdown]
# Did pretraining help at all here? Compare each family with *untrained* seed by seed. The interval is explained [below](#one-change-at-a-time): where zero lies inside, the seeds do not show a difference.

# %%
for name in ("bert", "gpt", "t5"):
    gains = found.differences(name, "classification", base="untrained")
    centre, half = interval(gains)
    print(f"{name:4} minus untrained: mean {centre:+.3f}, interval {centre - half:+.3f} to "
          f"{centre + half:+.3f}, zero inside: {not clear(gains)}")
    assert centre > 0 and len(gains) == 3 and not clear(gains)

# %% [markdown]
# No network of this size and budget reaches the bag of tokens. A bag keeps every word, and for "is this review positive?" single words go far. A mean of 128 numbers has room for less.
#
# Look at *untrained*, too. Random weights already mix the tokens of a text into a vector, and a probe can use it. Only what lies above this line could have been learned. The means of the three families are higher. But there are three seeds, and zero lies inside each interval: this probe does not show that anything was learned. The families also lie close to each other. With 1,000 reviews the standard error of one accuracy is about 0.015, so do not read an order into the third digit.
#
# There is a warning in the T5's number. Its encoder does as well here as BERT, although T5 knows far less about words. Even the runs without the third part of its head start do as well, and their decoders never used the encoder. So this probe cannot tell much about pretraining here: a part of what it finds may come from the head start, which the untrained model does not have.
#
# ## Writing on
#
# The third question is to write. Each model gets the first 20 tokens of 200 test reviews and writes 20 more, drawn at [temperature](../book/glossary.md#temperature) 1 with the same random numbers.
#
# - GPT does what it was trained for.
# - BERT gets a mask behind the text, fills it, gets the next mask, and so on. In training it nearly always saw something to the right.
# - T5 reads the prompt with a sentinel behind it, and writes in its decoder. In training a span had about three tokens. It may not end the span here, so it has to go on.
#
# How good is the result? A yardstick that belongs to none of them: a Kneser-Ney [trigram model](../book/glossary.md#n-gram-model), counted on training reviews. It says how many bits each written token costs. The aim is not the lowest number. Text that says "the the the" is cheap. The aim is the number that real reviews have.

# %%
real, setting = frequency["real"], frequency["setting"]
assert setting["prompt"] == setting["written"] == 20 and setting["prompts"] == 200
print(table(["writer", "bits a token", "repeated"],
            [["the real review", f"{real['bits']:.2f}", f"{real['repeated']:.3f}"]]
            + [[name, spread(name, "bits", 2), spread(name, "repeated")]
               for name in ("gpt", "bert", "t5")]
            + [["tokens by frequency", f"{frequency['bits']:.2f}", f"{frequency['repeated']:.3f}"]]))
written = [middle(name, "bits") for name in ("gpt", "bert", "t5")]
assert real["bits"] + 1.5 < written[0] < written[1] - 0.5 and written == sorted(written)
assert written[2] < frequency["bits"] - 0.5
print(f"t5 without the third part of its head start: {shown(without('bits'), '{:.2f}')}")
assert abs(mean(without("bits")) - written[2]) < 0.1

# %% [markdown]
# *Repeated* is the share of tokens that stand earlier in the same continuation already.
#
# Here is what one run of each family wrote, unedited. The prompt comes first.

# %%
for place in range(3):
    print(fill(frequency["prompts"][place] + " ...", 95))
    print(fill("  real " + real["samples"][place], 95, subsequent_indent="    "))
    for name in ("gpt", "bert", "t5"):
        sample = found.measures[name][13]["samples"][place]
        print(fill(f"  {name:4} {sample}", 95, subsequent_indent="    "))

# %% [markdown]
# None of the three is near the real reviews, and all do better than tokens drawn by their frequency. The order is clear: GPT, then BERT, then T5.
#
# GPT writes as it was trained: one token after another, with nothing to its right. BERT knows words that fit into a gap, but at the end of a text it misses half of what it always had. It can be used as a writer, and it is a poor one.
#
# T5's decoder writes from left to right too. But it has learned to write spans of about three tokens, in gaps with text on both sides. Here it has to write 20 tokens behind the end of its text. That it reads its encoder does not help it: without the third part of the head start its text costs as many bits. This fits the parts of its loss, where later tokens did not get cheaper either.
#
# *Repeated* shows no loops: drawing at temperature 1 avoids them. They come back with [greedy decoding](../book/glossary.md#greedy-decoding).
#
# ## What a token costs
#
# Parameters and tokens are equal. Is the work? The operations of one training step were counted, forward and backward, and divided by the tokens of its rows.

# %%
costs = {name: middle(name, "operations") / 1e6 for name in VARIANTS if name in found.measures}
print(table(["variant", "million operations a row token", "of that of bert"],
            [[name, f"{cost:.2f}", f"{cost / costs['bert']:.2f}"] for name, cost in costs.items()]))
scores = 3 * 2 * 128 * 2000 / 1e6  # forward and backward, one score for each vocabulary entry
print(f"scores of the vocabulary, for one asked token: {scores:.2f} million")
for name, number in asked_for.items():
    print(f"{name}: {number} of 128 places ask, {scores * number / 128:.2f} million a row token")
assert costs["t5"] < costs["bert"] < costs["gpt"]

# %% [markdown]
# Equal parameters do not mean equal work.
#
# - GPT is the most expensive. Its layers cost what BERT's cost. The difference is the scores of the vocabulary: it needs them at every place, BERT at the masked ones alone.
# - T5 is the cheapest. A token passes through two layers instead of four: through the encoder's if it was kept, through the decoder's if it was taken out.
#
# Per *answer* the order is another one: what GPT spends on a row buys 127 answers.
#
# ## One change at a time
#
# RoBERTa dropped BERT's [next-sentence prediction](../book/glossary.md#next-sentence-prediction) (Liu et al., 2019). ALBERT shared one layer and factorised the [embedding](../book/glossary.md#factorised-embedding) (Lan et al., 2020). Our `bert` has none of these. Each ablation changes one thing:
#
# - `bert-nsp` is also asked whether two pieces belong together. Its rows are built from pairs, as that question needs.
# - `bert-shared` uses one layer four times ([cross-layer sharing](../book/glossary.md#cross-layer-parameter-sharing)).
# - `bert-factorised` has vectors of 64 numbers and a map to 128.
# - `bert-plain` begins without the head start.
#
# How large must a difference be to count? With the same seed, two variants see the rows in the same order. So take the differences seed by seed. With few seeds the interval is wide: for three it reaches 4.30 standard errors to each side, for two even 12.71 ([Student's t](../book/glossary.md#students-t)).

# %%
lines, changed = [], [name for name in VARIANTS[3:] if name in found.logs]
for name in changed:
    for key in ("masked_loss", "fill_nats", "fill_top1", "fill_top5", "classification"):
        differences = found.differences(name, key)
        centre, half = interval(differences)
        lines.append([name, key, len(differences), f"{centre:+.3f}", f"{centre - half:+.3f}",
                      f"{centre + half:+.3f}", "yes" if clear(differences) else "no"])
print(table(["variant minus bert", "measure", "seeds", "mean", "low", "high", "clear"], lines))
change = {name: mean(found.differences(name, "masked_loss")) for name in changed}
assert change["bert-plain"] > 1.2 and 0.2 < change["bert-factorised"] < 0.6
for name in VARIANTS:
    gained = [frequency["fill_nats"] - nats for nats in found.values(name, "fill_nats")]
    assert max(map(abs, gained)) < 0.1 if name == "bert-plain" else min(gained) > 0.9
assert abs(change["bert-nsp"]) < 0.15 and abs(change["bert-shared"]) < 0.15
stars = {name: [line[1] for line in lines if line[0] == name and line[-1] == "yes"]
         for name in changed}
assert stars["bert-nsp"] == ["fill_nats", "fill_top5"] and stars["bert-shared"] == ["fill_top5"]
curves({name: mean_curve(name) for name in ("bert", *changed)},
       x="row tokens", y="held-out loss (nats)", level=(levels["bert"], "frequencies"))

# %% [markdown]
# The names are those of the table above. *Masked_loss* is the loss of masked tokens in the same 256 test rows with the same masks. *Fill_nats* is the loss of one hidden token, *fill_top1* and *fill_top5* the share of right answers at the first guess and among five. (The held-out loss of `bert-nsp` in the curves is measured on its own rows, so the curve is no fair comparison and this column is.)
#
# From the largest difference to the smallest. "No clear difference" does not mean "equal": with so few seeds the intervals are wide. And one "yes" does not mean much: with so many comparisons it may be chance.
#
# - *Without the head start* the model stays on the unigram plateau for the whole budget: it answers about a hidden token by frequency. It is the only variant that does; every run of all the others is better than frequencies by nearly one nat or more. (Its curve lies below the dashed line all the same, because some chosen tokens are left unhidden, and copying them needs no context.) So whatever the table says about families, it says about families with a head start.
# - *Factorised vectors* cost something clear to see in the curves. Be careful before you blame the factorisation. The head start puts the position into 32 places of every vector: of 64 places 32 are left for the token, of 128 places 96. With a vocabulary this small there is also little to save.
# - *One shared layer* makes no clear difference in the masked loss, although the model has about half of the parameters. Among its first five guesses the right token is a little rarer, and the interval just leaves out zero. This may be a small cost, or chance. With so few tokens, parameters are not what is short. Lan et al. (2020, section 4.5) trained far longer, and there sharing did cost accuracy.
# - *The next-sentence question* makes no clear difference in the masked loss. In the table of all measures, its loss of one hidden token is a little higher and its first five guesses are a little worse. Both have a star, but both come from the same answers, and one such star may be chance. Did the model learn to answer the question at all?

# %%
nsp = [log[-1]["next_accuracy"] for log in found.logs["bert-nsp"].values()]
print("right answers about pairs of held-out reviews:", [f"{share:.2f}" for share in nsp])
print(f"parameters: bert-shared has {sizes['bert-shared'] / sizes['bert']:.2f} of bert")
assert not clear(found.differences("bert-nsp", "masked_loss"))
assert not clear(found.differences("bert-shared", "masked_loss"))
assert max(nsp) < 0.65 and recipes["bert-factorised"].model.config["embedding_size"] == 64

# %% [markdown]
# Hardly: chance is one half. The masked words had the larger part of the loss. Liu et al. (2019, section 4.2) found that BERT does without it. This run cannot confirm that: a question that was not learned can neither help nor harm much.
#
# ## Repeat it
#
# A table from files is only as good as the files. So repeat a small piece: the first 20 steps of `bert` with seed 13. Packing all reviews would take a minute. The rows of these steps and the weights before the first one lie in `benchmarks/results/families/start`.
#
# The [learning rate](../book/glossary.md#learning-rate) of a recipe depends on its length. The [warm-up](../book/glossary.md#warm-up) is a straight line, so a recipe of 20 steps with a lower peak follows the same line. `rerun.beginning` makes that recipe, and the course's own `pretrain` runs it.

# %%
bert = recipes["bert"]
short = rerun.beginning(bert, 20, START)
print(f"{bert.steps} steps become {short.steps}; the peak {bert.training.rate} becomes "
      f"{short.training.rate:.5f}")
with tempfile.TemporaryDirectory() as folder:
    out = Path(folder) / "again"
    rerun.prepare(short, START, out)
    pretrain(short, out, progress=False)
    again = read_log(out / "log.jsonl")
assert short.steps == 20

# %%
def firsts(lines: list) -> tuple[float, float]:
    """The held-out loss before training, and the mean loss of the first 20 steps."""
    held = next(line["loss"] for line in lines if line.get("event") == "validation")
    return held, next(line["train_loss"] for line in lines if line.get("step") == 20)


ours, theirs = firsts(again), firsts(found.logs["bert"][13])
for name, one, two in zip(("held-out loss at step 0", "mean loss of steps 1-20"), ours, theirs):
    print(f"{name}: here {one:.2f}, in the log {two:.2f}, closer than 0.005: "
          f"{abs(one - two) < 0.005}")
    assert abs(one - two) < 0.005
others = [firsts(found.logs["bert"][seed])[1] for seed in found.logs["bert"] if seed != 13]
assert min(abs(theirs[1] - other) for other in others) > 0.005

# %% [markdown]
# Why 0.005? The log was written by arithmetic with [bf16](../book/glossary.md#bf16). On a machine without it, the same steps are computed in full precision. We tried both: they differ in the fourth digit behind the point. And the kept weights are rounded to half precision, which moves the loss as little. Another seed moves it more than the tolerance, as the last line asserts: so the agreement is not a matter of course.
#
# ## What the table does not show
#
# - *Size.* One million parameters. GPT and T5 became famous for what appeared at sizes a thousand times larger and more.
# - *Budget.* Few tokens. The curves still fall at the end, as the next cell shows, although the learning rate goes to zero there. So the order at ten times the budget may be another one. A model that learns slowly at first is punished.
# - *The head start is not equal.* T5 gets a part of its own, for an attention that the others do not have. It was added because the first three runs of T5 stayed on the plateau. Where such help should end is our choice, and another choice may give another order.
# - *The rate was chosen once.* All variants share one learning rate. It was chosen in short trials with `bert`. A variant for which another rate is better loses something that has nothing to do with its objective.
# - *One text, one language, one kind of test.* Reviews train it and reviews test it.
# - *Equal parameters are not equal work.* See the costs. With equal operations the T5 could read more, and GPT less.
# - *After pretraining only.* All families can be [fine-tuned](../book/glossary.md#fine-tuning), and that may change their order.
# - *Few seeds.* They show luck in initial weights and order. They do not show the luck of this choice of text.

# %%
for name in ("bert", "gpt", "t5"):
    tokens, losses = mean_curve(name)
    print(f"{name}: in the last {tokens[-1] - tokens[-4]:,} row tokens the held-out loss fell by "
          f"{losses[-4] - losses[-1]:.3f}")
    assert losses[-4] > losses[-1]

# %% [markdown]
# ## Take-away
#
# - Equal text, vocabulary, parameters and tokens make a comparison fair. Learning rate, operations and number of answers are still not equal. Say what you held equal, and what not.
# - Losses of different objectives are not comparable. Ask all models one question that all can answer.
# - A sum hides its parts. T5 has the lowest loss of the three and knows least about words: its sentinels are cheap.
# - To see whether a model uses what it reads, give it the wrong text.
# - An encoder fills gaps and gives vectors. A decoder learns from every token and writes. An encoder-decoder must also find the way from its decoder to its encoder, and here it needed help for that.
# - Put beside every score what needs no training at all: frequencies, a bag of tokens, random weights.
# - Compare seed by seed, and give the interval. With two or three seeds most small differences are no result.

# %% [markdown]
# ## Exercises
#
# Each exercise is a function without a body.
# Replace `raise NotImplementedError` by your code, run the cell, and run the check below it.
# The check prints ✓, or *not attempted yet*, or a hint.
#
# When you are done, or stuck, compare with the [solutions](three_families_solutions.ipynb).

# %% [markdown]
# ### Exercise 1: how many tokens are asked for
#
# How many labels does a row give to each objective?
#
# Write `asked`.
# The check compares with what the collators of the course do.

# %%
def asked(kind: str, length: int, share: float, mean: float) -> int:
    """Count the tokens that a model is asked for in one row.

    kind: "masked", "causal" or "spans".
    length: tokens in the row. A row of a masked model begins with [CLS] and ends with
        [SEP], which are never chosen. The rows of the two others have no such frame.
    share: which part of the tokens that can be chosen is hidden; without meaning for
        "causal".
    mean: the mean length of a span, for "spans" alone.
    Numbers of tokens and of spans are rounded with `round`. For "spans" every label of
    the decoder counts: the tokens, a sentinel for each span, one more sentinel, and eos.

    Example: asked("spans", 20, 0.15, 3.0) returns 6.
    """
    raise NotImplementedError

# %%
check("families-asked", asked)

# %% [markdown]
# ### Exercise 2: among the first k
#
# A right answer need not be the first guess.
#
# Write `top_k`. Some tokens may not be an answer.

# %%
def top_k(logits: torch.Tensor, targets: torch.Tensor, allowed: torch.Tensor, k: int) -> float:
    """Compute the share of rows whose right token is among the k most probable ones.

    logits: scores of the vocabulary, shape (B, V). No two of a row are equal.
    targets: the right ids, shape (B,). All of them are allowed.
    allowed: which ids may be an answer, shape (V,), bool. At least k are.
    k: how many guesses a row has.

    Example: with scores [[9., 1., 2.]], target [1], and ids 1 and 2 allowed,
    k = 1 gives 0.0 and k = 2 gives 1.0.
    """
    raise NotImplementedError

# %%
check("families-top", top_k)

# %% [markdown]
# ### Exercise 3: bits of what was written
#
# A yardstick gave a log-probability to every token of a prompt and of its continuation.
#
# Write `written_bits`.

# %%
def written_bits(log_probs: list, written: int) -> float:
    """Return how many bits a written token costs, on average.

    log_probs: natural logarithms of the probabilities that a yardstick gives to the
        tokens of a prompt and of what was written after it, in this order.
    written: how many tokens were written. The prompt is the rest.

    Example: written_bits([-9.0, -math.log(2), -3 * math.log(2)], 2) returns 2.0.
    """
    raise NotImplementedError

# %%
check("families-bits", written_bits)

# %% [markdown]
# ### Exercise 4: an interval for a difference
#
# Two variants ran with the same seeds.
#
# Write `paired_interval`. The functions `mean` and `stdev` are imported already.

# %%
def paired_interval(first: list, second: list, factor: float) -> tuple:
    """Return the two ends of the confidence interval of first minus second.

    first, second: a measure of two variants, one number for each seed, in the same order
        of seeds.
    factor: how many standard errors the interval reaches to each side.
    The standard error of the mean difference is the standard deviation of the
    differences (with n - 1), divided by the root of their number.

    Example: paired_interval([3.0, 5.0], [1.0, 1.0], 2.0) returns (1.0, 5.0).
    """
    raise NotImplementedError

# %%
check("families-interval", paired_interval)
