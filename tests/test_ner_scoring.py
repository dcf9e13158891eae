"""Entity scores against seqeval's own answers and against sets; the dictionary."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from companion.entity import Entity, Example
from companion.errors import CourseError
from companion.ner import scoring
from companion.ner.gazetteer import Gazetteer
from companion.ner.schemes import from_tags, to_tags
from companion.ner.scoring import Score

TYPES = ("PER", "LOC")
# Recorded from seqeval 1.2.2, so that the test needs no seqeval: random tag sequences, the
# entities that its scheme classes find in them, and its scores. Made by
#   Entities(predicted, scheme=IOB2 or IOBES).entities
#   metrics.v1.precision_recall_fscore_support(true, predicted, scheme=..., average=...)
# which classification_report(mode="strict", scheme=...) calls.
RECORDED = json.loads((Path(__file__).parent / "seqeval_strict.json").read_text("utf8"))


def strict(rows, scheme):
    return [from_tags(row.split(), scheme, repair=False) for row in rows]


def check_seqeval(score):
    for case in RECORDED:
        true, found = (strict(case[k], case["scheme"]) for k in ("true", "predicted"))
        assert [[[e.start, e.end, e.type] for e in row] for row in found] == case["found"]
        scores = score(true, found)
        names = sorted(set(scores) - {scoring.MICRO})
        for place, part in enumerate(("precision", "recall", "f1")):
            assert getattr(scores[scoring.MICRO], part) == pytest.approx(case["micro"][place])
            assert [getattr(scores[n], part) for n in names] == pytest.approx(case["each"][place])


def test_seqeval_says_the_same_today():
    seqeval = pytest.importorskip("seqeval.metrics", reason="seqeval is not needed otherwise")
    from seqeval.scheme import IOB2, IOBES

    for case in RECORDED:
        kind = {"BIO": IOB2, "BIOES": IOBES}[case["scheme"]]
        rows = [[row.split() for row in case[k]] for k in ("true", "predicted")]
        f1 = seqeval.f1_score(*rows, mode="strict", scheme=kind, zero_division=0)
        assert f1 == pytest.approx(case["micro"][2])


@st.composite
def sentences(draw):
    """``(true, found, lengths)`` of some sentences, found entities often near the true ones."""
    rows = []
    for _ in range(draw(st.integers(1, 4))):
        length = draw(st.integers(1, 9))
        tags = st.lists(st.sampled_from(["O", "B-PER", "I-PER", "B-LOC"]),
                        min_size=length, max_size=length)
        rows.append((from_tags(draw(tags)), from_tags(draw(tags)), length))
    return [list(part) for part in zip(*rows)]


quick = settings(max_examples=80, deadline=None, report_multiple_bugs=False)


def as_set(rows, kind=None):
    return {(i, e.start, e.end, e.type) for i, row in enumerate(rows) for e in row
            if kind in (None, e.type)}


def check_sets(score):
    @quick
    @given(sentences())
    def run(case):
        true, found, _ = case
        scores = score(true, found, TYPES)
        for kind in (*TYPES, None):
            a, b = as_set(true, kind), as_set(found, kind)
            ours = scores[kind or scoring.MICRO]
            assert ours == Score(len(a & b), len(b), len(a))
            assert ours.f1 == pytest.approx(2 * len(a & b) / max(len(a) + len(b), 1))
    run()


def check_order_does_not_count(score):
    true = [[Entity(0, 1, "PER"), Entity(2, 3, "LOC")], []]
    assert score(true, [list(reversed(row)) for row in true])[scoring.MICRO].f1 == 1
    assert score(true, true[::-1])[scoring.MICRO].f1 == 0  # but the sentence does


def check_nothing_found(score):
    assert score([[Entity(0, 1, "PER")]], [[]]) == {
        "PER": Score(0, 0, 1), scoring.MICRO: Score(0, 0, 1)}
    assert score([[]], [[]]) == {scoring.MICRO: Score(0, 0, 0)}
    assert (Score(0, 0, 0).f1, Score(0, 0, 1).precision, Score(0, 1, 0).recall) == (0, 0, 0)


PROPERTIES = {name: value for name, value in globals().items() if name.startswith("check_")}


@pytest.mark.parametrize("name", PROPERTIES)
def test_property(name):
    PROPERTIES[name](scoring.score)


# --- kinds of errors, seen and unseen, accuracy --------------------------------------------


@quick
@given(sentences())
def test_errors_add_up(case):
    true, found, _ = case
    counts = scoring.errors(true, found)
    assert tuple(counts) == scoring.ERRORS
    assert sum(counts[k] for k in scoring.ERRORS[:-1]) == sum(map(len, true))
    assert counts["right"] == scoring.score(true, found, TYPES)[scoring.MICRO].right
    turned = scoring.errors(found, true)  # what is missed one way is invented the other way
    assert (turned["missed"], turned["type"]) == (counts["invented"], counts["type"])


@pytest.mark.parametrize("found, fate", [
    ([Entity(2, 5, "PER")], "right"),
    ([Entity(2, 5, "LOC")], "type"),
    ([Entity(2, 4, "PER")], "boundary"),
    ([Entity(4, 9, "PER")], "boundary"),
    ([Entity(2, 4, "LOC"), Entity(4, 5, "PER")], "boundary"),
    ([Entity(1, 5, "LOC")], "boundary and type"),
    ([], "missed"),
])
def test_kinds_of_errors(found, fate):
    counts = scoring.errors([[Entity(2, 5, "PER")]], [found])
    assert {k: v for k, v in counts.items() if v} == {fate: 1}


def test_invented_entities_touch_nothing():
    counts = scoring.errors([[Entity(2, 5, "PER")]], [[Entity(0, 2, "PER"), Entity(5, 6, "PER")]])
    assert (counts["missed"], counts["invented"]) == (1, 2)


def test_seen_and_unseen():
    example = Example("江泽民在北京，江泽民", (
        Entity(0, 3, "PER"), Entity(4, 6, "LOC"), Entity(7, 10, "PER")))
    known = scoring.strings([Example("江泽民", (Entity(0, 3, "PER"),)),
                             Example("北京", (Entity(0, 2, "ORG"),))])
    assert known == {("江泽民", "PER"), ("北京", "ORG")}
    found = [[Entity(0, 3, "PER"), Entity(4, 6, "ORG"), Entity(7, 9, "PER")]]
    parts = scoring.seen_and_unseen([example], found, known)
    assert parts == {"seen": Score(1, 2, 2), "unseen": Score(0, 1, 1)}


@quick
@given(sentences())
def test_token_accuracy_is_what_the_tags_say(case):
    true, found, lengths = case
    pairs = [(a, b) for t, f, n in zip(*case)
             for a, b in zip(to_tags(t, n, "BIOES"), to_tags(f, n, "BIOES"))]
    ours = scoring.token_accuracy(true, found, lengths, "BIOES")
    assert ours == pytest.approx(np.mean([a == b for a, b in pairs]))


# --- bootstrap ----------------------------------------------------------------------------


def drawn(size=400, seed=0):
    draw = np.random.default_rng(seed)
    true = [[Entity(0, 2, "PER")] * int(k) for k in draw.integers(0, 2, size)]
    found = [row if draw.random() < 0.8 else [] for row in true]
    return true, found


def test_bootstrap_is_the_slow_way_in_one_go():
    true, found = drawn(60)
    low, high = scoring.bootstrap(true, found, samples=4000)
    draw = np.random.default_rng(5)
    slow = []
    for _ in range(1000):
        rows = draw.integers(0, len(true), len(true))
        picked = scoring.count([true[i] for i in rows], [found[i] for i in rows], ["PER"])
        slow.append(Score(*picked.sum((0, 1)).tolist()).f1)
    assert [low, high] == pytest.approx(np.quantile(slow, [0.025, 0.975]).tolist(), abs=0.02)


def test_bootstrap_narrows_with_more_sentences_and_with_less_confidence():
    width = [np.ptp(scoring.bootstrap(*drawn(size))) for size in (100, 1600)]
    assert 0 < width[1] < 0.5 * width[0]
    true, found = drawn()
    inner = scoring.bootstrap(true, found, level=0.5)
    outer = scoring.bootstrap(true, found, level=0.99)
    f1 = scoring.score(true, found)[scoring.MICRO].f1
    assert outer[0] < inner[0] < f1 < inner[1] < outer[1]
    assert scoring.bootstrap(true, found) == scoring.bootstrap(true, found)
    assert scoring.bootstrap(true, true) == (1.0, 1.0)


# --- the dictionary -----------------------------------------------------------------------


def slow_gazetteer(types, text):
    """Tries every entry at every place."""
    found, i = [], 0
    while i < len(text):
        here = [e for e in types if text.startswith(e, i)]
        if here:
            best = max(here, key=len)
            found.append(Entity(i, i + len(best), types[best]))
            i += len(best)
        else:
            i += 1
    return found


@quick
@given(st.dictionaries(st.text("中国人a", min_size=1, max_size=4), st.sampled_from(TYPES),
                       min_size=1, max_size=8), st.text("中国人ab", max_size=20))
def test_longest_entry_first(types, text):
    dictionary = Gazetteer(types)
    found = dictionary.predict([text])[0]
    assert found == slow_gazetteer(types, text)
    assert all(e.text == text[e.start : e.end] for e in found)
    for entry in types:
        places = sum(text.startswith(entry, i) for i in range(len(text)))
        assert dictionary.occurrences([text])[entry] == places


def annotated(text, *parts):
    """An example in which each ``(string, type)`` is found from left to right."""
    entities, at = [], 0
    for string, kind in parts:
        start = text.index(string, at)
        at = start + len(string)
        entities.append(Entity(start, at, kind))
    return Example(text, tuple(entities))


def test_majority_type_and_sure_entries():
    examples = [annotated("长江，长江，长江", ("长江", "LOC"), ("长江", "PER"), ("长江", "LOC")),
                annotated("王说王国，帝王", ("王", "PER"))]
    assert Gazetteer.from_examples(examples).types == {"长江": "LOC", "王": "PER"}
    assert Gazetteer.from_examples(examples, sure=0.5).types == {"长江": "LOC"}
    assert Gazetteer.from_examples(examples, sure=0.3).types == {"长江": "LOC", "王": "PER"}


@pytest.mark.parametrize("match, call", [
    ("dictionary is empty", lambda: Gazetteer({})),
    ("dictionary is empty", lambda: Gazetteer({"": "PER"})),
    ("dictionary is empty", lambda: Gazetteer.from_examples([Example("中", ())])),
    ("this is one text", lambda: Gazetteer({"中": "LOC"}).predict("中")),
    ("1 sentences against 2", lambda: scoring.score([[]], [[], []])),
    ("0 sentences against 0", lambda: scoring.errors([], [])),
    ("of type 'X': name all", lambda: scoring.score([[Entity(0, 1, "X")]], [[]], TYPES)),
    ("level is 1", lambda: scoring.bootstrap([[]], [[]], level=1)),
    ("samples is 0", lambda: scoring.bootstrap([[]], [[]], samples=0)),
    ("no unit to score", lambda: scoring.token_accuracy([[]], [[]], [0])),
    ("does not fit a length", lambda: scoring.token_accuracy([[Entity(0, 2, "X")]], [[]], [1])),
])
def test_wrong_input_is_refused(match, call):
    with pytest.raises(CourseError, match=match) as problem:
        call()
    assert "\n" not in str(problem.value)


# --- mutants ------------------------------------------------------------------------------


def rebuilt(true, found, types, change):
    types = types or sorted({e.type for e in itertools.chain(*true, *found)})
    return scoring.score(*change(true, found), types)


def without_types(true, found, types=None):
    one = [[[Entity(e.start, e.end, "PER") for e in row] for row in part] for part in (true, found)]
    return rebuilt(true, found, types, lambda *_: one)


def without_sentences(true, found, types=None):
    return rebuilt(true, found, types, lambda *both: [[list(itertools.chain(*p))] for p in both])


def start_is_enough(true, found, types=None):
    short = [[[Entity(e.start, e.start + 1, e.type) for e in row] for row in part]
             for part in (true, found)]
    return rebuilt(true, found, types, lambda *_: short)


def turned(true, found, types=None):
    return scoring.score(found, true, types)


def macro(true, found, types=None):
    """The mean over the types, called micro."""
    scores = scoring.score(true, found, types)
    parts = [s for n, s in scores.items() if n != scoring.MICRO] or [Score(0, 0, 0)]
    mean = np.mean([(p.right, p.predicted, p.true) for p in parts], axis=0)
    return {**scores, scoring.MICRO: Score(*mean.tolist())}


def always_one(true, found, types=None):
    """1 where there is nothing to find."""
    scores = scoring.score(true, found, types)
    return {n: Score(1, 1, 1) if not s.predicted else s for n, s in scores.items()}


@pytest.mark.parametrize("score, name", [
    (without_types, "check_seqeval"),
    (without_types, "check_sets"),
    (without_sentences, "check_order_does_not_count"),
    (without_sentences, "check_sets"),
    (start_is_enough, "check_sets"),
    (start_is_enough, "check_seqeval"),
    (turned, "check_seqeval"),
    (turned, "check_nothing_found"),
    (macro, "check_sets"),
    (always_one, "check_nothing_found"),
    (always_one, "check_seqeval"),
])
def test_mutant_is_caught(score, name):
    with pytest.raises(AssertionError):
        PROPERTIES[name](score)
