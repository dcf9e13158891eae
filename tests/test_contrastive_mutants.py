"""The contrastive objective, broken in one place at a time: a property must fail."""

from unittest.mock import patch

import pytest
import torch
from test_contrastive import PROPERTIES
from torch.nn.functional import cross_entropy, normalize

from companion.objectives import contrastive
from companion.objectives.contrastive import TwoViews

RIGHT = {name: getattr(contrastive, name) for name in
         ("info_nce", "loss", "embed", "alignment", "uniformity")}
CALL, CROP = TwoViews.__call__, TwoViews._crop

# --- InfoNCE ------------------------------------------------------------------------------


def scores_of(first, second, temperature):
    return normalize(first, dim=1) @ normalize(second, dim=1).T / temperature


def dot_products(first, second, temperature=0.05, exclude=None):
    return cross_entropy(first @ second.T / temperature, torch.arange(len(first)))


def no_temperature(first, second, temperature=0.05, exclude=None):
    return RIGHT["info_nce"](first, second, 1.0, exclude)


def both_directions(first, second, temperature=0.05, exclude=None):
    one, two = ((first, second), (second, first))
    return (RIGHT["info_nce"](*one, temperature) + RIGHT["info_nce"](*two, temperature)) / 2


def wrong_answers_only_below(first, second, temperature=0.05, exclude=None):
    """The right answer is missing in the denominator."""
    scores = scores_of(first, second, temperature)
    below = scores.masked_fill(torch.eye(len(first)).bool(), float("-inf")).logsumexp(1)
    return (below - scores.diagonal()).mean()


def in_bits(first, second, temperature=0.05, exclude=None):
    return RIGHT["info_nce"](first, second, temperature, exclude) / torch.tensor(2.0).log()


def excludes_nothing(first, second, temperature=0.05, exclude=None):
    return RIGHT["info_nce"](first, second, temperature)


def excludes_the_right_one(first, second, temperature=0.05, exclude=None):
    scores = scores_of(first, second, temperature).masked_fill(exclude, -1e4)
    return cross_entropy(scores, torch.arange(len(first)))


# --- views --------------------------------------------------------------------------------


def beginnings(self, ids, draw):
    return CROP(self, ids[: self.length - 2], draw)


def without_separator(self, ids, draw):
    return CROP(self, ids, draw)[:-1]


def crop_without_end(self, ids, draw):
    start = draw.randint(0, max(0, len(ids) - self.length + 2))
    return [self._cls, *ids[start:], self._sep][: self.length]


def same_for_all_numbers(self, texts, number=0):
    return CALL(self, texts, 0)


def seed_forgotten(self, texts, number=0):
    with patch.object(self, "seed", 0):
        return CALL(self, texts, number)


def views_side_by_side(self, texts, number=0):
    """Rows 2 i and 2 i + 1 are the views of a text."""
    batch = CALL(self, texts, number)
    order = torch.arange(2 * len(texts)).view(2, -1).T.flatten()
    return {**batch, **{k: batch[k][order] for k in ("input_ids", "attention_mask")}}


def copies_have_numbers_of_their_own(self, texts, number=0):
    return {**CALL(self, texts, number), "texts": torch.arange(len(texts))}


# --- models -------------------------------------------------------------------------------


def neighbours(model, batch, temperature=0.05, pooling="cls"):
    vectors = contrastive.embed(model, batch["input_ids"], batch["attention_mask"], pooling)
    return contrastive.info_nce(vectors[::2], vectors[1::2], temperature)


def copies_by_ids(model, batch, temperature=0.05, pooling="cls"):
    """Overlooks that two crops of one text differ."""
    one = batch["input_ids"].chunk(2)[0]
    same = (one[:, None] == one).all(-1).long().argmax(1)
    return RIGHT["loss"](model, {**batch, "texts": same}, temperature, pooling)


def one_view_twice(model, batch, temperature=0.05, pooling="cls"):
    half = {k: batch[k].chunk(2)[0] for k in ("input_ids", "attention_mask")}
    vectors = contrastive.embed(model, **half, pooling=pooling)
    return contrastive.info_nce(vectors, vectors, temperature)


def no_dropout(model, input_ids, attention_mask=None, pooling="cls"):
    return RIGHT["embed"](model.eval(), input_ids, attention_mask, pooling)


