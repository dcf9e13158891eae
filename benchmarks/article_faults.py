"""What the faults of the article's code cost: the literal class beside the repaired one.

    python benchmarks/article_faults.py asking
    python benchmarks/article_faults.py classes [--seconds SECONDS]
    python benchmarks/article_faults.py tuning [--seconds SECONDS]

``asking``: `compute_tokens_prob` on 1,000 test reviews, 500 of each collection, taken in the
order of a hash of their id, with every list of words, in batches. ``classes``: the main call
again, by the two classes themselves, text by text. ``tuning``: `fine_tune` on 16 training reviews
a class: right and literal with five seeds, right with one fault put in with the first three of
them; asked on the first 300 Rotten Tomatoes reviews of the 1,000. The last two stop after SECONDS
of processor time and go on from there when called again. All write ``results/article_faults.json``.

The calls, the rate and the number of epochs were chosen on training reviews.
"""

import hashlib
import itertools
import json
import time
from pathlib import Path

import numpy as np
import torch
from machine import describe
from options import options, parsed

from companion import checkpoints, storage
from companion.corpora import movie_reviews
from companion.prompting import Prompting, literal
from companion.prompting.faults import FAULTS, ForeignTokenizer
from companion.prompting.literal import LiteralPrompting

OUT = Path(__file__).with_name("results") / "article_faults.json"
MODEL, FOREIGN = "bert-mini-en", "bert-scratch-en"
PROMPT, LENGTH = "Because it was [MASK].", 128  # tokens, prompt and special tokens included
EACH, FREE = 500, 400  # test reviews of a collection; training texts for the border
SEEDS, SHOTS, HELD = (13, 21, 42, 87, 100), 16, 300
SMALLEST = {"EACH": 3, "FREE": 4, "SEEDS": (13,), "SHOTS": 1, "HELD": 4}
CALLS = {  # name -> (first list, second list) as the literal class gets them
    "two against two": (["great", "good"], ["bad", "terrible"]),
    "three against three": (["great", "amazing", "good"], ["bad", "awful", "terrible"]),
    "three against three, misspelt": (["great", "amazin", "good"], ["bad", "awfull", "terrible"]),
    "two against three": (["great", "good"], ["bad", "awful", "terrible"]),
    "two against three, misspelt": (["great", "amazin"], ["bad", "awfull", "terrible"]),
}
MAIN = "two against three, misspelt"  # both faults of the lists in one call
SPELT = {"amazin": "amazing", "awfull": "awful"}


def chosen(split: str, collection: str, tag: str):
    """All reviews of a split in the order of a hash of their id."""
    data = movie_reviews(collection=collection)[split]
    keys = [hashlib.sha256(f"{tag}:{name}".encode()).hexdigest() for name in data["id"]]
    return data.select(sorted(range(len(keys)), key=keys.__getitem__))


def shorten(text: str, tokenizer, room: int) -> str:
    """The last words of a text that fit into ``room`` tokens: the verdict stands at the end."""
    ends = tokenizer(text, add_special_tokens=False, verbose=False,
                     return_offsets_mapping=True)["offset_mapping"]
    if len(ends) <= room:
        return text
    return text[next(a for a, _ in ends[-room:] if text[a - 1] == " "):]


def asked(reviews, tokenizer) -> tuple[list[str], int]:
    """Texts with their prompt, and how many were shortened."""
    room = LENGTH - len(tokenizer(PROMPT)["input_ids"])
    texts = [shorten(text, tokenizer, room) for text in reviews["text"]]
    cut = sum(short != text for short, text in zip(texts, reviews["text"]))
    return [f"{text} {PROMPT}" for text in texts], cut


