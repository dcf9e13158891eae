"""Tiny texts, tokenizers and models, made from a few sentences. Nothing is loaded."""

import random

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AlbertConfig,
    AlbertForMaskedLM,
    BertConfig,
    BertForMaskedLM,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForMaskedLM,
)

from companion.tokenization import train_wordpiece

WHO = "the teacher|a small dog|her neighbour|the old gardener|my brother|the captain".split("|")
DOES = "watches|remembers|carries|understands|paints|forgets".split("|")
WHAT = "a wooden house|the broken window|seven apples|an unusual story|the river".split("|")
WHEN = "in the morning|after the rain|every winter|without a reason|before breakfast".split("|")
PARTS = (WHO, DOES, WHAT, WHEN)


def texts(count: int, seed: int = 0) -> list[str]:
    """Texts of two sentences each: "the teacher watches the river every winter ." """
    draw = random.Random(seed)
    return [
        " ".join(" ".join(draw.choice(part) for part in PARTS) + " ." for _ in range(2))
        for _ in range(count)
    ]


def wordpiece(size: int = 120) -> PreTrainedTokenizerFast:
    """So few entries that most words are written in several pieces."""
    return train_wordpiece(texts(200), size)


def byte_bpe() -> PreTrainedTokenizerFast:
    """As RoBERTa's, with entries such as ``####`` that look like WordPiece."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=special, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    backend.train_from_iterator(["######## " * 50, *texts(200)], trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, cls_token="<s>", pad_token="<pad>", sep_token="</s>",
        unk_token="<unk>", mask_token="<mask>",
    )


def sentencepiece() -> PreTrainedTokenizerFast:
    """As ALBERT's: unigram pieces, ``▁`` where a word begins."""
    backend = Tokenizer(models.Unigram())
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Metaspace()
    special = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.UnigramTrainer(
        vocab_size=60, special_tokens=special, unk_token="<unk>", show_progress=False
    )
    backend.train_from_iterator(texts(200), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, cls_token="[CLS]", pad_token="<pad>", sep_token="[SEP]",
        unk_token="<unk>", mask_token="[MASK]",
    )


def rows(tokenizer, count: int, length: int, seed: int = 0) -> np.ndarray:
    """Rows of random ordinary ids with ``[CLS]``, ``[SEP]`` and a few ``[SEP]`` inside."""
    draw = np.random.default_rng(seed)
    special = set(tokenizer.all_special_ids)
    ordinary = [i for i in range(len(tokenizer)) if i not in special]
    ids = draw.choice(ordinary, (count, length))
    ids[draw.random(ids.shape) < 0.02] = tokenizer.sep_token_id
    ids[:, 0], ids[:, -1] = tokenizer.cls_token_id, tokenizer.sep_token_id
    return ids.astype(np.uint16)


def model(family: str = "bert", vocabulary: int = 120, width: int = 16, layers: int = 1,
          heads: int = 2, **config):
    """A masked LM with random weights, in evaluation mode (no dropout)."""
    kinds = {"bert": (BertConfig, BertForMaskedLM), "albert": (AlbertConfig, AlbertForMaskedLM),
             "roberta": (RobertaConfig, RobertaForMaskedLM)}
    settings, kind = kinds[family]
    if family == "albert":
        config = {"embedding_size": width // 2} | config
    return kind(settings(
        vocab_size=vocabulary, hidden_size=width, num_hidden_layers=layers,
        num_attention_heads=heads, intermediate_size=2 * width,
        **{"pad_token_id": 0, "max_position_embeddings": 64} | config,
    )).eval()
