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
# # Masked language modelling
#
# A [pretrained language model](../book/glossary.md#pretrained-language-model) has learned from text before you give it a task.
# This chapter shows how BERT learns: some words of a text are hidden, and the model must say which words they were.
#
# After this chapter you will be able to
#
# - say what a checkpoint contains, and load, choose, save and publish one;
# - mask a batch by BERT's rule, and say which positions count in the loss;
# - predict the loss of a model that has learned nothing, and check it;
# - train a small model yourself, with a loop of your own and with `Trainer`;
# - ask a model to fill in a gap, and show what it does not know.
#
# Reading and running take about 40 minutes, the exercises about as long again.
# The notebook itself runs in about a minute on two CPU cores.
# Read [What pretraining is](../book/pretraining.md) first if the idea is new to you.

# %% [markdown]
# ## A pretrained model is a folder of files
#
# A [checkpoint](../book/glossary.md#checkpoint) is everything that a trained model needs to be used again.
# On the Hugging Face [Hub](../book/glossary.md#hub), and on your disk, it is a folder.
# This course brings one with it, so you need no network: `bert-mini-en`.

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

import numpy as np
import torch
import transformers
from torch.nn.functional import cross_entropy

from companion import checkpoints, metrics
from companion.corpora import movie_reviews
from companion.display import curves, read_log, table
from companion.exercises import check
from companion.objectives import masked
from companion.tokenization import pack, train_wordpiece

CHECKPOINT = "bert-mini-en"  # or "bert-base-uncased", any masked LM of the Hub, or a folder
OURS = CHECKPOINT == "bert-mini-en"  # what the text says of the answers is about this one
folder = checkpoints.folder(CHECKPOINT) if CHECKPOINT in checkpoints.COURSE else None
for file in sorted(folder.iterdir()) if folder else []:
    print(f"{file.stat().st_size / 1e6:8.2f} MB  {file.name}")

# %% [markdown]
# - `model.safetensors` holds the [parameters](../book/glossary.md#parameter): tables of numbers with names. The format [safetensors](../book/glossary.md#safetensors) can hold nothing else, so opening such a file runs no code.
# - `config.json` says how the network is built: how many layers, how wide.
# - `tokenizer.json` and `tokenizer_config.json` say how text becomes [tokens](../book/glossary.md#token).
# - `README.md` is the [model card](../book/glossary.md#model-card): what the model learned from, how it was tested, what it is not for.
# - `log.jsonl` and `text.json` are this course's additions: the log of the training, and what text went into it. This checkpoint was trained in two parts; the files of the first part have `first` in their names.
# - `sha256.json` lets `load` find out whether a file was damaged.
#
# The call `load` gives you the model and its tokenizer.
# Inside, it calls the *Auto classes* of transformers: `AutoModelForMaskedLM` and `AutoTokenizer`.
# An [Auto class](../book/glossary.md#auto-classes) reads `config.json` and picks the right Python class for it.

# %%
model, tokenizer = checkpoints.load(CHECKPOINT)
config = model.config
print(type(model).__name__, "and", type(tokenizer).__name__)
print(f"{config.num_hidden_layers} layers, {config.hidden_size} wide, "
      f"{config.vocab_size:,} vocabulary entries")
print(f"{sum(p.numel() for p in model.parameters()):,} parameters, "
      f"{model.get_input_embeddings().weight.numel():,} of them in the embeddings")

# %% [markdown]
# The quickest way to use it is a *pipeline*: a function from text to answer that hides every step in between.
# The rest of this chapter opens it.

# %%
fill = transformers.pipeline("fill-mask", model=model, tokenizer=tokenizer)


def show(text: str, top: int = 5) -> None:
    """Print the text and the most probable tokens for its gap."""
    text = text.replace("[MASK]", tokenizer.mask_token)
    answers = fill(text, top_k=top)
    print(text)
    print("   ", ", ".join(f"{a['token_str']} {a['score']:.2f}" for a in answers))


show("natural language processing is a [MASK] technology.")
show("I really like the film a lot. Because it was [MASK].")
show("this movie makes me very disgusting. Because it was [MASK].")
show("John went to Paris to visit the University. John is a type of [MASK].")

