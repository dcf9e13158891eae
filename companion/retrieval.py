"""Retrieval: find the second half of the same review among the second halves of many reviews.

The task makes its own labels, as in the inverse cloze task (Lee et al., 2019, section 4): one
part of a text is the question, another part of it is the right answer.
"""

import re
from collections.abc import Sequence

import bm25s
import numpy as np
import torch
from torch import nn
from torch.nn.functional import normalize
from transformers import PreTrainedTokenizerBase

from companion.corpora.splits import words
from companion.errors import CourseError
from companion.guards import checked_scores, door
from companion.objectives.contrastive import embed
from companion.objectives.pooling import whitening
from companion.tokenization import by_length

# A sentence ends here: a mark, perhaps a closing quote or bracket, white space, and a capital or
# a digit. Not after an ellipsis, an initial or a common short form, which stand inside sentences.
_END = re.compile(r"""(?<!\.)[.!?]["')\]]*\s+(?=["'(\[]*[A-Z0-9])""")
_SHORT = re.compile(r"(?:\b[A-Za-z]|\b(?:mr|mrs|ms|dr|prof|st|jr|sr|vs|no|lt|sgt|capt|col|gen"
                    r"|etc|vol))\.$", re.IGNORECASE)


@door
def halves(text: str, least: int = 30) -> tuple[str, str] | None:
    """Cut a text between two sentences, as near to its middle as possible.

    A place inside quotation marks or brackets is no place between sentences. The two halves
    together are the text; only the white space at the cut is left out.

    Args:
        least: words that each half must have at least.

    Returns:
        The two halves, or None if the text cannot be cut so.
    """
    places = [match for match in _END.finditer(text) if _between_sentences(text, match)]
    pairs = [(text[:match.end()].rstrip(), text[match.end():]) for match in places]
    pairs = [pair for pair in pairs if min(len(words(half)) for half in pair) >= least]
    return min(pairs, key=lambda pair: abs(len(pair[0]) - len(pair[1])), default=None)


def _between_sentences(text: str, match: re.Match) -> bool:
    before = text[:match.end()]
    open_brackets = before.count("(") - before.count(")") + before.count("[") - before.count("]")
    return (not _SHORT.search(text[:match.start() + 1]) and not open_brackets
            and before.count('"') % 2 == 0)


@door
def all_halves(texts: Sequence[str], count: int = 1000, least: int = 30
               ) -> tuple[list[str], list[str]]:
    """First and second halves of the first ``count`` texts that ``halves`` can cut.

    Raises:
        CourseError: fewer than ``count`` texts can be cut.
    """
    found: list[tuple[str, str]] = []
    for text in texts:
        if len(found) == count:
            break
        pair = halves(text, least)
        if pair:
            found.append(pair)
    if len(found) < count or not found:
        raise CourseError(f"only {len(found)} texts can be cut into halves of {least} words: give "
                          "more texts, or a smaller count of at least 1")
    first, second = zip(*found)
    return list(first), list(second)


@door
def shortened(text: str, count: int) -> str:
    """The beginning of a text, up to and with its word number ``count``."""
    ends = [match.end() for match in re.finditer(r"\w+", text)]
    return text if len(ends) <= count else text[:ends[count - 1]]


@door
def bm25(queries: Sequence[str], documents: Sequence[str], k1: float = 1.5, b: float = 0.75
         ) -> torch.Tensor:
    """Word overlap: the BM25 score of every document for every query.

    For each word of the query that the document has too, a weight is added. It is large when few
    documents have the word, grows with its count in the document, at most up to a limit, and is
    smaller in long documents (Robertson and Zaragoza, 2009, section 3.3). Computed by bm25s
    (variant "lucene", whose weights are never negative) on lower-case words; no word is left
    out, and a word that the query has twice counts twice.

    Args:
        k1: how slowly the weight of a word reaches its limit, b: how much length counts, 0 to 1.

    Returns:
        Scores of shape (queries, documents), float32; 0 without a common word.
    """
    tokens = [words(document) for document in documents]
    if not any(tokens):
        raise CourseError("no document has a word: give texts to search in")
    index = bm25s.BM25(k1=k1, b=b, method="lucene")
    index.index(tokens, show_progress=False)
    scores = np.zeros((len(queries), len(documents)), np.float32)
    for row, query in enumerate(queries):
        known = [word for word in words(query) if word in index.vocab_dict]
        if known:
            scores[row] = index.get_scores(known)
    return torch.from_numpy(scores)


