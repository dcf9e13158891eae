"""The same columns from the Hugging Face Hub, from a folder or from a file of your own.

Published splits are kept as they are: nothing is removed, nothing is carved out of the
training split. A split that is missing stays missing, and a warning says so.

The Hub sets are in Parquet. Data sets that need a loading script (``peoples_daily_ner``
under its old name, for example) no longer load in ``datasets`` 4 and later.
"""

import io
import json
import os
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path

import datasets
import numpy as np
import pandas as pd
from datasets import DatasetDict

from companion.corpora import newspaper, reviews, shopping
from companion.corpora.chinese import SPLITS, half_width, to_splits
from companion.corpora.splits import fingerprint
from companion.errors import CourseError
from companion.files import read_lines, read_text
from companion.guards import checked_text
from companion.ner.schemes import mark_entities, marks_entity, of_tags

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
_LABELS = {name: label for label, names in enumerate((
    "0 0.0 false neg negative 差评 负面 消极", "1 1.0 true pos positive 好评 正面 积极"))
    for name in names.split()}
_OTHER_NAMES = ("tags", "ner_tags", "labels")  # of the column pos


def external_reviews(source: str | Path, collection: str | None) -> DatasetDict:
    """Film reviews; on the Hub, IMDB and Rotten Tomatoes one after the other.

    A folder or file needs the columns ``text`` and ``label`` (0 or 1, negative or positive, 差评
    or 好评); ``collection`` is its name where the column is missing.
    """
    if str(source) == "hub":
        wanted = [collection] if collection else list(reviews.COLLECTIONS)
        table = pd.concat([_hub(name).assign(collection=name) for name in wanted])
    else:
        table = _own(source, ("text", "label"))
        if "collection" not in table:
            table["collection"] = Path(source).resolve().stem
        if collection:
            table = table[table["collection"] == collection]
    if table.empty:
        raise CourseError(f"{source} has no reviews of {collection!r}: leave collection out")
    return to_splits(_labelled(table, reviews.clean, source), reviews.FEATURES)


def external_shopping(source: str | Path) -> DatasetDict:
    """Chinese reviews; on the Hub, ChnSentiCorp. Your own need ``text`` and ``label``."""
    hub = str(source) == "hub"
    table = _hub("shopping_reviews") if hub else _own(source, ("text", "label"))
    return to_splits(_labelled(table, shopping.clean, source), shopping.FEATURES)


def external_newspaper(source: str | Path) -> DatasetDict:
    """The newspaper; on the Hub, the published named-entity set, which has no words.

    There, an entity becomes one token with the tag ``nr``, ``ns`` or ``nt``, and every other
    character a token with the tag ``x`` (unknown). A folder or file needs ``tokens`` and
    ``pos`` (or ``tags``): lists, or in a csv file strings with a space between two items. Tags of
    BIO, BIOES, BMES or BILOU stay as they are; `companion.ner.people` reads them.
    """
    if str(source) == "hub":
        table = _hub("people_daily")
        pairs = [words_from_bio(t, g) for t, g in zip(table["tokens"], table["ner_tags"])]
    else:
        table = _own(source, ("tokens", "pos"))
        pairs = _words(table, source)
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
    table = table.assign(block=block.astype(int), id=table["id"].astype(str))
    _refuse_rows(table, table["id"].duplicated(), source, "an id that another row has",
                 "give each row its own, or leave the column out")
    return to_splits(table, newspaper.FEATURES)


def _words(table: pd.DataFrame, source: str | Path) -> list[tuple[list[str], list[str]]]:
    """The words of each row and their tags."""
    for column in ("tokens", "pos"):
        wrong = ~table[column].map(_is_list)
        _refuse_rows(table, wrong, source, f"{column} that are no list of strings",
                     "give a list, or a string with spaces between")
    pairs = [(_items(t), _items(p)) for t, p in zip(table["tokens"], table["pos"])]
    empty = [not tokens or not all(map(str.strip, tokens)) for tokens, _ in pairs]
    _refuse_rows(table, empty, source, "no tokens, or an empty one", "remove it")
    for row, (tokens, pos) in enumerate(pairs, start=1):
        if len(tokens) != len(pos):
            raise CourseError(
                f"row {row} of {source} has {len(tokens)} tokens but {len(pos)} tags: "
                "give every token one tag"
            )
    wrong = [mark_entities(pos) and not all(tag.strip() == "O" or marks_entity(tag) for tag in pos)
             for _, pos in pairs]
    _refuse_rows(table, wrong, source, "tags of entities among others", "write all of them as O, "
                 "B-TYPE, I-TYPE (or BIOES, BMES, BILOU)")
    return pairs


