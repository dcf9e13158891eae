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
# # ALBERT NER
#
# A pretrained [encoder](../book/glossary.md#encoder) knows which characters go together. This chapter teaches it to find names: people, places and organisations in Chinese news.
#
# After this chapter you will be able to
#
# - put a tagging [head](../book/glossary.md#head) on any encoder, and say which positions count in its loss;
# - use an encoder in two ways: frozen, as a maker of features, and fine-tuned;
# - say what a [CRF](../book/glossary.md#crf) adds to a softmax, and find its best labels yourself;
# - measure what pretraining brings, with several [seeds](../book/glossary.md#seed) and three sizes of training data;
# - read the mistakes of a tagger, and tag your own sentence.
#
# Reading and running take about 40 minutes, the exercises about as long again.
# The notebook itself runs in about a minute on two CPU cores.
# Read [Chinese NER data](chinese_ner_data.ipynb) first: it says what the corpus calls a name.

# %% [markdown]
# ## From hidden states to tags
#
# An encoder gives each token $t$ a [hidden state](../book/glossary.md#hidden-state) $h_t$, a row of numbers. A tagger turns it into one score for every label:
#
# $$e_t = W h_t + b$$
#
# With [BIO](../book/glossary.md#bio) tags and three types there are seven labels: O, and B and I for each type.

# %% tags=["install", "hide-input"]
# Set-up, written from site.toml: says what to do when the course package is missing.
import importlib.util

if importlib.util.find_spec("companion") is None:
    raise ImportError("The course package is missing. Locally: run `make book`, choose .venv "
                      "as the kernel. On Colab: first set `repository` in site.toml.")

# %%
import json
import tempfile
from collections import defaultdict
from pathlib import Path
from statistics import fmean, stdev

import numpy as np
import torch
from IPython.display import HTML
from torch.nn.functional import cross_entropy
from transformers import (
    AlbertConfig,
    AlbertModel,
    AutoModelForTokenClassification,
    AutoTokenizer,
)

from companion import checkpoints, display_entities
from companion.display import curves, table
from companion.exercises import check
from companion.ner import people, schemes, scoring
from companion.ner.tagger import AlbertTagger
from companion.ner.training import Settings, train

# %%
ENCODER = "albert-mini-zh"  # or a hub id, or a folder: any ALBERT or BERT
OURS = ENCODER == "albert-mini-zh"  # some checks below are about this one
tagger = AlbertTagger.new(ENCODER, seed=13)
print(tagger.labels)
print(f"{tagger.parameters:,} parameters, {tagger.network.classifier.weight.numel():,} of them "
      f"in W; rows of at most {tagger.longest} tokens")

# %% [markdown]
# `AlbertTagger.new` loads the encoder and puts a fresh $W$ on it. Nothing else is new.
#
# Here are the sentences. The [splits](../book/glossary.md#split) go by blocks of neighbouring lines, as the chapter before explains.

# %%
data = people.load()
print({split: len(part) for split, part in data.items()})
example = next(x for x in data["train"] if 15 < len(x.text) < 25 and len(x.entities) > 1)
print(display_entities.brackets(example.text, example.entities))

# %% [markdown]
# ## Which positions count
#
# The model reads one row of ids. `[CLS]` and `[SEP]` are no tokens of the text, and [padding](../book/glossary.md#padding) is nothing at all. They get the label −100, which means: do not count.
# All tokens of the text count, also those with the label O. A model must learn where no name is.

# %%
batch = tagger.rows([example]).batch(np.array([0]))
ids, labels = batch["input_ids"][0].tolist(), batch["labels"][0].tolist()
print(table(["position", "token", "label"],
            [[i, tagger.tokenizer.convert_ids_to_tokens(ids[i]),
              "-" if label == -100 else tagger.labels[label]] for i, label in enumerate(labels)]))

# %% [markdown]
# The loss is the mean [cross-entropy](../book/glossary.md#cross-entropy) over the positions that count. Test it as you tested the loss of masked language modelling: it must not change when something changes where nothing counts.

