"""Metrics against values that were worked out by hand."""

import math

import numpy as np
import pytest
import tiny
import torch

from companion import metrics
from companion.errors import CourseError
from companion.objectives.masked import MaskedLM
from companion.pretraining.loop import evaluate
from companion.tokenization import pack

SENTENCE = "the film was long but the acting was wonderful"


def test_bleu_by_hand():
    """Nine words, the last one wrong: n-gram precisions 8/9, 7/8, 6/7, 5/6, no brevity penalty."""
    answer = SENTENCE.replace("wonderful", "awful")
    by_hand = 100 * math.exp(sum(map(math.log, (8 / 9, 7 / 8, 6 / 7, 5 / 6))) / 4)
    assert metrics.bleu([answer], [SENTENCE]) == pytest.approx(by_hand, abs=1e-9)
    assert metrics.bleu([SENTENCE], [SENTENCE]) == pytest.approx(100)


def test_bleu_punishes_answers_that_are_too_short():
    """The first six of nine words: all n-grams right, brevity penalty exp(1 - 9/6)."""
    short = " ".join(SENTENCE.split()[:6])
    assert metrics.bleu([short], [SENTENCE]) == pytest.approx(100 * math.exp(-0.5), abs=1e-9)


def test_bleu_is_of_the_corpus_and_not_a_mean():
    answers = [SENTENCE, SENTENCE.replace("wonderful", "awful")]
    both = metrics.bleu(answers, [SENTENCE] * 2)
    by_hand = 100 * math.exp(sum(map(math.log, (17 / 18, 15 / 16, 13 / 14, 11 / 12))) / 4)
    assert both == pytest.approx(by_hand, abs=1e-9)


def test_bleu_reads_chinese_by_characters():
    answer, reference = "这部电影非常好看", "这部电影非常难看"
    by_hand = 100 * math.exp(sum(map(math.log, (7 / 8, 5 / 7, 4 / 6, 3 / 5))) / 4)
    assert metrics.bleu([answer], [reference], chinese=True) == pytest.approx(by_hand, abs=1e-9)


def test_rouge_by_hand():
    """Reference of 4 words, answer of 3: "the acting good" against "the acting was good"."""
    got = metrics.rouge(["the acting good"], ["the acting was good"])
    assert got["rouge1"] == pytest.approx(2 * 1 * 0.75 / 1.75)
    assert got["rouge2"] == pytest.approx(2 * (1 / 2) * (1 / 3) / (1 / 2 + 1 / 3))
    assert got["rougeL"] == pytest.approx(2 * 1 * 0.75 / 1.75)


def test_rouge_knows_order_only_in_the_longest_subsequence():
    got = metrics.rouge(["good was acting the"], ["the acting was good"])
    assert got["rouge1"] == pytest.approx(1) and got["rouge2"] == 0
    assert got["rougeL"] == pytest.approx(0.25)


def test_rouge_is_a_mean_over_texts():
    got = metrics.rouge(["a b", "x"], ["a b", "y"])
    assert got["rouge1"] == pytest.approx(0.5)


def test_probe_finds_what_is_linear_and_only_that():
    draw = np.random.default_rng(13)
    features = draw.normal(size=(600, 4)) * [1, 100, 0.01, 1]
    linear = (features[:, 2] > 0).astype(int)  # the smallest feature: scaling is needed
    crossed = ((features[:, 0] > 0) ^ (features[:, 3] > 0)).astype(int)
    assert metrics.probe(features[:400], linear[:400], features[400:], linear[400:]) > 0.95
    assert 0.35 < metrics.probe(features[:400], crossed[:400], features[400:], crossed[400:]) < 0.65


TOKENIZER = tiny.wordpiece()
TEXTS = tiny.texts(40)


def masked_model():
    torch.manual_seed(1)
    return tiny.model(vocabulary=len(TOKENIZER), initializer_range=0.3)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("share", [0.15, 0.4])
def test_the_masked_score_is_that_of_the_objective(seed, share):
    model, rows = masked_model(), pack(TEXTS, TOKENIZER, 16)
    found = metrics.masked_lm(model, TOKENIZER, TEXTS, share, seed, 16, rows=20)
    assert found == evaluate(model, MaskedLM(TOKENIZER, share=share, seed=seed), rows[:20])
    assert found["positions"] == round(share * 20 * 14)


def test_the_seed_decides_what_is_masked():
    losses = [metrics.masked_lm(masked_model(), TOKENIZER, TEXTS, seed=seed, length=16)["loss"]
              for seed in (0, 0, 1)]
    assert losses[0] == losses[1] != losses[2]


def test_the_score_is_computed_where_the_model_is(monkeypatch):
    monkeypatch.setattr(metrics, "evaluate", lambda *_, device: device)
    where = metrics.masked_lm(masked_model().to("meta"), TOKENIZER, TEXTS, length=16)
    assert where == torch.device("meta")


@pytest.mark.parametrize(("call", "words"), [
    (lambda: metrics.masked_lm(masked_model(), TOKENIZER, TEXTS),
     "length is 128, but the model has 64 positions: give at most 64"),
    (lambda: metrics.masked_lm(masked_model(), TOKENIZER, " ".join(TEXTS), length=16),
     "this is one text: give a list of texts"),
    (lambda: metrics.bleu([], []), "nothing to score"),
    (lambda: metrics.bleu(["a"], ["a", "b"]), "1 answers but 2 references"),
    (lambda: metrics.bleu("a", ["a"]), "answers is one text"),
    (lambda: metrics.rouge(["a"], "a"), "references is one text"),
    (lambda: metrics.rouge(["这"], ["这"]), "no Latin letter"),
    (lambda: metrics.probe(np.ones((2, 1)), [0], np.ones((1, 1)), [0]), "2 rows of features"),
    (lambda: metrics.probe(np.ones((2, 1)), [0, 1], np.ones((0, 1)), []), "at least one row"),
    (lambda: metrics.probe(np.ones((2, 1)), [1, 1], np.ones((1, 1)), [1]), "at least two classes"),
])
def test_bad_input_is_refused_in_one_line(call, words):
    with pytest.raises(CourseError, match=words) as caught:
        call()
    assert "\n" not in str(caught.value)
