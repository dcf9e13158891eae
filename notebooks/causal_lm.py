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
# # Causal language modelling
#
# A [causal language model](../book/glossary.md#causal-language-modelling) reads a text from left to right and says, at every place, which token comes next.
# GPT is trained in this way (Radford et al., 2018, section 3.1). Because it says what comes next, it can write.
#
# After this chapter you will be able to
#
# - write the causal loss, and say which positions count and why the labels are shifted;
# - test that a model does not look ahead;
# - put several texts into one row without letting them see each other;
# - train a small GPT yourself, and let a larger one write;
# - choose between greedy search, temperature, top-k and nucleus sampling;
# - compute perplexity so that it can be compared between models.
#
# Reading and running take about 40 minutes, the exercises about as long again.
# The notebook itself runs in about a minute on two CPU cores.
# Read [Masked language modelling](masked_lm.ipynb) first.

# %% [markdown]
# ## A text as a product of probabilities
#
# How probable is a text? Take it apart from left to right. The first token has a probability. The second has a probability, given the first. And so on:
#
# $$p(x_1, \dots, x_n) = \prod_{t=1}^{n} p(x_t \mid x_1, \dots, x_{t-1})$$
#
# Nothing is lost here: this is the chain rule of probability. A causal model computes each factor. It never sees a token to the right of the place that it is asked about.
#
# The course brings such a model: `gpt-mini-en`. It was trained from random parameters on film reviews, with capital letters. Its tokens come from [byte-level BPE](../book/glossary.md#byte-level-bpe), as in GPT-2: it can write any text without an unknown token.

# %% tags=["install", "hide-input"]
# Set-up, written from site.toml: says what to do when the course package is missing.
import importlib.util

if importlib.util.find_spec("companion") is None:
    raise ImportError("The course package is missing. Locally: run `make book`, choose .venv "
                      "as the kernel. On Colab: first set `repository` in site.toml.")

# %%
import json
import math
from pathlib import Path

import numpy as np
import torch
import transformers
from torch.nn.functional import cross_entropy

from companion import checkpoints
from companion.corpora import movie_reviews
from companion.display import curves, read_log, table
from companion.exercises import check
from companion.objectives import causal
from companion.tokenization import train_bpe

CHECKPOINT = "gpt-mini-en"  # or "gpt2", any causal LM of the Hub, or a folder
model, tokenizer = checkpoints.load(CHECKPOINT, kind="causal")
print(f"{sum(p.numel() for p in model.parameters()):,} parameters, "
      f"{model.config.num_hidden_layers} layers, {model.config.hidden_size} wide, "
      f"{len(tokenizer):,} vocabulary entries, {model.config.max_position_embeddings} positions")

# %%
sentence = "The film was long, but the acting was wonderful."
ids = torch.tensor(causal.documents([sentence], tokenizer))
with torch.inference_mode():
    logits = causal.logits(model, ids)
chances = logits[0].softmax(-1)
lines = []
for t in range(ids.shape[1] - 1):
    best = tokenizer.decode([int(chances[t].argmax())])
    lines.append([t, repr(tokenizer.decode(ids[0, t : t + 1])),
                  repr(tokenizer.decode(ids[0, t + 1 : t + 2])),
                  f"{chances[t, ids[0, t + 1]]:.3f}", repr(best)])
print(table(["position", "reads", "is asked for", "probability", "first guess"], lines))

# %% [markdown]
# Read the table by rows. Position 0 reads `<|endoftext|>`, the [end-of-text token](../book/glossary.md#end-of-text-token), which also opens every text. It is asked for the first word. Position 1 reads this word and is asked for the second one.
#
# So one row of tokens gives one question for every token. A masked model gets questions for the hidden tokens only.
#
# ## The loss, and which positions count
#
# The loss is the mean of the negative logarithms of these probabilities:
#
# $$L = -\frac{1}{n} \sum_{t=1}^{n} \ln p(x_t \mid x_{<t})$$
#
# In code, the logits of position $t$ are compared with the token at position $t+1$. This is the *shift*. The logits of the last position are compared with nothing, because nothing follows.

