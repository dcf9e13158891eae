"""The exercises of the chapter "The article, reproduced and repaired"."""

import math
from functools import reduce

import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, normalize

from companion.exercises.exercise import case, exercise

_LARGE = (math.exp(200 - 201) + math.exp(199 - 201)) / 2


# The means are 0.20 and 0.22 / 3; then the same logits, 7 higher; then some too large for exp.
@exercise("article-shares", "the shares",
          "lists of any length can be compared, and a shift of all logits changes nothing.",
          cases=lambda: [
              *(case(torch.tensor([0.02, 0.30, 0.10, 0.05, 0.15, 0.38]).log() + shift, [1, 2],
                     [3, 4, 0], expected=torch.tensor([60 / 82, 22 / 82])) for shift in (0, 7)),
              case(torch.tensor([200.0, 199.0, -300.0, 201.0]), [0, 1], [3],
                   expected=torch.tensor([_LARGE, 1.0]) / (_LARGE + 1))])
def list_shares(logits: torch.Tensor, first: list[int], second: list[int]) -> torch.Tensor:
    """Divide the probability at the mask between two lists of words.

    logits: a score for each token of the vocabulary, shape (V,). They can be large.
    first, second: the ids of the words of each list.
    Returns a tensor of shape (2,): the mean probability of the words of either list, divided
    by the sum of the two means.

    Example: when all logits are equal, the result is tensor([0.5, 0.5]), whatever the lists.
    """
    means = [logits[ids].logsumexp(0) - torch.tensor(float(len(ids))).log()
             for ids in (first, second)]
    return torch.stack(means).softmax(0)


def _softmax_of(way):
    return lambda x, a, b: torch.stack([way(x[a]), way(x[b])]).softmax(0)


def _means(chances, a, b):
    return torch.stack([chances[a].mean(), chances[b].mean()])


list_shares.mistakes(
    ("this is the article's softmax of two sums of logits. Take the mean of the *probabilities* "
     "of each list.", _softmax_of(torch.sum)),
    ("this is the mean of the logits. Make probabilities first, then take their mean.",
     _softmax_of(torch.mean)),
    ("this is the sum of each list's probabilities: the longer list has an advantage. Divide by "
     "the number of words.", _softmax_of(lambda part: part.logsumexp(0))),
    ("only the best word of each list counts. Take the mean of all.", _softmax_of(torch.max)),
    ("these are the two means. Divide them by their sum, so that they add up to 1.",
     lambda x, *lists: _means(x.softmax(0), *lists)),
    ("the last step is a softmax of probabilities. They are no logits: divide by their sum.",
     lambda x, *lists: _means(x.softmax(0), *lists).softmax(0)),
    ("the two shares are in the wrong order.", lambda x, a, b: list_shares(x, b, a)))
list_shares.hint_if(
    "exp of a large logit overflows. Use softmax or logsumexp, or subtract the largest first.",
    lambda case, got: got.isnan().any(),
    lambda x, *lists: normalize(_means(x.exp(), *lists), p=1, dim=0))
list_shares.also_right(lambda x, *ab: normalize(_means(x.softmax(0), *ab), p=1, dim=0))

_VOCABULARY = {"[UNK]": 1, "great": 9, "good": 4, "##good": 5, "bad": 0, "amazing": 7}


@exercise("article-words", ("the ids", "the unknown words"),
          "an unknown word is reported instead of counted.", cases=[
              case(["great", "terribel", "bad", "amazin", "good", "bda"], _VOCABULARY,
                   expected=([9, 0, 4], ["terribel", "amazin", "bda"])),
              case(["awfull", "bad"], _VOCABULARY, expected=([0], ["awfull"])),
              case(["good"], _VOCABULARY, expected=([4], []))])
def look_up(words: list[str], vocabulary: dict[str, int]) -> tuple[list[int], list[str]]:
    """Find the ids of words, and the words that have none.

    words: words of a list, such as ["great", "amazin"].
    vocabulary: the id of each token. Any number from 0 upwards can be an id.
    Returns two lists: the ids of the words that are in the vocabulary, and the other words.
    Both are in the order of `words`.

    Example: look_up(["great", "amazin"], {"great": 9}) returns ([9], ["amazin"]).
    """
    ids = [vocabulary[word] for word in words if word in vocabulary]
    return ids, [word for word in words if word not in vocabulary]


def _found(way):
    """`way(words, vocabulary)` for the ids, and the right unknown words."""
    return lambda *given: (way(*given), look_up(*given)[1])


look_up.mistakes(
    ("wrong order: the ids come first, then the unknown words.", lambda *g: look_up(*g)[::-1]),
    ("an unknown word became the number 0. Here 0 is the id of another word: leave it out.",
     _found(lambda words, ids: [ids.get(word, 0) for word in words])),
    ("an unknown word became [UNK]. That token says nothing about your word: leave it out.",
     _found(lambda words, ids: [ids.get(word, 1) for word in words])),
    ("an unknown word became None. Leave it out.", _found(lambda w, ids: [*map(ids.get, w)])),
    ("the id 0 is missing. 0 is an id like any other: test `word in vocabulary`, not the id.",
     _found(lambda *given: [i for i in look_up(*given)[0] if i])),
    ("unknown words are dropped in silence. Return them, so that the caller can see them.",
     lambda *given: (look_up(*given)[0], [])),
    ("only unknown words belong in the second result.", lambda w, ids: (look_up(w, ids)[0], w)),
    ("the first result holds words; it should hold their ids.", _found(lambda words, ids: words),
     _found(lambda words, ids: [word for word in words if word in ids])))