def variants(logits: dict[str, torch.Tensor], first: list[str], second: list[str]) -> dict:
    """Log-odds of a call, literal, right, and right but for one fault. Word -> (texts,)."""
    def table(words, spelt):
        words = [SPELT.get(word, word) for word in words] if spelt else words
        absent = torch.zeros_like(logits["good"])
        return torch.stack([logits.get(word, absent) for word in words], -1)

    def odds(together, spelt):
        return together(table(first, spelt)) - together(table(second, spelt))

    def added(scores):
        return scores.sum(-1)

    return {"literal": odds(added, False), "fault 2 alone": odds(added, True),
            "fault 3 alone": odds(Prompting._together, False),
            "repaired": odds(Prompting._together, True)}


def word_logits(prompting: Prompting, texts: list[str]) -> dict[str, torch.Tensor]:
    words = sorted({SPELT.get(w, w) for call in CALLS.values() for side in call for w in side})
    tokens = torch.tensor(prompting.tokenizer.convert_tokens_to_ids(words))
    with torch.no_grad():
        return dict(zip(words, prompting._word_logits(prompting._encoded(texts), tokens).T))


def difference(first: np.ndarray, second: np.ndarray, draws: int = 10_000) -> dict:
    """Mean of first minus second, both 0 or 1 for each text, with a paired bootstrap interval.

    Percentiles 2.5 and 97.5 of the difference over resampled texts (Efron and Tibshirani, 1993).
    """
    gaps = first.astype(float) - second
    picks = np.random.default_rng(0).integers(0, len(gaps), (draws, len(gaps)))
    low, high = np.percentile(gaps[picks].mean(1), [2.5, 97.5])
    return {"difference": float(gaps.mean()), "low": float(low), "high": float(high)}


def scored(odds: torch.Tensor, labels: np.ndarray, border: float = 0.0) -> dict:
    """Accuracy, mean probability of the answer, loss in nats; which texts were right."""
    odds = odds - border
    right = ((odds > 0).numpy() == labels)
    loss = torch.nn.functional.binary_cross_entropy_with_logits(odds, torch.tensor(labels).float())
    return {"accuracy": float(right.mean()), "confidence": float(odds.abs().sigmoid().mean()),
            "loss": float(loss), "right": "".join(map(str, right.astype(int)))}


def tested(tokenizer) -> tuple[list[str], np.ndarray, dict]:
    """The test texts with their prompt, their labels, and how many were shortened."""
    texts, labels, cut = [], [], {}
    for name in ("rotten_tomatoes", "imdb"):
        reviews = chosen("test", name, "article").select(range(EACH))
        more, cut[name] = asked(reviews, tokenizer)
        texts, labels = texts + more, [*labels, *reviews["label"]]
    return texts, np.array(labels), cut


