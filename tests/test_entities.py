"""Entities by prompts: candidates by counting, scores against one pass per span, no overlaps."""

import inspect
import re
import unicodedata
from itertools import combinations
from unittest.mock import patch

import pytest
import tiny
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from companion import metrics
from companion.corpora.entities import entities_of
from companion.entity import Entity
from companion.errors import CourseError
from companion.prompting import PromptClassifier, Template, Verbalizer, candidates, entities
from companion.prompting.candidates import FILTERS, Scored, resolve, words
from companion.prompting.entities import FREE, EntityFinder, best_margin
from companion.prompting.gazetteer import Gazetteer, capital_runs

PATTERN = "{text} {span} is a {mask}."
KINDS = {"PER": ["dog", "teacher"], "LOC": ["river"], "O": ["window", "winter"]}
# What the rules look at, so that rare cases are met often.
BITS = ["Ann", "O'Brien", "Jean-Luc", "Ann's", "bo", "Éva", "5", "I", ",", ".", " ", "  ", "\n", "-",
        "'", "’s", "_", "“", "李"]
TEXT = st.lists(st.sampled_from(BITS), max_size=12).map("".join)
SENTENCES = ["The small Dog watches the River.", "My Brother paints seven apples.",
             "Her Neighbour forgets the Broken Window every winter, and the Captain remembers."]


def has_word(text):
    return any(c.isalnum() for c in text)


# --- candidates ---------------------------------------------------------------------------


def brute(text, longest, only):
    """All pairs of places, kept by what the docstring says."""
    if only == "characters":
        chinese = [0x4E00 <= ord(c) <= 0x9FFF for c in text]
        yield from ((i, j) for i, j in combinations(range(len(text) + 1), 2)
                    if 2 <= j - i <= longest and all(chinese[i:j]))
        return
    spans = words(text)
    for first, last in combinations(range(len(spans) + 1), 2):
        inside = spans[first:last]
        gaps = [text[a[1] : b[0]] for a, b in zip(inside, inside[1:])]
        capital = all(text[start].isupper() for start, _ in inside)
        if len(inside) <= longest and all(map(str.isspace, gaps)) and (only == "all" or capital):
            yield inside[0][0], inside[-1][1]


@settings(max_examples=60, deadline=None, report_multiple_bugs=False)
@given(TEXT.filter(has_word), st.integers(1, 5), st.sampled_from(FILTERS))
def check_candidates_are_all_and_only(text, longest, only):
    found = candidates.candidates(text, longest, only)
    assert sorted(found) == sorted(brute(text, longest, only)) and len(set(found)) == len(found)


@settings(max_examples=60, deadline=None, report_multiple_bugs=False)
@given(TEXT.filter(has_word))
def check_spans_are_whole_words(text):
    for start, end in candidates.candidates(text):
        piece = text[start:end]
        assert piece[0].isalnum() and piece == piece.strip()
        assert piece[-1].isalnum() or unicodedata.category(piece[-1])[0] == "M"
        assert not piece.endswith(("'s", "’s")) and not unicodedata.combining(text[end : end + 1] or "a")
        assert not (text[start - 1 : start].isalnum() or text[end : end + 1].isalnum())


@pytest.mark.parametrize("n, k", [(1, 1), (1, 4), (5, 1), (6, 4), (11, 4)])
def test_the_number_of_spans_has_a_formula(n, k):
    found = candidates.candidates(" ".join(["word"] * n) + ".", k)
    k = min(k, n)
    assert len(found) == k * n - k * (k - 1) // 2


@pytest.mark.parametrize("text, names", [
    ("Ann's dog met Jean-Luc O'Brien.", ["Ann", "Jean-Luc", "Jean-Luc O'Brien", "O'Brien"]),
    ("In Rome, Italy", ["In", "In Rome", "Rome", "Italy"]),
    ("the Bank of England", ["Bank", "England"]),
    ("nobody", []),
    (unicodedata.normalize("NFD", "Zoë Müller left É."), ["Zoë", "Zoë Müller", "Müller", "É"]),
    ("Łódź\u0301\u0323 Ann\u2011Marie ,\u0301Bo", ["Łódź\u0301\u0323", "Łódź\u0301\u0323 Ann\u2011Marie",
                                                  "Ann\u2011Marie", "Bo"]),
])
def test_capitals(text, names):
    spans = candidates.candidates(text, only="capitals")
    assert [unicodedata.normalize("NFC", text[start:end]) for start, end in spans] \
        == [unicodedata.normalize("NFC", name) for name in names]


