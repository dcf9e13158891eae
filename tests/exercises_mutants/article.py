"""Answers to the exercises of "The article, reproduced and repaired", as learners write them.

What the tables hold is said in `answer_tables.py`.
"""

import torch
from answer_tables import tables
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

MUTANTS, STOPPED, RIGHT, wrong, stops, right = tables()


# --- article-shares -----------------------------------------------------------------------

@wrong("article-shares", "softmax of two sums of logits")
def _(logits, first, second):
    return torch.stack([logits[first].sum(), logits[second].sum()]).softmax(0)


@wrong("article-shares", "mean of the logits")
def _(logits, first, second):
    return torch.stack([logits[first].mean(), logits[second].mean()]).softmax(0)


@wrong("article-shares", "the longer list has an advantage")
def _(logits, first, second):
    chances = logits.softmax(0)
    sums = torch.stack([chances[first].sum(), chances[second].sum()])
    return sums / sums.sum()


@wrong("article-shares", "only the best word")
def _(logits, first, second):
    best = logits.softmax(0)
    best = torch.stack([best[first].max(), best[second].max()])
    return best / best.sum()


@wrong("article-shares", "these are the two means")
def _(logits, first, second):
    chances = logits.softmax(0)
    return torch.stack([chances[first].mean(), chances[second].mean()])


@wrong("article-shares", "softmax of probabilities")
def _(logits, first, second):
    chances = logits.softmax(0)
    return torch.stack([chances[first].mean(), chances[second].mean()]).softmax(0)


@wrong("article-shares", "wrong order")
def _(logits, first, second):
    chances = logits.softmax(0)
    means = torch.stack([chances[second].mean(), chances[first].mean()])
    return means / means.sum()


@wrong("article-shares", "overflows")
def _(logits, first, second):
    means = torch.stack([logits[first].exp().mean(), logits[second].exp().mean()])
    return means / means.sum()


@wrong("article-shares", "not a list")
def _(logits, first, second):
    return [0.5, 0.5]


@stops("article-shares", "line")
def _(logits, first, second):
    return torch.stack([logits[first], logits[second]]).mean(1)


# --- article-words ------------------------------------------------------------------------

@wrong("article-words", "became the number 0")
def _(words, vocabulary):
    return [vocabulary.get(word, 0) for word in words], [w for w in words if w not in vocabulary]


@wrong("article-words", "became [UNK]")
def _(words, vocabulary):
    unknown = [word for word in words if word not in vocabulary]
    return [vocabulary.get(word, vocabulary["[UNK]"]) for word in words], unknown


@wrong("article-words", "became None")
def _(words, vocabulary):
    return [vocabulary.get(word) for word in words], [w for w in words if w not in vocabulary]


@wrong("article-words", "the id 0 is missing")
def _(words, vocabulary):
    ids = [vocabulary.get(word) for word in words]
    return [i for i in ids if i], [word for word in words if word not in vocabulary]


@wrong("article-words", "dropped in silence")
def _(words, vocabulary):
    return [vocabulary[word] for word in words if word in vocabulary], []


@wrong("article-words", "holds all words")
def _(words, vocabulary):
    return [vocabulary[word] for word in words if word in vocabulary], words[:]


@wrong("article-words", "should hold their ids")
def _(words, vocabulary):
    known = [word for word in words if word in vocabulary]
    return known, [word for word in words if word not in vocabulary]


@wrong("article-words", "wrong order")
def _(words, vocabulary):
    known = [vocabulary[word] for word in words if word in vocabulary]
    return [word for word in words if word not in vocabulary], known


@wrong("article-words", "return 2 results")
def _(words, vocabulary):
    return {word: vocabulary.get(word) for word in words}


@stops("article-words", "KeyError")
def _(words, vocabulary):
    return [vocabulary[word] for word in words], []


# --- article-row --------------------------------------------------------------------------

@wrong("article-row", "That is the article's row")
def _(sentence, prompt, cls, sep, max_length):
    return sentence + prompt


@wrong("article-row", "never seen a row without them")
def _(sentence, prompt, cls, sep, max_length):
    return sentence[:max_length - len(prompt)] + prompt


@wrong("article-row", "nothing is cut: the row")
def _(sentence, prompt, cls, sep, max_length):
    return [cls, *sentence, *prompt, sep]


@wrong("article-row", "the end of the whole row is cut off")
def _(sentence, prompt, cls, sep, max_length):
    return [cls, *sentence, *prompt, sep][:max_length]


@wrong("article-row", "the row asks nothing")
def _(sentence, prompt, cls, sep, max_length):
    return [cls, *(sentence + prompt)[:max_length - 2], sep]


@wrong("article-row", "two tokens too long")
def _(sentence, prompt, cls, sep, max_length):
    return [cls, *sentence[:max_length - len(prompt)], *prompt, sep]


@wrong("article-row", "the beginning of the sentence")
def _(sentence, prompt, cls, sep, max_length):
    room = max_length - len(prompt) - 2
    return [cls, *sentence[-room:], *prompt, sep]


@wrong("article-row", "a [SEP] between")
def _(sentence, prompt, cls, sep, max_length):
    return [cls, *sentence[:max_length - len(prompt) - 2], sep, *prompt, sep]


@wrong("article-row", "stands before the sentence")
def _(sentence, prompt, cls, sep, max_length):
    return [cls, *prompt, *sentence[:max_length - len(prompt) - 2], sep]


@wrong("article-row", "modifies its argument")
def _(sentence, prompt, cls, sep, max_length):
    sentence += prompt
    return [cls, *sentence, sep]


