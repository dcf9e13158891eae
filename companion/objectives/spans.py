"""Sequence to sequence: span corruption and prefix language modelling (Raffel et al., 2020).

Span corruption (section 3.1.4, with spans as in section 3.3.4): some spans of the text are
taken out. A mark, the sentinel, stands for each. The encoder reads what is left; the decoder
writes what was taken out, each span after its sentinel, and one more sentinel at the end::

    text     a b c d e f g h
    inputs   a b X e f g Y
    targets  X c d Y h Z

Prefix LM (section 3.2.1): one stack, whose positions see all of the prefix, and of the rest
only what is to their left. The loss counts the rest alone.
"""

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from transformers import PreTrainedTokenizerBase

from companion.errors import CourseError
from companion.guards import check_fields, door
from companion.objectives.causal import additive, eos_of, stream, table
from companion.objectives.lengths import refuse_longer
from companion.objectives.masked import IGNORE

Span = tuple[int, int]  # begin, and end (the first position after it)
MOST = 10_000  # sentinels; each is a row of the embeddings
SENTINEL = "<extra_id_{}>"  # T5's names

# --- sentinels ----------------------------------------------------------------------------


@door
def with_sentinels(tokenizer: PreTrainedTokenizerBase, count: int = 100):
    """A copy of the tokenizer with ``count`` sentinels, as many as T5 has.

    The vocabulary grows: a model for it needs ``len(tokenizer)`` embeddings.
    """
    if not 1 <= count <= MOST:
        raise CourseError(f"count is {count}: give 1 to {MOST}")
    tokenizer = copy.deepcopy(tokenizer)
    tokenizer.add_tokens([SENTINEL.format(i) for i in range(count)], special_tokens=True)
    return tokenizer


