"""Entities by prompts on the labelled English sentences, beside baselines without a model.

    python benchmarks/entities_en.py [train] [test] [speed]

``train``: everything is chosen on the train part: prompt, label words, calibration, margin, and
what the baselines do with the first word. ``test``: the test part is read with these choices,
once. ``speed``: many spans in few forward passes beside one pass for each span. All three
without an argument; each replaces its part of ``benchmarks/results/entities_en.json``.
"""

import itertools
import json
import time
from pathlib import Path

import numpy as np
import torch
from machine import describe
from options import few, options, parsed

from companion import checkpoints, storage
from companion.corpora import entity_sentences
from companion.corpora.entities import entities_of
from companion.entity import Entity
from companion.metrics import entity_f1
from companion.prompting import PromptClassifier, Template, Verbalizer
from companion.prompting.entities import PROMPT, WORDS, EntityFinder
from companion.prompting.gazetteer import Gazetteer, capital_runs

OUT = Path(__file__).with_name("results") / "entities_en.json"
PROMPTS = (PROMPT, "{text} {span} is a kind of {mask}.", "{text} {span} is a {mask}.",
           "{text} {span} is the name of a {mask}.", "{text} The {mask} is called {span}.",
           "{text} In this sentence {span} is a {mask}.")
WORD_LISTS = {
    "one": {"PER": ["person"], "LOC": ["place"], "ORG": ["organization"], "O": ["thing"]},
    "three": WORDS,
    "six": {"PER": ["person", "man", "woman", "boy", "girl", "friend"],
            "LOC": ["place", "city", "country", "town", "village", "island"],
            "ORG": ["company", "team", "group", "club", "business", "school"],
            "O": ["thing", "way", "time", "word", "day", "part"]},
}
PARTS = ["train", "test", "speed"]
LONGEST = 4  # words of a span; the longest name of the train part has three
ROUNDS = 3  # timings, of which the median counts
TIMED = {"one by one": 32, "fp32": 512, "bf16": 512}  # spans: every way gets all lengths
SMALLEST = {"entity_sentences": few(entity_sentences, 12), "PROMPTS": (PROMPT,), "ROUNDS": 1,
            "WORD_LISTS": {"three": WORDS}, "TIMED": dict.fromkeys(TIMED, 2)}


def finder(model, tokenizer, prompt: str, words: str, calibrated: bool, only: str = "capitals",
           precision: str = "fp32", kind=PromptClassifier) -> EntityFinder:
    classifier = kind(model, Template(prompt), Verbalizer(WORD_LISTS[words]), tokenizer=tokenizer,
                      precision=precision)
    return EntityFinder(classifier, longest=LONGEST, only=only).calibrate(calibrated)


class Remembering(PromptClassifier):
    """Asks a prompt once for all words of the lists, which then share the answers."""

    answers: dict = {}
    every = list(dict.fromkeys(w for own in WORD_LISTS.values() for ws in own.values()
                               for w in ws))

    def word_scores(self, texts, content_free=False):
        every = self.every
        key = (self.template.pattern, content_free, tuple(t["span"] + t["text"] for t in texts))
        if key not in self.answers:
            asked = PromptClassifier(self.model, self.template, Verbalizer({w: w for w in every}),
                                     tokenizer=self.tokenizer,
                                     precision="bf16" if self.half else "fp32")
            self.answers[key] = asked.word_scores(texts, content_free)
        self.truncated = [0]
        return self.answers[key][:, [every.index(word) for _, word in self.verbalizer.pairs]]


def gold_of(part) -> list[list[Entity]]:
    return [entities_of(row) for row in part]


def choose(model, tokenizer, train) -> list[dict]:
    """Every prompt, list and calibration with its margin and F1 on the train part, best first."""
    found, gold = [], gold_of(train)
    for prompt, words, calibrated in itertools.product(PROMPTS, WORD_LISTS, (False, True)):
        one = finder(model, tokenizer, prompt, words, calibrated, kind=Remembering)
        best = one.choose_margin(train["text"], gold)
        found.append({"prompt": prompt, "words": words, "calibrated": calibrated,
                      "margin": round(one.margin, 4), "train_f1": round(best, 4)})
        print(found[-1], flush=True)
    return sorted(found, key=lambda entry: -entry["train_f1"])


