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
# - train a small GPT yourself, and let it write;
# - choose between greedy search, temperature, top-k and nucleus sampling;
# - compute perplexity so that it can be compared between models, and put a model that only counts beside yours.
#
# Reading and running take about 40 minutes, the exercises about as long again.
# The notebook itself runs in a little more than a minute on two CPU cores.
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
# The loss is the mean of the negative logarithms of the factors:
#
# $$L = -\frac{1}{n} \sum_{t=1}^{n} \ln p(x_t \mid x_{<t})$$
#
# The logarithm is the natural one, so the loss is in [nats](../book/glossary.md#nat).
#
# In this chapter you train a small GPT on film reviews. Its tokens come from [byte-level BPE](../book/glossary.md#byte-level-bpe), as in GPT-2: it can write any text, and there is no unknown token.

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

from companion import checkpoints, ngrams
from companion.corpora import movie_reviews
from companion.display import curves, table
from companion.exercises import check
from companion.objectives import causal
from companion.tokenization import train_bpe

reviews = movie_reviews(collection="rotten_tomatoes")
tokenizer = train_bpe(reviews["train"]["text"], 2000)
V = len(tokenizer)
sentence = "the film was long , but the acting was wonderful ."
ids = torch.tensor(causal.documents([sentence], tokenizer))
print([tokenizer.decode([i]) for i in ids[0].tolist()])

# %% [markdown]
# The first token, `<|endoftext|>`, is the [end-of-text token](../book/glossary.md#end-of-text-token). It also opens every text: from it the model predicts the first word.
#
# A space belongs to the word that follows it. A word that is rare in the reviews is written in several pieces. The sentences of Rotten Tomatoes are in small letters, with spaces before the punctuation, so the examples of this chapter are, too.
#
# ## The loss, and which positions count
#
# Position 0 reads `<|endoftext|>` and is asked for the first word. Position 1 reads this word and is asked for the second one. So one row of tokens gives one question for every token. A masked model gets questions for the hidden tokens only.
#
# In code, the logits of position $t$ are compared with the token at position $t+1$. This is the *shift*. The logits of the last position are compared with nothing, because nothing follows.
#
# A model with random parameters is enough to check it.

# %%
def fresh(width: int, layers: int, seed: int = 0) -> transformers.GPT2LMHeadModel:
    """A small GPT with random parameters, the same for the same seed."""
    torch.manual_seed(seed)
    made = transformers.GPT2LMHeadModel(transformers.GPT2Config(
        vocab_size=V, n_embd=width, n_layer=layers, n_head=4, n_positions=64,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=0, eos_token_id=0,
        attn_implementation="eager"))
    made.loss_type = "ForCausalLM"  # transformers cannot tell from the name of this class
    return made


random = fresh(64, 1).eval()
with torch.inference_mode():
    logits = causal.logits(random, ids)
    by_library = random(input_ids=ids, labels=ids).loss.item()
    ours = causal.loss(random, causal.CausalLM(tokenizer)(ids)).item()
by_hand = cross_entropy(logits[0, :-1], ids[0, 1:]).item()
print(f"by hand {by_hand:.3f}, by transformers {by_library:.3f}, by the course {ours:.3f}")
print(f"ln V {math.log(V):.3f}")
assert abs(by_hand - by_library) < 1e-5 and abs(by_hand - ours) < 1e-5

# %% [markdown]
# The three agree, and they are near $\ln V$, the loss of a model that knows nothing.
#
# Look at the call of transformers: `labels=ids`. The labels are the inputs themselves, because the model makes the shift *inside*. If you shift them as well, every position is asked for the token after the next one. No error is raised. A later section shows what this costs.
#
# ## No look-ahead
#
# If a position could see the token that it is asked for, the loss would mean nothing. In a Transformer, the causal [attention mask](../book/glossary.md#attention-mask) prevents it: position $t$ may look at the positions up to $t$.
#
# Do not trust this, test it. Change one token. What is predicted before it must stay the same.

# %%
place = 6
changed = ids.clone()
changed[0, place] = (changed[0, place] + 1) % V
with torch.inference_mode():
    difference = (causal.logits(random, changed) - logits).abs().amax(-1)[0]