# %%
batch = tagger.rows(data["train"][:16]).batch(np.arange(16))
real, counts = batch["attention_mask"].bool(), batch["labels"] != -100
with torch.inference_mode():
    before = tagger.network(batch).item()
    states = tagger.network.states(batch["input_ids"], batch["attention_mask"])
    scores = tagger.network.emissions(states, batch["attention_mask"])
    scores[~counts] = torch.randn_like(scores[~counts])
    after = cross_entropy(scores.mT, batch["labels"]).item()
print(f"{counts.sum()} positions count, {(real & ~counts).sum()} hold special tokens, "
      f"{(~real).sum()} are padding")
print("nonsense elsewhere leaves the loss as it was:", abs(before - after) < 1e-5)
assert abs(before - after) < 1e-5 and (real & ~counts).sum() == 32

# %% [markdown]
# This network has a name in transformers: `AlbertForTokenClassification`, and for a BERT `BertForTokenClassification`. A tagger that is saved is a folder of this class, so everything that reads such folders can use it.

# %%
with tempfile.TemporaryDirectory() as place:
    tagger.save(Path(place) / "tagger")
    theirs = AutoModelForTokenClassification.from_pretrained(Path(place) / "tagger").eval()
    with torch.inference_mode():
        out = theirs(**batch)
print(f"same loss in {type(theirs).__name__}:", abs(out.loss.item() - before) < 1e-5)
assert abs(out.loss.item() - before) < 1e-5

# %% [markdown]
# ## Two ways to use an encoder
#
# The article that this course grew from takes ALBERT as a maker of features. The encoder is [frozen](../book/glossary.md#frozen): its parameters never change. On top stands a *task model* that learns, there a [BiLSTM](../book/glossary.md#bilstm). This is [feature extraction](../book/glossary.md#feature-extraction).
# The other way is [fine-tuning](../book/glossary.md#fine-tuning): all parameters learn, and the task model can be as small as $W$.

# %%
ways = {
    "fine-tuned, softmax": dict(head="softmax"),
    "fine-tuned, CRF": dict(head="crf"),
    "frozen, BiLSTM-CRF": dict(task="bilstm", head="crf", frozen=True),
}
rows = []
for name, arguments in ways.items():
    network = AlbertTagger.new(ENCODER, **arguments).network
    sizes = {part: sum(p.numel() for n, p in network.named_parameters()
                       if n.startswith("encoder") == part) for part in (True, False)}
    learn = sum(p.numel() for p in network.parameters() if p.requires_grad)
    rows.append([name, f"{sizes[True]:,}", f"{sizes[False]:,}", f"{learn:,}"])
print(table(["way", "encoder", "on top", "that learn"], rows))

# %% [markdown]
# A frozen encoder needs to read every sentence only once: its output is kept, and each [epoch](../book/glossary.md#epoch) trains the task model alone. So the frozen way has more parts, and is often quicker to train.
#
# When an encoder is fine-tuned, its parameters need a smaller [learning rate](../book/glossary.md#learning-rate) than $W$, which starts from random numbers. The training uses [AdamW](../book/glossary.md#adamw). Its *weight decay* makes the large numbers of a matrix a little smaller at every step; vectors are left alone. In a model with separate layers, each layer can have a rate of its own, lower towards the embeddings (Howard and Ruder, 2018). An ALBERT has one layer that is used again and again, so there are two rates: one for the encoder, one for what is new.

# %%
from companion.ner.training import parameter_groups

network = AlbertTagger.new(ENCODER, head="crf").network
for group in parameter_groups(network, Settings()):
    print(f"rate {group['lr']:g}, weight decay {group['weight_decay']:g}: "
          f"{sum(p.numel() for p in group['params']):,} parameters")

# %% [markdown]
# ## Softmax or CRF
#
# A [softmax](../book/glossary.md#softmax) judges every token by itself. So it can say I-PER after O, which is no legal row of tags. A [CRF](../book/glossary.md#crf) judges whole rows. The score of a row of labels $y$ is the sum of the [emissions and transitions](../book/glossary.md#emission-and-transition):
#
# $$s(y) = \sum_t e_t[y_t] + \sum_{t>1} A[y_{t-1}, y_t]$$
#
# The table $A$ is learned, and illegal steps are forbidden. The course's CRF also has one score for each label that begins a row and one for each label that ends it. So with seven labels it adds 49 + 7 + 7 parameters: compare the first two rows of the table of the ways above.
#
# The best row is found by the [Viterbi algorithm](../book/glossary.md#viterbi-algorithm). Here is a toy example with the labels O, B and I.

