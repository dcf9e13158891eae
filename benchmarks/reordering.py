"""Words in order: a small T5 beside copying and beside counts of word pairs, on test sentences.

    python benchmarks/reordering.py [SEED ...]

Writes ``benchmarks/results/reordering.json``, which the chapter reads. A seed takes some three
minutes on two cores that multiply bf16 matrices fast, and replaces its earlier result only.
"""

import json
import time
from pathlib import Path

import numpy as np
import torch
from machine import describe
from options import options, parsed

from companion import reordering, storage
from companion.objectives import spans
from companion.pretraining.loop import fast_at_bf16, keep_memory

OUT = Path(__file__).with_name("results") / "reordering.json"
SEEDS = (13, 21, 42)
STEPS, SIZE, PEAK, WIDTH, LAYERS, VOCABULARY = 1600, 128, 2e-3, 192, 2, 4000
EVERY, HELD, ASKED = 200, 500, 1000  # steps between validations; sentences for them; test
SHUFFLE = 0  # seed of the questions, the same for every model and yardstick
SMALLEST = {"SEEDS": (13,), "STEPS": 1, "SIZE": 4, "WIDTH": 16, "LAYERS": 1, "EVERY": 1, "HELD": 4,
            "ASKED": 4}
WAYS = {"free": (False, 1), "given words": (True, 1), "given words, 5 beams": (True, 5)}


def order_of(question: str, answer: str) -> str:
    """Where each word of the answer stands in the question, one digit each."""
    left, digits = question.split(), ""
    for word in answer.split():
        place = left.index(word)
        left[place] = None
        digits += str(place)
    return digits


@torch.inference_mode()
def held_out(model, tokenizer, sentences: list[str]) -> float:
    """Loss in nats on sentences, each shuffled once, always alike."""
    questions = reordering.encode(tokenizer, reordering.shuffled(sentences, SHUFFLE))
    batch = reordering.batch(questions, reordering.encode(tokenizer, sentences),
                             tokenizer.pad_token_id)
    return spans.loss(model, batch).item()


def run(seed: int, parts: dict[str, list[str]], tokenizer) -> dict:
    """Train on one seed, then answer the test questions in every way."""
    model = reordering.fresh(tokenizer, WIDTH, LAYERS, seed=seed)
    began, recent, log = time.time(), [], []

    def after(step: int, loss: float) -> None:
        recent.append(loss)
        if step % EVERY == 0:
            held = held_out(model, tokenizer, parts["validation"][:HELD])
            log.append({"step": step, "train": round(float(np.mean(recent)), 3),
                        "validation": round(held, 3)})
            recent.clear()
            print(f"seed {seed}, {time.time() - began:4.0f} s: {log[-1]}", flush=True)

    stream = reordering.batches(tokenizer, parts["train"], SIZE, seed)
    reordering.train(model, stream, STEPS, PEAK, fast_at_bf16(), after=after)
    minutes = (time.time() - began) / 60
    test = parts["test"][:ASKED]
    questions, result = reordering.shuffled(test, SHUFFLE), {}
    for way, (constrained, beams) in WAYS.items():
        given = reordering.answers(model, tokenizer, questions, constrained, beams)
        result[way] = rounded(reordering.scores(given, test))
        print(way, result[way], flush=True)
    orders = [order_of(q, a) for q, a in zip(questions, given)]  # of the last way
    return {"seed": seed, "minutes": round(minutes, 1), "log": log, "scores": result,
            "orders": " ".join(orders)}


def rounded(scores: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in scores.items()}


def yardsticks(parts: dict[str, list[str]]) -> dict:
    """Copying the question, and the order whose word pairs are most frequent."""
    test = parts["test"][:ASKED]
    questions, pairs = reordering.shuffled(test, SHUFFLE), reordering.WordPairs(parts["train"])
    return {"copying": rounded(reordering.scores(questions, test)),
            "word pairs": rounded(reordering.scores([pairs.order(q) for q in questions], test))}


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("seeds", nargs="*", type=int, metavar="SEED")
    seeds = parsed(parser, globals()).seeds or SEEDS
    keep_memory()
    parts = reordering.splits()
    tokenizer = reordering.vocabulary(parts["train"], VOCABULARY)
    known = json.loads(OUT.read_text(encoding="utf8"))["runs"] if OUT.exists() else []
    for seed in seeds:
        known = [one for one in known if one["seed"] != seed]
        known = sorted([*known, run(seed, parts, tokenizer)], key=lambda one: one["seed"])
        result = {
            "setting": {"steps": STEPS, "size": SIZE, "peak": PEAK, "width": WIDTH,
                        "layers": LAYERS, "vocabulary": len(tokenizer), "shuffle": SHUFFLE,
                        "sentences": {name: len(part) for name, part in parts.items()},
                        "asked": ASKED, "bf16": fast_at_bf16()},
            "yardsticks": yardsticks(parts), "runs": known, "machine": describe()}
        storage.write_text(OUT, json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
