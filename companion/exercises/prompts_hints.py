"""Hints for the mistakes that are recognised in "From MLM to prompts".

Every function gets a case and a wrong answer that already has the right kind and shape. It
returns one hint, or None. A mistake is recognised by its result, never by reading the code.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from companion.exercises.compare import equal
from companion.exercises.old import Case


def _same_result(got: Any, wrong_results: Iterable[tuple[Any, str]]) -> str | None:
    """The hint of the wrong result that `got` is equal to."""
    return next((hint for wrong, hint in wrong_results if equal(wrong, got)), None)


def share(case: Case, got: Any) -> str | None:
    """Hints for `prompts-share`."""
    answers, labels = case.given["answers"], case.given["labels"]
    known = [(labels[word], p) for word, p in answers if word in labels]
    positive = [p for label, p in known if label == "pos"]
    return _same_result(got, [
        (1 - case.expected, "this is the share of the other label. The share of pos is asked."),
        (sum(positive), "the sum is not divided: divide by the probability of all answers that "
                        "have a label."),
        (sum(positive) / sum(p for _, p in answers),
         "words without a label are counted in the divisor. Leave them out: they say nothing "
         "about either label."),
        (len(positive) / len(known),
         "the words are counted. Add up their probabilities instead."),
        (float(known[0][0] == "pos"),
         "this looks at the first answer only. Add up the answers of each label."),
    ])


def row(case: Case, got: Any) -> str | None:
    """Hints for `prompts-row`."""
    text, before, after, cls, sep, most = case.given.values()
    whole = [cls, *before, *text, *after, sep]
    room = most - len(before) - len(after) - 2

    def built(part: list[int]) -> list[int]:
        return [cls, *before, *part, *after, sep]

    return _same_result(got, [
        (whole, "the row is longer than max_length: shorten the text."),
        (whole[:most], "the end of the row is cut off, and the mask with it. Cut the text, "
                       "before the template is put around it."),
        (whole[:most - 1] + [sep], "the end of the template is cut off. Cut the text only."),
        (built(text[:room + 2]), "the row is too long by two: [CLS] and [SEP] need room as well."),
        (built(text[-room:]), "the beginning of the text is cut off. Here its end is to go."),
        (built(text[:room - 1]), "the text is one token shorter than it needs to be."),
        ([*before, *text[:room], *after], "[CLS] and [SEP] are missing."),
        ([cls, *text[:room], *after, sep], "the part of the template before the text is missing."),
    ])


def words(case: Case, got: Tensor) -> str | None:
    """Hints for `prompts-words`."""
    states, positions, weight, bias, ids = case.given.values()
    at = states[torch.arange(len(states)), positions]
    return _same_result(got, [
        (at @ weight[ids].T, "the bias is missing. Each word has one, too."),
        (states[:, 0] @ weight[ids].T + bias[ids],
         "these are the logits at position 0, which is [CLS]. Take each row's own position."),
        (states[:, -1] @ weight[ids].T + bias[ids],
         "these are the logits at the last position. Take each row's own position."),
        (states[:, positions[0]] @ weight[ids].T + bias[ids],
         "all rows use the position of the first row. Each has its mask elsewhere."),
        (at @ weight[: len(ids)].T + bias[: len(ids)],
         "these are the first entries of the vocabulary. Take the rows that `words` names."),
        (case.expected.softmax(-1),
         "a softmax was applied. Return the logits as they are."),
    ])


def calibrate(case: Case, got: Tensor) -> str | None:
    """Hints for `prompts-calibrate`."""
    probabilities, free = case.given["probabilities"], case.given["free"]
    divided = probabilities / free
    times = probabilities * free
    return _same_result(got, [
        (probabilities, "nothing has changed: divide by the content-free probabilities."),
        (divided, "the rows do not sum to 1. Divide each by its sum."),
        (divided / divided.sum(0), "the columns sum to 1. The labels of one text are a row."),
        (divided.softmax(1), "a softmax is not what makes these sum to 1: divide by the sum."),
        (times / times.sum(1, keepdim=True),
         "the content-free probabilities are multiplied. That makes the preference stronger: "
         "divide by them."),
        (probabilities - free + 1 / len(free),
         "the content-free probabilities are subtracted. Probabilities can become negative "
         "that way: divide by them."),
    ])
