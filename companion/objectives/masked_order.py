"""Masked words and a question about two sentences in one batch: their order, as ALBERT is
pretrained (Lan et al., 2020, section 3.1), or whether they belong together, as BERT (Devlin et
al., 2019, section 3.1). Rows of one fixed shape without padding.

Two kinds of rows stand side by side. A *pair* holds two stretches of one text that meet at the
end of a sentence, in their order or swapped; where the question is the next sentence, as
written or with the second stretch of another pair of the batch. A *plain* row is packed text
and has no such question. Masked words are asked for in both.

Where a stretch is longer than its place, it is cut by its place in the row whatever the
label: the first loses its beginning, the second its end. A text is used from its first
sentence on, as in ALBERT's data, although an opening gives its place away; ``margin`` leaves
openings and endings out, for measuring what is left without them.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from torch import nn
from transformers import PreTrainedTokenizerBase

from companion.corpora.sentences import split_sentences
from companion.errors import CourseError
from companion.guards import check_fields, door
from companion.objectives.lengths import refuse_longer
from companion.objectives.masked import IGNORE, MaskedLM, parts
from companion.objectives.pairs import pair_head
from companion.scripts import without_spaces
from companion.tokenization import encode, pack_ids, smallest_type

BATCH = 2000  # texts whose sentences are in memory at a time
QUESTIONS = ("order", "next")


def places(length: int) -> tuple[int, int]:
    """How many tokens the first and the second stretch of a row of ``length`` have."""
    room = length - 3
    return room // 2, room - room // 2


def stretches(
    sentences: Sequence[Sequence[int]], length: int, margin: int = 0
) -> tuple[list, list]:
    """Pairs of stretches of one text, and the sentences that are in none.

    Args:
        sentences: token ids of the sentences of one text, in order.
        length: tokens in a row; a stretch fills the larger place and is at most ``length`` long.
        margin: how many sentences at either end of the text take no part in pairs.

    Returns:
        ``(pairs, rest)``: pairs of lists of ids, and the other sentences.
    """
    least, pairs, waiting = places(length)[1], [], []
    end = max(margin, len(sentences) - margin)
    rest, current, used = list(sentences[:margin]), [], []
    for sentence in sentences[margin:end]:
        if len(current) + len(sentence) > length:  # too long a stretch: begin again
            rest += used
            used, current, waiting = [], [], []
        if len(sentence) > length:
            rest.append(sentence)
            continue
        used.append(sentence)
        current = [*current, *sentence]
        if len(current) < least:
            continue
        if waiting:
            pairs.append((waiting, current))
            used, waiting = [], []
        else:
            waiting = current
        current = []
    return pairs, [*rest, *used, *sentences[end:]]


def pair_rows(pairs: Sequence[tuple[Sequence[int], Sequence[int]]],
              tokenizer: PreTrainedTokenizerBase, length: int = 128) -> np.ndarray:
    """Pairs of stretches, each at most ``length`` long, as rows (pairs, 2 * length), padded."""
    rows = np.full((len(pairs), 2 * length), tokenizer.pad_token_id)
    for row, (first, second) in zip(rows, pairs):
        row[: len(first)], row[length : length + len(second)] = first, second
    return rows


@door
def pack_pairs(
    texts: Iterable[str], tokenizer: PreTrainedTokenizerBase, length: int = 128, margin: int = 0
) -> np.ndarray:
    """Texts as rows for ``MaskedOrder``; what forms no pair is packed into plain rows.

    Texts without spaces between words are cut into sentences by the rule for Chinese, others by
    the one for English.

    Returns:
        Array of shape (rows, 2 * length), in a random order that is the same every time. The
        halves of a pair are its two stretches, padded; a plain row has only a first half.

    Raises:
        CourseError: one text instead of several, or too little text for a row.
    """
    if length < 5 or margin < 0:
        raise CourseError(f"length is {length} and margin {margin}: give a length of at least 5, "
                          "for two stretches, and a margin of at least 0")
    pairs, rest, texts = [], [], iter(texts)
    while batch := list(islice(texts, BATCH)):
        found = [split_sentences(t, "zh" if without_spaces(t) else "en") for t in batch]
        ids = encode(tokenizer, (s for sentences in found for s in sentences))
        for sentences in found:
            new, left = stretches([next(ids) for _ in sentences], length, margin)
            pairs += new
            rest.append([i for sentence in left for i in sentence])
    plain = _plain_rows(rest, tokenizer, length, bool(pairs))
    rows = np.full((len(pairs) + len(plain), 2 * length), tokenizer.pad_token_id, plain.dtype)
    rows[: len(pairs)] = pair_rows(pairs, tokenizer, length)
    rows[len(pairs) :, :length] = plain
    return rows[np.random.default_rng(0).permutation(len(rows))]


def _plain_rows(rest: list[list[int]], tokenizer: PreTrainedTokenizerBase, length: int,
                pairs: bool) -> np.ndarray:
    """What forms no pair, as rows. Beside pairs, what is too little for a row is left out."""
    if pairs and sum(len(ids) + 1 for ids in rest if ids) < length - 2:
        return np.zeros((0, length), smallest_type(tokenizer))
    return pack_ids(rest, tokenizer, length)


@dataclass
class MaskedOrder:
    """Collator: rows of ``pack_pairs`` -> inputs, masked labels and labels of order.

    Attributes:
        tokenizer: must have ``[CLS]``, ``[SEP]``, a mask and padding.
        share, hidden, random, whole_words, segment, seed: as for ``MaskedLM``.
        question: "order" swaps the stretches of half of the pairs, "next" exchanges their
            second stretches among themselves.
    """

    tokenizer: PreTrainedTokenizerBase
    share: float = 0.15
    hidden: float = 0.8
    random: float = 0.1
    whole_words: bool = False
    segment: str | Callable[[str], Iterable[str]] = ""
    seed: int = 0
    question: str = "order"

    def __post_init__(self):
        check_fields(self)
        if self.question not in QUESTIONS:
            raise CourseError(f"unknown question '{self.question}': use order or next")
        self._mask = MaskedLM(self.tokenizer, self.share, self.hidden, self.random,
                              self.whole_words, self.segment, self.seed)
        if self.tokenizer.pad_token_id is None or self.tokenizer.cls_token_id is None:
            raise CourseError("this tokenizer has no [CLS] or no padding: use one of BERT's form")

    @door
    def __call__(self, rows: np.ndarray, number: int = 0) -> dict[str, torch.Tensor]:
        """One batch.

        Args:
            rows: (batch, 2 * length), from ``pack_pairs``; never modified.
            number: the number of this batch; another number gives other masks and swaps.

        Returns:
            ``input_ids``, ``token_type_ids`` and ``labels`` (batch, length), and ``order``
            (batch,): 0 as written, 1 changed, -100 for plain rows; all int64.
        """
        rows = np.asarray(rows)
        if rows.ndim != 2 or not rows.size or rows.shape[1] % 2:
            raise CourseError(f"rows have shape {rows.shape}: take them from pack_pairs")
        length = rows.shape[1] // 2
        draw = np.random.default_rng([self.seed, number])
        ids, segments = rows[:, :length].astype(np.int64), np.zeros((len(rows), length), np.int64)
        pairs = np.flatnonzero(rows[:, length] != self.tokenizer.pad_token_id)
        order = np.full(len(rows), IGNORE)
        order[pairs] = labels = self._labels(len(pairs), draw)
        for i, first, second in zip(pairs, *self._changed(rows[pairs], labels == 1)):
            ids[i] = self._pair(first, second)
            segments[i, places(length)[0] + 2 :] = 1
        batch = self._mask(ids, number)
        return {**batch, "token_type_ids": torch.from_numpy(segments),
                "order": torch.from_numpy(order)}

    def _labels(self, count: int, draw: np.random.Generator) -> np.ndarray:
        """Half of the labels are 1; of an odd number, half on average."""
        labels = draw.permutation(np.arange(count) % 2 ^ draw.integers(2))
        # A lone pair has no other to exchange with: it stays as it was written.
        return labels * 0 if self.question == "next" and labels.sum() == 1 else labels

    def _changed(self, rows: np.ndarray, changed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """First and second stretches, swapped or exchanged in the rows that are ``changed``."""
        first, second = np.array(np.split(rows, 2, axis=1))
        if self.question == "next":
            second[changed] = np.roll(second[changed], 1, axis=0)
        else:
            first[changed], second[changed] = second[changed], first[changed]
        return first, second

    def _pair(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        pad, sep = self.tokenizer.pad_token_id, self.tokenizer.sep_token_id
        first, second = (part[part != pad] for part in (a, b))
        one, two = places(len(a))
        return np.concatenate([[self.tokenizer.cls_token_id], first[len(first) - one :], [sep],
                               second[:two], [sep]])


def states(model: nn.Module, batch: dict[str, torch.Tensor]):
    """What the encoder gives for a batch: ``last_hidden_state`` and ``pooler_output``."""
    inputs = {n: t for n, t in batch.items() if n not in ("labels", "order")}
    refuse_longer(model, batch["input_ids"].shape[1])
    return parts(model)[0](**inputs)


def predictions(model: nn.Module, batch: dict[str, torch.Tensor]) -> dict[str, tuple]:
    """Logits and targets of the positions and of the pairs that count.

    Returns:
        ``{"masked": (logits, targets), "order": (logits, targets)}``. From one pass of the
        encoder; the vocabulary is scored at the masked positions alone.
    """
    out = states(model, batch)
    where, asked = batch["labels"] != IGNORE, batch["order"] != IGNORE
    hidden = out.last_hidden_state.flatten(0, 1)[where.flatten().nonzero().squeeze(1)]
    return {"masked": (parts(model)[1](hidden), batch["labels"][where]),
            "order": (pair_head(model)(out.pooler_output)[asked], batch["order"][asked])}


def loss(model: nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Sum of the two mean cross-entropies, in nats. Scalar tensor.

    Equal to ``AlbertForPreTraining``'s loss with ``labels`` and ``sentence_order_label``, and to
    ``BertForPreTraining``'s with ``next_sentence_label``. Without a pair, the masked part alone.
    """
    if not (batch["labels"] != IGNORE).any():
        raise CourseError("no position has a label: mask the batch before asking for its loss")
    return sum(nn.functional.cross_entropy(logits.float(), targets)
               for logits, targets in predictions(model, batch).values() if len(targets))