def asking() -> dict:
    prompting = Prompting(MODEL)
    texts, labels, cut = tested(prompting.tokenizer)
    free = [text for name in cut for text in asked(  # labels are not read
        chosen("train", name, "border").select(range(FREE // 2)), prompting.tokenizer)[0]]
    logits, unlabelled = word_logits(prompting, texts), word_logits(prompting, free)
    calls = {}
    for name, lists in CALLS.items():
        odds = variants(logits, *lists)
        border = variants(unlabelled, *lists)["repaired"].median().item()
        found = {way: scored(values, labels) for way, values in odds.items()}
        found["repaired, border"] = scored(odds["repaired"], labels, border) | {"border": border}
        right = {way: np.array(list(one["right"])).astype(int) for way, one in found.items()}
        calls[name] = {"lists": lists, "ways": found, "repaired minus": {
            way: difference(right["repaired"], right[way]) for way in odds if way != "repaired"}}
        print(name, calls[name]["repaired minus"]["literal"],
              {way: round(one["accuracy"], 3) for way, one in found.items()}, flush=True)
    return {"texts": {"count": len(texts), "of each": EACH, "shortened": cut,
                      "labels": "".join(map(str, labels))}, "main": MAIN, "calls": calls}


def classes(known: dict, seconds: float) -> dict:
    """The main call through the two classes themselves, text by text: answers 1 (good) or 0."""
    prompting, article = Prompting(MODEL), LiteralPrompting(checkpoints.folder(MODEL))
    texts, labels, _ = tested(prompting.tokenizer)
    first, second = CALLS[MAIN]
    spelt = [[SPELT.get(word, word) for word in words] for words in (first, second)]
    answers = {"literal": "", "repaired": ""} | known.get("answers", {})
    began = time.process_time()
    for text in texts[len(answers["literal"]):]:
        if time.process_time() - began > seconds:
            break
        both = (article.compute_tokens_prob(text, first, second),
                prompting.compute_tokens_prob(text, *spelt))
        for way, (good, bad) in zip(answers, both):
            answers[way] += str(int(good > bad))
    print(len(answers["literal"]), "of", len(texts), flush=True)
    accuracy = {way: float(np.mean([int(a) == label for a, label in zip(found, labels)]))
                for way, found in answers.items()}
    return {"classes": {"answers": answers, "accuracy": accuracy}}


def few(seed: int):
    """The first reviews of each class in the order of a hash of seed and id."""
    reviews = chosen("train", "rotten_tomatoes", f"few:{seed}")
    labels = np.array(reviews["label"])
    places = np.sort(np.concatenate([np.flatnonzero(labels == c)[:SHOTS] for c in (0, 1)]))
    return reviews.select(places)["text"], labels[places].tolist()


def tuned(way: str, seed: int, held) -> dict:
    """Tune in one way, then ask the held-out reviews. Accuracy and share answered "good"."""
    sentences, labels = few(seed)
    settings = {"4: a step after each": {"batch_size": 1}, "5: rate 1e-3": {"learning_rate": 1e-3}}
    if way.startswith("literal"):
        article = LiteralPrompting(checkpoints.folder(MODEL))
        literal.tokenizer = article.tokenizer
        turned = [1 - label for label in labels]
        article.fine_tune(sentences, turned if "turned" in way else labels)
        prompting = Prompting(article.model.eval(), article.tokenizer)
        prompting.prompt = PROMPT
    else:
        prompting = FAULTS.get(way, Prompting)(MODEL)
        if way != "before":
            prompting.fine_tune(sentences, labels, seed=seed, **settings.get(way, {}))
    answers = np.array(prompting.predict(held["text"], max_length=LENGTH))
    return {"accuracy": float((answers == held["label"]).mean()), "good": float(answers.mean())}


MAIN_WAYS = ("before", "repaired", "literal", "literal, labels turned")
ONE_FAULT = ("4: a step after each", "5: rate 1e-3", *FAULTS)


def tuning(known: dict, seconds: float) -> dict:
    ForeignTokenizer.foreign = checkpoints.load(FOREIGN)[1]
    held = chosen("test", "rotten_tomatoes", "article").select(range(HELD))
    began = time.process_time()
    plan = [*itertools.product(SEEDS, MAIN_WAYS), *itertools.product(SEEDS[:3], ONE_FAULT)]
    for seed, way in plan:
        if str(seed) in known.get(way, {}) or time.process_time() - began > seconds:
            continue
        known.setdefault(way, {})[str(seed)] = tuned(way, seed, held)
        print(seed, way, known[way][str(seed)], round(time.process_time() - began), flush=True)
        save({"tuning": known})
    return {"tuning": known}


def save(part: dict) -> None:
    before = json.loads(OUT.read_text(encoding="utf8")) if OUT.exists() else {}
    result = before | part | {"machine": describe(), "setting": {
        "model": MODEL, "prompt": PROMPT, "length": LENGTH, "shots": SHOTS, "held": HELD,
        "foreign": FOREIGN}}
    storage.write_text(OUT, json.dumps(result, indent=1) + "\n")


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("part", choices=["asking", "classes", "tuning"])
    parser.add_argument("--seconds", type=float, default=float("inf"))
    given = parsed(parser, globals())
    known = json.loads(OUT.read_text(encoding="utf8")) if OUT.exists() else {}
    if given.part == "asking":
        save(asking())
    elif given.part == "classes":
        save(classes(known.get("classes", {}), given.seconds))
    else:
        save(tuning(known.get("tuning", {}), given.seconds))


if __name__ == "__main__":
    main()