# %%
from companion.ner.crf import LinearChainCRF

names = ["O", "B-PER", "I-PER"]
crf = LinearChainCRF(3, schemes.legal(names))
emissions = torch.tensor([[1.0, 0.6, 0.0], [0.0, 0.1, 2.0], [1.0, 0.0, 0.0]])
alone = emissions.argmax(-1).tolist()
together = crf.viterbi(emissions[None])[0][0].tolist()
for how, found in (("each alone", alone), ("whole row", together)):
    legal = all(schemes.may_follow(names[a], names[b]) for a, b in zip(found, found[1:]))
    print(f"{how:10} {[names[i] for i in found]}  legal: {legal}")
assert together == [1, 2, 0] and alone == [0, 2, 0]
whole = LinearChainCRF(len(tagger.labels), schemes.legal(tagger.labels))
assert sum(p.numel() for p in whole.parameters()) == 49 + 7 + 7

# %% [markdown]
# The second token is sure to be inside a name. So the first token must begin it, although its own score says O. The CRF gives up a little at one token and gains more at the next.
#
# The price is time: rows are read token by token, and no step can begin before the one before it has ended. And a softmax can do without a CRF: an illegal row can be *repaired* by a rule (here: an I that continues nothing begins a name). Whether the CRF is worth the time is a question for an experiment. `benchmarks/ner_scores.py`, which you meet below, has a system for it (`fine-tuned, CRF`), and its result is in the tables there.
#
# ## A small training, live
#
# Two trainings with a few sentences: the pretrained encoder, and the same network with random parameters. All else is the same, also the seed.
# After every epoch the tagger reads [validation](../book/glossary.md#validation-set) sentences, and the best parameters are kept ([early stopping](../book/glossary.md#early-stopping)). The score is [F1](../book/glossary.md#f1) of whole entities.

# %%
few, held_out = data["train"][::57][:600], data["validation"][::30][:150]  # spread over the month
live, logs = {}, {}
for name, pretrained in (("pretrained", True), ("random weights", False)):
    live[name] = AlbertTagger.new(ENCODER, pretrained=pretrained, seed=13)
    logs[name] = train(live[name], few, held_out,
                       Settings(epochs=3, rate=1e-3, head_rate=3e-3, size=16), progress=False)
best = {name: max(entry["f1"] for entry in log) for name, log in logs.items()}
print(f"{len(few)} training sentences, 1 seed; pretrained is better:",
      best["pretrained"] > best["random weights"])
assert best["pretrained"] > best["random weights"] + 0.1 or not OURS

# %%
# NBVAL_IGNORE_OUTPUT
print(table(["epoch", *logs], [[i + 1, *(f"{log[i]['f1']:.2f}" if i < len(log) else "-"
                                         for log in logs.values())] for i in range(3)]))
curves({name: ([e["epoch"] for e in log], [e["f1"] for e in log]) for name, log in logs.items()},
       x="epoch", y="validation F1")

# %% [markdown]
# The pretrained encoder is far ahead. But these are only 600 sentences, and one seed is no measurement. The next section has both: more sentences and more seeds.
#
# ## What pretraining brings, measured
#
# The program `benchmarks/ner_scores.py` trains every system with several seeds, on two per cent of the training sentences, on a tenth, and on all of them. This takes hours, so the chapter reads the results.
#
# The planned number of [epochs](../book/glossary.md#epoch) depends on the sentences only: the fewer they are, the more epochs, and six on all of them. Two systems were trained once more with 15 epochs on all sentences, to see whether six are enough. A training stops early after three epochs without a better validation F1, and after ten with the fewest sentences, where an epoch is short. The encoder learns with the rate 1e-3 from random weights and with 5e-4 when it is fine-tuned: a pretrained encoder should not move too fast. The [test set](../book/glossary.md#test-set) is read once, at the end.