print("logits changed:", ["yes" if d > 1e-5 else "no" for d in difference.tolist()])
assert difference[:place].max() < 1e-5 < 1e-4 < difference[place:].min()

# %% [markdown]
# Exactly the positions from the changed token on have other logits.
#
# ## Two mistakes with the shift
#
# Train three tiny models on the same rows: with the right loss, without any shift, and with two shifts. Each is then judged by the right loss, on [held-out](../book/glossary.md#held-out) text, which was not trained on.
#
# The rows are *packed*: the stream of all texts, with the end-of-text token between them, is cut into rows of equal length (see [packing](../book/glossary.md#packing)).

# %%
rows = causal.pack(reviews["train"]["text"], tokenizer, length=64)
held_out = causal.pack(reviews["validation"]["text"], tokenizer, length=64)
held_out = torch.from_numpy(held_out.astype(np.int64))


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
def asked_for(distance: int):
    """A loss that asks position t for token t + distance; only 1 is right."""
    def loss(learner, ids: torch.Tensor) -> torch.Tensor:
        predicted = causal.logits(learner, ids[:, :ids.shape[1] - distance])
        return cross_entropy(predicted.flatten(0, 1), ids[:, distance:].flatten())
    return loss


right, judged = asked_for(1), {}
for name, distance in (("one shift", 1), ("no shift", 0), ("two shifts", 2)):
    learner = fresh(64, 1)
    history = train(learner, asked_for(distance), steps=120, rate=5e-3)
    with torch.inference_mode():
        judged[name] = right(learner.eval(), held_out).item()
    print(f"{name:10}  training loss {np.mean(history[-5:]):.1f}, "
          f"right loss, held out {judged[name]:.1f}")
    assert (np.mean(history[-5:]) < 1) == (distance == 0)
assert judged["no shift"] > math.log(V) > judged["two shifts"] > judged["one shift"] + 0.1

# %% [markdown]
# Without the shift the training loss is nearly 0, which looks wonderful. Judged by the right loss, this model is worse than one that knows nothing: it expects the same token again, everywhere.
#
# With two shifts the training loss looks ordinary, so this mistake is harder to see. The model has learned a worse task: which word comes after the next one.
#
# ## Several texts in one row
#
# A packed row holds parts of several texts. `CausalLM` can isolate them: a position sees its own text only, and the position numbers begin anew with each text.

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
# Is it right? Then a text must get the same logits in the packed row as on its own.

# %%
alone = torch.tensor(causal.documents(pair[1:], tokenizer))
begin = len(joined) - alone.shape[1]
inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
with torch.inference_mode():
    single = causal.logits(random, alone)[0]
    isolated = causal.logits(random, **inputs)[0, begin:]
    mixed = causal.logits(random, torch.tensor([joined]))[0, begin:]
print("isolated: equal to the text alone     ", torch.allclose(isolated, single, atol=1e-5))
print("not isolated: equal to the text alone ", torch.allclose(mixed, single, atol=1e-5))
assert torch.allclose(isolated, single, atol=1e-5)
assert not torch.allclose(mixed, single, atol=1e-3)

# %% [markdown]
# GPT-3 was trained without isolation (Brown et al., 2020, appendix B): it is faster, and the model has to learn by itself that what stands before `<|endoftext|>` says nothing about what follows. The models of this chapter are trained so as well.
#
# ## Training one, live
#
# Three yardsticks first. $\ln V$ is the loss of knowing nothing, and the unigram loss that of knowing frequencies. The third is a *trigram* model: a table that predicts each token from the two before it (see [n-gram model](../book/glossary.md#n-gram-model)). Most groups of three tokens never occur in the training text, so its counts are smoothed by the method of Kneser and Ney (Chen and Goodman, 1999). Such tables were the best language models before neural networks.

# %%
ones = np.bincount(rows[:, 1:].ravel(), minlength=V) + 1.0
unigram = -np.log(ones / ones.sum())[held_out[:, 1:].numpy()].mean()
texts = reviews["validation"]["text"]
counted = ngrams.KneserNey.fit(causal.documents(reviews["train"]["text"], tokenizer), V)
trigram = ngrams.perplexity(counted, causal.documents(texts, tokenizer), sum(map(len, texts)))
print(f"ln V {math.log(V):.1f}, unigram {unigram:.1f}, trigram {trigram['loss']:.2f}")

