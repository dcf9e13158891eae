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
# # From MLM to prompts
#
# A [masked language model](../book/glossary.md#masked-language-modelling) fills gaps. Nobody has told it what a good or a bad review is.
# In this chapter you ask it in its own way: you put a gap after the review and look at the words it would write there.
# This is a classifier without a single labelled example: [zero-shot](../book/glossary.md#zero-shot) classification.
#
# After this chapter you will be able to
#
# - write a [template](../book/glossary.md#template) and a [verbalizer](../book/glossary.md#verbalizer), and say what each has to fulfil;
# - read an answer from several words instead of one;
# - explain why only one position and a few words need to be computed;
# - [calibrate](../book/glossary.md#calibration) a model that prefers one label, without any label;
# - show where the method fails.
#
# Reading and running take about 35 minutes, the exercises about as long again.
# The notebook itself runs in less than a minute on two CPU cores.
# Read [Masked language modelling](masked_lm.ipynb) first.

# %% tags=["install", "hide-input"]
# Set-up, written from site.toml: says what to do when the course package is missing.
import importlib.util

if importlib.util.find_spec("companion") is None:
    raise ImportError("The course package is missing. Locally: run `make book`, choose .venv "
                      "as the kernel. On Colab: first set `repository` in site.toml.")

# %% [markdown]
# ## A question in the form of a gap
#
# Take a text and put a short sentence with a gap after it. The sentence is the [prompt](../book/glossary.md#prompt).

# %%
import tempfile
from pathlib import Path

import torch

from companion import checkpoints
from companion.corpora import movie_reviews
from companion.display import bars, table
from companion.errors import CourseError
from companion.exercises import check
from companion.filling import fill
from companion.prompting import PromptClassifier, Template, Verbalizer, calibration

CHECKPOINT = "bert-mini-en"  # or "roberta-base", any masked LM of the Hub, or a folder
OURS = CHECKPOINT == "bert-mini-en"  # what the text says of the answers is about this one
model, tokenizer = checkpoints.load(CHECKPOINT)
text = "I really like the film a lot."
prompt_template = "Because it was [MASK]."
other = "this movie makes me very disgusting."

# %%
answers = {}
for sentence in (text, other):
    answers[sentence], = fill(model, tokenizer, f"{sentence} {prompt_template}", top=10)
    print(sentence)
    print("   ", ", ".join(f"{word} {p:.2f}" for word, p in answers[sentence]))

# %% [markdown]
# The two sentences are those of the article that this part grew from, with their own English. The answers are printed as they come.
#
# The second text gets words of blame. For the first text, which is praise, the first answer is *awful*. The next one is *great*, with a little less probability.
# So the model is not sure, and the first word alone would be a wrong label.
#
# ## From words to labels
#
# To turn words into labels you need a table. The words in it are the [label words](../book/glossary.md#label-words). Here it is an inverted dictionary: from the word to the label.

# %%
verbalizer = {"great": "pos", "good": "pos", "amazing": "pos", "fun": "pos",
              "awful": "neg", "bad": "neg", "terrible": "neg", "boring": "neg"}

for sentence, found in answers.items():
    first = verbalizer.get(found[0][0], "no label")
    share = {"pos": 0.0, "neg": 0.0}
    for word, p in found:
        if word in verbalizer:
            share[verbalizer[word]] += p
    total = sum(share.values()) or 1.0  # another model may have no label word among the ten
    print(f"first answer {first}   top ten: pos {share['pos'] / total:.2f}, "
          f"neg {share['neg'] / total:.2f}   {sentence}")

# %% [markdown]
# The share of the top ten says more than the first answer: it shows how the probability is divided between the two sides. For the first text the two labels are much closer than for the second one.
# It is still on the wrong side for the first text. Keep this in mind: the next sections explain why, and what can be done.
#
# The top ten has a flaw, too. Whether a label word is among the first ten depends on all other words of the [vocabulary](../book/glossary.md#vocabulary). So from now on all label words count, wherever they stand.
#
# **The rule.** Let $T(x)$ be the text $x$ in the template, $V_y$ the label words of the label $y$, and $p(w \mid T(x))$ the probability of the word $w$ at the mask. Then
#
# $$P(y \mid x) = \frac{\sum_{w \in V_y} p(w \mid T(x))}{\sum_{y'} \sum_{w \in V_{y'}} p(w \mid T(x))}.$$
#
# This is the idea of [pattern-exploiting training](../book/glossary.md#pattern-exploiting-training), before any training: Schick and Schütze (2021), in the [references](../book/references.md).
#
# ## Three parts: template, verbalizer, classifier
#
# **The template** is a text with slots. `{text}` is a slot for your text, `{mask}` is the gap. Both BERT's `[MASK]` and RoBERTa's `<mask>` are written `{mask}`, so the template works with any model.

