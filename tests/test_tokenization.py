"""Vocabularies and packed rows."""

import numpy as np
import pandas as pd
import pytest
import tiny
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import CanineTokenizer

from companion.errors import CourseError
from companion.tokenization import (
    SPECIAL,
    by_length,
    cut_vocabulary,
    encode,
    pack,
    pack_ids,
    train_bpe,
    train_characters,
    train_wordpiece,
    word_starts,
)

TOKENIZER = tiny.wordpiece()
TEXTS = tiny.texts(50)
SEP, CLS = TOKENIZER.sep_token_id, TOKENIZER.cls_token_id


def refused(match, call):
    with pytest.raises(CourseError, match=match) as problem:
        call()
    assert "\n" not in str(problem.value) and ": " in str(problem.value)


def ids_of(text, tokenizer=TOKENIZER):
    return tokenizer(text, add_special_tokens=False)["input_ids"]


# --- packing ------------------------------------------------------------------------------


@settings(max_examples=40)
@given(count=st.integers(1, 50), length=st.integers(3, 70))
def test_rows_hold_the_texts_one_after_the_other(count, length):
    flat = [i for text in TEXTS[:count] for i in [*ids_of(text), SEP]]
    number = len(flat) // (length - 2)
    if not number:
        return refused("do not fill one row", lambda: pack(TEXTS[:count], TOKENIZER, length))
    rows = pack(TEXTS[:count], TOKENIZER, length)
    assert rows.shape == (number, length)
    assert (rows[:, 0] == CLS).all() and (rows[:, -1] == SEP).all()
    assert rows[:, 1:-1].ravel().tolist() == flat[: number * (length - 2)]
    assert not (rows == TOKENIZER.pad_token_id).any()


def test_empty_texts_leave_no_trace():
    with_gaps = ["", *TEXTS[:5], " ", "", *TEXTS[5:]]
    assert (pack(with_gaps, TOKENIZER, 16) == pack(TEXTS, TOKENIZER, 16)).all()


def test_many_texts_are_packed_as_few_are(monkeypatch):
    whole = pack(TEXTS, TOKENIZER, 16)
    monkeypatch.setattr("companion.tokenization.BATCH", 7)
    assert (pack(iter(TEXTS), TOKENIZER, 16) == whole).all()


def test_truncation_and_padding_of_the_tokenizer_are_not_used():
    tokenizer = tiny.wordpiece()
    tokenizer(TEXTS[:3], truncation=True, max_length=4, padding="max_length")
    assert (pack(TEXTS, tokenizer, 16) == pack(TEXTS, TOKENIZER, 16)).all()


def test_two_bytes_an_id_while_they_are_enough():
    assert pack(TEXTS, TOKENIZER, 16).dtype == np.uint16
    tokenizer = tiny.wordpiece()
    tokenizer.add_tokens([f"extra{i}" for i in range(2**16 - len(tokenizer))])
    assert len(tokenizer) == 2**16
    assert pack(["extra65000 " * 20], tokenizer, 8).dtype == np.uint16
    tokenizer.add_tokens(["onemore"])
    rows = pack(["onemore " * 20], tokenizer, 8)
    assert rows.dtype == np.int32 and rows[0, 1] == 2**16


def test_what_cannot_be_packed_is_refused():
    refused("length is 2: a row needs room", lambda: pack(TEXTS, TOKENIZER, 2))
    refused("0 tokens do not fill one row of 8: give more", lambda: pack([], TOKENIZER, 8))
    refused("do not fill one row of 500: give", lambda: pack(TEXTS[:1], TOKENIZER, 500))
    causal = tiny.byte_bpe()
    causal.cls_token = None
    refused(r"no \[CLS\] or no \[SEP\]: use", lambda: pack(TEXTS, causal, 8))


ONE_TEXT = "the river in the morning"


@pytest.mark.parametrize("call", [
    lambda: encode(TOKENIZER, ONE_TEXT), lambda: pack(ONE_TEXT, TOKENIZER, 4),
    lambda: cut_vocabulary(TOKENIZER, ONE_TEXT, 100), lambda: train_wordpiece(ONE_TEXT, 100),
    lambda: train_bpe(ONE_TEXT, 300), lambda: train_characters(ONE_TEXT, 100),
])
def test_one_text_is_not_read_letter_by_letter(call):
    refused("this is one text: give a list of texts", call)


def test_slow_tokenizers_are_refused():
    refused("CanineTokenizer is a slow tokenizer: use", lambda: encode(CanineTokenizer(), TEXTS))
    refused("is a slow tokenizer: use", lambda: cut_vocabulary(CanineTokenizer(), TEXTS, 100))


# --- training -----------------------------------------------------------------------------


