"""Entities of the People's Daily: names put together, sentences, splits."""

from collections import Counter
from itertools import groupby

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from companion.corpora import people_daily
from companion.entity import Entity, in_order
from companion.errors import CourseError
from companion.ner import people

quick = settings(max_examples=80, deadline=None, report_multiple_bugs=False)


def row(tagged):
    words, pos = zip(*(pair.split("/") for pair in tagged.split()))
    return {"text": "".join(words), "tokens": list(words), "pos": list(pos)}


def names(tagged):
    return [e.text for e in people.entities(row(tagged))]


@pytest.fixture(scope="module")
def splits():
    return people.load()


@pytest.fixture(scope="module")
def rows():
    return {split: list(part) for split, part in people_daily().items()}


@pytest.fixture(scope="module")
def drawn():
    return people.load_line_split(lines=True)


# --- names --------------------------------------------------------------------------------

NAMES = [
    ("江/nr 泽民/nr 说/v", ["江泽民"]),
    ("江/nr 主席/n", ["江"]),
    ("李/nr 鹏/nr 吴/nr 邦国/nr 致信/v", ["李鹏", "吴邦国"]),
    ("周/nr 恩来/nr 邓/nr 颖超/nr", ["周恩来", "邓颖超"]),
    ("陈/nr 方/nr 安生/nr 说/v", ["陈方安生"]),
    ("欧阳/nr 修/nr 说/v", ["欧阳修"]),
    ("诸葛/nr 仓麟/nr 、/w 王/nr 忠菊/nr", ["诸葛仓麟", "王忠菊"]),
    ("李/nr 鹏/nr 、/w 乔/nr 石/nr", ["李鹏", "乔石"]),
    ("克林顿/nr 说/v", ["克林顿"]),
    ("桑普拉斯/nr 威廉姆斯/nr 过关/v", ["桑普拉斯", "威廉姆斯"]),
    ("焦/nr 秋生/nr 银春/nr", ["焦秋生", "银春"]),
    ("秦/nr 惠(君音)/nr 女士/n", ["秦惠(君音)"]),
    ("赵/nr 志文/nr 王/nr 桦/nr", ["赵志文", "王桦"]),
    ("祝/nr 有容/nr 让·梅泰·亚彭德/nr", ["祝有容", "让·梅泰·亚彭德"]),
    ("中国/ns 李/nr", ["中国", "李"]),
    ("河北省/ns 张家口/ns 市/n", ["河北省", "张家口"]),
    ("新华社/nt 北京/ns 1月/t", ["新华社", "北京"]),
    ("中/j 美/j 关系/n", []),
]


def check_names(entities):
    for tagged, wanted in NAMES:
        assert [e.text for e in entities(row(tagged))] == wanted, tagged


def check_offsets(entities):
    for tagged, _ in NAMES:
        example = row(tagged)
        found = entities(example)
        assert found == in_order(found, len(example["text"]))
        assert all(example["text"][e.start : e.end] == e.text for e in found)


def check_every_tagged_word_is_in_an_entity_of_its_type(entities):
    for tagged, _ in NAMES:
        example = row(tagged)
        kinds = [people.POS.get(p) for w, p in zip(example["tokens"], example["pos"]) for _ in w]
        found = {i: e.type for e in entities(example) for i in range(e.start, e.end)}
        assert [found.get(i) for i in range(len(kinds))] == kinds


PROPERTIES = {name: value for name, value in globals().items() if name.startswith("check_")}


@pytest.mark.parametrize("name", PROPERTIES)
def test_property(name):
    PROPERTIES[name](people.entities)


def test_types():
    found = people.entities(row("江/nr 泽民/nr 在/p 北京/ns 国务院/nt"))
    assert [(e.text, e.type) for e in found] \
        == [("江泽民", "PER"), ("北京", "LOC"), ("国务院", "ORG")]


@quick
@given(st.lists(st.text("陈方安生欧阳", min_size=1, max_size=3), min_size=1, max_size=7))
def test_name_lengths_use_up_the_run(run):
    lengths = people.name_lengths(run)
    assert sum(lengths) == len(run) and set(lengths) <= {1, 2, 3}


def test_a_row_that_is_none_is_refused():
    for change in ({"text": "别的"}, {"pos": ["nr"]}, {"tokens": ["江", "泽"]}):
        with pytest.raises(CourseError, match="do not make up the text"):
            people.entities(row("江/nr 泽民/nr") | change)


# --- sentences ----------------------------------------------------------------------------


@quick
@given(st.text("李在。！？”」）()!?a\n", max_size=30), st.data())
def test_sentences_join_and_cut_no_entity(text, data):
    edges = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=6)))
    found = [Entity(a, b, "PER") for a, b in zip(edges[::2], edges[1::2])]
    pieces = people.sentences(text, found, "x")
    assert "".join(p.text for p in pieces) == text
    assert all(p.text for p in pieces)
    strings = [text[e.start : e.end] for e in found]
    assert [p.text[e.start : e.end] for p in pieces for e in p.entities] == strings
    assert [p.id for p in pieces] == [f"x:{i}" for i in range(len(pieces))]


