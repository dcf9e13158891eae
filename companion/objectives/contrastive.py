"""Contrastive learning: the two views of a text belong together, all others apart.

Unsupervised SimCSE (Gao et al., 2021, section 3): the same text goes through the encoder
twice, and dropout makes the two vectors differ. The loss is InfoNCE (van den Oord et al.,
2018, section 2.3): out of all second views of the batch, which one belongs to this first view?

Alignment and uniformity (Wang and Isola, 2020, section 4.1) measure what comes of it.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.functional import cross_entropy, normalize
from transformers import PreTrainedTokenizerBase

from companion.errors import CourseError
from companion.guards import check_fields, door
from companion.objectives.lengths import refuse_longer

POOLINGS = ("cls", "mean")


@dataclass
class TwoViews:
    """Collator: texts -> two views of each, one below the other.

    A text that is longer than a row is cropped at a random place. The place depends on
    ``seed`` and on the number of the batch, as the masks of ``MaskedLM`` do.

    Attributes:
        tokenizer: must have ``[CLS]``, ``[SEP]`` and padding.
        length: tokens in a row, with special tokens and padding.
        same_crop: both views show the same part of a text, so that only dropout tells them
            apart, as in SimCSE. If false, each view has a crop of its own ("independent
            cropping" in Izacard et al., 2022, section 3).
        seed: see above.
    """

    tokenizer: PreTrainedTokenizerBase
    length: int = 64
    same_crop: bool = True
    seed: int = 0

    def __post_init__(self):
        check_fields(self)
        ids = (getattr(self.tokenizer, f"{name}_token_id") for name in ("cls", "sep", "pad"))
        self._cls, self._sep, self._pad = ids
        if None in (self._cls, self._sep, self._pad):
            raise CourseError("this tokenizer has no [CLS], [SEP] or padding: use one of a "
                              "masked LM")
        if self.length < 3:
            raise CourseError(
                f"length is {self.length}: a row needs room for [CLS], a token and [SEP]"
            )

    @door
    def __call__(self, texts: Sequence[str], number: int = 0) -> dict[str, torch.Tensor]:
        """Rows i and i + N of the result are the two views of text i out of N.

        Args:
            texts: at least two, none of them empty.
            number: the number of this batch; another number gives other crops.

        Returns:
            ``input_ids`` and ``attention_mask``, both (2 N, length), int64, and ``texts`` of
            shape (N,), int64: texts with the same number are the same.
        """
        encoded = self._encode(texts)
        draw = random.Random(f"{self.seed} {number}")
        first = [self._crop(ids, draw) for ids in encoded]
        second = first if self.same_crop else [self._crop(ids, draw) for ids in encoded]
        ids = torch.full((2 * len(encoded), self.length), self._pad)
        mask = torch.zeros_like(ids)
        for row, tokens in enumerate([*first, *second]):
            ids[row, : len(tokens)] = torch.tensor(tokens)
            mask[row, : len(tokens)] = 1
        seen: dict[tuple[int, ...], int] = {}
        texts = [seen.setdefault(tuple(tokens), i) for i, tokens in enumerate(encoded)]
        return {"input_ids": ids, "attention_mask": mask, "texts": torch.tensor(texts)}

    def _encode(self, texts: Sequence[str]) -> list[list[int]]:
        if len(texts) < 2:
            raise CourseError(f"the batch has {len(texts)} texts: InfoNCE needs at least 2")
        encoded = self.tokenizer(
            texts, add_special_tokens=False, truncation=False, padding=False, verbose=False
        )["input_ids"]
        for place, ids in enumerate(encoded):
            if not ids:
                raise CourseError(f"text {place} of the batch has no tokens: leave it out")
        return encoded

    def _crop(self, ids: list[int], draw: random.Random) -> list[int]:
        start = draw.randint(0, max(0, len(ids) - (self.length - 2)))
        return [self._cls, *ids[start : start + self.length - 2], self._sep]


def embed(
    model: nn.Module,
    input_ids: torch.Tensor,
    attention_mask: torch.Tensor | None = None,
    pooling: str = "cls",
) -> torch.Tensor:
    """One vector for each row, (rows, width), in float32 and not normalised.

    Args:
        model: an encoder of Hugging Face, with or without a head.
        attention_mask: 0 at padding; without it, no position is padding.
        pooling: ``"cls"`` takes the state of the first token, ``"mean"`` the mean over all
            tokens that are not padding.
    """
    if pooling not in POOLINGS:
        raise CourseError(f"pooling is '{pooling}': give one of {', '.join(POOLINGS)}")
    refuse_longer(model, input_ids.shape[1])
    states = model.base_model(
        input_ids=input_ids, attention_mask=attention_mask
    ).last_hidden_state.float()
    if pooling == "cls":
        return states[:, 0]
    if attention_mask is None:
        return states.mean(1)
    weights = attention_mask[..., None].to(states)
    return (states * weights).sum(1) / weights.sum(1)


@door
def info_nce(
    first: torch.Tensor,
    second: torch.Tensor,
    temperature: float = 0.05,
    exclude: torch.Tensor | None = None,
) -> torch.Tensor:
    """InfoNCE with cosine similarity, in nats (Gao et al., 2021, equation 4). Scalar tensor.

    For row i of ``first``, row i of ``second`` is the right answer and all other rows are
    wrong ones. ln N if all similarities are equal.

    Args:
        first, second: (N, width), of any length: only directions count.
        temperature: similarities are divided by it; SimCSE has 0.05.
        exclude: (N, N), bool; wrong answers that shall not count, because they are right too.
    """
    if first.ndim != 2 or first.shape != second.shape or len(first) < 2:
        raise CourseError(f"the views have shapes {tuple(first.shape)} and {tuple(second.shape)}: "
                          "give two of (N, width), N at least 2")
    if not temperature > 0:
        raise CourseError(f"temperature is {temperature}: give a number above 0")
    scores = normalize(first.float(), dim=1) @ normalize(second.float(), dim=1).T / temperature
    right = torch.arange(len(first), device=first.device)
    if exclude is not None:
        scores = scores.masked_fill(exclude & (right[:, None] != right), float("-inf"))
    return cross_entropy(scores, right)


def loss(
    model: nn.Module,
    batch: dict[str, torch.Tensor],
    temperature: float = 0.05,
    pooling: str = "cls",
) -> torch.Tensor:
    """InfoNCE between the two views of a batch of ``TwoViews``, in nats. Scalar tensor.

    Both views go through the model in one pass: every row has dropout of its own. A text that
    occurs twice in the batch is no wrong answer for itself.
    """
    ids = batch["input_ids"]
    if "texts" not in batch or len(ids) != 2 * len(batch["texts"]):
        raise CourseError("these are not two views of each text: take the batch from TwoViews")
    first, second = embed(model, ids, batch.get("attention_mask"), pooling).chunk(2)
    one, two = ids.chunk(2)
    if torch.equal(one, two) and torch.equal(first, second):
        raise CourseError("both views are the same: call model.train(), with dropout above 0")
    same = batch["texts"][:, None] == batch["texts"]
    return info_nce(first, second, temperature, exclude=same)


@door
def alignment(first: torch.Tensor, second: torch.Tensor, power: float = 2) -> torch.Tensor:
    """Mean distance between the two views, to ``power``, on the unit sphere. Lower is better.

    With power 2 it is 0 for equal directions, 2 for right angles, 4 for opposite ones.

    Args:
        first, second: (N, width); rows with the same number belong together.
    """
    if first.ndim != 2 or first.shape != second.shape or not len(first):
        raise CourseError(f"the views have shapes {tuple(first.shape)} and {tuple(second.shape)}: "
                          "give two of (N, width), not empty")
    apart = normalize(first.float(), dim=1) - normalize(second.float(), dim=1)
    return apart.norm(dim=1).pow(power).mean()


@door
def uniformity(vectors: torch.Tensor, sharpness: float = 2) -> torch.Tensor:
    """How evenly vectors of different texts cover the unit sphere. Lower is better.

    The logarithm of the mean of exp(-``sharpness`` x squared distance) over all pairs of
    different rows: 0 if all directions are equal.

    Args:
        vectors: (N, width), N at least 2, one for each text.
    """
    if vectors.ndim != 2 or len(vectors) < 2:
        raise CourseError(f"vectors have shape {tuple(vectors.shape)}: give (N, width), "
                          "N at least 2")
    squared = torch.pdist(normalize(vectors.float(), dim=1)).pow(2)
    return (-sharpness * squared).logsumexp(0) - torch.tensor(float(len(squared))).log()
