"""A recipe: everything that decides what a checkpoint will be, in one TOML file."""

import math
import re
import tomllib
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from os.path import isfile  # Path.is_file raises at names that are too long
from pathlib import Path
from typing import Any

from companion.errors import CourseError
from companion.files import read_text
from companion.guards import door

FOLDER = Path(__file__).resolve().parents[1] / "recipes"
FILES = 'write files = ["a.txt", "b.txt"], or files = { "a.txt" = 1.0, "*.md" = 0.5 }'
OBJECTIVES = ("masked", "masked_order", "masked_next", "causal", "spans")


@dataclass
class Text:
    """Where the text comes from.

    ``corpora``: names of functions of ``companion.corpora``; training splits only. None of them,
    ``[]``, trains on the files alone; what they hold out is then the validation.
    ``files``: name of a file in the ``--text`` folder, or a pattern such as ``*.txt`` -> share of
    its lines to use; a list of names uses all of them.
    ``documents``: lines of a file up to the next empty one are one text; else every line is.
    ``held_out``: share of the texts of each file that is not read, but measured in the log.
    """

    corpora: list[str] = field(default_factory=lambda: ["movie_reviews"])
    files: dict[str, float] = field(default_factory=dict)
    row_length: int = 128
    documents: bool = False
    held_out: float = 0.0


@dataclass
class Model:
    """What is trained: ``start`` is a folder or hub id, or ``package:MODULE/FOLDER``, a
    model inside an installed package; empty means a fresh model with ``config``."""

    start: str = ""
    kind: str = "bert"
    config: dict[str, Any] = field(default_factory=dict)
    vocabulary: int = 0  # entries to train or to keep; 0 keeps all of the start model's
    # Of a fresh vocabulary: "wordpiece", "bpe" (byte-level) or "characters".
    tokenizer: str = "wordpiece"
    lowercase: bool = True
    head_start: bool = False  # see companion.pretraining.start


@dataclass
class Masking:
    """Arguments of ``companion.objectives.masked.MaskedLM``, for the other two masked ones too."""

    share: float = 0.15
    hidden: float = 0.8
    random: float = 0.1
    whole_words: bool = False
    segment: str = ""


@dataclass
class Causal:
    """Argument of ``companion.objectives.causal.CausalLM``."""

    isolate: bool = False  # as GPT-3: faster, and the model learns what ``eos`` means


@dataclass
class Spans:
    """Arguments of ``companion.objectives.spans.SpanCorruption``."""

    share: float = 0.15
    mean: float = 3.0


@dataclass
class Training:
    """The optimiser (AdamW: Loshchilov and Hutter, 2019) and its length.

    Learning rates rise linearly over the share ``warmup`` of the steps, stay, and fall linearly
    to zero over the share ``decay`` at the end: 1 falls from the end of the rise on, 0 never, so
    that another recipe can go on from any step. ``head_rate`` is for the parameters that the start model does not have. With
    ``matrix_rate`` above 0, Muon trains the hidden matrices with it (see ``optimisers``).
    """

    tokens: int = 1_000_000
    rows: int = 32  # rows a step, over all processes
    rate: float = 5e-4
    head_rate: float = 0.0  # 0 means: the same as rate
    matrix_rate: float = 0.0  # 0 means: AdamW for all
    warmup: float = 0.06
    decay: float = 1.0
    weight_decay: float = 0.01
    clip: float = 1.0
    precision: str = "auto"  # "bf16", "no", or "auto": bf16 where the device is fast at it
    evaluate_every: int = 200
    save_every: int = 200


