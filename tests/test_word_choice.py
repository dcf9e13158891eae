"""Choosing label words: the scores are the model's, labels are read where it is said, only."""

from contextlib import nullcontext

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import model as tiny_model
from tiny import texts, wordpiece

from companion.errors import CourseError
from companion.prompting import Template, word_choice

LABELS = torch.tensor([0, 1] * 40)


def drawn(columns: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(80, columns, generator=torch.Generator().manual_seed(seed))


def telling(strengths, seed: int = 0) -> torch.Tensor:
    """Columns that are noise plus their strength where the label is 1."""
    return drawn(len(strengths), seed) + LABELS[:, None] * torch.tensor(strengths)


def model_and_tokenizer():
    tokenizer = wordpiece()
    return tiny_model(vocabulary=len(tokenizer)), tokenizer


# --- the model's scores ---------------------------------------------------------------------

def test_log_probabilities_are_those_of_the_whole_model():
    model, tokenizer = model_and_tokenizer()
    template, rows = Template("{text} it was {mask} ."), list(range(3, 40, 2))
    found = word_choice.log_probabilities(model, tokenizer, template, texts(5), rows, "fp32")
    for text, mine in zip(texts(5), found):
        one = tokenizer(template.fill(text, tokenizer.mask_token), return_tensors="pt")
        with torch.no_grad():
            logits = model(**one).logits[0, one["input_ids"][0] == tokenizer.mask_token_id]
        assert torch.allclose(logits.log_softmax(-1)[0, rows], mine, atol=1e-5)


def test_two_masks_are_refused():
    model, tokenizer = model_and_tokenizer()
    with pytest.raises(CourseError, match="2 masks"):
        word_choice.log_probabilities(model, tokenizer, Template("{text} {mask} {mask}"),
                                      texts(1), [3])


def test_an_unknown_precision_is_refused():
    model, tokenizer = model_and_tokenizer()
    with pytest.raises(CourseError, match="unknown precision 'fp64': use one of fp32"):
        word_choice.log_probabilities(model, tokenizer, Template("{text} {mask}"), texts(1), [3],
                                      "fp64")


def test_everything_is_sent_to_the_device_of_the_model(monkeypatch):
    """The "meta" device stands for another one: it holds no numbers, so these are made up."""
    model, tokenizer = model_and_tokenizer()
    used = []

    def logits(model, ids, masks, rows, attention, normalised):
        used.extend(tensor.device.type for tensor in (ids, masks, rows, attention))
        return torch.zeros(len(ids), 1, len(rows))

    monkeypatch.setattr(word_choice, "word_logits", logits)
    monkeypatch.setattr(torch, "autocast",
                        lambda kind, *_, **__: used.append(kind) or nullcontext())
    found = word_choice.log_probabilities(model.to("meta"), tokenizer, Template("{text} {mask}"),
                                          ["a dog", "a small dog"], [3, 4], "fp32")
    assert used == ["meta"] * 5 and found.device.type == "cpu" and found.shape == (2, 2)


def test_plain_words_are_words_of_one_token():
    tokenizer = wordpiece(400)
    words = word_choice.plain_words(tokenizer)
    assert "winter" in words and "a" not in words and "." not in words
    for word, number in words.items():
        assert tokenizer.tokenize(word) == [word]
        assert tokenizer.convert_tokens_to_ids(word) == number


@pytest.mark.parametrize("rows", [[], [-1], [10**9], np.zeros(3)])
def test_rows_that_are_no_tokens_are_refused(rows):
    tokenizer = wordpiece()
    model = tiny_model(vocabulary=len(tokenizer))
    with pytest.raises(CourseError, match=r"rows(\[0\])? (are no token ids|is 0.0: give a whole)"):
        word_choice.log_probabilities(model, tokenizer, Template("{text} {mask}"), ["a"], rows)


# --- fillers and separation -----------------------------------------------------------------

def test_fillers_weigh_every_collection_alike():
    many, few = torch.tensor([[0.0, -1.0, -9.0]] * 50), torch.tensor([[-9.0, -1.0, 0.0]])
    assert word_choice.fillers([many, few], 1).tolist() == [1]


def test_separation_is_cohens_d():
    scores, labels = telling([0.5, 0.0, -2.0]), LABELS.numpy()
    one, zero = scores.numpy()[labels == 1], scores.numpy()[labels == 0]
    wanted = (one.mean(0) - zero.mean(0)) / np.sqrt((one.var(0, ddof=1) + zero.var(0, ddof=1)) / 2)
    assert np.allclose(word_choice.separation(scores, LABELS), wanted, atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(st.floats(0.1, 9), st.floats(-9, 9))
def test_separation_does_not_depend_on_the_scale(factor, shift):
    scores = telling([0.5, -1.0])
    first = word_choice.separation(scores, LABELS)
    assert torch.allclose(word_choice.separation(scores * factor + shift, LABELS), first, atol=1e-3)
    assert torch.allclose(word_choice.separation(scores, 1 - LABELS), -first)


@pytest.mark.parametrize("labels", [LABELS[:-1], LABELS * 2, torch.zeros(80).long()])
def test_labels_that_do_not_fit_are_refused(labels):
    with pytest.raises(CourseError, match="label") as caught:
        word_choice.separation(drawn(2), labels)
    assert "\n" not in str(caught.value)


# --- the choice -----------------------------------------------------------------------------

def test_each_side_gets_its_words_best_first():
    scores = telling([0.1, 2.0, -0.1, -2.0, 0.0, 0.0])
    negative, positive = word_choice.choose([(scores, LABELS)], size=1, pool=2)
    assert (negative, positive) == ([3], [1])


def test_a_copy_of_a_chosen_word_comes_after_a_weaker_word_of_its_own():
    scores = telling([1.2, 1.2, 0.9, -1.0, -1.0, -1.0, 0.0, 0.0])
    scores[:, 1] = scores[:, 0] + 0.01 * drawn(1, 7)[:, 0]
    alone = word_choice.separation(scores, LABELS)
    assert min(alone[0], alone[1]) > alone[2]  # ranked one by one, the copy would be second
    _, positive = word_choice.choose([(scores, LABELS)], size=2, pool=3)
    assert sorted(positive) in ([0, 2], [1, 2])


def test_collections_weigh_the_same_whatever_their_size():
    strong, weak = telling([2.0, 0.0, -2.0, 0.0]), telling([0.0, 4.0, 0.0, -4.0], 1)
    parts = [(strong.repeat(5, 1), LABELS.repeat(5)), (weak, LABELS)]
    negative, positive = word_choice.choose(parts, size=1, pool=2)
    assert (negative, positive) == ([3], [1])


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 5), st.integers(0, 99))
def test_no_word_is_chosen_twice(size, seed):
    negative, positive = word_choice.choose([(drawn(20, seed), LABELS)], size=size, pool=7)
    assert len(negative) == len(positive) == size
    assert len({*negative, *positive}) == 2 * size


