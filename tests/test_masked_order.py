"""Masked words with sentence order: rows, labels, and the losses of Hugging Face."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AlbertConfig, AlbertForPreTraining, BertConfig, BertForPreTraining

from companion.corpora.sentences import split_sentences
from companion.errors import CourseError
from companion.objectives import masked_order
from companion.objectives.masked import IGNORE
from companion.objectives.masked_order import (
    MaskedOrder,
    pack_pairs,
    pair_rows,
    places,
    stretches,
)
from companion.pretraining.loop import evaluate
from companion.pretraining.tasks import TASKS
from companion.tokenization import pack_ids, train_characters

LENGTH = 24
SENTENCES = st.lists(st.lists(st.integers(5, 99), min_size=1, max_size=40), max_size=12)


def news(count: int, seed: int = 0) -> list[str]:
    """Texts of seven sentences of 12 characters, each sentence with a number of its own."""
    draw = np.random.default_rng(seed)
    letters = [chr(0x4E00 + i) for i in range(60)]
    return ["".join("".join(draw.choice(letters, 11)) + "。" for _ in range(7))
            for _ in range(count)]


TOKENIZER = train_characters(news(200), 80)
ROWS = pack_pairs(news(40), TOKENIZER, LENGTH)
PAIRS = ROWS[ROWS[:, LENGTH] != TOKENIZER.pad_token_id]


def model(kind, config):
    torch.manual_seed(1)
    return kind(config(
        vocab_size=len(TOKENIZER), embedding_size=8, hidden_size=16, num_hidden_layers=1,
        num_attention_heads=2, intermediate_size=32, max_position_embeddings=LENGTH,
        initializer_range=0.5)).eval()


# --- rows ---------------------------------------------------------------------------------


@given(SENTENCES, st.integers(5, 40), st.integers(0, 2))
def test_stretches_lose_no_sentence(sentences, length, margin):
    pairs, rest = stretches(sentences, length, margin)
    flat = [i for first, second in pairs for i in (*first, *second)]
    kept = [i for sentence in rest for i in sentence]
    assert sorted(flat + kept) == sorted(i for sentence in sentences for i in sentence)
    for first, second in pairs:
        assert all(places(length)[1] <= len(part) <= length for part in (first, second))


def test_stretches_follow_each_other_from_the_margin_on():
    sentences = [[number] * 12 for number in range(10, 17)]
    pairs, rest = stretches(sentences, LENGTH)
    assert pairs == [([10] * 12, [11] * 12), ([12] * 12, [13] * 12), ([14] * 12, [15] * 12)]
    assert rest == [[16] * 12]
    pairs, rest = stretches(sentences, LENGTH, margin=1)
    assert pairs == [([11] * 12, [12] * 12), ([13] * 12, [14] * 12)]
    assert rest == [[10] * 12, [15] * 12, [16] * 12]


def test_stretches_by_hand():
    """Places of 2 and 3 in rows of 8: a stretch has 3 to 8 tokens, two are a pair."""
    a, b, c, d, e, f, g, h, i = ([n] * size for n, size in enumerate((2, 6, 3, 9, 8, 2, 1, 2, 7)))
    # a + b just fit; d is too long for a place; f and g are just enough; i does not go with h.
    assert stretches([a, b, c, d, e, f, g, h, i], 8) == ([(a + b, c), (e, f + g)], [d, h, i])
    assert stretches([c, d, c, c], 8) == ([(c, c)], [c, d])
    assert stretches([c, c, c, c], 8, margin=1) == ([(c, c)], [c, c])
    assert stretches([c, c, c], 8, margin=2) == ([], [c, c, c])
    assert stretches([a, b[:5], c, c], 8) == ([(a + b[:5], c)], [c])


def test_places_by_hand():
    assert [places(length) for length in (3, 4, 8, 24, 128)] == [
        (0, 0), (0, 1), (2, 3), (10, 11), (62, 63)]


def test_pairs_lie_in_the_halves_of_their_rows():
    rows = pair_rows([([5, 6], [7]), ([8], [9, 9, 9])], TOKENIZER, 3)
    assert rows.tolist() == [[5, 6, 0, 7, 0, 0], [8, 0, 0, 9, 9, 9]]


def test_rows_are_the_pairs_then_the_rest_in_one_order():
    texts = [*news(9), "A film. It was long. 很好", news(1, 3)[0][:30]]
    pairs, rest = [], []
    for text in texts:
        kind = "en" if text.startswith("A") else "zh"
        ids = [TOKENIZER(s, add_special_tokens=False).input_ids for s in split_sentences(text, kind)]
        new, left = stretches(ids, LENGTH, 1)
        pairs, rest = pairs + new, [*rest, [i for sentence in left for i in sentence]]
    plain = pack_ids(rest, TOKENIZER, LENGTH)
    every = np.concatenate([pair_rows(pairs, TOKENIZER, LENGTH), np.pad(plain, ((0, 0), (0, LENGTH)))])
    order = np.random.default_rng(0).permutation(len(every))
    assert len(pairs) > 9 and len(plain) > 3
    assert (pack_pairs(texts, TOKENIZER, LENGTH, margin=1) == every[order]).all()


def test_rows_hold_every_token_once():
    texts = news(12)
    rows = pack_pairs(texts, TOKENIZER, LENGTH)
    ids = [i for text in texts for i in TOKENIZER(text, add_special_tokens=False).input_ids]
    special = list(TOKENIZER.all_special_ids)
    held = rows[~np.isin(rows, special)]
    assert len(ids) - LENGTH < len(held) <= len(ids)  # the last plain row may be missing
    assert not set(held.tolist()) - set(ids)


def test_a_text_without_pairs_gives_plain_rows_alone():
    rows = pack_pairs(["天地。"] * 30, train_characters(["天地。"], 8), LENGTH)
    assert (rows[:, LENGTH:] == 0).all() and len(rows) == 30 * 4 // (LENGTH - 2)


def test_texts_that_form_pairs_alone_give_no_plain_row():
    """Six sentences of 12 tokens are three pairs; what is over does not fill a row of 24."""
    six = [text[: 6 * 12] for text in news(3)]
    rows = pack_pairs(six, TOKENIZER, LENGTH)
    assert len(rows) == 9 and (rows[:, LENGTH] != TOKENIZER.pad_token_id).all()
    assert rows.dtype == pack_pairs(news(40), TOKENIZER, LENGTH).dtype
    # A sentence that is over has 12 tokens and its end: 21 do not fill the 22 places of a row.
    (text,) = news(1)
    assert len(pack_pairs([text, text[:7]], TOKENIZER, LENGTH)) == 3
    assert len(pack_pairs([text, text[:8]], TOKENIZER, LENGTH)) == 3 + 1
    with pytest.raises(CourseError, match="do not fill one row of 24"):
        pack_pairs([news(1)[0][:12]], TOKENIZER, LENGTH)  # neither pairs nor a row


def test_one_text_is_not_read_letter_by_letter():
    with pytest.raises(CourseError, match="this is one text: give a list of texts"):
        pack_pairs(news(1)[0], TOKENIZER, LENGTH)


# --- batches ------------------------------------------------------------------------------


def clear(rows, number=0, seed=0):
    """A batch with all its tokens in sight."""
    batch = MaskedOrder(TOKENIZER, hidden=0.0, random=0.0, seed=seed)(rows, number)
    return batch["input_ids"], batch["order"], batch


def test_swapped_pairs_are_swapped_and_nothing_else():
    ids, order, batch = clear(PAIRS[:16])
    one, _ = places(LENGTH)
    for row, tokens, label in zip(PAIRS[:16], ids, order):
        a, b = (part[part != 0].tolist() for part in (row[:LENGTH], row[LENGTH:]))
        first, second = (b, a) if label else (a, b)
        assert tokens[1 : one + 1].tolist() == first[len(first) - one :]
        assert tokens[one + 2 : -1].tolist() == second[: LENGTH - 3 - one]
        assert tokens[[0, one + 1, -1]].tolist() == [2, 3, 3]
    assert batch["token_type_ids"].sum(1).tolist() == [LENGTH - one - 2] * 16


@pytest.mark.parametrize("count", [16, 4])  # of 4 pairs two are exchanged with each other
def test_next_pairs_exchange_their_second_stretches(count):
    one, _ = places(LENGTH)
    rows = PAIRS[:count]
    for number in range(4):
        batch = MaskedOrder(TOKENIZER, hidden=0.0, random=0.0, question="next")(rows, number)
        seconds = [row[LENGTH:][row[LENGTH:] != 0][: LENGTH - 3 - one].tolist() for row in rows]
        found = [tokens[one + 2 : -1].tolist() for tokens in batch["input_ids"]]
        assert batch["order"].sum() == count // 2
        for row, tokens, label, own, second in zip(rows, batch["input_ids"], batch["order"],
                                                   seconds, found):
            first = row[:LENGTH][row[:LENGTH] != 0]
            assert tokens[1 : one + 1].tolist() == first[len(first) - one :].tolist()
            assert (second != own) == bool(label)
        # Every second stretch stands there once: how often it occurs does not tell the label.
        assert sorted(found) == sorted(seconds)


def test_a_lone_pair_keeps_its_second_stretch():
    for number in range(6):
        batch = MaskedOrder(TOKENIZER, question="next")(PAIRS[:1], number)
        assert batch["order"].tolist() == [0]


def test_half_of_the_pairs_are_swapped_and_the_choice_changes_with_the_batch():
    drawn = [clear(PAIRS[:10], number)[1] for number in range(20)]
    assert all(order.sum() == 5 for order in drawn)
    odd = [int(clear(PAIRS[:11], number)[1].sum()) for number in range(60)]
    assert set(odd) == {5, 6} and 15 < odd.count(5) < 45
    assert len({tuple(order.tolist()) for order in drawn}) > 10
    assert torch.equal(drawn[3], clear(PAIRS[:10], 3)[1])


def test_nothing_but_the_content_tells_the_order():
    """Whatever the label, the second part begins where a sentence begins."""
    for number in range(10):
        ids, order, _ = clear(PAIRS[:12], number)
        full_stop = TOKENIZER.convert_tokens_to_ids("。")
        one, _ = places(LENGTH)
        assert (ids[:, one] == full_stop).all()


def test_plain_rows_have_no_question_of_order():
    plain = ROWS[ROWS[:, LENGTH] == 0][:6]
    batch = MaskedOrder(TOKENIZER)(plain, 0)
    assert (batch["order"] == IGNORE).all() and not batch["token_type_ids"].any()
    one = masked_order.loss(model(AlbertForPreTraining, AlbertConfig), batch)
    assert torch.isfinite(one)


def test_the_number_of_masked_positions_is_fixed():
    counts = {int((MaskedOrder(TOKENIZER)(PAIRS[:8], n)["labels"] != IGNORE).sum())
              for n in range(6)}
    assert len(counts) == 1


# --- losses -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind, config, key", [
    (AlbertForPreTraining, AlbertConfig, "sentence_order_label"),
    (BertForPreTraining, BertConfig, "next_sentence_label")])
def test_the_loss_is_that_of_transformers(kind, config, key):
    batch = MaskedOrder(TOKENIZER)(ROWS[:24], 2)
    assert 0 < (batch["order"] != IGNORE).sum() < 24  # both kinds of rows
    network = model(kind, config)
    with torch.no_grad():
        ours = masked_order.loss(network, batch)
        theirs = network(batch["input_ids"], token_type_ids=batch["token_type_ids"],
                         labels=batch["labels"], **{key: batch["order"]}).loss
    assert abs(ours - theirs) < 1e-5


def test_what_has_no_loss_is_refused():
    network, batch = model(AlbertForPreTraining, AlbertConfig), MaskedOrder(TOKENIZER)(ROWS[:4], 2)
    nothing = {**batch, "labels": torch.full_like(batch["labels"], IGNORE)}
    with pytest.raises(CourseError, match="no position has a label"):
        masked_order.loss(network, nothing)
    longer = MaskedOrder(TOKENIZER)(pack_pairs(news(40), TOKENIZER, LENGTH + 1)[:4], 2)
    with pytest.raises(CourseError, match=f"{LENGTH + 1}.* {LENGTH} positions"):
        masked_order.loss(network, longer)


@pytest.mark.parametrize("lost", ["pad_token", "cls_token"])
def test_tokenizers_of_another_form_are_refused(lost):
    tokenizer = copy.deepcopy(TOKENIZER)
    setattr(tokenizer, lost, None)
    with pytest.raises(CourseError, match="no .CLS. or no padding"):
        MaskedOrder(tokenizer)


def test_labels_that_do_not_count_change_nothing():
    network = model(AlbertForPreTraining, AlbertConfig)
    batch = MaskedOrder(TOKENIZER)(ROWS[:24], 2)
    with torch.no_grad():
        found = masked_order.predictions(network, batch)
        words = network(batch["input_ids"], token_type_ids=batch["token_type_ids"])
    where = batch["labels"] != IGNORE
    assert torch.allclose(found["masked"][0], words.prediction_logits[where], atol=1e-5)
    asked = batch["order"] != IGNORE
    assert torch.allclose(found["order"][0], words.sop_logits[asked], atol=1e-5)
    assert torch.equal(found["order"][1], batch["order"][asked])


@pytest.mark.parametrize("question", ["order", "next"])
def test_validation_counts_the_pairs(question):
    network, task = model(AlbertForPreTraining, AlbertConfig), TASKS[f"masked_{question}"]
    judge = MaskedOrder(TOKENIZER, question=question)
    result = evaluate(network, judge, ROWS[:30], size=8, task=task)
    right = asked = 0
    for number, start in enumerate(range(0, 30, 8)):
        with torch.no_grad():
            logits, targets = task.also[question](network, judge(ROWS[start : min(start + 8, 30)],
                                                                number))
        right, asked = right + int((logits.argmax(-1) == targets).sum()), asked + len(targets)
    assert result[f"{question}_accuracy"] == pytest.approx(right / asked)
    assert result["loss"] > 0


# --- broken copies ------------------------------------------------------------------------


def cut_by_label(self, rows, changed):
    """Cuts first, swaps then: the place of a cut sentence tells the label."""
    one, two = places(rows.shape[1] // 2)
    first, second = RIGHT(self, rows, changed & False)
    for row in np.flatnonzero(changed):
        a, b = first[row][first[row] != 0][-one:], second[row][second[row] != 0][:two]
        first[row], second[row] = 0, 0
        first[row, :one], second[row, :two] = b[:one], np.resize(a, two)
    return first, second


def never_changed(self, rows, changed):
    return RIGHT(self, rows, changed & False)


def always_the_same(self, count, draw):
    return np.arange(count) % 2


def from_the_next_row(self, rows, changed):
    """A second stretch may be lent by a pair that keeps its own: it then stands twice."""
    first, second = RIGHT(self, rows, changed & False)
    second[changed] = np.roll(second, 1, axis=0)[changed]
    return first, second


RIGHT = MaskedOrder._changed


@pytest.mark.parametrize("name, broken, test", [
    ("_changed", cut_by_label, test_swapped_pairs_are_swapped_and_nothing_else),
    ("_changed", never_changed, test_swapped_pairs_are_swapped_and_nothing_else),
    ("_changed", never_changed, lambda: test_next_pairs_exchange_their_second_stretches(16)),
    ("_changed", from_the_next_row, lambda: test_next_pairs_exchange_their_second_stretches(16)),
    ("_labels", always_the_same,
     test_half_of_the_pairs_are_swapped_and_the_choice_changes_with_the_batch)])
def test_a_broken_collator_is_caught(name, broken, test, monkeypatch):
    monkeypatch.setattr(MaskedOrder, name, broken)
    with pytest.raises(AssertionError):
        test()


def test_another_question_is_refused():
    with pytest.raises(CourseError, match="unknown question 'both': use order or next"):
        MaskedOrder(TOKENIZER, question="both")


@pytest.mark.parametrize("rows", [np.zeros((2, 3)), np.zeros((0, 4)), np.zeros(4)])
def test_other_rows_are_refused(rows):
    with pytest.raises(CourseError, match="take them from pack_pairs"):
        MaskedOrder(TOKENIZER)(rows)


# --- what it stands on --------------------------------------------------------------------


@pytest.mark.parametrize("text, sentences", [
    ("他来了。你呢？好！", ["他来了。", "你呢？", "好！"]),
    ("他说：“走吧。”我走了……", ["他说：“走吧。”", "我走了……"]),
    ("价格是3.5元。", ["价格是3.5元。"]),
    ("没有句号", ["没有句号"]), ("", [])])
def test_chinese_sentences(text, sentences):
    assert split_sentences(text, "zh") == sentences


def test_tokens_of_a_character_vocabulary_are_characters():
    tokenizer = train_characters(["我在2015年看NBA，很好。"], 40)
    text = "我看NBA2015"
    assert tokenizer.convert_ids_to_tokens(tokenizer(text)["input_ids"])[1:-1] == list(text.lower())
    spaced = tokenizer("我 看\n龘", return_offsets_mapping=True, add_special_tokens=False)
    assert spaced["offset_mapping"] == [(0, 1), (2, 3), (4, 5)]
    assert spaced["input_ids"][2] == tokenizer.unk_token_id
    reordered = train_characters(["很好。看NBA，我在2015年"], 40)
    assert reordered.get_vocab() == tokenizer.get_vocab()


def test_a_character_vocabulary_keeps_the_most_frequent_ones():
    tokenizer = train_characters(["天天天地地人"], 7)
    assert set(tokenizer.get_vocab()) == {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "天", "地"}
    for texts, size, message in ((["天"], 5, "give more than"), (["  "], 9, "are empty")):
        with pytest.raises(CourseError, match=message):
            train_characters(texts, size)
