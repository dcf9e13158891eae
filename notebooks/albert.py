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
# # ALBERT: fewer parameters, the same arithmetic
#
# BERT's large model has hundreds of millions of [parameters](../book/glossary.md#parameter).
# ALBERT, "a lite BERT" (Lan et al., 2020), does with far fewer. It uses narrow [embeddings](../book/glossary.md#embedding), and it runs one layer many times.
# This chapter counts what that saves, measures what it does not save, and shows a Chinese ALBERT that was trained for this course.
#
# After this chapter you will be able to
#
# - count the parameters of an ALBERT by hand, and check your count by code;
# - say what factorised embeddings and shared layers save: memory for weights, not time;
# - build rows for sentence order that do not give their label away;
# - explain why a small model stays on the unigram plateau, and how it can be helped past it;
# - read the curves and the mistakes of a model that was trained from scratch.
#
# Reading and running take about 40 minutes, the exercises about as long again.
# Read [Masked language modelling](masked_lm.ipynb) and [Sentence pairs](sentence_pairs.ipynb) first.

# %% [markdown]
# ## Where the parameters are
#
# How large are the models that the two papers describe? You can count without downloading them.
# On PyTorch's device `meta` a tensor has a shape and no numbers, so even a very large model takes no memory.

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
from time import perf_counter

import numpy as np
import torch
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from torch.utils.flop_counter import FlopCounterMode
from transformers import (AlbertConfig, AlbertForMaskedLM, AlbertForPreTraining, AlbertModel,
                          AutoModel, BertConfig)

from companion import checkpoints
from companion.corpora import people_daily
from companion.display import curves, read_log, table
from companion.exercises import check
from companion.filling import fill
from companion.objectives import masked, masked_order
from companion.pretraining import Recipe, start
from companion.pretraining.loop import evaluate
from companion.tokenization import pack, train_characters

# %%
def count(config, kind=AutoModel.from_config) -> int:
    """The number of parameters of the model that a configuration describes."""
    with torch.device("meta"):
        return sum(p.numel() for p in kind(config).parameters())


large = dict(hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, intermediate_size=4096)
base = dict(hidden_size=768, num_hidden_layers=12, num_attention_heads=12, intermediate_size=3072)
xlarge = dict(hidden_size=2048, num_hidden_layers=24, num_attention_heads=16,
              intermediate_size=8192)
models = {"BERT-base": BertConfig(), "ALBERT-base": AlbertConfig(**base),
          "BERT-large": BertConfig(**large), "ALBERT-large": AlbertConfig(**large),
          "ALBERT-xlarge": AlbertConfig(**xlarge), "ALBERT-xxlarge": AlbertConfig()}
print(table(["model", "layers", "hidden", "embedding", "million parameters"],
            [[name, c.num_hidden_layers, c.hidden_size, getattr(c, "embedding_size", c.hidden_size),
              f"{count(c) / 1e6:.0f}"] for name, c in models.items()]))
assert count(models["BERT-large"]) > 15 * count(models["ALBERT-large"])

# %% [markdown]
# ALBERT-large has the depth and the width of BERT-large. Two changes make the difference.
#
# ## A factorised embedding
#
# BERT has a table with one vector of the hidden size $H$ for each of the $V$ entries of its [vocabulary](../book/glossary.md#vocabulary). That makes $V \cdot H$ numbers.
# But such a vector stands for a token without its context. It need not be as wide as the [hidden states](../book/glossary.md#hidden-state), which describe a token in its context.
#
# ALBERT's table has narrow vectors of size $E$. One matrix maps them to the hidden size:
#
# $$V \cdot H \quad\text{becomes}\quad V \cdot E + E \cdot H$$
#
# This is a [factorised embedding](../book/glossary.md#factorised-embedding) (Lan et al., 2020, section 3.1). In code it is a look-up and a product.

# %%
torch.manual_seed(0)
V, E, H = 5000, 128, 256  # the sizes of the checkpoint albert-mini-zh
narrow, lift = torch.randn(V, E), torch.randn(E, H)
ids = torch.tensor([[7, 42, 4999]])
print("looked up:", tuple(narrow[ids].shape), " mapped:", tuple((narrow[ids] @ lift).shape))
print(f"one table of V x H: {V * H:9,}")
print(f"two factors:        {V * E + E * H:9,}")

# %% [markdown]
# What is lost? The table that the two factors stand for has the shape (V, H), but its [rank](../book/glossary.md#rank-of-a-matrix) is at most $E$. All its rows lie in a space of $E$ dimensions. A smaller example shows it, and also when the factors save nothing.

# %%
product = torch.randn(1000, 8) @ torch.randn(8, 32)
print("shape", tuple(product.shape), " rank", int(torch.linalg.matrix_rank(product)))
assert torch.linalg.matrix_rank(product) == 8
border = V * H / (V + H)
print(f"with V = {V} and H = {H}, factors are smaller while E < {border:.0f}")

