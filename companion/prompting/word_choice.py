"""Choosing label words from labelled texts: which words at the gap tell the labels apart?

The idea is that of Gao et al. (2021, section 5.1), for two labels: rank the vocabulary by what
the model itself says at the mask, then look for the words that work together.
"""

import math
import re
from collections.abc import Sequence

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from companion.errors import CourseError
from companion.guards import checked_scores, door
from companion.objectives.lengths import longest
from companion.prompting.batching import batches, pad
from companion.prompting.candidates import CHINESE
from companion.prompting.classifier import in_bf16
from companion.prompting.projection import word_logits
from companion.prompting.template import Input, Template
from companion.prompting.verbalizer import vocabulary_words
from companion.tokenization import warn_of_unknown

Labelled = tuple[torch.Tensor, torch.Tensor]  # scores (texts, words) and labels 0 or 1 (texts,)


@door
def plain_words(tokenizer: PreTrainedTokenizerBase, before: str = " ",
                chinese: bool = False) -> dict[str, int]:
    """Words of one token that have three letters or more and nothing else, with their ids.

    Args:
        before: what is before the gap, ``template.before`` (see ``word_tokens``).
        chinese: words of Chinese characters instead, of one or more.
    """
    fits = CHINESE.fullmatch if chinese else re.compile("[A-Za-z]{3,}").fullmatch
    return {word: i for word, i in vocabulary_words(tokenizer, before).items() if fits(word)}


@door
@torch.inference_mode()
def log_probabilities(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase,
                      template: Template, texts: Sequence[Input], rows: Sequence[int],
                      precision: str = "auto", tokens: int = 4096,
                      content_free: bool = False) -> torch.Tensor:
    """Log-probabilities of the tokens ``rows`` at the mask of each text: (texts, len(rows)).

    Args:
        template: with one mask. A text that is too long is cut as the template says.
        precision: ``"fp32"``, ``"bf16"`` or ``"auto"``, as in ``PromptClassifier``.
        content_free: see ``Template.encode``.

    Raises:
        CourseError: a template with several masks, an unknown precision.
    """
    if template.places != 1:
        raise CourseError(f"the template has {template.places} masks: words are chosen for one")
    entries = model.get_input_embeddings().num_embeddings
    if not len(rows) or not all(0 <= row < entries for row in rows):
        raise CourseError(f"rows are no token ids: give at least one, each from 0 to {entries - 1}")
    encoded = template.encode(tokenizer, texts, longest(model, tokenizer),
                              content_free=content_free)
    warn_of_unknown(encoded.unknown)
    half = in_bf16(precision)
    device = model.device
    result, wanted = torch.empty(len(encoded.ids), len(rows)), torch.tensor(rows, device=device)
    with torch.autocast(device.type, torch.bfloat16, enabled=half):
        for group in batches([len(ids) for ids in encoded.ids], tokens):
            ids, attention = pad([encoded.ids[i] for i in group], tokenizer.pad_token_id or 0)
            masks = torch.tensor([encoded.masks[i] for i in group], device=device)
            attention = None if attention is None else attention.to(device)
            result[group] = word_logits(model, ids.to(device), masks, wanted, attention,
                                        normalised=True)[:, 0].cpu()
    return checked_scores(result)


@door
def fillers(scores: Sequence[torch.Tensor], number: int) -> torch.Tensor:
    """Columns of the words that fit the gap best on average. No label is read.

    Args:
        scores: log-probabilities (texts, words), one tensor for each collection of texts;
            every collection weighs the same.

    Raises:
        CourseError: no texts, scores that are NaN or infinite, more words than there are.
    """
    refuse_odd(scores)
    mean = torch.stack([part.mean(0) for part in scores]).mean(0)
    if not 0 < number <= len(mean):
        raise CourseError(f"{number} words were asked for, but there are {len(mean)}: ask for "
                          "1 up to that many")
    return mean.topk(number).indices


