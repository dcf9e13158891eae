"""Properties of the retrieval task: cutting, word overlap, vectors, recall.

Each is a function ``check_*`` of the module as it is. tests/test_retrieval_mutants.py breaks
the module in one place and expects a property to fail.
"""

import math
from collections import Counter

import pytest
import tiny
import torch
from transformers import BertModel

from companion import retrieval
from companion.errors import CourseError

TOKENIZER = tiny.wordpiece()
TEXTS = tiny.texts(12)


def encoder(dropout=0.1):
    torch.manual_seed(1)
    return tiny.model(vocabulary=len(TOKENIZER), hidden_dropout_prob=dropout).bert


# --- halves -------------------------------------------------------------------------------

SIX = "One is here. Two is here! Is three? (Four is.) Five came. Six went."


def check_cut_is_nearest_to_the_middle():
    assert retrieval.halves(SIX, 1) == ("One is here. Two is here! Is three?",
                                        "(Four is.) Five came. Six went.")
    assert retrieval.halves("A very long first sentence with words. Two. Three.", 1) == (
        "A very long first sentence with words.", "Two. Three.")
    assert retrieval.halves("It ended. He said: 3 men came.", 1) == (
        "It ended.", "He said: 3 men came.")


@pytest.mark.parametrize("text", [
    "There was Mr. Smith in it", "He saw J. Smith in it", "so on, etc. And more of it",
    "it was long... And dull", 'he said "No! Never. Not me" and left',
    "it (Yes. This one) was good", "it was 3.5 Points of 10", "for example e.g. Paris and Rome",
    "this ends. but not with a capital", "no mark at all", "It ends here.", "", "J. M. Barrie",
    "Fine stuff vs. The other", "in [see above. It helps] brackets",
])
def test_no_cut_inside_a_sentence(text):
    assert retrieval.halves(text, 1) is None


def check_no_cut_inside_a_sentence():
    for text in ("There was Mr. Smith in it", "it was long... And dull", "it (Yes. This) was",
                 'he said "No! Never. Not me" and left', "ends. but no capital"):
        assert retrieval.halves(text, 1) is None


def check_halves_are_the_text():
    for text in (SIX, 'He said "No." Then he left. It was 1999. "Good," she said.'):
        first, second = retrieval.halves(text, 1)
        assert f"{first} {second}" == text
        assert first[-1] in ".!?\"')]" and second[0] in "\"'([" + second[0].upper()


def check_halves_have_enough_words():
    text = "One two three. Four five. Six seven eight nine ten eleven twelve thirteen."
    assert retrieval.halves(text, 3) == ("One two three. Four five.",
                                         "Six seven eight nine ten eleven twelve thirteen.")
    assert retrieval.halves(text, 5) is not None and retrieval.halves(text, 6) is None


def check_the_first_that_can_be_cut_are_taken():
    texts = [SIX, "no cut here", "Ah. Oh.", "It is. We are.", "No it is. So we are."]
    assert retrieval.all_halves(texts, 3, 1) == ([SIX[:35], "Ah.", "It is."],
                                                 [SIX[36:], "Oh.", "We are."])
    assert retrieval.all_halves(texts, 2, 2) == ([SIX[:35], "It is."], [SIX[36:], "We are."])


def check_shortened():
    text = "It's 5 o'clock, really!"
    wanted = {1: "It", 2: "It's", 3: "It's 5", 4: "It's 5 o", 5: "It's 5 o'clock", 6: text[:-1]}
    for count, beginning in wanted.items():
        assert retrieval.shortened(text, count).rstrip("!") == beginning
    assert retrieval.shortened(text, 7) == text


# --- word overlap -------------------------------------------------------------------------


def by_hand(query, document, documents, k1, b):
    """Robertson and Zaragoza, 2009, equation 3.15, with the "plus one" weight of Lucene."""
    mean = sum(map(len, documents)) / len(documents)
    total, counts = 0.0, Counter(document)
    for word in query:
        having = sum(word in other for other in documents)
        weight = math.log(1 + (len(documents) - having + 0.5) / (having + 0.5))
        limit = counts[word] + k1 * (1 - b + b * len(document) / mean)
        total += weight * counts[word] / limit
    return total