look_up.also_right(lambda words, ids: ([ids[word] for word in words if ids.get(word, -1) >= 0],
                                       [word for word in words if ids.get(word) is None]))


# A sentence that has to be cut, one that fits exactly, and one of which one id is left.
@exercise("article-row", "the row",
          "the row is built as in pretraining, and the prompt is always whole.", cases=[
    case([11, 12, 13, 14, 15, 16], [21, 4, 22], 2, 3, 8, expected=[2, 11, 12, 13, 21, 4, 22, 3]),
    case([11, 12, 13, 14], [21, 4, 22], 2, 3, 9, expected=[2, 11, 12, 13, 14, 21, 4, 22, 3]),
    case([11, 12, 13, 14], [21, 4, 22], 2, 3, 6, expected=[2, 11, 21, 4, 22, 3])])
def training_row(sentence, prompt, cls: int, sep: int, max_length: int) -> list[int]:
    """Build the ids that the model reads.

    sentence, prompt: lists of token ids without special tokens. The prompt holds the mask.
    cls, sep: the ids of [CLS] and [SEP].
    max_length: the most ids that the row may have.
    Returns [CLS], sentence, prompt, [SEP] as one list. If it would be too long, the *end of
    the sentence* is left out. The prompt is always whole; there is room for it and at least
    one id of the sentence.

    Example: training_row([11, 12], [4], 2, 3, 4) returns [2, 11, 4, 3].
    """
    room = max_length - len(prompt) - 2
    return [cls, *sentence[:room], *prompt, sep]


training_row.mistakes(
    ("[CLS] and [SEP] are missing and nothing is cut. That is the article's row.",
     lambda text, prompt, *_: text + prompt),
    ("[CLS] and [SEP] are missing. The model has never seen a row without them.",
     lambda text, prompt, c, s, most: text[:most - len(prompt)] + prompt,
     lambda *given: training_row(*given)[1:-1]),
    ("nothing is cut: the row is longer than max_length.", lambda *g: training_row(*g[:4], 99)),
    ("the end of the whole row is cut off, and with it the prompt or [SEP]. Cut the sentence.",
     lambda *given: training_row(*given[:4], 99)[:given[4]]),
    ("the end of sentence and prompt together is cut off. Without its mask the row asks nothing. "
     "Cut the sentence.", lambda text, p, c, s, most: [c, *(text + p)[:most - 2], s]),
    ("the row is two tokens too long: [CLS] and [SEP] take room too.",
     lambda *given: training_row(*given[:4], given[4] + 2)),
    ("the beginning of the sentence is cut off. Here its end goes.",
     lambda text, p, c, s, most: training_row(text[2 + len(p) - most:], p, c, s, most)),
    ("there is a [SEP] between sentence and prompt. Together they are one text.",
     lambda text, p, c, s, most: training_row(text, [s, *p], c, s, most),
     lambda text, p, c, s, most: training_row(text, [s, *p], c, s, most + 1)),
    ("the prompt comes before the sentence. It should follow it.",
     lambda text, p, c, s, most: [c, *p, *text[:most - len(p) - 2], s]))
training_row.also_right(lambda text, p, c, s, most: [c] + [
    x for used, x in enumerate(text, len(p) + 3) if used <= most] + p + [s])


@exercise("article-loss", "the loss", "one softmax over two words, and label 1 means good.",
          cases=lambda: [case(torch.tensor([
              [1.0, 4.0, 2.5, -1.0], [0.5, -2.0, 1.0, 3.0], [2.0, 0.0, -3.0, 1.5]],
              requires_grad=True), torch.tensor([1, 0, 1]), 1, 2)])
def two_word_loss(logits: torch.Tensor, labels: torch.Tensor, good: int, bad: int) -> torch.Tensor:
    """Compute the loss of choosing between two label words.

    logits: scores of the whole vocabulary at the mask of each text, shape (B, V).
    labels: 1 where the text is positive, 0 where it is negative, shape (B,).
    good, bad: the ids of the label words for 1 and for 0.
    Returns a tensor with one number, in nats: the mean over the texts of minus the log of the
    right word's share, where the two words share all of the probability. Gradients must be
    able to flow from it to the logits.

    Example: when the two words have equal logits everywhere, the loss is ln 2.
    """
    return cross_entropy(logits[:, [bad, good]], labels)


