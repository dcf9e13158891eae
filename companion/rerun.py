"""The first steps of a committed run, again: the same weights, rows and learning rates.

Packing all reviews takes about a minute, and the start of a run is computed from all of them.
So both are kept in a folder: the model before its first step (Hugging Face form, fp16), its
tokenizer, and the rows of the first steps. ``pretrain`` does the rest as it always does.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from companion import storage
from companion.errors import CourseError
from companion.pretraining import build
from companion.pretraining.loop import rows_of
from companion.pretraining.recipe import Recipe


def keep(recipe: Recipe, packed: Path, steps: int, folder: Path) -> None:
    """Write the start of a run: its model before the first step, and the rows it reads.

    Args:
        recipe: with the seed of the run.
        packed: the rows of the run, as ``pretrain`` keeps them.
        steps: how many steps can be repeated.
    """
    material = build.Material(
        np.load(packed / "train.npy"), np.load(packed / "validation.npy"),
        AutoTokenizer.from_pretrained(packed), None, np.load(packed / "counts.npy"))
    order = np.concatenate([rows_of(s, recipe, len(material.train)) for s in range(steps)])
    torch.manual_seed(recipe.seed)
    model = build.model(recipe, material)[0]
    write(folder, model, material.tokenizer, material.train[order], material.validation)


def write(folder: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase,
          train: np.ndarray, validation: np.ndarray) -> None:
    def fill(partial: Path) -> None:
        with build.quiet():
            model.half().save_pretrained(partial)
        tokenizer.save_pretrained(partial)
        np.savez_compressed(partial / "rows.npz", train=train, validation=validation)

    storage.write_folder(folder, fill)


def beginning(recipe: Recipe, steps: int, start: Path) -> Recipe:
    """A recipe for the first ``steps`` steps of another one, from the weights in ``start``.

    A recipe's learning rate depends on how long the training is. In the warm-up it is a
    straight line, and a shorter recipe can follow the same line with a lower peak.

    Raises:
        CourseError: steps beyond the warm-up.
    """
    t, rise = recipe.training, max(1, round(recipe.training.warmup * recipe.steps))
    if not 1 <= steps <= rise:
        raise CourseError(f"steps is {steps}, but the warm-up of {recipe.name} has {rise}: give 1 "
                          f"to {rise}")
    share = steps / rise
    return replace(
        recipe, model=replace(recipe.model, start=str(start), head_start=False, vocabulary=0,
                              config={}),
        training=replace(t, tokens=steps * t.rows * recipe.text.row_length, warmup=1.0,
                         rate=t.rate * share, matrix_rate=t.matrix_rate * share,
                         head_rate=t.head_rate * share))


def prepare(recipe: Recipe, start: Path, out: Path) -> None:
    """Put the kept rows where ``pretrain`` looks for them, so that it packs nothing.

    Raises:
        CourseError: fewer rows were kept than the recipe reads, or files are damaged.
    """
    build.run_folder(recipe, out)
    storage.verify(start)
    kept, needed = np.load(start / "rows.npz"), recipe.steps * recipe.training.rows
    if needed > len(kept["train"]):
        raise CourseError(f"{len(kept['train'])} rows were kept and the recipe reads {needed}: "
                          "give fewer steps")
    rows = np.empty_like(kept["train"][:needed])
    # The loop shuffles its rows: they are laid out so that it meets them in the old order.
    order = np.concatenate([rows_of(s, recipe, needed) for s in range(recipe.steps)])
    rows[order] = kept["train"][:needed]
    tokenizer = AutoTokenizer.from_pretrained(start)

    def fill(partial: Path) -> None:
        np.save(partial / "train.npy", rows)
        np.save(partial / "validation.npy", kept["validation"])
        np.save(partial / "counts.npy", np.bincount(rows.ravel(), minlength=len(tokenizer)))
        tokenizer.save_pretrained(partial)

    storage.write_folder(out / "packed", fill)
    storage.write_text(out / "recipe.json", build.described(recipe))