# %% [markdown]
# These are the five most probable tokens for each gap and their probabilities, as they come.
# The sentences are those of the articles that this course grew from, with their own English.
# Read the answers with care: some are good, some only have the right grammar. One is plainly wrong: after the praise of the second sentence, the most probable word is *awful*.
#
# ## Choose, save, publish
#
# **Choose.** The Hub has very many checkpoints. Ask in this order: is it in your language? does its licence allow your use? what text did it read, and when? is it cased? is it small enough? The answers stand in `config.json`, in the tokenizer, and in the model card. A checkpoint without a card is a reason to look elsewhere.

# %%
special = [tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.pad_token_id,
           tokenizer.mask_token_id]
facts = {
    "reads capital letters": tokenizer.tokenize("Paris") != tokenizer.tokenize("paris"),
    "longest text, in tokens": config.max_position_embeddings,
    "ids of [CLS] [SEP] [PAD] [MASK]": special,
    "trained objective": config.architectures,
}
for name, value in facts.items():
    print(f"{name:32} {value}")

# %% [markdown]
# **Save.** `save_pretrained` writes the same kind of folder, for the model and for the tokenizer. Always save both: a model with the wrong tokenizer reads nonsense. What you load again is equal to what you saved.

# %%
with tempfile.TemporaryDirectory() as place:
    model.save_pretrained(place)
    tokenizer.save_pretrained(place)
    again, _ = checkpoints.load(place)
same = all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters()))
print("files give back the same numbers:", same)

# %% [markdown]
# **Publish.** `model.push_to_hub("your-name/your-model")` and the same call of the tokenizer upload the folder. You need an account and a token (`hf auth login` asks for it). Write the model card first. Others can only trust what you say about the data and the limits.
#
# ## Masking one sentence by hand
#
# A model reads [token](../book/glossary.md#token) ids. The tokenizer adds `[CLS]` in front and `[SEP]` at the end.

# %%
sentence = "The film was long, but the acting was wonderful."
ids = tokenizer(sentence, return_tensors="pt")["input_ids"]
print(tokenizer.convert_ids_to_tokens(ids[0].tolist()))
print(ids[0].tolist())

# %% [markdown]
# Now hide one token. The id of `wonderful` is replaced by the id of `[MASK]`, and the *label* of this position is the id that stood there.
# Every other position gets the label −100, which means: do not count this one.

# %%
wonderful = tokenizer(" wonderful", add_special_tokens=False)["input_ids"][0]
position = ids[0].tolist().index(wonderful)
inputs, labels = ids.clone(), torch.full_like(ids, masked.IGNORE)
labels[0, position] = ids[0, position]
inputs[0, position] = tokenizer.mask_token_id
with torch.inference_mode():
    logits = model(input_ids=inputs).logits
print("logits:", tuple(logits.shape), "= (sentences, positions, vocabulary)")
guess = logits[0, position].softmax(-1).topk(3)
print(tokenizer.convert_ids_to_tokens(guess.indices.tolist()))

# %% [markdown]
# The [logits](../book/glossary.md#logits) are scores, one for every entry of the vocabulary. The [softmax](../book/glossary.md#softmax) turns them into probabilities.
#
# The [loss](../book/glossary.md#loss) of this position is the negative logarithm of the probability that the model gave to the right token:
#
# $$\ell = -\ln p(x_i \mid x_{\text{masked}})$$
#
# It is 0 when the model is certain and right. This is the [cross-entropy](../book/glossary.md#cross-entropy). With the natural logarithm, as here, its unit is the [nat](../book/glossary.md#nat). By hand and by Hugging Face it is the same number.

# %%
by_hand = -logits[0, position].log_softmax(-1)[ids[0, position]].item()
with torch.inference_mode():
    by_library = model(input_ids=inputs, labels=labels).loss.item()
print(f"by hand {by_hand:.3f}, by transformers {by_library:.3f}")
assert abs(by_hand - by_library) < 1e-4

# %% [markdown]
# ## BERT's rule: 15 %, of which 80, 10, 10
#
# One hidden token in a sentence teaches little for the work done. BERT chooses 15 % of the positions (Devlin et al., 2019, section 3.1).
# Of the chosen positions
#
# - 80 % become `[MASK]`,
# - 10 % become a random token,
# - 10 % keep their token.
#
# All chosen positions have a label, also those that keep their token.
# Why not always `[MASK]`? Because `[MASK]` does not occur when the model is used later. Since any token may be a wrong one, the model has to form an opinion about every position.
#
# `MaskedLM` does this for a batch of rows. It also takes a number: the same number gives the same masks, another number gives other masks.

