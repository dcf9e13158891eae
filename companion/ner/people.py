"""The entities of the People's Daily, read from its part-of-speech tags.

Persons are ``nr``, places ``ns``, organisations ``nt``. Each tagged word is one entity, but
for persons: the corpus cuts a Chinese name into family name and given name, ``江/nr 泽民/nr``
(Yu et al., 2002), and the two belong together.
"""

import functools
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, groupby
from operator import attrgetter, itemgetter
from pathlib import Path

from companion.corpora import people_daily
from companion.entity import Entity, Example
from companion.errors import CourseError
from companion.guards import door
from companion.ner import schemes

TYPES = ("PER", "LOC", "ORG")
POS = {"nr": "PER", "ns": "LOC", "nt": "ORG"}
# Family names of two characters that occur in the corpus (雪村 is Japanese).
DOUBLE = frozenset("欧阳 司马 司徒 诸葛 令狐 南宫 上官 雪村".split())
# A sentence ends with these and with the marks that close after them.
_END = re.compile(r"[。！？!?]+[”’』」》）)\]]*")


def entities(row: Mapping) -> list[Entity]:
    """The entities of a row of `people_daily`, with offsets into ``row["text"]``.

    Tags of entities (``B-PER``) are read as such, of whatever scheme and types. Neighbouring
    words of a type stay apart (``河北省/ns 张家口/ns`` are two places), except
    for the parts of a name: see `name_lengths`.

    Raises:
        CourseError: the columns ``tokens`` and ``pos`` do not fit each other or the text.
    """
    words, pos, text = row["tokens"], row["pos"], row["text"]
    if len(words) != len(pos) or "".join(words) != text:
        raise CourseError("the words do not make up the text, or lack tags: give a row with "
                          "text, tokens and pos as people_daily() has them")
    if schemes.mark_entities(pos):
        edges = [0, *accumulate(map(len, words))]
        return [Entity(edges[e.start], edges[e.end], e.type, text[edges[e.start] : edges[e.end]])
                for e in schemes.of_tags(pos, "BIOES")]
    found, start, i = [], 0, 0
    for kind, size in _units(words, pos):
        end = start + sum(map(len, words[i : i + size]))
        if kind in POS:
            found.append(Entity(start, end, POS[kind], text[start:end]))
        start, i = end, i + size
    return found


def _units(words: Sequence[str], pos: Sequence[str]) -> Iterator[tuple[str, int]]:
    """``(tag, number of words)`` of what belongs together, from left to right."""
    for tag, group in groupby(zip(pos, words), key=itemgetter(0)):
        run = [word for _, word in group]
        for size in name_lengths(run) if tag == "nr" else [1] * len(run):
            yield tag, size


def name_lengths(run: Sequence[str]) -> list[int]:
    """How many words each person of a run of neighbouring ``nr`` words has.

    From left to right: a word of one character (or one of `DOUBLE`) is a family name and
    takes the next word with it, the given name. Any other word is a name by itself: a
    foreign name, a given name alone. A run of exactly one, one and two characters is one
    person, a married name (``陈 方 安生``); in longer runs such words are two people
    (``李 鹏 | 吴 邦国``), and all cases in this corpus are so.
    """
    if [len(word) for word in run] == [1, 1, 2]:
        return [3]
    lengths, i = [], 0
    while i < len(run):
        family = len(run[i]) == 1 or run[i] in DOUBLE
        lengths.append(min(2 if family else 1, len(run) - i))
        i += lengths[-1]
    return lengths


@door
def sentences(text: str, found: Sequence[Entity], id: str = "") -> list[Example]:
    """The text cut behind 。！？ and the marks that close after them, entities with it.

    Joined, the pieces give the text again. No cut falls inside an entity.

    Args:
        id: of the text; the pieces get ``id:0``, ``id:1``, ...
    """
    inside = {i for e in found for i in range(e.start + 1, e.end)}
    cuts = {m.end() for m in _END.finditer(text)} - inside
    edges = sorted({0, len(text)} | cuts)
    return [
        Example(text[start:end],
                tuple(e.shifted(-start) for e in sorted(found) if start <= e.start < end),
                f"{id}:{number}")
        for number, (start, end) in enumerate(zip(edges, edges[1:]))
    ]


@door
def load(source: str | Path = "package", lines: bool = False) -> dict[str, list[Example]]:
    """The splits of `people_daily` as sentences with entities, in the order of the paper.

    Splits go by blocks of 50 neighbouring lines, as the corpus has them.

    Args:
        source: see `companion.corpora.people_daily`.
        lines: whole lines (about paragraphs) instead of sentences.

    Raises:
        CourseError: no entity in all of it, as where its tags are of another kind.
    """
    return {split: part if lines else _cut(part) for split, part in _lines(source).items()}


def load_line_split(seed: int = 0, lines: bool = False) -> dict[str, list[Example]]:
    """The same lines split one by one by chance, as is often done: for measuring a leak.

    Lines of one article then stand on both sides. Each split has as many lines as in `load`.
    """
    splits = _lines("package")
    order = [line for part in splits.values() for line in part]
    random.Random(seed).shuffle(order)
    drawn = {}
    for split, part in splits.items():
        own, order = order[: len(part)], order[len(part) :]
        own.sort(key=attrgetter("id"))
        drawn[split] = own if lines else _cut(own)
    return drawn


def _lines(source: str | Path) -> dict[str, list[Example]]:
    """Whole lines by split. Those of the package are read once."""
    if str(source) != "package":
        return _read(source)
    return {split: list(part) for split, part in _package_lines().items()}


@functools.cache
def _package_lines() -> dict[str, list[Example]]:
    return _read("package")


def _read(source: str | Path) -> dict[str, list[Example]]:
    splits = {}
    for split, rows in people_daily(source).items():
        # Whole columns at once: row by row a data set is ten times slower.
        columns = {name: rows[name][:] for name in ("text", "tokens", "pos", "id")}
        table = [dict(zip(columns, values)) for values in zip(*columns.values())]
        splits[split] = [Example(r["text"], tuple(entities(r)), r["id"]) for r in table]
    if not any(x.entities for part in splits.values() for x in part):
        tags = dict.fromkeys(tag for r in table for tag in r["pos"])
        raise CourseError(f"{source} has no entity, its tags are {', '.join([*tags][:5])} ...: "
                          "write nr, ns, nt for the words, or O, B-TYPE, I-TYPE")
    return splits


def _cut(lines: Sequence[Example]) -> list[Example]:
    pieces = (piece for x in lines for piece in sentences(x.text, x.entities, x.id))
    return [piece for piece in pieces if piece.text.strip()]
