"""Three kinds of language models through one interface: what do they give for a missing token?

- masked: an encoder that fills gaps (BERT, ALBERT). A row is ``[CLS] text [SEP]``.
- causal: a decoder that writes the next token (GPT). A row is ``eos text``.
- spans: an encoder-decoder that writes what was taken out (T5). Its encoder reads
  ``eos text eos``, with a sentinel where something is missing.

Special tokens are no answer for any of them: all choose among the same ordinary tokens.
"""

import torch
from torch import nn
from transformers import PreTrainedTokenizerBase

from companion.errors import CourseError
from companion.objectives import causal, masked, spans


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
    added = tokenizer.get_added_vocab().items()  # sentinels are among them
    allowed[[i for token, i in added if token.startswith(spans.SENTINEL[:9])]] = False
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
