"""What text a recipe trains on: the filter of 13 words, files, and recipes themselves."""

import copy
import lzma
import unicodedata

import pytest
import tiny
from hypothesis import given
from hypothesis import strategies as st

from companion.corpora.splits import characters, near_duplicates, words
from companion.errors import CourseError
from companion.pretraining import Recipe, build
from companion.pretraining.recipe import FOLDER
from companion.pretraining.text import Held, gather, read_texts

HELD = [f"held{i}" for i in range(40)]  # the words of one test text, all different
FILLER = st.lists(st.sampled_from(["free", "other", "held1", "held2", "word"]), max_size=20)
JOINTS = st.sampled_from([" ", ", ", "\n", " - ", '." ', " (", "…"])


def refused(match, call):
    with pytest.raises(CourseError, match=match) as problem:
        call()
    assert "\n" not in str(problem.value) and ": " in str(problem.value)


# --- the filter ---------------------------------------------------------------------------


def spell(draw, words):
    """Words with punctuation and capitals of any kind."""
    change = st.sampled_from([str, str.upper, str.title])
    return "".join(draw(change)(w) + draw(JOINTS) for w in words)


@given(data=st.data(), start=st.integers(0, 27), before=FILLER, after=FILLER)
def test_thirteen_words_of_a_held_out_text_are_found(data, start, before, after):
    planted = HELD[start : start + 13]
    text = spell(data.draw, [*before, *planted, *after])
    assert Held([" ".join(HELD)]).in_text(text)


@given(data=st.data(), starts=st.lists(st.integers(0, 28), max_size=4))
def test_twelve_words_are_not(data, starts):
    words = ["free"]
    for start in starts:  # a word that is nowhere in the text keeps the runs apart
        words += [*HELD[start : start + 12], "free"]
    assert not Held([" ".join(HELD)]).in_text(spell(data.draw, words))


@given(order=st.permutations(HELD[:13]))
def test_the_same_words_in_another_order_are_not(order):
    held = Held([" ".join(HELD)])
    assert held.in_text(" ".join(order)) == (order == HELD[:13])


def test_a_run_does_not_go_over_the_end_of_a_text():
    halves = Held([" ".join(HELD[:8]), " ".join(HELD[8:16])])
    assert not halves.in_text(" ".join(HELD[:16]))


def test_other_units():
    held = Held(["abcdefghijklmnop"], size=4, units=list)
    assert held.in_text("xxcdefxx") and not held.in_text("xxcdexx")


# --- gathering ----------------------------------------------------------------------------

TRAIN, VALID, TEST = tiny.texts(60, 1), tiny.texts(8, 2), tiny.texts(8, 3)


def corpus(train):
    splits = {"train": train, "validation": VALID, "test": TEST}
    return lambda: {name: {"text": list(texts)} for name, texts in splits.items()}


@pytest.fixture
def corpora(monkeypatch):
    monkeypatch.setattr("companion.corpora.movie_reviews", corpus(TRAIN))
    return monkeypatch


def recipe(**text):
    return Recipe.from_dict({"name": "x", "model": {"vocabulary": 100}, "text": text})


def overlap(text):
    """The text inside a longer one, in other clothes."""
    return "Well: " + text.upper().replace(" ", ", ") + "! And so on"


def test_texts_of_the_tests_are_left_out(corpora):
    leaked = [overlap(VALID[3]), overlap(TEST[5]), TEST[0]]
    corpora.setattr("companion.corpora.movie_reviews", corpus(TRAIN + leaked))
    found = gather(recipe(), None)
    texts, validation, report = found.train, found.validation, found.report
    clean = [t for t in TRAIN if not Held(VALID + TEST).in_text(t)]
    assert sorted(texts) == sorted(clean) and validation == VALID
    assert report[0].documents == len(clean)
    assert report[0].removed == len(TRAIN) + 3 - len(clean)
    assert report[0].characters == sum(map(len, clean))
    assert f"{report[0].removed} removed" in report[0].line()


def test_the_order_is_shuffled_by_the_seed(corpora):
    texts = gather(recipe(), None).train
    assert texts == gather(recipe(), None).train
    other = recipe()
    other.seed = 14
    again = gather(other, None).train
    assert sorted(again) == sorted(texts) and again != texts