# %%
row = np.array([tokenizer(sentence)["input_ids"]])
collator = masked.MaskedLM(tokenizer, share=0.4, seed=6)  # 40 %: so that a short row shows it
batch = collator(row, number=0)
print(table(
    ["position", "original", "input", "label"],
    [[i, *tokenizer.convert_ids_to_tokens([a, b]), "-" if c == masked.IGNORE else int(c)]
     for i, (a, b, c) in enumerate(zip(row[0].tolist(), batch["input_ids"][0].tolist(),
                                       batch["labels"][0].tolist()))],
))
changed = (batch["input_ids"][0] != torch.tensor(row[0])).nonzero().flatten().tolist()
asked = (batch["labels"][0] != masked.IGNORE).nonzero().flatten().tolist()
assert (changed, asked) == ([6, 8, 9], [5, 6, 8, 9]) or not OURS

# %% [markdown]
# Four positions were chosen. Positions 6 and 8 became `[MASK]`. Position 9 got a random token. Position 5 kept its comma, and the model must predict it all the same: it has a label.
#
# A short row cannot show shares. A few thousand rows of reviews can. First the reviews become *packed* rows: texts one after another, cut to equal length, without [padding](../book/glossary.md#padding) (see [packing](../book/glossary.md#packing)).
# The rows hold Rotten Tomatoes sentences from the training split. The [data page](data_card.ipynb) says what they are.

# %%
reviews = movie_reviews(collection="rotten_tomatoes")
rows = pack(reviews["train"]["text"], tokenizer, length=64)
batch = masked.MaskedLM(tokenizer)(rows)
chosen = batch["labels"] != masked.IGNORE
original = torch.from_numpy(rows.astype(np.int64))
hidden = chosen & (batch["input_ids"] == tokenizer.mask_token_id)
kept = chosen & (batch["input_ids"] == original)
words = ~torch.isin(original, torch.tensor(tokenizer.all_special_ids))
print(f"{len(rows):,} rows, {chosen.sum():,} positions chosen")
print(f"chosen   {chosen.sum() / (rows.shape[0] * (rows.shape[1] - 2)):.1%} of the places for tokens")
print(f"[MASK]   {hidden.sum() / chosen.sum():.1%} of the chosen")
print(f"kept     {kept.sum() / chosen.sum():.1%} of the chosen")
print("a special token was chosen:", bool((chosen & ~words).any()))
assert 0.149 < chosen.sum() / (rows.shape[0] * (rows.shape[1] - 2)) < 0.151
assert 0.78 < hidden.sum() / chosen.sum() < 0.82 and 0.08 < kept.sum() / chosen.sum() < 0.12

# %% [markdown]
# ## Which positions count
#
# The loss is the mean over the chosen positions, and over no others.
# This sentence is easy to say and easy to get wrong in code. A mean over all positions, or an ignored label 0, gives a loss that still falls while it trains the wrong thing.
#
# So test it. Here are three things that must be true of a masked-LM loss.

# %%
batch = masked.MaskedLM(tokenizer)(rows[:16])
where = batch["labels"] != masked.IGNORE
with torch.inference_mode():
    ours = masked.loss(model, batch)
    library = model(**batch).loss
    changed = model(**batch).logits
    changed[~where] = torch.randn_like(changed[~where])  # nonsense where nothing counts
    after = cross_entropy(changed[where], batch["labels"][where])
print(f"1. equal to the loss of transformers:        {abs(ours - library) < 1e-5}")
print(f"2. logits elsewhere may be anything:         {abs(ours - after) < 1e-5}")
states = torch.randn(16, 64, 8, requires_grad=True)
cross_entropy(states.flatten(0, 1)[where.flatten()], torch.zeros(int(where.sum())).long()).backward()
print(f"3. no gradient reaches the other positions:  {states.grad[~where].abs().max() == 0}")
assert abs(ours - library) < 1e-5 and abs(ours - after) < 1e-5

# %% [markdown]
# Because the other positions do not count, their logits need not be computed. The [head](../book/glossary.md#head) ends in one score for every vocabulary entry, which is most of its cost. `masked.loss` picks the chosen positions *before* the head. That gives the same loss for less work.
#
# ## A model that has learned nothing
#
# What loss should training start from? A fresh model has random parameters that are near zero, so its logits are all about equal. Then each of the $V$ entries has the probability $1/V$, and the loss is
#
# $$-\ln \tfrac{1}{V} = \ln V$$
#
# Check it. If your own training starts far from this number, something is wrong before the first step.

