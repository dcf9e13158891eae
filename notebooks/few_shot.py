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
# # Few-shot: prompt tuning against head fine-tuning
#
# [Zero-shot](../book/glossary.md#zero-shot) classification needs no label. Now suppose that you have a few: four, eight or sixteen labelled reviews of each class.
# There are two ways to learn from them. You can put a new classifier on top of the model, or you can train the model through its [prompt](../book/glossary.md#prompt).
# This chapter asks which way is better, and how to know it.
#
# After this chapter you will be able to
#
# - draw K examples per class so that others get the same ones;
# - write the loss of prompt tuning, and say which parameters start at random;
# - compare two methods with the same examples and the same number of steps;
# - say whether a difference is larger than chance, from five [seeds](../book/glossary.md#seed);
# - choose settings without looking at the test split.
#
# Reading and running take about 35 minutes, the exercises about 30.
# The notebook itself runs in less than a minute on two CPU cores.
# You need templates and verbalizers, from the earlier chapters of this part, and the loss of [Masked language modelling](masked_lm.ipynb).

# %% [markdown]
# ## A few labelled examples
#
# [Few-shot](../book/glossary.md#few-shot) learning has very few labelled examples. *K-shot* means K examples of each class, drawn from the [training set](../book/glossary.md#training-set).
# Which ones you draw matters a lot, as you will see. So the field draws several times, each time with another named seed. The five seeds 13, 21, 42, 87 and 100 are those of Gao et al. (2021).

# %% tags=["install", "hide-input"]
# Set-up, written from site.toml: says what to do when the course package is missing.
import importlib.util

if importlib.util.find_spec("companion") is None:
    raise ImportError("The course package is missing. Locally: run `make book`, choose .venv "
                      "as the kernel. On Colab: first set `repository` in site.toml.")

# %%
import math
from collections import defaultdict
from statistics import mean, stdev

import torch
from torch.nn.functional import cross_entropy

from companion import checkpoints
from companion.corpora import movie_reviews
from companion.display import read_log, spreads, table
from companion.exercises import check
from companion.prompting import PromptClassifier, Template, Verbalizer
from companion.prompting.fewshot import SEEDS, SIZES, checksum, compare, draw
from companion.prompting.heads import HeadClassifier, head_tuning
from companion.prompting.training import Budget, batch_of
from companion.prompting.tuning import Examples, tune

CHECKPOINT = "bert-mini-en"  # or "bert-base-uncased", any masked LM of the Hub, or a folder
reviews = movie_reviews(collection="rotten_tomatoes")
examples, others = draw(reviews["train"], k=4, seed=13)
for text, label in zip(examples["text"][:4], examples["label"][:4]):
    print(label, text[:85])

# %% [markdown]
# `draw` gives K examples of each class to learn from, and K others of each class for [validation](../book/glossary.md#validation-set).
#
# The examples are not drawn with a random generator. Each one gets a key, a hash of the seed and of its id. The examples with the smallest keys are taken.
# So the draw is the same on every machine, and in whatever order the data comes. A checksum, a short code computed from the drawn ids, shows it. The checksums of all draws stand in a test of this course.

# %%
again, _ = draw(reviews["train"].shuffle(seed=0), k=4, seed=13)
larger, _ = draw(reviews["train"], k=8, seed=13)
print("checksum                        ", checksum([examples]))
print("the same from shuffled reviews: ", checksum([again]) == checksum([examples]))
print("K = 4 is a part of K = 8:       ", set(examples["id"][:]) < set(larger["id"][:]))
print("in training and in validation:  ", len(set(examples["id"][:]) & set(others["id"][:])))
assert checksum([again]) == checksum([examples])

# %% [markdown]
# The draws of one seed are *nested*: those with a larger K contain those with a smaller one. A curve over K then shows what more examples add, and less of the luck of a new draw. Draws of different seeds are independent of each other.

