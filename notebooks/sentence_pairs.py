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
# # Sentence pairs: next sentence, sentence order, permutation
#
# [Masked language modelling](../book/glossary.md#masked-language-modelling) asks for single words.
# BERT had a second [objective](../book/glossary.md#objective) beside it, which asks about two pieces of text: does the second follow the first?
# This chapter builds that question and two relatives, and measures what a model can learn from them.
#
# After this chapter you will be able to
#
# - cut a text into sentences and build pairs with labels, segment ids and fair lengths;
# - compute the loss of a pair, equal to that of transformers, without losing the label 0;
# - show with a bag of words why one of these questions is easy and the other is not;
# - test pair data for leaks before you train on it.
#
# Reading and running take about 40 minutes, the exercises about as long again.
# The notebook itself runs in less than a minute on two CPU cores.
# Read [Masked language modelling](masked_lm.ipynb) first.

# %% [markdown]
# ## Why a second objective
#
# Many tasks are about two texts. Does this paragraph answer this question? Does this sentence contradict that one? A masked word can mostly be guessed from the words beside it, so masking alone does not ask how two sentences belong together. And nothing is ever hidden at `[CLS]`, so masking gives its vector no task.
#
# BERT's authors therefore added [next-sentence prediction](../book/glossary.md#next-sentence-prediction), NSP (Devlin et al., 2019, section 3.1, "Task #2"). Others changed the question later.
#
# | objective | the text | the question | used by |
# | --- | --- | --- | --- |
# | next sentence, NSP | A, then B | does B follow A, or is it from another document? | BERT |
# | sentence order, SOP | A and B, neighbours | in this order, or swapped? | ALBERT |
# | sentence permutation | several sentences, shuffled | what was their order? | BART |
#
# In all three the text itself gives the answer. For pairs the label is one bit: **0 is text as it was written, 1 is text that was changed.** Hugging Face uses the same numbers.
#
# The model reads both halves in one row, with `[SEP]` behind each. Its first hidden state, that of `[CLS]`, gives two [logits](../book/glossary.md#logits), one for each label $y$. The [loss](../book/glossary.md#loss) is the [cross-entropy](../book/glossary.md#cross-entropy)
#
# $$\ell = -\ln p(y \mid A, B)$$
#
# A model that knows nothing gives both labels the probability ½, so its loss is $\ln 2$ [nats](../book/glossary.md#nat).

# %% tags=["install", "hide-input"]
# Set-up, written from site.toml: says what to do when the course package is missing.
import importlib.util

if importlib.util.find_spec("companion") is None:
    raise ImportError("The course package is missing. Locally: run `make book`, choose .venv "
                      "as the kernel. On Colab: first set `repository` in site.toml.")

# %%
import math
import random
from itertools import permutations

import numpy as np
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pad_sequence
from transformers import (AlbertConfig, AlbertForPreTraining, BertConfig,
                          BertForNextSentencePrediction)

from companion import checkpoints, metrics
from companion.corpora import movie_reviews
from companion.corpora.sentences import split_sentences
from companion.display import table
from companion.exercises import check
from companion.objectives import pairs

torch.manual_seed(0)  # the pooler gets random weights: the checkpoint has none
encoder, tokenizer = checkpoints.load("bert-mini-en", kind="encoder")

# %% [markdown]
# ## From a text to sentences
#
# A pair needs sentences, and a text does not say where they end. A full stop also stands in *Mr.*, in *3.5* and in *U.S.* [Sentence splitting](../book/glossary.md#sentence-splitting) is the step that finds the borders. Ours is a written rule: an end mark, then white space, then a capital letter or a digit, with exceptions for abbreviations and initials. The docstring of `split_sentences` says it in full.

# %%
hard = ("Mr. Lee paid $3.5 million... and it shows.<br /><br />2. The plot? \"Thin!\" she said. "
        "It plays in the U.S. Army. No. 5 is alive.Then it ends")
for sentence in split_sentences(hard):
    print("|", sentence)
print("wrong:", split_sentences('"Thin!" Ann said.'))
assert "".join(split_sentences(hard)).replace(" ", "") == \
    hard.replace("<br />", "").replace(" ", "")

# %% [markdown]
# The rule finds all sentences of the first text, also where somebody forgot the space, and loses nothing of it.
# It can err, as the last line shows: a name with a capital letter looks like the beginning of a sentence. Where a rule must guess, ours mostly does not cut. Two sentences in one piece harm a pair less than half a sentence.
#
# ## The smallest pair
#
# Here is next-sentence prediction and sentence-order prediction for two sentences, without any tokens.

# %%
def next_pair(document: list[str], other: list[str], place: int, change: bool) -> tuple:
    """Two sentences and the label; B comes from another document where change is true."""
    a, b = document[place], (other if change else document)[place + 1]
    return a, b, int(change)