# %% [markdown]
# The saving is large when the vocabulary is large and the hidden size too. For the same reason it matters less in Chinese: a few thousand characters write almost everything, while English models have some tens of thousands of pieces.
#
# ## One layer, run many times
#
# The second change is [cross-layer parameter sharing](../book/glossary.md#cross-layer-parameter-sharing). BERT has $L$ layers with weights of their own:
#
# $$h_{i+1} = f_{\theta_i}(h_i) \quad\text{becomes}\quad h_{i+1} = f_{\theta}(h_i)$$
#
# So the smallest function is a loop that calls the same layer again. The next cell runs the parts of a small `AlbertModel` by hand and compares with the model itself.

# %%
SIZES = dict(vocab_size=5000, embedding_size=128, hidden_size=256, num_hidden_layers=4,
             num_attention_heads=8, intermediate_size=1024, max_position_embeddings=128,
             hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)


def fresh(kind=AlbertModel, **changes):
    """A model with random weights, the same every time; plain products, for the CPU."""
    torch.manual_seed(0)
    return kind(AlbertConfig(**SIZES | changes, attn_implementation="eager")).eval()


shared = fresh()
ids = torch.randint(5, 5000, (8, 128), generator=torch.Generator().manual_seed(0))
layer = shared.encoder.albert_layer_groups[0].albert_layers[0]
with torch.inference_mode():
    states = shared.encoder.embedding_hidden_mapping_in(shared.embeddings(ids))
    for _ in range(4):
        states = layer(states)
    same = torch.allclose(states, shared(ids).last_hidden_state, atol=1e-5)
print("by hand as by the model:", same)
assert same

# %% [markdown]
# A setting undoes the sharing: `num_hidden_groups`. A group is a run of layers that share their weights. ALBERT has one group. With as many groups as layers you get an ALBERT that shares nothing, of the same shape. It is the right partner for comparisons, since nothing else differs.
#
# Copy the shared layer into all four groups of such a model. Its answers must be the same. And what about the [gradient](../book/glossary.md#gradient)?

# %%
unshared = fresh(num_hidden_groups=4)
weights = shared.state_dict()
group = "encoder.albert_layer_groups."
unshared.load_state_dict({name: weights[f"{group}0.{name.split('.', 3)[3]}"]
                          if name.startswith(group) else weights[name]
                          for name in unshared.state_dict()})
few = ids[:2, :32]
for model in (shared, unshared):
    model(few).last_hidden_state.pow(2).mul(torch.arange(256)).mean().backward()
one = layer.ffn.weight.grad
four = [g.albert_layers[0].ffn.weight.grad for g in unshared.encoder.albert_layer_groups]
print("same answers:", torch.allclose(shared(few)[0], unshared(few)[0], atol=1e-5))
print("shared gradient = sum of the four:", torch.allclose(one, sum(four), rtol=1e-3, atol=1e-4))
print("they differ from layer to layer:", not torch.allclose(four[0], four[3], rtol=0.1))
assert torch.allclose(one, sum(four), rtol=1e-3, atol=1e-4)

# %% [markdown]
# The gradient of the shared layer is the sum of what each of its four uses would want. Where two uses want opposite things, neither gets them. This is the price of sharing.
#
# ## Counted by hand and by code
#
# A linear layer from $m$ to $n$ has $mn$ weights and $n$ biases. A [layer normalisation](../book/glossary.md#layer-normalisation) has a scale and a shift for each place. With $I$ for the inner width of the [feed-forward network](../book/glossary.md#feed-forward-network), one layer has
#
# $$\underbrace{4(H^2 + H)}_{\text{attention}} + \underbrace{2HI + I + H}_{\text{feed-forward}} + \underbrace{2 \cdot 2H}_{\text{normalisation}}$$
#
# parameters. The attention has four linear layers: query, key, value, and one behind the heads. The next cell counts every part by formula and by code.

# %%
def linear(m: int, n: int) -> int:
    """Weights and biases of a linear layer from m to n."""
    return m * n + n


V, E, H, I, P = 5000, 128, 256, 1024, 128  # P positions, and 2 segments
by_hand = {
    "embeddings": (V + P + 2) * E + 2 * E,
    "encoder.embedding_hidden_mapping_in": linear(E, H),
    "encoder.albert_layer_groups": 4 * linear(H, H) + linear(H, I) + linear(I, H) + 4 * H,
    "pooler": linear(H, H),
}
by_code = {part: sum(p.numel() for p in shared.get_submodule(part).parameters())
           for part in by_hand}
print(table(["part", "by hand", "by code"],
            [[part.split(".")[-1], f"{n:,}", f"{by_code[part]:,}"] for part, n in by_hand.items()]))
print(f"in all {sum(by_hand.values()):,}; unshared {count(unshared.config):,}")
assert by_hand == by_code and sum(by_hand.values()) == count(shared.config)
assert count(unshared.config) == sum(by_hand.values()) + 3 * by_hand["encoder.albert_layer_groups"]