@pytest.mark.parametrize("text", ["हिन्दी भाषा", "می\u200cخواهم", "שָׁלוֹם", "ภาษาไทย", "क\u094d\u200dष"])
def test_words_hold_their_vowel_signs_and_joiners(text):
    assert [text[start:end] for start, end in words(text)] == text.split()


def test_spans_of_characters():
    text = "江泽民在北京。A国"
    spans = candidates.candidates(text, 3, only="characters")
    assert [text[start:end] for start, end in spans] == [
        "江泽", "江泽民", "泽民", "泽民在", "民在", "民在北", "在北", "在北京", "北京"]


# --- resolving overlaps -------------------------------------------------------------------

SCORED = st.lists(st.builds(
    lambda start, length, kind, score: Scored(start, start + length, kind, score),
    st.integers(0, 12), st.integers(1, 5), st.sampled_from("AB"), st.integers(-3, 3)), max_size=10)


def overlap(a, b):
    return a.start < b.end and b.start < a.end


@settings(max_examples=60, deadline=None, report_multiple_bugs=False)
@given(SCORED)
def check_nothing_overlaps_and_nothing_is_missing(scored):
    kept = candidates.resolve(scored)
    assert not any(overlap(a, b) for a, b in combinations(kept, 2))
    for span in scored:  # what was left out stands in the way of something as good
        assert any(overlap(span, k) and k.score >= span.score for k in kept)
    assert kept == sorted(kept) and set(kept) <= set(scored)


@settings(max_examples=60, deadline=None, report_multiple_bugs=False)
@given(SCORED, st.integers(-3, 3), st.randoms())
def check_the_margin_may_come_before_or_after(scored, margin, random):
    after = [(s.start, s.end, s.score) for s in candidates.resolve(scored) if s.score >= margin]
    mixed = random.sample(scored, len(scored))
    before = candidates.resolve([s for s in mixed if s.score >= margin])
    assert after == [(s.start, s.end, s.score) for s in before]


def check_the_best_goes_first():
    long, short, late = Scored(0, 9, "A", 1.0), Scored(0, 4, "B", 2.0), Scored(5, 9, "A", 0.5)
    assert candidates.resolve([long, short, late]) == [short, late]
    assert candidates.resolve([short._replace(score=1.0), late, long]) == [long]


# --- the finder ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def parts():
    torch.manual_seed(0)
    tokenizer = tiny.wordpiece(200)
    return tiny.model(vocabulary=len(tokenizer), layers=2), tokenizer


def finder(parts, only="all", pattern=PATTERN, kinds=KINDS, **settings):
    model, tokenizer = parts
    verbalizer = Verbalizer({k: [w for w in v if len(tokenizer.tokenize(w)) == 1] or v
                             for k, v in kinds.items()}, several_tokens=True)
    return EntityFinder(PromptClassifier(model, Template(pattern), verbalizer,
                                         tokenizer=tokenizer), only=only, **settings)


@torch.inference_mode()
def one_by_one(parts, kinds, text, span):
    """The whole model on one question; log-probabilities over the whole vocabulary."""
    model, tokenizer = parts
    found = {}
    for kind, listed in kinds.items():
        scores = []
        for word in listed:
            pieces = tokenizer(word, add_special_tokens=False)["input_ids"]
            filled = f"{text} {span} is a {'[MASK]' * len(pieces)}."
            ids = tokenizer(filled, return_tensors="pt")["input_ids"]
            logits = model(ids).logits[ids == tokenizer.mask_token_id].log_softmax(-1)
            scores.append(logits[range(len(pieces)), pieces].mean())
        found[kind] = torch.stack(scores).logsumexp(0).item()
    return found


def slow_scores(parts, found, text, calibrated):
    free = one_by_one(parts, found.classifier.verbalizer.words, "", "It")
    for start, end in candidates.candidates(text, found.longest, found.only):
        own = one_by_one(parts, found.classifier.verbalizer.words, text, text[start:end])
        if calibrated:
            own = {kind: score - free[kind] for kind, score in own.items()}
        best = max(found.types, key=own.get)
        yield Scored(start, end, best, own[best] - own["O"])


