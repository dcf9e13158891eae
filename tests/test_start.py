"""The head start: token vectors from counts, heads that look at a fixed distance."""

import numpy as np
import pytest
import tiny
import torch

from companion.errors import CourseError
from companion.objectives import masked
from companion.pretraining import start

SIZE, LENGTH = 40, 64


def rows_of_two_kinds(count: int = 300) -> np.ndarray:
    """Tokens 5-21 only have neighbours from 22-38, and the other way round."""
    draw = np.random.default_rng(0)
    rows = np.empty((count, LENGTH), np.int64)
    rows[:, ::2] = draw.integers(5, 22, (count, LENGTH // 2))
    rows[:, 1::2] = draw.integers(22, 39, (count, LENGTH // 2))
    return rows


def albert(**config):
    torch.manual_seed(0)
    return tiny.model("albert", SIZE, width=256, layers=2, heads=8, embedding_size=60,
                      max_position_embeddings=LENGTH, **config)


def begun():
    rows, model = rows_of_two_kinds(), albert()
    start.head_start(model, rows, np.bincount(rows.ravel(), minlength=SIZE))
    return rows, model


def test_neighbours_are_counted_by_hand():
    counts = start.neighbour_counts(np.array([[5, 6, 7], [5, 6, 0]]), 8, pad=0).toarray()
    assert counts[5, 6] == counts[6, 5] == 2 and counts[6, 7] == 1
    assert counts[5, 7] == counts[7, 5] == 0.5
    assert counts[0].sum() == 0 and counts.sum() == 2 * (2 + 1 + 0.5)


def test_tokens_with_the_same_neighbours_have_like_vectors():
    vectors = start.token_vectors(rows_of_two_kinds(), SIZE, 8).numpy()
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    first, second = vectors[5:22], vectors[22:39]
    inside = (first @ first.T)[~np.eye(17, dtype=bool)].mean()
    assert inside > 0.3 > abs(first @ second.T).mean() + 0.1


@pytest.mark.parametrize("offset", [-2, -1, 1, 2, 7])
def test_turning_moves_a_position(offset):
    table, frequency = start.waves(40)
    moved = table[10:30] @ start.turned(frequency, offset).T
    assert torch.allclose(moved, table[10 + offset : 30 + offset], atol=1e-4)


def test_the_first_heads_look_at_their_distance_from_the_first_layer_on():
    rows, model = begun()
    model.set_attn_implementation("eager")
    with torch.no_grad():
        attention = model(torch.from_numpy(rows[:4]), output_attentions=True).attentions
    for head, offset in enumerate(start.OFFSETS):
        looked = attention[0][:, head].diagonal(offset=offset, dim1=1, dim2=2)
        assert looked.mean() > 0.5, (head, offset)
        best = attention[0][:, head].argmax(-1)[:, 4:-4] - torch.arange(4, LENGTH - 4)
        assert (best == offset).float().mean() > 0.9
    rest = attention[0][:, len(start.OFFSETS) :].amax(-1)
    assert rest.mean() < 0.2


def test_the_first_guess_is_the_frequency_of_the_tokens():
    rows, model = begun()
    ids = torch.from_numpy(rows[:8])
    hidden = ids.clone()
    hidden[:, 10] = 4
    with torch.no_grad():
        guess = masked.masked_logits(model, hidden, hidden == 4).softmax(-1).mean(0)
    counts = np.bincount(rows.ravel(), minlength=SIZE) + 1.0
    counts[0] = 1.0
    expected = torch.from_numpy(counts / counts.sum()).float()
    # Without the bias every token, special ones too, would have 1/40 = 0.025.
    assert (guess - expected).abs().max() < 0.02
    assert torch.equal(model.predictions.bias, model.predictions.decoder.bias)


def test_the_embeddings_stay_tied_and_every_weight_can_learn():
    rows, model = begun()
    assert model.predictions.decoder.weight is model.albert.embeddings.word_embeddings.weight
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert all(torch.isfinite(parameter).all() for parameter in model.parameters())


@pytest.mark.parametrize("model, message", [
    (lambda: tiny.model("bert", SIZE), "is known for albert, not for bert"),
    (lambda: tiny.model("albert", SIZE), "too narrow for a head start")])
def test_models_that_have_no_room_are_refused(model, message):
    with pytest.raises(CourseError, match=message):
        start.head_start(model(), rows_of_two_kinds(5), np.ones(SIZE))


def test_more_numbers_than_tokens_are_refused():
    with pytest.raises(CourseError, match="raise the vocabulary or lower"):
        start.token_vectors(rows_of_two_kinds(5), SIZE, SIZE + 1)
