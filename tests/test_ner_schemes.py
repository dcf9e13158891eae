"""Tag schemes: exact round trips, repair, what is legal. Broken copies at the end.

Each property is a function ``check_*(schemes)`` of a module, so that the mutants can be
handed in.
"""

import itertools
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from companion.entity import Entity, Example, in_order, with_text
from companion.errors import CourseError
from companion.ner import schemes

TYPES = ("PER", "LOC", "ORG")
# One failure is enough for a mutant: several would come as a group of exceptions.
quick = settings(max_examples=80, deadline=None, report_multiple_bugs=False)
MODULE = SimpleNamespace(**vars(schemes))


@st.composite
def annotated(draw, apart=0):
    """``(entities, length)``; ``apart`` units at least between neighbours."""
    found, at = [], 0
    for _ in range(draw(st.integers(0, 6))):
        start = at + draw(st.integers(0, 3))
        at = start + draw(st.integers(1, 4))
        found.append(Entity(start, at, draw(st.sampled_from(TYPES))))
        at += apart
    return found, at + draw(st.integers(0, 3))


def all_labels(scheme):
    return schemes.labels(TYPES, scheme)


def tag_lists(scheme):
    return st.lists(st.sampled_from(all_labels(scheme)), max_size=12)


def check_round_trip(module):
    @quick
    @given(annotated())
    def run(case):
        entities, length = case
        for scheme in ("BIO", "BIOES"):
            tags = module.to_tags(entities, length, scheme)
            assert len(tags) == length and set(tags) <= set(all_labels(scheme))
            for repair in (True, False):
                assert module.from_tags(tags, scheme, repair) == entities
    run()


def check_io_round_trip_where_nothing_touches(module):
    @quick
    @given(annotated(apart=1))
    def run(case):
        entities, length = case
        assert module.from_tags(module.to_tags(entities, length, "IO"), "IO") == entities
    run()


def check_written_tags_are_legal(module):
    @quick
    @given(annotated())
    def run(case):
        for scheme in schemes.SCHEMES:
            names = all_labels(scheme)
            rule = module.legal(names, scheme)
            ids = [names.index(tag) for tag in module.to_tags(*case, scheme)]
            if ids:
                assert rule.start[ids[0]] and rule.end[ids[-1]]
            assert all(rule.between[a, b] for a, b in zip(ids, ids[1:]))
    run()


def check_legal_is_what_needs_no_repair(module):
    """A sequence is legal exactly when reading and writing it changes nothing."""
    for scheme in ("BIO", "BIOES"):
        names = schemes.labels(TYPES[:2], scheme)
        rule = module.legal(names, scheme)

        for size in (1, 2, 3):
            for ids in itertools.product(range(len(names)), repeat=size):
                tags = [names[i] for i in ids]
                allowed = rule.start[ids[0]] and rule.end[ids[-1]] and all(
                    rule.between[a, b] for a, b in zip(ids, ids[1:]))
                same = schemes.to_tags(schemes.from_tags(tags, scheme), size, scheme) == tags
                assert bool(allowed) == same


def check_repair_loses_no_tagged_unit(module):
    @quick
    @given(st.sampled_from(list(schemes.SCHEMES)).flatmap(
        lambda scheme: st.tuples(st.just(scheme), tag_lists(scheme))))
    def run(case):
        scheme, tags = case
        found = module.from_tags(tags, scheme)
        covered = {i: e.type for e in found for i in range(e.start, e.end)}
        assert covered == {i: t[2:] for i, t in enumerate(tags) if t != "O"}
        assert found == in_order(found, len(tags))
    run()


def check_strict_entities_are_repaired_ones(module):
    @quick
    @given(tag_lists("BIOES"))
    @example(["I-PER", "E-PER", "S-LOC"])
    def run(tags):
        strict = module.from_tags(tags, "BIOES", repair=False)
        assert set(strict) <= set(module.from_tags(tags, "BIOES"))
        for e in strict:
            assert tags[e.start][0] in "BS" and tags[e.end - 1][0] in "ES"
    run()


def spans(found):
    return [(e.start, e.end, e.type) for e in found]


def check_known_repairs(module):
    for scheme, tags, wanted in [
        ("BIO", "O I-PER O", [(1, 2, "PER")]),
        ("BIO", "B-PER I-LOC", [(0, 1, "PER"), (1, 2, "LOC")]),
        ("BIO", "I-PER I-PER B-PER", [(0, 2, "PER"), (2, 3, "PER")]),
        ("BIOES", "B-PER B-PER E-PER", [(0, 1, "PER"), (1, 3, "PER")]),
        ("BIOES", "S-PER E-PER", [(0, 1, "PER"), (1, 2, "PER")]),
        ("BIOES", "I-PER O", [(0, 1, "PER")]),
        ("IO", "I-PER I-PER I-LOC", [(0, 2, "PER"), (2, 3, "LOC")]),
    ]:
        assert spans(module.from_tags(tags.split(), scheme)) == wanted


