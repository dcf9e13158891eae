"""Characters and tokens: tags for the tokens of a text, entities from their tags.

Any fast tokenizer will do: its offsets are used, and how it marks words. A *unit* is a token that
covers characters no token before it has covered, and what it covers of them; each unit has one
tag. So every piece of a word has a tag of its own (``I-`` for a later piece of an entity's
word), but of several tokens that stand for the same characters (bytes of an emoji, ``㎏`` read
as two letters) only the first has one. Chinese is written without spaces and a SentencePiece
tokenizer takes a whole clause for a word, so tagging only the first piece of each word would
lose entities.

Characters that belong to no unit (spaces, zero-width characters, what the tokenizer's
normaliser removes) have no tag. They are inside an entity when units before and after are.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from transformers import PreTrainedTokenizerBase

from companion.entity import Entity, in_order
from companion.errors import CourseError
from companion.guards import door
from companion.ner.schemes import of_tags, to_tags

# SentencePiece and byte-level BPE write the start of a word as a character of its own. Where it
# is a token by itself, its offsets are those of the next character, which it does not carry.
MARKS = ("▁", "Ġ")


@dataclass(frozen=True)
class Encoded:
    """One text as rows of token ids that fit the model, with the way back to its characters.

    Attributes:
        text: as given.
        rows: token ids of each window with the special tokens around them; one row when the
            text fits, and for an empty text too (special tokens only).
        offsets: (units, 2), int: ``text[offsets[u, 0] : offsets[u, 1]]`` is unit ``u``. They
            never overlap and never decrease.
        window, column: (units,), int: the unit's prediction is taken from
            ``rows[window[u]]`` at position ``column[u]``, the window where it is most
            central. ``states[window, column]`` gathers a model's output.
    """

    text: str
    rows: list[list[int]]
    offsets: np.ndarray
    window: np.ndarray
    column: np.ndarray

    def __len__(self) -> int:
        """The number of units."""
        return len(self.offsets)


@door
def encode(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], longest: int, overlap: int = 32
) -> list[Encoded]:
    """Texts as units. Nothing is cut off: a long text becomes several overlapping windows.

    Args:
        longest: tokens that the model can read, special tokens included.
        overlap: tokens that neighbouring windows share.

    Raises:
        CourseError: a slow tokenizer, no list of texts, what is no text or no valid Unicode,
            no room for the overlap.
    """
    if not tokenizer.is_fast:
        raise CourseError(f"{type(tokenizer).__name__} has no offsets: use a fast tokenizer")
    before, after = frame(tokenizer)
    room = longest - len(before) - len(after)
    if not 0 <= overlap < room:
        raise CourseError(f"windows of {room} tokens cannot share {overlap}: give an overlap of "
                          "at least 0 and less than the tokens of a window")
    if not texts:
        return []
    read = tokenizer(texts, add_special_tokens=False, return_offsets_mapping=True,
                     return_attention_mask=False, return_token_type_ids=False, verbose=False)
    return [_encode_one(text, one.ids, new_spans(text, one.tokens, one.offsets), before, after,
                        room, overlap)
            for text, one in zip(texts, read.encodings)]


def _encode_one(text, ids, offsets, before, after, room, overlap) -> Encoded:
    spans = windows(len(ids), room, overlap)
    where = most_central(len(ids), spans)
    units = np.flatnonzero(offsets[:, 0] < offsets[:, 1])
    starts = np.array([start for start, _ in spans])
    return Encoded(
        text=text,
        rows=[[*before, *ids[start:stop], *after] for start, stop in spans],
        offsets=offsets[units],
        window=where[units],
        column=units - starts[where[units]] + len(before),
    )


def frame(tokenizer: PreTrainedTokenizerBase) -> tuple[list[int], list[int]]:
    """Ids of the special tokens that the tokenizer puts before and after a text."""
    read = tokenizer("a", return_special_tokens_mask=True, verbose=False)
    ids, special = read["input_ids"], read["special_tokens_mask"]
    ordinary = [i for i, flag in enumerate(special) if not flag] or [len(ids) // 2]
    return ids[: ordinary[0]], ids[ordinary[-1] + 1 :]


def new_spans(text: str, tokens: Sequence[str], offsets: Sequence[tuple[int, int]]) -> np.ndarray:
    """What each token covers that no token before it has covered, without blanks at the edges.

    Returns:
        (tokens, 2), int. Spans never overlap; they are empty for the tokens that are no units.
    """
    spans = np.array(offsets, int).reshape(-1, 2)
    bare = [t in MARKS and text[a:b] != t for t, (a, b) in zip(tokens, offsets)]
    spans[np.array(bare, bool)] = 0
    reached = np.maximum.accumulate(np.concatenate([[0], spans[:, 1]]))[:-1]
    spans[:, 0] = np.maximum(spans[:, 0], reached)
    return _stripped(text, spans)


def _stripped(text: str, spans: np.ndarray) -> np.ndarray:
    """The spans without spaces, control and zero-width characters at their edges."""
    seen = [i for i, c in enumerate(text)
            if not c.isspace() and unicodedata.category(c) not in ("Cc", "Cf")]
    if len(seen) == len(text):
        return spans
    first = np.searchsorted(seen, spans[:, 0])
    last = np.searchsorted(seen, spans[:, 1]) - 1
    places, kept = np.array([*seen, 0]), first <= last
    return np.stack([places[first], places[last] + 1], 1) * kept[:, None]


def windows(count: int, room: int, overlap: int) -> list[tuple[int, int]]:
    """``(start, stop)`` of windows of at most ``room`` tokens that cover ``count`` tokens.

    All but the last begin ``room - overlap`` tokens after the one before. The last ends with
    the text and is as long as the others, so it may share more.
    """
    if count <= room:
        return [(0, count)]
    starts = [*range(0, count - room, room - overlap), count - room]
    return [(start, start + room) for start in starts]


def most_central(count: int, spans: Sequence[tuple[int, int]]) -> np.ndarray:
    """For each token the window in which it is farthest from an edge: (tokens,), int.

    Between equals the earlier window is taken. The tokens of one window are neighbours.
    """
    at = np.arange(count)[:, None]
    start, stop = np.array(spans).T
    return np.minimum(at - start, stop - 1 - at).argmax(axis=1)  # negative outside


@door
def to_units(entities: Sequence[Entity], encoded: Encoded) -> tuple[list[Entity], dict[str, int]]:
    """Entities with character offsets -> entities that count units, and what did not fit.

    An entity gets every unit that it shares a character with. Where it begins or ends inside
    a unit it grows to the whole unit, because a unit has one tag. When two entities want a
    unit the earlier one keeps it, and the later one begins after it.

    Returns:
        ``(entities, counts)``, where counts are of ``"grown"``, ``"shrunk"`` (a unit or a
        character at its edge belongs to another entity or to no unit) and ``"lost"`` (no
        unit is left). All zero means that the round trip is exact.
    """
    counts = {"grown": 0, "shrunk": 0, "lost": 0}
    starts, stops = encoded.offsets.T
    found, free = [], 0
    for e in in_order(entities, len(encoded.text)):
        first = max(free, int(np.searchsorted(stops, e.start, side="right")))
        last = int(np.searchsorted(starts, e.end, side="left"))
        if first >= last:
            counts["lost"] += 1
            continue
        counts["grown"] += bool(starts[first] < e.start or stops[last - 1] > e.end)
        counts["shrunk"] += bool(starts[first] > e.start or stops[last - 1] < e.end)
        found.append(replace(e, start=first, end=last, text=None))
        free = last
    return found, counts


def unit_tags(entities: Sequence[Entity], encoded: Encoded, scheme: str = "BIO") -> list[str]:
    """One tag for each unit. See `to_units` for entities that begin inside a unit."""
    return to_tags(to_units(entities, encoded)[0], len(encoded), scheme)


def to_characters(entities: Sequence[Entity], encoded: Encoded) -> list[Entity]:
    """Entities that count units -> entities of the text, with their text."""
    found = []
    for e in entities:
        start, end = int(encoded.offsets[e.start, 0]), int(encoded.offsets[e.end - 1, 1])
        found.append(replace(e, start=start, end=end, text=encoded.text[start:end]))
    return found


@door
def from_unit_tags(
    tags: Sequence[str],
    encoded: Encoded,
    scheme: str = "BIO",
    scores: Sequence[float] | None = None,
    repair: bool = True,
) -> list[Entity]:
    """Tags of the units -> entities of the text. Their offsets always slice back.

    Args:
        scores: one number for each unit; an entity's score is their mean over its units.
        repair: see `companion.ner.schemes.from_tags`.
    """
    if len(tags) != len(encoded) or (scores is not None and len(scores) != len(tags)):
        raise CourseError(f"the text has {len(encoded)} units: give one tag (and one score) each")
    found = of_tags(tags, scheme, repair)
    if scores is not None:
        found = [replace(e, score=float(np.mean(scores[e.start : e.end]))) for e in found]
    return to_characters(found, encoded)
