"""Training a tagger: one loop for all encoders, task models and heads, with exact resume.

As in `companion.pretraining.loop`, nothing random is carried from step to step: the batches are
a function of seed and epoch, dropout is one of seed and step. So a run that was killed ends
with the same bits as one that was not.
"""

import json
import math
import os
import re
import time
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from numbers import Real
from pathlib import Path

import torch
from tqdm import tqdm

from companion import storage
from companion.entity import Example
from companion.errors import CourseError
from companion.guards import check_fields, door
from companion.ner.batching import training_batches
from companion.ner.network import Network
from companion.ner.rows import Rows, remember
from companion.ner.tagger import AlbertTagger
from companion.pretraining import state
from companion.pretraining.loop import fast_at_bf16, keep_memory, rate


PRECISIONS = ("auto", "no", "bf16")


@dataclass(frozen=True)
class Settings:
    """How a tagger is trained.

    Attributes:
        epochs: the most passes over the training sentences; the rate falls to 0 over them.
        patience: stop after so many epochs without a better F1 on the validation sentences.
        size: sentences a step.
        rate: learning rate of the encoder's top layer.
        head_rate: of task model, scores and CRF, which are new and have more to learn.
        layer_decay: each layer of the encoder learns so many times as fast as the one above
            it. Layers that share their parameters share their rate too.
        warmup: share of the steps in which the rates rise.
        precision: ``"bf16"``, ``"no"``, or ``"auto"`` for bf16 where it is fast.

    Raises:
        CourseError: a value that no training can use.
    """

    epochs: int = 12
    patience: int = 3
    size: int = 32
    rate: float = 3e-4
    head_rate: float = 2e-3
    layer_decay: float = 1.0
    weight_decay: float = 0.01
    warmup: float = 0.1
    clip: float = 1.0
    seed: int = 13
    precision: str = "auto"

    def __post_init__(self):
        check_fields(self)
        for names, fits, cure in (
            ("epochs patience size", lambda value: value >= 1, "at least 1"),
            ("rate head_rate weight_decay", lambda value: value >= 0, "0 or more"),
            ("layer_decay warmup", lambda value: 0 <= value <= 1, "a share from 0 to 1"),
            ("clip", lambda value: value > 0, "a number above 0"),
            ("seed", lambda value: 0 <= value < 2**32, "0 or more, below 2 to the 32nd"),
            ("precision", PRECISIONS.__contains__, f"one of {', '.join(PRECISIONS)}"),
        ):
            for name in names.split():
                value = getattr(self, name)
                if not fits(value):
                    raise CourseError(f"{name} is {value!r}: give {cure}")
                if isinstance(value, Real) and not isinstance(value, int):  # a number of NumPy
                    object.__setattr__(self, name, float(value))


def level(name: str) -> int | None:
    """Of a parameter of `Network`: 0 for embeddings, 1 for the lowest layer; None for the head."""
    if not name.startswith("encoder."):
        return None
    found = re.search(r"\.(?:layer|albert_layer_groups)\.(\d+)\.", name)
    return int(found.group(1)) + 1 if found else 0


def parameter_groups(network: Network, settings: Settings) -> list[dict]:
    """Groups for AdamW: by learning rate, and matrices (with weight decay) apart from vectors.

    Layer-wise rates are those of Howard and Ruder (2018, "discriminative fine-tuning").
    """
    trained = [(n, p) for n, p in network.named_parameters() if p.requires_grad]
    top = max((level(name) or 0 for name, _ in trained), default=0)
    groups: dict[tuple[float, float], list] = {}
    for name, parameter in trained:
        decay = settings.weight_decay if parameter.ndim > 1 else 0.0
        at = level(name)
        base = settings.head_rate if at is None else \
            settings.rate * settings.layer_decay ** (top - at)
        groups.setdefault((base, decay), []).append(parameter)
    return [{"params": p, "lr": b, "base": b, "weight_decay": d} for (b, d), p in groups.items()]


def fingerprint(tagger) -> dict:
    """What a tagger is before its training: its build, labels, and a checksum of its numbers."""
    network, found = tagger.network, 0
    for tensor in network.state_dict().values():
        found = zlib.crc32(tensor.detach().cpu().contiguous().numpy().tobytes(), found)
    return {**network.settings, "labels": tagger.labels, "scheme": tagger.scheme,
            "start": found}


