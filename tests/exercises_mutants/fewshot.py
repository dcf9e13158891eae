"""Answers to the exercises of "Few-shot", as learners write them.

What the tables hold is said in `answer_tables.py`.
"""

import math
import statistics

import numpy
import torch
from answer_tables import tables
from torch.nn.functional import cross_entropy

MUTANTS, STOPPED, RIGHT, wrong, stops, right = tables()


def _groups(labels):
    return [[i for i, label in enumerate(labels) if label == kind] for kind in sorted(set(labels))]


# --- few-draw -----------------------------------------------------------------------------

@wrong("few-draw", "as they stand in the data")
def _(labels, keys, k):
    return sorted(i for group in _groups(labels) for i in group[:k])


@wrong("few-draw", "K examples altogether")
def _(labels, keys, k):
    return sorted(sorted(range(len(keys)), key=lambda i: keys[i])[:k])


@wrong("few-draw", "across the classes")
def _(labels, keys, k):
    order = sorted(range(len(keys)), key=lambda i: keys[i])
    return sorted(order[:k * len(set(labels))])


@wrong("few-draw", "largest keys")
def _(labels, keys, k):
    return sorted(i for group in _groups(labels)
                  for i in sorted(group, key=lambda i: keys[i], reverse=True)[:k])


@wrong("few-draw", "in another order")
def _(labels, keys, k):
    return [i for group in _groups(labels) for i in sorted(group, key=lambda i: keys[i])[:k]]


@wrong("few-draw", "these are keys")
def _(labels, keys, k):
    places = sorted(i for g in _groups(labels) for i in sorted(g, key=lambda i: keys[i])[:k])
    return [keys[i] for i in places]


@wrong("few-draw", "these are labels")
def _(labels, keys, k):
    places = sorted(i for g in _groups(labels) for i in sorted(g, key=lambda i: keys[i])[:k])
    return [labels[i] for i in places]


@wrong("few-draw", "one list for each class")
def _(labels, keys, k):
    return [sorted(group, key=lambda i: keys[i])[:k] for group in _groups(labels)]


@wrong("few-draw", "modifies its argument `keys`")
def _(labels, keys, k):
    keys.sort()
    return []


@right("few-draw", "one pass over the sorted places")
def _(labels, keys, k):
    counts, places = {}, []
    for place in sorted(range(len(keys)), key=keys.__getitem__):
        counts[labels[place]] = counts.get(labels[place], 0) + 1
        if counts[labels[place]] <= k:
            places.append(place)
    return tuple(sorted(places))


# --- few-loss -----------------------------------------------------------------------------

def _scores(logits, words, together):
    return torch.stack([together(logits[:, places]) for places in words], dim=1)


def _mean(part):
    return part.mean(1)


@wrong("few-loss", "added up")
def _(word_logits, words, labels):
    return cross_entropy(_scores(word_logits, words, lambda p: p.sum(1)), labels)


@wrong("few-loss", "log-sum-exp")
def _(word_logits, words, labels):
    return cross_entropy(_scores(word_logits, words, lambda p: p.logsumexp(1)), labels)


@wrong("few-loss", "only the best word")
def _(word_logits, words, labels):
    return cross_entropy(_scores(word_logits, words, lambda p: p.max(1).values), labels)


@wrong("few-loss", "only the first word")
def _(word_logits, words, labels):
    return cross_entropy(word_logits[:, [places[0] for places in words]], labels)


@wrong("few-loss", "softmax comes before the mean")
def _(word_logits, words, labels):
    return cross_entropy(_scores(word_logits.softmax(1), words, _mean).log(), labels)


@wrong("few-loss", "means of probabilities")
def _(word_logits, words, labels):
    return cross_entropy(_scores(word_logits.softmax(1), words, _mean), labels)


@wrong("few-loss", "the loss of a word")
def _(word_logits, words, labels):
    return cross_entropy(word_logits, torch.tensor([words[i][0] for i in labels]))


@wrong("few-loss", "softmax is applied twice")
def _(word_logits, words, labels):
    return cross_entropy(_scores(word_logits, words, _mean).softmax(1), labels)


@wrong("few-loss", "sum over the texts")
def _(word_logits, words, labels):
    return cross_entropy(_scores(word_logits, words, _mean), labels, reduction="sum")


