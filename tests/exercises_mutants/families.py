"""Answers to the exercises of "Three families, one budget", as learners write them.

What the tables hold is said in `answer_tables.py`.
"""

import math
import statistics

import numpy
import torch
from answer_tables import tables

MUTANTS, STOPPED, RIGHT, wrong, stops, right = tables()


# --- families-asked -----------------------------------------------------------------------

def _asked(kind, length, share, mean, special=2, hidden=1.0, first=1, after=2):
    noise = round(share * length)
    return {"masked": round(hidden * share * (length - special)), "causal": length - first,
            "spans": noise + round(noise / mean) + after}[kind]


@wrong("families-asked", "the share of the other tokens")
def _(kind, length, share, mean):
    return _asked(kind, length, share, mean, special=0)


@wrong("families-asked", "only those that become [MASK]")
def _(kind, length, share, mean):
    return _asked(kind, length, share, mean, hidden=0.8)


@wrong("families-asked", "every position was counted")
def _(kind, length, share, mean):
    return length - 2 if kind == "masked" else _asked(kind, length, share, mean)


@wrong("families-asked", "use round")
def _(kind, length, share, mean):
    return share * (length - 2) if kind == "masked" else _asked(kind, length, share, mean)


@wrong("families-asked", "before the first token")
def _(kind, length, share, mean):
    return _asked(kind, length, share, mean, first=0)


@wrong("families-asked", "asked at every position")
def _(kind, length, share, mean):
    return round(share * length) if kind == "causal" else _asked(kind, length, share, mean)


@wrong("families-asked", "sentinels and eos too")
def _(kind, length, share, mean):
    return round(share * length) if kind == "spans" else _asked(kind, length, share, mean)


@wrong("families-asked", "one more sentinel and eos end")
def _(kind, length, share, mean):
    return _asked(kind, length, share, mean, after=0)


@wrong("families-asked", "one token is missing")
def _(kind, length, share, mean):
    return _asked(kind, length, share, mean, after=1)


@wrong("families-asked", "the length of the inputs")
def _(kind, length, share, mean):
    if kind != "spans":
        return _asked(kind, length, share, mean)
    noise = round(share * length)
    return length - noise + round(noise / mean) + 1


@wrong("families-asked", "mean is the length of a span")
def _(kind, length, share, mean):
    return round(share * length) + mean + 2 if kind == "spans" else _asked(
        kind, length, share, mean)


@right("families-asked", "one branch each")
def _(kind, length, share, mean):
    if kind == "causal":
        return length - 1
    if kind == "masked":
        return max(1, round((length - 2) * share))
    taken = max(1, round(length * share))
    return taken + max(1, round(taken / mean)) + 1 + 1


# --- families-top -------------------------------------------------------------------------

def _hits(scores, targets, k):
    return (scores.topk(k, 1).indices == targets[:, None]).any(1)


def _banned(logits, allowed):
    return logits.masked_fill(~allowed, float("-inf"))


@wrong("families-top", "not allowed took places")
def _(logits, targets, allowed, k):
    return _hits(logits, targets, k).float().mean().item()


@wrong("families-top", "the columns moved")
def _(logits, targets, allowed, k):
    return _hits(logits[:, allowed], targets, k).float().mean().item()


@wrong("families-top", "the least probable")
def _(logits, targets, allowed, k):
    return _hits((-logits).masked_fill(~allowed, float("-inf")), targets, k).float().mean().item()


@wrong("families-top", "divide by all rows")
def _(logits, targets, allowed, k):
    return _hits(_banned(logits, allowed), targets, k).sum().item()


@wrong("families-top", "the share of wrong rows")
def _(logits, targets, allowed, k):
    hits = _hits(_banned(logits, allowed), targets, k).float().mean().item()
    return 1 - hits if k == 3 else hits


@wrong("families-top", "do not divide by k")
def _(logits, targets, allowed, k):
    return (_hits(_banned(logits, allowed), targets, k).float() / k).mean().item()


@wrong("families-top", "only the first guess")
def _(logits, targets, allowed, k):
    return (_banned(logits, allowed).argmax(1) == targets).float().mean().item()


@wrong("families-top", "one guess too many")
def _(logits, targets, allowed, k):
    scores = _banned(logits, allowed)
    return (scores > scores.gather(1, targets[:, None])).sum(1).le(k).float().mean().item()