# %%
small = train_wordpiece(reviews["train"]["text"], vocab_size=4000)
rows = pack(reviews["train"]["text"], small, length=64)
held_out = pack(reviews["validation"]["text"], small, length=64)


def fresh(seed: int) -> transformers.BertForMaskedLM:
    """A small BERT with random parameters, the same for the same seed."""
    torch.manual_seed(seed)
    shape = dict(hidden_size=128, num_hidden_layers=2, num_attention_heads=2,
                 intermediate_size=512, max_position_embeddings=64)
    config = transformers.BertConfig(
        vocab_size=len(small), hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
        attn_implementation="eager", **shape)  # plain products: fastest for short rows on a CPU
    return transformers.BertForMaskedLM(config)


start = masked.loss(fresh(0).eval(), masked.MaskedLM(small)(rows[:64])).item()
print(f"loss of a fresh model {start:.1f}, ln V = {math.log(len(small)):.1f}")
assert abs(start / math.log(len(small)) - 1) < 0.02

# %% [markdown]
# ## Training one, live
#
# Now you train this small model. The loop is short: mask a batch, compute the loss, follow the [gradient](../book/glossary.md#gradient).
# The number of the step is the number of the batch, so every step has new masks.
#
# Two yardsticks come first. $\ln V$ is the loss of knowing nothing. The second is the loss of a model that knows how frequent every token is, and does not look at the context. It is called the *unigram* loss. Both are compared with the loss on [held-out](../book/glossary.md#held-out) text: here the validation split.

# %%
counts = np.bincount(rows.ravel(), minlength=len(small))[5:] + 1.0  # [5:]: no special tokens
shares = counts / counts.sum()
seen = np.bincount(held_out.ravel(), minlength=len(small))[5:]
unigram = -(seen * np.log(shares)).sum() / seen.sum()
print(f"ln V {math.log(len(small)):.1f}, unigram {unigram:.1f}")

# %%
STEPS, SIZE = 120, 32
order = np.random.default_rng(0).integers(len(rows), size=(STEPS, SIZE))
collator = masked.MaskedLM(small, share=0.2)
learner = fresh(0).train()
optimiser = torch.optim.AdamW(learner.parameters(), lr=2e-3, weight_decay=0.01)
history = []
for step in range(STEPS):
    for group in optimiser.param_groups:
        group["lr"] = 2e-3 * min((step + 1) / 12, (STEPS - step) / (STEPS - 12))
    loss = masked.loss(learner, collator(rows[order[step]], number=step))
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    history.append(loss.item())
after = metrics.masked_lm(learner.eval(), small, reviews["validation"]["text"], length=64)
print(f"first step {history[0]:.1f}, held-out at the end {after['loss']:.1f}, "
      f"unigram {unigram:.1f}")
assert after["loss"] < unigram + 0.5

# %% [markdown]
# In this time the model has learned which tokens are frequent, and hardly more. This place has a name: the [unigram plateau](../book/glossary.md#unigram-plateau). Almost every masked language model stays on it for a while. It leaves it when attention begins to carry what the neighbours say, and for that it needs many more steps.
#
# The checkpoint `bert-mini-en` did take more steps. It did not start from nothing either: its layers come from all-MiniLM-L6-v2, a small [encoder](../book/glossary.md#encoder). MiniLM was made by [distillation](../book/glossary.md#distillation) (Wang et al., 2020). Others then trained it on pairs of sentences, by [contrastive learning](../book/glossary.md#contrastive-learning). This course cut its vocabulary to 16,000 entries and gave it a new masked-LM head. Then all of it was trained in two parts: on film reviews and some Wikipedia, then on film reviews alone, with a second [warm-up](../book/glossary.md#warm-up). The logs are part of the checkpoint, so the curve can be drawn here.

# %%
first, second = (read_log(checkpoints.folder("bert-mini-en") / name, event="validation")
                 for name in ("log-first.jsonl", "log.jsonl"))
