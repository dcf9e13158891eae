"""Our pretraining loop beside ``Trainer``: tokens per second, memory, equal losses.

    python benchmarks/pretraining.py [--quick]

Same model, same packed rows, same batch (64 rows of 128), no accumulation; every contender
runs in a process of its own, one after the other. Results go to ``results/pretraining.md``
and ``.json``. Run it on an idle machine: a second busy process spoils every number.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import torch
import transformers
from arithmetic import FORMULA, matmul_peak, per_token
from setting import INNER, LAYERS, LENGTH, ROWS, SHARE, VOCABULARY, WIDTH, Plan, read_rows, write_rows

from companion.display import table
from companion.pretraining import loop

CONTENDERS = {
    "ours": {"kind": "ours"},
    "Trainer, default": {"kind": "trainer"},
    "Trainer, bf16": {"kind": "trainer", "bf16": True},
    "Trainer, bf16, eager attention": {"kind": "trainer", "bf16": True, "attention": "eager"},
    "Trainer, bf16, eager, memory kept": {
        "kind": "trainer", "bf16": True, "attention": "eager", "keep": True},
}
UNDONE = {
    "ours, fp32": {"kind": "ours", "precision": "no"},
    "ours, fused attention": {"kind": "ours", "attention": "sdpa"},
    "ours, all logits": {"kind": "ours", "full_logits": True},
    "ours, memory given back": {"kind": "ours", "give_back": True},
}


def measure(folder: Path, spec: dict) -> dict:
    """Run one contender in a fresh process."""
    done = subprocess.run([sys.executable, str(HERE / "contenders.py"), str(folder),
                           json.dumps(spec)], capture_output=True, text=True,
                          env=os.environ | {"TQDM_DISABLE": "1"})
    if done.returncode:
        raise SystemExit(f"{spec} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def equal_losses(folder: Path, steps: int = 10) -> list[tuple[float, float]]:
    """Loss of every step in fp32: ours, and transformers' own loss with its own AdamW loop.

    Both start from the same weights and see the same masked batches; no dropout.
    """
    from contenders import our_run

    from companion.pretraining import build

    run = our_run(folder, steps, precision="no", dropout=0.0)
    other = build.model(run.recipe, run.material)[0]
    other.load_state_dict(run.model.state_dict())
    adamw = loop.optimiser(other, run.recipe, {n for n, _ in other.named_parameters()})
    pairs = []
    for step in range(steps):
        rows = run.material.train[loop.rows_of(step, run.recipe, len(run.material.train))]
        batch = run.collator(rows, step)
        for group in adamw.param_groups:
            group["lr"] = group["base"] * loop.rate(step, run.recipe.steps,
                                                    run.recipe.training.warmup)
        loss = other(**batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(other.parameters(), run.recipe.training.clip)
        adamw.step()
        adamw.zero_grad()
        pairs.append((run.one_step(), loss.item()))
    return pairs


def profile(folder: Path) -> list[list]:
    """The operations that one of our steps spends its time on: name, share, calls."""
    from contenders import our_run
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as record

    run = our_run(folder, 6)
    for _ in range(3):
        run.one_step()
    with record(activities=[ProfilerActivity.CPU]) as seen:
        run.one_step()
    events = sorted(seen.key_averages(), key=lambda e: -e.self_cpu_time_total)
    total = sum(e.self_cpu_time_total for e in events)
    return [[e.key, f"{e.self_cpu_time_total / total:.1%}", e.count] for e in events[:12]]


def machine() -> str:
    """The processor in words, without a host name or a path."""
    model = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), model)
        flags = next((x for x in lines if x.startswith("flags")), "").split()
        model += "".join(f", {f}" for f in ("amx_bf16", "avx512_bf16", "avx2") if f in flags)
    return (f"{model}; {torch.get_num_threads()} threads; torch {torch.__version__}, "
            f"transformers {transformers.__version__}")


def report(result: dict) -> str:
    ours = result["speed"]["ours"]["tokens_per_second"]
    rows = [[name, f"{r['tokens_per_second']:,.0f}", f"{r['peak_bytes'] / 2**30:.2f}",
             f"{ours / r['tokens_per_second']:.2f}"] for name, r in result["speed"].items()]
    best = max(r["tokens_per_second"] for n, r in result["speed"].items() if "Trainer" in n)
    default = result["speed"]["Trainer, default"]["tokens_per_second"]
    gap = max(abs(a - b) for a, b in result["losses"])
    peak, cost = result["peak_bf16"], result["operations_per_token"]
    return "\n".join([
        "# Pretraining speed", "", result["machine"], "",
        f"BERT, {LAYERS} layers, {WIDTH} wide, vocabulary {VOCABULARY:,}; {ROWS} rows of {LENGTH} "
        f"tokens, {SHARE:.0%} masked; {result['plan']}", "", "```",
        table(["contender", "tokens/s", "peak GiB", "ours is x times"], rows), "```", "",
        f"ours / Trainer default: {ours / default:.2f}; ours / best Trainer: {ours / best:.2f}",
        f"largest difference of a step's fp32 loss: {gap:.2e}", "", "```", FORMULA, "```", "",
        f"operations per token: {cost / 1e6:.1f} million; "
        f"ours: {ours * cost / 1e9:.0f} GFLOP/s; measured matmul peak: bf16 {peak / 1e9:.0f}, "
        f"fp32 {result['peak_fp32'] / 1e9:.0f} GFLOP/s; share of the bf16 peak: "
        f"{ours * cost / peak:.1%}", "", "```",
        table(["operation", "own time", "calls"], result["profile"]), "```", ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few steps, to try the program")
    quick = parser.parse_args().quick
    plan = Plan(reviews=4000, warmup=1, steps=2) if quick else Plan()
    loop.keep_memory()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_rows(folder, plan)
        read_rows(folder)
        speed = {name: measure(folder, dict(spec))
                 for name, spec in (CONTENDERS | ({} if quick else UNDONE)).items()}
        result = {"machine": machine(), "plan": f"{plan.warmup} steps of warm-up, {plan.steps} "
                  "measured", "speed": speed, "losses": equal_losses(folder, 3 if quick else 10),
                  "peak_bf16": matmul_peak(torch.bfloat16), "peak_fp32": matmul_peak(torch.float32),
                  "operations_per_token": per_token(LAYERS, WIDTH, INNER, LENGTH, VOCABULARY, SHARE),
                  "profile": profile(folder)}
    text = report(result)
    print(text)
    if not quick:
        (HERE / "results").mkdir(exist_ok=True)
        (HERE / "results" / "pretraining.md").write_text(text, encoding="utf8")
        (HERE / "results" / "pretraining.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