# %%
by_hand = cross_entropy(logits[0, :-1], ids[0, 1:]).item()
with torch.inference_mode():
    by_library = model(input_ids=ids, labels=ids).loss.item()
    ours = causal.loss(model, causal.CausalLM(tokenizer)(ids)).item()
print(f"by hand {by_hand:.3f}, by transformers {by_library:.3f}, by the course {ours:.3f}")
assert abs(by_hand - by_library) < 1e-4 and abs(by_hand - ours) < 1e-4

# %% [markdown]
# Look at the call of transformers: `labels=ids`. The labels are the inputs themselves, because the model makes the shift *inside*.
# If you shift them as well, every position is asked for the token after the next one. No error is raised.

# %%
twice = torch.full_like(ids, -100)
twice[:, :-1] = ids[:, 1:]
with torch.inference_mode():
    wrong = model(input_ids=ids, labels=twice).loss.item()
print(f"shifted once {by_library:.1f}, shifted twice {wrong:.1f}")
assert wrong > by_library + 1

# %% [markdown]
# ## No look-ahead
#
# If a position could see the token that it is asked for, the loss would mean nothing. In a Transformer, the causal [attention mask](../book/glossary.md#attention-mask) prevents it: position $t$ may look at the positions up to $t$.
#
# Do not trust this, test it. Change one token. What is predicted up to the position before it must stay the same, to the last digit that matters.

# %%
place = 6
changed = ids.clone()
changed[0, place] = (changed[0, place] + 1) % len(tokenizer)
with torch.inference_mode():
    difference = (causal.logits(model, changed) - logits).abs().amax(-1)[0]
print("largest change of the logits at each position:")
print([f"{x:.0f}" if x >= 1 else "0" for x in difference.tolist()])
assert difference[:place].max() < 1e-4 and difference[place:].min() > 1e-2

# %% [markdown]
# The other way to see too much is to forget the shift. Then every position is asked for the token that it reads. Train two tiny models on the same rows, one with the shift and one without.

# %%
reviews = movie_reviews(collection="rotten_tomatoes")
small = train_bpe(reviews["train"]["text"], 2000)
rows = causal.pack(reviews["train"]["text"], small, length=48)
held_out = torch.from_numpy(causal.pack(reviews["validation"]["text"], small, 48).astype(np.int64))


def fresh(width: int, layers: int, seed: int = 0) -> transformers.GPT2LMHeadModel:
    """A small GPT with random parameters, the same for the same seed."""
    torch.manual_seed(seed)
    return transformers.GPT2LMHeadModel(transformers.GPT2Config(
        vocab_size=len(small), n_embd=width, n_layer=layers, n_head=4, n_positions=48,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=0, eos_token_id=0,
        attn_implementation="eager"))


def train(learner, loss_of, steps: int, rate: float) -> list[float]:
    """A plain loop: 32 rows a step, warm-up, then linearly down; the loss of every step."""
    order = np.random.default_rng(0).integers(len(rows), size=(steps, 32))
    adam = torch.optim.AdamW(learner.train().parameters(), lr=rate, weight_decay=0.01)
    history = []
    for step in range(steps):
        for group in adam.param_groups:
            group["lr"] = rate * min((step + 1) / 20, (steps - step) / (steps - 20))
        loss = loss_of(learner, torch.from_numpy(rows[order[step]].astype(np.int64)))
        adam.zero_grad()
        loss.backward()
        adam.step()
        history.append(loss.item())
    return history


# %%
def shifted(learner, ids: torch.Tensor) -> torch.Tensor:
    """The loss of the course."""
    return causal.loss(learner, {"input_ids": ids, "labels": ids})


def not_shifted(learner, ids: torch.Tensor) -> torch.Tensor:
    """A wrong loss: each position is asked for what it reads."""
    return cross_entropy(causal.logits(learner, ids).flatten(0, 1), ids.flatten())