log = first + [e | {"step": first[-1]["step"] + e["step"]} for e in second[1:]]
steps = [e["step"] for e in log]
losses = [e["loss"] for e in log]
recent = [float(np.mean(history[max(0, i - 20) : i + 1])) for i in range(0, STEPS, 20)]
print(table(["step", "held-out loss", "top-1"],
            [[e["step"], f"{e['loss']:.2f}", f"{e['accuracy']:.2f}"]
             for e in [*log[:-1:2], log[-1]]]))
curves({"live, 20 % masked": (range(1, STEPS + 1, 20), recent),
        "bert-mini-en, held-out": ([max(1, s) for s in steps], losses)},
       x="step", y="loss (nats)", level=(unigram, "unigram (live)"), logx=True)
print(f"ln 16,000 = {math.log(16_000):.2f}")
assert len(tokenizer) == 16_000 or not OURS
assert losses[0] < math.log(16_000) - 2 and losses[steps.index(2910)] > first[-1]["loss"] + 0.1

# %% [markdown]
# The two curves do not have the same vocabulary or the same rows, so compare their shapes, not their heights.
# The last row of the table is what this checkpoint reaches: its loss, and the share of masked tokens that it guesses right at the first try. The second is called *top-1*.
#
# Three things may surprise you.
#
# - The table starts below $\ln 16{,}000 = 9.68$. The bias of the new output layer began at the logarithms of the token frequencies, so these were known before the first step.
# - At step 2910 the loss is higher than before. There the second part has just begun, with a high [learning rate](../book/glossary.md#learning-rate).
# - One token in five is asked for, here and in the recipe of `bert-mini-en`. BERT asks for fewer (15 %; Devlin et al., 2019). With a larger share a step asks more questions, and each has less context. We did not measure which share is best.

# %% [markdown]
# ## The same training with `Trainer`
#
# Most code that you will meet uses `Trainer` and `DataCollatorForLanguageModeling` of transformers. Do they train the same thing?
# Give both the same start and the same batches, and compare every loss.
#
# The collator below is the library's. It masks at random, so its batches are written down as `Trainer` uses them, and then given to a loop of our own.

# %%
from datasets import Dataset
from transformers import DataCollatorForLanguageModeling, Trainer, TrainingArguments

library = DataCollatorForLanguageModeling(small, mlm_probability=0.15, seed=0)
written = []


def write_down(examples: list[dict]) -> dict:
    """The library's collator, with a copy of each batch kept."""
    batch = library(examples)
    written.append({name: tensor.clone() for name, tensor in batch.items()})
    return batch


def settings(place: str, steps: int) -> TrainingArguments:
    """A quiet, reproducible run on the CPU; these settings do not change the loss."""
    return TrainingArguments(
        place, max_steps=steps, per_device_train_batch_size=16, learning_rate=1e-3,
        lr_scheduler_type="constant", weight_decay=0.0, max_grad_norm=0.0, logging_steps=1,
        use_cpu=True, report_to="none", disable_tqdm=True, save_strategy="no",
    )


# %%
def run_quietly(trainer: Trainer) -> list[float]:
    """Train, and return the loss of every step."""
    trainer.remove_callback(transformers.PrinterCallback)
    trainer.train()
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


tokens = Dataset.from_dict({"input_ids": rows[:320].tolist()})
with tempfile.TemporaryDirectory() as place:
    theirs = run_quietly(Trainer(fresh(1), settings(place, 8), train_dataset=tokens,
                                 data_collator=write_down))
learner = fresh(1).train()
optimiser = torch.optim.AdamW(learner.parameters(), lr=1e-3, weight_decay=0.0)
ours = []
for batch in written[:8]:
    loss = masked.loss(learner, batch)
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    ours.append(loss.item())
print("Trainer", [f"{x:.2f}" for x in theirs])
print("ours   ", [f"{x:.2f}" for x in ours])
assert max(abs(a - b) for a, b in zip(theirs, ours)) < 1e-3

# %% [markdown]
# The same losses, step by step. So the objective is one thing, and the loop around it is another.
# `Trainer` saves you code. A loop of your own lets you see and change everything. The loop of the course, `companion.pretraining`, also uses a fixed number of masked positions and computes no logits elsewhere, which is faster. The folder `benchmarks` measures by how much.
#
# ## A `Trainer` call that does not work
#
# Tutorials often print a call like the next one: a model, some settings, a data set with texts. Run it, and read the error.

# %%
texts = Dataset.from_dict({"text": reviews["train"]["text"][:64]})