# %% [markdown]
# In exercise 1 you write this count for any sizes.
#
# ## Fewer parameters, the same arithmetic
#
# Does a model with fewer parameters run faster? A parameter that is used four times must be multiplied four times. Compare three models:
#
# - *shared*: four layers, one set of weights;
# - *unshared*: four layers, four sets of weights;
# - *one layer*: as many parameters as *shared*, but run only once.
#
# First the arithmetic, which is the same on every machine. `FlopCounterMode` counts the multiplications and additions of a forward and a backward pass. The cell also counts the numbers that the forward pass must keep for the backward pass, the [activations](../book/glossary.md#activations).

# %%
trio = {"shared": fresh().train(), "unshared": fresh(num_hidden_groups=4).train(),
        "one layer": fresh(num_hidden_layers=1).train()}


def both_ways(model) -> None:
    """A forward and a backward pass over 8 rows of 128 tokens."""
    model.zero_grad()
    model(ids).last_hidden_state.sum().backward()


def activations(model) -> int:
    """How many bytes a forward pass keeps, weights not counted."""
    weights, kept = {p.data_ptr() for p in model.parameters()}, {}

    def note(tensor):
        if tensor.data_ptr() not in weights:
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        result = model(ids).last_hidden_state  # keeps the graph, and so all it has saved, alive
    return sum(kept.values()) if result.requires_grad else 0

# %%
work, memory = {}, {}
for name, model in trio.items():
    with FlopCounterMode(display=False) as counter:
        both_ways(model)
    work[name], memory[name] = counter.get_total_flops(), activations(model)
print(table(["model", "million parameters", "billion operations", "activations, MB"],
            [[name, f"{count(m.config) / 1e6:.2f}", f"{work[name] / 1e9:.1f}",
              f"{memory[name] / 1e6:.0f}"] for name, m in trio.items()]))
assert work["shared"] == work["unshared"] and memory["shared"] == memory["unshared"]
assert work["one layer"] < 0.3 * work["shared"]

# %% [markdown]
# Sharing saves not a single operation, and no activations either. Now the clock. Each model is timed several times in turn, and the shortest time counts, because other programs can only make a run longer. The seconds are those of the machine that ran the notebook last; yours will differ.

# %%
# NBVAL_IGNORE_OUTPUT
seconds = {name: math.inf for name in trio}
for _ in range(5):
    for name, model in trio.items():
        begin = perf_counter()
        both_ways(model)
        seconds[name] = min(seconds[name], perf_counter() - begin)
print(table(["model", "seconds"], [[name, f"{s:.3f}"] for name, s in seconds.items()]))

# %% [markdown]
# So *parameters* and *time* are two different costs. The number of parameters decides how large the file is, how much memory weights, gradients and optimiser need, and how much computers must send each other when several train together. The arithmetic decides how long a step takes.
#
# The authors used the memory that they had saved to build wider models. ALBERT-xxlarge has fewer parameters than BERT-large, gives better results, and is slower, in training and in use (Lan et al., 2020, table 2 and section 5). A small file does not mean a fast model.
#
# ## Sentence order without a giveaway
#
# The third change is an [objective](../book/glossary.md#objective). In place of BERT's next sentence, ALBERT has [sentence-order prediction](../book/glossary.md#sentence-order-prediction), SOP: two stretches of one text, in order or swapped. [Sentence pairs](sentence_pairs.ipynb) introduced it. Here it stands beside masked words in the same batch, and the loss is the sum of both.
#
# `masked_order.pack_pairs` cuts texts into sentences and collects sentences until a stretch is long enough. Two neighbouring stretches are a pair. Sentences that form no pair are packed into *plain* rows, which have no question of order. `MaskedOrder` is the [collator](../book/glossary.md#collator) that swaps and masks. Text is the training split of `people_daily`; the tokens are characters.

# %%
news = people_daily()
tokenizer = train_characters(news["train"]["text"], 5000)
long_texts = [text for text in news["train"]["text"] if len(text) > 250][:1500]
rows = masked_order.pack_pairs(long_texts, tokenizer, 128)
paired = rows[rows[:, 128] != tokenizer.pad_token_id]
print(f"{len(rows):,} rows, {len(paired):,} of them pairs")
visible = masked_order.MaskedOrder(tokenizer, hidden=0.0, random=0.0)  # nothing is masked
batch = visible(paired)
for i in (batch["order"] == 0).nonzero()[0].tolist() + (batch["order"] == 1).nonzero()[0].tolist():
    text = tokenizer.decode(batch["input_ids"][i]).replace(" ", "")
    first, second, _ = text.removeprefix("[CLS]").split("[SEP]")
    print(int(batch["order"][i]), f"{first[:12]} ... {first[-12:]} | {second[:12]} ... {second[-12:]}")

# %% [markdown]
# Label 0 is text as it was written, label 1 is swapped. The cell prints the beginning and the end of each stretch. Look at the border in the middle. The stretch in the first place may begin in the middle of a sentence, but it ends with the end of one. The one in the second place begins with a beginning, and may break off. That is so for both labels: *first* the stretches change places, *then* each is cut by its place.
#
# What happens in the other order? The next cell cuts first and swaps then. It asks only one thing: does an end mark stand before the first `[SEP]`?

# %%
one, two = masked_order.places(128)
ends = tokenizer.convert_tokens_to_ids(list("。！？…”』」》)"))


