"""Vocabularies, and packing text into rows of one length.

Packing: texts are tokenised, joined with ``[SEP]`` between them and cut into rows of a
fixed length ("FULL-SENTENCES" in the RoBERTa paper, Liu et al., 2019, section 4.2). No
position is padding, so no attention mask is needed and no arithmetic is wasted.
"""

import json
import sys
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import numpy as np
from tokenizers import (
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from companion.errors import CourseError
from companion.guards import door, is_count

SPECIAL = {
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}
UNKNOWN = 1 / 3  # a text with a larger share of [UNK] is not read, and a warning says so
FEW = 20
LARGEST = 10_000_000  # entries of a vocabulary; the trainers make room for all that are asked for
BATCH = 1000  # texts handed to the tokenizer at a time; bounds memory, changes no result


def bert_tokenizer(backend: Tokenizer, max_length: int) -> PreTrainedTokenizerFast:
    cls, sep = (backend.token_to_id(SPECIAL[k]) for k in ("cls_token", "sep_token"))
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", cls), ("[SEP]", sep)],
    )
    backend.decoder = decoders.WordPiece()
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, model_max_length=max_length, **SPECIAL,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )


@door
def train_wordpiece(
    texts: Iterable[str], vocab_size: int, lowercase: bool = True, max_length: int = 512
) -> PreTrainedTokenizerFast:
    """A WordPiece tokenizer in BERT's form, trained on ``texts`` (Devlin et al., 2019).

    The same texts, in whatever order, give the same vocabulary.

    Args:
        texts: the training texts; at least one must not be empty.
        vocab_size: the largest number of entries, the five special tokens included.

    Returns:
        A tokenizer that writes ``[CLS] a [SEP]`` and ``[CLS] a [SEP] b [SEP]``.
    """
    _check_sizes(vocab_size, max_length)
    special = list(SPECIAL.values())
    # The trainer numbers the inner characters (``##a``) in an order that differs from run to
    # run, and breaks ties by number. So a first pass finds them, a second has them numbered.
    # For the first one, every word once is enough: the normaliser keeps spaces.
    once = {word for text in texts for word in text.split(" ")}
    inner = [t for t in _trained(once, 0, special, lowercase).get_vocab() if t.startswith("##")]
    trained = _trained(texts, vocab_size, special + sorted(inner), lowercase).get_vocab()
    if len(trained) <= len(SPECIAL):
        raise CourseError("the texts to train the vocabulary on are empty: give some text")
    if len(trained) > vocab_size:
        raise CourseError(f"vocab_size is {vocab_size}, but characters and special tokens alone "
                          f"are {len(trained)}: raise it")
    return bert_tokenizer(_wordpiece(trained, lowercase), max_length)


