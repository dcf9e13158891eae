"""Hints for the mistakes that are recognised in "The article, reproduced and repaired".

Every function gets a case and a wrong answer that already has the right kind and shape. It
returns one hint, or None. A mistake is recognised by its result, never by reading the code.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from companion.exercises.compare import equal
from companion.exercises.old import Case
from companion.exercises.old import _first, _same_result


def shares(case: Case, got: Tensor) -> str | None:
    """Hints for `article-shares`."""
    logits, lists = case.given["logits"], (case.given["first"], case.given["second"])
    table = [logits[places] for places in lists]
    chances = [logits.softmax(0)[places] for places in lists]

    def shared(way) -> Tensor:
        return torch.stack([way(part) for part in table]).softmax(0)

    means = torch.stack([part.mean() for part in chances])
    return _first([
        (equal(shared(torch.sum), got),
         "this is the article's softmax of two sums of logits. Take the mean of the "
         "*probabilities* of each list."),
        (equal(shared(torch.mean), got),
         "this is the mean of the logits. Make probabilities first, then take their mean."),
        (equal(shared(lambda part: part.logsumexp(0)), got),
         "this is the sum of each list's probabilities: the longer list has an advantage. "
         "Divide by the number of words."),
        (equal(shared(torch.max), got),
         "this compares only the best word of each list. Take the mean over all words."),
        (equal(means, got),
         "these are the two means. Divide them by their sum, so that they add up to 1."),
        (equal(means.softmax(0), got),
         "the last step is a softmax of probabilities. They are no logits: divide by their sum."),
        (equal(case.expected.flip(0), got), "the two shares are in the wrong order."),
        (bool(got.isnan().any()),
         "there is no number left: exp of a large logit overflows. Use softmax or logsumexp, or "
         "subtract the largest logit first."),
    ])


def words(case: Case, got: tuple[Any, Any]) -> str | None:
    """Hints for `article-words`."""
    given, vocabulary = case.given["words"], case.given["vocabulary"]
    right_ids, right_unknown = case.expected
    ids, unknown = list(got[0]), list(got[1])
    return _first([
        (ids == right_unknown and unknown == right_ids,
         "the results are in the wrong order: return the ids first, then the unknown words."),
        (ids == [vocabulary.get(word, 0) for word in given] and bool(right_unknown),
         "an unknown word became the number 0. Here 0 is the id of another word: leave it out of "
         "the ids."),
        (ids == [vocabulary.get(word, 1) for word in given] and bool(right_unknown),
         "an unknown word became [UNK]. That token says nothing about your word: leave it out."),
        (ids == [vocabulary.get(word) for word in given] and bool(right_unknown),
         "an unknown word became None. Leave it out of the ids."),
        (ids == [i for i in right_ids if i], "the id 0 is missing. 0 is an id like any other: "
                                             "test `word in vocabulary`, not the id.")
        if 0 in right_ids else (False, ""),
        (ids == right_ids and not unknown,
         "unknown words are dropped in silence. Return them, so that the caller can see them."),
        (ids == right_ids and len(unknown) == len(given),
         "the second result holds all words. Only those that are not in the vocabulary go there."),
        (ids == given or ids == [word for word in given if word in vocabulary],
         "the first result holds words; it should hold their ids."),
    ])


def row(case: Case, got: list) -> str | None:
    """Hints for `article-row`."""
    sentence, prompt, cls, sep, longest = case.given.values()
    whole, room = sentence + prompt, longest - len(prompt) - 2
    kept = sentence[:room]
    return _same_result(list(got), [
        (whole, "[CLS] and [SEP] are missing and nothing is cut. That is the article's row."),
        ((sentence[:longest - len(prompt)] + prompt),
         "[CLS] and [SEP] are missing. The model has never seen a row without them."),
        (kept + prompt,
         "[CLS] and [SEP] are missing. The model has never seen a row without them."),
        ([cls, *whole, sep], "nothing is cut: the row is longer than max_length."),
        ([cls, *whole, sep][:longest],
         "the end of the whole row is cut off, and with it the prompt or [SEP]. Cut the sentence."),
        ([cls, *whole[:longest - 2], sep],
         "the end of sentence and prompt together is cut off. Without its mask the row asks "
         "nothing. Cut the sentence."),
        ([cls, *sentence[:longest - len(prompt)], *prompt, sep],
         "the row is two tokens too long: [CLS] and [SEP] take room too."),
        ([cls, *sentence[-room:], *prompt, sep],
         "the beginning of the sentence is cut off. Here its end goes."),
        ([cls, *kept, sep, *prompt, sep],
         "there is a [SEP] between sentence and prompt. Together they are one text."),
        ([cls, *prompt, *kept, sep], "the prompt stands before the sentence. It follows it."),
    ])


def loss(case: Case, got: Tensor) -> str | None:
    """Hints for `article-loss`: each fault gives another number for the same logits."""
    logits, labels, good, bad = case.given.values()
    pair = logits.detach()[:, [bad, good]]
    everything = torch.where(labels == 1, good, bad)
    right = cross_entropy(pair, labels)
    return _same_result(got, [
        (cross_entropy(pair.softmax(-1), 1 - labels),
         "two of the article's faults are still there: a softmax before cross_entropy, and "
         "label 0 means good."),
        (cross_entropy(pair, 1 - labels),
         "label 0 means good here. In the data sets 1 is positive: mind the order of the columns."),
        (cross_entropy(pair.softmax(-1), labels),
         "softmax is applied twice. cross_entropy takes the logits as they are."),
        (cross_entropy(logits.detach(), everything),
         "the softmax is over the whole vocabulary. Take the logits of the two words first."),
        (cross_entropy(logits.detach(), labels),
         "the labels are taken as token ids. Take the columns of the two words first."),
        (cross_entropy(pair, labels, reduction="sum"),
         "this is the sum over the texts. The loss is their mean."),
        (-right, "the sign is wrong. The loss is minus the mean log-probability, above zero."),
        (1 - pair.softmax(-1)[range(len(labels)), labels].mean(),
         "the logarithm is missing: this is one minus the probability."),
    ])


def loss_error(error: Exception) -> str | None:
    """A hint for the labels that do not fit the columns."""
    if "out of bounds" in str(error):
        return "after the choice of two columns the classes are 0 and 1, not token ids."
    return None


def steps(case: Case, got: Tensor) -> str | None:
    """Hints for `article-steps`."""
    given = case.given
    weight, inputs, targets, size, rate = given.values()
    full = len(inputs) // size * size
    if got.requires_grad and equal(case.expected, got.detach()):
        return ("the numbers are right, but a gradient is still attached to them: return "
                "`weight.detach()`.")
    return _same_result(got, [
        (descended(**given | {"size": 1}, keep=1.0),
         "a step after each example, and old gradients are kept: two of the article's faults."),
        (descended(**given, keep=1.0),
         "old gradients are kept, so every step repeats all the earlier ones. Clear them "
         "(zero_grad, or a new gradient each time)."),
        (descended(**given | {"size": 1}), "there is a step after each example, not each batch."),
        (descended(**given | {"size": len(inputs)}), "there is only one step, for all examples."),
        (descended(**given, mean=False),
         "the loss of a batch is summed. Take the mean, so that a step does not grow with the "
         "batch."),
        (descended(weight, inputs[:full], targets[:full], size, rate),
         "the last batch is missing. It is smaller than the others, and it counts too."),
        (descended(**given | {"rate": -rate}),
         "the steps go uphill: subtract the gradient from the weight."),
        (weight, "the weight is the one you were given: is the step missing?"),
        (_frozen(**given),
         "all gradients were taken at the first weight. Compute each after the step before it."),
    ])


def _frozen(weight: Tensor, inputs: Tensor, targets: Tensor, size: int, rate: float) -> Tensor:
    moves = [descended(weight, x, y, size, rate) - weight
             for x, y in zip(inputs.split(size), targets.split(size))]
    return weight + torch.stack(moves).sum(0)


def descended(weight, inputs, targets, size, rate, keep=0.0, mean=True) -> torch.Tensor:
    """One pass of gradient descent; ``keep`` of the old gradient is added to the new one."""
    gradient = torch.zeros_like(weight)
    for x, y in zip(inputs.split(size), targets.split(size)):
        slope = x.T @ ((x @ weight).sigmoid() - y)
        gradient = keep * gradient + (slope / len(x) if mean else slope)
        weight = weight - rate * gradient
    return weight
