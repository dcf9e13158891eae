"""Hints for the mistakes that are recognised in "Masked language modelling".

Every function gets a case and a wrong answer that already has the right kind and shape. It
returns one hint, or None. A mistake is recognised by its result, never by reading the code.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from companion.exercises.compare import equal
from companion.exercises.exercise import Case

SPECIAL = ("[CLS]", "[SEP]", "[PAD]")
IGNORED = -100


def _first(rules: Iterable[tuple[Any, str]]) -> str | None:
    """The hint of the first rule that holds."""
    return next((hint for holds, hint in rules if holds), None)


def _same_result(got: Any, wrong_results: Iterable[tuple[Any, str]]) -> str | None:
    """The hint of the wrong result that `got` is equal to."""
    return _first((equal(wrong, got), hint) for wrong, hint in wrong_results)


def positions(case: Case, got: Tensor) -> str | None:
    """Hints for `masked-positions`."""
    ids, special = case.given["ids"], case.given["special_ids"]
    ends = torch.ones_like(case.expected)
    ends[0] = ends[-1] = False
    separator = ids == special[1]
    return _first([
        (equal(~case.expected, got),
         "the mask is the wrong way round: True means that a position may be masked."),
        (equal(ids != special[-1], got),
         "only the padding is left out; [CLS] and [SEP] must not be masked either."),
        (equal(case.expected | (ids == special[-1]), got),
         "padding is still True: there is no word to predict at [PAD]."),
        (equal(ends, got),
         "only the first and the last position are left out; [SEP] and [PAD] also stand "
         "elsewhere. Compare the ids instead."),
        (equal(case.expected | separator, got),
         "[SEP] is still True. It can stand in the middle of a row as well as at its end."),
        (special[0] != 101 and equal(~torch.isin(ids, torch.tensor([0, 101, 102])), got),
         "the ids of BERT are written into your function; another tokenizer has others. "
         "Use special_ids."),
    ])


def apply(case: Case, got: tuple[Tensor, Tensor]) -> str | None:
    """Hints for `masked-apply`: the labels first, then the inputs."""
    right_inputs, right_labels = case.expected
    inputs, labels = got
    if equal(right_inputs, labels) and equal(right_labels, inputs):
        return "the results are in the wrong order: return inputs first, then labels."
    if not equal(right_labels, labels):
        return _labels_hint(case, inputs, labels)
    return _inputs_hint(case, inputs)


def _labels_hint(case: Case, inputs: Tensor, labels: Tensor) -> str | None:
    ids, chosen = case.given["ids"], case.given["chosen"]
    right_inputs, right_labels = case.expected
    return _same_result(labels, [
        (ids, "labels hold the original id at every position, so every position would count. "
              "Put -100 where a position was not chosen."),
        (torch.where(right_inputs != ids, ids, IGNORED),
         "labels leave out the chosen positions whose id stays the same. They count too: "
         "labels follow `chosen`, not what changed."),
        (torch.where(chosen, right_inputs, IGNORED),
         "labels hold the ids after masking. The model must predict the original ids."),
        (right_inputs,
         "labels are a copy of the masked inputs. The model must predict the original ids."),
        (torch.where(chosen, IGNORED, ids),
         "labels are the wrong way round: -100 stands at the chosen positions."),
        (torch.where(chosen, ids, 0),
         "labels are 0 where a position was not chosen. 0 is the id of a token; only -100 is "
         "skipped by the loss."),
    ])


def _inputs_hint(case: Case, inputs: Tensor) -> str | None:
    ids, chosen, kinds, mask_id, random_ids = case.given.values()
    low, high = kinds < 0.8, kinds >= 0.9
    swapped = torch.where(low, mask_id, torch.where(high, random_ids, ids))
    return _first([
        ((inputs == IGNORED).any(),
         "inputs contain -100. That number belongs in the labels: no token has the id -100."),
        (equal(torch.where(chosen, mask_id, ids), inputs),
         "every chosen position became [MASK]. Only `kinds` below 0.8 should."),
        (equal(torch.where(chosen, swapped, ids), inputs),
         "the last two tenths are swapped: 0.8 to 0.9 takes the random id, 0.9 and above "
         "keeps the original."),
        (equal(torch.where(chosen & ~high, random_ids, ids), inputs),
         "random ids stand where [MASK] belongs: the second step overwrites the first. "
         "A random id needs `kinds` of at least 0.8 as well as below 0.9."),
        (equal(torch.where(chosen, torch.where(low, mask_id, random_ids), ids), inputs),
         "no chosen position keeps its id: from 0.9 upwards the original stays."),
        (equal(torch.where(chosen & low, mask_id, ids), inputs),
         "no random id was written: `kinds` from 0.8 to 0.9 takes the id from random_ids."),
        (not equal(ids[~chosen], inputs[~chosen]),
         "positions that were not chosen have changed. `kinds` says something only where "
         "`chosen` is True."),
    ])


def loss(case: Case, got: Tensor) -> str | None:
    """Hints for `masked-loss`: each wrong rule gives another number for the same logits."""
    logits, labels = case.given["logits"].detach(), case.given["labels"]
    every = cross_entropy(logits.transpose(1, 2), labels, reduction="none")
    counted = labels != IGNORED
    right = every[counted].mean()
    rows = torch.stack([row[keep].mean() for row, keep in zip(every, counted, strict=True)])
    filled = cross_entropy(logits.transpose(1, 2), labels.clamp(min=0))
    twice = cross_entropy(logits.softmax(-1).transpose(1, 2), labels)
    chance = logits.softmax(-1).gather(-1, labels.clamp(min=0)[..., None])[..., 0][counted]
    return _same_result(got, [
        (every.sum() / labels.numel(),
         "the sum is divided by all positions. Divide by the number of labels that count."),
        (every.sum(), "this is the sum over the positions. The loss is their mean."),
        (every.sum() / len(labels),
         "the sum is divided by the number of rows. Divide by the number of labels that count."),
        (rows.mean(), "this is a mean of the rows' means, so a position in a row with few labels "
                      "weighs more. Every position that counts weighs the same."),
        (every[labels > 0].mean(),
         "positions whose label is 0 were dropped. 0 is a class; only -100 is skipped."),
        (filled, "positions with -100 count as if their label were 0. Leave them out."),
        (twice, "softmax is applied twice. Cross-entropy takes the logits as they are."),
        (right / math.log(2), "the logarithm has base 2. The loss is in nats: use ln."),
        (-right, "the sign is wrong. The loss is minus the mean log-probability, above zero."),
        (1 - chance.mean(), "the logarithm is missing: this is one minus the probability."),
        (cross_entropy(logits[:, :-1].transpose(1, 2), labels[:, 1:]),
         "the labels are shifted, as in GPT. A masked model is asked at the hidden place itself."),
    ])


def loss_error(error: Exception) -> str | None:
    """Hints for two errors that `cross_entropy` raises for this exercise."""
    text = str(error)
    return _first([
        ("-100 is out of bounds" in text,
         "cross_entropy was told to skip another number than -100 (ignore_index)."),
        ("target size" in text or "batch_size" in text,
         "cross_entropy wants the classes on axis 1: flatten to (B*L, V) and (B*L,)."),
    ])


def fresh(case: Case, got: Any) -> str | None:
    """Hints for `masked-fresh`."""
    size = case.given["vocab_size"]
    return _same_result(got, [
        (math.log2(size), "the logarithm has base 2. Losses in this course use the natural one."),
        (math.log10(size), "the logarithm has base 10. Losses here use the natural one."),
        (1 / size, "this is the probability of the right token. The loss is minus its logarithm."),
        (-math.log(size), "the sign is wrong: the loss is minus the log-probability, above zero."),
        (float(size), "this is the perplexity, exp(loss). The loss is its logarithm."),
    ])


def words(case: Case, got: list) -> str | None:
    """Hints for `masked-whole-words`."""
    tokens, right = case.given["tokens"], case.expected
    if not all(isinstance(group, (list, tuple)) for group in got):
        return "the groups must be lists themselves, also for a word of one piece: [[1], [2, 3]]."
    members = [member for group in got for member in group]
    if any(isinstance(member, str) for member in members):
        return "the groups hold tokens; they should hold positions, which are numbers."
    ordinary = [place for place, token in enumerate(tokens) if token not in SPECIAL]
    return _same_result(got, [
        ([[place] for place in ordinary],
         "every piece is a group of its own. A token that starts with ## continues a word."),
        (_joined(tokens, "##", range(len(tokens))),
         "special tokens have groups too. They are never masked: leave them out."),
        (_joined([tokens[place] for place in ordinary], "##", range(len(ordinary))),
         "the positions are counted after the special tokens were removed. Count them in the "
         "whole row."),
        (right[:-1], "the last word is missing. Is it stored when the loop ends?"),
        ([group for group in right if len(group) > 1],
         "words of one piece are missing. Each is a group with one position."),
        (_without_starts(right),
         "the ## pieces are joined to each other, but the start of their word is not with them."),
        (_joined([tokens[place] for place in ordinary], "#", ordinary),
         "the token # is a word of its own. Only two of them, ##, continue a word."),
    ])


def _joined(tokens: list[str], sign: str, places: Iterable[int]) -> list[list[int]]:
    """Positions grouped by a continuation sign; used to recognise near misses only."""
    groups: list[list[int]] = []
    for token, place in zip(tokens, places, strict=True):
        if token.startswith(sign) and groups:
            groups[-1].append(place)
        else:
            groups.append([place])
    return groups


def _without_starts(groups: list[list[int]]) -> list[list[int]]:
    cut = [part for group in groups for part in (group[:1], group[1:])]
    return [part for part in cut if part]


def share(case: Case, got: Any) -> str | None:
    """Hints for `masked-share`."""
    size, part = case.given["vocab_size"], case.given["share"]
    return _same_result(got, [
        (part, "this is the share of chosen positions. One tenth of them keeps its id."),
        (part * 0.9, "a random id can be the original one. How often, among vocab_size ids?"),
        (part * 0.8, "the random ids are missing: most of them differ from the original."),
        (0.8 + 0.1 * (size - 1) / size,
         "this is the share among the chosen positions. Count among all positions."),
        (1 - case.expected, "this is the share that stays the same. The changed share is asked."),
        (part * (0.8 + 0.1 / size),
         "1 / vocab_size is the chance that a random id is the original. You need the chance "
         "that it is another one."),
    ])