def order_pair(document: list[str], place: int, change: bool) -> tuple:
    """Two neighbours and the label; they are swapped where change is true."""
    a, b = document[place], document[place + 1]
    return (b, a, 1) if change else (a, b, 0)


rain = ["It was Sunday.", "Rain fell all day.", "We stayed at home.", "Then it stopped.", "We ran."]
trip = ["Ann has a car.", "She drove to the sea.", "The road was long.", "At last she saw it.",
        "It was blue."]
for pair in (next_pair(rain, trip, 1, False), next_pair(rain, trip, 1, True),
             order_pair(rain, 1, False), order_pair(rain, 1, True)):
    print(pair)

# %% [markdown]
# `pairs.NextSentence` and `pairs.SentenceOrder` do this for a batch. They are [collators](../book/glossary.md#collator): from documents to tensors. Half of the labels are 1. A number decides what is drawn, as in the chapter before.
#
# The [segment ids](../book/glossary.md#segment-ids) say which half a token belongs to: 0 for `[CLS]`, A and its `[SEP]`, 1 for B and its `[SEP]`. [Padding](../book/glossary.md#padding) has segment 0.

# %%
bread = ["Take some flour.", "Add warm water.", "Wait an hour.", "Bake the bread.", "Eat it."]
moon = ["The moon was full.", "A dog barked.", "Nobody came.", "The dog slept.", "All was still."]
toys = pairs.encode([rain, trip, bread, moon], tokenizer)


def show(batch: dict, row: int) -> None:
    """Print the tokens of a row over their segments."""
    tokens = tokenizer.convert_ids_to_tokens(batch["input_ids"][row].tolist())
    width = [len(token) + 1 for token in tokens]
    print("label", int(batch["labels"][row]))
    print("  ", "".join(t.ljust(w) for t, w in zip(tokens, width)))
    print("  ", "".join(str(int(s)).ljust(w) for s, w in zip(batch["token_type_ids"][row], width)))


for kind in (pairs.NextSentence, pairs.SentenceOrder):
    batch = kind(tokenizer, length=16)(toys, number=1)
    print(kind.__name__, {name: tuple(tensor.shape) for name, tensor in batch.items()})
    for row in range(3):
        show(batch, row)

# %% [markdown]
# Look at a swapped row: the segments did **not** move with the sentences. The first half always has segment 0, whichever sentence it holds. If the segments were swapped together with the halves, a row that begins with 1 would be a swapped one, and the model would need to read nothing else.
#
# ## The head, and a label that must not be lost
#
# On top of the encoder stand two small layers. The [pooler](../book/glossary.md#pooler) turns the hidden state $h$ of `[CLS]` into $\tanh(W_p h + b_p)$. A linear layer makes two logits of it. Both are new here: `bert-mini-en` was trained with masks only.

# %%
torch.manual_seed(0)
model = BertForNextSentencePrediction(encoder.config).eval()
model.bert.load_state_dict(encoder.state_dict())
batch = pairs.NextSentence(tokenizer, length=16)(toys)
inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
with torch.inference_mode():
    first = model.bert(**inputs).last_hidden_state[:, 0]
    pooled = torch.tanh(model.bert.pooler.dense(first))
    by_hand = cross_entropy(model.cls.seq_relationship(pooled), batch["labels"])
    ours, library = pairs.loss(model, batch), model(**batch).loss
print(f"by hand {by_hand:.2f}, ours {ours:.2f}, transformers {library:.2f}, ln 2 {math.log(2):.2f}")
assert abs(by_hand - library) < 1e-5 and abs(ours - library) < 1e-5
assert abs(library - math.log(2)) < 0.2

# %% [markdown]
# ALBERT's class adds the loss of the pair to its masked-LM loss. The part that the pair adds is the same number again. The next cell uses a tiny ALBERT with random weights.

# %%
torch.manual_seed(0)
sizes = dict(vocab_size=len(tokenizer), embedding_size=16, hidden_size=32, num_hidden_layers=1,
             num_attention_heads=2, intermediate_size=64, initializer_range=0.5)
albert = AlbertForPreTraining(AlbertConfig(**sizes)).eval()
batch = pairs.SentenceOrder(tokenizer, length=16)(toys)
words = batch["input_ids"]  # as if every token were asked for: any labels will do here
with torch.inference_mode():
    out = albert(**{**batch, "labels": words}, sentence_order_label=batch["labels"])
    masked_part = cross_entropy(out.prediction_logits.flatten(0, 1), words.flatten())
    ours = pairs.loss(albert, batch)
print(f"added by transformers {out.loss - masked_part:.2f}, ours {ours:.2f}")
assert abs(out.loss - masked_part - ours) < 1e-4

# %% [markdown]
# Now a trap. In many programs 0 is the number of padding, and losses are told to skip it: `ignore_index=0`. Here 0 is a label, and half of the pairs have it. Watch what training does when they are skipped. To make it visible in a moment, only the two biases of the last layer are trained: two numbers that do not look at the text.

