"""The exercises of the chapter "Sentence pairs"."""

import math
from collections import Counter
from itertools import groupby
from statistics import fmean

import torch
from torch.nn.functional import binary_cross_entropy_with_logits as sigmoid_loss
from torch.nn.functional import cross_entropy, mse_loss, one_hot

from companion.exercises.exercise import case, exercise

_PAIRS = [["a1", "a2"], ["b1", "b2"], ["c1", "c2"], ["d1", "d2"], ["e1", "e2"]]


# Three changed pairs show the direction, two do not; none is possible too.
@exercise("pairs-batch", ("pairs", "labels"),
          "both labels use the same halves, so no half gives its label away.", cases=[
    case(_PAIRS, [True, True, False, False, True], expected=(
        [["a1", "b2"], ["b1", "e2"], ["c1", "c2"], ["d1", "d2"], ["e1", "a2"]], [1, 1, 0, 0, 1])),
    case(_PAIRS[:4], [False, True, False, True], expected=(
        [["a1", "a2"], ["b1", "d2"], ["c1", "c2"], ["d1", "b2"]], [0, 1, 0, 1])),
    case(_PAIRS[:2], [False, False], expected=(_PAIRS[:2], [0, 0]))])
def next_sentence_batch(pairs: list, changed: list[bool]) -> tuple[list, list]:
    """Make a batch for next-sentence prediction.

    pairs: a list of [first half, second half], each from another document.
    changed: for each pair, whether it gets a second half that does not follow.
    Returns the pairs and the labels, in the order of the batch. A changed pair has the
    second half of the next changed pair, the last one that of the first. The others stay
    as they are. Labels: 0 as written, 1 changed.

    Example: [["a", "b"], ["c", "d"], ["e", "f"]] with [True, False, True]
    returns [["a", "f"], ["c", "d"], ["e", "b"]] and [1, 0, 1].
    """
    places = [i for i, one in enumerate(changed) if one]
    made = [list(pair) for pair in pairs]
    for here, there in zip(places, places[1:] + places[:1]):
        made[here][1] = pairs[there][1]
    return made, [int(one) for one in changed]


def _lending(lenders):
    """The changed pairs take the second halves of the pairs `lenders(changed places, B)`."""
    def answer(pairs, changed):
        places = [i for i, one in enumerate(changed) if one]
        lent = {i: pairs[j][1] for i, j in zip(places, lenders(places, len(pairs)))}
        return [[a, lent.get(i, b)] for i, (a, b) in enumerate(pairs)], changed
    return answer


def _labels(way):
    return lambda pairs, changed: (next_sentence_batch(pairs, changed)[0], way(changed))


next_sentence_batch.mistakes(
    ("the results are in the wrong order: return the pairs first, then the labels.",
     lambda *given: next_sentence_batch(*given)[::-1]),
    ("the labels are the wrong way round: 0 is text as it was written, 1 was changed.",
     _labels(lambda changed: [1 - one for one in changed])),
    ("the labels are sorted. Each must stay with its own pair.",
     _labels(sorted), _labels(lambda changed: sorted(changed, reverse=True))),
    ("every label is 1. A pair that was not changed has label 0.",
     _labels(lambda changed: [1] * len(changed))),
    ("the pairs are as they were. A pair with label 1 needs another second half.",
     _lending(lambda at, n: [])),
    ("the halves changed places. This is sentence order: here another pair lends the second half.",
     lambda pairs, changed: ([p[::-1] if one else p for p, one in zip(pairs, changed)], changed)),
    ("the first halves were exchanged. Keep them, and exchange the second halves.",
     lambda pairs, changed: ([p[::-1] for p in next_sentence_batch(
         [p[::-1] for p in pairs], changed)[0]], changed)),
    ("a second half was taken from a pair that is not changed. It is now in two pairs, once with "
     "each label. Exchange halves among the changed pairs only.",
     _lending(lambda at, n: [(i + 1) % n for i in at])),
    ("the halves come from the changed pair before. Take that of the next changed pair.",
     _lending(lambda at, n: at[-1:] + at[:-1])),
    ("the last changed pair still has its own second half, but label 1. It takes that of the "
     "first changed pair.", _lending(lambda at, n: at[1:])),
    ("the last changed pair got a half that had been overwritten before. Collect the second halves "
     "first, then write them.", _lending(lambda at, n: at[1:] + at[1:2])),
    ("the pairs are in another order. Each stays at its place in the batch.",
     lambda pairs, changed: ([p for _, p in sorted(zip(
         changed, next_sentence_batch(pairs, changed)[0]), key=lambda two: two[0])], changed)))