# %%
model = fresh(128, 2)
history = train(model, right, steps=300, rate=1e-3)
neural = causal.perplexity(model.eval(), tokenizer, texts)
means = [float(np.mean(history[max(0, i - 20) : i + 1])) for i in range(0, len(history), 20)]
print(f"first step {history[0]:.1f}, held-out at the end {neural['loss']:.1f}")
print("mean of 20 steps:", [f"{x:.1f}" for x in means])
curves({"live": (range(1, len(history) + 1, 20), means)}, x="step", y="loss (nats)",
       level=(trigram["loss"], "trigram"))

# %%
assert abs(history[0] - math.log(V)) < 0.3
assert trigram["loss"] < neural["loss"] < unigram - 0.7

# %% [markdown]
# The small GPT leaves the unigram loss behind at once. There is no plateau as in [masked language modelling](masked_lm.ipynb): the token before the gap stands at the very position that is asked, so pairs of words are learned first.
#
# But after this short training the trigram table is still better. It has read every sentence and forgets nothing. A neural model needs more text and more time before it gains from looking further back than two tokens. This is a result to remember: a small model with little training does not beat a good table.
#
# What has it learned? Read its guesses.

# %%
# NBVAL_IGNORE_OUTPUT: the last digits of a training differ between machines
with torch.inference_mode():
    chances = causal.logits(model, ids)[0].softmax(-1)
lines = []
for t in range(ids.shape[1] - 1):
    here, target = tokenizer.decode(ids[0, t : t + 1]), tokenizer.decode(ids[0, t + 1 : t + 2])
    guesses = [tokenizer.decode([i]) for i in chances[t].topk(3).indices.tolist()]
    lines.append([repr(here), repr(target), f"{chances[t, ids[0, t + 1]]:.2f}",
                  " ".join(map(repr, guesses))])
print(table(["reads", "is asked for", "probability", "first guesses"], lines))

# %% [markdown]
# Many guesses have the right grammar, and few are right. The model knows what kind of word may come next.
#
# ## From probabilities to text
#
# At every step the model gives a probability to each token. Which one do you write? This choice is called [decoding](../book/glossary.md#decoding). The function `sample` calls `generate` of transformers.
#
# **Greedy** search takes the most probable token, always.

# %%
for start in ("the film", "it 's a", "a comedy"):
    print(causal.sample(model, tokenizer, start, tokens=30))

# %% [markdown]
# It is safe and dull: the most frequent words come again and again.
#
# **Sampling** draws a token according to its probability. A temperature $T$ divides the logits before the softmax:
#
# $$p_i = \frac{e^{z_i / T}}{\sum_j e^{z_j / T}}$$
#
# Below 1 the probable tokens gain; above 1 the improbable ones do. The [entropy](../book/glossary.md#entropy) says how spread the probabilities are.

# %%
def next_scores(text: str) -> torch.Tensor:
    """Logits of the token after a text, shape (V,)."""
    with torch.inference_mode():
        return causal.logits(model, torch.tensor(causal.documents([text], tokenizer)))[0, -1]


entropies = []
for temperature in (0.5, 1.0, 1.5):
    p = (next_scores("the acting is") / temperature).softmax(-1)
    entropies.append(-(p * p.clamp(min=1e-12).log()).sum().item())
    print(f"T = {temperature}: entropy {entropies[-1]:.0f} nats, "
          f"most probable token {tokenizer.decode([int(p.argmax())])!r}")
assert entropies == sorted(entropies)

# %% [markdown]
# **Top-k** sampling draws from the $k$ most probable tokens only. **Nucleus** sampling, or top-p, draws from the fewest tokens whose probabilities reach the sum $p$ (Holtzman et al., 2020, section 3.1). Their number depends on how certain the model is. You will count them [below](#a-checkpoint-that-can-be-read), with a model that has learned more.
#
# Here are ten continuations of "the film is" with $T = 0.8$, for ten seeds in a row. Nothing was selected and nothing was edited.

# %%
# NBVAL_IGNORE_OUTPUT: one other digit can change a drawn token
for seed in range(10):
    print(f"{seed}:", causal.sample(model, tokenizer, "the film is", tokens=25,
                                    temperature=0.8, seed=seed))