# %%
path = Path("../benchmarks/results/ner_scores.jsonl")
results = [json.loads(line) for line in path.read_text(encoding="utf8").splitlines()]
runs = defaultdict(dict)
for entry in results:
    runs[entry["system"], entry["share"]][entry["seed"]] = entry["test"]["f1"]
shares = sorted({share for _, share in runs})
systems = list(dict.fromkeys(name for name, _ in runs))


def cell(system: str, share: float) -> str:
    """Mean of the seeds, their standard deviation, and how many they are."""
    values = list(runs[system, share].values())
    if not values:
        return "-"
    spread = f" ± {stdev(values):.3f}" if len(values) > 1 else ""
    return f"{fmean(values):.3f}{spread} ({len(values)})"


print("test F1 by share of the training sentences: mean ± standard deviation (seeds)")
print(table(["system", *(f"{share:.0%}" for share in shares)],
            [[name, *(cell(name, share) for share in shares)] for name in systems]))

# %% [markdown]
# The number in brackets says with how many seeds. With one seed there is no [standard deviation](../book/glossary.md#standard-deviation), so take such a number with care. A dash is a system that was not trained there.
#
# The [gazetteer](../book/glossary.md#gazetteer) holds the names of the training sentences, without those that are seldom a name (`sure` is 0.3, chosen on the validation sentences in the chapter before). It knows nothing else.
#
# How large is the difference between the fine-tuned encoder and the same network from random weights? Compare seed by seed.

# %%
def gap(one: str, two: str, share: float) -> str:
    """The mean difference over the seeds that both systems have."""
    a, b = runs[one, share], runs[two, share]
    apart = [a[seed] - b[seed] for seed in a.keys() & b.keys()]
    return f"{fmean(apart):+.3f} ({len(apart)})" if apart else "-"


asked = {
    "pretraining": ("fine-tuned, softmax", "random weights, softmax"),
    "pretraining, 15 epochs": ("fine-tuned, 15 epochs", "random weights, 15 epochs"),
    "CRF for softmax": ("fine-tuned, CRF", "fine-tuned, softmax"),
    "frozen, with more on top": ("frozen, BiLSTM-CRF", "fine-tuned, CRF"),
    "pretraining, for an LSTM": ("frozen, BiLSTM-CRF", "BiLSTM-CRF from scratch"),
}
questions = {what: pair for what, pair in asked.items()  # those with an answer
             if any(gap(*pair, share) != "-" for share in shares)}
print("difference in test F1 (seeds that both have)")
print(table(["what", *(f"{share:.0%}" for share in shares)],
            [[what, *(gap(one, two, share) for share in shares)]
             for what, (one, two) in questions.items()]))
series = {name: (shares, [fmean(runs[name, share].values()) for share in shares])
          for name in systems if all(runs[name, share] for share in shares)}

# %%
tuned, fresh = ({share: list(runs[name, share].values()) for share in shares}
                for name in ("fine-tuned, softmax", "random weights, softmax"))
lists = {share: runs["gazetteer", share][0] for share in shares}
print(table(["sentences", "fine-tuned, lowest", "list of names", "random weights, highest"],
            [[f"{share:.0%}", f"{min(tuned[share]):.2f}", f"{lists[share]:.2f}",
              f"{max(fresh[share]):.2f}"] for share in shares]))
assert all(min(tuned[share]) > lists[share] > max(fresh[share]) for share in shares)
assert len(tuned[0.1]) == len(fresh[0.1]) == 5 and min(tuned[1.0]) > 0.9
assert max(fresh[0.1]) < 0.5 and min(tuned[1.0]) > max(fresh[1.0]) + 0.1
lstm, frozen = runs["BiLSTM-CRF from scratch", 0.1], runs["frozen, BiLSTM-CRF", 0.1]
assert max(fresh[0.1]) + 0.3 < min(lstm.values()) < min(frozen.values()) - 0.05
crf = runs["fine-tuned, CRF", 0.1].values()
assert max(tuned[0.1]) + 0.01 < min(*frozen.values(), *crf) and stdev(crf) > 4 * stdev(tuned[0.1])
curves(series, x="share of the training sentences", y="test F1", logx=True)

