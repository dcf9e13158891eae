"""The grid of benchmarks/ner_scores.py: every cell once, resumed after any kill."""

import json
import sys
from pathlib import Path

import pytest
import tiny_ner

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))
import ner_scores  # noqa: E402

EPOCHS = {0.02: 1, 0.1: 2, 1.0: 1}


@pytest.fixture
def place(tmp_path, monkeypatch):
    tiny_ner.encoder(tmp_path / "encoder")
    monkeypatch.setattr(ner_scores, "SEEDS", (13,))
    monkeypatch.setattr(ner_scores, "SYSTEMS", {name: ner_scores.SYSTEMS[name] for name in (
        "fine-tuned, softmax", "frozen, BiLSTM-CRF", "BiLSTM-CRF from scratch",
        ner_scores.LONG[1])})
    return tmp_path


DATA = {"train": tiny_ner.examples(120), "validation": tiny_ner.examples(10, 1),
        "test": tiny_ner.examples(10, 2)}


def work(place, seconds=1e9, name="out.jsonl"):
    return ner_scores.work(DATA, str(place / "encoder"), place / name, place / f"runs-{name}",
                           seconds, epochs=EPOCHS)


def lines(place, name="out.jsonl"):
    return [json.loads(line) for line in (place / name).read_text(encoding="utf8").splitlines()]


def test_every_cell_has_one_line_and_the_second_run_adds_none(place):
    assert work(place)
    found = lines(place)
    assert [(e["system"], e["share"], e["seed"]) for e in found] == ner_scores.grid()
    assert [e["sentences"] for e in found[:4]] == [2, 12, 120, 2]
    assert all(0 <= e["test"]["f1"] <= 1 for e in found)
    long = [e for e in found if e["system"] in ner_scores.LONG]
    assert [(e["share"], e["settings"]["epochs"]) for e in long] == [(1.0, 15)]
    assert work(place) and lines(place) == found
    assert not list((place / "runs-out.jsonl").iterdir())


def test_a_grid_in_pieces_has_the_same_figures(place, monkeypatch):
    work(place)
    steps = ner_scores.Run.go

    def a_few_steps(run, seconds, progress):
        for _ in range(2):  # then the time is up
            if not run.finished:
                run.advance()
        return steps(run, 0 if not run.finished else seconds, progress)

    monkeypatch.setattr(ner_scores.Run, "go", a_few_steps)
    pieces = 0
    while not work(place, name="pieces.jsonl"):
        pieces += 1
    assert pieces >= 3
    assert lines(place) == lines(place, "pieces.jsonl")


def test_a_line_that_a_kill_has_cut_is_made_again(place):
    work(place)
    whole = (place / "out.jsonl").read_text(encoding="utf8")
    (place / "cut.jsonl").write_text(whole[:-50], encoding="utf8")
    assert work(place, name="cut.jsonl")
    text = (place / "cut.jsonl").read_text(encoding="utf8").splitlines()
    assert text[-1] == whole.splitlines()[-1] and len(text) == len(whole.splitlines()) + 1


def test_an_encoder_that_is_not_there_is_left_out_with_a_word(place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    monkeypatch.setattr(ner_scores, "SYSTEMS", {
        ner_scores.UNSHARED: ({}, {}), "BiLSTM-CRF from scratch": (None, {})})
    assert not work(place)  # not all of it is there
    assert "needs runs/albert-mini-zh-unshared/model: run its recipe" in capsys.readouterr().out
    assert {e["system"] for e in lines(place)} == {"gazetteer", "BiLSTM-CRF from scratch"}
    tiny_ner.encoder(place / "runs" / "albert-mini-zh-unshared" / "model")
    assert work(place)
    assert [e["encoder"] for e in lines(place)[-1:]] == ["runs/albert-mini-zh-unshared/model"]


def test_no_time_means_nothing_is_begun(place):
    assert not work(place, seconds=-1) and not (place / "out.jsonl").exists()
