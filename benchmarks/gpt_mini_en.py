"""What the checkpoint ``gpt-mini-en`` can do, beside a trigram model and a compressor.

All three are asked for the reviews of the test split, each review with its end:

1. the checkpoint, with a sliding window that moves by 64 tokens
   (``companion.objectives.causal.perplexity``);
2. a Kneser-Ney trigram model over the same subwords. With ``--text FOLDER`` it reads all of
   the text that its recipes gave the checkpoint, once; without, only the part that comes with
   the course. The checkpoint read as many tokens as the recipes say, ``tokens read by the
   model``; ``training tokens`` are the trigram's;
3. ``xz -9e`` on the test texts, alone and given the end of the training text. It packs all of
   them together, see ``companion.ngrams.xz_bits_per_character``.

Run ``python benchmarks/gpt_mini_en.py --text FOLDER``; it writes ``results/gpt_mini_en.json`` and
prints a table. Of each collection 500 test reviews are taken, at equal distances in their order,
which is that of a hash; ``--texts 0`` takes all.
"""

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from options import options, parsed
from report import table

from companion import checkpoints, ngrams, storage
from companion.corpora import movie_reviews
from companion.corpora.reviews import COLLECTIONS
from companion.objectives import causal
from companion.pretraining.recipe import Recipe
from companion.pretraining.text import gather

STRIDE = 64  # of the window of 256 tokens: each token sees at least 192, where the review has them
CHUNK = 1000  # texts encoded at a time: lists of ids need much memory
READ = None  # training texts of the trigram; all
SMALLEST = {"READ": 100}


def test_texts(count: int) -> dict[str, list[str]]:
    """``count`` reviews a collection at equal distances, all for 0. They are sorted by a hash."""
    found = {}
    for name in COLLECTIONS:
        texts = movie_reviews(collection=name)["test"]["text"]
        at = np.linspace(0, len(texts) - 1, min(count or len(texts), len(texts))).astype(int)
        found[name] = [texts[i] for i in at]
    return found


def parts_of(recipe: Recipe) -> list[Recipe]:
    """The recipe, after the one whose result it starts from (``runs/NAME/model``), if any."""
    parts = [recipe]
    while start := parts[0].model.start:
        parts.insert(0, Recipe.read(Path(start).parent.name))
    return parts


def training_texts(parts: list[Recipe], folder: Path | None) -> tuple[list[str], list[dict]]:
    """What the recipes read, each text once, and a report. Without a folder, what comes with
    the course."""
    texts, reports = {}, []
    for recipe in parts:
        if folder is None:
            recipe = replace(recipe, text=replace(recipe.text, files={}))
        found = gather(recipe, folder)
        texts |= dict.fromkeys(found.train)
        reports += [asdict(source) | {"recipe": recipe.name} for source in found.report]
    return list(texts), reports


def documents(texts: list[str], tokenizer) -> Iterator[list[int]]:
    for begin in range(0, len(texts), CHUNK):
        yield from causal.documents(texts[begin : begin + CHUNK], tokenizer)


def together(parts: Iterable[dict]) -> dict:
    """Figures of several collections as if they were one."""
    parts = list(parts)
    sums = {key: sum(part[key] for part in parts) for key in parts[0]
            if key in ("tokens", "characters", "unknown")}
    nats = sum(part["loss"] * part["tokens"] for part in parts)
    return {
        "loss": nats / sums["tokens"],
        "per_token": math.exp(nats / sums["tokens"]),
        "per_character": math.exp(nats / sums["characters"]),
        "bits_per_character": nats / sums["characters"] / math.log(2),
        **sums,
    }


def neural(model, tokenizer, asked: dict[str, list[str]]) -> dict:
    found = {}
    for name, texts in asked.items():
        found[name] = causal.perplexity(model, tokenizer, texts, stride=STRIDE)
        print("neural", name, found[name], flush=True)
    return {"together": together(found.values()), **found}


def trigram(train: list[str], tokenizer, asked: dict[str, list[str]]) -> dict:
    model = ngrams.KneserNey.fit(documents(train, tokenizer), len(tokenizer))
    found = {name: ngrams.perplexity(model, documents(texts, tokenizer), sum(map(len, texts)))
             for name, texts in asked.items()}
    print("trigram", found, flush=True)
    learned = {"training tokens": model.tokens,
               "n-grams": [len(order.keys) for order in model.orders],
               "discounts": [order.discounts for order in model.orders],
               "discounts estimated": [order.estimated for order in model.orders]}
    return {"together": together(found.values()), **found, "learned": learned}


def lossless(tokenizer, texts: list[str]) -> int:
    """How many texts come back as they were. Where one does not, less had to be predicted."""
    return sum(tokenizer.decode(ids[1:], clean_up_tokenization_spaces=False) == text
               for ids, text in zip(documents(texts, tokenizer), texts))


def page(result: dict, name: str) -> str:
    """The figures as a Markdown table."""
    rows = [
        [label, f"{found['together']['per_token']:.1f}",
         *(f"{found[part]['bits_per_character']:.3f}" for part in ("together", *COLLECTIONS))]
        for label, found in ((name, result["neural"]), ("trigram", result["trigram"]))
    ]
    given = f"xz, given {result['xz']['bytes_of_training'] / 2**20:.1f} MiB of the training text"
    rows += [[label, "", f"{result['xz'][key]:.3f}", "", ""]
             for label, key in ((given, "given"), ("xz alone", "alone"))]
    return table(["", "perplexity per token", "bits per character",
                  *(f"the same, {part}" for part in COLLECTIONS)], rows)


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--model", default="gpt-mini-en", help="course checkpoint or folder")
    parser.add_argument("--recipe", help="name or file of its recipe, if it is called otherwise")
    parser.add_argument("--text", type=Path, help="folder of the files that the recipe names")
    parser.add_argument("--texts", type=int, default=500,
                        help="test reviews a collection; 0: all")
    args = parsed(parser, globals())
    name = Path(args.model).name
    model, tokenizer = checkpoints.load(args.model, kind="causal")
    asked = test_texts(1 if args.smallest else args.texts)
    every = [text for texts in asked.values() for text in texts]
    parts = parts_of(Recipe.read(args.recipe or name))
    train, sources = training_texts(parts, args.text)
    train = train[:READ]
    result = {
        "model": name,
        "window": model.config.max_position_embeddings,
        "test texts": {collection: len(texts) for collection, texts in asked.items()},
        "lossless test texts": lossless(tokenizer, every),
        "tokens read by the model": sum(part.training.tokens for part in parts),
        "text of the trigram": sources,
        "trigram": trigram(train, tokenizer, asked),
        "neural": neural(model, tokenizer, asked),
        "xz": ngrams.xz_bits_per_character("\n".join(train), every),
    }
    print(page(result, name))
    out = args.out / f"{name.replace('-', '_')}.json"
    out.parent.mkdir(exist_ok=True)
    storage.write_text(out, json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
