"""Answers to the exercises of "Sentence pairs", as learners write them.

What the tables hold is said in `answer_tables.py`.
"""

from collections import Counter, defaultdict

import torch
from answer_tables import tables
from torch.nn.functional import (
    binary_cross_entropy_with_logits,
    cross_entropy,
    mse_loss,
    nll_loss,
    one_hot,
)

MUTANTS, STOPPED, RIGHT, wrong, stops, right = tables()


# --- pairs-batch --------------------------------------------------------------------------

def _right_batch(pairs, changed):
    places = [i for i, one in enumerate(changed) if one]
    made = [list(pair) for pair in pairs]
    for here, there in zip(places, places[1:] + places[:1]):
        made[here][1] = pairs[there][1]
    return made, [int(one) for one in changed]


@wrong("pairs-batch", "0 is text as it was written")
def _(pairs, changed):
    return _right_batch(pairs, changed)[0], [int(not one) for one in changed]


@wrong("pairs-batch", "return the pairs first")
def _(pairs, changed):
    return _right_batch(pairs, changed)[::-1]


@wrong("pairs-batch", "This is sentence order")
def _(pairs, changed):
    made = [pair[::-1] if one else pair for pair, one in zip(pairs, changed)]
    return made, [int(one) for one in changed]


@wrong("pairs-batch", "once with each label")
def _(pairs, changed):
    made = []
    for i, (first, second) in enumerate(pairs):
        made.append([first, pairs[(i + 1) % len(pairs)][1] if changed[i] else second])
    return made, list(map(int, changed))


@wrong("pairs-batch", "the first halves were exchanged")
def _(pairs, changed):
    places = [i for i, one in enumerate(changed) if one]
    made = [list(pair) for pair in pairs]
    for k, place in enumerate(places):
        made[place][0] = pairs[places[(k + 1) % len(places)]][0]
    return made, list(map(int, changed))


@wrong("pairs-batch", "from the changed pair before")
def _(pairs, changed):
    places = [i for i, one in enumerate(changed) if one]
    made = [list(pair) for pair in pairs]
    for k, place in enumerate(places):
        made[place][1] = pairs[places[k - 1]][1]
    return made, list(map(int, changed))


@wrong("pairs-batch", "still has its own second half")
def _(pairs, changed):
    places = [i for i, one in enumerate(changed) if one]
    made = [list(pair) for pair in pairs]
    for here, there in zip(places, places[1:]):
        made[here][1] = pairs[there][1]
    return made, list(map(int, changed))


@wrong("pairs-batch", "had been overwritten before")
def _(pairs, changed):
    places = [i for i, one in enumerate(changed) if one]
    made = [list(pair) for pair in pairs]
    for here, there in zip(places, places[1:] + places[:1]):
        made[here][1] = made[there][1]
    return made, list(map(int, changed))


@wrong("pairs-batch", "the labels are sorted")
def _(pairs, changed):
    return _right_batch(pairs, changed)[0], sorted(map(int, changed))


@wrong("pairs-batch", "Each stays at its place in the batch")
def _(pairs, changed):
    made, labels = _right_batch(pairs, changed)
    kept = [pair for pair, one in zip(made, changed) if not one]
    return kept + [pair for pair, one in zip(made, changed) if one], labels


@wrong("pairs-batch", "the pairs are as they were")
def _(pairs, changed):
    return pairs, list(map(int, changed))


@wrong("pairs-batch", "modifies its argument `pairs`")
def _(pairs, changed):
    places = [i for i, one in enumerate(changed) if one]
    seconds = [pairs[place][1] for place in places]
    for place, second in zip(places, seconds[1:] + seconds[:1]):
        pairs[place][1] = second
    return pairs, list(map(int, changed))


@wrong("pairs-batch", "return 2 results")
def _(pairs, changed):
    return [(*pair, label) for pair, label in zip(*_right_batch(pairs, changed))]


@right("pairs-batch", "tuples, and labels that are true or false")
def _(pairs, changed):
    seconds = [second for (_, second), one in zip(pairs, changed) if one]
    lent = iter(seconds[1:] + seconds[:1])
    return tuple((a, next(lent) if one else b) for (a, b), one in zip(pairs, changed)), changed


# --- pairs-swap ---------------------------------------------------------------------------

def _parts(ids, sep_id):
    middle, end = (ids == sep_id).nonzero().flatten().tolist()
    return ids[:1], ids[1 : middle + 1], ids[middle + 1 : end + 1], ids[end + 1 :]