@dataclass
class Recipe:
    """``objective`` is one of ``OBJECTIVES``; only its own section of settings takes effect."""

    name: str
    seed: int = 13
    objective: str = "masked"
    text: Text = field(default_factory=Text)
    model: Model = field(default_factory=Model)
    masking: Masking = field(default_factory=Masking)
    causal: Causal = field(default_factory=Causal)
    spans: Spans = field(default_factory=Spans)
    training: Training = field(default_factory=Training)

    @property
    def steps(self) -> int:
        return max(1, self.training.tokens // (self.training.rows * self.text.row_length))

    @classmethod
    @door
    def read(cls, path: str | Path) -> "Recipe":
        """Read a recipe from a file, or one of the course's own by its name.

        Raises:
            CourseError: no such file, not TOML, an unknown key, a value of a wrong type or
                out of range.
        """
        file = Path(path)
        if not isfile(file):
            file = FOLDER / f"{path}.toml"
        if not isfile(file):
            known = sorted(p.stem for p in FOLDER.glob("*.toml"))
            near = get_close_matches(str(path), known, 3) or known
            raise CourseError(f"no recipe {path}: give a TOML file or one of: {', '.join(near)}")
        try:
            table = tomllib.loads(read_text(file))
        except tomllib.TOMLDecodeError as problem:
            raise CourseError(f"{file.name} is not valid TOML: {problem}") from None
        return cls.from_dict(table, file.name)

    @classmethod
    @door
    def from_dict(cls, table: dict[str, Any], where: str = "recipe") -> "Recipe":
        """Build a recipe from nested dictionaries, refusing what it does not know."""
        sections = {"text": Text, "model": Model, "masking": Masking, "causal": Causal,
                    "spans": Spans, "training": Training}
        values: dict[str, Any] = {}
        for key, value in table.items():
            if key in sections:
                values[key] = _section(sections[key], value, f"{where}, [{key}]")
            elif key in ("name", "seed", "objective"):
                if type(value) is not {"seed": int}.get(key, str):
                    raise CourseError(f"{where}: '{key}' is {value!r}: give a text for name and "
                                      "objective, a whole number for seed")
                values[key] = value
            else:
                raise CourseError(f"{where} has an unknown key '{key}': remove it or mend its name")
        if not values.get("name"):
            raise CourseError(f'{where} has no name: add a line name = "..."')
        if not re.fullmatch(r"[\w][\w .+-]*", values["name"]):  # files and folders are called so
            raise CourseError(f"{where}: the name is {values['name']!r}: use letters, digits, '-', "
                              "'_' and '.' alone")
        recipe = cls(**values)
        _check_ranges(recipe, where)
        return recipe


def _check_ranges(recipe: Recipe, where: str) -> None:
    text, model, m, t = recipe.text, recipe.model, recipe.masking, recipe.training
    spans, shares = recipe.spans, text.files.values()
    rules = {
        f"objective must be {', '.join(OBJECTIVES[:-1])} or {OBJECTIVES[-1]}":
            recipe.objective in OBJECTIVES,
        "seed must not be negative, and below 2**32": 0 <= recipe.seed < 2**32,
        "[text] has neither corpora nor files: name some text": bool(text.corpora or text.files),
        "[text] without corpora needs held_out above 0, such as held_out = 0.02: those texts of "
        "the files are the validation": bool(text.corpora) or text.held_out > 0,
        f"[text] files needs shares above 0, at most 1: {FILES}":
            all(type(s) in (int, float) and 0 < s <= 1 for s in shares),
        "[text] row_length must be at least 3": text.row_length >= 3,
        "[model] vocabulary must be above 5 for a fresh model":
            model.vocabulary > 5 or (bool(model.start) and model.vocabulary >= 0),
        "[model] tokenizer must be wordpiece, bpe or characters":
            model.tokenizer in ("wordpiece", "bpe", "characters"),
        "[model] head_start is for a fresh model: remove it or start":
            not (model.head_start and model.start),
        "[masking] share must be between 0 and 1": 0 < m.share < 1,
        "[spans] share must be between 0 and 1": 0 < spans.share < 1,
        "[spans] mean must be at least 1, and longer for a large share":
            spans.mean >= 1 and spans.share / spans.mean <= 1 - spans.share,
        "[masking] segment must be jieba or empty, and jieba needs whole_words = true":
            m.segment == "" or (m.segment == "jieba" and m.whole_words),
        "[masking] hidden and random must be shares whose sum is at most 1":
            m.hidden >= 0 and m.random >= 0 and m.hidden + m.random <= 1,
        "[training] tokens, rows, evaluate_every and save_every must be at least 1":
            min(t.tokens, t.rows, t.evaluate_every, t.save_every) >= 1,
        "[training] rate and clip must be above 0": t.rate > 0 and t.clip > 0,
        "[training] head_rate, matrix_rate and weight_decay must not be negative":
            min(t.head_rate, t.matrix_rate, t.weight_decay) >= 0,
        "[text] held_out must be a share from 0 to below 1": 0 <= text.held_out < 1,
        "[training] warmup and decay must be shares from 0 to 1":
            0 <= t.warmup <= 1 and 0 <= t.decay <= 1,
        "[training] precision must be auto, bf16 or no": t.precision in ("auto", "bf16", "no"),
    }
    for rule, kept in rules.items():
        if not kept:
            raise CourseError(f"{where}: {rule}")


def _section(kind: type, table: Any, where: str):
    if not isinstance(table, dict):
        raise CourseError(f"{where} is {table!r}: make it a table, with one 'key = value' a line")
    table = dict(table)  # the caller's stays as it is
    known = {f.name: f for f in fields(kind)}
    blank = kind()
    for key, value in table.items():
        if key not in known:
            raise CourseError(f"{where} has an unknown key '{key}': use {', '.join(known)}")
        expected = type(getattr(blank, key))
        if key == "files":
            table[key] = value = _files(value, where)
        if expected is float and type(value) is int:
            table[key] = value = float(value)
        if expected is float and isinstance(value, float) and not math.isfinite(value):
            raise CourseError(f"{where}: '{key}' is {value!r}: give a number")
        if type(value) is not expected:  # exact, because True is an instance of int
            raise CourseError(f"{where}: '{key}' is {value!r}, but must be a {expected.__name__}")
    return kind(**table)


def _files(value: Any, where: str) -> dict[str, Any]:
    """A list of names means all of each; whether shares are in range is checked later."""
    names = [value] if isinstance(value, str) else value
    if isinstance(names, list) and all(isinstance(name, str) and name for name in names):
        return dict.fromkeys(names, 1.0)
    if not isinstance(value, dict):
        raise CourseError(f"{where}: 'files' is {value!r}: {FILES}")
    return value