def check_equal_to_one_pass_a_span(parts, calibrated=True):
    found = finder(parts, longest=2).calibrate(calibrated)
    for text, own in zip(SENTENCES, found.scores(SENTENCES)):
        slow = list(slow_scores(parts, found, text, calibrated))
        assert [s.entity for s in own] == [s.entity for s in slow]
        assert torch.allclose(torch.tensor([s.score for s in own]),
                              torch.tensor([s.score for s in slow]), atol=1e-4)


def check_without_calibration(parts):
    check_equal_to_one_pass_a_span(parts, calibrated=False)


def check_a_batch_changes_nothing(parts):
    found = finder(parts)
    alone = [found.scores([text])[0] for text in SENTENCES]
    for together, single in zip(found.scores(SENTENCES), alone):
        assert [s.entity for s in together] == [s.entity for s in single]
        assert max(abs(a.score - b.score) for a, b in zip(together, single)) < 1e-4


def check_predictions(parts):
    found = finder(parts, "capitals")
    scored = found.scores(SENTENCES)
    found.margin = sorted(s.score for own in scored for s in own)[5]
    predicted = found.predict(SENTENCES)
    assert 0 < sum(map(len, predicted)) < sum(map(len, scored))
    assert predicted == [[s.entity for s in resolve(own) if s.score >= found.margin]
                         for own in scored]
    assert all("O" != e.type for own in predicted for e in own)


def test_calibration_makes_the_content_free_question_say_nothing(parts):
    found = finder(parts).calibrate()
    free = found.classifier.word_scores([FREE], content_free=True)
    scores = found.classifier.verbalizer.aggregate(free) + found.classifier.bias
    assert torch.allclose(scores, scores.mean().expand_as(scores), atol=1e-5)
    assert found.calibrate(False).classifier.bias.abs().max() == 0


def test_no_candidate_is_no_entity_and_no_question(parts):
    found = finder(parts, "capitals")
    with patch.object(found.classifier, "scores", side_effect=AssertionError):
        assert found.predict(["the dog watches", "a river"]) == [[], []]


@pytest.mark.parametrize("family, make", [("roberta", tiny.byte_bpe),
                                          ("albert", tiny.sentencepiece)])
@pytest.mark.filterwarnings("ignore:.*unknown to the tokenizer")
def test_other_families(family, make):
    torch.manual_seed(0)
    tokenizer = make()
    model = tiny.model(family, vocabulary=len(tokenizer), max_position_embeddings=200,
                       pad_token_id=tokenizer.pad_token_id)
    verbalizer = Verbalizer({"PER": ["dog"], "O": ["window"]}, several_tokens=True)
    found = EntityFinder(PromptClassifier(model, Template(PATTERN), verbalizer,
                                          tokenizer=tokenizer)).calibrate()
    found.margin = -100.0
    for text, own in zip(SENTENCES, found.predict(SENTENCES)):
        assert own and all(text[e.start].isupper() for e in own)


# --- the margin ---------------------------------------------------------------------------


@settings(max_examples=60, deadline=None, report_multiple_bugs=False)
@given(st.lists(st.tuples(st.integers(-5, 5).map(float), st.booleans()), max_size=12),
       st.integers(0, 5))
def check_the_margin_is_the_best(spans, missed):
    gold = missed + sum(right for _, right in spans)

    def f1(margin):
        kept = [right for score, right in spans if score >= margin]
        return 2 * sum(kept) / max(len(kept) + gold, 1)

    margin, best = entities.best_margin(spans, gold)
    assert f1(margin) == pytest.approx(best)
    assert best == pytest.approx(max(map(f1, [float("inf"), *(s for s, _ in spans)])))
    assert margin not in [score for score, _ in spans]


def test_choose_margin_gives_the_f1_that_the_metric_gives(parts):
    found = finder(parts, "capitals")
    gold = [[s.entity for s in resolve(own)][:1] for own in found.scores(SENTENCES)]
    best = found.choose_margin(SENTENCES, gold)
    assert best == pytest.approx(metrics.entity_f1(gold, found.predict(SENTENCES))["f1"])
    assert best > 0


# --- the metric ---------------------------------------------------------------------------

ENTITIES = st.lists(st.builds(lambda i, kind: Entity(3 * i, 3 * i + 2, kind), st.integers(0, 5),
                              st.sampled_from(["PER", "LOC"])), max_size=5,
                    unique_by=lambda e: e.start)


