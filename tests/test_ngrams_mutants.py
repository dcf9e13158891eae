"""The trigram model, broken in one place at a time: the property that guards it must fail."""

import lzma
from unittest.mock import patch

import numpy as np
import pytest
from test_ngrams import PROPERTIES

from companion import ngrams
from companion.ngrams import KneserNey, Order

RIGHT = {name: getattr(ngrams, name) for name in
         ("join", "_ids", "discounts_of", "interpolated", "find", "preceding", "perplexity",
          "xz_bits_per_character", "packed_size")}
COUNTED, PROBABILITIES, LOG_PROBS = (
    KneserNey._counted, KneserNey._probabilities, KneserNey.log_probs)

# --- counts -------------------------------------------------------------------------------


def not_closed(documents, vocabulary):
    return RIGHT["join"](documents, vocabulary)[:-1]


def cut_ids(values):
    return RIGHT["_ids"](values).astype(np.uint16)


def ids_in_place(values):
    values += 1
    return RIGHT["_ids"](values)


def occurrences(keys, size):
    """Every pair counts as often as it occurs: not Kneser-Ney but Katz's counts."""
    found, counts = RIGHT["preceding"](keys, size)
    return found, 2 * counts


def opened_once(self, ids):
    triples, (pairs, counts), single = COUNTED(self, ids)
    return [triples, (pairs, np.where(pairs // self.vocabulary == self.eos, 1, counts)), single]


def over_the_border(self, ids):
    """Triples whose middle token is eos are counted too."""
    keys = (ids[:-2] * self.vocabulary + ids[1:-1]) * self.vocabulary + ids[2:]
    return [np.unique(keys, return_counts=True), *COUNTED(self, ids)[1:]]


def pairs_not_sorted(self, ids):
    triples, (pairs, counts), single = COUNTED(self, ids)
    return [triples, (pairs[::-1], counts[::-1]), single]


def single_by_occurrence(self, ids):
    *longer, (keys, _) = COUNTED(self, ids)
    return [*longer, (keys, np.bincount(ids[1:], minlength=self.vocabulary))]


# --- smoothing ----------------------------------------------------------------------------


def one_discount(counts):
    """Kneser and Ney, 1995."""
    found = RIGHT["discounts_of"](counts)
    return found and (found[0], found[0], found[0])


def shifted_discounts(counts):
    found = RIGHT["discounts_of"](counts)
    return found and (found[1] / 2, found[2] / 2, found[0])


def any_discount(counts):
    once, twice, thrice, four = (max(1, int((counts == i).sum())) for i in (1, 2, 3, 4))
    y = once / (once + 2 * twice)
    return 1 - 2 * y * twice / once, 2 - 3 * y * thrice / twice, 3 - 4 * y * four / thrice


def no_discount(counts):
    return 0.0, 0.0, 0.0


def backing_off(keys, counts, shorter, size):
    """Shorter contexts are asked only where the longer one was not seen (Katz, 1987)."""
    return RIGHT["interpolated"](keys, counts, shorter * 0, size)


def interpolated_twice(keys, counts, shorter, size):
    order = RIGHT["interpolated"](keys, counts, shorter, size)
    return Order(order.keys, order.probabilities + 1e-6, order.contexts, order.left,
                 order.discounts, order.estimated)


def left_whole(keys, counts, shorter, size):
    order = RIGHT["interpolated"](keys, counts, shorter, size)
    return Order(order.keys, order.probabilities, order.contexts, np.ones_like(order.left),
                 order.discounts, order.estimated)


def find_neighbour(sorted_keys, wanted):
    at = np.minimum(np.searchsorted(sorted_keys, wanted), len(sorted_keys) - 1)
    return np.ones(len(wanted), bool), at


def pairs_only(self, order, keys):
    return PROBABILITIES(self, min(order, 1), keys % self.vocabulary**2)


def single_only(self, order, keys):
    return PROBABILITIES(self, min(order, 0), keys % self.vocabulary)


def no_floor(self, order, keys):
    return PROBABILITIES(self, order, keys) if order >= 0 else np.zeros(len(keys))


# --- scoring ------------------------------------------------------------------------------


def first_without_context(self, ids):
    out = LOG_PROBS(self, ids)
    out[0] = np.log(self._probabilities(0, np.asarray(ids)[1:2])[0])
    return out


def moved(self, ids):
    return np.roll(LOG_PROBS(self, ids), 1)


def base_two(self, ids):
    return LOG_PROBS(self, ids) / np.log(2)


def ends_not_counted(model, documents, characters):
    found = RIGHT["perplexity"](model, documents, characters)
    return found | {"tokens": found["tokens"] - 1}


def per_token_twice(model, documents, characters):
    found = RIGHT["perplexity"](model, documents, characters)
    return found | {"per_character": found["per_token"]}


def nats(model, documents, characters):
    found = RIGHT["perplexity"](model, documents, characters)
    return found | {"bits_per_character": np.log(found["per_character"])}


# --- compression --------------------------------------------------------------------------


def small_dictionary(data):
    how = {"id": lzma.FILTER_LZMA2, "preset": 9, "dict_size": 4096}
    return len(lzma.compress(data, filters=[how]))


def fast_preset(data):
    return len(lzma.compress(data, preset=0))


def the_head(train_text, held_out_texts, tail=ngrams.TAIL):
    return RIGHT["xz_bits_per_character"](train_text[:tail], held_out_texts, tail)


def by_bytes(train_text, held_out_texts, tail=ngrams.TAIL):
    found = RIGHT["xz_bits_per_character"](train_text, held_out_texts, tail)
    return found | {"characters": len("".join(held_out_texts).encode())}


def swapped(train_text, held_out_texts, tail=ngrams.TAIL):
    found = RIGHT["xz_bits_per_character"](train_text, held_out_texts, tail)
    return found | {"alone": found["given"], "given": found["alone"]}


MUTANTS = [
    (ngrams, "join", not_closed, "equal_to_a_slow_implementation"),
    (ngrams, "join", not_closed, "perplexity_by_hand"),
    (ngrams, "_ids", cut_ids, "large_vocabularies_do_not_overflow"),
    (ngrams, "_ids", ids_in_place, "nothing_is_modified"),
    (ngrams, "preceding", occurrences, "equal_to_a_slow_implementation"),
    (KneserNey, "_counted", opened_once, "by_hand"),
    (KneserNey, "_counted", opened_once, "a_repeated_document_is_known"),
    (KneserNey, "_counted", over_the_border, "equal_to_a_slow_implementation"),
    (KneserNey, "_counted", over_the_border, "documents_do_not_meet"),
    (KneserNey, "_counted", pairs_not_sorted, "probabilities_sum_to_one"),
    (KneserNey, "_counted", single_by_occurrence, "equal_to_a_slow_implementation"),
    (KneserNey, "_counted", single_by_occurrence, "by_hand"),
    (ngrams, "discounts_of", one_discount, "equal_to_a_slow_implementation"),
    (ngrams, "discounts_of", one_discount, "discounts_by_hand"),
    (ngrams, "discounts_of", shifted_discounts, "discounts_by_hand"),
    (ngrams, "discounts_of", any_discount, "discounts_by_hand"),
    (ngrams, "discounts_of", no_discount, "unseen_has_a_chance"),
    (ngrams, "interpolated", backing_off, "probabilities_sum_to_one"),
    (ngrams, "interpolated", interpolated_twice, "probabilities_sum_to_one"),
    (ngrams, "interpolated", left_whole, "probabilities_sum_to_one"),
    (ngrams, "find", find_neighbour, "probabilities_sum_to_one"),
    (KneserNey, "_probabilities", pairs_only, "a_context_is_used"),
    (KneserNey, "_probabilities", single_only, "a_repeated_document_is_known"),
    (KneserNey, "_probabilities", no_floor, "unseen_has_a_chance"),
    (KneserNey, "log_probs", first_without_context, "by_hand"),
    (KneserNey, "log_probs", moved, "by_hand"),
    (KneserNey, "log_probs", base_two, "by_hand"),
    (ngrams, "perplexity", ends_not_counted, "the_same_tokens_as_a_neural_model"),
    (ngrams, "perplexity", per_token_twice, "perplexity_by_hand"),
    (ngrams, "perplexity", nats, "perplexity_by_hand"),
    (ngrams, "packed_size", small_dictionary, "given_text_is_used"),
    (ngrams, "packed_size", fast_preset, "alone_is_as_xz"),
    (ngrams, "xz_bits_per_character", the_head, "only_the_tail_is_shown"),
    (ngrams, "xz_bits_per_character", by_bytes, "characters_are_no_bytes"),
    (ngrams, "xz_bits_per_character", swapped, "given_text_is_used"),
]


@pytest.mark.parametrize("owner, name, broken, guard", MUTANTS,
                         ids=[f"{broken.__name__}-{guard}" for _, _, broken, guard in MUTANTS])
def test_mutant_is_caught(owner, name, broken, guard):
    with (patch.object(owner, name, broken), np.errstate(all="ignore"),
          pytest.raises((AssertionError, ngrams.CourseError))):
        PROPERTIES[f"check_{guard}"]()


def test_every_property_catches_a_mutant():
    assert {f"check_{guard}" for *_, guard in MUTANTS} == set(PROPERTIES)
