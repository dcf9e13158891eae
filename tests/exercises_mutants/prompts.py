"""Answers to the exercises of "From masked words to prompts", as learners write them.

What the tables hold is said in `answer_tables.py`.
"""

import torch
from answer_tables import tables

MUTANTS, STOPPED, RIGHT, wrong, stops, right = tables()


# --- prompts-share ------------------------------------------------------------------------

def _of(answers, labels, label):
    return sum(p for word, p in answers if labels.get(word) == label)


@wrong("prompts-share", "share of the other label")
def _(answers, labels):
    pos, neg = (_of(answers, labels, label) for label in ("pos", "neg"))
    return neg / (pos + neg)


@wrong("prompts-share", "the sum is not divided")
def _(answers, labels):
    return _of(answers, labels, "pos")


@wrong("prompts-share", "words without a label are counted")
def _(answers, labels):
    return _of(answers, labels, "pos") / sum(p for _, p in answers)


@wrong("prompts-share", "the words are counted")
def _(answers, labels):
    found = [labels[word] for word, _ in answers if word in labels]
    return found.count("pos") / len(found)


@wrong("prompts-share", "the first answer only")
def _(answers, labels):
    return 1.0 if labels[answers[0][0]] == "pos" else 0.0


@right("prompts-share", "a running total")
def _(answers, labels):
    total = {"pos": 0.0, "neg": 0.0}
    for word, probability in answers:
        if word in labels:
            total[labels[word]] += probability
    return total["pos"] / sum(total.values())


@stops("prompts-share", "KeyError")
def _(answers, labels):
    return sum(p for word, p in answers if labels[word] == "pos")


# --- prompts-row --------------------------------------------------------------------------

@wrong("prompts-row", "longer than max_length")
def _(text, before, after, cls, sep, max_length):
    return [cls, *before, *text, *after, sep]


@wrong("prompts-row", "and the mask with it")
def _(text, before, after, cls, sep, max_length):
    return [cls, *before, *text, *after, sep][:max_length]


@wrong("prompts-row", "the end of the template is cut off")
def _(text, before, after, cls, sep, max_length):
    return [cls, *before, *text, *after][:max_length - 1] + [sep]


@wrong("prompts-row", "too long by two")
def _(text, before, after, cls, sep, max_length):
    return [cls, *before, *text[:max_length - len(before) - len(after)], *after, sep]


@wrong("prompts-row", "the beginning of the text")
def _(text, before, after, cls, sep, max_length):
    return [cls, *before, *text[-(max_length - len(before) - len(after) - 2):], *after, sep]


@wrong("prompts-row", "one token shorter")
def _(text, before, after, cls, sep, max_length):
    return [cls, *before, *text[:max_length - len(before) - len(after) - 3], *after, sep]


@wrong("prompts-row", "[CLS] and [SEP] are missing")
def _(text, before, after, cls, sep, max_length):
    return [*before, *text[:max_length - len(before) - len(after) - 2], *after]


@wrong("prompts-row", "before the text is missing")
def _(text, before, after, cls, sep, max_length):
    return [cls, *text[:max_length - len(before) - len(after) - 2], *after, sep]


@right("prompts-row", "one token after another is removed")
def _(text, before, after, cls, sep, max_length):
    text = list(text)
    while len(before) + len(text) + len(after) + 2 > max_length:
        text.pop()
    return [cls] + before + text + after + [sep]


# --- prompts-words ------------------------------------------------------------------------

def _at(states, positions):
    return states[torch.arange(len(states)), positions]


@wrong("prompts-words", "the bias is missing")
def _(states, positions, weight, bias, words):
    return _at(states, positions) @ weight[words].T


@wrong("prompts-words", "position 0")
def _(states, positions, weight, bias, words):
    return states[:, 0] @ weight[words].T + bias[words]


@wrong("prompts-words", "the last position")
def _(states, positions, weight, bias, words):
    return states[:, -1] @ weight[words].T + bias[words]


@wrong("prompts-words", "position of the first row")
def _(states, positions, weight, bias, words):
    return states[:, positions[0]] @ weight[words].T + bias[words]


@wrong("prompts-words", "the first entries of the vocabulary")
def _(states, positions, weight, bias, words):
    return (_at(states, positions) @ weight.T + bias)[:, : len(words)]


@wrong("prompts-words", "a softmax was applied")
def _(states, positions, weight, bias, words):
    return (_at(states, positions) @ weight[words].T + bias[words]).softmax(-1)


@wrong("prompts-words", "the shape is (3, 9)")
def _(states, positions, weight, bias, words):
    return _at(states, positions) @ weight.T + bias


@right("prompts-words", "the whole vocabulary first")
def _(states, positions, weight, bias, words):
    return _at(states @ weight.T + bias, positions)[:, words]


# --- prompts-calibrate --------------------------------------------------------------------

@wrong("prompts-calibrate", "nothing has changed")
def _(probabilities, free):
    return probabilities


@wrong("prompts-calibrate", "the rows do not sum to 1")
def _(probabilities, free):
    return probabilities / free


@wrong("prompts-calibrate", "the columns sum to 1")
def _(probabilities, free):
    divided = probabilities / free
    return divided / divided.sum(0)


@wrong("prompts-calibrate", "a softmax is not")
def _(probabilities, free):
    return (probabilities / free).softmax(1)


@wrong("prompts-calibrate", "are multiplied")
def _(probabilities, free):
    product = probabilities * free
    return product / product.sum(1, keepdim=True)


@wrong("prompts-calibrate", "are subtracted")
def _(probabilities, free):
    return probabilities - free + 1 / len(free)


@right("prompts-calibrate", "with logarithms")
def _(probabilities, free):
    return (probabilities.log() - free.log()).softmax(1)
