"""Metrics against values that were worked out by hand."""

import math

import numpy as np
import pandas as pd
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


def test_rouge_of_what_has_no_match_is_none():
    assert set(metrics.rouge(["x", "..."], ["y", "z"]).values()) == {0.0}


def test_rouge_reads_chinese_by_characters():
    """4 of 6 and of 5 characters, 2 of 5 and of 4 pairs; a word in Latin letters is one token."""
    got = metrics.rouge(["王明去BERT，上。"], ["王明来bert 上海"], chinese=True)
    assert got["rouge1"] == pytest.approx(2 * 4 / 11)
    assert got["rouge2"] == pytest.approx(2 * 2 / 9)
    assert got["rougeL"] == pytest.approx(2 * 4 / 11)


TEXTS_OF_SCRIPTS = {  # what the standard tokenizers drop or take for one word
    "Chinese": "王明于2008年生于成都", "Cyrillic": "Он родился в 2008 году", "Greek": "το 2008",
    "Arabic": "ولد في 2008", "Hebrew": "2008 נולד", "Japanese": "トトロは2008年", "Korean": "한국 2008",
    "Thai": "เกิดปี 2008", "Hindi": "वह 2008 में", "mixed": "born 2008 in 成都 city",
    "accents": "né en 2008 à Nîmes", "accents apart": "ne\u0301 en 2008", "digits": "year ２００８",
    "rare": "𠀋𠀋 in 2008 it was", "half-width": "ﾄﾄﾛ 2008",
}
WITHOUT_SPACES = {"Chinese", "Japanese", "Thai", "mixed", "rare", "half-width"}


@pytest.mark.parametrize("script", TEXTS_OF_SCRIPTS)
def test_rouge_reads_all_letters_or_refuses(script):
    """The year is all that its tokenizer keeps of many: another text with it scored 1."""
    text, ascii_text = TEXTS_OF_SCRIPTS[script], "2008"
    for pair in ([text], [ascii_text]), ([ascii_text], [text]):
        with pytest.raises(CourseError, match="ROUGE drops all but a to z and digits: use chinese"):
            metrics.rouge(*pair)
        assert metrics.rouge(*pair, chinese=True)["rouge1"] < 1
        assert metrics.rouge(*pair, tokenizer=str.split)["rouge1"] < 1
    assert metrics.rouge([text], [text], chinese=True)["rouge1"] == 1


@pytest.mark.parametrize("script", TEXTS_OF_SCRIPTS)
def test_bleu_of_a_text_with_itself_is_100_or_refused(script):
    """A sentence without spaces would be one word, and its BLEU with itself 0."""
    text = " ".join([TEXTS_OF_SCRIPTS[script]] * 4)
    if script in WITHOUT_SPACES:
        for pair in ([text], ["a b c d"]), (["a b c d"], [text]):
            with pytest.raises(CourseError, match="which BLEU takes for one word: use chinese"):
                metrics.bleu(*pair)
    else:
        assert metrics.bleu([text], [text]) == pytest.approx(100)
    assert metrics.bleu([text], [text], tokenizer=list) == pytest.approx(100)
    assert metrics.bleu([text], [text[::-1]], tokenizer=list) < 99
    if script in {"Chinese", "mixed", "half-width"}:
        assert metrics.bleu([text], [text], chinese=True) == pytest.approx(100)
    elif script in WITHOUT_SPACES:  # sacrebleu's rule for Chinese leaves them whole
        with pytest.raises(CourseError, match="tokenizer=list for characters"):
            metrics.bleu([text], [text], chinese=True)


def test_bleu_of_words_that_a_tokenizer_gives_is_that_of_spaces():
    answer, reference = "the film was-long but good", "the film was-short but good"
    by_words = [text.replace("-", " ") for text in (answer, reference)]
    cut = metrics.bleu([answer], [reference], tokenizer=lambda text: text.replace("-", " ").split())
    assert cut == metrics.bleu(by_words[:1], by_words[1:], tokenizer=str.split) > 0
    assert cut == pytest.approx(metrics.bleu(by_words[:1], by_words[1:]))