PROPERTIES = {name: value for name, value in globals().items() if name.startswith("check_")}


@pytest.mark.parametrize("name", PROPERTIES)
def test_property(name):
    PROPERTIES[name](MODULE)


# --- details ------------------------------------------------------------------------------


def test_labels():
    assert schemes.labels(("PER", "LOC")) == ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
    assert schemes.labels("PER", "BIOES") == ["O", "B-PER", "I-PER", "E-PER", "S-PER"]
    assert schemes.labels(["PER", "PER"], "IO") == ["O", "I-PER"]


def test_io_joins_neighbours_of_one_type():
    entities = [Entity(0, 2, "PER"), Entity(2, 4, "PER"), Entity(4, 5, "LOC")]
    tags = schemes.to_tags(entities, 5, "IO")
    assert spans(schemes.from_tags(tags, "IO")) == [(0, 4, "PER"), (4, 5, "LOC")]


def test_equality_ignores_text_and_score():
    assert Entity(0, 2, "PER", "李鹏", 0.5) == Entity(0, 2, "PER")
    assert len({Entity(0, 2, "PER", "李鹏"), Entity(0, 2, "PER"), Entity(0, 2, "LOC")}) == 2
    assert with_text([Entity(1, 2, "X")], "abc")[0].text == "b"
    assert Entity(1, 3, "X", "bc").shifted(2) == Entity(3, 5, "X")


@pytest.mark.parametrize("match, call", [
    ("no tag scheme 'BILOU': use", lambda: schemes.labels(TYPES, "BILOU")),
    ("no tag scheme 'BILOU': use", lambda: schemes.to_tags([], 3, "BILOU")),
    ("no entity type", lambda: schemes.labels([])),
    ("'E-PER' is no tag of this scheme: use", lambda: schemes.from_tags(["E-PER"], "BIO")),
    ("'BI-PER' is no tag", lambda: schemes.from_tags(["BI-PER"], "BIO")),
    ("'B-' is no tag", lambda: schemes.from_tags(["B-"], "BIO")),
    ("'PER' is no tag", lambda: schemes.may_follow("PER", None)),
    ("does not fit a length of 3: give", lambda: schemes.to_tags([Entity(2, 4, "X")], 3)),
    ("1..1 is empty.*end is the place after", lambda: Entity(1, 1, "X")),
    ("begins before the text", lambda: Entity(-1, 1, "X")),
    ("is exclusive, give end [+] 1 = 2", lambda: Entity(0, 1, "PER", "王明")),
    ("of 1 characters, its text '王明' of 2: end is excl", lambda: Entity(3, 4, "PER", "王明")),
    ("of 3 characters, its text '王明' of 2: count", lambda: Entity(0, 3, "PER", "王明")),
    ("start of an entity is 0.5: give a whole", lambda: Entity(0.5, 2, "PER")),
    ("end of an entity is of type NoneType: give", lambda: Entity(0, None, "PER")),
    ("type of an entity is empty", lambda: Entity(0, 1, " ")),
    ("type of an entity is of type int", lambda: Entity(0, 1, 3)),
    ("0..2 is '王明', but the text has '，王'",
     lambda: Example("，王明", (Entity(0, 2, "X", "王明"),))),
    ("is of type tuple: give Entity", lambda: Example("王明", [(0, 2, "PER")])),
    ("entities is a dict: give a list", lambda: Example("王明", {"PER": (0, 2)})),
    ("entities is a table", lambda: Example("王明", pd.DataFrame({"start": [0]}))),
    ("does not fit a length of 2", lambda: Example("王明", (Entity(1, 3, "PER"),))),
    ("overlap", lambda: Example("王明", (Entity(0, 2, "X"), Entity(1, 2, "Y")))),
    ("no valid Unicode", lambda: Example("王\ud83d", ())),
    ("'M-PER' is no tag.*scheme=\"BIOES\"", lambda: schemes.from_tags(["M-PER"])),
    ("tags is of type NoneType|tags is a NoneType", lambda: schemes.from_tags(None)),
    ("tags is a dict", lambda: schemes.from_tags({"B-PER": 1})),
    ("tags.0. is NaN", lambda: schemes.from_tags([float("nan")])),
    ("length is -1: give 0", lambda: schemes.to_tags([], -1)),
    ("length is 1000000000: give 0", lambda: schemes.to_tags([], 10**9)),
    ("overlap: a character", lambda: schemes.to_tags([Entity(0, 2, "X"), Entity(1, 3, "Y")], 3)),
])
def test_wrong_input_is_refused(match, call):
    with pytest.raises(CourseError, match=match) as problem:
        call()
    assert "\n" not in str(problem.value)


