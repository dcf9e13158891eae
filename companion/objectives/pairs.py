"""Objectives on the order of sentences: next sentence, sentence order, permutation.

Devlin et al., 2019, section 3.1, "Task #2" (next-sentence prediction); Lan et al., 2020,
section 3.1, "Inter-sentence coherence loss" (sentence-order prediction); Lewis et al., 2020,
section 2.2, "Sentence Permutation" (there a decoder writes the text in its old order; here
the model says the place of each sentence).

A document is a list of sentences, a sentence is a list of token ids (``encode``).

Labels of pairs: **0 is text as it was written, 1 is text that was changed.** Hugging Face has
the same: for ``BertForNextSentencePrediction`` 0 means "B follows A" and 1 "B is random", for
``AlbertForPreTraining`` 0 means "in the original order" and 1 "swapped".

A pair must not be told by anything but its content. Hence these rules:

- Both labels draw their halves from the same places. The second half of a random pair is the
  second half of another pair, so it is never the first sentence of its document either.
- Where the order is asked for, the first and the last sentence of a document are left out:
  an opening would give its place away.
- No sentence stands twice in a row, and documents that share a sentence lend each other
  nothing: one may be a copy of the other.
- Text is cut by its place in the row, whatever the label.
"""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import permutations
from math import factorial
from operator import attrgetter
from typing import ClassVar

import torch
from torch import nn
from transformers import PreTrainedTokenizerBase

from companion.errors import CourseError
from companion.guards import check_fields, door
from companion.objectives.lengths import refuse_longer
from companion.objectives.masked import IGNORE

Sentence = Sequence[int]
Document = Sequence[Sentence]

MOST = 6  # sentences to permute; 7 would have 5,040 orders
TRIES = 20  # choices of the random pairs, while documents that share sentences are in the way


@door
def encode(
    documents: Sequence[Sequence[str]], tokenizer: PreTrainedTokenizerBase
) -> list[list[list[int]]]:
    """Documents as lists of sentences -> the same with token ids, without special tokens.

    Sentences without a token (``""``) are left out.
    """
    texts = [sentence for document in documents for sentence in document]
    if not texts:
        raise CourseError("there are no sentences: give documents as lists of sentences")
    ids = iter(tokenizer(
        texts, add_special_tokens=False, truncation=False, padding=False, verbose=False
    )["input_ids"])
    encoded = [[next(ids) for _ in document] for document in documents]
    return [[sentence for sentence in document if sentence] for document in encoded]