def _right_swap(ids, segments, sep_id):
    cls, a, b, padding = _parts(ids, sep_id)
    made = torch.zeros_like(segments)
    made[1 + len(b) : 1 + len(b) + len(a)] = 1
    return torch.cat([cls, b, a, padding]), made


@wrong("pairs-swap", "Their border must move")
def _(ids, segments, sep_id):
    return _right_swap(ids, segments, sep_id)[0], segments


@wrong("pairs-swap", "it would give the label away")
def _(ids, segments, sep_id):
    cls, a, b, padding = _parts(ids, sep_id)
    made = torch.cat([torch.ones(1 + len(b)), torch.zeros(len(a) + len(padding))]).long()
    return torch.cat([cls, b, a, padding]), made


@wrong("pairs-swap", "also at the padding")
def _(ids, segments, sep_id):
    made, segments = _right_swap(ids, segments, sep_id)
    return made, 1 - segments


@wrong("pairs-swap", "the padding has segment 1")
def _(ids, segments, sep_id):
    made = _right_swap(ids, segments, sep_id)[0]
    first = made.tolist().index(sep_id)
    return made, (torch.arange(len(made)) > first).long()


@wrong("pairs-swap", "the first [SEP] has segment 1")
def _(ids, segments, sep_id):
    made, segments = _right_swap(ids, segments, sep_id)
    first = made.tolist().index(sep_id)
    segments[first] = 1
    return made, segments


@wrong("pairs-swap", "all segments are 0")
def _(ids, segments, sep_id):
    return _right_swap(ids, segments, sep_id)[0], torch.zeros_like(ids)


@wrong("pairs-swap", "B must come first")
def _(ids, segments, sep_id):
    return ids, torch.where(ids == 0, 0, 1 - segments)


@wrong("pairs-swap", "[CLS] has moved with A")
def _(ids, segments, sep_id):
    cls, a, b, padding = _parts(ids, sep_id)
    return torch.cat([b, cls, a, padding]), _right_swap(ids, segments, sep_id)[1]


@wrong("pairs-swap", "both [SEP] stand at the end")
def _(ids, segments, sep_id):
    cls, a, b, padding = _parts(ids, sep_id)
    made = torch.cat([cls, b[:-1], a, torch.tensor([sep_id]), padding])
    return made, _right_swap(ids, segments, sep_id)[1]


@wrong("pairs-swap", "the padding stands inside the row")
def _(ids, segments, sep_id):
    middle = ids.tolist().index(sep_id)
    made = torch.cat([ids[:1], ids[middle + 1 :], ids[1 : middle + 1]])
    return made, _right_swap(ids, segments, sep_id)[1]


@wrong("pairs-swap", "inside the halves are reversed")
def _(ids, segments, sep_id):
    end = int((ids == sep_id).nonzero()[-1])
    made = torch.cat([ids[:1], ids[1:end].flip(0), ids[end:]])
    return made, _right_swap(ids, segments, sep_id)[1]


@wrong("pairs-swap", "not a list")
def _(ids, segments, sep_id):
    made, segments = _right_swap(ids, segments, sep_id)
    return made.tolist(), segments.tolist()


@wrong("pairs-swap", "dtype is torch.float32")
def _(ids, segments, sep_id):
    made, segments = _right_swap(ids, segments, sep_id)
    return made, segments.float()


@right("pairs-swap", "plain lists inside")
def _(ids, segments, sep_id):
    row = ids.tolist()
    middle = row.index(sep_id)
    end = row.index(sep_id, middle + 1)
    b, a = row[middle + 1 : end + 1], row[1 : middle + 1]
    made = [row[0], *b, *a, *row[end + 1 :]]
    kinds = [0] + [0] * len(b) + [1] * len(a) + [0] * (len(row) - end - 1)
    return torch.tensor(made), torch.tensor(kinds)


# --- pairs-cut ----------------------------------------------------------------------------

def _fair(a, b, room):
    a, b = list(a), list(b)
    while len(a) + len(b) > room:
        (a if len(a) > len(b) else b).pop()
    return len(a), len(b)


@wrong("pairs-cut", "A lost its end")
def _(a, b, room):
    size_a, size_b = _fair(a, b, room)
    return a[:size_a], b[:size_b]


