"""Broken copies of network and decoding: each must fail the property that guards it."""

import numpy as np
import pytest
import test_ner_tagger as properties
import tiny_ner
import torch
from test_ner_tagger import folder, taggers  # noqa: F401 (fixtures)

from companion.ner import decoding, network, rows
from companion.ner.batching import IGNORE

CRF, PLAIN = dict(task="linear", head="crf"), dict(task="linear", head="softmax")
LSTM = dict(task="bilstm", head="softmax")


def fails(check, *arguments):
    with pytest.raises((AssertionError, RuntimeError)):
        check(*arguments)


def test_attention_that_reads_padding_is_caught(taggers, monkeypatch):  # noqa: F811
    whole = network.Network.states
    monkeypatch.setattr(network.Network, "states", lambda self, ids, mask=None: whole(self, ids))
    fails(properties.test_nothing_but_labelled_positions_counts, taggers, PLAIN)


def test_an_lstm_that_reads_padding_is_caught(taggers, monkeypatch):  # noqa: F811
    monkeypatch.setattr(network.BiLSTM, "forward", lambda self, states, mask: self.lstm(states)[0])
    fails(properties.test_nothing_but_labelled_positions_counts, taggers, LSTM)


def test_special_tokens_as_o_are_caught(taggers, monkeypatch):  # noqa: F811
    whole = rows.Rows.batch

    def with_o(self, which):
        made = whole(self, which)
        return made | {"labels": made["labels"].masked_fill(made["labels"] == IGNORE, 0)}

    monkeypatch.setattr(rows.Rows, "batch", with_o)
    for kind in (PLAIN, CRF):
        fails(properties.test_nothing_but_labelled_positions_counts, taggers, kind)


def test_a_chain_through_cls_is_caught(taggers, monkeypatch):  # noqa: F811
    def through(emissions, labels):
        counted = labels != IGNORE
        counted[:, 0] = True
        return emissions, labels.masked_fill(labels == IGNORE, 0), counted

    monkeypatch.setattr(network, "chains", through)
    fails(properties.test_no_gradient_reaches_scores_that_do_not_count, taggers, CRF)


def test_a_score_of_independent_tokens_is_caught_in_a_crf(taggers, monkeypatch):  # noqa: F811
    whole = decoding._log_probabilities

    def alone(*arguments):
        return (whole(*arguments)[0],) * 2

    monkeypatch.setattr(decoding, "_log_probabilities", alone)
    fails(properties.test_score_is_the_probability_of_the_labels_over_all_sequences, taggers)


def test_states_in_the_order_of_reading_are_caught(taggers, monkeypatch):  # noqa: F811
    """Scores of sorted rows must go back to the places of their texts."""
    tagger = taggers["linear", "softmax"]
    texts = [e.text for e in tiny_ner.examples(12, seed=3)]
    right = tagger.predict(texts)

    def forgetful(net, made, bf16=False):
        found = []
        for which in rows.reading_batches(made.lengths):
            with torch.inference_mode():
                scores = rows._scores(net, made.batch(which), bf16).numpy()
            found += [row[made.columns[i]] for row, i in zip(scores, which)]
        return np.concatenate(found)

    monkeypatch.setattr(rows, "emissions", forgetful)
    assert tagger.predict(texts) != right
