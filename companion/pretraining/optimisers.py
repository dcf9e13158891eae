"""The optimisers of a run: AdamW for everything, or Muon for the hidden matrices beside it."""

import torch
from torch import nn

from companion.errors import CourseError
from companion.pretraining.recipe import Recipe

NARROWEST = 16  # a matrix with a shorter side is a head over a few classes, not a hidden layer


def hidden_matrices(model: nn.Module) -> set[str]:
    """Names of the weights that map one hidden layer to another.

    Tables of vectors (tokens, positions, segments) and heads over a vocabulary or over a few
    classes are none: their rows stand for single things, so there is nothing to balance
    between their directions.
    """
    tables = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    head = model.get_output_embeddings()
    if head is not None:
        tables.add(id(head.weight))
    return {name for name, p in model.named_parameters()
            if p.ndim == 2 and id(p) not in tables and min(p.shape) >= NARROWEST}


def optimisers(model: nn.Module, recipe: Recipe, fresh: set[str]) -> list[torch.optim.Optimizer]:
    """AdamW in up to four groups (old and new parameters, with and without weight decay).

    With ``matrix_rate`` in the recipe, Muon (Jordan et al., 2024) takes the hidden matrices
    from it: a step is the momentum with all its directions made equally long, so that rare
    directions are learned too. Its steps are scaled to the size of AdamW's (Liu et al., 2025,
    section 2.2), so its rate is a number of the same kind.

    Each group keeps its full rate as ``base``.

    Raises:
        CourseError: this torch has no Muon.
    """
    t = recipe.training
    matrices = hidden_matrices(model) if t.matrix_rate else set()
    groups: dict[tuple[float, float], list] = {}
    for name, parameter in model.named_parameters():
        if name not in matrices:
            decay = t.weight_decay if parameter.ndim > 1 else 0.0
            lr = (t.head_rate or t.rate) if name in fresh else t.rate
            groups.setdefault((lr, decay), []).append(parameter)
    found: list[torch.optim.Optimizer] = [torch.optim.AdamW(
        [{"params": p, "lr": lr, "base": lr, "weight_decay": d} for (lr, d), p in groups.items()],
        betas=(0.9, 0.98), eps=1e-6, fused=True,
    )]
    if matrices:
        found.append(_muon([p for n, p in model.named_parameters() if n in matrices], recipe))
    return found


def _muon(matrices: list[nn.Parameter], recipe: Recipe) -> torch.optim.Optimizer:
    t = recipe.training
    if not hasattr(torch.optim, "Muon"):
        raise CourseError(f"torch {torch.__version__} has no Muon: install torch 2.9 or later, or "
                          "remove matrix_rate from the recipe")
    group = {"params": matrices, "lr": t.matrix_rate, "base": t.matrix_rate}
    return torch.optim.Muon([group], lr=t.matrix_rate, weight_decay=t.weight_decay,
                            adjust_lr_fn="match_rms_adamw")