for name, loss_of in (("with the shift", shifted), ("without", not_shifted)):
    learner = fresh(64, 1)
    history = train(learner, loss_of, steps=80, rate=5e-3)
    with torch.inference_mode():
        judged = shifted(learner.eval(), held_out).item()
    print(f"{name:15} training loss {np.mean(history[-5:]):.1f}, true held-out loss {judged:.1f}")
    assert (np.mean(history[-5:]) < 0.5) == (name == "without") == (judged > math.log(len(small)))

# %% [markdown]
# Without the shift the training loss is nearly 0, which looks wonderful. Judged by the right loss, this model is worse than one that knows nothing: it always expects the same token again.
#
# ## Several texts in one row
#
# Rows of equal length train fastest, but texts have different lengths. So texts are put one after another, with the end-of-text token between them, and the stream is cut into rows ([packing](../book/glossary.md#packing)).
#
# Now a row holds parts of several texts. `CausalLM` can isolate them: a position sees its own text only, and the position numbers begin anew.

# %%
pair = ["A dull film.", "We loved it."]
joined = [i for text in causal.documents(pair, tokenizer) for i in text]
batch = causal.CausalLM(tokenizer, isolate=True)(torch.tensor([joined]))
print("tokens   ", [tokenizer.decode([i]) for i in joined])
print("positions", batch["position_ids"][0].tolist())
for row in (batch["attention_mask"][0, 0] == 0).int().tolist():
    print("".join("■" if seen else "·" for seen in row))

# %% [markdown]
# Row $i$ of this picture says what position $i$ may look at. There is one triangle for each text.
#
# Is it right? Then a text must have the same losses in the packed row as on its own.

# %%
alone = torch.tensor(causal.documents(pair[1:], tokenizer))
begin = len(joined) - alone.shape[1]
inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
with torch.inference_mode():
    packed = causal.logits(model, **inputs)[0, begin:]
    mixed = causal.logits(model, torch.tensor([joined]))[0, begin:]
    single = causal.logits(model, alone)[0]
print("isolated, equal to the text alone:    ", torch.allclose(packed, single, atol=1e-4))
print("not isolated, equal to the text alone:", torch.allclose(mixed, single, atol=1e-4))
assert torch.allclose(packed, single, atol=1e-4) and not torch.allclose(mixed, single, atol=1e-1)

# %% [markdown]
# GPT-3 was trained without isolation (Brown et al., 2020, appendix B), and so was `gpt-mini-en`: it is faster, and the model learns that what stands before `<|endoftext|>` does not matter.
#
# ## Training one, live
#
# As before, two yardsticks: $\ln V$ for a model that knows nothing, and the unigram loss for one that knows frequencies. A third is the *bigram* loss: a table that predicts each token from the one before it. It is counted from the training rows, with a small amount added to every count.

# %%
flat = rows[:, 1:].ravel().astype(np.int64)  # rows share one token: count each only once
V = len(small)
ones = np.bincount(flat, minlength=V) + 0.1
unigram = -np.log(ones / ones.sum())[held_out[:, 1:].numpy()].mean()
twos = np.bincount(rows[:, :-1].ravel().astype(np.int64) * V + flat, minlength=V * V)
twos = twos.reshape(V, V) + 50 * ones / ones.sum()  # where a pair is rare, the unigram decides
bigram = -np.log(twos / twos.sum(1, keepdims=True))[held_out[:, :-1], held_out[:, 1:]].mean()
print(f"ln V {math.log(V):.1f}, unigram {unigram:.1f}, bigram {bigram:.1f}")

# %%
learner = fresh(128, 2)
history = train(learner, shifted, steps=300, rate=4e-3)
with torch.inference_mode():
    after = shifted(learner.eval(), held_out).item()
print(f"first step {history[0]:.1f}, held-out at the end {after:.1f}")
assert abs(history[0] - math.log(V)) < 0.2 and after < unigram - 0.5
print(causal.sample(learner, small, "The film", tokens=30, temperature=0.8, seed=1))

