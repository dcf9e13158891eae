"""The labelled English sentences: what the card says of them, and that bad files are refused."""

import hashlib
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companion.corpora import entity_sentences
from companion.corpora.entities import ENTITY_TYPES, FILE, check_entities, entities_of
from companion.errors import CourseError

CARD = FILE.with_suffix(".md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def data():
    return entity_sentences()


def spans(row):
    return [row["text"][e["start"] : e["end"]] for e in row["entities"]]


def figures(rows):
    """The rows of the card's table, in its order."""
    lengths = [len(text.split()) for text in rows["text"]]
    kinds = [e["type"] for entities in rows["entities"] for e in entities]
    names = [name for row in rows for name in spans(row)]
    return [str(len(rows)), str(sum(not e for e in rows["entities"])), f"{sum(lengths):,}",
            f"{min(lengths)} to {max(lengths)}", *(str(kinds.count(k)) for k in ENTITY_TYPES),
            str(len(kinds)), str(sum(" " in name for name in names))]


def test_the_card_tells_the_counts(data):
    table = [line.split("|") for line in CARD.splitlines() if re.match(r"\| .*\d \|$", line)]
    for column, split in ((2, "train"), (3, "test")):
        assert [row[column].strip() for row in table] == figures(data[split])


def test_the_set_is_as_large_as_promised(data):
    assert len(data["train"]) == 60 and len(data["test"]) >= 100
    assert sum(not e for part in data.values() for e in part["entities"]) >= 25


def test_the_split_is_the_hash_that_the_card_names(data):
    texts = [text for part in data.values() for text in part["text"]]
    order = sorted(texts, key=lambda t: hashlib.sha256(f"entities:{t}".encode()).hexdigest())
    assert sorted(order[:60]) == sorted(data["train"]["text"])


def test_every_name_begins_with_a_capital_and_none_carries_its_case(data):
    for part in data.values():
        for name in (name for row in part for name in spans(row)):
            assert name[0].isupper() and not name.endswith(("'s", ".", ","))


def test_the_file_has_not_changed_since_it_was_written():
    digest = hashlib.sha256(FILE.read_bytes()).hexdigest()
    assert digest == "893a5ba02907d60d23e1ea92db26caeee52cf32f211abfb5c0935d2924156612"


def entity(start, end, kind="PER"):
    return {"start": start, "end": end, "type": kind}


TEXT = "Ann met Bo Lee in Ulm."


def test_good_spans_pass():
    check_entities(TEXT, [entity(0, 3), entity(8, 14), entity(18, 21, "LOC")])
    check_entities(TEXT, [])


@pytest.mark.parametrize("entities, cause", [
    ([entity(0, 3, "person")], "entity type is 'person'"),
    ([entity(0, 0)], "not inside the text"),
    ([entity(-3, 3)], "not inside the text"),
    ([entity(18, 23)], "not inside the text"),
    ([entity(0.0, 3)], "not inside the text"),
    ([entity(8, 14), entity(11, 14)], "overlaps"),
    ([entity(8, 14), entity(0, 3)], "overlaps or precedes"),
    ([entity(0, 4)], "holds a space"),
    ([entity(0, 2)], "cuts a word"),
    ([entity(1, 3)], "cuts a word"),
])
def test_bad_spans_are_refused(entities, cause):
    with pytest.raises(CourseError, match=cause) as refusal:
        check_entities(TEXT, entities)
    assert "\n" not in str(refusal.value) and ": " in str(refusal.value)


@pytest.mark.parametrize("row", [
    {"text": TEXT}, {"entities": []}, {"text": TEXT, "entities": [3]},
    {"text": TEXT, "entities": [entity(0, 99)]}, {"text": None, "entities": []}, "text"])
def test_rows_of_another_form_are_refused(row):
    with pytest.raises(CourseError) as refusal:
        entities_of(row)
    assert "\n" not in str(refusal.value)


@given(st.text("aB, ", min_size=1, max_size=12), st.integers(-1, 13), st.integers(-1, 13))
def test_what_passes_is_a_run_of_whole_words(text, start, end):
    try:
        check_entities(text, [entity(start, end)])
    except CourseError:
        return
    name = text[start:end]
    assert name and name == name.strip()
    assert re.findall(r"\w+", name) == [m[0] for m in re.finditer(r"\w+", text)
                                        if m.start() < end and m.end() > start]


GOOD = {"text": TEXT, "split": "train", "entities": [entity(0, 3)]}
OTHER = GOOD | {"text": TEXT + "!", "split": "test"}


@pytest.mark.parametrize("lines, cause", [
    ([GOOD], "no line has the split test"),
    ([GOOD, GOOD, OTHER], "line 2 repeats"),
    ([GOOD, "nothing"], "line 2 is no object"),
    ([GOOD, {"text": "Ann."}], "line 2 is no object"),
    ([GOOD, OTHER | {"text": "  "}], "line 2: the text is empty"),
    ([GOOD, OTHER | {"split": "dev"}], "line 2: the split is 'dev'"),
    ([GOOD, OTHER | {"entities": [entity(1, 3)]}], "line 2: the span 1 to 3"),
])
def test_bad_files_are_refused(tmp_path, lines, cause):
    file = tmp_path / "own.jsonl"
    file.write_text("\n".join(x if isinstance(x, str) else json.dumps(x) for x in lines))
    with pytest.raises(CourseError, match=cause):
        entity_sentences(file)


def test_a_file_of_your_own_is_read(tmp_path):
    file = tmp_path / "own.jsonl"
    file.write_text("\n".join(map(json.dumps, [GOOD, OTHER])))
    assert spans(entity_sentences(file)["test"][0]) == ["Ann"]


def test_a_separator_inside_a_text_ends_no_line(tmp_path):
    file = tmp_path / "own.jsonl"
    odd = GOOD | {"text": TEXT + "\u2028More."}
    lines = [json.dumps(row, ensure_ascii=False) for row in (odd, OTHER)]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert entity_sentences(file)["train"]["text"] == [odd["text"]]


def test_another_encoding_is_named(tmp_path):
    line = json.dumps({"text": "李明"}, ensure_ascii=False)
    (tmp_path / "own.jsonl").write_bytes(line.encode("gbk"))
    with pytest.raises(CourseError, match="own.jsonl is not UTF-8: save"):
        entity_sentences(tmp_path / "own.jsonl")


def test_a_missing_file_is_named():
    with pytest.raises(CourseError, match="none.jsonl cannot be read"):
        entity_sentences("none.jsonl")
