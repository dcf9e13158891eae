"""Broken copies of the masked-LM objective: each must fail the property that guards it."""

import numpy as np
import pytest
import torch
from test_masked import PROPERTIES
from torch.nn.functional import cross_entropy

from companion.objectives import masked
from companion.objectives.masked import IGNORE, MaskedLM

# --- collators ----------------------------------------------------------------------------


class LabelsEverywhere(MaskedLM):
    def __call__(self, rows, number=0):
        labels = torch.as_tensor(np.asarray(rows).astype(np.int64))
        return {**super().__call__(rows, number), "labels": labels}


class OnlyChangedLabelled(MaskedLM):
    """Forgets the tenth that keeps its token."""

    def __call__(self, rows, number=0):
        batch = super().__call__(rows, number)
        same = batch["input_ids"] == batch["labels"]
        return {**batch, "labels": batch["labels"].masked_fill(same, IGNORE)}


class LabelsOfInputs(MaskedLM):
    """Labels taken after the masking: they say ``[MASK]``."""

    def __call__(self, rows, number=0):
        batch = super().__call__(rows, number)
        chosen = batch["labels"] != IGNORE
        return {**batch, "labels": torch.where(chosen, batch["input_ids"], IGNORE)}


class MasksSpecials(MaskedLM):
    def __post_init__(self):
        super().__post_init__()
        self._special[:] = False


class Static(MaskedLM):
    def __call__(self, rows, number=0):
        return super().__call__(rows, 0)


class NeverTheSame(MaskedLM):
    calls = 0

    def __call__(self, rows, number=0):
        NeverTheSame.calls += 1
        return super().__call__(rows, NeverTheSame.calls)


class AllHidden(MaskedLM):
    def __post_init__(self):
        super().__post_init__()
        self.hidden, self.random = 1.0, 0.0


class SwapsWithSpecials(MaskedLM):
    def __post_init__(self):
        super().__post_init__()
        self._ordinary = torch.arange(len(self.tokenizer))


class OneTooMany(MaskedLM):
    def choose(self, ids, generator):
        chosen = super().choose(ids, generator)
        free = (~chosen & ~self._special[ids]).flatten().nonzero()
        if len(free):
            chosen.view(-1)[free[0]] = True
        return chosen


class ShareOnAverage(MaskedLM):
    def choose(self, ids, generator):
        return (torch.rand(ids.shape, generator=generator) < self.share) & ~self._special[ids]


class FirstPositions(MaskedLM):
    def choose(self, ids, generator):
        count = int(super().choose(ids, generator).sum())
        order = self._special[ids].T.flatten().long().argsort(stable=True)
        chosen = torch.zeros(ids.numel(), dtype=torch.bool)
        chosen[order[:count]] = True
        return chosen.view(ids.T.shape).T


class InPlace(MaskedLM):
    def __call__(self, rows, number=0):
        batch = super().__call__(rows, number)
        inputs = batch["input_ids"]
        rows[:] = inputs if isinstance(rows, torch.Tensor) else inputs.numpy()
        return batch


class ChangesOthers(MaskedLM):
    """Hides positions that the loss does not ask for."""

    def _corrupt(self, ids, chosen, generator):
        inputs = super()._corrupt(ids, chosen, generator)
        return inputs.masked_fill(chosen.roll(1, 1) & ~self._special[ids],
                                  self.tokenizer.mask_token_id)


class PaddingHasShare(MaskedLM):
    def _filled(self, ids):
        return torch.ones_like(ids, dtype=torch.bool)


class PiecesOfWords(MaskedLM):
    def _same_key_per_word(self, ids, keys):
        return keys


# --- losses -------------------------------------------------------------------------------


def full_logits(model, batch):
    inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
    return model(**inputs).logits


def ignores_zero(model, batch):
    labels = batch["labels"].clamp(min=0)
    return cross_entropy(full_logits(model, batch).flatten(0, 1), labels.flatten(), ignore_index=0)


def mean_over_everything(model, batch):
    each = cross_entropy(full_logits(model, batch).mT, batch["labels"], reduction="none")
    return each.mean()