def last_of_first(pair: np.ndarray, swapped: bool, cut_first: bool) -> int:
    """The token before the first [SEP] of a row."""
    a, b = (half[half != tokenizer.pad_token_id] for half in (pair[:128], pair[128:]))
    if cut_first:
        a, b = a[-one:], b[:two]
    return (b if swapped else a)[-1]


orders = batch["order"].tolist()
for name, cut_first in (("swap, then cut", False), ("cut, then swap", True)):
    broken = [last_of_first(pair, bool(label), cut_first) not in ends
              for pair, label in zip(paired, orders)]
    right = np.mean([label == guess for label, guess in zip(orders, broken)])
    print(f"{name}: \"broken off means swapped\" is right for {right:.2f} of the pairs")
    assert right > 0.9 if cut_first else 0.4 < right < 0.6

# %% [markdown]
# With the wrong order of the two steps, one token answers the question, and nothing about the text must be understood.
#
# There may be a second giveaway, in the text itself. A news report opens with a dateline, such as 本报北京1月1日讯, "our paper, Beijing, 1 January". A stretch with a dateline comes first. Articles of an encyclopedia have openings of another kind: the first sentence says what the title means. `pack_pairs(..., margin=1)` leaves the first and the last sentence of every text out, so that you can measure what is left. A [bag](../book/glossary.md#bag-of-words) of characters for each place, with [logistic regression](../book/glossary.md#logistic-regression), measures both:

# %%
def bags(ids: torch.Tensor) -> sparse.csr_matrix:
    """How often each character stands in the first and in the second place."""
    columns = ids.numpy() + len(tokenizer) * (np.arange(128) >= one + 2)
    where = np.repeat(np.arange(len(ids)), 128)
    return sparse.csr_matrix((np.ones(ids.numel()), (where, columns.ravel())),
                             shape=(len(ids), 2 * len(tokenizer)))


for margin in (0, 1):
    pairs = masked_order.pack_pairs(long_texts, tokenizer, 128, margin)
    pairs = pairs[pairs[:, 128] != tokenizer.pad_token_id]
    scores = []
    for seed in range(3):  # which pairs are swapped
        batch = masked_order.MaskedOrder(tokenizer, hidden=0.0, random=0.0, seed=seed)(pairs)
        scores.append(cross_val_score(LogisticRegression(C=0.05, max_iter=300),
                                      bags(batch["input_ids"]), batch["order"], cv=5).mean())
    print(f"margin {margin}: {len(pairs)} pairs, right {np.mean(scores):.2f} "
          f"± {np.std(scores, ddof=1):.2f}")
    assert 0.47 < np.mean(scores) < 0.56

# %% [markdown]
# Both are as good as chance: what lies above one half is no larger than the spread over the three draws of which pairs are swapped.
# So in this newspaper the characters alone give nothing away that a bag of them could find, with openings or without.
# In your own text they may. An accuracy of sentence order means little without this number beside it.
#
# ## The unigram plateau, and a head start
#
# A small model that starts from random weights first learns how frequent each token is. Then, for a long time, its loss hardly falls. This is the [unigram plateau](../book/glossary.md#unigram-plateau).
# To leave it, the model must find two things at once: which positions are neighbours, and which tokens go together. Neither helps without the other, so the gradient shows no way to either.
#
# Both can be computed before the training. That is a [head start](../book/glossary.md#head-start).
#
# 1. **Token vectors from counts.** Count how often two tokens stand side by side. Compare with what chance would give, $\ln \frac{p(a,b)}{p(a)\,p(b)}$. Keep the positive values, and take the strongest directions of this table (Levy and Goldberg, 2014). Tokens in similar company get similar vectors.
# 2. **Heads that look at a fixed distance.** With sines and cosines as positions, a shift is a rotation. So a query matrix can be written down that asks for "one place to the left".
#
# `companion.pretraining.start` does both. No network has been trained here yet:

# %%
sample = pack(news["train"]["text"][:6000], tokenizer, 64)
vectors = start.token_vectors(sample, len(tokenizer), 96)
for token in "京三月他江":
    nearest = (vectors @ vectors[tokenizer.convert_tokens_to_ids(token)]).topk(5).indices[1:]
    print(token, "->", " ".join(tokenizer.convert_ids_to_tokens(nearest.tolist())))

# %% [markdown]
# Numerals stand beside numerals, pronouns beside pronouns, and the character of Beijing beside other names of places. This came from counting alone. Now the heads:

# %%
counts = np.bincount(sample.ravel(), minlength=len(tokenizer))
small = dict(hidden_size=128, num_hidden_layers=2, num_attention_heads=4, intermediate_size=512,
             embedding_size=64, max_position_embeddings=64, vocab_size=len(tokenizer))
begun = fresh(AlbertForMaskedLM, **small)
start.head_start(begun, sample, counts)
text = torch.from_numpy(sample[:8].astype(np.int64))
with torch.inference_mode():
    attention = begun(text, output_attentions=True).attentions[0]
