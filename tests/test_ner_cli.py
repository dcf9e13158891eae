"""``python -m companion ner``: what it prints, the page it writes, one-line errors."""

import subprocess
import sys

import pytest
import tiny_ner

from companion import checkpoints, display_entities
from companion.__main__ import main

pytestmark = pytest.mark.filterwarnings("ignore:.*mostly unknown")
TEXT = "王明说<b>&北京</b>\x1b[31m的春天很美，上海"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("tagger")
    tiny_ner.tagger(place / "encoder", head="crf").save(place / "saved")
    return str(place / "saved")


def test_entities_are_marked_and_listed(folder, capsys):
    assert main(["ner", TEXT, "--model", folder]) == 0
    first, *lines = capsys.readouterr().out.splitlines()
    assert lines and first.count("[") - TEXT.count("[") == len(lines)
    for line in lines:
        score, kind, place = line.split()
        start, end = map(int, place.split("-"))
        assert 0 < float(score) <= 1 and f"[{TEXT[start:end]} {kind}]" in first


def test_colours_only_on_a_terminal_and_no_escape_of_the_text(folder, capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert main(["ner", TEXT, "--model", folder]) == 0
    printed = capsys.readouterr().out
    assert "\x1b[0m" in printed and "\x1b[31m" not in printed


def test_a_text_of_unknown_tokens_is_said_in_one_line(folder):
    done = subprocess.run([sys.executable, "-m", "companion", "ner", "龘龘王明", "--model", folder],
                          capture_output=True, text=True, encoding="utf8")
    assert done.returncode == 0 and done.stderr.count("\n") == 1
    assert done.stderr.startswith("warning: 1 of 1 texts are mostly unknown")


def test_page_is_escaped(folder, tmp_path, capsys):
    assert main(["ner", TEXT, "--model", folder, "--html", str(tmp_path / "page.html")]) == 0
    page = (tmp_path / "page.html").read_text(encoding="utf8")
    assert "<mark" in page and "<b>" not in page and "&lt;" in page and "\x1b" not in page
    capsys.readouterr()


@pytest.mark.parametrize("arguments, cure", [
    (["--model", "./nothing"], "check the path"),
    (["--model", "{folder}", "--html", "{folder}"], "name another file"),
    (["--model", "{folder}", "--html", ""], "name a file"),
    (["--model", ""], "give albert-ner-zh, a folder"),
    (["--model", "bert-mini-en"], "no tagger: use albert-ner-zh"),
])
def test_problems_are_one_line(folder, arguments, cure, capsys):
    assert main(["ner", "北京", *(a.replace("{folder}", folder) for a in arguments)]) == 1
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1 and cure in printed


def test_text_without_names_says_so(folder, capsys):
    assert main(["ner", "", "--model", folder]) == 0
    assert "no entity found" in capsys.readouterr().out


def test_direction_of_writing_cannot_be_turned():
    text = "李明\u202e去\u2066北京"
    for show in (display_entities.ansi, display_entities.html):
        assert not set("\u202e\u2066") & set(show(text, []))


@pytest.mark.skipif("albert-ner-zh" in checkpoints.COURSE, reason="the tagger is there")
def test_without_a_tagger_it_says_where_to_train_one(capsys):
    assert main(["ner", "北京"]) == 1
    assert "ALBERT NER" in capsys.readouterr().err


@pytest.mark.skipif("albert-ner-zh" not in checkpoints.COURSE, reason="the tagger is not there")
def test_the_tagger_of_the_course_finds_a_person_and_a_place(capsys):
    assert main(["ner", "江泽民主席昨天在北京会见了美国总统克林顿。"]) == 0
    printed = capsys.readouterr().out
    assert "[江泽民 PER]" in printed and "[北京 LOC]" in printed
