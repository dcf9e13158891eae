"""Contrastive training of the from-scratch encoder, over seeds: views, temperature, batch size.

Writes ``benchmarks/results/contrastive.json``, which the chapter reads. A run that the file
already holds is not repeated, so a stopped program goes on where it was. Settings are compared
on the validation split; the test split is measured for the setting that was chosen there.

    python benchmarks/contrastive.py             all runs, some minutes on two cores
    python benchmarks/contrastive.py --seconds 60    stop after the run that exceeds this time
"""

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path

import torch

from companion import checkpoints, retrieval
from companion.corpora import movie_reviews
from companion.objectives.contrastive import alignment, uniformity
from companion.pretraining.contrast import Settings, train
from companion.pretraining.loop import keep_memory

OUT = Path(__file__).with_name("results") / "contrastive.json"
CHECKPOINT = "bert-scratch-en"
REVIEWS = 1000  # reviews to search in
READ = (64, 128)  # tokens of each half that the encoder reads: as in training, and twice as many
SEEDS = (13, 21, 42)
# Rate and dropout: chosen on the validation split, after 40 steps of seed 13.
CHOSEN = Settings(views="crops", steps=80, size=64, temperature=0.05, rate=5e-4, dropout=0.1,
                  precision="bf16")
SHORT = 24  # steps of the runs that compare temperatures and batch sizes


def plans() -> list[Settings]:
    """All runs. Those that differ from CHOSEN in views, or are short, are for comparison only."""
    changes: list[dict] = [{}, {"views": "dropout"}, {"steps": SHORT},
                           {"steps": SHORT, "temperature": 0.2}]
    # As many texts as in the other short runs, in more and smaller batches.
    changes += [{"size": 16, "steps": SHORT * CHOSEN.size // 16}]
    return [Settings(**asdict(CHOSEN) | change | {"seed": seed})
            for change in changes for seed in SEEDS]


def measure(first: torch.Tensor, second: torch.Tensor) -> dict[str, float]:
    """Recall, alignment of the two halves, uniformity and mean cosine of different reviews."""
    scores = retrieval.similarities(first, second)
    others = scores.sum() - scores.diagonal().sum()
    return {
        "recall@1": retrieval.recall_at(scores, 1), "recall@10": retrieval.recall_at(scores, 10),
        "alignment": alignment(first, second).item(), "uniformity": uniformity(first).item(),
        "cosine": (others / (scores.numel() - len(scores))).item(),
    }


def rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in values.items()}


def beginnings(texts: list[str], tokenizer, length: int) -> list[str]:
    """What the encoder reads of each text."""
    rows = tokenizer(texts, truncation=True, max_length=length,
                     return_offsets_mapping=True)["offset_mapping"]
    return [text[: max(end for _, end in row)] for text, row in zip(texts, rows)]


def overlap(first: list[str], second: list[str], tokenizer) -> dict[str, dict]:
    """BM25 on whole halves, and on what the encoder reads of them."""
    found = {"whole": retrieval.bm25(first, second)}
    for length in READ:
        found[str(length)] = retrieval.bm25(*(beginnings(half, tokenizer, length)
                                              for half in (first, second)))
    return {name: {f"recall@{k}": round(retrieval.recall_at(scores, k), 4) for k in (1, 10)}
            for name, scores in found.items()}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--seconds", type=float, default=float("inf"))
    limit = arguments.parse_args().seconds
    began = time.perf_counter()
    keep_memory()
    reviews = movie_reviews(collection="imdb")
    halves = {split: retrieval.all_halves(reviews[split]["text"], REVIEWS)
              for split in ("validation", "test")}

    def measured(model, tokenizer, splits) -> dict[str, dict]:
        found: dict[str, dict] = {split: {} for split in splits}
        for split in splits:
            for length in READ:
                with torch.autocast("cpu", torch.bfloat16):
                    vectors = [retrieval.encode(model, tokenizer, half, length)
                               for half in halves[split]]
                found[split][str(length)] = rounded(measure(*vectors))
        return found

    result = json.loads(OUT.read_text(encoding="utf8")) if OUT.exists() else {}
    if not result:
        model, tokenizer = checkpoints.load(CHECKPOINT, kind="encoder")
        result = {"checkpoint": CHECKPOINT, "reviews": REVIEWS, "short": SHORT,
                  "chosen": {k: v for k, v in asdict(CHOSEN).items() if k != "seed"},
                  "bm25": {split: overlap(*halves[split], tokenizer) for split in halves},
                  "before": measured(model, tokenizer, halves), "runs": []}
    for settings in plans():
        if any(run["settings"] == asdict(settings) for run in result["runs"]):
            continue
        if time.perf_counter() - began > limit:
            break
        model, tokenizer = checkpoints.load(CHECKPOINT, kind="encoder")
        losses = train(model, tokenizer, reviews["train"]["text"], settings, progress=True)
        chosen = asdict(settings) == asdict(CHOSEN) | {"seed": settings.seed}
        splits = ("validation", "test") if chosen else ("validation",)
        tenth = max(1, settings.steps // 10)
        run = {"settings": asdict(settings),
               "losses": [round(sum(losses[i : i + tenth]) / tenth, 3)
                          for i in range(0, settings.steps, tenth)],
               **measured(model, tokenizer, splits)}
        result["runs"].append(run)
        OUT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf8")
        print(settings.views, settings.temperature, settings.size, settings.seed,
              run["validation"], f"{time.perf_counter() - began:.0f} s", flush=True)
    missing = len(plans()) - len(result["runs"])
    print(f"{missing} runs are missing: start again" if missing else "all runs are done")


if __name__ == "__main__":
    main()
