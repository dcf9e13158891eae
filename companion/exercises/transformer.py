"""The exercises of the chapter "Inside the Transformer"."""

from __future__ import annotations

import math
from functools import cache

import torch
from torch.nn.functional import scaled_dot_product_attention

from companion.exercises import transformer_hints as hints
from companion.exercises.old import Case, Exercise


def _position_cases() -> list[Case]:
    """Each entry written out with `math`; the first is small enough to follow by hand."""
    def rows(length: int, width: int) -> torch.Tensor:
        return torch.tensor([[
            (math.cos if column % 2 else math.sin)(
                place / 10000 ** ((column - column % 2) / width))
            for column in range(width)] for place in range(length)])

    by_hand = torch.tensor([[0.0, 1.0, 0.0, 1.0],
                            [math.sin(1), math.cos(1), math.sin(0.01), math.cos(0.01)]])
    return [Case({"length": 2, "width": 4}, by_hand),
            Case({"length": 10, "width": 6}, rows(10, 6))]


def _mask_cases() -> list[Case]:
    """Rows with padding on the right, then on the left; both kinds of model."""
    right = torch.tensor([[1, 1, 1, 0], [1, 1, 1, 1]]).bool()
    left = torch.tensor([[0, 1, 1]]).bool()
    encoder = torch.tensor([[[1, 1, 1, 0]] * 4, [[1, 1, 1, 1]] * 4]).bool()
    decoder = torch.tensor([[[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 0]],
                            [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]]]).bool()
    late = torch.tensor([[[0, 0, 0], [0, 1, 0], [0, 1, 1]]]).bool()
    return [Case({"real": right, "causal": False}, encoder),
            Case({"real": right, "causal": True}, decoder),
            Case({"real": left, "causal": True}, late)]


@cache
def _cross_cases() -> list[Case]:
    """As many states on both sides first, so that a mix-up has the right shape too."""
    return [_cross_case(5, 5, 4), _cross_case(3, 6, 6)]


def _cross_case(targets: int, sources: int, width: int) -> Case:
    draw = torch.Generator().manual_seed(targets)
    decoder, encoder = (torch.randn(n, 6, generator=draw) for n in (targets, sources))
    query, key, value = (torch.randn(6, width, generator=draw) for _ in range(3))
    real = torch.arange(sources) < sources - 2
    expected = scaled_dot_product_attention(
        (decoder @ query)[None], (encoder @ key)[None], (encoder @ value)[None],
        attn_mask=real[None, None, :].expand(1, targets, sources))[0]
    given = {"decoder": decoder, "encoder": encoder, "real": real,
             "w_query": query, "w_key": key, "w_value": value}
    return Case(given, expected)


def _head_cases() -> list[Case]:
    """Worked out by hand: two heads and a row with one padding token, then a full row."""
    padded = torch.tensor([
        [[.5, .25, .25, 0], [.5, .25, .25, 0], [.125, .75, .125, 0], [.25, .25, .5, 0]],
        [[0, 1, 0, 0], [.25, .25, .5, 0], [.5, 0, .5, 0], [0, .25, .75, 0]]])
    full = torch.tensor([[[.75, .125, .125], [1, 0, 0], [.25, .5, .25]]])
    return [Case({"weights": padded, "real": torch.tensor([1, 1, 1, 0]).bool()},
                 torch.tensor([.625, .125])),
            Case({"weights": full, "real": torch.ones(3).bool()}, torch.tensor([.75]))]


def _parameter_cases() -> list[Case]:
    """Counted in `transformers.BertLayer` when the tests run; here written out."""
    return [Case({"width": width, "inner": inner},
                 float(4 * (width * width + width) + 2 * width * inner + inner + width
                       + 4 * width))
            for width, inner in ((8, 20), (384, 1536), (768, 3072))]


def _share_cases() -> list[Case]:
    return [Case({"length": length, "width": width, "inner": inner},
                 2 * length * width / (4 * width * width + 2 * width * inner
                                       + 2 * length * width))
            for length, width, inner in ((128, 384, 1536), (512, 64, 160), (2304, 384, 1536))]


EXERCISES = (
    Exercise(
        id="transformer-positions", function="position_vectors", results=("the vectors",),
        success="these are the sinusoidal position vectors.",
        cases=_position_cases, hint=hints.positions),
    Exercise(
        id="transformer-mask", function="may_look", results=("the mask",),
        success="padding is never looked at, and a causal model never looks ahead.",
        cases=_mask_cases, hint=hints.mask),
    Exercise(
        id="transformer-cross", function="cross_attention", results=("the result",),
        success="your result is that of scaled_dot_product_attention in PyTorch.",
        cases=_cross_cases, hint=hints.cross, error_hint=hints.cross_error),
    Exercise(
        id="transformer-heads", function="previous_weight", results=("the means",),
        success="this is how much each head looks at the token before.",
        cases=_head_cases, hint=hints.heads),
    Exercise(
        id="transformer-parameters", function="layer_parameters", results=("the number",),
        success="a layer of BERT has this many parameters.",
        cases=_parameter_cases, hint=hints.parameters),
    Exercise(
        id="transformer-cost", function="pair_share", results=("the share",),
        success="this is the share of the work that grows with the square of the length.",
        cases=_share_cases, hint=hints.cost),
)