def interval(gold, predicted, draws: int = 2000) -> list[float]:
    """95 % of F1 when the sentences are drawn again and again (bootstrap)."""
    counts = np.array([[len(set(g) & set(p)), len(g) + len(p)] for g, p in zip(gold, predicted)])
    draw = np.random.default_rng(0).integers(len(counts), size=(draws, len(counts)))
    sums = counts[draw].sum(1)
    return np.quantile(2 * sums[:, 0] / sums[:, 1].clip(1), [0.025, 0.975]).round(4).tolist()


def scored(gold, predicted) -> dict:
    """F1 by type and span, F1 of the spans alone, and the interval of the first."""
    spans = [[[(e.start, e.end) for e in own] for own in side]
             for side in (gold, predicted)]
    result = entity_f1(gold, predicted)
    return {**{key: round(value, 4) for key, value in result.items()},
            "span_f1": round(entity_f1(*spans)["f1"], 4), "interval": interval(gold, predicted)}


def runs_with(texts, first: bool, kind) -> list[list[Entity]]:
    """Runs of capitals as entities; ``kind`` gives the type of a span of a text."""
    return [[Entity(start, end, kind(n, start, end)) for start, end in capital_runs(text, first)]
            for n, text in enumerate(texts)]


def best_types(one: EntityFinder, texts, spans) -> dict:
    """The best type of each span, by (text number, start, end)."""
    places = [(n, start, end) for n, own in enumerate(spans) for start, end in own]
    asked = [{"text": texts[n], "span": texts[n][start:end]} for n, start, end in places]
    scores = one.classifier.scores(asked)
    where = [one.classifier.labels.index(kind) for kind in one.types]
    return {place: one.types[k] for place, k in zip(places, scores[:, where].argmax(1).tolist())}


def baselines(train, part) -> dict:
    """Name list and capitals; whether the first word may be a name is decided on train."""
    known, gold = Gazetteer(train["text"], gold_of(train)), gold_of(train)
    frequent = lambda *place: known.frequent  # noqa: E731
    first = max((True, False), key=lambda f: entity_f1(
        gold, runs_with(train["text"], f, frequent))["f1"])
    return {"gazetteer": scored(gold_of(part), known.predict(part["text"])),
            "capital runs": scored(gold_of(part), runs_with(part["text"], first, frequent)),
            "first word may be a name": first, "most frequent type": known.frequent}


def hybrid(one: EntityFinder, part, first: bool) -> dict:
    """Runs of capitals as spans, the prompt for their types only."""
    texts = part["text"]
    types = best_types(one, texts, [capital_runs(text, first) for text in texts])
    return scored(gold_of(part), runs_with(texts, first, lambda *place: types[place]))


def typing(one: EntityFinder, part, frequent: str) -> dict:
    """Share of right types when the spans are given, beside the most frequent type."""
    gold = gold_of(part)
    types = best_types(one, part["text"], [[(e.start, e.end) for e in own] for own in gold])
    right = [types[n, e.start, e.end] == e.type for n, own in enumerate(gold) for e in own]
    return {"prompt": round(float(np.mean(right)), 4), "entities": len(right), "most frequent type":
            round(float(np.mean([e.type == frequent for own in gold for e in own])), 4)}


def reading(model, tokenizer, entry: dict, part, only: str = "capitals") -> dict:
    """One setting with its margin on one part: F1, number of spans and of forward passes."""
    one = finder(model, tokenizer, entry["prompt"], entry["words"], entry["calibrated"], only)
    one.margin = entry["margin"]
    passes = []
    embeddings = model.get_input_embeddings()  # they run once in each pass
    hook = embeddings.register_forward_hook(lambda *_: passes.append(1))
    predicted = one.predict(part["text"])
    hook.remove()
    return {**entry, "only": only, **scored(gold_of(part), predicted),
            "spans": sum(map(len, one.spans(part["text"]))), "passes": len(passes)}


def asked_about_all(model, tokenizer, entry: dict, train) -> dict:
    """The same prompt asked about every span, with its own margin."""
    one = finder(model, tokenizer, entry["prompt"], entry["words"], entry["calibrated"], "all")
    best = one.choose_margin(train["text"], gold_of(train))
    return {**entry, "margin": round(one.margin, 4), "train_f1": round(best, 4)}


