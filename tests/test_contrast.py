"""Contrastive training: what each setting decides, the same bits again, refusals."""

import copy
import math
from contextlib import nullcontext
from unittest.mock import patch

import numpy as np
import pytest
import tiny
import torch

from companion.errors import CourseError
from companion.objectives import contrastive
from companion.pretraining import contrast
from companion.pretraining.contrast import Settings, set_dropout, texts_of, train

TOKENIZER = tiny.wordpiece()
TEXTS = [" ".join(tiny.texts(3, seed)) for seed in range(40)]


def encoder(dropout=0.0):
    torch.manual_seed(1)
    return tiny.model(vocabulary=len(TOKENIZER), hidden_dropout_prob=dropout,
                      attention_probs_dropout_prob=dropout, initializer_range=0.2)


def short(**changes):
    return Settings(**{"steps": 3, "size": 8, "length": 16, "rate": 1e-3} | changes)


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def test_the_loss_falls_and_the_right_text_is_found():
    model = encoder()
    losses = train(model, TOKENIZER, tiny.texts(40),
                   short(steps=60, length=30, rate=3e-3, temperature=0.2))
    assert losses[0] > 0.5 * math.log(8) and np.mean(losses[-10:]) < 0.6 * np.mean(losses[:10])
    assert not model.training


@pytest.mark.parametrize("views", contrast.VIEWS)
def test_the_same_settings_give_the_same_bits(views):
    one, two = encoder(), encoder()
    torch.manual_seed(1)
    first = train(one, TOKENIZER, TEXTS, short(views=views))
    torch.manual_seed(2)
    torch.rand(5)  # another state of the global generator
    assert train(two, TOKENIZER, TEXTS, short(views=views)) == first
    assert torch.equal(weights(one), weights(two))


@pytest.mark.parametrize("change", [
    {"seed": 1}, {"views": "dropout"}, {"temperature": 0.2}, {"pooling": "cls"}, {"length": 12},
    {"dropout": 0.3}, {"size": 9}, {"precision": "bf16"},
])
def test_every_setting_changes_the_first_loss(change):
    (first,) = train(encoder(), TOKENIZER, TEXTS, short(steps=1))
    (other,) = train(encoder(), TOKENIZER, TEXTS, short(steps=1, **change))
    assert first != other


@pytest.mark.parametrize("change", [{"rate": 1e-4}, {"warmup": 1.0}, {"steps": 8}])
def test_settings_of_the_optimiser_change_later_losses(change):
    first = train(encoder(), TOKENIZER, TEXTS, short(steps=6, warmup=0.5))
    other = train(encoder(), TOKENIZER, TEXTS, short(**{"steps": 6, "warmup": 0.5} | change))
    assert first[0] == other[0] and first[5] != other[5]


def test_the_first_loss_is_that_of_the_objective():
    """Without dropout, and the temperature and pooling as asked."""
    settings = short(steps=1, dropout=0.0, temperature=0.3, seed=5)
    (ours,) = train(encoder(), TOKENIZER, TEXTS, settings)
    batch = contrastive.TwoViews(TOKENIZER, 16, same_crop=False, seed=5)(
        [TEXTS[i] for i in texts_of(0, settings, len(TEXTS))], 0)
    wanted = contrastive.loss(encoder().train(), batch, 0.3, "mean").item()
    assert ours == pytest.approx(wanted, abs=1e-6)


def gradient(settings):
    """Length of the gradient of the first step, over the encoder; no dropout."""
    model = encoder().train()
    batch = contrastive.TwoViews(TOKENIZER, settings.length, False, settings.seed)(
        [TEXTS[i] for i in texts_of(0, settings, len(TEXTS))], 0)
    contrastive.loss(model, batch, settings.temperature, settings.pooling).backward()
    return math.sqrt(sum(p.grad.square().sum() for p in model.parameters() if p.grad is not None))


