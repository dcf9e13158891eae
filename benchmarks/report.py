"""The measurements as a Markdown page."""

from arithmetic import FORMULA, per_token
from setting import DROPOUT, INNER, LAYERS, LENGTH, ROWS, SHARE, VOCABULARY, WIDTH

TARGETS = {"default": 6.0, "best": 3.0, "peak": 0.20}


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table; the first column is text, the others are numbers."""
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def rates(found: dict[str, dict], ours: float) -> str:
    head = ["", "tokens/s (median step)", "slowest to fastest step", "peak memory, GiB",
            "ours is faster by"]
    return table(head, [
        [name, f"{r['tokens_per_second']:,.0f}",
         f"{r['slowest_step']:,.0f} to {r['fastest_step']:,.0f}",
         f"{r['peak_bytes'] / 2**30:.2f}", f"{ours / r['tokens_per_second']:.2f}"]
        for name, r in found.items()
    ])


def ours_of(speed: dict[str, dict]) -> float:
    """Mean of our two runs."""
    both = [r["tokens_per_second"] for name, r in speed.items() if name.startswith("ours")]
    return sum(both) / len(both)


def side_by_side(speed: dict[str, dict]) -> str:
    """Table, and the two ratios that have a target."""
    trainers = {n: r["tokens_per_second"] for n, r in speed.items() if n.startswith("Trainer")}
    best, ours = max(trainers, key=trainers.get), ours_of(speed)
    return f"""{rates(speed, ours)}

- Over the default `Trainer`: **{ours / trainers["Trainer, default"]:.2f} times**
  (target {TARGETS["default"]:g}).
- Over the best `Trainer` ({best}): **{ours / trainers[best]:.2f} times**
  (target {TARGETS["best"]:g})."""


def operations(found: list[dict]) -> str:
    return table(["operation", "calls", "ms", "share"],
                 [[f"`{o['name']}`", f"{o['calls']:g}", f"{o['ms']:.1f}", f"{o['share']:.1%}"]
                  for o in found])


def summary(result: dict) -> str:
    """The page ``results/pretraining.md``."""
    machine, plan, equality = result["machine"], result["plan"], result["equality"]
    speed, where = result["speed"], result["where"]
    plain, dropped = speed["0.0"], speed[str(DROPOUT)]
    ours = ours_of(plain)
    cost = equality["operations_formula"]
    whole = per_token(LAYERS, WIDTH, INNER, LENGTH, VOCABULARY, 1.0)
    peak = where["peaks"]
    versions = ", ".join(f"{name} {v}" for name, v in machine["versions"].items())
    return f"""# Pretraining speed

Written by `benchmarks/pretraining.py`; do not edit by hand.

Machine: {machine["processor"]}, {machine["cores"]} cores, {machine["threads"]} threads,
{" ".join(machine["instructions"]) or "no vector instructions listed"}; Python
{machine["python"]}, {versions}.

Model: fresh BERT, {LAYERS} layers, {WIDTH} wide, feed-forward {INNER}, vocabulary
{VOCABULARY:,}. Batch: {ROWS} packed rows of {LENGTH} tokens (no padding),
{SHARE:.0%} masked, no accumulation, no saving, no evaluation, no logging. {plan["warmup"]} steps of
warm-up, then {plan["steps"]} measured. Every line is a process of its own. Memory is the largest
resident set of the process.

## Side by side, dropout {DROPOUT:g} (the default of the configuration)

{side_by_side(dropped)}

## Side by side, without dropout (as in the recipes of the course)

{side_by_side(plain)}

## What each choice brings

Ours without dropout, with one choice undone.

{rates(result["undone"], ours)}

## Equal losses

fp32, no dropout, the same weights and the same masked batches; ours is the loop with all its
parts, the other is `model(**batch).loss` with torch's AdamW. Largest difference over
{len(equality["ours"])} steps: **{equality["largest_difference"]:.1e}** (bar 1e-4).

## Share of the machine's peak

```
{FORMULA}
```

Here s is {equality["masked_share"]:.4f}, so a token costs {cost / 1e6:.2f} million operations
(torch's own counter finds {equality["operations_counted"] / 1e6:.2f}). With logits at all
positions it would cost {whole / 1e6:.2f}.

Best `torch.matmul` of square matrices: bf16 {peak["bf16"] / 1e9:,.0f}, fp32
{peak["fp32"] / 1e9:,.0f} GFLOP/s. Ours, without dropout: {ours * cost / 1e9:,.0f} GFLOP/s, that is
**{ours * cost / peak["bf16"]:.1%}** of the bf16 peak (target {TARGETS["peak"]:.0%}) and
{ours * cost / peak["fp32"]:.1%} of the fp32 peak.

## Where the time goes

Operations of one step of ours by the time they take themselves (`torch.profiler`).

Without dropout:

{operations(where["operations"]["0.0"])}

With dropout {DROPOUT:g}:

{operations(where["operations"][str(DROPOUT)])}
"""
