"""Scores of a few words at the masks, instead of the whole vocabulary at every position."""

import torch
from torch import nn
from torch.func import functional_call

from companion.objectives.masked import head_of
from companion.prompting import last_layer


def states_at(encoder: nn.Module, ids: torch.Tensor, attention: torch.Tensor | None,
              masks: torch.Tensor) -> torch.Tensor:
    """Hidden states at the positions ``masks`` (batch, k): shape (batch, k, width)."""
    if last_layer.fits(encoder):
        return last_layer.states_at(encoder, ids, attention, masks)
    states = encoder(input_ids=ids, attention_mask=attention).last_hidden_state
    return states[torch.arange(len(ids), device=ids.device)[:, None], masks]


def decoder_of(head: nn.Module) -> str | None:
    """The name of the last layer of a masked-LM head, the one with a row for every token."""
    found = [name for name, module in head.named_modules()
             if name.split(".")[-1] == "decoder" and isinstance(module, nn.Linear)]
    return found[0] if len(found) == 1 else None


def project(head: nn.Module, states: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """The head's logits of the tokens ``rows`` only: (..., width) -> (..., len(rows)).

    The last layer runs with those rows of its weights; the layers before it run as ever.
    """
    name = decoder_of(head)
    decoder = head.get_submodule(name)
    few = {f"{name}.weight": decoder.weight[rows]}
    if decoder.bias is not None:
        few[f"{name}.bias"] = decoder.bias[rows]
    return functional_call(head, few, (states,))


def word_logits(model: nn.Module, ids: torch.Tensor, masks: torch.Tensor, rows: torch.Tensor,
                attention: torch.Tensor | None = None, normalised: bool = False) -> torch.Tensor:
    """Logits of the tokens ``rows`` at the positions ``masks``.

    Args:
        ids, attention: (batch, length); ``attention`` may be None without padding.
        masks: positions, (batch, k).
        rows: token ids, (number,).
        normalised: subtract the log of the summed exponentials of the *whole* vocabulary, so
            that the results are log-probabilities. This costs the whole last layer.

    Returns:
        (batch, k, number), float32. The same numbers as the whole model's. A head that is not
        one module (DistilBERT, ELECTRA, DeBERTa-v3, ModernBERT) is run as a whole.
    """
    head = head_of(model)
    if head is None or decoder_of(head) is None:
        logits = model(input_ids=ids, attention_mask=attention).logits
        logits = logits[torch.arange(len(ids), device=ids.device)[:, None], masks]
    else:
        states = states_at(model.base_model, ids, attention, masks)
        if not normalised:
            return project(head, states, rows).float()
        logits = head(states)
    return (logits.float().log_softmax(-1) if normalised else logits.float())[..., rows]