# %% [markdown]
# There is no plateau here. A masked model first has to learn where its neighbours are. A causal model reads the token before the gap at the very position where it is asked, so it learns pairs of words at once.
#
# Its sentence has the right words in it, and hardly any meaning. It has seen little text, and each token only a few times.
#
# ## What the same recipe gives with more text
#
# `gpt-mini-en` is larger, and it read more. The recipe, `companion/recipes/gpt-mini-en.toml`, says how much, and the log is part of the checkpoint.

# %%
log = read_log(checkpoints.folder("gpt-mini-en") / "log.jsonl", event="validation")
print(table(["step", "held-out loss", "top-1"],
            [[e["step"], f"{e['loss']:.2f}", f"{e['accuracy']:.2f}"]
             for e in [*log[:-1:2], log[-1]]]))
curves({"held-out": ([max(1, e["step"]) for e in log], [e["loss"] for e in log])},
       x="step", y="loss (nats)", logx=True)

# %% [markdown]
# Here are ten samples, for ten seeds in a row, as they come. Nothing was selected and nothing was edited. The function `sample` calls `generate` of transformers.

# %%
for seed in range(10):
    print(f"{seed}:", causal.sample(model, tokenizer, "", tokens=40, temperature=0.8, seed=seed))

# %% [markdown]
# The grammar is mostly right, and so is the style of a review. The sense is not: names are invented, and a sentence may praise and blame in one breath. The model was asked for probable text. Nobody asked it for true text.
#
# ## From probabilities to text
#
# At every step the model gives a probability to each token. Which one do you write? This choice is called [decoding](../book/glossary.md#decoding).
#
# **Greedy** search takes the most probable token, always. It soon repeats itself.

# %%
print(causal.sample(model, tokenizer, "The acting", tokens=60))

# %% [markdown]
# **Sampling** draws a token according to its probability. A [temperature](../book/glossary.md#temperature) $T$ divides the logits before the softmax:
#
# $$p_i = \frac{e^{z_i / T}}{\sum_j e^{z_j / T}}$$
#
# Below 1 the probable tokens gain; above 1 the improbable ones do. The [entropy](../book/glossary.md#entropy) says how spread the probabilities are.

# %%
prompt = torch.tensor(causal.documents(["The acting was"], tokenizer))
with torch.inference_mode():
    scores = causal.logits(model, prompt)[0, -1]
for temperature in (0.5, 1.0, 1.5):
    p = (scores / temperature).softmax(-1)
    entropy = -(p * p.clamp(min=1e-12).log()).sum().item()
    top = [f"{tokenizer.decode([i]).strip()} {p[i]:.2f}" for i in p.topk(4).indices.tolist()]
    print(f"T = {temperature}: entropy {entropy:.1f} nats; ", ", ".join(top))

# %% [markdown]
# **Top-k** sampling draws from the $k$ most probable tokens only. **Nucleus** sampling, or top-p, draws from the fewest tokens whose probabilities reach the sum $p$ (Holtzman et al., 2020, section 3.1). Its number of tokens depends on how certain the model is.

# %%
def nucleus_size(text: str, p: float = 0.9) -> int:
    """How many tokens are needed to reach the sum p, after a text."""
    with torch.inference_mode():
        last = causal.logits(model, torch.tensor(causal.documents([text], tokenizer)))[0, -1]
    sums = last.softmax(-1).sort(descending=True).values.cumsum(0)
    return int((sums < p).sum()) + 1


sure, open_ = nucleus_size("This is one of the worst movies I have ever"), nucleus_size("The")
print(f"after '... I have ever': {sure} tokens\nafter 'The':             {open_} tokens")
assert sure < 10 < 100 < open_

# %% [markdown]
# A fixed $k$ is too large for the first place or too small for the second.
#
# How much do these methods repeat themselves? Count the groups of three tokens that occurred before in the same text.