@pytest.mark.parametrize(("text", "silent"), [("very good", False), ("a b c", False),
                                              ("a b c d", True), ("a b, c", True)])
def test_bleu_says_when_texts_are_too_short_for_it(text, silent, recwarn):
    """By its definition it is 0 without a run of four; a comma is a word."""
    assert metrics.bleu([text], [text]) == pytest.approx(100 if silent else 0)
    # One text that is long enough will do.
    assert metrics.bleu([text, SENTENCE], [text, SENTENCE]) == pytest.approx(100)
    found = [(w.filename, str(w.message)[:9]) for w in recwarn]  # the line of the caller is named
    assert found == ([] if silent else [(__file__, "BLEU is 0")])


@pytest.mark.parametrize("pack", [tuple, iter, np.array, lambda x: pd.Series(x, index=range(5, 7))])
def test_any_container_of_texts_is_scored(pack):
    answers, references = [SENTENCE, "bad"], ["the film was long but good", "good"]
    assert (metrics.bleu(pack(answers), pack(references)) == metrics.bleu(answers, references) > 0)
    assert metrics.rouge(pack(answers), pack(references)) == metrics.rouge(answers, references)


@pytest.mark.parametrize("pack", [tuple, iter, frozenset, lambda x: [list(e) for e in x]])
def test_any_container_of_entities_is_scored(pack):
    gold, found = [[(0, 2, "PER"), (3, 5, "LOC")], []], [[(0, 2, "PER"), (3, 5, "ORG")], [(1, 2, "X")]]
    right = {"precision": 1 / 3, "recall": 1 / 2, "f1": 2 / 5, "right": 1, "gold": 2, "predicted": 3}
    assert metrics.entity_f1(gold, found) == pytest.approx(right)
    assert metrics.entity_f1(map(pack, gold), tuple(map(pack, found))) == pytest.approx(right)
    assert metrics.entity_f1([[(0, 2)]], [[(0, 2), (0, 3)]])["right"] == 1


def test_entity_f1_of_nothing():
    none = {"precision": 0, "recall": 0, "f1": 0, "right": 0, "gold": 0, "predicted": 0}
    assert metrics.entity_f1([[]], [[]]) == none
    assert metrics.entity_f1([[(0, 1, "X")]], [[]]) == none | {"gold": 1}
    assert metrics.entity_f1([[(0, 1, "X")]], [[(0, 1, "X")]])["f1"] == 1