def test_a_trained_vocabulary():
    tokenizer = train_wordpiece(TEXTS, 90, max_length=77)
    assert len(tokenizer) <= 90 and tokenizer.model_max_length == 77
    assert tokenizer.convert_ids_to_tokens(range(5)) == list(SPECIAL.values())
    assert tokenizer.mask_token_id == 4
    assert tokenizer.unk_token_id not in {i for t in TEXTS for i in ids_of(t, tokenizer)}
    assert tokenizer.decode(ids_of(TEXTS[0], tokenizer)) == TEXTS[0].replace(" .", ".")


def test_the_same_texts_give_the_same_vocabulary():
    several = [train_wordpiece(order, 150).get_vocab() for order in (TEXTS, TEXTS, TEXTS[::-1])]
    assert several[0] == several[1] == several[2]


BPE = train_bpe(tiny.texts(200), 400)


@given(st.text())
@settings(max_examples=200)
def test_byte_level_bpe_gives_back_any_text(text):
    ids = BPE(text)["input_ids"]
    if not any(special in text for special in BPE.all_special_tokens):
        assert BPE.decode(ids) == text
        assert not set(ids) & set(BPE.all_special_ids)


def test_a_trained_byte_level_bpe():
    assert len(BPE) == 400 and (BPE.eos_token_id, BPE.pad_token_id) == (0, 1)
    assert BPE.unk_token is None and BPE.vocab_size == 400
    text = tiny.texts(1, 5)[0]
    assert len(BPE(text)["input_ids"]) < len(text) / 2  # it has learned words
    assert BPE.get_vocab() == train_bpe(tiny.texts(200)[::-1], 400).get_vocab()
    small = train_bpe(["The The The the the"] * 9, 262, lowercase=True)
    assert small.decode(small("The film.")["input_ids"]) == "the film."
    with pytest.raises(CourseError, match="vocab_size is 200: give at least 258"):
        train_bpe(tiny.texts(5), 200)


def test_pairs_have_segments():
    encoding = TOKENIZER("the river", "seven apples")
    first, second = ids_of("the river"), ids_of("seven apples")
    assert encoding["input_ids"] == [CLS, *first, SEP, *second, SEP]
    assert encoding["token_type_ids"] == [0] * (len(first) + 2) + [1] * (len(second) + 1)
    assert TOKENIZER("the river")["input_ids"] == [CLS, *first, SEP]


def test_case():
    assert ids_of("The RIVER") == ids_of("the river")
    cased = train_wordpiece(["The river", "the river"] * 20, 60, lowercase=False)
    assert ids_of("The river", cased) != ids_of("the river", cased)


def test_what_gives_no_vocabulary_is_refused():
    refused("vocab_size is 5: give more", lambda: train_wordpiece(TEXTS, 5))
    refused("vocab_size is 20, but characters .*: raise it", lambda: train_wordpiece(TEXTS, 20))
    refused("texts to train the vocabulary on are empty: give", lambda: train_wordpiece([], 100))
    refused("are empty: give", lambda: train_wordpiece(["", " "], 100))


# --- cutting ------------------------------------------------------------------------------

WIDE = train_wordpiece(tiny.texts(200), 400)
FEW = ["the river in the morning . the old gardener paints seven apples ."]


def characters(tokenizer):
    return {t for t in tokenizer.get_vocab() if len(t.removeprefix("##")) == 1}


@pytest.mark.parametrize("size", [80, 100, 150])
def test_kept_ids_are_the_same_tokens(size):
    cut, kept = cut_vocabulary(WIDE, FEW * 3, size)
    assert kept.shape == (len(cut),) and len(cut) <= size
    assert cut.convert_ids_to_tokens(range(len(cut))) == WIDE.convert_ids_to_tokens(kept.tolist())
    assert (np.diff(kept) > 0).all()  # the order is kept
    assert set(SPECIAL.values()) | characters(WIDE) <= set(cut.get_vocab())


def test_the_most_used_entries_stay():
    at_least = len(characters(WIDE)) + len(SPECIAL)
    used = [i for t in FEW for i in ids_of(t, WIDE)]
    the = WIDE.convert_tokens_to_ids("the")
    assert used.count(the) == max(map(used.count, used)) and "the" not in characters(WIDE)
    _, kept = cut_vocabulary(WIDE, FEW, at_least + 2)
    assert the in kept and len(kept) == at_least + 1 + 1
    _, kept = cut_vocabulary(WIDE, FEW, 400)  # room for all that is used, and no more taken
    assert set(used) <= set(kept) and len(kept) < 400


def test_every_word_can_still_be_written():
    cut, _ = cut_vocabulary(WIDE, FEW, 80)
    words = sorted({w for t in tiny.texts(200) for w in t.split()} | set(WIDE.get_vocab()))
    longer = 0
    for word in words:
        if WIDE.unk_token_id not in ids_of(word, WIDE):
            assert cut.unk_token_id not in ids_of(word, cut), word
            longer += len(ids_of(word, cut)) > len(ids_of(word, WIDE))
    assert longer > 20


