"""The tagger that ships: a fine-tuned ALBERT on news whose organisations have several words.

    python benchmarks/news_tagger.py --data FILE [--out FOLDER] [--encoder NAME] [--epochs N]
                                     [--heads softmax crf] [--seeds 13 21 42 87 100]

FILE has one character, a tab and its tag (BIO) a line, and an empty line between sentences (xz
or plain). Sentences that share 13 characters with the validation or test split of
``people_daily`` are removed. By their hash, 1,500 of the rest are for choosing the head, and
1,500 others are read once. ``FOLDER/scores.jsonl`` gets a line for each head and seed, and
``FOLDER/model`` the first seed of the better head. A killed run goes on; the same command again
trains what is missing.
"""

import argparse
import json
import lzma
from hashlib import sha256
from pathlib import Path
from statistics import mean

from ner_scores import scored, write

from companion.corpora.splits import characters
from companion.entity import Example
from companion.errors import CourseError
from companion.ner import people, schemes
from companion.ner.tagger import AlbertTagger
from companion.ner.training import Run, Settings
from companion.pretraining.text import Held

HELD_OUT = 1500  # sentences for choosing, and as many for the report
SENTENCE = "中国共产党中央委员会总书记江泽民今天在北京大学发表讲话。"


def read(file: Path) -> list[Example]:
    """The sentences of a file of characters and tags, each text once.

    Raises:
        CourseError: no such file, or a line that is no character, tab and tag.
    """
    try:
        with (lzma.open if file.suffix == ".xz" else open)(file, "rt", encoding="utf8") as handle:
            blocks = handle.read().strip().split("\n\n")
    except (OSError, UnicodeError, lzma.LZMAError) as problem:
        raise CourseError(f"--data {file} cannot be read ({problem}): name the file of "
                          "characters and tags") from None
    found = {}
    for block in blocks:
        pairs = [line.split("\t") for line in block.split("\n")]
        if any(len(pair) != 2 or len(pair[0]) != 1 for pair in pairs):
            raise CourseError(f"--data {file}: '{block[:20]}' is not a character, a tab and a tag "
                              "a line")
        text = "".join(character for character, _ in pairs)
        found[text] = Example(text, tuple(schemes.from_tags([tag for _, tag in pairs])))
    return list(found.values())


def split(sentences: list[Example], held_out: int) -> dict[str, list[Example]]:
    """Training, validation and test sentences, by the hash of the text."""
    papers = people.load()
    known = Held((x.text for part in ("validation", "test") for x in papers[part]),
                 units=characters)
    kept = [x for x in sentences if not known.in_text(x.text)]
    print(f"{len(sentences):,} sentences, {len(sentences) - len(kept):,} removed for sharing 13 "
          "characters with held-out sentences of people_daily")
    kept.sort(key=lambda x: sha256(x.text.encode()).digest())
    return {"validation": kept[:held_out], "test": kept[held_out : 2 * held_out],
            "train": kept[2 * held_out :]}


def one(data: dict, encoder: str, settings: Settings, head: str, folder: Path) -> dict:
    """Train one tagger, keep it in ``folder/model``, and score it on both held-out parts."""
    tagger = AlbertTagger.new(encoder, head=head, seed=settings.seed)
    run = Run(tagger, tagger.rows(data["train"]), tagger.rows(data["validation"]), settings,
              folder / "run")
    run.go()
    tagger.save(folder / "model")
    (said,) = tagger.predict([SENTENCE])
    parts = {part: scored(tagger.predict([x.text for x in data[part]]), data[part], data["train"])
             for part in ("validation", "test")}
    return {"head": head, "seed": settings.seed, "encoder": encoder, "settings": vars(settings),
            "log": run.log, **parts,
            "sentence": [(e.type, SENTENCE[e.start : e.end]) for e in said]}


def finished(out: Path) -> list[dict]:
    """The lines that are there; one that a kill cut is trained again."""
    lines = out.read_text(encoding="utf8").splitlines() if out.exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, metavar="FILE")
    parser.add_argument("--out", type=Path, default=Path("runs/news-tagger"), metavar="FOLDER")
    parser.add_argument("--encoder", default="albert-mini-zh")
    parser.add_argument("--heads", nargs="+", default=["softmax", "crf"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[13, 21, 42, 87, 100])
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--rate", type=float, default=5e-4)
    parser.add_argument("--held-out", type=int, default=HELD_OUT)
    asked = parser.parse_args(argv)
    data = split(read(asked.data), asked.held_out)
    scores = asked.out / "scores.jsonl"
    for head in asked.heads:
        for seed in asked.seeds:
            if (head, seed) not in {(e["head"], e["seed"]) for e in finished(scores)}:
                settings = Settings(epochs=asked.epochs, rate=asked.rate, head_rate=2e-3, seed=seed)
                entry = one(data, asked.encoder, settings, head, asked.out / f"{head}-{seed}")
                write(scores, entry)
                print(f"{head:8} {seed:4}  validation F1 {entry['validation']['f1']:.4f}",
                      flush=True)
    found = finished(scores)
    for head in asked.heads:
        for part in ("validation", "test"):
            of = [e[part]["f1"] for e in found if e["head"] == head]
            print(f"{head:8} {part:10} F1 {mean(of):.4f}, seeds {min(of):.4f} to {max(of):.4f}")
    best = max(asked.heads, key=lambda h: mean(e["validation"]["f1"] for e in found
                                               if e["head"] == h))
    print(f"ship {asked.out / f'{best}-{asked.seeds[0]}' / 'model'}")


if __name__ == "__main__":
    main()
