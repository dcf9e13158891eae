"""The same columns from the Hugging Face Hub or from a folder of your own.

Published splits are kept as they are: nothing is removed, nothing is carved out of the
training split. A split that is missing stays missing, and a warning says so.

The Hub sets are in Parquet. Data sets that need a loading script (``peoples_daily_ner``
under its old name, for example) no longer load in ``datasets`` 4 and later.
"""

import warnings
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

import datasets
import numpy as np
import pandas as pd
from datasets import DatasetDict

from companion.corpora import newspaper, reviews, shopping
from companion.corpora.chinese import SPLITS, half_width, to_splits
from companion.corpora.splits import fingerprint
from companion.errors import CourseError

HUB = {
    "imdb": "stanfordnlp/imdb",
    "rotten_tomatoes": "cornell-movie-review-data/rotten_tomatoes",
    "people_daily": "lansinuote/peoples-daily-ner",
    "shopping_reviews": "lansinuote/ChnSentiCorp",
}
# The order in which the published set numbers its tags.
TAGS = ("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC")
POS = {"PER": "nr", "ORG": "nt", "LOC": "ns"}
# Numbers become fractions where one row of a file has none; a table may hold truth values.
_LABELS = {"0": 0, "0.0": 0, "false": 0, "neg": 0, "negative": 0,
           "1": 1, "1.0": 1, "true": 1, "pos": 1, "positive": 1}
_READERS: dict[str, Callable[[Path], pd.DataFrame]] = {
    ".csv": lambda path: pd.read_csv(path, dtype=str, keep_default_na=False),
    ".jsonl": lambda path: pd.read_json(path, lines=True, dtype=False),
    ".parquet": pd.read_parquet,
}


def external_reviews(source: str | Path, collection: str | None) -> DatasetDict:
    """Film reviews; on the Hub, IMDB and Rotten Tomatoes one after the other.

    A folder needs the columns ``text`` and ``label`` (0 or 1, or negative or positive);
    ``collection`` is the folder's name where the column is missing.
    """
    if str(source) == "hub":
        wanted = [collection] if collection else list(reviews.COLLECTIONS)
        table = pd.concat([_hub(name).assign(collection=name) for name in wanted])
    else:
        table = _folder(source, ("text", "label"))
        if "collection" not in table:
            table["collection"] = Path(source).resolve().name
        if collection:
            table = table[table["collection"] == collection]
    if table.empty:
        raise CourseError(f"{source} has no reviews of {collection!r}: leave collection out")
    return to_splits(_labelled(table, reviews.clean, source), reviews.FEATURES)


def external_shopping(source: str | Path) -> DatasetDict:
    """Chinese reviews; on the Hub, ChnSentiCorp. A folder needs ``text`` and ``label``."""
    hub = str(source) == "hub"
    table = _hub("shopping_reviews") if hub else _folder(source, ("text", "label"))
    return to_splits(_labelled(table, shopping.clean, source), shopping.FEATURES)


def external_newspaper(source: str | Path) -> DatasetDict:
    """The newspaper; on the Hub, the published named-entity set, which has no words.

    From the Hub, an entity becomes one token with the tag ``nr``, ``ns`` or ``nt``, and
    every other character a token with the tag ``x`` (unknown). A folder needs ``tokens``
    and ``pos``: lists, or in a csv file strings with a space between two items.
    """
    if str(source) == "hub":
        table = _hub("people_daily")
        pairs = [words_from_bio(t, g) for t, g in zip(table["tokens"], table["ner_tags"])]
    else:
        table = _folder(source, ("tokens", "pos"))
        for column, kinds in (("tokens", str), ("pos", str | int)):
            wrong = ~table[column].map(lambda value: _is_list(value, kinds))
            _refuse_rows(table, wrong, source, f"{column} that are no list of strings",
                         "give a list, or a string with spaces between")
        pairs = [(_items(t), _items(p)) for t, p in zip(table["tokens"], table["pos"])]
    for row, (tokens, pos) in enumerate(pairs, start=1):
        if len(tokens) != len(pos):
            raise CourseError(
                f"row {row} of {source} has {len(tokens)} tokens but {len(pos)} tags: "
                "give every token one tag"
            )
    table = table.reset_index(drop=True)
    table["tokens"] = [[half_width(token) for token in tokens] for tokens, _ in pairs]
    table["pos"] = [pos for _, pos in pairs]
    table["text"] = table["tokens"].map("".join)
    if "block" not in table:
        table["block"] = _blocks(table["split"])
    block = pd.to_numeric(table["block"], errors="coerce")
    _refuse_rows(table, block.isna() | (block % 1 != 0), source, "a block that is no whole number",
                 "number the blocks, or leave the column out")
    if "id" not in table:
        table["id"] = [f"{s}:{n + 1:05d}" for s, n in zip(table["split"], _places(table))]
    return to_splits(
        table.assign(block=block.astype(int), id=table["id"].astype(str)),
        newspaper.FEATURES,
    )


