"""The exercises of the chapter "From MLM to prompts"."""

from __future__ import annotations

from functools import cache

import torch

from companion.exercises import prompts_hints as hints
from companion.exercises.old import Case, Exercise


def _share_cases() -> list[Case]:
    """Worked out by hand. In both, the first answer has the label of the smaller share."""
    labels = {"great": "pos", "fun": "pos", "good": "pos", "awful": "neg", "bad": "neg"}
    first = [("awful", 0.30), ("great", 0.20), ("not", 0.15), ("good", 0.10), ("fun", 0.10)]
    second = [("great", 0.25), ("bad", 0.20), ("the", 0.10), ("awful", 0.05), ("a", 0.02)]
    return [Case({"answers": first, "labels": labels}, 0.4 / 0.7),
            Case({"answers": second, "labels": labels}, 0.5)]


def _row_cases() -> list[Case]:
    """A text that is too long, one that fits exactly, and one with room to spare."""
    given = {"text": [11, 12, 13, 14, 15, 16], "before": [7], "after": [21, 22, 4, 23],
             "cls": 2, "sep": 3, "max_length": 10}
    return [
        Case(given, [2, 7, 11, 12, 13, 21, 22, 4, 23, 3]),
        Case(given | {"max_length": 13}, [2, 7, 11, 12, 13, 14, 15, 16, 21, 22, 4, 23, 3]),
        Case(given | {"before": [], "max_length": 20},
             [2, 11, 12, 13, 14, 15, 16, 21, 22, 4, 23, 3]),
    ]


@cache
def _word_cases() -> list[Case]:
    """The whole decoder of a random head, then the entries that are asked for."""
    source = torch.Generator().manual_seed(13)
    states, weight, bias = (torch.randn(shape, generator=source)
                            for shape in ((3, 6, 4), (9, 4), (9,)))
    given = {"states": states, "positions": torch.tensor([2, 4, 3]), "weight": weight,
             "bias": bias, "words": torch.tensor([5, 0, 7])}
    every = torch.nn.functional.linear(states, weight, bias)
    expected = torch.stack([every[row, at][given["words"]] for row, at in enumerate((2, 4, 3))])
    return [Case(given, expected)]


def _calibrate_cases() -> list[Case]:
    """The multiplication with a diagonal matrix and the normalisation of Zhao et al. (2021)."""
    probabilities = torch.tensor([[0.30, 0.70], [0.10, 0.90], [0.60, 0.40]])
    free = torch.tensor([0.20, 0.80])
    three = torch.tensor([[0.5, 0.3, 0.2], [0.2, 0.2, 0.6]]), torch.tensor([0.6, 0.3, 0.1])
    return [Case({"probabilities": p, "free": f}, _zhao(p, f))
            for p, f in ((probabilities, free), three)]


def _zhao(probabilities: torch.Tensor, free: torch.Tensor) -> torch.Tensor:
    moved = probabilities @ torch.diag(free).inverse()
    return moved / moved.sum(1, keepdim=True)


EXERCISES = (
    Exercise(
        id="prompts-share", function="positive_share", results=("the share",),
        success="several words say more than the first one.",
        cases=_share_cases, hint=hints.share),
    Exercise(
        id="prompts-row", function="prompt_row", results=("the row",),
        success="only the text is cut, and only when it has to be.",
        cases=_row_cases, hint=hints.row),
    Exercise(
        id="prompts-words", function="word_logits", results=("the logits",),
        success="these are the numbers of the whole decoder, from a few of its rows.",
        cases=_word_cases, hint=hints.words),
    Exercise(
        id="prompts-calibrate", function="calibrated", results=("the probabilities",),
        success="a text that says nothing now gets the same probability for every label.",
        cases=_calibrate_cases, hint=hints.calibrate),
)
