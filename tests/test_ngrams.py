"""Properties of the trigram model.

Each property is a function ``check_*()`` of ``companion.ngrams`` as it is.
tests/test_ngrams_mutants.py breaks the module and expects the same functions to fail.
"""

import lzma
import math
import random
from collections import defaultdict

import numpy as np
import pytest
import tiny
from test_causal import TOKENIZER, gpt

from companion import ngrams
from companion.errors import CourseError
from companion.ngrams import KneserNey
from companion.objectives import causal

EOS, SIZE = 3, 12  # eos is not 0: an id 0 must be nothing special


def random_documents(count: int, longest: int, seed: int = 0) -> list[list[int]]:
    """Zipf-like ids other than eos; id 11 never occurs. Some documents are empty."""
    draw = np.random.default_rng(seed)
    ids = np.array([i for i in range(SIZE - 1) if i != EOS])
    weights = 1 / np.arange(1, len(ids) + 1) ** 1.5
    return [[EOS, *draw.choice(ids, draw.integers(0, longest), p=weights / weights.sum()).tolist()]
            for _ in range(count)]


def fitted(seed: int = 0) -> KneserNey:
    return KneserNey.fit(random_documents(60, 12, seed), SIZE)


# --- the same model with dictionaries ------------------------------------------------------


class Slow:
    """The definition, one n-gram at a time, on texts as tuples of ids."""

    def __init__(self, documents, size):
        self.size, raw, before = size, defaultdict(int), defaultdict(set)
        for document in documents:
            closed = [*document, EOS]
            for end in range(1, len(closed)):
                for begin in range(max(0, end - 2), end + 1):
                    gram = tuple(closed[begin : end + 1])
                    raw[gram] += 1
                    if begin:
                        before[gram].add(closed[begin - 1])
        self.counts = [{}, {}, {}]
        for gram, count in raw.items():
            whole = len(gram) == 3 or (len(gram) == 2 and gram[0] == EOS)
            self.counts[len(gram) - 1][gram] = count if whole else len(before[gram])
        self.discounts = [self.discount(list(table.values())) for table in self.counts]

    @staticmethod
    def discount(counts):
        n = [counts.count(i) for i in range(5)]
        if 0 in n[1:4]:
            return 0, 0.5, 1, 1.5
        y = n[1] / (n[1] + 2 * n[2])
        found = [0] + [i - (i + 1) * y * n[i + 1] / n[i] for i in (1, 2, 3)]
        return found if all(0 < found[i] <= i for i in (1, 2, 3)) else (0, 0.5, 1, 1.5)

    def probability(self, context, token):
        order = len(context)
        table, discounts = self.counts[order], self.discounts[order]
        after = {gram: count for gram, count in table.items() if gram[:-1] == context}
        shorter = self.probability(context[1:], token) if context else 1 / self.size
        if not after:
            return shorter
        total = sum(after.values())
        count = after.get((*context, token), 0)
        left = sum(discounts[min(c, 3)] for c in after.values())
        return (count - discounts[min(count, 3)] + left * shorter) / total


def check_equal_to_a_slow_implementation():
    for seed in range(3):
        documents = random_documents(60, 12, seed)
        fast, slow = KneserNey.fit(documents, SIZE), Slow(documents, SIZE)
        assert any(order.estimated for order in fast.orders)
        for order, discounts in zip(fast.orders, slow.discounts, strict=True):
            assert np.allclose(order.discounts, discounts[1:], atol=1e-12)
        for document in [*random_documents(20, 9, seed + 100), [EOS, 11, 11, 0]]:
            ids = [*document, EOS]
            expected = [math.log(slow.probability(tuple(ids[max(0, i - 2) : i]), ids[i]))
                        for i in range(1, len(ids))]
            assert np.allclose(fast.log_probs(ids), expected, atol=1e-10)


# --- probabilities ------------------------------------------------------------------------


