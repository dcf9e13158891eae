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
import tempfile
from pathlib import Path
from statistics import mean, stdev
from textwrap import fill

import numpy as np
import torch
import transformers
from transformers import AutoTokenizer

from companion import rerun
from companion.__main__ import main
from companion.comparison import Comparison, clear, interval
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
        model = auto.from_config(kind(vocab_size=size, **recipe.model.config))
    return sum(p.numel() for p in model.parameters())


sizes = {name: count(recipe) for name, recipe in recipes.items()}
print(table(["variant", "objective", "parameters", "row tokens"],
            [[name, r.objective, f"{sizes[name]:,}", f"{r.training.tokens:,}"]
             for name, r in recipes.items()]))
three = [sizes[name] for name in ("bert", "gpt", "t5")]
assert max(three) / min(three) < 1.03
assert len({str(r.training) + str(r.text) for r in recipes.values()}) == 1

# %% [markdown]
# The first three variants are the families. Their numbers of parameters differ by less than 3 %. The T5 has two layers in its [encoder](../book/glossary.md#encoder) and two in its [decoder](../book/glossary.md#decoder). A decoder layer has a second [attention](../book/glossary.md#attention), so its [feed-forward networks](../book/glossary.md#feed-forward-network) are narrower than those of the others. Sentinels are not counted here.
#
# The others change one thing of `bert` each. They come back below.
#
# Two aids are the same for all families, because the models are small and the budget is too:
#
# - a [head start](../book/glossary.md#head-start): token vectors from counts of neighbours, and half of the [attention heads](../book/glossary.md#attention-head) begin by looking at a fixed distance. One variant, `bert-plain`, does without it;
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
# $M$ is the set of masked places, $S$ the spans that were taken out, and $y$ the spans with their [sentinels](../book/glossary.md#sentinel). Here are the three questions about the beginning of one row of the training text.

# %%
START = Path("../benchmarks/results/families/start")
tokenizer = AutoTokenizer.from_pretrained(START)
kept = np.load(START / "rows.npz")
row = kept["train"][3:4]


def batch_of(name: str, rows: np.ndarray) -> tuple[dict, object]:
    """A training batch of a variant, and its tokenizer."""
    task, recipe = TASKS[recipes[name].objective], recipes[name]
    made = task.prepare(AutoTokenizer.from_pretrained(START), recipe)
    return task.collator(recipe, made)(rows), made


asked = {}
for name in ("bert", "gpt", "t5"):
    batch, made = batch_of(name, row)
    labels = batch["labels"][0]
    asked[name] = int((labels != -100).sum())
    print(f"{name}: {asked[name]} of {row.size} row tokens are asked for")
    print(fill("reads " + made.decode(batch["input_ids"][0, :45]), 95))
    print(fill("asked " + made.decode(labels[labels != -100][:22]), 95), end="\n\n")
assert asked == {"bert": 19, "gpt": 127, "t5": 27}

# %% [markdown]
# From the same row, GPT gets 127 answers to learn from, T5 gets 27 and BERT 19. This is the first difference between the families, and it has nothing to do with what is learned: a causal model wastes no token.
#
# BERT's few answers come with more to read: both sides of the gap.
#
# ## Losses that cannot be compared
#
# Each log has a [held-out](../book/glossary.md#validation-set) loss in nats. It is tempting to put the three curves into one picture and call the lowest the best. To see why this is wrong, look at what is easy in each question.
#
# Take the simplest forecaster: it knows how often each *label* occurs, and nothing else. Its loss is the cross-entropy of these frequencies.

# %%
def by_frequency(name: str) -> float:
    """The loss of label frequencies, counted in training rows, on validation rows."""
    counts = np.ones(2100)
    labels = batch_of(name, kept["train"])[0]["labels"].numpy()
    held = batch_of(name, kept["validation"])[0]["labels"].numpy()
    counts += np.bincount(labels[labels >= 0], minlength=2100)
    return float(-np.log(counts / counts.sum())[held[held >= 0]].mean())


levels = {name: by_frequency(name) for name in ("bert", "gpt", "t5")}
batch, made = batch_of("t5", kept["validation"])
labels = batch["labels"]
marks = torch.isin(labels, torch.tensor([*spans.sentinels(made), made.eos_token_id]))
print(f"loss of frequencies: { {name: round(level, 1) for name, level in levels.items()} }")
print(f"T5's labels that are sentinels or eos: {marks.float().mean():.2f}")
assert levels["t5"] < min(levels["bert"], levels["gpt"]) - 0.8
assert abs(levels["bert"] - levels["gpt"]) < 0.2 and marks.float().mean() > 0.25

# %% [markdown]
# For T5 the level is far lower. More than a quarter of its labels are sentinels and the end of the text. Which sentinel comes next is no secret: they are numbered. (A text may hold an eos of its own as well, so the share is a little above 8 of 27.) A loss of 5 nats would be a success for BERT and a failure for T5.
#
# BERT and GPT begin at the same level. Still their losses answer different questions: what stands in a gap, given both sides, and what comes next, given the left side. The first has more to go on. That makes it an easier question, and BERT's lower loss no better answer.
#
# So the next picture shows how each family *learns*. It is not a race between them.

# %%
found = Comparison.read()


def mean_curve(name: str) -> tuple[list, list]:
    """Row tokens, and the mean held-out loss over the seeds."""
    each = [found.curve(name, seed) for seed in sorted(found.logs[name])]
    return each[0][0], [mean(losses) for losses in zip(*(losses for _, losses in each))]


for name in ("bert", "gpt", "t5"):
    tokens, losses = mean_curve(name)
    last = found.values(name, "loss")
    print(f"{name:5} runs {len(last)}, held-out loss {losses[0]:.2f} -> {losses[-1]:.2f}, "
          f"below its frequencies by {levels[name] - losses[-1]:.2f}")
    assert losses[-1] < levels[name] - 0.7 and max(last) - min(last) < 0.3
curves({name: mean_curve(name) for name in ("bert", "gpt", "t5")},
       x="row tokens", y="held-out loss, own question (nats)")

# %% [markdown]
# All runs of a family end close together, and all leave the [unigram plateau](../book/glossary.md#unigram-plateau).
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
def spread(name: str, key: str, digits: int = 3) -> str:
    """Mean ± standard deviation over the runs of a variant."""
    values = found.values(name, key)
    return f"{mean(values):.{digits}f} ± {stdev(values):.{digits}f}"


def middle(name: str, key: str) -> float:
    return mean(found.values(name, key))


print(table(["", "loss (nats)", "first guess right", "among five"],
            [[name, spread(name, "fill_nats", 2), spread(name, "fill_top1"),
              spread(name, "fill_top5")] for name in ("bert", "gpt", "t5")]))
frequency = found.measures["baseline"][0]
print(f"frequencies alone: {frequency['fill_nats']:.2f} nats, {frequency['fill_top1']:.3f}, "
      f"{frequency['fill_top5']:.3f}")
assert middle("bert", "fill_top1") > middle("gpt", "fill_top1") > frequency["fill_top1"]