def check_bm25_by_hand():
    documents = ["The cat sat.", "the dog", "A cat; a CAT and a dog sat on a mat", "birds sing"]
    queries = ["cat", "the cat", "a dog, a mat", "Sing sing", "zebra"]
    split = [d.lower().replace(".", "").replace(";", "").split() for d in documents]
    for k1, b in ((1.5, 0.75), (0.5, 0.0), (2.0, 1.0)):
        scores = retrieval.bm25(queries, documents, k1, b)
        assert scores.shape == (5, 4)
        for row, query in zip(scores.tolist(), queries):
            words = query.lower().replace(",", "").split()
            wanted = [by_hand(words, document, split, k1, b) for document in split]
            assert row == pytest.approx(wanted, abs=1e-5)
    default = retrieval.bm25(queries, documents)
    assert torch.equal(default, retrieval.bm25(queries, documents, 1.5, 0.75))


def check_bm25_of_a_hand_computed_value():
    """Two documents of two words, one common word in one of them: ln 2 x 1 / (1 + 1.5)."""
    scores = retrieval.bm25(["red"], ["red car", "old house"])
    assert scores.tolist()[0] == pytest.approx([math.log(2) / 2.5, 0], abs=1e-6)


# --- vectors ------------------------------------------------------------------------------


def check_encode_is_embed_of_each_text_alone():
    model = encoder()
    long = " ".join(TEXTS[:6])
    for pooling in ("mean", "cls"):
        ours = retrieval.encode(model, TOKENIZER, [*TEXTS[:4], long], 60, pooling, size=3)
        assert ours.shape == (5, 16)
        for text, vector in zip([*TEXTS[:4], long], ours):
            ids = TOKENIZER(text, truncation=True, max_length=60, return_tensors="pt")["input_ids"]
            with torch.inference_mode():
                states = model.eval()(input_ids=ids).last_hidden_state[0]
            wanted = states[0] if pooling == "cls" else states.mean(0)
            torch.testing.assert_close(vector, wanted, atol=1e-5, rtol=1e-5)


def check_encode_without_dropout_and_mode_kept():
    model = encoder().train()
    once, again = (retrieval.encode(model, TOKENIZER, TEXTS) for _ in range(2))
    assert torch.equal(once, again) and model.training
    retrieval.encode(model.eval(), TOKENIZER, TEXTS)
    assert not model.training


def check_similarities():
    queries, documents = torch.tensor([[3.0, 0], [1, 1]]), torch.tensor([[0, 2.0], [5, 0], [-1, -1]])
    root = math.sqrt(0.5)
    wanted = [[0, 1, -root], [root, root, -1]]
    torch.testing.assert_close(retrieval.similarities(queries, documents), torch.tensor(wanted))


def skewed(count=60, width=4):
    """Vectors far from zero, longest in the first direction."""
    draw = torch.Generator().manual_seed(3)
    return torch.randn(count, width, generator=draw) * torch.tensor([9.0, 3, 1, 0.1]) + 5


def check_whitening_gives_the_unit_covariance():
    white = retrieval.whitened(skewed())
    assert white.mean(0).abs().max() < 1e-5
    torch.testing.assert_close(white.T @ white / 60, torch.eye(4), atol=1e-4, rtol=0)


def check_half_of_whitening_leaves_the_deviations():
    variances = torch.linalg.eigvalsh(torch.cov(skewed().T, correction=0))
    half = torch.linalg.eigvalsh(torch.cov(retrieval.whitened(skewed(), 0.5).T, correction=0))
    torch.testing.assert_close(half, variances.sqrt(), atol=1e-3, rtol=1e-3)


def check_strength_zero_only_takes_the_mean_away():
    flat = torch.cat([skewed(), torch.full((60, 1), 7.0)], 1)  # one direction without deviation
    for vectors in (skewed(), flat):
        centred = vectors - vectors.mean(0)
        ours = retrieval.whitened(vectors, 0)
        torch.testing.assert_close(ours @ ours.T, centred @ centred.T, atol=1e-3, rtol=1e-4)
    assert retrieval.whitened(flat).shape == (60, 4)