@settings(max_examples=60, deadline=None, report_multiple_bugs=False)
@given(st.lists(st.tuples(ENTITIES, ENTITIES), min_size=1, max_size=4))
def check_f1_is_counted_pair_by_pair(pairs):
    """Every entity against every other of its sentence, as tables of characters and types."""
    def spelled(own):
        return [(e.type, frozenset(range(e.start, e.end))) for e in own]

    gold, predicted = zip(*pairs)
    result = metrics.entity_f1(gold, predicted)
    right = sum(a == b for g, p in pairs for a in spelled(g) for b in spelled(p))
    sizes = [sum(map(len, side)) for side in (predicted, gold)]
    precision, recall = (right / size if size else 0.0 for size in sizes)
    assert result["precision"] == pytest.approx(precision)
    assert result["recall"] == pytest.approx(recall)
    both = precision + recall
    assert result["f1"] == pytest.approx(2 * precision * recall / both if both else 0.0)


# --- baselines ----------------------------------------------------------------------------


def test_the_gazetteer_finds_the_longest_known_names():
    texts = ["Ann saw New York.", "York", "Ann", "Ann"]
    gold = [[Entity(0, 3, "PER"), Entity(8, 16, "LOC")], [Entity(0, 4, "ORG")],
            [Entity(0, 3, "LOC")], [Entity(0, 3, "LOC")]]
    known = Gazetteer(texts, gold)
    assert known.names == {"Ann": "LOC", "New York": "LOC", "York": "ORG"}
    assert known.frequent == "LOC"
    assert known.predict(["In New York, Ann is old. Anna too."]) == [
        [Entity(3, 11, "LOC"), Entity(13, 16, "LOC")]]


def test_capital_runs():
    text = "Ann Lee met Bo, Cy and the Red Cross."
    assert [text[a:b] for a, b in capital_runs(text)] == ["Ann Lee", "Bo", "Cy", "Red Cross"]
    assert [text[a:b] for a, b in capital_runs(text, first=False)] == ["Lee", "Bo", "Cy",
                                                                      "Red Cross"]
    assert capital_runs("nobody") == []


def test_entities_of_a_row_compare_with_found_ones():
    row = {"text": "Ann saw it.", "entities": [{"start": 0, "end": 3, "type": "PER"}]}
    assert entities_of(row) == [Entity(0, 3, "PER")] and entities_of(row)[0].text == "Ann"


def test_f1_takes_entities_and_tuples_for_the_same():
    both = [[Entity(0, 3, "PER")], [(4, 6, "LOC"), Entity(8, 9, "ORG")]]
    tuples = [[(0, 3, "PER")], [Entity(4, 6, "LOC"), (8, 9, "PER")]]
    assert metrics.entity_f1(both, tuples)["right"] == 2


# --- refusals -----------------------------------------------------------------------------


def test_generators_are_as_good_as_lists(parts):
    asker = finder(parts)
    assert asker.predict(text for text in SENTENCES) == asker.predict(SENTENCES)
    assert asker.questions(text for text in SENTENCES) == asker.questions(SENTENCES)


@pytest.mark.parametrize("act, cause", [
    (lambda p: candidates.candidates("..."), "no word"),
    (lambda p: candidates.candidates(None), "of type NoneType"),
    (lambda p: candidates.candidates("a", 0), "longest is 0"),
    (lambda p: candidates.candidates("a", only="names"), "unknown filter 'names'"),
    (lambda p: finder(p, "names"), "unknown filter 'names'"),
    (lambda p: finder(p, longest=0), "longest is 0"),
    (lambda p: finder(p, none="X"), "no label 'X'"),
    (lambda p: finder(p, pattern="{text} is a {mask}."), "has the slots text"),
    (lambda p: finder(p).predict([]), "no texts"),
    (lambda p: finder(p).predict("a dog"), "this is one text: give a list"),
    (lambda p: finder(p).predict(None), "texts is a NoneType: give a list"),
    (lambda p: finder(p).choose_margin(["a dog"], None), "gold is a NoneType: give a list"),
    (lambda p: Gazetteer(None, [[]]), "texts is a NoneType: give a list"),
    (lambda p: Gazetteer(["Ann"], [[Entity(0, 3, "PER")]]).predict("Ann"), "this is one text: give"),
    (lambda p: finder(p).predict(["a dog", " "]), "text 1: the text has no word"),
    (lambda p: finder(p).predict(["a [MASK] dog"]), r"special token \[MASK\]"),
    (lambda p: finder(p).predict(["dog " * 70]), "tokens longer than the model reads"),
    (lambda p: finder(p).choose_margin(["a dog"], []), "1 texts but 0 lists"),
    (lambda p: Gazetteer(["a dog"], []), "1 texts but 0 lists"),
    (lambda p: Gazetteer(["a dog"], [[]]), "no entity"),
    (lambda p: metrics.entity_f1([], []), "nothing to score"),
    (lambda p: metrics.entity_f1([[]], [[], []]), "2 answers but 1 references"),
])
def test_refusals(parts, act, cause):
    with pytest.raises(CourseError, match=cause) as refusal:
        act(parts)
    assert "\n" not in str(refusal.value) and ":" in str(refusal.value)