@pytest.mark.parametrize("constant", [0.0, -7.1, 0.1])
def test_a_word_that_is_the_same_for_all_texts_is_never_chosen(constant):
    """Not even where all others belong to the other side; 80 times 0.1 has a sum that rounds."""
    scores = telling([2.0, -1.0, -2.0, -3.0, -4.0, -5.0])
    scores[:, 0] = constant
    assert word_choice.separation(scores, LABELS)[0] == 0
    negative, positive = word_choice.choose([(scores, LABELS)], size=1, pool=2)
    assert (negative, positive) == ([5], [1])
    with pytest.raises(CourseError, match="with 5 words that tell texts apart"):
        word_choice.choose([(scores, LABELS)], size=1, pool=3)


def test_two_words_that_add_up_to_a_constant_win_no_place():
    scores = (4 * telling([1.5, 0.0, 1.0, -1.0, -1.0, -2.0])).round() / 4  # exact sums
    scores[:, 1] = 3 - scores[:, 0]  # the mean of both is 1.5 for every text
    _, positive = word_choice.choose([(scores, LABELS)], size=2, pool=3)
    assert sorted(positive) == [0, 2]


def test_a_word_that_separates_without_any_spread_comes_first():
    scores = telling([1.0, 2.0, -1.0, -2.0])
    scores[:, 0] = LABELS
    assert word_choice.choose([(scores, LABELS)], size=1, pool=1) == ([3], [0])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("ask", [
    lambda scores: word_choice.choose([(drawn(8), LABELS), (scores, LABELS)], size=1, pool=2),
    lambda scores: word_choice.separation(scores, LABELS),
    lambda scores: word_choice.fillers([drawn(8), scores], 1)])
def test_scores_that_are_no_numbers_are_refused(ask, value):
    scores = drawn(8)
    scores[3, 1] = value
    with pytest.raises(CourseError, match="the scores hold NaN or infinity"):
        ask(scores)


@pytest.mark.parametrize("call", [
    lambda: word_choice.choose([]), lambda: word_choice.choose(None),
    lambda: word_choice.choose([(drawn(8), LABELS), (drawn(9), LABELS)], 1, 2),
    lambda: word_choice.choose([(drawn(8), LABELS.tolist())], 1, 2),
    lambda: word_choice.separation(None, LABELS), lambda: word_choice.separation(drawn(2), drawn(2)),
    lambda: word_choice.fillers([], 1), lambda: word_choice.fillers([torch.zeros(0, 3)], 1)])
def test_what_is_no_table_of_scores_is_refused(call):
    with pytest.raises(CourseError) as caught:
        call()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("size", "pool"), [(0, 2), (3, 2), (2, 4)])
def test_sizes_that_do_not_fit_are_refused(size, pool):
    with pytest.raises(CourseError, match="size <= pool"):
        word_choice.choose([(drawn(6), LABELS)], size=size, pool=pool)


def test_too_many_fillers_are_refused():
    with pytest.raises(CourseError, match="ask for 1 up to"):
        word_choice.fillers([drawn(3)], 4)
