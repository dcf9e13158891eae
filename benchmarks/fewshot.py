"""Few-shot classification: prompt tuning, head fine-tuning, a linear probe; five seeds each.

Every cell of the grid (task, method, K, seed) is one line of ``results/fewshot.jsonl``. A line
that is there is not measured again, so the program goes on where it was stopped.

1. Choice: for each method, six to eight settings (three where only a part is trained) are
   tried with K = 4 and 16 and seed 7, which draws no cell, and judged on other *training*
   reviews of Rotten Tomatoes. The best mean is used for all cells.
2. Cells: K examples per class of the training split, five draws; accuracy on test reviews.
   Models tuned with the largest K are also tested on the other collection.

    python benchmarks/fewshot.py                 everything, about 35 minutes on one core
    python benchmarks/fewshot.py --seconds 110   stop before a cell that would begin later
    python benchmarks/fewshot.py --task shopping the Chinese task: settings chosen on its own
                                                 training reviews, fewshot_shopping.jsonl
"""

import itertools
import json
import time
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import torch
from options import few, options, parsed

from companion import checkpoints, metrics, storage
from companion.corpora import movie_reviews, shopping_reviews
from companion.pretraining.loop import keep_memory
from companion.prompting import PromptClassifier, Template, Verbalizer
from companion.prompting.fewshot import SEEDS, SIZES, checksum, draw, key
from companion.prompting.heads import HeadClassifier, head_tuning
from companion.prompting.training import Budget
from companion.prompting.tuning import tune

OUT = Path(__file__).with_name("results") / "fewshot.jsonl"
# Seeds that draw examples for choosing settings, and no cell. The Chinese model needs more of
# them: the rate that was best on one draw fails on most others.
CHOOSING = {"rotten_tomatoes": (7,), "imdb": (7,), "shopping": (7, 8, 9)}
JUDGED = 300  # training reviews on which settings are judged, in no draw
TRIED = (4, 16)  # K for choosing
STEPS, SIZE = 30, 8
LENGTH = 64  # tokens of a row with its template; a longer text loses its beginning
GOOD = ("great good excellent wonderful amazing fantastic perfect brilliant beautiful enjoyable "
        "superb outstanding").split()
BAD = ("terrible bad awful horrible boring poor stupid disappointing worst dull lame weak").split()
ENGLISH = {"checkpoint": "bert-mini-en", "template": "{text} All in all, it was {mask}.",
           "words": {0: BAD, 1: GOOD}, "aggregation": "mean"}
CHINESE = {"checkpoint": "albert-mini-zh", "template": "{text}。总之，很{mask}。",
           "words": {0: ["差", "糟", "失望", "难用"], 1: ["好", "棒", "满意", "喜欢"]},
           "aggregation": "mean"}
LOADED = {"rotten_tomatoes": (lambda: movie_reviews(collection="rotten_tomatoes"), None, ENGLISH),
          "imdb": (lambda: movie_reviews(collection="imdb"), 500, ENGLISH),
          "shopping": (shopping_reviews, 500, CHINESE)}
RATES = {"prompt": (3e-6, 1e-5, 5e-5, 1e-4), "head": (2.5e-5, 5e-5, 1e-4, 2e-4)}
SETTINGS = {  # what is tried for each method
    "prompt": [{"rate": r, "calibrate": c} for r in RATES["prompt"] for c in ("none", "prior")],
    "head": [{"rate": r, "fresh_rate": 10 * r, "pooling": p} for p, rates in
             (("mean", RATES["head"]), ("cls", RATES["head"][2:])) for r in rates],
    "lm head": [{"rate": r, "calibrate": "prior"} for r in (3e-4, 1e-3, 3e-3)],
    "soft prompt": [{"rate": r, "calibrate": "prior"} for r in (3e-3, 1e-2, 3e-2)],
}
# The Chinese model was pretrained with rates up to 2e-3, and its prompt starts near chance, so
# larger rates are tried.
CHINESE_SETTINGS = {
    "prompt": [{"rate": r, "calibrate": "prior"} for r in (1e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2)],
    "head": [{"rate": r, "fresh_rate": 10 * r, "pooling": "mean"}
             for r in (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)],
}
PARTS = {"prompt": "all", "lm head": "head", "soft prompt": "prompt"}
FEW = (8, 32)  # K for the methods that train a part only
# K in the order of measuring: what decides most comes first, in case there is no time for all.
ORDER = {"english": (4, 16, 8, 64, 32), "shopping": (4, 16, 64, 8, 32)}
SMALLEST = {
    "LOADED": {name: (few(load, 200), 6, how) for name, (load, _, how) in LOADED.items()},
    "CHOOSING": dict.fromkeys(CHOOSING, (7,)), "JUDGED": 6, "TRIED": (4,), "STEPS": 1, "SIZE": 2,
    "SIZES": (4,), "SEEDS": (13,), "FEW": (4,), "ORDER": dict.fromkeys(ORDER, (4,)),
    "SETTINGS": {method: tried[:1] for method, tried in SETTINGS.items()},
    "CHINESE_SETTINGS": {method: tried[:1] for method, tried in CHINESE_SETTINGS.items()},
}


