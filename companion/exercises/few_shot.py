"""The exercises of the chapter "Few-shot: prompt tuning against head fine-tuning"."""

from __future__ import annotations

import math
import statistics
from statistics import stdev

import numpy
import torch
from torch.nn.functional import cross_entropy

from companion.exercises.exercise import case, exercise

@exercise("few-draw", "the places",
          "every class has K examples, and the order of the data decides nothing.",
          cases=[case(labels, "c7 f0 a1 b9 a0 d2 e5".split(), k, expected=places)
                 for labels, k, places in (([1, 0, 1, 1, 0, 0, 1], 2, [2, 3, 4, 5]),
                                           ([1, 0, 1, 1, 0, 0, 1], 3, [0, 1, 2, 3, 4, 5]),
                                           (list("rbrgbgr"), 1, [2, 3, 4]))])
def k_shot(labels: list, keys: list, k: int) -> list:
    """Choose K examples of every class.

    labels: the class of each example.
    keys: one string for each example; all are different. Within a class, the examples
        with the smallest keys are chosen.
    k: examples per class. Every class has at least as many.
    Returns the places of the chosen examples in the list, in rising order.

    Example: k_shot([0, 1, 0, 1], ["b", "c", "a", "d"], 1) returns [1, 2].
    """
    chosen = []
    for kind in set(labels):
        places = [i for i, label in enumerate(labels) if label == kind]
        chosen += sorted(places, key=lambda i: keys[i])[:k]
    return sorted(chosen)


def _classes(labels, keys):
    return [sorted((i for i, label in enumerate(labels) if label == kind), key=keys.__getitem__)
            for kind in set(labels)]


k_shot.mistakes(
    ("these are the first K of each class in the data. Take those with the smallest keys.",
     lambda x, keys, k: k_shot(x, range(len(keys)), k)),
    ("these are K examples altogether. Take K of every class.",
     lambda x, keys, k: k_shot([0] * len(x), keys, k)),
    ("the keys are compared across the classes, so one gets more than K. Sort each by itself.",
     lambda x, keys, k: k_shot([0] * len(x), keys, k * len(set(x)))),
    ("these have the largest keys. The smallest ones are asked for.",
     lambda x, keys, k: sorted(i for one in _classes(x, keys) for i in one[-k:])),
    ("these are keys. Return places.", lambda x, keys, k: [keys[i] for i in k_shot(x, keys, k)]),
    ("these are labels. Return places.", lambda x, keys, k: [x[i] for i in k_shot(x, keys, k)]),
)
# The order of a set of texts is chance, so these wrong answers differ from run to run.
k_shot.hint_if("the right examples, in another order. Return the places in rising order.",
               lambda case, got: sorted(got) == case.expected,
               lambda x, keys, k: [i for one in _classes(x, keys) for i in one[:k]])
k_shot.hint_if("there is one list for each class. Return one list of all places.",
               lambda case, got: isinstance(got[0], list),
               lambda x, keys, k: [one[:k] for one in _classes(x, keys)])
k_shot.hint_if("the examples of a class are missing.",
               lambda case, got: set(got) < set(case.expected),
               lambda x, keys, k: sorted(_classes(x, keys)[0][:k]))
k_shot.also_right(lambda x, keys, k: tuple(i for i in range(len(x)) if k > sum(
    x[j] == x[i] and keys[j] < keys[i] for j in range(len(x)))))


def _by_matrix(logits, words, labels):
    means = [[(i in columns) / len(columns) for columns in words] for i in range(logits.shape[1])]
    scores = logits @ torch.tensor(means)
    return (scores.logsumexp(1) - scores[range(len(labels)), labels]).mean()


