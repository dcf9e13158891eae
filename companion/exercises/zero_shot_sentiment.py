"""The exercises of the chapter "Zero-shot sentiment"."""

import math
from functools import reduce

import numpy as np
import torch

from companion.exercises.exercise import case, exercise


# The differences are made from probabilities whose mean is the share.
@exercise("zeroshot-prior", "the border", "with this border the mean probability is the prior.",
          cases=lambda: [*(case(torch.tensor(p).logit() + border, share, expected=border)
                           for p, share, border in (([.99, .6, .95, .66], .8, -0.54321),
                                                    ([.97, .3, .09, .8, .34], .5, 1.98765),
                                                    ([.1, .02, .6, .15, .38], .25, 4.32109))),
                         case(torch.tensor([3.0, -1.0]), 0.5, expected=1.0)])
def matching_border(differences: torch.Tensor, share: float) -> float:
    """Return the border of prior matching, for two labels.

    differences: positive minus negative score of unlabelled texts, shape (N,). The
        probability of "positive" is the sigmoid of the difference minus the border.
    share: the mean that these probabilities shall have, above 0 and below 1.
    Returns the border, right to six digits. All borders asked for lie between -20 and 20.

    Example: matching_border(torch.tensor([3.0, -1.0]), 0.5) returns 1.0.
    """
    low, high = -20.0, 20.0
    for _ in range(60):
        middle = (low + high) / 2
        mean = (differences.double() - middle).sigmoid().mean()
        low, high = (middle, high) if mean > share else (low, middle)
    return middle


def _step(x, share, border):
    mean = (x.double() - border).sigmoid().mean().item()
    return border + math.log(mean / (1 - mean)) - math.log(share / (1 - share))


matching_border.mistakes(
    ("the sign is wrong: the border is subtracted.", lambda *given: -matching_border(*given)),
    ("this border has the share of *texts* above it. The mean of the *probabilities* is asked.",
     lambda x, share: x.quantile(1 - share).item()),
    ("this is the median: half of the texts are above it. The mean probability is another number.",
     lambda x, share: x.median().item(), lambda x, share: x.quantile(0.5).item()),
    ("this is the mean of the differences. The sigmoid is curved: the mean of its values differs.",
     lambda x, share: x.mean().item()),
    ("this is one step towards the border. Subtract it, take the mean again, go on until it fits.",
     lambda x, share: _step(x, share, 0.0)),
    ("the mean was taken before the sigmoid. Take the sigmoid of each difference first.",
     lambda x, share: x.mean().item() - math.log(share / (1 - share))),
    ("the mean probability is 1 - share with this border. `share` belongs to the positive label.",
     lambda x, share: matching_border(x, 1 - share)),
    ("the border is rounded. Six digits must be right.", lambda *g: round(matching_border(*g), 2)),
    ("this is the highest difference: nearly all probabilities would be below one half.",
     lambda x, share: x.max().item()))
matching_border.also_right(lambda x, share: reduce(
    lambda border, _: _step(x, share, border), range(500), 0.0))


# The unlabelled texts: one with median 3 and mean 12; then 1 to 9, a quarter of them above 7.
@exercise("zeroshot-border", "the labels", "the border is where the unlabelled texts say it is.",
          cases=lambda: [
              case(torch.tensor([2.5, 3.5, 15.0, 4.9, 3.0]),  # 3.0 is not above the border
                   torch.tensor([1.0, 40.0, 3.0, 14.0, 2.0]), 0.5,
                   expected=torch.tensor([0, 1, 1, 1, 0])),
              case(torch.tensor([2.5, 7.5, 5.5, -1.0, 4.5, 6.5, 12.0]),
                   torch.tensor([4.0, 9.0, 1.0, 7.0, 5.0, 2.0, 8.0, 3.0, 6.0]), 0.25,
                   expected=torch.tensor([0, 1, 0, 0, 0, 0, 1]))])
def predict(scores: torch.Tensor, unlabelled: torch.Tensor, share: float) -> torch.Tensor:
    """Label texts with a border that comes from unlabelled texts.

    scores: of the texts to label, shape (N,). Higher means more positive.
    unlabelled: scores of other texts without labels, shape (M,).
    share: the share of positive texts that you expect among the unlabelled ones.
    Returns whole numbers (torch.int64), shape (N,): 1 where the score lies above the
    border, 0 elsewhere. The border is the quantile of the unlabelled scores that has
    `share` of them above it.

    Example: for share 0.5 the border is the median.
    """
    border = unlabelled.quantile(1 - share)
    return (scores > border).long()