inner = torch.arange(2, 62)
for head in range(4):
    looked = attention[:, head, inner].argmax(-1)
    share = [(looked == inner + offset).float().mean().item() for offset in (-2, -1, 1, 2)]
    print("head", head, " share of looks at -2, -1, +1, +2:", [f"{s:.2f}" for s in share])
    assert (max(share) > 0.9) == (head < 2)

# %% [markdown]
# Half of the heads look at a neighbour, before any training: here the first two. The others are free. Does it help? Train the same small ALBERT twice on masked characters, with and without the head start, on the same batches. The yardstick is the [unigram](../book/glossary.md#n-gram-model) loss: what a model gets that knows only frequencies.

# %%
held_out = pack(news["validation"]["text"][:400], tokenizer, 64)[:64]
known = (counts[5:] + 1.0) / (counts[5:] + 1.0).sum()  # [5:]: no special tokens
seen = np.bincount(held_out.ravel(), minlength=len(tokenizer))[5:]
unigram = -(seen * np.log(known)).sum() / seen.sum()
STEPS = 48
batches = np.random.default_rng(0).integers(len(sample), size=(STEPS, 32))


def train(model) -> list[float]:
    """Train on masked characters; return the held-out loss after every 16 steps."""
    collator, losses = masked.MaskedLM(tokenizer, share=0.2), []
    optimiser = torch.optim.AdamW(model.train().parameters(), lr=2e-3, weight_decay=0.01)
    for step in range(STEPS):
        optimiser.param_groups[0]["lr"] = 2e-3 * min((step + 1) / 12, (STEPS - step) / 36)
        loss = masked.loss(model, collator(sample[batches[step]], step))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step % 16 == 15:
            losses.append(evaluate(model, masked.MaskedLM(tokenizer), held_out)["loss"])
    return losses

# %%
live = {"head start": train(begun), "random start": train(fresh(AlbertForMaskedLM, **small))}
at = range(16, STEPS + 1, 16)
print(f"unigram {unigram:.1f}")
for name, losses in live.items():
    print(f"{name:13}", [f"{loss:.1f}" for loss in losses])
assert live["head start"][-1] < unigram - 0.1 < live["random start"][-1]
curves({name: (at, losses) for name, losses in live.items()}, x="step",
       y="held-out loss (nats)", level=(unigram, "unigram"))

# %% [markdown]
# In the same few steps, the model with the head start falls below the unigram loss. The other one is still learning frequencies. A head start is no knowledge of language: it only opens the way. A longer training can leave the plateau without it, when the learning rate suits. With one rate ours did, with a larger one it never did: the card of the checkpoint has both figures.
#
# ## The checkpoint `albert-mini-zh`
#
# This Chinese ALBERT was trained from random weights, with the head start, by two recipes of the course. The first reads the newspaper, shopping reviews and whole articles of the Chinese Wikipedia. Whole articles give many pairs for sentence order. The second reads from the same sources again, with fewer articles. Its card, `README.md` in its folder, says what it read. Its two logs lie beside it, so the curves can be drawn here.

# %%
folder = checkpoints.folder("albert-mini-zh")
model, tokenizer = checkpoints.load("albert-mini-zh")
c = model.config
print(f"{c.num_hidden_layers} layers, {c.num_hidden_groups} group, {c.hidden_size} wide, "
      f"embeddings {c.embedding_size} wide, {c.vocab_size:,} characters")
print(f"{sum(p.numel() for p in model.parameters()):,} parameters, file "
      f"{(folder / 'model.safetensors').stat().st_size / 1e6:.1f} MB")
parts = [read_log(folder / name, "validation") for name in ("log-first.jsonl", "log.jsonl")]
border = parts[0][-1]["step"]
log = parts[0] + [e | {"step": border + e["step"]} for e in parts[1]]
shown = [e for i, e in enumerate(log) if i % 2 == 0 or e is log[-1]]
print(table(["step", "loss", "top-1", "order"],
            [[e["step"], f"{e['loss']:.2f}", f"{e['accuracy']:.2f}", f"{e['order_accuracy']:.2f}"]
             for e in shown]))
assert log[-1]["loss"] < 4.5
curves({"held-out loss (nats)": ([e["step"] for e in log], [e["loss"] for e in log])},
       x="step", y="loss (nats)")

# %% [markdown]
# The column *loss* is that of masked characters in held-out newspaper lines and reviews. *Top-1* is the share of them that the model guesses right at the first try. *Order* is the share of right answers about the order of stretches.

# %%
end, again = parts[0][-1], parts[1][0]
print(f"the same weights, asked about two sets of pairs: {end['order_accuracy']:.2f} "
      f"and {again['order_accuracy']:.2f}")
print("last steps:", [f"{e['order_accuracy']:.2f}" for e in log[-4:]])
curves({"order": ([e["step"] for e in log], [e["order_accuracy"] for e in log])},
       x="step", y="right answers", level=(0.5, "chance"))

