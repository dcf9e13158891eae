"""Learned pooling and its training: properties, broken copies, refusals."""

from contextlib import nullcontext
from unittest.mock import patch

import pytest
import tiny
import torch

from companion import retrieval
from companion.errors import CourseError
from companion.objectives.pooling import LearnedPooling
from companion.pretraining import pool
from companion.pretraining.pool import PoolSettings, States, read_states, train_pooling

WIDTH, LENGTH = 16, 10


def views(texts=120, seed=0):
    """Two views in which one token of a text tells which text it is, and the others nothing.

    That token has a large first number, as a rare word may have; the numbers after it are the
    same in both views.
    """
    draw = torch.Generator().manual_seed(seed)
    names = torch.randn(texts, WIDTH, generator=draw)
    names[:, 0] = 3.0
    found = []
    for _ in range(2):
        states = torch.randn(texts, LENGTH, WIDTH, generator=draw)
        states[:, :, 0] = 0.3 * torch.randn(texts, LENGTH, generator=draw)
        mask = torch.arange(LENGTH) < torch.randint(4, LENGTH + 1, (texts, 1), generator=draw)
        places = torch.randint(0, 4, (texts,), generator=draw)
        states[torch.arange(texts), places] = names
        found.append(States(torch.zeros(texts, LENGTH, dtype=torch.int64), states.bfloat16(), mask))
    return found, places


def recall(pooling, pair):
    return retrieval.recall_at(retrieval.similarities(*(v.pooled(pooling) for v in pair)), 1)


# --- properties, which broken copies must break ----------------------------------------------


def check_untrained_it_is_whitening():
    first, second = views()[0]
    means = torch.cat([first.means(), second.means()])
    pooling = LearnedPooling.whitening(means)
    ours = torch.cat([v.pooled(pooling) for v in (first, second)])
    # float64 in one, float32 in the other
    assert torch.allclose(retrieval.similarities(ours, ours),
                          retrieval.similarities(*[retrieval.whitened(means)] * 2), atol=1e-4)


def check_weights_are_shares_of_the_tokens():
    states = views()[0][0]
    pooling = LearnedPooling(WIDTH)
    with torch.no_grad():
        pooling.query.copy_(torch.arange(16.0) / 4)
    weights = pooling.weights(states.states, states.mask)
    assert torch.allclose(weights.sum(1), torch.ones(len(states)))
    assert not weights[~states.mask].any() and (weights[states.mask] > 0).all()


def check_padding_does_not_count():
    states = views()[0][0]
    pooling = LearnedPooling.whitening(states.means())
    with torch.no_grad():
        pooling.query.copy_(torch.arange(16.0) / 4)
    other = states.states.clone()
    other[~states.mask] = 7.0
    assert torch.equal(pooling(states.states, states.mask), pooling(other, states.mask))


def check_training_finds_the_telling_token():
    (first, second), places = views()
    settings = PoolSettings(steps=80, size=60, temperature=0.1, rate=0.01, query_rate=0.1)
    pooling, losses = train_pooling(first, second, settings)
    weights = pooling.weights(second.states, second.mask)
    held = views(seed=1)[0]
    assert losses[-1] < 0.2 * losses[0]
    assert (weights.argmax(1) == places).float().mean() > 0.95
    plain = LearnedPooling.whitening(torch.cat([first.means(), second.means()]))
    assert recall(pooling, held) > 0.9 > 2 * recall(plain, held)


def check_a_rate_of_zero_leaves_a_part():
    first, second = views()[0]
    before = LearnedPooling.whitening(torch.cat([first.means(), second.means()]))
    for part, other in (("query", "projection"), ("projection", "query")):
        rates = {"query": {"query_rate": 0}, "projection": {"rate": 0}}[part]
        after, _ = train_pooling(first, second, PoolSettings(steps=3, size=40, **rates))
        assert torch.equal(getattr(before, part), getattr(after, part))
        assert not torch.equal(getattr(before, other), getattr(after, other))


def check_both_rates_fall_linearly_to_zero():
    first, second = views()[0]
    seen = []

    class Watched(torch.optim.Adam):
        def step(self, *arguments, **settings):
            seen.append([group["lr"] for group in self.param_groups])
            return super().step(*arguments, **settings)

    with patch.object(torch.optim, "Adam", Watched):
        train_pooling(first, second, PoolSettings(steps=4, size=40, rate=0.08, query_rate=0.4))
    for rates, full in zip(zip(*seen), (0.08, 0.4)):
        assert rates == pytest.approx([full, 0.75 * full, 0.5 * full, 0.25 * full])


PROPERTIES = [check for name, check in sorted(globals().items()) if name.startswith("check_")]


@pytest.mark.parametrize("check", PROPERTIES, ids=lambda check: check.__name__[6:])
def test_properties(check):
    check()


# --- broken copies ---------------------------------------------------------------------------


def padding_counts(self, states, mask):
    return ((states.float() - self.centre) @ self.query).softmax(1)