@pytest.mark.parametrize("text, pieces", [
    ("他来了。她走了！", ["他来了。", "她走了！"]),
    ("他说：“好。”她笑了", ["他说：“好。”", "她笑了"]),
    ("真的？！（是。）对", ["真的？！", "（是。）", "对"]),
    ("一、二；三", ["一、二；三"]),
    ("", []),
])
def test_where_sentences_end(text, pieces):
    assert [p.text for p in people.sentences(text, [])] == pieces


def test_a_mark_inside_an_entity_ends_nothing():
    assert len(people.sentences("在《爱。吗》里", [Entity(1, 6, "ORG")])) == 1


# --- the splits ---------------------------------------------------------------------------


def test_counts_are_fixed(splits):
    counts = {split: (len(part), *(sum(e.type == kind for x in part for e in x.entities)
                                   for kind in people.TYPES)) for split, part in splits.items()}
    assert counts == {"train": (34678, 15716, 21535, 2612),
                      "validation": (4598, 1979, 3241, 385), "test": (4458, 1905, 2851, 402)}


def test_nothing_of_the_corpus_is_lost(splits, rows):
    for split, part in splits.items():
        assert "".join(x.text for x in part) == "".join(r["text"] for r in rows[split])
        tags = Counter(people.POS[p] for r in rows[split] for w, p in zip(r["tokens"], r["pos"])
                       for _ in w if p in people.POS)
        inside = Counter()
        for x in part:
            for e in x.entities:
                inside[e.type] += e.end - e.start
                assert x.text[e.start : e.end] == e.text
        assert inside == tags


def test_sentences_of_a_line_stay_together(splits):
    lines = [{x.id.rsplit(":", 1)[0] for x in part} for part in splits.values()]
    assert sum(map(len, lines)) == len(set().union(*lines))


def test_whole_lines(splits, rows):
    lines = people.load(lines=True)
    assert [x.text for x in lines["test"]] == [r["text"] for r in rows["test"]]
    assert sum(len(x.entities) for x in lines["test"]) \
        == sum(len(x.entities) for x in splits["test"])


def test_the_line_split_has_the_same_lines_elsewhere(rows, drawn):
    assert [len(part) for part in drawn.values()] == [len(part) for part in rows.values()]
    everything = [x.id for part in drawn.values() for x in part]
    assert len(everything) == len(set(everything))
    assert set(everything) == {r["id"] for part in rows.values() for r in part}
    again, other = people.load_line_split(lines=True), people.load_line_split(1, lines=True)
    assert again["test"] == drawn["test"] != other["test"]


def test_blocks_keep_articles_together_and_lines_do_not(rows, drawn):
    """How many neighbours of a test line, 3 lines on, are training lines."""
    home = {r["id"]: split for split, part in rows.items() for r in part}

    def share(split_of):
        pairs = [(i, f"199801:{int(i[7:]) + 3:05d}") for i in split_of if split_of[i] == "test"]
        return sum(split_of.get(b) == "train" for _, b in pairs) / len(pairs)

    lines = {x.id: split for split, part in drawn.items() for x in part}
    assert share(home) < 0.1 and share(lines) > 0.6


def test_the_rule_for_married_names_fits_the_corpus(rows):
    """Every run of 1, 1 and 2 characters is one of these, and all of them are married names."""
    runs = Counter()
    for part in rows.values():
        for r in part:
            for kind, group in groupby(zip(r["pos"], r["tokens"]), key=lambda pair: pair[0]):
                words = [word for _, word in group]
                if kind == "nr" and [len(w) for w in words] == [1, 1, 2]:
                    runs[" ".join(words)] += 1
    assert runs == {"陈 方 安生": 19, "梁 刘 柔芬": 1, "范 徐 丽泰": 1}


# --- mutants ------------------------------------------------------------------------------


def word_by_word(example):
    found, at = [], 0
    for word, pos in zip(example["tokens"], example["pos"]):
        if pos in people.POS:
            found.append(Entity(at, at + len(word), people.POS[pos], word))
        at += len(word)
    return found


def whole_runs(example):
    """All neighbouring words of a tag become one entity."""
    found = []
    for e in word_by_word(example):
        if found and found[-1].end == e.start and found[-1].type == e.type:
            start = found[-1].start
            found[-1] = Entity(start, e.end, e.type, example["text"][start : e.end])
        else:
            found.append(e)
    return found


def family_names_only(example):
    return [e for e in people.entities(example) if e.type != "PER" or e.end - e.start < 3]


def without_married_names(example):
    """Pairs, whatever the run."""
    found = []
    for e in people.entities(example):
        if e.text == "陈方安生":
            found += [Entity(e.start, e.start + 2, "PER", "陈方"),
                      Entity(e.start + 2, e.end, "PER", "安生")]
        else:
            found.append(e)
    return found


def one_too_far(example):
    return [Entity(e.start + 1, e.end + 1, e.type, e.text) for e in people.entities(example)]


@pytest.mark.parametrize("entities, name", [
    (word_by_word, "check_names"),
    (whole_runs, "check_names"),
    (without_married_names, "check_names"),
    (one_too_far, "check_offsets"),
    (family_names_only, "check_every_tagged_word_is_in_an_entity_of_its_type"),
    (one_too_far, "check_every_tagged_word_is_in_an_entity_of_its_type"),
])
def test_mutant_is_caught(entities, name):
    with pytest.raises((AssertionError, CourseError)):
        PROPERTIES[name](entities)
