"""The exercises of the chapter "ALBERT NER"."""

import math
from itertools import accumulate, product
from operator import mul
from statistics import fmean, pstdev, stdev

import torch
from torch.nn.functional import pad

from companion.exercises.exercise import case, exercise


# A row with padding; then other ids, and a separator in the middle.
@exercise("ner-labels", "the labels", "only tokens of the text count in the loss.", cases=[
    case(torch.tensor([2, 11, 12, 13, 3, 0, 0]), torch.tensor([1, 2, 0]), [2, 3, 0],
         expected=torch.tensor([-100, 1, 2, 0, -100, -100, -100])),
    case(torch.tensor([0, 7, 2, 8, 2, 9, 5, 2, 1, 1]), torch.tensor([0, 3, 4, 0]), [0, 2, 1],
         expected=torch.tensor([-100, 0, -100, 3, -100, 4, 0, -100, -100, -100]))])
def labels_of_row(ids, tags, special_ids):
    """Make the labels of one row.

    ids: the ids of the row, shape (L,).
    tags: the numbers of the tags of the ordinary tokens, in their order, shape (T,).
    special_ids: the ids of [CLS], [SEP] and [PAD], in this order. They can stand anywhere.
    Returns whole numbers of shape (L,): the tag where a token of the text stands, and -100
    where a special token stands.

    Example: labels_of_row(torch.tensor([2, 11, 12, 3]), torch.tensor([1, 0]), [2, 3, 0])
    returns tensor([-100, 1, 0, -100]).
    """
    labels = torch.full_like(ids, -100)
    text = ~torch.isin(ids, torch.tensor(special_ids))
    labels[text] = tags
    return labels


def _skipping(number):
    """The right labels with another number at special tokens."""
    return lambda *given: (made := labels_of_row(*given)).where(made != -100, number)


labels_of_row.mistakes(
    ("special tokens have the label 0. That is O: they would count in the loss. Use -100.",
     _skipping(0)),
    ("[CLS] and [SEP] have the label O, only the padding is skipped. None of the three is text.",
     lambda ids, tags, special: _skipping(0)(ids, tags, special).masked_fill(
         ids == special[2], -100)),
    ("the tags begin at the first position, where [CLS] is. Each belongs to a token of the text.",
     lambda ids, tags, special: pad(tags, (0, len(ids) - len(tags)), value=-100)),
    ("the tags follow without a gap. [SEP] can be in the middle: ask each id if it is special.",
     lambda ids, tags, special: pad(tags, (1, len(ids) - len(tags) - 1), value=-100)),
    ("tokens with the label O are skipped. O is a label: the model must learn where no name is.",
     lambda *given: (made := labels_of_row(*given)).where(made != 0, -100)),
    ("the labels are the wrong way round: -100 is at the tokens of the text.",
     lambda *given: torch.where(labels_of_row(*given) == -100, 0, -100)),
    ("-1 marks what does not count. The loss of torch skips -100 unless it is told another number.",
     _skipping(-1)))
labels_of_row.also_right(lambda ids, tags, special: (left := iter(tags.tolist())) and torch.tensor(
    [-100 if i in special else next(left) for i in ids.tolist()]))


# Powers of one half by hand; everyday numbers; a model of one layer.
@exercise("ner-rates", "the rates", "the top layer learns fastest, the embeddings slowest.",
          cases=[case(3, 8.0, 0.5, expected=[1.0, 2.0, 4.0, 8.0]),
                 case(4, 3e-4, 0.9, expected=[3e-4 * x for x in (0.6561, 0.729, 0.81, 0.9, 1)]),
                 case(1, 1e-3, 0.1, expected=[1e-4, 1e-3])])
def layer_rates(layers: int, rate: float, decay: float) -> list[float]:
    """Compute the learning rate of every layer of an encoder.

    layers: how many layers stand above the embeddings.
    rate: the learning rate of the top layer.
    decay: each layer has the rate of the layer above it times decay. The embeddings count
        as the layer below the lowest.
    Returns layers + 1 numbers, from the embeddings up to the top layer.

    Example: layer_rates(2, 4.0, 0.5) returns [1.0, 2.0, 4.0].
    """
    return [rate * decay ** (layers - level) for level in range(layers + 1)]


