"""Answers to the exercises of "ALBERT NER", as learners write them.

What the tables hold is said in `answer_tables.py`.
"""

import math
from itertools import product
from statistics import fmean, pstdev, stdev

import torch
from answer_tables import tables

MUTANTS, STOPPED, RIGHT, wrong, stops, right = tables()


# --- ner-labels -----------------------------------------------------------------------------

def _labels(ids, tags, special_ids, skip=-100):
    left = iter(tags.tolist())
    return torch.tensor([skip if i in special_ids else next(left) for i in ids.tolist()])


@wrong("ner-labels", "have the label 0")
def _(ids, tags, special_ids):
    return _labels(ids, tags, special_ids, 0)


@wrong("ner-labels", "only the padding is skipped")
def _(ids, tags, special_ids):
    made = _labels(ids, tags, special_ids, 0)
    made[ids == special_ids[2]] = -100
    return made


@wrong("ner-labels", "where [CLS] stands")
def _(ids, tags, special_ids):
    return torch.cat([tags, torch.full((len(ids) - len(tags),), -100)])


@wrong("ner-labels", "ask each id whether it is special")
def _(ids, tags, special_ids):
    made = torch.full_like(ids, -100)
    made[1 : 1 + len(tags)] = tags
    return made


@wrong("ner-labels", "O is a label like the others")
def _(ids, tags, special_ids):
    made = _labels(ids, tags, special_ids)
    made[made == 0] = -100
    return made


@wrong("ner-labels", "the wrong way round")
def _(ids, tags, special_ids):
    return torch.where(torch.isin(ids, torch.tensor(special_ids)), 0, -100)


@wrong("ner-labels", "-1 marks what does not count")
def _(ids, tags, special_ids):
    return _labels(ids, tags, special_ids, -1)


@wrong("ner-labels", "the shape is (3,)")
def _(ids, tags, special_ids):
    return tags


@wrong("ner-labels", "modifies its argument `ids`")
def _(ids, tags, special_ids):
    text = ~torch.isin(ids, torch.tensor(special_ids))
    ids[text] = tags
    ids[~text] = -100
    return ids


@right("ner-labels", "with a mask")
def _(ids, tags, special_ids):
    made = torch.full_like(ids, -100)
    made[~torch.isin(ids, torch.tensor(special_ids))] = tags
    return made


# --- ner-rates ------------------------------------------------------------------------------

def _rates(layers, rate, decay):
    return [rate * decay ** (layers - level) for level in range(layers + 1)]


@wrong("ner-rates", "the order is reversed")
def _(layers, rate, decay):
    return _rates(layers, rate, decay)[::-1]


@wrong("ner-rates", "the embeddings are missing")
def _(layers, rate, decay):
    return _rates(layers, rate, decay)[1:]


@wrong("ner-rates", "the top layer is missing")
def _(layers, rate, decay):
    return _rates(layers, rate, decay)[:-1]


@wrong("ner-rates", "one step too low")
def _(layers, rate, decay):
    return [rate * decay ** (layers - level + 1) for level in range(layers + 1)]


@wrong("ner-rates", "all lower layers have the same rate")
def _(layers, rate, decay):
    return [rate * decay] * layers + [rate]


@wrong("ner-rates", "the rate of the lowest layer")
def _(layers, rate, decay):
    made = _rates(layers, rate, decay)
    return [made[1], *made[1:]]


@wrong("ner-rates", "fall by equal steps")
def _(layers, rate, decay):
    return [rate - rate * (1 - decay) * (layers - level) for level in range(layers + 1)]


@wrong("ner-rates", "do not divide")
def _(layers, rate, decay):
    return [rate / decay ** (layers - level) for level in range(layers + 1)]


@wrong("ner-rates", "decay is not used")
def _(layers, rate, decay):
    return [rate] * (layers + 1)


@wrong("ner-rates", "a list is expected")
def _(layers, rate, decay):
    return rate * decay**layers