# %% [markdown]
# Read this curve with care. Lines of a newspaper and reviews are short, so only few of the held-out rows are pairs, and a few answers more or less move the curve a good deal. Where the second part of the training begins, the same weights were asked about other pairs, and the first line that was printed shows how far apart the two answers are. 
#
# In the whole first part the curve stays near chance, while the loss falls. A loss that is part of a sum can stay where it began while the sum falls, so log each part by itself. But most pairs that the model learned from are of encyclopedia articles, another kind of text, and this curve cannot show what it learned there. So measure on the kind of text that was trained on.
#
# `benchmarks/albert_mini_zh.py` does that. It takes pairs from Wikipedia articles that the model has not read, and puts the bag of characters beside it. It counts the *opening* of an article, its first pair, apart from the later pairs *inside* it:

# %%
measured = json.loads(Path("../benchmarks/results/albert_mini_zh.json").read_text())
print("share of right answers, with 95 % intervals; chance is 0.50")
for name, order in measured["order"].items():
    spread = 1.96 * math.sqrt(order["accuracy"] * (1 - order["accuracy"]) / order["pairs"])
    print(f"{name:8} {order['pairs']:6,} pairs: model {order['accuracy']:.2f} ± {spread:.2f}, "
          f"characters alone {order['characters']:.2f}")
    assert order["accuracy"] - spread > max(order["characters"], 0.5)
assert [round(measured["order"]["openings"][k], 1) for k in ("accuracy", "characters")] == [0.9, 0.8]
assert 7 < count(models["ALBERT-base"]) / count(model.config) < 9
assert measured["order"]["inside"]["accuracy"] < 0.56 < measured["order"]["all"]["accuracy"] < 0.75

# %% [markdown]
# The number behind ± is half the width of a 95 % [confidence interval](../book/glossary.md#confidence-interval). It takes the pairs as independent. Several pairs come from one article, so the true intervals are somewhat wider. The table has three results, and it is worth reading slowly.
#
# - **Openings**: the model is right nine times out of ten. The first sentence of an article says what its title means, and the model has learned what such a sentence looks like. But the bag of characters is right about eight times out of ten, and it has learned from far fewer pairs.
# - **Inside** an article the model is a little better than chance. It is also a little ahead of the bag, but both are close to chance. The model has hardly learned how one stretch of text leads to the next.
# - **All** together lie between. The goal of the course, set beforehand, was 0.75. It did not say for which pairs. For openings it is reached, for all pairs it is not.
#
# So one number for "sentence order" means little. It depends on how many of the pairs are openings, and an average hides that the model knows one thing well and another hardly at all. ALBERT's authors report 0.865 over all their pairs (Lan et al., 2020, table 5). Their model has about eight times as many parameters as this one, reads longer stretches, and was trained on far more text.
#
# ## Ten gaps
#
# Ten sentences with a gap were written and committed before the model was trained. Each has one expected character. Here are all ten with the three best answers, as they come.

# %%
probe = json.loads((Path(checkpoints.__file__).parent / "probes" / "cloze_zh.json").read_text())
right = 0
for item in probe["items"]:
    best = fill(model, tokenizer, item["text"], top=3)[0]
    hit = best[0][0] == item["answer"]
    right += hit
    print("+" if hit else "-", item["text"].replace("[MASK]", "▢"), item["answer"], "|",
          ", ".join(f"{token} {share:.2f}" for token, share in best))
    print("   ", item["english"])
print("right:", right, "of", len(probe["items"]))

# %% [markdown]
# Most of these gaps ask for the second character of a common word: 总统, "president"; 电影, "film". The character before the gap says much about it, and little else needs to be read. So a right answer here is no proof of knowledge about capitals or rivers. Now your own text:

# %%
for text in ("我昨天在图书馆看[MASK]。", "今天天气很[MASK]。", "东西很好，我很满[MASK]。"):
    best = fill(model, tokenizer, text, top=4)[0]
    print(text.replace("[MASK]", "▢"), "|", ", ".join(f"{t} {p:.2f}" for t, p in best))

# %% [markdown]
# They say: "Yesterday I read ▢ in the library", "the weather today is very ▢", "the goods are fine, I am very satis▢".
#
# ## What each change costs: an ablation
#
# What does the model lose by sharing, and by narrow embeddings? And should it hide single characters or whole words? Here are four recipes. All begin with the head start. The first is that of the checkpoint's shape, and each of the others differs from it in one thing. All else is the same: text, seed, batches, number of steps. This is an [ablation](../book/glossary.md#ablation).
#
# - `albert-ablation-shared`: the shape of the checkpoint.
# - `albert-ablation-unshared`: every layer has weights of its own.
# - `albert-ablation-wide`: shared, but embeddings as wide as the layers.
# - `albert-ablation-words`: shared, and [whole words](../book/glossary.md#whole-word-masking) are masked, as the package `jieba` finds them. For the held-out loss single characters are hidden, as in the others.
#
# They are much shorter than the training of the checkpoint. Their logs were committed, and the next cell reads them.

# %%
results = Path("../benchmarks/results")
runs, lines = {}, []
for name in ("shared", "unshared", "wide", "words"):
    recipe = Recipe.read(f"albert-ablation-{name}")
    config = AlbertConfig(**{"vocab_size": recipe.model.vocabulary, **recipe.model.config})
    file = results / f"albert-ablation-{name}.jsonl"
    runs[name] = read_log(file, "validation")
    last = runs[name][-1]
    lines.append([name, f"{count(config, AlbertForPreTraining) / 1e6:.2f}", f"{last['loss']:.2f}",
                  f"{last['accuracy']:.3f}"])
    assert last["loss"] < 6.2 and last["step"] == recipe.steps