def check_probabilities_sum_to_one():
    model = fitted()
    contexts = [(a, b) for a in range(SIZE) for b in range(SIZE)] + [(a,) for a in range(SIZE)]
    for context in contexts:
        each = [model.log_probs([*context, c])[-1] for c in range(SIZE)]
        assert abs(np.exp(each).sum() - 1) < 1e-9


def check_unseen_has_a_chance():
    model = fitted()
    never = model.log_probs([EOS, 11, 11, 0, 11, EOS])
    assert np.isfinite(never).all()
    assert (never < 0).all()
    # Also where every context is followed by one token alone, very often.
    certain = KneserNey.fit([[EOS, 0, 1, 2]] * 50, SIZE)
    assert np.isfinite(certain.log_probs([EOS, 2, 1, 0, 0, 5, EOS])).all()


def check_by_hand():
    """Documents "a b" and "a c", twice each; eos 0, a 1, b 2, c 3. No discount is estimated."""
    model = KneserNey.fit([[0, 1, 2], [0, 1, 3]] * 2, 4)
    assert model.tokens == 12
    # Single tokens stand behind 1, 1, 1 (a, b, c) and 2 (eos) different tokens, 5 in all. The
    # discounts are 0.5 and 1, so 2.5 is left: half of 1/4 for every entry.
    a = b = 0.5 / 5 + 0.125
    c, eos = b, 1 / 5 + 0.125
    assert a + b + c + eos == pytest.approx(1)
    # Pairs: "eos a" occurs 4 times, "a b", "a c", "b eos" and "c eos" have one token before.
    a_eos = 2.5 / 4 + 1.5 / 4 * a
    b_a = 0.5 / 2 + 1 / 2 * b
    eos_b = 0.5 + 0.5 * eos
    # Triples: all four occur twice, and "eos a" before two different ones.
    expected = [a_eos, 1 / 4 + 2 / 4 * b_a, 1 / 2 + 1 / 2 * eos_b]
    assert np.allclose(np.exp(model.log_probs([0, 1, 2, 0])), expected, atol=1e-12)
    # "a b" was never followed by c, nor was b; "b b" and "c a" were never contexts.
    c_b = 0.5 * c
    assert np.exp(model.log_probs([1, 2, 3])[-1]) == pytest.approx(0.5 * c_b)
    assert np.exp(model.log_probs([2, 2, 3])[-1]) == pytest.approx(c_b)
    assert np.exp(model.log_probs([3, 1, 2])[-1]) == pytest.approx(b_a)


def check_discounts_by_hand():
    # 4, 2, 1, 1 n-grams with counts 1 to 4: Y = 4 / 8.
    counts = np.array([1, 4, 1, 2, 3, 1, 2, 1, 9, 0])
    assert ngrams.discounts_of(counts) == pytest.approx((0.5, 2 - 1.5 * 1 / 2, 3 - 2 * 1 / 1))
    assert ngrams.discounts_of(np.array([1, 1, 2, 5])) is None  # no count of 3
    assert ngrams.discounts_of(np.array([1, 2, 3, 3, 3, 3])) is None  # D2 would be below 0
    assert ngrams.discounts_of(np.array([1, 2, 3, 0])) == pytest.approx((1 / 3, 1, 3))


def check_a_repeated_document_is_known():
    ids = [EOS, 0, 1, 2, 0, 2, 1, 5, 4, 4, 7]
    model = KneserNey.fit([ids] * 200, SIZE)
    assert (np.exp(model.log_probs([*ids, EOS])) > 0.99).all()
    assert ngrams.perplexity(model, [ids], 10)["per_token"] < 1.01
    assert ngrams.perplexity(model, [ids[:1] + ids[:0:-1]], 10)["per_token"] > 20


def check_documents_do_not_meet():
    """A document is scored alike alone and in a stream; the order of the training is nothing."""
    documents = random_documents(60, 12)
    model = KneserNey.fit(documents, SIZE)
    alone = np.concatenate([model.log_probs([*ids, EOS]) for ids in documents])
    together = model.log_probs(ngrams.join(documents, SIZE))
    assert np.array_equal(alone, together)
    turned = KneserNey.fit(iter(documents[::-1]), SIZE).log_probs(ngrams.join(documents, SIZE))
    assert np.array_equal(together, turned)


