"""Nasty inputs to each public door: a CourseError in one line or a right answer, nothing else."""

import contextlib
import io
import math
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import numpy as np
import pytest
import tiny
import tiny_ner
import tiny_prompts
import torch
from doors import answer, items, junk, nested, number, numbers, settings_of_doors, text, texts, word
from hypothesis import given
from hypothesis import strategies as st
from transformers import GPT2Config, GPT2LMHeadModel

from companion import checkpoints, corpora, display, display_entities, metrics, ngrams, retrieval
from companion.__main__ import main
from companion.corpora.sentences import split_sentences
from companion.corpora.splits import near_duplicates
from companion.entity import Entity, Example
from companion.exercises import check
from companion.filling import fill
from companion.ner import schemes, scoring
from companion.ner.gazetteer import Gazetteer
from companion.ner.tagger import AlbertTagger
from companion.ner.training import Settings, train
from companion.objectives import causal, contrastive, masked, pairs, spans
from companion.pretraining import Recipe
from companion.pretraining.contrast import Settings as ContrastSettings
from companion.prompting import (
    Budget,
    HeadClassifier,
    PromptClassifier,
    Prompting,
    Template,
    Verbalizer,
    fewshot,
    tune,
)
from companion.prompting import calibration as calibrating
from companion.prompting.candidates import candidates
from companion.prompting.entities import EntityFinder
from companion.tokenization import pack, train_wordpiece

FOLDER = TemporaryDirectory()


@cache
def pair():
    return tiny_prompts.pair("bert")


@cache
def classifier():
    model, tokenizer = pair()
    return PromptClassifier(model, Template("{text} it was {mask} ."),
                            Verbalizer({"pos": "great", "neg": "bad"}), tokenizer=tokenizer)


@cache
def finder():
    model, tokenizer = pair()
    return EntityFinder(PromptClassifier(
        model, Template("{text} {entity} is {mask} .", shorten="text"),
        Verbalizer({"PER": "great", "O": "bad"}), tokenizer=tokenizer))


@cache
def head():
    model, tokenizer = pair()
    return HeadClassifier(model, ["pos", "neg"], tokenizer=tokenizer)


@cache
def prompting():
    return Prompting(*pair())


@cache
def tagger():
    return tiny_ner.tagger(Path(FOLDER.name) / "encoder")


def same_count(given, answers):
    """A list has an answer for each text. (What was a generator is used up and cannot be counted.)"""
    with contextlib.suppress(TypeError):
        assert len(answers) == len(given)


def shares(given, answers):
    """Probabilities are finite, and add up to 1 for each text."""
    assert torch.isfinite(answers).all()
    assert torch.allclose(answers.sum(-1), torch.ones(answers.shape[:-1]), atol=1e-4)
    same_count(given, answers)


def inside(given, found):
    """Each entity lies in its text, and is what the text says there."""
    for one, entities in zip(given if isinstance(given, (list, tuple)) else (), found, strict=False):
        for entity in entities:
            assert 0 <= entity.start < entity.end <= len(one)
            assert entity.text in (None, one[entity.start:entity.end])


def finite(*_):
    """A mapping of numbers, or one number, that is no NaN."""
    value = _[-1]
    for one in value.values() if isinstance(value, dict) else [value]:
        assert not isinstance(one, float) or not math.isnan(one)


def anything(*_):
    """The door is right when it answers at all, or refuses in one line."""


LABELS = items(st.sampled_from(["pos", "neg", "pos", "neg", "x", 0, 1, None]))
SPAN = st.builds(lambda *a: (a), st.integers(-1, 12), st.integers(-1, 12),
                 st.sampled_from(["PER", "LOC", "", "X Y", None, 3]))


def entities(draw):
    return [Entity(*one) for one in draw]


SPANS = st.lists(SPAN, max_size=3)
TAGS = items(st.sampled_from(["O", "B-PER", "I-PER", "E-PER", "S-LOC", "I-LOC", "B-", "-PER", "b-per",
                              "B-PER ", "O\r", "", "X", None, 3, "M-PER"]), 8)
