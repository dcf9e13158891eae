"""Tagging speed: ours beside ``Trainer`` and ``pipeline("token-classification")``.

    python benchmarks/ner.py [--encoder NAME] [--out FOLDER] [--smallest]

Same model (softmax head), same sentences of the People's Daily, all of them shorter than the
model's rows. Every contender runs in a process of its own, one after the other. Training is
measured in sentences a second, reading in characters a second, the best of three turns. The
course's other systems read the same texts, each after one short training. Results go to
``results/ner.json`` and ``.md``. Run it on an idle machine (about 10 minutes).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from options import options, parsed

from companion import storage

WARMUP = 4  # steps that are not measured
TRAINERS = {
    "Trainer, default (fp32, 8 sentences a step)": {},
    "Trainer, fp32, 32 sentences": {"size": 32},
    "Trainer, bf16, 8 sentences": {"bf16": True},
    "Trainer, bf16, 32 sentences": {"size": 32, "bf16": True},
    "Trainer, bf16, 32 sentences, by length": {"size": 32, "bf16": True, "by_length": True},
    "Trainer, bf16, 8 sentences, by length": {"bf16": True, "by_length": True},
}
OURS = {"ours, 8 sentences": {"size": 8}, "ours, 32 sentences": {"size": 32}}
BATCHES = (1, 4, 16, 64)
TURNS = 3  # of every reader; the fastest counts
# The baselines of the chapter: arguments of the tagger, None for no encoder at all.
OTHERS = {"fine-tuned, CRF": {"head": "crf"},
          "frozen, BiLSTM-CRF": {"task": "bilstm", "head": "crf", "frozen": True},
          "BiLSTM-CRF from scratch": None}
COUNT, READ = 1600, 1200  # sentences to train on, and to read
SMALLEST = {"WARMUP": 0, "TURNS": 1, "BATCHES": (4,), "COUNT": 8, "READ": 8,
            "TRAINERS": {name: TRAINERS[name] for name in list(TRAINERS)[::5]},
            "OTHERS": {"fine-tuned, CRF": OTHERS["fine-tuned, CRF"]}}


def sentences(count: int, split: str) -> list:
    """So many sentences at equal distances, none longer than a row."""
    from companion.ner import people

    short = [x for x in people.load()[split] if 0 < len(x.text) <= 120]
    return short[:: max(1, len(short) // count)][:count]


def rate_of(marks: list[tuple[float, int]]) -> float:
    """Sentences a second from ``(seconds, sentences)`` of every step, without the warm-up."""
    seconds, done = map(sum, zip(*marks[WARMUP:]))
    return done / seconds


def train_ours(folder: Path, count: int, size: int, other: str = "") -> dict:
    from companion.ner.tagger import AlbertTagger
    from companion.ner.training import Run, Settings

    arguments = OTHERS.get(other, {})
    tagger = AlbertTagger.new(folder / "encoder", **arguments or {})
    if arguments is None:
        tagger = AlbertTagger.from_scratch(tagger.tokenizer)
    rows = tagger.rows(sentences(count, "train"))
    run = Run(tagger, rows, rows, Settings(epochs=1, size=size))
    marks = []
    for batch in range(run.per_epoch):
        began = time.perf_counter()
        run.one_step()
        marks.append((time.perf_counter() - began, len(run.batches[batch])))
    tagger.save(folder / (other or "tagger"))
    return {"rate": rate_of(marks)}


def train_theirs(folder: Path, count: int, size: int = 8, bf16: bool = False,
                 by_length: bool = False) -> dict:
    """What the examples of transformers do. ``by_length`` groups sentences of like length."""
    from datasets import Dataset
    from transformers import (
        AutoModelForTokenClassification,
        DataCollatorForTokenClassification,
        PrinterCallback,
        Trainer,
        TrainerCallback,
        TrainingArguments,
    )

    from companion.ner.tagger import AlbertTagger

    tagger = AlbertTagger.new(folder / "encoder")
    tagger.save(folder / "fresh")
    rows = tagger.rows(sentences(count, "train"))
    marks, last = [], [time.perf_counter()]

    class Ticks(TrainerCallback):
        def on_step_end(self, *_, **__):
            now = time.perf_counter()
            marks.append((now - last[0], size))
            last[0] = now

    run = Trainer(
        AutoModelForTokenClassification.from_pretrained(folder / "fresh"),
        TrainingArguments(
            str(folder / "trainer"), per_device_train_batch_size=size, num_train_epochs=1,
            bf16=bf16, use_cpu=True, logging_strategy="no", save_strategy="no", report_to="none",
            train_sampling_strategy="group_by_length" if by_length else "random",
            disable_tqdm=True, dataloader_drop_last=True),
        DataCollatorForTokenClassification(tagger.tokenizer),
        Dataset.from_dict({"input_ids": rows.ids, "labels": rows.labels}),
        callbacks=[Ticks()])
    run.remove_callback(PrinterCallback)
    run.train()
    return {"rate": rate_of(marks)}


def timed(read, texts: list[str]) -> tuple[list, float]:
    """What ``read`` finds, and characters a second; a first call warms it up."""
    read(texts[:64])
    seconds = []
    for _ in range(TURNS):
        began = time.perf_counter()
        found = read(texts)
        seconds.append(time.perf_counter() - began)
    return found, sum(map(len, texts)) / min(seconds)


def read_list(folder: Path, count: int) -> dict:
    from companion.ner import people
    from companion.ner.gazetteer import Gazetteer

    names = Gazetteer.from_examples(people.load()["train"], sure=0.3)
    return {"rate": timed(names.predict, [x.text for x in sentences(count, "validation")])[1]}


def read_ours(folder: Path, count: int, bf16: bool = False, other: str = "tagger") -> dict:
    from companion.ner.tagger import AlbertTagger
    from companion.pretraining.loop import keep_memory

    keep_memory()
    tagger = AlbertTagger.from_pretrained(folder / other)
    texts = [x.text for x in sentences(count, "validation")]
    found, rate = timed(lambda part: tagger.predict(part, bf16), texts)
    return {"rate": rate, "found": [[(e.start, e.end, e.type) for e in one] for one in found]}


def read_theirs(folder: Path, count: int, size: int, bf16: bool = False) -> dict:
    import torch
    from transformers import pipeline

    pipe = pipeline("token-classification", str(folder / "tagger"), device="cpu",
                    aggregation_strategy="simple", batch_size=size,
                    dtype=torch.bfloat16 if bf16 else torch.float32)
    texts = [x.text for x in sentences(count, "validation")]
    found, rate = timed(pipe, texts)
    return {"rate": rate, "found": [[(e["start"], e["end"], e["entity_group"]) for e in one]
                                    for one in found]}


KINDS = {f.__name__: f for f in (train_ours, train_theirs, read_list, read_ours, read_theirs)}


def run(folder: Path, small: bool, kind: str, **spec) -> dict:
    """One contender in a fresh process."""
    quiet = {"TQDM_DISABLE": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false",
             "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([sys.executable, __file__, "--one", str(folder),
                           json.dumps({"kind": kind, **spec}), *["--smallest"] * small],
                          capture_output=True, text=True, env=os.environ | quiet)
    if done.returncode:
        raise SystemExit(f"{kind} {spec} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def encoder(folder: Path, name: str) -> str:
    """The encoder's folder: the checkpoint, or random weights of its shape before it is there."""
    from companion import checkpoints

    if name in checkpoints.COURSE or Path(name).is_dir():
        model, tokenizer = checkpoints.load(name, kind="encoder")
    else:
        from transformers import AlbertConfig, AlbertModel

        from companion.tokenization import train_wordpiece

        tokenizer = train_wordpiece([" ".join(x.text) for x in sentences(20000, "train")], 5000)
        name = "random weights of the shape of albert-mini-zh"
        model = AlbertModel(AlbertConfig(
            vocab_size=len(tokenizer), embedding_size=128, hidden_size=256, num_hidden_layers=4,
            num_attention_heads=8, intermediate_size=1024, max_position_embeddings=128,
            hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
            classifier_dropout_prob=0.0))
    model.save_pretrained(folder / "encoder")
    tokenizer.save_pretrained(folder / "encoder")
    return name