def attends_to_padding(model, input_ids, attention_mask=None, pooling="cls"):
    return RIGHT["embed"](model, input_ids, None, pooling)


def mean_over_padding(model, input_ids, attention_mask=None, pooling="cls"):
    states = model.base_model(input_ids, attention_mask=attention_mask).last_hidden_state
    return states.mean(1) if pooling == "mean" else states[:, 0]


# --- measures -----------------------------------------------------------------------------


def not_normalised(first, second, power=2):
    return (first - second).norm(dim=1).pow(power).mean()


def root_of_mean(first, second, power=2):
    return RIGHT["alignment"](first, second, 2).pow(power / 2)


def with_itself(vectors, sharpness=2):
    distances = torch.cdist(normalize(vectors, dim=1), normalize(vectors, dim=1)).pow(2)
    return (-sharpness * distances).exp().mean().log()


def not_squared(vectors, sharpness=2):
    return (-sharpness * torch.pdist(normalize(vectors, dim=1))).exp().mean().log()


MUTANTS = [
    (contrastive, "info_nce", dot_products, "check_equal_to_cross_entropy"),
    (contrastive, "info_nce", dot_products, "check_only_directions_count"),
    (contrastive, "info_nce", no_temperature, "check_equal_to_cross_entropy"),
    (contrastive, "info_nce", no_temperature, "check_known_value_for_random_directions"),
    (contrastive, "info_nce", both_directions, "check_equal_to_cross_entropy"),
    (contrastive, "info_nce", wrong_answers_only_below, "check_log_of_n_when_all_are_equal"),
    (contrastive, "info_nce", in_bits, "check_log_of_n_when_all_are_equal"),
    (contrastive, "info_nce", in_bits, "check_known_value_for_random_directions"),
    (contrastive, "info_nce", excludes_nothing, "check_excluded_ones_do_not_count"),
    (contrastive, "info_nce", excludes_nothing, "check_copies_are_no_wrong_answers"),
    (contrastive, "info_nce", excludes_the_right_one, "check_excluded_ones_do_not_count"),
    (TwoViews, "_crop", beginnings, "check_crops_are_parts_of_the_text"),
    (TwoViews, "_crop", without_separator, "check_rows_are_as_the_tokenizer_writes_them"),
    (TwoViews, "_crop", crop_without_end, "check_crops_are_parts_of_the_text"),
    (TwoViews, "__call__", same_for_all_numbers, "check_crops_depend_on_seed_and_number"),
    (TwoViews, "__call__", seed_forgotten, "check_crops_depend_on_seed_and_number"),
    (TwoViews, "__call__", views_side_by_side, "check_rows_are_as_the_tokenizer_writes_them"),
    (TwoViews, "__call__", copies_have_numbers_of_their_own, "check_copies_are_no_wrong_answers"),
    (contrastive, "loss", neighbours, "check_loss_is_info_nce_of_two_views"),
    (contrastive, "loss", copies_by_ids, "check_copies_are_no_wrong_answers"),
    (contrastive, "loss", one_view_twice, "check_loss_is_info_nce_of_two_views"),
    (contrastive, "loss", one_view_twice, "check_views_have_dropout_of_their_own"),
    (contrastive, "embed", no_dropout, "check_views_have_dropout_of_their_own"),
    (contrastive, "embed", attends_to_padding, "check_padding_does_not_count"),
    (contrastive, "embed", mean_over_padding, "check_padding_does_not_count"),
    (contrastive, "alignment", not_normalised, "check_alignment"),
    (contrastive, "alignment", root_of_mean, "check_alignment"),
    (contrastive, "uniformity", with_itself, "check_uniformity"),
    (contrastive, "uniformity", not_squared, "check_uniformity"),
    (contrastive, "uniformity", not_squared, "check_uniformity_of_random_directions"),
]
CAUGHT = (AssertionError, pytest.fail.Exception)  # the second: an error that did not come


@pytest.mark.parametrize("target, attribute, broken, name", MUTANTS, ids=[
    f"{broken.__name__}-{name}" for _, _, broken, name in MUTANTS])
def test_mutant_is_caught(target, attribute, broken, name):
    with patch.object(target, attribute, broken), pytest.raises(CAUGHT):
        PROPERTIES[name]()


def test_every_property_catches_a_mutant():
    assert {name for *_, name in MUTANTS} == set(PROPERTIES)
