"""Positions, what heads look at, and removing a head; exercise references against a library."""

import numpy as np
import pytest
import tiny
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from companion.errors import CourseError
from companion.transformer import head_weights, sinusoidal, without_head

TEXTS = [*tiny.texts(7), "a small dog"]


# --- positions ----------------------------------------------------------------------------

def test_positions_are_those_of_a_library():
    from transformers.models.distilbert.modeling_distilbert import create_sinusoidal_embeddings

    theirs = torch.empty(60, 32)
    create_sinusoidal_embeddings(n_pos=60, dim=32, out=theirs)
    assert torch.allclose(sinusoidal(60, 32), theirs, atol=1e-6)


@settings(max_examples=40)
@given(st.integers(0, 40), st.integers(0, 40), st.integers(1, 20), st.integers(1, 16))
def test_products_depend_on_the_distance_only(one, other, distance, half):
    vectors = sinusoidal(64, 2 * half).double()
    first, second = ((vectors[p] @ vectors[p + distance]).item() for p in (one, other))
    assert first == pytest.approx(second, abs=1e-5)
    assert vectors[one].square().sum().item() == pytest.approx(half, abs=1e-5)


def test_first_waves_are_the_fastest_and_rows_stay_the_same_when_more_are_made():
    vectors = sinusoidal(3, 8)
    assert (vectors[1, 0::2].diff() < 0).all() and vectors[1, 0].item() == pytest.approx(np.sin(1))
    assert torch.equal(vectors, sinusoidal(9, 8)[:3]) and vectors.dtype == torch.float32


@pytest.mark.parametrize(("length", "width"), [(0, 4), (-1, 4), (3, 0), (3, 5), (3, -2)])
def test_impossible_positions_are_refused(length, width):
    with pytest.raises(CourseError):
        sinusoidal(length, width)


# --- what heads look at -------------------------------------------------------------------

@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(3)
    tokenizer = tiny.wordpiece()
    # Large weights: otherwise every head looks everywhere alike.
    model = tiny.model(vocabulary=len(tokenizer), layers=2, initializer_range=0.6,
                       attn_implementation="eager")
    return model, tokenizer


def by_loops(model, tokenizer, texts):
    """The same means, text by text and token by token."""
    names = ("previous", "next", "itself", "first", "last", "even")
    values = {name: [] for name in names}
    for text in texts:
        row = tokenizer(text, return_tensors="pt")
        with torch.no_grad():
            weights = torch.stack(model(**row, output_attentions=True).attentions)[:, 0]
        length = row["input_ids"].shape[1]
        for i in range(1, length - 1):
            for name, j in zip(names[:5], (i - 1, i + 1, i, 0, length - 1)):
                values[name].append(weights[:, :, i, j].numpy())
            values["even"].append(np.full(weights.shape[:2], 1 / length))
    return {name: np.mean(found, axis=0) for name, found in values.items()}


@pytest.mark.parametrize("batch", [1, 3, 32])
def test_means_are_those_of_loops_whatever_the_batch(encoder, batch):
    found, wanted = head_weights(*encoder, TEXTS, batch), by_loops(*encoder, TEXTS)
    assert set(found) == set(wanted)
    for name, values in wanted.items():
        assert found[name].shape == (2, 2)
        assert np.allclose(found[name], values, atol=1e-5), name
    assert not np.allclose(found["previous"], found["next"], atol=0.01)


@pytest.mark.parametrize("texts", [[], "one text", [""], ["", ""]])
def test_no_text_is_refused(encoder, texts):
    with pytest.raises(CourseError):
        head_weights(*encoder, texts)


def test_attention_that_keeps_no_weights_is_refused(encoder):
    model = tiny.model(vocabulary=len(encoder[1]), attn_implementation="sdpa")
    with pytest.raises(CourseError, match="eager"):
        head_weights(model, encoder[1], TEXTS)


def test_long_texts_are_cut(encoder):
    found = head_weights(*encoder, [" ".join(TEXTS * 20)])
    assert found["even"][0, 0] == pytest.approx(1 / encoder[0].config.max_position_embeddings)