# %%
template = Template("{text} Because it was {mask}.")
encoded = template.encode(tokenizer, [text], max_length=512)
print(tokenizer.convert_ids_to_tokens(encoded.ids[0]))
print("mask at", encoded.masks[0], "  tokens cut off:", encoded.truncated[0])

short = template.encode(tokenizer, [text], max_length=12)
print(tokenizer.convert_ids_to_tokens(short.ids[0]), "  cut off:", short.truncated[0])
assert len(short.ids[0]) == 12 and tokenizer.mask_token_id in short.ids[0]

# %% [markdown]
# If the row is too long, only the text is cut, never the template and never the mask. The number of tokens that were cut off is returned, so that nothing is lost in silence.
#
# **The verbalizer** is the table. Each label may have several words. It also says how their scores become one: `"logsumexp"` is the sum of the probabilities from the rule above, `"mean"` takes the mean of the logarithms, `"max"` the best word.
#
# **The classifier** puts the two together with a model.

# %%
words = Verbalizer.from_words(verbalizer)
print(words)
classifier = PromptClassifier(model, template, words, tokenizer=tokenizer)
for sentence, p in zip((text, other), classifier.predict_proba([text, other])):
    print(f"pos {p[0].item():.2f}  neg {p[1].item():.2f}  {sentence}")

# %% [markdown]
# What is not clear raises an error with a cure, rather than a wrong number. Some examples:

# %%
attempts = {
    "no mask": lambda: Template("{text} It was good."),
    "empty text": lambda: classifier.predict([""]),
    "a mask in the text": lambda: classifier.predict([f"It was {tokenizer.mask_token}."]),
    "a word twice": lambda: Verbalizer({"pos": ["good"], "neg": ["bad", "good"]}),
    "misspelt word": lambda: Verbalizer({"pos": ["amazin"], "neg": ["bad"]}).tokens(tokenizer),
}
for name, attempt in attempts.items():
    try:
        attempt()
    except CourseError as problem:
        print(f"{name}: {problem}")

# %% [markdown]
# ## Only the mask, only a few words
#
# A masked language model can give a score for every token of the vocabulary at every position. The question needs a few words at one position.

# %%
ids = torch.tensor([encoded.ids[0]])
with torch.inference_mode():
    logits = model(input_ids=ids).logits[0]
at_mask = logits[encoded.masks[0][0]]
whole = at_mask.log_softmax(-1)[[token for token, in words.tokens(tokenizer)]]
few = classifier.word_scores([text])[0]
print(f"{logits.numel():,} scores of the whole model, {len(few)} of the classifier")
print("differences:", " ".join(f"{number:.2f}" for number in few - whole))
assert torch.allclose(few - few[0], whole - whole[0], atol=1e-4)

# %% [markdown]
# The classifier runs the last matrix with the rows of the label words only. Its scores are [logits](../book/glossary.md#logits), the others are logarithms of probabilities. They differ by the same constant for all words.
# The constant is the logarithm of the sum of $e^{z}$ over the vocabulary, where $z$ is the logit of a word. It drops out of the rule, because it stands above and below the line.
#
# So nothing is lost, and this part of the work becomes very small. The [encoder](../book/glossary.md#encoder) still has to read all positions, since the answer at the mask depends on the whole text. Only its last layer can be limited to the mask: nobody reads its other outputs.
#
# ### Batches
#
# Texts of one [batch](../book/glossary.md#batch) must have one length, so short texts are filled up with [padding](../book/glossary.md#padding). The classifier sorts the texts by length first. How much padding does this save?

# %%
reviews = movie_reviews()


