"""The training loop: fixed shapes, masked-only logits, bf16 where it is fast, exact resume.

Nothing random is carried from step to step: the order of rows is a function of seed and
epoch, masks and dropout are functions of seed and step. So a run that is killed and
started again ends with the same bits as one that was never stopped.
"""

import ctypes
import json
import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn
from tqdm import tqdm

from companion import storage
from companion.errors import CourseError
from companion.guards import door
from companion.pretraining import build, state
from companion.pretraining.optimisers import optimisers
from companion.pretraining.recipe import Recipe
from companion.pretraining.tasks import TASKS, Collator, Task


WORTH_COMPILING = 1000  # steps; compiling takes about a minute


class Objective(nn.Module):
    """The model with its loss as one module, as data-parallel wrappers want it."""

    def __init__(self, model: nn.Module, task: Task = TASKS["masked"]):
        super().__init__()
        self.model, self.task = model, task

    def forward(self, batch):
        return self.task.loss(self.model, batch)


def keep_memory() -> None:
    """Ask glibc not to hand freed memory back: page faults cost a tenth of a CPU run."""
    if sys.platform == "linux":
        try:
            libc = ctypes.CDLL("libc.so.6")
            libc.mallopt(-4, 0)  # M_MMAP_MAX: large blocks come from the heap too
            libc.mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD
        except OSError:
            pass  # another C library: slower, nothing else


def fast_at_bf16() -> bool:
    """Whether this device multiplies bf16 matrices faster than fp32 ones."""
    if torch.cuda.is_available():
        # Not is_bf16_supported: it is true of older devices too, where bf16 is emulated.
        return torch.cuda.get_device_capability() >= (8, 0)
    return bool(getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)())


def rate(step: int, steps: int, warmup: float, decay: float = 1.0) -> float:
    """Share of the full learning rate at ``step``: linear up, level, linear down to zero.

    ``warmup`` and ``decay`` are shares of the steps; with ``decay`` 1 there is no level part.
    """
    rise = max(1, round(warmup * steps))
    fall = max(1, min(round(decay * steps), steps - rise))
    return min(1.0, (step + 1) / rise, (steps - step) / fall)