@pytest.mark.parametrize("tags, right", [
    (["B-PER ", "I-PER\r", " O", "B- LOC"], [(0, 2, "PER"), (3, 4, "LOC")]),
    (pd.Series(["B-PER", "I-PER"]), [(0, 2, "PER")]),
    (np.array(["O", "B-PER"]), [(1, 2, "PER")]),
    ((tag for tag in ["B-PER"]), [(0, 1, "PER")]),
], ids=["blanks", "Series", "array", "generator"])
def test_tags_in_any_container_with_blanks_around_them(tags, right):
    assert schemes.from_tags(tags) == [Entity(*one) for one in right]
    assert Entity(np.int64(0), 1, "PER\r") == Entity(0, 1, "PER")
    in_any_order = [Entity(2, 3, "LOC"), Entity(0, 1, "PER")]
    assert Example("王明来", pd.Series(in_any_order)) == Example("王明来", tuple(in_any_order[::-1]))


@given(st.lists(st.integers(0, 4), max_size=6))
def test_other_letters_of_bioes_are_read(sizes):
    """BMES and BILOU of the same entities: single units, pairs, and longer ones."""
    found, at = [], 0
    for size in sizes:
        found += [Entity(at, at + size, "LOC")] if size else []
        at += size + (size % 2)
    plain = schemes.to_tags(found, at, "BIOES")
    for other in ({"I": "M"}, {"E": "L", "S": "U"}, {"I": "M", "S": "W"}):
        tags = [other.get(tag[0], tag[0]) + tag[1:] for tag in plain]
        assert schemes.from_tags(tags, "BIOES", repair=False) == found


# --- mutants ------------------------------------------------------------------------------


def mutant(**changes):
    return SimpleNamespace(**vars(schemes) | changes)


def ignores_begin(tags, scheme="BIO", repair=True):
    """As in IO: two neighbours of a type become one."""
    plain = ["O" if t == "O" else f"I-{t[2:]}" for t in tags]
    return schemes.from_tags(plain, "IO")


def drops_orphans(tags, scheme="BIO", repair=True):
    return schemes.from_tags(tags, scheme, repair=scheme == "IO")


def never_strict(tags, scheme="BIO", repair=True):
    return schemes.from_tags(tags, scheme)


def end_included(tags, scheme="BIO", repair=True):
    return [Entity(e.start, max(e.start + 1, e.end - 1), e.type)
            for e in schemes.from_tags(tags, scheme, repair)]


def forgets_type(tags, scheme="BIO", repair=True):
    """A change of type does not end an entity."""
    found = []
    for e in schemes.from_tags(tags, scheme, repair):
        if found and found[-1].end == e.start and tags[e.start][0] == "I":
            found[-1] = Entity(found[-1].start, e.end, found[-1].type)
        else:
            found.append(e)
    return found


def first_inside(entities, length, scheme="BIO"):
    """IOB1: a B only where two entities of one type touch."""
    tags = schemes.to_tags(entities, length, scheme)
    return [f"I-{t[2:]}" if t[0] == "B" and (i == 0 or tags[i - 1] == "O") else t
            for i, t in enumerate(tags)]


def all_legal(names, scheme="BIO"):
    rule = schemes.legal(names, scheme)
    return schemes.Transitions(*(a | True for a in rule))


def edges_free(names, scheme="BIO"):
    rule = schemes.legal(names, scheme)
    return schemes.Transitions(rule.start | True, rule.between, rule.end | True)


def transposed(names, scheme="BIO"):
    rule = schemes.legal(names, scheme)
    return schemes.Transitions(rule.start, rule.between.T, rule.end)


@pytest.mark.parametrize("changes, name", [
    ({"from_tags": ignores_begin}, "check_round_trip"),
    ({"from_tags": end_included}, "check_round_trip"),
    ({"from_tags": end_included}, "check_io_round_trip_where_nothing_touches"),
    ({"to_tags": first_inside}, "check_written_tags_are_legal"),
    ({"legal": transposed}, "check_written_tags_are_legal"),
    ({"legal": transposed}, "check_legal_is_what_needs_no_repair"),
    ({"legal": all_legal}, "check_legal_is_what_needs_no_repair"),
    ({"legal": edges_free}, "check_legal_is_what_needs_no_repair"),
    ({"from_tags": drops_orphans}, "check_repair_loses_no_tagged_unit"),
    ({"from_tags": forgets_type}, "check_repair_loses_no_tagged_unit"),
    ({"from_tags": never_strict}, "check_strict_entities_are_repaired_ones"),
    ({"from_tags": drops_orphans}, "check_known_repairs"),
    ({"from_tags": forgets_type}, "check_known_repairs"),
    ({"from_tags": ignores_begin}, "check_known_repairs"),
])
def test_mutant_is_caught(changes, name):
    with pytest.raises(AssertionError):
        PROPERTIES[name](mutant(**changes))
