"""Texts as rows of token ids for a tagger, with labels, and back from scores to their texts."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from companion.errors import CourseError
from companion.ner import schemes
from companion.ner.batching import IGNORE, attention, padded, reading_batches, width_of
from companion.ner.network import Network
from companion.ner.spans import Entity


@dataclass
class Rows:
    """Rows of one set of texts. A long text has several rows, which overlap.

    Attributes:
        ids: of every row, ``[CLS]`` and ``[SEP]`` included.
        counted: of every row, the part ``(first, end)`` whose scores are used: a token that
            stands in two rows is judged where more of its neighbours are seen.
        place: of every row, where the first of its counted tokens stands among all tokens.
        offsets: of every text, ``(start, end)`` of each token, in characters.
        bounds: the tokens of text ``i`` are those from ``bounds[i]`` to ``bounds[i + 1]``.
        labels: of every row as long as its ids, ``IGNORE`` where not counted; None without.
        states: of every row the encoder's output, once `remember` was called.
    """

    ids: list[list[int]]
    counted: list[tuple[int, int]]
    place: list[int]
    offsets: list[list[tuple[int, int]]]
    bounds: np.ndarray
    padding: int
    texts: Sequence[str] = ()
    entities: Sequence[Sequence] = ()
    labels: list[list[int]] | None = None
    states: list[Tensor] | None = None
    lengths: np.ndarray = field(default_factory=lambda: np.zeros(0, int))

    def __len__(self) -> int:
        return len(self.ids)

    def batch(self, which: np.ndarray) -> dict[str, Tensor]:
        """Rows as tensors of one width: what `Network.forward` takes."""
        lengths = self.lengths[which]
        width = width_of(int(lengths.max()))
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


def windows(tokens: int, inner: int) -> list[tuple[int, int, int, int]]:
    """Parts of a text of so many tokens that fit a row, half overlapping.

    Returns:
        ``(start, end, first, last)`` each: the row holds tokens ``start`` to ``end`` and
        counts ``first`` to ``last``. Every token is counted once, in the row in which it is
        farthest from a border that is not one of the text.
    """
    if tokens <= inner:
        return [(0, tokens, 0, tokens)]
    starts = list(range(0, tokens - inner, max(1, inner // 2))) + [tokens - inner]
    # Half-way between where the next row begins and where this one ends.
    cuts = [(a + inner + b) // 2 for a, b in zip(starts, starts[1:])]
    return [(a, a + inner, first, last)
            for a, first, last in zip(starts, [0, *cuts], [*cuts, tokens])]


def build(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase, longest: int) -> Rows:
    """Texts as rows of at most ``longest`` tokens. A text without tokens has no row."""
    encodings = tokens_of(texts, tokenizer)
    first, last = tokenizer.cls_token_id, tokenizer.sep_token_id
    made = Rows([], [], [], [o for _, o in encodings],
                np.cumsum([0, *(len(ids) for ids, _ in encodings)]),
                tokenizer.pad_token_id or 0, texts)
    for (ids, _), base in zip(encodings, made.bounds):
        for start, end, begin, stop in windows(len(ids), longest - 2) if ids else ():
            made.ids.append([first, *ids[start:end], last])
            made.counted.append((begin - start + 1, stop - start + 1))
            made.place.append(int(base) + begin)
    made.lengths = np.array([len(row) for row in made.ids], int)
    return made


def tokens_of(
    texts: Sequence[str], tokenizer: PreTrainedTokenizerBase
) -> list[tuple[list[int], list[tuple[int, int]]]]:
    """Ids and offsets of every text; tokens that stand for no character are left out."""
    if not getattr(tokenizer, "is_fast", False):
        raise CourseError("this tokenizer gives no offsets: load a fast one (tokenizer.json)")
    backend = tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    found = []
    for one in backend.encode_batch(list(texts), add_special_tokens=False):
        ids, offsets = one.ids, one.offsets
        if any(a >= b for a, b in offsets):
            kept = [i for i, (a, b) in enumerate(offsets) if a < b]
            ids, offsets = [ids[i] for i in kept], [offsets[i] for i in kept]
        found.append((ids, offsets))
    return found


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
    """The scores of all tokens of all texts, shape (``bounds[-1]``, labels), float32."""
    network.eval()
    made = np.zeros((int(rows.bounds[-1]), network.classifier.out_features), np.float32)
    for which in reading_batches(rows.lengths):
        scores = _scores(network, rows.batch(which), bf16).cpu().numpy()
        for row, i in zip(scores, which):
            a, b = rows.counted[i]
            made[rows.place[i] : rows.place[i] + b - a] = row[a:b]
    return made


@torch.inference_mode()
def remember(network: Network, rows: Rows, bf16: bool = False) -> None:
    """Keep the encoder's output of every row (float16): a frozen encoder runs once."""
    if rows.states is not None:
        return
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
    rows.states = found


def labelled(rows: Rows, entities: Sequence[Sequence[Entity]], names: Sequence[str],
             scheme: str) -> Rows:
    """The rows with a label for every token that counts; special tokens get ``IGNORE``."""
    number = {name: i for i, name in enumerate(names)}
    flat = [number[tag] for found, offsets in zip(entities, rows.offsets, strict=True)
            for tag in schemes.to_tags(on_tokens(found, offsets), len(offsets), scheme)]
    rows.entities, rows.labels = entities, []
    for ids, (first, end), place in zip(rows.ids, rows.counted, rows.place):
        row = [IGNORE] * len(ids)
        row[first:end] = flat[place : place + end - first]
        rows.labels.append(row)
    return rows


def on_tokens(entities: Sequence[Entity], offsets: Sequence[tuple[int, int]]) -> list[Entity]:
    """Entities counted in characters as entities counted in tokens.

    A token belongs to the first entity that has one of its characters; an entity without a
    token of its own (white space, or half of a number) is left out.
    """
    starts, ends = [a for a, _ in offsets], [b for _, b in offsets]
    found, at = [], 0
    for entity in sorted(entities):
        first = max(at, bisect_right(ends, entity.start))
        last = bisect_left(starts, entity.end)
        if first < last:
            found.append(Entity(first, last, entity.type))
            at = last
    return found
