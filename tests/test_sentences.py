"""The sentence splitter: properties for any text, its rule by example, and broken copies of it."""

import re
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from companion.corpora import sentences
from companion.corpora.sentences import split_sentences
from companion.errors import CourseError

# Any Unicode, and strings of what the rule looks at, so that rare cases are met often.
BITS = ["The film", "ends", "Mr.", "U.S.", "J.", "No.", "I", "5", "2.", ".", "...", "…", "!", "?!",
        " ", "\n", "\n\n", "\xa0", "<br />", "<BR>", '"', "'", "“", "”", "(", ")", "*", "-", "é",
        "Éric", "end.Then", "。", "他", "ǅ", "½", "e.g."]
ANY = st.one_of(st.text(max_size=60), st.lists(st.sampled_from(BITS), max_size=25).map("".join))


def solid(text):
    """The text without white space; breaks of HTML count as white space."""
    return "".join(re.sub(r"(?i)<\s*/?\s*br\s*/?\s*>", " ", text).split())


@settings(max_examples=300, deadline=None)
@given(ANY)
def check_joining_gives_the_text_back(text):
    assert solid("".join(split_sentences(text))) == solid(text)


@settings(max_examples=300, deadline=None)
@given(ANY)
def check_every_sentence_says_something(text):
    found = split_sentences(text)
    says = [any(c.isalnum() for c in s) for s in found]
    assert all(says) or len(found) == 1 and not any(c.isalnum() for c in solid(text))
    assert bool(found) == bool(solid(text))


@settings(max_examples=300, deadline=None)
@given(ANY)
def check_spaces_are_single(text):
    assert all(s == " ".join(s.split()) for s in split_sentences(text))


@settings(max_examples=300, deadline=None)
@given(ANY)
def check_a_sentence_is_one_sentence(text):
    assert all(split_sentences(s) == [s] for s in split_sentences(text))


EXAMPLES = [  # the sentences of a text that has single spaces between them
    "A fine film.|See it!|Will you?|I did.",
    "It ends...|Then it begins.|Why?!|Nobody knows…|Really.",
    "He said \"Go!\"|Then he went.|\"Why?\"|(Nobody knew.)|'Ah.'|She left.",
    "“Stop!”|‘Never.’|He ran.",
    "Mr. Smith and Dr. Jones vs. (St.) Nicholas.|It works.",
    "J. R. Smith lives near the U.S. Army base, i.e. Texas, at 5 p.m. sharp.|So do I.|Well.",
    "I gave it 3.5 stars, or 7.5/10.|10 would be silly.|Rated 4.|Bad.",
    "No. 5 is alive.|No.|I will not.|\"No. 5!\"",
    "1. The plot is thin.|2. The cast is good.",
    "It cost $1.5 million... and it shows, etc. and so on, etc.|And so on.",
    "It was bad... really bad! but funny.",
    "www.IMDb.com is a page.|Ask S.O.S.Me there.",
    "Ah, Oliver! the film.|Éric likes it.|È vero.",
    "* * * Spoilers.|It ends well. ***",
    "... Then it ends. ! ? .|Yes.",
    "Good film .|It is .|Yes !",
    "He is Dr. No.|She is not.",
]
LAYOUT = [  # text -> sentences, where the layout ends one
    ("A silly end.Then credits.I left!Why", ["A silly end.", "Then credits.", "I left!", "Why"]),
    ("One line<br /><br />another line. <BR/>The last", ["One line", "another line.", "The last"]),
    ("A title\n \na text that is\nhard wrapped.", ["A title", "a text that is hard wrapped."]),
    ("***<br />Good<br />---", ["*** Good ---"]),
    ("他来了. 我走了.", ["他来了.", "我走了."]),
    ("\xa0A\u2003film.\t\r\nEnd", ["A film.", "End"]),
    ("", []), (" \n<br>", []), ("...", ["..."]),
]


def check_the_rule_by_example():
    for example in EXAMPLES:
        assert split_sentences(example.replace("|", " ")) == example.split("|")


def check_layout_ends_sentences():
    for text, expected in LAYOUT:
        assert split_sentences(text) == expected


PROPERTIES = {name: value for name, value in globals().items() if name.startswith("check_")}


@pytest.mark.parametrize("name", PROPERTIES)
def test_property(name):
    PROPERTIES[name]()


def test_a_long_text_of_marks_takes_no_time():
    assert len(split_sentences("A. " * 3000 + ". " * 3000 + "end.Then" * 300)) > 1


def test_what_has_no_letter_is_joined_as_the_language_joins():
    assert split_sentences("……好。！”", "zh") == ["……好。！”"]
    assert split_sentences("！？\n好。", "zh") == ["！？好。"]
    assert split_sentences("*** Good. ***", "en") == ["*** Good. ***"]


def test_bad_input_is_refused():
    for text in (None, 3, ["a text"], b"bytes"):
        with pytest.raises(CourseError, match="text is of type .*: give a str"):
            split_sentences(text)
    with pytest.raises(CourseError, match="no rule for the language 'fr': use one of en, zh"):
        split_sentences("Il est là.", language="fr")


# --- broken copies: a property must fail ----------------------------------------------------


def drops_pieces(pieces, between):
    return [piece for piece in pieces if any(c.isalnum() for c in piece)]


def merges_nothing(pieces, between):
    return pieces


def cuts_at_every_mark(text):
    return re.split(r"(?<=[.!?])\s+", text)


def swallows_the_marks(text):
    return re.split(r"[.!?]\s+", text)


def forgets_the_rest(text):
    return re.findall(r"[^.!?]*[.!?]+", text) or [text]


def keeps_white_space(text):
    return [piece + "\n" + piece[:0] for piece in sentences._cut(text)]


BROKEN = [
    ("_merged", drops_pieces), ("_merged", merges_nothing),
    ("_english", cuts_at_every_mark), ("_english", swallows_the_marks),
    ("_english", forgets_the_rest),
    ("_ABBREVIATIONS", frozenset()), ("_INITIALS", re.compile(r"[A-Z]")),
    ("_INITIALS", re.compile(r"[A-Za-z](?:\.[A-Za-z])+")), ("_LIST_NUMBER", re.compile("x")),
    ("_BREAK", re.compile(r"\n\s*\n")), ("_BREAK", re.compile(r"(?i)<br ?/?>")),
    ("_BREAK", re.compile(r"(?i)<br ?/?>|\n")),
    ("_END", re.compile(r"([.!?…]+)")), ("_END", re.compile(r"([.!?]+)[\"'”’)]*")),
    ("_OPENING", re.compile(r"(\s*)")),
    ("_begins", lambda text, end: bool(re.match(r"\s+\S", text[end.end():]))),
    ("_continues", lambda before, marks, text, place: False),
    ("_has_word", lambda text: True),
]


@pytest.mark.parametrize("name, broken", BROKEN, ids=[f"{n}-{i}" for i, (n, _) in enumerate(BROKEN)])
def test_a_broken_copy_fails(name, broken):
    changes = {name: broken}
    rules = {"en": broken} if name == "_english" else sentences.RULES
    with patch.multiple(sentences, **changes), patch.object(sentences, "RULES", rules):
        with pytest.raises((AssertionError, ExceptionGroup)):
            for check in PROPERTIES.values():
                check()