@dataclass
class Task:
    """A collection with its model; everything that the cells share."""

    name: str

    def __post_init__(self):
        load, count, self.how = LOADED[self.name]
        splits = load()
        self.train, self.test = splits["train"], splits["test"]
        if count:
            names = self.test["id"][:]
            order = sorted(range(len(self.test)), key=lambda i: key(0, names[i]))
            self.test = self.test.select(order[:count])
        self.model, self.tokenizer = checkpoints.load(self.how["checkpoint"])

    @cached_property
    def judged(self):
        """Training reviews that are in no draw."""
        drawn = {name for seed in (*SEEDS, *CHOOSING[self.name])
                 for part in draw(self.train, SIZES[-1], seed)
                 for name in part["id"][:]}
        order = sorted((key(1, name), i) for i, name in enumerate(self.train["id"][:])
                       if name not in drawn)
        return self.train.select([i for _, i in order[:JUDGED]])

    def prompt(self) -> PromptClassifier:
        made = PromptClassifier(
            self.model, Template(self.how["template"], cut="beginning"),
            Verbalizer(self.how["words"], aggregation=self.how["aggregation"],
                       several_tokens=True),
            tokenizer=self.tokenizer, precision="auto")
        made.max_length = LENGTH
        return made

    def head(self, pooling: str, seed: int) -> HeadClassifier:
        made = HeadClassifier(self.model, (0, 1), tokenizer=self.tokenizer, pooling=pooling,
                              cut="beginning", seed=seed, precision="auto")
        made.max_length = LENGTH
        return made


task = cache(Task)


def learn(t: Task, method: str, setting: dict, examples, seed: int):
    """A classifier that has learned from the examples, and the losses."""
    setting = dict(setting)
    calibrate, pooling = setting.pop("calibrate", None), setting.pop("pooling", None)
    budget = Budget(steps=STEPS, size=SIZE, seed=seed, **setting)
    texts, labels = examples["text"][:], examples["label"][:]
    if method == "head":
        return head_tuning(t.head(pooling, seed), texts, labels, budget)
    start = t.prompt()
    if calibrate != "none":  # from the drawn texts alone; their labels are not read
        start.calibrate(calibrate, texts)
    return tune(start, texts, labels, budget, part=PARTS[method])


def judge(classifier, split) -> dict:
    return classifier.evaluate(split["text"][:], split["label"][:])


@cache
def features(name: str, part: str) -> torch.Tensor:
    """Frozen vectors of the test reviews, or of all drawn training reviews, by task."""
    t = task(name)
    split = t.test if part == "test" else pool(name)
    return t.head("mean", 0).features(split["text"][:])


@cache
def pool(name: str):
    """All training reviews that any seed draws to learn from."""
    drawn = {i for seed in SEEDS for i in draw(task(name).train, SIZES[-1], seed)[0]["id"][:]}
    train = task(name).train
    return train.select([i for i, one in enumerate(train["id"][:]) if one in drawn])


def probe(name: str, k: int, seed: int, tested: str) -> float:
    examples = draw(task(name).train, k, seed)[0]
    at = {one: i for i, one in enumerate(pool(name)["id"][:])}
    rows = features(name, "pool")[[at[one] for one in examples["id"][:]]]
    return metrics.probe(rows.numpy(), examples["label"][:], features(tested, "test").numpy(),
                         task(tested).test["label"][:])


OTHER = {"rotten_tomatoes": "imdb", "imdb": "rotten_tomatoes"}


def cell(name: str, method: str, k: int, seed: int, setting: dict | None) -> dict:
    """Accuracy of one method on the test reviews, after K examples per class of one draw."""
    t, other = task(name), OTHER.get(name) if k == SIZES[-1] else None
    if method == "zero-shot":
        return zero_shot(t)
    if method == "probe":
        return {"accuracy": probe(name, k, seed, name), "count": len(t.test)} | (
            {"transfer": probe(name, k, seed, other)} if other else {})
    examples = draw(t.train, k, seed)[0]
    began = time.perf_counter()
    tuned, losses = learn(t, method, setting, examples, seed)
    found = {"seconds": round(time.perf_counter() - began, 1), "draw": checksum([examples]),
             "losses": [round(sum(losses[i : i + 10]) / 10, 3) for i in range(0, STEPS, 10)]}
    found |= judge(tuned, t.test)
    return found | ({"transfer": judge(tuned, task(other).test)["accuracy"]} if other else {})


