"""The exercises of the chapter "Masked language modelling"."""

from __future__ import annotations

import math
from functools import cache

import torch

from companion.exercises import masked_hints as hints
from companion.exercises.exercise import Case, Exercise


def _positions_cases() -> list[Case]:
    """A pair of sentences with padding, then ids of another tokenizer: two known sequences."""
    given = {"ids": torch.tensor([101, 2023, 2003, 102, 2204, 102, 0, 0]),
             "special_ids": [101, 102, 0]}
    other = {"ids": torch.tensor([0, 101, 713, 2, 102, 2, 1]), "special_ids": [0, 2, 1]}
    return [Case(given, torch.tensor([0, 1, 1, 0, 1, 0, 0, 0]).bool()),
            Case(other, torch.tensor([0, 1, 1, 0, 1, 0, 0]).bool())]


def _apply_cases() -> list[Case]:
    """One example worked out by hand, then a larger one from the rule written as `torch.where`."""
    given = {
        "ids": torch.tensor([[2, 11, 12, 13, 14, 3], [2, 15, 16, 17, 3, 0]]),
        "chosen": torch.tensor([[0, 1, 1, 1, 0, 0], [0, 1, 0, 1, 0, 0]]).bool(),
        "kinds": torch.tensor([[.10, .30, .85, .95, .20, .97], [.85, .50, .88, .92, .40, .10]]),
        "mask_id": 4,
        "random_ids": torch.tensor([[20, 21, 22, 23, 24, 25], [30, 31, 32, 33, 34, 35]]),
    }
    inputs = torch.tensor([[2, 4, 22, 13, 14, 3], [2, 4, 16, 17, 3, 0]])
    labels = torch.tensor([[-100, 11, 12, 13, -100, -100], [-100, 15, -100, 17, -100, -100]])
    return [Case(given, (inputs, labels)), _large_apply_case()]


def _large_apply_case() -> Case:
    source = torch.Generator().manual_seed(13)
    # So few ids that a random id is often the original one: its label must stay all the same.
    ids, random_ids = torch.randint(5, 9, (2, 8, 32), generator=source)
    chosen = torch.rand((8, 32), generator=source) < 0.5
    kinds = torch.rand((8, 32), generator=source)
    masked = torch.where(kinds < 0.8, 4, torch.where(kinds < 0.9, random_ids, ids))
    given = {"ids": ids, "chosen": chosen, "kinds": kinds, "mask_id": 4,
             "random_ids": random_ids}
    return Case(given, (torch.where(chosen, masked, ids), torch.where(chosen, ids, -100)))


@cache
def _loss_cases() -> list[Case]:
    """Logits and loss of `transformers.BertForMaskedLM`, with random weights."""
    from transformers import BertConfig, BertForMaskedLM

    # Weights this large make the classes unequal, so that wrong losses have other values.
    config = BertConfig(vocab_size=11, hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
                        intermediate_size=16, max_position_embeddings=8, initializer_range=1.0)
    ids = torch.tensor([[2, 5, 4, 6, 4, 3], [2, 4, 7, 8, 9, 3], [2, 6, 4, 4, 4, 3]])
    # Class 0 is among the labels, and no two rows count the same number of positions.
    labels = torch.full_like(ids, -100)
    labels[0, 2], labels[0, 4], labels[1, 1] = 5, 0, 10
    labels[2, 1:5] = torch.tensor([6, 8, 0, 3])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(13)
        model = BertForMaskedLM(config).eval()
    with torch.no_grad():
        out = model(input_ids=ids, labels=labels)
    given = {"logits": out.logits.requires_grad_(), "labels": labels}
    return [Case(given, out.loss.requires_grad_())]


def _fresh_cases() -> list[Case]:
    return [Case({"vocab_size": size}, math.log(size)) for size in (30522, 12000, 7)]


def _words_cases() -> list[Case]:
    """A row worked out by hand, then the words that the `tokenizers` library itself reports."""
    tokens = "[CLS] a re ##mark ##able film , well act ##ed [SEP] [PAD]".split()
    by_hand = [[1], [2, 3, 4], [5], [6], [7], [8, 9]]
    return [Case({"tokens": tokens}, by_hand), _library_words_case()]


@cache
def _library_words_case() -> Case:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    pieces = "[PAD] [CLS] [SEP] [UNK] # 1 film ##s un ##like ##ly number".split()
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    tokenizer.enable_padding(length=12)
    row = tokenizer.encode("unlikely films", "# 1 film")
    groups: list[list[int]] = []
    for position, word in enumerate(row.word_ids):
        if word is None:
            continue
        same_word = position > 0 and row.word_ids[position - 1] == word
        if same_word:
            groups[-1].append(position)
        else:
            groups.append([position])
    return Case({"tokens": row.tokens}, groups)


def _share_cases() -> list[Case]:
    """The small vocabulary comes first: there, a random id is often the original one."""
    return [Case({"vocab_size": size, "share": share}, share * (0.8 + 0.1 * (size - 1) / size))
            for size, share in ((5, 0.15), (30522, 0.15), (12000, 0.4))]


EXERCISES = (
    Exercise(
        id="masked-positions", function="which_positions", results=("the mask",),
        success="words may be masked, special tokens and padding may not.",
        cases=_positions_cases, hint=hints.positions),
    Exercise(
        id="masked-apply", function="mask_ids", results=("inputs", "labels"),
        success="inputs and labels are those of BERT's 80/10/10 rule.",
        cases=_apply_cases, hint=hints.apply),
    Exercise(
        id="masked-loss", function="mlm_loss", results=("the loss",),
        success="your loss is the one that BertForMaskedLM computes.",
        cases=_loss_cases, hint=hints.loss, error_hint=hints.loss_error),
    Exercise(
        id="masked-fresh", function="fresh_loss", results=("the loss",),
        success="a model that knows nothing starts at this loss.",
        cases=_fresh_cases, hint=hints.fresh),
    Exercise(
        id="masked-whole-words", function="word_groups", results=("the groups",),
        success="the pieces of each word stay together.",
        cases=_words_cases, hint=hints.words),
    Exercise(
        id="masked-share", function="changed_share", results=("the share",),
        success="this is the share of positions that the model sees changed.",
        cases=_share_cases, hint=hints.share),
)