@pytest.fixture
def folder(tmp_path, corpora):
    lines = [f"line number {i}" for i in range(100)]
    (tmp_path / "plain.txt").write_text("\n\n ".join(lines) + "\n", encoding="utf8")
    with lzma.open(tmp_path / "packed.txt.xz", "wt", encoding="utf8") as handle:
        handle.write("\n".join([*lines, overlap(TEST[2]), "é 中文"]))
    return tmp_path


def test_files_are_read_and_cleaned(folder):
    found = gather(recipe(files={"plain.txt": 1, "packed.txt.xz": 1.0}), folder)
    texts, report = found.train, found.report
    plain, packed = report[1:]
    assert (plain.name, plain.documents, plain.removed) == ("plain.txt", 100, 0)
    assert (packed.name, packed.documents, packed.removed) == ("packed.txt.xz", 101, 1)
    assert texts.count("line number 7") == 2 and "é 中文" in texts


DOCUMENTS = [  # lines, and what they are together
    (["one", "two"], "one two"), (["天地。", "人。"], "天地。人。"), (["天地", "玄黄"], "天地玄黄"),
    (["这是DVD", "2008年买的！"], "这是DVD2008年买的！"), (["これは", "本です"], "これは本です"),
    (["The sign 。 is", "a full stop."], "The sign 。 is a full stop."), (["한국", "사람"], "한국 사람"),
    (["1998", "1999"], "1998 1999"), (["ไทย", "แลนด์"], "ไทยแลนด์"),
]


def test_lines_up_to_an_empty_one_can_be_one_text(folder):
    """Joined as their script joins words."""
    text = "\n\n\n".join("\n".join(lines) for lines, _ in DOCUMENTS)
    (folder / "wiki.txt").write_text(text + "\n", encoding="utf8")
    assert read_texts(folder / "wiki.txt", False) == [x for lines, _ in DOCUMENTS for x in lines]
    assert read_texts(folder / "wiki.txt", True) == [together for _, together in DOCUMENTS]
    together = set(gather(recipe(files={"wiki.txt": 1}, documents=True), folder).train)
    assert {whole for _, whole in DOCUMENTS} <= together and "one" not in together


@pytest.mark.parametrize("tokenizer", ["characters", "wordpiece"])
def test_characters_take_the_place_of_words_where_the_corpora_are_chinese(folder, monkeypatch,
                                                                         tokenizer):
    # Whatever the recipe says of its tokenizer: one that goes on from a model says nothing.
    held = "天地玄黄宇宙洪荒日月盈昃辰宿列张"
    splits = {"train": ["x"], "validation": [held], "test": ["y"]}
    monkeypatch.setattr("companion.corpora.movie_reviews",
                        lambda: {name: {"text": texts} for name, texts in splits.items()})
    lines = [f"我说{held[:13]}。", f"我说{held[:12]}。"]
    (folder / "wiki.txt").write_text("\n".join(lines), encoding="utf8")
    chosen = recipe(files={"wiki.txt": 1})
    chosen.model.tokenizer = tokenizer
    kept = set(gather(chosen, folder).train)
    assert lines[1] in kept and lines[0] not in kept


def test_every_corpus_is_compared_in_its_own_units(folder, monkeypatch):
    english, chinese = " ".join("abcdefghijklmn"), "天地玄黄宇宙洪荒日月盈昃辰宿列张"
    for name, held in (("movie_reviews", english), ("people_daily", chinese)):
        splits = {"train": [name], "validation": [held], "test": ["y"]}
        monkeypatch.setattr(f"companion.corpora.{name}", lambda splits=splits: {
            split: {"text": texts} for split, texts in splits.items()})
    leaks, clean = [english, f"我说{chinese[:13]}。"], [english[:23], f"我说{chinese[:12]}。"]
    (folder / "both.txt").write_text("\n".join(leaks + clean), encoding="utf8")
    kept = set(gather(recipe(corpora=["movie_reviews", "people_daily"],
                             files={"both.txt": 1}), folder).train)
    assert set(clean) <= kept and not kept & set(leaks)


