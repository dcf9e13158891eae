"""The exercises of the chapter "Sequence to sequence"."""

import math
from collections import Counter

import torch
from torch.nn.functional import pad as padded

from companion.exercises.exercise import case, exercise

_MARKS = [99, 98, 97, 96, 95]  # sentinels fall, as those of T5 do, and are more than are needed


@exercise("spans-corrupt", ("inputs", "targets"),
          "inputs and targets are those of span corruption.",
          cases=[  # by hand; the second has spans at both ends, the third one token often
              case([11, 12, 13, 14, 15, 16, 17, 18], [(2, 4), (6, 7)], _MARKS,
                   expected=([11, 12, 99, 15, 16, 98, 18], [99, 13, 14, 98, 17, 97])),
              case([11, 12, 13, 14, 15], [(0, 1), (2, 5)], _MARKS,
                   expected=([99, 12, 98], [99, 11, 98, 13, 14, 15, 97])),
              case([7, 7, 7, 8, 7, 7], [(1, 2), (3, 5)], _MARKS,
                   expected=([7, 99, 7, 98, 7], [99, 7, 98, 8, 7, 97])),
              case([11, 12], [], _MARKS, expected=([11, 12], [99]))])
def corrupt(ids: list[int], spans: list[tuple[int, int]], sentinels: list[int]):
    """Take spans out of a text.

    ids: the token ids of the text.
    spans: where each span begins, and the first position after it, from left to right. Two
        spans never touch.
    sentinels: ids of sentinels in their order, more than there are spans.
    Returns two lists, inputs and targets. In the inputs each span has become one sentinel.
    The targets hold each span after its sentinel, and one more sentinel at the end.

    Example: corrupt([11, 12, 13, 14], [(1, 3)], [99, 98, 97])
    returns ([11, 99, 14], [99, 12, 13, 98]).
    """
    inputs, targets, done = [], [], 0
    for sentinel, (begin, end) in zip(sentinels, spans):
        inputs += [*ids[done:begin], sentinel]
        targets += [sentinel, *ids[begin:end]]
        done = end
    return inputs + ids[done:], [*targets, sentinels[len(spans)]]


def _inputs(way):
    return lambda *given: (way(*given), corrupt(*given)[1])


def _targets(way):  # way(right targets, ids, spans, sentinels)
    return lambda *given: (corrupt(*given)[0], way(corrupt(*given)[1], *given))


corrupt.mistakes(
    ("the results are in the wrong order: return inputs first.", lambda *g: corrupt(*g)[::-1]),
    ("inputs are the whole text. Put one sentinel for each span.", _inputs(lambda ids, *_: ids)),
    ("inputs have no sentinels. Without them the model cannot know where tokens are missing.",
     _inputs(lambda *given: [token for token in corrupt(*given)[0] if token not in _MARKS])),
    ("every span has the same sentinel. The next span takes the next sentinel.",
     _inputs(lambda ids, spans, marks: corrupt(ids, spans, marks[:1] * 9)[0]),
     _targets(lambda _, ids, spans, marks: corrupt(ids, spans, marks[:1] * 9)[1])),
    ("inputs have one sentinel for each token, not for each span: that gives away its length.",
     _inputs(lambda ids, spans, marks: corrupt(
         ids, [(place, place + 1) for a, b in spans for place in range(a, b)],
         [mark for mark, (a, b) in zip(marks, spans) for _ in range(a, b)] + marks)[0])),
    ("the end of a span is the first position after it, as in a slice of Python.",
     _inputs(lambda ids, spans, marks: corrupt(ids, [(a, b + 1) for a, b in spans], marks)[0])),
    ("what follows the last span is missing.",
     _inputs(lambda ids, spans, m: corrupt(ids[:spans[-1][1] if spans else 0], spans, m)[0])),
    ("the targets lack the last sentinel, which ends every row.", _targets(lambda t, *_: t[:-1])),
    ("targets have no sentinels. Each span needs its own before it, and one closes the row.",
     _targets(lambda right, *_: [token for token in right if token not in _MARKS])),
    ("only the last sentinel is there. Each span needs its own before it.",
     _targets(lambda right, *_: [x for x in right[:-1] if x not in _MARKS] + right[-1:])),
    ("the sentinels come after their spans. Each comes before its span, and one closes the row.",
     _targets(lambda _, ids, *rest: sum((ids[a:b] + [mark] for (a, b), mark in zip(*rest)), []))),
    ("the row is closed by the last sentinel of the list. Take the next one in order.",
     _targets(lambda right, ids, spans, marks: right[:-1] + marks[-1:])),
    ("targets are the whole text, not what was taken out.", _targets(lambda _, ids, *rest: ids)),
    ("targets copy the inputs. They hold what is missing there.", lambda *g: corrupt(*g)[:1] * 2),
)
corrupt.hint_if(
    "the row is closed by a sentinel that was used before. Take the next one in order.",
    lambda case, got: list(got[1]) in [case.expected[1][:-1] + [mark] for mark in _MARKS[:2]],
    _targets(lambda right, ids, spans, marks: right[:-1] + marks[:len(spans)][-1:]))