# %%
def train_bias(ignore: int) -> tuple[float, float]:
    """Train two scores on eight labels; return the loss that it sees and the accuracy."""
    labels = torch.tensor([0, 1, 1, 0, 1, 0, 0, 1])
    scores = torch.zeros(2, requires_grad=True)
    for _ in range(200):
        loss = cross_entropy(scores.expand(8, 2), labels, ignore_index=ignore)
        loss.backward()
        with torch.no_grad():
            scores -= scores.grad
            scores.grad = None
    return loss.item(), (labels == scores.argmax()).float().mean().item()


for name, ignore in (("every pair counts", -100), ("ignore_index=0", 0)):
    loss, right = train_bias(ignore)
    print(f"{name:18} loss {loss:.2f}, right {right:.2f}")
    assert right == 0.5 and (loss < 0.05) == (ignore == 0)

# %% [markdown]
# The second loss falls to almost nothing, and the model has only learned to answer 1 every time. Half of its answers are wrong. The curve looks perfect. So check the accuracy beside the loss, and check that a constant answer gets the loss $\ln 2$.
#
# ## Real pairs
#
# The documents are IMDB reviews, each a list of sentences. We learn from reviews of the training split and count right answers on the test split. A single sentence is often very short, so each half now has several.

# %%
reviews = movie_reviews(collection="imdb")
learn, test = (pairs.encode(map(split_sentences, reviews[split]["text"][:count]), tokenizer)
               for split, count in (("train", 2500), ("test", 1250)))
lengths = [len(document) for document in learn]
print("sentences in a review: quarter, median, three quarters",
      np.quantile(lengths, [0.25, 0.5, 0.75]).astype(int))
collator = pairs.NextSentence(tokenizer, length=96, sentences=2)
batch = collator([d for d in learn if collator.usable(d)][:64])
for row in range(2):
    length = int(batch["attention_mask"][row].sum())
    print(int(batch["labels"][row]), tokenizer.decode(batch["input_ids"][row, :length])[:300])

# %% [markdown]
# ## A bag of words
#
# How much of the question can be answered without understanding anything? A [bag of words](../book/glossary.md#bag-of-words) forgets the order of the words inside a half and keeps how often each occurs. [Tf-idf](../book/glossary.md#tf-idf) gives rare words more weight. There are two ways to show two bags to a classifier.
#
# - **Side by side**: the words of A and the words of B, marked with their half. The classifier weighs every word by itself.
# - **Together**: how alike the two bags are. One number is enough: the [cosine](../book/glossary.md#cosine-similarity), which is 0 when the halves share no word and 1 when their bags are equal.

# %%
def halves(batch: dict) -> list[tuple[list[int], list[int]]]:
    """The token ids of both halves of every row, without special tokens."""
    found = []
    for ids, segments, mask in zip(*(batch[name] for name in (
            "input_ids", "token_type_ids", "attention_mask"))):
        ids, segments = ids[mask == 1][1:-1], segments[mask == 1][1:-1]
        found.append((ids[segments == 0][:-1].tolist(), ids[segments == 1].tolist()))
    return found


bag = TfidfVectorizer(analyzer=list, sublinear_tf=True).fit([sum(d, []) for d in learn])


def together(rows: list[tuple]) -> np.ndarray:
    """The cosine of the two bags of every pair, shape (pairs, 1)."""
    a, b = (bag.transform(half) for half in zip(*rows))
    return np.asarray(a.multiply(b).sum(axis=1))


def side_by_side(rows: list[tuple]) -> list[list[tuple]]:
    """The words of both halves, each with the number of its half."""
    return [[(place, word) for place in (0, 1) for word in row[place]] for row in rows]

# %% [markdown]
# Both go into the same classifier, [logistic regression](../book/glossary.md#logistic-regression). Each result is the mean over three [seeds](../book/glossary.md#seed). The seed decides which sentences are taken from a review, and which pairs are changed.

# %%
class Marked:
    """Logistic regression on bags of words that are marked with their half."""

    def __init__(self):
        self.bag = TfidfVectorizer(analyzer=list, sublinear_tf=True)
        self.model = LogisticRegression(max_iter=1000)

    def fit(self, rows, labels):
        self.model.fit(self.bag.fit_transform(rows), labels)
        return self

    def score(self, rows, labels):
        return self.model.score(self.bag.transform(rows), labels)

# %%
VIEWS = {"side by side": (side_by_side, Marked), "together": (together, LogisticRegression)}


def measure(kind, view: str, sentences: int) -> list[float]:
    """Accuracy on test pairs, for three seeds."""
    features, classifier = VIEWS[view]
    scores = []
    for seed in range(3):
        collator = kind(tokenizer, length=400, seed=seed, sentences=sentences)
        known, asked = (collator([d for d in documents if collator.usable(d)], number)
                        for number, documents in enumerate((learn, test)))
        model = classifier().fit(features(halves(known)), known["labels"])
        scores.append(model.score(features(halves(asked)), asked["labels"]))
    return scores

