"""Highlighted entities: nothing of the text gets lost, nothing of it is obeyed."""

import re
from html import unescape
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from companion import display_entities as display
from companion.entity import Entity
from companion.errors import CourseError

NASTY = "<b>&amp;</b> \"x\" 'y' <script>alert(1)</script>"


@st.composite
def annotated(draw):
    text = draw(st.text(max_size=30))
    edges = sorted(draw(st.sets(st.integers(0, len(text)), max_size=6)))
    kinds = st.sampled_from(["PER", "LOC", "<i>", "X&Y"])
    found = [Entity(a, b, draw(kinds)) for a, b in zip(edges[::2], edges[1::2])]
    return text, found


class Reader(HTMLParser):
    """The text outside of ``<sub>``, and what stands in each ``<mark>``."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.text, self.marks, self.kinds, self.tags = "", [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag in ("mark", "sub"):
            (self.marks if tag == "mark" else self.kinds).append("")

    def handle_endtag(self, tag):
        assert self.tags.pop() == tag

    def handle_data(self, data):
        if self.tags[-1] == "sub":
            self.kinds[-1] += data
        else:
            self.text += data
        if self.tags[-1] == "mark":
            self.marks[-1] += data


def shown(text):
    text = text.replace("\r\n", "\n")
    return "".join("�" if ord(c) < 32 and c not in "\n\t" or 127 <= ord(c) < 160 else c
                   for c in text)


@given(annotated())
def test_html_reads_back(case):
    text, found = case
    reader = Reader()
    reader.feed(display.html(text, found))
    reader.close()
    assert reader.text == shown(text) and not reader.tags
    assert reader.marks == [shown(text[e.start : e.end]) for e in found]
    assert reader.kinds == [e.type for e in found]


@given(annotated())
def test_ansi_reads_back(case):
    text, found = case
    plain = re.sub(r"\x1b\[0m\[[^]]*\]|\x1b\[30;4\dm", "", display.ansi(text, found))
    assert plain == shown(text)
    assert display.ansi(text, found).count("\x1b") == 2 * len(found)


def test_nothing_is_obeyed():
    page = display.html(NASTY, [Entity(0, 3, "<u>")])
    assert "<b>" not in page and "<script>" not in page and "<u>" not in page
    assert unescape(re.sub("<[^>]*>", "", page)) == NASTY[:3] + "<u>" + NASTY[3:]
    assert "\x1b" not in display.ansi("\x1b[2J\x9b2J\r", [])


def test_crlf_is_a_line_break_wherever_an_entity_ends():
    text = "王明\r\n去上海\r\n"
    for end in (2, 3, 4):
        for show in (display.html, display.ansi):
            shown = show(text, [Entity(0, end, "PER")])
            assert shown.count("\n") == 2 and "\r" not in shown and "�" not in shown


@pytest.mark.parametrize("match, call", [
    ("text is of type int", lambda: display.html(3, [])),
    ("no valid Unicode", lambda: display.ansi("\ud83d", [])),
    ("entities is a dict", lambda: display.brackets("王", {})),
    ("entities.0. is of type tuple: give a Entity", lambda: display.html("王", [(0, 1, "PER")])),
    ("1 texts and the entities of 0: give as many", lambda: display.page(["王"], [])),
])
def test_what_cannot_be_shown_is_refused_in_one_line(match, call):
    with pytest.raises(CourseError, match=match) as problem:
        call()
    assert "\n" not in str(problem.value)
    found = [Entity(0, 1, "PER")]
    assert display.html("王", iter(found)) == display.html("王", np.array(found, object))


def test_page():
    page = display.page(["李鹏", NASTY], [[Entity(0, 2, "PER")], []], title="</title>")
    assert page.startswith("<!doctype html>") and 'charset="utf-8"' in page
    assert page.count("<p ") == 2 and page.count("</title>") == 1


def test_types_have_their_own_colours():
    entities = [Entity(i, i + 1, kind) for i, kind in enumerate(["PER", "LOC", "ORG", "A", "B"])]
    codes = re.findall(r"30;(\d+)m", display.ansi("abcde", entities))
    assert len(set(codes)) == 5
    assert re.findall(r"30;(\d+)m", display.ansi("b", [Entity(0, 1, "LOC")])) == codes[1:2]


def test_brackets():
    assert display.brackets("李鹏在北京。", [Entity(3, 5, "LOC"), Entity(0, 2, "PER")]) \
        == "[李鹏 PER]在[北京 LOC]。"


def test_entities_that_do_not_fit_are_refused():
    for show in (display.html, display.ansi, display.brackets):
        with pytest.raises(CourseError, match="does not fit"):
            show("ab", [Entity(1, 3, "X")])