@door
def train_bpe(
    texts: Iterable[str], vocab_size: int, lowercase: bool = False, max_length: int = 1024
) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer as GPT-2's (Radford et al., 2019, section 2.2).

    Its alphabet is the 256 bytes, so it can write any text, and gives back every text as it
    was (with ``lowercase``: in small letters).

    Args:
        texts: the training texts.
        vocab_size: the largest number of entries; two special tokens and 256 bytes come first.

    Returns:
        A tokenizer with ``<|endoftext|>`` as eos and a pad token of its own. It adds no
        special tokens by itself.
    """
    _check_sizes(vocab_size, max_length)
    special = {"eos_token": "<|endoftext|>", "pad_token": "<|pad|>"}
    if vocab_size < len(special) + 256:
        raise CourseError(f"vocab_size is {vocab_size}: give at least {len(special) + 256}, for "
                          "the 256 bytes and 2 special tokens")
    backend = Tokenizer(models.BPE())
    if lowercase:
        backend.normalizer = normalizers.Lowercase()
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, special_tokens=list(special.values()), show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    backend.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, model_max_length=max_length, clean_up_tokenization_spaces=False,
        model_input_names=["input_ids", "attention_mask"], **special,
    )


@door
def train_characters(
    texts: Iterable[str], vocab_size: int, max_length: int = 512
) -> PreTrainedTokenizerFast:
    """A tokenizer whose tokens are single characters, in BERT's form.

    Chinese models read characters (Devlin et al., 2019, released such a vocabulary). Here Latin
    letters and digits are single tokens too, so that token i of a text without spaces is its
    character i. Letters become small. White space is no token.

    Args:
        texts: the training texts; at least one must not be empty.
        vocab_size: the largest number of entries: the five special tokens, then the most
            frequent characters. All others become ``[UNK]``.
    """
    _check_sizes(vocab_size, max_length)
    normaliser = normalizers.BertNormalizer(lowercase=True, handle_chinese_chars=False)
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(normaliser.normalize_str(text))
    # Ties are broken by the character, so that the order of the texts decides nothing.
    known = sorted((c for c in counts if not c.isspace()), key=lambda c: (-counts[c], c))
    if not known:
        raise CourseError("the texts to train the vocabulary on are empty: give some text")
    entries = [*SPECIAL.values(), *known][:vocab_size]
    backend = Tokenizer(models.WordLevel({t: i for i, t in enumerate(entries)}, unk_token="[UNK]"))
    backend.normalizer = normaliser
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split(Regex("."), "isolated")])
    return bert_tokenizer(backend, max_length)


def _check_sizes(vocab_size: int, max_length: int) -> None:
    if vocab_size <= len(SPECIAL):
        raise CourseError(f"vocab_size is {vocab_size}: give more than the 5 special tokens")
    if vocab_size > LARGEST:
        raise CourseError(f"vocab_size is {vocab_size:,}: give at most {LARGEST:,}")
    if max_length < 1:
        raise CourseError(f"max_length is {max_length}: give at least 1 token")


def _wordpiece(vocabulary: dict[str, int], lowercase: bool) -> Tokenizer:
    backend = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return backend


def _trained(texts: Iterable[str], size: int, fixed: list[str], lowercase: bool) -> Tokenizer:
    """Entries ``fixed`` come first, in this order."""
    backend = _wordpiece({}, lowercase)
    trainer = trainers.WordPieceTrainer(
        vocab_size=size, special_tokens=fixed, show_progress=False
    )
    backend.train_from_iterator(texts, trainer)
    return backend


@door
def cut_vocabulary(
    tokenizer: PreTrainedTokenizerBase, texts: Iterable[str], size: int
) -> tuple[PreTrainedTokenizerFast, np.ndarray]:
    """A smaller WordPiece vocabulary: the entries that ``texts`` use most.

    Special tokens and single characters always stay, so that every word that could be
    written before still can be, if in more pieces. The order of the entries is kept.

    Returns:
        ``(tokenizer, kept)``: ``kept`` of shape (new size,) holds the old id of every new
        id, so ``embeddings[kept]`` are the new tokenizer's embeddings.
    """
    state = json.loads(fast_backend(tokenizer).to_str())
    if state["model"]["type"] != "WordPiece":
        raise CourseError("only a WordPiece vocabulary can be cut: start from a BERT tokenizer")
    vocabulary = state["model"]["vocab"]
    kept = {vocabulary[token] for token in SPECIAL.values()}
    kept |= {i for token, i in vocabulary.items() if len(token.removeprefix("##")) == 1}
    if size < len(kept):
        raise CourseError(
            f"size is {size}, but characters and special tokens alone are {len(kept)}: raise it"
        )
    counts: Counter[int] = Counter()
    for ids in encode(tokenizer, texts):
        counts.update(ids)
    for token_id, _ in counts.most_common():
        if len(kept) == size:
            break
        kept.add(token_id)
    old = np.array(sorted(kept))
    tokens = tokenizer.convert_ids_to_tokens(old.tolist())
    backend = Tokenizer(models.WordPiece(
        dict(zip(tokens, range(len(old)))), unk_token="[UNK]",
        max_input_chars_per_word=state["model"]["max_input_chars_per_word"],
    ))
    backend.normalizer = tokenizer.backend_tokenizer.normalizer
    backend.pre_tokenizer = tokenizer.backend_tokenizer.pre_tokenizer
    return bert_tokenizer(backend, 512), old


@door
def encode(tokenizer: PreTrainedTokenizerBase, texts: Iterable[str]) -> Iterator[list[int]]:
    """The ids of one text after another, without special tokens and never cut.

    Raises:
        CourseError: a slow tokenizer.
    """
    return _encoded(fast_backend(tokenizer), texts)


def fast_backend(tokenizer: PreTrainedTokenizerBase) -> Tokenizer:
    """The fast implementation of a tokenizer, which neither cuts nor pads.

    Raises:
        CourseError: a slow tokenizer, which is written in Python and has none.
    """
    if not getattr(tokenizer, "is_fast", False):
        raise CourseError(f"{type(tokenizer).__name__} is a slow tokenizer: use a fast tokenizer")
    backend = tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    return backend


def only_special(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether a tokenizer knows special tokens only.

    transformers makes such a one, and says nothing, where a tokenizer's files are missing.
    """
    return set(tokenizer.get_vocab().values()) <= set(tokenizer.all_special_ids)


def _encoded(backend: Tokenizer, texts: Iterable[str]) -> Iterator[list[int]]:
    texts = iter(texts)
    while batch := list(islice(texts, BATCH)):
        for encoding in backend.encode_batch(batch, add_special_tokens=False):
            yield encoding.ids


@door
def by_length(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], length: int, size: int = 64
) -> Iterator[tuple[list[int], dict]]:
    """Texts as padded batches; those of about the same length together, to save padding.

    Args:
        length: tokens in a row, with special tokens; longer texts are cut.
        size: texts in a batch.

    Returns:
        An iterator over batches: the places in ``texts``, and ``input_ids`` and
        ``attention_mask``.

    Raises:
        CourseError: no text, a length or size below 1.
    """
    if not texts:
        raise CourseError("there is nothing to encode: give a list of texts")
    if not is_count(length) or not is_count(size):
        raise CourseError(f"length is {length} and size is {size}: give at least 1 of each")
    order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
    parts = (order[start : start + size] for start in range(0, len(texts), size))
    return ((which, tokenizer([texts[place] for place in which], padding=True, truncation=True,
                              max_length=length, return_tensors="pt")) for which in parts)