TENSORS = st.sampled_from([torch.zeros(0, 2), torch.zeros(2, 0), torch.zeros(3), torch.eye(2),
                           torch.tensor([[0.0, -800.0]] * 2), torch.full((2, 2), float("nan")),
                           torch.tensor([[float("-inf"), 0.0]]), torch.ones(2, 2, dtype=torch.long),
                           np.zeros((2, 2)), [[0.1, 0.2]], None, torch.rand(4, 3)])

DOORS = {
    "fill": (lambda t, n: fill(*pair(), t, n), (text() | junk(), number()), anything),
    "scores": (lambda t: classifier().scores(t), (texts(),), anything),
    "predict": (lambda t: classifier().predict(t), (texts(),), same_count),
    "predict_proba": (lambda t: classifier().predict_proba(t), (texts(),), shares),
    "evaluate": (lambda t, y: classifier().evaluate(t, y), (texts(), LABELS), finite),
    "calibrate": (lambda how, t, p: PromptClassifier(
        pair()[0], Template("{text} {mask}"), Verbalizer({"a": "good", "b": "bad"}),
        tokenizer=pair()[1]).calibrate(how, t, p), (word(), texts() | st.none(), numbers()), anything),
    "PromptClassifier": (lambda t, v, p, n: PromptClassifier(
        pair()[0], t, v, tokenizer=pair()[1], precision=p, tokens=n).predict(["good ."]),
        (st.just(Template("{text} {mask}")) | text() | junk(),
         st.just(Verbalizer({"a": "good", "b": "bad"})) | word(), st.just("fp32") | word(),
         st.just(512) | number()), anything),
    "Template": (lambda p, s, c, t: Template(p, s, c).encode(pair()[1], t, 40),
                 (st.sampled_from(["{text} {mask}", "{a} {mask} {b}"]) | text() | junk(),
                  st.none() | word(), st.just("end") | word(), texts()), anything),
    "Template.fill": (lambda t, m: Template("{text}: {mask}").fill(t, m), (text() | junk(), text()),
                      anything),
    "Verbalizer": (lambda w, a, s: Verbalizer(w, a, s).tokens(pair()[1]),
                   (st.dictionaries(st.sampled_from(["pos", "neg", "", 0, None, 1.5]),
                                    texts() | text(), max_size=3) | junk(),
                    st.just("logsumexp") | word(), st.booleans()), anything),
    "prompt_pred": (lambda t: prompting().prompt_pred(t), (text() | junk(),), anything),
    "compute_tokens_prob": (lambda t, a, b: prompting().compute_tokens_prob(t, a, b),
                            (st.just("it was [MASK] .") | text() | junk(), texts(), texts()), anything),
    "log_odds": (lambda t, a, b: prompting().log_odds(t, a, b),
                 (texts(), st.just(["good"]) | texts(), st.just(["bad"]) | texts()), anything),
    "head": (lambda t: head().predict(t), (texts(),), same_count),
    "Budget": (lambda *a: Budget(*a), (number(),) * 3, anything),
    "tune": (lambda t, y, n, p: tune(classifier(), t, y, Budget(steps=1, size=n), part=p)[1],
             (texts(), LABELS, st.just(2) | number(), st.just("head") | word()), anything),
    "find entities": (lambda t: finder().predict(t), (texts(2),), inside),
    "contextual": (calibrating.contextual, (TENSORS,), anything),
    "prior_matching": (calibrating.prior_matching, (TENSORS, st.none() | numbers()), anything),
    "median": (calibrating.median, (TENSORS, st.none() | numbers()), anything),
    "candidates": (candidates, (text() | junk(), number(), st.just("all") | word()), anything),
    "draw": (lambda y, k, s: fewshot.draw(y, k, s), (
        st.just(corpora.entity_sentences()["train"]) | junk(), number(), number()), anything),
    "compare": (fewshot.compare, (numbers(), numbers()), anything),
    "tag": (lambda t: tagger().predict(t), (texts(),), inside),
    "train a tagger": (lambda t, e, n: train(
        tagger(), [Example(t, tuple(entities(e)))] * 2, tiny_ner.examples(2),
        Settings(epochs=1, size=n), progress=False), (text() | junk(), SPANS, st.just(2) | number()),
        anything),
    "ner settings": (lambda *a: Settings(*a), (number(),) * 6, anything),
    "Gazetteer": (lambda t, n: Gazetteer.from_examples(tiny_ner.examples(5), n).predict(t),
                  (texts(), st.just(0.0) | number()), inside),
    "labels": (schemes.labels, (texts(), st.just("BIO") | word()), anything),
    "to_tags": (lambda e, n, s: schemes.to_tags(entities(e), n, s),
                (SPANS, st.just(12) | number(), st.just("BIO") | word()), anything),
    "from_tags": (schemes.from_tags, (TAGS, st.just("BIO") | word(), st.booleans()), anything),
    "score": (lambda a, b: scoring.score([entities(a)], [entities(b)]), (SPANS, SPANS), anything),
    "bootstrap": (lambda a, n, v: scoring.bootstrap([entities(a)], [[]], n, v),
                  (SPANS, st.just(5) | number(), st.just(0.95) | number()), anything),
    "html": (lambda t, e: display_entities.html(t, entities(e)), (text() | junk(), SPANS), anything),
    "brackets": (lambda t, e: display_entities.brackets(t, entities(e)), (text() | junk(), SPANS),
                 anything),
    "table": (display.table, (texts(), items(items(text() | junk()))), anything),
    "curves": (lambda s, l: display.curves(s, "x", "y", l),
               (st.dictionaries(text(), st.tuples(numbers(), numbers()), max_size=2) | junk(),
                st.none() | junk()), anything),
    "bars": (display.bars, (st.dictionaries(text(), number(), max_size=3) | junk(), text()), anything),
    "heatmaps": (lambda p, r, c: display.heatmaps(p, r, c, "x", "y"),
                 (st.dictionaries(text(), nested(), max_size=2) | junk(), texts(), texts()), anything),
    "read_log": (display.read_log, (text() | junk() | st.just(__file__), st.none() | word()), anything),
    "bleu": (metrics.bleu, (texts(), texts(), st.booleans()), finite),
    "rouge": (metrics.rouge, (texts(), texts()), finite),
    "entity_f1": (metrics.entity_f1, (items(items(text())), items(items(text()))), finite),
    "probe": (metrics.probe, (nested(), numbers(), nested(), numbers()), anything),
    "masked_lm": (lambda t, s, n: metrics.masked_lm(*pair(), t, s, length=n),
                  (texts(), st.just(0.15) | number(), st.just(16) | number()), finite),
    "MaskedLM": (lambda r, s, n: masked.MaskedLM(pair()[1], s)(r, n),
                 (nested(), st.just(0.2) | number(), number()), anything),
    "CausalLM": (lambda r, n: causal.CausalLM(pair()[1])(r, n), (nested(), number()), anything),
    "SpanCorruption": (lambda r, s, n: spans.SpanCorruption(
        spans.with_sentinels(pair()[1], 8), s)(r, n), (nested(), st.just(0.15) | number(), number()),
        anything),
    "SentenceOrder": (lambda d, n: pairs.SentenceOrder(pair()[1])(pairs.encode(d, pair()[1]), n),
                      (items(texts()), number()), anything),
    "TwoViews": (lambda t, n, k: contrastive.TwoViews(pair()[1], n)(t, k),
                 (texts(), st.just(12) | number(), number()), anything),
    "contrast settings": (lambda *a: ContrastSettings("crops", *a), (number(),) * 4, anything),
    "train_wordpiece": (train_wordpiece, (texts(), st.just(60) | number()), anything),
    "pack": (lambda t, n: pack(t, pair()[1], n), (texts(), st.just(16) | number()), anything),
    "embed": (lambda t, n: retrieval.encode(*pair(), t, n), (texts(), st.just(16) | number()),
              anything),
    "bm25": (retrieval.bm25, (texts(), texts()), anything),
    "recall_at": (retrieval.recall_at, (TENSORS, number()), anything),
    "KneserNey": (lambda d, v: ngrams.KneserNey.fit(d, v), (nested(), number()), anything),
    "near_duplicates": (near_duplicates, (texts(), st.just(5) | number(), st.just(0.5) | number()),
                        anything),
    "load": (checkpoints.load, (st.sampled_from(["bert-mini-cn", "a/b/c", "", ".", "/", "no folder",
                                                 __file__]) | text().map(lambda t: "x/" * 3 + t)
                                | junk(), st.just("masked") | word()), anything),
    "movie_reviews": (lambda s, c: corpora.movie_reviews(s, c),
                      (st.sampled_from([__file__, "no", ".", FOLDER.name]), word()), anything),
    "recipe": (lambda k, v, w: Recipe.from_dict({"name": "x", k: {v: w}}),
               (st.sampled_from(["text", "model", "training", "masking", "x"]) | text(),
                st.sampled_from(["tokens", "rows", "share", "corpora", "files", "kind", "rate", "x"]),
                number() | word() | texts()), anything),
    "causal.sample": (lambda p, n, t, k: causal.sample(*writer(), p, n, t, k),
                      (text() | junk(), st.just(3) | number(), st.just(0.5) | number(), number()),
                      anything),
    "causal.perplexity": (lambda t, w: causal.perplexity(*writer(), t, w),
                          (texts(), st.none() | number()), anything),
    "split_sentences": (split_sentences, (text() | junk(), st.sampled_from(["en", "zh"]) | word()),
                        anything),
    "new tagger": (lambda t, s, h, w: AlbertTagger.new(
        Path(FOLDER.name) / "encoder", types=t, scheme=s, head=h, width=w),
        (texts(), st.just("BIO") | word(), st.just("crf") | word(), st.just(8) | number()), anything),
    "fine_tune": (lambda t, y, e, n, r: Prompting(*pair()).fine_tune(
        t, y, epochs=e, batch_size=n, learning_rate=r),
        (texts(2), numbers(2), st.just(1) | number(), st.just(2) | number(), st.just(1e-4) | number()),
        anything),
    "whitened": (retrieval.whitened, (TENSORS, number()), anything),
    "token_accuracy": (lambda a, n: scoring.token_accuracy([entities(a)], [[]], n),
                       (SPANS, numbers()), anything),
    "fill-mask": (lambda t, n: terminal("fill-mask", t, "--top", str(n)), (text(), number()), anything),
    "ner": (lambda t: terminal("ner", t), (text(),), anything),
    "pretrain": (lambda r, t: terminal("pretrain", r, "--text", t, "--out", FOLDER.name + "/run"),
                 (st.sampled_from(["no-such", "bert-mini-cn", ".", __file__, ""]) | text(), text()),
                 anything),
    "check": (lambda i, a: quiet(check, i, a), (
        st.sampled_from(["masked-fresh", "pairs-loss", "no-such"]) | word(),
        junk() | st.builds(lambda v: lambda *a, **k: v, number() | text() | junk())), anything),
}