@corrupt.mistake("positions are counted in the shortened text. After the first span was replaced, "
                 "all that follows has moved: count in the original text.")
@_inputs
def _(ids, spans, sentinels):
    for sentinel, (begin, end) in zip(sentinels, spans):
        ids = ids[:begin] + [sentinel] + ids[end:]
    return ids


@corrupt.also_right
def _(ids, spans, sentinels):
    inputs, targets = list(ids), [sentinels[len(spans)]]
    for (begin, end), mark in reversed([*zip(spans, sentinels)]):
        inputs[begin:end], targets = [mark], [mark, *ids[begin:end], *targets]
    return [inputs, targets]


def _shift_cases():
    from transformers import T5Config, T5ForConditionalGeneration

    t5 = T5ForConditionalGeneration(T5Config(
        vocab_size=20, d_model=4, d_kv=2, d_ff=4, num_layers=1, num_heads=2, pad_token_id=0,
        decoder_start_token_id=0))
    labels = torch.tensor([[5, 6, 7, 8, 1], [9, 9, 1, -100, -100], [1, -100, -100, -100, -100]])
    return [case(torch.tensor([[11, 12, 13, 3], [14, 3, -100, -100]]), 1, 0,  # start is not padding
                 expected=torch.tensor([[1, 11, 12, 13], [1, 14, 3, 0]])),
            case(labels, 0, 0, expected=t5.prepare_decoder_input_ids_from_labels(labels))]


@exercise("spans-shift", "the decoder's inputs", "the decoder reads what T5's decoder reads.",
          cases=_shift_cases)
def decoder_inputs(labels: torch.Tensor, start: int, pad: int) -> torch.Tensor:
    """Make what the decoder reads while it is asked for the labels.

    labels: the targets of a batch, shape (B, T), with -100 where nothing is asked. The -100
        stand at the end of a row. The tensor must not be modified.
    start: the id of the token that every row begins with.
    pad: the id of padding, which stands where -100 would.
    Returns ids of shape (B, T): at each step the label of the step before.

    Example: decoder_inputs(torch.tensor([[11, 12, 3, -100, -100]]), 1, 0)
    returns tensor([[1, 11, 12, 3, 0]]).
    """
    begun = torch.full_like(labels[:, :1], start)
    shifted = torch.cat([begun, labels[:, :-1]], dim=1)
    return shifted.masked_fill(shifted == -100, pad)


decoder_inputs.mistakes(
    ("the rows are not shifted: the decoder would read the token that it must find, and copy it.",
     lambda y, s, p: y, lambda y, s, p: y.masked_fill(y == -100, p)),
    ("the rows are shifted to the left. At each step the decoder reads what comes before.",
     lambda y, s, p: decoder_inputs(y.flip(1), p, p).flip(1)),
    ("-100 is still there. It is no token: use pad.", lambda y, s, p: decoder_inputs(y, s, -100)),
    ("the last token has moved to the front (roll does that). The row begins with `start`.",
     lambda y, s, p: y.roll(1, 1), lambda y, s, p: y.masked_fill(y == -100, p).roll(1, 1)),
    ("the row begins with the padding. It begins with `start`; only in T5 are they the same.",
     lambda y, s, p: decoder_inputs(y, p, p)),
    ("the first label was overwritten by `start`. All move by one, and the last label falls out.",
     lambda y, s, p: decoder_inputs(y.roll(-1, 1), s, p)),
    ("-100 became `start`: put padding in its place.", lambda y, s, p: decoder_inputs(y, s, s)),
    ("all moved by two, not one.", lambda y, s, p: decoder_inputs(decoder_inputs(y, s, p), s, p)),
)
decoder_inputs.hint_if(
    "-100 became another number than the padding.",
    lambda case, got: (got == case.expected)[case.expected != case.given["pad"]].all(),
    lambda y, s, p: decoder_inputs(y, s, p + 7))
