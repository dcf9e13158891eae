"""The comparison: what it makes of logs and measures, and what it refuses."""

import json
from statistics import mean, stdev

import numpy as np
import pytest
from scipy.stats import ttest_rel

from companion import comparison
from companion.__main__ import main
from companion.comparison import Comparison
from companion.errors import CourseError
from companion.pretraining.recipe import Recipe

BERT, NSP = {13: 5.0, 21: 5.1, 42: 5.3}, {13: 5.4, 21: 5.5, 42: 5.8}


def log(loss: float) -> list[dict]:
    return [{"step": 0, "event": "start"},
            {"step": 0, "event": "validation", "loss": 7.5, "accuracy": 0.0, "positions": 10},
            {"step": 20, "train_loss": 6.5, "tokens": 40960, "tokens_per_second": 4096},
            {"step": 30, "train_loss": 6.0, "tokens": 61440, "tokens_per_second": 10240},
            {"step": 30, "event": "validation", "loss": loss, "accuracy": 0.1, "positions": 10}]


def write(file, lines) -> None:
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf8")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "families").mkdir()
    lines = [{"variant": "baseline", "seed": 0, "majority": 0.5, "classification": 0.8,
              "real": {"bits": 6.5, "repeated": 0.1}}]
    for variant, losses in (("bert", BERT), ("bert-nsp", NSP)):
        for seed, loss in losses.items():
            write(tmp_path / "families" / f"{variant}-{seed}.jsonl", log(loss))
            lines.append({"variant": variant, "seed": seed, "parameters": 1_084_752,
                          "fill_nats": loss + 0.5, "classification": 0.7 + seed / 1000})
    write(tmp_path / "families.jsonl", lines)
    return tmp_path


def test_logs_and_measures_are_joined(folder):
    found = Comparison.read(folder)
    assert found.values("bert", "loss") == list(BERT.values())
    assert found.values("bert-nsp", "fill_nats") == pytest.approx([5.9, 6.0, 6.3])
    assert found.values("baseline", "loss") == [] and found.values("gpt", "loss") == []


def test_cost_follows_from_the_log():
    ended = comparison.ended(log(5.0))
    assert ended["seconds"] == pytest.approx(40960 / 4096 + 20480 / 10240)
    assert ended["tokens_per_second"] == pytest.approx(61440 / 12) and ended["tokens"] == 61440


def test_a_run_that_did_not_end_is_refused():
    with pytest.raises(CourseError, match="did not end"):
        comparison.ended(log(5.0)[:2])


def test_curve_counts_tokens(folder):
    assert Comparison.read(folder).curve("bert", 13) == ([0, 61440], [7.5, 5.0])


def test_differences_are_paired_by_seed(folder):
    found = Comparison.read(folder)
    assert found.differences("bert-nsp", "loss") == pytest.approx([0.4, 0.4, 0.5])
    del found.measures["bert-nsp"][21]
    assert found.differences("bert-nsp", "loss") == pytest.approx([0.4, 0.5])


def test_interval_agrees_with_scipys_paired_test():
    one, two = list(NSP.values()), list(BERT.values())
    found = ttest_rel(one, two).confidence_interval(0.95)
    middle, half = comparison.interval([a - b for a, b in zip(one, two)])
    assert (middle - half, middle + half) == pytest.approx((found.low, found.high))


@pytest.mark.parametrize(("values", "outside"), [
    ([0.4, 0.4, 0.5], True), ([-0.4, -0.4, -0.5], True), ([0.1, -0.1, 0.3], False),
    ([0.1, 0.2, 0.35], False), ([0.4], False), ([], False)])
def test_only_clear_differences_are_marked(values, outside):
    assert comparison.clear(values) == outside


def test_numbers_of_numpy_have_an_interval():
    whole = comparison.interval([1.0, 2.0, 4.0])
    assert comparison.interval(np.array([1, 2, 4])) == comparison.interval([1, np.int64(2), 4]) == whole


@pytest.mark.parametrize(("match", "arguments"), [
    ("give the differences of two seeds", ([0.4],)), ("is nan: give a number", ([0.4, float("nan")],)),
    ("share is 1: give", ([0.4, 0.5], 1)), ("share is 0: give", ([0.4, 0.5], 0)),
    ("differences is a dict", ({0.4: 1, 0.5: 2},))])
def test_what_has_no_interval_is_refused(match, arguments):
    with pytest.raises(CourseError, match=match):
        comparison.interval(*arguments)


def test_mean_and_spread_are_shown():
    values = list(BERT.values())
    assert comparison.shown(values, "{:.2f}") == f"{mean(values):.2f} ± {stdev(values):.2f}"
    assert comparison.shown([0.5], "{:.3f}") == "0.500" and comparison.shown([], "{}") == "-"
    assert comparison.shown([1_084_752] * 3, "{:.2f}M") == "1.08"
    assert comparison.shown([0.4, 0.5], "{:.1f}", "+").startswith("+0.")


def test_the_command_prints_the_table(folder, capsys):
    assert main(["compare", "--results", str(folder)]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(Comparison.read(folder).table())
    lines = printed.splitlines()
    held = [line for line in lines if line.startswith("held-out loss")]
    assert held[0].split("  ")[1].strip() == "5.13 ± 0.15"  # first part: bert
    assert "5.57 ± 0.21" in held[1]  # second part: the ablation
    marked = [line for line in lines if line.startswith("hidden token: loss")][-1]
    assert marked.endswith("+0.43 ± 0.06*")
    assert "The largest class: 0.500" in printed and "6.50 bits" in printed


def test_missing_results_are_one_line(tmp_path, capsys):
    assert main(["compare", "--results", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "name their folder with --results" in error


def test_a_run_without_measures_is_refused(folder):
    write(folder / "families" / "gpt-13.jsonl", log(5.0))
    with pytest.raises(CourseError, match="gpt-13 has a log but no measures: run"):
        Comparison.read(folder)


def test_a_damaged_file_is_refused(folder):
    (folder / "families" / "bert-13.jsonl").write_text('{"step": 1\n')
    with pytest.raises(CourseError, match="bert-13.jsonl is damaged: restore"):
        Comparison.read(folder)


# --- the results in the repository --------------------------------------------------------


def test_every_run_of_the_repository_ended_and_was_measured():
    found = Comparison.read()
    assert set(comparison.FAMILIES) <= set(found.logs)
    for variant, logs in found.logs.items():
        recipe = Recipe.read(f"families-{variant}")
        for seed, log in logs.items():
            assert log[-1]["step"] == recipe.steps, f"{variant}-{seed}"
            assert found.measures[variant][seed]["tokens"] == recipe.steps * 16 * 128


def test_the_repositorys_table_has_every_variant():
    table = Comparison.read().table()
    assert all(name in table for name in (*comparison.FAMILIES, *comparison.ABLATIONS))


def test_recipes_differ_in_what_they_say_alone():
    """One budget: text, training and head start are the same, but for bert-plain."""
    recipes = {name: Recipe.read(f"families-{name}")
               for name in (*comparison.FAMILIES, *comparison.ABLATIONS)}
    assert len({str(r.text) + str(r.training) for r in recipes.values()}) == 1
    assert {r.model.vocabulary for r in recipes.values()} == {2000}
    assert [name for name, r in recipes.items() if not r.model.head_start] == ["bert-plain"]