def fair_lengths(lengths: Sequence[int], room: int) -> list[int]:
    """How many tokens each part keeps when all of them together may have ``room``.

    Only the longest parts are cut, and to the same length (within one token): no part loses
    anything to a longer one.
    """
    kept = [0] * len(lengths)
    for rank, part in enumerate(sorted(range(len(lengths)), key=lengths.__getitem__)):
        kept[part] = min(lengths[part], room // (len(lengths) - rank))
        room -= kept[part]
    return kept


def _listed(items) -> bool:
    return isinstance(items, Iterable) and not isinstance(items, (str, bytes))


@dataclass
class _Sentences:
    """What the three collators have in common: drawing sentences and writing rows.

    Attributes:
        tokenizer: must have ``[CLS]``, ``[SEP]`` and padding, as BERT's and ALBERT's have.
        length: tokens in a row, with special tokens and padding.
        seed: with the number of the batch it decides everything that is drawn.
    """

    tokenizer: PreTrainedTokenizerBase
    length: int = 128
    seed: int = 0

    margin: ClassVar[int] = 1  # sentences at either end of a document that are not used
    fewest: ClassVar[int] = 1  # documents in a batch

    def __post_init__(self):
        check_fields(self)
        ids = (getattr(self.tokenizer, f"{name}_token_id") for name in ("cls", "sep", "pad"))
        self._cls, self._sep, self._pad = ids
        if None in (self._cls, self._sep, self._pad):
            raise CourseError("this tokenizer has no [CLS], [SEP] or padding: use one of BERT's "
                              "or ALBERT's form")
        self._check()

    def _check(self):
        self._at_least("length", 1 + 2 * self._parts())

    def _at_least(self, name: str, least: int):
        value = getattr(self, name)
        if value < least:
            raise CourseError(f"{name} is {value}: give at least {least}")

    def _parts(self) -> int:
        """How many parts a row has; each ends with ``[SEP]``."""
        return 2

    def _needed(self) -> int:
        """How many sentences in a row are drawn from a document."""
        raise NotImplementedError

    def _starts(self, document: Document) -> list[int]:
        """Where enough sentences begin, all different."""
        keys, needed = [tuple(sentence) for sentence in document], self._needed()
        last = len(keys) - needed - self.margin
        return [i for i in range(self.margin, last + 1) if len(set(keys[i : i + needed])) == needed]

    def usable(self, document: Document) -> bool:
        """Whether the document has enough different sentences that follow each other."""
        return bool(self._starts(document))

    def _windows(self, documents: Sequence[Document], draw: random.Random) -> list[Document]:
        """Consecutive sentences, drawn from each document."""
        if len(documents) < self.fewest:
            raise CourseError(f"there are {len(documents)} documents: give at least {self.fewest}")
        drawn = []
        for number, document in enumerate(documents):
            if not _listed(document) or not all(map(_listed, document)):
                raise CourseError(f"document {number} is no list of sentences of ids: "
                                  "call encode(documents, tokenizer) first")
            if not (starts := self._starts(document)):
                raise CourseError(f"document {number} has too few different sentences: keep the "
                                  "documents that are usable(document)")
            start = draw.choice(starts)
            drawn.append(document[start : start + self._needed()])
        return drawn

    def _draw(self, number: int) -> random.Random:
        # A text is hashed whole. Python takes -1 and 1 for the same seed.
        return random.Random(f"{self.seed} {number}")

    def _row(self, parts: Sequence[Sentence]) -> tuple[list[int], list[int], list[int]]:
        """Ids and segments of one row without padding, and where its ``[SEP]`` stand.

        The first part loses its beginning, the others their end: so where two parts of a
        pair meet, nothing is missing.
        """
        kept = fair_lengths([len(part) for part in parts], self.length - 1 - len(parts))
        ids, segments, ends = [self._cls], [0], []
        for place, (part, size) in enumerate(zip(parts, kept)):
            shown = part[:size] if place else part[len(part) - size :]
            ids += [*shown, self._sep]
            segments += [place % 2] * (size + 1)
            ends.append(len(ids) - 1)
        return ids, segments, ends

    def _table(self, rows: Sequence[Sequence[Sentence]]) -> tuple[dict, list[list[int]]]:
        """Inputs, each (batch, length), and the positions of ``[SEP]`` in every row."""
        shape = (len(rows), self.length)
        ids = torch.full(shape, self._pad)
        segments, mask = torch.zeros(2, *shape, dtype=torch.int64)
        ends = []
        for i, parts in enumerate(rows):
            tokens, kinds, places = self._row(parts)
            ids[i, : len(tokens)] = torch.tensor(tokens)
            segments[i, : len(tokens)] = torch.tensor(kinds)
            mask[i, : len(tokens)] = 1
            ends.append(places)
        return {"input_ids": ids, "token_type_ids": segments, "attention_mask": mask}, ends


@dataclass
class _Pairs(_Sentences):
    """Two halves of ``sentences`` consecutive sentences each, and a label for every pair."""

    sentences: int = 1

    def _check(self):
        super()._check()
        self._at_least("sentences", 1)

    def _needed(self) -> int:
        return 2 * self.sentences

    @door
    def __call__(self, documents: Sequence, number: int = 0) -> dict[str, torch.Tensor]:
        """One pair from each document.

        Args:
            documents: lists of sentences of token ids (``encode``); never modified.
            number: the number of this batch; another number draws other pairs.

        Returns:
            ``input_ids``, ``token_type_ids`` and ``attention_mask`` of shape (documents,
            length), and ``labels`` of shape (documents,), 0 or 1 (see above); all int64.
            Half of the labels are 1; of an odd number, half on average.
        """
        draw = self._draw(number)
        half = self.sentences
        pairs = [
            tuple(sum(map(list, part), []) for part in (window[:half], window[half:]))
            for window in self._windows(documents, draw)
        ]
        pairs, labels = self._change(pairs, documents, draw)
        inputs, _ = self._table(pairs)
        return {**inputs, "labels": torch.tensor(labels)}

    def _labels(self, count: int, draw: random.Random) -> list[int]:
        ones = (count + draw.randrange(2)) // 2
        labels = [1] * ones + [0] * (count - ones)
        draw.shuffle(labels)
        return labels

    def _change(
        self, pairs: list, documents: Sequence[Document], draw: random.Random
    ) -> tuple[list, list[int]]:
        """The pairs, with those of label 1 changed, and the labels."""
        raise NotImplementedError


@dataclass
class NextSentence(_Pairs):
    """Next-sentence prediction: label 1 means that B comes from another document.

    B is taken from another pair of label 1 in the batch. So the random pairs hold the very
    halves that their documents would have given anyway, in other company, and no half by
    itself says anything about the label.
    """

    margin: ClassVar[int] = 0  # first halves never end a document, second ones never begin it
    fewest: ClassVar[int] = 4  # two random pairs, which exchange their second halves

    def _change(self, pairs, documents, draw):
        known = [{tuple(sentence) for sentence in document} for document in documents]
        for _ in range(TRIES):
            labels = self._labels(len(pairs), draw)
            changed = [i for i, label in enumerate(labels) if label]
            if lenders := self._lenders(changed, known, draw):
                second = {i: pairs[lender][1] for i, lender in zip(changed, lenders)}
                return [(a, second.get(i, b)) for i, (a, b) in enumerate(pairs)], labels
        raise CourseError("too many documents of this batch share sentences: remove duplicates "
                          "or use larger batches")

    def _lenders(
        self, borrowers: list[int], known: list[set[tuple[int, ...]]], draw: random.Random
    ) -> list[int] | None:
        """``borrowers`` in another order, so that nobody borrows from a text that shares a
        sentence with its own; none if none was found."""
        lenders = draw.sample(borrowers, len(borrowers))
        for k, borrower in enumerate(borrowers):
            if known[borrower].isdisjoint(known[lenders[k]]):
                continue
            fit = [j for j, other in enumerate(borrowers)
                   if known[borrower].isdisjoint(known[lenders[j]])
                   and known[other].isdisjoint(known[lenders[k]])]
            if not fit:
                return None
            j = draw.choice(fit)
            lenders[k], lenders[j] = lenders[j], lenders[k]
        return lenders


@dataclass
class SentenceOrder(_Pairs):
    """Sentence-order prediction: label 1 means that the two halves were swapped."""

    def _change(self, pairs, documents, draw):
        labels = self._labels(len(pairs), draw)
        return [(b, a) if label else (a, b) for (a, b), label in zip(pairs, labels)], labels


@dataclass
class SentencePermutation(_Sentences):
    """``count`` consecutive sentences in a random order; what place did each have?

    The label stands at the ``[SEP]`` behind each sentence, as in token classification with
    ``num_labels=count``. Segments alternate between 0 and 1 from sentence to sentence.
    """

    count: int = 3

    def _check(self):
        self._at_least("count", 2)
        if self.count > MOST:
            raise CourseError(f"count is {self.count}: give at most {MOST}")
        super()._check()

    def _parts(self) -> int:
        return self.count

    _needed = _parts

    @door
    def __call__(self, documents: Sequence, number: int = 0) -> dict[str, torch.Tensor]:
        """One shuffled passage from each document.

        Args:
            documents, number: as for pairs.

        Returns:
            ``input_ids``, ``token_type_ids``, ``attention_mask`` and ``labels``, all
            (documents, length), int64. Labels are the places 0 to ``count`` - 1 that the
            sentences had, and -100 elsewhere. Every order occurs equally often, within one.
        """
        draw = self._draw(number)
        windows = self._windows(documents, draw)
        orders = self._orders(len(windows), draw)
        inputs, ends = self._table([
            [window[place] for place in order] for window, order in zip(windows, orders)
        ])
        labels = torch.full_like(inputs["input_ids"], IGNORE)
        labels.scatter_(1, torch.tensor(ends), torch.tensor(orders))
        return {**inputs, "labels": labels}

    def _orders(self, count: int, draw: random.Random) -> list[tuple[int, ...]]:
        every = list(permutations(range(self.count)))
        rounds = -(-count // factorial(self.count))
        return [order for _ in range(rounds) for order in draw.sample(every, len(every))][:count]


HEADS = {  # where the two scores of a pair come from
    "BertForNextSentencePrediction": "cls",
    "BertForPreTraining": "cls.seq_relationship",
    "AlbertForPreTraining": "sop_classifier",
}


def pair_logits(model: nn.Module, **inputs: torch.Tensor) -> torch.Tensor:
    """Scores of label 0 and label 1, shape (batch, 2).

    Computed from the pooled ``[CLS]`` alone: of a model with a masked-LM head as well, that
    head is not run.
    """
    head = pair_head(model)
    refuse_longer(model, inputs["input_ids"].shape[1])
    return head(model.base_model(**inputs).pooler_output)


def pair_head(model: nn.Module) -> nn.Module:
    """What turns the pooled ``[CLS]``, (batch, hidden), into the two scores, (batch, 2)."""
    names = [kind.__name__ for kind in type(model).__mro__ if kind.__name__ in HEADS]
    if not names:
        raise CourseError(f"{type(model).__name__} has no head for pairs: use one of "
                          + ", ".join(HEADS))
    return attrgetter(HEADS[names[0]])(model)


def loss(model: nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Mean cross-entropy of the labels of pairs, in nats. Scalar tensor.

    Equal to ``model(**batch).loss`` of ``BertForNextSentencePrediction``, and to the part of
    ``AlbertForPreTraining``'s loss that ``sentence_order_label=batch["labels"]`` adds.
    """
    inputs, labels = _split(batch)
    if labels.ndim != 1 or not labels.numel():
        raise CourseError(f"labels have shape {tuple(labels.shape)}: give (batch,), not empty")
    if labels.min() < 0 or labels.max() > 1:
        raise CourseError("labels are not all 0 or 1: take them from NextSentence or SentenceOrder")
    return nn.functional.cross_entropy(pair_logits(model, **inputs).float(), labels)


def order_loss(model: nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Mean cross-entropy of the places of permuted sentences, in nats. Scalar tensor.

    Equal to ``model(**batch).loss`` of Hugging Face's classes for token classification.
    """
    inputs, labels = _split(batch)
    where = labels != IGNORE
    if labels.ndim != 2 or not where.any():
        raise CourseError("no position has a place: take the batch from SentencePermutation")
    refuse_longer(model, inputs["input_ids"].shape[1])
    logits = model(**inputs).logits
    if labels.max() >= logits.shape[-1]:
        raise CourseError(f"the model knows {logits.shape[-1]} places, the batch has more: build "
                          "it with num_labels equal to the number of sentences")
    return nn.functional.cross_entropy(logits[where].float(), labels[where])


def _split(batch: dict[str, torch.Tensor]) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    return {name: tensor for name, tensor in batch.items() if name != "labels"}, batch["labels"]