predict.mistakes(
    ("the labels are the wrong way round: 1 is for scores above the border.",
     lambda x, others, share: (x < others.quantile(1 - share)).long()),
    ("a score that equals the border is not above it: its label is 0.",
     lambda x, others, share: (x >= others.quantile(1 - share)).long()),
    ("the share must lie above the border, not below.", lambda x, u, p: predict(x, u, 1 - p)),
    ("the share is not used: this is always the median.", lambda x, u, p: predict(x, u, 0.5)),
    ("the border is a mean. A few extreme scores move a mean far; use a quantile.",
     lambda x, others, share: (x > others.mean()).long()),
    ("the border is 0. Take it from the unlabelled scores.", lambda x, *_: (x > 0).long()),
    ("the border comes from `scores`. Use the unlabelled ones: no text may depend on its "
     "neighbours.", lambda x, others, share: predict(x, x, share)),
    ("the border is a share of the highest score. Find the score that so many texts exceed.",
     lambda x, others, share: (x > others.max() * (1 - share)).long()))
predict.also_right(
    lambda x, others, share: ((others < x[:, None]).float().mean(1) > 1 - share).long())


# With 30 of 100 positive texts, the 20 best negative ones are taken for positive, too.
@exercise("zeroshot-limit", "the accuracy",
          "this is what a wrong prior costs, however good the scores are.",
          cases=[case(share, expected=best) for share, best in (
              (0.3, 0.8), (0.9, 0.6), (0.5, 1.0), (0.45, 0.95), (1.0, 0.5))])
def best_accuracy(share: float) -> float:
    """Return the best accuracy that a median border can reach.

    share: the share of the texts that is positive. The scores put the texts in a perfect
        order: every positive text has a higher score than every negative one. The border
        is the median of these same scores. There are so many texts that rounding does
        not matter.

    Example: best_accuracy(0.5) returns 1.0.
    """
    return 1 - abs(share - 0.5)


best_accuracy.mistakes(
    ("the order is perfect, but the border is not: it halves the texts.", lambda share: 1.0),
    ("this is the accuracy of always giving the more frequent label.", lambda p: max(p, 1 - p)),
    ("this is the share of positive texts. Count the texts on the wrong side.", lambda p: p),
    ("the wrong texts are counted twice: only one label has too many, all others are right.",
     lambda share: 1 - 2 * abs(share - 0.5)),
    ("a share below a half gives more than 1: the difference needs abs().", lambda p: 1.5 - p),
    ("this is the share of wrong texts, not of right ones.", lambda share: abs(share - 0.5)),
    ("half of the texts get each label, but that does not make half of them wrong.", lambda p: 0.5))
best_accuracy.also_right(lambda share: 0.5 + min(share, 1 - share))


@exercise("zeroshot-separation", "the separation", "this is Cohen's d of every word.",
          cases=lambda: [
              case(torch.tensor([[1.0, 6.0], [5.0, 1.0], [2.0, 8.0], [7.0, 1.0], [3.0, 10.0]]),
                   torch.tensor([0, 1, 0, 1, 0]),
                   expected=torch.tensor([4 / math.sqrt(1.5), -7 / math.sqrt(2.0)])),
              case(torch.randn((9, 3), generator=torch.Generator().manual_seed(13)),
                   torch.tensor([1, 0, 0, 1, 1, 0, 1, 1, 1]))],
          expected=lambda scores, labels: torch.tensor(np.diff([
              scores[labels == k].mean(0).numpy() for k in (0, 1)], axis=0)[0] / np.sqrt(np.mean([
                  scores[labels == k].numpy().var(0, ddof=1) for k in (0, 1)], axis=0))))