next_sentence_batch.also_right(_lending(lambda at, n: at[1:] + at[:1]))


def _swap_cases():
    """The rows that a `BertTokenizer` writes for (A, B) and for (B, A); then another padding."""
    from transformers import BertTokenizer

    pieces = "[PAD] [UNK] [CLS] [SEP] [MASK] rain fell all day . it stopped he sang".split()
    tokenizer = BertTokenizer(vocab={piece: number for number, piece in enumerate(pieces)})

    def row(*halves, length):
        made = tokenizer(*halves, padding="max_length", max_length=length, return_tensors="pt")
        return made["input_ids"][0], made["token_type_ids"][0]
    return [*(case(*row(a, b, length=length), 3, expected=row(b, a, length=length))
              for a, b, length in (("rain fell all day.", "it stopped.", 13),
                                   ("he sang.", "it fell all day.", 11),
                                   ("rain", "it stopped.", 10))),
            case(torch.tensor([2, 11, 12, 3, 21, 3, 9]), torch.tensor([0, 0, 0, 0, 1, 1, 0]), 3,
                 expected=(torch.tensor([2, 21, 3, 11, 12, 3, 9]),
                           torch.tensor([0, 0, 0, 1, 1, 1, 0])))]


@exercise("pairs-swap", ("ids", "segments"),
          "these are the rows that BertTokenizer writes for (B, A).", cases=_swap_cases)
def swap_halves(ids: torch.Tensor, segments: torch.Tensor, sep_id: int):
    """Swap the halves of one row.

    ids: the row [CLS] A [SEP] B [SEP] and then padding, shape (L,).
    segments: its segment ids, shape (L,): 0 up to the first [SEP], 1 for B and its [SEP],
        0 for padding.
    sep_id: the id of [SEP]. No other token has it.
    Returns ids and segments of the row [CLS] B [SEP] A [SEP], both of shape (L,).

    Example: with sep_id 3, [2, 11, 12, 3, 21, 3, 0] and [0, 0, 0, 0, 1, 1, 0]
    become [2, 21, 3, 11, 12, 3, 0] and [0, 0, 0, 1, 1, 1, 0].
    """
    middle, end = (ids == sep_id).nonzero().flatten().tolist()
    a, b = ids[1 : middle + 1], ids[middle + 1 : end + 1]
    swapped = torch.cat([ids[:1], b, a, ids[end + 1 :]])
    new = torch.zeros_like(segments)
    new[1 + len(b) : end + 1] = 1
    return swapped, new


def _parts(ids, sep):  # [CLS], A [SEP], B [SEP], padding
    middle, end = (ids == sep).nonzero().flatten().tolist()
    return ids[:1], ids[1:middle + 1], ids[middle + 1:end + 1], ids[end + 1:]


def _row(order):
    return lambda ids, old, sep: (torch.cat(order(*_parts(ids, sep))),
                                  swap_halves(ids, old, sep)[1])


def _segments(rule):  # segment 1 where `rule(place, first place of A, first place after A)` holds
    def answer(ids, old, sep):
        _, a, b, _ = _parts(ids, sep)
        places = torch.arange(len(ids))
        return (swap_halves(ids, old, sep)[0],
                rule(places, 1 + len(b), 1 + len(b) + len(a)).long())
    return answer


