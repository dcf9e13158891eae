"""One small training loop for all ways to learn from a few examples.

A comparison is fair when everything but the method is the same. So prompt tuning and head
fine-tuning take their steps here: the same batches in the same order, the same optimiser, the
same schedule. Nothing random is carried from step to step, so the same seed gives the same
weights on the same machine.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from companion.errors import CourseError
from companion.guards import check_fields, listed
from companion.pretraining.loop import fast_at_bf16, rate
from companion.prompting.verbalizer import plain

PRECISIONS = ("auto", "no", "bf16")


@dataclass(frozen=True)
class Budget:
    """What a training may spend, and how.

    Attributes:
        steps, size: number of batches, and examples in each; with fewer examples than ``size``,
            all of them are in every batch.
        rate: the full learning rate of pretrained parameters; it rises for ``warmup`` of the
            steps, then falls to zero.
        fresh_rate: the same for parameters that start at random; None for ``rate``.
        decay: weight decay of tables; vectors have none.
        seed: decides the order of the examples, dropout, and what starts at random.
        precision: ``"bf16"`` for mixed precision, ``"no"`` for float32, ``"auto"`` for bf16
            where this device is fast at it.
    """

    steps: int = 30
    size: int = 8
    rate: float = 1e-4
    fresh_rate: float | None = None
    warmup: float = 0.1
    decay: float = 0.01
    seed: int = 0
    precision: str = "auto"

    def __post_init__(self):
        check_fields(self)
        for name in ("steps", "size"):
            if getattr(self, name) < 1:
                raise CourseError(f"{name} is {getattr(self, name)}: give at least 1")
        for name in ("rate", "fresh_rate"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise CourseError(f"{name} is {value}: give a number above 0")
        if not 0 <= self.warmup <= 1:
            raise CourseError(f"warmup is {self.warmup}: give a share from 0 to 1")
        if self.decay < 0:
            raise CourseError(f"decay is {self.decay}: give a number of at least 0")
        if self.seed < 0:
            raise CourseError(f"seed is {self.seed}: give a whole number of at least 0")
        if self.precision not in PRECISIONS:
            raise CourseError(f"precision is '{self.precision}': give one of "
                              f"{', '.join(PRECISIONS)}")


def check_examples(texts: Iterable, labels: Sequence) -> tuple[list, list]:
    """Both as lists. Refuses one text in place of a list, nothing, and labels that do not fit."""
    texts, labels = listed(texts), plain(labels)
    if len(texts) != len(labels):
        raise CourseError(f"{len(texts)} texts but {len(labels)} labels: give a list with one "
                          "label for each text")
    return texts, labels


def batch_of(step: int, count: int, budget: Budget) -> list[int]:
    """Numbers of the examples of one step, out of ``count``.

    All examples are used once before any is used again, every time in a new order.
    """
    size = min(budget.size, count)
    places = np.arange(step * size, (step + 1) * size)
    orders = {epoch: np.random.default_rng([budget.seed, epoch]).permutation(count)
              for epoch in np.unique(places // count)}
    return [int(orders[place // count][place % count]) for place in places]


@contextmanager
def learning(model: nn.Module, wanted: Iterable[nn.Parameter]) -> Iterator[None]:
    """Inside, dropout is on, and gradients reach the ``wanted`` parameters alone."""
    chosen = {id(parameter) for parameter in wanted}
    before = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    try:
        for parameter, _ in before:
            parameter.requires_grad_(id(parameter) in chosen)
        model.train()
        yield
    finally:
        model.eval()
        for parameter, flag in before:
            parameter.requires_grad_(flag)
            parameter.grad = None


def refuse_ruined(parameters: Iterable[nn.Parameter], advice: str) -> None:
    """The last step can make weights that are no numbers, and no loss after it would tell."""
    if not all(parameter.isfinite().all() for parameter in parameters):
        raise CourseError(f"the last step made weights that are no numbers: {advice}")


@contextmanager
def undone(wanted: Sequence[nn.Parameter]) -> Iterator[None]:
    """What breaks off inside leaves the ``wanted`` parameters as they were."""
    before = [parameter.detach().clone() for parameter in wanted]
    try:
        yield
    except BaseException:
        with torch.no_grad():
            for parameter, values in zip(wanted, before):
                parameter.copy_(values)
        raise


def groups(wanted: Iterable[nn.Parameter], fresh: Iterable[nn.Parameter], budget: Budget
           ) -> list[dict]:
    """Parameters by learning rate and weight decay, as AdamW takes them."""
    new = {id(parameter) for parameter in fresh}
    found: dict[tuple[float, float], list] = {}
    for parameter in wanted:
        full = (budget.fresh_rate or budget.rate) if id(parameter) in new else budget.rate
        found.setdefault((full, budget.decay if parameter.ndim > 1 else 0.0), []).append(parameter)
    return [{"params": members, "lr": full, "base": full, "weight_decay": decay}
            for (full, decay), members in found.items()]


def follow(model: nn.Module, wanted: Sequence[nn.Parameter], loss_of: Callable, count: int,
           budget: Budget, fresh: Sequence[nn.Parameter] = (), progress: bool = False
           ) -> list[float]:
    """Train the ``wanted`` parameters of ``model`` in place; all others keep their values.

    The state of the global random generator is the same afterwards as before. If anything goes
    wrong, the parameters are as they were before, too.

    Args:
        loss_of: from the numbers of a batch's examples to a scalar tensor.
        count: number of examples.
        fresh: those of the parameters that have ``budget.fresh_rate``.

    Returns:
        The loss of every step, in nats. The model is left in evaluation mode.

    Raises:
        CourseError: a loss that is no longer finite, or weights that are not at the end.
    """
    optimiser = torch.optim.AdamW(groups(wanted, fresh, budget), fused=True)
    low = budget.precision == "bf16" or (budget.precision == "auto" and fast_at_bf16())
    device = next(model.parameters()).device
    losses: list[float] = []
    with undone(wanted), learning(model, wanted), torch.random.fork_rng():
        for step in tqdm(range(budget.steps), disable=not progress, unit="step"):
            torch.manual_seed(budget.seed * 1_000_003 + step)  # dropout
            for group in optimiser.param_groups:
                group["lr"] = group["base"] * rate(step, budget.steps, budget.warmup)
            with torch.autocast(device.type, torch.bfloat16, enabled=low):
                loss = loss_of(batch_of(step, count, budget))
            losses.append(loss.item())
            if not math.isfinite(losses[-1]):
                raise CourseError(f"the loss is {losses[-1]} at step {step + 1}: lower the rate")
            loss.backward()
            nn.utils.clip_grad_norm_(wanted, 1.0)
            optimiser.step()
            optimiser.zero_grad()
        refuse_ruined(wanted, "lower the rate")
    return losses