decoder_inputs.also_right(lambda y, start, pad: (
    row := padded(y[:, :-1], (1, 0), value=start)).where(row != -100, torch.tensor(pad)))


@exercise("spans-prefix-mask", "the mask",
          "the prefix sees all of itself, the rest sees what is to its left.",
          cases=lambda: [case(3, 5, expected=torch.tensor(
              [[1, 1, 1, 0, 0]] * 3 + [[1, 1, 1, 1, 0], [1, 1, 1, 1, 1]]).bool()),
              case(0, 4, expected=torch.ones(4, 4).tril().bool()),
              case(6, 6, expected=torch.ones(6, 6).bool())])
def prefix_mask(prefix: int, length: int) -> torch.Tensor:
    """Say which positions of a row see which.

    prefix: how many positions at the start belong to the prefix, from 0 to length.
    length: the number of positions.
    Returns a boolean tensor of shape (length, length). Its entry [i, j] is True where
    position i sees position j. Each position sees the whole prefix, all that is to its left,
    and itself; it sees nothing else.

    Example: prefix_mask(2, 3) returns
    tensor([[True, True, False], [True, True, False], [True, True, True]]).
    """
    place = torch.arange(length)
    seer, seen = place[:, None], place[None, :]
    return (seen <= seer) | (seen < prefix)


def _mask(way):  # way(i, j, prefix)
    return lambda prefix, length: torch.tensor([
        [way(i, j, prefix) for j in range(length)] for i in range(length)])


prefix_mask.mistakes(
    ("the mask is the wrong way round: True means i sees j.", lambda *g: ~prefix_mask(*g)),
    ("rows and columns are exchanged: in mask[i, j], i looks at j.", lambda *g: prefix_mask(*g).T),
    ("this is a causal mask. The prefix sees all of itself.", _mask(lambda i, j, p: j <= i)),
    ("every position sees everything. The rest of the row sees only what is to its left.",
     _mask(lambda i, j, p: True)),
    ("the rest must see the prefix too.", _mask(lambda i, j, p: max(i, j) < p or p <= j <= i)),
    ("only the prefix sees anything. The rest sees all that is to its left.",
     _mask(lambda i, j, p: max(i, j) < p)),
    ("the rest sees only the prefix. It also sees what was written before it, and itself.",
     _mask(lambda i, j, p: j < p)),
    ("a position of the rest does not see itself. Its token is known when the next is predicted.",
     _mask(lambda i, j, p: j < max(i, p))),
    ("the prefix is one position too long (count from 0).", _mask(lambda i, j, p: j <= max(i, p))),
    ("the prefix is one position too short.", _mask(lambda i, j, p: j <= i or j < p - 1)),
    ("the prefix sees the rest, and not only itself.", _mask(lambda i, j, p: j <= i or i < p)),
)
prefix_mask.also_right(
    lambda p, n: torch.ones(n, n).tril().index_fill(1, torch.arange(p), 1).bool(),
    _mask(lambda i, j, p: j <= i or j < p))


# Rows as `SpanCorruption` makes them. In 512 tokens both counts are rounded up, in 128 down.
@exercise("spans-cost", ("inputs", "targets"),
          "this is what the encoder reads and what the decoder writes.",
          cases=[case(100, 0.15, 3.0, expected=(91, 22)),  # 85 + 5 + eos, 15 + 5 + 1 + eos
                 case(512, .15, 3.0, expected=(462, 105)), case(128, .15, 3.0, expected=(116, 27)),
                 case(40, 0.5, 4.0, expected=(26, 27)), case(6, 0.05, 3.0, expected=(7, 4))])
