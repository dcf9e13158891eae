"""One contender in one process, so that no memory is shared and peaks are its own.

    python benchmarks/contenders.py FOLDER '{"name": "ours"}'

FOLDER was written by ``setting.write_rows``. The last line of the output is the result.
"""

import json
import resource
import statistics
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

import torch
from accelerate import Accelerator
from setting import DROPOUT, LENGTH, ROWS, SHARE, Plan, read_rows, recipe

from companion.pretraining import build, loop


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


def our_run(folder: Path, steps: int, precision: str = "auto", dropout: float = DROPOUT):
    """The run that ``pretrain`` makes, on rows that are packed already."""
    rows, tokenizer = read_rows(folder)
    plan = recipe(steps, precision, dropout)
    if precision == "auto":
        precision = "bf16" if loop.fast_at_bf16() else "no"
    material = build.Material(rows, rows[:0], tokenizer, None, None)
    torch.manual_seed(plan.seed)
    model, fresh = build.model(plan, material)
    accelerator = Accelerator(mixed_precision=precision, cpu=True)
    wrapped, adamw = accelerator.prepare(
        loop.Objective(model), loop.optimiser(model, plan, fresh)
    )
    return loop._Run(plan, folder / "run", accelerator, wrapped, adamw, material)


def ours(folder: Path, plan: Plan, attention: str = "", full_logits: bool = False,
         precision: str = "auto", give_back: bool = False, profiled: bool = False) -> Clock:
    """``companion.pretraining``, or one of its choices undone to see what it brings."""
    if attention:
        build.attention = lambda: attention
    if full_logits:
        loop.masked.loss = lambda model, batch: model(**batch).loss
    if not give_back:
        loop.keep_memory()
    run = our_run(folder, plan.warmup + plan.steps, precision)
    clock = Clock(plan.warmup)
    for _ in range(plan.warmup + plan.steps):
        run.one_step()
        clock.tick()
    return clock


def trainer(folder: Path, plan: Plan, attention: str = "sdpa", bf16: bool = False,
            keep: bool = False, **arguments) -> Clock:
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
    model = recipe(1).model
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


def main(folder: Path, spec: dict) -> dict:
    plan = Plan.load(folder)
    build.quiet().__enter__()
    contender = {"ours": ours, "trainer": trainer}[spec.pop("kind")]
    clock = contender(folder, plan, **spec)
    rows, tokenizer = read_rows(folder)
    padding = float((rows == tokenizer.pad_token_id).mean())
    tokens = ROWS * LENGTH * (1 - padding)
    unit = 1 if sys.platform == "darwin" else 1024
    return {
        "tokens_per_second": tokens * len(clock.measured) / sum(clock.measured),
        "fastest": tokens / min(clock.measured),
        "median": tokens / statistics.median(clock.measured),
        "slowest": tokens / max(clock.measured),
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit,
    }


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), json.loads(sys.argv[2]))))