def no_softmax(self, states, mask):
    return ((states.float() - self.centre) @ self.query).masked_fill(~mask.bool(), 0)


def all_the_same(self, states, mask):
    return mask / mask.sum(1, keepdim=True)


def centre_kept(self, states, mask):
    return torch.einsum("tl,tlw->tw", self.weights(states, mask), states.float()) @ self.projection


def projection_forgotten(self, states, mask):
    pooled = torch.einsum("tl,tlw->tw", self.weights(states, mask), states.float())
    return pooled - self.centre


def turned_round(self, states, mask):
    pooled = torch.einsum("tl,tlw->tw", self.weights(states, mask), states.float())
    return (pooled - self.centre) @ self.projection.T


@pytest.mark.parametrize("method, mutant", [
    ("weights", padding_counts), ("weights", no_softmax), ("weights", all_the_same),
    ("forward", centre_kept), ("forward", projection_forgotten), ("forward", turned_round)],
    ids=lambda value: getattr(value, "__name__", value))
def test_a_broken_pooling_is_found(method, mutant):
    with patch.object(LearnedPooling, method, mutant), pytest.raises(AssertionError):
        for check in PROPERTIES:
            check()


def wrong_partner(first, second, temperature):
    return RIGHT(first, second.roll(1, 0), temperature)


def means_of_all_places(self, size=500):
    return self.states.float().mean(1)


RIGHT = pool.info_nce


@pytest.mark.parametrize("where, name, mutant", [
    (pool, "info_nce", wrong_partner), (States, "means", means_of_all_places)],
    ids=["wrong_partner", "means_of_all_places"])
def test_a_broken_training_is_found(where, name, mutant):
    with patch.object(where, name, mutant), pytest.raises(AssertionError):
        for check in PROPERTIES:
            check()


# --- reading states --------------------------------------------------------------------------


def test_states_are_those_of_the_model_whatever_the_batches():
    tokenizer = tiny.wordpiece()
    torch.manual_seed(1)
    model = tiny.model(vocabulary=len(tokenizer), hidden_dropout_prob=0.5, initializer_range=0.2)
    model.train()
    texts = ["a good film", *tiny.texts(4)]
    found = read_states(model, tokenizer, texts, length=12, size=2)
    assert model.training
    model.eval()
    for place, text in enumerate(texts):
        row = tokenizer(text, truncation=True, max_length=12, return_tensors="pt")
        count = row["input_ids"].shape[1]
        with torch.no_grad():
            right = model.base_model(**row).last_hidden_state[0]
        assert found.mask[place].sum() == count
        assert torch.equal(found.ids[place, :count], row["input_ids"][0])
        assert torch.allclose(found.states[place, :count].float(), right, atol=0.02, rtol=0.01)
    with torch.no_grad():
        means = retrieval.encode(model, tokenizer, texts, length=12)
    assert torch.allclose(found.means(), means, atol=0.02)


def test_batches_go_where_the_model_is(monkeypatch):
    class Seen(Exception):
        pass

    def look(module, arguments, inputs):
        raise Seen({tensor.device.type for tensor in inputs.values()})

    tokenizer = tiny.wordpiece()
    model = tiny.model(vocabulary=len(tokenizer)).to("meta")
    model.base_model.register_forward_pre_hook(look, with_kwargs=True)
    monkeypatch.setattr(torch, "autocast", lambda device, *_, **__: nullcontext())
    with pytest.raises(Seen, match="{'meta'}"):
        read_states(model, tokenizer, tiny.texts(2), length=12)


@pytest.mark.parametrize("message, call", [
    ("length is 65, but the model has 64 positions: give at most 64",
     lambda: read_states(tiny.model(), tiny.wordpiece(), ["a film"], length=65)),
    ("size is 0: give at least 2", lambda: PoolSettings(size=0)),
    ("size is 1: give at least 2", lambda: PoolSettings(size=1)),
    ("give a list of texts", lambda: read_states(tiny.model(), tiny.wordpiece(), "one text")),
    ("give a list of texts", lambda: read_states(tiny.model(), tiny.wordpiece(), [])),
    ("steps is 0: give at least 1", lambda: PoolSettings(steps=0)),
    ("query_rate -0.1: give numbers from 0 on", lambda: PoolSettings(query_rate=-0.1)),
    (r"shape \(6, 6\): give \(texts, width\)", lambda: LearnedPooling.whitening(torch.eye(6))),
    ("a text has no token", lambda: LearnedPooling(2)(torch.ones(1, 3, 2), torch.zeros(1, 3))),
    ("the mask", lambda: LearnedPooling(2)(torch.ones(1, 3, 2), torch.ones(1, 4))),
    ("give as many of both", lambda: train_pooling(views(30)[0][0], views(40)[0][1])),
    ("do not fill a batch of 256", lambda: train_pooling(*views()[0]))])
def test_refusals(message, call):
    with pytest.raises(CourseError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
