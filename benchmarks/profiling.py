"""The machine's peak, and where the time of our loop goes.

    python benchmarks/profiling.py FOLDER

FOLDER was written by ``setting.write_rows``. The last line of the output is the result.
"""

import json
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

import torch
from arithmetic import matmul_peak
from contenders import our_run
from setting import DROPOUT, Plan
from torch.profiler import ProfilerActivity, profile

from companion.pretraining import build, loop

TOP = 12


def operations(folder: Path, dropout: float) -> list[dict]:
    """The operations that take most time themselves, without those that they call."""
    loop.keep_memory()
    steps = Plan.load(folder).profiled
    run = our_run(folder, 100, dropout=dropout)
    for _ in range(3):
        run.one_step()
    with profile(activities=[ProfilerActivity.CPU]) as record:
        for _ in range(steps):
            run.one_step()
    events = record.key_averages()
    total = sum(event.self_cpu_time_total for event in events)
    events = sorted(events, key=lambda event: -event.self_cpu_time_total)[:TOP]
    return [{"name": event.key, "calls": event.count / steps,
             "ms": event.self_cpu_time_total / steps / 1000,
             "share": event.self_cpu_time_total / total} for event in events]


if __name__ == "__main__":
    with build.quiet():
        found = {str(p): operations(Path(sys.argv[1]), p) for p in (0.0, DROPOUT)}
        sizes = Plan.load(Path(sys.argv[1])).squares
        peaks = {name: matmul_peak(kind, sizes, seconds=0.5 * len(sizes))
                 for name, kind in (("bf16", torch.bfloat16), ("fp32", torch.float32))}
    print(json.dumps({"peaks": peaks, "operations": found}))
