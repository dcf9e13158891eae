"""The causal objective, broken in one place at a time: the property that guards it must fail."""

from unittest.mock import patch

import pytest
import torch
from test_causal import EOS, PROPERTIES
from torch.nn.functional import cross_entropy

from companion.objectives import causal
from companion.objectives.causal import CausalLM
from companion.objectives.masked import IGNORE

RIGHT = {name: getattr(causal, name) for name in
         ("pack", "documents", "windows", "token_losses", "perplexity", "loss", "table")}
BEGINS, ALLOWED = CausalLM.begins, CausalLM.allowed

# --- rows ---------------------------------------------------------------------------------


def rows_without_overlap(texts, tokenizer, length=128):
    flat = [token for ids in RIGHT["documents"](texts, tokenizer) if len(ids) > 1 for token in ids]
    flat = torch.tensor([*flat, EOS])
    rows = len(flat) // length
    return flat[: rows * length].view(rows, length).numpy()


def no_eos(texts, tokenizer):
    return [ids[1:] for ids in RIGHT["documents"](texts, tokenizer)]


def labels_already_shifted(self, ids, pads):
    return torch.cat([ids[:, 1:], torch.full_like(ids[:, :1], IGNORE)], 1)


def labels_of_padding(self, ids, pads):
    labels = ids.clone()
    labels[:, 0] = IGNORE
    return labels


def labels_after_padding(self, ids, pads):
    labels = ids.masked_fill(pads, IGNORE)
    labels[:, 0] = IGNORE
    return labels


def ends_without_label(self, ids, pads):
    return labels_after_padding(self, ids, pads | (ids == EOS))


def own_memory(rows, vocabulary):
    return rows if isinstance(rows, torch.Tensor) else RIGHT["table"](rows, vocabulary)


# --- who looks at whom --------------------------------------------------------------------


def not_triangular(self, begins, pads):
    block = begins.cumsum(1)
    return (block.unsqueeze(2) == block.unsqueeze(1)) & ~pads.unsqueeze(1)


def one_too_far(self, begins, pads):
    return not_triangular(self, begins, pads).tril(1)


def not_blocked(self, begins, pads):
    return (~pads.unsqueeze(1)).expand(-1, pads.shape[1], -1).tril()


def padding_is_seen(self, begins, pads):
    return ALLOWED(self, pads.new_zeros(pads.shape), pads.new_zeros(pads.shape))


def blocked_one_late(self, begins, pads):
    return ALLOWED(self, begins.roll(1, 1), pads)


def positions_go_on(self, begins):
    return torch.arange(begins.shape[1]).expand(begins.shape)


def positions_from_one(self, begins):
    index = positions_go_on(self, begins)
    return index - index.masked_fill(~begins, 0).cummax(1).values + 1


def always_isolated(self, ids, pads):
    return BEGINS(self, ids, pads) | (ids == EOS)


def always_masked(self, rows, number=0):
    return CausalLM(self.tokenizer)(rows) if not self.isolate else CALL(self, rows, number)


CALL = CausalLM.__call__

# --- losses -------------------------------------------------------------------------------


def every(model, batch):
    inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
    return model(**inputs).logits, batch["labels"]


def not_shifted(model, batch):
    logits, labels = every(model, batch)
    return cross_entropy(logits.mT, labels)


def shifted_twice(model, batch):
    logits, labels = every(model, batch)
    return cross_entropy(logits[:, :-2].mT, labels[:, 2:])


def mean_over_everything(model, batch):
    logits, labels = every(model, batch)
    each = cross_entropy(logits[:, :-1].mT, labels[:, 1:], reduction="none")
    return each.mean()


def only_ids(model, batch):
    return RIGHT["loss"](model, {k: batch[k] for k in ("input_ids", "labels")})


def without_positions(model, batch):
    return RIGHT["loss"](model, {k: v for k, v in batch.items() if k != "position_ids"})


# --- perplexity ---------------------------------------------------------------------------


def windows_score_all(count, size, stride):
    return [(begin, begin + 1) for begin, _ in RIGHT["windows"](count, size, stride)]


