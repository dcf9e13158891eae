"""What every contender is given: the same rows, tokenizer, model and length of run."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from companion.corpora import movie_reviews
from companion.pretraining.recipe import Model, Recipe, Text, Training
from companion.tokenization import pack, train_wordpiece

LAYERS, WIDTH, HEADS, INNER, VOCABULARY = 4, 256, 4, 1024, 12_000
ROWS, LENGTH, SHARE = 64, 128, 0.15
DROPOUT = 0.1  # the default of BertConfig


@dataclass
class Plan:
    """How much is measured. Steps are optimiser steps of ROWS rows."""

    reviews: int = 4000
    warmup: int = 2
    steps: int = 6
    compared: int = 10  # steps whose losses are compared with plain torch
    profiled: int = 4
    squares: tuple[int, ...] = (1024, 2048, 4096)  # sizes of the products that show the peak

    @classmethod
    def smallest(cls) -> "Plan":
        """One step of everything."""
        return cls(warmup=0, steps=1, compared=1, profiled=1, squares=(64,))

    def save(self, folder: Path) -> None:
        (folder / "plan.json").write_text(json.dumps(asdict(self)), encoding="utf8")

    @classmethod
    def load(cls, folder: Path) -> "Plan":
        return cls(**json.loads((folder / "plan.json").read_text(encoding="utf8")))


def write_rows(folder: Path, plan: Plan) -> np.ndarray:
    """Train the tokenizer, pack the reviews, keep both in ``folder``. Shape (rows, LENGTH)."""
    texts = movie_reviews()["train"].select(range(plan.reviews))["text"]
    tokenizer = train_wordpiece(texts, VOCABULARY)
    if len(tokenizer) != VOCABULARY:
        raise SystemExit(f"the vocabulary has {len(tokenizer)} entries: take more reviews")
    rows = pack(texts, tokenizer, LENGTH)
    tokenizer.save_pretrained(folder)
    np.save(folder / "rows.npy", rows)
    plan.save(folder)
    return rows


def read_rows(folder: Path) -> tuple[np.ndarray, PreTrainedTokenizerBase]:
    """What ``write_rows`` has kept."""
    return np.load(folder / "rows.npy"), AutoTokenizer.from_pretrained(folder)


def recipe(steps: int, precision: str = "auto", dropout: float = DROPOUT) -> Recipe:
    """The model and the batch as a recipe of the course."""
    config = {"num_hidden_layers": LAYERS, "hidden_size": WIDTH, "num_attention_heads": HEADS,
              "intermediate_size": INNER, "hidden_dropout_prob": dropout,
              "attention_probs_dropout_prob": dropout}
    return Recipe(
        "benchmark",
        text=Text(row_length=LENGTH),
        model=Model(kind="bert", config=config, vocabulary=VOCABULARY),
        training=Training(tokens=steps * ROWS * LENGTH, rows=ROWS, rate=5e-4,
                          precision=precision),
    )
