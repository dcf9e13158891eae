"""Fixed splits and the removal of near-duplicates, both independent of the order of the data.

A text's split is a hash of its content. It never moves when texts are added, removed or
reordered, which a shuffled split does. Near-duplicates go first, because two copies of a
text hash differently as soon as one comma differs.
"""

import hashlib
import re
import unicodedata
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from companion.errors import CourseError
from companion.guards import door

_WORD = re.compile(r"\w+")
_LETTERS = re.compile(r"[^\W_]+")
_ODD = np.uint64(0x9E3779B97F4A7C15)  # an odd multiplier spreads word ids over 64 bits


def plain(text: str) -> str:
    """One spelling for all spellings of a text: small letters, half-width, without accents.

    The same words may be written with full-width digits, with composed or decomposed accents,
    with ligatures. Unicode's compatibility decomposition (NFKD) makes them equal. For finding
    leaks and copies only: the keys of the splits are made from the text as it is.
    """
    if text.isascii():
        return text.lower()
    apart = unicodedata.normalize("NFKD", text).casefold()
    return "".join(c for c in apart if not unicodedata.combining(c))


def words(text: str) -> list[str]:
    """Words of a text in their `plain` spelling, punctuation left out."""
    return _WORD.findall(plain(text))


def characters(text: str) -> list[str]:
    """Letters, digits and ideographs of a text one by one, for languages without spaces.

    In their `plain` spelling."""
    return list("".join(_LETTERS.findall(plain(text))))


@door
def fingerprint(text: str) -> str:
    """64 hexadecimal digits that two texts share only if their letters and digits agree."""
    return hashlib.sha256("".join(_LETTERS.findall(text.lower())).encode()).hexdigest()


@door
def split_of(key: str, validation: float = 0.1, test: float = 0.1) -> str:
    """``"train"``, ``"validation"`` or ``"test"``, decided by a hash of ``key`` alone."""
    digits = hashlib.sha256(f"split:{key}".encode()).hexdigest()[:8]
    position = int(digits, 16) / 16**8
    if position < test:
        return "test"
    return "validation" if position < test + validation else "train"


def shingles(
    texts: Sequence[str], size: int, units: Callable[[str], list[str]] = words
) -> tuple[np.ndarray, np.ndarray]:
    """Hashes of all runs of ``size`` units, without repeats inside a text.

    Returns:
        ``(hashes, owners)``, both of shape (number of shingles,): a uint64 hash and the
        index of the text that it comes from. A text shorter than ``size`` gives one
        shingle, the whole of it; a text without units gives none.
    """
    split = [units(text) for text in texts]
    lengths = np.array([len(s) for s in split], dtype=int)
    flat = pd.factorize(np.array([u for s in split for u in s], dtype=object))[0]
    starts = np.concatenate([[0], np.cumsum(lengths)])
    padded = np.concatenate([flat + 1, np.zeros(size)]).astype(np.uint64)
    owners = np.repeat(np.arange(len(texts)), np.maximum(lengths - size + 1, lengths > 0))
    first = np.concatenate([[0], np.cumsum(np.bincount(owners, minlength=len(texts)))[:-1]])
    at = starts[owners] + np.arange(len(owners)) - first[owners]
    hashes = np.zeros(len(owners), np.uint64)
    for step in range(size):
        inside = step < lengths[owners]  # short texts: do not read on into the next text
        unit = np.where(inside, padded[at + step], np.uint64(0))
        hashes = (hashes ^ unit) * _ODD
        hashes ^= hashes >> np.uint64(29)
    pairs = pd.DataFrame({"hash": hashes, "owner": owners}).drop_duplicates()
    return pairs["hash"].to_numpy(), pairs["owner"].to_numpy()


@door
def near_duplicates(
    texts: Sequence[str],
    size: int = 5,
    share: float = 0.5,
    units: Callable[[str], list[str]] = words,
) -> np.ndarray:
    """Which texts to drop so that no two that remain are near-duplicates.

    Two texts are near-duplicates when at least ``share`` of the shingles of the shorter
    one (runs of ``size`` words, or characters) also stand in the other: shingling after
    Broder, 1997, with containment instead of resemblance, so that a quotation inside a
    long text counts. Of each pair the text with the smaller fingerprint stays, so the
    answer does not depend on the order of the texts.

    Returns:
        Boolean array of shape (number of texts,): True means drop.

    Raises:
        CourseError: a size below 1, or a share that is not above 0 and at most 1.
    """
    if size < 1 or not 0 < share <= 1:
        raise CourseError(f"size is {size} and share is {share}: give runs of 1 or more, and a "
                          "share above 0, at most 1")
    drop = np.zeros(len(texts), bool)
    # From here on the texts stand in the order of their fingerprints: the pairing of set
    # phrases depends on who is whose neighbour.
    order = sorted(range(len(texts)), key=lambda i: (fingerprint(texts[i]), texts[i]))
    hashes, owners = shingles([texts[i] for i in order], size, units)
    if not len(hashes):
        return drop
    counts = np.bincount(owners, minlength=len(texts))
    left, right, shared = _shared_counts(hashes, owners)  # left < right
    close = shared >= share * np.minimum(counts[left], counts[right])
    drop[np.array(order)[right[close]]] = True
    return drop


def _shared_counts(hashes, owners, common: int = 50):
    """Pairs of texts and how many shingles each pair shares.

    A shingle in more than ``common`` texts is a set phrase and would give a quadratic
    number of pairs; only neighbouring owners are paired for it.
    """
    order = np.lexsort((owners, hashes))
    hashes, owners = hashes[order], owners[order]
    starts = np.flatnonzero(np.concatenate([[True], hashes[1:] != hashes[:-1]]))
    group = np.diff(np.concatenate([starts, [len(hashes)]]))
    size_here = np.repeat(group, group)
    pairs = []
    for gap in range(1, min(common, int(group.max(initial=1)))):
        same = hashes[gap:] == hashes[:-gap]
        wanted = same & ((size_here[gap:] <= common) | (gap == 1))
        if not wanted.any():
            continue
        pairs.append(np.stack([owners[:-gap][wanted], owners[gap:][wanted]]))
    if not pairs:
        empty = np.zeros(0, int)
        return empty, empty, empty
    pairs, shared = np.unique(np.concatenate(pairs, axis=1), axis=1, return_counts=True)
    return pairs[0], pairs[1], shared
