"""Span corruption and prefix LM, broken in one place at a time: a property must fail."""

from unittest.mock import patch

import pytest
import torch
from test_spans import EOS, PAD, PROPERTIES
from torch.nn.functional import cross_entropy

from companion.objectives import causal, spans
from companion.objectives.masked import IGNORE
from companion.objectives.spans import PrefixLM, SpanCorruption

RIGHT = {name: getattr(spans, name) for name in
         ("encode", "decode", "draw_spans", "shift_right", "loss", "prefix_mask", "joined",
          "table", "_padded")}
CORRUPT, COUNTS, WIDTHS = SpanCorruption._corrupt, SpanCorruption.counts, SpanCorruption.widths

# --- one text -----------------------------------------------------------------------------


def one_sentinel_for_all(ids, places, sentinels):
    inputs, targets = RIGHT["encode"](ids, places, sentinels)
    return ([sentinels[0] if t in sentinels else t for t in inputs], targets)


def keeps_what_it_takes(ids, places, sentinels):
    inputs, targets = RIGHT["encode"](ids, places, sentinels)
    return RIGHT["decode"](inputs, targets, sentinels), targets


def no_last_sentinel(ids, places, sentinels):
    inputs, targets = RIGHT["encode"](ids, places, sentinels)
    return inputs, targets[:-1]


def accepts_sentinels(ids, places, sentinels):
    ids = [token for token in ids if token not in sentinels] or [7]
    return RIGHT["encode"](ids, places, sentinels)


def spans_in_reverse(inputs, targets, sentinels):
    return RIGHT["decode"](inputs, targets, sentinels)[::-1]


def begins_with_a_kept_token(count, noise, number, generator):
    drawn = RIGHT["draw_spans"](count, noise, number, generator)
    return [(a + 1, b + 1) for a, b in drawn] if drawn[-1][1] < count else drawn


