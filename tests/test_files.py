"""Files as people save them: each is read, or refused with the true reason."""

import lzma

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companion.corpora import entity_sentences, movie_reviews
from companion.errors import CourseError
from companion.files import read_lines
from companion.pretraining import Recipe
from companion.pretraining.text import read_texts

LINES = ["王明去上海。", "a\u2028b", "", "Zoë"]
SAVED = [("utf-8", "\n"), ("utf-8-sig", "\n"), ("utf-8-sig", "\r\n"), ("utf-8", "\r\n"),
         ("utf-8", "\r"), ("utf-16", "\n"), ("utf-16", "\r\n")]
saved = pytest.mark.parametrize(("encoding", "end"), SAVED)


@saved
@pytest.mark.parametrize("packed", [False, True])
def test_lines_are_the_same_however_they_were_saved(tmp_path, encoding, end, packed):
    content = (end.join(LINES) + end).encode(encoding)
    path = tmp_path / ("a.txt.xz" if packed else "a.txt")
    path.write_bytes(lzma.compress(content) if packed else content)
    assert read_lines(path) == LINES


@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufeff"),
                        min_size=1), min_size=1))
def test_what_was_written_is_read(tmp_path_factory, lines):
    path = tmp_path_factory.mktemp("lines") / "a.txt"
    path.write_text("\n".join(lines), encoding="utf-8")
    assert read_lines(path) == lines


def test_marks_of_files_that_were_joined_are_no_text(tmp_path):
    (tmp_path / "a.txt").write_bytes("一\n".encode("utf-8-sig") * 2)
    assert read_lines(tmp_path / "a.txt") == ["一", "一"]


@pytest.mark.parametrize(("name", "content", "reason"), [
    ("a.txt", "李明".encode("gbk"), "a.txt is not UTF-8: save it as UTF-8"),
    ("a.txt", "ab".encode("utf-16-le"), "a.txt holds NUL bytes, so it is no text in UTF-8"),
    ("a.txt", "李".encode("utf-16") + b"a", "a.txt is not UTF-8"),
    ("a.txt.xz", b"text", "a.txt.xz is damaged: fetch it again"),
    ("a.txt.xz", lzma.compress(b"text" * 99)[:40], "a.txt.xz is damaged: fetch it again"),
    ("a.txt", None, "a.txt cannot be read (No such file or directory): give the path"),
])
def test_other_files_are_refused_with_the_true_reason(tmp_path, name, content, reason):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(CourseError) as refusal:
        read_lines(tmp_path / name)
    assert str(refusal.value).startswith(reason) and "\n" not in str(refusal.value)


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(CourseError, match="cannot be read"):
        read_lines(tmp_path)


# --- each reader of files ---------------------------------------------------------------------

JSONL = ['{"text": "A good film.", "label": 1}', '{"text": "王明", "label": 0}']
SENTENCES = ['{"text": "Ann left.", "split": "train", "entities": '
             '[{"start": 0, "end": 3, "type": "PER"}]}',
             '{"text": "No.", "split": "test", "entities": []}']
CASES = {  # what a file holds, and what is read of it
    "texts": ("a.txt", LINES, lambda path: read_texts(path, documents=False),
              [line for line in LINES if line]),
    "jsonl": ("train.jsonl", JSONL, lambda path: movie_reviews(path.parent)["train"]["text"][:],
              ["A good film.", "王明"]),
    "csv": ("train.csv", ["text,label", "A good film.,1", "王明,0"],
            lambda path: movie_reviews(path.parent)["train"]["text"][:], ["A good film.", "王明"]),
    "entities": ("a.jsonl", SENTENCES, lambda path: entity_sentences(path)["train"]["text"][:],
                 ["Ann left."]),
    "recipe": ("a.toml", ['name = "我"', "[text]", 'corpora = ["movie_reviews"]',
                          "[model]", "vocabulary = 50"], lambda path: Recipe.read(path).name, "我"),
}


@pytest.mark.filterwarnings("ignore::UserWarning")
@saved
@pytest.mark.parametrize("case", CASES)
def test_every_reader_takes_them(tmp_path, case, encoding, end):
    name, lines, read, right = CASES[case]
    (tmp_path / name).write_bytes((end.join(lines) + end).encode(encoding))
    assert read(tmp_path / name) == right
