"""One tiny model with random weights of each of the three kinds, for one vocabulary."""

import tiny
import torch
from transformers import GPT2Config, GPT2LMHeadModel, T5Config, T5ForConditionalGeneration

from companion.objectives.spans import with_sentinels

KINDS = ("masked", "causal", "spans")


def tokenizer(sentinels: int = 0):
    found = tiny.wordpiece()
    found.eos_token = found.sep_token
    return with_sentinels(found, sentinels) if sentinels else found


def model(kind: str, seed: int = 0, width: int = 16):
    """Weights are wide, so that answers differ clearly from place to place."""
    made = tokenizer(4 if kind == "spans" else 0)
    torch.manual_seed(seed)
    if kind == "masked":
        built = tiny.model(vocabulary=len(made), width=width, initializer_range=0.5)
    elif kind == "causal":
        built = GPT2LMHeadModel(GPT2Config(
            vocab_size=len(made), n_embd=width, n_layer=1, n_head=2, n_positions=64,
            initializer_range=0.5, bos_token_id=3, eos_token_id=3))
    else:
        built = T5ForConditionalGeneration(T5Config(
            vocab_size=len(made), d_model=width, d_kv=8, d_ff=32, num_layers=1, num_heads=2,
            initializer_factor=2.0, decoder_start_token_id=0, pad_token_id=0, eos_token_id=3))
    return built.eval(), made
