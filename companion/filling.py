"""Filling gaps: the most probable tokens at each mask of a text."""

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from companion.errors import CourseError
from companion.objectives.masked import masked_logits


@torch.inference_mode()
def fill(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, text: str, top: int = 5
) -> list[list[tuple[str, float]]]:
    """For each mask of the text, the ``top`` tokens with their probabilities, best first.

    Args:
        text: has at least one ``[MASK]``, or the tokenizer's own mask token.

    Raises:
        CourseError: no mask token, no mask in the text, a text longer than the model.
    """
    mask = tokenizer.mask_token
    if mask is None:
        raise CourseError("this model has no mask token: use a masked language model")
    text = text.replace("[MASK]", mask)
    if mask not in text:
        raise CourseError("the text has no gap: write [MASK] where a word is missing")
    ids = tokenizer(text, return_tensors="pt", verbose=False)["input_ids"]
    longest = model.config.max_position_embeddings
    if ids.shape[1] > longest:
        raise CourseError(
            f"the text has {ids.shape[1]} tokens, the model reads {longest}: shorten the text"
        )
    best = masked_logits(model, ids, ids == tokenizer.mask_token_id).softmax(-1).topk(top)
    return [
        [(tokenizer.decode([i]).strip(), p) for i, p in zip(row_ids, row)]
        for row_ids, row in zip(best.indices.tolist(), best.values.tolist())
    ]
