"""Words in order: properties of ``companion.reordering``, and broken copies that they find.

Each property is a function ``check_*()`` of the module as it is; the mutants at the end break
it in one place at a time.
"""

import itertools
import math
from collections import Counter
from unittest.mock import patch

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from companion import reordering
from companion.errors import CourseError
from companion.objectives import spans
from companion.objectives.masked import IGNORE

QUICK = settings(max_examples=60, deadline=None, derandomize=True, database=None)
TEXTS = ["the film was very very long", "a film with good actors", "don't see the bad film",
         "the actors don't act", "films about actors are long", "see a good long film",
         "it was long but good", "the good and the bad"]
TOKENIZER = reordering.vocabulary(TEXTS, 60)
PAD, EOS = TOKENIZER.pad_token_id, TOKENIZER.eos_token_id
SIGMAS = 5  # a right implementation is outside with a probability below one in a million


def tiny(seed=0):
    return reordering.fresh(TOKENIZER, width=16, layers=1, heads=2, seed=seed)


# --- sentences ----------------------------------------------------------------------------


def check_sentences_are_plain_and_short():
    texts = ["It was good. I did NOT like it, sorry!  Was it \"good\"? Yes, it's a long one...",
             "A film from 1999 was good. The café was not good. I did not like it sorry.",
             "One two three. " + " ".join(["word"] * 10) + ". " + " ".join(["word"] * 11)]
    assert reordering.sentences(texts) == [
        "i did not like it sorry", "yes it's a long one", " ".join(["word"] * 10)]


def check_nothing_asked_was_an_answer_in_training():
    """Here one validation sentence is a training sentence, one test sentence its anagram."""
    parts = {"train": ["The film was good. A b c d."], "validation": ["The film was good. X y z w."],
             "test": ["Was the film good? D c b a. A b c e."]}
    reviews = {name: {"text": texts} for name, texts in parts.items()}
    with patch.object(reordering, "movie_reviews", lambda collection: reviews):
        found = reordering.splits()
    assert found == {"train": ["the film was good", "a b c d"], "validation": ["x y z w"],
                     "test": ["a b c e"]}


def check_all_orders_are_equally_probable():
    trials = 4800
    orders = Counter(reordering.shuffled(["a b c d"] * trials, seed=1))
    assert len(orders) == 24
    sigma = math.sqrt(trials / 24 * (1 - 1 / 24))
    assert all(abs(count - trials / 24) < SIGMAS * sigma for count in orders.values())
    assert reordering.shuffled(TEXTS, 2) == reordering.shuffled(TEXTS, 2)
    assert reordering.shuffled(TEXTS, 2) != reordering.shuffled(TEXTS, 3)


# --- batches and training -----------------------------------------------------------------


def written(ids):
    return reordering.text(TOKENIZER, [i for i in ids.tolist() if i not in (PAD, IGNORE)])


def check_batches_ask_for_the_sentence_and_show_its_words():
    stream, epochs = reordering.batches(TOKENIZER, TEXTS, 4, seed=0), []
    for _ in range(2):
        pairs = {}
        for batch in itertools.islice(stream, 2):
            assert torch.equal(batch["attention_mask"].bool(), batch["input_ids"] != PAD)
            for row, labels in zip(batch["input_ids"], batch["labels"]):
                assert row[row != PAD][-1] == EOS and labels[labels != IGNORE][-1] == EOS
                assert PAD not in labels
                pairs[written(labels)] = written(row)
        assert sorted(pairs) == sorted(TEXTS)  # every sentence once an epoch
        assert all(reordering.bag(a) == reordering.bag(b) for a, b in pairs.items())
        epochs.append(pairs)
    assert epochs[0] != epochs[1]  # words are shuffled anew


def check_padding_changes_no_loss():
    model, ids = tiny(), reordering.encode(TOKENIZER, TEXTS)
    total = sum(spans.loss(model, reordering.batch([row], [row], PAD)).item() * len(row)
                for row in ids)
    together = spans.loss(model, reordering.batch(ids, ids, PAD)).item()
    assert together == pytest.approx(total / sum(map(len, ids)), abs=1e-4)