# %%
def repeated(text: str) -> float:
    """Share of the groups of three tokens that stood in the text before."""
    ids = tokenizer(text)["input_ids"]
    groups = list(zip(ids, ids[1:], ids[2:]))
    return 1 - len(set(groups)) / len(groups)


methods = {"greedy": {}, "T = 0.7": {"temperature": 0.7}, "T = 1": {"temperature": 1.0},
           "top-k 20": {"temperature": 1.0, "top_k": 20},
           "nucleus 0.9": {"temperature": 1.0, "top_p": 0.9}}
beginnings = ["The acting", "I watched", "This film", "The story", "It is"]
shares = {}
for name, how in methods.items():
    texts = [causal.sample(model, tokenizer, b, tokens=60, seed=i, **how)
             for i, b in enumerate(beginnings)]
    shares[name] = np.mean([repeated(text) for text in texts])
    print(f"{name:12} {shares[name]:.2f}")
assert shares["greedy"] > 2 * max(shares["T = 1"], shares["nucleus 0.9"])

# %% [markdown]
# ## Perplexity
#
# The [perplexity](../book/glossary.md#perplexity) is $e^L$, where $L$ is the loss per token. A model that chooses evenly between $k$ tokens has perplexity $k$. So it reads as "between how many tokens is the model undecided?"
#
# Three things decide what the number means.
#
# **What one token is.** A vocabulary of longer tokens has fewer and harder tokens. Divide the same sum by the number of characters instead, and models with different vocabularies can be compared. In base 2 this is called *bits per character*.
#
# **How much each token sees.** A text that is longer than the model is cut. With cuts end to end, the tokens after a cut see nothing. A *sliding window* moves by less than its length and counts only the new tokens.

# %%
long_reviews = [t for t in movie_reviews(collection="imdb")["validation"]["text"]
                if len(t) > 2000][:6]
lines = []
for window, stride in ((64, 63), (64, 32), (256, 255), (256, 128)):
    result = causal.perplexity(model, tokenizer, long_reviews, window, stride)
    lines.append([window, stride, f"{result['per_token']:.0f}",
                  f"{result['bits_per_character']:.2f}"])
print(table(["window", "moves by", "perplexity per token", "bits per character"], lines))
few, many = float(lines[0][-1]), float(lines[-1][-1])
assert many < few

# %% [markdown]
# More context gives a lower perplexity, for the same model and the same texts. When you read a perplexity in a paper, look for these two choices.
#
# **What it is compared with.** A number alone says little. The table below is the committed result of `benchmarks/gpt_mini_en.py`: the test reviews, which no model of this course has read, and three ways to predict them. The *trigram* model predicts a token from the two before it. It is smoothed by the method of Kneser and Ney (Chen and Goodman, 1999) and has the same vocabulary and the same training text. `xz` is a compression program: it, too, predicts, and its size in bits is its loss.

# %%
result = json.loads(Path("../benchmarks/results/gpt_mini_en.json").read_text())
both = {"gpt-mini-en": result["neural"]["together"], "trigram": result["trigram"]["together"]}
lines = [[name, f"{found['per_token']:.1f}", f"{found['per_character']:.2f}",
          f"{found['bits_per_character']:.3f}"] for name, found in both.items()]
lines += [[f"xz, {name}", "-", f"{2 ** result['xz'][key]:.2f}", f"{result['xz'][key]:.3f}"]
          for name, key in (("given training text", "given"), ("alone", "alone"))]
print(table(["", "per token", "per character", "bits per character"], lines))
best = min(both["trigram"]["bits_per_character"], result["xz"]["given"], result["xz"]["alone"])
gain = 1 - both["gpt-mini-en"]["bits_per_character"] / best
print(f"gpt-mini-en needs {gain:.1%} fewer bits than the better of the others")

# %% [markdown]
# ## What scale added
#
# GPT-2 and GPT-3 have the same objective and nearly the same layers as the model above. They are larger and read more. From the shapes in the papers you can compute how large: a layer of width $d$ has about $12 d^2$ parameters, and there are $V d$ in the embeddings.

