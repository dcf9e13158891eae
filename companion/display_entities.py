"""Entities highlighted in a text: as HTML for a page, as ANSI text for a terminal.

The type stands beside each entity in letters, so no colour is needed to read it.
"""

import re
import unicodedata
from collections.abc import Sequence
from html import escape

from companion.display import PALETTE
from companion.entity import Entity, in_order
from companion.errors import CourseError
from companion.guards import door

# ANSI background colours near the palette's; text in black (30) reads on all of them.
_ANSI = (44, 43, 42, 45, 46, 41, 47)
# Line breaks and tabs are kept; other control characters could steer a terminal, and those that
# turn the direction of writing could show a text in another order.
_KEPT = "\n\t"
_LONE = re.compile("\r(?!\n)")  # CRLF is a line break, also where an entity ends inside of it
_TURNING = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


@door
def html(text: str, entities: Sequence[Entity]) -> str:
    """One ``<p>`` with a ``<mark>`` for each entity; the text and the types are escaped.

    Raises:
        CourseError: entities that overlap or lie outside the text.
    """
    parts = []
    for part, entity in _pieces(_LONE.sub("�", text), entities):
        part = escape(_printable(part))
        if entity:
            colour = PALETTE[_number(entity, entities) % len(PALETTE)]
            part = (f'<mark style="background:none;border-bottom:3px solid {colour}">{part}'
                    f"<sub>{escape(entity.type)}</sub></mark>")
        parts.append(part)
    return f'<p style="white-space:pre-wrap">{"".join(parts)}</p>'


@door
def page(texts: Sequence[str], found: Sequence[Sequence[Entity]], title: str = "Entities") -> str:
    """A whole HTML page with one paragraph for each text."""
    if len(texts) != len(found):
        raise CourseError(f"{len(texts)} texts and the entities of {len(found)}: give as many")
    body = "\n".join(html(text, entities) for text, entities in zip(texts, found, strict=True))
    return (f'<!doctype html>\n<html lang="zh-Hans">\n<meta charset="utf-8">\n'
            f"<title>{escape(title)}</title>\n{body}\n</html>\n")


@door
def ansi(text: str, entities: Sequence[Entity]) -> str:
    """The text with coloured entities and their types, for a terminal.

    Control characters of the text are shown as ``\\ufffd``, because a terminal would obey them.
    """
    parts = []
    for part, entity in _pieces(_LONE.sub("�", text), entities):
        part = _printable(part)
        if entity:
            colour = _ANSI[_number(entity, entities) % len(_ANSI)]
            part = f"\x1b[30;{colour}m{part}\x1b[0m[{_printable(entity.type)}]"
        parts.append(part)
    return "".join(parts)


@door
def brackets(text: str, entities: Sequence[Entity]) -> str:
    """The text with ``[entity TYPE]``, for plain prints."""
    return "".join(f"[{part} {entity.type}]" if entity else part
                   for part, entity in _pieces(text, entities))


def _pieces(text: str, entities: Sequence[Entity]) -> list[tuple[str, Entity | None]]:
    """The text from left to right, cut at the entities."""
    pieces, at = [], 0
    for entity in in_order(entities, len(text)):
        pieces += [(text[at : entity.start], None), (text[entity.start : entity.end], entity)]
        at = entity.end
    return [*pieces, (text[at:], None)]


def _number(entity: Entity, entities: Sequence[Entity]) -> int:
    kinds = ["PER", "LOC", "ORG"]  # always the same colours for the course's own types
    kinds += sorted({e.type for e in entities} - set(kinds))
    return kinds.index(entity.type)


def _printable(text: str) -> str:
    def steers(c: str) -> bool:
        return c in _TURNING or (unicodedata.category(c) == "Cc" and c not in _KEPT)

    return "".join("�" if steers(c) else c for c in text.replace("\r", ""))
