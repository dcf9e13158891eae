"""The guards at the door: lists where lists are expected, texts where texts are, and numbers.

A public function is marked with ``@door``: what it is given is compared with its annotations
before it begins. The functions after it trust what they get.
"""

import inspect
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import fields
from functools import cache, wraps
from numbers import Integral, Real
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints
from unicodedata import category

from companion.errors import CourseError

PLAIN = {str: "a str", int: "a whole number", float: "a number", bool: "True or False",
         Path: "a path"}
LISTS = (Sequence, Iterable, list)


def door(function: Callable) -> Callable:
    """Compare the arguments of a public function with its annotations, each time it is called.

    Where texts or other items are expected, any container of them will do (list, tuple, Series,
    array, generator), and the function gets a list; an array or tensor of numbers stays what it
    is. Ranges, such as "1 or more", are for the function itself.

    Raises:
        CourseError: in the call: an argument that its annotation excludes. One line names it.
    """
    signature = inspect.signature(function)
    hints = cache(lambda: get_type_hints(function))  # late: a module may name what comes after it

    @wraps(function)
    def checked(*given, **named):
        bound = signature.bind(*given, **named)
        for name, value in bound.arguments.items():
            kind = signature.parameters[name].kind
            if name in hints() and kind not in (kind.VAR_POSITIONAL, kind.VAR_KEYWORD):
                bound.arguments[name] = fitting(value, hints()[name], name)
        return function(*bound.args, **bound.kwargs)

    return checked


def check_fields(settings: Any) -> None:
    """The same for a dataclass of settings, in its ``__post_init__``.

    Raises:
        CourseError: a field that its annotation excludes.
    """
    hints = get_type_hints(type(settings))
    for field in fields(settings):
        fit = fitting(getattr(settings, field.name), hints[field.name], field.name)
        object.__setattr__(settings, field.name, fit)  # frozen ones too


def fitting(value: Any, wanted: Any, name: str) -> Any:
    """The value as the annotation ``wanted`` has it. ``name`` is what a refusal calls it.

    Raises:
        CourseError: it does not fit.
    """
    if get_origin(wanted) in (Union, UnionType):
        return _one_of(value, get_args(wanted), name)
    if wanted is str:
        return checked_text(value, name)
    if wanted in PLAIN:
        return _plain(value, wanted, name)
    if get_origin(wanted) in LISTS or wanted in LISTS:
        return _items(value, get_args(wanted), name)
    kind = get_origin(wanted) or wanted
    if kind is Mapping and get_args(wanted) and isinstance(value, Mapping):
        return {key: fitting(item, get_args(wanted)[1], f"{name}[{key!r}]")
                for key, item in value.items()}
    if kind is tuple and get_args(wanted):
        return _tuple(value, get_args(wanted), name)
    if isinstance(kind, type) and kind not in (object, Any) and not isinstance(value, kind):
        raise CourseError(f"{name} is of type {type(value).__name__}: give a "
                          f"{'dictionary' if kind is Mapping else kind.__name__}")
    return value


def _one_of(value: Any, choices: Sequence, name: str) -> Any:
    if value is None and NoneType in choices:
        return None
    choices = [choice for choice in choices if choice is not NoneType]
    if Path in choices and str in choices:
        return _plain(value, Path, name, keep=True)
    problems = []
    for choice in choices:
        try:
            return fitting(value, choice, name)
        except CourseError as problem:
            kind = get_origin(choice) or choice
            if isinstance(kind, type) and isinstance(value, kind):
                raise  # of this type, and wrong in itself
            problems.append(problem)
    raise problems[0]


def _plain(value: Any, wanted: type, name: str, keep: bool = False) -> Any:
    if wanted is bool:
        fits = type(value).__name__ in ("bool", "bool_")  # NumPy has one of its own
    elif wanted is int:
        fits = isinstance(value, Integral) and not isinstance(value, bool)
    elif wanted is float:
        fits = is_number(value)
    else:
        fits = isinstance(value, (str, os.PathLike)) and "\0" not in str(value)
    if not fits:
        shown = f"{value}" if isinstance(value, Real) else f"of type {type(value).__name__}"
        raise CourseError(f"{name} is {shown}: give {PLAIN[wanted]}")
    return value if keep or wanted is float else wanted(value)