@stops("families-top", "give the targets a second axis")
def _(logits, targets, allowed, k):
    return (_banned(logits, allowed).topk(k, 1).indices == targets).any(1).float().mean().item()


@right("families-top", "by ranks")
def _(logits, targets, allowed, k):
    scores = _banned(logits, allowed)
    ranks = (scores > scores.gather(1, targets[:, None])).sum(1)
    return float((ranks < k).double().mean())


@right("families-top", "row by row")
def _(logits, targets, allowed, k):
    places, right = allowed.nonzero().flatten().tolist(), 0
    for row, target in zip(logits.tolist(), targets.tolist()):
        right += target in sorted(places, key=lambda i: row[i], reverse=True)[:k]
    return right / len(targets)


# --- families-bits ------------------------------------------------------------------------

@wrong("families-bits", "these are nats")
def _(log_probs, written):
    return -statistics.mean(log_probs[-written:])


@wrong("families-bits", "the wrong way")
def _(log_probs, written):
    return -statistics.mean(log_probs[-written:]) * math.log(2)


@wrong("families-bits", "the sign is missing")
def _(log_probs, written):
    return statistics.mean(log_probs[-written:]) / math.log(2)


@wrong("families-bits", "the prompt was counted too")
def _(log_probs, written):
    return -statistics.mean(log_probs) / math.log(2)


@wrong("families-bits", "these are the first values")
def _(log_probs, written):
    return -statistics.mean(log_probs[:written]) / math.log(2)


@wrong("families-bits", "this is a sum")
def _(log_probs, written):
    return -sum(log_probs[-written:]) / math.log(2)


@wrong("families-bits", "divided by all tokens")
def _(log_probs, written):
    return -sum(log_probs[-written:]) / math.log(2) / len(log_probs)


@right("families-bits", "by base-2 logarithms of the probabilities")
def _(log_probs, written):
    return -sum(math.log2(math.exp(v)) for v in log_probs[len(log_probs) - written:]) / written


@right("families-bits", "with numpy")
def _(log_probs, written):
    return -numpy.array(log_probs[-written:]).mean() / numpy.log(2)


# --- families-interval --------------------------------------------------------------------

def _parts(first, second):
    differences = [a - b for a, b in zip(first, second)]
    return statistics.mean(differences), statistics.stdev(differences), math.sqrt(len(first))


@wrong("families-interval", "first minus second")
def _(first, second, factor):
    middle, spread, root = _parts(second, first)
    return middle - factor * spread / root, middle + factor * spread / root


@wrong("families-interval", "the low end comes first")
def _(first, second, factor):
    middle, spread, root = _parts(first, second)
    return middle + factor * spread / root, middle - factor * spread / root


@wrong("families-interval", "varies less than one of them")
def _(first, second, factor):
    middle, spread, _ = _parts(first, second)
    return middle - factor * spread, middle + factor * spread


@wrong("families-interval", "the seeds are pairs")
def _(first, second, factor):
    middle, _, root = _parts(first, second)
    half = factor * math.hypot(statistics.stdev(first), statistics.stdev(second)) / root
    return middle - half, middle + half


@wrong("families-interval", "divides by n - 1")
def _(first, second, factor):
    middle, _, root = _parts(first, second)
    half = factor * numpy.std(numpy.subtract(first, second)) / root
    return float(middle - half), float(middle + half)


@wrong("families-interval", "1.96 is for many values")
def _(first, second, factor):
    middle, spread, root = _parts(first, second)
    return middle - 1.96 * spread / root, middle + 1.96 * spread / root


@wrong("families-interval", "the factor is missing")
def _(first, second, factor):
    middle, spread, root = _parts(first, second)
    return middle - spread / root, middle + spread / root


@wrong("families-interval", "not by the number")
def _(first, second, factor):
    middle, spread, root = _parts(first, second)
    return middle - factor * spread / root**2, middle + factor * spread / root**2


@wrong("families-interval", "Return the two ends")
def _(first, second, factor):
    middle, spread, root = _parts(first, second)
    return middle, factor * spread / root


@right("families-interval", "by hand")
def _(first, second, factor):
    d = torch.tensor(first, dtype=torch.double) - torch.tensor(second, dtype=torch.double)
    half = factor * d.std() / len(d) ** 0.5
    return [(d.mean() - half).item(), (d.mean() + half).item()]
