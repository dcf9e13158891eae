"""Verbalizers: which words stand for which label (Schick and Schütze, 2021, section 3)."""

import difflib
from collections.abc import Hashable, Mapping, Sequence

import torch
from transformers import PreTrainedTokenizerBase

from companion.errors import CourseError
from companion.guards import as_list, door, is_blank
from companion.tokenization import fast_backend, marks_beginnings, word_starts

Label = Hashable
Words = str | Sequence[str]
SPACES = ("▁", "Ġ")  # SentencePiece and byte-level BPE
APART = ("，", "。", "a")  # tried in place of a character that grows together with the word


def log_sum(scores: torch.Tensor) -> torch.Tensor:
    return scores.logsumexp(-1)


AGGREGATIONS = {
    "logsumexp": log_sum,  # the probability that any of the words stands there
    "mean": lambda scores: scores.mean(-1),
    "max": lambda scores: scores.amax(-1),
}


class Verbalizer:
    """The label words of each label.

    Words are looked up as they are written at the gap of the template. After a space that is
    ``Ġgreat`` in RoBERTa and ``▁great`` in ALBERT; where no space is before the gap, as in
    Chinese, it is the piece without the mark. A word of several tokens is scored with one mask
    for each token; its score is the mean log-probability of its tokens at their masks (Schick and Schütze, 2021b, fill
    them one after another instead, which costs one pass per token and text).

    Args:
        words: for each label one word or several.
        aggregation: how the scores of a label's words become one: ``"logsumexp"`` (the log of
            their summed probability), ``"mean"`` (of the logs) or ``"max"``.
        several_tokens: allow words of several tokens.

    Raises:
        CourseError: fewer than two labels, a label without words, a word that is empty, is
            given twice or stands under two labels, an unknown aggregation.
    """

    @door
    def __init__(self, words: Mapping[Label, Words], aggregation: str = "logsumexp",
                 several_tokens: bool = False):
        if aggregation not in AGGREGATIONS:
            raise CourseError(f"unknown aggregation {aggregation!r}: "
                              f"use one of {', '.join(AGGREGATIONS)}")
        if len(words) < 2:
            raise CourseError("the verbalizer has fewer than two labels: give a dictionary "
                              "{label: [words], label: [words]}")
        self.words = {label: _listed(label, entry) for label, entry in words.items()}
        self.aggregation, self.several_tokens = aggregation, several_tokens
        _refuse_twice([(label, word, word) for label, word in self.pairs])

    @classmethod
    @door
    def from_words(cls, labels: Mapping, **settings) -> "Verbalizer":
        """From the inverted dictionary ``{"great": "pos", "bad": "neg"}``."""
        if not all(isinstance(label, Hashable) for label in labels.values()):
            raise CourseError('from_words takes one label for each word: give a dictionary such '
                              'as {"great": "pos", "bad": "neg"}')
        words: dict[Label, list[str]] = {}
        for word, label in labels.items():
            words.setdefault(label, []).append(word)
        return cls(words, **settings)

    def __repr__(self) -> str:
        return f"Verbalizer({ {label: list(words) for label, words in self.words.items()} })"

    @property
    def labels(self) -> tuple[Label, ...]:
        """The labels, in the order of all scores."""
        return tuple(self.words)

    @property
    def pairs(self) -> list[tuple[Label, str]]:
        """All (label, word), labels in order: the order of word scores."""
        return [(label, word) for label, words in self.words.items() for word in words]

    def tokens(self, tokenizer: PreTrainedTokenizerBase, before: str = " "
               ) -> list[tuple[int, ...]]:
        """The token ids of every word, in the order of ``pairs``.

        Args:
            before: the text before the gap, see ``word_tokens``; ``template.before`` is one.

        Raises:
            CourseError: a word that the tokenizer does not know, or writes as several tokens
                without ``several_tokens``; a special token; two words that are the same to it.
        """
        found = [word_tokens(tokenizer, word, before) for _, word in self.pairs]
        for (_, word), ids in zip(self.pairs, found):
            if not ids or tokenizer.unk_token_id in ids:
                raise CourseError(f"the tokenizer does not know '{word}': "
                                  f"{_advice(tokenizer, word, before)}")
            if special := set(ids) & set(tokenizer.all_special_ids):
                token = tokenizer.convert_ids_to_tokens(min(special))
                raise CourseError(f"'{word}' has the special token {token}: give a word that can "
                                  "be an answer")
            if len(ids) > 1 and not self.several_tokens:
                pieces = " ".join(tokenizer.convert_ids_to_tokens(list(ids)))
                advice = _advice(tokenizer, word, before)
                raise CourseError(f"'{word}' is {len(ids)} tokens ({pieces}): {advice}, or allow "
                                  "several_tokens=True")
        _refuse_twice([(label, word, ids) for (label, word), ids in zip(self.pairs, found)])
        return found

    @door
    def aggregate(self, scores: torch.Tensor) -> torch.Tensor:
        """Scores of words (..., words) -> scores of labels (..., labels)."""
        if not scores.ndim or scores.shape[-1] != len(self.pairs):
            raise CourseError(f"scores have shape {tuple(scores.shape)}: give (..., words), for "
                              f"{len(self.pairs)} words")
        parts = scores.split([len(words) for words in self.words.values()], -1)
        return torch.stack([AGGREGATIONS[self.aggregation](part) for part in parts], -1)


