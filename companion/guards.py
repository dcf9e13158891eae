"""The guards at the door: lists where lists are expected, texts where texts are, and numbers.

A public function asks here once; the functions after it trust what they are given.
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from numbers import Integral, Real

from companion.errors import CourseError


def as_list(given: Iterable, name: str) -> list:
    """A list of what is given: a list, tuple, array, Series, generator. ``name`` is its name.

    Raises:
        CourseError: a str, a dictionary, a table, or what cannot be listed.
    """
    if hasattr(given, "columns"):
        raise CourseError(f"{name} is a table ({type(given).__name__}): give one of its columns, "
                          "such as table['text']")
    try:
        iter(given)
        fits = not isinstance(given, (str, bytes, bytearray, Mapping))
    except TypeError:
        fits = False
    if not fits:
        raise CourseError(f"{name} is a {type(given).__name__}: give a list")
    return list(given)


def listed(texts: Iterable, least: int = 1) -> list:
    """Texts as a list. A generator is read once, so that it can be read by several.

    Args:
        least: how many there must be; 0 where an empty list has an answer too.

    Raises:
        CourseError: one text in place of a list, a set, no list, or an empty one.
    """
    refuse_one_text(texts)
    if isinstance(texts, Set) and not isinstance(texts, Sequence):
        raise CourseError("the texts are a set, which has no order: give a list")
    texts = as_list(texts, "texts")
    if len(texts) < least:
        raise CourseError(f"there are {len(texts) or 'no'} texts: give at least "
                          f"{'one' if least == 1 else least}")
    return texts


def refuse_one_text(texts: Iterable[str]) -> None:
    """Refuse a string where texts are wanted: it would be read letter by letter.

    Raises:
        CourseError: ``texts`` is a string.
    """
    if isinstance(texts, (str, bytes)):
        raise CourseError("this is one text: give a list of texts, such as [text]")


def checked_text(text: str, name: str = "the text") -> str:
    """The text, where it is one that a tokenizer can read. ``name`` is what a refusal calls it.

    Half a character is a surrogate without its pair: Python keeps one for each byte that it
    could not decode, and for each half of an emoji that was cut in two.

    Raises:
        CourseError: no str, or one with half a character.
    """
    if not isinstance(text, str):
        raise CourseError(f"{name} is of type {type(text).__name__}: give a str")
    if not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text):
        raise CourseError(f"{name} is no valid Unicode (it holds half a character): read the "
                          "file as UTF-8, or replace the damaged characters")
    return text


def is_count(value) -> bool:
    """Whether a setting is a whole number of at least 1."""
    return isinstance(value, Integral) and not isinstance(value, bool) and value >= 1


def is_number(value) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)
