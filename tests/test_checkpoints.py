"""Loading: course checkpoints, folders, and every way in which it can go wrong."""

import json
import logging
import shutil

import pytest
import tiny_prompts
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModel,
    AutoModelForTokenClassification,
    BertForPreTraining,
    CanineConfig,
    CanineForTokenClassification,
    CanineTokenizer,
)

from companion import checkpoints, storage
from companion.errors import CourseError
from companion.pretraining import build


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
    (copy / storage.MANIFEST).unlink()  # a folder from elsewhere has none
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


GARBAGE = {
    "model.safetensors": [b"x" * 100, b"", "cut"],
    "config.json": [b"[]", b"{", b'{"model_type": "bert", "hidden_size": "64"}'],
    "tokenizer.json": [b"{}", b"[", "cut"],
}


@pytest.mark.parametrize("file, content", [(file, content) for file, contents in GARBAGE.items()
                                           for content in contents])
def test_damage_without_a_manifest_is_said_in_one_line(copy, file, content):
    (copy / storage.MANIFEST).unlink()
    damaged = copy / file
    damaged.write_bytes(damaged.read_bytes()[:5000] if content == "cut" else content)
    with pytest.raises(CourseError) as problem:
        checkpoints.load(copy)
    assert one_line(problem).endswith(": check its files")
    assert f"{copy} cannot be loaded as a masked model" in one_line(problem)


def test_weights_of_another_size_are_refused(copy):
    (copy / storage.MANIFEST).unlink()
    config = json.loads((copy / "config.json").read_text())
    config["hidden_size"] *= 2
    (copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(CourseError, match="weights have other sizes than config.json says"):
        checkpoints.load(copy)


# --- weights that are not there -------------------------------------------------------------


def stored(folder, model, tokenizer, change=lambda weights: weights):
    """A folder with the model, its weights changed as a published file may differ."""
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    file = folder / "model.safetensors"
    save_file(change(load_file(file)), file, metadata={"format": "pt"})
    return folder


def as_published(weights):
    """Old names of layer normalisation, positions stored, the tied output layer not."""
    names = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
    kept = {}
    for name, values in weights.items():
        for new, old in names.items():
            name = name.replace(new, old)
        if "decoder" not in name:
            kept[name] = values
    return kept | {"bert.embeddings.position_ids": torch.arange(64)[None]}


def with_decoder(weights):
    """The tied output layer stored under all of its names."""
    bias = next(name for name in weights if name in ("cls.predictions.bias", "lm_head.bias"))
    words = next(name for name in weights if name.endswith("word_embeddings.weight"))
    decoder = bias.replace(".bias", ".decoder.")
    return weights | {f"{decoder}weight": weights[words].clone(),
                      f"{decoder}bias": weights[bias].clone()}


def test_a_bert_as_published_is_loaded_whole(tmp_path):
    model, tokenizer = tiny_prompts.pair("bert")
    whole = BertForPreTraining(model.config).eval()
    stored(tmp_path, whole, tokenizer, as_published)
    ids = torch.tensor([[2, 30, 40, 3]])
    loaded, _ = checkpoints.load(tmp_path)
    with torch.no_grad():
        assert torch.equal(loaded(ids).logits, whole(ids).prediction_logits)
        encoder, _ = checkpoints.load(tmp_path, "encoder")
        assert torch.equal(encoder(ids).last_hidden_state, whole.bert(ids).last_hidden_state)


@pytest.mark.parametrize("family", ["bert", "roberta", "albert"])
def test_tied_weights_may_be_stored_once_or_twice(family, tmp_path):
    model, tokenizer = tiny_prompts.pair(family)
    ids = torch.tensor([[2, 30, 40, 3]])
    for number, change in enumerate([lambda w: w] + [with_decoder] * (family != "albert")):
        loaded, _ = checkpoints.load(stored(tmp_path / str(number), model, tokenizer, change))
        with torch.no_grad():
            assert torch.equal(loaded(ids).logits, model(ids).logits)


def test_another_name_of_weights_that_are_there_is_not_missed():
    """Some versions of transformers report it."""
    model, _ = tiny_prompts.pair("bert")
    checkpoints._refuse_untrained("x", "masked", model, {"cls.predictions.decoder.weight"})
    with pytest.raises(CourseError, match="x has no masked-LM head"):
        checkpoints._refuse_untrained("x", "masked", model, {
            "cls.predictions.decoder.bias", "cls.predictions.bias"})


@pytest.mark.parametrize("family", ["bert", "roberta", "albert"])
def test_a_head_that_was_never_trained_is_refused(family, tmp_path):
    model, tokenizer = tiny_prompts.pair(family)
    for auto, own in ((AutoModelForTokenClassification, "tagger"), (AutoModel, "encoder")):
        stored(tmp_path, auto.from_config(model.config), tokenizer)
        with pytest.raises(CourseError) as problem:
            checkpoints.load(tmp_path)
        assert "has no masked-LM head" in one_line(problem)
        assert one_line(problem).endswith(f': load it with kind="{own}", as it was trained')
        checkpoints.load(tmp_path, own)
    with pytest.raises(CourseError, match='no head for tags .* load it with kind="encoder"'):
        checkpoints.load(tmp_path, "tagger")


def test_a_copy_of_the_tagger_is_no_masked_model(tmp_path):
    copy = shutil.copytree(checkpoints.folder("albert-ner-zh"), tmp_path / "copy")
    (copy / storage.MANIFEST).unlink()
    with pytest.raises(CourseError, match='no masked-LM head .* load it with kind="tagger"'):
        checkpoints.load(copy)


def test_a_layer_that_is_missing_is_refused(tmp_path):
    model, tokenizer = tiny_prompts.pair("bert")
    stored(tmp_path, model, tokenizer,
           lambda weights: {n: w for n, w in weights.items() if "layer.1.attention" not in n})
    for kind in ("masked", "encoder"):
        with pytest.raises(CourseError, match="lacks 10 of the weights .*: check its files"):
            checkpoints.load(tmp_path, kind)


# --- tokenizers ---------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["bert", "roberta", "albert"])
def test_a_folder_without_a_tokenizer_is_refused(family, tmp_path):
    model, tokenizer = tiny_prompts.pair(family)
    model.save_pretrained(tmp_path)
    with pytest.raises(CourseError) as problem:
        checkpoints.load(tmp_path)
    assert "no tokenizer.json, vocab.txt, spiece.model" in one_line(problem)
    tokenizer.save_pretrained(tmp_path)
    assert len(checkpoints.load(tmp_path)[1]) == len(tokenizer)


def test_a_tokenizer_of_special_tokens_alone_is_refused():
    from transformers import BertTokenizer

    with pytest.raises(CourseError, match="x has no vocabulary: put the files"):
        checkpoints.refuse_tokenizer("x", BertTokenizer())


def test_a_slow_tokenizer_is_refused(tmp_path):
    with pytest.raises(CourseError, match=r"x has a slow tokenizer \(CanineTokenizer\): use"):
        checkpoints.refuse_tokenizer("x", CanineTokenizer())
    CanineForTokenClassification(CanineConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
    )).save_pretrained(tmp_path)
    CanineTokenizer().save_pretrained(tmp_path)
    with pytest.raises(CourseError, match="cannot be loaded"):
        checkpoints.load(tmp_path, "tagger")