def windows_drop_the_rest(count, size, stride):
    found = RIGHT["windows"](count, size, stride)
    return found[:-1] or found


def windows_without_context(count, size, stride):
    return [(begin, begin + 1) for begin in range(0, max(1, count - 1), size - 1)]


def losses_of_next(model, sequences, size, stride, batch=32):
    return [row.roll(1) for row in RIGHT["token_losses"](model, sequences, size, stride, batch)]


def losses_of_one_window(model, sequences, size, stride, batch=32):
    return RIGHT["token_losses"](model, sequences, 64, stride, batch)


def losses_without_the_last(model, sequences, size, stride, batch=32):
    return [row[:-1] for row in RIGHT["token_losses"](model, sequences, size, stride, batch)]


def per_word(*arguments):
    return {**RIGHT["perplexity"](*arguments), "per_character": 1.0}


MUTANTS = [
    (causal, "pack", rows_without_overlap, "every_token_is_predicted_once"),
    (causal, "documents", no_eos, "every_token_is_predicted_once"),
    (CausalLM, "labels", labels_already_shifted, "labels_are_the_tokens"),
    (CausalLM, "labels", labels_already_shifted, "loss_by_hand"),
    (CausalLM, "labels", ends_without_label, "labels_are_the_tokens"),
    (CausalLM, "labels", labels_of_padding, "padding_does_not_count"),
    (CausalLM, "labels", labels_after_padding, "padding_does_not_count"),
    (causal, "table", own_memory, "rows_are_not_modified"),
    (CausalLM, "allowed", not_triangular, "no_look_ahead"),
    (CausalLM, "allowed", one_too_far, "no_look_ahead"),
    (CausalLM, "allowed", not_blocked, "documents_in_a_row_are_as_alone"),
    (CausalLM, "allowed", not_blocked, "a_row_may_begin_inside_a_document"),
    (CausalLM, "allowed", blocked_one_late, "documents_in_a_row_are_as_alone"),
    (CausalLM, "allowed", padding_is_seen, "padding_does_not_count"),
    (CausalLM, "positions", positions_go_on, "documents_in_a_row_are_as_alone"),
    (CausalLM, "positions", positions_go_on, "padding_does_not_count"),
    (CausalLM, "positions", positions_from_one, "documents_in_a_row_are_as_alone"),
    (CausalLM, "begins", always_isolated, "padding_does_not_count"),
    (CausalLM, "__call__", always_masked, "without_isolation_a_row_is_one_text"),
    (causal, "loss", not_shifted, "equal_to_transformers"),
    (causal, "loss", not_shifted, "loss_by_hand"),
    (causal, "loss", shifted_twice, "equal_to_transformers"),
    (causal, "loss", mean_over_everything, "equal_to_transformers"),
    (causal, "loss", only_ids, "equal_to_transformers"),
    (causal, "loss", without_positions, "equal_to_transformers"),
    (causal, "windows", windows_score_all, "windows_score_every_token_once"),
    (causal, "windows", windows_drop_the_rest, "windows_score_every_token_once"),
    (causal, "windows", windows_without_context, "windows_score_every_token_once"),
    (causal, "token_losses", losses_of_next, "sliding_losses_by_hand"),
    (causal, "token_losses", losses_of_one_window, "sliding_losses_by_hand"),
    (causal, "token_losses", losses_without_the_last,
     "one_window_is_enough_where_the_text_fits"),
    (causal, "token_losses", losses_without_the_last, "perplexity_of_an_even_guess"),
    (causal, "perplexity", per_word, "perplexity_of_an_even_guess"),
]


@pytest.mark.parametrize("owner, name, broken, guard", MUTANTS,
                         ids=[f"{broken.__name__}-{guard}" for _, _, broken, guard in MUTANTS])
def test_mutant_is_caught(owner, name, broken, guard):
    with patch.object(owner, name, broken), pytest.raises(AssertionError):
        PROPERTIES[f"check_{guard}"]()


def test_every_property_catches_a_mutant():
    assert {f"check_{guard}" for *_, guard in MUTANTS} == set(PROPERTIES)
