"""Answers to the exercises of "Sequence to sequence", as learners might write them."""

import math
from collections import Counter

import torch
from answer_tables import tables

MUTANTS, STOPPED, RIGHT, wrong, stops, right = tables()


# --- spans-corrupt ------------------------------------------------------------------------

def _right_inputs(ids, spans, sentinels):
    inputs, done = [], 0
    for sentinel, (begin, end) in zip(sentinels, spans):
        inputs += [*ids[done:begin], sentinel]
        done = end
    return inputs + ids[done:]


def _right_targets(ids, spans, sentinels):
    targets = []
    for sentinel, (begin, end) in zip(sentinels, spans):
        targets += [sentinel, *ids[begin:end]]
    return [*targets, sentinels[len(spans)]]


@wrong("spans-corrupt", "wrong order")
def _(*given):
    return _right_targets(*given), _right_inputs(*given)


@wrong("spans-corrupt", "inputs are the whole text")
def _(ids, spans, sentinels):
    return list(ids), _right_targets(ids, spans, sentinels)


@wrong("spans-corrupt", "inputs have no sentinels")
def _(ids, spans, sentinels):
    taken = {place for begin, end in spans for place in range(begin, end)}
    kept = [token for place, token in enumerate(ids) if place not in taken]
    return kept, _right_targets(ids, spans, sentinels)


@wrong("spans-corrupt", "every span has the same sentinel. The next")
def _(ids, spans, sentinels):
    same = [sentinels[0]] * len(sentinels)
    return _right_inputs(ids, spans, same), _right_targets(ids, spans, same)


@wrong("spans-corrupt", "one sentinel for each token")
def _(ids, spans, sentinels):
    inputs = list(ids)
    for sentinel, (begin, end) in zip(sentinels, spans):
        for place in range(begin, end):
            inputs[place] = sentinel
    return inputs, _right_targets(ids, spans, sentinels)


@wrong("spans-corrupt", "the end of a span is the first position after it")
def _(ids, spans, sentinels):
    longer = [(begin, end + 1) for begin, end in spans]
    return _right_inputs(ids, longer, sentinels), _right_targets(ids, longer, sentinels)


@wrong("spans-corrupt", "counted in the shortened text")
def _(ids, spans, sentinels):
    inputs = list(ids)
    for sentinel, (begin, end) in zip(sentinels, spans):
        inputs[begin:end] = [sentinel]
    return inputs, _right_targets(ids, spans, sentinels)


@wrong("spans-corrupt", "what follows the last span is missing")
def _(ids, spans, sentinels):
    inputs, done = [], 0
    for sentinel, (begin, end) in zip(sentinels, spans):
        inputs += [*ids[done:begin], sentinel]
        done = end
    return inputs, _right_targets(ids, spans, sentinels)


@wrong("spans-corrupt", "the last sentinel of the targets is missing")
def _(*given):
    return _right_inputs(*given), _right_targets(*given)[:-1]


@wrong("spans-corrupt", "targets have no sentinels")
def _(ids, spans, sentinels):
    taken = [token for begin, end in spans for token in ids[begin:end]]
    return _right_inputs(ids, spans, sentinels), taken


@wrong("spans-corrupt", "only the last sentinel is there")
def _(ids, spans, sentinels):
    taken = [token for begin, end in spans for token in ids[begin:end]]
    return _right_inputs(ids, spans, sentinels), [*taken, sentinels[len(spans)]]


@wrong("spans-corrupt", "stand behind their spans")
def _(ids, spans, sentinels):
    targets = []
    for sentinel, (begin, end) in zip(sentinels, spans):
        targets += [*ids[begin:end], sentinel]
    return _right_inputs(ids, spans, sentinels), targets


@wrong("spans-corrupt", "by the last sentinel of the list")
def _(ids, spans, sentinels):
    targets = _right_targets(ids, spans, sentinels)
    return _right_inputs(ids, spans, sentinels), [*targets[:-1], sentinels[-1]]


@wrong("spans-corrupt", "by a sentinel that was used before")
def _(ids, spans, sentinels):
    targets = []
    for sentinel, (begin, end) in zip(sentinels, spans):
        targets += [sentinel, *ids[begin:end]]
    return _right_inputs(ids, spans, sentinels), [*targets, sentinel]


@wrong("spans-corrupt", "targets are the whole text")
def _(ids, spans, sentinels):
    return _right_inputs(ids, spans, sentinels), list(ids)


@wrong("spans-corrupt", "targets are a copy of the inputs")
def _(*given):
    return _right_inputs(*given), _right_inputs(*given)