@right("ner-rates", "from the top down")
def _(layers, rate, decay):
    made = [rate]
    for _ in range(layers):
        made.insert(0, made[0] * decay)
    return tuple(made)


# --- ner-viterbi ----------------------------------------------------------------------------

def _total(emissions, between, tags):
    return (sum(emissions[i, t].item() for i, t in enumerate(tags))
            + sum(between[a, b].item() for a, b in zip(tags, tags[1:])))


def _best(emissions, between, choose=max):
    count, labels = emissions.shape
    return list(choose(product(range(labels), repeat=count),
                       key=lambda tags: _total(emissions, between, tags)))


@wrong("ner-viterbi", "in reverse order")
def _(emissions, between):
    return _best(emissions, between)[::-1]


@wrong("ner-viterbi", "every token has its own best label")
def _(emissions, between):
    return emissions.argmax(1).tolist()


@wrong("ner-viterbi", "for *every* label")
def _(emissions, between):
    made = [emissions[0].argmax().item()]
    for row in emissions[1:]:
        made.append((row + between[made[-1]]).argmax().item())
    return made


@wrong("ner-viterbi", "its row is the label before")
def _(emissions, between):
    return _best(emissions, between.T)


@wrong("ner-viterbi", "the first label is missing")
def _(emissions, between):
    return _best(emissions, between)[1:]


@wrong("ner-viterbi", "the last label is missing")
def _(emissions, between):
    return _best(emissions, between)[:-1]


@wrong("ner-viterbi", "the lowest score")
def _(emissions, between):
    return _best(emissions, between, min)


@right("ner-viterbi", "trying all orders")
def _(emissions, between):
    return _best(emissions, between)


# --- ner-seeds ------------------------------------------------------------------------------

def _apart(one, two):
    return [a - b for a, b in zip(one, two)]


@wrong("ner-seeds", "the wrong sign")
def _(one, two):
    return fmean(_apart(two, one)), stdev(_apart(one, two))


@wrong("ner-seeds", "Divide by the number of seeds")
def _(one, two):
    return sum(_apart(one, two)), stdev(_apart(one, two))


@wrong("ner-seeds", "the best seeds only")
def _(one, two):
    return max(one) - max(two), stdev(_apart(one, two))


@wrong("ner-seeds", "the signs are lost")
def _(one, two):
    return fmean(map(abs, _apart(one, two))), stdev(_apart(one, two))


@wrong("ner-seeds", "the pairs are broken")
def _(one, two):
    apart = _apart(sorted(one), sorted(two))
    return fmean(apart), stdev(apart)


@wrong("ner-seeds", "the mean comes first")
def _(one, two):
    return stdev(_apart(one, two)), fmean(_apart(one, two))


@wrong("ner-seeds", "Divide by one less")
def _(one, two):
    return fmean(_apart(one, two)), pstdev(_apart(one, two))


@wrong("ner-seeds", "this is the variance")
def _(one, two):
    return fmean(_apart(one, two)), stdev(_apart(one, two)) ** 2


@wrong("ner-seeds", "standard error of the mean")
def _(one, two):
    return fmean(_apart(one, two)), stdev(_apart(one, two)) / math.sqrt(len(one))


@wrong("ner-seeds", "the systems were taken apart")
def _(one, two):
    return fmean(one) - fmean(two), math.hypot(stdev(one), stdev(two))


@wrong("ner-seeds", "a difference of two deviations")
def _(one, two):
    return fmean(one) - fmean(two), stdev(one) - stdev(two)


@wrong("ner-seeds", "this is the range")
def _(one, two):
    return fmean(_apart(one, two)), max(_apart(one, two)) - min(_apart(one, two))


@wrong("ner-seeds", "return 2 results")
def _(one, two):
    return fmean(_apart(one, two))


@right("ner-seeds", "with tensors")
def _(one, two):
    apart = torch.tensor(one, dtype=torch.float64) - torch.tensor(two, dtype=torch.float64)
    return apart.mean(), apart.std()