@exercise("few-loss", "the loss",
          "label words become scores of labels, and the cross-entropy does the rest.",
          expected=_by_matrix,
          cases=lambda: [  # scores 2 and 0, then 1 and 3; then columns out of order
              case(torch.tensor([[1.0, 3.0, 0.0], [1.0, 1.0, 3.0]], requires_grad=True),
                   [[0, 1], [2]], torch.tensor([0, 0]),
                   expected=torch.tensor(math.log(1 + math.exp(2)) - 1, requires_grad=True)),
              case((2 * torch.randn((5, 6), generator=torch.Generator().manual_seed(13))
                    ).requires_grad_(), [[4, 0], [1], [5, 2, 3]], torch.tensor([2, 0, 1, 2, 2]))])
def prompt_loss(word_logits, words, labels):
    """Compute the loss of prompt tuning.

    word_logits: shape (B, W): for each of B texts, the logits of W words at the mask.
    words: for each label, the list of the columns of its words. Labels may have
        different numbers of words.
    labels: shape (B,), whole numbers: the right label of each text.
    Returns a tensor with one number, in nats: the mean cross-entropy over the texts. The
    score of a label is the mean logit of its words. Gradients must be able to flow from it.
    """
    scores = [word_logits[:, columns].mean(1) for columns in words]
    return cross_entropy(torch.stack(scores, dim=1), labels)


def _scored(way, loss=cross_entropy):
    return lambda logits, words, labels: loss(
        torch.stack([way(logits[:, columns]) for columns in words], 1), labels)


prompt_loss.mistakes(
    ("the logits of a label are added up: more words are an advantage. Take their mean.",
     _scored(lambda part: part.sum(1))),
    ("the words are put together by log-sum-exp. The mean of the logits is asked for.",
     _scored(lambda part: part.logsumexp(1))),
    ("only the best word of each label counts. Take the mean.", _scored(lambda x: x.amax(1))),
    ("only the first word of each label counts. Take the mean.", _scored(lambda x: x[:, 0])),
    ("the softmax comes before the mean. Take the mean of the logits first.",
     lambda x, *rest: _scored(lambda part: part.mean(1).log())(x.softmax(1), *rest)),
    ("cross_entropy gets means of probabilities. It takes logits: leave the softmax out.",
     lambda x, *rest: prompt_loss(x.softmax(1), *rest)),
    ("this is the loss of a word. Here the answers to choose from are the labels.",
     lambda x, words, y: cross_entropy(x, torch.tensor([words[label][0] for label in y]))),
    ("softmax is applied twice. Cross-entropy takes the scores as they are.",
     _scored(lambda part: part.mean(1), lambda scores, y: cross_entropy(scores.softmax(1), y))),
    ("this is the sum. The loss is the mean.", lambda *given: prompt_loss(*given) * len(given[2])),
    ("the sign is wrong. The loss is minus the mean log-probability, above zero.",
     lambda *given: -prompt_loss(*given)),
    ("the logarithm has base 2: use ln.", lambda *given: prompt_loss(*given) / math.log(2)),
    ("only the score of the right label counts: every logit could grow for ever. Use a softmax.",
     _scored(lambda part: part.mean(1), lambda scores, y: -scores.gather(1, y[:, None]).mean())),
    ("`words` is a list of lists: take the mean over the columns of one label at a time.",
     lambda x, words, y: [columns.mean() for columns in words],
     lambda x, words, y: x[:, words].mean(-1)),
    ("the labels have different numbers of words. Take the mean of each before stacking.",
     lambda x, words, y: torch.stack([x[:, columns] for columns in words])),
)


@exercise("few-spread", ("the difference", "the joint spread"),
          "a difference is now seen beside what chance alone can do.",
          cases=[case([7.0, 10.0, 13.0], [2.0, 6.0, 10.0], expected=(4.0, 5.0)),
                 case([0.61, 0.72, 0.66, 0.58, 0.63], [0.71, 0.75, 0.73, 0.70, 0.76])],
          expected=lambda first, second: (
              float(numpy.mean(first) - numpy.mean(second)),
              float(numpy.hypot(numpy.std(first, ddof=1), numpy.std(second, ddof=1)))))
