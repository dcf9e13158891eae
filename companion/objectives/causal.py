"""Causal language modelling (Radford et al., 2018, section 3.1, equation 1).

Every token is predicted from the tokens to its left. The label of a position is the token
itself; the loss compares it with what the position *before* it predicts.

A document is an ``eos`` and then its tokens. ``eos`` opens it, and the ``eos`` of the next
document is what its last token has to predict. So every token is predicted from its own
document alone, its first one and its end too.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from torch import nn
from transformers import PreTrainedTokenizerBase

from companion.errors import CourseError
from companion.guards import check_fields, door, refuse_one_text
from companion.objectives.lengths import refuse_longer
from companion.objectives.masked import IGNORE
from companion.tokenization import BATCH, encode, smallest_type

# --- rows ---------------------------------------------------------------------------------


def eos_of(tokenizer: PreTrainedTokenizerBase) -> int:
    """The id that opens and ends documents; refused where it cannot be told from padding."""
    eos = tokenizer.eos_token_id
    if eos is None:
        raise CourseError("this tokenizer has no eos token: set its eos_token, for example [SEP]")
    if eos == tokenizer.pad_token_id:
        raise CourseError("eos and padding are the same token, so the model would not learn to "
                          "stop: give the tokenizer a pad token of its own")
    return eos


def table(rows, vocabulary: int) -> torch.Tensor:
    """``rows`` as a checked tensor (batch, length), int64; never the caller's own memory."""
    try:
        ids = torch.as_tensor(np.asarray(rows).astype(np.int64))
    except (TypeError, ValueError):
        raise CourseError("rows are not one table of ids: pack or pad to one length") from None
    if ids.ndim != 2 or not ids.numel():
        raise CourseError(f"rows have shape {tuple(ids.shape)}: give (batch, length), not empty")
    if ids.min() < 0 or ids.max() >= vocabulary:
        raise CourseError(f"rows hold ids outside 0..{vocabulary - 1}: pack with this tokenizer")
    return ids


def documents(texts: Iterable[str], tokenizer: PreTrainedTokenizerBase) -> list[list[int]]:
    """Every text as ``[eos, tokens]``, without an ``eos`` at the end."""
    eos = eos_of(tokenizer)
    found = [[eos, *ids] for ids in encode(tokenizer, texts)]
    for number, ids in enumerate(found):
        if eos in ids[1:]:
            raise CourseError(f"text {number} holds {tokenizer.eos_token}, which ends a document: "
                              "remove it from the text")
    return found


def stream(texts: Iterable[str], tokenizer: PreTrainedTokenizerBase) -> np.ndarray:
    """All texts as one sequence ``eos text eos text ... eos``, shape (tokens,).

    Empty texts are left out. uint16 while the vocabulary allows it.
    """
    refuse_one_text(texts)
    kind, texts, parts = smallest_type(tokenizer), iter(texts), []
    while some := list(islice(texts, BATCH)):  # lists of ids take far more room than arrays
        parts += [np.array(ids, kind) for ids in documents(some, tokenizer) if len(ids) > 1]
    return np.concatenate([*parts, np.array([tokenizer.eos_token_id], kind)])


@door
def pack(
    texts: Iterable[str], tokenizer: PreTrainedTokenizerBase, length: int = 128
) -> np.ndarray:
    """Texts as rows of token ids of one length, without padding.

    The stream ``eos text eos text ... eos`` is cut into rows (Brown et al., 2020, appendix B).
    The last token of a row is also the first one of the next: there it is needed again,
    as what the first prediction starts from. So every token is predicted exactly once. What
    does not fill the last row is left out, and so are empty texts.

    Returns:
        Array of shape (rows, length), uint16 while the vocabulary allows it.
    """
    if length < 2:
        raise CourseError(f"length is {length}: a row needs a token and one to predict")
    flat = stream(texts, tokenizer)
    rows = (len(flat) - 1) // (length - 1)
    if not rows:
        raise CourseError(
            f"{len(flat)} tokens do not fill one row of {length}: give more text or shorter rows"
        )
    begins = np.arange(rows) * (length - 1)
    return flat[begins[:, None] + np.arange(length)]


