"""Sentence pairs and permutation, broken in one place at a time: a property must fail."""

from unittest.mock import patch

import pytest
import torch
from test_pairs import PROPERTIES
from torch.nn.functional import cross_entropy

from companion.objectives import pairs
from companion.objectives.pairs import NextSentence, SentenceOrder, SentencePermutation

Pairs, Sentences = pairs._Pairs, pairs._Sentences
RIGHT = {(kind, name): getattr(kind, name) for kind, name in [
    (pairs, "loss"), (pairs, "order_loss"), (Pairs, "__call__"), (SentencePermutation, "__call__"),
    (Sentences, "_windows"), (Sentences, "_row"), (Sentences, "_table"),
]}

# --- labels -------------------------------------------------------------------------------


def one_too_many(self, count, draw):
    ones = count // 2 + 1
    return draw.sample([1] * ones + [0] * (count - ones), count)


def rounds_down(self, count, draw):
    return draw.sample([1] * (count // 2) + [0] * (count - count // 2), count)


def ones_first(self, count, draw):
    ones = (count + draw.randrange(2)) // 2
    return [1] * ones + [0] * (count - ones)


def one_is_right(self, documents, number=0):
    batch = RIGHT[Pairs, "__call__"](self, documents, number)
    return {**batch, "labels": 1 - batch["labels"]}


def places_where_they_went(self, documents, number=0):
    """The inverse order."""
    batch = RIGHT[SentencePermutation, "__call__"](self, documents, number)
    labels = batch["labels"]
    orders = labels[labels >= 0].view(-1, self.count).argsort(1)
    return {**batch, "labels": labels.masked_scatter(labels >= 0, orders)}


def places_after_the_separators(self, documents, number=0):
    batch = RIGHT[SentencePermutation, "__call__"](self, documents, number)
    return {**batch, "labels": batch["labels"].roll(1, 1)}


def orders_with_replacement(self, count, draw):
    return [tuple(draw.sample(range(self.count), self.count)) for _ in range(count)]


def orders_in_turn(self, count, draw):
    every = list(pairs.permutations(range(self.count)))
    return [every[i % len(every)] for i in range(count)]


# --- what tells ---------------------------------------------------------------------------


def lends_from_all(self, borrowers, known, draw):
    return [draw.choice([j for j in range(len(known)) if j != i]) for i in borrowers]


def lends_to_the_next(self, borrowers, known, draw):
    return [*borrowers[1:], borrowers[0]]


def lends_to_itself(self, borrowers, known, draw):
    return draw.sample(borrowers, len(borrowers))


def random_half_begins_a_document(self, couples, documents, draw):
    labels = self._labels(len(couples), draw)
    other = [documents[i - 1][0] for i in range(len(documents))]
    return [(a, other[i] if labels[i] else b) for i, (a, b) in enumerate(couples)], labels


def only_the_first_start(self, document):
    return [self.margin]


def repeats_allowed(self, document):
    return list(range(self.margin, len(document) - self._needed() - self.margin + 1))


def cut_before_the_swap(self, couples, documents, draw):
    labels, half = self._labels(len(couples), draw), (self.length - 3) // 2
    couples = [(a[-half:], b[:half]) for a, b in couples]
    return [(b, a) if one else (a, b) for (a, b), one in zip(couples, labels)], labels


# --- rows ---------------------------------------------------------------------------------


def last_part_pays(lengths, room):
    kept = []
    for i, length in enumerate(lengths):
        kept.append(min(length, room - sum(kept) - (len(lengths) - 1 - i)))
    return kept


def equal_shares(lengths, room):
    return [min(length, room // len(lengths)) for length in lengths]


def keeps_beginnings(self, parts):
    kept = pairs.fair_lengths([len(p) for p in parts], self.length - 1 - len(parts))
    return RIGHT[Sentences, "_row"](self, [part[:size] for part, size in zip(parts, kept)])


def one_segment(self, parts):
    ids, segments, ends = RIGHT[Sentences, "_row"](self, parts)
    return ids, [0] * len(segments), ends


def separator_in_the_next_segment(self, parts):
    ids, segments, ends = RIGHT[Sentences, "_row"](self, parts)
    return ids, [*segments[1:], segments[-1]], ends


def attends_to_all(self, rows):
    inputs, ends = RIGHT[Sentences, "_table"](self, rows)
    return {**inputs, "attention_mask": torch.ones_like(inputs["input_ids"])}, ends


def as_long_as_the_longest(self, rows):
    inputs, ends = RIGHT[Sentences, "_table"](self, rows)
    width = inputs["attention_mask"].sum(1).max()
    return {name: tensor[:, :width] for name, tensor in inputs.items()}, ends


def same_for_all_numbers(self, number):
    return pairs.random.Random(self.seed)


def never_the_same(self, number):
    return pairs.random.Random()


def sign_of_seed_lost(self, number):
    return pairs.random.Random(f"{abs(self.seed)} {number}")


def windows_in_place(self, documents, draw):
    windows = RIGHT[Sentences, "_windows"](self, documents, draw)
    for window in windows:
        for sentence in window:
            del sentence[10:]
    return windows


# --- losses -------------------------------------------------------------------------------


def ignores_zero(model, batch):
    inputs, labels = pairs._split(batch)
    return cross_entropy(pairs.pair_logits(model, **inputs), labels, ignore_index=0)


def summed(model, batch):
    return RIGHT[pairs, "loss"](model, batch) * len(batch["labels"])


def scores_swapped(model, batch):
    return RIGHT[pairs, "loss"](model, {**batch, "labels": 1 - batch["labels"]})


def without(name, loss):
    def forgetful(model, batch):
        return loss(model, {k: v for k, v in batch.items() if k != name})

    return forgetful


def counts_all_positions(model, batch):
    inputs, labels = pairs._split(batch)
    return cross_entropy(model(**inputs).logits.flatten(0, 1), labels.clamp(min=0).flatten())


def mean_of_zero_ignored(model, batch):
    labels = batch["labels"].masked_fill(batch["labels"] == 0, pairs.IGNORE)
    return RIGHT[pairs, "order_loss"](model, {**batch, "labels": labels})


LOSS, ORDER_LOSS = RIGHT[pairs, "loss"], RIGHT[pairs, "order_loss"]
MUTANTS = [
    (Pairs, "_labels", one_too_many, "check_labels_are_balanced"),
    (Pairs, "_labels", rounds_down, "check_labels_are_balanced"),
    (Pairs, "_labels", ones_first, "check_labels_do_not_depend_on_the_row"),
    (Pairs, "__call__", one_is_right, "check_labels_are_true"),
    (NextSentence, "_lenders", lends_to_itself, "check_labels_are_true"),
    (SentencePermutation, "__call__", places_where_they_went, "check_places_are_true"),
    (SentencePermutation, "__call__", places_after_the_separators,
     "check_places_stand_at_the_separators"),
    (SentencePermutation, "_orders", orders_with_replacement, "check_orders_are_balanced"),
    (SentencePermutation, "_orders", orders_in_turn, "check_orders_are_balanced"),
    (NextSentence, "_lenders", lends_from_all, "check_random_halves_are_exchanged"),
    (NextSentence, "_lenders", lends_to_the_next, "check_copies_lend_nothing"),
    (NextSentence, "_change", random_half_begins_a_document,
     "check_halves_come_from_the_same_places"),
    (Sentences, "_starts", only_the_first_start, "check_every_place_is_used"),
    (Sentences, "margin", 0, "check_ends_of_documents_are_left_out"),
    (Sentences, "_starts", repeats_allowed, "check_no_sentence_stands_twice"),
    (pairs, "fair_lengths", last_part_pays, "check_lengths_are_fair"),
    (pairs, "fair_lengths", equal_shares, "check_lengths_are_fair"),
    (pairs, "fair_lengths", last_part_pays, "check_rows_are_cut_fairly"),
    (Sentences, "_row", keeps_beginnings, "check_cuts_do_not_tell"),
    (SentenceOrder, "_change", cut_before_the_swap, "check_cuts_do_not_tell"),
    (Sentences, "_row", one_segment, "check_rows_are_as_the_tokenizer_writes_them"),
    (Sentences, "_row", one_segment, "check_segments_alternate"),
    (Sentences, "_row", separator_in_the_next_segment,
     "check_rows_are_as_the_tokenizer_writes_them"),
    (Sentences, "_table", attends_to_all, "check_padding_is_masked"),
    (Sentences, "_table", as_long_as_the_longest, "check_shapes_are_fixed"),
    (Sentences, "_draw", same_for_all_numbers, "check_draws_depend_on_seed_and_number"),
    (Sentences, "_draw", never_the_same, "check_draws_depend_on_seed_and_number"),
    (Sentences, "_draw", sign_of_seed_lost, "check_draws_depend_on_seed_and_number"),
    (Sentences, "_windows", windows_in_place, "check_documents_are_not_modified"),
    (pairs, "loss", ignores_zero, "check_pairs_equal_to_transformers"),
    (pairs, "loss", summed, "check_pairs_equal_to_transformers"),
    (pairs, "loss", scores_swapped, "check_pairs_equal_to_transformers"),
    (pairs, "loss", without("token_type_ids", LOSS), "check_pairs_equal_to_transformers"),
    (pairs, "loss", without("attention_mask", LOSS), "check_padding_does_not_count"),
    (pairs, "order_loss", without("attention_mask", ORDER_LOSS), "check_padding_does_not_count"),
    (pairs, "order_loss", counts_all_positions, "check_padding_does_not_count"),
    (pairs, "order_loss", counts_all_positions, "check_places_equal_to_transformers"),
    (pairs, "order_loss", mean_of_zero_ignored, "check_places_equal_to_transformers"),
]


@pytest.mark.parametrize("target, attribute, broken, name", MUTANTS, ids=[
    f"{getattr(broken, '__name__', attribute)}-{name}" for _, attribute, broken, name in MUTANTS])
def test_mutant_is_caught(target, attribute, broken, name):
    with patch.object(target, attribute, broken), pytest.raises(AssertionError):
        PROPERTIES[name]()


def test_every_property_catches_a_mutant():
    assert {name for *_, name in MUTANTS} == set(PROPERTIES)