def _items(value: Any, kinds: Sequence, name: str) -> Any:
    kind = kinds[0] if kinds else Any
    if kind is str or str in get_args(kind):
        refuse_one_text(value)
    if _is_array_of_numbers(value):
        if kind is str or str in get_args(kind):
            raise CourseError(f"{name} holds numbers: give a list of str")
        if _for_numbers(kind, getattr(value.dtype, "kind", "") == "f" or _is_float(value)):
            return value  # an array of numbers is not copied
    items = as_list(value, name)
    if kind in (Any, object) or (kind is int and all(type(item) is int for item in items)):
        return items
    return [fitting(item, kind, f"{name}[{number}]") for number, item in enumerate(items)]


def _tuple(value: Any, kinds: Sequence, name: str) -> tuple:
    items = as_list(value, name)
    if kinds[-1] is ...:
        kinds = [kinds[0]] * len(items)
    if len(items) != len(kinds):
        raise CourseError(f"{name} has {len(items)} entries: give {len(kinds)}")
    return tuple(fitting(item, kind, f"{name}[{number}]")
                 for number, (item, kind) in enumerate(zip(items, kinds, strict=True)))


def _for_numbers(kind: Any, fractions: bool) -> bool:
    """Whether items of this kind are numbers, or lists of them; whole ones if there are no
    ``fractions``."""
    while get_origin(kind) in LISTS and get_args(kind):
        kind = get_args(kind)[0]
    return kind in (float, Any, object) or (kind is int and not fractions) or (
        isinstance(kind, type) and hasattr(kind, "detach"))


def _is_float(value: Any) -> bool:
    return bool(getattr(value.dtype, "is_floating_point", False))


def _is_array_of_numbers(value: Any) -> bool:
    if not getattr(value, "ndim", 0) or hasattr(value, "index"):  # a Series becomes a list
        return False
    return getattr(value.dtype, "kind", "O") in "iuf" or hasattr(value, "detach")  # or a tensor


def as_list(given: Iterable, name: str) -> list:
    """A list of what is given: a list, tuple, array, Series, generator. ``name`` is its name.

    Raises:
        CourseError: a str, a dictionary, a set, a table, or what cannot be listed.
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
    if isinstance(given, Set):
        raise CourseError(f"{name} is a set, which has no order: give a list")
    return list(given)


def listed(texts: Iterable, least: int = 1) -> list:
    """Texts as a list. A generator is read once, so that it can be read by several.

    Args:
        least: how many there must be; 0 where an empty list has an answer too.

    Raises:
        CourseError: one text in place of a list, a set, no list, or an empty one.
    """
    refuse_one_text(texts)
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
    if isinstance(text, float) and math.isnan(text):
        raise CourseError(f"{name} is NaN, an empty cell of a table: fill it, or drop its row")
    if not isinstance(text, str):
        raise CourseError(f"{name} is of type {type(text).__name__}: give a str")
    try:
        text.encode("utf8")
    except UnicodeEncodeError:
        raise CourseError(f"{name} is no valid Unicode (it holds half a character): read the file "
                          "as UTF-8, or replace the damaged characters") from None
    return text


def is_blank(text: str) -> bool:
    """Whether nothing of a text can be seen: blanks, control characters, zero width, U+FFFD."""
    return not any(c.isalnum() for c in text) and all(
        c == "\ufffd" or category(c)[0] in "CZ" for c in text)


def checked_scores(scores):
    """The scores (..., answers) of a model, where each row can become probabilities.

    ``argmax`` gives the place of a NaN, the first of several: an answer that means nothing.

    Raises:
        CourseError: a row with NaN or infinity, or in which no answer is possible.
    """
    if not scores.logsumexp(-1).isfinite().all():
        raise CourseError("the model answers with NaN or infinity: its weights are damaged, load "
                          "it again from whole files")
    return scores


def is_count(value) -> bool:
    """Whether a setting is a whole number of at least 1."""
    return isinstance(value, Integral) and not isinstance(value, bool) and value >= 1


def is_number(value) -> bool:
    """Whether a setting is a number: a finite one."""
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
