"""The exercises of the chapter "Three families, one budget"."""

import math
from importlib import import_module
from statistics import mean as average
from statistics import stdev

import numpy
import torch

from companion.exercises.exercise import case, exercise


# Counted by hand, by the rules of `MaskedLM`, `CausalLM` and `SpanCorruption`.
@exercise("families-asked", "the number", "as many labels as the collators of the course make.",
          cases=[case(*row, expected=number) for *row, number in [
              ("masked", 128, .15, 3, 19), ("masked", 42, .3, 4, 12), ("causal", 66, .25, 4, 65),
              ("causal", 128, .15, 3, 127), ("spans", 128, .15, 3, 27), ("spans", 66, .25, 4, 22),
              ("spans", 100, .5, 10, 57)]])
def asked(kind: str, length: int, share: float, mean: float) -> int:
    """Count the tokens that a model is asked for in one row.

    kind: "masked", "causal" or "spans".
    length: tokens in the row. A row of a masked model begins with [CLS] and ends with
        [SEP], which are never chosen. The rows of the two others have no such frame.
    share: which part of the tokens that can be chosen is hidden; without meaning for
        "causal".
    mean: the mean length of a span, for "spans" alone.
    Numbers of tokens and of spans are rounded with `round`. For "spans" every label of
    the decoder counts: the tokens, a sentinel for each span, one more sentinel, and eos.

    Example: asked("spans", 20, 0.15, 3.0) returns 6.
    """
    if kind == "masked":
        return round(share * (length - 2))
    if kind == "causal":
        return length - 1
    noise = round(share * length)
    return noise + round(noise / mean) + 2


def _of(kind, way):  # way(length, share, mean) for this kind, the right number for the others
    return lambda one, *rest: way(*rest) if one == kind else asked(one, *rest)


asked.mistakes(
    ("[CLS] and [SEP] are never chosen: subtract 2.", _of("masked", lambda n, s, m: round(s * n))),
    ("only those that become [MASK] were counted. All chosen positions have a label.",
     _of("masked", lambda n, share, mean: round(0.8 * share * (n - 2)))),
    ("every position was counted, not the chosen share.", _of("masked", lambda n, *_: n - 2)),
    ("the number of positions is whole: use round.", _of("masked", lambda n, s, m: s * (n - 2))),
    ("nothing comes before the first token to predict it.", _of("causal", lambda n, *_: n)),
    ("a causal model is asked at every position, whatever the share is.",
     _of("causal", lambda n, share, mean: round(share * n))),
    ("sentinels and eos have labels too.", _of("spans", lambda n, s, m: round(s * n))),
    ("one more sentinel and eos end the targets.", lambda *g: asked(*g) - 2 * (g[0] == "spans")),
    ("one token is missing: the last sentinel or eos.", lambda *g: asked(*g) - (g[0] == "spans")),
    ("this is the length of the inputs. Labels are in the decoder.",
     _of("spans", lambda n, s, m: n - 2 * round(s * n) + asked("spans", n, s, m) - 1)),
    ("mean is a span's length: divide by it.", _of("spans", lambda n, s, m: round(s * n) + m + 2)),
)
asked.also_right(lambda kind, n, share, mean: {
    "masked": round((n - 2) * share), "causal": n - 1,
    "spans": (noise := max(1, round(n * share))) + max(1, round(noise / mean)) + 1 + 1}[kind])


@exercise("families-top", "the share", "special tokens take no place among the guesses.",
          cases=lambda: [
              case(torch.arange(480.0).pow(2).sin().view(40, 12), torch.arange(40) % 10 + 2,
                   torch.arange(12) > 1, 3),
              *(case(torch.tensor([[9., 1., 2., 3.], [9., 3., 2., 1.]]), torch.tensor([3, 2]),
                     torch.arange(4) > 0, k, expected=k / 2) for k in (1, 2))],
          expected=lambda x, y, ok, k: sum(
              target in sorted(ok.nonzero().flatten().tolist(), key=lambda i: -row[i])[:k]
              for row, target in zip(x.tolist(), y.tolist())) / len(y))
def top_k(logits: torch.Tensor, targets: torch.Tensor, allowed: torch.Tensor, k: int) -> float:
    """Compute the share of rows whose right token is among the k most probable ones.

    logits: scores of the vocabulary, shape (B, V). No two of a row are equal.
    targets: the right ids, shape (B,). All of them are allowed.
    allowed: which ids may be an answer, shape (V,), bool. At least k are.
    k: how many guesses a row has.

    Example: with scores [[9., 1., 2.]], target [1], and ids 1 and 2 allowed,
    k = 1 gives 0.0 and k = 2 gives 1.0.
    """
    scores = logits.masked_fill(~allowed, -torch.inf)
    best = scores.topk(k, 1).indices
    return (best == targets[:, None]).any(1).float().mean().item()