# %%
def line(scores: list[float]) -> str:
    """Mean and standard deviation."""
    return f"{np.mean(scores):.2f} ± {np.std(scores, ddof=1):.2f}"


found = {(kind.__name__, view): measure(kind, view, sentences=4)
         for kind in (pairs.NextSentence, pairs.SentenceOrder) for view in VIEWS}
print(table(["bags", "next sentence", "sentence order"],
            [[view, *(line(found[kind, view]) for kind in ("NextSentence", "SentenceOrder"))]
             for view in VIEWS]))
assert min(found["NextSentence", "together"]) > 0.75
assert max(np.abs(np.subtract(found["NextSentence", "side by side"], 0.5))) < 0.06
assert max(np.abs(np.subtract(found["SentenceOrder", "together"], 0.5))) < 0.06
assert 0.53 < np.mean(found["SentenceOrder", "side by side"]) < 0.65

# %% [markdown]
# The table has a pattern. Half is [chance](../book/glossary.md#chance-level).
#
# **Next sentence is easy.** One number, the cosine, answers most questions. Two pieces of one review name the same film, the same people and the same things. Two pieces of different reviews do not. This is *topic*, and topic needs no understanding of order.
#
# **Side by side, next sentence cannot be answered**, and this is on purpose. Our collator takes the random second half from another pair of the batch. So the same halves occur with both labels, and a half by itself says nothing.
#
# **Together, sentence order cannot be answered.** Swapping the halves changes nothing in the cosine. This is not a weakness of the training; no training can help.

# %%
collator = pairs.SentenceOrder(tokenizer, length=400, sentences=4)
rows = halves(collator([d for d in test if collator.usable(d)]))
turned = [(b, a) for a, b in rows]
assert np.array_equal(together(rows), together(turned))

known = collator([d for d in learn if collator.usable(d)])
model = LogisticRegression().fit(together(halves(known)), known["labels"])
both_orders, labels = together(rows + turned), [0] * len(rows) + [1] * len(rows)
print("each test pair in both orders, right:", model.score(both_orders, labels))
assert model.score(both_orders, labels) == 0.5

# %% [markdown]
# The two rows of a pair and its swap get the same answer, and exactly one of the two is right. So the result is ½ to the last digit.
#
# **Side by side, sentence order is a little better than chance.** Some words stand more often in an earlier part of a review, others in a later part. The weights of the classifier say which.

# %%
seen = Marked().fit(side_by_side(halves(known)), known["labels"])
weights = {key: seen.model.coef_[0][i] for key, i in seen.bag.vocabulary_.items()}
lean = {word: weights[0, word] - weights.get((1, word), 0.0)
        for place, word in weights if place == 0}  # above 0: label 1 when the word comes first
ranked = sorted(lean, key=lean.get)
print("earlier:", *sorted(tokenizer.convert_ids_to_tokens(ranked[:8])))
print("later:  ", *sorted(tokenizer.convert_ids_to_tokens(ranked[-8:])))

# %% [markdown]
# So there is a little to learn from words. But it is only a little. How do *you* tell which of two pieces of a film review comes first? Try it yourself before you blame the classifier.
#
# ## More text, and a harder question
#
# With longer halves there are more words to share. Does that make next-sentence prediction easier still?

# %%
easy = {size: measure(pairs.NextSentence, "together", size) for size in (1, 2)}
easy[4] = found["NextSentence", "together"]
for size, scores in easy.items():
    print(f"{size} in each half: {line(scores)}")
assert np.mean(easy[1]) + 0.05 < np.mean(easy[2]) < np.mean(easy[4]) - 0.05

# %% [markdown]
# It does. BERT's rows held many more tokens than ours (Devlin et al., 2019, appendix A.2), so its halves were longer than most of ours.
#
# The question gets harder when the wrong half is about the same film. Take two places in **one** review, an early and a late one. At each place A is followed by B. Label 0 is A with its own B, label 1 is A with the B of the other place. Early and late halves stand in both roles, so the place gives nothing away.

# %%
def within(documents: list, seed: int, size: int = 2) -> tuple[list[tuple], list[int]]:
    """One pair from each long review; both halves always come from the same review."""
    draw, rows, labels = random.Random(seed), [], []
    for document in documents:
        middle, last = len(document) // 2, len(document) - 2 * size
        if middle < 2 * size:
            continue
        early, late = draw.randint(0, middle - 2 * size), draw.randint(middle, last)
        a, b = draw.choice([(early, early), (late, late), (early, late), (late, early)])
        halves = document[a : a + size], document[b + size : b + 2 * size]
        rows.append(tuple(sum(half, []) for half in halves))
        labels.append(int(a != b))
    return rows, labels


