"""Tag schemes: entities as one tag for each unit (character or token), and back.

``IO`` marks the units inside an entity; two neighbours of one type become one, so its round
trip is exact only where they do not touch. ``BIO`` (IOB2; Ramshaw and Marcus, 1995; Tjong
Kim Sang and Veenstra, 1999) begins each entity with ``B-``. ``BIOES`` also marks the last
unit (``E-``) and an entity of one unit (``S-``). BMES and BILOU are BIOES with other letters,
which are read too.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from companion.entity import Entity, in_order
from companion.errors import CourseError
from companion.guards import door

OUTSIDE = "O"
SCHEMES = {"IO": "I", "BIO": "BI", "BIOES": "BIES"}
# What a place says about its unit: does an entity begin here, does one end here? In BIO and
# IO the end is not marked: the next tag decides.
_BEGINS = {"B", "S"}
_ENDS = {"E", "S"}
# The letters of BMES, BILOU and BMEWO, and what BIOES calls them.
_OTHER = {"M": "I", "L": "E", "U": "S", "W": "S"}
LONGEST = 10**7  # units of a text; more is a slip
_NOTHING = (OUTSIDE, None)  # the place and the type of an outside unit


class Transitions(NamedTuple):
    """What may stand where, as boolean arrays; ``n`` labels.

    ``start`` (n,): may stand first. ``between`` (n, n): row, then column. ``end`` (n,): may
    stand last.
    """

    start: np.ndarray
    between: np.ndarray
    end: np.ndarray


@door
def labels(types: str | Iterable[str], scheme: str = "BIO") -> list[str]:
    """All tags of a scheme: ``O`` first, then those of each type, types in the given order."""
    kinds = [types] if isinstance(types, str) else types
    kinds = list(dict.fromkeys(kind.strip() for kind in kinds))
    if not kinds or not all(kinds):
        raise CourseError("there is no entity type, or one without a name: give at least one")
    return [OUTSIDE] + [f"{place}-{kind}" for kind in kinds for place in _places(scheme)]


@door
def to_tags(entities: Iterable[Entity], length: int, scheme: str = "BIO") -> list[str]:
    """One tag for each of ``length`` units; the entities' offsets count these units.

    Raises:
        CourseError: an entity that is outside or overlaps another; unknown scheme.
    """
    _places(scheme)
    if not 0 <= length <= LONGEST:
        raise CourseError(f"length is {length}: give 0 to {LONGEST:,} units")
    tags = [OUTSIDE] * length
    for e in in_order(entities, length):
        tags[e.start : e.end] = [f"I-{e.type}"] * (e.end - e.start)
        if scheme != "IO":
            tags[e.start] = f"B-{e.type}"
        if scheme == "BIOES":
            tags[e.end - 1] = f"{'S' if e.end - e.start == 1 else 'E'}-{e.type}"
    return tags


@door
def from_tags(tags: Sequence[str], scheme: str = "BIO", repair: bool = True) -> list[Entity]:
    """The entities of a tag sequence, in order.

    An illegal sequence is repaired as conlleval does it, the scorer of Tjong Kim Sang and
    Buchholz (2000): a unit
    that is inside an entity of type X begins one unless the unit before belongs to an open
    entity of type X; and an entity ends where the next unit does not continue it. So no
    tagged unit is lost: ``O I-PER`` is one person, ``B-PER I-LOC`` a person and a place.

    Args:
        tags: blanks around them are of no account.
        repair: without it only what is legal counts: an entity must begin with ``B-`` or
            ``S-``, and in BIOES end with ``E-`` or ``S-``; other tagged units are dropped.
            This is what seqeval's ``mode="strict"`` counts.

    Raises:
        CourseError: a tag that the scheme does not have.
    """
    return of_tags(tags, scheme, repair)


def of_tags(tags: Sequence[str], scheme: str = "BIO", repair: bool = True) -> list[Entity]:
    """`from_tags` for tags that are a list already: of a model, text after text."""
    places = _places(scheme)
    parts = [_split(tag, places) for tag in tags]
    before, after = [_NOTHING, *parts[:-1]], [*parts[1:], _NOTHING]
    starts = [i for i, part in enumerate(parts) if part[1] and not _joined(before[i], part)]
    ends = [i + 1 for i, part in enumerate(parts) if part[1] and not _joined(part, after[i])]
    return [
        Entity(start, end, parts[start][1])
        for start, end in zip(starts, ends)
        if repair or _complete(parts[start][0], parts[end - 1][0], scheme)
    ]


def _joined(part, following) -> bool:
    """Whether two neighbours belong to one entity."""
    (place, kind), (next_place, next_kind) = part, following
    return kind == next_kind and place not in _ENDS and next_place not in _BEGINS


def _complete(first: str, last: str, scheme: str) -> bool:
    return scheme == "IO" or (first in _BEGINS and (scheme == "BIO" or last in _ENDS))


@door
def legal(names: Sequence[str], scheme: str = "BIO") -> Transitions:
    """Which tags may stand first, after one another, and last.

    Args:
        names: the labels, in the order of the model's columns (see `labels`).
    """
    rule = [[may_follow(a, b, scheme) for b in names] for a in names]
    return Transitions(
        np.array([may_follow(None, b, scheme) for b in names], bool),
        np.array(rule, bool).reshape(len(names), len(names)),
        np.array([may_follow(a, None, scheme) for a in names], bool),
    )


def marks_entity(tag: str) -> bool:
    """Whether a tag is one of an entity (``B-PER``), not of a word (``nr``), in any scheme."""
    place, dash, kind = tag.strip().partition("-")
    return bool(dash and kind) and place in {*"BIES", *_OTHER}


def mark_entities(tags: Iterable[str]) -> bool:
    """Whether one of the tags is such."""
    return any(map(marks_entity, tags))


def may_follow(before: str | None, after: str | None, scheme: str = "BIO") -> bool:
    """Whether tag ``after`` may follow tag ``before``; None stands for the edge of the text."""
    places = _places(scheme)
    place, kind = _split(before or OUTSIDE, places)
    next_place, next_kind = _split(after or OUTSIDE, places)
    if scheme == "IO":
        return True
    continues = next_place in {"I", "E"}
    if scheme == "BIO":
        return not continues or kind == next_kind
    is_open = place in {"B", "I"}
    return (continues and kind == next_kind) if is_open else not continues


def _places(scheme: str) -> str:
    if scheme not in SCHEMES:
        raise CourseError(f"there is no tag scheme {scheme!r}: use {', '.join(SCHEMES)} (which "
                          "reads BMES and BILOU too)")
    return SCHEMES[scheme]


@lru_cache(4096)
def _split(tag: str, places: str) -> tuple[str, str | None]:
    tag = tag.strip()  # of a file with CRLF, or cut at single blanks
    if tag == OUTSIDE:
        return _NOTHING
    place, dash, kind = map(str.strip, tag.partition("-"))
    if "E" in places:
        place = _OTHER.get(place, place)
    if not (dash and kind and len(place) == 1 and place in places):
        cure = "" if "E" in places or place not in {*"ES", *_OTHER} else ', or scheme="BIOES"'
        raise CourseError(f"{tag!r} is no tag of this scheme: use O or one of "
                          f"{', '.join(p + '-TYPE' for p in places)}{cure}")
    return place, kind


# Labels of taggers for what is no word: padding, special tokens, later pieces of a word.
_NO_WORD = {"X", "PAD", "[PAD]", "<PAD>", "[CLS]", "[SEP]", "<S>", "</S>", "<START>", "<STOP>"}


def is_no_word(label: str) -> bool:
    """Whether a label stands for no word; it is read as ``O``."""
    return label.upper() in _NO_WORD


def standard(names: Sequence[str]) -> tuple[list[str], str]:
    """The labels of a model that others have trained as tags of BIOES, BIO or IO.

    Returns:
        ``(tags, scheme)``: tags of BMES and BILOU in the letters of BIOES. Labels that stand
        for no word, such as ``[PAD]``, stay what they are.

    Raises:
        CourseError: labels of no scheme, or without ``O``.
    """
    tags = [name.strip() for name in names]
    if OUTSIDE not in tags or len(set(tags)) < len(tags):
        raise CourseError("there is no label O, or one comes twice")
    parts = [None if is_no_word(tag) else _split(tag, SCHEMES["BIOES"]) for tag in tags]
    places = {part[0] for part in parts if part and part[1]}
    scheme = "IO" if places == {"I"} else "BIO" if places <= {"B", "I"} else "BIOES"
    return ["-".join(part) if part and part[1] else tag
            for part, tag in zip(parts, tags, strict=True)], scheme
