"""Zero-shot sentiment with ``bert-mini-en``: how much templates, words and calibration matter.

    python benchmarks/zero_shot.py spread [--seconds 100]   # every template; call until done
    python benchmarks/zero_shot.py words                    # choose the label words
    python benchmarks/zero_shot.py test [--seconds 100]     # read the test splits, once
    python benchmarks/zero_shot_baselines.py                # VADER and a bag of words

Rows go to ``results/zero_shot.jsonl`` as they finish; what is there is not done again. Everything
is chosen on training reviews.

spread: for each template and each of two halves of the texts, label words are chosen on the one
half and every word set is calibrated there, without labels; accuracy is counted on the other.
words: the template with the best accuracy of the words chosen so; its words, from more texts.
test: the chosen template, and one that was fixed beforehand, with every word set. The
calibration comes from training texts whose labels are not read.
"""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import zero_shot_setting as setting
from options import options, parsed

from companion import checkpoints
from companion.prompting import PromptClassifier, calibration, word_choice

OUT = Path(__file__).with_name("results") / "zero_shot.jsonl"
SMALLEST: dict = {}  # what is small is in the setting
METHODS = ("none", "contextual", "prior", "median")
FREE = ("N/A", "", "[MASK]")  # as calibration.CONTENT_FREE


def rows(part: str) -> list[dict]:
    """The finished rows of one part."""
    lines = OUT.read_text(encoding="utf8").splitlines() if OUT.exists() else []
    return [row for row in map(json.loads, lines) if row["part"] == part]


def add(row: dict) -> None:
    with OUT.open("a", encoding="utf8") as file:
        file.write(json.dumps(row, ensure_ascii=False) + "\n")


def load():
    model, tokenizer = checkpoints.load("bert-mini-en")
    tokenizer.model_max_length = setting.LENGTH
    return model, tokenizer


# --- spread ---------------------------------------------------------------------------------

def biases(scores: torch.Tensor, free: torch.Tensor) -> dict[str, torch.Tensor]:
    """The bias of every method, from scores (texts, 2) of unlabelled and content-free texts."""
    return {"none": torch.zeros(2), "contextual": calibration.contextual(free),
            "prior": calibration.prior_matching(scores), "median": calibration.median(scores)}


def spread_of(pattern: str, model, tokenizer) -> dict:
    """Accuracy of every word set and calibration, by collection."""
    words = word_choice.plain_words(tokenizer)
    names, ids = list(words), list(words.values())
    ask = [model, tokenizer, setting.template(pattern)]
    texts = {c: d.select(range(setting.SPREAD[c])) for c, d in setting.reviews().items()}
    tables = {c: word_choice.log_probabilities(*ask, t["text"], ids) for c, t in texts.items()}
    labels = {c: torch.tensor(t["label"]) for c, t in texts.items()}
    free = word_choice.log_probabilities(*ask, FREE, ids, content_free=True)
    best = word_choice.fillers(list(tables.values()), setting.FILLERS)
    right: dict = {c: {} for c in tables}
    for half in (0, 1):
        here, there = slice(half, None, 2), slice(1 - half, None, 2)
        chosen = word_choice.choose([(t[here][:, best], labels[c][here])
                                     for c, t in tables.items()], setting.SIZE, setting.POOL)
        sets = {name: [[names.index(w) for w in side] for side in lists]
                for name, lists in setting.hand_written().items()}
        sets[setting.CHOSEN] = [best[side].tolist() for side in chosen]
        for name, sides in sets.items():
            for c, table in tables.items():
                found, known, empty = (torch.stack([t[:, side].mean(1) for side in sides], 1)
                                       for t in (table[there], table[here], free))
                for method, bias in biases(known, empty).items():
                    hit = (found + bias).argmax(1) == labels[c][there]
                    right[c].setdefault(name, {}).setdefault(method, []).append(hit)
    return {c: {name: {m: round(torch.cat(hits).float().mean().item(), 4)
                       for m, hits in by.items()} for name, by in table.items()}
            for c, table in right.items()}


def spread(seconds: float) -> None:
    began, done = time.time(), {row["template"] for row in rows("spread")}
    left = [pattern for pattern in setting.TEMPLATES if pattern not in done]
    if not left:
        return
    model, tokenizer = load()
    for pattern in left:
        if time.time() - began > seconds - 35:  # a template takes that long on a slow machine
            return print("not all templates are done: call again")
        add({"part": "spread", "template": pattern, "texts": setting.SPREAD,
             "accuracy": spread_of(pattern, model, tokenizer)})
        print(f"{time.time() - began:4.0f} s", rows("spread")[-1], flush=True)


# --- words ----------------------------------------------------------------------------------

