"""The network of a tagger: an encoder, a task model on top, one score a label, perhaps a CRF.

With the task model ``linear`` and without a CRF it is the same function, with the same
parameters, as ``AlbertForTokenClassification`` (or BERT's) of transformers.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from transformers import PreTrainedModel
from transformers.activations import NewGELUActivation

from companion.errors import CourseError
from companion.ner.batching import IGNORE
from companion.ner.crf import LinearChainCRF
from companion.ner.schemes import legal
from companion.pretraining.build import attention

TASKS = ("linear", "bilstm")
HEADS = ("softmax", "crf")


class BiLSTM(nn.Module):
    """A layer of LSTM from the left and one from the right (Huang et al., 2015)."""

    def __init__(self, inputs: int, width: int):
        super().__init__()
        self.lstm = nn.LSTM(inputs, width, batch_first=True, bidirectional=True)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """States (rows, length, inputs) to (rows, length, 2 * width); padding is not read."""
        packed = pack_padded_sequence(states, mask.sum(1).cpu(), batch_first=True,
                                      enforce_sorted=False)
        return pad_packed_sequence(self.lstm(packed)[0], True, total_length=states.shape[1])[0]


class Network(nn.Module):
    """Token ids to emissions, one score a label at every position, and to the loss.

    Args:
        encoder: a model of transformers without a head, or `bilstm.Characters`.
        labels, scheme: the names of the labels, in the order of the scores, and their tag
            scheme.
        task: ``"linear"``, or ``"bilstm"`` for a BiLSTM between encoder and scores.
        head: ``"softmax"``, every position judged by itself, or ``"crf"``.
        width: of each direction of the BiLSTM.
        dropout: before the BiLSTM and before the scores. What the encoder drops inside is said
            by its configuration.
        frozen: the encoder's parameters are not trained and its dropout is off.
    """

    def __init__(self, encoder: nn.Module, labels: Sequence[str], scheme: str = "BIO",
                 task: str = "linear", head: str = "softmax", width: int = 128,
                 frozen: bool = False, dropout: float = 0.1):
        super().__init__()
        if task not in TASKS or head not in HEADS:
            raise CourseError(f"no task model '{task}' or no head '{head}': use "
                              f"{' or '.join(TASKS)}, and {' or '.join(HEADS)}")
        self.encoder, self.frozen = encoder, frozen
        self.settings = {"task": task, "head": head, "width": width, "frozen": frozen,
                         "dropout": dropout}
        states = encoder.config.hidden_size
        self.rnn = BiLSTM(states, width) if task == "bilstm" else None
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(2 * width if self.rnn else states, len(labels))
        nn.init.normal_(self.classifier.weight, std=0.02)
        nn.init.zeros_(self.classifier.bias)
        self.crf = LinearChainCRF(len(labels), legal(labels, scheme)) if head == "crf" else None
        encoder.requires_grad_(not frozen)

    def train(self, mode: bool = True) -> "Network":
        super().train(mode)
        if self.frozen:
            self.encoder.eval()
        return self

    def states(self, ids: Tensor, mask: Tensor | None = None) -> Tensor:
        """The encoder's output: ids (rows, length) to (rows, length, hidden size)."""
        return self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state

    def emissions(self, states: Tensor, mask: Tensor) -> Tensor:
        """Scores (rows, length, labels) in float32, from the encoder's output."""
        if self.rnn is not None:
            with torch.autocast(states.device.type, enabled=False):
                states = self.rnn(self.dropout(states.float()), mask)
        return self.classifier(self.dropout(states)).float()

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        """The loss of a batch: mean over the positions whose label is not ``IGNORE``.

        ``batch`` has ``attention_mask`` and ``labels`` of shape (rows, length), and either
        ``input_ids`` of this shape or ``states``, the encoder's output for them.
        """
        mask = batch["attention_mask"]
        states = batch["states"] if "states" in batch else self.states(batch["input_ids"], mask)
        emissions = self.emissions(states, mask)
        if self.crf is None:
            return nn.functional.cross_entropy(emissions.mT, batch["labels"], ignore_index=IGNORE)
        emissions, labels, counted = chains(emissions, batch["labels"])
        if not len(counted):
            return emissions.sum()  # of nothing: windows that lie inside one entity
        # A mean over tokens, as without the CRF, so that learning rates mean the same.
        return self.crf.loss(emissions, labels, counted) * len(counted) / counted.sum()


def chains(emissions: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What a CRF reads: the positions that count, moved to the left of their rows.

    ``[CLS]``, ``[SEP]`` and padding are no links of the chain: a label follows the label of
    the token before it, not that of a special token. A row in which nothing counts is left out.

    Returns:
        ``(emissions, labels, counted)`` of shapes (rows, longest, labels), (rows, longest)
        and (rows, longest), with label 0 where nothing counts.
    """
    used = (labels != IGNORE).any(1)
    emissions, labels = emissions[used], labels[used]
    away = labels == IGNORE
    longest = int((~away).sum(1).amax()) if len(labels) else 0
    order = away.to(torch.uint8).argsort(dim=1, stable=True)[:, :longest]
    counted = ~away.gather(1, order)
    emissions = emissions.gather(1, order[..., None].expand(-1, -1, emissions.shape[-1]))
    return emissions, labels.gather(1, order).masked_fill(~counted, 0), counted


class Gelu(nn.Module):
    """ALBERT's activation x · sigmoid(2√(2/π)(x + 0.044715x³)), in a form that is fast.

    transformers writes it with tanh, in seven steps, and torch has no quick tanh on a CPU. In
    bf16 the exact GELU stands in for it: they differ by less than 0.0005, bf16 rounds more.
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.dtype is torch.bfloat16 and x.device.type == "cpu":
            return nn.functional.gelu(x)
        if torch.is_grad_enabled():
            return nn.functional.gelu(x, approximate="tanh")
        scale = 2 * (2 / math.pi) ** 0.5
        made = x * x
        return made.mul_(0.044715 * scale).add_(scale).mul_(x).sigmoid_().mul_(x)


def prepared(encoder: PreTrainedModel) -> PreTrainedModel:
    """An encoder without the pooler, which reads ``[CLS]`` only, and with the fast `Gelu`."""
    encoder.pooler = encoder.pooler_activation = None
    for module in encoder.modules():
        for name, child in module.named_children():
            if isinstance(child, NewGELUActivation):
                setattr(module, name, Gelu())
    encoder.set_attn_implementation(attention())
    return encoder
