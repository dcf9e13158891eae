"""From a finished run to a course checkpoint, without a run."""

import json

import pytest
import tiny
import tiny_runs
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoTokenizer

from companion import storage
from companion.errors import CourseError
from companion.pretraining import build
from companion.pretraining.tasks import TASKS
from companion.tokenization import train_bpe
from tools import ship


@pytest.fixture
def finished(tmp_path, monkeypatch):
    """Makes the folder of a finished run of an objective; what is shipped goes beside it."""
    monkeypatch.setattr(ship, "MODELS", tmp_path / "models")

    def make(objective, start="", name="tiny-en"):
        recipe = tiny_runs.recipe(objective=objective)
        train = train_bpe(tiny.texts(200), 300) if objective == "causal" else tiny.wordpiece()
        tokenizer = TASKS[objective].prepare(train, recipe)
        rows = TASKS[objective].pack(tiny.texts(60), tokenizer, 16)
        model, _ = build.model(recipe, build.Material(rows, rows, tokenizer, None, None))
        run = tmp_path / "runs" / name
        (run / "packed").mkdir(parents=True)

        def fill(folder):
            model.save_pretrained(folder)
            tokenizer.save_pretrained(folder)

        storage.write_folder(run / "model", fill)
        recipe.model.start = start
        (run / "recipe.json").write_text(build.described(recipe))
        (run / "log.jsonl").write_text(f'{{"step": 0, "of": "{objective}"}}\n')
        (run / "packed" / "text.json").write_text("[]\n")
        return run, model, tokenizer

    return make


@pytest.mark.parametrize("objective, kind", [("masked", AutoModelForMaskedLM),
                                             ("causal", AutoModelForCausalLM)])
def test_the_shipped_model_is_the_trained_one_in_half_precision(finished, objective, kind):
    run, model, tokenizer = finished(objective)
    folder = ship.ship(run, "tiny-en")
    storage.verify(folder)
    assert {t.dtype for t in load_file(folder / "model.safetensors").values()} == {torch.float16}
    shipped, read = kind.from_pretrained(folder, dtype=torch.float32), AutoTokenizer.from_pretrained(folder)
    for name, parameter in model.named_parameters():
        assert torch.equal(shipped.get_parameter(name), parameter.half().float())
    text = tiny.texts(1, 9)[0]
    assert read(text)["input_ids"] == tokenizer(text)["input_ids"]
    assert read.model_max_length == model.config.max_position_embeddings
    dropout = {"masked": "hidden_dropout_prob", "causal": "resid_pdrop"}[objective]
    assert getattr(shipped.config, dropout) == 0.1
    assert (folder / "log.jsonl").read_bytes() == (run / "log.jsonl").read_bytes()
    assert not (folder / "log-first.jsonl").exists()


def test_what_was_written_by_hand_stays_and_the_runs_before_are_remembered(finished):
    first, _, _ = finished("causal", name="tiny-en-first")
    second, _, _ = finished("spans", start=str(first / "model"), name="tiny-en-second")
    run, _, _ = finished("masked", start=str(second / "model"))
    folder = ship.ship(run, "tiny-en")
    (folder / "README.md").write_text("a card")
    with pytest.raises(CourseError, match="README.md"):
        ship.rehash("tiny-en")
        storage.write_text(folder / "README.md", "changed")
        storage.verify(folder)
    ship.rehash("tiny-en")
    storage.verify(folder)
    ship.ship(run, "tiny-en")
    assert (folder / "README.md").read_text() == "changed"
    for part, objective in (("", "masked"), ("-second", "spans"), ("-first", "causal")):
        assert json.loads((folder / f"log{part}.jsonl").read_text())["of"] == objective
        assert (folder / f"text{part}.json").is_file()


def test_a_damaged_run_is_not_shipped(finished):
    run, _, _ = finished("masked")
    (run / "model" / "config.json").write_text("{}")
    with pytest.raises(CourseError, match="damaged"):
        ship.ship(run, "tiny-en")
