"""Contrastive training of the pooling alone: the encoder is frozen, so its states are read once.

A step then costs no pass through the encoder. That makes room for many steps and for large
batches, whose texts are the wrong answers of InfoNCE.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from tqdm import tqdm
from transformers import PreTrainedTokenizerBase

from companion.errors import CourseError
from companion.guards import check_fields, door
from companion.objectives.contrastive import info_nce
from companion.objectives.lengths import refuse_longer
from companion.objectives.pooling import LearnedPooling
from companion.pretraining.contrast import texts_of
from companion.tokenization import by_length


@dataclass
class States:
    """Hidden states of texts, in bfloat16 to save memory.

    Attributes:
        ids: (texts, length), int64; padding has the tokenizer's id for it.
        states: (texts, length, width).
        mask: (texts, length), bool, true at tokens.
    """

    ids: torch.Tensor
    states: torch.Tensor
    mask: torch.Tensor

    def __len__(self) -> int:
        return len(self.ids)

    def means(self, size: int = 500) -> torch.Tensor:
        """The mean state of each text, (texts, width), float32; ``size`` texts at a time."""
        parts = [(s.float() * m[..., None]).sum(1) / m.sum(1, keepdim=True)
                 for s, m in zip(self.states.split(size), self.mask.split(size))]
        return torch.cat(parts)

    def pooled(self, pooling: LearnedPooling, size: int = 500) -> torch.Tensor:
        """What ``pooling`` makes of them, (texts, width)."""
        with torch.no_grad():
            return torch.cat([pooling(s, m) for s, m in zip(self.states.split(size),
                                                            self.mask.split(size))])


@torch.no_grad()
@door
def read_states(model: nn.Module, tokenizer: PreTrainedTokenizerBase, texts: Sequence[str],
                length: int = 128, size: int = 64, progress: bool = False,
                precision: str = "no") -> States:
    """The states that a frozen encoder gives for texts, on the CPU; no dropout.

    Args:
        length: tokens in a row, with ``[CLS]`` and ``[SEP]``; longer texts are cut.
        size: texts that go through the model together.
        precision: ``"no"`` for float32, ``"bf16"`` for mixed precision where the CPU is fast at it.

    Raises:
        CourseError: one text instead of several, or none; rows longer than the model.
    """
    batches = by_length(tokenizer, texts, length, size)
    refuse_longer(model, length)
    mode = model.training
    model.eval()
    shape = (len(texts), length)
    ids = torch.full(shape, tokenizer.pad_token_id)
    mask = torch.zeros(shape, dtype=torch.bool)
    states = torch.zeros(*shape, model.config.hidden_size, dtype=torch.bfloat16)
    for which, rows in tqdm(batches, disable=not progress, total=-(-len(texts) // size),
                            unit="batch"):
        wide = rows["input_ids"].shape[1]
        inputs = {n: rows[n].to(model.device) for n in ("input_ids", "attention_mask")}
        with torch.autocast(model.device.type, torch.bfloat16, enabled=precision == "bf16"):
            found = model.base_model(**inputs).last_hidden_state
        ids[which, :wide] = rows["input_ids"]
        mask[which, :wide] = rows["attention_mask"].bool()
        states[which, :wide] = found.bfloat16().cpu()
    model.train(mode)
    return States(ids, states, mask)


@dataclass
class PoolSettings:
    """What decides a training of the pooling.

    Attributes:
        steps, size: number of batches, and texts in each.
        temperature: as in ``companion.objectives.contrastive.info_nce``.
        rate, query_rate: learning rates (Adam) of the projection and of the query; both fall
            linearly to zero. 0 leaves a part as it is.
    """

    steps: int = 300
    size: int = 256
    temperature: float = 0.05
    rate: float = 1e-3
    query_rate: float = 0.02
    seed: int = 0

    def __post_init__(self):
        check_fields(self)
        if self.steps < 1:
            raise CourseError(f"steps is {self.steps}: give at least 1")
        if self.size < 2:
            raise CourseError(f"size is {self.size}: give at least 2, one wrong answer for each")
        if min(self.rate, self.query_rate) < 0:
            raise CourseError(f"rate is {self.rate} and query_rate {self.query_rate}: give numbers "
                              "from 0 on")


@door
def train_pooling(first: States, second: States, settings: PoolSettings | None = None,
                  progress: bool = False) -> tuple[LearnedPooling, list[float]]:
    """A pooling that finds ``second[i]`` for ``first[i]``: two views of the same texts.

    Returns:
        The pooling, and the InfoNCE loss of every step in nats.

    Raises:
        CourseError: views of different numbers of texts; too few texts for a batch.
    """
    settings = settings or PoolSettings()
    if len(first) != len(second):
        raise CourseError(f"there are {len(first)} first and {len(second)} second views: give as "
                          "many of both")
    pooling = LearnedPooling.whitening(torch.cat([first.means(), second.means()]))
    groups = [{"params": [pooling.projection], "full": settings.rate},
              {"params": [pooling.query], "full": settings.query_rate}]
    optimiser = torch.optim.Adam(groups, lr=settings.rate)
    losses = []
    for step in tqdm(range(settings.steps), disable=not progress, unit="step"):
        for group in optimiser.param_groups:
            group["lr"] = group["full"] * (1 - step / settings.steps)
        which = texts_of(step, settings, len(first))
        loss = info_nce(*(pooling(view.states[which], view.mask[which])
                          for view in (first, second)), settings.temperature)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return pooling, losses