@wrong("pairs-cut", "B lost its beginning")
def _(a, b, room):
    size_a, size_b = _fair(a, b, room)
    return a[len(a) - size_a :], b[len(b) - size_b :]


@wrong("pairs-cut", "only B was cut")
def _(a, b, room):
    return a, (a + b)[len(a) : room]


@wrong("pairs-cut", "each half got room // 2")
def _(a, b, room):
    half = room // 2
    return a[-half:], b[:half]


@wrong("pairs-cut", "B loses the next token, not A")
def _(a, b, room):
    a, b = list(a), list(b)
    while len(a) + len(b) > room:
        if len(a) >= len(b):
            a.pop(0)
        else:
            b.pop()
    return a, b


@wrong("pairs-cut", "special tokens are not in it")
def _(a, b, room):
    size_a, size_b = _fair(a, b, room - 3)
    return a[len(a) - size_a :], b[:size_b]


@wrong("pairs-cut", "in proportion to their lengths")
def _(a, b, room):
    total = len(a) + len(b)
    if total <= room:
        return a, b
    size = int(room * len(a) / total + 0.5)
    return a[len(a) - size :], b[: room - size]


@wrong("pairs-cut", "nothing was cut")
def _(a, b, room):
    return a, b


@wrong("pairs-cut", "still longer than room")
def _(a, b, room):
    size_a, size_b = _fair(a, b, room + 1)
    return a[len(a) - size_a :], b[:size_b]


@wrong("pairs-cut", "modifies its argument `a`")
def _(a, b, room):
    while len(a) + len(b) > room:
        if len(a) > len(b):
            del a[0]
        else:
            del b[-1]
    return a, b


@wrong("pairs-cut", "return 2 results")
def _(a, b, room):
    size_a, size_b = _fair(a, b, room)
    return a[len(a) - size_a :] + b[:size_b]


@right("pairs-cut", "a formula")
def _(a, b, room):
    half = room // 2
    size_b = min(len(b), max(half, room - len(a)))
    size_a = min(len(a), room - size_b)
    return a[len(a) - size_a :], b[:size_b]


# --- pairs-loss ---------------------------------------------------------------------------

@wrong("pairs-loss", "not a sign for padding")
def _(logits, labels):
    return cross_entropy(logits, labels, ignore_index=0)


@wrong("pairs-loss", "add nothing to the sum")
def _(logits, labels):
    return -(logits.log_softmax(-1)[:, 1] * labels).mean()


@wrong("pairs-loss", "only the pairs with label 0 count")
def _(logits, labels):
    return cross_entropy(logits, labels, ignore_index=1)


@wrong("pairs-loss", "sum over the pairs")
def _(logits, labels):
    return cross_entropy(logits, labels, reduction="sum")


@wrong("pairs-loss", "number of logits")
def _(logits, labels):
    return -(logits.log_softmax(-1) * one_hot(labels, 2)).mean()


@wrong("pairs-loss", "column 0 is the score of label 0")
def _(logits, labels):
    return cross_entropy(logits.flip(-1), labels)


@wrong("pairs-loss", "softmax is applied twice")
def _(logits, labels):
    return cross_entropy(torch.softmax(logits, -1), labels)


@wrong("pairs-loss", "base 2")
def _(logits, labels):
    return -logits.softmax(-1)[torch.arange(len(labels)), labels].log2().mean()


@wrong("pairs-loss", "the sign is wrong")
def _(logits, labels):
    return logits.log_softmax(-1).gather(1, labels[:, None]).mean()


@wrong("pairs-loss", "the logarithm is missing")
def _(logits, labels):
    return 1 + nll_loss(logits.softmax(-1), labels)


@wrong("pairs-loss", "squared error")
def _(logits, labels):
    return mse_loss(logits.softmax(-1), one_hot(labels, 2).float())


@wrong("pairs-loss", "judged by itself")
def _(logits, labels):
    return binary_cross_entropy_with_logits(logits, one_hot(labels, 2).float())


@wrong("pairs-loss", "its difference from the other")
def _(logits, labels):
    return binary_cross_entropy_with_logits(logits[:, 1], labels.float())


@wrong("pairs-loss", "the shape is (5,)")
def _(logits, labels):
    return cross_entropy(logits, labels, reduction="none")


@wrong("pairs-loss", "no gradient can flow back")
def _(logits, labels):
    return cross_entropy(logits.detach(), labels)


@stops("pairs-loss", "labels as whole numbers")
def _(logits, labels):
    return cross_entropy(logits, labels.float())