print(table(["recipe", "million parameters", "loss", "top-1"], lines))
assert runs["words"][-1]["loss"] > max(runs[n][-1]["loss"] for n in runs if n != "words") + 0.4
assert runs["wide"][-1]["loss"] + 0.2 < min(runs[n][-1]["loss"] for n in ("shared", "unshared"))
curves({name: ([e["step"] for e in run], [e["loss"] for e in run]) for name, run in runs.items()},
       x="step", y="held-out loss (nats)")

# %% [markdown]
# Compare the columns. The losses show what the parameters bought on this text and in this time.
# Layers of their own bought nothing yet: shared and unshared end close together. Embeddings as wide as the layers bought the most. But wide embeddings also take in more of the head start, so part of their gain may come from there.
#
# Whole words were the slowest. When a word is hidden as a whole, its other characters cannot help to guess it, so the question is harder. And in the end it is asked about single characters, which it has practised less. Both may be reasons; the experiment does not tell them apart. This comparison says nothing about tasks that follow: Cui et al. (2019) found whole-word masking better there, with much more text and training.
#
# Two cautions. Each recipe was run once, with one [seed](../book/glossary.md#seed), so a small difference between two losses may be luck. And the runs are short: a model with more parameters may need longer to make use of them.
#
# ## What sharing costs in the long run
#
# So one comparison was made at full length. The recipe `albert-mini-zh-unshared` is the first part of the training of the checkpoint once more: the same text, seed, batches, steps and rates. But every layer has weights of its own. The log of the shared model is the one that you saw above.

# %%
recipe = Recipe.read("albert-mini-zh-unshared")
short = Recipe.read("albert-ablation-unshared")
apart = read_log(results / "albert-mini-zh-unshared.jsonl", "validation")
pairs = list(zip(parts[0], apart))
print(f"{recipe.training.tokens / 1e6:.0f} million tokens, "
      f"{recipe.training.tokens / short.training.tokens:.0f} times those of the short runs")
print(table(["step", "loss, shared", "loss, unshared", "difference"],
            [[a["step"], f"{a['loss']:.2f}", f"{b['loss']:.2f}", f"{a['loss'] - b['loss']:+.2f}"]
             for i, (a, b) in enumerate(pairs) if i % 2 == 0 or a is parts[0][-1]]))
reached = next(e["step"] for e in apart if e["loss"] < parts[0][-1]["loss"])
print(f"unshared below the last loss of shared at step {reached:,} of {recipe.steps:,}")
assert all(a["step"] == b["step"] for a, b in pairs) and len(parts[0]) == len(apart)
assert all(a["loss"] > b["loss"] for a, b in pairs[1:]) and reached < 0.75 * recipe.steps
curves({name: ([e["step"] for e in run], [e["loss"] for e in run])
        for name, run in (("shared", parts[0]), ("unshared", apart))},
       x="step", y="held-out loss (nats)")

# %% [markdown]
# With more text, layers of their own pay. The unshared model is ahead at every line after the start. It needs less than three quarters of the steps to reach the last loss of the shared one.
#
# So sharing is a trade. It makes the file and the memory for weights smaller. It pays for that with a higher loss, at the same time for each step. Where you lack time and not space, weights for every layer were the better choice here. Both runs had one seed. But no line after the start has the other sign.
#
# ## What others found
#
# These are results of the paper, with much larger models and text (Lan et al., 2020, sections 4.4 to 4.6).
#
# - Embeddings: without sharing, wider embeddings are a little better. With sharing, a size of 128 was the best of those they tried.
# - Sharing costs accuracy. Most of the loss comes from sharing the feed-forward networks; sharing the attention costs little.
# - Order: a model trained for next sentences answers questions of order no better than chance. The reverse works: a model trained for order also answers questions of next sentences fairly well.
#
# ## Take-away
#
# - A factorised embedding replaces a table of $V \cdot H$ numbers by $V \cdot E + E \cdot H$. Its rank is at most $E$.
# - A shared layer is run $L$ times and stored once. Its gradient is the sum over its uses.
# - Sharing saves memory for weights. It saves no operation and no activation, so it saves hardly any time. And it costs: with the same long training, the model with layers of its own had the lower loss.
# - Swap first, then cut. And measure what a bag of characters knows, before you praise a model for sentence order.
# - A small model must leave the unigram plateau before it learns anything about context. Counts can open the way.
# - `num_hidden_groups` equal to `num_hidden_layers` gives the unshared partner for a fair comparison.

# %% [markdown]
# ## Exercises
#
# Each exercise is a function without a body.
# Replace `raise NotImplementedError` by your code, run the cell, and run the check below it.
# The check prints ✓, or *not attempted yet*, or a hint.
#
# When you are done, or stuck, compare with the [solutions](albert_solutions.ipynb).

