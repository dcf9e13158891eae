"""The text of a recipe: training splits and files, without what the tests will ask.

A document is removed when it shares 13 consecutive words (where the corpora are Chinese: 13
characters) with any validation or test text of the corpora that the recipe names (the rule of
the GPT-3 paper, Brown et al., 2020, section 4, with whole documents removed).
"""

import hashlib
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from companion import corpora
from companion.corpora.splits import characters, words
from companion.errors import CourseError
from companion.files import read_lines
from companion.pretraining.recipe import Recipe
from companion.scripts import without_spaces

OVERLAP = 13
# Those with a validation split; the sentences with entities are too few to train on.
CORPORA = ("movie_reviews", "people_daily", "shopping_reviews")


class Held:
    """Runs of 13 words that stand in validation or test texts."""

    def __init__(self, texts: Iterable[str], size: int = OVERLAP,
                 units: Callable[[str], list[str]] = words):
        self.size, self.units = size, units
        self.known: set[str] = set()
        self.runs: set[int] = set()
        for text in texts:
            tokens = units(text)
            self.known.update(tokens)
            self.runs.update(
                hash(tuple(tokens[i : i + size])) for i in range(len(tokens) - size + 1)
            )

    def in_text(self, text: str) -> bool:
        """Whether the text shares a run with those held out."""
        tokens, known, size = self.units(text), self.known, self.size
        run = 0  # words in a row that occur in held-out text at all; most runs end early
        for end, token in enumerate(tokens, 1):
            run = run + 1 if token in known else 0
            if run >= size and hash(tuple(tokens[end - size : end])) in self.runs:
                return True
        return False


@dataclass
class Source:
    """What one source gave. ``documents`` and ``removed`` count texts."""

    name: str
    documents: int
    removed: int
    characters: int
    sha256: str

    def line(self) -> str:
        return (f"{self.name}: {self.documents:,} texts ({self.characters:,} characters), "
                f"{self.removed:,} removed for sharing a run of 13")


def _refuse_unknown(names: list[str]) -> None:
    for name in names:
        if name not in CORPORA:
            raise CourseError(f"unknown corpus '{name}': use one of {', '.join(CORPORA)}")


def read_texts(path: Path, documents: bool) -> list[str]:
    """Texts of a file: its lines, or what stands between empty lines, joined without a break."""
    lines = [line.strip() for line in read_lines(path)]
    if documents:
        return [_joined(list(part)) for filled, part in groupby(lines, key=bool) if filled]
    return [line for line in lines if line]


def _joined(lines: list[str]) -> str:
    """Chinese is written without spaces; lines of other languages are joined by one."""
    return ("" if without_spaces("".join(lines)) else " ").join(lines)


def share_of(lines: list[str], share: float, seed: int) -> list[str]:
    """A random part of the lines, the same whatever the machine."""
    if share >= 1:
        return lines
    order = sorted(range(len(lines)), key=lambda i: hashlib.md5(f"{seed}:{i}".encode()).digest())
    return [lines[i] for i in sorted(order[: round(share * len(lines))])]


def split_held_out(texts: list[str], share: float) -> tuple[list[str], list[str]]:
    """Texts to train on, and about ``share`` of them to measure on. A text's own hash decides."""
    out = [int(hashlib.sha256(f"held out:{text}".encode()).hexdigest()[:8], 16) < share * 16**8
           for text in texts]
    return ([text for text, held in zip(texts, out, strict=True) if not held],
            [text for text, held in zip(texts, out, strict=True) if held])


def _units(texts: list[str]) -> Callable[[str], list[str]]:
    """What a run is counted in. Chinese has no spaces: there it is characters, not words.

    Decided by the texts, never by the recipe: a run of 13 "words" of Chinese finds nothing.
    """
    return characters if without_spaces("".join(texts)) else words


def _held(data) -> Held:
    """The held-out texts of one corpus."""
    texts = [text for split in ("validation", "test") for text in data[split]["text"]]
    return Held(texts, units=_units(texts))


@dataclass
class Gathered:
    """Training texts (shuffled), validation texts, the held-out texts of each file by its name
    (without those that are in a validation or test split), and a report per source."""

    train: list[str]
    validation: list[str]
    held_out: dict[str, list[str]]
    report: list[Source]


def shares(recipe: Recipe, folder: Path | None) -> dict[str, float]:
    """The files of a recipe by their names, patterns resolved, each with its share.

    Raises:
        CourseError: unknown corpus, no folder given, a file that is not there.
    """
    _refuse_unknown(recipe.text.corpora)
    if recipe.text.files and folder is None:
        raise CourseError("this recipe reads files: name their folder with --text FOLDER")
    found = {}
    for name, share in recipe.text.files.items():
        files = _matching(Path(folder), name)
        if not files:
            raise CourseError(f"the --text folder has no file {name}: add it or edit the recipe")
        found |= dict.fromkeys(files, share)
    return found


def _matching(folder: Path, name: str) -> list[str]:
    """The file of this name, or those that it is a pattern of."""
    try:
        if (folder / name).is_file():
            return [name]
        return sorted(path.relative_to(folder).as_posix() for path in folder.glob(name)
                      if path.is_file())
    except (OSError, ValueError, NotImplementedError, IndexError):  # no pattern, says pathlib
        return []


def gather(recipe: Recipe, folder: Path | None) -> Gathered:
    """All texts of a recipe.

    Raises:
        CourseError: unknown corpus, no folder given, a file that is not there; no text.
    """
    files = shares(recipe, folder)
    loaded = {name: getattr(corpora, name)() for name in recipe.text.corpora}
    validation = [t for data in loaded.values() for t in data["validation"]["text"]]
    held = [_held(data) for data in loaded.values()]
    sources = [(name, list(data["train"]["text"])) for name, data in loaded.items()]
    apart = {}
    for name, share in files.items():
        found = read_texts(Path(folder) / name, recipe.text.documents)
        found, apart[name] = split_held_out(found, recipe.text.held_out)
        sources.append((name, share_of(found, share, recipe.seed)))
        apart[name] = [text for text in apart[name] if not any(h.in_text(text) for h in held)]
    held += [Held(texts, units=_units(texts)) for texts in apart.values() if texts]
    texts, report = [], []
    for name, lines in sources:
        kept = [line for line in lines if not any(part.in_text(line) for part in held)]
        digest = hashlib.sha256("\n".join(kept).encode()).hexdigest()
        report.append(
            Source(name, len(kept), len(lines) - len(kept), sum(map(len, kept)), digest)
        )
        texts += kept
    validation = validation or [text for part in apart.values() for text in part]
    if not texts or not validation:
        missing = "training" if not texts else "validation"
        raise CourseError(f"the recipe leaves no text for {missing}: give more text, or change "
                          "held_out")
    random.Random(recipe.seed).shuffle(texts)
    return Gathered(texts, validation, apart, report)
