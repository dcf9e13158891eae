"""One contender in one process, so that no memory is shared and peaks are its own.

    python benchmarks/contenders.py FOLDER '{"name": "ours"}'

FOLDER was written by ``setting.write_rows``. The last line of the output is the result.
"""

import json
import resource
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from setting import DROPOUT, LENGTH, ROWS, SHARE, Plan, read_rows, recipe

from companion.pretraining import build, loop
from companion.pretraining.optimisers import optimisers
from companion.pretraining.tasks import TASKS, Task


class Clock:
    """Seconds of every step, those of the warm-up apart."""

    def __init__(self, warmup: int):
        self.warmup, self.seconds, self.last = warmup, [], time.perf_counter()

    def tick(self) -> None:
        now = time.perf_counter()
        self.seconds.append(now - self.last)
        self.last = now

    @property
    def measured(self) -> list[float]:
        return self.seconds[self.warmup :]


def our_run(folder: Path, steps: int, precision: str = "auto", dropout: float = DROPOUT,
            task: Task = TASKS["masked"]):
    """The run that ``pretrain`` makes, on rows that are packed already."""
    rows, tokenizer = read_rows(folder)
    plan = recipe(steps, precision, dropout)
    if precision == "auto":
        precision = "bf16" if loop.fast_at_bf16() else "no"
    material = build.Material(rows, rows[:0], tokenizer, None, None)
    torch.manual_seed(plan.seed)
    model, fresh = build.model(plan, material)
    AcceleratorState._reset_state()  # one process may measure in two precisions
    accelerator = Accelerator(mixed_precision=precision, cpu=True)
    wrapped, *prepared = accelerator.prepare(
        loop.Objective(model, task), *optimisers(model, plan, fresh)
    )
    return loop._Run(plan, folder / "run", accelerator, wrapped, prepared, material)


def ours(folder: Path, plan: Plan, precision: str = "auto", dropout: float = DROPOUT,
         attention: str = "", full_logits: bool = False, give_back: bool = False) -> Clock:
    """``companion.pretraining``; the arguments undo one of its choices each."""
    task = TASKS["masked"]
    if attention:
        build.attention = lambda: attention
    if full_logits:
        task = replace(task, loss=lambda model, batch: model(**batch).loss)
    if not give_back:
        loop.keep_memory()
    run = our_run(folder, plan.warmup + plan.steps, precision, dropout, task)
    clock = Clock(plan.warmup)
    for _ in range(plan.warmup + plan.steps):
        run.one_step()
        clock.tick()
    return clock


def trainer(folder: Path, plan: Plan, dropout: float = DROPOUT, attention: str = "sdpa",
            bf16: bool = False, keep: bool = False, **arguments) -> Clock:
    """``Trainer`` with ``DataCollatorForLanguageModeling``; ``arguments`` are its own."""
    from datasets import Dataset
    from transformers import (
        AutoConfig,
        AutoModelForMaskedLM,
        DataCollatorForLanguageModeling,
        PrinterCallback,
        Trainer,
        TrainerCallback,
        TrainingArguments,
    )

    if keep:
        loop.keep_memory()
    rows, tokenizer = read_rows(folder)
    model = recipe(1, dropout=dropout).model
    torch.manual_seed(13)
    config = AutoConfig.for_model(model.kind, vocab_size=len(tokenizer), **model.config)
    clock = Clock(plan.warmup)

    class Ticks(TrainerCallback):
        def on_step_end(self, *_, **__):
            clock.tick()

    run = Trainer(
        AutoModelForMaskedLM.from_config(config, attn_implementation=attention),
        TrainingArguments(
            str(folder / "trainer"), per_device_train_batch_size=ROWS, bf16=bf16,
            max_steps=plan.warmup + plan.steps, gradient_accumulation_steps=1, use_cpu=True,
            logging_strategy="no", save_strategy="no", report_to="none", disable_tqdm=True,
            **arguments,
        ),
        DataCollatorForLanguageModeling(tokenizer, mlm_probability=SHARE),
        Dataset.from_dict({"input_ids": rows}),
        callbacks=[Ticks()],
    )
    run.remove_callback(PrinterCallback)
    run.train()
    return clock


def peak_bytes() -> int:
    """Largest resident memory of this process. Not from getrusage on Linux: there the value
    of the process that started this one is kept."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return int(status.split("VmHWM:")[1].split()[0]) * 1024
    except (OSError, IndexError):
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def main(folder: Path, spec: dict) -> dict:
    """Run one contender. Rates are non-padding tokens per second."""
    plan, (rows, tokenizer) = Plan.load(folder), read_rows(folder)
    clock = {"ours": ours, "trainer": trainer}[spec.pop("kind")](folder, plan, **spec)
    tokens = ROWS * LENGTH * float((rows != tokenizer.pad_token_id).mean())
    return {
        "tokens_per_second": tokens / statistics.median(clock.measured),
        "slowest_step": tokens / max(clock.measured),
        "fastest_step": tokens / min(clock.measured),
        "peak_bytes": peak_bytes(),
    }


if __name__ == "__main__":
    with build.quiet():
        print(json.dumps(main(Path(sys.argv[1]), json.loads(sys.argv[2]))))
