"""English sentences with the people, places and organisations that they name.

A small set, written and labelled for the course; ``probes/entities_en.md`` is its card.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from datasets import Dataset, DatasetDict, Features, Value

from companion.entity import Entity
from companion.errors import CourseError
from companion.files import read_lines
from companion.guards import door

ENTITY_TYPES = ("PER", "LOC", "ORG")
FILE = Path(__file__).resolve().parents[1] / "probes" / "entities_en.jsonl"
SPLITS = ("train", "test")
FEATURES = Features(
    {
        "text": Value("string"),
        "entities": [{"start": Value("int32"), "end": Value("int32"), "type": Value("string")}],
    }
)


@door
def entities_of(row: Mapping) -> list[Entity]:
    """The entities of a row of ``entity_sentences``, which can be compared with found ones.

    Raises:
        CourseError: a row without text and entities, or what ``check_entities`` refuses.
    """
    if not {"text", "entities"} <= row.keys():
        raise CourseError("the row has no text or no entities: give one of entity_sentences()")
    check_entities(row["text"], row["entities"])
    return [Entity(one["start"], one["end"], one["type"], row["text"][one["start"] : one["end"]])
            for one in row["entities"]]


@door
def entity_sentences(file: str | Path = FILE) -> DatasetDict:
    """Sentences with exact entity spans: ``train`` for choosing a rule, ``test`` for one reading.

    Args:
        file: JSON lines, each with ``text``, ``split`` (train or test) and ``entities``. A file
            of your own must have both splits.

    Returns:
        Splits with the columns ``text`` and ``entities``, a list of ``start``, ``end``
        (characters: ``text[start:end]`` is the name) and ``type`` (PER, LOC or ORG), in the
        order of the text.

    Raises:
        CourseError: no such file, a line that is no JSON, a repeated text, a missing split, or
            what ``check_entities`` refuses. The message names the line.
    """
    parts: dict[str, list[dict]] = {split: [] for split in SPLITS}
    seen: set[str] = set()
    for number, line in enumerate(read_lines(file), start=1):
        if not line.strip():
            continue
        row, split = _row(line, number)
        if row["text"] in seen:
            raise CourseError(f"line {number} repeats a text: keep one of the two")
        seen.add(row["text"])
        parts[split].append(row)
    for split, rows in parts.items():
        if not rows:
            raise CourseError(f"no line has the split {split}: give each of {', '.join(SPLITS)}")
    return DatasetDict(
        {split: Dataset.from_list(rows, features=FEATURES) for split, rows in parts.items()}
    )


@door
def check_entities(text: str, entities: Sequence[Mapping]) -> None:
    """Refuse spans that cannot be right.

    Raises:
        CourseError: an empty text, an unknown type, a span that is empty, lies outside the
            text, starts or ends with a space or inside a word, or overlaps the one before it.
    """
    if not text.strip():
        raise CourseError("the text is empty: give a sentence")
    before = 0
    for entity in entities:
        _check_entity(text, entity, before)
        before = entity["end"]


def _check_entity(text: str, entity: Mapping, before: int) -> None:
    start, end, kind = (entity.get(key) for key in ("start", "end", "type"))
    if kind not in ENTITY_TYPES:
        raise CourseError(f"the entity type is {kind!r}: use one of {', '.join(ENTITY_TYPES)}")
    if type(start) is not int or type(end) is not int or not 0 <= start < end <= len(text):
        raise CourseError(f"the span {start} to {end} is not inside the text: count characters, "
                          f"from 0 to {len(text)}")
    if start < before:
        raise CourseError(f"the span {start} to {end} overlaps or precedes the one before it: "
                          "give spans in order, without overlap")
    name = text[start:end]
    if name != name.strip() or _inside_word(text, start) or _inside_word(text, end):
        raise CourseError(f"the span {start} to {end} ({name!r}) cuts a word or holds a space at "
                          "its edge: begin and end at the edges of words")


def _inside_word(text: str, place: int) -> bool:
    return 0 < place < len(text) and text[place - 1].isalnum() and text[place].isalnum()


def _row(line: str, number: int) -> tuple[dict, str]:
    try:
        row = json.loads(line)
        text, split, entities = row["text"], row["split"], row["entities"]
        check_entities(text, entities)
    except CourseError as problem:
        raise CourseError(f"line {number}: {problem}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise CourseError(f"line {number} is no object with text, split and entities: see the "
                          "card of the set") from None
    if split not in SPLITS:
        raise CourseError(f"line {number}: the split is {split!r}: use train or test")
    return {"text": text, "entities": entities}, split
