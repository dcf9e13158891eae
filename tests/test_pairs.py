"""Properties of next-sentence prediction, sentence-order prediction and permutation.

Each is a function ``check_*`` of the module as it is. tests/test_pairs_mutants.py breaks the
module in one place and expects a property to fail.

In most tests every token says where it stood: document, sentence, place in the sentence.
"""

import copy
import random
from collections import Counter
from itertools import product
from math import sqrt

import pytest
import tiny
import torch
from torch.nn.functional import cross_entropy, pad
from transformers import (
    AlbertConfig,
    AlbertForPreTraining,
    AlbertForTokenClassification,
    BertConfig,
    BertForMaskedLM,
    BertForNextSentencePrediction,
    BertForPreTraining,
    BertForTokenClassification,
)

from companion.errors import CourseError
from companion.objectives import pairs
from companion.objectives.masked import IGNORE

TOKENIZER = tiny.wordpiece()
SEP = TOKENIZER.sep_token_id
SIGMAS = 5  # a right implementation is outside with a probability below one in a million
PAIRS = ("NextSentence", "SentenceOrder")
ALL = (*PAIRS, "SentencePermutation")


def make(name, **settings):
    return getattr(pairs, name)(TOKENIZER, **settings)


def token(document, place, index):
    return 10_000 * (document + 1) + 100 * place + index


def where(number):
    """(document, place of the sentence, place in the sentence) of a token."""
    return number // 10_000 - 1, number // 100 % 100, number % 100


def sentence(document, place, length):
    return [token(document, place, index) for index in range(length)]


def documents(count, sentences=(6, 9), lengths=(2, 12), seed=0):
    draw = random.Random(seed)
    return [[sentence(d, p, draw.randint(*lengths)) for p in range(draw.randint(*sentences))]
            for d in range(count)]


def parts(batch, row):
    """The parts of a row: [[(document, place, index), ...], ...]."""
    ids = batch["input_ids"][row][batch["attention_mask"][row].bool()].tolist()
    assert ids[0] == TOKENIZER.cls_token_id and ids[-1] == SEP
    found = [[]]
    for number in ids[1:-1]:
        if number == SEP:
            found.append([])
        else:
            found[-1].append(where(number))
    return found


def drawn(name, texts, batches=20, **settings):
    """(parts, label) of many rows; the label of a permutation is its order."""
    collator = make(name, **settings)
    for number in range(batches):
        batch = collator(texts, number)
        for row in range(len(texts)):
            label = batch["labels"][row]
            label = label.item() if name in PAIRS else label[label != IGNORE].tolist()
            yield parts(batch, row), label


# --- labels -------------------------------------------------------------------------------


def check_labels_are_balanced():
    for name, count in product(PAIRS, (4, 10, 32)):
        for number in range(5):
            assert make(name)(documents(count), number)["labels"].sum() == count / 2
    for name in PAIRS:
        collator, texts = make(name), documents(7)
        ones = [collator(texts, n)["labels"].sum().item() for n in range(100)]
        assert set(ones) == {3, 4}
        assert abs(ones.count(3) - 50) < SIGMAS * sqrt(25)


def check_labels_are_true():
    for half in (1, 2):
        for (a, b), label in drawn("NextSentence", documents(8), sentences=half):
            follows = a[-1][:2] == (b[0][0], b[0][1] - 1)
            same = {d for d, _, _ in a} == {d for d, _, _ in b}
            assert (follows and same) if label == 0 else not same
        for (a, b), label in drawn("SentenceOrder", documents(8), sentences=half):
            first, second = (b, a) if label else (a, b)
            assert first[-1][:2] == (second[0][0], second[0][1] - 1)


def check_places_are_true():
    for count in (2, 3, 4):
        for found, label in drawn("SentencePermutation", documents(8), count=count):
            assert len({part[0][0] for part in found}) == 1
            places = [part[0][1] for part in found]
            assert [place - min(places) for place in places] == label
            assert sorted(label) == list(range(count))


def check_places_stand_at_the_separators():
    batch = make("SentencePermutation", length=48)(documents(16))
    assert torch.equal(batch["labels"] != IGNORE, batch["input_ids"] == SEP)


def check_labels_do_not_depend_on_the_row():
    for name in PAIRS:
        collator, texts = make(name), documents(6)
        ones = sum(collator(texts, n)["labels"] for n in range(100))
        assert (abs(ones - 50) < SIGMAS * sqrt(25)).all()