def test_texts_of_kept_entries_have_the_same_embeddings():
    cut, kept = cut_vocabulary(WIDE, FEW, 150)
    embeddings = torch.arange(len(WIDE))[:, None] * torch.ones(3)
    old = torch.tensor(WIDE(FEW[0], "the river")["input_ids"])
    new = torch.tensor(cut(FEW[0], "the river")["input_ids"])
    assert torch.equal(embeddings[kept][new], embeddings[old])


def test_a_cut_tokenizer_is_saved_and_loaded(tmp_path):
    from transformers import AutoTokenizer

    cut, _ = cut_vocabulary(WIDE, FEW, 100)
    cut.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    assert loaded("The River", "apples")["input_ids"] == cut("The River", "apples")["input_ids"]
    assert loaded.mask_token_id == cut.mask_token_id


def test_what_cannot_be_cut_is_refused():
    smallest = len(characters(WIDE)) + len(SPECIAL)
    refused(f"alone are {smallest}: raise it", lambda: cut_vocabulary(WIDE, FEW, smallest - 1))
    cut_vocabulary(WIDE, FEW, smallest)
    refused("only a WordPiece vocabulary", lambda: cut_vocabulary(tiny.byte_bpe(), FEW, 300))


# --- where words begin --------------------------------------------------------------------

TOKENIZERS = {"wordpiece": TOKENIZER, "byte_bpe": tiny.byte_bpe(),
              "sentencepiece": tiny.sentencepiece()}


@pytest.mark.parametrize("name", TOKENIZERS)
def test_words_begin_where_they_do(name):
    tokenizer = TOKENIZERS[name]
    starts = word_starts(tokenizer)
    assert starts.shape == (len(tokenizer),) and starts.dtype == bool
    assert starts[tokenizer.all_special_ids].all()
    several = 0
    for text in TEXTS:
        text = " " + text.replace(" .", "")  # byte-level BPE marks the space before a word
        begins = starts[ids_of(text, tokenizer)]
        assert begins[0] and begins.sum() == len(text.split())
        several += len(begins) > begins.sum()
    assert several == len(TEXTS)  # all have words of several pieces


def test_entries_that_look_like_another_kind_do_not_decide():
    assert "##" in TOKENIZERS["byte_bpe"].get_vocab()


def test_a_vocabulary_without_marks_is_one_of_words():
    characters_only = train_wordpiece(["a b c d"], 50)
    assert word_starts(characters_only).all()


def test_batches_by_length_hold_every_text_once_with_its_own_ids():
    tokenizer = tiny.wordpiece()
    texts = [*tiny.texts(5), "a", "a film", "good", "bad", *tiny.texts(3, 4)]
    found, widths = {}, []
    for which, rows in by_length(tokenizer, texts, 12, size=4):
        widths.append(rows["input_ids"].shape[1])
        for place, ids, mask in zip(which, rows["input_ids"], rows["attention_mask"]):
            assert place not in found
            found[place] = ids[mask.bool()].tolist()
    right = tokenizer(texts, truncation=True, max_length=12)["input_ids"]
    assert [found[place] for place in range(len(texts))] == right
    assert widths[0] < widths[-1] == 12  # short texts first, in a row of their own length


@pytest.mark.parametrize(("match", "call"), [
    ("nothing to encode", lambda: by_length(TOKENIZER, [], 12)),
    ("this is one text", lambda: by_length(TOKENIZER, "one text", 12)),
    ("length is 0 and size is 64", lambda: by_length(TOKENIZER, ["a"], 0)),
    ("length is 9 and size is 0", lambda: by_length(TOKENIZER, ["a"], 9, 0)),
    (r"texts\[1\] is no valid Unicode", lambda: encode(TOKENIZER, ["a", "\ud83d"])),
    (r"texts\[0\] is NaN", lambda: pack([float("nan")], TOKENIZER)),
    ("tokenizer is of type str", lambda: pack(["a"], "bert")),
    ("length is of type float|length is 9.5", lambda: pack(["a"], TOKENIZER, 9.5)),
    ("texts is a dict", lambda: train_characters({"a": "b"}, 50)),
    ("vocab_size is 5: give more", lambda: train_characters(TEXTS, 5)),
    ("vocab_size is 1,000,000,000: give at most", lambda: train_wordpiece(TEXTS, 10**9)),
    ("max_length is 0: give at least 1", lambda: train_bpe(TEXTS, 300, max_length=0)),
    (r"ids outside 0..", lambda: pack_ids([[5, len(TOKENIZER)]], TOKENIZER, 3)),
    (r"ids outside 0..", lambda: pack_ids([[-1, 5]], TOKENIZER, 3)),
])
def test_bad_input_is_refused(match, call):
    refused(match, call)


def test_any_container_of_texts_is_packed():
    rows = pack(TEXTS, TOKENIZER, 16)
    for same in (tuple(TEXTS), np.array(TEXTS), pd.Series(TEXTS), iter(TEXTS)):
        assert (pack(same, TOKENIZER, 16) == rows).all()
    assert (pack_ids(map(np.array, map(ids_of, TEXTS)), TOKENIZER, 16) == rows).all()
