"""The retrieval module, broken in one place at a time: a property must fail."""

import re
from unittest.mock import patch

import pytest
import torch
from test_retrieval import PROPERTIES

from companion import retrieval
from companion.objectives.contrastive import embed

RIGHT = {name: getattr(retrieval, name) for name in
         ("halves", "all_halves", "shortened", "bm25", "encode", "whitened", "recall_at",
          "_between_sentences")}

ELLIPSIS_ENDS = re.compile(r"""[.!?]["')\]]*\s+(?=["'(\[]*[A-Z0-9])""")

# --- halves -------------------------------------------------------------------------------


def first_cut(text, least=30):
    ends = [m.end() for m in retrieval._END.finditer(text)]
    return (text[:ends[0]].rstrip(), text[ends[0]:]) if ends else None


def at_the_middle_word(text, least=30):
    words = text.split()
    return " ".join(words[:len(words) // 2]), " ".join(words[len(words) // 2:])


def overlapping(text, least=30):
    pair = RIGHT["halves"](text, least)
    return pair and (pair[0] + " " + pair[1].split(".")[0], pair[1])


def mark_lost(text, least=30):
    pair = RIGHT["halves"](text, least)
    return pair and (pair[0].rstrip(".!?"), pair[1])


def least_forgotten(text, least=30):
    return RIGHT["halves"](text, 1)


def brackets_forgotten(text, match):
    return RIGHT["_between_sentences"](text.replace("(", " ").replace(")", " "), match)


def short_forms_forgotten(text, match):
    return text[:match.end()].count('"') % 2 == 0 and "(" not in text[:match.end()]


def quotes_forgotten(text, match):
    return RIGHT["_between_sentences"](text.replace('"', " "), match)


def only_the_first_texts(texts, count=1000, least=30):
    pairs = [pair for pair in map(lambda t: retrieval.halves(t, least), texts[:count]) if pair]
    return [a for a, _ in pairs], [b for _, b in pairs]


def roles_of_the_halves_swapped(texts, count=1000, least=30):
    return RIGHT["all_halves"](texts, count, least)[::-1]


def by_spaces(text, count):
    return " ".join(text.split()[:count])


def one_too_many(text, count):
    return RIGHT["shortened"](text, count + 1)


# --- scores -------------------------------------------------------------------------------


def counted_words(queries, documents, k1=1.5, b=0.75):
    split = [retrieval.words(d) for d in documents]
    return torch.tensor([[float(sum(d.count(w) for w in retrieval.words(q))) for d in split]
                         for q in queries])


def settings_swapped(queries, documents, k1=1.5, b=0.75):
    return RIGHT["bm25"](queries, documents, b, k1)


def roles_swapped(queries, documents, k1=1.5, b=0.75):
    return RIGHT["bm25"](documents, queries, k1, b).T


def repeats_ignored(queries, documents, k1=1.5, b=0.75):
    return RIGHT["bm25"]([" ".join(set(retrieval.words(q))) for q in queries], documents, k1, b)


def attends_to_padding(model, input_ids, attention_mask=None, pooling="cls"):
    return embed(model, input_ids, None, pooling)


def one_pooling(model, tokenizer, texts, length=64, pooling="mean", size=64):
    return RIGHT["encode"](model, tokenizer, texts, length, "mean", size)


def no_truncation(model, tokenizer, texts, length=64, pooling="mean", size=64):
    return RIGHT["encode"](model, tokenizer, texts, 64, pooling, size)


def last_batch_only(model, tokenizer, texts, length=64, pooling="mean", size=64):
    return RIGHT["encode"](model, tokenizer, texts[-size:], length, pooling, size)


def with_dropout(model, tokenizer, texts, length=64, pooling="mean", size=64):
    with patch.object(model, "eval", lambda: model):
        return RIGHT["encode"](model, tokenizer, texts, length, pooling, size)


def mode_lost(model, *rest, **named):
    out = RIGHT["encode"](model, *rest, **named)
    model.eval()
    return out


def dot_products(queries, documents):
    return queries @ documents.T


def variances_for_deviations(vectors, strength=1.0):
    return RIGHT["whitened"](vectors, min(1, 2 * strength))


def mean_kept(vectors, strength=1.0):
    return RIGHT["whitened"](torch.cat([vectors, -vectors]), strength)[:len(vectors)]


def always_whole(vectors, strength=1.0):
    return RIGHT["whitened"](vectors, 1.0)


# --- recall -------------------------------------------------------------------------------


def optimistic(scores, k):
    return ((scores > scores.diagonal()[:, None]).sum(1) < k).double().mean().item()


def pessimistic(scores, k):
    return ((scores >= scores.diagonal()[:, None]).sum(1) <= k).double().mean().item()


def first_place_wins(scores, k):
    top = scores.topk(k, dim=1).indices
    return (top == torch.arange(len(scores))[:, None]).any(1).double().mean().item()


def precision(scores, k):
    return RIGHT["recall_at"](scores, k) / k


def lowest(scores, k):
    return RIGHT["recall_at"](-scores, k)


def other_way(scores, k):
    return RIGHT["recall_at"](scores[:, :len(scores)].T, k)


MUTANTS = [
    ("halves", first_cut, "check_cut_is_nearest_to_the_middle"),
    ("halves", first_cut, "check_halves_have_enough_words"),
    ("halves", at_the_middle_word, "check_no_cut_inside_a_sentence"),
    ("halves", overlapping, "check_halves_are_the_text"),
    ("halves", mark_lost, "check_halves_are_the_text"),
    ("halves", least_forgotten, "check_halves_have_enough_words"),
    ("halves", least_forgotten, "check_the_first_that_can_be_cut_are_taken"),
    ("_between_sentences", brackets_forgotten, "check_no_cut_inside_a_sentence"),
    ("_between_sentences", short_forms_forgotten, "check_no_cut_inside_a_sentence"),
    ("_between_sentences", quotes_forgotten, "check_no_cut_inside_a_sentence"),
    ("_END", ELLIPSIS_ENDS, "check_no_cut_inside_a_sentence"),
    ("all_halves", only_the_first_texts, "check_the_first_that_can_be_cut_are_taken"),
    ("all_halves", roles_of_the_halves_swapped, "check_the_first_that_can_be_cut_are_taken"),
    ("shortened", by_spaces, "check_shortened"),
    ("shortened", one_too_many, "check_shortened"),
    ("bm25", counted_words, "check_bm25_by_hand"),
    ("bm25", counted_words, "check_bm25_of_a_hand_computed_value"),
    ("bm25", settings_swapped, "check_bm25_by_hand"),
    ("bm25", settings_swapped, "check_bm25_of_a_hand_computed_value"),
    ("bm25", roles_swapped, "check_bm25_by_hand"),
    ("bm25", repeats_ignored, "check_bm25_by_hand"),
    ("embed", attends_to_padding, "check_encode_is_embed_of_each_text_alone"),
    ("encode", one_pooling, "check_encode_is_embed_of_each_text_alone"),
    ("encode", no_truncation, "check_encode_is_embed_of_each_text_alone"),
    ("encode", last_batch_only, "check_encode_is_embed_of_each_text_alone"),
    ("encode", with_dropout, "check_encode_without_dropout_and_mode_kept"),
    ("encode", mode_lost, "check_encode_without_dropout_and_mode_kept"),
    ("similarities", dot_products, "check_similarities"),
    ("whitened", variances_for_deviations, "check_half_of_whitening_leaves_the_deviations"),
    ("whitened", mean_kept, "check_whitening_gives_the_unit_covariance"),
    ("whitened", mean_kept, "check_strength_zero_only_takes_the_mean_away"),
    ("whitened", always_whole, "check_half_of_whitening_leaves_the_deviations"),
    ("whitened", always_whole, "check_strength_zero_only_takes_the_mean_away"),
    ("recall_at", optimistic, "check_equal_scores_give_the_chance_level"),
    ("recall_at", pessimistic, "check_equal_scores_give_the_chance_level"),
    ("recall_at", first_place_wins, "check_equal_scores_give_the_chance_level"),
    ("recall_at", precision, "check_recall_of_known_ranks"),
    ("recall_at", lowest, "check_recall_of_known_ranks"),
    ("recall_at", other_way, "check_recall_of_known_ranks"),
]
CAUGHT = (AssertionError, pytest.fail.Exception)


@pytest.mark.parametrize("attribute, broken, name", MUTANTS, ids=[
    f"{getattr(broken, '__name__', 'ellipsis')}-{name}" for _, broken, name in MUTANTS])
def test_mutant_is_caught(attribute, broken, name):
    with patch.object(retrieval, attribute, broken), pytest.raises(CAUGHT):
        PROPERTIES[name]()


def test_every_property_catches_a_mutant():
    assert {name for *_, name in MUTANTS} == set(PROPERTIES)