def test_probe_counts_what_is_right():
    """The border lies at 0 after the training part's mean and spread; 3 of 4 are on its side."""
    train, test = [[-2.0], [-1.0], [1.0], [2.0]], [[-9.0], [-5.0], [3.0], [4.0]]
    for one, two in ((0, 1), ("neg", "pos"), (1.0, 2.0), (False, True)):
        labels = [one, one, two, two]
        assert metrics.probe(train, labels, test, [one, one, two, one]) == 0.75
        assert metrics.probe(np.array(train), pd.Series(labels), torch.tensor(test), labels) == 1


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
    (lambda: metrics.masked_lm(masked_model(), TOKENIZER, TEXTS, length=16, rows=0), "rows is 0"),
    (lambda: metrics.masked_lm(masked_model(), TOKENIZER, TEXTS, length=16, rows=-1), "rows is -1"),
    (lambda: metrics.bleu("a", ["a"]), "this is one text"),
    (lambda: metrics.rouge(["a"], "a"), "this is one text"),
    (lambda: metrics.rouge(["a"], ["!"]), "reference 0 has no word"),
    (lambda: metrics.rouge(["a", "a"], ["a", "。"], chinese=True), "reference 1 has no word"),
    (lambda: metrics.rouge(["a"], [float("nan")]), r"references\[0\] is NaN"),
    (lambda: metrics.bleu(["a \ud83d"], ["a"]), r"answers\[0\] is no valid Unicode"),
    (lambda: metrics.bleu(pd.DataFrame({"a": ["b"]}), ["a"]), "answers is a table"),
    (lambda: metrics.bleu(["a"], ["a"], tokenizer=len), "what the tokenizer gives is a int"),
    (lambda: metrics.rouge(["a"], ["a"], tokenizer=lambda t: ["a", 1]), "tokens that are no str"),
    (lambda: metrics.bleu(["a", "北" * 30], ["a"] * 2), f"answer 1 has '{'北' * 20}' without a space"),
    (lambda: metrics.rouge(["a"], ["naïve"]), "reference 0 has the letter 'ï', and ROUGE drops"),
    (lambda: metrics.entity_f1([["B-PER", "O"]], [["O"]]), "an entity is 'B-PER'"),
    (lambda: metrics.entity_f1([[(1, 1, "X")]], [[]]), "is empty or begins before the text"),
    (lambda: metrics.entity_f1([[(1,)]], [[]]), r"an entity is \(1,\)"),
    (lambda: metrics.entity_f1([[(1, 2, "X", 0.5)]], [[]]), "give Entity or"),
    (lambda: metrics.entity_f1({0: []}, [[]]), "gold is a dict"),
    (lambda: metrics.probe(np.full((2, 1), np.nan), [0, 1], np.ones((1, 1)), [0]), "look for NaN"),
    (lambda: metrics.probe(np.eye(2), [0, 1], np.full((1, 2), np.inf), [0]), "look for NaN"),
    (lambda: metrics.probe([[1.0, 2], [3, np.nan]], [0, 1], np.eye(2), [0, 1]), "look for NaN"),
    (lambda: metrics.probe(np.eye(2), [0, 1], [["a", "b"]], [0]), "must be a table"),
    (lambda: metrics.probe(torch.eye(2, requires_grad=True), [0, 1], np.eye(2), [0, 1]), "detach"),
    (lambda: metrics.probe(np.ones(2), [0, 1], np.ones(1), [0]), "must be a table"),
    (lambda: metrics.probe([[1.0], [1.0, 2.0]], [0, 1], [[1.0]], [0]), "must be a table"),
    (lambda: metrics.probe(np.ones((2, 0)), [0, 1], np.ones((1, 0)), [0]), "must be a table"),
    (lambda: metrics.probe(np.eye(2), [0, 1], np.ones((1, 3)), [0]), "unequal width"),
    (lambda: metrics.probe(np.eye(2), [0, 1], np.eye(2), ["0", "1"]), "unequal kinds"),
    (lambda: metrics.probe(np.ones((2, 3)), [0, 1], np.ones((1, 3)), [0]), "are the same for all"),
    (lambda: metrics.probe(np.eye(2), [0, 0.5], np.eye(2), [0, 1]), "must be classes"),
    (lambda: metrics.probe(np.eye(2), np.array([0, np.nan]), np.eye(2), [0, 1]), "must be classes"),
    (lambda: metrics.probe(np.eye(2), [0, "a"], np.eye(2), [0, 1]), "must be classes"),
    (lambda: metrics.probe(np.eye(2), np.eye(2), np.eye(2), [0, 1]), "must be classes"),
    (lambda: metrics.probe(np.ones((2, 1)), [0], np.ones((1, 1)), [0]), "2 rows of features"),
    (lambda: metrics.probe(np.ones((2, 1)), [0, 1], np.ones((0, 1)), []), "at least one row"),
    (lambda: metrics.probe(np.ones((2, 1)), [1, 1], np.ones((1, 1)), [1]), "at least two classes"),
])
def test_bad_input_is_refused_in_one_line(call, words):
    with pytest.raises(CourseError, match=words) as caught:
        call()
    assert "\n" not in str(caught.value)