def sentences(split: str, count: int) -> tuple[list[str], list[str]]:
    """The first Rotten Tomatoes sentences of a split, and their labels."""
    found = [row for row in zip(reviews[split]["text"], reviews[split]["label"],
                                reviews[split]["collection"]) if row[2] == "rotten_tomatoes"]
    return [row[0] for row in found[:count]], [("neg", "pos")[row[1]] for row in found[:count]]


texts, labels = sentences("validation", 300)
lengths = [len(row) for row in template.encode(tokenizer, texts, 512).ids]
padded = {}
for name, order in {"as they come": lengths, "sorted": sorted(lengths)}.items():
    groups = [order[at : at + 25] for at in range(0, len(order), 25)]
    padded[name] = 1 - sum(lengths) / sum(max(group) * len(group) for group in groups)
    print(f"{name}: {padded[name]:.0%} of the positions are padding")
assert padded["sorted"] < 0.1 < padded["as they come"]

# %% [markdown]
# The order of the results is that of your texts. And the results are the same, up to rounding in the last digits: that is tested. With `precision="bf16"` the matrices have fewer digits ([bf16](../book/glossary.md#bf16)); on processors that support it this is faster, and the scores change a little more.
#
# The repository has a measurement of all this against the usual ways: `benchmarks/prompting.py`.
#
# ## On real sentences: calibration
#
# Now ask about real sentences. The model prefers some words whatever the text says. You can see that with a text that says nothing, a [content-free input](../book/glossary.md#content-free-input).

# %%
free = classifier.verbalizer.aggregate(
    classifier.word_scores(["N/A", "", tokenizer.mask_token], content_free=True)).softmax(-1)
for name, p in zip(("N/A", "(empty)", "[MASK]"), free):
    print(f"{name:8} pos {p[0].item():.2f}  neg {p[1].item():.2f}")
assert (free[:, 0] < 0.5).all() or not OURS

# %% [markdown]
# All three get more of "neg" than of "pos". No review stands in the template, so this preference does not come from the review that is asked about.
#
# *Contextual calibration* (Zhao et al., 2021, in the [references](../book/references.md)) divides each probability by the content-free one. [Prior matching](../book/glossary.md#prior-matching) needs texts without labels instead: it chooses one number per label, so that the mean probability of each label is what you expect, for example one half. *Median* does the same with the border: half of the texts lie on either side.
#
# The last two may use the training texts, but not their labels. They assume that you know how frequent the labels are.

# %%
unlabelled, _ = sentences("train", 300)
raw, outside = (classifier.scores(some, calibrated=False) for some in (texts, unlabelled))
biases = {"none": torch.zeros(2),
          "contextual": classifier.calibrate("contextual").bias,
          "prior": calibration.prior_matching(outside),
          "median": calibration.median(outside)}
truth = torch.tensor([words.labels.index(label) for label in labels])
accuracy, rows = {}, []
for name, bias in biases.items():
    predicted = (raw + bias).argmax(-1)
    accuracy[name] = (predicted == truth).float().mean().item()
    rows.append([name, f"{accuracy[name]:.2f}", f"{(predicted == 0).float().mean().item():.2f}"])
print("share of pos in truth:", f"{(truth == 0).float().mean().item():.2f}")
print(table(["calibration", "accuracy", "share called pos"], rows))

# %%
print({name: round(value, 2) for name, value in accuracy.items()})
assert accuracy["median"] > accuracy["none"] > 0.5 or not OURS
assert accuracy["contextual"] < accuracy["prior"] or not OURS
bars(accuracy, "accuracy")

# %% [markdown]
# Without calibration most sentences are called negative. Contextual calibration goes too far to the other side: what the model does with an empty text is only a rough guide to what it does with a sentence. The methods that look at unlabelled sentences find the better border here.
#
# These are few sentences, so small differences between the rows mean nothing. And none of the rows is the accuracy of a trained classifier. The point is another one: no label was used.
#
# And our first text?

# %%
for name in ("none", "contextual", "median"):
    classifier.bias = biases[name]  # as classifier.calibrate(name, ...) would set it
    p = classifier.predict_proba([text, other])[:, 0].tolist()
    print(f"{name:10}  pos {p[0]:.2f} {text}   pos {p[1]:.2f} {other}")

