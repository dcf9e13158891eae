"""How many tokens a model reads at most."""

from torch import nn
from transformers import PreTrainedTokenizerBase

from companion.errors import CourseError


def positions(model: nn.Module) -> int | None:
    """The number of tokens that the model has positions for; None where it sets no limit."""
    room = getattr(model.config, "max_position_embeddings", None)
    if room is None:
        return None
    for name, module in model.named_modules():
        # RoBERTa numbers its positions from the padding id on, so it has a few fewer.
        padding = getattr(module, "padding_idx", None)
        if name.endswith("position_embeddings") and padding is not None:
            room -= padding + 1
    return room


def longest(model: nn.Module, tokenizer: PreTrainedTokenizerBase) -> int:
    """The most tokens that the model reads, special tokens included."""
    room = positions(model)
    return tokenizer.model_max_length if room is None else min(room, tokenizer.model_max_length)


def refuse_longer(model: nn.Module, length: int) -> None:
    """Refuse rows of more tokens than the model has positions for.

    Raises:
        CourseError: ``length`` is larger than ``positions(model)``.
    """
    room = positions(model)
    if room is not None and length > room:
        raise CourseError(f"length is {length}, but the model has {room} positions: give at most "
                          f"{room}")
