"""A head start for small models from random weights: what plain counting already knows.

A small BERT or ALBERT first learns how often each token occurs and then stays at that loss,
the unigram plateau, for millions of tokens. To leave it, it must find two things at the same
time: which positions are neighbours, and which tokens go together. Both can be computed
before the training begins:

- token embeddings from counts of neighbours: the positive pointwise mutual information,
  factorised by a truncated singular value decomposition (Levy and Goldberg, 2014, section 5);
- a few attention heads that look at a fixed distance: with sine and cosine positions (Vaswani
  et al., 2017, section 3.5) a shift is a rotation, so a query matrix can ask for "one to the
  left". Values set by hand and then trained: as "mimetic" initialisation (Trockman and Kolter,
  2023), with other means. T5 has a number for every distance already: there it is set;
- in T5, a few heads between decoder and encoder that look at the same token, so that the
  decoder finds the place that a sentinel stands for.

A decoder looks to the left only, and may be given the same start, so that families of models
can be compared that all begin with it.

Every weight is trained afterwards as usual, and the model class stays the library's own.
"""

import math

import numpy as np
import torch
from torch import nn
from transformers import PretrainedConfig

from companion.errors import CourseError
from companion.pretraining.start_parts import (
    WAVES,
    ask,
    embed,
    neighbour_counts,
    token_vectors,
    turned,
    waves,
)

__all__ = ["head_start", "neighbour_counts", "token_vectors", "turned", "waves"]

OFFSETS = (-1, 1, -2, 2)
LEFT = (-1, -2, -3, -4)  # for a model that sees nothing else
LOUDER = 1.5  # values of an attention layer, so that what its heads find is heard
PREFERRED = 6.0  # what T5 adds to the score of a head's distance
ALIKE = 10.0  # the score of two equal tokens, where a head of T5 looks for the same token


@torch.no_grad()
def head_start(model: nn.Module, rows: np.ndarray, counts: np.ndarray, seed: int = 0) -> None:
    """Set embeddings, output bias and up to four heads of every layer of a fresh model, in place.

    Args:
        model: an ALBERT or BERT with a masked-LM head, a GPT-2, or a T5.
        rows: training rows of token ids, to count neighbours in.
        counts: how often every token occurs, (vocabulary,).

    Raises:
        CourseError: another kind of model, or one that is too narrow for the positions.
    """
    refuse_head_start(model.config)
    kind = model.config.model_type
    {"albert": _albert, "bert": _bert, "gpt2": _gpt2, "t5": _t5}[kind](model, rows, seed)
    if kind in ("albert", "bert"):
        counts = counts + 1.0
        counts[model.config.pad_token_id] = 1.0
        share = counts / counts.sum()
        bias = model.get_output_embeddings().bias
        bias.copy_(torch.from_numpy(np.log(share) - np.log(share).mean()))


def refuse_head_start(config: PretrainedConfig) -> None:
    """Refuse a kind of model for which no head start is known, and one without room for it.

    Raises:
        CourseError: as `head_start`.
    """
    known = ("albert", "bert", "gpt2", "t5")
    if config.model_type not in known:
        raise CourseError(f"a head start is known for {', '.join(known)}, not for "
                          f"{config.model_type}: remove head_start from the recipe")
    if config.model_type == "t5":  # it knows distances, not positions
        return
    head = config.hidden_size // config.num_attention_heads
    wide = config.embedding_size if config.model_type == "albert" else config.hidden_size
    if 2 * WAVES > head or wide <= 2 * WAVES:
        raise CourseError(f"heads of {head} and embeddings of {wide} are too "
                          f"narrow for a head start: give at least {2 * WAVES} and more")


