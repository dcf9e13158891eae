"""Three families, one budget: the one table, from the logs and measures in the repository.

The logs ``families/VARIANT-SEED.jsonl`` are those of the training loop. Each line of
``families.jsonl`` says what one finished run can do (``benchmarks/families_measure.py``).
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev

from scipy.stats import t as student

from companion import display
from companion.errors import CourseError
from companion.guards import door

RESULTS = Path(__file__).resolve().parents[1] / "benchmarks" / "results"
FAMILIES = ("bert", "gpt", "t5")
ABLATIONS = ("bert-nsp", "bert-shared", "bert-factorised", "bert-plain")
BESIDE = {"untrained": "untrained", "no network": "baseline"}  # column -> variant
# Row of the table -> measure and its format.
ROWS = {
    "million parameters": ("parameters", "{:.2f}M"),
    "  without embeddings": ("without_embeddings", "{:.2f}M"),
    "million operations a token": ("operations", "{:.2f}M"),
    "tokens a second": ("tokens_per_second", "{:,.0f}"),
    "held-out loss, own task (nats)": ("loss", "{:.2f}"),
    "  first token of a span (nats)": ("first_nats", "{:.2f}"),
    "masked words, same rows (nats)": ("masked_loss", "{:.2f}"),
    "classification, accuracy": ("classification", "{:.3f}"),
    "hidden token: first guess": ("fill_top1", "{:.3f}"),
    "hidden token: first five": ("fill_top5", "{:.3f}"),
    "hidden token: loss (nats)": ("fill_nats", "{:.2f}"),
    "continuation: bits a token": ("bits", "{:.2f}"),
    "continuation: repeated": ("repeated", "{:.3f}"),
}


@dataclass
class Comparison:
    """Everything that is known of the runs.

    Attributes:
        logs: variant -> seed -> lines of the log.
        measures: variant -> seed -> measures; of runs also what follows from the log.
    """

    logs: dict[str, dict[int, list[dict]]]
    measures: dict[str, dict[int, dict]]

    @classmethod
    @door
    def read(cls, folder: str | Path | None = None) -> "Comparison":
        """Logs and measures of a results folder; None for the repository's own.

        Raises:
            CourseError: a file is missing or damaged, or a log has no measures.
        """
        folder = RESULTS if folder is None else Path(folder)
        logs: dict[str, dict[int, list[dict]]] = {}
        for file in sorted(folder.glob("families/*-*.jsonl")):
            variant, _, seed = file.stem.rpartition("-")
            logs.setdefault(variant, {})[int(seed)] = _lines(file)
        if not logs or not (folder / "families.jsonl").is_file():
            raise CourseError("the results of the comparison are missing: run this in a copy of "
                              "the whole repository, or name their folder with --results")
        measures: dict[str, dict[int, dict]] = {}
        for line in _lines(folder / "families.jsonl"):
            log = logs.get(line["variant"], {}).get(line["seed"])
            measures.setdefault(line["variant"], {})[line["seed"]] = {
                **line, **(ended(log) if log else {})}
        for variant, seeds in logs.items():
            if lost := set(seeds) - set(measures.get(variant, {})):
                raise CourseError(f"{variant}-{min(lost)} has a log but no measures: run "
                                  "benchmarks/families_measure.py")
        return cls(logs, measures)

    def values(self, variant: str, key: str) -> list[float]:
        """One measure for each seed that has it, in the order of the seeds."""
        seeds = self.measures.get(variant, {})
        return [seeds[seed][key] for seed in sorted(seeds) if key in seeds[seed]]

    def curve(self, variant: str, seed: int) -> tuple[list[int], list[float]]:
        """Row tokens read, and the held-out loss then."""
        lines = self.logs[variant][seed]
        each = _tokens_per_step(lines)
        held = [line for line in lines if line.get("event") == "validation"]
        return [line["step"] * each for line in held], [line["loss"] for line in held]

    def differences(self, variant: str, key: str, base: str = "bert") -> list[float]:
        """The measure of a variant minus that of ``base``, seed by seed."""
        one, two = self.measures[variant], self.measures[base]
        both = [s for s in sorted(one.keys() & two.keys()) if key in one[s] and key in two[s]]
        return [one[s][key] - two[s][key] for s in both]

    def table(self) -> str:
        """The one table, in two parts: the families, and the ablations with their differences."""
        families = {name: name for name in FAMILIES if name in self.logs} | BESIDE
        parts = [self._part(families)]
        if ablations := [name for name in ABLATIONS if name in self.logs]:
            parts += [self._part({name: name for name in ("bert", *ablations)}),
                      self._differences(ablations)]
        return "\n\n".join(parts)

    def _part(self, columns: dict[str, str]) -> str:
        rows = [["runs", *(str(len(self.measures.get(v, {}))) for v in columns.values())]]
        for name, (key, form) in ROWS.items():
            found = [self.values(variant, key) for variant in columns.values()]
            if any(found):
                rows.append([name, *(shown(values, form) for values in found)])
        return display.table(["", *columns], rows)

    def _differences(self, variants: Sequence[str]) -> str:
        rows = []
        for name, (key, form) in list(ROWS.items())[6:]:
            found = [self.differences(variant, key) for variant in variants]
            if any(found):
                rows.append([name, *(f"{shown(values, form, '+')}{'*' * clear(values)}"
                                     for values in found)])
        return display.table(["minus bert, seed by seed", *variants], rows)


def _lines(file: Path) -> list[dict]:
    try:
        return [json.loads(line) for line in file.read_text(encoding="utf8").splitlines()]
    except ValueError:  # not UTF-8, not JSON
        raise CourseError(f"{file.name} is damaged: restore it with git") from None


def _tokens_per_step(lines: list[dict]) -> int:
    line = next(line for line in lines if "train_loss" in line)
    return line["tokens"] // line["step"]


def ended(lines: list[dict]) -> dict[str, float]:
    """What follows from a log: the last held-out loss, row tokens, seconds of training."""
    training = [line for line in lines if "train_loss" in line]
    held = [line for line in lines if line.get("event") == "validation"]
    if not training or not held:
        raise CourseError("a log has no step or no validation: it is of a run that did not end")
    before = [0, *(line["tokens"] for line in training)]
    seconds = sum((line["tokens"] - begun) / line["tokens_per_second"]
                  for line, begun in zip(training, before))
    return {"loss": held[-1]["loss"], "tokens": training[-1]["tokens"], "seconds": seconds,
            "tokens_per_second": training[-1]["tokens"] / seconds}


@door
def shown(values: Sequence[float], form: str, sign: str = "") -> str:
    """Mean and, of two or more values that are not all equal, ± their standard deviation."""
    if not values:
        return "-"
    if millions := form.endswith("M"):
        values, form = [v / 1e6 for v in values], form[:-1]
    middle = form.replace("{:", "{:" + sign).format(mean(values))
    same = millions or len(values) < 2
    return middle if same else f"{middle} ± {form.format(stdev(values))}"


@door
def interval(differences: Sequence[float], share: float = 0.95) -> tuple[float, float]:
    """Mean of some differences, and half the width of its interval of confidence.

    By Student's t (1908): with few values it is far wider than 1.96 standard errors.

    Raises:
        CourseError: fewer than two values, or a share that is not between 0 and 1.
    """
    if not 0 < share < 1:
        raise CourseError(f"share is {share}: give a number between 0 and 1, such as 0.95")
    differences = list(map(float, differences))
    count = len(differences)
    if count < 2:
        raise CourseError("one run has no spread: give the differences of two seeds or more")
    factor = float(student.ppf((1 + share) / 2, count - 1))
    return mean(differences), factor * stdev(differences) / math.sqrt(count)


@door
def clear(differences: Sequence[float]) -> bool:
    """Whether zero lies outside the 95 % interval."""
    if len(differences) < 2:
        return False
    middle, half = interval(differences)
    return abs(middle) > half
