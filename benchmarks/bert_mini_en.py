"""What the checkpoint ``bert-mini-en`` can do: the figures of its model card.

1. Masked-LM loss and top-1 accuracy on the whole test split of the reviews.
2. The twenty pairs of opposite sentences that were fixed before its training.
3. Zero-shot sentiment: template and label words are chosen on *training* reviews; then
   one run on each test split. The decision threshold is the median score of unlabelled
   training texts (as many positive as negative expected).

Run ``python benchmarks/bert_mini_en.py``; it writes ``results/bert_mini_en.json``.
"""

import json
from pathlib import Path

import numpy as np
import torch

from companion import checkpoints, metrics
from companion.corpora import movie_reviews
from companion.objectives import masked

OUT = Path(__file__).with_name("results") / "bert_mini_en.json"
LENGTH = 128  # tokens, as in pretraining
TRIED = 200  # training reviews a collection for choosing; others set the threshold
TEMPLATES = (
    "{text} It was {mask}.",
    "{text} All in all, it was {mask}.",
    "{text} Overall, this is a {mask} movie.",
)
WORDS = {
    "two": (["great"], ["terrible"]),
    "good, bad": (["good"], ["bad"]),
    "six": (["great", "good", "excellent"], ["terrible", "bad", "awful"]),
    "sixteen": (
        ["great", "good", "excellent", "wonderful", "amazing", "fantastic", "perfect", "brilliant"],
        ["bad", "terrible", "awful", "horrible", "boring", "poor", "stupid", "disappointing"],
    ),
}


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


def scores(logits: np.ndarray, words: list[str], lists) -> np.ndarray:
    """Log-sum-exp of the positive words minus that of the negative ones, per text."""
    sides = [logits[:, [words.index(w) for w in side]] for side in lists]
    return np.logaddexp.reduce(sides[0], axis=1) - np.logaddexp.reduce(sides[1], axis=1)


def accuracy(score, threshold, labels) -> float:
    return float(((score > threshold) == np.asarray(labels)).mean())


def zero_shot(model, tokenizer) -> dict:
    vocabulary = sorted({w for lists in WORDS.values() for side in lists for w in side})
    data = {name: movie_reviews(collection=name) for name in ("rotten_tomatoes", "imdb")}
    tried = {n: d["train"].select(range(TRIED)) for n, d in data.items()}
    grid = []
    keep = "end"  # of a long review: it holds the verdict
    for template in TEMPLATES:
        logits = {n: word_logits(model, tokenizer, t["text"], template, keep, vocabulary)
                  for n, t in tried.items()}
        for name, lists in WORDS.items():
            got = {}
            for n, table in logits.items():
                score = scores(table, vocabulary, lists)
                got[n] = accuracy(score, np.median(score), tried[n]["label"])
            grid.append({"template": template, "keep": keep, "words": name,
                         "mean": float(np.mean(list(got.values()))), **got})
            print(grid[-1], flush=True)
    best = max(grid, key=lambda g: g["mean"])
    lists = WORDS[best["words"]]
    test = {}
    for n, d in data.items():
        free = d["train"].select(range(TRIED, 2 * TRIED))["text"]  # labels are not read
        arguments = (best["template"], best["keep"], vocabulary)
        threshold = np.median(scores(word_logits(model, tokenizer, free, *arguments),
                                     vocabulary, lists))
        score = scores(word_logits(model, tokenizer, d["test"]["text"], *arguments),
                       vocabulary, lists)
        test[n] = {"texts": len(score), "threshold": float(threshold),
                   "accuracy": accuracy(score, threshold, d["test"]["label"]),
                   "accuracy, threshold 0": accuracy(score, 0.0, d["test"]["label"])}
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
    model, tokenizer = checkpoints.load("bert-mini-en")
    result = {"opposites": opposites(model, tokenizer)}
    print(result, flush=True)
    result["zero_shot"] = zero_shot(model, tokenizer)
    result["masked_lm"] = metrics.masked_lm(model, tokenizer, movie_reviews()["test"]["text"])
    print(result["masked_lm"], flush=True)
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf8")


if __name__ == "__main__":
    main()