def words_from_bio(
    tokens: Iterable[str], tags: Iterable[int | str]
) -> tuple[list[str], list[str]]:
    """Characters with BIO tags as words with part-of-speech tags; entities become words.

    ``["李", "明", "来"]`` with ``["B-PER", "I-PER", "O"]`` gives ``["李明", "来"]`` and
    ``["nr", "x"]``. See `companion.ner.schemes.from_tags` for illegal tags, which are repaired.
    """
    pairs = zip(tokens, tags, strict=True)
    tokens, names = zip(*((token, tag if isinstance(tag, str) else TAGS[tag])
                          for token, tag in pairs), strict=True)
    pieces, at = [], 0
    for found in of_tags(names, "BIOES"):
        pieces += [(token, "x") for token in tokens[at : found.start]]
        pieces.append(("".join(tokens[found.start : found.end]), POS.get(found.type, "x")))
        at = found.end
    pieces += [(token, "x") for token in tokens[at:]]
    return [word for word, _ in pieces], [pos for _, pos in pieces]


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


def _own(source: str | Path, needed: tuple[str, ...]) -> pd.DataFrame:
    """All rows of a folder or file in one table with the column ``split``."""
    path = Path(source)
    if os.path.isfile(path):  # that of Path fails where a name is too long
        table = _file(path, needed)
    elif os.path.isdir(path):
        table = _folder(path, needed)
    else:
        raise CourseError(f"no folder or file {str(source)[:99]!r}: use 'package', 'hub', or the path of "
                          "one that is there")
    if table.empty:
        raise CourseError(f"{source} has no rows: add some")
    _say_missing(str(source), set(table["split"]))
    return table


def _folder(folder: Path, needed: tuple[str, ...]) -> pd.DataFrame:
    tables = []
    for split in SPLITS:
        files = [path for end in _READERS if (path := folder / f"{split}{end}").exists()]
        if len(files) > 1:
            raise CourseError(
                f"{folder} has {files[0].name} and {files[1].name}: keep one file for each split"
            )
        tables += [_read(path, needed).assign(split=split) for path in files]
    if not tables:
        raise CourseError(
            f"{folder} has no train, validation or test file: add train.csv, train.jsonl or "
            "train.parquet"
        )
    return pd.concat(tables)


def _file(path: Path, needed: tuple[str, ...]) -> pd.DataFrame:
    """One file: its column ``split`` divides it; without one, all of it is for training."""
    table = _read(path, needed)
    if "split" not in table:
        return table.assign(split="train")
    other = ~table["split"].isin(SPLITS)
    if other.any():
        raise CourseError(f"{path} has the split {table['split'][other].iloc[0]!r}: use train, "
                          "validation or test")
    order = table["split"].map(SPLITS.index)
    return table.iloc[np.argsort(order, kind="stable")]


def _read(path: Path, needed: tuple[str, ...]) -> pd.DataFrame:
    reader = _READERS.get(path.suffix)
    if reader is None:
        raise CourseError(f"{path.name} is no {', '.join(_READERS)} file: save it as one of them")
    table = reader(path)
    if "pos" in needed and "pos" not in table:
        own = [name for name in _OTHER_NAMES if name in table]
        table = table.rename(columns=dict.fromkeys(own[:1], "pos"))
    names = list(map(str, table.columns))
    for column in needed:
        if column not in names:
            raise CourseError(f"{path} has no column {column!r} (it has {', '.join(names)}): "
                              "add or rename it")
    if double := [name for name in names if names.count(name) > 1]:
        raise CourseError(f"{path} has two columns {double[0]!r}: keep one")
    return table


def _csv(path: Path) -> pd.DataFrame:
    """Without a header for pandas: with one, it would take a cell too many for an index."""
    try:
        table = pd.read_csv(io.StringIO(read_text(path)), header=None, dtype=str,
                            keep_default_na=False)
    except ValueError as problem:  # pandas raises subclasses of it
        reason = str(problem).strip().splitlines()[0]
        raise CourseError(f"{path} is no table ({reason}): put a text that holds a comma or a line "
                          "break into quotes") from None
    table.columns = table.iloc[0].astype(str).str.strip()
    return table.iloc[1:]


