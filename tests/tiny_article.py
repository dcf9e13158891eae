"""A tiny masked LM that knows the article's words, and sentences to tune it on."""

import tiny
import torch

from companion.prompting import Prompting
from companion.tokenization import train_wordpiece

WORDS = "great good amazing bad awful terrible since because it was . a fine film dull play"
GOOD, BAD = ["great", "good"], ["bad", "awful", "terrible"]
PROMPT = "because it was [MASK]."
PRAISE, BLAME = "a fine film", "a dull play"
SENTENCES, LABELS = [PRAISE, BLAME] * 4, [1, 0] * 4


def tokenizer():
    return train_wordpiece([*tiny.texts(20), *[WORDS] * 50], 260)


def model(vocabulary: int, **config):
    """Random weights, so large that no two words score alike."""
    torch.manual_seed(1)
    config = {"initializer_range": 0.3, "layers": 2, "max_position_embeddings": 48} | config
    return tiny.model(vocabulary=vocabulary, **config)


def prompting(kind=Prompting, **config):
    vocabulary = tokenizer()
    return kind(model(len(vocabulary), **config), vocabulary)


def folder(place):
    """The same model and tokenizer, as files."""
    vocabulary = tokenizer()
    model(len(vocabulary)).save_pretrained(place)
    vocabulary.save_pretrained(place)
    return place