# %%
shapes = {"gpt-mini-en": (model.config.n_layer, model.config.n_embd, len(tokenizer)),
          "GPT": (12, 768, 40478), "GPT-2": (48, 1600, 50257), "GPT-3": (96, 12288, 50257)}
sizes = {name: 12 * layers * d * d + v * d for name, (layers, d, v) in shapes.items()}
print(table(["", "layers", "width", "parameters, millions"],
            [[name, *shapes[name][:2], f"{size / 1e6:,.0f}"] for name, size in sizes.items()]))

# %% [markdown]
# What GPT-3 was known for is [in-context learning](../book/glossary.md#in-context-learning): you write some examples into the text, and the model goes on in the same way, without any training (Brown et al., 2020, section 2).
#
# Can a small model do this? Try it. Each text is followed by "This film is", and the model chooses between "great" and "terrible". First without examples, then with four examples before it, for three different draws of the examples. The sentences are from the validation split, half of them positive.

# %%
def choose(texts: list[str], before: str = "") -> np.ndarray:
    """ln p(great) - ln p(terrible) after each text, shape (texts,)."""
    great, terrible = (tokenizer(f" {word}")["input_ids"][0] for word in ("great", "terrible"))
    gaps = []
    for text in texts:
        ids = torch.tensor(causal.documents([f"{before}{text} This film is"], tokenizer))
        with torch.inference_mode():
            last = causal.logits(model, ids[:, -model.config.n_positions:])[0, -1]
        gaps.append((last[great] - last[terrible]).item())
    return np.array(gaps)


examples, asked = reviews["train"].shuffle(seed=0), reviews["validation"].shuffle(seed=0)
asked = [r for r in asked if len(r["text"]) < 150]
asked = [r for label in (0, 1) for r in [r for r in asked if r["label"] == label][:75]]
truth = np.array([r["label"] for r in asked])
zero = choose([r["text"] for r in asked])
print(f"no examples: accuracy {np.mean((zero > 0) == truth):.2f}, "
      f"with the median as border {np.mean((zero > np.median(zero)) == truth):.2f}")

# %%
words, plain, moved = ("terrible", "great"), [], []
short = [r for r in examples if len(r["text"]) < 100]
for seed in range(3):
    draw = np.random.default_rng(seed)
    pool = [draw.permutation([i for i, r in enumerate(short) if r["label"] == k])[:2]
            for k in (0, 1)]
    shown = [short[int(i)] for pair in zip(*pool) for i in pair]
    before = "".join(f"{r['text']} This film is {words[r['label']]}. " for r in shown)
    gaps = choose([r["text"] for r in asked], before)
    plain.append(np.mean((gaps > 0) == truth))
    moved.append(np.mean((gaps > np.median(gaps)) == truth))
print(f"four examples: accuracy {np.mean(plain):.2f} (standard deviation "
      f"{np.std(plain, ddof=1):.2f}), median as border {np.mean(moved):.2f} "
      f"({np.std(moved, ddof=1):.2f})")

# %% [markdown]
# TO BE WRITTEN
#
# ## Take-away
#
# - A causal model gives every token a probability from what stands to its left. The product is the probability of the text.
# - The labels are the inputs, shifted by one. The models of transformers shift inside: do not shift twice.
# - Test that changing a token changes nothing to its left.
# - Packed texts are isolated by an attention mask and by position numbers, or the model learns what the end of a text means.
# - Greedy search repeats itself. Temperature, top-k and nucleus sampling trade repetition for risk.
# - Perplexity depends on the tokens and on the window. Bits per character can be compared; put a simple model beside them.

# %% [markdown]
# ## Exercises
#
# Each exercise is a function without a body.
# Replace `raise NotImplementedError` by your code, run the cell, and run the check below it.
# The check prints ✓, or *not attempted yet*, or a hint.
#
# When you are done, or stuck, compare with the [solutions](causal_lm_solutions.ipynb).