def check_a_context_is_used():
    """Three tokens in a cycle: after two it is known which follows, after the last alone not."""
    documents = [[0, *[1, 2, 1, 3] * 5] for _ in range(5)]
    model = KneserNey.fit(documents, 4)
    assert np.exp(model.log_probs([2, 1, 3])[-1]) > 0.9
    assert np.exp(model.log_probs([3, 1, 2])[-1]) > 0.9
    assert 0.3 < np.exp(model.log_probs([1, 2])[-1]) < 0.7


def check_large_vocabularies_do_not_overflow():
    size = ngrams.LARGEST
    ids = [size - 1, 5, 5 + 2**16, 5 + 2**17]  # alike in their last 16 bits
    model = KneserNey.fit([ids] * 50, size)
    assert (np.exp(model.log_probs([*ids, ids[0]])) > 0.95).all()


def check_nothing_is_modified():
    ids = np.array([EOS, 1, 2, 1], np.uint16)
    model = KneserNey.fit([ids, ids], SIZE)
    model.log_probs(ids)
    assert ids.tolist() == [EOS, 1, 2, 1]
    assert ids.dtype == np.uint16


# --- perplexity ---------------------------------------------------------------------------


def check_perplexity_by_hand():
    model = fitted()
    documents = [[EOS, 1, 2], [EOS], [EOS, 5]]
    losses = -np.concatenate([model.log_probs([*ids, EOS]) for ids in documents])
    found = ngrams.perplexity(model, iter(documents), 7)
    assert found["tokens"] == len(losses) == 6
    assert found["characters"] == 7
    assert found["loss"] == pytest.approx(losses.mean())
    assert found["per_token"] == pytest.approx(np.exp(losses.mean()))
    assert found["per_character"] == pytest.approx(np.exp(losses.sum() / 7))
    assert found["bits_per_character"] == pytest.approx((losses / np.log(2)).sum() / 7)


def check_the_same_tokens_as_a_neural_model():
    """So that the figures may stand side by side: keys, tokens and characters agree."""
    texts = [*tiny.texts(4), "A word nobody knows: Zürich."]
    neural = causal.perplexity(gpt(), TOKENIZER, texts)
    model = KneserNey.fit(causal.documents(tiny.texts(50, seed=1), TOKENIZER), len(TOKENIZER))
    found = ngrams.perplexity(model, causal.documents(texts, TOKENIZER), sum(map(len, texts)))
    assert list(found) == [key for key in neural if key != "unknown"]
    assert found["tokens"] == neural["tokens"]
    assert found["characters"] == neural["characters"]
    assert found["bits_per_character"] < neural["bits_per_character"]  # that one is untrained


# --- compression --------------------------------------------------------------------------


def noise(length: int, seed: int) -> str:
    return "".join(random.Random(seed).choices("abcdefghijklmnop", k=length))


def check_given_text_is_used():
    held_out = [noise(3000, 1), noise(3000, 2)]
    # Noise of 16 letters cannot be packed below 4 bits a letter, unless it is known.
    unknown = ngrams.xz_bits_per_character(noise(40_000, 3), held_out)
    assert 4 <= unknown["given"] < 4.6
    known = ngrams.xz_bits_per_character("\n".join(held_out) + noise(40_000, 3), held_out)
    assert known["given"] < 0.2
    assert known["alone"] == unknown["alone"]
    assert known["bytes_of_training"] == 46_001
    assert known["characters"] == 6000


def check_alone_is_as_xz():
    texts = [" ".join(tiny.texts(30, seed)) for seed in range(10)]
    expected = lzma.compress("\n".join(texts).encode(), preset=9 | lzma.PRESET_EXTREME)
    bits = ngrams.xz_bits_per_character("other text", texts)["alone"] * sum(map(len, texts))
    assert abs(bits / 8 - len(expected)) <= 16  # a few bytes, for the size of the dictionary