same = []
for seed in range(3):
    (known, labels), (asked, truth) = within(learn, seed), within(test, seed + 10)
    model = LogisticRegression().fit(together(known), labels)
    same.append(model.score(together(asked), truth))
print(f"B from another review {line(easy[2])}\nB from the same review {line(same)}")
assert np.mean(easy[2]) > np.mean(same) + 0.08

# %% [markdown]
# Most of the advantage is gone. What is left is that neighbours share a little more than places that lie apart. So most of what next-sentence prediction teaches is topic, on this text at least.
#
# ## A neural model
#
# A bag of words cannot read. Does `bert-mini-en` see more? It is not trained further here: each half is read alone, and the mean of its last hidden states is its vector. This is [feature extraction](../book/glossary.md#feature-extraction).

# %%
@torch.inference_mode()
def vectors(texts: list[list[int]]) -> np.ndarray:
    """The mean of the last hidden states of every text, shape (texts, width)."""
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))  # equal lengths: less padding
    found = np.zeros((len(texts), encoder.config.hidden_size))
    for start in range(0, len(texts), 32):
        part = order[start : start + 32]
        rows = [torch.tensor([tokenizer.cls_token_id, *texts[i][:62], tokenizer.sep_token_id])
                for i in part]
        ids = pad_sequence(rows, batch_first=True, padding_value=tokenizer.pad_token_id)
        mask = ids != tokenizer.pad_token_id
        states = encoder(input_ids=ids, attention_mask=mask.long()).last_hidden_state
        found[part] = (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
    return found

# %%
def as_written(documents: list, count: int) -> list[list[int]]:
    """First halves, then the second halves that follow them, from so many reviews."""
    collator = pairs.SentenceOrder(tokenizer, length=200, sentences=2)
    batch = collator([d for d in documents if collator.usable(d)][:count])
    rows = [(b, a) if label else (a, b) for (a, b), label in zip(halves(batch), batch["labels"])]
    return [a for a, _ in rows] + [b for _, b in rows]

# %% [markdown]
# Reading takes most of the time, so it is done once. Each seed then draws anew which pairs are changed, and for next sentence which second halves are exchanged.

# %%
texts = [as_written(documents, count) for documents, count in ((learn, 600), (test, 500))]
read = [vectors(part) for part in texts]


def redraw(part: int, objective: str, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Numbers of the first and of the second half of each pair in `texts`, and the labels."""
    count = len(texts[part]) // 2
    draw = np.random.default_rng([seed, part])
    labels = draw.permutation(np.arange(count) % 2)
    first, second = np.arange(count), np.arange(count) + count
    changed = draw.permutation(np.flatnonzero(labels))
    if objective == "next sentence":
        second[changed] = second[np.roll(changed, 1)]
    else:
        first[changed], second[changed] = second[changed], first[changed]
    return first, second, labels

# %% [markdown]
# Bags and vectors get the same pairs, and both are looked at in the same two ways. *Together* is the cosine again; for vectors the mean of all vectors is subtracted first. *Side by side* puts the two vectors one behind the other. A [linear probe](../book/glossary.md#linear-probe) learns from them.

# %%
def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The cosine of each pair of vectors, after the mean vector is subtracted, (pairs, 1)."""
    a, b = a - read[0].mean(0), b - read[0].mean(0)
    return ((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1))[:, None]


results = {}
for objective in ("next sentence", "sentence order"):
    for seed in range(3):
        features = {"bags together": [], "vectors together": [], "vectors side by side": []}
        truth = []
        for part in (0, 1):
            first, second, labels = redraw(part, objective, seed)
            truth.append(labels)
            rows = [(texts[part][i], texts[part][j]) for i, j in zip(first, second)]
            features["bags together"].append(together(rows))
            features["vectors together"].append(cosines(read[part][first], read[part][second]))
            features["vectors side by side"].append(
                np.hstack([read[part][first], read[part][second]]))
        for name, (known, asked) in features.items():
            score = metrics.probe(known, truth[0], asked, truth[1])
            results.setdefault(name, {}).setdefault(objective, []).append(score)

# %%
print(table(["two sentences in each half", *results["bags together"]],
            [[name, *map(line, scores.values())] for name, scores in results.items()]))
mean = {name: {k: np.mean(v) for k, v in scores.items()} for name, scores in results.items()}
gap = mean["vectors together"]["next sentence"] - mean["bags together"]["next sentence"]
assert abs(gap) < 0.03 and abs(gap) < np.std(results["bags together"]["next sentence"], ddof=1)
assert max(abs(mean[name]["sentence order"] - 0.5) for name in mean) < 0.07

# %% [markdown]
# On next sentence the vectors and the bags are about equal: the difference is smaller than the spread. So counting words does as well here as reading with this model.
#
# On sentence order nothing is far from chance. The cosine of two vectors is as blind to a swap as that of two bags. Side by side, the linear probe finds little in the vectors. So these film reviews say little about the order of two neighbouring pieces, or these vectors do not keep it.
#
# Know the limit of this test. Each half was read without the other, and no layer was trained. A model that reads both halves in one row, with all layers [fine-tuned](../book/glossary.md#fine-tuning) on very many pairs, can do more. The table says nothing about such a model.

# %% [markdown]
# ## Sentence permutation
#
# With more than two sentences there are more orders. BART shuffles all sentences of a document, and its [decoder](../book/glossary.md#decoder) writes the text in the old order (Lewis et al., 2020, section 2.2). A smaller form of the same question suits an encoder: for each sentence, *say its place*. The label stands at the `[SEP]` behind each sentence. This is [sentence permutation](../book/glossary.md#sentence-permutation) as a classification of positions.

# %%
collator = pairs.SentencePermutation(tokenizer, length=24, count=3)
batch = collator(toys)
for row in range(2):
    tokens = tokenizer.convert_ids_to_tokens(batch["input_ids"][row].tolist())
    places = batch["labels"][row].tolist()
    print(" ".join(token if place == -100 else f"{token}={place}"
                   for token, place in zip(tokens, places)))

# %% [markdown]
# A quick baseline: a classifier sees one sentence alone, as a bag of words, and says how likely each place is. Then the best of the six orders is chosen, so that no place is used twice. Guessing gets one order in six right, and one place in three.

# %%
def passages(documents: list, seed: int, number: int) -> tuple[list, np.ndarray]:
    """Three shuffled sentences from each review, and their places, (reviews, 3)."""
    collator = pairs.SentencePermutation(tokenizer, length=200, count=3, seed=seed)
    batch = collator([d for d in documents if collator.usable(d)], number)
    places = batch["labels"][batch["labels"] >= 0].view(-1, 3).numpy()
    sentences = []
    for ids, labels in zip(batch["input_ids"], batch["labels"]):
        ends = (labels >= 0).nonzero().flatten().tolist()
        sentences += [ids[a + 1 : b].tolist() for a, b in zip([0, *ends], ends)]
    return sentences, places


orders = np.array(list(permutations(range(3))))
whole, single = [], []
for seed in range(3):
    (known, labels), (asked, truth) = passages(learn, seed, 0), passages(test, seed, 1)
    model = LogisticRegression(max_iter=1000).fit(bag.transform(known), labels.ravel())
    scores = model.predict_log_proba(bag.transform(asked)).reshape(-1, 3, 3)
    best = orders[scores[:, range(3), orders].sum(-1).argmax(-1)]
    whole.append((best == truth).all(1).mean())
    single.append((best == truth).mean())
print(f"order right {line(whole)}, guessing {1 / 6:.2f}\n"
      f"place right {line(single)}, guessing {1 / 3:.2f}")
assert 0.14 < np.mean(whole) < 0.24 and 0.31 < np.mean(single) < 0.40

# %% [markdown]
# This is hardly better than guessing. One sentence alone says almost nothing about its place among three neighbours. First and last sentences of a review would say more, and for this reason the collator leaves them out: they would answer the question by their style. A model that is to do better must read the sentences together.
#
# ## How pair data goes wrong
#
# A model takes the easiest way to the label. If the way pairs were made leaves a trace, the model learns the trace. The accuracy rises, and nothing about sentences was learned. This is a form of [leakage](../book/glossary.md#leakage). Four traces are common.
#
# - **The first sentence.** "Take a random document and its first sentences" is easy to write. But B with label 0 never begins its document, and openings look like openings.
# - **The border of documents.** In packed text, the last sentence of a document is followed by the first of the next. A pair that crosses the border says "follows" about two texts that have nothing to do with each other.
# - **Segments.** They were swapped together with the halves, as described above.
# - **Lengths.** If the random half is drawn elsewhere and cut in another way than the true one, a length or a missing end gives it away.
#
# The next cell builds the first leak. Then it asks a classifier that sees **B alone**. It cannot know whether B follows A. If it does better than chance, there is a leak.

# %%
def alone(rows: list[tuple]):
    """The bag of the second half."""
    return bag.transform([b for _, b in rows])


def openings(batch: dict, documents: list) -> list[tuple]:
    """The same pairs, but a random B is the beginning of another review."""
    rows, labels = halves(batch), batch["labels"].tolist()
    return [(a, sum(documents[i - 1][:2], []) if label else b)
            for i, ((a, b), label) in enumerate(zip(rows, labels))]


leaky, fair = [], []
for seed in range(3):
    collator = pairs.NextSentence(tokenizer, length=400, seed=seed, sentences=2)
    texts = [[d for d in documents if collator.usable(d)] for documents in (learn, test)]
    batches = [collator(part, number) for number, part in enumerate(texts)]
    for build, scores in ((openings, leaky), (lambda batch, _: halves(batch), fair)):
        rows = [alone(build(batch, part)) for batch, part in zip(batches, texts)]
        model = LogisticRegression(max_iter=1000).fit(rows[0], batches[0]["labels"])
        scores.append(model.score(rows[1], batches[1]["labels"]))
print(f"B alone, random B from the beginning  {line(leaky)}")
print(f"B alone, random B from another pair   {line(fair)}")
assert min(leaky) > 0.65 and max(fair) < 0.56

# %% [markdown]
# With the leak, a classifier that never saw A seems to predict next sentences.
#
# Now the leak of the segments, in sentence order, with a tiny BERT that starts from random weights. The loop is that of the chapter before, with another collator and another loss.

# %%
def moved_segments(batch: dict) -> dict:
    """The same rows, where the segments of swapped rows were swapped too."""
    wrong = (1 - batch["token_type_ids"]) * batch["attention_mask"]
    segments = torch.where(batch["labels"][:, None] == 1, wrong, batch["token_type_ids"])
    return {**batch, "token_type_ids": segments}

# %%
def tiny_run(change, seed: int) -> float:
    """Train a tiny BERT on sentence order for a few steps; return its accuracy on test pairs."""
    torch.manual_seed(seed)
    sizes = dict(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64)
    tiny = BertForNextSentencePrediction(BertConfig(
        vocab_size=len(tokenizer), hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
        **sizes))
    collator = pairs.SentenceOrder(tokenizer, length=64, seed=seed)
    known, asked = ([d for d in part if collator.usable(d)] for part in (learn, test))
    optimiser = torch.optim.AdamW(tiny.parameters(), lr=3e-3)
    for step in range(40):
        loss = pairs.loss(tiny, change(collator(known[step * 32 : (step + 1) * 32], step)))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    batch = change(collator(asked))
    with torch.inference_mode():
        return (tiny(**batch).logits.argmax(-1) == batch["labels"]).float().mean().item()

# %%
runs = {name: [tiny_run(change, seed) for seed in range(3)]
        for name, change in (("moved", moved_segments), ("right", lambda batch: batch))}
for name, scores in runs.items():
    print(f"segments {name}: {line(scores)}")
assert min(runs["moved"]) > 0.95 and max(np.abs(np.subtract(runs["right"], 0.5))) < 0.08

# %% [markdown]
# A model with one layer and forty steps of training "solves" sentence order, on new reviews too. It reads one segment id. The test set does not uncover this, because it was made by the same code.
#
# The collators of the course leave nothing of this kind to find. Do the first test with your own pairs, before you train: hide one half, and see whether the label can still be guessed.
#
# A cheaper form of the test needs no classifier. Take a single property, such as the length of B, and look up which label is more frequent for each value. Exercise 5 asks you to write it.
#
# ## What others found
#
# All of the following are results of the papers, with much larger models and text than ours.
#
# BERT's authors removed next-sentence prediction from their model and lost accuracy on several tasks about two sentences (Devlin et al., 2019, section 5.1). RoBERTa's authors repeated the comparison with care for the form of the input. They found that the model without it is as good or slightly better, when each row holds text that belongs together (Liu et al., 2019, section 4.2). They left the objective out.
#
# ALBERT's authors gave the explanation that you measured above: next-sentence prediction mixes topic with coherence, and topic is easier. They took sentence order instead. A model trained for sentence order can also answer next-sentence questions to some degree; the other way round it stays near chance (Lan et al., 2020, sections 3.1 and 4.6).
#
# BART's authors tried several kinds of damage to a text. Shuffled sentences alone were among the weaker ones; removing words was needed (Lewis et al., 2020, section 4.3).
#
# ## Take-away
#
# - A pair objective asks one bit about two texts. Label 0 is text as written, label 1 is changed text.
# - Label 0 is a class, not padding. A loss that skips it falls to zero and learns nothing.
# - Segment ids belong to the place in the row, never to the label.
# - Next-sentence prediction with random documents is mostly topic: one cosine of two bags of words answers most of it.
# - A question that is symmetric for a bag of words, such as sentence order, needs more than topic. In film reviews, our simple features found little that answers it.
# - Hide one half and try to guess the label. What can be guessed is a leak.

# %% [markdown]
# ## Exercises
#
# Each exercise is a function without a body.
# Replace `raise NotImplementedError` by your code, run the cell, and run the check below it.
# The check prints ✓, or *not attempted yet*, or a hint.
#
# When you are done, or stuck, compare with the [solutions](sentence_pairs_solutions.ipynb).

# %% [markdown]
# ### Exercise 1: a balanced batch
#
# The random halves of a batch can come from the batch itself: the pairs that are to be changed exchange their second halves.
# Then the same halves occur as in the texts, and no half by itself gives its label away.
#
# Write `next_sentence_batch`.
# Which pairs are changed was decided for you.

# %%
def next_sentence_batch(pairs: list, changed: list[bool]) -> tuple[list, list]:
    """Make a batch for next-sentence prediction.

    pairs: a list of [first half, second half], each from another document.
    changed: for each pair, whether it gets a second half that does not follow.
    Returns the pairs and the labels, in the order of the batch. A changed pair has the
    second half of the next changed pair, the last one that of the first. The others stay
    as they are. Labels: 0 as written, 1 changed.

    Example: [["a", "b"], ["c", "d"], ["e", "f"]] with [True, False, True]
    returns [["a", "f"], ["c", "d"], ["e", "b"]] and [1, 0, 1].
    """
    raise NotImplementedError

# %%
check("pairs-batch", next_sentence_batch)

# %% [markdown]
# ### Exercise 2: swap the halves
#
# For sentence order a row is needed in both orders.
# The halves change places, and the segment ids must fit the new row.
#
# Write `swap_halves`.
# The check compares with the rows of a `BertTokenizer`.

# %%
def swap_halves(ids: torch.Tensor, segments: torch.Tensor, sep_id: int):
    """Swap the halves of one row.

    ids: the row [CLS] A [SEP] B [SEP] and then padding, shape (L,).
    segments: its segment ids, shape (L,): 0 up to the first [SEP], 1 for B and its [SEP],
        0 for padding.
    sep_id: the id of [SEP]. No other token has it.
    Returns ids and segments of the row [CLS] B [SEP] A [SEP], both of shape (L,).

    Example: with sep_id 3, [2, 11, 12, 3, 21, 3, 0] and [0, 0, 0, 0, 1, 1, 0]
    become [2, 21, 3, 11, 12, 3, 0] and [0, 0, 0, 1, 1, 1, 0].
    """
    raise NotImplementedError

# %%
check("pairs-swap", swap_halves)

# %% [markdown]
# ### Exercise 3: cut fairly
#
# Two halves are too long for a row.
# If only B is cut, the length of B depends on A, and a long A leaves no B at all.
#
# Write `cut_pair`.
# It shortens the longer half, at the side that is away from the border between the two.

# %%
def cut_pair(a: list[int], b: list[int], room: int) -> tuple[list[int], list[int]]:
    """Cut two halves until they fit.

    a, b: token ids without special tokens. They must not be modified.
    room: how many tokens both may have together, at least 2.
    As long as they are too long, the longer half loses one token; when both are equally
    long, B loses it. A loses its first token each time, B its last.
    Returns what is left of a and of b.

    Example: cut_pair([1, 2, 3, 4], [5, 6], 4) returns [3, 4] and [5, 6].
    """
    raise NotImplementedError

# %%
check("pairs-cut", cut_pair)

# %% [markdown]
# ### Exercise 4: the loss of a pair
#
# Both labels count.
#
# Write `pair_loss`.
# You may use `cross_entropy` from PyTorch.
# The check compares your result with the loss of `BertForNextSentencePrediction`.

# %%
def pair_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Compute the loss of next-sentence or sentence-order prediction.

    logits: the scores of label 0 and label 1, shape (B, 2).
    labels: 0 or 1 for each pair, shape (B,), int64.
    Returns a tensor with one number, in nats: the mean cross-entropy over the pairs.
    Gradients must be able to flow from it to the logits.

    Example: when all logits are 0, the loss is ln 2, whatever the labels are.
    """
    raise NotImplementedError

# %%
check("pairs-loss", pair_loss)

# %% [markdown]
# ### Exercise 5: find a leak
#
# Suppose that somebody gives you pairs with labels.
# You look at one property of the second half, for example its length, and not at the first half.
# How well could the label be guessed from this property alone?
# If the answer is clearly better than chance, there is a leak.
#
# Write `best_accuracy`.

# %%
def best_accuracy(seen: list, labels: list[int]) -> float:
    """Return the accuracy of the best rule that sees one property of each pair.

    seen: the property of each pair: a number or a text, for example the length of B.
    labels: 0 or 1 for each pair.
    A rule gives all pairs with the same property the same label. The best one gives each
    value the label that is more frequent with it.
    Returns the share of these pairs that the best rule gets right, between 0.5 and 1.

    Example: best_accuracy([7, 7, 7, 9], [1, 1, 0, 0]) returns 0.75.
    """
    raise NotImplementedError

# %%
check("pairs-leak", best_accuracy)

# %% [markdown]
# ### Exercise 6: put the sentences back
#
# A model for sentence permutation says the place of each sentence.
# To see the text, you must put the sentences there.
#
# Write `restore`.

# %%
def restore(sentences: list[str], places: list[int]) -> list[str]:
    """Put shuffled sentences back into their order.

    sentences: the sentences, shuffled. The list must not be modified.
    places: for each of them the place that it had in the text, counted from 0.
    Returns the sentences as they were written.

    Example: restore(["So we left.", "It rained."], [1, 0])
    returns ["It rained.", "So we left."].
    """
    raise NotImplementedError

# %%
check("pairs-restore", restore)