# --- recall -------------------------------------------------------------------------------


def check_recall_of_known_ranks():
    scores = torch.tensor([[9.0, 1, 2, 3], [5, 4, 3, 2], [8, 7, 6, 5], [1, 2, 3, 0]])
    assert [retrieval.recall_at(scores, k) for k in (1, 2, 3, 4)] == [0.25, 0.5, 0.75, 1.0]
    assert retrieval.recall_at(scores[:2], 1) == 0.5  # more documents than queries
    assert retrieval.recall_at(torch.eye(7), 1) == 1.0


def check_equal_scores_give_the_chance_level():
    for count in (2, 10):
        for k in (1, 2):
            flat = torch.zeros(count, count)
            assert retrieval.recall_at(flat, k) == pytest.approx(k / count)
    scores = torch.tensor([[2.0, 2, 3, 0, 2]])  # one is better, three are level
    assert [retrieval.recall_at(scores, k) for k in (1, 2, 3, 4)] == pytest.approx(
        [0, 1 / 3, 2 / 3, 1])


PROPERTIES = {name: value for name, value in globals().items() if name.startswith("check_")}


@pytest.mark.parametrize("name", PROPERTIES)
def test_property(name):
    PROPERTIES[name]()


# --- real reviews, refusals -----------------------------------------------------------------


def test_halves_of_real_reviews():
    from companion.corpora import movie_reviews

    texts = movie_reviews(collection="imdb")["validation"]["text"]
    first, second = retrieval.all_halves(texts, 1000)
    assert len(set(first)) == len(set(second)) == 1000
    whole = set(texts)
    assert all(f"{a} {b}" in whole for a, b in zip(first, second))


@pytest.mark.parametrize("match, call", [
    ("only 1 texts can be cut", lambda: retrieval.all_halves([SIX, "no"], 2, 1)),
    ("only 0 texts .* at least 1", lambda: retrieval.all_halves([SIX], 0, 1)),
    ("this is one text", lambda: retrieval.all_halves(SIX, 1, 1)),
    ("this is one text", lambda: retrieval.bm25("one", ["two"])),
    ("no document has a word", lambda: retrieval.bm25(["one"], ["?", ""])),
    ("nothing to encode", lambda: retrieval.encode(encoder(), TOKENIZER, [])),
    ("this is one text", lambda: retrieval.encode(encoder(), TOKENIZER, "one")),
    (r"texts\[0\] is no valid Unicode", lambda: retrieval.encode(encoder(), TOKENIZER, ["\ud83d"])),
    ("length is 2 and size 64: a row", lambda: retrieval.encode(encoder(), TOKENIZER, TEXTS, 2)),
    ("pooling is 'max'", lambda: retrieval.encode(encoder(), TOKENIZER, TEXTS, pooling="max")),
    (r"shapes \(3, 3\) and \(3, 2\): give", lambda: retrieval.similarities(
        torch.eye(3), torch.zeros(3, 2))),
    (r"shape \(3, 3\): give \(texts, width\)", lambda: retrieval.whitened(torch.eye(3))),
    ("strength is 1.5: give", lambda: retrieval.whitened(skewed(), 1.5)),
    (r"shape \(3, 2\): give", lambda: retrieval.recall_at(torch.zeros(3, 2), 1)),
    (r"shape \(3,\): give", lambda: retrieval.recall_at(torch.zeros(3), 1)),
    ("k is 0: give a number from 1 to 3", lambda: retrieval.recall_at(torch.eye(3), 0)),
    ("k is 4: give", lambda: retrieval.recall_at(torch.eye(3), 4)),
    ("not a number", lambda: retrieval.recall_at(torch.eye(3) / 0, 1)),
])
def test_what_cannot_be_used_is_refused(match, call):
    with pytest.raises(CourseError, match=match) as problem:
        call()
    assert "\n" not in str(problem.value) and ": " in str(problem.value)


def test_any_encoder_will_do():
    assert isinstance(encoder(), BertModel)
    assert retrieval.encode(tiny.model(vocabulary=len(TOKENIZER)), TOKENIZER, TEXTS).shape == (12, 16)