top_k.mistakes(
    ("tokens that are not allowed are among the guesses. Set their scores to -inf first.",
     lambda x, y, ok, k: top_k(x, y, ok | True, k)),
    ("logits[:, allowed] renumbers columns.", lambda x, y, ok, k: top_k(x[:, ok], y, ok[ok], k)),
    ("these are the least probable tokens.", lambda x, *rest: top_k(-x, *rest)),
    ("this is a number of rows: divide by all rows.", lambda x, *rest: top_k(x, *rest) * len(x)),
    ("this is the share of wrong rows.", lambda *given: 1 - top_k(*given)),
    ("a row is right or wrong: do not divide by k.", lambda *given: top_k(*given) / given[3]),
    ("only the first guess was looked at.", lambda *given: top_k(*given[:3], 1)),
    ("one guess too many.", lambda *given: top_k(*given[:3], given[3] + 1)),
    ("give the targets a second axis, targets[:, None], to compare each row with its guesses.",
     lambda x, y, ok, k: (x.masked_fill(~ok, -torch.inf).topk(k, 1).indices == y).any(
         1).float().mean().item()),
)
top_k.also_right(lambda x, y, ok, k: float(
    (x.masked_fill(~ok, -torch.inf) > x.gather(1, y[:, None])).sum(1).lt(k).double().mean()))


@exercise("families-bits", "the bits", "the prompt is read, and only what was written is counted.",
          cases=[case([p * math.log(2) for p in (-5, -1, -2, -4, -6, -3)], 4, expected=3.75),
                 case([p * math.log(2) for p in (-5, -1, -2, -4, -6, -3)], 1, expected=3.0),
                 case([math.log(p) for p in (.3, .5, .2, .1)], 3, expected=-math.log2(.01) / 3)])
def written_bits(log_probs: list, written: int) -> float:
    """Return how many bits a written token costs, on average.

    log_probs: natural logarithms of the probabilities that a yardstick gives to the
        tokens of a prompt and of what was written after it, in this order.
    written: how many tokens were written. The prompt is the rest.

    Example: written_bits([-9.0, -math.log(2), -3 * math.log(2)], 2) returns 2.0.
    """
    return -average(log_probs[-written:]) / math.log(2)


written_bits.mistakes(
    ("these are nats. A bit is ln 2 nats, so divide by ln 2.", lambda v, n: -average(v[-n:])),
    ("do not multiply by ln 2: divide by it.", lambda v, n: -average(v[-n:]) * math.log(2)),
    ("the sign is missing: probabilities below 1 cost bits.", lambda v, n: -written_bits(v, n)),
    ("the prompt was counted too. Take the last `written`.", lambda v, n: written_bits(v, len(v))),
    ("these are the first values. Take the last ones.", lambda v, n: written_bits(v[:n], n)),
    ("this is a sum. Divide by the number of written tokens.", lambda v, n: n * written_bits(v, n)),
    ("you divided by all tokens, the prompt too.", lambda v, n: n * written_bits(v, n) / len(v)),
    ("average logarithms, not perplexities.", lambda v, n: average(math.exp(-x) for x in v[-n:])),
)
written_bits.also_right(
    lambda v, n: -sum(math.log2(math.exp(x)) for x in v[len(v) - n:]) / n,
    lambda v, n: -numpy.array(v[-n:]).mean() / numpy.log(2))


@exercise("families-interval", ("the low end", "the high end"),
          "scipy's paired test gives the same interval.",
          cases=[case([5.4, 5.5, 5.8], [5.0, 5.1, 5.3], 4.302652729696142),  # t of 3 pairs
                 case([4.3, 4.5, 4.2], [4.4, 4.2, 4.3], 4.302652729696142),
                 case([5.0, 9.0], [3.0, 3.0], 1.5, expected=(1.0, 7.0))],
          expected=lambda a, b, _: tuple(import_module("scipy.stats").ttest_rel(a, b)
                                         .confidence_interval()))
def paired_interval(first: list, second: list, factor: float) -> tuple:
    """Return the two ends of the confidence interval of first minus second.

    first, second: a measure of two variants, one number for each seed, in the same order
        of seeds.
    factor: how many standard errors the interval reaches to each side.
    The standard error of the mean difference is the standard deviation of the
    differences (with n - 1), divided by the root of their number.

    Example: paired_interval([3.0, 5.0], [1.0, 1.0], 2.0) returns (1.0, 5.0).
    """
    differences = [a - b for a, b in zip(first, second)]
    middle = average(differences)
    half = factor * stdev(differences) / math.sqrt(len(differences))
    return middle - half, middle + half


paired_interval.mistakes(
    ("the difference is first minus second.", lambda a, b, f: paired_interval(b, a, f)),
    ("the low end comes first.", lambda *given: paired_interval(*given)[::-1]),
    ("divide the spread by the root of the number of seeds: the mean of several differences "
     "varies less than one of them.", lambda a, b, f: paired_interval(a, b, f * len(a) ** 0.5)),
    ("the seeds are pairs. Take the differences seed by seed, and their spread.",
     lambda a, b, f: paired_interval(a, b, f * math.hypot(stdev(a), stdev(b)) / stdev(
         x - y for x, y in zip(a, b)))),
    ("the standard deviation of a sample divides by n - 1.",
     lambda a, b, f: paired_interval(a, b, f * math.sqrt(1 - 1 / len(a)))),
    ("1.96 is for many values. Use the factor given.", lambda a, b, f: paired_interval(a, b, 1.96)),
    ("the factor is missing: this is a standard error.", lambda a, b, f: paired_interval(a, b, 1)),
    ("divide by the root of the number of seeds, not by the number.",
     lambda a, b, f: paired_interval(a, b, f / len(a) ** 0.5)),
    ("these are the middle and half the width. Return the two ends.",
     lambda *given: (average(ends := paired_interval(*given)), (ends[1] - ends[0]) / 2)),
)
paired_interval.also_right(lambda a, b, f: list(
    numpy.mean(d := numpy.subtract(a, b)) + f * numpy.array([-1, 1]) * d.std(ddof=1) / len(d)**.5))