class Run:
    """One training: its steps, its validations, its state on disk.

    Args:
        tagger: is trained in place, and has its best parameters at the end.
        train, validation: rows with labels, as ``tagger.rows`` makes them.
        out: folder for states and ``log.jsonl``; None keeps nothing.
    """

    @door
    def __init__(self, tagger: AlbertTagger, train: Rows, validation: Rows,
                 settings: Settings = Settings(), out: str | Path | None = None):
        if not len(train) or not len(validation):
            raise CourseError("there are no sentences to train or to validate on: give some")
        if int(os.environ.get("WORLD_SIZE", 1)) > 1:
            raise CourseError("a tagger is trained by one process: start it without torchrun")
        for part in (train, validation):
            part.refuse_other_encoder(tagger.network)
        self.tagger, self.settings, self._start = tagger, settings, fingerprint(tagger)
        self.train, self.validation = train, validation
        # A log comes after its first state: one without a state is somebody else's.
        self.out = None if out is None else storage.run_folder(out, "step-*", "log.jsonl")
        keep_memory()
        # Not by Accelerate: that keeps the precision of a process, and one may train in several.
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._bf16 = settings.precision == "bf16" or (
            settings.precision == "auto" and fast_at_bf16())
        tagger.network.to(self.device)
        if tagger.network.frozen:
            for part in (train, validation):
                remember(tagger.network, part, self._bf16)
        self.adamw = torch.optim.AdamW(parameter_groups(tagger.network, settings),
                                       betas=(0.9, 0.98), eps=1e-6, fused=True)
        self.per_epoch = math.ceil(len(train) / settings.size)
        self.steps = self.per_epoch * settings.epochs
        self.step, self.log, self.best, self.summed = 0, [], None, 0.0
        self._resume()

    @property
    def finished(self) -> bool:
        late = len(self.log) - 1 - self._best_epoch() >= self.settings.patience
        return self.step >= self.steps or (bool(self.log) and late)

    def _best_epoch(self) -> int:
        scores = [entry["f1"] for entry in self.log]
        return scores.index(max(scores)) if scores else 0

    def go(self, seconds: float = math.inf, progress: bool = True) -> bool:
        """Train until the end, or for so many seconds, then keep the state.

        Returns:
            Whether the training is finished; if so, the best parameters are in place.
        """
        until = time.monotonic() + seconds
        bar = tqdm(total=self.steps, initial=self.step, disable=not progress, unit="step")
        while not self.finished and time.monotonic() < until:
            self.advance()
            bar.update()
            if self.log:
                bar.set_postfix(f1=f"{self.log[-1]['f1']:.3f}")
        bar.close()
        if not self.finished:
            self._save()
            return False
        # A copy: the best parameters are kept, and training further must not change them.
        self.tagger.network.load_state_dict(self.best)
        self.tagger.network.eval()
        return True

    def advance(self) -> None:
        """One step, and at the end of an epoch a validation and a state on disk."""
        self.one_step()
        if self.step % self.per_epoch == 0:
            self._validate()
            self._save()

    def one_step(self) -> float:
        """One batch; returns its loss."""
        network = self.tagger.network
        s, epoch = self.settings, self.step // self.per_epoch
        torch.manual_seed(s.seed * 1_000_003 + self.step)  # of dropout
        share = rate(self.step, self.steps, s.warmup)
        for group in self.adamw.param_groups:
            group["lr"] = group["base"] * share
        if self.step % self.per_epoch == 0 or not hasattr(self, "batches"):
            self.batches = training_batches(self.train.lengths, s.size, s.seed, epoch)
        batch = self.train.batch(self.batches[self.step % self.per_epoch])
        batch = {name: tensor.to(self.device) for name, tensor in batch.items()}
        network.train()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._bf16):
            loss = network(batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), s.clip)
        self.adamw.step()
        self.adamw.zero_grad()
        self.step += 1
        value = loss.item()
        self.summed += value
        if not math.isfinite(value):
            raise CourseError(f"the loss is {value} at step {self.step}: lower the learning rates")
        return value

    def _validate(self) -> None:
        self._refuse_broken()
        entry = {"epoch": self.step // self.per_epoch, "step": self.step,
                 "loss": round(self.summed / self.per_epoch, 5),
                 "f1": round(self.tagger.f1(self.validation, self._bf16), 5)}
        self.summed = 0.0
        self.log.append(entry)
        if self._best_epoch() == len(self.log) - 1:
            self.best = {n: t.detach().clone().cpu()
                         for n, t in self.tagger.network.state_dict().items()}

    def _refuse_broken(self) -> None:
        """A finite loss can still have gradients that are not."""
        if not all(p.isfinite().all() for p in self.tagger.network.parameters()):
            raise CourseError(f"a parameter is NaN or infinite after step {self.step}: lower the "
                              "learning rates")

    # --- the state on disk ----------------------------------------------------------------

    def _plan(self) -> dict:
        return {"settings": asdict(self.settings), "tagger": self._start,
                "rows": len(self.train), "tokens": int(sum(self.train.lengths))}

    def _save(self) -> None:
        if self.out is None:
            return
        data = {"plan": self._plan(), "step": self.step, "log": self.log, "best": self.best,
                "summed": self.summed, "network": self.tagger.network.state_dict(),
                "adamw": self.adamw.state_dict()}
        state.write(self.out / f"step-{self.step:07d}",
                    lambda folder: torch.save(data, folder / "state.pt"))
        state.prune(self.out)
        self._write_log()

    def _write_log(self) -> None:
        storage.write_text(self.out / "log.jsonl",
                           "".join(json.dumps(line) + "\n" for line in self.log))

    def _resume(self) -> None:
        if self.out is None:
            return
        saved, _ = state.newest(self.out)
        if saved is None:
            return
        data = torch.load(saved / "state.pt", map_location="cpu", weights_only=True)
        if data["plan"] != self._plan():
            raise CourseError(f"{self.out.name} holds a run with another tagger, other settings or "
                              "other sentences: name another folder")
        self.tagger.network.load_state_dict(data["network"])
        self.adamw.load_state_dict(data["adamw"])
        self.step, self.log, self.best = data["step"], data["log"], data["best"]
        self.summed = data["summed"]
        self._write_log()  # a kill may have come between the state and it


@door
def train(tagger: AlbertTagger, sentences: Sequence[Example], validation: Sequence[Example],
          settings: Settings = Settings(), out: str | Path | None = None,
          progress: bool = True) -> list[dict]:
    """Train a tagger in place and give it the parameters that were best on ``validation``.

    Args:
        sentences, validation: with their entities, in any container.
        out: folder for states, so that a killed training goes on; None keeps nothing.

    Returns:
        One entry an epoch: ``epoch``, ``step``, ``loss`` (training, mean over its steps) and
        ``f1`` (entities, validation).
    """
    run = Run(tagger, tagger.rows(sentences), tagger.rows(validation), settings, out)
    run.go(progress=progress)
    return run.log