def attempt(**arguments) -> None:
    """Try to train for one step; print the loss, or the beginning of the error."""
    with tempfile.TemporaryDirectory() as place:
        try:
            losses = run_quietly(Trainer(fresh(1), settings(place, 1), **arguments))
            print(f"trained, loss {losses[0]:.1f}")
        except Exception as problem:
            print(f"{type(problem).__name__}: {str(problem)[:150]}")


attempt(train_dataset=texts)

# %% [markdown]
# The data set was never tokenised. `Trainer` removes every column that the model has no argument for. Here that is the only column, `text`, so nothing is left.
#
# First repair: turn the texts into ids.

# %%
encoded = texts.map(lambda batch: small(batch["text"], truncation=True, max_length=64),
                    batched=True, remove_columns="text")
attempt(train_dataset=encoded)

# %% [markdown]
# The rows have different lengths, and nothing pads them. And even with equal lengths there are no labels yet.

# %%
even = encoded.map(lambda r: small.pad(r, padding="max_length", max_length=64))
attempt(train_dataset=even)

# %% [markdown]
# Without labels a model gives logits and no loss. Both jobs, padding and labels, belong to the [collator](../book/glossary.md#collator). Second repair:

# %%
attempt(train_dataset=encoded,
        data_collator=DataCollatorForLanguageModeling(small, mlm_probability=0.15))

# %% [markdown]
# Now it trains, and its first loss is near $\ln V$, as it should be.
#
# ## Static or dynamic masks
#
# BERT's data was masked once and written to files. RoBERTa drew new masks each time a text was read (Liu et al., 2019, section 4.1). This is [dynamic masking](../book/glossary.md#dynamic-masking).
#
# First, what changes? Count the positions that were hidden at least once after some [epochs](../book/glossary.md#epoch). If every epoch hides the share $m$ anew, then after $n$ epochs $1-(1-m)^n$ of the positions were hidden at least once.

# %%
some, share = rows[:512], 0.15
places = torch.from_numpy(~np.isin(some, small.all_special_ids))
ever = torch.zeros(some.shape, dtype=torch.bool)
lines = []
for epoch in range(1, 11):
    ever |= masked.MaskedLM(small, share=share)(some, number=epoch)["labels"] != masked.IGNORE
    if epoch in (1, 2, 5, 10):
        seen = (ever & places).sum().item() / places.sum().item()
        lines.append([epoch, share, f"{seen:.2f}", f"{1 - (1 - share) ** epoch:.2f}"])
        assert abs(seen - (1 - (1 - share) ** epoch)) < 0.02
print(table(["epochs", "static", "dynamic", "formula"], lines))

# %% [markdown]
# The dynamic share is a little above the formula, because some of the places that the share is taken of hold `[SEP]`, which is never hidden.
#
# With static masks most tokens are never asked for. Does it matter for the loss? That depends on how often the same text is read. The next cell reads the committed result of `benchmarks/dynamic_masking.py`: a small model, a small text read twenty times, three [seeds](../book/glossary.md#seed) for each kind of mask.

# %%
result = json.loads(Path("../benchmarks/results/dynamic_masking.json").read_text())
final = {}
for kind in ("static", "dynamic"):
    runs = np.array([run["held_out"] for run in result[kind]])
    final[kind] = runs[:, -1]
    print(f"{kind:8} held-out loss {runs[:, -1].mean():.2f}, "
          f"standard deviation {runs[:, -1].std(ddof=1):.2f}, {len(runs)} seeds")
curves({kind: (result["epochs"], np.mean([run["held_out"] for run in result[kind]], axis=0))
        for kind in ("static", "dynamic")}, x="epoch", y="held-out loss (nats)")

# %%
difference = final["static"].mean() - final["dynamic"].mean()
spread = max(np.ptp(v) for v in final.values())
print(f"static minus dynamic: {difference:.2f} nats; largest spread between seeds: {spread:.2f}")
assert difference > 3 * spread

# %% [markdown]
# On this text static masks are clearly worse. The difference is much larger than the spread between seeds. The reason is [overfitting](../book/glossary.md#overfitting): with static masks the same questions come back in every epoch, and the model learns their answers by heart.
#
# This is a small text that is read many times. RoBERTa's authors compared the two on a large text, where each static mask came back only a few times, and found little difference (Liu et al., 2019, table 1). So dynamic masks matter most when text is short.
#
# ## What the model knows, and what it does not
#
# Twenty pairs of opposite sentences were written before `bert-mini-en` was trained, with two fixed lists of label words. After each sentence comes the same suffix, "It was `[MASK]`." Which list gets more probability?

