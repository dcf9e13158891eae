"""Filling gaps: the most probable tokens at each mask of a text."""

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from companion.errors import CourseError
from companion.guards import checked_scores, door
from companion.objectives import lengths
from companion.objectives.masked import masked_logits
from companion.tokenization import unknown_share, warn_of_unknown


@door
@torch.inference_mode()
def fill(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, text: str, top: int = 5
) -> list[list[tuple[str, float]]]:
    """For each mask of the text, the ``top`` tokens with their probabilities, best first.

    Args:
        text: has at least one ``[MASK]``, or the tokenizer's own mask token.
        top: from 1 to the number of entries of the vocabulary.

    Raises:
        CourseError: no mask token, no text, no mask in it, a text longer than the model, a
            ``top`` out of range, a model whose scores are no numbers.
    """
    mask = tokenizer.mask_token
    if mask is None:
        raise CourseError("this model has no mask token: use a masked language model")
    text = text.replace("[MASK]", mask)
    if mask not in text:
        raise CourseError("the text has no gap: write [MASK] where a word is missing")
    if not 1 <= top <= model.config.vocab_size:
        raise CourseError(f"top is {top}: give 1 to {model.config.vocab_size}, the size of the "
                          "vocabulary")
    ids = tokenizer(text, return_tensors="pt", verbose=False)["input_ids"]
    warn_of_unknown(unknown_share(ids.tolist(), tokenizer))
    ids = ids.to(model.device)
    longest = lengths.longest(model, tokenizer)
    if ids.shape[1] > longest:
        raise CourseError(
            f"the text has {ids.shape[1]} tokens, the model reads {longest}: shorten the text"
        )
    logits = checked_scores(masked_logits(model, ids, ids == tokenizer.mask_token_id))
    best = logits.softmax(-1).topk(top)
    return [
        [(tokenizer.decode([i]).strip(), p) for i, p in zip(row_ids, row)]
        for row_ids, row in zip(best.indices.tolist(), best.values.tolist())
    ]