# --- collator -----------------------------------------------------------------------------


def additive(allowed: torch.Tensor) -> torch.Tensor:
    """An attention mask of the form that models add to their scores.

    Args:
        allowed: (batch, length, length), bool: whether position i may look at position j.

    Returns:
        (batch, 1, length, length), float32: 0 where allowed and a very low number elsewhere.
        A position may always look at itself: with nothing to look at, attention is undefined.
    """
    allowed = allowed | torch.eye(allowed.shape[-1], dtype=torch.bool, device=allowed.device)
    mask = torch.zeros(allowed.shape, device=allowed.device)
    return mask.masked_fill(~allowed, torch.finfo(mask.dtype).min).unsqueeze(1)


@dataclass
class CausalLM:
    """Collator: rows of token ids -> inputs and ``labels`` for a causal model.

    Nothing is drawn by chance; ``seed`` and the batch number are there because all
    collators are called alike.

    Attributes:
        tokenizer: must have an eos token, other than its pad token.
        isolate: documents of a row do not look at one another, and the positions of each
            count from 0. False: a row is one text, as in GPT-3 (Brown et al., 2020, appendix
            B). The model then has to learn by itself what ``eos`` means, and runs faster.
    """

    tokenizer: PreTrainedTokenizerBase
    isolate: bool = True
    seed: int = 0

    def __post_init__(self):
        check_fields(self)
        eos_of(self.tokenizer)

    @door
    def __call__(self, rows, number: int = 0) -> dict[str, torch.Tensor]:
        """Inputs and labels of one batch.

        Args:
            rows: token ids of shape (batch, length), array or tensor; padding may be left or
                right; never modified.
            number: without effect, see above.

        Returns:
            ``input_ids`` and ``labels``, both (batch, length), int64: -100 for padding and
            where nothing stands before a token to predict it. Where documents are isolated
            or there is padding, also ``position_ids`` (batch, length) and ``attention_mask``
            (batch, 1, length, length), see ``additive``.
        """
        ids = table(rows, len(self.tokenizer))
        pads = torch.zeros_like(ids, dtype=torch.bool)
        if self.tokenizer.pad_token_id is not None:
            pads = ids == self.tokenizer.pad_token_id
        batch = {"input_ids": ids, "labels": self.labels(ids, pads)}
        if self.isolate or pads.any():
            # Position ids alone would not do: transformers reads the borders off them only
            # while there is no cache.
            begins = self.begins(ids, pads)
            batch["attention_mask"] = additive(self.allowed(begins, pads))
            batch["position_ids"] = self.positions(begins)
        return batch

    def labels(self, ids: torch.Tensor, pads: torch.Tensor) -> torch.Tensor:
        labels = ids.masked_fill(pads, IGNORE)
        labels[:, 1:][pads[:, :-1]] = IGNORE
        labels[:, 0] = IGNORE
        return labels

    def begins(self, ids: torch.Tensor, pads: torch.Tensor) -> torch.Tensor:
        """Where something new begins: the row, a document, padding, text after padding."""
        begins = torch.ones_like(pads)
        begins[:, 1:] = pads[:, 1:] != pads[:, :-1]
        return begins | (ids == self.tokenizer.eos_token_id) if self.isolate else begins

    def allowed(self, begins: torch.Tensor, pads: torch.Tensor) -> torch.Tensor:
        """Block-diagonal and triangular: same document, and not to the right."""
        block = begins.cumsum(1)
        same = block.unsqueeze(2) == block.unsqueeze(1)
        return (same & ~pads.unsqueeze(1)).tril()

    def positions(self, begins: torch.Tensor) -> torch.Tensor:
        index = torch.arange(begins.shape[1]).expand(begins.shape)
        return index - index.masked_fill(~begins, 0).cummax(1).values