# --- the properties, and broken copies that they must catch --------------------------------

PROPERTIES = {name: check for name, check in dict(globals()).items() if name.startswith("check_")}


def holds(name, parts):
    check = PROPERTIES[name]
    return check(parts) if "parts" in inspect.signature(check).parameters else check()


@pytest.mark.parametrize("name", PROPERTIES)
def test_property(name, parts):
    holds(name, parts)


def greedy_without_order(scored):
    kept = []
    for span in scored:
        if all(span.end <= k.start or k.end <= span.start for k in kept):
            kept.append(span)
    return sorted(kept)


def longest_first(scored):
    return greedy_without_order(sorted(scored, key=lambda s: (s.start - s.end, -s.score)))


def across_everything(text):
    return [words(text)]


def kept_whole(scored):
    return sorted(scored)


def truncates(self):
    pass


def off_by_one(spans, gold):
    margin, best = best_margin(spans, gold)
    return margin + 1.0, best


def first_types(self, texts):
    return [[span._replace(type=self.types[0]) for span in own] for own in REAL(self, texts)]


def forgets_none(self, texts):
    return [[span._replace(score=abs(span.score)) for span in own] for own in REAL(self, texts)]


def loose_f1(gold, predicted):
    return STRICT(*[[{(e.start, e.end) for e in own} for own in side]
                    for side in (gold, predicted)])


def adds_the_free(self, on=True):
    CALIBRATE(self, on)
    self.classifier.bias = -self.classifier.bias
    return self


def ignores_margin(self, texts):
    return [[span.entity for span in resolve(own)] for own in self.scores(texts)]


REAL, STRICT, CALIBRATE = EntityFinder.scores, metrics.entity_f1, EntityFinder.calibrate
MUTANTS = [
    (candidates, "resolve", greedy_without_order, "check_the_best_goes_first"),
    (candidates, "resolve", greedy_without_order, "check_the_margin_may_come_before_or_after"),
    (candidates, "resolve", longest_first, "check_nothing_overlaps_and_nothing_is_missing"),
    (candidates, "resolve", kept_whole, "check_nothing_overlaps_and_nothing_is_missing"),
    (candidates, "runs", across_everything, "check_candidates_are_all_and_only"),
    (candidates, "_WORD", re.compile(r"\S+"), "check_spans_are_whole_words"),
    (candidates, "_WORD", re.compile(r"[^\W_]{1,2}"), "check_spans_are_whole_words"),
    (entities, "best_margin", off_by_one, "check_the_margin_is_the_best"),
    (EntityFinder, "scores", first_types, "check_equal_to_one_pass_a_span"),
    (EntityFinder, "scores", forgets_none, "check_without_calibration"),
    (EntityFinder, "calibrate", adds_the_free, "check_equal_to_one_pass_a_span"),
    (EntityFinder, "predict", ignores_margin, "check_predictions"),
    (metrics, "entity_f1", loose_f1, "check_f1_is_counted_pair_by_pair"),
]


@pytest.mark.parametrize("place, name, broken, check", MUTANTS,
                         ids=[f"{m[1]}-{getattr(m[2], '__name__', 'pattern')}-{m[3]}"
                              for m in MUTANTS])
def test_mutant_is_caught(place, name, broken, check, parts):
    with patch.object(place, name, broken), pytest.raises(AssertionError):
        holds(check, parts)