# %% [markdown]
# A plus sign means that the first way is better. A difference that is not clearly larger than the spread over the seeds may be chance. The difference that pretraining makes is many times larger, at every size.
#
# Look at the random weights again. With these epochs they never reach the plain list of names: on new sentences, a network that has seen nothing but these sentences is worse than a careful count. The same network with pretrained weights is above the list at every size.
#
# Not every network is so helpless without pretraining. The BiLSTM-CRF from scratch has fewer parameters, and with a tenth of the sentences it is far better than the ALBERT from random weights. One reason may be that an LSTM reads token by token, so what stands next to what is given to it. A Transformer has to learn that first. On top of the frozen pretrained encoder the same BiLSTM-CRF is better still.
#
# Now the question of the CRF. With a tenth of the sentences it is worth its time: every seed with a CRF is above every seed with a softmax. But its seeds lie much further apart, so its mean is less sure. With all sentences no CRF was trained, so the page gives no answer for them. The article's way, frozen with a BiLSTM-CRF, is above the softmax too, and its one seed is not far from those of the fine-tuned CRF. So compare like with like: a CRF against a softmax, or frozen against fine-tuned, not both at once.
#
# For the same reason, the row with the *unshared encoder* says nothing about sharing. This is the second model of [What sharing costs](albert.ipynb#what-sharing-costs-in-the-long-run). It has read the first part of the training texts only, and the encoder of the other rows both parts.
#
# Was the training long enough? Look at the end of each.

# %%
last = {(e["system"], e["share"]): e["log"] for e in results if "log" in e and e["seed"] == 13}
print(table(["system, seed 13", "share", "training loss", "validation F1 of the last three epochs"],
            [[name, f"{share:.0%}", f"{log[-1]['loss']:.3f}",
              ", ".join(f"{e['f1']:.3f}" for e in log[-3:])]
             for (name, share), log in sorted(last.items(), key=lambda item: item[0][1])]))
rise = {share: log[-1]["f1"] - log[-2]["f1"] for (name, share), log in last.items()
        if name == "random weights, softmax"}
assert rise[1.0] > 0.005 > abs(rise[0.1])

# %% [markdown]
# With few sentences, a training may stop before its planned epochs; the others ended with them. Where the last three numbers are nearly equal, more epochs would hardly help. So it is with a tenth of the sentences. With all sentences, six epochs are few for random weights: validation F1 was still rising. Compare the trainings with 15 epochs.

# %%
long = {name: runs[f"{name}, 15 epochs", 1.0][13] for name in ("fine-tuned", "random weights")}
six = {name: runs[f"{name}, softmax", 1.0][13] for name in long}
print(table(["all sentences, seed 13", "6 epochs", "15 epochs", "gain"],
            [[name, f"{six[name]:.3f}", f"{long[name]:.3f}", f"{long[name] - six[name]:+.3f}"]
             for name in long]))
slow = last["random weights, 15 epochs", 1.0]
soon = next(e["epoch"] for e in last["fine-tuned, softmax", 1.0] if e["f1"] > slow[-1]["f1"])
print(f"list of names: {lists[1.0]:.3f}")
print(f"validation F1: fine-tuned after {soon} epochs above random weights after {len(slow)}")
assert long["random weights"] > six["random weights"] + 0.05
assert long["random weights"] > lists[1.0] and long["fine-tuned"] > long["random weights"] + 0.05

# %% [markdown]
# With more time random weights pass the list of names, and come much closer to the fine-tuned encoder. So a large part of what pretraining brings here, with all sentences, is time: the fine-tuned encoder needs only a few epochs for what random weights reach after many. The other part stays. With the same 15 epochs the fine-tuned encoder is still clearly ahead. (One seed each: the spread above says how far a seed moves a score.)
#
# A name that stands in the training sentences can be known by heart. The next table looks at [recall](../book/glossary.md#recall) of names that were seen in training, of names that were not, and at F1 by type: PER for persons, LOC for places, ORG for organisations.

