"""Parts of a Transformer that the chapters need besides their own few lines: positions, heads.

A Transformer sees a row of tokens as a set. Position vectors say where each one stands
(Vaswani et al., 2017, section 3.5).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from companion.errors import CourseError


def sinusoidal(length: int, width: int) -> torch.Tensor:
    """Position vectors made of sines and cosines (Vaswani et al., 2017, section 3.5).

    Entries 2i and 2i+1 of position p are the sine and the cosine of p / 10000^(2i/width).

    Args:
        length: number of positions, counted from 0.
        width: size of a vector, an even number.

    Returns:
        Tensor of shape (length, width), float32, all values from -1 to 1.

    Raises:
        CourseError: no position, or a width that is odd or not positive.
    """
    if length < 1:
        raise CourseError(f"length is {length}: give at least one position")
    if width < 2 or width % 2:
        raise CourseError(f"width is {width}: give an even number, since sines and cosines "
                          "come in pairs")
    rates = 10000.0 ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
    angles = torch.arange(length, dtype=torch.float64)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1).float()


@torch.inference_mode()
def head_weights(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, texts: Sequence[str],
    batch: int = 32,
) -> dict[str, np.ndarray]:
    """Where each attention head looks, on average over all tokens of the texts.

    A mean over the tokens that are not special (no ``[CLS]``, ``[SEP]``, padding), in the
    manner of Clark et al. (2019), section 3.1. Each token gives weights that sum to one.

    Args:
        model: an encoder of BERT's kind, with eager attention (the other kinds of attention
            do not keep the weights).
        texts: cut at the longest length of the model.
        batch: texts at a time; bounds memory, changes no result.

    Returns:
        Arrays of shape (layers, heads): the mean weight on the token before (``previous``),
        on the token after (``next``), on the token ``itself``, on ``first`` (``[CLS]``) and on
        ``last`` (``[SEP]``). A neighbour may be ``[CLS]`` or ``[SEP]``: it counts as both.
        ``even`` is what equal weights on all tokens would give to one place.

    Raises:
        CourseError: no text, only empty texts, or attention that keeps no weights.
    """
    if isinstance(texts, str) or not len(texts):
        raise CourseError("texts is one text or empty: give a list of texts")
    sums: dict[str, np.ndarray | float] = dict.fromkeys(
        ("previous", "next", "itself", "first", "last", "even"), 0.0)
    count = 0.0
    for start in range(0, len(texts), batch):
        rows = tokenizer(list(texts[start : start + batch]), return_tensors="pt", padding=True,
                         truncation=True, max_length=model.config.max_position_embeddings)
        weights = _weights(model, rows)
        ids, real = rows["input_ids"], rows["attention_mask"]
        words = (~torch.isin(ids, torch.tensor(tokenizer.all_special_ids))).float()
        for name, value in _places(weights, real, words).items():
            sums[name] = sums[name] + value.double().numpy()
        count += words.sum().item()
    if not count:
        raise CourseError("the texts have no tokens but special ones: give some text")
    return {name: np.asarray(value) / count for name, value in sums.items()}


def _weights(model: PreTrainedModel, rows: dict) -> torch.Tensor:
    """Attention weights of all layers, shape (B, layers, heads, L, L)."""
    kept = model(**rows, output_attentions=True).attentions
    if not kept or kept[0] is None:
        raise CourseError("this model keeps no attention weights: call "
                          'model.set_attn_implementation("eager") first')
    return torch.stack(kept, dim=1)


def _places(weights: torch.Tensor, real: torch.Tensor, words: torch.Tensor) -> dict:
    """Sums over the tokens where ``words`` (B, L) is one, each of shape (layers, heads)."""
    def beside(shift: int) -> torch.Tensor:
        """Weight of token i on token i + shift; every word has both neighbours."""
        inner = words[:, max(0, -shift) : words.shape[1] - max(0, shift)]
        along = weights.diagonal(offset=shift, dim1=-2, dim2=-1)
        return torch.einsum("blhi,bi->lh", along, inner)

    lengths = real.sum(1)
    ends = torch.nn.functional.one_hot(lengths - 1, real.shape[1]).float()
    even = (words.sum(1) / lengths).sum().expand(weights.shape[1:3])
    return {
        "previous": beside(-1), "next": beside(1), "itself": beside(0), "even": even,
        "first": torch.einsum("blhi,bi->lh", weights[..., 0], words),
        "last": torch.einsum("blhij,bi,bj->lh", weights, words, ends),
    }


@contextmanager
def without_head(model: PreTrainedModel, layer: int, head: int) -> Iterator[None]:
    """Inside the ``with`` block, one attention head of a BERT model adds nothing.

    Its part of the input of the layer's output projection is set to zero
    (Michel et al., 2019, section 2.3). Layers and heads are counted from 0.

    Raises:
        CourseError: the model has no such layer or head.
    """
    config, body = model.config, getattr(model, model.base_model_prefix, model)
    for name, number, size in (("layer", layer, config.num_hidden_layers),
                               ("head", head, config.num_attention_heads)):
        if not 0 <= number < size:
            raise CourseError(f"there is no {name} {number}: give a number from 0 to {size - 1}")
    width = config.hidden_size // config.num_attention_heads

    def silence(module: torch.nn.Module, inputs: tuple) -> tuple:
        states = inputs[0].clone()
        states[..., head * width : (head + 1) * width] = 0
        return (states,)

    projection = body.encoder.layer[layer].attention.output.dense
    hook = projection.register_forward_pre_hook(silence)
    try:
        yield
    finally:
        hook.remove()