@wrong("spans-corrupt", "modifies its argument `ids`")
def _(ids, spans, sentinels):
    targets = _right_targets(ids, spans, sentinels)
    for sentinel, (begin, end) in reversed(list(zip(sentinels, spans))):
        ids[begin:end] = [sentinel]
    return ids, targets


@wrong("spans-corrupt", "return 2 results")
def _(*given):
    return _right_inputs(*given)


# --- spans-shift --------------------------------------------------------------------------

@wrong("spans-shift", "these are the labels themselves")
def _(labels, start, pad):
    return labels


@wrong("spans-shift", "the rows are not shifted")
def _(labels, start, pad):
    return torch.where(labels == -100, pad, labels)


@wrong("spans-shift", "shifted to the left")
def _(labels, start, pad):
    filled = labels.masked_fill(labels == -100, pad)
    return torch.cat([filled[:, 1:], torch.full((len(labels), 1), pad)], 1)


@wrong("spans-shift", "-100 is still there. It is no token")
def _(labels, start, pad):
    return torch.cat([torch.full((len(labels), 1), start), labels[:, :-1]], 1)


@wrong("spans-shift", "the last token has moved to the front (roll does that). The row")
def _(labels, start, pad):
    return labels.masked_fill(labels == -100, pad).roll(1, dims=1)


@wrong("spans-shift", "(roll does that), and -100")
def _(labels, start, pad):
    return labels.roll(1, dims=1)


@wrong("spans-shift", "begins with the padding")
def _(labels, start, pad):
    filled = labels.masked_fill(labels == -100, pad)
    return torch.nn.functional.pad(filled, (1, 0), value=pad)[:, :-1]


@wrong("spans-shift", "was overwritten by `start`")
def _(labels, start, pad):
    out = labels.masked_fill(labels == -100, pad)
    out[:, 0] = start
    return out


@wrong("spans-shift", "-100 became `start`")
def _(labels, start, pad):
    out = torch.cat([torch.full((len(labels), 1), start), labels[:, :-1]], 1)
    return out.masked_fill(out == -100, start)


@wrong("spans-shift", "moved by two positions")
def _(labels, start, pad):
    begun = torch.full((len(labels), 1), start)
    filled = labels.masked_fill(labels == -100, pad)
    return torch.cat([begun, begun, filled[:, :-2]], 1)


@wrong("spans-shift", "the shape is (2, 5)")
def _(labels, start, pad):
    filled = labels.masked_fill(labels == -100, pad)
    return torch.cat([torch.full((len(labels), 1), start), filled], 1)


@wrong("spans-shift", "modifies its argument `labels`")
def _(labels, start, pad):
    labels[labels == -100] = pad
    return torch.cat([torch.full((len(labels), 1), start), labels[:, :-1]], 1)


# --- spans-prefix-mask --------------------------------------------------------------------

def _places(length):
    place = torch.arange(length)
    return place[:, None], place[None, :]


@wrong("spans-prefix-mask", "the wrong way round")
def _(prefix, length):
    i, j = _places(length)
    return ~((j <= i) | (j < prefix))


@wrong("spans-prefix-mask", "rows and columns are exchanged")
def _(prefix, length):
    i, j = _places(length)
    return (i <= j) | (i < prefix)


@wrong("spans-prefix-mask", "this is a causal mask")
def _(prefix, length):
    return torch.ones(length, length, dtype=torch.bool).tril()


@wrong("spans-prefix-mask", "every position sees everything")
def _(prefix, length):
    return torch.ones(length, length, dtype=torch.bool)


@wrong("spans-prefix-mask", "the rest does not see the prefix")
def _(prefix, length):
    mask = torch.zeros(length, length, dtype=torch.bool)
    mask[:prefix, :prefix] = True
    mask[prefix:, prefix:] = torch.ones(length - prefix, length - prefix).tril().bool()
    return mask


@wrong("spans-prefix-mask", "only the prefix sees anything")
def _(prefix, length):
    mask = torch.zeros(length, length, dtype=torch.bool)
    mask[:prefix, :prefix] = True
    return mask


@wrong("spans-prefix-mask", "the rest sees only the prefix")
def _(prefix, length):
    mask = torch.zeros(length, length, dtype=torch.bool)
    mask[:, :prefix] = True
    return mask


@wrong("spans-prefix-mask", "does not see itself")
def _(prefix, length):
    i, j = _places(length)
    return (j < i) | (j < prefix)