# %% [markdown]
# The model was asked for probable text, and nobody asked it for true text. After so little training there are pieces of film reviews with hardly any sense between them.
#
# ## Perplexity
#
# The [perplexity](../book/glossary.md#perplexity) is $e^L$, where $L$ is the loss per token. A model that chooses evenly between $k$ tokens has perplexity $k$. So it says between how many tokens the model is undecided.
#
# Three things decide what the number means.
#
# **What one token is.** A vocabulary of longer tokens has fewer and harder tokens. Divide the same sum by the number of characters instead, and models with different vocabularies can be compared. In base 2 this is called *bits per character*. The next cell trains trigram tables with four vocabularies on the same text.

# %%
lines, per_token, per_character = [], [], []
for size in (300, 500, 1000, 2000):
    other = train_bpe(reviews["train"]["text"], size)
    model_of_counts = ngrams.KneserNey.fit(causal.documents(reviews["train"]["text"], other), size)
    result = ngrams.perplexity(model_of_counts, causal.documents(texts, other),
                               sum(map(len, texts)))
    per_token.append(result["per_token"])
    per_character.append(result["bits_per_character"])
    lines.append([size, f"{per_token[-1]:.0f}", f"{per_character[-1]:.2f}"])
print(table(["vocabulary", "perplexity per token", "bits per character"], lines))
assert per_token == sorted(per_token) and per_token[-1] > 3 * per_token[0]
assert per_character == sorted(per_character, reverse=True)

# %% [markdown]
# Per token, the smallest vocabulary looks best by far. Per character, it is the worst: its trigrams see fewer letters. The two columns order the models in opposite ways. Never compare perplexities per token between vocabularies.
#
# **How much each token sees.** A text that is longer than the model is cut. With cuts end to end, the tokens after a cut see nothing. A *sliding window* moves by less than its length and counts only the new tokens.

# %%
long_reviews = [t.lower() for t in movie_reviews(collection="imdb")["validation"]["text"]
                if len(t) > 1500][:20]
found = {}
for window, stride in ((8, 4), (64, 63), (64, 32)):
    result = causal.perplexity(model, tokenizer, long_reviews, window, stride)
    found[window, stride] = result["loss"]
print(table(["window", "moves by", "loss per token"],
            [[window, stride, f"{loss:.1f}"] for (window, stride), loss in found.items()]))
assert max(found.values()) - min(found.values()) < 0.2

# %% [markdown]
# Here the window hardly matters. That says something about this model: it has not learned to use more than a few tokens. A model that does use its context gains from a longer window, so two perplexities of a good model can be compared only with the same window and the same stride.
#
# **What it is compared with.** A number alone says little. Put a simple model beside it, with the same tokens and the same text, as you did with the trigram table. A compression program is another yardstick: it predicts, too, and its size in bits is its loss.

# %%
squeezed = ngrams.xz_bits_per_character("\n".join(reviews["train"]["text"]), texts)
print(table(["", "bits per character"], [
    ["small GPT", f"{neural['bits_per_character']:.2f}"],
    ["trigram table", f"{trigram['bits_per_character']:.2f}"],
    ["xz, after the training text", f"{squeezed['given']:.2f}"],
    ["xz alone", f"{squeezed['alone']:.2f}"]]))
others = (neural["bits_per_character"], squeezed["given"], squeezed["alone"])
assert trigram["bits_per_character"] < min(others)

# %% [markdown]
# ## A checkpoint that can be read
#
# The model above had less than a minute. The course brings one that had more than two hours, on one core: `gpt-mini-en`. It has four layers of width 256 and a vocabulary of 2,000 pieces, capital letters included, and it has read 44 million tokens of film reviews. It was trained in three parts. Their recipes, `gpt-mini-en-first`, `gpt-mini-en-second` and `gpt-mini-en` in `companion/recipes`, and their logs are part of the course.
#
# The logs hold the loss on validation reviews: this is the curve. The dashed line is a trigram table with the same pieces, which has counted all the text of the recipes. Its loss was measured on a thousand *test* reviews, so the line is only a guide. The table behind the picture compares the two on the same texts.