def measure(folder: Path, small: bool) -> dict:
    """Rates of training and of reading, and in how many sentences the entities are the same."""
    count, read = COUNT, READ
    training, reading, others = {}, {}, {}

    def add(table: dict, name: str, unit: str, kind: str, **spec) -> dict:
        got = run(folder, small, kind, **spec)
        table[name] = got["rate"]
        print(f"{name:46}{got['rate']:10,.0f} {unit}", flush=True)
        return got

    for name, spec in (TRAINERS | OURS).items():
        kind = "train_ours" if name in OURS else "train_theirs"
        add(training, name, "sentences/s", kind, count=count, **spec)
    ours = add(reading, "ours, fp32", "characters/s", "read_ours", count=read)["found"]
    bf16 = add(reading, "ours, bf16", "characters/s", "read_ours", count=read, bf16=True)["found"]
    for size in BATCHES:
        theirs = add(reading, f"pipeline, fp32, batches of {size}", "characters/s", "read_theirs",
                     count=read, size=size)["found"]
    for size in BATCHES:
        add(reading, f"pipeline, bf16, batches of {size}", "characters/s", "read_theirs",
            count=read, size=size, bf16=True)
    add(others, "gazetteer", "characters/s", "read_list", count=read)
    for name in OTHERS:
        run(folder, small, "train_ours", count=count, size=32, other=name)
        add(others, name, "characters/s", "read_ours", count=read, other=name)
    same = {"sentences": len(ours), "entities": sum(map(len, ours)),
            "fp32": sum(a == b for a, b in zip(ours, theirs)),
            "bf16": sum(a == b for a, b in zip(bf16, theirs))}
    return {"training": training, "reading": reading, "others": others, "same": same,
            "ratios": ratios(training, reading)}


