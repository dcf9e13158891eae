"""The head start of T5's cross-attention: half of the heads look at the token they come from."""

from unittest import mock

import numpy as np
import pytest
import torch
from transformers import T5Config, T5ForConditionalGeneration

from companion.pretraining import start

MATCH = start._match
SIZE, LENGTH, HEADS, WIDE, HEAD = 200, 64, 4, 128, 32
SENTINELS = (1, 2, 3, 4)  # never in the rows that are counted
PLACES = (8, 23, 40, 57)


def t5():
    return T5ForConditionalGeneration(T5Config(
        vocab_size=SIZE, d_model=WIDE, d_kv=HEAD, d_ff=32, num_layers=2, num_heads=HEADS,
        decoder_start_token_id=0)).eval()


def corrupted():
    """Rows with four sentinels, and what a decoder reads: each sentinel and two tokens."""
    rows = np.random.default_rng(0).integers(5, SIZE, (300, LENGTH))
    read, written = rows[:8].copy(), rows[8:16, :12].copy()
    read[:, PLACES], written[:, ::3] = SENTINELS, SENTINELS
    return rows, torch.from_numpy(read), torch.from_numpy(written)


def found():
    """How much of its attention a sentinel gives to the same one, and how often nothing else
    gets more, in a T5 that only had its head start. Both (layers, heads)."""
    torch.manual_seed(0)
    model, (rows, read, written) = t5(), corrupted()
    start.head_start(model, rows, np.bincount(rows.ravel(), minlength=SIZE))
    model.set_attn_implementation("eager")
    with torch.no_grad():
        out = model(read, decoder_input_ids=written, output_attentions=True).cross_attentions
    asked = torch.stack(out)[..., ::3, :]  # (layers, rows, heads, sentinels, places)
    own = asked[..., PLACES].diagonal(dim1=-2, dim2=-1)
    return own.mean((1, 3)), (own == asked.amax(-1)).float().mean((1, 3))


# --- properties ---------------------------------------------------------------------------


def half_of_the_heads_find_the_same_sentinel():
    weight, first = (value[:, : HEADS // 2] for value in found())
    assert weight.min() > 4 / LENGTH and weight[0].min() > 15 / LENGTH
    assert first.min() > 0.2 and first[0].min() > 0.7


def the_other_heads_stay_free():
    weight, first = (value[:, HEADS // 2 :] for value in found())
    assert weight.max() < 2.5 / LENGTH and first.max() < 0.1


def matched():
    """Query and key of one layer, before and after, (heads, HEAD, WIDE)."""
    draw = torch.Generator().manual_seed(1)
    before = [torch.randn(HEADS * HEAD, WIDE, generator=draw) for _ in range(2)]
    after = [matrix.clone() for matrix in before]
    start._match(*after, HEADS, draw)
    return [[matrix.view(HEADS, HEAD, WIDE) for matrix in pair] for pair in (before, after)]


def a_state_scores_ten_with_itself_and_nothing_with_another():
    query, key = matched()[1]
    one, other = torch.randn(2, 2000, WIDE, generator=torch.Generator().manual_seed(0))
    for number in range(HEADS // 2):
        asked = one @ query[number].T
        assert (asked * (one @ key[number].T)).sum(1).mean() == pytest.approx(10, abs=0.3)
        assert (asked * (other @ key[number].T)).sum(1).mean() == pytest.approx(0, abs=0.3)


def no_two_heads_look_at_the_same_directions():
    query = matched()[1][0]
    assert (query[0] @ query[1].T).abs().max() < 0.5 * (query[0] @ query[0].T).diagonal().min()


def the_weights_of_the_other_heads_are_kept():
    before, after = matched()
    for one, two in zip(before, after):
        assert torch.equal(one[HEADS // 2 :], two[HEADS // 2 :])


PROPERTIES = [
    half_of_the_heads_find_the_same_sentinel, the_other_heads_stay_free,
    a_state_scores_ten_with_itself_and_nothing_with_another,
    no_two_heads_look_at_the_same_directions, the_weights_of_the_other_heads_are_kept]


@pytest.mark.parametrize("holds", PROPERTIES)
def test_property(holds):
    holds()


# --- broken copies ------------------------------------------------------------------------


def nothing(query, key, heads, draw):
    pass


def all_heads(query, key, heads, draw):
    MATCH(query, key, heads, draw)
    for matrix in (query, key):
        matrix[len(matrix) // 2 :] = matrix[: len(matrix) // 2]


def one_matrix_for_each(query, key, heads, draw):
    MATCH(query, query.clone(), heads, draw)
    MATCH(key, key.clone(), heads, draw)


def queries_alone(query, key, heads, draw):
    MATCH(query, key.clone(), heads, draw)


def too_quiet(query, key, heads, draw):
    with mock.patch.object(start, "ALIKE", 1.0):
        MATCH(query, key, heads, draw)


def opposite(query, key, heads, draw):
    MATCH(query, key, heads, draw)
    query[: len(query) // 2] *= -1


def the_same_for_all_heads(query, key, heads, draw):
    MATCH(query, key, heads, draw)
    for matrix in (query, key):
        matrix[HEAD : 2 * HEAD] = matrix[:HEAD]


BROKEN = [
    *((copy, half_of_the_heads_find_the_same_sentinel)
      for copy in (nothing, one_matrix_for_each, queries_alone, too_quiet, opposite)),
    (all_heads, the_other_heads_stay_free), (all_heads, the_weights_of_the_other_heads_are_kept),
    (too_quiet, a_state_scores_ten_with_itself_and_nothing_with_another),
    (the_same_for_all_heads, no_two_heads_look_at_the_same_directions)]


@pytest.mark.parametrize(("broken", "holds"), BROKEN)
def test_a_broken_copy_is_caught(broken, holds, monkeypatch):
    monkeypatch.setattr(start, "_match", broken)
    with pytest.raises(AssertionError):
        holds()