@torch.inference_mode()
def one_by_one(model, tokenizer, one: EntityFinder, questions) -> torch.Tensor:
    """One forward pass for each question; the whole vocabulary at every position."""
    result, template = [], one.classifier.template
    rows = [[tokenizer.convert_tokens_to_ids(w) for w in own]
            for own in one.classifier.verbalizer.words.values()]
    for question in questions:
        inputs = tokenizer(template.fill(question), return_tensors="pt")
        at = inputs["input_ids"] == tokenizer.mask_token_id
        logits = model(**inputs).logits[at][0].log_softmax(-1)
        result.append(torch.stack([logits[ids].logsumexp(0) for ids in rows]))
    return torch.stack(result)


def speed(model, tokenizer, texts) -> dict:
    """Spans per second of each way, in turn, and how their scores differ."""
    ask = {precision: finder(model, tokenizer, PROMPT, "three", False, "all", precision)
           for precision in ("fp32", "bf16")}
    every = ask["fp32"].questions(texts)
    asked = {way: every[:: len(every) // count][:count] for way, count in TIMED.items()}
    ways = {"one by one": lambda spans: one_by_one(model, tokenizer, ask["fp32"], spans),
            **{name: one.classifier.scores for name, one in ask.items()}}
    few = asked["one by one"]
    scores = {name: way(few).log_softmax(-1) for name, way in ways.items()}  # and a warm-up
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            began = time.perf_counter()
            way(asked[name])
            seconds[name].append(time.perf_counter() - began)
    rate = {name: TIMED[name] / float(np.median(own)) for name, own in seconds.items()}
    slow = scores.pop("one by one")
    return {"spans": TIMED, "spans_per_second": {n: round(r, 1) for n, r in rate.items()},
            "times": {n: round(rate[n] / rate["one by one"], 2) for n in scores},
            "largest_difference": {n: round(float((own - slow).abs().max()), 6)
                                   for n, own in scores.items()},
            "same_best_label": {n: round(float((own.argmax(1) == slow.argmax(1)).float().mean()), 4)
                                for n, own in scores.items()},
            "machine": describe()}


def chosen_on_train(model, tokenizer, train) -> dict:
    """Every setting that is read on the test part, and the whole grid."""
    grid = choose(model, tokenizer, train)
    plain = [next(e for e in grid if e["prompt"] == PROMPT and e["words"] == "three"
                  and e["calibrated"] == calibrated) for calibrated in (False, True)]
    everything = asked_about_all(model, tokenizer, plain[1], train)
    read = reading(model, tokenizer, everything, train, "all")
    return {"grid": grid, "words": WORD_LISTS, "longest": LONGEST, "all spans": read,
            "settings": {"as asked": plain[0], "as asked, calibrated": plain[1],
                         "chosen": grid[0]}}


def read_part(model, tokenizer, settings: dict, train, part) -> dict:
    """Every setting and baseline on one part."""
    base = baselines(train, part)
    finders = {name: finder(model, tokenizer, entry["prompt"], entry["words"],
                            entry["calibrated"]) for name, entry in settings.items()}
    return {**{name: reading(model, tokenizer, entry, part) for name, entry in settings.items()},
            **base, "capital runs, typed as chosen": hybrid(
                finders["chosen"], part, base["first word may be a name"]),
            "types of given spans": {name: typing(one, part, base["most frequent type"])
                                     for name, one in finders.items()}}


def main(wanted: list[str]) -> None:
    model, tokenizer = checkpoints.load()
    parts = entity_sentences()
    result = json.loads(OUT.read_text(encoding="utf8")) if OUT.exists() else {}
    for name in wanted:
        if name == "speed":
            result[name] = speed(model, tokenizer, parts["train"]["text"])
        elif name == "train":
            result["choice"] = chosen_on_train(model, tokenizer, parts["train"])
        if name != "speed":
            result[name] = read_part(model, tokenizer, result["choice"]["settings"],
                                     parts["train"], parts[name])
        print(name, json.dumps(result[name], indent=1), flush=True)
        storage.write_text(OUT, json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    parser = options(__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parts = parsed(parser, globals()).parts
    if not set(parts) <= set(PARTS):
        parser.error(f"name some of: {', '.join(PARTS)}")
    main(parts or PARTS)