# %% [markdown]
# ## Two ways to use them
#
# *Head fine-tuning* is the usual way (Devlin et al., 2019). Take off the masked-LM head. Let one vector $h$ stand for the text: the state of `[CLS]`, or the mean over the tokens. A new linear layer $W$ turns it into one score for each class:
#
# $$p(y \mid x) = \mathrm{softmax}(W h)_y$$
#
# All weights are trained. But $W$ starts at random, so the model begins without an opinion.
#
# *Prompt tuning* keeps the masked-LM head. The text is put into a [template](../book/glossary.md#template), and the score $s_y$ of a class is the mean [logit](../book/glossary.md#logits) of its [label words](../book/glossary.md#label-words) $V_y$ at the mask:
#
# $$s_y = \frac{1}{|V_y|} \sum_{v \in V_y} \mathrm{logit}_v, \qquad p(y \mid x) = \mathrm{softmax}(s)_y$$
#
# The loss is the [cross-entropy](../book/glossary.md#cross-entropy) of the right class. This is the core of [pattern-exploiting training](../book/glossary.md#pattern-exploiting-training) (Schick and Schütze, 2021). No parameter is new.
#
# (The name is used for two things. Lester et al. (2021) call it prompt tuning when *only* vectors of the prompt are trained. Here this is one of three variants.)

# %%
GOOD = ("great good excellent wonderful amazing fantastic perfect brilliant beautiful enjoyable "
        "superb outstanding").split()
BAD = ("terrible bad awful horrible boring poor stupid disappointing worst dull lame weak").split()
model, tokenizer = checkpoints.load(CHECKPOINT)
prompt = PromptClassifier(model, Template("{text} All in all, it was {mask}.", cut="beginning"),
                          Verbalizer({0: BAD, 1: GOOD}, aggregation="mean"),
                          tokenizer=tokenizer, precision="auto")
head = HeadClassifier(model, (0, 1), tokenizer=tokenizer, cut="beginning", precision="auto")
prompt.max_length = head.max_length = 64
new = sum(p.numel() for p in head.head.parameters())
old = sum(p.numel() for p in model.parameters())
print(f"parameters that start at random: prompt 0, head {new}")
print(f"parameters that come from pretraining: {old:,}")

# %% [markdown]
# ## The smallest function
#
# Here is the loss of prompt tuning, from the logits of the label words. `Examples` in the package does the same for a batch of texts: fill in the template, run the model, take the label words' logits at the mask.

