"""Candidate spans: which pieces of a text could be a name, before any model is asked."""

import re
import unicodedata
from collections.abc import Iterable
from typing import NamedTuple

from companion.entity import Entity
from companion.errors import CourseError
from companion.guards import door

# A word is letters and digits, each with the marks that combine with it, as \u0301 here. A
# hyphen, an apostrophe or a joiner (as in Persian) may stand inside a word (O'Brien), but 's is
# not part of a name.
_MARK, _LETTER = "\u0301", r"(?:[^\W_]\u0301*)"
_WORD = re.compile(rf"{_LETTER}+(?:[-\u2010\u2011\u00ad\u200c\u200d]{_LETTER}+"
                   rf"|['’](?!s(?![^\W_])){_LETTER}+)*")
FILTERS = ("all", "capitals", "characters")
CHINESE = re.compile(r"[\u4e00-\u9fff]+")  # the common ideographs


class Scored(NamedTuple):
    """A candidate with its best type, and by how much that type beats "not an entity"."""

    start: int
    end: int
    type: str
    score: float

    @property
    def entity(self) -> Entity:
        return Entity(self.start, self.end, self.type)


@door
def words(text: str) -> list[tuple[int, int]]:
    """Start and end of each word of a text, in characters.

    Raises:
        CourseError: no text, or a text without a word.
    """
    shape = text if text.isascii() else "".join(
        _MARK if unicodedata.category(c)[0] == "M" else c for c in text)
    found = [match.span() for match in _WORD.finditer(shape)]
    if not found:
        raise CourseError("the text has no word: give a sentence")
    return found


def runs(text: str) -> list[list[tuple[int, int]]]:
    """The words of a text in runs. Only blanks stand between two words of a run."""
    found: list[list[tuple[int, int]]] = []
    for start, end in words(text):
        if found and text[found[-1][-1][1] : start].isspace():
            found[-1].append((start, end))
        else:
            found.append([(start, end)])
    return found


@door
def candidates(text: str, longest: int = 4, only: str = "all") -> list[tuple[int, int]]:
    """Spans of at most ``longest`` words with only blanks between them, in order.

    A run of n words has k n - k (k - 1) / 2 spans of up to k words, for k at most n.

    Args:
        only: ``"all"``; ``"capitals"`` for the spans in which each word begins with a capital
            letter, which asks much less of the model, and cannot find *Bank of England*; or
            ``"characters"`` for spans of 2 to ``longest`` Chinese characters, as Chinese is
            written without blanks (a name of one character is not found).

    Returns:
        Pairs (start, end) in characters; empty when the filter lets nothing pass.

    Raises:
        CourseError: a text without a word, ``longest`` below 1, an unknown filter.
    """
    if longest < 1:
        raise CourseError(f"longest is {longest}: allow at least one word")
    if only not in FILTERS:
        raise CourseError(f"unknown filter {only!r}: use one of {', '.join(FILTERS)}")
    if only == "characters":
        words(text)
        return [(first, first + size) for run in CHINESE.finditer(text)
                for first in range(*run.span())
                for size in range(2, min(longest, run.end() - first) + 1)]
    found = []
    for run in runs(text):
        for first in range(len(run)):
            for last in range(first, min(first + longest, len(run))):
                if only == "capitals" and not text[run[last][0]].isupper():
                    break  # no longer span that begins here can pass
                found.append((run[first][0], run[last][1]))
    return found


@door
def resolve(scored: Iterable[Scored]) -> list[Scored]:
    """Spans that do not overlap, chosen greedily: the best score first (Cui et al., 2021).

    Of equal scores the earlier span comes first, then the longer one. Dropping all spans
    below a score gives the same result before as after, because a better span never depends
    on a worse one.

    Returns:
        The spans that remain, in the order of the text.
    """
    kept: list[Scored] = []
    for span in sorted(scored, key=lambda s: (-s.score, s.start, -s.end)):
        if all(span.end <= other.start or other.end <= span.start for other in kept):
            kept.append(span)
    return sorted(kept)
