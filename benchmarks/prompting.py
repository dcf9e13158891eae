"""Texts per second: the article's way, the fill-mask pipeline, and the prompt classifier.

    python benchmarks/prompting.py [--rounds ROUNDS]

One process, one model (bert-mini-en), the same texts: the first 128 Rotten Tomatoes sentences of
the validation split, each with "Because it was [MASK]." after it, and four label words. The
article's way reads one text after another and sorts the whole vocabulary. The pipeline gets the
four words as ``targets`` and may choose its batch size. In every round each contender has one
turn, so that a change of the machine's speed meets all; the best turn of each counts.
Writes ``results/prompting.json`` and ``results/prompting.md``.
"""

import json
import time
from pathlib import Path

import torch
from machine import describe
from options import options, parsed
from transformers import pipeline

from companion import checkpoints, storage
from companion.corpora import movie_reviews
from companion.pretraining.build import quiet
from companion.prompting import PromptClassifier, Template, Verbalizer
from companion.prompting.literal import LiteralPrompting

OUT = Path(__file__).with_name("results") / "prompting.json"
MODEL, COUNT, SIZES = "bert-mini-en", 128, (1, 4, 8, 16, 32)
TEMPLATE = Template("{text} Because it was {mask}.")
WORDS = {"positive": ["great", "good"], "negative": ["bad", "awful"]}
ALL = [word for words in WORDS.values() for word in words]
BARS = {"article": 100, "pipeline": 6}
SMALLEST = {"COUNT": 4, "SIZES": (2,)}


def sentences() -> list[str]:
    split = movie_reviews()["validation"]
    return [text for text, source in zip(split["text"], split["collection"])
            if source == "rotten_tomatoes"][:COUNT]


def contenders() -> dict:
    """Name -> a function from texts to probabilities of the labels (texts, 2)."""
    model, tokenizer = checkpoints.load(MODEL)
    literal, filler = LiteralPrompting(checkpoints.folder(MODEL)), pipeline(
        "fill-mask", model=model, tokenizer=tokenizer)

    def article(texts):
        return torch.stack([literal.compute_tokens_prob(TEMPLATE.fill(text), *WORDS.values())
                            for text in texts])

    def with_pipeline(size: int):
        def run(texts):
            filled = [TEMPLATE.fill(text) for text in texts]
            rows = [{answer["token_str"]: answer["score"] for answer in found}
                    for found in filler(filled, targets=ALL, batch_size=size)]
            found = torch.tensor([[row[word] for word in ALL] for row in rows])
            sums = found.unflatten(1, (2, 2)).sum(-1)
            return sums / sums.sum(1, keepdim=True)
        return run

    def ours(precision: str):
        # Everything is inside the measured time, tokenising too; loading is not, for anybody.
        prompt = PromptClassifier(model, TEMPLATE, Verbalizer(WORDS), tokenizer=tokenizer,
                                  precision=precision)
        return prompt.predict_proba

    return {"article": article, **{f"pipeline, {size}": with_pipeline(size) for size in SIZES},
            "ours, fp32": ours("fp32"), "ours, bf16": ours("bf16")}


def measure(runs: dict, texts: list[str], rounds: int) -> tuple[dict[str, list[float]], dict]:
    """Seconds of every turn, and the probabilities that each contender gave."""
    seconds = {name: [] for name in runs}
    answers = {name: run(texts[:32]) for name, run in runs.items() if name != "article"}
    for number in range(rounds):
        for name, run in runs.items():
            if name == "article" and number:
                continue  # it takes a minute, in which its rate evens out
            began = time.perf_counter()
            answers[name] = run(texts)
            seconds[name].append(time.perf_counter() - began)
    return seconds, answers


def result(seconds: dict[str, list[float]], answers: dict, rounds: int) -> dict:
    rates = {name: COUNT / min(turns) for name, turns in seconds.items()}
    best = max((name for name in rates if name.startswith("pipeline")), key=rates.get)
    ours = max(rates["ours, fp32"], rates["ours, bf16"])
    exact = answers["ours, fp32"]
    return {
        "machine": describe(), "model": MODEL, "texts": COUNT, "rounds": rounds,
        "texts_per_second": rates,
        "all_turns": {name: [COUNT / turn for turn in turns] for name, turns in seconds.items()},
        "best_pipeline": best,
        "over_article": ours / rates["article"], "over_pipeline": ours / rates[best],
        "fp32_over_pipeline": rates["ours, fp32"] / rates[best],
        "largest_difference": {name: (exact - answers[name]).abs().max().item()
                               for name in (best, "ours, bf16")},
        "other_predictions": {name: int((exact.argmax(1) != answers[name].argmax(1)).sum())
                              for name in (best, "ours, bf16")},
    }


def page(found: dict) -> str:
    machine, rates, best = found["machine"], found["texts_per_second"], found["best_pipeline"]
    rows = "\n".join(f"| {name} | {rate:,.1f} | {rate / rates['article']:,.1f} | "
                     f"{rate / rates[best]:,.2f} |" for name, rate in rates.items())
    return f"""# Prompting speed

Written by `benchmarks/prompting.py`; do not edit by hand.

Machine: {machine["processor"]}, {machine["threads"]} threads,
{" ".join(machine["instructions"]) or "no vector instructions listed"}. Model {found["model"]},
{found["texts"]} Rotten Tomatoes sentences of the validation split, best of {found["rounds"]}
rounds (the article's way: one).

| way (the pipeline's batch size) | texts/s | times the article | times the best pipeline |
| --- | --: | --: | --: |
{rows}

- Over the article: **{found["over_article"]:.0f} times** (target {BARS["article"]}).
- Over the best pipeline: **{found["over_pipeline"]:.2f} times** (target {BARS["pipeline"]}).
- Largest difference of a probability from ours in fp32: pipeline
  {found["largest_difference"][best]:.1e}, ours in bf16
  {found["largest_difference"]["ours, bf16"]:.1e}; other predictions:
  {found["other_predictions"][best]} and {found["other_predictions"]["ours, bf16"]} of
  {found["texts"]}.
"""


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    given = parsed(parser, globals())
    rounds = 1 if given.smallest else given.rounds
    with quiet():
        runs = contenders()
    found = result(*measure(runs, sentences(), rounds), rounds)
    storage.write_text(OUT, json.dumps(found, indent=1) + "\n")
    storage.write_text(OUT.with_suffix(".md"), page(found))
    print(page(found))


if __name__ == "__main__":
    main()