# %% [markdown]
# Contextual calibration puts the praise on the right side. The median border, which is better on average, leaves it on the wrong one. A single example can speak for any method, so always count.
#
# ## Label words of several tokens
#
# The check on label words wants words that are one token. Many good words are not. With `several_tokens=True` you may use them: the template then gets one mask for each token of the word.

# %%
for word in ("disappointing", "unwatchable", "heartwarming"):
    print(word, tokenizer.tokenize(word))
long = Verbalizer({"pos": ["heartwarming", "great"], "neg": ["unwatchable", "bad"]},
                  several_tokens=True)
longer = PromptClassifier(model, template, long, tokenizer=tokenizer)
for (label, word), score in zip(long.pairs, longer.word_scores([text])[0].tolist()):
    print(f"{label}  {score:6.2f}  {word}")

# %% [markdown]
# The score of such a word is the mean of the logarithms of its tokens' probabilities, each at its own mask.
#
# Read these scores with care. A word of three tokens is compared with words of one token in a row of another length. The pieces are predicted independently of each other, so they do not help each other. Words of one token are the better choice where you have them. In Chinese, where most words have two characters and a character is a token, you often have no choice; then take words of the same length for all labels.
#
# ## Where it fails
#
# A prompt reads words that occur together in its training text. Does it also read *not*?

# %%
classifier.bias = biases["median"]
pairs = [("The film is good.", "The film is not good."),
         ("The film is bad.", "The film is not bad.")]
shares = {}
for pair in pairs:
    for sentence, p in zip(pair, classifier.predict_proba(pair)):
        shares[sentence] = p[0].item()
        print(f"pos {shares[sentence]:.2f}  {sentence}")
assert shares["The film is not good."] > 0.5 > shares["The film is not bad."] or not OURS

# %% [markdown]
# The word *not* moves the answers in the right direction, but not far enough: *not good* is still called positive and *not bad* negative. The words *good* and *bad* themselves decide.
#
# Two more limits:
#
# - The answer depends on the wording of the template and on the words. Another template gives another accuracy, and you cannot know which is best without labels.
# - A probability of this classifier is no measure of certainty. It compares a few words, nothing more.
#
# ## Another model in one line
#
# `CHECKPOINT` may be a name of the Hub, or a folder. Here is the proof with a folder that knows nothing of this course:

# %%
with tempfile.TemporaryDirectory() as folder:
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    print(sorted(file.name for file in Path(folder).iterdir()))
    copy, its_tokenizer = checkpoints.load(folder)  # the one line
    from_folder = PromptClassifier(copy, template, words, tokenizer=its_tokenizer)
    print(from_folder.predict([text, other]))
    same = torch.equal(from_folder.scores([text, other]),
                       classifier.scores([text, other], calibrated=False))
    print("same scores:", same)

# %% [markdown]
# Models with other masks and other ways to cut words (RoBERTa, ALBERT) need no other code. The label words are looked up as they stand after a space, because RoBERTa has different tokens for *great* with and without one.
#
# ## Take-away
#
# - A template turns a text into a sentence with a gap; a verbalizer turns the words in the gap into labels.
# - Several label words use more of the answer than the first one. The next chapter measures the gain.
# - Only the mask and only the label words need to be computed. The numbers are the same.
# - Cut the text, never the template, and count what you cut.
# - A model has favourites. Calibration moves the border without labels; check it on more than one example.
# - Negation is hard for this method.
#
# ## Exercises
#
# Replace `raise NotImplementedError` by your code, run the cell, and run the check below it.
# The check prints ✓, or *not attempted yet*, or a hint.
# When you are done, or stuck, compare with the [solutions](prompts_solutions.ipynb).

# %% [markdown]
# ### Exercise 1: several answers instead of one
#
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
    raise NotImplementedError

# %%
check("prompts-share", positive_share)

# %% [markdown]
# ### Exercise 2: cut the text, not the template
#
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
    raise NotImplementedError

# %%
check("prompts-row", prompt_row)

# %% [markdown]
# ### Exercise 3: a few rows of the decoder
#
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
    raise NotImplementedError

# %%
check("prompts-words", word_logits)

# %% [markdown]
# ### Exercise 4: calibrate
#
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
    raise NotImplementedError

# %%
check("prompts-calibrate", calibrated)