def check_orders_are_balanced():
    collator = make("SentencePermutation")
    for count in (6, 7, 12, 16):
        labels = collator(documents(count), 3)["labels"]
        orders = Counter(tuple(row[row != IGNORE].tolist()) for row in labels)
        assert sum(orders.values()) == count
        assert {orders[order] for order in pairs.permutations(range(3))} <= {count // 6,
                                                                           -(-count // 6)}
    alone = Counter(tuple(label) for _, label in
                    drawn("SentencePermutation", documents(1), batches=360))
    assert len(alone) == 6
    assert all(abs(n - 60) < SIGMAS * sqrt(360 * 5 / 36) for n in alone.values())


# --- nothing but the content tells ----------------------------------------------------------


def check_random_halves_are_exchanged():
    """The random pairs of a batch hold the halves that their documents would have given."""
    texts = documents(9)
    for number in range(20):
        batch = make("NextSentence")(texts, number)
        rows = [parts(batch, row) for row in batch["labels"].nonzero().flatten().tolist()]
        follow = sorted((d, p + 1) for (d, p, _), *_ in (a for a, _ in rows))
        assert sorted(b[0][:2] for _, b in rows) == follow


def check_halves_come_from_the_same_places():
    """No second half begins a document and no first half ends one, whatever the label."""
    texts = documents(8, sentences=(2, 4))
    for (a, b), _ in drawn("NextSentence", texts):
        assert b[0][1] > 0 and a[-1][1] < len(texts[a[0][0]]) - 1


def check_every_place_is_used():
    texts = documents(8, sentences=(5, 5))
    for name, places in [("NextSentence", {0, 1, 2, 3}), ("SentenceOrder", {1, 2}),
                         ("SentencePermutation", {1})]:
        assert {min(part[0][1] for part in found) for found, label in drawn(name, texts)
                if name != "NextSentence" or label == 0} == places


def check_ends_of_documents_are_left_out():
    texts = documents(8, sentences=(5, 6))
    for name in ("SentenceOrder", "SentencePermutation"):
        for found, _ in drawn(name, texts):
            for part in found:
                assert 0 < part[0][1] < len(texts[part[0][0]]) - 1


def check_copies_lend_nothing():
    originals = documents(4)
    same_opening = [originals[0][0], *documents(5)[4][1:]]
    texts = [*originals, *copy.deepcopy(originals[:2]), same_opening]
    known = [{tuple(s) for s in text} for text in texts]
    for number in range(40):
        batch = make("NextSentence")(texts, number)
        for row in batch["labels"].nonzero().flatten().tolist():
            document, place, _ = parts(batch, row)[1][0]
            half = next(tuple(s) for t in texts for s in t if s[0] == token(document, place, 0))
            lenders = [k for k in known if half in k]
            assert all(known[row].isdisjoint(lender) for lender in lenders)


def check_no_sentence_stands_twice():
    texts = documents(6)
    for text in texts:
        text[3:3] = [text[2], text[1]]  # places 0 1 2 2 1 3 ...
    for name, settings in [(n, {}) for n in ALL] + [(n, {"sentences": 2}) for n in PAIRS]:
        for found, _ in drawn(name, texts, length=100, **settings):
            places = [(d, p) for part in found for d, p, index in part if index == 0]
            assert len(set(places)) == len(places)


# --- rows ---------------------------------------------------------------------------------


def check_lengths_are_fair():
    for count in (2, 3):
        for lengths in product(range(1, 7), repeat=count):
            for room in range(count, 16):
                kept = pairs.fair_lengths(lengths, room)
                assert sum(kept) == min(sum(lengths), room)
                for had, has in zip(lengths, kept):
                    assert has == had or max(kept) - 1 <= has < had


def check_rows_are_cut_fairly():
    texts, length = documents(8, lengths=(1, 40)), 32
    cut = 0
    for name in ALL:
        for found, _ in drawn(name, texts, length=length):
            had = [len(texts[part[0][0]][part[0][1]]) for part in found]
            room = length - 1 - len(found)
            assert sum(map(len, found)) == min(room, sum(had))
            longest = max(map(len, found))
            assert all(len(part) in (n, longest, longest - 1) for part, n in zip(found, had))
            cut += sum(had) > room
    assert cut > 100


def check_cuts_do_not_tell():
    """The first part keeps its end, the others their beginning, whatever the label."""
    texts = documents(8, lengths=(1, 40))
    for name in ALL:
        for found, _ in drawn(name, texts, length=32):
            for place, part in enumerate(found):
                document, number, _ = part[0]
                whole = [where(t) for t in texts[document][number]]
                assert part == (whole[: len(part)] if place else whole[-len(part):])


def check_rows_are_as_the_tokenizer_writes_them():
    texts = [[part + "." for part in text.split(".")[:-1]] for text in tiny.texts(45)]
    texts = [sum(texts[i : i + 3], []) for i in range(0, 45, 3)]
    encoded = pairs.encode(texts, TOKENIZER)
    spelled = {tuple(ids): text for doc, row in zip(texts, encoded) for text, ids in zip(doc, row)}
    for name in PAIRS:
        batch = make(name, length=100)(encoded)
        for row in range(len(texts)):
            ids = batch["input_ids"][row][batch["attention_mask"][row].bool()].tolist()
            middle = ids.index(SEP)
            a, b = (spelled[tuple(half)] for half in (ids[1:middle], ids[middle + 1 : -1]))
            theirs = TOKENIZER(a, b, padding="max_length", max_length=100, return_tensors="pt")
            assert all(torch.equal(batch[k][row], theirs[k][0]) for k in theirs)


def check_segments_alternate():
    for name in ALL:
        batch = make(name, length=40)(documents(16))
        filled = batch["attention_mask"] == 1
        before = (batch["input_ids"] == SEP).cumsum(1) - (batch["input_ids"] == SEP).long()
        assert torch.equal(batch["token_type_ids"], torch.where(filled, before % 2, 0))


def check_padding_is_masked():
    for name in ALL:
        batch = make(name, length=60)(documents(16))
        padding = batch["attention_mask"] == 0
        assert padding.any()
        assert torch.equal(padding, batch["input_ids"] == TOKENIZER.pad_token_id)


def check_shapes_are_fixed():
    for name, lengths in product(ALL, [(1, 2), (3, 9), (50, 60)]):
        batch = make(name, length=24)(documents(5, lengths=lengths))
        assert all(tensor.dtype == torch.int64 for tensor in batch.values())
        shapes = {key: tuple(tensor.shape) for key, tensor in batch.items()}
        labels = (5,) if name in PAIRS else (5, 24)
        assert shapes == {"input_ids": (5, 24), "token_type_ids": (5, 24),
                          "attention_mask": (5, 24), "labels": labels}


def check_draws_depend_on_seed_and_number():
    texts = documents(12)
    for name in ALL:
        first, again, other = (make(name, seed=1)(texts, number) for number in (4, 4, 5))
        assert all(torch.equal(first[key], again[key]) for key in first)
        for different in (other, make(name)(texts, 4), make(name, seed=-1)(texts, 4)):
            assert not torch.equal(first["input_ids"], different["input_ids"])
            assert not torch.equal(first["labels"], different["labels"])


def check_documents_are_not_modified():
    for name in ALL:
        texts = documents(8, lengths=(1, 40))
        before = copy.deepcopy(texts)
        make(name, length=24)(texts)
        assert texts == before


# --- losses -------------------------------------------------------------------------------


def model_of(kind, seed=1, **settings):
    torch.manual_seed(seed)
    config = AlbertConfig if kind.__name__.startswith("Albert") else BertConfig
    sizes = {"embedding_size": 8} if config is AlbertConfig else {}
    return kind(config(
        vocab_size=len(TOKENIZER), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=64, pad_token_id=0, initializer_range=0.5,
        **sizes, **settings,
    )).eval()


def real_batch(name, **settings):
    """A batch with ids of the vocabulary and with padding."""
    texts = [[[5 + t % (len(TOKENIZER) - 5) for t in s] for s in d] for d in documents(8)]
    return make(name, length=30, **settings)(texts)


def close(ours, theirs):
    assert ours.item() == pytest.approx(theirs.item(), abs=1e-5, rel=1e-5)


@torch.no_grad()
def check_pairs_equal_to_transformers():
    for name, seed in product(PAIRS, (1, 2)):
        batch = real_batch(name)
        model = model_of(BertForNextSentencePrediction, seed)
        close(pairs.loss(model, batch), model(**batch).loss)
        for kind, key in [(AlbertForPreTraining, "sentence_order_label"),
                          (BertForPreTraining, "next_sentence_label")]:
            model, words = model_of(kind, seed), batch["input_ids"].clone()
            inputs = {**batch, "labels": words, key: batch["labels"]}
            out = model(**inputs)
            close(pairs.loss(model, batch),
                  out.loss - cross_entropy(out.prediction_logits.flatten(0, 1), words.flatten()))


@torch.no_grad()
def check_places_equal_to_transformers():
    for kind, count in product((BertForTokenClassification, AlbertForTokenClassification), (2, 3)):
        batch = real_batch("SentencePermutation", count=count)
        model = model_of(kind, num_labels=count)
        close(pairs.order_loss(model, batch), model(**batch).loss)


@torch.no_grad()
def check_padding_does_not_count():
    """Whatever stands in padded positions, and however many there are: same loss."""
    for name, loss, model in [
        ("NextSentence", "loss", model_of(BertForNextSentencePrediction)),
        ("SentenceOrder", "loss", model_of(AlbertForPreTraining)),
        ("SentencePermutation", "order_loss", model_of(BertForTokenClassification, num_labels=3)),
    ]:
        batch, values = real_batch(name), []
        for width, filler in [(0, 0), (1, 0), (20, 0), (20, 7), (33, 100)]:
            wider = {key: pad(tensor, (0, width)) for key, tensor in batch.items()
                     if key != "labels"}
            filled = torch.where(wider["attention_mask"] == 0, filler, wider["input_ids"])
            labels = batch["labels"]
            labels = pad(labels, (0, width), value=IGNORE) if labels.ndim == 2 else labels
            wider |= {"input_ids": filled, "labels": labels}
            values.append(getattr(pairs, loss)(model, wider).item())
        assert values == pytest.approx([values[0]] * len(values), abs=1e-5)


PROPERTIES = {name: value for name, value in globals().items() if name.startswith("check_")}


@pytest.mark.parametrize("name", PROPERTIES)
def test_property(name):
    PROPERTIES[name]()


# --- details ------------------------------------------------------------------------------


def test_encode_leaves_out_empty_sentences_and_cuts_nothing():
    long = "the teacher " * 400
    ids = pairs.encode([["the river", "", " "], [], [long]], TOKENIZER)
    river = TOKENIZER("the river", add_special_tokens=False)["input_ids"]
    assert [len(document) for document in ids] == [1, 0, 1]
    assert ids[0] == [river] and len(ids[2][0]) >= 800


def test_usable_says_what_can_be_drawn():
    text = documents(1, sentences=(4, 4))[0]
    for name, needed in [("NextSentence", 2), ("SentenceOrder", 4), ("SentencePermutation", 5)]:
        collator = make(name)
        assert not any(collator.usable(text[:n]) for n in range(min(needed, 5)))
        assert collator.usable([*text, [7]][:needed])
    assert not make("NextSentence").usable([[7, 8]] * 9)


def refused(match, call):
    with pytest.raises(CourseError, match=match) as problem:
        call()
    assert "\n" not in str(problem.value) and ": " in str(problem.value)


@pytest.mark.parametrize("name, settings, match", [
    ("NextSentence", {"length": 4}, "length is 4: give at least 5"),
    ("NextSentence", {"length": 8.0}, "length is 8.0: give a whole number"),
    ("NextSentence", {"seed": None}, "seed is of type NoneType: give a whole number"),
    ("SentenceOrder", {"sentences": 0}, "sentences is 0: give at least 1"),
    ("SentencePermutation", {"count": 1}, "count is 1: give at least 2"),
    ("SentencePermutation", {"count": 7}, "count is 7: give at most 6"),
    ("SentencePermutation", {"count": 4, "length": 8}, "length is 8: give at least 9"),
])
def test_wrong_settings_are_refused(name, settings, match):
    refused(match, lambda: make(name, **settings))


def test_a_tokenizer_without_padding_is_refused():
    tokenizer = tiny.wordpiece()
    tokenizer.pad_token = None
    refused("no padding|or padding: use one", lambda: pairs.NextSentence(tokenizer))


@pytest.mark.parametrize("name, texts, match", [
    ("NextSentence", documents(3), "there are 3 documents: give at least 4"),
    ("SentenceOrder", [], "there are 0 documents: give at least 1"),
    ("SentenceOrder", [*documents(2), [[7], [8], [9]]], "document 2 has too few .* usable"),
    ("SentenceOrder", [["a text", "another"]], "document 0 .*: call encode"),
    ("SentenceOrder", ["a text"], "document 0 .*: call encode"),
    ("SentenceOrder", [[7, 8, 9, 10]], "document 0 .*: call encode"),
    ("NextSentence", [[[7], [8], [9]]] * 4, "share sentences: remove duplicates"),
])
def test_documents_that_cannot_be_used_are_refused(name, texts, match):
    refused(match, lambda: make(name)(texts))


@pytest.mark.parametrize("texts, match", [
    (["one text"], "this is one text: give a list of texts"),
    ([["a", 3]], r"documents\[0\]\[1\] is of type int: give a str"),
    ([], "no sentences: give documents"),
    ([[]], "no sentences: give documents"),
])
def test_what_is_no_list_of_sentences_is_refused(texts, match):
    refused(match, lambda: pairs.encode(texts, TOKENIZER))


def test_models_and_labels_that_do_not_fit_are_refused():
    batch, permuted = real_batch("NextSentence"), real_batch("SentencePermutation")
    model, places = model_of(BertForNextSentencePrediction), model_of(BertForTokenClassification)
    refused("no head for pairs: use one of Bert",
            lambda: pairs.loss(model_of(BertForMaskedLM), batch))
    refused(r"labels have shape \(8, 30\): give", lambda: pairs.loss(model, permuted))
    refused("not all 0 or 1: take them",
            lambda: pairs.loss(model, {**batch, "labels": torch.full((8,), IGNORE)}))
    refused("knows 2 places, .*: build it", lambda: pairs.order_loss(places, permuted))
    refused("no position has a place: take", lambda: pairs.order_loss(places, batch))