def test_a_share_of_a_file_is_random_and_fixed(folder):
    def lines(share, seed=13):
        r = recipe(files={"plain.txt": share})
        r.seed = seed
        return {t for t in gather(r, folder).train if t.startswith("line number")}

    assert len(lines(0.3)) == 30 and lines(0.3) == lines(0.3)
    assert lines(0.3) < lines(0.6) and lines(0.3, seed=1) != lines(0.3)
    assert lines(0.3) != {f"line number {i}" for i in range(30)}


def test_text_that_is_not_there_is_refused(folder):
    refused("reads files: name their folder with --text",
            lambda: gather(recipe(files={"plain.txt": 1.0}), None))
    refused("has no file gone.txt: add it or edit",
            lambda: gather(recipe(files={"gone.txt": 1.0}), folder))
    for name in ("film", "entity_sentences"):  # the second one has no validation split
        refused(f"unknown corpus '{name}': use one of movie_reviews, people_daily",
                lambda name=name: gather(recipe(corpora=[name]), None))


SPELLINGS = [  # the same letters, as other sources write them
    lambda text: unicodedata.normalize("NFD", text),
    lambda text: unicodedata.normalize("NFC", text),
    lambda text: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text),
    lambda text: text.replace("fi", "\N{LATIN SMALL LIGATURE FI}"),
    str.upper,
]


@pytest.mark.parametrize("spell", SPELLINGS)
@pytest.mark.parametrize("text, units", [
    ("café crème à la carte für naïve Zoë Müller and a fine first film", words),
    ("1998年12月31日电 A股 café 天地玄黄", characters)])
def test_another_spelling_of_the_same_text_is_found(text, units, spell):
    held = Held([text], units=units)
    assert held.in_text(spell(text)) and Held([spell(text)], units=units).in_text(text)
    # Near-duplicates too; the key of a split stays that of the text as it is.
    assert near_duplicates([text, spell(text)], units=units).sum() == 1


def test_held_out_texts_of_a_file_are_not_read_nor_texts_like_them(folder):
    every = [" ".join(f"{word}{i}" for word in HELD[:14]) for i in range(200)]
    (folder / "many.txt").write_text("\n".join(every + [f"more {t}" for t in every]), "utf8")
    chosen = recipe(files={"many.txt": 1.0})
    chosen.text.held_out = 0.2
    found = gather(chosen, folder)
    apart = found.held_out["many.txt"]
    assert 40 <= len(apart) <= 120 and set(apart) <= {*every, *(f"more {t}" for t in every)}
    assert not Held(apart).in_text("\n\n".join(found.train))
    assert gather(chosen, folder).held_out["many.txt"] == apart


def test_a_recipe_reads_own_files_alone(folder):
    (folder / "sub").mkdir()
    for name in ("a.txt", "b.txt", "sub/a.md", "a.md"):
        (folder / name).write_text("\ufeff" + "\r\n".join(f"{name} {i}" for i in range(90)), "utf8")
    own = recipe(corpora=[], files=["?.txt", "sub/*", "a.md"], held_out=0.2)
    assert own == recipe(corpora=[], files={"?.txt": 1, "sub/*": 1.0, "a.md": 1}, held_out=0.2)
    found = gather(own, folder)
    assert [source.name for source in found.report] == ["a.txt", "b.txt", "sub/a.md", "a.md"]
    apart = [text for texts in found.held_out.values() for text in texts]
    assert found.validation == apart and not set(apart) & set(found.train)
    assert sorted(apart + found.train) == sorted(
        f"{name} {i}" for name in found.held_out for i in range(90))
    names = build._by_stem(found.held_out)  # of files, so none may be another's
    assert list(names) == ["a.txt", "b", "sub-a", "a.md"]
    assert list(names.values()) == list(found.held_out.values())
    refused("has no file \\*.csv: add it", lambda: gather(recipe(files=["*.csv"]), folder))
    for name in ("/etc/*", "a**b", ".", "..", "a\0b"):
        refused("has no file .*: add it",
                lambda name=name: gather(recipe(files=[name]), folder))
    refused("no text for validation: give more", lambda: gather(
        recipe(corpora=[], files=["a.txt"], held_out=1e-9), folder))


# --- recipes ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(p.stem for p in FOLDER.glob("*.toml")))
def test_every_recipe_of_the_course_is_read(name):
    read = Recipe.read(name)
    assert read == Recipe.read(FOLDER / f"{name}.toml")
    assert read.name == name and read.steps > 0