@cache
def writer():
    """A tiny causal LM and its tokenizer."""
    tokenizer = tiny.byte_bpe()
    tokenizer.eos_token = "</s>"
    torch.manual_seed(0)
    return GPT2LMHeadModel(GPT2Config(
        vocab_size=len(tokenizer), n_positions=64, n_embd=16, n_layer=1, n_head=2)).eval(), tokenizer


def terminal(*words):
    """The command line: its exit code, and no traceback on standard error."""
    said = io.StringIO()
    known = tagger()  # before its loader is replaced
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said), \
            patch("companion.checkpoints.load", lambda *a, **k: pair()), \
            patch("companion.ner.tagger.AlbertTagger.from_pretrained", lambda *a: known):
        try:
            code = main(words)
        except SystemExit as wrong:  # argparse: wrong usage
            code = wrong.code
    assert code in (0, 1, 2), code
    assert "Traceback" not in said.getvalue()
    return code


def quiet(door, *given):
    with contextlib.redirect_stdout(io.StringIO()):
        return door(*given)


@pytest.mark.parametrize("name", DOORS)
@pytest.mark.filterwarnings("ignore")
def test_a_door_answers_or_refuses_in_one_line(name):
    door, given_by, right = DOORS[name]

    @settings_of_doors()
    @given(st.tuples(*given_by))
    def ask(inputs):
        found = answer(door, *inputs)
        if found is not None:
            right(inputs[0], found)

    ask()