@stops("pairs-loss", "logits (B, 2) and labels (B,)")
def _(logits, labels):
    return cross_entropy(logits.flatten(), labels)


@right("pairs-loss", "the difference of the scores")
def _(logits, labels):
    return binary_cross_entropy_with_logits(logits[:, 1] - logits[:, 0], labels.float())


@right("pairs-loss", "one minus and logarithm")
def _(logits, labels):
    one = logits.softmax(-1)[:, 1]
    return -(labels * one.log() + (1 - labels) * (1 - one).log()).mean()


# --- pairs-leak ---------------------------------------------------------------------------

def _groups(seen, labels):
    groups = defaultdict(list)
    for value, label in zip(seen, labels):
        groups[value].append(label)
    return groups


def _best(group):
    return Counter(group).most_common(1)[0][1]


@wrong("pairs-leak", "share of mistakes")
def _(seen, labels):
    return 1 - sum(map(_best, _groups(seen, labels).values())) / len(labels)


@wrong("pairs-leak", "Divide by the number of pairs")
def _(seen, labels):
    return sum(map(_best, _groups(seen, labels).values()))


@wrong("pairs-leak", "in percent")
def _(seen, labels):
    return 100 * sum(map(_best, _groups(seen, labels).values())) / len(labels)


@wrong("pairs-leak", "choose a label for each value")
def _(seen, labels):
    return _best(labels) / len(labels)


@wrong("pairs-leak", "the share of label 1")
def _(seen, labels):
    return sum(sum(group) for group in _groups(seen, labels).values()) / len(labels)


@wrong("pairs-leak", "a mean over the values")
def _(seen, labels):
    shares = [_best(group) / len(group) for group in _groups(seen, labels).values()]
    return sum(shares) / len(shares)


@wrong("pairs-leak", "only values with a single label")
def _(seen, labels):
    pure = [group for group in _groups(seen, labels).values() if len(set(group)) == 1]
    return sum(map(len, pure)) / len(labels)


@wrong("pairs-leak", "once is always given label 1")
def _(seen, labels):
    ones = {value for value, label in zip(seen, labels) if label}
    return sum((value in ones) == bool(label) for value, label in zip(seen, labels)) / len(labels)


@wrong("pairs-leak", "not a list")
def _(seen, labels):
    return [max(group, key=group.count) for group in _groups(seen, labels).values()]


@right("pairs-leak", "counting pairs of value and label")
def _(seen, labels):
    table = Counter(zip(seen, labels))
    return sum(max(table[value, 0], table[value, 1]) for value in set(seen)) / len(seen)


# --- pairs-restore ------------------------------------------------------------------------

@wrong("pairs-restore", "not which sentence stands at place i.")
def _(sentences, places):
    return [sentences[place] for place in places]


@wrong("pairs-restore", "in which they came")
def _(sentences, places):
    return sentences


@wrong("pairs-restore", "the order is reversed")
def _(sentences, places):
    pairs = sorted(zip(places, sentences), reverse=True)
    return [sentence for _, sentence in pairs]


@wrong("pairs-restore", "sorted by their letters")
def _(sentences, places):
    return sorted(sentences)


@wrong("pairs-restore", "these are numbers")
def _(sentences, places):
    return [places.index(i) for i in range(len(places))]


@wrong("pairs-restore", "still carries its place")
def _(sentences, places):
    return sorted(zip(places, sentences))


@wrong("pairs-restore", "it counts from 1")
def _(sentences, places):
    return [sentences[place - 1] for place in places]


@wrong("pairs-restore", "one place too late")
def _(sentences, places):
    made = [""] * len(sentences)
    for sentence, place in zip(sentences, places):
        made[(place + 1) % len(made)] = sentence
    return made


@wrong("pairs-restore", "the first sentence is missing")
def _(sentences, places):
    return [sentences[places.index(i)] for i in range(1, len(places))]


@wrong("pairs-restore", "not a str")
def _(sentences, places):
    return " ".join(sentences[places.index(i)] for i in range(len(places)))


@wrong("pairs-restore", "modifies its argument `sentences`")
def _(sentences, places):
    sentences.sort(key=lambda sentence: sentence[0])
    return sentences


@right("pairs-restore", "writing into places")
def _(sentences, places):
    made = [None] * len(places)
    for sentence, place in zip(sentences, places):
        made[place] = sentence
    return tuple(made)