@wrong("spans-prefix-mask", "one position too long")
def _(prefix, length):
    i, j = _places(length)
    return (j <= i) | (j <= prefix)


@wrong("spans-prefix-mask", "one position too short")
def _(prefix, length):
    i, j = _places(length)
    return (j <= i) | (j < prefix - 1)


@wrong("spans-prefix-mask", "the prefix sees the rest as well")
def _(prefix, length):
    i, j = _places(length)
    return (j <= i) | (i < prefix)


@wrong("spans-prefix-mask", "dtype is torch.float32")
def _(prefix, length):
    mask = torch.ones(length, length).tril()
    mask[:, :prefix] = 1
    return mask


@wrong("spans-prefix-mask", "not a list")
def _(prefix, length):
    return [[j <= i or j < prefix for j in range(length)] for i in range(length)]


# --- spans-cost ---------------------------------------------------------------------------

def _counts(length, share, mean):
    taken = max(1, round(share * length))
    return taken, max(1, round(taken / mean))


@wrong("spans-cost", "return inputs first")
def _(length, share, mean):
    taken, spans = _counts(length, share, mean)
    return taken + spans + 2, length - taken + spans + 1


@wrong("spans-cost", "both end with it")
def _(length, share, mean):
    taken, spans = _counts(length, share, mean)
    return length - taken + spans, taken + spans + 1


@wrong("spans-cost", "the eos of the inputs is missing")
def _(length, share, mean):
    taken, spans = _counts(length, share, mean)
    return length - taken + spans, taken + spans + 2


@wrong("spans-cost", "the targets are one short")
def _(length, share, mean):
    taken, spans = _counts(length, share, mean)
    return length - taken + spans + 1, taken + spans + 1


@wrong("spans-cost", "eos is missing on both sides, and the targets")
def _(length, share, mean):
    taken, spans = _counts(length, share, mean)
    return length - taken + spans, taken + spans


@wrong("spans-cost", "the sentinels are missing, on both sides")
def _(length, share, mean):
    taken, _ = _counts(length, share, mean)
    return length - taken + 1, taken + 1


@wrong("spans-cost", "the inputs have no sentinels")
def _(length, share, mean):
    taken, spans = _counts(length, share, mean)
    return length - taken + 1, taken + spans + 2


@wrong("spans-cost", "no sentinels before the spans")
def _(length, share, mean):
    taken, spans = _counts(length, share, mean)
    return length - taken + spans + 1, taken + 2


@wrong("spans-cost", "the inputs are the whole text")
def _(length, share, mean):
    taken, spans = _counts(length, share, mean)
    return length + 1, taken + spans + 2


@wrong("spans-cost", "the targets are the whole text")
def _(length, share, mean):
    taken, spans = _counts(length, share, mean)
    return length - taken + spans + 1, length + 1


@wrong("spans-cost", "a span of its own")
def _(length, share, mean):
    taken, _ = _counts(length, share, mean)
    return length - taken + taken + 1, taken + taken + 2


@wrong("spans-cost", "not the number of spans")
def _(length, share, mean):
    taken, _ = _counts(length, share, mean)
    return length - taken + int(mean) + 1, taken + int(mean) + 2


@wrong("spans-cost", "not rounded")
def _(length, share, mean):
    taken = share * length
    return length - taken + taken / mean + 1, taken + taken / mean + 2


@wrong("spans-cost", "cut off")
def _(length, share, mean):
    taken = max(1, int(share * length))
    spans = max(1, int(taken / mean))
    return length - taken + spans + 1, taken + spans + 2


@wrong("spans-cost", "rounded up")
def _(length, share, mean):
    taken = math.ceil(share * length)
    spans = math.ceil(taken / mean)
    return length - taken + spans + 1, taken + spans + 2


@wrong("spans-cost", "round to 0")
def _(length, share, mean):
    taken = round(share * length)
    spans = round(taken / mean)
    return length - taken + spans + 1, taken + spans + 2


# --- spans-precision ----------------------------------------------------------------------

def _grams(text, size):
    words = text.split()
    return [tuple(words[i : i + size]) for i in range(len(words) - size + 1)]


@wrong("spans-precision", "as often as the answer repeats it")
def _(answer, reference, size):
    found = [gram in _grams(reference, size) for gram in _grams(answer, size)]
    return sum(found) / len(found)


@wrong("spans-precision", "which is recall")
def _(answer, reference, size):
    ours, theirs = Counter(_grams(answer, size)), Counter(_grams(reference, size))
    return sum((ours & theirs).values()) / sum(theirs.values())


