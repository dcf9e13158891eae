"""Entities by prompts in the Chinese newspaper, with ``albert-mini-zh``.

    python benchmarks/entities_zh.py

Everything is chosen on 100 training sentences: prompt, label words, calibration, margin. Then
200 test sentences are read once. Candidates are all spans of 2 to 4 Chinese characters: nothing
like a capital letter tells names from other words. Beside it stand a list of the names in the
same 100 sentences, a list from all training sentences, and the types alone, with the spans
given. Writes ``results/entities_zh.json``.
"""

import itertools
import json
import random
from collections import Counter
from pathlib import Path

from entities_en import Remembering, interval
from machine import describe
from options import options, parsed

from companion import checkpoints, storage
from companion.entity import Entity
from companion.metrics import entity_f1
from companion.ner import people
from companion.ner.gazetteer import Gazetteer
from companion.prompting import PromptClassifier, Template, Verbalizer
from companion.prompting.entities import EntityFinder

OUT = Path(__file__).with_name("results") / "entities_zh.json"
MODEL, LONGEST, COUNTS = "albert-mini-zh", 4, {"train": 100, "test": 200}
FREE = {"text": "", "span": "它"}
PROMPTS = ("{text}{span}是{mask}名。", "{text}{span}是一个{mask}。", "{text}{mask}叫{span}。")
WORD_LISTS = {
    "one": {"PER": ["人"], "LOC": ["地"], "ORG": ["社"], "O": ["事"]},
    "three": {"PER": ["人", "者", "员"], "LOC": ["地", "国", "市"], "ORG": ["社", "会", "部"],
              "O": ["事", "话", "时"]},
}
SMALLEST = {"COUNTS": {"train": 8, "test": 8}, "PROMPTS": PROMPTS[:1]}
EVERY = list(dict.fromkeys(w for own in WORD_LISTS.values() for ws in own.values() for w in ws))


class AskedOnce(Remembering):
    """A prompt is asked once for the words of all lists."""

    every = EVERY


def some(split: str) -> list:
    """Sentences of 10 to 40 characters with at least one name, drawn by chance."""
    kept = [x for x in people.load()[split] if 10 <= len(x.text) <= 40 and x.entities]
    return random.Random(0).sample(kept, COUNTS[split])


def gold_of(examples) -> list[list[Entity]]:
    return [list(x.entities) for x in examples]


def texts_of(examples) -> list[str]:
    return [x.text for x in examples]


def finder(parts, prompt: str, words: str, calibrated: bool, kind=PromptClassifier):
    model, tokenizer = parts
    classifier = kind(model, Template(prompt), Verbalizer(WORD_LISTS[words]),
                      tokenizer=tokenizer, precision="auto")
    return EntityFinder(classifier, longest=LONGEST, only="characters").calibrate(calibrated, FREE)


def choose(parts, train) -> list[dict]:
    """Every setting with its margin and its F1 on the training sentences, best first."""
    found = []
    for setting in itertools.product(PROMPTS, WORD_LISTS, (False, True)):
        one = finder(parts, *setting, kind=AskedOnce)
        best = one.choose_margin(texts_of(train), gold_of(train))
        found.append({**dict(zip(("prompt", "words", "calibrated"), setting)),
                      "margin": round(one.margin, 4), "train_f1": round(best, 4)})
        print(found[-1], flush=True)
    return sorted(found, key=lambda entry: -entry["train_f1"])


def scored(gold, predicted) -> dict:
    spans = [[[(e.start, e.end) for e in own] for own in side] for side in (gold, predicted)]
    result = entity_f1(gold, predicted)
    return {**{key: round(value, 4) for key, value in result.items()},
            "span_f1": round(entity_f1(*spans)["f1"], 4), "interval": interval(gold, predicted)}


def listed(names: Gazetteer, examples) -> dict:
    return scored(gold_of(examples), names.predict(texts_of(examples)))


def typing(one: EntityFinder, train, test) -> dict:
    """Share of right types with the spans given, beside the most frequent type."""
    frequent = Counter(e.type for own in gold_of(train) for e in own).most_common(1)[0][0]
    asked = [({"text": x.text, "span": x.text[e.start : e.end]}, e.type)
             for x in test for e in x.entities]
    scores = one.classifier.scores([question for question, _ in asked])
    where = [one.classifier.labels.index(kind) for kind in one.types]
    answers = [one.types[k] for k in scores[:, where].argmax(1).tolist()]
    return {"entities": len(asked), "frequent": frequent,
            "prompt": round(sum(a == t for a, (_, t) in zip(answers, asked)) / len(asked), 4),
            "most frequent type": round(sum(t == frequent for _, t in asked) / len(asked), 4)}


def main() -> None:
    parsed(options(__doc__), globals())
    parts = checkpoints.load(MODEL)
    train, test = some("train"), some("test")
    grid = choose(parts, train)
    best = grid[0]
    one = finder(parts, best["prompt"], best["words"], best["calibrated"])
    one.margin = best["margin"]
    predicted = one.predict(texts_of(test))
    result = {
        "model": MODEL, "longest": LONGEST, "counts": COUNTS, "words": WORD_LISTS, "grid": grid,
        "chosen": best, "test": {
            "prompt": scored(gold_of(test), predicted),
            "names of the same sentences": listed(Gazetteer.from_examples(train), test),
            "names of all training sentences": listed(
                Gazetteer.from_examples(people.load()["train"], sure=0.5), test)},
        "types of given spans": typing(one, train, test),
        "spans": sum(map(len, one.spans(texts_of(test)))), "machine": describe(),
    }
    storage.write_text(OUT, json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    print(json.dumps(result, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
