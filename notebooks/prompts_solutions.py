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
# # Solutions: from masked words to prompts
#
# These are solutions of the exercises in the chapter
# [From masked words to prompts](prompts.ipynb).
# Try each exercise there before you read on.
# Yours may look different: if the check shows ✓, it is right too.

# %% tags=["install", "hide-input"]
# Set-up, written from site.toml: says what to do when the course package is missing.
import importlib.util

if importlib.util.find_spec("companion") is None:
    raise ImportError("The course package is missing. Locally: run `make book`, choose .venv "
                      "as the kernel. On Colab: first set `repository` in site.toml.")

# %%
import torch

from companion.exercises import check

# %% [markdown]
# ## Exercise 1: several answers instead of one
#
# **Task** ([back to the exercise](prompts.ipynb#exercise-1-several-answers-instead-of-one)):
# The best answer alone is a poor judge. Write `positive_share`, which lets all answers with a label vote with their probabilities.

# %%
def positive_share(answers: list[tuple[str, float]], labels: dict[str, str]) -> float:
    """Share of the label "pos" in the answers that have a label.

    answers: words with their probabilities, best first, such as [("awful", 0.07), ...].
    labels: the label of each label word, "pos" or "neg". Other words have no label.
    Returns the probability of all "pos" answers, divided by that of all answers with a label.

    Example: positive_share([("bad", 0.3), ("the", 0.2), ("good", 0.1)],
    {"good": "pos", "bad": "neg"}) returns 0.25.
    """
    known = [(labels[word], p) for word, p in answers if word in labels]
    return sum(p for label, p in known if label == "pos") / sum(p for _, p in known)

# %%
check("prompts-share", positive_share)

# %% [markdown]
# **Why it is right.** Words without a label drop out, and the rest is scaled so that both shares sum to 1.
# The two examples differ in their first answer and agree in nothing else:

# %%
labels = {"great": "pos", "good": "pos", "awful": "neg"}
for answers in ([("awful", 0.30), ("great", 0.25), ("good", 0.20)],
                [("great", 0.30), ("awful", 0.25), ("the", 0.20)]):
    print(f"first: {answers[0][0]:5}  share of pos: {positive_share(answers, labels):.2f}")

# %% [markdown]
# **What wrong answers teach.**
#
# - *The sum is not divided.* Two texts can then not be compared: after one of them the model may spend most of its probability on words without a label.
# - *All answers in the divisor.* The share of "pos" and the share of "neg" must sum to 1. They do not if words without a label count.
# - *Counting words.* A rare answer is not worth as much as a probable one.

# %% [markdown]
# ## Exercise 2: cut the text, not the template
#
# **Task** ([back to the exercise](prompts.ipynb#exercise-2-cut-the-text-not-the-template)):
# A model reads a limited number of tokens. Many programs cut a row at its end. In our template that is where the mask stands.
# Write `prompt_row`, which puts one row together.

# %%
def prompt_row(text: list[int], before: list[int], after: list[int], cls: int, sep: int,
               max_length: int) -> list[int]:
    """Put one row together: [CLS], template, text, template, [SEP].

    text: the ids of the text. If the row would be too long, its last ids are left out.
    before, after: the ids of the template before and after the text; never shortened.
    cls, sep: the ids of [CLS] and [SEP].
    max_length: the largest length of the row, [CLS] and [SEP] included.

    Example: prompt_row([11, 12, 13], [], [21, 4], 2, 3, 6) returns [2, 11, 12, 21, 4, 3].
    """
    room = max_length - len(before) - len(after) - 2
    return [cls, *before, *text[:room], *after, sep]

# %%
check("prompts-row", prompt_row)

# %% [markdown]
# **Why it is right.** The room for the text is what template, `[CLS]` and `[SEP]` leave over.
# A text that is shorter than the room is not changed by the slice.

# %%
for length in (8, 7, 6):
    print(length, prompt_row([11, 12, 13], [], [21, 4], 2, 3, length))