@door
def separation(scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """How far apart the scores of the two labels lie, for each column: (columns,).

    The difference of the two means, divided by the common standard deviation (Cohen's d).
    Above 0: higher where the label is 1. A column that is the same for all texts tells nothing: 0.

    Raises:
        CourseError: labels that are not 0 and 1, fewer than two texts of one of them, scores that
            are NaN or infinite.
    """
    refuse_odd([scores])
    if labels.shape != (len(scores),) or not set(labels.tolist()) <= {0, 1}:
        raise CourseError(f"there are {len(scores)} texts: give as many labels, each 0 or 1")
    one, zero = scores[labels == 1], scores[labels == 0]
    if min(len(one), len(zero)) < 2:
        raise CourseError("one label has fewer than two texts: give texts of both labels")
    # What is left of a constant by rounding is no spread, and its quotient would be chance.
    least = scores.abs().amax(0).clamp(min=1e-30) * 1e-6
    apart, spread = one.mean(0) - zero.mean(0), ((one.var(0) + zero.var(0)) / 2).sqrt()
    return torch.where(apart.abs() > least, apart / spread.maximum(least), 0.0)


def refuse_odd(scores: Sequence[torch.Tensor]) -> None:
    """Refuse scores that no mean can be taken of.

    Raises:
        CourseError: no collection, one without texts or words, NaN or infinity.
    """
    if not len(scores) or not all(part.ndim == 2 and part.numel() for part in scores):
        raise CourseError("there are no scores: give a table (texts, words) for each collection")
    if not all(part.isfinite().all() for part in scores):
        raise CourseError("the scores hold NaN or infinity: compute them in fp32, with a model "
                          "whose weights are right")


@door
def choose(parts: Sequence[Labelled], size: int = 24,
           pool: int = 50) -> tuple[list[int], list[int]]:
    """Columns of the words for label 0 and for label 1, the first chosen first.

    Candidates are the ``pool`` columns of either side that separate the labels best alone.
    Then each side in turn gets the candidate with which the *means* of the two lists separate
    the labels best. A word that repeats what others say adds little, so it comes late.

    Args:
        parts: log-probabilities and labels, one pair for each collection of texts; every
            collection weighs the same.
        size: words a side.

    Raises:
        CourseError: more words than candidates, more candidates than words that differ from text
            to text, what ``separation`` refuses.
    """
    if len({part[0].shape[1:] for part in parts}) != 1:
        raise CourseError("the collections have no words in common: give one table (texts, words) "
                          "or more, with the same words")
    alone = sum(separation(*part) for part in parts)
    columns = int((alone != 0).sum())  # one that is the same for all texts is never chosen
    if not 0 < size <= pool <= columns // 2:
        raise CourseError(f"{size} words of {pool} candidates a side, with {columns} words that "
                          "tell texts apart: size <= pool <= half of these words")
    ends = (torch.where(alone == 0, -math.inf, side) for side in (-alone, alone))
    pools = [end.topk(pool).indices.tolist() for end in ends]
    chosen: tuple[list[int], list[int]] = ([], [])
    for _ in range(size):
        for side in (1, 0):
            chosen[side].append(_next(parts, chosen, side, pools[side]))
    return chosen


def _next(parts: Sequence[Labelled], chosen: tuple[list[int], list[int]], side: int,
          pool: list[int]) -> int:
    free = [column for column in pool if column not in chosen[side]]
    value = sum(separation(_tried(scores, chosen, side, free), labels)
                for scores, labels in parts)
    return free[int((value if side else -value).argmax())]


def _tried(scores: torch.Tensor, chosen: tuple[list[int], list[int]], side: int,
           free: list[int]) -> torch.Tensor:
    """The mean of one list with each free word added, minus the mean of the other list."""
    mine, other = chosen[side], chosen[1 - side]
    mean = (scores[:, mine].sum(1, keepdim=True) + scores[:, free]) / (len(mine) + 1)
    return mean - scores[:, other].mean(1, keepdim=True) if other else mean