# %%
mini, mini_tokenizer = checkpoints.load("gpt-mini-en", kind="causal")
measured = json.loads(Path("../benchmarks/results/gpt_mini_en.json").read_text(encoding="utf8"))
row_tokens = 16 * 256  # the rows of a step, and their length
read, losses = [], []
for part in ("log-first.jsonl", "log-second.jsonl", "log.jsonl"):
    lines = (checkpoints.folder("gpt-mini-en") / part).read_text(encoding="utf8").splitlines()
    log = [entry for entry in map(json.loads, lines) if entry.get("event") == "validation"]
    before = read[-1] if read else 0
    read += [before + entry["step"] * row_tokens / 1e6 for entry in log]
    losses += [entry["loss"] for entry in log]
    print(f"{part:16} {read[-1]:.0f} million tokens, loss {losses[-1]:.2f}")
print(f"{sum(p.numel() for p in mini.parameters()) / 1e6:.1f} million parameters")
assert (mini.config.n_layer, mini.config.n_embd, len(mini_tokenizer)) == (4, 256, 2000)
assert round(read[-1]) == 44 and losses[-1] == min(losses)
curves({"gpt-mini-en": (read, losses)}, x="million tokens read", y="loss (nats)",
       level=(measured["trigram"]["together"]["loss"], "trigram table"))

# %% [markdown]
# Each part begins with a high learning rate, and the loss rises with it before it falls below the old one. These are the steps in the curve.
#
# On a thousand test reviews, none of which it has read, `benchmarks/gpt_mini_en.py` measured this:

# %%
together = {name: measured[name]["together"] for name in ("neural", "trigram")}
bits = {"gpt-mini-en": together["neural"]["bits_per_character"],
        "trigram table": together["trigram"]["bits_per_character"],
        "xz, after the training text": measured["xz"]["given"]}
per_token = {"gpt-mini-en": together["neural"], "trigram table": together["trigram"]}
print(table(["", "bits per character", "perplexity per token"],
            [[name, f"{value:.2f}",
              f"{per_token[name]['per_token']:.0f}" if name in per_token else "-"]
             for name, value in bits.items()]))
yardstick = min(bits["trigram table"], bits["xz, after the training text"])
print(f"below the better yardstick: {1 - bits['gpt-mini-en'] / yardstick:.1%} of the bits, "
      f"{1 - 2 ** (bits['gpt-mini-en'] - yardstick):.1%} of the perplexity per character")
few = movie_reviews(collection="imdb")["validation"]["text"][:12]
now = causal.perplexity(mini, mini_tokenizer, few)["bits_per_character"]
print(f"twelve validation reviews, computed now: {now:.1f} bits per character")
assert abs(now - measured["neural"]["imdb"]["bits_per_character"]) < 0.15
assert 1 - 2 ** (bits["gpt-mini-en"] - yardstick) > 0.1

# %% [markdown]
# Now the neural model is ahead of the trigram table, on text that neither has seen. Its perplexity *per character* is more than 10 % lower. (Per token the same difference looks larger, because a token has several characters.) The loss was still falling at the end.

# %% [markdown]
# What does it write? Here are ten texts that begin with "This film", for ten seeds in a row, with temperature 0.8. Again nothing was selected and nothing was edited.

# %%
# NBVAL_IGNORE_OUTPUT: one other digit can change a drawn token
for seed in range(10):
    print(f"{seed}:", causal.sample(mini, mini_tokenizer, "This film", tokens=60,
                                    temperature=0.8, seed=seed), "\n")

# %% [markdown]
# How many tokens would nucleus sampling draw from? Count the fewest tokens that reach the sum 0.9, behind five beginnings.

# %%
sizes = {}
for text in ("as well", "I saw this", "This film is one of the", "This film is", "The"):
    begun = torch.tensor(causal.documents([text], mini_tokenizer))
    with torch.inference_mode():
        chances = causal.logits(mini, begun)[0, -1].softmax(-1)
    sums = chances.sort(descending=True).values.cumsum(0)
    sizes[text] = int((sums < 0.9).sum()) + 1
    print(f"{sizes[text]:4} tokens reach 0.9 after {text!r}")
assert max(sizes.values()) > 20 * min(sizes.values())

# %% [markdown]
# After "as well", hardly anything but "as" can follow. After "The", very much can. One fixed $k$ cannot fit all of these places: it lets in improbable tokens here, or leaves out probable ones there. The nucleus follows the model.

