"""Properties of the contrastive objective.

Each is a function ``check_*`` of the module as it is. tests/test_contrastive_mutants.py breaks
the module in one place and expects a property to fail.
"""

import math

import pytest
import tiny
import torch
from torch.nn.functional import cross_entropy, pad
from transformers import BertConfig, BertForMaskedLM, BertModel

from companion.errors import CourseError
from companion.objectives import contrastive
from companion.objectives.contrastive import TwoViews

TOKENIZER = tiny.wordpiece()
CLS, SEP, PAD = TOKENIZER.cls_token_id, TOKENIZER.sep_token_id, TOKENIZER.pad_token_id
TEXTS = tiny.texts(8)


def encoder(kind=BertModel, dropout=0.1):
    torch.manual_seed(1)
    return kind(BertConfig(
        vocab_size=len(TOKENIZER), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=256, pad_token_id=PAD,
        initializer_range=0.3, hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout,
    ))


def vectors(count=6, width=5, seed=0):
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed))


def cosine(a, b):
    dot = sum(x * y for x, y in zip(a, b))
    return dot / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def table(first, second):
    """Similarities, entry by entry, in double precision."""
    return torch.tensor([[cosine(a, b) for b in second.tolist()] for a in first.tolist()],
                        dtype=torch.float64)


def rows(batch):
    """Token ids of every row without special tokens and padding."""
    found = []
    for ids, mask in zip(batch["input_ids"].tolist(), batch["attention_mask"].tolist()):
        ids = ids[: sum(mask)]
        assert ids[0] == CLS and ids[-1] == SEP and mask == sorted(mask, reverse=True)
        found.append(ids[1:-1])
    return found


def seeded(model, batch, **settings):
    """The loss with the same dropout every time."""
    torch.manual_seed(0)
    return contrastive.loss(model, batch, **settings)


# --- InfoNCE ------------------------------------------------------------------------------


def check_equal_to_cross_entropy():
    for count, width, temperature in [(2, 3, 1.0), (6, 5, 0.05), (30, 16, 0.05), (9, 2, 0.5)]:
        first, second = vectors(count, width), vectors(count, width, 1) + vectors(count, width)
        right = cross_entropy(table(first, second) / temperature, torch.arange(count))
        ours = contrastive.info_nce(first, second, temperature).item()
        assert ours == pytest.approx(right.item(), abs=1e-5, rel=1e-5)
    default = cross_entropy(table(first, second) / 0.05, torch.arange(count)).item()
    assert contrastive.info_nce(first, second).item() == pytest.approx(default, abs=1e-5)


def check_log_of_n_when_all_are_equal():
    for count in (2, 3, 64):
        same = vectors(1).expand(count, -1)
        across = torch.zeros(count, 5)
        across[:, :2] = torch.tensor([-same[0, 1], same[0, 0]])  # a right angle to all
        for second in (same, -same, across):
            for temperature in (0.05, 1.0):
                ours = contrastive.info_nce(same, second, temperature).item()
                assert ours == pytest.approx(math.log(count), abs=1e-5)


def mean_exponential(width, k):
    """Mean of exp(k s), s the cosine of random directions of this width (integrals solved)."""
    return {1: math.cosh(k), 3: math.sinh(k) / k,
            5: 3 * (k * math.cosh(k) - math.sinh(k)) / k**3}[width]


def check_known_value_for_random_directions():
    """N random unit vectors, each its own answer: ln(e^k + (N - 1) M(k)) - k, k = 1/temperature.

    The error is of order 1/N, not 1/sqrt(N): seen from any vector, the others are alike.
    """
    count = 1500
    for width in (1, 3, 5):
        points = vectors(count, width, seed=width)
        for k in (0.5, 1.0, 2.0):
            mean, square = mean_exponential(width, k), mean_exponential(width, 2 * k)
            wanted = math.log(math.exp(k) + (count - 1) * mean) - k
            ours = contrastive.info_nce(points, points, 1 / k).item()
            assert abs(ours - wanted) < 5 * math.sqrt(2 * square) / mean / count


def check_only_directions_count():
    first, second = vectors(), vectors(seed=1)
    ours = contrastive.info_nce(first * torch.rand(6, 1).add(0.1), second * 7)
    assert ours.item() == pytest.approx(contrastive.info_nce(first, second).item(), abs=1e-5)


def check_excluded_ones_do_not_count():
    first, second = vectors(4), vectors(4, seed=1)
    exclude = torch.zeros(4, 4, dtype=torch.bool)
    exclude[0, 2] = exclude[3, 3] = True  # the right answer stays, whatever is asked
    scores = table(first, second) / 0.5
    scores[0, 2] = -math.inf
    right = cross_entropy(scores, torch.arange(4)).item()
    ours = contrastive.info_nce(first, second, 0.5, exclude).item()
    assert ours == pytest.approx(right, abs=1e-5)


# --- views --------------------------------------------------------------------------------