@door
def pack(
    texts: Iterable[str], tokenizer: PreTrainedTokenizerBase, length: int = 128
) -> np.ndarray:
    """Texts as rows of token ids of one length, without padding.

    Every row begins with ``[CLS]`` and ends with ``[SEP]``; texts follow one another with
    ``[SEP]`` between them. What does not fill the last row is left out.

    Returns:
        Array of shape (rows, length), uint16 while the vocabulary allows it.
    """
    return _rows(_encoded(fast_backend(tokenizer), texts), tokenizer, length)


def smallest_type(tokenizer: PreTrainedTokenizerBase) -> type:
    """The type of the ids in packed rows: two bytes an id while they are enough."""
    return np.uint16 if len(tokenizer) <= 2**16 else np.int32


@door
def pack_ids(
    texts: Iterable[list[int]], tokenizer: PreTrainedTokenizerBase, length: int = 128
) -> np.ndarray:
    """The same as ``pack`` for texts that are token ids already."""
    return _rows(texts, tokenizer, length)


def _rows(texts: Iterable[list[int]], tokenizer: PreTrainedTokenizerBase,
          length: int) -> np.ndarray:
    if length < 3:
        raise CourseError(f"length is {length}: a row needs room for [CLS], a token and [SEP]")
    if tokenizer.cls_token_id is None or tokenizer.sep_token_id is None:
        raise CourseError("this tokenizer has no [CLS] or no [SEP]: use one of a masked LM")
    kind = smallest_type(tokenizer)
    parts = []
    for ids in texts:
        if len(ids) and not 0 <= min(ids) <= max(ids) < len(tokenizer):
            raise CourseError(f"there are ids outside 0..{len(tokenizer) - 1}: encode the texts "
                              "with this tokenizer")
        if len(ids):
            parts.append(np.array([*ids, tokenizer.sep_token_id], kind))
    flat = np.concatenate(parts) if parts else np.zeros(0, kind)
    inner = length - 2
    rows = len(flat) // inner
    if not rows:
        raise CourseError(
            f"{len(flat)} tokens do not fill one row of {length}: give more text or shorter rows"
        )
    packed = np.empty((rows, length), kind)
    packed[:, 0] = tokenizer.cls_token_id
    packed[:, 1:-1] = flat[: rows * inner].reshape(rows, inner)
    packed[:, -1] = tokenizer.sep_token_id
    return packed


@door
def word_starts(tokenizer: PreTrainedTokenizerBase) -> np.ndarray:
    """For every vocabulary entry, whether it begins a word. Shape (vocabulary size,), bool.

    WordPiece marks continuations (``##ing``); byte-level BPE and SentencePiece mark
    beginnings (``Ġ`` and ``▁``). Where no entry has a mark, every entry is a word.
    """
    tokens: Sequence[str] = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    mark = _mark(tokens)
    if mark == "##":
        return np.array([not token.startswith("##") for token in tokens])
    special = set(tokenizer.all_special_tokens)
    return np.array([token.startswith(mark) or token in special for token in tokens])


def marks_beginnings(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether a token that begins a word after a space has a mark (``Ġ``, ``▁``)."""
    return _mark(tokenizer.convert_ids_to_tokens(range(len(tokenizer)))) != "##"


def _mark(tokens: Sequence[str]) -> str:
    """The commonest mark decides: the vocabulary of RoBERTa has a few entries such as "####"."""
    counts = {mark: sum(t.startswith(mark) for t in tokens) for mark in ("##", "Ġ", "▁")}
    return max(counts, key=counts.__getitem__)  # without any mark "##", as no token continues


@door
def unknown_share(rows: Iterable[Sequence[int]], tokenizer: PreTrainedTokenizerBase) -> list[float]:
    """Of each row of token ids, the share that is ``[UNK]``; special tokens do not count."""
    special, unknown = set(tokenizer.all_special_ids), tokenizer.unk_token_id
    shares = []
    for ids in rows:
        lost = sum(i == unknown for i in ids)
        read = lost + sum(i not in special for i in ids)
        shares.append(lost / read if read else 0.0)
    return shares


def warn_of_unknown(shares: Sequence[float]) -> None:
    """Warn in one line when more than a third of the tokens of a text are ``[UNK]``.

    Of many texts, one in ``FEW`` must be such: a rare name in a corpus is no sign.
    """
    many = [share for share in shares if share > UNKNOWN]
    if many and len(many) * FEW >= len(shares):
        warnings.warn(f"{len(many)} of {len(shares)} texts are mostly unknown to the tokenizer "
                      f"(up to {max(many):.0%} of the tokens are [UNK]): use a model of their "
                      "language", stacklevel=_frames_of_ours())


def _frames_of_ours() -> int:
    """How far up the call from outside the package is, seen from the function that asks."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__", "").startswith("companion."):
        level, frame = level + 1, frame.f_back
    return level
