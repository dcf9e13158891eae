"""What a model can do after pretraining, asked in the same way of three kinds of models.

See ``companion.families`` for the kinds. Classification asks what the hidden states hold,
fill-in asks for one missing token, generation lets the model write.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import nn
from transformers import PreTrainedTokenizerBase

from companion.errors import CourseError
from companion.families import encoder_of, framed, kind_of, logits, ordinary
from companion.ngrams import KneserNey
from companion.objectives import causal
from companion.tokenization import encode

# --- classification -----------------------------------------------------------------------


@torch.inference_mode()
def features(
    model: nn.Module, tokenizer: PreTrainedTokenizerBase, texts: Iterable[str],
    length: int = 126, batch: int = 64,
) -> np.ndarray:
    """One vector a text: the mean of the last hidden states over its tokens.

    Args:
        length: tokens of each text that are read; the rest is left out (see ``first_tokens``).
        batch: texts computed at a time; changes no result.

    Returns:
        (texts, hidden size), float32, for ``companion.metrics.probe``.
    """
    rows = first_tokens(tokenizer, texts, length)[0]
    kind, reader, mode = kind_of(model), encoder_of(model), model.training
    model.eval()
    found = np.zeros((len(rows), model.config.hidden_size), np.float32)
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    for begin in range(0, len(order), batch):
        at = order[begin : begin + batch]
        whole = [framed(kind, tokenizer, torch.tensor([rows[i]]))[0] for i in at]
        ids = nn.utils.rnn.pad_sequence(whole, True, tokenizer.pad_token_id)
        kept = nn.utils.rnn.pad_sequence([torch.ones_like(row) for row in whole], True)
        states = reader(input_ids=ids, attention_mask=kept).last_hidden_state
        for i, row in zip(at, states):
            found[i] = row[1 : len(rows[i]) + 1].float().mean(0)
    model.train(mode)
    return found


def first_tokens(
    tokenizer: PreTrainedTokenizerBase, texts: Iterable[str], length: int
) -> tuple[list[list[int]], int]:
    """The first ``length`` tokens of each text, and how many texts are longer.

    Raises:
        CourseError: no text, a text without tokens, or no room for a token.
    """
    rows = list(encode(tokenizer, texts))
    if length < 1 or not rows or not all(rows):
        raise CourseError("there is nothing to read: give texts with at least one token, and a "
                          "length of at least 1")
    return [row[:length] for row in rows], sum(len(row) > length for row in rows)


# --- fill-in ------------------------------------------------------------------------------


def fill_in(
    model: nn.Module, tokenizer: PreTrainedTokenizerBase, rows: np.ndarray, at: int,
    batch: int = 64,
) -> tuple[np.ndarray, np.ndarray]:
    """How well the model fills place ``at`` of each row; the token there is hidden from it.

    Args:
        rows: token ids (rows, length), no special tokens among them.

    Returns:
        Two arrays (rows,). The rank of the right token: how many ordinary tokens come before
        it, 0 where the first guess is right; of equally probable ones half come before it.
        And its cross-entropy in nats, of probabilities that are shared among ordinary tokens.

    Raises:
        CourseError: a place outside the rows, or a hidden token that is no ordinary one.
    """
    ids = causal.table(rows, len(tokenizer))
    if not 0 < at < ids.shape[1] - 1:
        raise CourseError(f"place {at} has no text on both sides in rows of {ids.shape[1]}: give "
                          "a place inside")
    if not ordinary(tokenizer, len(tokenizer))[ids[:, at]].all():
        raise CourseError("a hidden token is a special one: leave its row out")
    answers = [_filled(logits(model, tokenizer, part[:, :at], part[:, at + 1 :]), part[:, at])
               for part in ids.split(batch)]
    ranks, nats = (torch.cat(parts).numpy() for parts in zip(*answers))
    return ranks, nats


def _filled(found: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    right = found.gather(1, target[:, None])
    ranks = (found > right).sum(1) + ((found == right).sum(1) - 1) // 2
    return ranks, nn.functional.cross_entropy(found, target, reduction="none")


# --- generation ---------------------------------------------------------------------------


def continuations(
    model: nn.Module, tokenizer: PreTrainedTokenizerBase, prompts: np.ndarray, tokens: int = 20,
    seed: int = 0,
) -> np.ndarray:
    """Tokens that the model writes behind prompts, drawn at temperature 1. (rows, tokens).

    A masked model fills one mask behind the text, then the next one. A causal model gives the
    next token. An encoder-decoder reads the prompt with a sentinel behind it and writes in
    its decoder. All three draw with the same random numbers.
    """
    left = causal.table(prompts, len(tokenizer))
    written, draw = left[:, :0], torch.Generator().manual_seed(seed)
    for _ in range(tokens):
        shares = logits(model, tokenizer, left, written=written).double().softmax(1).cumsum(1)
        place = torch.rand((len(left), 1), generator=draw, dtype=torch.float64)
        written = torch.cat([written, torch.searchsorted(shares, place * shares[:, -1:])], 1)
    return written.numpy()


def bits(ngrams: KneserNey, prompts: Sequence, written: Sequence) -> float:
    """Bits per written token under an n-gram model that reads the prompt too."""
    found = [ngrams.log_probs([ngrams.eos, *prompt, *text])[-len(text):]
             for prompt, text in zip(prompts, written, strict=True)]
    return float(-np.mean(found) / np.log(2))


def repeated(written: Sequence) -> float:
    """Share of the tokens that stand earlier in the same continuation already."""
    return float(np.mean([1 - len(set(text)) / len(text) for text in map(list, written)]))
