"""Words of character rows: where they begin, and masking them whole."""

import sys
from itertools import pairwise

import numpy as np
import pytest
import tiny
import torch
from hypothesis import given
from hypothesis import strategies as st

from companion.errors import CourseError
from companion.objectives.masked import IGNORE, MaskedLM
from companion.objectives.masked_order import MaskedOrder
from companion.segmentation import Segmented
from companion.tokenization import pack, train_characters

WORDS = ["中国", "的", "首都", "是", "北京", "天安门", "。"]
TEXTS = ["".join(np.random.default_rng(i).choice(WORDS, 9)) for i in range(60)]
TOKENIZER = train_characters(TEXTS, 60)
ROWS = pack(TEXTS, TOKENIZER, 32)


def by_list(text: str) -> list[str]:
    """Longest match from the left in a list of words; what is in none is a word of its own."""
    found = []
    while text:
        word = max((w for w in WORDS if text.startswith(w)), key=len, default=text[0])
        found.append(word)
        text = text[len(word) :]
    return found


def test_words_of_one_row_by_hand():
    ids = np.array([TOKENIZER("中国首都天安门龘。中国").input_ids])
    begins = Segmented(TOKENIZER, by_list)(ids)
    #      [CLS] 中 国 首 都 天 安 门 龘 。 中 国 [SEP]
    assert begins[0].astype(int).tolist() == [1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 1, 0, 1]


def test_special_tokens_end_words():
    sep = TOKENIZER.sep_token_id
    ids = TOKENIZER.convert_tokens_to_ids(["中", "国"])
    assert Segmented(TOKENIZER, by_list)(np.array([[ids[0], sep, ids[1]]])).all()


def chosen_words(collator, number):
    """How many words were hidden in part, and how many of several characters wholly."""
    labels = collator(ROWS[:16], number)["labels"]
    begins = Segmented(TOKENIZER, by_list)(ROWS[:16].astype(np.int64))
    part = whole = 0
    for flags, starts in zip((labels != IGNORE).numpy(), begins):
        for start, end in pairwise([*np.flatnonzero(starts), len(flags)]):
            part += 0 < flags[start:end].sum() < end - start
            whole += end - start > 1 and flags[start:end].all()
    return part, whole, int((labels != IGNORE).sum())


@given(st.integers(0, 1000))
def test_words_are_masked_whole_and_the_share_stays_exact(number):
    part, whole, count = chosen_words(
        MaskedLM(TOKENIZER, whole_words=True, segment=by_list), number)
    assert part <= 1 and whole > 10  # the last word drawn may be cut
    assert count == round(0.15 * 16 * 30)


def test_without_segment_characters_are_masked():
    """The check above can fail: characters of a vocabulary of characters are words of their own."""
    assert chosen_words(MaskedLM(TOKENIZER, whole_words=True), 0)[0] > 10


def test_jieba_knows_words():
    pytest.importorskip("jieba")
    ids = np.array([TOKENIZER("中国的首都是北京。", add_special_tokens=False).input_ids])
    begins = Segmented(TOKENIZER, "jieba")(ids)[0]
    assert begins.astype(int).tolist() == [1, 0, 1, 1, 0, 1, 1, 0, 1]


def test_pairs_can_be_masked_by_words_too():
    collator = MaskedOrder(TOKENIZER, whole_words=True, segment=by_list)
    plain = np.hstack([ROWS[:16], np.zeros_like(ROWS[:16])])
    alone = MaskedLM(TOKENIZER, whole_words=True, segment=by_list)(ROWS[:16], 3)
    assert torch.equal(collator(plain, 3)["labels"], alone["labels"])


@pytest.mark.parametrize("call, message", [
    (lambda: MaskedLM(TOKENIZER, segment=by_list), "set whole_words too"),
    (lambda: Segmented(tiny.wordpiece(), by_list), "has longer tokens: leave segment out"),
    (lambda: Segmented(TOKENIZER, str.split)(np.array([[5, 0, 6]])), "must leave no character"),
    (lambda: Segmented(TOKENIZER, "spacy"), "unknown segmenter 'spacy': give 'jieba', or a function"),
    (lambda: Segmented(TOKENIZER, "jieba"), "run 'pip install jieba'")])
def test_refusals(call, message, monkeypatch):
    monkeypatch.setitem(sys.modules, "jieba", None)
    with pytest.raises(CourseError, match=message) as problem:
        call()
    assert "\n" not in str(problem.value)