def mean_of_row_means(model, batch):
    each = cross_entropy(full_logits(model, batch).mT, batch["labels"], reduction="none")
    counts = (batch["labels"] != IGNORE).sum(1)
    return (each.sum(1) / counts.clamp(min=1))[counts > 0].mean()


def counts_padding(model, batch):
    labels = batch["labels"].clone()
    if "attention_mask" in batch:
        labels[batch["attention_mask"] == 0] = 0
    return cross_entropy(full_logits(model, batch).mT, labels)


def attends_to_padding(model, batch):
    return masked.loss(model, {k: v for k, v in batch.items() if k != "attention_mask"})


def counts_unchosen(model, batch):
    labels = torch.where(batch["labels"] == IGNORE, batch["input_ids"], batch["labels"])
    return cross_entropy(full_logits(model, batch).mT, labels)


def forgets_segments(model, batch):
    return masked.loss(model, {k: v for k, v in batch.items() if k != "token_type_ids"})


def shifted(model, batch):
    """As for a causal language model."""
    logits = full_logits(model, batch)[:, :-1]
    return cross_entropy(logits.mT, batch["labels"][:, 1:])


def in_bits(model, batch):
    return masked.loss(model, batch) / np.log(2)


MUTANTS = [
    (LabelsEverywhere, masked.loss, "check_share_is_exact"),
    (LabelsEverywhere, masked.loss, "check_labels_elsewhere_do_not_count"),
    (LabelsEverywhere, masked.loss, "check_gradient_is_zero_elsewhere"),
    (OnlyChangedLabelled, masked.loss, "check_share_is_exact"),
    (OnlyChangedLabelled, masked.loss, "check_80_10_10"),
    (LabelsOfInputs, masked.loss, "check_labels_are_the_originals"),
    (MasksSpecials, masked.loss, "check_special_tokens_are_never_chosen"),
    (Static, masked.loss, "check_masks_are_dynamic"),
    (NeverTheSame, masked.loss, "check_masks_are_dynamic"),
    (AllHidden, masked.loss, "check_80_10_10"),
    (SwapsWithSpecials, masked.loss, "check_80_10_10"),
    (OneTooMany, masked.loss, "check_share_is_exact"),
    (ShareOnAverage, masked.loss, "check_share_is_exact"),
    (FirstPositions, masked.loss, "check_positions_are_uniform"),
    (InPlace, masked.loss, "check_rows_are_not_modified"),
    (ChangesOthers, masked.loss, "check_other_inputs_stay"),
    (PaddingHasShare, masked.loss, "check_padding_has_no_share"),
    (PiecesOfWords, masked.loss, "check_whole_words"),
    (MaskedLM, ignores_zero, "check_equal_to_transformers"),
    (MaskedLM, mean_over_everything, "check_equal_to_transformers"),
    (MaskedLM, mean_over_everything, "check_padding_does_not_count"),
    (MaskedLM, mean_over_everything, "check_fresh_loss_is_log_of_vocabulary"),
    (MaskedLM, mean_of_row_means, "check_equal_to_transformers"),
    (MaskedLM, counts_padding, "check_padding_does_not_count"),
    (MaskedLM, counts_padding, "check_equal_to_transformers"),
    (MaskedLM, attends_to_padding, "check_padding_does_not_count"),
    (MaskedLM, counts_unchosen, "check_gradient_is_zero_elsewhere"),
    (MaskedLM, forgets_segments, "check_equal_to_transformers"),
    (MaskedLM, shifted, "check_gradient_is_zero_elsewhere"),
    (MaskedLM, in_bits, "check_fresh_loss_is_log_of_vocabulary"),
]


@pytest.mark.parametrize("make, loss, name", MUTANTS,
                         ids=[f"{m.__name__}-{f.__name__}-{n}" for m, f, n in MUTANTS])
def test_mutant_is_caught(make, loss, name):
    with pytest.raises(AssertionError):
        PROPERTIES[name](make, loss)


def test_every_property_catches_a_mutant():
    assert {name for _, _, name in MUTANTS} == set(PROPERTIES)
