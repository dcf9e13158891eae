"""The last layer at the masks only.

A layer needs all positions of its input as keys and values. But nobody reads the output of
the last layer anywhere but at the masks, so its queries, its feed-forward part and its
normalisations need not run elsewhere. In a model of six layers this saves about a tenth.
"""

import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention as attend

KNOWN = ("BertLayer", "RobertaLayer", "XLMRobertaLayer")  # their parts have the same names


def fits(encoder: nn.Module) -> bool:
    """Whether the layers of this encoder are of the form that ``states_at`` computes."""
    layers = getattr(getattr(encoder, "encoder", None), "layer", None)
    config = encoder.config
    return (
        bool(layers) and type(layers[-1]).__name__ in KNOWN
        and config._attn_implementation == "sdpa"
        and not config.is_decoder
        and not encoder.training
    )


def states_at(encoder: nn.Module, ids: torch.Tensor, attention: torch.Tensor | None,
              masks: torch.Tensor) -> torch.Tensor:
    """Hidden states at the positions ``masks`` (batch, k): shape (batch, k, width)."""
    states = encoder.embeddings(input_ids=ids)
    seen = None if attention is None else attention.bool()[:, None, None, :]
    every = None if seen is None else seen.expand(-1, 1, ids.shape[1], -1)
    *first, last = encoder.encoder.layer
    for layer in first:
        out = layer(states, attention_mask=every)
        states = out[0] if isinstance(out, tuple) else out
    return _last(last, states, seen, masks)


def _last(layer: nn.Module, states, seen, masks) -> torch.Tensor:
    own = layer.attention.self
    asking = states[torch.arange(len(states), device=states.device)[:, None], masks]

    def heads(found: torch.Tensor) -> torch.Tensor:
        return found.unflatten(-1, (own.num_attention_heads, -1)).transpose(1, 2)

    mixed = attend(heads(own.query(asking)), heads(own.key(states)), heads(own.value(states)),
                   attn_mask=seen).transpose(1, 2).flatten(2)
    attended = layer.attention.output(mixed, asking)
    return layer.output(layer.intermediate(attended), attended)
