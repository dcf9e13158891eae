"""Masked language modelling (Devlin et al., 2019, section 3.1, "Task #1").

Some positions are chosen. At most of them the token is hidden, and the model has to say
which token stood there. The loss counts the chosen positions and no others.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from transformers import PreTrainedTokenizerBase

from companion.errors import CourseError
from companion.guards import check_fields, door
from companion.objectives.lengths import refuse_longer
from companion.segmentation import Segmented
from companion.tokenization import word_starts

IGNORE = -100  # the label of positions that do not count, as in torch and transformers


@dataclass
class MaskedLM:
    """Collator: rows of token ids -> ``input_ids`` and ``labels``.

    Masking is dynamic (Liu et al., 2019, section 4.1): the choice depends on ``seed`` and
    on the number of the batch, so the same row is masked differently whenever it returns,
    and the same batch number always gives the same masks.

    The *number* of chosen positions is fixed: ``share`` of those that a row of this length
    can hold between ``[CLS]`` and ``[SEP]``. Equal shapes let the computation run much
    faster on a CPU, and the share is then exact instead of right on average. Padding is
    not counted and changes nothing: rows with more of it are masked in the same places.

    Attributes:
        tokenizer: must have a mask token.
        share: share of positions that are chosen; BERT has 0.15.
        hidden, random: of the chosen positions, the share that becomes the mask token and
            the share that becomes a random token; the rest keep their token.
        whole_words: choose words instead of tokens: all pieces of a word count. What becomes
            of each piece (``hidden``, ``random``) is drawn for itself, so a word may be hidden
            in part.
        segment: what cuts a text into words where the vocabulary has characters only, as for
            Chinese: "jieba", or a function from a text to its words; for ``whole_words``
            (Cui et al., 2021, section 3.1).
        seed: see above.
    """

    tokenizer: PreTrainedTokenizerBase
    share: float = 0.15
    hidden: float = 0.8
    random: float = 0.1
    whole_words: bool = False
    segment: str | Callable[[str], Iterable[str]] = ""
    seed: int = 0

    def __post_init__(self):
        check_fields(self)
        if self.tokenizer.mask_token_id is None:
            raise CourseError("this tokenizer has no mask token: use one of a masked LM")
        if not 0 < self.share < 1:
            raise CourseError(f"share is {self.share}: give a number between 0 and 1")
        if self.hidden < 0 or self.random < 0 or self.hidden + self.random > 1:
            raise CourseError(f"hidden is {self.hidden} and random is {self.random}: give shares "
                              "whose sum is at most 1")
        special = set(self.tokenizer.all_special_ids)
        self._special = torch.zeros(len(self.tokenizer), dtype=torch.bool)
        self._special[list(special)] = True
        self._ordinary = (~self._special).nonzero().squeeze(1)
        if self.segment and not self.whole_words:
            raise CourseError("segment is given, but words play no part: set whole_words too")
        if self.segment:
            cut = Segmented(self.tokenizer, self.segment)
            self._begins = lambda ids: torch.from_numpy(cut(ids.numpy()))
        elif self.whole_words:
            starts = torch.from_numpy(word_starts(self.tokenizer))
            self._begins = lambda ids: starts[ids]

    @door
    def __call__(self, rows, number: int = 0) -> dict[str, torch.Tensor]:
        """Mask one batch.

        Args:
            rows: token ids of shape (batch, length), array or tensor, padding on the right;
                never modified.
            number: the number of this batch; another number gives other masks.

        Returns:
            ``input_ids`` and ``labels``, both (batch, length), int64. Labels are the
            original ids at chosen positions and -100 elsewhere. Where rows have padding, also
            ``attention_mask`` (batch, length), 1 for tokens.
        """
        ids = self._ids(rows)
        filled = self._filled(ids)
        if (filled[:, 1:] & ~filled[:, :-1]).any():
            raise CourseError("a row has padding before a token: pad on the right")
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + number)
        chosen = self.choose(ids, generator)
        labels = ids.masked_fill(~chosen, IGNORE)
        batch = {"input_ids": self._corrupt(ids, chosen, generator), "labels": labels}
        return batch if filled.all() else {**batch, "attention_mask": filled.long()}

    def _filled(self, ids: torch.Tensor) -> torch.Tensor:
        """Which positions are no padding. Shape (batch, length), bool."""
        padding = self.tokenizer.pad_token_id
        return torch.ones_like(ids, dtype=torch.bool) if padding is None else ids != padding

    def _ids(self, rows) -> torch.Tensor:
        try:
            ids = torch.as_tensor(np.asarray(rows).astype(np.int64))
        except (TypeError, ValueError):
            raise CourseError("rows are not one table of ids: pack or pad to one length") from None
        if ids.ndim != 2 or not ids.numel():
            raise CourseError(
                f"rows have shape {tuple(ids.shape)}: give (batch, length), not empty"
            )
        if ids.min() < 0 or ids.max() >= len(self._special):
            raise CourseError(
                f"rows hold ids outside 0..{len(self._special) - 1}: pack with this tokenizer"
            )
        return ids

    def choose(self, ids: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Which positions count. Shape (batch, length), bool; never a special token."""
        allowed = ~self._special[ids]
        filled = self._filled(ids)
        room = int(filled.sum()) - 2 * len(ids)
        wanted = max(1, round(self.share * room))
        keys = _spread(filled, torch.rand(int(filled.sum()), generator=generator))
        if self.whole_words:
            keys = self._same_key_per_word(ids, keys)
        order = keys.masked_fill(~allowed, 2.0).flatten().argsort(stable=True)
        chosen = torch.zeros(ids.numel(), dtype=torch.bool)
        chosen[order[: min(wanted, int(allowed.sum()))]] = True
        return chosen.view_as(ids)

    def _same_key_per_word(self, ids: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
        # Words are drawn by the key of their first token, so their pieces stay together.
        # The last word drawn may be cut to keep the number of positions fixed.
        begins = self._begins(ids) | self._special[ids]
        begins[:, 0] = True
        word = begins.flatten().cumsum(0) - 1
        return keys.flatten()[begins.flatten()][word].view_as(ids)

    def _corrupt(self, ids, chosen, generator) -> torch.Tensor:
        filled = self._filled(ids)
        count = int(filled.sum())
        kind = _spread(filled, torch.rand(count, generator=generator))
        draw = _spread(filled, torch.randint(len(self._ordinary), (count,), generator=generator))
        hide = chosen & (kind < self.hidden)
        swap = chosen & (kind >= self.hidden) & (kind < self.hidden + self.random)
        inputs = ids.masked_fill(hide, self.tokenizer.mask_token_id)
        return torch.where(swap, self._ordinary[draw], inputs)


def _spread(filled: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """A value for each position that is no padding, 0 for the others: (batch, length)."""
    return torch.zeros(filled.shape, dtype=values.dtype).masked_scatter(filled, values)


def head_of(model: nn.Module) -> nn.Module | None:
    """The masked-LM head, hidden states -> logits; None where it is not one module.

    Raises:
        CourseError: a model without a masked-LM head.
    """
    # The name of the class, because models of other objectives have a ``cls`` or an
    # ``lm_head`` too: next-sentence prediction, causal language models.
    ends = ("ForMaskedLM", "ForPreTraining")
    if not any(kind.__name__.endswith(ends) for kind in type(model).__mro__):
        raise CourseError(
            f"{type(model).__name__} has no masked-LM head: load it with AutoModelForMaskedLM"
        )
    for name in ("cls", "lm_head", "predictions"):
        if hasattr(model, name):
            head = getattr(model, name)
            # BertForPreTraining has the head for pairs and the one for words side by side.
            return head.predictions if hasattr(head, "seq_relationship") else head
    return None  # DistilBERT, ELECTRA, DeBERTa-v3, ModernBERT: several layers of the model itself


def parts(model: nn.Module) -> tuple[nn.Module, nn.Module]:
    """Encoder and masked-LM head of a Hugging Face model (BERT, ALBERT, RoBERTa families)."""
    if (head := head_of(model)) is None:
        raise CourseError(f"the head of {type(model).__name__} is of another form: use a model of "
                          "the BERT, ALBERT or RoBERTa family")
    return model.base_model, head


def masked_logits(
    model: nn.Module,
    input_ids: torch.Tensor,
    where: torch.Tensor,
    attention_mask: torch.Tensor | None = None,
    **inputs: torch.Tensor,
) -> torch.Tensor:
    """Logits at the positions ``where`` only, (number of them, vocabulary).

    The head is the most expensive layer for its size, because it ends in one score for
    every vocabulary entry. Running it on the chosen positions alone gives the same
    numbers there. Packed rows have no padding; rows with padding need their
    ``attention_mask``. Other ``inputs`` (``token_type_ids``) go to the encoder as well.
    A head that is not one module runs everywhere (see ``head_of``).

    Raises:
        CourseError: a model without a masked-LM head, rows longer than it reads.
    """
    refuse_longer(model, input_ids.shape[1])
    head, inputs = head_of(model), {"attention_mask": attention_mask, **inputs}
    at = where.flatten().nonzero().squeeze(1)
    if head is None:
        return model(input_ids=input_ids, **inputs).logits.flatten(0, 1)[at]
    states = model.base_model(input_ids=input_ids, **inputs).last_hidden_state
    return head(states.flatten(0, 1)[at])


def loss(model: nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Mean cross-entropy in nats over the positions that have a label. Scalar tensor.

    Equal to ``model(**batch).loss`` of the Hugging Face class, computed from
    ``masked_logits``.
    """
    where = batch["labels"] != IGNORE
    if not where.any():
        raise CourseError("no position has a label: mask the batch before asking for its loss")
    inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
    logits = masked_logits(model, where=where, **inputs)
    return nn.functional.cross_entropy(logits.float(), batch["labels"][where])