def separation(scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Measure how far apart the scores of the two labels lie, for each word.

    scores: of the words at the mask, shape (texts, words).
    labels: shape (texts,), 0 or 1. Each label has at least two texts.
    Returns a tensor of shape (words,): the mean score where the label is 1, minus the mean
    score where it is 0, divided by the common standard deviation. That is the root of the
    mean of the two variances; a variance of n numbers is divided by n - 1.
    """
    one, zero = scores[labels == 1], scores[labels == 0]
    common = ((one.var(0) + zero.var(0)) / 2).sqrt()
    return (one.mean(0) - zero.mean(0)) / common


def _divided(way):
    """The difference of the means, divided by `way(both variances, both numbers of texts)`."""
    def answer(scores, labels):
        one, zero = scores[labels == 1], scores[labels == 0]
        return (one.mean(0) - zero.mean(0)) / way(one.var(0), zero.var(0), len(one), len(zero))
    return answer


separation.mistakes(
    ("the sign is wrong: above 0 means higher where the label is 1.", lambda *g: -separation(*g)),
    ("this is the difference of the means. Divide it by the common standard deviation, or a word "
     "whose scores vary much looks best.", _divided(lambda *_: 1)),
    ("the sign is lost: which label is a word for?", lambda *given: separation(*given).abs()),
    ("this is the standard deviation of all texts, which contains the difference itself. Use those "
     "of the two labels.", lambda x, y: (x[y == 1].mean(0) - x[y == 0].mean(0)) / x.std(0)),
    ("the root is missing: divide by a standard deviation, not by a variance.",
     _divided(lambda v, w, *_: (v + w) / 2)),
    ("this is the mean of the standard deviations. Take the root of the mean of the variances.",
     _divided(lambda v, w, *_: (v.sqrt() + w.sqrt()) / 2)),
    ("the variances are added. Take their mean.", _divided(lambda v, w, *_: (v + w).sqrt())),
    ("this is a t statistic: it grows with the number of texts.",
     _divided(lambda v, w, n, m: (v / n + w / m).sqrt())),
    ("the larger group weighs more here. Both variances count half.",
     _divided(lambda v, w, n, m: (((n - 1) * v + (m - 1) * w) / (n + m - 2)).sqrt())),
    ("the variances are divided by n. Divide by n - 1, as torch does.",
     _divided(lambda v, w, n, m: ((v - v / n + w - w / m) / 2).sqrt())))


# Resamples with the differences 0, 1/4 and 1/2: the percentiles are a twentieth of the way from
# the ends to the middle. Then many.
@exercise("zeroshot-interval", ("low", "high"), "both methods were resampled on the same texts.",
          cases=lambda: [
              case(torch.tensor([1, 1, 0, 1]).bool(), torch.tensor([1, 0, 1, 0]).bool(),
                   torch.tensor([[0, 1, 2, 0], [1, 1, 2, 0], [3, 1, 0, 0]]),
                   expected=(0.0125, 0.4875)),
              case(torch.arange(60) % 5 > 0, torch.arange(60) % 7 > 1,
                   torch.randint(0, 60, (300, 60), generator=torch.Generator().manual_seed(7)))])
def difference_interval(right_a: torch.Tensor, right_b: torch.Tensor,
                        draws: torch.Tensor) -> tuple[float, float]:
    """Return a 95 % bootstrap interval for the accuracy of a minus the accuracy of b.

    right_a, right_b: whether each text is labelled rightly by method a and by method b.
        Boolean, shape (N,), the same texts in the same order.
    draws: shape (R, N). Each row is one resample: N numbers of texts, some of them more
        than once, others never.
    Returns the percentiles 2.5 and 97.5 (with linear interpolation) of the R differences
    of the accuracies, as two floats, the lower one first.
    """
    difference = right_a.double() - right_b.double()
    resampled = difference[draws].mean(1)
    return resampled.quantile(0.025).item(), resampled.quantile(0.975).item()


def _both(a, b, draws):
    return (a.double() - b.double())[draws].mean(1)


def _alone(right, draws):
    return difference_interval(right, right ^ right, draws)


difference_interval.mistakes(
    ("low and high are swapped.", lambda *given: difference_interval(*given)[::-1]),
    ("this is the difference b - a, not a - b.", lambda a, b, d: difference_interval(b, a, d)),
    ("this is method a alone. Subtract b in each resample.", lambda a, b, draws: _alone(a, draws)),
    ("this is a 90 % interval: leave 2.5 % out at each end.",
     lambda *given: tuple(np.percentile(_both(*given), [5, 95]))),
    ("these are the smallest and the largest value. Take percentiles.",
     lambda *given: tuple(np.percentile(_both(*given), [0, 100]))),
    ("two intervals are subtracted. The texts are the same for both methods: take the difference "
     "in each resample, then the percentiles.",
     lambda a, b, draws: np.subtract(_alone(a, draws), _alone(b, draws)[::-1]).tolist()),
    ("percentiles are subtracted. Take the difference in each resample first.",
     lambda a, b, draws: np.subtract(_alone(a, draws), _alone(b, draws)).tolist()),
    ("the mean runs over the resamples. It should run over the texts of each resample.",
     lambda a, b, draws: difference_interval(a, b, draws.T)),
    ("this is the mean plus and minus 1.96 standard deviations. Take percentiles.",
     lambda *g: tuple(float(_both(*g).mean() + k * _both(*g).std(0, False)) for k in (-1.96, 1.96)),
     lambda *g: tuple(float(_both(*g).mean() + k * _both(*g).std()) for k in (-1.96, 1.96))),
    ("`draws` is not used: these are percentiles of single texts.",
     lambda a, b, _: difference_interval(a, b, torch.arange(len(a))[:, None])),
    ("the entries are true and false: make numbers of them first, with .float().",
     lambda a, b, draws: a[draws].mean(1), lambda a, b, draws: a - b))
difference_interval.also_right(lambda a, b, draws: tuple(np.percentile([
    np.mean(a.numpy()[row]) - np.mean(b.numpy()[row]) for row in draws.numpy()], [2.5, 97.5])))