# %%
parts = defaultdict(lambda: defaultdict(list))
for entry in results:
    for kind, value in (entry["test"]["recall_of"] | entry["test"]["types"]).items():
        parts[entry["system"], entry["share"]][kind].append(value)
columns = ["seen", "unseen", "PER", "LOC", "ORG"]
print("test set, mean of the seeds: recall of seen and of unseen names, F1 by type")
print(table(["system", "share", *columns],
            [[name, f"{share:.0%}", *(f"{fmean(kinds[k]):.2f}" for k in columns)]
             for (name, share), kinds in sorted(parts.items(), key=lambda item: item[0][1])]))
best, listed = parts["fine-tuned, softmax", 1.0], parts["gazetteer", 1.0]
assert fmean(listed["seen"]) > fmean(best["seen"]) and fmean(listed["unseen"]) == 0
assert fmean(best["PER"]) > fmean(listed["PER"]) + 0.2

# %% [markdown]
# The list finds nearly every name that it has seen, and no other. It is even better at those than the fine-tuned encoder. What the encoder adds is the other half: names that it has never seen, most of them of persons. Places and organisations of a newspaper come back every day, so a list does well there.
#
# ## Reading mistakes
#
# A score says how many mistakes there are. Only reading says which. Take the sentences of the validation set in which found and true entities differ, and look at both.
# The tagger is the one that the course brings with it, where it does; else the one that you have just trained.

# %%
shipped = "albert-ner-zh" in checkpoints.COURSE
reader = AlbertTagger.from_pretrained("albert-ner-zh") if shipped else live["pretrained"]
found = reader.predict([x.text for x in held_out])
kinds = scoring.errors([x.entities for x in held_out], found)
wrong = [(x, f) for x, f in zip(held_out, found) if set(x.entities) != set(f)]
low, high = scoring.bootstrap([x.entities for x in held_out], found)
print("error kinds:", ", ".join(kinds))
assert sum(kinds.values()) >= sum(len(x.entities) for x in held_out)

# %%
# NBVAL_IGNORE_OUTPUT
print(f"F1 on these {len(held_out)} sentences, 95 % interval: {low:.2f} to {high:.2f}")
print(table(["kind", "entities"], list(kinds.items())))
short = [pair for pair in wrong if len(pair[0].text) < 60][:6]
HTML("".join("<p>true, then found:</p>" + display_entities.html(x.text, x.entities)
             + display_entities.html(x.text, f) for x, f in short))

# %% [markdown]
# The interval says how much the score would move with other sentences of this kind. With so few of them it is wide.
#
# Three questions help when you read such pairs. Is the border wrong, or the type? Would you have known without the rest of the page? And is the reference right? Some of its tags are odd, as the chapter on the data shows.
#
# ## Size and speed
#
# How fast is it? `benchmarks/ner.py` trains and reads with the same model in two ways: with this course's loop, and with `Trainer` and `pipeline("token-classification")` of transformers.

# %%
speed = json.loads(Path("../benchmarks/results/ner.json").read_text(encoding="utf8"))
for part, unit in (("training", "sentences/s"), ("reading", "characters/s")):
    print(table([part, unit], [[name, round(rate)] for name, rate in speed[part].items()]))
    best = {who: max(rate for name, rate in speed[part].items() if name.startswith("ours") == who)
            for who in (True, False)}
    print(f"our fastest by their fastest: {best[True] / best[False]:.1f}\n")
    assert best[True] > 1.3 * best[False]
same = speed["same"]
print(f"{same['fp32']} of {same['sentences']} sentences have the same entities as with the "
      f"pipeline in fp32, {same['bf16']} in bf16")
assert same["fp32"] == same["sentences"]

# %% [markdown]
# Four things make the difference; how much each of them brings was not measured. Sentences of like length share a batch, so little time goes to padding. The processor computes in [bf16](../book/glossary.md#bf16) where it can. The activation function of ALBERT takes fewer steps than in transformers. And a text without any name is not looked at token by token in Python.
#
# The other systems read the same sentences, in fp32. The list reads no model at all.

# %%
print(table(["reading", "characters/s"],
            [["fine-tuned, softmax", round(speed["reading"]["ours, fp32"])],
             *([name, round(rate)] for name, rate in speed["others"].items())]))