@wrong("few-loss", "the sign is wrong")
def _(word_logits, words, labels):
    return -cross_entropy(_scores(word_logits, words, _mean), labels)


@wrong("few-loss", "base 2")
def _(word_logits, words, labels):
    return cross_entropy(_scores(word_logits, words, _mean), labels) / math.log(2)


@wrong("few-loss", "only the score of the right label")
def _(word_logits, words, labels):
    return -_scores(word_logits, words, _mean).gather(1, labels[:, None]).mean()


@wrong("few-loss", "no gradient can flow back")
def _(word_logits, words, labels):
    return cross_entropy(_scores(word_logits, words, _mean), labels).detach()


@stops("few-loss", "Take the mean of each before stacking")
def _(word_logits, words, labels):
    return cross_entropy(torch.stack([word_logits[:, places] for places in words]).mean(-1),
                         labels)


@right("few-loss", "a matrix that takes the means")
def _(word_logits, words, labels):
    means = torch.zeros(word_logits.shape[1], len(words))
    for label, places in enumerate(words):
        means[places, label] = 1 / len(places)
    return -(word_logits @ means).log_softmax(1)[torch.arange(len(labels)), labels].mean()


# --- few-spread ---------------------------------------------------------------------------

def _difference(first, second):
    return statistics.mean(first) - statistics.mean(second)


def _joint(first, second):
    return math.sqrt(statistics.variance(first) + statistics.variance(second))


@wrong("few-spread", "wrong way round")
def _(first, second):
    return _difference(second, first), _joint(first, second)


@wrong("few-spread", "medians")
def _(first, second):
    return statistics.median(first) - statistics.median(second), _joint(first, second)


@wrong("few-spread", "the best seeds")
def _(first, second):
    return max(first) - max(second), _joint(first, second)


@wrong("few-spread", "sum of the differences")
def _(first, second):
    return sum(first) - sum(second), _joint(first, second)


@wrong("few-spread", "divided by n")
def _(first, second):
    return (numpy.mean(first) - numpy.mean(second),
            math.sqrt(numpy.var(first) + numpy.var(second)))


@wrong("few-spread", "standard deviations are added")
def _(first, second):
    return _difference(first, second), statistics.stdev(first) + statistics.stdev(second)


@wrong("few-spread", "sum of the variances")
def _(first, second):
    return _difference(first, second), statistics.variance(first) + statistics.variance(second)


@wrong("few-spread", "mean of the two variances")
def _(first, second):
    return _difference(first, second), _joint(first, second) / math.sqrt(2)


@wrong("few-spread", "standard error")
def _(first, second):
    return _difference(first, second), _joint(first, second) / math.sqrt(len(first))


@wrong("few-spread", "put into one list")
def _(first, second):
    return _difference(first, second), statistics.stdev(first + second)


@wrong("few-spread", "pair by pair")
def _(first, second):
    return _difference(first, second), statistics.stdev(a - b for a, b in zip(first, second))


@wrong("few-spread", "the larger of the two")
def _(first, second):
    return _difference(first, second), max(statistics.stdev(first), statistics.stdev(second))


@wrong("few-spread", "return 2 results")
def _(first, second):
    return _difference(first, second)


@right("few-spread", "numpy")
def _(first, second):
    return (numpy.mean(first) - numpy.mean(second),
            numpy.hypot(numpy.std(first, ddof=1), numpy.std(second, ddof=1)))


# --- few-passes ---------------------------------------------------------------------------

@wrong("few-passes", "cannot hold more examples")
def _(steps, size, k, classes):
    return steps * size / (k * classes)


@wrong("few-passes", "Count the examples of all classes.")
def _(steps, size, k, classes):
    return steps * size / k


@wrong("few-passes", "do not round")
def _(steps, size, k, classes):
    return steps * min(size, k * classes) // (k * classes)


@wrong("few-passes", "upside down")
def _(steps, size, k, classes):
    return k * classes / (steps * min(size, k * classes))


@wrong("few-passes", "this is how many examples are used")
def _(steps, size, k, classes):
    return steps * min(size, k * classes)


@wrong("few-passes", "uses more than one example")
def _(steps, size, k, classes):
    return steps / (k * classes)


@right("few-passes", "the batch as a share")
def _(steps, size, k, classes):
    return steps * min(1.0, size / (k * classes))
