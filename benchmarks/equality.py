"""Does our loop do the same sum? In fp32, step by step, against Hugging Face and plain torch.

    python benchmarks/equality.py FOLDER

FOLDER was written by ``setting.write_rows``. The last line of the output is the result.
"""

import json
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

import torch
from arithmetic import per_token
from contenders import our_run
from setting import INNER, LAYERS, LENGTH, ROWS, VOCABULARY, WIDTH, Plan
from torch.utils.flop_counter import FlopCounterMode

from companion.objectives.masked import IGNORE
from companion.pretraining import build, loop


def reference(run, steps: int) -> list[float]:
    """Losses of ``model(**batch).loss`` with torch's own AdamW, on the batches of ``run``."""
    plan, rows = run.recipe, run.material.train
    torch.manual_seed(plan.seed)
    model, _ = build.model(plan, run.material)
    matrices = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    adamw = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": plan.training.weight_decay},
         {"params": others, "weight_decay": 0.0}],
        lr=plan.training.rate, betas=(0.9, 0.98), eps=1e-6, fused=False,
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        adamw, lambda step: loop.rate(step, plan.steps, plan.training.warmup)
    )
    losses = []
    for step in range(steps):
        batch = run.collator(rows[loop.rows_of(step, plan, len(rows))], step)
        loss = model(**batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), plan.training.clip)
        adamw.step()
        schedule.step()
        adamw.zero_grad()
        losses.append(loss.item())
    return losses


def counted_operations(run) -> tuple[float, float, float]:
    """Per token of one step: counted by torch, by the formula; and the share of masked."""
    batch = run.collator(run.material.train[:ROWS], 0)
    share = float((batch["labels"] != IGNORE).float().mean())
    with FlopCounterMode(display=False) as counter:
        run.wrapped(batch).backward()
    run.adamw.zero_grad()
    formula = per_token(LAYERS, WIDTH, INNER, LENGTH, VOCABULARY, share)
    return counter.get_total_flops() / batch["labels"].numel(), formula, share


def main(folder: Path) -> dict:
    counted, formula, share = counted_operations(our_run(folder, 1000, "no", 0.0))
    # 1,000 steps planned and a few made: a learning rate that rises slowly, as in a real run.
    run, steps = our_run(folder, 1000, "no", 0.0), Plan.load(folder).compared
    ours = [run.one_step() for _ in range(steps)]
    theirs = reference(run, steps)
    return {"ours": ours, "reference": theirs,
            "largest_difference": max(abs(a - b) for a, b in zip(ours, theirs, strict=True)),
            "operations_counted": counted, "operations_formula": formula,
            "masked_share": share}


if __name__ == "__main__":
    with build.quiet():
        print(json.dumps(main(Path(sys.argv[1]))))