def check_training_learns_and_reports():
    seen, model = [], tiny()
    losses = reordering.train(model, reordering.batches(TOKENIZER, TEXTS, 8, 0), 60, peak=1e-2,
                              after=lambda step, loss: seen.append((step, loss)))
    assert seen == list(enumerate(losses, start=1))
    assert losses[-1] < losses[0] / 2 and not model.training


def check_a_seed_is_a_model():
    state = torch.get_rng_state()
    one, same, other = tiny(0), tiny(0), tiny(1)
    assert torch.equal(state, torch.get_rng_state())
    pairs = list(zip(one.parameters(), same.parameters()))
    assert all(torch.equal(a, b) for a, b in pairs)
    assert not torch.equal(one.shared.weight, other.shared.weight)


# --- answers ------------------------------------------------------------------------------


@QUICK
@given(st.lists(st.lists(st.integers(10, 12), min_size=1, max_size=3).map(tuple),
                min_size=0, max_size=4))
def check_allowed_are_exactly_the_orders_of_the_words(words):
    """All texts that the rule lets through, against all orders of the words."""
    found, begun = set(), [()]
    while begun:
        text = begun.pop()
        assert len(text) <= sum(map(len, words))
        for token in reordering.continuations(words, text, EOS):
            if token == EOS:
                found.add(text)
            else:
                begun.append((*text, token))
    assert found == {sum(order, ()) for order in itertools.permutations(words)}


def check_nothing_follows_what_is_not_allowed():
    assert reordering.continuations([(11, 12)], [12], EOS) == set()
    assert reordering.continuations([(11,)], [11, 11], EOS) == set()


def check_constrained_answers_have_the_words():
    """Whatever the parameters: a fresh model, one beam and several, small and large batches."""
    questions = reordering.shuffled(TEXTS, 5)
    for beams, size in ((1, 100), (3, 3)):
        found = reordering.answers(tiny(), TOKENIZER, questions, True, beams, size)
        assert [reordering.bag(a) for a in found] == [reordering.bag(q) for q in questions]
    free = reordering.answers(tiny(), TOKENIZER, questions)
    assert [reordering.bag(a) for a in free] != [reordering.bag(q) for q in questions]


def check_text_comes_back():
    for ids, text in zip(reordering.encode(TOKENIZER, TEXTS), TEXTS):
        assert reordering.text(TOKENIZER, ids) == text
        assert sum(reordering.words_of(TOKENIZER, text), ()) == tuple(ids[:-1])


# --- yardsticks ---------------------------------------------------------------------------


def check_word_pairs_are_probabilities():
    pairs = reordering.WordPairs(TEXTS)
    words = {word for text in TEXTS for word in text.split()}
    for before in ("the", "film", "<"):
        total = sum(math.exp(pairs.score(before, word)) for word in [*words, ">", "unknown"])
        assert total == pytest.approx(1)
    assert pairs.score("the", "film") > pairs.score("the", "was")
    assert math.isfinite(pairs.score("unknown", "words"))


def check_search_finds_the_best_order():
    pairs = reordering.WordPairs(TEXTS)
    for text in ("film the good see", "a bad the bad film"):
        def value(order):
            row = ["<", *order, ">"]
            return sum(pairs.score(a, b) for a, b in zip(row, row[1:]))

        best = max(map(value, itertools.permutations(text.split())))
        found = pairs.order(text, beams=1000).split()
        assert sorted(found) == sorted(text.split()) and value(found) == pytest.approx(best)


def check_scores_see_what_they_say():
    same = reordering.scores(TEXTS, TEXTS)
    assert same["bleu"] == pytest.approx(100) and same["exact"] == same["words"] == 1
    turned = reordering.scores([" ".join(t.split()[::-1]) for t in TEXTS], TEXTS)
    assert turned["rouge1"] == pytest.approx(1) and turned["words"] == 1
    assert turned["exact"] == 0 and turned["bleu"] < 20
    half = reordering.scores([*TEXTS[:4], "x", "x", "x", "x"], TEXTS)
    assert half["exact"] == half["words"] == 0.5


PROPERTIES = {name: value for name, value in globals().items() if name.startswith("check_")}


