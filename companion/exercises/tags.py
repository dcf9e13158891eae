"""The exercises of the chapter "Chinese NER data". An entity is `(start, end, type)` there."""

from __future__ import annotations

from companion.exercises import tags_hints as hints
from companion.exercises.old import Case, Exercise


def _write_cases() -> list[Case]:
    """Worked out by hand: an entity of three units, of one, of two; two touch; one is last."""
    return [
        Case({"entities": [(1, 4, "PER"), (5, 6, "LOC"), (6, 8, "LOC")], "length": 9},
             ["O", "B-PER", "I-PER", "E-PER", "O", "S-LOC", "B-LOC", "E-LOC", "O"]),
        Case({"entities": [(0, 1, "ORG"), (2, 6, "ORG")], "length": 6},
             ["S-ORG", "O", "B-ORG", "I-ORG", "I-ORG", "E-ORG"]),
        Case({"entities": [], "length": 2}, ["O", "O"]),
    ]


def _read_cases() -> list[Case]:
    """Worked out by hand: neighbours of a type, an I- alone, a change of type, one at the end."""
    return [
        Case({"tags": "O B-PER I-PER B-PER O I-LOC I-LOC O B-LOC I-ORG I-ORG".split()},
             [(1, 3, "PER"), (3, 4, "PER"), (5, 7, "LOC"), (8, 9, "LOC"), (9, 11, "ORG")]),
        Case({"tags": "I-LOC I-PER O B-LOC B-LOC I-LOC O".split()},
             [(0, 1, "LOC"), (1, 2, "PER"), (3, 4, "LOC"), (4, 6, "LOC")]),
        Case({"tags": ["O", "O"]}, []),
    ]


def _name_cases() -> list[Case]:
    """Written for the check. People in a row, a family name alone, a foreign name."""
    rows = [
        ("周/nr 恩来/nr 、/w 李/nr 鹏/nr 吴/nr 邦国/nr 和/c 江/nr 主席/n 见/v 克林顿/nr",
         ["周恩来", "李鹏", "吴邦国", "江", "克林顿"]),
        ("记者/n 赵/nr 志文/nr 王/nr 桦/nr 在/p 北京/ns 见/v 安南/nr",
         ["赵志文", "王桦", "安南"]),
        ("安南/nr 说/v 王/nr", ["安南", "王"]),
    ]
    cases = []
    for row, names in rows:
        words, tags = zip(*(pair.split("/") for pair in row.split()))
        cases.append(Case({"words": list(words), "tags": list(tags)}, names))
    return cases


def _f1_cases() -> list[Case]:
    """Worked out by hand: 3 right of 6 found and 7 true; the second sentence is all wrong."""
    true = [[(0, 3, "PER"), (4, 6, "LOC"), (7, 9, "LOC")],
            [(0, 3, "PER"), (5, 7, "ORG"), (8, 9, "ORG")],
            [(2, 4, "LOC")]]
    found = [[(0, 3, "PER"), (4, 6, "LOC")], [(0, 2, "PER"), (5, 7, "LOC"), (8, 9, "LOC")],
             [(2, 4, "LOC")]]
    return [Case({"true": true, "found": found}, 2 * 3 / (6 + 7)),
            Case({"true": [[(0, 2, "PER")], [], [(1, 2, "LOC")]],
                  "found": [[], [(0, 2, "PER")], [(1, 2, "LOC"), (3, 5, "ORG")]]},
                 2 * 1 / (3 + 2)),
            Case({"true": [[(0, 2, "PER")]], "found": [[]]}, 0.0)]


def _token_cases() -> list[Case]:
    """Worked out by hand: an entity of several tokens, a long token, one that begins inside."""
    return [
        Case({"entities": [(0, 3, "PER"), (4, 8, "ORG")],
              "offsets": [(0, 1), (1, 2), (2, 3), (3, 4), (4, 6), (6, 8), (8, 9)]},
             ["B-PER", "I-PER", "I-PER", "O", "B-ORG", "I-ORG", "O"]),
        Case({"entities": [(3, 5, "LOC"), (6, 7, "PER"), (8, 9, "LOC")],
              "offsets": [(0, 2), (2, 4), (4, 5), (6, 7), (8, 10)]},
             ["O", "B-LOC", "I-LOC", "B-PER", "B-LOC"]),
    ]


EXERCISES = (
    Exercise(
        id="tags-write", function="bioes_tags", results=("the tags",),
        success="every entity has its own beginning and its own end.",
        cases=_write_cases, hint=hints.write),
    Exercise(
        id="tags-read", function="read_bio", results=("the entities",),
        success="no tagged unit is lost, and illegal sequences are repaired.",
        cases=_read_cases, hint=hints.read),
    Exercise(
        id="tags-names", function="people_of", results=("the names",),
        success="every person is one name, also with others in a row.",
        cases=_name_cases, hint=hints.names),
    Exercise(
        id="tags-tokens", function="token_tags", results=("the tags",),
        success="the tags fit the tokens, whatever their lengths are.",
        cases=_token_cases, hint=hints.tokens),
    Exercise(
        id="tags-f1", function="entity_f1", results=("F1",),
        success="this is the F1 that papers report.",
        cases=_f1_cases, hint=hints.f1),
)
