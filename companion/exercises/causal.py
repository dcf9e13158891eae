"""The exercises of the chapter "Causal language modelling"."""

from __future__ import annotations

import math
from functools import cache

import torch

from companion.exercises import causal_hints as hints
from companion.exercises.old import Case, Exercise


@cache
def _loss_cases() -> list[Case]:
    """Logits and loss of `transformers.GPT2LMHeadModel`, with random weights."""
    from transformers import GPT2Config, GPT2LMHeadModel

    # Weights this large make the classes unequal, so that wrong losses have other values.
    config = GPT2Config(vocab_size=11, n_embd=8, n_layer=1, n_head=2, n_positions=8,
                        initializer_range=1.0, bos_token_id=0, eos_token_id=0)
    ids = torch.tensor([[0, 5, 4, 6, 4, 3], [0, 2, 7, 8, 0, 3], [0, 6, 10, 1, 9, 3]])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(13)
        model = GPT2LMHeadModel(config).eval()
    model.loss_type = "ForCausalLM"  # its name does not say so, and transformers would warn
    with torch.no_grad():
        out = model(input_ids=ids, labels=ids)
    return [Case({"logits": out.logits.requires_grad_(), "ids": ids}, out.loss.requires_grad_())]


def _labels_cases() -> list[Case]:
    """Padding on the right, an end of text inside a row, and a token that is asked for twice."""
    given = {"ids": torch.tensor([[0, 11, 12, 0, 13, 0], [0, 14, 14, 0, 1, 1]]), "pad_id": 1}
    right = torch.tensor([[-100, 11, 12, 0, 13, 0], [-100, 14, 14, 0, -100, -100]])
    other = {"ids": torch.tensor([[7, 3, 3, 9, 9, 9]]), "pad_id": 9}
    return [Case(given, right), Case(other, torch.tensor([[-100, 3, 3, -100, -100, -100]]))]


def _mask_cases() -> list[Case]:
    """Two texts and a third of one token; then a row that is one text."""
    packed = torch.tensor([0, 0, 0, 1, 1, 2])
    by_hand = torch.tensor([[1, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0], [1, 1, 1, 0, 0, 0],
                            [0, 0, 0, 1, 0, 0], [0, 0, 0, 1, 1, 0], [0, 0, 0, 0, 0, 1]]).bool()
    # The same number may come back for another use of it in the course: 5 is one text here.
    return [Case({"texts": packed}, by_hand),
            Case({"texts": torch.full((4,), 5)}, torch.ones(4, 4).tril().bool())]


def _nucleus_cases() -> list[Case]:
    """Unsorted probabilities; the sum meets p inside a token, then exactly at one."""
    first = {"probabilities": torch.tensor([0.05, 0.40, 0.10, 0.25, 0.20]), "p": 0.7}
    kept = torch.tensor([0, 0.40, 0, 0.25, 0.20]) / 0.85
    # Halves, quarters and eighths are exact in binary: the sum reaches p without rounding.
    exact = {"probabilities": torch.tensor([0.125, 0.5, 0.125, 0.25]), "p": 0.75}
    flat = {"probabilities": torch.tensor([0.9, 0.06, 0.04]), "p": 0.5}
    return [Case(first, kept), Case(exact, torch.tensor([0, 0.5, 0, 0.25]) / 0.75),
            Case(flat, torch.tensor([1.0, 0.0, 0.0]))]


def _perplexity_cases() -> list[Case]:
    losses = torch.tensor([2.0, 0.5, 3.5, 1.0])
    return [Case({"losses": losses, "text": text}, math.exp(7.0 / len(text)))
            for text in ("a film well worth seeing", "naïve café", "电影很好看")]


EXERCISES = (
    Exercise(
        id="causal-loss", function="next_token_loss", results=("the loss",),
        success="your loss is the one that GPT2LMHeadModel computes.",
        cases=_loss_cases, hint=hints.loss, error_hint=hints.loss_error),
    Exercise(
        id="causal-labels", function="causal_labels", results=("the labels",),
        success="every token but the first has a label, the end of a text too; padding has none.",
        cases=_labels_cases, hint=hints.labels),
    Exercise(
        id="causal-mask", function="may_look", results=("the mask",),
        success="a position sees itself and what is to its left in its own text.",
        cases=_mask_cases, hint=hints.mask),
    Exercise(
        id="causal-nucleus", function="nucleus", results=("the probabilities",),
        success="the fewest tokens that reach p share all of the probability.",
        cases=_nucleus_cases, hint=hints.nucleus),
    Exercise(
        id="causal-perplexity", function="perplexity_per_character", results=("the perplexity",),
        success="this figure can be compared between models with different vocabularies.",
        cases=_perplexity_cases, hint=hints.perplexity),
)