def sentinels(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Ids of the sentinels in their order, first ``<extra_id_0>``."""
    vocabulary, found = tokenizer.get_vocab(), []
    while (name := SENTINEL.format(len(found))) in vocabulary:
        found.append(vocabulary[name])
    if len(found) < 2:
        raise CourseError("this tokenizer has no sentinels: use with_sentinels(tokenizer)")
    return found


# --- one text -----------------------------------------------------------------------------


def encode(
    ids: Sequence[int], spans: Sequence[Span], sentinels: Sequence[int]
) -> tuple[list[int], list[int]]:
    """Inputs and targets of one text (see the module). ``decode`` undoes it.

    Args:
        ids: the text, without sentinels.
        spans: what to take out, from left to right, none empty.
        sentinels: at least one more than there are spans.
    """
    ids = list(ids)
    if held := set(ids) & set(sentinels):
        raise CourseError(f"the text holds the sentinel {min(held)}: remove it from the text")
    if len(spans) >= len(sentinels):
        raise CourseError(f"{len(spans)} spans need {len(spans) + 1} sentinels, there are "
                          f"{len(sentinels)}: use with_sentinels(tokenizer, {len(spans) + 1})")
    inputs, targets, done = [], [], 0
    for mark, (begin, end) in zip(sentinels, spans):
        if not done <= begin < end <= len(ids):
            raise CourseError(f"span {(begin, end)} is empty, out of order or outside the text: "
                              "give spans from left to right")
        inputs += [*ids[done:begin], mark]
        targets += [mark, *ids[begin:end]]
        done = end
    return inputs + ids[done:], [*targets, sentinels[len(spans)]]


def decode(inputs: Sequence[int], targets: Sequence[int], sentinels: Sequence[int]) -> list[int]:
    """The text: every span put back where its sentinel stands. Undoes ``encode``.

    ``targets`` may be what a model wrote. It is refused if its sentinels are not those of
    the inputs in their order, with one more at the end.
    """
    marks = set(sentinels)
    used = [token for token in inputs if token in marks]
    wanted = list(sentinels[: len(used) + 1])
    written = [token for token in targets if token in marks]
    framed = len(targets) > 0 and targets[0] == wanted[0] and targets[-1] == wanted[-1]
    if used != wanted[:-1] or written != wanted or not framed:
        raise CourseError(f"the sentinels of inputs and targets do not match, {used} and "
                          f"{written}: give inputs and targets of one text")
    missing: dict[int, list[int]] = {}
    for token in targets:
        if token in marks:
            span = missing[token] = []
        else:
            span.append(token)
    return [token for place in inputs for token in missing.get(place, [place])]


def draw_spans(count: int, noise: int, spans: int, generator: torch.Generator) -> list[Span]:
    """``spans`` spans of ``noise`` tokens together in a text of ``count`` tokens.

    Two spans never touch. All ways to do it are equally probable (T5's own code always
    begins with a kept token and ends with a taken one). The first and last few positions
    are taken less often than the others, because fewer spans can cover them.
    """
    lengths = _pieces(noise, spans, generator)
    # Two more kept tokens than there are, one at each end: so either end can have none.
    gaps = _pieces(count - noise + 2, spans + 1, generator)
    found, end = [], -1
    for gap, length in zip(gaps, lengths):
        found.append((end + gap, end + gap + length))
        end += gap + length
    return found


def _pieces(total: int, parts: int, generator: torch.Generator) -> list[int]:
    """``parts`` numbers from 1 on whose sum is ``total``, all ways equally probable."""
    cuts = torch.randperm(total - 1, generator=generator)[: parts - 1].sort().values + 1
    edges = [0, *cuts.tolist(), total]
    return [b - a for a, b in zip(edges, edges[1:])]


# --- span corruption ----------------------------------------------------------------------


@door
def pack(
    texts: Iterable[str], tokenizer: PreTrainedTokenizerBase, length: int = 128
) -> np.ndarray:
    """Texts as rows of token ids of one length, without padding.

    The stream ``eos text eos text ...`` is cut into rows; what does not fill the last one is
    left out, and so are empty texts. Unlike the rows of ``causal.pack``, these share no token.

    Returns:
        Array of shape (rows, length), uint16 while the vocabulary allows it.
    """
    if length < 1:
        raise CourseError(f"length is {length}: a row needs at least one token")
    flat = stream(texts, tokenizer)[:-1]
    rows = len(flat) // length
    if not rows:
        raise CourseError(
            f"{len(flat)} tokens do not fill one row of {length}: give more text or shorter rows"
        )
    return flat[: rows * length].reshape(rows, length)


@door
def counts(tokens: int, share: float = 0.15, mean: float = 3.0) -> tuple[int, int]:
    """How many of ``tokens`` tokens are taken out, and in how many spans."""
    noise = max(1, round(share * tokens))
    return noise, max(1, round(noise / mean))


@dataclass
class SpanCorruption:
    """Collator: rows of token ids -> inputs of an encoder, labels of a decoder.

    Of n tokens, ``round(share * n)`` are taken out, in ``round(taken / mean)`` spans (at
    least one of each). So the share is exact, and the mean length of the spans differs from
    ``mean`` by no more than ``mean / (2 * spans)``, as long as n is ``2 * mean / share`` or
    more. The numbers do not depend on chance: rows of one length always give the same shapes.

    Attributes:
        tokenizer: must have sentinels, eos and padding (``with_sentinels``).
        share, mean: 15 % and 3 tokens in T5 (Raffel et al., 2020, section 3.3.4).
        seed: the spans depend on it and on the number of the batch.
    """

    tokenizer: PreTrainedTokenizerBase
    share: float = 0.15
    mean: float = 3.0
    seed: int = 0

    def __post_init__(self):
        check_fields(self)
        if not 0 < self.share < 1:
            raise CourseError(f"share is {self.share}: give a number between 0 and 1")
        if self.mean < 1 or self.share / self.mean > 1 - self.share:
            raise CourseError(f"spans of mean length {self.mean} with share {self.share} would "
                              "touch: give longer spans (1 or more) or a smaller share")
        eos_of(self.tokenizer)
        _pad_of(self.tokenizer)
        self._sentinels = sentinels(self.tokenizer)

    @door
    def __call__(self, rows, number: int = 0) -> dict[str, torch.Tensor]:
        """Corrupt one batch.

        Args:
            rows: token ids of shape (batch, length), array or tensor; padding is left out;
                never modified.
            number: the number of this batch; another number gives other spans.

        Returns:
            ``input_ids`` (batch, inputs) and ``labels`` (batch, targets), int64, for
            ``widths(length)``. Both end with eos; labels are padded with -100. Where inputs
            have padding, also ``attention_mask`` (batch, inputs), 1 for tokens.
        """
        ids = table(rows, len(self.tokenizer))
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + number)
        pad = self.tokenizer.pad_token_id
        pairs = [self._corrupt(row[row != pad].tolist(), generator) for row in ids]
        inputs, targets = self.widths(ids.shape[1])
        batch = {"input_ids": _padded([pair[0] for pair in pairs], inputs, pad),
                 "labels": _padded([pair[1] for pair in pairs], targets, IGNORE)}
        if (batch["input_ids"] == pad).any():
            batch["attention_mask"] = (batch["input_ids"] != pad).long()
        return batch

    def counts(self, tokens: int) -> tuple[int, int]:
        """How many of ``tokens`` tokens are taken out, and in how many spans."""
        return counts(tokens, self.share, self.mean)

    def widths(self, length: int) -> tuple[int, int]:
        """Width of ``input_ids`` and of ``labels`` for rows of ``length``."""
        noise, spans = self.counts(length)
        return length - noise + spans + 1, noise + spans + 2

    def restore(self, input_ids: torch.Tensor, labels: torch.Tensor) -> list[int]:
        """The tokens of one row, from its inputs (inputs,) and labels (targets,)."""
        drop = (IGNORE, self.tokenizer.pad_token_id)
        inputs, targets = ([t for t in part.tolist() if t not in drop]
                           for part in (input_ids, labels))
        eos = self.tokenizer.eos_token_id
        if inputs[-1:] != [eos] or targets[-1:] != [eos]:
            raise CourseError("inputs or labels do not end with eos: give one row of a batch")
        return decode(inputs[:-1], targets[:-1], self._sentinels)

    def _corrupt(self, ids: list[int], generator) -> tuple[list[int], list[int]]:
        if not ids:
            raise CourseError("a row has no tokens, only padding: leave it out")
        spans = draw_spans(len(ids), *self.counts(len(ids)), generator)
        inputs, targets = encode(ids, spans, self._sentinels)
        eos = self.tokenizer.eos_token_id
        return [*inputs, eos], [*targets, eos]


def _pad_of(tokenizer: PreTrainedTokenizerBase) -> int:
    if tokenizer.pad_token_id is None:
        raise CourseError("this tokenizer has no pad token: set its pad_token")
    return tokenizer.pad_token_id


def _padded(rows: list[list[int]], width: int, filler: int) -> torch.Tensor:
    return torch.tensor([[*row, *[filler] * (width - len(row))] for row in rows])


@door
def shift_right(labels: torch.Tensor, start: int, pad: int) -> torch.Tensor:
    """Teacher forcing: what the decoder reads while it is asked for ``labels``.

    At step t it reads the *right* tokens before t, not those that it would have written, so
    that all steps are computed at once (Williams and Zipser, 1989).

    Args:
        labels: (batch, targets), -100 where nothing is asked.
        start: the token that the decoder begins with. T5 takes its pad token.
    """
    begun = torch.full_like(labels[:, :1], start)
    return torch.cat([begun, labels[:, :-1].masked_fill(labels[:, :-1] == IGNORE, pad)], 1)


def loss(model: nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Mean cross-entropy in nats over the labels. Scalar tensor.

    Equal to ``model(**batch).loss`` of a Hugging Face encoder-decoder. For one stack use
    ``joined`` and ``companion.objectives.causal.loss``.
    """
    labels = batch["labels"]
    if not (labels != IGNORE).any():
        raise CourseError("no position has a label: corrupt the batch before asking for its loss")
    return nn.functional.cross_entropy(
        logits(model, batch).float().flatten(0, 1), labels.flatten(), ignore_index=IGNORE
    )


def logits(model: nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """What the decoder predicts at every label, by teacher forcing.

    Shape (batch, targets, vocabulary).
    """
    config, labels = model.config, batch["labels"]
    if not config.is_encoder_decoder:
        raise CourseError(f"{type(model).__name__} has no encoder and decoder: load one with "
                          "AutoModelForSeq2SeqLM, or use joined and causal.loss")
    if config.decoder_start_token_id is None or config.pad_token_id is None:
        raise CourseError("the model's configuration lacks decoder_start_token_id or "
                          "pad_token_id: set them, T5 has the pad token for both")
    inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
    refuse_longer(model, max(inputs["input_ids"].shape[1], labels.shape[1]))
    forced = shift_right(labels, config.decoder_start_token_id, config.pad_token_id)
    return model(**inputs, decoder_input_ids=forced, use_cache=False).logits


# --- prefix LM ----------------------------------------------------------------------------


def prefix_mask(prefix: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    """The attention mask of a prefix LM (Raffel et al., 2020, figure 3, right).

    Args:
        prefix: (batch,), the position where the prefix ends and causal attention begins.
        kept: (batch, length), bool: False for padding.

    Returns:
        (batch, 1, length, length), see ``companion.objectives.causal.additive``.
    """
    index = torch.arange(kept.shape[1], device=kept.device)
    causal = index <= index.unsqueeze(1)
    inside = index < prefix.unsqueeze(1)
    return additive((causal | inside.unsqueeze(1)) & kept.unsqueeze(1))


@dataclass
class PrefixLM:
    """Collator: rows of token ids -> prefix and rest, for one stack and ``causal.loss``.

    Each row is cut at a place drawn evenly, with at least one token on either side.

    Attributes:
        tokenizer: gives the vocabulary and the padding.
        seed: the places depend on it and on the number of the batch.
    """

    tokenizer: PreTrainedTokenizerBase
    seed: int = 0

    def __post_init__(self):
        check_fields(self)

    @door
    def __call__(self, rows, number: int = 0) -> dict[str, torch.Tensor]:
        """Cut the rows of one batch.

        Args:
            rows: token ids of shape (batch, length); padding on the right; never modified.
            number: the number of this batch; another number gives other places.

        Returns:
            ``input_ids`` and ``labels`` (batch, length), int64, labels -100 in the prefix and
            in padding; ``attention_mask`` (batch, 1, length, length).
        """
        ids = table(rows, len(self.tokenizer))
        kept = torch.ones_like(ids, dtype=torch.bool)
        if self.tokenizer.pad_token_id is not None:
            kept = ids != self.tokenizer.pad_token_id
        tokens = kept.sum(1)
        if tokens.min() < 2 or (kept[:, 1:] & ~kept[:, :-1]).any():
            raise CourseError("a row has fewer than two tokens or padding before a token: "
                              "leave it out, or pad on the right")
        prefix = self.cut(tokens, torch.Generator().manual_seed(self.seed * 1_000_003 + number))
        rest = kept & (torch.arange(ids.shape[1]) >= prefix.unsqueeze(1))
        return {"input_ids": ids, "labels": ids.masked_fill(~rest, IGNORE),
                "attention_mask": prefix_mask(prefix, kept)}

    def cut(self, tokens: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Lengths of the prefixes, (batch,), each from 1 to ``tokens - 1``."""
        return 1 + (torch.rand(len(tokens), generator=generator) * (tokens - 1)).long()


def joined(
    batch: dict[str, torch.Tensor], pad: int, both_ways: bool = True
) -> dict[str, torch.Tensor]:
    """A batch of an encoder-decoder as one of a decoder alone, for ``causal.loss``.

    Inputs and targets are put into one row, padding to its left, so that the last input
    predicts the first target. Only targets have labels.

    Args:
        batch: ``input_ids``, ``labels`` and maybe ``attention_mask``, as of SpanCorruption.
        pad: the id of padding.
        both_ways: inputs see one another (prefix LM); False: causal throughout.
    """
    inputs, targets = batch["input_ids"], batch["labels"]
    seen = batch.get("attention_mask", torch.ones_like(inputs)).bool()
    kept = torch.cat([seen, targets != IGNORE], 1)
    order = kept.int().argsort(dim=1, stable=True)
    ids = torch.cat([inputs, targets.masked_fill(targets == IGNORE, pad)], 1).gather(1, order)
    labels = torch.cat([torch.full_like(inputs, IGNORE), targets], 1).gather(1, order)
    kept = kept.gather(1, order)
    prefix = (labels == IGNORE).sum(1) * both_ways
    return {"input_ids": ids, "labels": labels, "attention_mask": prefix_mask(prefix, kept),
            "position_ids": (kept.cumsum(1) - 1).clamp(min=0)}