def best_template() -> str:
    """The best mean of the two collections, with words chosen on the other half.

    Of the templates that are done: run ``spread`` to its end first.
    """
    def value(row: dict) -> float:
        return sum(row["accuracy"][c][setting.CHOSEN]["median"] for c in setting.COLLECTIONS)
    return max(rows("spread"), key=value)["template"]


def choose_words() -> None:
    if rows("words"):
        return print("the words are chosen already")
    (model, tokenizer), pattern = load(), best_template()
    words = word_choice.plain_words(tokenizer)
    names, parts = list(words), []
    for c, reviews in setting.reviews().items():
        texts = reviews.select(range(setting.LABELLED[c]))
        table = word_choice.log_probabilities(model, tokenizer, setting.template(pattern),
                                              texts["text"], list(words.values()))
        parts.append((table, torch.tensor(texts["label"])))
        print(c, flush=True)
    best = word_choice.fillers([table for table, _ in parts], setting.FILLERS)
    negative, positive = word_choice.choose([(table[:, best], labels) for table, labels in parts],
                                            setting.SIZE, setting.POOL)
    add({"part": "words", "template": pattern, "of": len(rows("spread")),
         "labels read": setting.LABELLED,
         "negative": [names[best[i]] for i in negative],
         "positive": [names[best[i]] for i in positive]})
    print(rows("words"))


# --- test -----------------------------------------------------------------------------------

def interval(right: np.ndarray, seed: int = 0) -> list[float]:
    """95 % bootstrap interval of an accuracy. Resampled 0s and 1s are a binomial draw."""
    drawn = np.random.default_rng(seed).binomial(len(right), right.mean(), 10_000) / len(right)
    return [round(float(x), 4) for x in np.percentile(drawn, [2.5, 97.5])]


def tests() -> Iterator[tuple[str, str, dict]]:
    """Template, collection and word sets of every run on a test split."""
    (chosen,) = rows("words")
    sets = setting.hand_written() | {setting.CHOSEN: (chosen["negative"], chosen["positive"])}
    for pattern in (chosen["template"], setting.FIXED):
        for collection in setting.COLLECTIONS:
            yield pattern, collection, sets


def test_one(pattern: str, collection: str, sets: dict, model, tokenizer) -> None:
    first = setting.LABELLED[collection]
    unlabelled = setting.reviews()[collection].select(range(first, first + setting.BORDER))["text"]
    test = setting.reviews("test")[collection]
    # One forward pass for the words of all sets.
    union = [list(dict.fromkeys(w for lists in sets.values() for w in lists[i])) for i in (0, 1)]
    words = union[0] + union[1]
    asked = PromptClassifier(model, setting.template(pattern), setting.verbalizer(*union),
                             tokenizer=tokenizer, precision="auto")
    free = asked.word_scores([f.replace("[MASK]", tokenizer.mask_token) for f in FREE], True)
    known, found = asked.word_scores(unlabelled), asked.word_scores(test["text"])
    cut = sum(gone > 0 for gone in asked.truncated)
    for name, lists in sets.items():
        columns = [words.index(w) for side in lists for w in side]
        together = setting.verbalizer(*lists).aggregate
        scores = together(found[:, columns])
        for method, bias in biases(together(known[:, columns]), together(free[:, columns])).items():
            biased = scores + bias
            right = (biased.argmax(1) == torch.tensor(test["label"])).numpy()
            row = {"part": "test", "template": pattern, "collection": collection, "words": name,
                   "calibration": method, "texts": len(right), "truncated": cut,
                   "border": round((bias[0] - bias[1]).item(), 3),
                   "accuracy": round(float(right.mean()), 4), "interval": interval(right)}
            if method == "median":
                row["scores"] = [round(x, 2) for x in (biased[:, 1] - biased[:, 0]).tolist()]
            add(row)


def test(seconds: float) -> None:
    began, done = time.time(), {(row["template"], row["collection"]) for row in rows("test")}
    model, tokenizer = load()
    for pattern, collection, sets in tests():
        if (pattern, collection) in done:
            continue
        if time.time() - began > seconds - 75:
            return print("not all runs are done: call again")
        test_one(pattern, collection, sets, model, tokenizer)
        print(f"{time.time() - began:4.0f} s", pattern, collection, flush=True)


if __name__ == "__main__":
    parser = options(__doc__)
    parser.add_argument("part", choices=["spread", "words", "test"])
    parser.add_argument("--seconds", type=float, default=1e9)
    given = parsed(parser, globals(), vars(setting))
    {"spread": lambda: spread(given.seconds), "words": choose_words,
     "test": lambda: test(given.seconds)}[given.part]()
