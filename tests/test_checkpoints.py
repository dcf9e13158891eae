"""Loading: course checkpoints, folders, and every way in which it can go wrong."""

import json
import shutil

import pytest
import torch
from safetensors import safe_open

from companion import checkpoints
from companion.errors import CourseError
from companion.pretraining import state


@pytest.fixture
def copy(tmp_path):
    """A private copy of the course checkpoint, to be damaged."""
    return shutil.copytree(checkpoints.folder("bert-mini-en"), tmp_path / "copy")


def one_line(problem) -> str:
    message = str(problem.value)
    assert "\n" not in message and len(message) < 400
    return message


def test_course_checkpoint_is_fp16_on_disk_and_fp32_in_memory():
    model, tokenizer = checkpoints.load("bert-mini-en")
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert not model.training
    file = checkpoints.folder("bert-mini-en") / "model.safetensors"
    assert file.stat().st_size < 50e6
    with safe_open(file, "pt") as stored:
        assert {stored.get_tensor(n).dtype for n in stored.keys()} == {torch.float16}
        name = "bert.embeddings.word_embeddings.weight"
        assert torch.equal(stored.get_tensor(name).float(), model.get_input_embeddings().weight)
    assert len(tokenizer) == model.config.vocab_size
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight


def test_a_plain_copy_of_the_folder_gives_the_same_logits(copy):
    (copy / state.MANIFEST).unlink()  # a folder from elsewhere has none
    model, tokenizer = checkpoints.load("bert-mini-en")
    other, again = checkpoints.load(copy)
    ids = tokenizer("The film was [MASK].", return_tensors="pt")
    assert ids["input_ids"].tolist() == [again("The film was [MASK].")["input_ids"]]
    with torch.inference_mode():
        assert torch.equal(model(**ids).logits, other(**ids).logits)


def test_encoder_without_head():
    model, _ = checkpoints.load("bert-mini-en", kind="encoder")
    out = model(input_ids=torch.tensor([[2, 1000, 3]]))
    assert out.last_hidden_state.shape == (1, 3, model.config.hidden_size)


@pytest.mark.parametrize("file", ["model.safetensors", "tokenizer.json", "config.json"])
def test_altered_file_is_refused_by_name(copy, file):
    data = bytearray((copy / file).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / file).write_bytes(data)
    with pytest.raises(CourseError) as problem:
        checkpoints.load(copy)
    assert file in one_line(problem) and "damaged" in one_line(problem)


def test_truncated_weights_are_refused(copy):
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(CourseError, match="model.safetensors is damaged"):
        checkpoints.load(copy)


def test_missing_file_is_refused(copy):
    (copy / "tokenizer.json").unlink()
    with pytest.raises(CourseError, match="tokenizer.json is missing"):
        checkpoints.load(copy)


def test_unreadable_manifest_is_refused(copy):
    (copy / state.MANIFEST).write_text("{")
    with pytest.raises(CourseError, match="no readable sha256.json"):
        checkpoints.load(copy)


def test_every_course_checkpoint_is_whole_and_has_its_papers():
    assert "bert-mini-en" in checkpoints.COURSE
    for name in checkpoints.COURSE:
        state.verify(checkpoints.folder(name))
        names = {p.name for p in checkpoints.folder(name).iterdir()}
        listed = set(json.loads((checkpoints.folder(name) / state.MANIFEST).read_text()))
        assert names == listed | {state.MANIFEST}
        text = set() if checkpoints.kind_of(name) == "tagger" else {"text.json"}
        assert {"README.md", "LICENSE", "log.jsonl"} | text <= names
    # Its layers are the work of others, under their licence.
    assert (checkpoints.folder("bert-mini-en") / "NOTICE").is_file()


def test_wrong_names_and_kinds_say_what_to_do(monkeypatch):
    with pytest.raises(CourseError) as problem:
        checkpoints.load("bert-mini-en", kind="classifier")
    assert "masked" in one_line(problem)
    with pytest.raises(CourseError) as problem:
        checkpoints.load("bert-mini-en", kind="causal")
    assert 'load it with kind="masked"' in one_line(problem)
    with pytest.raises(CourseError) as problem:
        checkpoints.load("./no/such/folder")
    assert "no folder" in one_line(problem)
    with pytest.raises(CourseError) as problem:
        checkpoints.load("nobody/no-such-model")  # the tests run offline
    assert "network" in one_line(problem) and "bert-mini-en" in one_line(problem)
    with pytest.raises(CourseError) as problem:
        checkpoints.folder("bert-maxi-en")
    assert "bert-mini-en" in one_line(problem)


@pytest.mark.parametrize("name", [
    n for n in checkpoints.COURSE
    if n != "bert-mini-en" and checkpoints.kind_of(n) != "tagger"])
def test_the_log_of_a_checkpoint_is_of_its_recipe_and_ends_at_its_best(name):
    from companion.display import read_log
    from companion.pretraining import Recipe

    log = read_log(checkpoints.folder(name) / "log.jsonl", "validation")
    assert log[-1]["step"] == Recipe.read(name).steps
    first = checkpoints.folder(name) / "log-first.jsonl"  # of the run that this one went on from
    begun = read_log(first, "validation") if first.exists() else log
    assert log[-1]["loss"] == min(e["loss"] for e in log) < 0.6 * begun[0]["loss"]


def test_course_logs_show_two_finished_runs_that_learned():
    from companion.display import read_log
    from companion.pretraining import Recipe

    tokens, reached = 0, 3.6
    for name, file in (("bert-mini-en-first", "log-first.jsonl"), ("bert-mini-en", "log.jsonl")):
        recipe = Recipe.read(name)
        log = read_log(checkpoints.folder("bert-mini-en") / file, "validation")
        assert log[-1]["step"] == recipe.steps
        assert log[-1]["loss"] < reached and log[-1]["loss"] == min(e["loss"] for e in log)
        reached = log[-1]["loss"]
        tokens += recipe.steps * recipe.training.rows * recipe.text.row_length
    assert tokens >= 10_000_000