@wrong("spans-precision", "repeated sequences were dropped")
def _(answer, reference, size):
    ours, theirs = set(_grams(answer, size)), set(_grams(reference, size))
    return len(ours & theirs) / len(ours)


@wrong("spans-precision", "each sequence counts once at most")
def _(answer, reference, size):
    ours, theirs = _grams(answer, size), _grams(reference, size)
    return len(set(ours) & set(theirs)) / len(ours)


@wrong("spans-precision", "this is the number of matches")
def _(answer, reference, size):
    ours, theirs = Counter(_grams(answer, size)), Counter(_grams(reference, size))
    return sum((ours & theirs).values())


@wrong("spans-precision", "sequences of characters")
def _(answer, reference, size):
    ours = Counter(answer[i : i + size] for i in range(len(answer) - size + 1))
    theirs = Counter(reference[i : i + size] for i in range(len(reference) - size + 1))
    return sum((ours & theirs).values()) / sum(ours.values())


@wrong("spans-precision", "single words")
def _(answer, reference, size):
    ours, theirs = Counter(answer.split()), Counter(reference.split())
    return sum((ours & theirs).values()) / sum(ours.values())


@wrong("spans-precision", "divided by the number of words")
def _(answer, reference, size):
    ours, theirs = Counter(_grams(answer, size)), Counter(_grams(reference, size))
    return sum((ours & theirs).values()) / len(answer.split())


@wrong("spans-precision", "percentage")
def _(answer, reference, size):
    ours, theirs = Counter(_grams(answer, size)), Counter(_grams(reference, size))
    return 100 * sum((ours & theirs).values()) / sum(ours.values())


# --- spans-next ---------------------------------------------------------------------------

@wrong("spans-next", "not in alphabetical order")
def _(words, written):
    left = list((Counter(words) - Counter(written)).keys())
    return left or ["</s>"]


@wrong("spans-next", "words that were used up")
def _(words, written):
    return sorted(set(words))


@wrong("spans-next", "although it was given twice")
def _(words, written):
    return sorted(set(words) - set(written)) or ["</s>"]


@wrong("spans-next", "the text must be able to end")
def _(words, written):
    return sorted(Counter(words) - Counter(written))


@wrong("spans-next", "a word is offered twice")
def _(words, written):
    left = list(words)
    for word in written:
        left.remove(word)
    return sorted(left) or ["</s>"]


@wrong("spans-next", "the end is offered although words are left")
def _(words, written):
    return sorted(Counter(words) - Counter(written)) + ["</s>"]


@wrong("spans-next", "these are the words that have been written")
def _(words, written):
    return sorted(set(written))


@wrong("spans-next", "modifies its argument `words`")
def _(words, written):
    for word in written:
        words.remove(word)
    return sorted(set(words)) or ["</s>"]


@wrong("spans-next", "not a set")
def _(words, written):
    return set(Counter(words) - Counter(written)) or {"</s>"}


# --- right answers, written in another way --------------------------------------------------

@right("spans-corrupt", "from the right, and a list of two results")
def _(ids, spans, sentinels):
    inputs, targets = list(ids), [sentinels[len(spans)]]
    for number in reversed(range(len(spans))):
        begin, end = spans[number]
        targets = [sentinels[number], *ids[begin:end], *targets]
        inputs[begin:end] = [sentinels[number]]
    return [inputs, targets]


@right("spans-shift", "filled in place")
def _(labels, start, pad):
    out = torch.empty_like(labels)
    out[:, 0] = start
    out[:, 1:] = labels[:, :-1]
    out[out == -100] = pad
    return out


@right("spans-prefix-mask", "two steps")
def _(prefix, length):
    mask = torch.ones(length, length, dtype=torch.bool).tril()
    mask[:, :prefix] = True
    return mask


@right("spans-prefix-mask", "plain Python")
def _(prefix, length):
    return torch.tensor([[j <= i or j < prefix for j in range(length)] for i in range(length)])


@right("spans-cost", "a list, and floats that are whole")
def _(length, share, mean):
    taken, spans = _counts(length, share, mean)
    return [float(length - taken + spans + 1), float(taken + spans + 2)]


@right("spans-precision", "each match is taken out of the reference")
def _(answer, reference, size):
    left, grams = _grams(reference, size), _grams(answer, size)
    matches = 0
    for gram in grams:
        if gram in left:
            left.remove(gram)
            matches += 1
    return matches / len(grams)


@right("spans-next", "counting with list.count")
def _(words, written):
    left = [word for word in set(words) if words.count(word) > written.count(word)]
    return sorted(left) if left else ["</s>"]