def check_only_the_tail_is_shown():
    held_out = [noise(3000, 1)]
    last = ngrams.xz_bits_per_character(noise(9000, 2) + held_out[0], held_out, tail=3000)
    assert last["given"] < 0.5
    assert last["bytes_of_training"] == 3000
    first = ngrams.xz_bits_per_character(held_out[0] + noise(9000, 2), held_out, tail=3000)
    assert first["given"] >= 4


def check_characters_are_no_bytes():
    """A character of three bytes counts once, and a tail may begin inside one."""
    draw = random.Random(0)
    text = "".join(chr(draw.randrange(0x4E00, 0x5E00)) for _ in range(2000))
    found = ngrams.xz_bits_per_character(text * 2, [text], tail=4000)
    assert found["characters"] == 2000
    assert found["bytes_of_training"] == 4000
    assert 12 <= found["alone"] < 18  # drawn from 4,096 = 2 ** 12 characters


PROPERTIES = {name: value for name, value in globals().items() if name.startswith("check_")}


@pytest.mark.parametrize("name", PROPERTIES)
def test_property(name: str) -> None:
    PROPERTIES[name]()


# --- errors -------------------------------------------------------------------------------


@pytest.mark.parametrize("match, documents", [
    ("there are no documents", []), ("one has no eos", [[], [3, 1]]),
    ("no tokens: give some text", [[3], [3]]),
    ("outside 0..11", [[3, 12]]), ("outside", [[3, -1]]), ("outside", [[3, 2**40]]),
    ("no documents", None), ("no documents", 3), ("not a list of ids", {"a": [3]}),
    ("whole numbers", [[3, 2**70]]), ("outside", [np.array([12, 1], np.uint8)]),
    ("begin with eos", [[3, 1], [4, 1]]), ("hold it nowhere else", [[3, 1, 3]]),
    ("whole numbers", [[3, 1.5]]), ("whole numbers", [["ab"]]), ("whole numbers", [[True, False]]),
    ("not a list of ids", [[3, [1]]]), ("not a list of ids", [[[3, 1]]]),
])
def test_wrong_documents_are_refused(match, documents):
    with pytest.raises(CourseError, match=match):
        KneserNey.fit(documents, SIZE)


@pytest.mark.parametrize("match, ids", [
    ("fewer than two", [EOS]), ("fewer than two", []), ("outside", [EOS, SIZE]),
    ("outside", [-1, EOS]), ("whole numbers", [EOS, 0.5]), ("not a list", [[EOS, 1]]),
])
def test_wrong_ids_are_refused(match, ids):
    with pytest.raises(CourseError, match=match):
        fitted().log_probs(ids)


@pytest.mark.parametrize("match, documents, characters", [
    ("no documents", [], 5), ("texts are empty", [[EOS]], 0), ("outside", [[EOS, SIZE]], 1),
    ("begin with 1, those of the training with 3: use the same tokenizer", [[1, 2]], 3),
])
def test_wrong_texts_to_score_are_refused(match, documents, characters):
    with pytest.raises(CourseError, match=match):
        ngrams.perplexity(fitted(), documents, characters)


@pytest.mark.parametrize("size", [0, -1, ngrams.LARGEST + 1, None, 5.0, True])
def test_wrong_vocabularies_are_refused(size):
    with pytest.raises(CourseError, match="vocabulary is"):
        KneserNey.fit([[0, 1]], size)


@pytest.mark.parametrize("match, train, held_out, tail", [
    ("no training text", "", ["a"], 9), ("no held-out text", "a", [], 9),
    ("no held-out text", "a", ["", ""], 9), ("no tail", "a", ["b"], 0),
    ("is one text", "a", "b", 9),
])
def test_nothing_to_compress_is_refused(match, train, held_out, tail):
    with pytest.raises(CourseError, match=match):
        ngrams.xz_bits_per_character(train, held_out, tail)
