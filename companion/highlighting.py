"""Entities shown inside their text: in a terminal, in a notebook, as a page.

A text may hold anything, so HTML is escaped and control characters never reach a terminal.
"""

import html
import unicodedata
from collections.abc import Callable, Sequence

from companion.errors import CourseError
from companion.ner.spans import Entity

# Background by type: light tones of the course's palette, told apart by the label as well.
COLOURS = {"PER": "#cfe8f7", "LOC": "#c9efdf", "ORG": "#fbe3b5"}
OTHER = "#eeeeee"
ANSI = {"PER": "\x1b[30;46m", "LOC": "\x1b[30;42m", "ORG": "\x1b[30;43m"}
ANSI_OTHER, ANSI_END = "\x1b[30;47m", "\x1b[0m"


def terminal(text: str, entities: Sequence[Entity], colour: bool = False) -> str:
    """The text with every entity as ``[李明 PER]``, or, with ``colour``, on a coloured ground."""
    def mark(part: str, entity: Entity) -> str:
        if not colour:
            return f"[{_visible(part)} {entity.type}]"
        return f"{ANSI.get(entity.type, ANSI_OTHER)}{_visible(part)} {entity.type}{ANSI_END}"

    return _marked(text, entities, _visible, mark)


def inline(text: str, entities: Sequence[Entity]) -> str:
    """The text as one HTML paragraph with marked entities, styled by itself."""
    def mark(part: str, entity: Entity) -> str:
        score = getattr(entity, "score", None)
        title = "" if score is None else f' title="{score:.3f}"'
        return (f'<mark style="background:{COLOURS.get(entity.type, OTHER)};padding:.1em .2em;'
                f'border-radius:.2em"{title}>{html.escape(part)}'
                f'<sub style="font-size:60%"> {html.escape(entity.type)}</sub></mark>')

    return f'<p style="white-space:pre-wrap">{_marked(text, entities, html.escape, mark)}</p>'


def page(texts: Sequence[str], found: Sequence[Sequence[Entity]], title: str) -> str:
    """A whole HTML page, one paragraph a text. It loads nothing from anywhere."""
    body = "\n".join(inline(text, entities) for text, entities in zip(texts, found, strict=True))
    return (f'<!DOCTYPE html>\n<html lang="zh">\n<head>\n<meta charset="utf-8">\n'
            f"<title>{html.escape(title)}</title>\n</head>\n"
            f'<body style="max-width:44em;margin:2em auto;line-height:1.9;font-family:sans-serif">'
            f"\n{body}\n</body>\n</html>\n")


def _marked(text: str, entities: Sequence[Entity], plain: Callable[[str], str],
            mark: Callable[[str, Entity], str]) -> str:
    parts, at = [], 0
    for entity in sorted(entities, key=lambda e: e.start):
        if not at <= entity.start < entity.end <= len(text):
            raise CourseError(f"the entity at {entity.start} to {entity.end} overlaps another or "
                              f"is not inside the text of {len(text)} characters: check offsets")
        parts += [plain(text[at : entity.start]), mark(text[entity.start : entity.end], entity)]
        at = entity.end
    return "".join([*parts, plain(text[at:])])


def _visible(text: str) -> str:
    """Without control characters: an escape sequence in a text could rule the terminal."""
    return "".join(c if c in "\n\t" or unicodedata.category(c) != "Cc" else "\ufffd" for c in text)