layer_rates.mistakes(
    ("the order is reversed: the embeddings come first, and the top layer, with the full rate, "
     "last.", lambda *given: layer_rates(*given)[::-1]),
    ("the embeddings are missing: they are one step below the lowest layer.",
     lambda *given: layer_rates(*given)[1:]),
    ("the top layer is missing. It has the full rate.", lambda *given: layer_rates(*given)[:-1]),
    ("everything is one step too low: the top layer has the full rate, decay to the power 0.",
     lambda n, rate, decay: layer_rates(n, rate * decay, decay)),
    ("all lower layers have the same rate. Every layer multiplies once more by decay.",
     lambda n, rate, decay: [rate * decay] * n + [rate]),
    ("the embeddings have the rate of the lowest layer. They are one step below it.",
     lambda *given: (made := layer_rates(*given))[1:2] + made[1:]),
    ("the rates fall by equal steps. Each is the one above *times* decay.",
     lambda n, rate, decay: [rate - rate * (1 - decay) * (n - i) for i in range(n + 1)]),
    ("lower layers learn faster than the top. Multiply by decay, do not divide.",
     lambda n, rate, decay: layer_rates(n, rate, 1 / decay)),
    ("all rates are the same: decay is not used.", lambda n, rate, _: layer_rates(n, rate, 1)))
layer_rates.also_right(
    lambda n, rate, decay: tuple(accumulate([rate] + [decay] * n, mul))[::-1])


# Labels O, B, I: each token's own best label makes an illegal order; the best beginning is not
# part of the best whole; the first scores decide; random scores.
@exercise("ner-viterbi", "the labels", "no other order of labels has a higher score.",
          cases=lambda: [
              case(torch.tensor([[2.0, 0, 0], [1, 0.5, 0], [0, 0.2, 2], [1, 0, 0]]),
                   torch.tensor([[0, 0, -1e4], [0, 0, 1], [0, 0, 0]]), expected=[0, 1, 2, 0]),
              case(torch.tensor([[0.0, 1.5], [0, 0], [2, 0]]), torch.tensor([[2.0, 0], [0, 1]]),
                   expected=[0, 0, 0]),
              case(torch.tensor([[3.0, 0], [1, 0]]), torch.tensor([[0.0, 0], [2, 0]]),
                   expected=[0, 0]),
              case(torch.randn((6, 3), generator=torch.Generator().manual_seed(13)),
                   torch.randn((3, 3), generator=torch.Generator().manual_seed(14)) * 2)])
def best_labels(emissions: torch.Tensor, between: torch.Tensor) -> list[int]:
    """Find the row of labels with the highest score.

    emissions: the score of every label at every token, shape (T, K).
    between: the score of every step, shape (K, K): row = label before, column = label after.
    Returns T labels. Their score is the sum of their emissions and of their steps; it is
    higher than that of all other rows of labels.

    Example: with between all zero, it is the best label of every token.
    """
    best, came_from = emissions[0], []
    for scores in emissions[1:]:
        best, before = (best[:, None] + between).max(dim=0)
        best = best + scores
        came_from.append(before)
    labels = [int(best.argmax())]
    for before in reversed(came_from):
        labels.append(int(before[labels[-1]]))
    return labels[::-1]


def _greedy(emissions, between):
    labels = [int(emissions[0].argmax())]
    for scores in emissions[1:]:
        labels.append(int((scores + between[labels[-1]]).argmax()))
    return labels


best_labels.mistakes(
    ("the labels are in reverse order: the way back begins at the last token.",
     lambda *given: best_labels(*given)[::-1]),
    ("every token has its own best label. The score of the step from one label to the next counts "
     "too.", lambda emissions, between: emissions.argmax(1).tolist()),
    ("each label is the best after the one before. An early label can be worth less and open a "
     "better way: keep the best score for *every* label.", _greedy),
    ("between was read the wrong way: its row is the label before, its column the label after.",
     lambda emissions, between: best_labels(emissions, between.T)),
    ("the scores of the first token are missing.",
     lambda emissions, between: best_labels(emissions.index_fill(0, torch.tensor(0), 0), between)),
    ("the first label is missing: there is one label for each token, and one step fewer.",
     lambda *given: best_labels(*given)[1:]),
    ("the last label is missing: it is the best of the last scores.",
     lambda *given: best_labels(*given)[:-1]),
    ("these labels have the lowest score. Look for the highest.",
     lambda emissions, between: best_labels(-emissions, -between)))