@pytest.mark.parametrize("temperature, clipped", [(0.02, True), (5.0, False)])
def test_gradients_are_clipped_and_weights_decay(temperature, clipped):
    seen = []

    class Watched(torch.optim.AdamW):
        def step(self, *arguments, **settings):
            (group,) = self.param_groups
            found = [p.grad.square().sum() for p in group["params"] if p.grad is not None]
            seen.append((math.sqrt(sum(found)), group["weight_decay"]))
            return super().step(*arguments, **settings)

    settings = short(steps=1, dropout=0.0, temperature=temperature)
    whole = gradient(settings)
    with patch.object(torch.optim, "AdamW", Watched):
        train(encoder(), TOKENIZER, TEXTS, settings)
    assert (whole > 2) if clipped else (0.01 < whole < 0.9)
    assert seen == [(pytest.approx(1.0 if clipped else whole, rel=1e-4), 0.01)]


def test_batches_go_where_the_model_is(monkeypatch):
    class Seen(Exception):
        pass

    def loss(model, batch, *_):
        raise Seen({tensor.device.type for tensor in batch.values()})

    monkeypatch.setattr(contrastive, "loss", loss)
    monkeypatch.setattr(torch, "autocast", lambda device, *_, **__: nullcontext())
    with pytest.raises(Seen, match="{'meta'}"):
        train(encoder().to("meta"), TOKENIZER, TEXTS, short())


def test_a_head_is_left_alone_and_every_layer_learns():
    model = encoder()
    before = copy.deepcopy(model.state_dict())
    train(model, TOKENIZER, TEXTS, short())
    changed = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert not any(name.startswith("cls.predictions.transform") for name in changed)
    assert {"bert.embeddings.word_embeddings.weight",
            "bert.encoder.layer.0.attention.self.query.weight",
            "bert.encoder.layer.0.output.dense.weight"} <= changed


def test_dropout_is_set_everywhere():
    model = encoder(0.0).train()
    ids = torch.randint(5, 90, (2, 9))
    assert torch.equal(model(input_ids=ids).logits, model(input_ids=ids).logits)
    set_dropout(model, 0.4)
    shares = {m.p for m in model.modules() if isinstance(m, torch.nn.Dropout)}
    assert shares == {0.4}
    assert not torch.equal(model(input_ids=ids).logits, model(input_ids=ids).logits)


def test_an_epoch_takes_each_text_at_most_once_and_the_next_another_order():
    settings = short(size=8)
    epochs = [[i for step in range(5 * e, 5 * e + 5) for i in texts_of(step, settings, 43)]
              for e in range(2)]
    for order in epochs:
        assert len(order) == len(set(order)) == 40 and set(order) <= set(range(43))
    assert epochs[0] != epochs[1]
    assert texts_of(0, settings, 43) != texts_of(0, short(size=8, seed=1), 43)


@pytest.mark.parametrize("match, call", [
    ("views is 'both': give one of crops, dropout", lambda: Settings(views="both")),
    ("steps is 0: give", lambda: Settings(steps=0)),
    ("rate is 0: give", lambda: Settings(rate=0)),
    ("dropout is 1: give a share", lambda: Settings(dropout=1)),
    ("dropout is 0, so both views would be the same", lambda: Settings(views="dropout", dropout=0)),
    ("precision is 'fp16': give no or bf16", lambda: Settings(precision="fp16")),
    ("40 texts do not fill a batch of 41", lambda: train(encoder(), TOKENIZER, TEXTS,
                                                         short(size=41))),
    ("size is 1: give at least 2", lambda: Settings(size=1)),
    ("size is 0: give at least 2", lambda: Settings(size=0)),
    ("size is -1: give at least 2", lambda: Settings(size=-1)),
    ("pooling is 'max': give one of cls, mean", lambda: Settings(pooling="max")),
    ("warmup is 5.0: give a share from 0 to 1", lambda: Settings(warmup=5.0)),
    ("length is 65, but the model has 64 positions", lambda: train(encoder(), TOKENIZER, TEXTS,
                                                                   short(length=65))),
    ("this is one text: give a list", lambda: train(encoder(), TOKENIZER, "one text " * 9,
                                                    short())),
    ("loss is nan at step 1: lower", lambda: train(encoder(), TOKENIZER, TEXTS,
                                                   short(rate=1e30, warmup=0.0))),
])
def test_what_cannot_be_used_is_refused(match, call):
    with pytest.raises(CourseError, match=match) as problem:
        call()
    assert "\n" not in str(problem.value) and ": " in str(problem.value)
