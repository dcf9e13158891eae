"""Texts as lists of sentences: what the objectives on sentence pairs start from.

A rule and no model, so that the same text gives the same sentences everywhere. The rule
prefers to miss a border to inventing one: two sentences in one piece do little harm to a pair,
half a sentence does more.
"""

import re
from collections.abc import Callable

from companion.errors import CourseError
from companion.guards import door

# A line break of HTML or an empty line ends a sentence whatever stands before it.
_BREAK = re.compile(r"<\s*/?\s*br\s*/?\s*>|\n\s*\n", re.IGNORECASE)
_CLOSING = "\"'”’»)]}*"
_END = re.compile(rf"([.!?…]+)[{re.escape(_CLOSING)}]*")
_OPENING = re.compile(r"(\s*)[\"'“‘«(\[{*#–—-]*")
# No sentence ends with these; "etc." and "Jr." are missing because some do.
_ABBREVIATIONS = frozenset(
    "mr mrs ms messrs dr prof st mt ft sgt lt col gen capt cmdr maj adm sen rep gov pres rev hon "
    "vs dir feat approx bros mme mlle vol pt fig ed".split()
)
_INITIALS = re.compile(r"[A-Z]|[A-Za-z](?:\.[A-Za-z])+")  # J. Smith, U.S., i.e.
_LIST_NUMBER = re.compile(r"\W*\d+")


@door
def split_sentences(text: str, language: str = "en") -> list[str]:
    """The sentences of a text, in order, with single spaces inside.

    The rule for English (the one for Chinese is simpler: see ``_chinese``). A sentence ends
    after ``.``, ``!``, ``?`` or ``…`` (one or several, and the closing quotes and brackets after
    them) when

    - white space follows, and then a capital letter or a digit, perhaps behind an opening
      quote or bracket; or no white space was typed between a small letter and the capital
      letter of a new word (``end.Then``);
    - and a single full stop does not belong to an abbreviation (``Mr.``), to initials (``J.``,
      ``U.S.``), to ``No.`` before a digit, or to a number that begins the sentence
      (``2. The plot``).

    ``<br />`` and empty lines end a sentence too and count as white space. What has neither
    a letter nor a digit (``***``) is no sentence: it stays with a neighbour.

    Args:
        text: any text; without a letter or digit it gives at most one sentence.
        language: ``"en"`` or ``"zh"``.

    Returns:
        Sentences, none empty. Joined, they are the text, except for white space.

    Raises:
        CourseError: ``text`` is no text, or there is no rule for the language.
    """
    if language not in RULES:
        raise CourseError(f"no rule for the language {language!r}: use one of {', '.join(RULES)}")
    pieces = (" ".join(piece.split()) for piece in RULES[language](text))
    return _merged([piece for piece in pieces if piece], "" if language == "zh" else " ")


def _merged(pieces: list[str], between: str) -> list[str]:
    """The pieces, where one without a letter or digit is joined to the next one."""
    found: list[str] = []
    waiting = ""
    for piece in pieces:
        waiting = f"{waiting}{between}{piece}".lstrip()
        if _has_word(piece):
            found.append(waiting)
            waiting = ""
    if waiting and found:
        found[-1] += between + waiting
    elif waiting:
        found.append(waiting)
    return found


def _has_word(text: str) -> bool:
    return any(character.isalnum() for character in text)


def _english(text: str) -> list[str]:
    return [piece for paragraph in _BREAK.split(text) for piece in _cut(paragraph)]


def _cut(text: str) -> list[str]:
    start, pieces = 0, []
    for end in _END.finditer(text):
        if _begins(text, end) and not _continues(text[start : end.start()], end[1], text, end.end()):
            pieces.append(text[start : end.end()])
            start = end.end()
    return [*pieces, text[start:]]


def _begins(text: str, end: re.Match) -> bool:
    """Whether what follows the end of a sentence looks like the beginning of one."""
    opening = _OPENING.match(text, end.end())
    first, second = text[opening.end() : opening.end() + 1], text[opening.end() + 1 :][:1]
    if opening[1]:
        return first.isalnum() and not first.islower()
    before = text[end.start() - 1 : end.start()]  # empty at the beginning of the text
    return (opening.end() == end.end() and before.islower() and first.isupper()
            and (second.islower() or second.isspace()))


def _continues(before: str, marks: str, text: str, place: int) -> bool:
    """Whether a full stop after ``before`` belongs to a word, or nothing was said yet."""
    if not _has_word(before):
        return True
    if marks != "." or before[-1].isspace():
        return False
    word = before.split()[-1].lstrip("\"'“‘«([{*#–—-")
    if word.lower() == "no":
        return text[place:].lstrip()[:1].isdigit()
    return (word.lower() in _ABBREVIATIONS or _LIST_NUMBER.fullmatch(before) is not None
            or (word != "I" and _INITIALS.fullmatch(word) is not None))


_CHINESE_END = re.compile(r"[。！？!?…]+[”’』」》）)\]]*")


def _chinese(text: str) -> list[str]:
    """A sentence ends after 。！？ or …, and the closing quotes and brackets behind them.
    A full stop in Latin script does not count: it stands in numbers and abbreviations."""
    pieces, start = [], 0
    for end in _CHINESE_END.finditer(text):
        pieces.append(text[start : end.end()])
        start = end.end()
    return [*pieces, text[start:]]


RULES: dict[str, Callable[[str], list[str]]] = {"en": _english, "zh": _chinese}
