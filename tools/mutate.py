"""How many single changes of the code the tests notice: ``python -m tools.mutate --seed 13``.

Draws changes of some modules (``tools.mutations``), writes one at a time into a copy of the
repository, and runs that module's own tests until one fails. A change that no test notices is a
survivor, unless ``equal_mutants.toml`` gives the reason why it changes nothing. Results are
written line by line, so that a run that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from pathlib import Path

from tools.mutations import Change, changes

ROOT = Path(__file__).resolve().parents[1]
EQUAL = Path(__file__).with_name("equal_mutants.toml")
# Module -> its tests, test_NAME.py, the quickest first. They are what a change must be caught by.
# Those of the defaults belong to all.
TESTS = {
    "objectives": {
        "causal": "causal causal_mutants", "contrastive": "contrastive contrastive_mutants",
        "lengths": "filling eight_families", "masked": "masked masked_mutants segmentation",
        "masked_order": "masked_order", "pairs": "pairs pairs_mutants", "pooling": "pooling",
        "spans": "spans spans_mutants"},
    "ner": {
        "alignment": "ner_alignment", "batching": "ner_training ner_families ner_tagger",
        "bilstm": "ner_tagger ner_tagger_mutants", "crf": "ner_crf",
        "decoding": "ner_tagger ner_tagger_mutants", "gazetteer": "ner_scoring",
        "network": "ner_tagger ner_tagger_mutants", "people": "ner_people",
        "rows": "ner_tagger ner_families ner_tagger_mutants",
        "schemes": "ner_schemes ner_families", "scoring": "ner_scoring",
        "storing": "ner_tagger ner_families", "tagger": "ner_tagger ner_families ner_training",
        "training": "ner_training ner_families"},
    "prompting": {
        "article": "article article_mutants", "article_tuning": "article article_mutants",
        "batching": "prompt_classifier tuning", "calibration": "calibration prompting_mutants",
        "candidates": "entities", "classifier": "prompt_classifier prompting_mutants",
        "ensemble": "prompt_classifier", "entities": "entities", "faults": "article_faults",
        "fewshot": "fewshot", "gazetteer": "entities", "heads": "tuning eight_families",
        "last_layer": "prompt_classifier prompting_mutants", "literal": "article_faults article",
        "loaded": "prompt_classifier article eight_families",
        "projection": "prompt_classifier filling prompting_mutants eight_families",
        "soft": "tuning eight_families",
        "template": "template prompting_mutants", "training": "tuning", "tuning": "tuning",
        "verbalizer": "verbalizer prompting_mutants eight_families",
        "word_choice": "word_choice eight_families"},
    "metrics": {"metrics": "metrics entities"},
}


def modules(packages: list[str]) -> dict[str, list[str]]:
    """Path of each module -> its test files."""
    return {f"companion/{module if package == 'metrics' else f'{package}/{module}'}.py":
            [f"tests/test_{name}.py" for name in (*names.split(), "defaults")]
            for package in packages for module, names in TESTS[package].items()}


def drawn(root: Path, files: dict[str, list[str]], seed: int, count: int) -> list[Change]:
    """``count`` changes, all equally probable; the same for the same seed and code."""
    every = [change for file in sorted(files) for change in changes(root, file)]
    return random.Random(seed).sample(every, min(count, len(every)))


def run_tests(copy: Path, tests: list[str], limit: float) -> str:
    """``"passed"``, ``"failed"`` or ``"too long"``.

    Raises:
        RuntimeError: pytest could not run the tests.
    """
    environment = os.environ | {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    process = subprocess.Popen(command, cwd=copy, env=environment, start_new_session=True,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        output = process.communicate(timeout=limit)[0]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # its own session: pytest and what it started
        process.communicate()
        return "too long"
    if process.returncode not in (0, 1, 2):  # 2: a module cannot even be imported
        raise RuntimeError(f"pytest ended with {process.returncode}: {output[-500:]}")
    return "failed" if process.returncode else "passed"


class Runner:
    """Tries changes in one copy of the repository."""

    def __init__(self, copy: Path, root: Path = ROOT):
        self.copy = copy
        self.limits: dict[str, float] = {}
        ignored = shutil.ignore_patterns(".git", ".venv", "runs", "_build", "build", "__pycache__")
        shutil.copytree(root, copy, ignore=ignored)

    def limit(self, tests: list[str]) -> float:
        """Seconds to wait for tests: five times what they take on the code as it is."""
        key = " ".join(tests)
        if key not in self.limits:
            begun = time.monotonic()
            if run_tests(self.copy, tests, 3600) != "passed":
                raise RuntimeError(f"{key} fails without a change: mend it first")
            self.limits[key] = 30 + 5 * (time.monotonic() - begun)
        return self.limits[key]

    def survives(self, change: Change, tests: list[str]) -> bool:
        """Whether the tests pass with the change. The copy is as before afterwards."""
        limit, path = self.limit(tests), self.copy / change.file
        before = path.read_bytes()  # not that of the repository, which may have changed since
        change.apply(self.copy)
        try:
            return run_tests(self.copy, tests, limit) == "passed"
        finally:
            path.write_bytes(before)


def equal(file: Path = EQUAL) -> dict[tuple[str, str, str], str]:
    """Changes that were shown to change nothing: (file, before, after) -> the reason."""
    listed = tomllib.loads(file.read_text(encoding="utf-8"))["equal"]
    return {(one["file"], one["before"], one["after"]): one["reason"] for one in listed}


def read(out: Path) -> list[dict]:
    """The results so far."""
    lines = out.read_text(encoding="utf-8").splitlines() if out.is_file() else []
    return [json.loads(line) for line in lines]


def report(results: list[dict]) -> str:
    """Caught and survived for each module, and all survivors."""
    results = [one for one in results if one["result"] != "equal"]
    caught = Counter(one["file"] for one in results if one["result"] == "caught")
    every = Counter(one["file"] for one in results)
    lines = [f"{caught[file]:4} of {every[file]:3}  {file}" for file in sorted(every)]
    lines += [f"survived: {one['file']}:{one['line']}\n  - {one['before']}\n  + {one['after']}"
              for one in results if one["result"] == "survived"]
    share = caught.total() / max(every.total(), 1)
    return "\n".join([*lines, f"{caught.total()} of {every.total()} caught ({share:.1%})"])


def try_all(found: list[Change], files: dict[str, list[str]], out: Path, root: Path = ROOT,
            reasons: dict[tuple[str, str, str], str] | None = None) -> None:
    """Try what has no result yet; every result is written at once."""
    reasons = equal() if reasons is None else reasons
    done = [{key: one[key] for key in one if key != "result"} for one in read(out)]
    with tempfile.TemporaryDirectory() as folder, open(out, "a", encoding="utf-8") as lines:
        runner = None
        for change in found:
            record = change.record()
            if record in done:
                continue
            result = "equal"
            if (change.file, change.before, change.after) not in reasons:
                runner = runner or Runner(Path(folder) / "copy", root)
                result = "survived" if runner.survives(change, files[change.file]) else "caught"
            print(f"{result}: {change.file}:{change.line}  {change.after}", flush=True)
            lines.write(json.dumps({**record, "result": result}, ensure_ascii=False) + "\n")
            lines.flush()


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="tools.mutate", description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=13)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--package", nargs="+", choices=TESTS, default=list(TESTS))
    parser.add_argument("--list", action="store_true", help="show the changes, try none")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "mutants.jsonl",
                        help="results (JSON lines); those that it holds are not tried again")
    given = parser.parse_args(arguments)
    files = modules(given.package)
    found = drawn(ROOT, files, given.seed, given.count)
    if given.list:
        print("\n".join(f"{c.file}:{c.line}\n  - {c.before}\n  + {c.after}" for c in found))
        return
    given.out.parent.mkdir(parents=True, exist_ok=True)
    try_all(found, files, given.out)
    print(report(read(given.out)))


if __name__ == "__main__":
    main()