def compare(first: list, second: list) -> tuple:
    """Compare the accuracies of two methods.

    first, second: the accuracies of a method, one for each seed; at least two.
    Returns two numbers: the mean of first minus the mean of second, and the joint spread,
    the root of the sum of the squared standard deviations (with n - 1).

    Example: compare([7.0, 10.0, 13.0], [2.0, 6.0, 10.0]) returns (4.0, 5.0).
    """
    difference = statistics.mean(first) - statistics.mean(second)
    return difference, math.sqrt(statistics.variance(first) + statistics.variance(second))


def _spread(way):
    return lambda first, second: (compare(first, second)[0], way(first, second))


compare.mistakes(
    ("the difference is the wrong way round: first minus second.", lambda a, b: compare(b, a)),
    ("this is the difference of the medians. Take the means.",
     lambda a, b: (statistics.median(a) - statistics.median(b), compare(a, b)[1])),
    ("this compares the best seeds. The best of several says little: take the means.",
     lambda a, b: (max(a) - max(b), compare(a, b)[1])),
    ("this is the sum of the differences. Divide it by their number.",
     lambda a, b: (sum(a) - sum(b), compare(a, b)[1])),
    ("the squares are divided by n. The seeds are a sample: divide by n - 1.",
     _spread(lambda a, b: math.hypot(numpy.std(a), numpy.std(b)))),
    ("the standard deviations are added. Add squares instead: chance rarely moves both that far.",
     _spread(lambda a, b: stdev(a) + stdev(b))),
    ("this is the sum of the variances. Take its square root.",
     _spread(lambda a, b: compare(a, b)[1] ** 2)),
    ("this is the mean of the two variances, and its root. Add them.",
     _spread(lambda a, b: compare(a, b)[1] / math.sqrt(2))),
    ("this is the standard error of the difference. The joint spread is that of single draws.",
     _spread(lambda a, b: compare(a, b)[1] / math.sqrt(len(a)))),
    ("all numbers were put into one list. Then the difference itself counts as spread.",
     _spread(lambda a, b: stdev(a + b))),
    ("this is the spread of the differences, pair by pair. Each method has its own spread.",
     _spread(lambda a, b: stdev(map(float.__sub__, a, b)))),
    ("this is the larger of the two. Both count.", _spread(lambda a, b: max(stdev(a), stdev(b)))),
)
compare.also_right(lambda a, b: [statistics.fmean(a) - statistics.fmean(b),
                                 math.hypot(stdev(a), stdev(b))])


@exercise("few-passes", "the passes",
          "the same number of steps means many passes over few examples.",
          cases=[case(30, 8, 4, 2), case(30, 8, 64, 2), case(10, 16, 2, 3), case(25, 10, 6, 5)],
          expected=lambda steps, size, k, classes: steps * min(1.0, size / (k * classes)))
def passes(steps: int, size: int, k: int, classes: int) -> float:
    """Return how often a training uses each example, on average.

    steps: the number of steps.
    size: examples in a batch. If there are fewer examples, a batch holds all of them.
    k: examples per class.
    classes: the number of classes.

    Example: passes(30, 8, 4, 2) returns 30.0.
    """
    examples = k * classes
    return steps * min(size, examples) / examples


passes.mistakes(
    ("a batch cannot hold more examples than there are.", lambda n, b, k, c: n * b / (k * c)),
    ("k is the number for each class. Count the examples of all classes.",
     lambda n, b, k, c: n * b / k, lambda n, b, k, c: passes(n, b, k, 1)),
    ("the last pass may be a part of one: do not round.", lambda *given: passes(*given) // 1),
    ("this is upside down: how many passes fit into the steps?", lambda *x: 1 / passes(*x)),
    ("this is how many examples are used, repeats counted. How often is that all of them?",
     lambda n, b, k, c: n * min(b, k * c)),
    ("a step uses a whole batch: multiply by its size.", lambda n, b, k, c: n / (k * c)),
)