# %% [markdown]
# ### Exercise 1: count the parameters
#
# Write `albert_parameters`, the count of the section above for any sizes and any number of groups.
# The check compares with `AlbertModel`.

# %%
def albert_parameters(vocabulary: int, positions: int, embedding: int, hidden: int, inner: int,
                      layers: int, groups: int) -> int:
    """Count the parameters of an ALBERT with a pooler and without other heads.

    vocabulary, positions: rows of the tables of tokens and of positions. A third table has
        2 rows, for the segments. Each row has `embedding` numbers. One layer normalisation
        follows, as wide as the embedding.
    embedding, hidden: widths. A linear layer leads from the first to the second.
    inner: the width inside the feed-forward network.
    layers, groups: how many layers are run, and how many of them have weights of their own.
    The pooler is a linear layer from hidden to hidden. Every linear layer has a bias.

    Example: albert_parameters(10, 4, 2, 3, 5, 6, 1) returns 155.
    """
    raise NotImplementedError

# %%
check("albert-parameters", albert_parameters)

# %% [markdown]
# ### Exercise 2: a factorised embedding
#
# Write `embed`: from ids to vectors of the hidden size, by way of narrow ones.
# The check compares with `Embedding` and `Linear` of PyTorch.

# %%
def embed(ids: torch.Tensor, table: torch.Tensor, lift: torch.Tensor,
          bias: torch.Tensor) -> torch.Tensor:
    """Turn ids into vectors of the hidden size, by way of narrow ones.

    ids: token ids, shape (B, L).
    table: one narrow vector for each entry of the vocabulary, shape (V, E).
    lift, bias: weight and bias of the linear map from E to H, shapes (H, E) and (H,), as
        nn.Linear stores them.
    Returns a tensor of shape (B, L, H).

    Example: with the table [[1.], [2.]], lift [[1.], [10.]] and bias [0., 5.],
    the ids [[1, 0]] become [[[2., 25.], [1., 15.]]].
    """
    raise NotImplementedError

# %%
check("albert-embedding", embed)

# %% [markdown]
# ### Exercise 3: which layer uses which weights
#
# With `num_hidden_groups` between one and the number of layers, some layers share their weights and others do not.
#
# Write `group_of_layers`.
# It says for each layer which group it belongs to.

# %%
def group_of_layers(layers: int, groups: int) -> list[int]:
    """Say for each layer which group of weights it uses.

    layers: how many layers are run; a multiple of groups.
    groups: how many groups of weights there are. Each serves a run of neighbouring layers,
        and all runs are equally long.
    Returns the numbers of the groups, counted from 0, in the order of the layers.

    Example: group_of_layers(4, 2) returns [0, 0, 1, 1].
    """
    raise NotImplementedError

# %%
check("albert-groups", group_of_layers)

# %% [markdown]
# ### Exercise 4: a row that gives nothing away
#
# A pair is written into one row.
# Nothing in the row but the text may say whether it was swapped.
#
# Write `order_row`.

# %%
def order_row(a: list[int], b: list[int], swapped: bool, room: int, cls_id: int,
              sep_id: int) -> tuple[list[int], list[int]]:
    """Write a row for sentence-order prediction.

    a, b: token ids of two stretches of a text; b follows a, and they meet at the end of a
        sentence. Each is at least as long as its place. They must not be modified.
    swapped: whether b comes first.
    room: how many tokens of a and b the row holds. The first place has room // 2 of them,
        the second place the rest.
    A stretch in the first place loses its beginning, one in the second place its end.
    Returns the ids [CLS] first [SEP] second [SEP] and the segments: 0 up to the first
    [SEP], 1 behind it.

    Example: with room 3, [5, 6] and [7, 8, 9] become
    [cls_id, 6, sep_id, 7, 8, sep_id] and [0, 0, 0, 1, 1, 1].
    """
    raise NotImplementedError

# %%
check("albert-row", order_row)

# %% [markdown]
# ### Exercise 5: the loss of ALBERT
#
# Masked words and order are trained together.
# Not every row of a batch is a pair, and sometimes none is.
#
# Write `albert_loss`.
# You may use `cross_entropy` from `torch.nn.functional`.
# The check compares your result with the loss of `AlbertForPreTraining`.

# %%
def albert_loss(logits: torch.Tensor, labels: torch.Tensor, order_logits: torch.Tensor,
                order: torch.Tensor) -> torch.Tensor:
    """Compute the loss of ALBERT's pretraining.

    logits: scores of the vocabulary at every position, shape (B, L, V).
    labels: the right ids, shape (B, L); -100 where a position does not count.
    order_logits: scores of label 0 and label 1 for every row, shape (B, 2).
    order: 0 as written, 1 swapped, -100 for a row that is no pair; shape (B,).
    Returns a tensor with one number, in nats: the mean cross-entropy over the positions
    that count, plus the mean cross-entropy over the pairs. In a batch without a pair, the
    first of the two alone. Gradients must be able to flow from it to the logits.

    Example: when all logits are 0 and there is a pair, the loss is ln V + ln 2.
    """
    raise NotImplementedError

# %%
check("albert-loss", albert_loss)