def _jsonl(path: Path) -> pd.DataFrame:
    rows = []
    for number, line in enumerate(read_lines(path), start=1):
        if line.strip():
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                row = None
            if not isinstance(row, dict):
                raise CourseError(f"line {number} of {path} is no JSON object: write each row as "
                                  "one, such as {\"text\": ...}, in a line of its own")
            rows.append(row)
    return pd.DataFrame(rows, dtype=object)


def _parquet(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except (ValueError, OSError):  # pyarrow raises subclasses of these
        raise CourseError(f"{path} cannot be read as Parquet: save it again") from None


_READERS: dict[str, Callable[[Path], pd.DataFrame]] = {
    ".csv": _csv, ".jsonl": _jsonl, ".parquet": _parquet}


def _say_missing(name: str, present: Iterable[str]) -> None:
    missing = [split for split in SPLITS if split not in present]
    if missing:
        warnings.warn(f"{name} has no {' and no '.join(missing)} split; none is made", stacklevel=6)


def _labelled(
    table: pd.DataFrame, clean: Callable[[str], str], source: str | Path
) -> pd.DataFrame:
    for column in ("text", "label"):
        blank = table[column].map(lambda value: isinstance(value, str) and not value.strip())
        _refuse_rows(table, table[column].isna() | blank, source, f"no {column}",
                     "give it one, or remove it")
    wrong = [not isinstance(text, str) for text in table["text"]]
    _refuse_rows(table, wrong, source, "a text that is no string", "give it one, or remove it")
    for text in table["text"]:
        checked_text(text, f"a text in {source}")
    labels = table["label"].map(lambda label: _LABELS.get(str(label).strip().lower()))
    if labels.isna().any():
        wrong = table["label"][labels.isna().to_numpy()].iloc[0]
        raise CourseError(f"{source} has the label {str(wrong)!r}: use 0 or negative, 1 or positive "
                          "(for stars or other classes, write such a column first)")
    text = table["text"].map(clean)
    _refuse_rows(table, ~text.astype(bool), source, "no text", "give it one, or remove it")
    return table.assign(text=text, label=labels.astype(int), id=list(_ids(table["split"], text)))


def _ids(splits: pd.Series, texts: pd.Series) -> Iterator[str]:
    """The fingerprint of each text; one that its split has already gets a number.

    Published sets hold texts twice, and a fingerprint does not tell ``!`` from ``?``.
    """
    seen: dict[tuple[str, str], int] = {}
    for split, text in zip(splits, texts):
        name = fingerprint(text)[:16]
        count = seen[split, name] = seen.get((split, name), 0) + 1
        yield name if count == 1 else f"{name}:{count}"


def _refuse_rows(table: pd.DataFrame, wrong: Collection[bool], source: str | Path, what: str,
                 cure: str) -> None:
    """Refuse a table in which a row is ``wrong``, and say where the first one stands."""
    wrong = np.asarray(wrong, dtype=bool)
    if not wrong.any():
        return
    place = int(wrong.argmax())
    split = table["split"].iloc[place]
    row = int((table["split"].iloc[: place + 1] == split).sum())
    raise CourseError(f"row {row} of {split} in {source} has {what}: {cure}")


def _is_list(value) -> bool:
    """Whether tokens or tags can be read from a value: a string, or several."""
    if isinstance(value, str):
        return True
    values = value.tolist() if isinstance(value, np.ndarray) else value
    return isinstance(values, (list, tuple)) and all(isinstance(item, str) for item in values)


def _items(value: str | Iterable[str]) -> list[str]:
    return value.split() if isinstance(value, str) else list(value)


def _places(table: pd.DataFrame) -> pd.Series:
    return table.groupby("split").cumcount()


def _blocks(splits: pd.Series) -> pd.Series:
    """Numbers for groups of 50 rows; no group reaches over the end of a split."""
    group = splits.groupby(splits).cumcount() // newspaper.BLOCK
    return pd.Series(pd.factorize(splits + group.astype(str))[0], index=splits.index)
