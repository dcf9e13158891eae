"""The exercises of the chapter "The article, reproduced and repaired"."""

from __future__ import annotations

import torch
from torch.nn import functional

from companion.exercises import article_hints as hints
from companion.exercises.old import Case, Exercise


def _shares_cases() -> list[Case]:
    """Probabilities that are easy to write down, then the same logits 7 higher, then large ones."""
    logits = torch.tensor([0.02, 0.30, 0.10, 0.05, 0.15, 0.38]).log()
    given = {"logits": logits, "first": [1, 2], "second": [3, 4, 0]}
    # Means 0.20 and 0.22 / 3, whose shares are 60 / 82 and 22 / 82.
    right = torch.tensor([60 / 82, 22 / 82])
    large = {"logits": torch.tensor([200.0, 199.0, -300.0, 201.0]), "first": [0, 1], "second": [3]}
    odds = torch.tensor([1.0, torch.e]).sum().log() - torch.tensor(2.0).log() - 2
    return [Case(given, right), Case(given | {"logits": logits + 7}, right),
            Case(large, torch.stack([odds, -odds]).sigmoid())]


def _words_cases() -> list[Case]:
    vocabulary = {"[UNK]": 1, "great": 9, "good": 4, "##good": 5, "bad": 0, "amazing": 7}
    return [Case({"words": ["great", "amazin", "good"], "vocabulary": vocabulary},
                 ([9, 4], ["amazin"])),
            Case({"words": ["awfull", "bad"], "vocabulary": vocabulary}, ([0], ["awfull"])),
            Case({"words": ["good"], "vocabulary": vocabulary}, ([4], []))]


def _row_cases() -> list[Case]:
    """A row that fits exactly, one that does not, and one whose sentence nearly goes."""
    given = {"sentence": [11, 12, 13, 14], "prompt": [21, 4, 22], "cls": 2, "sep": 3,
             "max_length": 9}
    return [Case(given | {"sentence": [11, 12, 13, 14, 15, 16], "max_length": 8},
                 [2, 11, 12, 13, 21, 4, 22, 3]),
            Case(given, [2, 11, 12, 13, 14, 21, 4, 22, 3]),
            Case(given | {"max_length": 6}, [2, 11, 21, 4, 22, 3])]


def _loss_cases() -> list[Case]:
    """The loss from log-odds, by torch's loss for two classes."""
    logits = torch.tensor([[1.0, 4.0, 2.5, -1.0], [0.5, -2.0, 1.0, 3.0], [2.0, 0.0, -3.0, 1.5]])
    labels = torch.tensor([1, 0, 1])
    odds = logits[:, 1] - logits[:, 2]
    right = functional.binary_cross_entropy_with_logits(odds, labels.float())
    given = {"logits": logits.requires_grad_(), "labels": labels, "good": 1, "bad": 2}
    return [Case(given, right.detach().requires_grad_())]


class Detached(torch.Tensor):
    """An expected tensor that equals another one only if no gradient is attached to that."""

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        if function is torch.allclose and any(tensor.requires_grad for tensor in args[:2]):
            return False
        return super().__torch_function__(function, types, args, kwargs)


def _steps_cases() -> list[Case]:
    """Five examples in batches of two: the last batch has one. Gradients worked out by hand."""
    inputs = torch.tensor([[1.0, 0.5], [-0.5, 2.0], [0.0, -1.0], [1.5, 1.0], [-2.0, 0.5]])
    targets = torch.tensor([1.0, 0.0, 1.0, 1.0, 0.0])
    given = {"weight": torch.tensor([0.2, -0.4]), "inputs": inputs, "targets": targets,
             "size": 2, "rate": 0.5}
    return [Case(given, hints.descended(**given).as_subclass(Detached))]


EXERCISES = (
    Exercise(
        id="article-shares", function="list_shares", results=("the shares",),
        success="lists of any length can be compared, and a shift of all logits changes nothing.",
        cases=_shares_cases, hint=hints.shares),
    Exercise(
        id="article-words", function="look_up", results=("the ids", "the unknown words"),
        success="an unknown word is reported instead of counted.",
        cases=_words_cases, hint=hints.words),
    Exercise(
        id="article-row", function="training_row", results=("the row",),
        success="the row is built as in pretraining, and the prompt is always whole.",
        cases=_row_cases, hint=hints.row),
    Exercise(
        id="article-loss", function="two_word_loss", results=("the loss",),
        success="one softmax over two words, and label 1 means good.",
        cases=_loss_cases, hint=hints.loss, error_hint=hints.loss_error),
    Exercise(
        id="article-steps", function="one_pass", results=("the weight",),
        success="each step uses the gradient of its own batch and of nothing else.",
        cases=_steps_cases, hint=hints.steps),
)
