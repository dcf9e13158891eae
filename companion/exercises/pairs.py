"""The exercises of the chapter "Sentence pairs"."""

from __future__ import annotations

from functools import cache

import torch

from companion.exercises import pairs_hints as hints
from companion.exercises.old import Case, Exercise


def _batch_cases() -> list[Case]:
    """Worked out by hand. Three changed pairs show the direction, two do not."""
    halves = [["Rain fell.", "It stopped."], ["He sang.", "They left."], ["Ann ran.", "She won."],
              ["Tea is hot.", "Wait."], ["Bo slept.", "He woke."]]
    three = [["Rain fell.", "They left."], ["He sang.", "He woke."], ["Ann ran.", "She won."],
             ["Tea is hot.", "Wait."], ["Bo slept.", "It stopped."]]
    two = [["Rain fell.", "It stopped."], ["He sang.", "Wait."], ["Ann ran.", "She won."],
           ["Tea is hot.", "They left."]]
    return [Case({"pairs": halves, "changed": [True, True, False, False, True]},
                 (three, [1, 1, 0, 0, 1])),
            Case({"pairs": halves[:4], "changed": [False, True, False, True]},
                 (two, [0, 1, 0, 1]))]


@cache
def _swap_cases() -> list[Case]:
    """The rows that a `BertTokenizer` writes for (A, B) and for (B, A)."""
    from transformers import BertTokenizer

    pieces = "[PAD] [UNK] [CLS] [SEP] [MASK] rain fell all day . it stopped he sang".split()
    tokenizer = BertTokenizer(vocab={piece: number for number, piece in enumerate(pieces)})
    texts = [("rain fell all day.", "it stopped.", 13), ("he sang.", "it fell all day.", 11),
             ("rain", "it stopped.", 10)]
    cases = []
    for a, b, length in texts:
        before, after = (tokenizer(*halves, padding="max_length", max_length=length,
                                   return_tensors="pt") for halves in ((a, b), (b, a)))
        given = {"ids": before["input_ids"][0], "segments": before["token_type_ids"][0],
                 "sep_id": tokenizer.sep_token_id}
        cases.append(Case(given, (after["input_ids"][0], after["token_type_ids"][0])))
    return cases


def _cut_cases() -> list[Case]:
    """Worked out by hand; the first room is odd, the next two have one short half."""
    a, b = [11, 12, 13, 14, 15, 16, 17], [21, 22, 23, 24, 25, 26]
    return [Case({"a": a, "b": b, "room": 9}, ([13, 14, 15, 16, 17], [21, 22, 23, 24])),
            Case({"a": a, "b": b[:3], "room": 6}, ([15, 16, 17], [21, 22, 23])),
            Case({"a": a[:1], "b": b, "room": 5}, ([11], [21, 22, 23, 24])),
            Case({"a": a[:3], "b": b[:2], "room": 5}, ([11, 12, 13], [21, 22]))]


@cache
def _loss_cases() -> list[Case]:
    """Logits and loss of `transformers.BertForNextSentencePrediction`, with random weights."""
    from transformers import BertConfig, BertForNextSentencePrediction

    config = BertConfig(vocab_size=11, hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
                        intermediate_size=16, max_position_embeddings=8, initializer_range=1.0)
    ids = torch.tensor([[2, 5, 4, 3, 4, 3], [2, 4, 3, 8, 9, 3], [2, 6, 3, 4, 4, 3],
                        [2, 7, 10, 3, 8, 3], [2, 9, 3, 10, 6, 3]])
    labels = torch.tensor([0, 1, 0, 0, 1])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(13)
        model = BertForNextSentencePrediction(config).eval()
    with torch.no_grad():
        out = model(input_ids=ids, labels=labels)
    given = {"logits": out.logits.requires_grad_(), "labels": labels}
    return [Case(given, out.loss.requires_grad_())]


def _leak_cases() -> list[Case]:
    """Worked out by hand: 12 of 15 (3: 2 of 3, 5: 3 of 4, 9: 1 of 2, 7: 4 of 4, 2: 2 of 2)."""
    return [Case({"seen": [3, 3, 3, 5, 5, 5, 5, 9, 9, 7, 7, 7, 7, 2, 2],
                  "labels": [0, 1, 0, 1, 1, 1, 0, 0, 1, 0, 0, 0, 0, 1, 1]}, 12 / 15),
            Case({"seen": ["first", "later", "later", "later", "later", "later"],
                  "labels": [1, 0, 0, 1, 1, 0]}, 4 / 6),
            Case({"seen": ["first", "later", "first", "later"], "labels": [1, 0, 1, 0]}, 1.0)]


def _restore_cases() -> list[Case]:
    """Worked out by hand; neither order is its own inverse, and no text is sorted."""
    return [Case({"sentences": ["Then tea.", "Bo slept.", "He woke.", "A bell rang."],
                  "places": [3, 0, 2, 1]},
                 ["Bo slept.", "A bell rang.", "He woke.", "Then tea."]),
            Case({"sentences": ["All clapped.", "Zoe ran.", "She won."], "places": [2, 0, 1]},
                 ["Zoe ran.", "She won.", "All clapped."])]


EXERCISES = (
    Exercise(
        id="pairs-batch", function="next_sentence_batch", results=("pairs", "labels"),
        success="both labels use the same halves, so no half gives its label away.",
        cases=_batch_cases, hint=hints.batch),
    Exercise(
        id="pairs-swap", function="swap_halves", results=("ids", "segments"),
        success="these are the rows that BertTokenizer writes for (B, A).",
        cases=_swap_cases, hint=hints.swap),
    Exercise(
        id="pairs-cut", function="cut_pair", results=("a", "b"),
        success="only the longer half loses tokens, and nothing is missing where the two meet.",
        cases=_cut_cases, hint=hints.cut),
    Exercise(
        id="pairs-loss", function="pair_loss", results=("the loss",),
        success="your loss is the one that BertForNextSentencePrediction computes.",
        cases=_loss_cases, hint=hints.loss, error_hint=hints.loss_error),
    Exercise(
        id="pairs-leak", function="best_accuracy", results=("the accuracy",),
        success="no rule that sees only this can do better.",
        cases=_leak_cases, hint=hints.leak),
    Exercise(
        id="pairs-restore", function="restore", results=("the sentences",),
        success="every sentence is back in its place.",
        cases=_restore_cases, hint=hints.restore),
)
