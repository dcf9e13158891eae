"""What is given to this part: lists where lists are expected, numbers where numbers are."""

from collections.abc import Iterable, Mapping
from numbers import Integral, Real

from companion.errors import CourseError


def as_list(given: Iterable, name: str) -> list:
    """A list of what is given, which may be a generator. ``name`` is what a refusal calls it.

    Raises:
        CourseError: a str, a dictionary, or what cannot be listed.
    """
    try:
        iter(given)
        fits = not isinstance(given, (str, Mapping))
    except TypeError:
        fits = False
    if not fits:
        raise CourseError(f"{name} is a {type(given).__name__}: give a list")
    return list(given)


def listed(texts: Iterable) -> list:
    """Texts as a list. A generator is read once, so that it can be read by several.

    Raises:
        CourseError: one text in place of a list, no list, or an empty one.
    """
    if isinstance(texts, (str, Mapping)):
        raise CourseError("this is one text where a list is expected: write [text]")
    texts = as_list(texts, "texts")
    if not texts:
        raise CourseError("there are no texts: give at least one")
    return texts


def is_count(value) -> bool:
    """Whether a setting is a whole number of at least 1."""
    return isinstance(value, Integral) and value >= 1


def is_number(value) -> bool:
    return isinstance(value, Real)
