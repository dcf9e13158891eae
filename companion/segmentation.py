"""Words in texts that are written without spaces, for whole-word masking."""

import importlib
from collections.abc import Callable, Iterable

import numpy as np
from transformers import PreTrainedTokenizerBase

from companion.errors import CourseError
from companion.guards import door


class Segmented:
    """Which tokens of rows begin a word, where every token is one character.

    Args:
        tokenizer: see ``train_characters``.
        segment: "jieba" (a package: a dictionary of words with frequencies, and a hidden
            Markov model for words that it does not have), or a function from a text to its
            words, which joined are the text.

    Raises:
        CourseError: tokens of several characters, jieba is not installed, words that joined
            are not as long as the text.
    """

    @door
    def __init__(self, tokenizer: PreTrainedTokenizerBase,
                 segment: str | Callable[[str], Iterable[str]]):
        special = set(tokenizer.all_special_ids)
        tokens = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
        # A special token is the end of a text; an unknown character is some sign.
        shown = ["\n" if i in special else token for i, token in enumerate(tokens)]
        if tokenizer.unk_token_id is not None:
            shown[tokenizer.unk_token_id] = "\u25a1"
        if any(len(token) != 1 for token in shown):
            raise CourseError("words are cut from characters, but this vocabulary has longer "
                              "tokens: leave segment out")
        self._shown = np.array(shown)
        if isinstance(segment, str) and segment != "jieba":
            raise CourseError(f"unknown segmenter {segment!r}: give 'jieba', or a function from a "
                              "text to its words")
        self._cut = _jieba() if segment == "jieba" else segment

    def __call__(self, ids: np.ndarray) -> np.ndarray:
        """(batch, length) ids -> bool of the same shape: begins a word."""
        begins = np.zeros(ids.shape, dtype=bool)
        for row, line in zip(self._shown[ids], begins):
            ends = np.cumsum([len(word) for word in self._cut("".join(row))])
            if not len(ends) or ends[-1] != len(line):
                raise CourseError("the words are not as long as the text: a segmenter must leave "
                                  "no character out")
            line[[0, *ends[:-1]]] = True
        return begins


def _jieba() -> Callable[[str], Iterable[str]]:
    try:
        jieba = importlib.import_module("jieba")  # only for a recipe that asks for it
    except ImportError:
        raise CourseError("the package jieba is missing: run 'pip install jieba', or leave "
                          "segment out") from None
    jieba.setLogLevel("WARNING")
    return jieba.lcut
