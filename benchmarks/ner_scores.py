"""Named entities: what pretraining, the task model, the CRF and more data bring. Five seeds.

    python benchmarks/ner_scores.py [--seconds N] [--encoder NAME] [--only TEXT] [--list]

Every line of ``results/ner_scores.jsonl`` is one training: what was trained, on which share of
the training sentences, with which seed, its validation curve, and its score on the test split,
which is read once. What is there already is not trained again, and a training that was stopped
goes on from its last state in ``runs/ner``, so the grid can be run in pieces: ``--seconds``
ends a piece. Threads and cores are the environment's (OMP_NUM_THREADS, taskset).
"""

import json
import random
import time
from pathlib import Path

from machine import describe
from options import few, options, parsed

from companion.ner import people
from companion.ner.gazetteer import Gazetteer
from companion.ner.scoring import score, seen_and_unseen, strings
from companion.ner.tagger import AlbertTagger
from companion.ner.training import Run, Settings
from companion.pretraining import state

OUT = Path(__file__).with_name("results") / "ner_scores.jsonl"
RUNS = Path("runs") / "ner"
SEEDS, SHARES = (13, 21, 42, 87, 100), (0.02, 0.1, 1.0)
ENCODER = "albert-mini-zh"
# The most epochs, by share, the same for all systems but LONG; the curves are in the results.
EPOCHS = {0.02: 30, 0.1: 15, 1.0: 6}
# Epochs without a better F1 before a training stops: short epochs say little one by one.
PATIENCE = {0.02: 10, 0.1: 3, 1.0: 3}
SMALL = {"rate": 2e-3, "head_rate": 2e-3}  # all that starts from random numbers
TUNED, FRESH = {"rate": 5e-4, "head_rate": 2e-3}, {"rate": 1e-3, "head_rate": 2e-3}
# Does sharing cost a tagger something? The result of the recipe albert-mini-zh-unshared.
UNSHARED = "fine-tuned, unshared encoder"
ENCODERS = {UNSHARED: "runs/albert-mini-zh-unshared/model"}
# Are six epochs enough? On all sentences only: the other shares had more.
LONG = ("fine-tuned, 15 epochs", "random weights, 15 epochs")
# Name -> arguments of the tagger, and settings. The heads that decide the bars come first.
SYSTEMS = {
    "fine-tuned, softmax": ({"head": "softmax"}, TUNED),
    "random weights, softmax": ({"head": "softmax", "pretrained": False}, FRESH),
    "fine-tuned, CRF": ({"head": "crf"}, TUNED),
    "frozen, BiLSTM-CRF": ({"task": "bilstm", "head": "crf", "frozen": True}, SMALL),
    "BiLSTM-CRF from scratch": (None, SMALL),
    "frozen, linear": ({"frozen": True}, SMALL),
    UNSHARED: ({"head": "softmax"}, TUNED),
    LONG[0]: ({"head": "softmax"}, TUNED | {"epochs": 15}),
    LONG[1]: ({"head": "softmax", "pretrained": False}, FRESH | {"epochs": 15}),
}
# The learning curve is of the two that differ in pretraining only; the rest has two shares.
ON = {"fine-tuned, softmax": SHARES, "random weights, softmax": SHARES, UNSHARED: (0.1,),
      **dict.fromkeys(LONG, (1.0,))}
GAZETTEER = "gazetteer"
SMALLEST = {"SEEDS": (13,), "SHARES": (1.0,), "EPOCHS": {1.0: 1}, "SYSTEMS": {
    name: (arguments, settings | {"epochs": 1}) for name, (arguments, settings) in SYSTEMS.items()
    if name != UNSHARED}, "ON": {}}


def grid() -> list[tuple[str, float, int]]:
    """What is to be trained, the cheapest shares and the first seeds first."""
    cells = [(name, share, seed) for share in SHARES for seed in SEEDS for name in SYSTEMS
             if share in ON.get(name, (0.1, 1.0))]
    return [(GAZETTEER, share, 0) for share in SHARES] + cells


def finished(out: Path) -> set[tuple[str, float, int]]:
    """The cells that have a line. A last line that was cut by a kill does not count."""
    found = set()
    for line in out.read_text(encoding="utf8").splitlines() if out.exists() else ():
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            continue
        found.add((entry["system"], entry["share"], entry["seed"]))
    return found


def part_of(sentences: list, share: float) -> list:
    """The same sentences for every system and seed, drawn by chance."""
    return sentences if share == 1.0 else random.Random(0).sample(sentences,
                                                                  round(share * len(sentences)))