# %%
probe = json.loads((Path(checkpoints.__file__).parent / "probes" / "opposites.json").read_text())
lists = {side: [tokenizer(" " + word, add_special_tokens=False)["input_ids"][0]
                for word in words] for side, words in probe["label_words"].items()}
scores, sides, sentences = [], [], []
for pair in probe["pairs"]:
    for side, sentence in zip(("positive", "negative"), pair):
        text = f"{sentence} {probe['suffix']}".replace("[MASK]", tokenizer.mask_token)
        ids = tokenizer(text, return_tensors="pt")["input_ids"]
        with torch.inference_mode():
            logits = masked.masked_logits(model, ids, ids == tokenizer.mask_token_id)[0]
        share = {s: logits.softmax(-1)[i].sum().item() for s, i in lists.items()}
        scores.append(math.log(share["positive"] / share["negative"]))
        sides.append(side)
        sentences.append(sentence)
scores, praise = np.array(scores), np.array(sides) == "positive"
print("praise recognised:", int((scores[praise] > 0).sum()), "of", int(praise.sum()))
print("blame recognised: ", int((scores[~praise] < 0).sum()), "of", int((~praise).sum()))
print("mistakes:", *[t for t, bad in zip(sentences, (scores > 0) != praise) if bad], sep="\n  ")

# %%
level = np.median(scores)
print("with the median as border:", int(((scores > level) == praise).sum()), "of", len(scores))

# %% [markdown]
# The model tells praise from blame without a label of this task. But these sentences are short, and each says one thing. Part II asks the same of real reviews.
#
# A model may prefer some words before it has read anything. This preference is called its [prior](../book/glossary.md#prior). When you know that half of the sentences are positive, you can move the border to the median score, so that the prior no longer decides. This is a simple form of [calibration](../book/glossary.md#calibration), and it reads no label either. Here it helps nothing, as the second count shows.
#
# Now facts, negation and numbers.

# %%
for text in ("The capital of France is [MASK].", "The capital of Japan is [MASK].",
             "A robin is a [MASK].", "A robin is not a [MASK].",
             "Two plus two is [MASK].", "Two plus three is [MASK]."):
    show(text, top=4)

# %%
def favourite(text: str) -> list[str]:
    """The four most probable tokens for the gap of a text."""
    answers = fill(text.replace("[MASK]", tokenizer.mask_token), top_k=4)
    return [answer["token_str"] for answer in answers]


def shared(a: str, b: str) -> int:
    """How many of the four most probable answers two texts have in common."""
    return len(set(favourite(a)) & set(favourite(b)))


negated = shared("A robin is a [MASK].", "A robin is not a [MASK].")
sums = shared("Two plus two is [MASK].", "Two plus three is [MASK].")
print(f"with and without 'not': {negated} of 4\ntwo sums:               {sums} of 4")
assert min(negated, sums) >= 3 or not OURS

# %% [markdown]
# With and without *not*, the answers are nearly the same words. The two sums also get nearly the same answers. In these sentences a small word such as *not*, or another number, hardly changes the answers. This was found for much larger models, too (Ettinger, 2020).
#
# The capital of France comes first in its list, but the name of the country stands right behind it. For Japan the model names the country itself. One right answer is no proof that a fact is known: always ask for more than one.
#
# ## Take-away
#
# - A checkpoint is a folder: parameters, configuration, tokenizer, model card. `load` and the Auto classes read it, whether it is on your disk or on the Hub.
# - Masked language modelling hides some tokens and asks for them. The text itself gives the labels.
# - The loss is a mean over the chosen positions only. Test that; do not trust a falling curve.
# - A model that knows nothing has the loss $\ln V$. A model that knows only frequencies has the unigram loss. What lies below comes from context.
# - Your own loop and `Trainer` compute the same losses from the same batches.
# - Filling in a word that fits is not the same as knowing a fact.

# %% [markdown]
# ## Exercises
#
# Each exercise is a function without a body.
# Replace `raise NotImplementedError` by your code, run the cell, and run the check below it.
# The check prints ✓, or *not attempted yet*, or a hint.
#
# When you are done, or stuck, compare with the [solutions](masked_lm_solutions.ipynb).

