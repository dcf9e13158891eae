"""Training a tagger: rates, batches, early stopping, resuming; and broken copies that fail."""

import numpy as np
import pytest
import tiny_ner
import torch
from hypothesis import given
from hypothesis import strategies as st

from companion.errors import CourseError
from companion.ner import training
from companion.ner.batching import reading_batches, training_batches, width_of
from companion.ner.tagger import AlbertTagger
from companion.ner.training import Run, Settings, level, parameter_groups

QUICK = Settings(epochs=3, patience=3, size=8, rate=3e-3, head_rate=1e-2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_ner.encoder(tmp_path_factory.mktemp("encoder"), initializer_range=0.05)


@pytest.fixture(scope="module")
def sentences():
    return tiny_ner.examples(40), tiny_ner.examples(16, seed=1)


def trained(folder, sentences, out=None, settings=QUICK, pieces=None, **arguments):
    tagger = AlbertTagger.new(folder, **arguments)
    run = Run(tagger, *map(tagger.rows, sentences), settings, out)
    if pieces:
        for _ in range(pieces):
            run.advance()
        run._save()
        return run
    assert run.go(progress=False)
    return run


# --- batches ----------------------------------------------------------------------------------

@given(lengths=st.lists(st.integers(1, 200), min_size=1, max_size=300), size=st.integers(1, 40),
       seed=st.integers(0, 9), epoch=st.integers(0, 9))
def test_every_row_is_in_one_batch_of_an_epoch(lengths, size, seed, epoch):
    batches = training_batches(lengths, size, seed, epoch)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    assert max(map(len, batches)) <= size and len(batches) == -(-len(lengths) // size)


@given(lengths=st.lists(st.integers(1, 200), max_size=200), tokens=st.integers(1, 1000))
def test_reading_batches_hold_every_row_once_and_few_tokens(lengths, tokens):
    batches = list(reading_batches(lengths, tokens))
    assert sorted(i for b in batches for i in b) == list(range(len(lengths)))
    for batch in batches:
        width = width_of(max(lengths[i] for i in batch))
        assert len(batch) == 1 or len(batch) * width <= tokens


def test_batches_are_alike_in_length_and_others_every_epoch():
    lengths = np.random.default_rng(0).integers(5, 120, 3000)
    one, two = (training_batches(lengths, 32, 13, epoch) for epoch in (0, 1))
    assert [b.tolist() for b in one] != [b.tolist() for b in two]
    assert [b.tolist() for b in one] == [b.tolist() for b in training_batches(lengths, 32, 13, 0)]
    padded = sum(len(b) * width_of(lengths[b].max()) for b in one)
    assert padded < 1.15 * lengths.sum()
    assert len({width_of(lengths[b].max()) for b in one}) <= 15
    # In no order of length, or the last steps of every epoch would see long sentences only.
    widths = [lengths[b].mean() for b in one]
    assert abs(np.corrcoef(widths, range(len(widths)))[0, 1]) < 0.3


# --- learning rates ---------------------------------------------------------------------------

def rates(network, settings):
    by_id = {id(p): group["lr"] for group in parameter_groups(network, settings)
             for p in group["params"]}
    return {name: by_id[id(p)] for name, p in network.named_parameters()}


def test_shared_layers_have_one_rate_and_the_head_another(folder):
    network = AlbertTagger.new(folder, task="bilstm", head="crf").network
    found = rates(network, Settings(rate=1e-4, head_rate=1e-3))
    assert {r for n, r in found.items() if n.startswith("encoder.")} == {1e-4}
    assert {r for n, r in found.items() if not n.startswith("encoder.")} == {1e-3}
    assert {n.split(".")[0] for n, r in found.items() if r == 1e-3} == {"rnn", "classifier", "crf"}


def test_each_layer_of_a_bert_learns_slower_than_the_one_above(tmp_path):
    network = AlbertTagger.new(tiny_ner.encoder(tmp_path, "bert", layers=3)).network
    found = rates(network, Settings(rate=1e-3, head_rate=1e-2, layer_decay=0.5))
    by_level = {}
    for name, rate in found.items():
        by_level.setdefault(level(name), set()).add(rate)
    assert by_level == {0: {1.25e-4}, 1: {2.5e-4}, 2: {5e-4}, 3: {1e-3}, None: {1e-2}}


def test_weight_decay_is_of_matrices_only(folder):
    for group in parameter_groups(AlbertTagger.new(folder).network, Settings(weight_decay=0.3)):
        assert {p.ndim > 1 for p in group["params"]} == {group["weight_decay"] == 0.3}


def test_frozen_encoder_is_in_no_group_and_does_not_move(folder, sentences):
    run = trained(folder, sentences, task="bilstm", head="crf", frozen=True,
                  settings=Settings(epochs=1, size=8))
    fresh = AlbertTagger.new(folder)
    for name, tensor in fresh.network.encoder.state_dict().items():
        assert torch.equal(tensor, run.tagger.network.encoder.state_dict()[name])
    names = {id(p) for g in parameter_groups(run.tagger.network, QUICK) for p in g["params"]}
    assert not names & {id(p) for p in run.tagger.network.encoder.parameters()}


def test_remembered_states_train_the_same_as_a_frozen_encoder_that_runs_each_time(
        folder, sentences, monkeypatch):
    settings = Settings(epochs=1, size=8, precision="no")
    with_states = trained(folder, sentences, frozen=True, settings=settings)
    monkeypatch.setattr(training, "remember", lambda *_: None)
    without = trained(folder, sentences, frozen=True, settings=settings)
    assert with_states.train.states is not None and without.train.states is None
    assert with_states.log[0]["loss"] == pytest.approx(without.log[0]["loss"], abs=2e-3)


def test_rates_rise_and_fall(folder, sentences):
    tagger = AlbertTagger.new(folder)
    run = Run(tagger, *map(tagger.rows, sentences), Settings(epochs=4, size=8, warmup=0.2))
    seen = []
    while run.step < run.steps:
        run.one_step()
        seen.append(run.adamw.param_groups[0]["lr"])
    top = int(np.argmax(seen))
    assert seen[top] == pytest.approx(Settings().rate) and top == 3
    assert seen == sorted(seen[: top + 1]) + sorted(seen[top + 1 :], reverse=True)


# --- the loop ---------------------------------------------------------------------------------

@pytest.mark.parametrize("kind", [dict(), dict(head="crf"), dict(task="bilstm", head="crf")],
                         ids=str)
def test_it_learns(folder, sentences, kind):
    run = trained(folder, sentences, settings=Settings(epochs=8, size=8, rate=5e-3,
                                                       head_rate=2e-2, patience=8), **kind)
    assert run.log[-1]["loss"] < 0.5 * run.log[0]["loss"]
    assert max(e["f1"] for e in run.log) > 0.4 > 0.2 > run.log[0]["f1"]


def test_baseline_learns(sentences):
    tagger = AlbertTagger.from_scratch(tiny_ner.tokenizer(), width=16)
    log = training.train(tagger, *sentences, Settings(epochs=12, size=8, rate=2e-2,
                                                      head_rate=2e-2, patience=12), progress=False)
    assert max(e["f1"] for e in log) > 0.7


def test_the_best_parameters_are_kept(folder, sentences):
    # So high a rate that the score goes up and down.
    run = trained(folder, sentences, settings=Settings(epochs=6, patience=6, size=8, rate=5e-3,
                                                       head_rate=3e-2))
    best = max(e["f1"] for e in run.log)
    assert run.tagger.f1(run.validation, run._bf16) == pytest.approx(best, abs=1e-5)


def test_training_stops_when_the_score_does_not_rise(folder, sentences, monkeypatch):
    scores = iter([0.1, 0.5, 0.4, 0.5, 0.3, 0.9])
    monkeypatch.setattr(AlbertTagger, "f1", lambda *_: next(scores))
    run = trained(folder, sentences, settings=Settings(epochs=9, patience=3, size=8))
    # The same score again is no rise: 3 epochs after the second, it ends.
    assert [e["f1"] for e in run.log] == [0.1, 0.5, 0.4, 0.5, 0.3]


@pytest.mark.parametrize("pieces", [2, 5, 7])
def test_a_run_that_was_stopped_ends_with_the_same_bits(folder, sentences, tmp_path, pieces):
    whole = trained(folder, sentences, tmp_path / "whole")
    trained(folder, sentences, tmp_path / "cut", pieces=pieces)
    resumed = trained(folder, sentences, tmp_path / "cut")
    assert resumed.log == whole.log
    ours, theirs = resumed.tagger.network.state_dict(), whole.tagger.network.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert (tmp_path / "cut" / "log.jsonl").read_text() == \
        (tmp_path / "whole" / "log.jsonl").read_text()


def test_go_for_a_time_keeps_the_state(folder, sentences, tmp_path):
    tagger = AlbertTagger.new(folder)
    run = Run(tagger, *map(tagger.rows, sentences), QUICK, tmp_path)
    assert run.go(seconds=0, progress=False) is False
    assert list(tmp_path.glob("step-*"))


def test_a_finished_run_is_finished_at_once(folder, sentences, tmp_path):
    whole = trained(folder, sentences, tmp_path)
    again = AlbertTagger.new(folder)
    run = Run(again, *map(again.rows, sentences), QUICK, tmp_path)
    assert run.finished and run.go(progress=False)
    ours, theirs = again.network.state_dict(), whole.tagger.network.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_folder_of_other_settings_is_refused(folder, sentences, tmp_path):
    trained(folder, sentences, tmp_path, pieces=1)
    with pytest.raises(CourseError, match="other sentences: name another"):
        trained(folder, sentences, tmp_path, settings=Settings(epochs=9))


def test_nothing_to_train_on_and_a_loss_that_explodes(folder, sentences):
    with pytest.raises(CourseError, match="no sentences"):
        trained(folder, ([], sentences[1]))
    with pytest.raises(CourseError, match="lower the learning rates"):
        trained(folder, sentences, settings=Settings(epochs=30, size=8, rate=1e30, head_rate=1e30,
                                                     clip=1e30))


@pytest.mark.parametrize("other", [
    dict(pretrained=False), dict(seed=14), dict(head="crf"), dict(frozen=True),
    dict(task="bilstm"), dict(scheme="BIOES")], ids=str)
def test_a_run_of_another_tagger_is_refused(folder, sentences, tmp_path, other):
    """Else two taggers with one folder would end with the same numbers, and nobody would know."""
    trained(folder, sentences, tmp_path / "run")
    with pytest.raises(CourseError, match="another tagger.*name another folder"):
        trained(folder, sentences, tmp_path / "run", **other)


def test_rows_that_hold_one_encoders_output_are_refused_by_another(folder, sentences):
    frozen = AlbertTagger.new(folder, frozen=True)
    rows = [frozen.rows(part) for part in sentences]
    Run(frozen, *rows, QUICK)
    Run(frozen, *rows, QUICK)  # the same encoder may read them again
    other = AlbertTagger.new(folder)
    with pytest.raises(CourseError, match=r"another encoder's output: make new ones"):
        Run(other, *rows, QUICK)
    with pytest.raises(CourseError, match=r"another encoder's output: make new ones"):
        other.f1(rows[1])


@pytest.mark.parametrize("wrong", [dict(epochs=0), dict(size=0)], ids=str)
def test_settings_that_train_nothing_are_refused(wrong):
    with pytest.raises(CourseError, match="at least 1"):
        Settings(**wrong)


def test_an_entity_of_an_unknown_type_is_refused(folder):
    tagger = AlbertTagger.new(folder, types=("PER", "LOC"))
    with pytest.raises(CourseError, match="type 'ORG'.*types="):
        tagger.rows(tiny_ner.examples(40))