swap_halves.mistakes(
    ("the ids are as they were: B must come first.", _row(lambda *parts: parts)),
    ("[CLS] has moved with A. It stays at the beginning of the row.",
     _row(lambda c, a, b, p: [b, c, a, p])),
    ("both [SEP] are at the end. One of them ends the first half.",
     _row(lambda c, a, b, p: [c, b[:-1], a, b[-1:], p])),
    ("the padding is inside the row. It belongs at the end.", _row(lambda c, a, b, p: [c, b, p, a]),
     _row(lambda c, a, b, p: [c, b[:-1], p, b[-1:], a])),
    ("the tokens inside the halves are reversed. Only the halves change places.",
     _row(lambda c, a, b, p: [c, b[:-1].flip(0), b[-1:], a[:-1].flip(0), a[-1:], p])),
    ("a [SEP] comes before its half. It ends the half.",
     _row(lambda c, a, b, p: [c, b[-1:], b[:-1], a[-1:], a[:-1], p])),
    ("a [SEP] is missing: each half ends with one.",
     _row(lambda c, a, b, p: [c, b[:-1], a, p]), _row(lambda c, a, b, p: [c, b, a[:-1], p])),
    ("the id 0 is written where the padding was. Keep the padding of the row, whatever its id.",
     _row(lambda c, a, b, p: [c, b, a, 0 * p])),
    ("the padding is missing: the row keeps its length.", _row(lambda c, a, b, p: [c, b, a])),
    ("the segments are those of the old row. Their border must move: B has another length than A.",
     lambda ids, old, sep: (swap_halves(ids, old, sep)[0], old)),
    ("the segments moved with the halves: it would give the label away. A segment says which place "
     "a half has in the row, not which text it was.", _segments(lambda i, m, n: i < m),
     _segments(lambda i, m, n: (i > 0) & (i < m))),
    ("the segments are the wrong way round, also at the padding.",
     _segments(lambda i, m, n: (i < m) | (i >= n))),
    ("the padding has segment 1. Tokenizers give it 0.", _segments(lambda i, m, n: i >= m)),
    ("the first [SEP] has segment 1. It belongs to the half that it ends.",
     _segments(lambda i, m, n: (i >= m - 1) & (i < n))),
    ("all segments are 0. The second half has segment 1.", _segments(lambda i, m, n: i < 0)))
swap_halves.also_right(
    _row(lambda c, a, b, p: [c, b, a, p]),
    _segments(lambda i, m, n: (i >= m) & (i < n)))


_A, _B = [11, 12, 13, 14, 15, 16, 17], [21, 22, 23, 24, 25, 26]


@exercise("pairs-cut", ("a", "b"),
          "only the longer half loses tokens, and nothing is missing where the two meet.",
          cases=[case(_A, _B, 9, expected=([13, 14, 15, 16, 17], [21, 22, 23, 24])),  # an odd room
                 case(_A, _B[:3], 6, expected=([15, 16, 17], [21, 22, 23])),  # a short half
                 case(_A[:1], _B, 5, expected=([11], [21, 22, 23, 24])),
                 case(_A[:3], _B[:2], 5, expected=([11, 12, 13], [21, 22]))])
def cut_pair(a: list[int], b: list[int], room: int) -> tuple[list[int], list[int]]:
    """Cut two halves until they fit.

    a, b: token ids without special tokens. They must not be modified.
    room: how many tokens both may have together, at least 2.
    As long as they are too long, the longer half loses one token; when both are equally
    long, B loses it. A loses its first token each time, B its last.
    Returns what is left of a and of b.

    Example: cut_pair([1, 2, 3, 4], [5, 6], 4) returns [3, 4] and [5, 6].
    """
    size_a, size_b = len(a), len(b)
    while size_a + size_b > room:
        if size_a > size_b:
            size_a -= 1
        else:
            size_b -= 1
    return a[len(a) - size_a :], b[:size_b]