def _some(offsets: tuple[int, ...], heads: int) -> tuple[int, ...]:
    """Half of the heads, at most: the others stay free."""
    return offsets[: max(1, heads // 2)]


def _albert(model: nn.Module, rows: np.ndarray, seed: int) -> None:
    """Positions, tokens, then the map to the hidden size, which keeps them apart and gives all
    its places about the same spread."""
    config, embeddings, place = model.config, model.albert.embeddings, 2 * WAVES
    wide, hidden = config.embedding_size, config.hidden_size
    embed(embeddings.word_embeddings.weight, embeddings.position_embeddings.weight, rows, seed,
          config.pad_token_id)
    lift = model.albert.encoder.embedding_hidden_mapping_in.weight
    draw = torch.Generator().manual_seed(seed)
    # Few directions into many places, or many into few: orthonormal either way.
    big, small = max(hidden, wide) - place, min(hidden, wide) - place
    rest = torch.linalg.qr(torch.randn(big, small, generator=draw))[0]
    lift.zero_()
    lift[:place, :place] = torch.eye(place)
    lift[place:, place:] = ((rest if hidden >= wide else rest.T)
                            * math.sqrt((hidden - place) / (wide - place)))
    for group in model.albert.encoder.albert_layer_groups:
        for layer in group.albert_layers:
            own = layer.attention
            _look(own.query, own.key, own.value, own.dense, config.num_attention_heads)


def _bert(model: nn.Module, rows: np.ndarray, seed: int) -> None:
    config, embeddings = model.config, model.bert.embeddings
    embed(embeddings.word_embeddings.weight, embeddings.position_embeddings.weight, rows, seed,
          config.pad_token_id)
    embeddings.token_type_embeddings.weight.zero_()
    for layer in model.bert.encoder.layer:
        own = layer.attention.self
        _look(own.query, own.key, own.value, layer.attention.output.dense,
              config.num_attention_heads)


def _look(query: nn.Linear, key: nn.Linear, value: nn.Linear, out: nn.Linear, heads: int) -> None:
    head, frequency = len(query.weight) // heads, waves(1)[1]
    for number, offset in enumerate(_some(OFFSETS, heads)):
        ask(query.weight, key.weight, number, head, offset, frequency)
    for layer in (value, out):
        layer.weight.mul_(LOUDER)


def _gpt2(model: nn.Module, rows: np.ndarray, seed: int) -> None:
    """Query, key and value are one matrix here, with inputs first."""
    config, decoder = model.config, model.transformer
    wide, heads = config.n_embd, config.n_head
    embed(decoder.wte.weight, decoder.wpe.weight, rows, seed, None)
    frequency = waves(1)[1]
    for block in decoder.h:
        query, key, value = block.attn.c_attn.weight.T.split(wide)  # views
        for number, offset in enumerate(_some(LEFT, heads)):
            ask(query, key, number, wide // heads, offset, frequency)
        value.mul_(LOUDER)
        block.attn.c_proj.weight.mul_(LOUDER)


def _t5(model: nn.Module, rows: np.ndarray, seed: int) -> None:
    """T5 knows distances, not positions: all places belong to the tokens."""
    words = model.shared.weight
    spread = words.std()
    vectors = token_vectors(rows, len(words), words.shape[1], seed, model.config.pad_token_id)
    words.copy_(vectors * spread * math.sqrt(words.shape[1]))
    for stack, offsets in ((model.encoder, OFFSETS), (model.decoder, LEFT)):
        own = stack.block[0].layer[0].SelfAttention  # all layers of a stack use its numbers
        for number, offset in enumerate(_some(offsets, own.n_heads)):
            bucket = own._relative_position_bucket(
                torch.tensor([[offset]]), bidirectional=not own.is_decoder,
                num_buckets=own.relative_attention_num_buckets,
                max_distance=own.relative_attention_max_distance).item()
            own.relative_attention_bias.weight[:, number] = 0
            own.relative_attention_bias.weight[bucket, number] = PREFERRED
    _t5_between(model, seed)


def _t5_between(model: nn.Module, seed: int) -> None:
    """The heads with which the decoder looks at what the encoder has read."""
    draw = torch.Generator().manual_seed(seed)
    for block in model.decoder.block:
        between = block.layer[1].EncDecAttention
        _match(between.q.weight, between.k.weight, between.n_heads, draw)
        for layer in (between.v, between.o):
            layer.weight.mul_(LOUDER)


def _match(query: torch.Tensor, key: torch.Tensor, heads: int, draw: torch.Generator) -> None:
    """Let half of the heads look at states like their own: one matrix for query and key.

    Its rows are orthogonal. A state of unit spread has a score of about ALIKE with itself, and of
    about zero with another: T5 divides scores by nothing.
    """
    inner, wide = query.shape
    head = inner // heads
    for number in range(max(1, heads // 2)):
        turn = torch.linalg.qr(torch.randn(wide, head, generator=draw))[0].T
        for matrix in (query, key):
            matrix[number * head : (number + 1) * head] = turn * math.sqrt(ALIKE / head)