# --- article-loss -------------------------------------------------------------------------

@wrong("article-loss", "two of the article's faults")
def _(logits, labels, good, bad):
    return cross_entropy(logits[:, [good, bad]].softmax(-1), labels)


@wrong("article-loss", "label 0 means good here")
def _(logits, labels, good, bad):
    return cross_entropy(logits[:, [good, bad]], labels)


@wrong("article-loss", "softmax is applied twice")
def _(logits, labels, good, bad):
    return cross_entropy(logits[:, [bad, good]].softmax(-1), labels)


@wrong("article-loss", "over the whole vocabulary")
def _(logits, labels, good, bad):
    return cross_entropy(logits, torch.where(labels == 1, good, bad))


@wrong("article-loss", "taken as token ids")
def _(logits, labels, good, bad):
    return cross_entropy(logits, labels)


@wrong("article-loss", "this is the sum")
def _(logits, labels, good, bad):
    return cross_entropy(logits[:, [bad, good]], labels, reduction="sum")


@wrong("article-loss", "the sign is wrong")
def _(logits, labels, good, bad):
    chances = logits[:, [bad, good]].log_softmax(-1)
    return chances.gather(1, labels[:, None]).mean()


@wrong("article-loss", "the logarithm is missing")
def _(logits, labels, good, bad):
    chances = logits[:, [bad, good]].softmax(-1)
    return 1 - chances.gather(1, labels[:, None]).mean()


@wrong("article-loss", "no gradient can flow back")
def _(logits, labels, good, bad):
    return cross_entropy(logits.detach()[:, [bad, good]], labels)


@stops("article-loss", "not token ids")
def _(logits, labels, good, bad):
    return cross_entropy(logits[:, [bad, good]], torch.where(labels == 1, good, bad))


# --- article-steps ------------------------------------------------------------------------

def _pass(weight, inputs, targets, size, rate, clear=True, mean=True, sign=-1):
    """As torch users write it, with a parameter and `backward`."""
    weight = weight.clone().requires_grad_()
    for x, y in zip(inputs.split(size), targets.split(size)):
        if clear:
            weight.grad = None
        loss = binary_cross_entropy_with_logits(x @ weight, y,
                                                reduction="mean" if mean else "sum")
        loss.backward()
        with torch.no_grad():
            weight += sign * rate * weight.grad
    return weight.detach()


@wrong("article-steps", "two of the article's faults")
def _(weight, inputs, targets, size, rate):
    return _pass(weight, inputs, targets, 1, rate, clear=False)


@wrong("article-steps", "old gradients are kept")
def _(weight, inputs, targets, size, rate):
    return _pass(weight, inputs, targets, size, rate, clear=False)


@wrong("article-steps", "a step after each example, not")
def _(weight, inputs, targets, size, rate):
    return _pass(weight, inputs, targets, 1, rate)


@wrong("article-steps", "only one step")
def _(weight, inputs, targets, size, rate):
    return _pass(weight, inputs, targets, len(inputs), rate)


@wrong("article-steps", "is summed")
def _(weight, inputs, targets, size, rate):
    return _pass(weight, inputs, targets, size, rate, mean=False)


@wrong("article-steps", "the last batch is missing")
def _(weight, inputs, targets, size, rate):
    return _pass(weight, inputs[:4], targets[:4], size, rate)


@wrong("article-steps", "uphill")
def _(weight, inputs, targets, size, rate):
    return _pass(weight, inputs, targets, size, rate, sign=1)


@wrong("article-steps", "is the step missing")
def _(weight, inputs, targets, size, rate):
    return weight.clone()


@wrong("article-steps", "at the first weight")
def _(weight, inputs, targets, size, rate):
    result = weight.clone()
    for x, y in zip(inputs.split(size), targets.split(size)):
        result -= rate * x.T @ ((x @ weight).sigmoid() - y) / len(x)
    return result


@wrong("article-steps", "a gradient is still attached")
def _(weight, inputs, targets, size, rate):
    return _pass(weight, inputs, targets, size, rate).requires_grad_()


@wrong("article-steps", "modifies its argument `weight`")
def _(weight, inputs, targets, size, rate):
    weight -= rate
    return weight


# --- right answers, written in another way --------------------------------------------------

@right("article-shares", "probabilities and their means")
def _(logits, first, second):
    chances = logits.softmax(0)
    means = torch.stack([chances[first].mean(), chances[second].mean()])
    return means / means.sum()


@right("article-words", "a loop")
def _(words, vocabulary):
    ids, unknown = [], []
    for word in words:
        if word in vocabulary:
            ids.append(vocabulary[word])
        else:
            unknown.append(word)
    return ids, unknown


@right("article-row", "pieces are dropped until it fits")
def _(sentence, prompt, cls, sep, max_length):
    kept = list(sentence)
    while len(kept) + len(prompt) + 2 > max_length:
        kept.pop()
    return [cls] + kept + prompt + [sep]


@right("article-loss", "from the log-odds")
def _(logits, labels, good, bad):
    return binary_cross_entropy_with_logits(logits[:, good] - logits[:, bad], labels.float())


@right("article-steps", "an optimiser")
def _(weight, inputs, targets, size, rate):
    weight = weight.clone().requires_grad_()
    optimiser = torch.optim.SGD([weight], lr=rate)
    for start in range(0, len(inputs), size):
        optimiser.zero_grad()
        part = slice(start, start + size)
        binary_cross_entropy_with_logits(inputs[part] @ weight, targets[part]).backward()
        optimiser.step()
    return weight.detach()