# --- removing a head ----------------------------------------------------------------------

def output(model, ids=((2, 9, 8, 7, 3),)):
    with torch.no_grad():
        return model(torch.tensor(ids)).logits


@pytest.mark.parametrize(("layer", "head"), [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_without_a_head_is_its_columns_at_zero(encoder, layer, head):
    model = encoder[0]
    whole = output(model)
    with without_head(model, layer, head):
        silent = output(model)
    assert torch.equal(output(model), whole), "the head must come back"
    weight = model.bert.encoder.layer[layer].attention.output.dense.weight
    kept = weight.detach().clone()
    with torch.no_grad():
        weight[:, head * 8 : head * 8 + 8] = 0
        zeroed = output(model)
        weight.copy_(kept)
    assert torch.allclose(silent, zeroed, atol=1e-5)
    assert not torch.allclose(silent, whole, atol=1e-3)


def test_the_head_comes_back_after_an_error(encoder):
    whole = output(encoder[0])
    with pytest.raises(RuntimeError), without_head(encoder[0], 0, 0):
        raise RuntimeError
    assert torch.equal(output(encoder[0]), whole)


@pytest.mark.parametrize(("layer", "head"), [(2, 0), (-1, 0), (0, 2), (0, -1)])
def test_a_head_that_does_not_exist_is_refused(encoder, layer, head):
    with pytest.raises(CourseError), without_head(encoder[0], layer, head):
        pass


# --- references of the exercises ----------------------------------------------------------

def test_parameter_cases_are_those_of_a_bert_layer():
    from transformers import BertConfig
    from transformers.models.bert.modeling_bert import BertLayer

    from companion.exercises import find

    for case in find("transformer-parameters").cases():
        width, inner = case.given.values()
        with torch.device("meta"):
            layer = BertLayer(BertConfig(hidden_size=width, intermediate_size=inner,
                                         num_attention_heads=2))
        assert case.expected == sum(p.numel() for p in layer.parameters())


def test_share_cases_are_what_pytorch_counts():
    """Count the multiplications of a layer's matrix products as they are run."""
    from torch.utils.flop_counter import FlopCounterMode

    from companion.exercises import find

    case = find("transformer-cost").cases()[1]
    length, width, inner = case.given.values()
    with torch.random.fork_rng(devices=[]):
        layer = torch.nn.TransformerEncoderLayer(width, 2, inner, dropout=0.0, batch_first=True)
    states = torch.zeros(1, length, width, requires_grad=True)
    with FlopCounterMode(display=False) as counter, torch.nn.attention.sdpa_kernel(
            torch.nn.attention.SDPBackend.MATH):
        layer(states)
    counts = {str(name).split(".")[1]: n for name, n in counter.get_flop_counts()["Global"].items()}
    pairs = counts.pop("bmm")
    assert case.expected == pytest.approx(pairs / (pairs + sum(counts.values())))


def test_mask_cases_are_what_a_model_lets_through():
    """Change one token of a causal and of an encoder model: exactly the right results move."""
    from transformers import BertConfig, BertModel

    from companion.exercises import find

    for case in find("transformer-mask").cases()[:2]:
        real, causal = case.given.values()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = BertModel(BertConfig(
                vocab_size=20, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
                intermediate_size=16, is_decoder=causal, initializer_range=0.5)).eval()
        ids = torch.randint(5, 20, real.shape, generator=torch.Generator().manual_seed(1))
        with torch.no_grad():
            before = model(ids, attention_mask=real.long()).last_hidden_state
            for j in range(ids.shape[1]):
                other = ids.clone()
                other[:, j] = 5 + (other[:, j] - 4) % 15
                after = model(other, attention_mask=real.long()).last_hidden_state
                moved = (after - before).abs().amax(-1) > 1e-4
                moved[:, j] = case.expected[:, j, j]  # a token always moves its own result
                assert torch.equal(moved, case.expected[:, :, j])