best_labels.also_right(lambda emissions, between: list(max(
    product(range(len(between)), repeat=len(emissions)), key=lambda tags: sum(
        emissions[i, tag].item() for i, tag in enumerate(tags)) + sum(
        between[a, b].item() for a, b in zip(tags, tags[1:])))))


# A seed on which `two` is better, and pairs that sorting would change; both systems vary together.
@exercise("ner-seeds", ("the mean", "the standard deviation"), "seeds are compared in pairs.",
          cases=[case([5.0, 9.0, 4.0], [4.0, 6.0, 2.0], expected=(2.0, 1.0)),
                 case([5.0, 2.0, 8.0], [1.0, 4.0, 7.0], expected=(1.0, 3.0)),
                 case([0.82, 0.90, 0.86, 0.78, 0.84], [0.79, 0.86, 0.84, 0.75, 0.81])])
def difference(one: list[float], two: list[float]) -> tuple[float, float]:
    """Compare two systems that were trained with the same seeds.

    one, two: the F1 of each system, one number a seed, in the same order of seeds.
    Returns two numbers: the mean of `one` minus `two`, and the standard deviation of this
    difference over the seeds (divide by the number of seeds minus one).

    Example: difference([3.0, 5.0], [1.0, 1.0]) returns (3.0, 1.41421...).
    """
    apart = [a - b for a, b in zip(one, two)]
    return fmean(apart), stdev(apart)


def _apart(one, two):
    return [a - b for a, b in zip(one, two)]


def _mean(rule):
    return lambda one, two: (rule(one, two), difference(one, two)[1])


def _spread(rule):
    return lambda one, two: (difference(one, two)[0], rule(one, two))


difference.mistakes(
    ("the results are in the wrong order: the mean comes first.",
     lambda *given: difference(*given)[::-1]),
    ("the difference has the wrong sign: it is `one` minus `two`.",
     _mean(lambda one, two: difference(two, one)[0])),
    ("this is the sum of the differences. Divide by the number of seeds.",
     _mean(lambda one, two: sum(_apart(one, two)))),
    ("these are the best seeds only. The best of five is a matter of luck: use all of them.",
     _mean(lambda one, two: max(one) - max(two))),
    ("the signs are lost: a seed on which `two` is better counts against `one`.",
     _mean(lambda one, two: fmean(map(abs, _apart(one, two))))),
    ("the pairs are broken: a difference is taken between the results of one seed, so leave the "
     "lists in their order.", _spread(lambda one, two: stdev(_apart(sorted(one), sorted(two))))),
    ("the sum of squares is divided by the number of seeds. Divide by one less, because the mean "
     "was estimated from the same seeds.", _spread(lambda one, two: pstdev(_apart(one, two)))),
    ("this is the variance. The standard deviation is its square root.",
     _spread(lambda one, two: stdev(_apart(one, two)) ** 2)),
    ("this is the standard error of the mean. The standard deviation of the differences is asked "
     "for.", _spread(lambda one, two: stdev(_apart(one, two)) / math.sqrt(len(one)))),
    ("each system was described on its own. With the same seeds they rise and fall together: take "
     "the difference of each seed first.", _spread(lambda a, b: math.hypot(stdev(a), stdev(b)))),
    ("this is a difference of two deviations. Take the deviation of the differences.",
     _spread(lambda one, two: stdev(one) - stdev(two))),
    ("this is the range, largest minus smallest.",
     _spread(lambda one, two: max(_apart(one, two)) - min(_apart(one, two)))))
difference.also_right(lambda one, two: (
    (apart := torch.tensor(one).double() - torch.tensor(two).double()).mean(), apart.std()))