crf, softmax = speed["others"]["fine-tuned, CRF"], speed["reading"]["ours, fp32"]
print(f"softmax by CRF: {softmax / crf:.1f}")
assert softmax > crf and speed["others"]["gazetteer"] > softmax

# %% [markdown]
# So the CRF has its price here too. How large is each system of the grid?

# %%
sizes = {entry["system"]: (entry["parameters"], entry["trained"])
         for entry in results if "parameters" in entry}
assert sizes["BiLSTM-CRF from scratch"][0] < sizes["random weights, softmax"][0]
print(table(["system", "parameters", "that learn", "MB in fp16"],
            [[name, f"{a:,}", f"{b:,}", f"{2 * a / 1e6:.1f}"] for name, (a, b) in sizes.items()]))

# %% [markdown]
# ## Another ALBERT, and a trap
#
# To use another encoder, change one line: `ENCODER`. It can be a hub id or a folder.
#
# With Chinese ALBERTs there is a trap. The original ALBERT has a SentencePiece vocabulary. Chinese ALBERTs mostly have the vocabulary of Chinese BERT, a file `vocab.txt`. Their `config.json` still says `albert`. So `AutoTokenizer` takes the tokenizer of ALBERT, does not find its file, and makes one that knows nothing. There is no error. Here is a folder of this kind, with random parameters.

# %%
place = tempfile.TemporaryDirectory()
folder = Path(place.name) / "albert_chinese"
characters = sorted({c for x in data["train"][:2000] for c in x.text if c.isalpha()})
shape = dict(hidden_size=32, embedding_size=16, num_attention_heads=2, intermediate_size=64,
             num_hidden_layers=2)
tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *characters]
AlbertModel(AlbertConfig(vocab_size=len(tokens), **shape)).save_pretrained(folder)
(folder / "vocab.txt").write_text("\n".join(tokens) + "\n", encoding="utf8")
text = "中国的首都是北京"
wrong_one = AutoTokenizer.from_pretrained(folder)
other = AlbertTagger.new(folder)
print("AutoTokenizer:    ", wrong_one.convert_ids_to_tokens(wrong_one(text)["input_ids"]))
ids = other.tokenizer(text)["input_ids"]
print("checkpoints.load: ", other.tokenizer.convert_ids_to_tokens(ids))

# %% [markdown]
# A whole sentence has become one `<unk>`. A tagger trained like this finds nothing, and nobody says why. `checkpoints.load` looks for `vocab.txt` and takes `BertTokenizer`. In your own code, do it yourself. And look at the tokens of one sentence before you train anything.
#
# A tagger on this folder trains as any other. Its parameters are random, so the comparison with random weights above would say nothing for it.

# %%
log = train(other, data["train"][:64], data["validation"][:32], Settings(epochs=1),
            progress=False)
print("trained for one epoch:", len(log) == 1, "- labels:", len(other.labels))
place.cleanup()

# %% [markdown]
# ## Your own sentence
#
# Any text can be tagged, also an empty one, one with emoji, and one that is longer than the model: it is read in overlapping [windows](../book/glossary.md#window). Every entity has its place, so you can cut it out of your text again.

# %%
MINE = "江泽民主席昨天在北京会见了美国总统克林顿。"
(names,) = reader.predict([MINE])
for entity in names:
    assert MINE[entity.start : entity.end] == entity.text
long = MINE * 500
parts = reader.predict(["", "VCD 😀", long])
print(f"nothing: {parts[0]}; {len(long):,} characters are read in one call")
assert all(long[e.start : e.end] == e.text for e in parts[2])

# %%
if shipped:
    print(display_entities.brackets(MINE, names))
HTML(display_entities.html(MINE, names) if shipped else "<p>train a tagger first</p>")

