"""Our pretraining loop beside ``Trainer``: tokens per second, memory, equal losses.

    python benchmarks/pretraining.py [--out FOLDER] [--smallest]

Same model, same packed rows, same batch (64 rows of 128), no accumulation, no saving and no
logging. Every measurement runs in a fresh process, one after the other, on the CPU. Results
go to ``results/pretraining.md`` and ``.json``. Run it on an idle machine (about 10 minutes):
a second busy process spoils every number.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from options import options, parsed
from report import summary
from setting import DROPOUT, Plan, write_rows

from companion import storage

TRAINERS = {
    "Trainer, default": {},
    "Trainer, bf16": {"bf16": True},
    "Trainer, bf16, 2 loader processes": {"bf16": True, "dataloader_num_workers": 2},
    "Trainer, bf16, eager attention": {"bf16": True, "attention": "eager"},
    "Trainer, bf16, eager, 2 loader processes": {"bf16": True, "attention": "eager",
                                                 "dataloader_num_workers": 2},
    # Not a setting of Trainer: our way to allocate memory, lent to it.
    "Trainer, bf16, eager, memory kept": {"bf16": True, "attention": "eager", "keep": True},
}
# One of our choices undone, to see what it brings.
UNDONE = {
    "fp32 instead of bf16": {"precision": "no"},
    "fused attention (sdpa)": {"attention": "sdpa"},
    "logits at all positions": {"full_logits": True},
    "memory given back": {"give_back": True},
}


SMALLEST = {"TRAINERS": {name: TRAINERS[name] for name in list(TRAINERS)[:2]},
            "UNDONE": {"fp32 instead of bf16": {"precision": "no"}}}


def contenders(dropout: float) -> dict[str, dict]:
    """Ours first and last: the difference shows how steady the machine is."""
    ours = {"kind": "ours", "dropout": dropout}
    trainers = {name: {"kind": "trainer", "dropout": dropout, **spec}
                for name, spec in TRAINERS.items()}
    return {"ours": ours, **trainers, "ours, once more": ours}


def run(program: str, *arguments: str) -> dict:
    """Run a part in a fresh process; its last line is its result."""
    quiet = {"TQDM_DISABLE": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false",
             "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([sys.executable, str(HERE / program), *arguments],
                          capture_output=True, text=True, env=os.environ | quiet)
    if done.returncode:
        raise SystemExit(f"{program} {arguments[1:]} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def measure(title: str, contenders: dict[str, dict], folder: Path) -> dict[str, dict]:
    """Rate and memory of each contender, printed as they come."""
    print(title, flush=True)
    found = {}
    for name, spec in contenders.items():
        found[name] = run("contenders.py", str(folder), json.dumps(spec))
        print(f"  {name:42}{found[name]['tokens_per_second']:8,.0f} tokens/s", flush=True)
    return found


def main() -> None:
    given = parsed(options(__doc__), globals())
    plan = Plan.smallest() if given.smallest else Plan()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        rows = write_rows(folder, plan)
        print(f"{len(rows):,} packed rows", flush=True)
        result = {
            "plan": vars(plan),
            "machine": run("machine.py"),
            "equality": run("equality.py", str(folder)),
            "speed": {str(p): measure(f"side by side, dropout {p:g}", contenders(p), folder)
                      for p in (0.0, DROPOUT)},
            "undone": measure("ours with one choice undone, dropout 0",
                              {name: {"kind": "ours", "dropout": 0.0, **spec}
                               for name, spec in UNDONE.items()}, folder),
            "where": run("profiling.py", str(folder)),
        }
    text = summary(result)
    print(text)
    storage.write_text(given.out / "pretraining.md", text)
    storage.write_text(given.out / "pretraining.json", json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
