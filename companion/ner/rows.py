"""Texts as rows of token ids for a tagger, with labels, and from rows to scores of units."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from companion.entity import Entity
from companion.errors import CourseError
from companion.guards import checked_scores
from companion.ner import alignment, schemes
from companion.ner.alignment import Encoded
from companion.ner.batching import IGNORE, attention, padded, reading_batches, width_of
from companion.ner.network import Network

OVERLAP = 32  # tokens that windows of a long text share, where the model is long enough


@dataclass
class Rows:
    """All rows of a set of texts. A long text has several rows, which overlap.

    Attributes:
        texts: as units and windows, see `alignment.Encoded`.
        longest: tokens that the model reads, so no batch is wider.
        ids: of every row, ``[CLS]`` and ``[SEP]`` included.
        columns: of every row the positions whose scores are used.
        place: of every row, where the first of these stands among the units of all texts.
        bounds: the units of text ``i`` are those from ``bounds[i]`` to ``bounds[i + 1]``.
        entities: of every text, where they are known.
        labels: of every row as long as its ids, ``IGNORE`` where not used; None if unknown.
        states: of every row the encoder's output, once `remember` was called.
        encoder: the one that has made them.
    """

    texts: list[Encoded]
    padding: int
    longest: int | None = None
    ids: list[list[int]] = field(default_factory=list)
    columns: list[np.ndarray] = field(default_factory=list)
    place: list[int] = field(default_factory=list)
    entities: Sequence[Sequence[Entity]] = ()
    labels: list[list[int]] | None = None
    states: list[Tensor] | None = None
    encoder: torch.nn.Module | None = None

    def __post_init__(self):
        self.bounds = np.cumsum([0, *map(len, self.texts)])
        for base, text in zip(self.bounds.tolist(), self.texts):
            for number, ids in enumerate(text.rows):
                units = np.flatnonzero(text.window == number) if len(text.rows) > 1 else None
                if len(text) and (units is None or len(units)):
                    self.ids.append(ids)
                    self.columns.append(text.column if units is None else text.column[units])
                    self.place.append(base if units is None else base + int(units[0]))
        self.lengths = np.array([len(row) for row in self.ids], int)

    def __len__(self) -> int:
        return len(self.ids)

    def refuse_other_encoder(self, network: Network) -> None:
        """Rows that hold the output of one encoder must not be read by another network."""
        if self.states is not None and self.encoder is not network.encoder:
            raise CourseError("these rows hold another encoder's output: make new ones with "
                              "tagger.rows()")

    def batch(self, which: np.ndarray) -> dict[str, Tensor]:
        """Rows as tensors of one width: what `Network.forward` takes."""
        lengths = self.lengths[which]
        width = width_of(int(lengths.max()), self.longest)
        made = {"attention_mask": attention(lengths, width)}
        if self.states is None:
            made["input_ids"] = padded([self.ids[i] for i in which], self.padding, width)
        else:
            made["states"] = torch.zeros(len(which), width, self.states[0].shape[-1])
            for into, i in zip(made["states"], which):
                into[: self.lengths[i]] = self.states[i]
        if self.labels is not None:
            made["labels"] = padded([self.labels[i] for i in which], IGNORE, width)
        return made


def build(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase, longest: int) -> Rows:
    """Texts as rows of at most ``longest`` tokens. A text without units has no row."""
    overlap = min(OVERLAP, (longest - 2) // 2)
    return Rows(alignment.encode(tokenizer, texts, longest, overlap),
                tokenizer.pad_token_id or 0, longest)


def labelled(rows: Rows, entities: Sequence[Sequence[Entity]], names: Sequence[str],
             scheme: str, chained: bool = False) -> Rows:
    """The rows with a label for every unit; all other positions get ``IGNORE``.

    Args:
        chained: for a CRF, which reads a row as one chain. Where the edge of a window cuts an
            entity, the part that no chain may begin or end with gets ``IGNORE`` too.
    """
    number = {name: i for i, name in enumerate(names)}
    known = {name.partition("-")[2] for name in names}
    if unknown := sorted({e.type for found in entities for e in found} - known):
        raise CourseError(f"there is an entity of type {unknown[0]!r}, which the tagger has no "
                          "label for: name it in types= when you make the tagger")
    tags = [tag for found, text in zip(entities, rows.texts, strict=True)
            for tag in alignment.unit_tags(found, text, scheme)]
    if unknown := sorted(set(tags) - set(number)):  # a tagger of others may lack some
        raise CourseError(f"the tagger has no label {unknown[0]}: make a new one on its encoder "
                          "(AlbertTagger.new)")
    flat = np.array([number[tag] for tag in tags], int)
    rows.entities, rows.labels = entities, []
    rule = schemes.legal(names, scheme) if chained else None
    for ids, columns, place in zip(rows.ids, rows.columns, rows.place):
        row, labels = np.full(len(ids), IGNORE), flat[place : place + len(columns)]
        if rule is not None:
            inside = slice(*_whole(labels, rule))
            columns, labels = columns[inside], labels[inside]
        row[columns] = labels
        rows.labels.append(row.tolist())
    return rows


def _whole(labels: np.ndarray, rule: schemes.Transitions) -> tuple[int, int]:
    """Where the part of a row lies that begins and ends as a tag sequence may."""
    first, last = rule.start[labels].nonzero()[0], rule.end[labels].nonzero()[0]
    if not len(first) or not len(last):
        return 0, 0
    return int(first[0]), max(int(first[0]), int(last[-1]) + 1)


def _scores(network: Network, batch: dict[str, Tensor], bf16: bool) -> Tensor:
    device = network.classifier.weight.device
    batch = {name: tensor.to(device) for name, tensor in batch.items()}
    mask = batch["attention_mask"]
    with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
        states = batch.get("states")
        if states is None:
            # Without padding no mask is needed, and none is added up.
            states = network.states(batch["input_ids"], None if bool(mask.all()) else mask)
        return network.emissions(states, mask)


@torch.inference_mode()
def emissions(network: Network, rows: Rows, bf16: bool = False) -> np.ndarray:
    """The scores of all units of all texts, shape (``bounds[-1]``, labels), float32.

    Raises:
        CourseError: NaN or infinity among them.
    """
    rows.refuse_other_encoder(network)
    network.eval()
    made = np.zeros((int(rows.bounds[-1]), network.classifier.out_features), np.float32)
    for which in reading_batches(rows.lengths):
        scores = _scores(network, rows.batch(which), bf16).cpu().numpy()
        for row, i in zip(scores, which):
            columns, place = rows.columns[i], rows.place[i]
            made[place : place + len(columns)] = row[columns]
    checked_scores(torch.from_numpy(made))
    return made


@torch.inference_mode()
def remember(network: Network, rows: Rows, bf16: bool = False) -> None:
    """Keep the encoder's output of every row (float16): a frozen encoder runs once."""
    if rows.states is not None:
        return rows.refuse_other_encoder(network)
    network.eval()
    device = network.classifier.weight.device
    found: list = [None] * len(rows)
    for which in reading_batches(rows.lengths):
        batch = rows.batch(which)
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            states = network.states(batch["input_ids"].to(device),
                                    batch["attention_mask"].to(device))
        for row, i in zip(states.cpu(), which):
            found[i] = row[: rows.lengths[i]].half()
    rows.states, rows.encoder = found, network.encoder