@door
@torch.inference_mode()
def encode(model: nn.Module, tokenizer: PreTrainedTokenizerBase, texts: Sequence[str],
           length: int = 64, pooling: str = "mean", size: int = 64) -> torch.Tensor:
    """One vector for each text, (texts, width), from its first ``length`` tokens; no dropout.

    The model is left in the mode (training or not) that it was in.

    Args:
        length: tokens in a row, with ``[CLS]`` and ``[SEP]``.
        pooling: as in ``companion.objectives.contrastive.embed``.
        size: texts that go through the model together.
    """
    if not 3 <= length or size < 1:
        raise CourseError(f"length is {length} and size {size}: a row needs [CLS], a token and "
                          "[SEP], and a batch a text")
    batches = by_length(tokenizer, texts, length, size)
    order, parts, mode = [], [], model.training
    model.eval()
    for which, rows in batches:
        parts.append(embed(model, rows["input_ids"], rows["attention_mask"], pooling))
        order += which
    model.train(mode)
    return checked_scores(torch.cat(parts)[torch.tensor(order).argsort()])


@door
def whitened(vectors: torch.Tensor, strength: float = 1.0) -> torch.Tensor:
    """Vectors around zero whose directions are used alike (Su et al., 2021, section 3.2).

    The mean is taken away. Then each principal direction is divided by its standard deviation,
    raised to ``strength``. Directions in which all vectors are equal are left out.

    Args:
        vectors: (texts, width), more texts than the width, so that the deviations can be
            estimated. They are estimated from these texts alone; no pair and no label is read.
        strength: 0 takes the mean away and does nothing else; 1 whitens, so that the
            covariance of the result is the unit matrix.

    Returns:
        (texts, directions), float32; at strength 0 with the distances of ``vectors``.
    """
    centre, matrix = whitening(vectors, strength)
    return ((vectors.double() - centre) @ matrix).float()


@door
def similarities(queries: torch.Tensor, documents: torch.Tensor) -> torch.Tensor:
    """Cosine similarity of every query with every document, (queries, documents).

    Raises:
        CourseError: vectors that are not (queries, width) and (documents, width).
    """
    if queries.ndim != 2 or documents.ndim != 2 or queries.shape[1] != documents.shape[1]:
        raise CourseError(f"the vectors have shapes {tuple(queries.shape)} and "
                          f"{tuple(documents.shape)}: give (queries, width) and (documents, width)")
    queries, documents = (part if part.is_floating_point() else part.float()
                          for part in (queries, documents))
    return normalize(queries, dim=1) @ normalize(documents, dim=1).T


@door
def recall_at(scores: torch.Tensor, k: int) -> float:
    """Share of the queries whose right document is among the ``k`` with the highest scores.

    Documents with equal scores are taken in random order, and the result is the mean over all
    these orders. So a method that gives every document the same score gets the chance level.

    Args:
        scores: (N, M), M at least N; document i is the right one of query i.

    Raises:
        CourseError: scores of another shape, or not numbers; k not from 1 to M.
    """
    if scores.ndim != 2 or not 0 < len(scores) <= scores.shape[1]:
        raise CourseError(f"scores have shape {tuple(scores.shape)}: give (queries, documents), "
                          "with the right document of query i at place i")
    if not 1 <= k <= scores.shape[1]:
        raise CourseError(f"k is {k}: give a number from 1 to {scores.shape[1]}")
    if scores.isnan().any():
        raise CourseError("a score is not a number: look for rows without tokens")
    right = scores.diagonal()[:, None]
    better, level = (scores > right).sum(1), (scores == right).sum(1)
    return ((k - better) / level).clamp(0, 1).double().mean().item()
