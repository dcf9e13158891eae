"""Contrastive training of an encoder that masked language modelling has pretrained.

As in the loop of masked language modelling, nothing random is carried from step to step: the
order of the texts, their crops and the dropout are functions of seed and step.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from tqdm import tqdm
from transformers import PreTrainedTokenizerBase

from companion.errors import CourseError
from companion.guards import check_fields, door
from companion.objectives import contrastive
from companion.objectives.lengths import refuse_longer
from companion.pretraining.loop import rate

VIEWS = ("crops", "dropout")


@dataclass
class Settings:
    """What decides a contrastive training.

    Attributes:
        views: ``"dropout"``: one crop of a text, twice, under dropout (SimCSE: Gao et al., 2021);
            ``"crops"``: two crops of a text, each drawn for itself (Izacard et al., 2022).
        steps, size: number of batches, and texts in each.
        length: tokens in a row, with special tokens.
        temperature, pooling: as in ``companion.objectives.contrastive.loss``.
        dropout: the share of hidden values set to zero; "dropout" needs it above 0.
        rate: the full learning rate; it rises for ``warmup`` of the steps, then falls to zero.
        precision: ``"no"`` for float32, ``"bf16"`` for mixed precision where the CPU is fast at it.
    """

    views: str = "crops"
    steps: int = 100
    size: int = 64
    length: int = 64
    temperature: float = 0.05
    pooling: str = "mean"
    dropout: float = 0.1
    rate: float = 2e-4
    warmup: float = 0.1
    seed: int = 0
    precision: str = "no"

    def __post_init__(self):
        check_fields(self)
        rules = {
            f"views is '{self.views}': give one of {', '.join(VIEWS)}": self.views in VIEWS,
            f"steps is {self.steps}: give at least 1": self.steps >= 1,
            f"size is {self.size}: give at least 2, one wrong answer for each": self.size >= 2,
            f"pooling is '{self.pooling}': give one of {', '.join(contrastive.POOLINGS)}":
                self.pooling in contrastive.POOLINGS,
            f"warmup is {self.warmup}: give a share from 0 to 1": 0 <= self.warmup <= 1,
            f"rate is {self.rate}: give a number above 0": self.rate > 0,
            f"dropout is {self.dropout}: give a share from 0 to below 1": 0 <= self.dropout < 1,
            "dropout is 0, so both views would be the same: give 0.1, or views='crops'":
                self.views == "crops" or self.dropout > 0,
            f"precision is '{self.precision}': give no or bf16": self.precision in ("no", "bf16"),
        }
        for rule, kept in rules.items():
            if not kept:
                raise CourseError(rule)


def set_dropout(model: nn.Module, share: float) -> None:
    """Give every dropout of the model this share, whatever its configuration says."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = share


def texts_of(step: int, settings: Settings, total: int) -> list[int]:
    """Numbers of the texts of one step, out of ``total``. Each epoch has an order of its own.

    Of the settings only ``size`` and ``seed`` are read, so those of the pooling will do, too.
    """
    per_epoch = total // settings.size
    if not per_epoch:
        raise CourseError(f"{total} texts do not fill a batch of {settings.size}: give more texts "
                          "or a smaller size")
    epoch, place = divmod(step, per_epoch)
    order = np.random.default_rng([settings.seed, epoch]).permutation(total)
    return order[place * settings.size : (place + 1) * settings.size].tolist()


@door
def train(model: nn.Module, tokenizer: PreTrainedTokenizerBase, texts: Sequence[str],
          settings: Settings, progress: bool = False) -> list[float]:
    """Train all layers of ``model`` in place, where it is, and leave it in evaluation mode.

    A head, if the model has one, is not used and stays as it is.

    Args:
        texts: training texts, at least as many as a batch; none of them empty.

    Returns:
        The InfoNCE loss of every step, in nats.

    Raises:
        CourseError: too few texts, one text instead of several, rows longer than the model, or a
            loss that is no longer finite.
    """
    refuse_longer(model, settings.length)
    collator = contrastive.TwoViews(tokenizer, length=settings.length, seed=settings.seed,
                                    same_crop=settings.views == "dropout")
    set_dropout(model, settings.dropout)
    optimiser = torch.optim.AdamW(model.base_model.parameters(), lr=settings.rate,
                                  weight_decay=0.01)
    model.train()
    device, mixed = model.device, settings.precision == "bf16"
    losses = []
    for step in tqdm(range(settings.steps), disable=not progress, unit="step"):
        torch.manual_seed(settings.seed * 1_000_003 + step)  # dropout
        for group in optimiser.param_groups:
            group["lr"] = settings.rate * rate(step, settings.steps, settings.warmup)
        batch = collator([texts[i] for i in texts_of(step, settings, len(texts))], step)
        batch = {name: tensor.to(device) for name, tensor in batch.items()}
        with torch.autocast(device.type, torch.bfloat16, enabled=mixed):
            loss = contrastive.loss(model, batch, settings.temperature, settings.pooling)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.base_model.parameters(), 1.0)
        optimiser.step()
        losses.append(loss.item())
        if not np.isfinite(losses[-1]):
            raise CourseError(f"the loss is {losses[-1]} at step {step}: lower the learning rate")
    model.eval()
    return losses