def check_rows_are_as_the_tokenizer_writes_them():
    batch = TwoViews(TOKENIZER, length=64)(TEXTS)
    theirs = TOKENIZER(TEXTS, padding="max_length", max_length=64, return_tensors="pt")
    for key in ("input_ids", "attention_mask"):
        assert torch.equal(batch[key], theirs[key].repeat(2, 1))
        assert batch[key].dtype == torch.int64


def check_crops_are_parts_of_the_text():
    whole = TOKENIZER(TEXTS, add_special_tokens=False)["input_ids"]
    starts = set()
    for same in (True, False):
        collator = TwoViews(TOKENIZER, length=12, same_crop=same)
        for number in range(20):
            batch = collator(TEXTS, number)
            assert batch["input_ids"].shape == (2 * len(TEXTS), 12)
            found = rows(batch)
            assert all(len(crop) == 10 for crop in found)
            for ids, crop in zip(whole * 2, found):
                fits = [i for i in range(len(ids) - 9) if ids[i : i + 10] == crop]
                assert fits
                starts.add((fits[0] == 0, fits[-1] == len(ids) - 10))
            assert (found[: len(TEXTS)] == found[len(TEXTS) :]) == same
    assert starts == {(True, False), (False, False), (False, True)}


def check_crops_depend_on_seed_and_number():
    def view(number, **settings):
        return TwoViews(TOKENIZER, length=12, **settings)(TEXTS, number)["input_ids"]

    assert torch.equal(view(4, seed=1), view(4, seed=1))
    assert not torch.equal(view(4, seed=1), view(5, seed=1))
    assert not torch.equal(view(4, seed=1), view(4))
    assert not torch.equal(view(4, seed=1), view(4, seed=-1))


# --- the loss of a model --------------------------------------------------------------------


def check_loss_is_info_nce_of_two_views():
    batch = TwoViews(TOKENIZER)(TEXTS)
    for kind in (BertModel, BertForMaskedLM):
        for pooling in ("cls", "mean"):
            model = encoder(kind).train()
            ours = seeded(model, batch, pooling=pooling).item()
            torch.manual_seed(0)
            states = model.base_model(
                batch["input_ids"], attention_mask=batch["attention_mask"]
            ).last_hidden_state
            mean = [row[: mask.sum()].mean(0) for row, mask in zip(states, batch["attention_mask"])]
            pooled = states[:, 0] if pooling == "cls" else torch.stack(mean)
            scores = table(pooled[:8], pooled[8:]) / 0.05
            right = cross_entropy(scores, torch.arange(8)).item()
            assert ours == pytest.approx(right, abs=1e-5, rel=1e-5)


def check_views_have_dropout_of_their_own():
    batch = TwoViews(TOKENIZER)(TEXTS)
    model = encoder().train()
    first, second = contrastive.embed(
        model, batch["input_ids"], batch["attention_mask"]).detach().chunk(2)
    assert (table(first, second).diagonal() < 0.999).all()
    with pytest.raises(CourseError, match=r"both views are the same: call model.train\(\)"):
        contrastive.loss(model.eval(), batch)
    with pytest.raises(CourseError, match="dropout above 0"):
        contrastive.loss(encoder(dropout=0).train(), batch)


def check_copies_are_no_wrong_answers():
    """A text that stands twice in the batch: same loss as without the other, for each of them."""
    texts = [*TEXTS[:4], TEXTS[0]]
    for length, same in [(64, True), (12, True), (12, False)]:
        batch = TwoViews(TOKENIZER, length=length, same_crop=same)(texts)
        model = encoder().train()
        ours = seeded(model, batch).item()
        torch.manual_seed(0)
        first, second = contrastive.embed(
            model, batch["input_ids"], batch["attention_mask"]).detach().chunk(2)
        scores = table(first, second) / 0.05
        scores[0, 4] = scores[4, 0] = -math.inf
        right = cross_entropy(scores, torch.arange(5)).item()
        assert ours == pytest.approx(right, abs=1e-5, rel=1e-5)


@torch.no_grad()
def check_padding_does_not_count():
    """Whatever stands in padded positions, and however many there are: same vectors, same loss."""
    batch, model = TwoViews(TOKENIZER)(TEXTS), encoder().train()
    refilled = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, 7)
    for pooling in ("cls", "mean"):
        losses = [seeded(model, {**batch, "input_ids": ids}, pooling=pooling).item()
                  for ids in (batch["input_ids"], refilled)]
        assert losses[0] == pytest.approx(losses[1], abs=1e-5)
    model.eval()
    for pooling in ("cls", "mean"):
        plain = contrastive.embed(model, batch["input_ids"], batch["attention_mask"], pooling)
        for width, filler in [(1, 0), (30, 0), (30, 9)]:
            mask = pad(batch["attention_mask"], (0, width))
            ids = pad(batch["input_ids"], (0, width)).masked_fill(mask == 0, filler)
            wider = contrastive.embed(model, ids, mask, pooling)
            torch.testing.assert_close(wider, plain, atol=1e-5, rtol=1e-5)
        ids = batch["input_ids"][:, :9]
        torch.testing.assert_close(contrastive.embed(model, ids, None, pooling),
                                   contrastive.embed(model, ids, torch.ones_like(ids), pooling))