@pytest.mark.parametrize("name", PROPERTIES)
def test_property(name):
    PROPERTIES[name]()


@pytest.mark.parametrize(("match", "call"), [
    ("do not fill a batch of 9", lambda: next(reordering.batches(TOKENIZER, TEXTS, 9, seed=0))),
    ("size is 0 and seed", lambda: next(reordering.batches(TOKENIZER, TEXTS, 0, seed=0))),
    ("seed is -1: give 0", lambda: reordering.shuffled(TEXTS, -1)),
    ("a width that the heads divide", lambda: reordering.fresh(TOKENIZER, 10, heads=3)),
    ("size is 0 and beams is 1", lambda: reordering.answers(
        reordering.fresh(TOKENIZER, 8, 1, 1), TOKENIZER, TEXTS, size=0)),
    ("this is one text", lambda: reordering.shuffled("a b", 0)),
])
def test_bad_input_is_refused(match, call):
    with pytest.raises(CourseError, match=match):
        call()


def test_splits_of_the_real_reviews():
    parts = reordering.splits()
    known = {reordering.bag(s) for s in parts["train"]}
    assert len(parts["train"]) > 40_000 and len(parts["test"]) > 5_000
    assert not any(reordering.bag(s) in known for s in parts["test"] + parts["validation"])


# --- broken copies ------------------------------------------------------------------------

RIGHT = {name: getattr(reordering, name) for name in
         ("sentences", "splits", "bag", "shuffled", "batch", "encode", "continuations", "_after",
          "text", "scores")}


def keeps_the_order(sentences, seed):
    return list(sentences)


def rotates(sentences, seed):
    by = np.random.default_rng(seed).integers(4, size=len(sentences))
    return [" ".join([*s.split()[k:], *s.split()[:k]]) for s, k in zip(sentences, by)]


def ordered_bag(sentence):
    return tuple(sentence.split())


def repeats(texts):
    return RIGHT["sentences"](texts) + RIGHT["sentences"](texts)[:1]


def ends_on_the_left(tokenizer, texts):
    return [[tokenizer.eos_token_id, *row[:-1]] for row in RIGHT["encode"](tokenizer, texts)]


def labels_padded(inputs, targets, pad):
    made = RIGHT["batch"](inputs, targets, pad)
    return made | {"labels": made["labels"].masked_fill(made["labels"] == IGNORE, pad)}


def sees_padding(inputs, targets, pad):
    made = RIGHT["batch"](inputs, targets, pad)
    return made | {"attention_mask": torch.ones_like(made["input_ids"])}


def one_state(words, written, eos):
    """Only the first way to read what was written."""
    state = (tuple(sorted(words)), ())
    for token in written:
        state = next(RIGHT["_after"](state, token), ((), ()))
    left, rest = state
    return {rest[0]} if rest else {word[0] for word in left} or {eos}


def words_again(state, token):
    left, rest = state
    for new_left, new_rest in RIGHT["_after"](state, token):
        yield (new_left if rest else left), new_rest


def ends_early(words, written, eos):
    return RIGHT["continuations"](words, written, eos) | {eos}


def leaves_apostrophes(tokenizer, ids):
    return tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)


def order_blind(answers, references):
    return RIGHT["scores"]([" ".join(sorted(a.split())) for a in answers],
                           [" ".join(sorted(r.split())) for r in references])


MUTANTS = [("shuffled", keeps_the_order), ("shuffled", rotates), ("bag", ordered_bag),
           ("sentences", repeats), ("encode", ends_on_the_left), ("batch", labels_padded),
           ("batch", sees_padding), ("continuations", one_state), ("_after", words_again),
           ("continuations", ends_early), ("text", leaves_apostrophes), ("scores", order_blind)]


@pytest.mark.parametrize(("name", "broken"), MUTANTS, ids=lambda value: getattr(
    value, "__name__", value))
def test_a_broken_copy_is_found(name, broken):
    with patch.object(reordering, name, broken):
        failed = []
        for property_name, check in PROPERTIES.items():
            try:
                check()
            except Exception:  # noqa: BLE001 (whatever the broken copy leads to)
                failed.append(property_name)
                break
    assert failed, f"no property noticed {broken.__name__}"