def words_from_bio(
    tokens: Iterable[str], tags: Iterable[int | str]
) -> tuple[list[str], list[str]]:
    """Characters with BIO tags as words with part-of-speech tags; entities become words.

    ``["李", "明", "来"]`` with ``["B-PER", "I-PER", "O"]`` gives ``["李明", "来"]`` and
    ``["nr", "x"]``. An ``I-`` tag that continues nothing of its kind begins an entity.
    """
    words: list[str] = []
    pos: list[str] = []
    open_kind = None
    for token, tag in zip(tokens, tags, strict=True):
        place, _, kind = str(tag if isinstance(tag, str) else TAGS[tag]).partition("-")
        if place == "I" and kind == open_kind:
            words[-1] += token
        else:
            words.append(token)
            pos.append(POS.get(kind, "x"))
        open_kind = kind or None
    return words, pos


def _hub(name: str) -> pd.DataFrame:
    """All published splits of one Hub set in one table with the column ``split``."""
    repository = HUB[name]
    try:
        published = datasets.load_dataset(repository)
    except OSError as error:  # no network, offline mode, set withdrawn: all are OSErrors
        raise CourseError(
            f"cannot load {repository} from the Hub ({type(error).__name__}): check the network, "
            "or set HF_ENDPOINT to a mirror, or use source='package'"
        ) from error
    _say_missing(repository, published)
    return pd.concat(
        [published[split].to_pandas().assign(split=split) for split in SPLITS if split in published]
    )


def _folder(source: str | Path, needed: tuple[str, ...]) -> pd.DataFrame:
    """All split files of a folder in one table with the column ``split``."""
    folder = Path(source)
    if not folder.is_dir():
        raise CourseError(f"no folder {str(source)!r}: use 'package', 'hub' or an existing folder")
    tables = {}
    for split in SPLITS:
        names = [folder / f"{split}{end}" for end in _READERS]
        files = [path for path in names if path.exists()]
        if len(files) > 1:
            raise CourseError(
                f"{folder} has {files[0].name} and {files[1].name}: keep one file for each split"
            )
        if files:
            tables[split] = _read(files[0], needed).assign(split=split)
    if not tables:
        raise CourseError(
            f"{folder} has no train, validation or test file: add train.csv, train.jsonl or "
            "train.parquet"
        )
    _say_missing(str(folder), tables)
    return pd.concat(tables.values())


def _read(path: Path, needed: tuple[str, ...]) -> pd.DataFrame:
    try:
        table = _READERS[path.suffix](path)
    except (ValueError, OSError) as error:  # pandas and pyarrow raise subclasses of these
        reason = str(error).splitlines()[0]
        raise CourseError(f"cannot read {path} ({reason}): save it again as UTF-8") from error
    missing = [column for column in needed if column not in table]
    if missing:
        raise CourseError(
            f"{path} has no column {missing[0]!r} (it has {', '.join(map(str, table.columns))}): "
            "add or rename it"
        )
    return table


def _say_missing(name: str, present: Iterable[str]) -> None:
    missing = [split for split in SPLITS if split not in present]
    if missing:
        warnings.warn(f"{name} has no {' and no '.join(missing)} split; none is made", stacklevel=4)


def _labelled(
    table: pd.DataFrame, clean: Callable[[str], str], source: str | Path
) -> pd.DataFrame:
    for column in ("text", "label"):
        _refuse_rows(table, table[column].isna(), source, f"no {column}",
                     "give it one, or remove it")
    labels = table["label"].map(lambda label: _LABELS.get(str(label).strip().lower()))
    if labels.isna().any():
        wrong = table["label"][labels.isna()].iloc[0]
        raise CourseError(f"{source} has the label {str(wrong)!r}: use 0 or negative, 1 or "
                          "positive")
    text = table["text"].astype(str).map(clean)
    return table.assign(text=text, label=labels.astype(int), id=text.map(fingerprint).str[:16])


def _refuse_rows(table: pd.DataFrame, wrong: pd.Series, source: str | Path, what: str,
                 cure: str) -> None:
    """Refuse a table in which a row is ``wrong``, and say where the first one stands."""
    if not wrong.any():
        return
    place = int(wrong.to_numpy().argmax())
    split = table["split"].iloc[place]
    row = int((table["split"].iloc[: place + 1] == split).sum())
    raise CourseError(f"row {row} of {split} in {source} has {what}: {cure}")


def _is_list(value, kinds) -> bool:
    """Whether tokens or tags can be read from a value: a string, or several of the ``kinds``."""
    if isinstance(value, str):
        return True
    values = value.tolist() if isinstance(value, np.ndarray) else value
    return isinstance(values, Collection) and all(isinstance(item, kinds) for item in values)


def _items(value: str | Iterable[str]) -> list[str]:
    return value.split() if isinstance(value, str) else list(value)


def _places(table: pd.DataFrame) -> pd.Series:
    return table.groupby("split").cumcount()


def _blocks(splits: pd.Series) -> pd.Series:
    """Numbers for groups of 50 rows; no group reaches over the end of a split."""
    group = splits.groupby(splits).cumcount() // newspaper.BLOCK
    return pd.Series(pd.factorize(splits + group.astype(str))[0], index=splits.index)