cut_pair.mistakes(
    ("A lost its end. The end of A is where B begins or does not: A loses its beginning.",
     lambda a, b, room: (cut_pair(a[::-1], b, room)[0][::-1], cut_pair(a, b, room)[1])),
    ("B lost its beginning, which is where it meets A. B loses its end.",
     lambda a, b, room: (cut_pair(a, b, room)[0], cut_pair(a, b[::-1], room)[1][::-1])),
    ("nothing was cut, but together they are longer than room.", lambda a, b, room: (a, b)),
    ("only B was cut. What is cut must not depend on the order: cut the longer one.",
     lambda a, b, room: (a, b[:max(0, room - len(a))])),
    ("each half got room // 2, and room is left over. A short half leaves its room to the other, "
     "and an odd room is not wasted.", lambda a, b, room: (a[-(room // 2):], b[:room // 2])),
    ("when both are equally long, B loses the next token, not A.",
     lambda a, b, room: [half[::-1] for half in cut_pair(b[::-1], a[::-1], room)[::-1]]),
    ("room is for the tokens of the two halves; special tokens are not in it.",
     lambda a, b, room: cut_pair(a, b, room - 3)),
    ("both were cut in proportion to their lengths. Cut only the longer one: a short half stays.",
     lambda a, b, room: (a[-(n := round(room * len(a) / len(a + b))):], b[:room - n])))
cut_pair.hint_if("together they are still longer than room.",
                 lambda case, got: len(got[0]) + len(got[1]) > case.given["room"],
                 lambda a, b, room: cut_pair(a, b, room + 1))
cut_pair.hint_if("more was cut than necessary.",
                 lambda case, got: len(got[0]) + len(got[1]) < sum(map(len, case.expected)),
                 lambda a, b, room: cut_pair(a, b, room - 1))
cut_pair.also_right(lambda a, b, room: (
    a[len(a) - min(len(a), room - (n := min(len(b), max(room // 2, room - len(a))))):], b[:n]))


def _loss_cases():
    """Logits and loss of `BertForNextSentencePrediction`; then a right label that is improbable."""
    from transformers import BertConfig, BertForNextSentencePrediction

    labels = torch.tensor([0, 1, 0, 0, 1])
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(13)
        model = BertForNextSentencePrediction(BertConfig(
            vocab_size=11, hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
            intermediate_size=16, max_position_embeddings=8, initializer_range=1.0)).eval()
        out = model(input_ids=torch.arange(30).view(5, 6) % 11, labels=labels)
    by_hand = torch.tensor((math.log1p(math.exp(12)) + math.log(2)) / 2, requires_grad=True)
    return [case(out.logits.requires_grad_(), labels, expected=out.loss.requires_grad_()),
            case(torch.tensor([[12.0, 0], [1, 1]], requires_grad=True), torch.tensor([1, 0]),
                 expected=by_hand)]


@exercise("pairs-loss", "the loss",
          "your loss is the one that BertForNextSentencePrediction computes.", cases=_loss_cases)
def pair_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Compute the loss of next-sentence or sentence-order prediction.

    logits: the scores of label 0 and label 1, shape (B, 2).
    labels: 0 or 1 for each pair, shape (B,), int64.
    Returns a tensor with one number, in nats: the mean cross-entropy over the pairs.
    Gradients must be able to flow from it to the logits.

    Example: when all logits are 0, the loss is ln 2, whatever the labels are.
    """
    return cross_entropy(logits, labels)


def _chances(logits, labels):
    return logits.softmax(-1).gather(1, labels[:, None])


pair_loss.mistakes(
    ("the pairs with label 0 were left out. Here 0 is a class, as it was written, and not a sign "
     "for padding: every pair counts.", lambda x, y: cross_entropy(x, y, ignore_index=0)),
    ("only the pairs with label 0 count. Both labels count.",
     lambda x, y: cross_entropy(x, y, ignore_index=1)),
    ("the pairs with label 0 add nothing to the sum. Both labels count.",
     lambda x, y: (cross_entropy(x, y, reduction="none") * y).mean()),
    ("this is the sum over the pairs. The loss is their mean.",
     lambda x, y: pair_loss(x, y) * len(y)),
    ("the sum is divided by the number of logits. Divide by the number of pairs.",
     lambda x, y: pair_loss(x, y) / 2),
    ("the labels are the wrong way round: column 0 is the score of label 0.",
     lambda x, y: pair_loss(x, 1 - y)),
    ("softmax is applied twice. Cross-entropy takes the logits as they are.",
     lambda x, y: pair_loss(x.softmax(-1), y)),
    ("the logarithm has base 2. The loss is in nats: use ln.",
     lambda x, y: pair_loss(x, y) / math.log(2)),
    ("the sign is wrong. The loss is minus the mean log-probability, above zero.",
     lambda x, y: -pair_loss(x, y)),
    ("the logarithm is missing: this is one minus the probability.",
     lambda x, y: 1 - _chances(x, y).mean()),
    ("small probabilities were raised (clamp?). log_softmax and cross_entropy need no limit.",
     lambda x, y: -_chances(x, y).clamp(min=1e-3).log().mean()),
    ("this is a squared error. The loss is the cross-entropy.",
     lambda x, y: mse_loss(x.softmax(-1), one_hot(y, 2).float())),
    ("each score is judged by itself, with a sigmoid. The two scores are alternatives: one softmax "
     "over both.", lambda x, y: sigmoid_loss(x, one_hot(y, 2).float())),
    ("only the score of label 1 is used. What counts is its difference from the other.",
     lambda x, y: sigmoid_loss(x[:, 1], y.float())),
    ("the shapes do not match: cross_entropy wants logits (B, 2) and labels (B,).",
     lambda x, y: cross_entropy(x.flatten(), y)),
    ("cross_entropy wants the labels as whole numbers (int64): do not turn them into floats.",
     lambda x, y: cross_entropy(x, y.float())))
pair_loss.also_right(lambda x, y: sigmoid_loss(x[:, 1] - x[:, 0], y.float()),
                     lambda x, y: -_chances(x, y).log().mean())


# 12 of 15: 3 has 2 of 3, 5 has 3 of 4, 9 has 1 of 2, 7 has 4 of 4, 2 has 2 of 2.
@exercise("pairs-leak", "the accuracy", "no rule that sees only this can do better.", cases=[
    case([3, 3, 3, 5, 5, 5, 5, 9, 9, 7, 7, 7, 7, 2, 2],
         [0, 1, 0, 1, 1, 1, 0, 0, 1, 0, 0, 0, 0, 1, 1], expected=12 / 15),
    case(["first", "later", "later", "later", "later", "later"], [1, 0, 0, 1, 1, 0],
         expected=4 / 6),
    case(["first", "later", "first", "later"], [1, 0, 1, 0], expected=1.0),
    case([7, 9, 7, 9], [1, 0, 0, 1], expected=0.5)])  # equal values that are not neighbours
def best_accuracy(seen: list, labels: list[int]) -> float:
    """Return the accuracy of the best rule that sees one property of each pair.

    seen: the property of each pair: a number or a text, for example the length of B.
    labels: 0 or 1 for each pair.
    A rule gives all pairs with the same property the same label. The best one gives each
    value the label that is more frequent with it.
    Returns the share of these pairs that the best rule gets right, between 0.5 and 1.

    Example: best_accuracy([7, 7, 7, 9], [1, 1, 0, 0]) returns 0.75.
    """
    ones, every = {}, {}
    for value, label in zip(seen, labels):
        ones[value] = ones.get(value, 0) + label
        every[value] = every.get(value, 0) + 1
    right = sum(max(ones[value], every[value] - ones[value]) for value in every)
    return right / len(labels)


def _groups(seen, labels):
    return [[label for one, label in zip(seen, labels) if one == value] for value in set(seen)]


best_accuracy.mistakes(
    ("this is the share of mistakes. The accuracy is the share of right answers.",
     lambda s, y: 1 - best_accuracy(s, y)),
    ("this is a number of answers. Divide by the number of pairs.",
     lambda s, y: best_accuracy(s, y) * len(y)),
    ("this is in percent. Return a share between 0 and 1.", lambda s, y: best_accuracy(s, y) * 100),
    ("this rule gives every pair the same label. It may look at `seen`: choose a label for each "
     "value.", lambda s, y: best_accuracy([0] * len(s), y)),
    ("this is the share of label 1.", lambda s, y: fmean(y)),
    ("this is a mean over the values. A value that occurs often must weigh more: count pairs.",
     lambda s, y: fmean(max(fmean(g), 1 - fmean(g)) for g in _groups(s, y))),
    ("only values with a single label were counted. The rule is sometimes right for others too.",
     lambda s, y: sum(len(g) for g in _groups(s, y) if len({*g}) == 1) / len(s)),
    ("a value that has label 1 once always gets label 1. Choose the label it has more often.",
     lambda s, y: sum(sum(g) or len(g) for g in _groups(s, y)) / len(y)),
    ("equal values count together only where they are neighbours: groupby needs a sorted list.",
     lambda s, y: best_accuracy([i for i, (_, run) in enumerate(groupby(s)) for _ in run], y)))
best_accuracy.also_right(lambda s, y: (table := Counter(zip(s, y))) and sum(
    max(table[value, 0], table[value, 1]) for value in set(s)) / len(s))


# No order is its own inverse, no text is sorted; in the last one a sentence occurs twice.
@exercise("pairs-restore", "the sentences", "every sentence is back in its place.", cases=[
    case(["Then tea.", "Bo slept.", "He woke.", "A bell rang."], [3, 0, 2, 1],
         expected=["Bo slept.", "A bell rang.", "He woke.", "Then tea."]),
    case(["All clapped.", "Zoe ran.", "She won."], [2, 0, 1],
         expected=["Zoe ran.", "She won.", "All clapped."]),
    case(["No.", "Ann asked.", "No.", "He left."], [3, 0, 1, 2],
         expected=["Ann asked.", "No.", "He left.", "No."])])
def restore(sentences: list[str], places: list[int]) -> list[str]:
    """Put shuffled sentences back into their order.

    sentences: the sentences, shuffled. The list must not be modified.
    places: for each of them the place that it had in the text, counted from 0.
    Returns the sentences as they were written.

    Example: restore(["So we left.", "It rained."], [1, 0])
    returns ["It rained.", "So we left."].
    """
    order = sorted(range(len(places)), key=lambda i: places[i])
    return [sentences[i] for i in order]


restore.mistakes(
    ("this is the opposite direction: places[i] says where sentence i belongs, not which sentence "
     "is at place i.", lambda s, at: [s[place] for place in at]),
    ("the sentences are in the order in which they came.", lambda s, at: s),
    ("the order is reversed: place 0 is the first.", lambda *given: restore(*given)[::-1]),
    ("the sentences are sorted by their letters. Sort by their places.", lambda s, at: sorted(s)),
    ("these are numbers. Return the sentences.", lambda s, at: restore(range(len(at)), at)),
    ("each sentence still carries its place. Return the sentences alone.",
     lambda s, at: sorted(zip(at, s))),
    ("this is the opposite direction, and it counts from 1. Places are counted from 0.",
     lambda s, at: [s[place - 1] for place in at]),
    ("every sentence is one place too late. Places are counted from 0.",
     lambda *given: restore(*given)[-1:] + restore(*given)[:-1]),
    ("the first sentence is missing. Places are counted from 0.",
     lambda *given: restore(*given)[1:]),
    ("a sentence that occurs twice has two places. Look them up by number, not by the sentence.",
     lambda s, at: sorted(s, key=lambda one: at[s.index(one)]),
     lambda s, at: sorted(s, key=dict(zip(s, at)).get)))
restore.also_right(lambda s, at: [s[at.index(i)] for i in range(len(s))])
