"""What a language model has to beat: a smoothed trigram model, and a compressor.

The trigram model is interpolated modified Kneser-Ney (Chen and Goodman, 1999, section 3). It
reads token ids, so it can be given the same subwords and the same documents as a neural model,
and its figures can stand beside those of ``companion.objectives.causal.perplexity``.
"""

import lzma
import math
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from companion.errors import CourseError
from companion.guards import door, fitting, is_count

LARGEST = 2**21  # entries of a vocabulary whose trigrams still fit into 63 bits
FALLBACK = (0.5, 1.0, 1.5)  # the defaults of KenLM's --discount_fallback
TAIL = 2**25  # bytes of training text that xz is shown

# --- documents ----------------------------------------------------------------------------


def join(documents: Iterable[Sequence[int]], vocabulary: int) -> np.ndarray:
    """Documents ``[eos, tokens]`` one after the other, and a closing ``eos``. (tokens,), int64.

    The ``eos`` that opens a document closes the one before it.

    Raises:
        CourseError: no document, ids outside the vocabulary, documents that do not all begin
            with the same id or hold it a second time.
    """
    try:
        parts = [_ids(document) for document in documents]  # one after another, to save memory
    except TypeError:
        parts = []
    if not parts or not all(map(len, parts)):
        raise CourseError("there are no documents, or one has no eos: give lists [eos, tokens]")
    flat = np.concatenate([*parts, parts[0][:1]])
    _inside(flat, vocabulary)
    if any(part[0] != flat[0] for part in parts) or (flat == flat[0]).sum() != len(parts) + 1:
        raise CourseError("a document must begin with eos and hold it nowhere else: make them "
                          "with companion.objectives.causal.documents")
    return flat.astype(np.int64)


def _ids(values: Sequence[int]) -> np.ndarray:
    """One sequence as whole numbers, int32: many documents are held at once."""
    try:
        array = np.asarray(values)
    except ValueError:
        array = np.zeros((0, 0))
    if array.ndim != 1 or (len(array) and array.dtype.kind not in "iu"):
        raise CourseError("a document is not a list of ids: give a list of whole numbers")
    # An id that int32 cannot hold is replaced by one that is outside every vocabulary.
    return np.where((array >= 0) & (array < LARGEST), array, -1).astype(np.int32)


def _inside(ids: np.ndarray, vocabulary: int) -> None:
    if len(ids) and (ids.min() < 0 or ids.max() >= vocabulary):
        raise CourseError(f"there are ids outside 0..{vocabulary - 1}: encode the text with the "
                          "tokenizer that this vocabulary belongs to")


# --- one order of n-grams -----------------------------------------------------------------


@dataclass
class Order:
    """The n-grams of one length that were seen, and their probabilities.

    An n-gram is one whole number: the context's, times the vocabulary, plus the last token.

    Attributes:
        keys, probabilities: the n-grams, sorted, and what each gives its last token.
        contexts, left: the contexts, sorted, and the share of each that its discounts left to
            shorter contexts.
        discounts: what is taken from a count of 1, of 2, and of 3 or more.
        estimated: whether the discounts follow from the counts (else ``FALLBACK``).
    """

    keys: np.ndarray
    probabilities: np.ndarray
    contexts: np.ndarray
    left: np.ndarray
    discounts: tuple[float, float, float]
    estimated: bool


def discounts_of(counts: np.ndarray) -> tuple[float, float, float] | None:
    """The three discounts from the counts of counts (Chen and Goodman, 1999, section 3).

    Returns:
        What to take from a count of 1, of 2, of 3 or more. None where this cannot be told: no
        n-gram has a count of 1, 2 or 3, or a discount is not above 0 and at most its count.
    """
    once, twice, thrice, four = (int((counts == i).sum()) for i in (1, 2, 3, 4))
    if not (once and twice and thrice):
        return None
    y = once / (once + 2 * twice)
    found = (1 - 2 * y * twice / once, 2 - 3 * y * thrice / twice, 3 - 4 * y * four / thrice)
    return found if all(0 < d <= count for count, d in enumerate(found, 1)) else None