# %% [markdown]
# **What wrong answers teach.**
#
# - *The end of the row is cut off.* The row has the right length, and the program runs. But there is no mask in it, so there is no answer.
# - *Too long by two.* `[CLS]` and `[SEP]` are tokens like all others.
# - *The beginning of the text is cut off.* This is no mistake in itself: in a long review the verdict often stands at the end. `Template` can do both, but here the end was asked for.

# %% [markdown]
# ## Exercise 3: a few rows of the decoder
#
# **Task** ([back to the exercise](prompts.ipynb#exercise-3-a-few-rows-of-the-decoder)):
# The last layer of a masked language model is a matrix with one row for every token. Write `word_logits`, which uses one position of each text and a few of these rows.

# %%
def word_logits(states: torch.Tensor, positions: torch.Tensor, weight: torch.Tensor,
                bias: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
    """Compute the logits of a few words at one position of each text.

    states: the inputs of the last layer, shape (B, L, H).
    positions: the position of the mask in each text, shape (B,).
    weight, bias: those of the last layer, shapes (V, H) and (V,).
    words: the ids of the words, shape (n,).
    Returns a tensor of shape (B, n).

    Example: with one text, one position and H = 1, states 2, weights [1, 5], biases [0, 3]
    and the word 1, the logit is 2 * 5 + 3 = 13.
    """
    at_mask = states[torch.arange(len(states)), positions]
    return at_mask @ weight[words].T + bias[words]

# %%
check("prompts-words", word_logits)

# %% [markdown]
# **Why it is right.** A row of the product depends on one position only, and a column on one word only. So you can choose both before you multiply.
# The next cell computes everything first and chooses afterwards:

# %%
states, weight, bias = torch.randn(2, 5, 4), torch.randn(100, 4), torch.randn(100)
positions, words = torch.tensor([3, 1]), torch.tensor([17, 42])
everything = states @ weight.T + bias
chosen = everything[torch.arange(2), positions][:, words]
print("numbers computed:", everything.numel(), "and", chosen.numel())
print("equal:", torch.allclose(chosen, word_logits(states, positions, weight, bias, words),
                               atol=1e-5))

# %% [markdown]
# **What wrong answers teach.**
#
# - *The bias is missing.* It is different for each word. A frequent word has a higher one, so the order of the labels can change.
# - *One position for all texts.* Texts have different lengths, so their masks stand at different positions.
# - *A softmax.* Over these few words it is harmless, but the numbers are no longer logits, and a second softmax later would flatten them.

# %% [markdown]
# ## Exercise 4: calibrate
#
# **Task** ([back to the exercise](prompts.ipynb#exercise-4-calibrate)):
# Write `calibrated`, the rule of contextual calibration.

# %%
def calibrated(probabilities: torch.Tensor, free: torch.Tensor) -> torch.Tensor:
    """Correct probabilities by those of a content-free input.

    probabilities: of the labels, shape (texts, labels).
    free: the probabilities that a content-free input gets, shape (labels,).
    Returns a tensor of shape (texts, labels): each probability divided by the content-free
    one of its label, and then each row divided by its sum.

    Example: calibrated(torch.tensor([[0.2, 0.8]]), torch.tensor([0.2, 0.8]))
    returns tensor([[0.5, 0.5]]).
    """
    divided = probabilities / free
    return divided / divided.sum(1, keepdim=True)

# %%
check("prompts-calibrate", calibrated)

# %% [markdown]
# **Why it is right.** After the division, only the change that the text makes is left.
# In terms of scores it is a subtraction, since $\log(p/q) = \log p - \log q$:

# %%
p, free = torch.tensor([[0.30, 0.70], [0.10, 0.90]]), torch.tensor([0.20, 0.80])
print(calibrated(p, free))
print((p.log() - free.log()).softmax(1))

# %% [markdown]
# **What wrong answers teach.**
#
# - *The rows do not sum to 1.* Quotients are no probabilities until you normalise them.
# - *The columns sum to 1.* Then the result for one text depends on the other texts.
# - *Multiplied.* The label that the model prefers anyway gets even more.