def spans_touch(count, noise, number, generator):
    return [(i * noise // number, (i + 1) * noise // number) for i in range(number)]


def off_by_one(count, noise, number, generator):
    drawn = RIGHT["draw_spans"](count, noise, number, generator)
    return [(a + 1, b + 1) for a, b in drawn]


# --- span corruption ----------------------------------------------------------------------


def padding_is_text(self, ids, generator):
    return CORRUPT(self, ids + [PAD] * (40 - len(ids)), generator)


def order_is_lost(self, ids, generator):
    return CORRUPT(self, sorted(ids), generator)


def without_eos(self, ids, generator):
    inputs, targets = CORRUPT(self, ids, generator)
    return inputs[:-1], targets[:-1]


def eos_twice(self, ids, generator):
    inputs, targets = CORRUPT(self, ids, generator)
    return [EOS, *inputs[1:]], targets


def single_tokens(self, tokens):
    noise, _ = COUNTS(self, tokens)
    return noise, min(noise, tokens - noise + 1)


def share_of_the_rest(self, tokens):
    noise = max(1, round(self.share * tokens / (1 + self.share)))
    return noise, max(1, round(noise / self.mean))


def only_as_wide_as_needed(rows, width, filler):
    return RIGHT["_padded"](rows, max(map(len, rows)), filler)


def one_wider(self, length):
    inputs, targets = WIDTHS(self, length)
    return inputs + 1, targets


def always_the_first_batch(collator):
    call = collator.__call__
    return lambda self, rows, number=0: call(self, rows, 0)


def own_memory(rows, vocabulary):
    return rows if isinstance(rows, torch.Tensor) else RIGHT["table"](rows, vocabulary)


# --- losses -------------------------------------------------------------------------------


def not_shifted(labels, start, pad):
    return labels.masked_fill(labels == IGNORE, pad)


def starts_with_eos(labels, start, pad):
    return RIGHT["shift_right"](labels, EOS, pad)


def does_not_force(labels, start, pad):
    """The decoder reads nothing of the labels."""
    return torch.full_like(labels, start)


def attends_to_padding(model, batch):
    return RIGHT["loss"](model, {k: v for k, v in batch.items() if k != "attention_mask"})


def counts_padding(model, batch):
    labels = batch["labels"].masked_fill(batch["labels"] == IGNORE, PAD)
    return RIGHT["loss"](model, {**batch, "labels": labels})


def mean_over_everything(model, batch):
    logits = model(**batch).logits
    return cross_entropy(logits.mT, batch["labels"], reduction="none").mean()


# --- one stack ----------------------------------------------------------------------------


def causal_only(prefix, kept):
    return RIGHT["prefix_mask"](torch.zeros_like(prefix), kept)


def sees_everything(prefix, kept):
    return RIGHT["prefix_mask"](torch.full_like(prefix, kept.shape[1]), kept)


def one_too_far(prefix, kept):
    return RIGHT["prefix_mask"](prefix + 1, kept)


def sees_padding(prefix, kept):
    return RIGHT["prefix_mask"](prefix, torch.ones_like(kept))


def always_half(self, tokens, generator):
    return tokens // 2


def cut_anywhere(self, tokens, generator):
    return (torch.rand(len(tokens), generator=generator) * (tokens + 1)).long()


def changed(**changes):
    """``joined`` with some of its results replaced."""
    def broken(batch, pad, both_ways=True):
        result = RIGHT["joined"](batch, pad, both_ways)
        return {**result, **{name: change(result) for name, change in changes.items()}}
    return broken


inputs_have_labels = changed(
    labels=lambda b: b["input_ids"].masked_fill(b["input_ids"] == PAD, IGNORE)
)
positions_count_padding = changed(
    position_ids=lambda b: torch.arange(b["labels"].shape[1]).expand(b["labels"].shape)
)


def padding_between(batch, pad, both_ways=True):
    with patch.object(torch.Tensor, "argsort", lambda x, **_: torch.arange(x.shape[1]).expand(
            x.shape)):
        return RIGHT["joined"](batch, pad, both_ways)


def never_both_ways(batch, pad, both_ways=True):
    return RIGHT["joined"](batch, pad, False)


def shifted_no_label(model, batch):
    return cross_entropy(model(**batch).logits.mT, batch["labels"])


MUTANTS = [
    (spans, "encode", one_sentinel_for_all, "decode_undoes_encode"),
    (spans, "encode", keeps_what_it_takes, "decode_undoes_encode"),
    (spans, "encode", no_last_sentinel, "decode_undoes_encode"),
    (spans, "decode", spans_in_reverse, "decode_undoes_encode"),
    (spans, "encode", accepts_sentinels, "sentinels_in_the_text_are_refused"),
    (spans, "draw_spans", spans_touch, "spans_are_drawn_as_asked"),
    (spans, "draw_spans", off_by_one, "spans_are_drawn_as_asked"),
    (spans, "draw_spans", begins_with_a_kept_token, "all_ways_are_equally_probable"),
    (SpanCorruption, "_corrupt", order_is_lost, "collator_is_invertible"),
    (SpanCorruption, "_corrupt", padding_is_text, "padding_does_not_count"),
    (SpanCorruption, "_corrupt", without_eos, "both_sides_end_with_eos"),
    (SpanCorruption, "_corrupt", eos_twice, "both_sides_end_with_eos"),
    (SpanCorruption, "counts", single_tokens, "share_and_mean_length"),
    (SpanCorruption, "counts", share_of_the_rest, "share_and_mean_length"),
    (SpanCorruption, "widths", one_wider, "shapes_are_fixed"),
    (spans, "_padded", only_as_wide_as_needed, "shapes_are_fixed"),
    (SpanCorruption, "__call__", always_the_first_batch(SpanCorruption), "spans_are_dynamic"),
    (spans, "table", own_memory, "rows_are_not_modified"),
    (spans, "shift_right", not_shifted, "equal_to_transformers"),
    (spans, "shift_right", starts_with_eos, "equal_to_transformers"),
    (spans, "shift_right", does_not_force, "teacher_forcing_is_one_pass_for_all_steps"),
    (spans, "shift_right", not_shifted, "teacher_forcing_is_one_pass_for_all_steps"),
    (spans, "loss", attends_to_padding, "padding_does_not_count"),
    (spans, "loss", attends_to_padding, "equal_to_transformers"),
    (spans, "loss", counts_padding, "padding_does_not_count"),
    (spans, "loss", mean_over_everything, "equal_to_transformers"),
    (spans, "prefix_mask", causal_only, "prefix_sees_itself_and_the_rest_sees_the_left"),
    (spans, "prefix_mask", sees_everything, "prefix_sees_itself_and_the_rest_sees_the_left"),
    (spans, "prefix_mask", one_too_far, "prefix_sees_itself_and_the_rest_sees_the_left"),
    (spans, "prefix_mask", sees_padding, "joined_is_inputs_then_targets"),
    (PrefixLM, "cut", always_half, "prefix_has_no_label"),
    (PrefixLM, "cut", cut_anywhere, "prefix_has_no_label"),
    (PrefixLM, "cut", always_half, "cuts_are_dynamic"),
    (PrefixLM, "__call__", always_the_first_batch(PrefixLM), "cuts_are_dynamic"),
    (spans, "joined", inputs_have_labels, "joined_is_inputs_then_targets"),
    (spans, "joined", positions_count_padding, "joined_is_inputs_then_targets"),
    (spans, "joined", padding_between, "joined_is_inputs_then_targets"),
    (spans, "joined", never_both_ways, "joined_is_inputs_then_targets"),
    (causal, "loss", shifted_no_label, "decoder_alone_equal_to_transformers"),
]


@pytest.mark.parametrize("owner, name, broken, guard", MUTANTS,
                         ids=[f"{broken.__name__}-{guard}" for _, _, broken, guard in MUTANTS])
def test_mutant_is_caught(owner, name, broken, guard):
    with patch.object(owner, name, broken), pytest.raises(AssertionError):
        PROPERTIES[f"check_{guard}"]()


def test_every_property_catches_a_mutant():
    assert {f"check_{guard}" for *_, guard in MUTANTS} == set(PROPERTIES)