# %% [markdown]
# ### Exercise 1: the loss
#
# The model gives a score to every token of the vocabulary at every position.
# Each position is asked for the token after it.
#
# Write `next_token_loss`.
# You may use `cross_entropy` from PyTorch.
# The check compares your result with the loss of `GPT2LMHeadModel`.

# %%
def next_token_loss(logits: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """Compute the loss of causal language modelling.

    logits: what each position predicts, a score for each token, shape (B, L, V).
    ids: the token ids of the rows, shape (B, L), without padding.
    Returns a tensor with one number, in nats: the mean cross-entropy over all tokens but
    the first of each row. Gradients must be able to flow from it to the logits.

    Example: when all logits are 0, the loss is ln V, whatever the ids are.
    """
    raise NotImplementedError

# %%
check("causal-loss", next_token_loss)

# %% [markdown]
# ### Exercise 2: the labels
#
# The models of transformers shift the labels themselves.
# What you have to say is only which tokens count.
#
# Write `causal_labels` for a batch with padding.

# %%
def causal_labels(ids: torch.Tensor, pad_id: int) -> torch.Tensor:
    """Write the labels of a batch for a causal model of transformers.

    ids: token ids, shape (B, L), padded on the right. They must not be modified.
    pad_id: the id of the padding. No other token has it.
    Returns a tensor of shape (B, L): the ids themselves (the model shifts them), and -100
    at padding and at the first position, which nothing can predict.

    Example: causal_labels(torch.tensor([[0, 5, 6, 9]]), 9)
    returns tensor([[-100, 5, 6, -100]]).
    """
    raise NotImplementedError

# %%
check("causal-labels", causal_labels)

# %% [markdown]
# ### Exercise 3: who may look where
#
# A row holds several texts.
# A position may look at itself and at what stands to its left in its own text, and nowhere else.
#
# Write `may_look`. It returns this as a table of true and false.

# %%
def may_look(texts: torch.Tensor) -> torch.Tensor:
    """Say which positions each position may look at.

    texts: for each position the number of its text, shape (L,).
    Returns a boolean tensor of shape (L, L): at [i, j] whether position i may look at
    position j. It may look at itself and to its left, in its own text.

    Example: may_look(torch.tensor([0, 0, 1])) returns
    tensor([[True, False, False], [True, True, False], [False, False, True]]).
    """
    raise NotImplementedError

# %%
check("causal-mask", may_look)

# %% [markdown]
# ### Exercise 4: the nucleus
#
# Nucleus sampling draws from the fewest tokens whose probabilities reach the sum $p$.
#
# Write `nucleus`. It sets the other tokens to 0 and makes the rest sum to 1.

# %%
def nucleus(probabilities: torch.Tensor, p: float) -> torch.Tensor:
    """Keep the fewest most probable tokens whose probabilities sum to p or more.

    probabilities: shape (V,), from 0 to 1, with sum 1, no two kept ones alike.
    p: the sum to reach, above 0 and below 1.
    Returns a tensor of shape (V,) in the same order: 0 for the tokens that are left out,
    and the others divided by their sum.

    Example: nucleus(torch.tensor([0.125, 0.5, 0.375]), 0.625)
    returns tensor([0.0000, 0.5714, 0.4286]).
    """
    raise NotImplementedError

# %%
check("causal-nucleus", nucleus)

# %% [markdown]
# ### Exercise 5: perplexity per character
#
# Two models cut the same text into different tokens.
# Their perplexities per token cannot be compared, those per character can.
#
# Write `perplexity_per_character`.

# %%
def perplexity_per_character(losses: torch.Tensor, text: str) -> float:
    """Return the perplexity of a text per character.

    losses: the cross-entropy of each of its tokens, in nats, shape (T,).
    text: the text itself.
    Returns one number: exp of the loss per character. Characters are counted as Python
    counts them.

    Example: perplexity_per_character(torch.tensor([1.0, 2.0]), "abc") returns 2.718...
    """
    raise NotImplementedError

# %%
check("causal-perplexity", perplexity_per_character)