# %%
def by_hand(text: str, label: int) -> float:
    """The loss of one text, from all logits at the mask."""
    ids = tokenizer(prompt.template.fill(text), return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        logits = model(input_ids=ids).logits[0, ids[0] == tokenizer.mask_token_id][0]
    words = [tokenizer.convert_tokens_to_ids(side) for side in (BAD, GOOD)]
    scores = torch.stack([logits[side].mean() for side in words])
    return cross_entropy(scores, torch.tensor(label)).item()


text, label = examples["text"][0], examples["label"][0]
with torch.inference_mode():
    ours = Examples(prompt, [text], [label]).loss([0]).item()
print(f"by hand {by_hand(text, label):.3f}, companion {ours:.3f}")
assert abs(by_hand(text, label) - ours) < 1e-3

# %% [markdown]
# ## Toy step: where does each method start?
#
# Before the first step, the prompt already classifies: this is the zero-shot classifier. The new head knows nothing, so each of the two classes has a probability near one half, and the loss is near $\ln 2$.

# %%
texts, labels = examples["text"][:], examples["label"][:]
start = {"prompt": prompt, "head": head}
for name, classifier in start.items():
    right = classifier.evaluate(texts, labels)["accuracy"]
    loss = cross_entropy(classifier.scores(texts), torch.tensor(labels)).item()
    print(f"{name:6}  loss {loss:.1f}, {right * 8:.0f} of 8 examples right")
print(f"ln 2 = {math.log(2):.1f}")

# %% [markdown]
# ## One draw, live
#
# A fair comparison changes one thing at a time. Both methods get the same examples, the same batches in the same order, the same optimiser and the same number of [steps](../book/glossary.md#step). This is their *budget*. Only the [learning rate](../book/glossary.md#learning-rate) is chosen for each method by itself, because a new layer needs a larger one.
#
# With K = 8 there are 16 examples. A batch has 8. All examples are used once before any is used again.

# %%
budget = Budget(steps=30, size=8, rate=1e-5, seed=13)
print("batches:", *(batch_of(step, 16, budget) for step in range(2)), sep="\n  ")
assert sorted(batch_of(0, 16, budget) + batch_of(1, 16, budget)) == list(range(16))

# %%
# NBVAL_IGNORE_OUTPUT
examples, _ = draw(reviews["train"], k=8, seed=13)
texts, labels = examples["text"][:], examples["label"][:]
tuned, losses = {}, {}
tuned["prompt"], losses["prompt"] = tune(prompt, texts, labels, budget)
tuned["head"], losses["head"] = head_tuning(
    head, texts, labels, Budget(steps=30, size=8, rate=RATE, fresh_rate=10 * RATE, seed=13))
judges = reviews["validation"].select(range(200))
accuracy = {name: one.evaluate(judges["text"][:], judges["label"][:])["accuracy"]
            for name, one in tuned.items()}
for name in tuned:
    first, last = mean(losses[name][:5]), mean(losses[name][-5:])
    print(f"{name:6}  loss {first:.2f} -> {last:.2f}, accuracy on others {accuracy[name]:.2f}")

# %%
print("the loss of both has fallen:", all(mean(one[-5:]) < mean(one[:5])
                                          for one in losses.values()))
print("the prompt is ahead:        ", accuracy["prompt"] > accuracy["head"])
assert accuracy["prompt"] > accuracy["head"]

# %% [markdown]
# Both methods fit their 16 examples. On other reviews the tuned prompt is better. The reviews here come from the validation split: while you try things, the test split stays closed.
#
# But this was one draw. How much of it was luck?

# %% [markdown]
# ## Exercises
#
# Each exercise is a function without a body.
# Replace `raise NotImplementedError` by your code, run the cell, and run the check below it.
# The check prints ✓, or *not attempted yet*, or a hint.
#
# When you are done, or stuck, compare with the [solutions](few_shot_solutions.ipynb).

# %% [markdown]
# ### Exercise 1: draw K examples per class
#
# A draw must not depend on the order of the data. So every example has a key.
#
# Write `k_shot`.

# %%
def k_shot(labels: list, keys: list, k: int) -> list:
    """Choose K examples of every class.

    labels: the class of each example.
    keys: one string for each example; all are different. Within a class, the examples
        with the smallest keys are chosen.
    k: examples per class. Every class has at least as many.
    Returns the places of the chosen examples in the list, in rising order.

    Example: k_shot([0, 1, 0, 1], ["b", "c", "a", "d"], 1) returns [1, 2].
    """
    raise NotImplementedError

# %%
check("few-draw", k_shot)

# %% [markdown]
# ### Exercise 2: the loss of prompt tuning
#
# The model has given you the logits of all label words. What is the loss?
#
# Write `prompt_loss`.
# You may use `cross_entropy` from PyTorch.

# %%
def prompt_loss(word_logits, words, labels):
    """Compute the loss of prompt tuning.

    word_logits: shape (B, W): for each of B texts, the logits of W words at the mask.
    words: for each label, the list of the columns of its words. Labels may have
        different numbers of words.
    labels: shape (B,), whole numbers: the right label of each text.
    Returns a tensor with one number, in nats: the mean cross-entropy over the texts. The
    score of a label is the mean logit of its words. Gradients must be able to flow from it.
    """
    raise NotImplementedError

# %%
check("few-loss", prompt_loss)

# %% [markdown]
# ### Exercise 3: a difference and its spread
#
# Two methods ran with the same seeds.
#
# Write `compare`.
# The functions `mean`, `stdev` and `math.sqrt` may help.

# %%
def compare(first: list, second: list) -> tuple:
    """Compare the accuracies of two methods.

    first, second: the accuracies of a method, one for each seed; at least two.
    Returns two numbers: the mean of first minus the mean of second, and the joint spread,
    the root of the sum of the squared standard deviations (with n - 1).

    Example: compare([7.0, 10.0, 13.0], [2.0, 6.0, 10.0]) returns (4.0, 5.0).
    """
    raise NotImplementedError

# %%
check("few-spread", compare)

# %% [markdown]
# ### Exercise 4: passes over few examples
#
# The budget of this chapter is a number of steps. How often does a training use each of its examples?
#
# Write `passes`. Think of small K, too.

# %%
def passes(steps: int, size: int, k: int, classes: int) -> float:
    """Return how often a training uses each example, on average.

    steps: the number of steps.
    size: examples in a batch. If there are fewer examples, a batch holds all of them.
    k: examples per class.
    classes: the number of classes.

    Example: passes(30, 8, 4, 2) returns 30.0.
    """
    raise NotImplementedError

# %%
check("few-passes", passes)