def rows_of(step: int, recipe: Recipe, total: int) -> np.ndarray:
    """Indices of the rows of one step. Every epoch has an order of its own."""
    count = recipe.training.rows
    at = np.arange(step * count, (step + 1) * count)
    orders = {e: np.random.default_rng([recipe.seed, e]).permutation(total)
              for e in np.unique(at // total)}
    return np.array([orders[p // total][p % total] for p in at])


@torch.inference_mode()
def evaluate(model: nn.Module, collator: Collator, rows: np.ndarray, size: int = 32,
             device: torch.device | str = "cpu", task: Task = TASKS["masked"]) -> dict[str, float]:
    """Loss in nats and top-1 accuracy over the positions of ``rows`` that count.

    The model is left in the mode (training or not) that it was in.
    """
    if not len(rows):
        raise CourseError("there are no rows to evaluate on: pack some text first")
    mode = model.training
    model.eval()
    total = right = count = 0.0
    also = {name: [0.0, 0] for name in task.also}
    for number, start in enumerate(range(0, len(rows), size)):
        batch = {k: v.to(device) for k, v in collator(rows[start : start + size], number).items()}
        logits, targets = task.predictions(model, batch)
        total += nn.functional.cross_entropy(logits.float(), targets, reduction="sum").item()
        right += (logits.argmax(-1) == targets).sum().item()
        count += len(targets)
        for name, predict in task.also.items():
            logits, targets = predict(model, batch)
            also[name][0] += (logits.argmax(-1) == targets).sum().item()
            also[name][1] += len(targets)
    model.train(mode)
    return {"loss": total / count, "accuracy": right / count, "positions": int(count),
            **{f"{name}_accuracy": right / max(1, asked) for name, (right, asked) in also.items()}}


class Log:
    """A JSONL file. After a kill, lines beyond the step resumed from are cut off.

    ``setting``: the last line that says how the run was started or resumed, if any.
    """

    def __init__(self, path: Path, step: int, quiet: bool):
        self.path, self.quiet = path, quiet
        lines = path.read_text(encoding="utf8").splitlines() if path.exists() else []
        known = [(line, self._parsed(line)) for line in lines]
        kept = [(line, data) for line, data in known if data and data["step"] <= step]
        if step == 0:
            kept = []  # the run begins again
        starts = [data for _, data in kept if data.get("event") in ("start", "resume")]
        self.setting = starts[-1] if starts else {}
        if not quiet:
            storage.write_text(path, "".join(line + "\n" for line, _ in kept))

    @staticmethod
    def _parsed(line: str) -> dict | None:
        try:  # a kill may have cut the last line
            data = json.loads(line)
        except json.JSONDecodeError:
            return None
        return data if isinstance(data, dict) and "step" in data else None

    def write(self, step: int, **values) -> None:
        if not self.quiet:
            storage.append_line(self.path, json.dumps({"step": step, **values}))


@door
def pretrain(recipe: Recipe, out: str | Path, text: str | Path | None = None,
             progress: bool = True, rows: Sequence[str | Path] = ()) -> Path:
    """Run a recipe, or go on with one that was stopped.

    Args:
        recipe: what to train, on what, how.
        out: folder for states, log and, at the end, ``model/`` (fp32, Hugging Face form).
        text: folder of the files that the recipe names.
        progress: show a progress bar with loss and tokens per second.
        rows: files of packed rows from another machine, in place of the text.

    Returns:
        The folder of the finished model. If it is already there, nothing is done.

    Raises:
        CourseError: the folder holds a run of another recipe, or no whole state of this
            one; the recipe cannot be run, or its loss is no longer finite.
    """
    out = build.run_folder(recipe, out)
    if (out / "model").is_dir():
        storage.verify(out / "model", "delete it and run again, to go on from the last state")
        return out / "model"
    folder = None if text is None else Path(text)
    if not build.is_packed(out):
        build.check(recipe, folder, rows)
    keep_memory()
    accelerator = start_accelerate(recipe)
    with accelerator.main_process_first():
        material = build.prepare(recipe, out, folder,
                                 say=print if accelerator.is_main_process else lambda _: None,
                                 rows=rows)
    torch.manual_seed(recipe.seed)
    model, fresh = build.model(recipe, material)
    plain = optimisers(model, recipe, fresh)
    if accelerator.device.type == "cuda" and recipe.steps >= WORTH_COMPILING:
        model.base_model.compile()
    wrapped, *prepared = accelerator.prepare(Objective(model, TASKS[recipe.objective]), *plain)
    run = _Run(recipe, out, accelerator, wrapped, prepared, material)
    run.resume()
    run.train(progress and accelerator.is_main_process)
    return run.finish()


def start_accelerate(recipe: Recipe) -> Accelerator:
    """The processes and the precision of a run."""
    precision = recipe.training.precision
    if precision == "auto":
        precision = "bf16" if fast_at_bf16() else "no"
    try:
        accelerator = Accelerator(mixed_precision=precision, cpu=not torch.cuda.is_available())
    except ValueError:
        raise CourseError(f"this process has trained with another precision than {precision}: "
                          "restart Python, or set precision in the recipe") from None
    processes = accelerator.num_processes
    if recipe.training.rows % processes:
        # Unequal parts would weigh unequally in the mean of the gradients.
        raise CourseError(f"{recipe.training.rows} rows a step cannot be shared by {processes} "
                          "processes: use a number of processes that divides them")
    return accelerator


class _Run:
    """One run: its state on disk, its steps, its end."""

    def __init__(self, recipe, out, accelerator, wrapped, optimisers, material):
        self.recipe, self.out, self.accelerator = recipe, out, accelerator
        self.wrapped, self.optimisers, self.material = wrapped, optimisers, material
        self.model = accelerator.unwrap_model(wrapped).model
        self.main = accelerator.is_main_process
        self.task = TASKS[recipe.objective]
        self.collator = self.task.collator(recipe, material.tokenizer)
        self.validation = self.task.judge(recipe, material.tokenizer)
        self.step = 0
        self.last_loss = None  # mean over the last twenty steps

    def resume(self) -> None:
        saved, warnings = state.newest(self.out)
        if saved is not None:
            # To the CPU first: with several processes on one, the device is "cpu:0", which
            # torch.load does not know. What loads the values puts them where they belong.
            data = torch.load(saved / "state.pt", map_location="cpu", weights_only=True)
            self.model.load_state_dict(data["model"])
            for optimiser, values in zip(self.optimisers, data["optimisers"], strict=True):
                optimiser.load_state_dict(values)
            self.step = data["step"]
        self.log = Log(self.out / "log.jsonl", self.step, quiet=not self.main)
        for warning in warnings:
            self.log.write(self.step, event="warning", message=warning)
        setting = {"processes": self.accelerator.num_processes,
                   "precision": self.accelerator.mixed_precision,
                   "device": self.accelerator.device.type, "torch": torch.__version__}
        for name, value in setting.items():
            if (before := self.log.setting.get(name, value)) != value:
                self.log.write(self.step, event="warning", message=f"{name} was {before} and is "
                               f"now {value}: the end will not be bit-equal to one run's")
        self.log.write(self.step, event="resume" if self.step else "start", **setting)

    def train(self, progress: bool) -> None:
        steps, t = self.recipe.steps, self.recipe.training
        if self.step == 0:
            self.evaluate()
        bar = tqdm(total=steps, initial=self.step, disable=not progress, unit="step")
        since, summed, seconds = self.step, 0.0, 0.0
        while self.step < steps:
            began = time.perf_counter()
            summed += self.one_step()
            seconds += time.perf_counter() - began  # of training alone
            bar.update()
            if self.step % 20 == 0 or self.step == steps:
                tokens = (self.step - since) * t.rows * self.recipe.text.row_length
                mean = self.last_loss = round(summed / (self.step - since), 4)
                self.log.write(self.step, train_loss=mean,
                               tokens=self.step * t.rows * self.recipe.text.row_length,
                               tokens_per_second=round(tokens / seconds))
                bar.set_postfix(loss=f"{mean:.3f}", tokens_per_s=f"{tokens / seconds:,.0f}")
                since, summed, seconds = self.step, 0.0, 0.0
            if self.step % t.evaluate_every == 0 or self.step == steps:
                self.evaluate()
            if self.step % t.save_every == 0 and self.step < steps:
                self.save()
        bar.close()

    def one_step(self) -> float:
        recipe, accelerator = self.recipe, self.accelerator
        rank, world = accelerator.process_index, accelerator.num_processes
        # Dropout: every process has masks of its own. A CPU uses 32 bits of the number.
        torch.manual_seed(recipe.seed * 1_000_003 + self.step + rank * 1_000_000_007)
        share = rate(self.step, recipe.steps, recipe.training.warmup, recipe.training.decay)
        for group in (g for optimiser in self.optimisers for g in optimiser.param_groups):
            group["lr"] = group["base"] * share
        rows = self.material.train[rows_of(self.step, recipe, len(self.material.train))]
        batch = self.collator(rows[rank::world], self.step * world + rank)
        batch = {name: tensor.to(accelerator.device) for name, tensor in batch.items()}
        self.wrapped.train()
        with accelerator.autocast():
            loss = self.wrapped(batch)
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(self.wrapped.parameters(), recipe.training.clip)
        for optimiser in self.optimisers:
            optimiser.step()
            optimiser.zero_grad()
        self.step += 1
        value = accelerator.reduce(loss.detach(), "mean").item()
        if not math.isfinite(value):
            raise CourseError(
                f"the loss is {value} at step {self.step}: lower the learning rate in the recipe"
            )
        return value

    def evaluate(self) -> None:
        if self.main:
            with self.accelerator.autocast():
                result = evaluate(self.model, self.validation, self.material.validation,
                                  device=self.accelerator.device, task=self.task)
                held = {f"{name}_loss": evaluate(self.model, self.validation, rows,
                                                 device=self.accelerator.device,
                                                 task=self.task)["loss"]
                        for name, rows in self.material.held_out.items()}
            positions = result.pop("positions")
            result |= held
            self.log.write(self.step, event="validation", positions=positions,
                           **{name: round(value, 4) for name, value in result.items()})
        self.accelerator.wait_for_everyone()

    def save(self) -> None:
        if self.main:
            data = {"step": self.step, "model": self.model.state_dict(),
                    "optimisers": [o.optimizer.state_dict() for o in self.optimisers]}
            state.write(self.out / f"step-{self.step:07d}",
                        lambda folder: torch.save(data, folder / "state.pt"))
            state.prune(self.out)
            self.keep_newest()
        self.accelerator.wait_for_everyone()

    def keep_newest(self) -> None:
        """The weights of now in fp16 as a model folder, ``newest``: small enough to copy
        elsewhere, and what another recipe can start from before this one is done."""
        def fill(partial: Path) -> None:
            self.fill(partial, torch.float16)
            (partial / "progress.json").write_text(json.dumps(
                {"step": self.step, "of": self.recipe.steps, "train_loss": self.last_loss}) + "\n",
                encoding="utf8")

        state.write(self.out / "newest", fill)

    def fill(self, folder: Path, kind: torch.dtype) -> None:
        """Write model and tokenizer in Hugging Face form, with weights of one kind."""
        done: dict[int, torch.Tensor] = {}  # tied weights stay tied, so they are written once
        weights = {name: done.setdefault(values.data_ptr(), values.to(kind))
                   if values.is_floating_point() else values
                   for name, values in self.model.state_dict().items()}
        with build.quiet():
            self.model.save_pretrained(folder, state_dict=weights)
        self.material.tokenizer.save_pretrained(folder)

    def finish(self) -> Path:
        folder = self.out / "model"
        if self.main:
            storage.write_folder(folder, lambda partial: self.fill(partial, torch.float32))
        self.accelerator.wait_for_everyone()
        return folder