def interpolated(keys: np.ndarray, counts: np.ndarray, shorter: np.ndarray, size: int) -> Order:
    """Probabilities of one order: discounted counts, plus the share left times ``shorter``.

    Args:
        keys, counts: (n-grams,), int64: sorted n-grams, and how often each was counted.
        shorter: (n-grams,): the probability of the last token after the shorter context.
        size: the number of entries in the vocabulary.
    """
    found = discounts_of(counts)
    taken = np.array([0.0, *(found or FALLBACK)])[np.minimum(counts, 3)]
    contexts, first, lengths = np.unique(keys // size, return_index=True, return_counts=True)
    totals = np.add.reduceat(counts, first)
    left = np.add.reduceat(taken, first) / totals
    kept = (counts - taken) / np.repeat(totals, lengths)
    return Order(keys, kept + np.repeat(left, lengths) * shorter, contexts, left,
                 found or FALLBACK, found is not None)


def find(sorted_keys: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``(seen, at)``: which wanted keys are there, and where those that are there stand."""
    at = np.searchsorted(sorted_keys, wanted)
    seen = sorted_keys[np.minimum(at, len(sorted_keys) - 1)] == wanted
    return seen, at[seen]


def preceding(keys: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """In how many n-grams each shorter n-gram is the end: so many tokens stood before it."""
    return np.unique(keys % size, return_counts=True)


# --- the model ----------------------------------------------------------------------------


class KneserNey:
    """An interpolated trigram model with modified Kneser-Ney smoothing.

    The first token of a document has ``eos`` alone before it: its context is that one token,
    nothing is padded. As nothing ever stands before ``eos``, pairs that begin with it keep the
    number of their occurrences; other pairs and single tokens have the number of different
    tokens before them (Heafield et al., 2013, section 3.2). Single tokens are interpolated
    with 1 / vocabulary, so every entry has a probability above 0.

    Attributes:
        vocabulary, eos: the number of entries, and the id that opens and closes documents.
        tokens: how many tokens it was trained on, each document's end included.
        orders: single tokens, pairs, triples; see ``Order``.
    """

    def __init__(self, vocabulary: int, eos: int, tokens: int):
        self.vocabulary, self.eos, self.tokens = vocabulary, eos, tokens
        self.orders: list[Order] = []

    @classmethod
    def fit(cls, documents: Iterable[Sequence[int]], vocabulary: int) -> "KneserNey":
        """Count and smooth.

        Args:
            documents: each ``[eos, tokens]``, as ``companion.objectives.causal.documents``
                gives them. They are read once, so a generator saves memory.
            vocabulary: the number of entries, ids are 0 to vocabulary - 1.

        Raises:
            CourseError: see ``join``; documents without a single token; a vocabulary of
                more than 2,097,152 entries.
        """
        if not is_count(vocabulary) or vocabulary > LARGEST:
            raise CourseError(f"vocabulary is {vocabulary}: give the number of entries, "
                              f"at most {LARGEST}")
        ids = join(documents, vocabulary)
        if (ids == ids[0]).all():
            raise CourseError("the documents have no tokens: give some text")
        model = cls(vocabulary, int(ids[0]), len(ids) - 1)
        counted = model._counted(ids)
        del ids
        while counted:
            keys, counts = counted.pop()
            n = len(model.orders)
            shorter = model._probabilities(n - 1, keys % vocabulary**n)
            model.orders.append(interpolated(keys, counts, shorter, vocabulary))
        return model

    def _counted(self, ids: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """Keys and counts of triples, pairs and single tokens, in this order."""
        size = self.vocabulary
        opening = ids[:-1] == self.eos
        keys = ids[:-1] * size + ids[1:]
        opened = np.unique(keys[opening], return_counts=True)
        inner = ~opening[1:]
        keys = ids[:-2][inner] * size**2 + keys[1:][inner]
        triples = np.unique(keys, return_counts=True)
        followed = preceding(triples[0], size**2)
        # The two kinds of pairs have no key in common: only one begins with eos.
        pairs, counts = (np.concatenate(both) for both in zip(opened, followed))
        order = np.argsort(pairs)
        pairs, counts = pairs[order], counts[order]
        # All entries are listed, those that were never seen too, with a count of 0.
        single = np.arange(size), np.bincount(pairs % size, minlength=size)
        return [triples, (pairs, counts), single]

    def _probabilities(self, order: int, keys: np.ndarray) -> np.ndarray:
        """Of the last token of every n-gram; ``order`` counts from 0, for single tokens."""
        if order < 0:
            return np.full(len(keys), 1 / self.vocabulary)
        table, out = self.orders[order], np.ones(len(keys))
        seen, at = find(table.keys, keys)
        out[seen] = table.probabilities[at]
        rest = keys[~seen]
        if len(rest):
            left = np.ones(len(rest))  # after a context never seen, the shorter one has it all
            known, at = find(table.contexts, rest // self.vocabulary)
            left[known] = table.left[at]
            out[~seen] = left * self._probabilities(order - 1, rest % self.vocabulary**order)
        return out

    def log_probs(self, ids: Sequence[int]) -> np.ndarray:
        """Natural logarithm of the probability of every token but the first.

        Args:
            ids: at least two; ``[eos, tokens, eos]`` for a whole document. ``eos`` in between
                closes a document and opens the next, as in the stream of training.

        Returns:
            Array of shape (len(ids) - 1,), float64. A context is the two tokens before, but
            one only for the second id and after every ``eos``.

        Raises:
            CourseError: fewer than two ids, or ids outside the vocabulary.
        """
        ids, size = _ids(ids).astype(np.int64), self.vocabulary
        _inside(ids, size)
        if len(ids) < 2:
            raise CourseError("there are fewer than two ids: begin with eos, then the tokens")
        pairs = ids[:-1] * size + ids[1:]
        # Contexts across a border, with eos as their second token, were not counted: after
        # them the pair decides.
        triples = ids[:-2] * size**2 + pairs[1:]
        return np.log(np.concatenate(
            [self._probabilities(1, pairs[:1]), self._probabilities(2, triples)]))


def perplexity(
    model: KneserNey, documents: Iterable[Sequence[int]], characters: int
) -> dict[str, float]:
    """Perplexity of documents, each on its own and whole, its end included.

    Args:
        documents: each ``[eos, tokens]``; the closing ``eos`` is added here.
        characters: of the texts that the documents were made from, all together.

    Returns:
        As ``companion.objectives.causal.perplexity``: ``loss`` in nats per token,
        ``per_token`` and ``per_character`` (perplexities), ``bits_per_character``, and the
        numbers of ``tokens`` scored and of ``characters``.

    Raises:
        CourseError: see ``join``; another ``eos`` than in training; no characters.
    """
    ids = join(documents, model.vocabulary)
    if ids[0] != model.eos:
        raise CourseError(f"the documents begin with {ids[0]}, those of the training with "
                          f"{model.eos}: use the same tokenizer")
    if fitting(characters, int, "characters") < 1:
        raise CourseError("the texts are empty: give some text")
    losses = -model.log_probs(ids)
    total = float(losses.sum())
    return {
        "loss": total / len(losses),
        "per_token": math.exp(total / len(losses)),
        "per_character": math.exp(total / characters),
        "bits_per_character": total / characters / math.log(2),
        "tokens": len(losses),
        "characters": characters,
    }


# --- compression --------------------------------------------------------------------------


@door
def xz_bits_per_character(
    train_text: str, held_out_texts: Sequence[str], tail: int = TAIL
) -> dict[str, float]:
    """Bits per character that xz needs for the held-out texts, with and without training text.

    ``alone`` is the size of one file with all held-out texts, one a line, packed as
    ``xz -9e`` does. ``given`` is what they add to the packed size of the last ``tail`` bytes of
    the training text, packed with a dictionary that holds all of it.

    It is no language model: it finds repeated strings, and gives no probability to a
    continuation. Two things differ from ``perplexity``. The texts are packed together, so
    one may repeat another. And xz keeps the training text itself, not what can be learned
    from it.

    Args:
        tail: needs 12 bytes of memory for each of its bytes, twice.

    Returns:
        ``alone`` and ``given`` in bits per character of the held-out texts (line ends are
        packed but not counted), ``characters``, and ``bytes_of_training``, the real tail.

    Raises:
        CourseError: one of the texts is empty.
    """
    characters = sum(map(len, held_out_texts))
    if not train_text or not characters or tail < 1:
        raise CourseError("there is no training text, no held-out text or no tail: give some text")
    shown = train_text[-tail:].encode()[-tail:] + b"\n"
    held_out = "\n".join(held_out_texts).encode()
    with ThreadPoolExecutor(2) as pool:
        alone, before, after = pool.map(packed_size, (held_out, shown, shown + held_out))
    return {
        "alone": 8 * alone / characters,
        "given": 8 * (after - before) / characters,
        "characters": characters,
        "bytes_of_training": len(shown) - 1,
    }


def packed_size(data: bytes) -> int:
    """Bytes of an xz file as of ``xz -9e``, but with a dictionary that holds all of the data."""
    how = {"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME,
           "dict_size": max(len(data), 4096)}
    return len(lzma.compress(data, filters=[how]))