# %% [markdown]
# ## What scale added
#
# GPT-2 and GPT-3 have the same objective and nearly the same layers as the model above. They are larger and read more. From the shapes in the papers you can compute how large: a layer of width $d$ has about $12 d^2$ parameters, and there are $V d$ in the embeddings.

# %%
shapes = {"this chapter": (2, 128, V), "GPT": (12, 768, 40478), "GPT-2": (48, 1600, 50257),
          "GPT-3": (96, 12288, 50257)}
millions = {name: (12 * n * d * d + v * d) / 1e6 for name, (n, d, v) in shapes.items()}
print(table(["", "layers", "width", "parameters, millions"],
            [[name, *shapes[name][:2], f"{size:,.1f}"] for name, size in millions.items()]))

# %% [markdown]
# What GPT-3 was known for is [in-context learning](../book/glossary.md#in-context-learning): you write some examples into the text, and the model goes on in the same way, without any training (Brown et al., 2020, section 2).
#
# Can our small models do it? Each sentence is followed by "it is", and the model chooses between "good" and "bad". First without examples, then after two examples, one of each kind, for three different draws. The sentences are from the validation split, half of them positive. Both models are asked: the one of this chapter and `gpt-mini-en`.

# %%
def accuracy(before: str, model, tokenizer) -> float:
    """Share of right answers with the median score as border, so that no prior decides."""
    good, bad = (tokenizer(word)["input_ids"][0] for word in (" good", " bad"))
    gaps = []
    for review in asked:
        ids = causal.documents([f"{before}{review['text']} it is"], tokenizer)[0]
        with torch.inference_mode():
            last = causal.logits(model, torch.tensor([ids[-model.config.n_positions:]]))[0, -1]
        gaps.append((last[good] - last[bad]).item())
    truth = [review["label"] for review in asked]
    return float(np.mean((np.array(gaps) > np.median(gaps)) == np.array(truth)))


# %%
short = [r for r in reviews["validation"] if len(r["text"]) < 80]
asked = [r for label in (0, 1) for r in [r for r in short if r["label"] == label][:100]]
pool = [r for r in reviews["train"] if len(r["text"]) < 60]
found = {}
for name, parts in (("this chapter", (model, tokenizer)), ("gpt-mini-en", (mini, mini_tokenizer))):
    without, results = accuracy("", *parts), []
    for seed in range(3):
        draw = np.random.default_rng(seed)
        two = [draw.choice([r["text"] for r in pool if r["label"] == label]) for label in (0, 1)]
        results.append(accuracy(f"{two[0]} it is bad . {two[1]} it is good . ", *parts))
    found[name] = without, np.mean(results)
    print(f"{name:12}  no examples {without:.2f}, two examples {np.mean(results):.2f} "
          f"(standard deviation {np.std(results, ddof=1):.2f})")
assert abs(found["this chapter"][1] - 0.5) < 0.12 and found["gpt-mini-en"][0] > 0.57
assert abs(found["gpt-mini-en"][1] - found["gpt-mini-en"][0]) < 0.05

# %% [markdown]
# With examples the answers of the small model are about as good as guessing. `gpt-mini-en` is better than guessing *without* any example: it has learned that "bad" fits behind a complaint. But the examples add nothing. GPT-3 was trained with the same objective. The difference is size and text. This chapter cannot show where the ability begins. Part II shows what a small model *can* do without labels: a masked model, asked in the right way.
#
# Today's chat models begin in the same way, with causal pretraining on very much text. Two steps follow. In *instruction tuning* the model is trained on requests together with good answers. Then people compare answers of the model, and it is trained to give those that they prefer: *learning from human feedback* (Ouyang et al., 2022). Neither step is part of this course.
#
# ## Take-away
#
# - A causal model gives every token a probability from what stands to its left. The product is the probability of the text.
# - The labels are the inputs, shifted by one. The models of transformers shift inside: do not shift twice.
# - Test that changing a token changes nothing before it.
# - Packed texts are isolated by an attention mask and by position numbers, or the model learns what the end of a text means.
# - Greedy search is dull. Temperature, top-k and nucleus sampling choose between dull and wild.
# - Perplexity depends on the tokens and on the window. Compare bits per character, and put a simple model beside yours.

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

    probabilities: shape (V,), from 0 to 1, with sum 1. Those that are kept all differ.
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
