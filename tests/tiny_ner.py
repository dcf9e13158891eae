"""Tiny taggers: a character vocabulary, an ALBERT of one layer with random weights, few names."""

import random
from pathlib import Path

import torch
from transformers import AlbertConfig, AlbertForMaskedLM, BertConfig, BertForMaskedLM

from companion.entity import Entity, Example
from companion.ner.tagger import AlbertTagger
from companion.tokenization import train_wordpiece

NAMES = {"PER": ["王明", "李小红", "江泽民"], "LOC": ["北京", "上海", "黑龙江"],
         "ORG": ["人民大学", "国务院"]}
FRAMES = ["{}来到{}。", "{}说，{}的春天很美", "在{}，{}看了1998年的展览VCD", "{}和{}",
          "今天没有雨。"]


def examples(count: int, seed: int = 0) -> list[Example]:
    """Sentences with up to two entities at known places."""
    draw, made = random.Random(seed), []
    for _ in range(count):
        text, found = "", []
        for part in draw.choice(FRAMES).replace("{}", "\0{}\0").split("\0"):
            if part == "{}":
                kind = draw.choice(list(NAMES))
                part = draw.choice(NAMES[kind])
                found.append(Entity(len(text), len(text) + len(part), kind, part))
            text += part
        made.append(Example(text, tuple(found)))
    return made


def tokenizer():
    """Every character of the sentences, and pieces of digits and Latin letters."""
    texts = [e.text for e in examples(200)]
    return train_wordpiece([" ".join(t) for t in texts] + ["1998 VCD a b c"], 400)


def encoder(folder: Path, family: str = "albert", positions: int = 32, width: int = 16,
            layers: int = 2, seed: int = 0, **config) -> Path:
    """A folder with a random masked LM of this family, weights so large that labels differ."""
    kinds = {"albert": (AlbertConfig, AlbertForMaskedLM),
             "bert": (BertConfig, BertForMaskedLM)}
    settings, kind = kinds[family]
    made, extra = tokenizer(), {"embedding_size": 8} if family == "albert" else {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = kind(settings(
            vocab_size=len(made), hidden_size=width, num_hidden_layers=layers,
            num_attention_heads=2, intermediate_size=2 * width,
            max_position_embeddings=positions, pad_token_id=made.pad_token_id,
            **{"initializer_range": 0.3, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0,
               "classifier_dropout_prob": 0.0} | extra | config))
    model.save_pretrained(folder)
    made.save_pretrained(folder)
    return folder


def tagger(folder: Path, spread: float = 1.0, **arguments) -> AlbertTagger:
    """An untrained tagger whose scores are far enough apart that it finds something."""
    made = AlbertTagger.new(encoder(folder), **arguments)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(1)
        made.network.classifier.weight.normal_(std=spread)
        if made.network.crf is not None:
            for parameter in made.network.crf.parameters():
                parameter.normal_()
    return made