def widths(length: int, share: float, mean: float) -> tuple[int, int]:
    """Return how many positions the inputs and the targets of one text have.

    length: the number of tokens of the text.
    share: the share of them that is taken out. The number is rounded with `round`; at least
        one token is taken.
    mean: the mean length of a span. The number of spans is the number of tokens taken, divided
        by it, rounded with `round`; there is at least one span.
    Inputs and targets both end with one eos.

    Example: widths(20, 0.15, 3.0) returns (19, 6): 17 tokens, a sentinel and eos, and 3 tokens,
    two sentinels and eos.
    """
    taken = max(1, round(share * length))
    spans = max(1, round(taken / mean))
    return length - taken + spans + 1, taken + spans + 1 + 1


def _counts(taken, spans, least=1):  # how each count is rounded
    return lambda n, share, mean: (
        n - (t := max(least, taken(share * n))) + (s := max(least, spans(t / mean))) + 1, t + s + 2)


def _from(way):  # way(inputs, targets, length, spans), from the right numbers
    return lambda n, *rest: way(*(both := widths(n, *rest)), n, (sum(both) - n - 3) // 2)


widths.mistakes(
    ("the results are in the wrong order: return inputs first.", lambda *g: widths(*g)[::-1]),
    ("eos is missing: both end with it.", _from(lambda i, t, n, s: (i - 1, t - 1))),
    ("eos is missing on both sides, and the targets lack the sentinel that closes the last span.",
     _from(lambda i, t, n, s: (i - 1, t - 2))),
    ("the sentinels are missing, on both sides.", _from(lambda i, t, n, s: (i - s, t - s - 1))),
    ("each token is a span of its own: divide by mean.", lambda n, share, _: widths(n, share, 1)),
    ("`mean` is the length of a span, not the number of spans.",
     lambda n, share, mean: widths(n, share, max(1, round(share * n)) / mean)),
    ("the counts are not rounded. There is no part of a token.", _counts(float, float, 0)),
    ("the counts are cut off. Use round, as the docstring says.", _counts(int, int)),
    ("the counts are rounded up. Use round, as the docstring says.",
     _counts(math.ceil, math.ceil), _counts(round, math.ceil)),
    ("the counts round to 0 in a short text. Both are at least 1.", _counts(round, round, 0)),
    ("the eos of the inputs is missing.", _from(lambda i, t, n, s: (i - 1, t))),
    ("the targets are one short: they need a sentinel for each span, one at the end, and eos.",
     _from(lambda i, t, n, s: (i, t - 1))),
    ("the inputs have no sentinels, one for each span.", _from(lambda i, t, n, s: (i - s, t))),
    ("the targets have no sentinels before the spans.", _from(lambda i, t, n, s: (i, t - s))),
    ("the inputs are the whole text. Take the spans out.", _from(lambda i, t, n, s: (n + 1, t))),
    ("the targets are the whole text, not what was taken.", _from(lambda i, t, n, s: (i, n + 1))),
)
widths.also_right(lambda *given: [float(number) for number in widths(*given)])


def _sacrebleu(answer, reference, size):
    from sacrebleu.metrics import BLEU

    score = BLEU(tokenize="none").corpus_score([answer], [[reference]])
    return score.counts[size - 1] / score.totals[size - 1]


@exercise("spans-precision", "the precision", "your counts are those of sacrebleu.",
          cases=[case("the film is very very very good", "it is a very good film", 1),
                 case("this film is a very good film",
                      "it is a very good film and a very good story", 2),
                 case("good film a is this", "this is a good film", 1),
                 case("good film a is this", "this is a good film", 2),
                 case("a very good film", "it is a very good film", 3),
                 case("the the the the the the the", "the cat is on the mat", 1,
                      expected=2 / 7)],  # the BLEU paper, section 2.1
          expected=_sacrebleu)
def clipped_precision(answer: str, reference: str, size: int) -> float:
    """Return the share of the answer's word sequences that are in the reference.

    answer, reference: texts; words are separated by spaces.
    size: how many words a sequence has. The answer has at least so many words.
    A sequence that the answer has several times counts at most as often as the reference
    has it.

    Example: clipped_precision("a a film", "a film", 1) returns 2 / 3: one "a" and "film".
    """
    def sequences(text):
        words = text.split()
        return Counter(tuple(words[i : i + size]) for i in range(len(words) - size + 1))

    ours, theirs = sequences(answer), sequences(reference)
    return (ours & theirs).total() / ours.total()


def _grams(way):  # way(ours, theirs), the counted sequences
    return lambda *texts: way(*(Counter(zip(*(text.split()[i:] for i in range(texts[2]))))
                                for text in texts[:2]))


clipped_precision.mistakes(
    ("this is a percentage, not a share from 0 to 1.", lambda *g: 100 * clipped_precision(*g)),
    ("a sequence counts as often as the answer repeats it. The reference sets the limit.",
     _grams(lambda ours, theirs: sum(ours[x] for x in ours if x in theirs) / ours.total())),
    ("this is recall (ROUGE). Divide by the sequences of the answer, not of the reference.",
     lambda answer, reference, n: clipped_precision(reference, answer, n)),
    ("repeated sequences were dropped (a set does that), in the answer too. Count them.",
     _grams(lambda ours, theirs: len(ours.keys() & theirs.keys()) / len(ours))),
    ("each sequence counts once at most. It counts as often as both have it.",
     _grams(lambda ours, theirs: len(ours.keys() & theirs.keys()) / ours.total())),
    ("this is the number of matches. Divide by the number of sequences in the answer.",
     _grams(lambda ours, theirs: (ours & theirs).total())),
    ("these are single words: use `size` words.", lambda a, b, n: clipped_precision(a, b, 1)),
    ("these are sequences of characters. Split the texts into words first.",
     lambda a, b, n: clipped_precision(*(" ".join(x.replace(" ", "_")) for x in (a, b)), n)),
    ("this is divided by the number of words. n words have n - size + 1 sequences of `size` words.",
     lambda a, b, n: clipped_precision(a, b, n) * (1 - (n - 1) / len(a.split()))),
)
clipped_precision.also_right(
    _grams(lambda ours, theirs: 1 - (ours - theirs).total() / ours.total()))


@exercise("spans-next", "the words", "only the words that are left may come next.",
          cases=[case(["bad", "very", "film", "very", "a"], written, expected=left)
                 for written, left in [(["a", "very"], ["bad", "film", "very"]),
                                       (["very", "a", "very"], ["bad", "film"]),
                                       ([], ["a", "bad", "film", "very"]),
                                       (["a", "very", "very", "bad", "film"], ["</s>"])]])
def next_words(words: list[str], written: list[str]) -> list[str]:
    """Return the words that may come next when each given word must be written once.

    words: the given words, in any order. A word that is given twice is written twice. The
        list must not be modified.
    written: the words written so far, all of them given. It must not be modified either.
    Returns the different words that are left, in alphabetical order, or ["</s>"] when none is
    left.

    Example: next_words(["film", "a"], ["a"]) returns ["film"].
    """
    left = Counter(words) - Counter(written)
    return sorted(left) or ["</s>"]


next_words.mistakes(
    ("words that were used up are still offered. Each may be written as often as it was given.",
     lambda words, written: sorted(set(words))),
    ("a word that was written once is gone, although it was given twice. Count them.",
     lambda words, written: sorted(set(words) - set(written)),
     lambda words, written: sorted(set(words) - set(written)) or ["</s>"]),
    ("when no word is left, the text must be able to end: return ['</s>'].",
     lambda words, written: sorted(Counter(words) - Counter(written))),
    ("a word is offered twice. Name each word once.",
     lambda words, written: sorted((Counter(words) - Counter(written)).elements()),
     lambda words, written: sorted((Counter(words) - Counter(written)).elements()) or ["</s>"]),
    ("the end is offered although words are left. It may come only when all were written.",
     lambda words, written: sorted(Counter(words) - Counter(written)) + ["</s>"],
     lambda words, written: ["</s>"] + sorted(Counter(words) - Counter(written))),
    ("these words are written. Return what is left.", lambda words, written: sorted(set(written))),
)
next_words.hint_if("these are the right words, but not in alphabetical order: sort them.",
                   lambda case, got: sorted(got) == case.expected,
                   lambda *given: next_words(*given)[::-1])
next_words.also_right(lambda words, written: sorted(
    {word for word in words if words.count(word) > written.count(word)}) or ["</s>"])
