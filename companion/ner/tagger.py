"""A tagger: texts in, named entities with their places out."""

from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import torch
import transformers
from transformers import PreTrainedTokenizerBase

from companion import checkpoints
from companion.entity import Entity, Example
from companion.errors import CourseError
from companion.guards import door, is_count
from companion.ner import decoding, schemes, storing
from companion.ner import rows as reading
from companion.ner.bilstm import Characters
from companion.ner.network import Network, prepared
from companion.ner.rows import Rows
from companion.objectives import lengths
from companion.tokenization import unknown_share, warn_of_unknown

TYPES = ("PER", "LOC", "ORG")
CHUNK = 2000  # texts whose scores are in memory together


class AlbertTagger:
    """An encoder (ALBERT by default, BERT works too) with a head that tags tokens.

    Make one with `new`, `from_scratch` or `from_pretrained`; train it with
    `companion.ner.training`.

    Attributes:
        network: the `Network`, in evaluation mode.
        tokenizer: of the encoder.
        labels: names of the scores, such as ``["O", "B-PER", "I-PER"]``.
        scheme: ``"IO"``, ``"BIO"`` or ``"BIOES"``.
        unknown: for each text of the latest call, the share of its tokens that are ``[UNK]``.
            Nothing is ever cut off: long texts are read in windows.
    """

    def __init__(self, network: Network, tokenizer: PreTrainedTokenizerBase,
                 labels: Sequence[str], scheme: str = "BIO"):
        self.network, self.tokenizer = network.eval(), tokenizer
        self.labels, self.scheme = list(labels), scheme
        self.unknown: list[float] = []

    @classmethod
    @door
    def new(cls, encoder: str | Path = "albert-mini-zh", task: str = "linear",
            head: str = "softmax", frozen: bool = False, pretrained: bool = True, seed: int = 13,
            types: Sequence[str] = TYPES, scheme: str = "BIO", width: int = 128) -> "AlbertTagger":
        """An untrained tagger on an encoder.

        Args:
            encoder: a course checkpoint, a folder or a hub id, as `checkpoints.load` takes it.
            task, head, width, frozen: see `Network`. ``task="bilstm", frozen=True`` is the way
                of the article that the course grew from: features, and a task model on top.
            pretrained: False gives the same network random parameters, for comparison.
            seed: of all that is random at the start.
        """
        _check_start(seed, width)
        model, tokenizer = checkpoints.load(encoder, kind="encoder")
        if model.config.is_encoder_decoder:
            raise CourseError(f"{encoder} has a decoder, which reads no text to tag: use a model of "
                              "one part, such as albert-mini-zh")
        names = schemes.labels(types, scheme)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            if not pretrained:
                model = transformers.AutoModel.from_config(model.config)
            network = Network(prepared(model), names, scheme, task, head, width, frozen)
        return cls(network, tokenizer, names, scheme)

    @classmethod
    @door
    def from_scratch(cls, tokenizer: PreTrainedTokenizerBase, head: str = "crf", seed: int = 13,
                     types: Sequence[str] = TYPES, scheme: str = "BIO",
                     width: int = 128) -> "AlbertTagger":
        """A BiLSTM over random embeddings of the tokenizer's entries: the classical baseline."""
        _check_start(seed, width)
        names = schemes.labels(types, scheme)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            table = Characters(len(tokenizer), width, tokenizer.pad_token_id)
            network = Network(table, names, scheme, "bilstm", head, width, dropout=0.3)
        return cls(network, tokenizer, names, scheme)

    @classmethod
    @door
    def from_pretrained(cls, name: str | Path = "albert-ner-zh") -> "AlbertTagger":
        """A tagger that `save` has written, or a token classification model of transformers.

        Args:
            name: a course checkpoint, a folder, or a hub id.

        Raises:
            CourseError: a missing or damaged file; labels that belong to no tag scheme.
        """
        return cls(*storing.read(name))

    @door
    def save(self, folder: str | Path, half: bool = False) -> None:
        """Write a Hugging Face folder, whole or not at all; ``half`` stores float16.

        With the task model ``linear`` it is one of ``AlbertForTokenClassification`` (of
        ``BertForTokenClassification`` on a BERT). What transformers has no place for, a BiLSTM
        or a CRF, lies beside it in ``tagger.safetensors``.
        """
        storing.write(self, folder, half)

    @property
    def parameters(self) -> int:
        return sum(p.numel() for p in self.network.parameters())

    @property
    def longest(self) -> int:
        """Tokens of the longest row, ``[CLS]`` and ``[SEP]`` included."""
        return lengths.longest(self.network.encoder, self.tokenizer)

    @door
    def rows(self, sentences: Sequence[Example]) -> Rows:
        """Texts with entities as rows with labels, for training and validation.

        Raises:
            CourseError: an empty sentence; an entity of a type that the tagger does not have.
        """
        for number, sentence in enumerate(sentences):
            if not sentence.text.strip():
                raise CourseError(f"sentence {number} is empty: leave it out")
        made = reading.build([s.text for s in sentences], self.tokenizer, self.longest)
        self._note_unknown(made)
        return reading.labelled(made, [s.entities for s in sentences], self.labels, self.scheme,
                                chained=self.network.crf is not None)

    @door
    def predict(self, texts: Sequence[str], bf16: bool = False) -> list[list[Entity]]:
        """The entities of every text, in order, each with its text and its score.

        Any text is allowed: the empty one has no entities, and one that is longer than the
        encoder is read in overlapping windows. The score is the probability of the entity's
        labels: the product of the tokens' probabilities, or, with a CRF, their probability over
        all tag sequences.

        Args:
            bf16: compute in bf16, which is faster where the processor has it, and may change
                an entity where two labels are nearly equally probable.
        """
        found, parts = [], []
        for start in range(0, len(texts), CHUNK):
            made = reading.build(texts[start : start + CHUNK], self.tokenizer, self.longest)
            found += self.decode(made, bf16)
            parts.append(made)
        self._note_unknown(*parts)
        return found

    def _note_unknown(self, *parts: Rows) -> None:
        texts = (list(chain(*text.rows)) for rows in parts for text in rows.texts)
        self.unknown = unknown_share(texts, self.tokenizer)
        warn_of_unknown(self.unknown)

    @door
    def decode(self, rows: Rows, bf16: bool = False) -> list[list[Entity]]:
        """The entities of texts that are rows already."""
        scores = reading.emissions(self.network, rows, bf16)
        return decoding.entities(scores, rows, self.labels, self.scheme, self.network.crf)

    @door
    def f1(self, rows: Rows, bf16: bool = False) -> float:
        """Entity F1 over all types (exact place and type) on rows with labels."""
        found = self.decode(rows, bf16)
        right = sum(len(set(a) & set(b)) for a, b in zip(found, rows.entities, strict=True))
        return 2 * right / max(1, sum(map(len, found)) + sum(map(len, rows.entities)))


def _check_start(seed: int, width: int) -> None:
    if not 0 <= seed < 2**63 or not is_count(width) or width > 10**5:
        raise CourseError(f"seed is {seed} and width {width}: give a seed from 0 on, and a width "
                          "from 1 to 100,000")