# %% [markdown]
# In a terminal, `python -m companion ner "…"` does the same, and `--html page.html` writes a page. With `--model FOLDER` it uses a tagger that you have trained and saved with `tagger.save`.
#
# The news of this corpus is from one month. Names from other years, of products, or in texts of another kind are harder. Try some, and look at the scores.
#
# ## Take-away
#
# - A tagger is an encoder with one score for each label at each token. Special tokens and padding do not count in its loss; O does.
# - A frozen encoder makes features for a task model. A fine-tuned one learns itself. Measure both.
# - A CRF scores whole rows and never gives an illegal one. A softmax needs a rule of repair. With few sentences the CRF was clearly better here.
# - The worth of pretraining is a difference: the same network with random weights, the same sentences, several seeds, and time enough for both.
# - A list of names finds what it has seen. A pretrained encoder also finds names that it has not.
# - Look at the tokens before you train. The wrong tokenizer gives no error.

# %% [markdown]
# ## Exercises
#
# Each exercise is a function without a body.
# Replace `raise NotImplementedError` by your code, run the cell, and run the check below it.
# The check prints ✓, or *not attempted yet*, or a hint.
#
# When you are done, or stuck, compare with the [solutions](albert_ner_solutions.ipynb).

# %% [markdown]
# ### Exercise 1: labels of a row
#
# A row of ids has special tokens at its ends, sometimes one in the middle, and padding.
# The tags of the text come without them.
#
# Write `labels_of_row`.

# %%
def labels_of_row(ids, tags, special_ids):
    """Make the labels of one row.

    ids: the ids of the row, shape (L,).
    tags: the numbers of the tags of the ordinary tokens, in their order, shape (T,).
    special_ids: the ids of [CLS], [SEP] and [PAD], in this order. They can stand anywhere.
    Returns whole numbers of shape (L,): the tag where a token of the text stands, and -100
    where a special token stands.

    Example: labels_of_row(torch.tensor([2, 11, 12, 3]), torch.tensor([1, 0]), [2, 3, 0])
    returns tensor([-100, 1, 0, -100]).
    """
    raise NotImplementedError

# %%
check("ner-labels", labels_of_row)

# %% [markdown]
# ### Exercise 2: a rate for each layer
#
# In a BERT, every layer has its own parameters. Lower layers can learn slower than higher ones.
#
# Write `layer_rates`.

# %%
def layer_rates(layers: int, rate: float, decay: float) -> list[float]:
    """Compute the learning rate of every layer of an encoder.

    layers: how many layers stand above the embeddings.
    rate: the learning rate of the top layer.
    decay: each layer has the rate of the layer above it times decay. The embeddings count
        as the layer below the lowest.
    Returns layers + 1 numbers, from the embeddings up to the top layer.

    Example: layer_rates(2, 4.0, 0.5) returns [1.0, 2.0, 4.0].
    """
    raise NotImplementedError

# %%
check("ner-rates", layer_rates)

# %% [markdown]
# ### Exercise 3: the best labels
#
# Work out by hand the toy example of the section on the CRF. Then write it down as a function for any number of tokens and labels.
#
# Write `best_labels`. There are no scores for the first and the last step here.

# %%
def best_labels(emissions: torch.Tensor, between: torch.Tensor) -> list[int]:
    """Find the row of labels with the highest score.

    emissions: the score of every label at every token, shape (T, K).
    between: the score of every step, shape (K, K): row = label before, column = label after.
    Returns T labels. Their score is the sum of their emissions and of their steps; it is
    higher than that of all other rows of labels.

    Example: with between all zero, it is the best label of every token.
    """
    raise NotImplementedError

# %%
check("ner-viterbi", best_labels)

# %% [markdown]
# ### Exercise 4: two systems, several seeds
#
# A paper says: our system reaches a higher F1. With which seed?
#
# Write `difference`. It gets the scores of two systems that were trained with the same seeds.

# %%
def difference(one: list[float], two: list[float]) -> tuple[float, float]:
    """Compare two systems that were trained with the same seeds.

    one, two: the F1 of each system, one number a seed, in the same order of seeds.
    Returns two numbers: the mean of `one` minus `two`, and the standard deviation of this
    difference over the seeds (divide by the number of seeds minus one).

    Example: difference([3.0, 5.0], [1.0, 1.0]) returns (3.0, 1.41421...).
    """
    raise NotImplementedError

# %%
check("ner-seeds", difference)
