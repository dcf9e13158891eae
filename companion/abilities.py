"""What a model can do after pretraining, asked in the same way of three kinds of models.

- masked: an encoder that fills gaps (BERT, ALBERT). A row is ``[CLS] text [SEP]``.
- causal: a decoder that writes the next token (GPT). A row is ``eos text``.
- spans: an encoder-decoder that writes what was taken out (T5). Its encoder reads
  ``eos text eos``, with a sentinel where something is missing.

Special tokens are no answer for any of them: all choose among the same ordinary tokens.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import nn
from transformers import PreTrainedTokenizerBase

from companion.errors import CourseError
from companion.ngrams import KneserNey
from companion.objectives import causal, masked, spans
from companion.tokenization import encode

# --- one interface ------------------------------------------------------------------------


def kind_of(model: nn.Module) -> str:
    """"masked", "causal" or "spans".

    Raises:
        CourseError: a model of another kind.
    """
    name = type(model).__name__
    if name.endswith(("ForMaskedLM", "ForPreTraining")):
        return "masked"
    if name.endswith(("LMHeadModel", "ForCausalLM")):
        return "causal"
    if getattr(model.config, "is_encoder_decoder", False):
        return "spans"
    raise CourseError(f"{name} is of another kind: give a masked, a causal or an encoder-decoder "
                      "language model")


def encoder_of(model: nn.Module) -> nn.Module:
    """The part that reads: of an encoder-decoder the encoder, else all but the head."""
    return model.get_encoder() if kind_of(model) == "spans" else model.base_model


def framed(kind: str, tokenizer: PreTrainedTokenizerBase, text: torch.Tensor) -> torch.Tensor:
    """Rows of text (rows, length) with what stands around them in training.

    One token is put in front, so place i of a text is place i + 1 of its row.
    """
    first, last = tokenizer.cls_token_id, [tokenizer.sep_token_id]
    if kind != "masked":
        first = causal.eos_of(tokenizer)
        last = [first] if kind == "spans" else []
    begin = text.new_full((len(text), 1), first)
    return torch.cat([begin, text, text.new_tensor(last).expand(len(text), -1)], 1)


def ordinary(tokenizer: PreTrainedTokenizerBase, size: int) -> torch.Tensor:
    """Which of the ``size`` entries may be an answer: (size,), bool."""
    allowed = torch.ones(size, dtype=torch.bool)
    allowed[tokenizer.all_special_ids] = False
    allowed[[i for t, i in tokenizer.get_added_vocab().items() if t.startswith("<extra_id_")]] = False
    allowed[len(tokenizer):] = False
    return allowed


@torch.inference_mode()
def logits(
    model: nn.Module, tokenizer: PreTrainedTokenizerBase, left: torch.Tensor,
    right: torch.Tensor | None = None, written: torch.Tensor | None = None,
) -> torch.Tensor:
    """What the model gives for one missing token, -inf for special tokens.

    Args:
        left: the text in front of it, (rows, tokens).
        right: the text behind it, (rows, tokens). A causal model cannot look at it.
        written: tokens between ``left`` and the missing one that the model wrote itself. Only
            an encoder-decoder makes a difference: they stand in its decoder.

    Returns:
        (rows, vocabulary). Dropout is off, whatever mode the model is in.
    """
    kind, mode = kind_of(model), model.training
    none = left[:, :0]
    right, written = none if right is None else right, none if written is None else written
    ask = {"masked": _masked, "causal": _causal, "spans": _spans}[kind]
    model.eval()
    found = ask(model, tokenizer, left, right, written).float()
    model.train(mode)
    return found.masked_fill(~ordinary(tokenizer, found.shape[-1]), -torch.inf)


def _masked(model, tokenizer, left, right, written):
    gap = left.new_full((len(left), 1), tokenizer.mask_token_id)
    ids = framed("masked", tokenizer, torch.cat([left, written, gap, right], 1))
    if not right.shape[1]:
        ids = ids[:, :-1]  # the text goes on: [SEP] would say that it ends here
    return masked.masked_logits(model, ids, ids == tokenizer.mask_token_id)


def _causal(model, tokenizer, left, right, written):
    return causal.logits(model, framed("causal", tokenizer, torch.cat([left, written], 1)))[:, -1]


def _spans(model, tokenizer, left, right, written):
    mark = left.new_full((len(left), 1), spans.sentinels(tokenizer)[0])
    start = torch.full_like(mark, model.config.decoder_start_token_id)
    return model(input_ids=framed("spans", tokenizer, torch.cat([left, mark, right], 1)),
                 decoder_input_ids=torch.cat([start, mark, written], 1),
                 use_cache=False).logits[:, -1]


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
    rows, kind, reader = first_tokens(tokenizer, texts, length)[0], kind_of(model), encoder_of(model)
    mode = model.training
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
            found[i] = row[1 : len(rows[i]) + 1].mean(0)
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
) -> np.ndarray:
    """How many ordinary tokens the model puts before the right one at place ``at`` of each row.

    Args:
        rows: token ids (rows, length) without special tokens around them.

    Returns:
        (rows,), whole numbers: 0 where the first guess is right. Of equally probable tokens
        half stand before the right one.

    Raises:
        CourseError: a place outside the rows.
    """
    ids = causal.table(rows, len(tokenizer))
    if not 0 < at < ids.shape[1] - 1:
        raise CourseError(f"place {at} has no text on both sides in rows of {ids.shape[1]}: give "
                          "a place inside")
    ranks = []
    for part in ids.split(batch):
        found = logits(model, tokenizer, part[:, :at], part[:, at + 1 :])
        right = found.gather(1, part[:, at : at + 1])
        ranks.append((found > right).sum(1) + ((found == right).sum(1) - 1) // 2)
    return torch.cat(ranks).numpy()


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