# --- loss ---------------------------------------------------------------------------------


def logits(model: nn.Module, input_ids: torch.Tensor, **inputs: torch.Tensor) -> torch.Tensor:
    """What each position predicts for the *next* one, (batch, length, vocabulary)."""
    names = [kind.__name__ for kind in type(model).__mro__]
    if not any(name.endswith(("LMHeadModel", "ForCausalLM")) for name in names):
        raise CourseError(
            f"{type(model).__name__} is no causal model: load it with AutoModelForCausalLM"
        )
    refuse_longer(model, input_ids.shape[1])
    return model(input_ids=input_ids, use_cache=False, **inputs).logits


def loss(model: nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Mean cross-entropy in nats over the positions that have a label. Scalar tensor.

    Equal to ``model(**batch).loss`` of the Hugging Face class: labels are moved one position
    to the left, so that position t is asked for token t + 1.
    """
    targets = nn.functional.pad(batch["labels"][:, 1:], (0, 1), value=IGNORE)
    if not (targets != IGNORE).any():
        raise CourseError("no position has a label: give rows of two tokens or more")
    inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
    predicted = logits(model, **inputs).float()
    return nn.functional.cross_entropy(
        predicted.flatten(0, 1), targets.flatten(), ignore_index=IGNORE
    )


# --- perplexity ---------------------------------------------------------------------------


@door
def windows(count: int, size: int, stride: int) -> list[tuple[int, int]]:
    """How a window slides over ``count`` tokens so that each is scored once.

    Returns:
        Pairs ``(begin, first)``: the window shows ``size`` tokens (all, where there are
        fewer) from ``begin`` on and scores those from ``first`` on. All windows but the
        first have at least ``size - stride`` tokens before ``first``.
    """
    if not 1 <= stride < size:
        raise CourseError(f"stride is {stride}, window {size}: give a stride from 1 to window - 1")
    found, end = [(0, 1)], size
    while end < count:
        # The last window is moved back instead of cut: equal shapes, and more to look at.
        begin = min(end + stride, count) - size
        found.append((begin, end))
        end = begin + size
    return found


@door
@torch.no_grad()
def token_losses(
    model: nn.Module, sequences: Sequence[Sequence[int]], size: int, stride: int, batch: int = 32
) -> list[torch.Tensor]:
    """Cross-entropy in nats of every token but the first, by a sliding window.

    Args:
        sequences: token ids, at least two each.
        size, stride: see ``windows``.
        batch: windows computed at a time; changes no result.

    Returns:
        For every sequence a tensor (tokens - 1,), float32.
    """
    if any(len(ids) < 2 for ids in sequences):
        raise CourseError("a sequence has fewer than two tokens: begin it with eos")
    losses = [torch.full((len(ids) - 1,), math.nan) for ids in sequences]
    jobs = [(ids, out, *window) for ids, out in zip(sequences, losses)
            for window in windows(len(ids), size, stride)]
    jobs.sort(key=lambda job: min(len(job[0]), size))
    training = model.training
    model.eval()
    for begin in range(0, len(jobs), batch):
        _score(model, jobs[begin : begin + batch], size)
    model.train(training)
    return losses


def _score(model: nn.Module, jobs, size: int) -> None:
    """Writes the losses of some windows to where they belong."""
    rows = [torch.tensor(ids[begin : begin + size]) for ids, _, begin, _ in jobs]
    # Padding on the right needs no attention mask: no position looks to its right.
    ids = nn.utils.rnn.pad_sequence(rows, batch_first=True).to(model.device)
    predicted = logits(model, ids)[:, :-1].float()
    each = nn.functional.cross_entropy(predicted.mT, ids[:, 1:], reduction="none")
    for (_, out, begin, first), row, values in zip(jobs, rows, each):
        out[first - 1 : begin + len(row) - 1] = values[first - begin - 1 : len(row) - 1]


@door
def perplexity(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    texts: Iterable[str],
    window: int | None = None,
    stride: int | None = None,
) -> dict[str, float]:
    """Perplexity of texts, each on its own and whole, its end included.

    Per token it depends on the vocabulary: longer tokens are harder. Per character it can be
    compared between vocabularies, as long as no tokenizer loses something: one that writes
    ``[UNK]`` or drops capitals has less to predict.

    Args:
        window: tokens that the model sees; None for as many as it has positions.
        stride: tokens by which the window moves; None for half a window.

    Returns:
        ``loss`` in nats per token, ``per_token`` and ``per_character`` (perplexities),
        ``bits_per_character``, and the numbers of ``tokens`` scored, of ``characters`` and of
        tokens that are ``unknown``.

    Raises:
        CourseError: one text instead of several, only empty ones, a text that holds the eos; a
            window longer than the model, or a stride that is not below it.
    """
    characters = sum(map(len, texts))
    if not characters:
        raise CourseError("the texts are empty: give some text")
    closed = [[*ids, ids[0]] for ids in documents(texts, tokenizer)]
    window = _window(model, window)
    stride = window // 2 if stride is None else stride
    losses = torch.cat(token_losses(model, closed, window, stride))
    total = losses.double().sum().item()
    return {
        "loss": total / len(losses),
        "per_token": math.exp(total / len(losses)),
        "per_character": math.exp(total / characters),
        "bits_per_character": total / characters / math.log(2),
        "tokens": len(losses),
        "characters": characters,
        # Without the eos at either end, which some tokenizers use for what is unknown, too.
        "unknown": sum(ids[1:-1].count(tokenizer.unk_token_id) for ids in closed),
    }


def _window(model: nn.Module, window: int | None) -> int:
    room = getattr(model.config, "max_position_embeddings", None)
    if window is None and room is None:
        raise CourseError("the model does not say how many positions it has: give a window")
    if room is not None and (window or 0) > room:
        raise CourseError(f"window is {window}, but the model has {room} positions: make it less")
    return room if window is None else window


# --- generation ---------------------------------------------------------------------------


@door
def sample(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    prompt: str = "",
    tokens: int = 40,
    temperature: float = 0.0,
    top_k: int = 0,
    top_p: float = 1.0,
    seed: int = 0,
) -> str:
    """A continuation of ``prompt``, by Hugging Face's ``generate``.

    It adds three things that are easily forgotten: the prompt is opened with ``eos`` as in
    training, sampling has no top-k of 50 unless you ask for it, and the seed is local.

    Args:
        tokens: the largest number of new tokens; ``eos`` ends the text earlier.
        temperature: logits are divided by it; 0 is greedy, the most probable token always.
        top_k: draw from the k most probable tokens only; 0 for all.
        top_p: draw from the fewest tokens whose probabilities reach this sum (nucleus
            sampling; Holtzman et al., 2020, section 3.1).

    Returns:
        The prompt and its continuation as one text.
    """
    if temperature < 0 or top_k < 0 or not 0 < top_p <= 1:
        raise CourseError(f"temperature is {temperature}, top_k {top_k}, top_p {top_p}: give "
                          "temperature and top_k from 0 and top_p above 0 and up to 1")
    ids = torch.tensor(documents([prompt], tokenizer)).to(model.device)
    room = _window(model, None)
    if tokens < 1 or ids.shape[1] + tokens > room:
        raise CourseError(f"{ids.shape[1]} tokens and {tokens} new ones: give at least one new "
                          f"token, and no more than {room} in all")
    how = {"do_sample": True, "temperature": float(temperature), "top_k": top_k, "top_p": top_p}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        out = model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=tokens,
            eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.eos_token_id,
            **(how if temperature else {"do_sample": False}),
        )
    return tokenizer.decode(out[0], skip_special_tokens=True)