def summary(result: dict) -> str:
    """The page ``results/ner.md``."""
    def table(rates: dict, unit: str) -> str:
        lines = [f"| contender | {unit} |", "| --- | ---: |"]
        return "\n".join(lines + [f"| {name} | {rate:,.0f} |" for name, rate in rates.items()])

    machine, ratios, same = result["machine"], result["ratios"], result["same"]
    return f"""# Tagging speed

Written by `benchmarks/ner.py`; do not edit by hand.

Machine: {machine["processor"]}, {machine["threads"]} threads. Model: {result["encoder"]}, with a
softmax head. Sentences of the People's Daily of at most 120 characters.

## Training

{table(result["training"], "sentences/s")}

Ours is **{ratios["training, default"]:.1f}x** `Trainer`'s default at its own batch size (aim: 2x)
and **{ratios["training, best bf16"]:.2f}x** its best in bf16 (aim: 1x).

## Reading

{table(result["reading"], "characters/s")}

Ours is **{ratios["reading"]:.1f}x** the pipeline in fp32 at its best batch size (aim: 3x), and
{ratios["reading, both bf16"]:.1f}x when both compute in bf16; {ratios["reading, both fp32"]:.1f}x
when both compute in fp32.

Same entities as the pipeline in fp32: {same["fp32"]} of {same["sentences"]} sentences with ours in
fp32, {same["bf16"]} in bf16 ({same["entities"]:,} entities).

## The other systems, reading in fp32

{table(result["others"], "characters/s")}
"""


def ratios(training: dict, reading: dict) -> dict:
    def best(table: dict, begin: str) -> float:
        return max(rate for name, rate in table.items() if name.startswith(begin))

    return {
        "training, default": training["ours, 8 sentences"] / training[next(iter(TRAINERS))],
        "training, best bf16": best(training, "ours") / best(training, "Trainer, bf16"),
        "reading": best(reading, "ours") / best(reading, "pipeline, fp32"),
        "reading, both fp32": reading["ours, fp32"] / best(reading, "pipeline, fp32"),
        "reading, both bf16": best(reading, "ours, bf16") / best(reading, "pipeline, bf16"),
    }


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--encoder", default="albert-mini-zh")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    arguments = parsed(parser, globals())
    if arguments.one:
        folder, spec = Path(arguments.one[0]), json.loads(arguments.one[1])
        print(json.dumps(KINDS[spec.pop("kind")](folder, **spec)))
        return
    from machine import describe

    with tempfile.TemporaryDirectory() as place:
        name = encoder(Path(place), arguments.encoder)
        result = {"machine": describe(), "encoder": name,
                  **measure(Path(place), arguments.smallest)}
    text = summary(result)
    print(text)
    storage.write_text(arguments.out / "ner.json", json.dumps(result, indent=1) + "\n")
    storage.write_text(arguments.out / "ner.md", text)


if __name__ == "__main__":
    main()
