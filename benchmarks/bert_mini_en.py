"""What the checkpoint ``bert-mini-en`` can do: the figures of its model card.

1. Masked-LM loss and top-1 accuracy on the whole test split of the reviews.
2. The twenty pairs of opposite sentences that were fixed before its training.
3. Zero-shot sentiment: template and label words are chosen on *training* reviews; then
   one run on each test split. The decision threshold is the median score of unlabelled
   training texts (as many positive as negative expected).

Run ``python benchmarks/bert_mini_en.py``; it writes ``results/bert_mini_en.json``.
"""

import itertools
import json
from pathlib import Path

import numpy as np
import torch
from options import few, options, parsed

from companion import checkpoints, metrics, storage
from companion.corpora import movie_reviews
from companion.objectives import masked

OUT = Path(__file__).with_name("results") / "bert_mini_en.json"
LENGTH = 128  # tokens, as in pretraining
TRIED = 400  # training reviews a collection for choosing; as many others set the threshold
TEMPLATES = (
    "{text} It was {mask}.",
    "{text} All in all, it was {mask}.",
    "{text} Overall, this is a {mask} movie.",
    "{text} The movie is {mask}.",
)
GOOD = ("great good excellent wonderful amazing fantastic perfect brilliant beautiful enjoyable "
        "superb outstanding fun funny powerful touching delightful charming fresh clever "
        "entertaining interesting moving terrific").split()
BAD = ("terrible bad awful horrible boring poor stupid disappointing worst dull lame weak "
       "ridiculous pathetic mess waste flat predictable annoying painful disappointment dreadful "
       "forgettable slow").split()
KEEP = "end"  # of a long review: it holds the verdict
SIZES = (1, 3, 8, 12, 24)  # the first so many words of either list
SMALLEST = {"movie_reviews": few(movie_reviews, 16), "TRIED": 8, "TEMPLATES": TEMPLATES[:1],
            "SIZES": (1,)}


def encode(text: str, template: str, keep: str, tokenizer) -> list[int]:
    """Ids of the filled template; a long text loses its ``keep``'s other end, never the mask."""
    before, after = template.replace("{mask}", tokenizer.mask_token).split("{text}")
    fixed = [tokenizer(part, add_special_tokens=False)["input_ids"] for part in (before, after)]
    ids = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
    room = LENGTH - 2 - sum(map(len, fixed))
    ids = ids[-room:] if keep == "end" else ids[:room]
    return [tokenizer.cls_token_id, *fixed[0], *ids, *fixed[1], tokenizer.sep_token_id]


@torch.inference_mode()
def word_logits(model, tokenizer, texts, template, keep, words) -> np.ndarray:
    """Logits of the words at the mask, (texts, words). Batches hold rows of similar length."""
    rows = [encode(text, template, keep, tokenizer) for text in texts]
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    out = np.zeros((len(rows), len(words)), np.float32)
    columns = tokenizer.convert_tokens_to_ids(words)
    for start in range(0, len(order), 32):
        part = order[start : start + 32]
        batch = tokenizer.pad({"input_ids": [rows[i] for i in part]}, return_tensors="pt")
        logits = masked.masked_logits(model, batch["input_ids"],
                                      batch["input_ids"] == tokenizer.mask_token_id,
                                      batch["attention_mask"])
        out[part] = logits[:, columns].numpy()
    return out


def log_sum_exp(table: np.ndarray) -> np.ndarray:
    return np.logaddexp.reduce(table, axis=1)


def mean(table: np.ndarray) -> np.ndarray:
    return table.mean(axis=1)


AGGREGATIONS = {"log-sum-exp": log_sum_exp, "mean": mean}


def scores(logits: np.ndarray, words: list[str], lists, together=log_sum_exp) -> np.ndarray:
    """The positive words' logits, taken together, minus the negative ones', per text."""
    good, bad = ([words.index(w) for w in side] for side in lists)
    return together(logits[:, good]) - together(logits[:, bad])


def accuracy(score, threshold, labels) -> float:
    return float(((score > threshold) == np.asarray(labels)).mean())


def choose(model, tokenizer, tried) -> list[dict]:
    """Accuracy of every choice on labelled training reviews, the best first."""
    grid, words = [], GOOD + BAD
    for template in TEMPLATES:
        logits = {n: word_logits(model, tokenizer, t["text"], template, KEEP, words)
                  for n, t in tried.items()}
        for size, way in itertools.product(SIZES, AGGREGATIONS):
            lists = GOOD[:size], BAD[:size]
            got = {}
            for n, table in logits.items():
                score = scores(table, words, lists, AGGREGATIONS[way])
                got[n] = accuracy(score, np.median(score), tried[n]["label"])
            grid.append({"template": template, "words a side": size, "aggregation": way,
                         "mean": float(np.mean(list(got.values()))), **got})
    return sorted(grid, key=lambda g: -g["mean"])


def zero_shot(model, tokenizer) -> dict:
    data = {name: movie_reviews(collection=name) for name in ("rotten_tomatoes", "imdb")}
    tried = {n: d["train"].select(range(TRIED)) for n, d in data.items()}
    grid = choose(model, tokenizer, tried)
    best = grid[0]
    print(best, flush=True)
    size, together = best["words a side"], AGGREGATIONS[best["aggregation"]]
    lists, test = (GOOD[:size], BAD[:size]), {}
    for n, d in data.items():
        free = d["train"].select(range(TRIED, 2 * TRIED))["text"]  # labels are not read
        unlabelled, tested = (
            scores(word_logits(model, tokenizer, texts, best["template"], KEEP, sum(lists, [])),
                   sum(lists, []), lists, together)
            for texts in (free, d["test"]["text"])
        )
        threshold = np.median(unlabelled)
        test[n] = {"texts": len(tested), "threshold": float(threshold),
                   "accuracy": accuracy(tested, threshold, d["test"]["label"]),
                   "accuracy, threshold 0": accuracy(tested, 0.0, d["test"]["label"])}
        print(n, test[n], flush=True)
    return {"chosen": best, "test": test, "grid": grid}


@torch.inference_mode()
def opposites(model, tokenizer) -> dict:
    """How many sentences give more probability to the list of their own side."""
    probe = json.loads((Path(checkpoints.__file__).parent / "probes" / "opposites.json")
                       .read_text(encoding="utf8"))
    lists = [probe["label_words"][side] for side in ("positive", "negative")]
    words = lists[0] + lists[1]
    template = "{text} " + probe["suffix"].replace("[MASK]", "{mask}")
    right = []
    for pair in probe["pairs"]:
        score = scores(word_logits(model, tokenizer, pair, template, "end", words), words, lists)
        right += [bool(score[0] > 0), bool(score[1] < 0)]
    return {"right": sum(right), "of": len(right)}


def main() -> None:
    parsed(options(__doc__), globals())
    model, tokenizer = checkpoints.load("bert-mini-en")
    result = {"opposites": opposites(model, tokenizer)}
    print(result, flush=True)
    result["zero_shot"] = zero_shot(model, tokenizer)
    result["masked_lm"] = metrics.masked_lm(model, tokenizer, movie_reviews()["test"]["text"])
    print(result["masked_lm"], flush=True)
    OUT.parent.mkdir(exist_ok=True)
    storage.write_text(OUT, json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
