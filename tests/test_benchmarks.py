"""Every program in benchmarks/ runs to its end at its smallest setting. No time is asserted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from companion import corpora
from companion.ner import people, schemes
from tools.pages import ROOT

FOLDER = ROOT / "benchmarks"
SMALLEST = ["--smallest", "--out", "OUT"]
# What is run one after the other, and the files that are there at the end.
QUICK = {
    "bert_mini_en": ([["bert_mini_en", *SMALLEST]], ["bert_mini_en.json"]),
    "prompting": ([["prompting", *SMALLEST]], ["prompting.json", "prompting.md"]),
}
SLOW = {
    "lessons": ([["lessons"]], []),
    "entities_en": ([["entities_en", *SMALLEST]], ["entities_en.json"]),
    "albert_mini_zh": ([["albert_mini_zh", *SMALLEST, "--text", "TEXT"]], ["albert_mini_zh.json"]),
    "article_faults": ([["article_faults", part, *SMALLEST]
                        for part in ("asking", "classes", "tuning")], ["article_faults.json"]),
    "contrastive": ([["contrastive", *SMALLEST]], ["contrastive.json"]),
    "dynamic_masking": ([["dynamic_masking", *SMALLEST]], ["dynamic_masking.json"]),
    "entities_zh": ([["entities_zh", *SMALLEST]], ["entities_zh.json"]),
    "families": ([["families", "train", *SMALLEST, "--runs", "OUT/runs"],
                  ["families_measure", *SMALLEST, "--runs", "OUT/runs"],
                  ["families_measure", "--start", *SMALLEST, "--runs", "OUT/runs"]],
                 ["families.jsonl", "families/bert-13.jsonl", "families/start/rows.npy"]),
    "fewshot": ([["fewshot", *SMALLEST], ["fewshot", "--task", "shopping", *SMALLEST]],
                ["fewshot.jsonl", "fewshot_shopping.jsonl"]),
    "gpt_mini_en": ([["gpt_mini_en", *SMALLEST]], ["gpt_mini_en.json"]),
    "learned_pooling": ([["learned_pooling", *SMALLEST]], ["learned_pooling.json"]),
    "literal_prompting": ([["literal_prompting"]], []),
    "ner": ([["ner", *SMALLEST]], ["ner.json", "ner.md"]),
    "ner_scores": ([["ner_scores", *SMALLEST]], ["ner_scores.jsonl"]),
    "news_tagger": ([["news_tagger", "--data", "TAGGED", "--out", "OUT", "--epochs", "1",
                      "--seeds", "13", "--held-out", "5"]], ["scores.jsonl"]),
    "pretraining": ([["pretraining", *SMALLEST]], ["pretraining.json", "pretraining.md"]),
    "reordering": ([["reordering", *SMALLEST]], ["reordering.json"]),
    "zero_shot": ([["zero_shot", "spread", *SMALLEST], ["zero_shot", "words", *SMALLEST],
                   ["zero_shot", "test", *SMALLEST], ["zero_shot_baselines", *SMALLEST],
                   ["zero_shot_ceiling", *SMALLEST]], ["zero_shot.jsonl"]),
}
# Programs that others start, each in a process of its own.
PARTS = {"contenders", "equality", "machine", "profiling"}


def articles(folder: Path) -> Path:
    """A folder with the file that the recipes of albert-mini-zh name."""
    texts = corpora.people_daily()["train"]["text"][:4000]
    blocks = ["\n".join(texts[i : i + 8]) for i in range(0, len(texts), 8)]
    (folder / "zh_wiki.txt").write_text("\n\n".join(blocks), encoding="utf8")
    subprocess.run(["xz", str(folder / "zh_wiki.txt")], check=True)
    return folder


def tagged(folder: Path) -> Path:
    """Sentences with tags, as news_tagger.py reads them; none shares 13 characters with a test."""
    sentences = [x for x in people.load()["train"] if 5 <= len(x.text) <= 12 and x.entities][:40]
    blocks = ["\n".join(f"{c}\t{tag}" for c, tag in
                        zip(x.text, schemes.to_tags(x.entities, len(x.text))))
              for x in sentences]
    path = folder / "tagged.txt"
    path.write_text("\n\n".join(blocks), encoding="utf8")
    return path


def run(commands: list[list[str]], folder: Path) -> None:
    make = {"TEXT": articles, "TAGGED": tagged}
    for name, *arguments in commands:
        given = [str(make[a](folder)) if a in make else a.replace("OUT", str(folder / "out"))
                 for a in arguments]
        done = subprocess.run([sys.executable, str(FOLDER / f"{name}.py"), *given], cwd=folder,
                              capture_output=True, text=True,
                              env={**os.environ, "PYTHONPATH": str(ROOT)})
        assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize("name", [*QUICK, *(pytest.param(name, marks=pytest.mark.slow)
                                            for name in SLOW)])
def test_program_runs_to_its_end(name: str, tmp_path: Path) -> None:
    commands, files = (QUICK | SLOW)[name]
    run(commands, tmp_path)
    for file in files:
        path = tmp_path / "out" / file
        assert path.stat().st_size, file
        if path.suffix == ".json":
            assert json.loads(path.read_text(encoding="utf8"))


def test_every_program_is_run() -> None:
    programs = {path.stem for path in FOLDER.glob("*.py")
                if '\nif __name__ == "__main__"' in path.read_text(encoding="utf8")}
    started = {command[0] for commands, _ in (QUICK | SLOW).values() for command in commands}
    assert programs == started | PARTS
    started_by_others = (FOLDER / "pretraining.py").read_text(encoding="utf8")
    assert all(f'"{name}.py"' in started_by_others for name in PARTS)