# %% [markdown]
# ### Exercise 1: which positions may be masked
#
# Before anything is hidden, you must know where that is allowed.
# A [special token](../book/glossary.md#special-token) is not a word, so there is nothing to predict.
#
# Write `which_positions`.
# It gets the ids of one row and says for each position whether it may be masked.

# %%
def which_positions(ids: torch.Tensor, special_ids: list[int]) -> torch.Tensor:
    """Say for each position of one row whether it may be masked.

    ids: the token ids of the row, shape (L,).
    special_ids: the ids of [CLS], [SEP] and [PAD], in this order.
    Returns a boolean tensor of shape (L,): False at a special token, True elsewhere.

    Example: which_positions(torch.tensor([2, 11, 12, 3, 0]), [2, 3, 0])
    returns tensor([False, True, True, False, False]).
    """
    raise NotImplementedError

# %%
check("masked-positions", which_positions)

# %% [markdown]
# ### Exercise 2: mask a batch
#
# Here you write the rule of 80, 10 and 10 % yourself.
# So that the result can be checked, the random choices are made for you:
# `chosen` says which positions the model must predict, and `kinds` and `random_ids` say what becomes of them.
#
# Write `mask_ids`.
# It returns the inputs that the model sees and the labels that it must find.

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
    raise NotImplementedError

# %%
check("masked-apply", mask_ids)

# %% [markdown]
# ### Exercise 3: the loss
#
# The model gives a score to every token of the vocabulary at every position.
# Only the positions with a label count.
#
# Write `mlm_loss`.
# You may use `cross_entropy` from PyTorch.
# The check compares your result with the loss of `BertForMaskedLM`.

# %%
def mlm_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Compute the loss of masked language modelling.

    logits: a score for each token of the vocabulary, shape (B, L, V).
    labels: the right ids, shape (B, L); -100 where a position does not count.
    Returns a tensor with one number, in nats: the mean cross-entropy over the positions
    that count. Gradients must be able to flow from it to the logits.

    Example: when all logits are 0, the loss is ln V, whatever the labels are.
    """
    raise NotImplementedError

# %%
check("masked-loss", mlm_loss)

# %% [markdown]
# ### Exercise 4: the loss of a fresh model
#
# Write `fresh_loss`: what is the loss before the first step of training, when the model gives every token the same probability?

# %%
def fresh_loss(vocab_size: int) -> float:
    """Return the loss of a model that knows nothing, in nats.

    vocab_size: the number of tokens in the vocabulary. The model gives each of them the
    same probability.

    Example: fresh_loss(1) returns 0.0, since there is only one token to choose.
    """
    raise NotImplementedError

# %%
check("masked-fresh", fresh_loss)

# %% [markdown]
# ### Exercise 5: whole words
#
# When only one piece of a word is hidden, its other pieces often give it away.
# [Whole-word masking](../book/glossary.md#whole-word-masking) hides all pieces together.
# For that, you need to know which positions belong to one word.
#
# Write `word_groups`.
# It groups the positions of one row.

# %%
def word_groups(tokens: list[str]) -> list[list[int]]:
    """Group the positions of one row by word.

    tokens: the tokens of the row. One that starts with ## continues the word before it.
    Returns one list of positions for each word, in the order of the row. Positions are
    counted from 0 in the whole row. [CLS], [SEP] and [PAD] are in no group.

    Example: word_groups(["[CLS]", "a", "film", "##s", "[SEP]"])
    returns [[1], [2, 3]].
    """
    raise NotImplementedError

# %%
check("masked-whole-words", word_groups)

# %% [markdown]
# ### Exercise 6: what the model sees
#
# A chosen position is not always a changed one.
# Think first, with paper and pencil: which share of all positions has another id after masking?
#
# Write the answer as the function `changed_share`.

# %%
def changed_share(vocab_size: int, share: float) -> float:
    """Return the expected share of all positions whose input id is not the original.

    vocab_size: the size of the vocabulary. A random id is any of its ids, each with the
        same probability. The text itself never contains [MASK].
    share: the share of positions that are chosen, for example 0.15. Of these, 80 % become
        [MASK], 10 % get a random id, and 10 % stay.

    Example: changed_share(1, 0.5) returns 0.4, since the only random id is the original.
    """
    raise NotImplementedError

# %%
check("masked-share", changed_share)