@door
def word_tokens(tokenizer: PreTrainedTokenizerBase, word: str, before: str = " "
                ) -> tuple[int, ...]:
    """The token ids of a word at a gap, without special tokens.

    A piece that is nothing but a space (``▁`` of SentencePiece) is no part of the word.

    Args:
        before: the text before the gap. Empty: the word begins the text. Only its last character
            counts: whether it is a space, and whether it keeps apart from the word (``很好`` can
            be one token, but not where ``很`` is before a mask).
    """
    backend = fast_backend(tokenizer)
    last = before[-1:]
    for context in ("",) if not last else ("a" + last,) if last.isspace() else (last, *APART):
        encoding = backend.encode(context + word, add_special_tokens=False)
        ids = [i for i, (_, end) in zip(encoding.ids, encoding.offsets) if end > len(context)]
        begins = [start for start, end in encoding.offsets if end > len(context)]
        if begins and begins[0] >= len(context.rstrip()):
            break  # the word does not grow together with what is before it
    spaces = [i for i in ids[:1] if tokenizer.convert_ids_to_tokens(i) in SPACES]
    return tuple(ids[len(spaces):]) or tuple(ids)


@door
def vocabulary_words(tokenizer: PreTrainedTokenizerBase, before: str = " ") -> dict[str, int]:
    """The words that are one token, as they are written, with their ids.

    ``before``: see ``word_tokens``. Where it is no space, and words have a mark after a space,
    these are the pieces without the mark, most of which are parts of words in English.
    """
    starts, special = word_starts(tokenizer), set(tokenizer.all_special_ids)
    if before and not before[-1].isspace() and marks_beginnings(tokenizer):
        starts = ~starts
    words = {i: tokenizer.decode([i]).strip() for i in range(len(tokenizer))
             if starts[i] and i not in special}
    return {word: i for i, word in words.items() if "\ufffd" not in word}  # half a character


def plain(labels: Sequence[Label]) -> list[Label]:
    """Labels of any container as a list; what an array or a tensor holds becomes a number."""
    return [label.item() if hasattr(label, "item") and not getattr(label, "ndim", 0) else label
            for label in as_list(labels, "labels")]


def numbers(labels: Sequence[Label], known: Sequence[Label]) -> list[int]:
    """The place of each label in the order of the scores.

    Raises:
        CourseError: a label that is not ``known``.
    """
    places = {label: place for place, label in enumerate(known)}
    for label in (labels := plain(labels)):
        if not isinstance(label, Hashable) or label not in places:
            simple = isinstance(label, Hashable) and not getattr(label, "ndim", 0)
            said = f"{label!r}" if simple else type(label).__name__
            raise CourseError(f"the label {said} is none of {', '.join(map(repr, known))}: use "
                              "the same names in both")
    return [places[label] for label in labels]


def _advice(tokenizer: PreTrainedTokenizerBase, word: str, before: str) -> str:
    known = vocabulary_words(tokenizer, before)
    near = difflib.get_close_matches(word.lower(), known, n=3, cutoff=0.5)
    return f"words near it in the vocabulary are {', '.join(near)}" if near else "use another word"


def _listed(label: Label, words: Words) -> tuple[str, ...]:
    words = [words] if isinstance(words, str) else words
    if not words:
        raise CourseError(f"the label {label!r} has no words: give at least one")
    if any(is_blank(word) for word in words):
        raise CourseError(f"the label {label!r} has a word that is empty: give words such as "
                          "'great'")
    return tuple(word.strip() for word in words)


def _refuse_twice(entries: list[tuple]) -> None:
    """Entries are (label, word, what must not come twice)."""
    seen: dict = {}
    for label, word, key in entries:
        if key in seen:
            where = (f"twice under {label!r}" if seen[key] == label
                     else f"under {seen[key]!r} and under {label!r}")
            raise CourseError(f"the word '{word}' stands {where}: keep it once")
        seen[key] = label