def scored(found: list, test: list, train: list) -> dict:
    """F1 of all entities, by type, and of those that occur in training or do not."""
    true = [x.entities for x in test]
    parts = score(true, found, people.TYPES)
    both = seen_and_unseen(test, found, strings(train))
    return {"f1": round(parts["micro"].f1, 5), "precision": round(parts["micro"].precision, 5),
            "recall": round(parts["micro"].recall, 5),
            "types": {name: round(parts[name].f1, 5) for name in people.TYPES},
            "recall_of": {name: round(part.recall, 5) for name, part in both.items()}}


def make(name: str, seed: int, encoder: str) -> AlbertTagger:
    arguments = SYSTEMS[name][0]
    if arguments is None:
        from companion import checkpoints

        _, tokenizer = checkpoints.load(encoder, kind="encoder")
        return AlbertTagger.from_scratch(tokenizer, seed=seed)
    return AlbertTagger.new(encoder, seed=seed, **arguments)


def one(cell: tuple, data: dict, encoder: str, runs: Path, until: float,
        epochs: dict[float, int]) -> dict | None:
    """Train and test one cell; None when the time was up before its end."""
    name, share, seed = cell
    train = part_of(data["train"], share)
    entry = {"system": name, "share": share, "seed": seed, "sentences": len(train)}
    if name == GAZETTEER:
        known = Gazetteer.from_examples(train, sure=0.3)  # the best on validation, by the chapter
        return entry | {"test": scored(known.predict([x.text for x in data["test"]]),
                                       data["test"], train)}
    settings = Settings(**{"epochs": epochs[share], "patience": PATIENCE[share], "seed": seed}
                        | SYSTEMS[name][1])
    folder = runs / f"{name}-{share}-{seed}".replace(" ", "-").replace(",", "")
    encoder = ENCODERS.get(name, encoder)
    tagger = make(name, seed, encoder)
    run = Run(tagger, tagger.rows(train), tagger.rows(data["validation"]), settings, folder)
    began = time.monotonic()
    if not run.go(until - began, progress=False):
        return None
    found = tagger.predict([x.text for x in data["test"]])
    state.delete(folder)  # tens of MB each, and the line holds what is needed
    return entry | {"encoder": encoder, "settings": vars(settings), "log": run.log,
                    "parameters": tagger.parameters,
                    "trained": sum(p.numel() for p in tagger.network.parameters()
                                   if p.requires_grad),
                    "test": scored(found, data["test"], train)}


def write(out: Path, entry: dict) -> None:
    """Add a line, on a line of its own even behind one that was cut."""
    out.parent.mkdir(exist_ok=True)
    cut = out.exists() and out.stat().st_size and not out.read_bytes().endswith(b"\n")
    with open(out, "a", encoding="utf8") as handle:
        handle.write("\n" * bool(cut) + json.dumps(entry, ensure_ascii=False) + "\n")


def work(data: dict, encoder: str, out: Path, runs: Path, seconds: float,
         only: str = "", epochs: dict[float, int] = EPOCHS) -> bool:
    """Train what is missing for so many seconds. Returns whether all is there."""
    until = time.monotonic() + seconds
    left = [cell for cell in grid() if cell not in finished(out) and only in str(cell)]
    cannot = [name for name, folder in ENCODERS.items() if not Path(folder).is_dir()
              and any(cell[0] == name for cell in left)]
    for name in cannot:
        print(f"left out: {name} needs {ENCODERS[name]}: run its recipe first")
    for cell in (cell for cell in left if cell[0] not in cannot):
        if time.monotonic() > until:
            return False
        entry = one(cell, data, encoder, runs, until, epochs)
        if entry is None:
            return False
        write(out, entry | {"machine": describe()["processor"]})
        print(f"{cell[0]:28} {cell[1]:4} {cell[2]:4}  test F1 {entry['test']['f1']:.4f}",
              flush=True)
    return not cannot


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--encoder", default=ENCODER)
    parser.add_argument("--only", default="", help="cells whose name, share or seed has this")
    parser.add_argument("--list", action="store_true", help="what is missing")
    arguments = parsed(parser, globals())
    if arguments.list:
        print(*(c for c in grid() if c not in finished(OUT)), sep="\n")
        return
    load, runs = people.load, RUNS
    if arguments.smallest:
        load, runs = few(load, 8), arguments.out / "runs"
    done = work(load(), arguments.encoder, OUT, runs, arguments.seconds, arguments.only, EPOCHS)
    print("all of it is there" if done else "some of it is missing: the same command goes on")


if __name__ == "__main__":
    main()
