"""Answers to the exercises of "Zero-shot sentiment", as learners write them.

What the tables hold is said in `answer_tables.py`.
"""

import math

import numpy as np
import torch
from answer_tables import tables

MUTANTS, STOPPED, RIGHT, wrong, stops, right = tables()


# --- zeroshot-prior -----------------------------------------------------------------------

def _halved(differences, share, rounds=80):
    low, high = -100.0, 100.0
    for _ in range(rounds):
        middle = (low + high) / 2
        if (differences.double() - middle).sigmoid().mean() > share:
            low = middle
        else:
            high = middle
    return middle


@wrong("zeroshot-prior", "the sign is wrong")
def _(differences, share):
    return -_halved(differences, share)


@wrong("zeroshot-prior", "share of *texts* above it")
def _(differences, share):
    return differences.quantile(1 - share)


@wrong("zeroshot-prior", "this is the median")
def _(differences, share):
    return differences.sort().values[(len(differences) - 1) // 2].item()


@wrong("zeroshot-prior", "the mean of the differences")
def _(differences, share):
    return differences.mean()


@wrong("zeroshot-prior", "one step towards")
def _(differences, share):
    mean = differences.double().sigmoid().mean().item()
    return math.log(mean / (1 - mean)) - math.log(share / (1 - share))


@wrong("zeroshot-prior", "before the sigmoid")
def _(differences, share):
    return differences.mean().item() - math.log(share / (1 - share))


@wrong("zeroshot-prior", "belongs to the positive label")
def _(differences, share):
    return _halved(differences, 1 - share)


@wrong("zeroshot-prior", "is rounded")
def _(differences, share):
    return round(_halved(differences, share), 2)


@right("zeroshot-prior", "by steps, until nothing changes")
def _(differences, share):
    border, wanted = 0.0, math.log(share / (1 - share))
    for _ in range(500):
        mean = (differences.double() - border).sigmoid().mean().item()
        border += math.log(mean / (1 - mean)) - wanted
    return border


# --- zeroshot-border ----------------------------------------------------------------------

@wrong("zeroshot-border", "the wrong way round")
def _(scores, unlabelled, share):
    return (scores < unlabelled.quantile(1 - share)).long()


@wrong("zeroshot-border", "equals the border")
def _(scores, unlabelled, share):
    return (scores >= unlabelled.quantile(1 - share)).long()


@wrong("zeroshot-border", "must lie above it")
def _(scores, unlabelled, share):
    return (scores > torch.quantile(unlabelled, share)).long()


@wrong("zeroshot-border", "the share is not used")
def _(scores, unlabelled, share):
    return (scores > unlabelled.median()).long()


@wrong("zeroshot-border", "the border is a mean")
def _(scores, unlabelled, share):
    return (scores > unlabelled.mean()).long()


@wrong("zeroshot-border", "the border is 0")
def _(scores, unlabelled, share):
    return (scores > 0).long()


@wrong("zeroshot-border", "Use the unlabelled ones")
def _(scores, unlabelled, share):
    return (scores > scores.quantile(1 - share)).long()


@wrong("zeroshot-border", "a share of the highest score")
def _(scores, unlabelled, share):
    return (scores > (1 - share) * unlabelled.max()).long()


@wrong("zeroshot-border", "dtype is torch.bool")
def _(scores, unlabelled, share):
    return scores > unlabelled.quantile(1 - share)


@right("zeroshot-border", "by counting")
def _(scores, unlabelled, share):
    below = (unlabelled[None, :] < scores[:, None]).float().mean(1)
    return (below > 1 - share).long()


# --- zeroshot-limit -----------------------------------------------------------------------

@wrong("zeroshot-limit", "the border is not")
def _(share):
    return 1.0


@wrong("zeroshot-limit", "the more frequent label")
def _(share):
    return max(share, 1 - share)


@wrong("zeroshot-limit", "the share of positive texts")
def _(share):
    return share


@wrong("zeroshot-limit", "counted twice")
def _(share):
    return 1 - abs(2 * share - 1)


@wrong("zeroshot-limit", "needs abs()")
def _(share):
    return 1.5 - share


@wrong("zeroshot-limit", "the share of wrong texts")
def _(share):
    return abs(share - 0.5)


@wrong("zeroshot-limit", "does not make half of them wrong")
def _(share):
    return 0.5


@right("zeroshot-limit", "by the smaller label")
def _(share):
    return 0.5 + min(share, 1 - share)


# --- zeroshot-separation ------------------------------------------------------------------

def _parts(scores, labels):
    one, zero = scores[labels == 1], scores[labels == 0]
    return one, zero, one.mean(0) - zero.mean(0)


@wrong("zeroshot-separation", "the sign is wrong")
def _(scores, labels):
    one, zero, difference = _parts(scores, labels)
    return -difference / ((one.var(0) + zero.var(0)) / 2).sqrt()


@wrong("zeroshot-separation", "the difference of the means")
def _(scores, labels):
    return _parts(scores, labels)[2]


@wrong("zeroshot-separation", "the sign is lost")
def _(scores, labels):
    one, zero, difference = _parts(scores, labels)
    return difference.abs() / ((one.var(0) + zero.var(0)) / 2).sqrt()


@wrong("zeroshot-separation", "of all texts")
def _(scores, labels):
    return _parts(scores, labels)[2] / scores.std(0)


@wrong("zeroshot-separation", "the root is missing")
def _(scores, labels):
    one, zero, difference = _parts(scores, labels)
    return difference / ((one.var(0) + zero.var(0)) / 2)


@wrong("zeroshot-separation", "the mean of the standard deviations")
def _(scores, labels):
    one, zero, difference = _parts(scores, labels)
    return difference / ((one.std(0) + zero.std(0)) / 2)


@wrong("zeroshot-separation", "the variances are added")
def _(scores, labels):
    one, zero, difference = _parts(scores, labels)
    return difference / (one.var(0) + zero.var(0)).sqrt()


@wrong("zeroshot-separation", "a t statistic")
def _(scores, labels):
    one, zero, difference = _parts(scores, labels)
    return difference / (one.var(0) / len(one) + zero.var(0) / len(zero)).sqrt()


@wrong("zeroshot-separation", "the larger group weighs more")
def _(scores, labels):
    one, zero, difference = _parts(scores, labels)
    squares = ((one - one.mean(0)) ** 2).sum(0) + ((zero - zero.mean(0)) ** 2).sum(0)
    return difference / (squares / (len(scores) - 2)).sqrt()


@wrong("zeroshot-separation", "divided by n")
def _(scores, labels):
    one, zero, difference = _parts(scores, labels)
    return difference / ((one.var(0, correction=0) + zero.var(0, correction=0)) / 2).sqrt()


@right("zeroshot-separation", "column by column, in numpy")
def _(scores, labels):
    found = []
    for column in scores.numpy().T:
        one, zero = column[labels.numpy() == 1], column[labels.numpy() == 0]
        common = np.sqrt((one.var(ddof=1) + zero.var(ddof=1)) / 2)
        found.append(float((one.mean() - zero.mean()) / common))
    return torch.tensor(found)


# --- zeroshot-interval --------------------------------------------------------------------

def _drawn(right, draws):
    return right.float()[draws].mean(1)


def _ends(values, low=0.025, high=0.975):
    return values.quantile(low).item(), values.quantile(high).item()


@wrong("zeroshot-interval", "are swapped")
def _(right_a, right_b, draws):
    return _ends(_drawn(right_a, draws) - _drawn(right_b, draws), 0.975, 0.025)


@wrong("zeroshot-interval", "the difference b - a")
def _(right_a, right_b, draws):
    return _ends(_drawn(right_b, draws) - _drawn(right_a, draws))


@wrong("zeroshot-interval", "of method a alone")
def _(right_a, right_b, draws):
    return _ends(_drawn(right_a, draws))


@wrong("zeroshot-interval", "a 90 % interval")
def _(right_a, right_b, draws):
    return _ends(_drawn(right_a, draws) - _drawn(right_b, draws), 0.05, 0.95)


@wrong("zeroshot-interval", "the smallest and the largest")
def _(right_a, right_b, draws):
    both = _drawn(right_a, draws) - _drawn(right_b, draws)
    return both.min(), both.max()


@wrong("zeroshot-interval", "two intervals are subtracted")
def _(right_a, right_b, draws):
    a, b = _ends(_drawn(right_a, draws)), _ends(_drawn(right_b, draws))
    return a[0] - b[1], a[1] - b[0]


@wrong("zeroshot-interval", "percentiles are subtracted")
def _(right_a, right_b, draws):
    a, b = _ends(_drawn(right_a, draws)), _ends(_drawn(right_b, draws))
    return a[0] - b[0], a[1] - b[1]


@wrong("zeroshot-interval", "over the resamples")
def _(right_a, right_b, draws):
    return _ends(right_a.float()[draws].mean(0) - right_b.float()[draws].mean(0))


@wrong("zeroshot-interval", "1.96 standard deviations")
def _(right_a, right_b, draws):
    both = (_drawn(right_a, draws) - _drawn(right_b, draws)).numpy()
    return both.mean() - 1.96 * both.std(), both.mean() + 1.96 * both.std()


@wrong("zeroshot-interval", "`draws` is not used")
def _(right_a, right_b, draws):
    return _ends(right_a.float() - right_b.float())


@wrong("zeroshot-interval", "return 2 results")
def _(right_a, right_b, draws):
    return float((_drawn(right_a, draws) - _drawn(right_b, draws)).mean())


@stops("zeroshot-interval", "true and false")
def _(right_a, right_b, draws):
    return _ends(right_a[draws].mean(1) - right_b[draws].mean(1))


@right("zeroshot-interval", "numpy, text by text")
def _(right_a, right_b, draws):
    single = right_a.numpy().astype(float) - right_b.numpy().astype(float)
    return tuple(np.percentile([single[row].mean() for row in draws.numpy()], [2.5, 97.5]))