def test_a_recipe_is_read(tmp_path):
    file = tmp_path / "r.toml"
    file.write_text('name = "r"\n[training]\nrate = 1\ntokens = 4096\nrows = 4\n'
                    "[text]\nrow_length = 32\n[model]\nvocabulary = 50\n")
    read = Recipe.read(file)
    assert read.training.rate == 1.0 and type(read.training.rate) is float
    assert read.steps == 4096 // (4 * 32)
    file.write_bytes(b"name = \xff")
    refused("r.toml is not UTF-8", lambda: Recipe.read(file))
    file.write_text("name = x = y")
    refused("r.toml is not valid TOML", lambda: Recipe.read(file))
    refused("give a TOML file or one of: .*bert-mini-en", lambda: Recipe.read("absent"))


GOOD = {"name": "x", "seed": 3, "text": {"files": {"a": 0.5}}, "model": {"vocabulary": 50},
        "masking": {"share": 0.2}, "training": {"rows": 4}}


@pytest.mark.parametrize("change, match", [
    ({"name": ""}, "no name: add a line"),
    ({"name": 5}, "'name' is 5: give"),
    ({"seed": "x"}, "'seed' is 'x': give"),
    ({"seed": True}, "'seed' is True"),
    ({"seed": -1}, "seed must not be negative"),
    ({"optimizer": {}}, "unknown key 'optimizer': remove it"),
    ({"text": 5}, "is 5: make it a table"),
    ({"text": {"row_len": 5}}, r"\[text\] has an unknown key 'row_len': use corpora, files"),
    ({"text": {"row_length": "64"}}, "'row_length' is '64', but must be a int"),
    ({"text": {"row_length": 2}}, "row_length must be at least 3"),
    ({"text": {"corpora": []}}, "neither corpora nor files: name some text"),
    ({"text": {"corpora": [], "files": ["a"]}}, "needs held_out above 0, such as held_out = 0.02"),
    ({"text": {"files": {"a": 0}}}, r'shares above 0, at most 1: write files = \["a.txt"'),
    ({"text": {"files": 3}}, r'files\' is 3: write files = \["a.txt", "b.txt"\], or'),
    ({"text": {"files": [3]}}, r'files\' is \[3\]: write files'),
    ({"text": {"files": [""]}}, "write files = "),
    ({"text": {"files": {"a": "all"}}}, "shares above 0"),
    ({"model": {}}, "vocabulary must be above 5"),
    ({"objective": "gpt"}, "objective must be masked, masked_order, masked_next, causal or spans"),
    ({"objective": 5}, "'objective' is 5: give a text"),
    ({"model": {"vocabulary": 50, "tokenizer": "chars"}}, "tokenizer must be wordpiece, bpe or characters"),
    ({"spans": {"share": 0.0}}, r"\[spans\] share must be between"),
    ({"spans": {"mean": 0.5}}, r"\[spans\] mean must be at least 1"),
    ({"spans": {"share": 0.9}}, r"\[spans\] mean must be at least 1, and longer"),
    ({"causal": {"isolate": 1}}, "must be a bool"),
    ({"masking": {"share": 1.5}}, "share must be between"),
    ({"masking": {"hidden": 0.95}}, "sum is at most 1"),
    ({"masking": {"whole_words": 1}}, "must be a bool"),
    ({"masking": {"segment": "jieba"}}, "jieba needs whole_words = true"),
    ({"training": {"rows": True}}, "must be a int"),
    ({"training": {"rows": 0}}, "must be at least 1"),
    ({"training": {"rate": 0}}, "must be above 0"),
    ({"training": {"warmup": 2}}, "shares from 0 to 1"),
    ({"training": {"precision": "fp8"}}, "precision must be"),
])
def test_what_is_no_recipe_is_refused(change, match):
    Recipe.from_dict(GOOD)
    refused(match, lambda: Recipe.from_dict({**GOOD, **change}, "r.toml"))


def test_the_table_is_not_modified():
    table = {**copy.deepcopy(GOOD), "training": {"rate": 1}}
    before = copy.deepcopy(table)
    Recipe.from_dict(table)
    assert table == before and type(table["training"]["rate"]) is int