# --- what comes of it -----------------------------------------------------------------------


def check_alignment():
    first, second = vectors(), vectors(seed=1)
    across = torch.stack([-first[:, 1], first[:, 0], *torch.zeros(3, 6)], 1)
    for other, wanted in [(first, 0), (3 * first, 0), (-first, 4), (across, 2)]:
        assert contrastive.alignment(first, other).item() == pytest.approx(wanted, abs=1e-5)
    squared = 2 - 2 * table(first, second).diagonal()
    for power in (1, 2):
        ours = contrastive.alignment(first, second, power).item()
        assert ours == pytest.approx(squared.pow(power / 2).mean().item(), abs=1e-5)


def check_uniformity():
    one = vectors(1)
    assert contrastive.uniformity(one.expand(9, -1)).item() == pytest.approx(0, abs=1e-5)
    assert contrastive.uniformity(torch.cat([one, -3 * one])).item() == pytest.approx(-8, abs=1e-5)
    points = vectors(7)
    squared = 2 - 2 * table(points, points)
    different = squared[~torch.eye(7, dtype=torch.bool)]
    for sharpness in (2, 0.5):
        ours = contrastive.uniformity(points, sharpness).item()
        wanted = different.mul(-sharpness).exp().mean().log().item()
        assert ours == pytest.approx(wanted, abs=1e-5)


def check_uniformity_of_random_directions():
    """ln M(4) - 4 on the sphere: exp(-2 (2 - 2 s)) = exp(4 s - 4)."""
    for width in (3, 5):
        ours = contrastive.uniformity(vectors(1500, width)).item()
        assert ours == pytest.approx(math.log(mean_exponential(width, 4)) - 4, abs=0.01)


PROPERTIES = {name: value for name, value in globals().items() if name.startswith("check_")}


@pytest.mark.parametrize("name", PROPERTIES)
def test_property(name):
    PROPERTIES[name]()


# --- details ------------------------------------------------------------------------------


def test_descent_brings_views_together_and_texts_apart():
    first, second = (vectors(8, 16, seed).requires_grad_() for seed in (0, 1))
    optimizer = torch.optim.SGD([first, second], 1.0)
    before = contrastive.alignment(first, second).item()
    for _ in range(50):
        optimizer.zero_grad()
        contrastive.info_nce(first, second, 0.5).backward()
        optimizer.step()
    assert contrastive.alignment(first, second).item() < before / 4
    scores = table(first.detach(), second.detach())
    assert (scores.argmax(1) == torch.arange(8)).all()


def test_the_gradient_reaches_every_layer():
    model = encoder(BertForMaskedLM).train()
    contrastive.loss(model, TwoViews(TOKENIZER)(TEXTS)).backward()
    layers = [*model.bert.encoder.layer, model.bert.embeddings]
    for layer in layers:
        assert all(p.grad is not None and p.grad.isfinite().all() for p in layer.parameters())
        assert any(p.grad.abs().sum() > 0 for p in layer.parameters())


def refused(match, call):
    with pytest.raises(CourseError, match=match) as problem:
        call()
    assert "\n" not in str(problem.value) and ": " in str(problem.value)


@pytest.mark.parametrize("match, call", [
    ("length is 2: a row needs", lambda: TwoViews(TOKENIZER, length=2)),
    ("this is one text: give a list", lambda: TwoViews(TOKENIZER)("one text")),
    (r"texts\[0\] is of type list: give a str", lambda: TwoViews(TOKENIZER)([[5, 6], [7, 8]])),
    ("has 1 texts: InfoNCE needs", lambda: TwoViews(TOKENIZER)(["one text"])),
    ("text 1 of the batch has no tokens: leave", lambda: TwoViews(TOKENIZER)(["a dog", " "])),
    ("pooling is 'max': give one of cls, mean",
     lambda: contrastive.embed(encoder(), torch.ones(2, 4).long(), pooling="max")),
    ("not two views of each text: take the batch",
     lambda: contrastive.loss(encoder(), {"input_ids": torch.ones(3, 4).long()})),
    (r"shapes \(3, 4\) and \(4, 4\): give", lambda: contrastive.info_nce(vectors(3, 4),
                                                                         vectors(4, 4))),
    ("N at least 2", lambda: contrastive.info_nce(vectors(1), vectors(1))),
    ("temperature is 0: give", lambda: contrastive.info_nce(vectors(), vectors(), 0)),
    ("shapes .* not empty", lambda: contrastive.alignment(vectors(3), vectors(4))),
    ("N at least 2", lambda: contrastive.uniformity(vectors(1))),
])
def test_what_cannot_be_used_is_refused(match, call):
    refused(match, call)


def test_a_tokenizer_without_padding_is_refused():
    tokenizer = tiny.wordpiece()
    tokenizer.pad_token = None
    refused("or padding: use one", lambda: TwoViews(tokenizer))