def zero_shot(t: Task) -> dict:
    made = t.prompt()
    found = judge(made, t.test)
    made.calibrate("prior", t.judged["text"][:])  # unlabelled
    return found | {"calibrated": judge(made, t.test)["accuracy"]}


def plan(names: list[str]) -> list[dict]:
    """All cells in their order: choices before what needs them."""
    chooses = names[0]
    cells = choices(chooses, ("prompt", "head"))
    sizes = ORDER["shopping" if chooses == "shopping" else "english"]
    for name in names:
        cells += [{"task": name, "method": "zero-shot", "k": 0, "seed": 0}]
        pairs = [{"task": name, "method": method, "k": k, "seed": seed}
                 for k, seed, method in itertools.product(sizes, SEEDS,
                                                          ("prompt", "head"))]
        probes = [{"task": name, "method": "probe", "k": k, "seed": seed}
                  for k, seed in itertools.product(SIZES, SEEDS)]
        cells += pairs[:20] + probes + pairs[20:]
    if chooses == "shopping":
        return cells
    cells += choices(chooses, ("lm head", "soft prompt"))
    return cells + [
        {"task": chooses, "method": method, "k": k, "seed": seed}
        for k, method, seed in itertools.product(FEW, ("lm head", "soft prompt"), SEEDS)]


def choices(name: str, methods: tuple[str, ...]) -> list[dict]:
    return [{"task": name, "method": method, "k": k, "seed": seed, "setting": setting}
            for method in methods for setting in tries(name)[method]
            for seed in CHOOSING[name] for k in TRIED]


def tries(name: str) -> dict[str, list[dict]]:
    return CHINESE_SETTINGS if name == "shopping" else SETTINGS


def chosen(lines: list[dict], method: str, name: str) -> dict | None:
    """The tried setting with the best mean accuracy; of equal ones the first."""
    if method not in tries(name):
        return None
    tried = [line for line in lines
             if line["seed"] in CHOOSING[line["task"]] and line["method"] == method]
    return max(tries(name)[method], key=lambda setting: round(sum(
        line["accuracy"] for line in tried if line["setting"] == setting), 6))


def run(wanted: dict, lines: list[dict]) -> dict:
    name, method, k, seed = (wanted[part] for part in ("task", "method", "k", "seed"))
    if seed not in CHOOSING[name]:
        setting = chosen(lines, method, name)
        return wanted | ({"setting": setting} if setting else {}) | cell(name, method, k, seed,
                                                                         setting)
    t = task(name)
    tuned, losses = learn(t, method, wanted["setting"], draw(t.train, k, seed)[0], seed)
    return wanted | judge(tuned, t.judged) | {"loss": round(sum(losses[-10:]) / 10, 3)}


def same(wanted: dict, line: dict) -> bool:
    choice = wanted["seed"] in CHOOSING[wanted["task"]]
    keys = ("task", "method", "k", "seed", *(("setting",) if choice else ()))
    return all(wanted[name] == line[name] for name in keys)


def stale(line: dict, lines: list[dict]) -> bool:
    """Whether a cell was measured with another setting than the one that is chosen now."""
    return line["seed"] not in CHOOSING[line["task"]] and line.get("setting") != chosen(
        lines, line["method"], line["task"])


def main() -> None:
    arguments = options(__doc__)
    arguments.add_argument("--seconds", type=float, default=float("inf"))
    arguments.add_argument("--task", choices=LOADED, help="one task alone; default: the English")
    arguments.add_argument("--drop-stale", action="store_true",
                           help="first remove cells that have another setting than the chosen one")
    given = parsed(arguments, globals())
    began = time.perf_counter()
    keep_memory()
    names = [given.task] if given.task else ["rotten_tomatoes", "imdb"]
    out = OUT.with_name(f"fewshot_{given.task}.jsonl") if given.task else OUT
    lines = [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []
    if given.drop_stale:
        lines = [line for line in lines if not stale(line, lines)]
        storage.write_text(out, "".join(json.dumps(line) + "\n" for line in lines))
    missing = [c for c in plan(names) if not any(same(c, line) for line in lines)]
    while missing and time.perf_counter() - began < given.seconds:
        lines.append(run(missing.pop(0), lines))
        with open(out, "a", encoding="utf8") as handle:
            handle.write(json.dumps(lines[-1]) + "\n")
        print(f"{time.perf_counter() - began:4.0f} s  {lines[-1]}", flush=True)
    print(f"{len(missing)} cells are missing: start again" if missing else "all cells are done")


if __name__ == "__main__":
    main()