# --- names --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [None, 3, "", ["bert-mini-en"]])
def test_a_name_that_is_none_is_refused(name):
    with pytest.raises(CourseError, match="the name of the model is .*: give a course checkpoint"):
        checkpoints.load(name)


def test_a_kind_that_is_no_text_is_refused():
    with pytest.raises(CourseError, match="the kind is of type list: use one of"):
        checkpoints.load("bert-mini-en", [])


def test_attempts_to_reach_the_hub_are_not_listed():
    log = logging.getLogger("huggingface_hub.utils._http")
    assert log.isEnabledFor(logging.WARNING)
    with build.quiet():
        assert not log.isEnabledFor(logging.WARNING) and log.isEnabledFor(logging.ERROR)
    assert log.isEnabledFor(logging.WARNING)


def test_missing_file_is_refused(copy):
    (copy / "tokenizer.json").unlink()
    with pytest.raises(CourseError, match="tokenizer.json is missing"):
        checkpoints.load(copy)


def test_unreadable_manifest_is_refused(copy):
    (copy / storage.MANIFEST).write_text("{")
    with pytest.raises(CourseError, match="no readable sha256.json"):
        checkpoints.load(copy)


def test_every_course_checkpoint_is_whole_and_has_its_papers():
    assert "bert-mini-en" in checkpoints.COURSE
    for name in checkpoints.COURSE:
        storage.verify(checkpoints.folder(name))
        names = {p.name for p in checkpoints.folder(name).iterdir()}
        listed = set(json.loads((checkpoints.folder(name) / storage.MANIFEST).read_text()))
        assert names == listed | {storage.MANIFEST}
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


@pytest.mark.parametrize("name, meant", [
    ("albert-mini-cn", "albert-mini-zh"), ("bert-mini", "bert-mini-en"), ("gpt_mini_en", "gpt-mini-en"),
    ("Bert-Mini-EN", "bert-mini-en"), ("bert-base-uncased", None), ("albert-base-v2", None),
    ("gpt2", None), ("google/bert-mini-en", None)])
def test_a_slip_in_a_name_is_answered_before_any_network(name, meant, monkeypatch):
    def asked(*_, **__):
        raise OSError("network")

    monkeypatch.setattr(checkpoints.transformers.AutoModelForMaskedLM, "from_pretrained", asked)
    with pytest.raises(CourseError) as problem:
        checkpoints.load(name)
    assert ("network" if meant is None else f"did you mean {meant}?") in one_line(problem)


def test_the_folder_of_a_causal_model_is_not_called_damaged(tmp_path):
    shutil.copytree(checkpoints.folder("gpt-mini-en"), tmp_path / "own")
    with pytest.raises(CourseError) as problem:
        checkpoints.load(tmp_path / "own")
    assert 'of the kind gpt2, which has no masked-LM head: load it with kind="causal"' \
        in one_line(problem)


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
