"""K-shot draws: sizes, nesting, independence of the order of the data, fixed checksums."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from datasets import Dataset
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from companion.corpora import movie_reviews, shopping_reviews
from companion.errors import CourseError
from companion.prompting import fewshot
from companion.prompting.fewshot import SEEDS, SIZES, checksum, draw


def made(counts, order=None):
    rows = [(label, f"{label}-{i}") for label, count in enumerate(counts) for i in range(count)]
    rows = [rows[i] for i in order] if order else rows
    return Dataset.from_dict({"text": [f"text {name}" for _, name in rows],
                              "label": [label for label, _ in rows],
                              "id": [name for _, name in rows]})


SPLIT = made((140, 130))


def names(part):
    return list(part["id"])


@given(k=st.integers(1, 20), seed=st.sampled_from(SEEDS), counts=st.sampled_from(
    [(40, 40), (40, 77), (45, 50, 60)]))
@settings(max_examples=20, deadline=None)
def test_k_of_every_class_in_both_parts_and_none_twice(k, seed, counts):
    train, validation = draw(made(counts), k, seed)
    for part in (train, validation):
        assert [list(part["label"]).count(label) for label in range(len(counts))] == \
            [k] * len(counts)
        assert all(text == f"text {name}" for text, name in zip(part["text"], part["id"]))
    assert len({*names(train), *names(validation)}) == 2 * k * len(counts)


@pytest.mark.parametrize("seed", SEEDS)
def test_draws_of_one_seed_are_nested_and_validation_never_meets_training(seed):
    draws = [draw(SPLIT, k, seed) for k in SIZES]
    for (small, small_judge), (large, large_judge) in zip(draws, draws[1:]):
        assert set(names(small)) < set(names(large))
        assert set(names(small_judge)) < set(names(large_judge))
    every = [{name for pair in draws for name in pair[part]["id"]} for part in (0, 1)]
    assert not every[0] & every[1]


def test_seeds_draw_different_examples():
    drawn = [set(names(draw(SPLIT, 4, seed)[0])) for seed in SEEDS]
    assert all(len(a & b) < 8 for i, a in enumerate(drawn) for b in drawn[:i])


@given(order=st.permutations(range(60)))
@settings(max_examples=10, deadline=None, phases=[Phase.explicit, Phase.generate])
def test_the_order_of_the_data_does_not_matter(order):
    ordered, shuffled = made((30, 30)), made((30, 30), list(order))
    assert checksum(draw(ordered, 6, 13)) == checksum(draw(shuffled, 6, 13))


def test_a_text_more_changes_at_most_one_place():
    before, after = draw(made((40, 40)), 10, 21)[0], draw(made((41, 40)), 10, 21)[0]
    assert len(set(names(before)) - set(names(after))) <= 10
    assert {n for n in names(before) if n[0] == "1"} == {n for n in names(after) if n[0] == "1"}


def test_the_named_seeds_are_those_of_the_paper():
    assert SEEDS == (13, 21, 42, 87, 100) and SIZES == (4, 8, 16, 32, 64)


# Of the training splits: a change of these numbers changes every published figure.
KNOWN = {
    "rotten_tomatoes": ["43c1882d909db506", "8160198a7a26d0b8", "df845f64b723f100",
                        "fadb4a1efb71d91d", "37753dc39f1ab000"],
    "imdb": ["8eeda487a0237e72", "46190a72e14f7b79", "55147df06f1221d1", "bd72f203dde97ca7",
             "a82bd1190589769d"],
}


@pytest.mark.parametrize("collection", KNOWN)
def test_checksums_of_the_draws(collection):
    train = movie_reviews(collection=collection)["train"]
    assert [checksum(draw(train, 64, seed)) for seed in SEEDS] == KNOWN[collection]


def test_a_checksum_sees_order_and_part():
    train, validation = draw(SPLIT, 4, 13)
    assert checksum([train, validation]) != checksum([validation, train])
    assert checksum([train]) != checksum([train.select(reversed(range(8)))])


TABLE = pd.DataFrame({"text": list("abcdef"), "label": ["x", "y"] * 3, 0: range(6)})


@pytest.mark.parametrize("ids", [None, range(6), "012345", np.arange(6)])
def test_a_table_of_ones_own_is_drawn_by_its_row_numbers(ids):
    """A column of ids, numbers or texts, says the same."""
    table = TABLE if ids is None else TABLE.assign(id=list(ids))
    for split in (table, Dataset.from_pandas(table.drop(columns=0))):
        parts = draw(split, 1, 13)
        assert [sorted(part["label"]) for part in parts] == [["x", "y"]] * 2
        assert all(part["text"] == ["abcdef"[int(i)] for i in part["id"]] for part in parts)
        expected = draw(Dataset.from_dict({"label": ["x", "y"] * 3, "id": list("012345")}), 1, 13)
        assert checksum(parts) == checksum(expected)


@pytest.mark.parametrize("match, call", [
    ("row 1 has no label: fill it", lambda: draw(TABLE.assign(label=["x", None] * 3), 1, 13)),
    ("row 0 has no label: fill it", lambda: draw(TABLE.assign(label=[math.nan, 1.0] * 3), 1, 13)),
    ("split is of type dict: give a Dataset", lambda: draw({"label": [0, 1]}, 1, 13)),
    ("the table is no Dataset .*: give each column one type", lambda: draw(
        TABLE.assign(text=["a", 1, "b", 2.5, "c", b"d"]), 1, 13)),
    ("the table is no Dataset .*: give each", lambda: draw(
        pd.DataFrame([["x", "y"]] * 2, columns=["label", "label"]), 1, 13)),
    ("a part has no column 'id': take", lambda: checksum([Dataset.from_dict({"label": [0]})])),
    (r"parts\[0\] is of type DataFrame: give a Dataset", lambda: checksum([TABLE])),
    ("seed is of type str: give a whole number", lambda: draw(SPLIT, 4, "13")),
    ("no column 'label': name", lambda: draw(SPLIT.remove_columns("label"), 4, 13)),
    ("K is 0: give at least 1", lambda: draw(SPLIT, 0, 13)),
    ("k is 1.5: give a whole number", lambda: draw(SPLIT, 1.5, 13)),
    ("has 130 examples, and K = 66 needs 132", lambda: draw(SPLIT, 66, 13)),
    ("the split has 1 classes: a draw", lambda: draw(made((50,)), 4, 13)),
])
def test_what_cannot_be_drawn_is_refused(match, call):
    with pytest.raises(CourseError, match=match) as problem:
        call()
    assert "\n" not in str(problem.value)


def overlapping(split, k, seed):
    """A broken copy: training and validation from the same places."""
    train, _ = fewshot.draw(split, k, seed)
    return train, train


def by_position(split, k, seed):
    """A broken copy: the first examples of the file."""
    groups = fewshot._by_class(split, k)
    return split.select([g[i] for i in range(k) for g in groups]), \
        split.select([g[k + i] for i in range(k) for g in groups])


@pytest.mark.parametrize("mutant, test", [
    (overlapping, "test_k_of_every_class_in_both_parts_and_none_twice"),
    (by_position, "test_the_order_of_the_data_does_not_matter"),
])
def test_a_broken_draw_is_caught(mutant, test, monkeypatch):
    monkeypatch.setitem(globals(), "draw", mutant)
    with pytest.raises(AssertionError):
        globals()[test]()


def test_comparison_of_two_methods_by_hand():
    found = fewshot.compare([7.0, 10.0, 13.0], [2.0, 10.0, 6.0])
    assert found == pytest.approx({"difference": 4, "joint": 5, "paired": 13 ** 0.5, "wins": 2})


@pytest.mark.parametrize("first, second", [
    ([0.5], [0.4]), ([0.5, 0.6], [0.4]), (np.ones((2, 2)), [0.5, 0.6])])
def test_a_comparison_needs_pairs(first, second):
    with pytest.raises(CourseError, match="one of each method for every seed"):
        fewshot.compare(first, second)


def splits_of(name):
    if name == "fewshot_shopping":
        return {"shopping": shopping_reviews()["train"]}
    return {task: movie_reviews(collection=task)["train"] for task in KNOWN}


@pytest.mark.parametrize("name", ["fewshot", "fewshot_shopping"])
def test_committed_results_are_of_these_draws(name):
    path = Path(__file__).parents[1] / "benchmarks" / "results" / f"{name}.jsonl"
    lines = [json.loads(line) for line in path.read_text(encoding="utf8").splitlines()]
    seen = [(*(line[name] for name in ("task", "method", "k", "seed")), str(line.get("setting"))
             if line["seed"] not in SEEDS else "") for line in lines]
    assert len(set(seen)) == len(seen)
    known = {(task, k, seed): checksum([draw(split, k, seed)[0]])
             for task, split in splits_of(name).items() for k in SIZES for seed in SEEDS}
    cells = [line for line in lines if "draw" in line]
    assert cells
    for line in cells:
        assert line["draw"] == known[line["task"], line["k"], line["seed"]]
        assert line["count"] == {"rotten_tomatoes": 843}.get(line["task"], 500)