two_word_loss.mistakes(
    ("two of the article's faults are still there: a softmax before cross_entropy, and label 0 "
     "means good.", lambda x, y, good, bad: cross_entropy(x[:, [good, bad]].softmax(-1), y)),
    ("label 0 means good here. In the data sets 1 is positive: mind the order of the columns.",
     lambda x, y, good, bad: two_word_loss(x, y, bad, good)),
    ("softmax is applied twice. cross_entropy takes the logits as they are.",
     lambda x, y, good, bad: cross_entropy(x[:, [bad, good]].softmax(-1), y)),
    ("the softmax is over the whole vocabulary. Take the logits of the two words first.",
     lambda x, y, good, bad: cross_entropy(x, torch.where(y == 1, good, bad))),
    ("the labels are taken as token ids. Take the columns of the two words first.",
     lambda x, y, *_: cross_entropy(x, y)),
    ("this is the sum over the texts, not their mean.", lambda *g: two_word_loss(*g) * len(g[1])),
    ("the sign is wrong: the loss is above zero.", lambda *given: -two_word_loss(*given)),
    ("the logarithm is missing: this is one minus the probability.", lambda x, y, good, bad: (
        x[:, [bad, good]].softmax(-1)[range(len(y)), 1 - y].mean())),
    ("after the choice of two columns the classes are 0 and 1, not token ids.",
     lambda x, y, good, bad: cross_entropy(x[:, [bad, good]], torch.where(y == 1, good, bad))))
two_word_loss.also_right(lambda x, y, good, bad: (
    binary_cross_entropy_with_logits(x[:, good] - x[:, bad], y.float())))


# Five examples in batches of two: the last batch has one.
@exercise("article-steps", "the weight",
          "each step uses the gradient of its own batch and of nothing else.",
          cases=lambda: [case(torch.tensor([0.2, -0.4]), torch.tensor([
              [1.0, 0.5], [-0.5, 2.0], [0.0, -1.0], [1.5, 1.0], [-2.0, 0.5]]),
              torch.tensor([1.0, 0.0, 1.0, 1.0, 0.0]), 2, 0.5)])
def one_pass(weight, inputs, targets, size: int, rate: float) -> torch.Tensor:
    """Make one pass of gradient descent.

    weight: the weight at the start, shape (D,). It must not be modified.
    inputs, targets: examples in the order in which they are read, shapes (N, D) and (N,).
        The model says the probability sigmoid(input · weight) for the target 1.
    size: the number of examples of a batch; the last batch may be smaller.
    rate: the learning rate.
    Returns the weight after one step for each batch, shape (D,), without a gradient. A step
    subtracts rate times the gradient of the mean loss (in nats) of its own batch.
    """
    weight = weight.clone()
    for x, y in zip(inputs.split(size), targets.split(size)):
        start = weight.detach().requires_grad_()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(x @ start, y)
        (gradient,) = torch.autograd.grad(loss, start)
        weight = weight - rate * gradient
    return weight


def _optimised(weight, inputs, targets, size, rate, clear=True, reduction="mean"):
    weight = weight.clone().requires_grad_()
    optimiser = torch.optim.SGD([weight], lr=rate)
    for x, y in zip(inputs.split(size), targets.split(size)):
        if clear:
            optimiser.zero_grad()
        binary_cross_entropy_with_logits(x @ weight, y, reduction=reduction).backward()
        optimiser.step()
    return weight.detach()


one_pass.mistakes(
    ("a step after each example, and old gradients are kept: two of the article's faults.",
     lambda w, x, y, size, rate: _optimised(w, x, y, 1, rate, clear=False)),
    ("old gradients are kept, so every step repeats all the earlier ones. Clear them (zero_grad, "
     "or a new gradient each time).", lambda *given: _optimised(*given, clear=False)),
    ("a step after each example, not each batch.", lambda w, x, y, n, r: one_pass(w, x, y, 1, r)),
    ("only one step is made for all examples.", lambda w, x, y, n, r: one_pass(w, x, y, len(x), r)),
    ("the loss of a batch is summed. Take the mean, so that a step does not grow with the batch.",
     lambda *given: _optimised(*given, reduction="sum")),
    ("the last batch is missing. It is smaller than the others, and it counts too.",
     lambda w, x, y, size, rate: one_pass(w, x[:len(x) // size * size], y, size, rate)),
    ("the steps go uphill: subtract the gradient.", lambda w, x, y, n, r: one_pass(w, x, y, n, -r)),
    ("the weight is the one you were given: is the step missing?", lambda w, *_: w),
    ("all gradients were taken at the first weight. Compute each after the step before it.",
     lambda w, x, y, *rest: w + sum(
         one_pass(w, a, b, *rest) - w for a, b in zip(x.split(rest[0]), y.split(rest[0])))))
one_pass.refuse_if("a gradient is still attached to the result: return `weight.detach()`.",
                   lambda case, got: got.requires_grad, lambda *g: one_pass(*g).requires_grad_())
one_pass.also_right(_optimised, lambda w, x, y, size, rate: reduce(  # the gradient by hand
    lambda w, part: w - rate * part[0].T @ ((part[0] @ w).sigmoid() - part[1]) / len(part[0]),
    zip(x.split(size), y.split(size)), w))
