"""What a model scores. Thin calls; the definitions are in the docstrings."""

from collections.abc import Sequence

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from companion.objectives.masked import MaskedLM
from companion.pretraining.loop import evaluate
from companion.tokenization import pack


def masked_lm(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    share: float = 0.15,
    seed: int = 0,
    length: int = 128,
    rows: int | None = None,
) -> dict[str, float]:
    """Masked-LM loss and top-1 accuracy on texts, each position masked at most once.

    Args:
        texts: packed in their order into rows of ``length`` tokens.
        rows: use only the first so many rows; None for all.

    Returns:
        ``loss`` in nats (mean over masked positions), ``accuracy`` (share of masked
        positions whose most probable token is the original) and ``positions`` (their number).
    """
    packed = pack(texts, tokenizer, length)[:rows]
    return evaluate(model, MaskedLM(tokenizer, share=share, seed=seed), packed)
