"""The door: what an annotation excludes is refused in one line, any container is a list."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from companion.errors import CourseError
from companion.guards import check_fields, door


@door
def asked(texts: Sequence[str], top: int = 1, rate: float = 0.5, exact: bool = False,
          name: str | None = None, folder: str | Path = ".", table: Mapping | None = None,
          rows: Iterable[Sequence[int]] = (), vectors: torch.Tensor | None = None,
          lines: Mapping[str, tuple[Sequence[float], str]] | None = None):
    return texts, top, rate, exact, name, folder, table, rows, vectors, lines


@pytest.mark.parametrize("texts", [
    ["a", "北"], ("a", "北"), np.array(["a", "北"]), pd.Series(["a", "北"], index=[5, 7]),
    (t for t in ["a", "北"]),
])
def test_any_container_of_texts_is_a_list(texts):
    assert asked(texts)[0] == ["a", "北"]


def test_numbers_of_numpy_are_numbers_and_arrays_stay_what_they_are():
    rows, vectors = np.zeros((2, 3), np.uint16), torch.zeros(2)
    found = asked([], np.int64(3), np.float32(0.5), np.bool_(True), rows=rows, vectors=vectors)
    assert type(found[1]) is int and found[2] == 0.5 and found[3] is True
    assert found[7] is rows and found[8] is vectors
    assert asked([], rows=([1, 2], (3,)))[7] == [[1, 2], [3]]
    assert asked([], lines={"a": [(x for x in [1.0]), "b"]})[9] == {"a": ([1.0], "b")}


@pytest.mark.parametrize("phrase, arguments", [
    ("this is one text: give a list of texts", {"texts": "abc"}),
    ("texts is a table (DataFrame): give one of its columns", {"texts": pd.DataFrame({"a": ["b"]})}),
    ("texts is a dict: give a list", {"texts": {"a": "b"}}),
    ("texts is a set, which has no order: give a list", {"texts": {"a"}}),
    ("texts is a NoneType: give a list", {"texts": None}),
    ("texts[1] is NaN, an empty cell of a table", {"texts": pd.Series(["a", float("nan")])}),
    ("texts[0] is of type int: give a str", {"texts": [3]}),
    ("texts[0] is no valid Unicode", {"texts": ["\ud83d"]}),
    ("texts holds numbers: give a list of str", {"texts": np.zeros(2)}),
    ("top is 1.5: give a whole number", {"top": 1.5}),
    ("top is True: give a whole number", {"top": True}),
    ("top is of type NoneType: give a whole number", {"top": None}),
    ("rate is of type str: give a number", {"rate": "0.5"}),
    ("rate is nan: give a number", {"rate": float("nan")}),
    ("rate is inf: give a number", {"rate": float("inf")}),
    ("exact is 1: give True or False", {"exact": 1}),
    ("name is of type int: give a str", {"name": 3}),
    ("folder is 3: give a path", {"folder": 3}),
    ("folder is of type str: give a path", {"folder": "a\0b"}),
    ("table is of type list: give a dictionary", {"table": []}),
    ("rows[1][0] is 0.5: give a whole number", {"rows": [[1], [0.5]]}),
    ("lines['a'] has 1 entries: give 2", {"lines": {"a": ([1.0],)}}),
    ("lines['a'][0][1] is of type str: give a number", {"lines": {"a": ([1.0, "2"], "b")}}),
    ("vectors is of type list: give a Tensor", {"vectors": [1.0]}),
])
def test_what_the_annotation_excludes_is_refused_in_one_line(phrase, arguments):
    with pytest.raises(CourseError) as problem:
        asked(**{"texts": ["a"]} | arguments)
    assert str(problem.value).startswith(phrase) and "\n" not in str(problem.value)


def test_fields_of_settings_are_compared_too():
    @dataclass(frozen=True)
    class Settings:
        steps: int = 1
        rate: float | None = None

        def __post_init__(self):
            check_fields(self)

    assert type(Settings(np.int64(3)).steps) is int
    with pytest.raises(CourseError, match="rate is of type str: give a number"):
        Settings(rate="0.5")


def test_a_wrong_call_is_still_a_type_error():
    with pytest.raises(TypeError):
        asked()
