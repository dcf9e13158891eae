"""Repeating the first steps of a run: the same losses as the run itself had."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny

from companion import rerun, storage
from companion.display import read_log
from companion.errors import CourseError
from companion.pretraining import Recipe, build, pretrain

STEPS = 40


def recipe(**training) -> Recipe:
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
             "intermediate_size": 32, "max_position_embeddings": 32, "hidden_dropout_prob": 0.0,
             "attention_probs_dropout_prob": 0.0}
    return Recipe.from_dict({
        "name": "tiny", "text": {"row_length": 16},
        "model": {"vocabulary": 120, "config": shape},
        "training": {"tokens": 100 * 8 * 16, "rows": 8, "rate": 1e-2, "precision": "no",
                     "warmup": 0.4, **training}})


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A whole run over 90 rows, so that the first steps already cross an epoch."""
    out, tokenizer = tmp_path_factory.mktemp("runs") / "whole", tiny.wordpiece()
    train = tiny.rows(tokenizer, 90, 16)

    def fill(folder: Path) -> None:
        np.save(folder / "train.npy", train)
        np.save(folder / "validation.npy", tiny.rows(tokenizer, 20, 16, seed=1))
        np.save(folder / "counts.npy", np.bincount(train.ravel(), minlength=len(tokenizer)))
        tokenizer.save_pretrained(folder)

    out.mkdir()
    storage.write_folder(out / "packed", fill)
    storage.write_text(out / "recipe.json", build.described(recipe()))
    pretrain(recipe(), out, progress=False)
    return out


@pytest.fixture(scope="module")
def start(run) -> Path:
    folder = run.parent / "start"
    rerun.keep(recipe(), run / "packed", STEPS, folder)
    return folder


def losses(out: Path) -> list[float]:
    return [e["train_loss"] for e in read_log(out / "log.jsonl") if "train_loss" in e]


def repeated(start: Path, out: Path, steps: int = STEPS, **changes) -> Path:
    short = replace(rerun.beginning(recipe(), steps, start), **changes)
    rerun.prepare(short, start, out)
    pretrain(short, out, progress=False)
    return out


def test_the_first_steps_are_repeated(run, start, tmp_path):
    again = losses(repeated(start, tmp_path / "again"))
    assert len(again) == 2 and again == pytest.approx(losses(run)[:2], abs=2e-3)


def test_the_first_validation_is_repeated(run, start, tmp_path):
    out = repeated(start, tmp_path / "again", 20)
    held = [read_log(folder / "log.jsonl", "validation")[0] for folder in (run, out)]
    assert held[0]["loss"] == pytest.approx(held[1]["loss"], abs=2e-3)
    assert held[0]["positions"] == held[1]["positions"]


def test_another_order_of_rows_is_noticed(run, start, tmp_path):
    again = losses(repeated(start, tmp_path / "again", seed=14))
    assert again != pytest.approx(losses(run)[:2], abs=2e-3)


def test_another_learning_rate_is_noticed(run, start, tmp_path):
    short = rerun.beginning(recipe(), STEPS, start)
    out = repeated(start, tmp_path / "again", training=replace(short.training, rate=2e-2))
    assert losses(out)[1] != pytest.approx(losses(run)[1], abs=2e-3)


@pytest.mark.parametrize("steps", [0, 41])
def test_only_the_warm_up_can_be_repeated(start, steps):
    with pytest.raises(CourseError, match="give 1 to 40"):
        rerun.beginning(recipe(), steps, start)


def test_more_steps_than_kept_rows_are_refused(run, tmp_path):
    rerun.keep(recipe(), run / "packed", 3, tmp_path / "short")
    with pytest.raises(CourseError, match="24 rows were kept and the recipe reads 32: give fewer"):
        rerun.prepare(rerun.beginning(recipe(), 4, tmp_path / "short"), tmp_path / "short",
                      tmp_path / "out")
