"""The head start: token vectors from counts, heads that look at a fixed distance."""

import numpy as np
import pytest
import tiny
import torch
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    T5Config,
    T5ForConditionalGeneration,
)

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


def bert():
    return tiny.model("bert", SIZE, width=64, layers=2, heads=2, max_position_embeddings=LENGTH)


def gpt2():
    return GPT2LMHeadModel(GPT2Config(
        vocab_size=SIZE, n_embd=64, n_layer=2, n_head=2, n_positions=LENGTH, bos_token_id=3,
        eos_token_id=3)).eval()


def t5():
    return T5ForConditionalGeneration(T5Config(
        vocab_size=SIZE, d_model=32, d_kv=16, d_ff=32, num_layers=2, num_heads=4,
        decoder_start_token_id=0)).eval()


def attentions(model, ids):
    model.set_attn_implementation("eager")
    with torch.no_grad():
        if model.config.is_encoder_decoder:
            out = model(ids, labels=ids, output_attentions=True)
            return {"encoder": out.encoder_attentions, "decoder": out.decoder_attentions}
        return {"": model(ids, output_attentions=True).attentions}


@pytest.mark.parametrize("make, heads", [
    (bert, {"": {0: -1}}), (gpt2, {"": {0: -1}}),
    (t5, {"encoder": {0: -1, 1: 1}, "decoder": {0: -1, 1: -2}})])
def test_half_of_the_heads_look_at_their_distance(make, heads):
    torch.manual_seed(0)
    rows, model = rows_of_two_kinds(), make()
    start.head_start(model, rows, np.bincount(rows.ravel(), minlength=SIZE))
    found = attentions(model, torch.from_numpy(rows[:4]))
    for stack, expected in heads.items():
        first = found[stack][0]  # (batch, heads, length, length)
        for head in range(first.shape[1]):
            best = first[:, head].argmax(-1)[:, 6:-4] - torch.arange(6, LENGTH - 4)
            if head in expected:
                assert (best == expected[head]).float().mean() > 0.9, (stack, head)
            else:
                assert max((best == o).float().mean() for o in (-2, -1, 1, 2)) < 0.5


@pytest.mark.parametrize("make", [bert, gpt2, t5])
def test_tokens_of_one_kind_begin_alike_in_every_family(make):
    torch.manual_seed(0)
    rows, model = rows_of_two_kinds(), make()
    before = model.get_input_embeddings().weight.norm(dim=1).mean()
    start.head_start(model, rows, np.bincount(rows.ravel(), minlength=SIZE))
    words = model.get_input_embeddings().weight.detach()
    units = words / words.norm(dim=1, keepdim=True)
    first, second = units[5:22], units[22:39]
    inside = (first @ first.T)[~torch.eye(17, dtype=bool)].mean()
    assert inside > 0.1 and inside > abs((first @ second.T).mean()) + 0.1
    assert 0.3 < words.norm(dim=1).mean() / before < 3  # as large as random ones
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    assert all(torch.isfinite(parameter).all() for parameter in model.parameters())


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
    (lambda: tiny.model("roberta", SIZE), "is known for albert, bert, gpt2, t5, not for roberta"),
    (lambda: tiny.model("bert", SIZE), "too narrow for a head start"),
    (lambda: tiny.model("albert", SIZE), "too narrow for a head start")])
def test_models_that_have_no_room_are_refused(model, message):
    with pytest.raises(CourseError, match=message):
        start.head_start(model(), rows_of_two_kinds(5), np.ones(SIZE))


def test_more_numbers_than_tokens_are_refused():
    with pytest.raises(CourseError, match="raise the vocabulary or lower"):
        start.token_vectors(rows_of_two_kinds(5), SIZE, SIZE + 1)
