"""The exercises of the chapter "Contrastive learning: sentences as vectors"."""

from __future__ import annotations

import math

import numpy
import torch
from torch.nn.functional import cross_entropy, normalize

from companion.exercises.exercise import case, exercise

# With temperature 1 / ln 2, exp(s / temperature) is 2 to the power s: 2 1 1/2, 1 4 2, 4 1 1.
_SMALL = torch.tensor([[1.0, 0, -1], [0, 2, 1], [2, 0, 0]], requires_grad=True)
_LARGE = torch.rand((7, 7), generator=torch.Generator().manual_seed(13)) * 1.6 - 0.8


def _mean_log(*chances):
    return torch.tensor(sum(map(math.log, chances)) / len(chances), requires_grad=True)


@exercise("contrastive-loss", "the loss",
          "this is InfoNCE: a cross-entropy whose classes are the texts of the batch.",
          cases=[case(_SMALL, 1 / math.log(2), expected=_mean_log(7 / 4, 7 / 4, 6)),
                 case(_LARGE.requires_grad_(), 0.1)])
def info_nce(similarities: torch.Tensor, temperature: float) -> torch.Tensor:
    """Compute InfoNCE.

    similarities: shape (N, N). Entry (i, j) is the similarity of the first view of text i
        and the second view of text j.
    temperature: the similarities are divided by it.
    Returns a tensor with one number, in nats: the mean over the first views. The answers
    to choose from are all second views. Gradients must be able to flow from it.

    Example: when all similarities are equal, the loss is ln N.
    """
    scores = similarities / temperature
    return cross_entropy(scores, torch.arange(len(scores)))


def _of_both(loss):
    """Mistakes that this exercise shares with the last one."""
    return (
        ("the softmax runs over the wrong axis. Row i is the question, its columns the answers.",
         lambda s, *rest: loss(s.T, *rest)),
        ("the temperature is not used: divide the similarities by it.",
         lambda s, t, *rest: loss(s, 1, *rest)),
        ("this is the sum over the rows. The loss is their mean.",
         lambda s, *rest: loss(s, *rest) * len(s)),
        ("the sign is wrong. The loss is minus the mean log-probability, above zero.",
         lambda *given: -loss(*given)),
        ("the labels of cross_entropy are whole numbers: row i has the right answer i, "
         "torch.arange(N).", lambda s, *rest: cross_entropy(s, torch.arange(len(s)).float())),
        ("cross_entropy wants N labels for N rows: torch.arange(N).",
         lambda s, *rest: cross_entropy(s, torch.arange(2 * len(s)))))


def _chances(s, t):
    return (s / t).softmax(1).diagonal()


info_nce.mistakes(
    *_of_both(info_nce),
    ("this is the mean of two losses, for rows and for columns. Only the rows are asked for here.",
     lambda s, t: (info_nce(s, t) + info_nce(s.T, t)) / 2),
    ("the right answer is missing below the fraction line. The sum there runs over all answers.",
     lambda s, t: (1 / _chances(s, t) - 1).log().mean()),
    ("the similarities are multiplied by the temperature. Divide them by it.",
     lambda s, t: info_nce(s, 1 / t)),
    ("the logarithm has base 2. The loss is in nats: use ln.",
     lambda s, t: -_chances(s, t).log2().mean()),
    ("softmax is applied twice. Cross-entropy takes the scores as they are.",
     lambda s, t: info_nce((s / t).softmax(1), 1)),
    ("the logarithm is missing: this is one minus the probability.",
     lambda s, t: 1 - _chances(s, t).mean()),
    ("the mean is taken before the logarithm. Take the logarithm of each row first.",
     lambda s, t: -_chances(s, t).mean().log()),
    ("only the similarity of the right pairs counts here. Without the others, all vectors could "
     "become the same.", lambda s, t: -(s / t).diagonal().mean()),
    ("the softmax runs over the whole matrix. Each row is a choice of its own.",
     lambda s, t: -(s / t).flatten().log_softmax(0).view_as(s).diagonal().mean()))
info_nce.also_right(
    lambda s, t: -((s / t).exp().diagonal() / (s / t).exp().sum(1)).log().mean(),
    lambda s, t: ((s / t).logsumexp(1) - (s / t).diagonal()).mean())


@exercise("contrastive-temperature", "the probability",
          "a low temperature makes small differences count.",
          cases=[case(0.6, -0.4, 3, 1.0, expected=math.e / (math.e + 2)), case(0.9, 0.3, 64, 0.05),
                 case(0.9, 0.3, 64, 0.5), case(0.2, 0.4, 10, 0.1), case(0.7, 0.7, 5, 0.05)])
def right_probability(right: float, wrong: float, count: int, temperature: float) -> float:
    """Return the probability that the softmax gives to the right answer.

    right: the similarity of the right answer.
    wrong: the similarity of each wrong answer; it is the same for all of them.
    count: the number of all answers, the right one included.
    temperature: the similarities are divided by it.

    Example: right_probability(0.7, 0.7, 5, 0.05) returns 0.2.
    """
    return 1 / (1 + (count - 1) * math.exp((wrong - right) / temperature))


right_probability.mistakes(
    ("the right answer counts twice: among N answers there are N - 1 wrong ones.",
     lambda r, w, n, t: right_probability(r, w, n + 1, t)),
    ("only one wrong answer counts. There are N - 1 of them.",
     lambda r, w, n, t: right_probability(r, w, 2, t)),
    ("the temperature is not used: divide the similarities by it.",
     lambda r, w, n, t: right_probability(r, w, n, 1)),
    ("the similarities are multiplied by the temperature. Divide them by it.",
     lambda r, w, n, t: right_probability(r, w, n, 1 / t)),
    ("this is the loss. The probability itself is asked for.",
     lambda *given: -math.log(right_probability(*given))),
    ("this is the probability of one wrong answer.",
     lambda r, w, n, t: (1 - right_probability(r, w, n, t)) / (n - 1)),
    ("this is the probability of all wrong answers together.",
     lambda *given: 1 - right_probability(*given)),
    ("this is the chance level. The similarities differ.", lambda r, w, n, t: 1 / n),
    ("the exponential is missing: a softmax takes exp of each score first.",
     lambda r, w, n, t: r / (r + (n - 1) * w)))
right_probability.also_right(
    lambda r, w, n, t: (e := numpy.exp(numpy.array([r] + [w] * (n - 1)) / t))[0] / e.sum())


@exercise("contrastive-pooling", "the vectors", "padding is in no mean.", cases=[
    case(torch.tensor([[[1.0, 2], [3, 4], [5, 12], [70, 80], [7, 9]],
                       [[2, -6], [4, 8], [0, 2], [2, 0], [90, -20]]]),
         torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 0]]),
         expected=torch.tensor([[3.0, 6], [2, 1]])),
    case(torch.tensor([[[9.0], [9], [4]], [[9], [4], [-2]]]),  # padding may come first
         torch.tensor([[0, 0, 1], [0, 1, 1]]), expected=torch.tensor([[4.0], [1]]))])
def mean_pool(states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return the mean state of each row, over its tokens.

    states: the hidden states, shape (B, L, H).
    mask: shape (B, L), whole numbers: 1 at a token, 0 at padding. Each row has a token.
    Returns a tensor of shape (B, H).
    """
    weights = mask[..., None].to(states)
    return (states * weights).sum(1) / weights.sum(1)


def _of_tokens(rule):
    return lambda x, mask: torch.stack([rule(row[keep == 1]) for row, keep in zip(x, mask)])


mean_pool.mistakes(
    ("padding is in the mean. Count only the positions where mask is 1.", lambda x, m: x.mean(1)),
    ("the sum leaves out the padding, but it is divided by the length of the row. Divide by the "
     "number of tokens that count.", lambda x, m: (x * m[..., None]).mean(1)),
    ("this is the sum. Divide it by the number of tokens that count.",
     lambda x, m: (x * m[..., None]).sum(1)),
    ("the sum of each row is divided by the tokens of the whole batch.",
     lambda x, m: (x * m[..., None]).sum(1) / m.sum()),
    ("each row is divided by the mean number of tokens. Each row has a number of its own.",
     lambda x, m: (x * m[..., None]).sum(1) / m.sum() * len(x)),
    ("this is the state of the first position, [CLS] pooling. The mean is asked for.",
     lambda x, m: x[:, 0]),
    ("this is the largest value of each column. The mean is asked for.",
     _of_tokens(lambda x: x.amax(0))),
    ("the mask is the wrong way round: 1 marks a token, 0 marks padding.",
     lambda x, m: mean_pool(x, 1 - m)),
    ("the first and the last token are missing. All positions with mask 1 count.",
     _of_tokens(lambda x: x[1:-1].mean(0))),
    ("the mask has shape (B, L) and the states (B, L, H): give the mask a last axis, "
     "mask[..., None].", lambda x, m: x * m))
mean_pool.also_right(
    _of_tokens(lambda x: x.mean(0)),
    lambda x, m: torch.einsum("bl,blh->bh", m / m.sum(1, keepdim=True), x))


_RANKS_1_3_2_4 = torch.tensor([[0.9, 0.1, 0.2, 0.3, 0.4], [0.5, 0.3, 0.4, 0.1, 0.2],
                               [0.8, 0.2, 0.6, 0.1, 0.3], [0.7, 0.6, 0.5, 0.2, 0.1]])


# With this seed every known mistake gives another number.
@exercise("contrastive-recall", "the recall",
          "you count the queries whose right document comes early enough.",
          cases=[case(torch.rand((12, 15), generator=torch.Generator().manual_seed(58)), 3),
                 *(case(_RANKS_1_3_2_4, k, expected=k / 4) for k in (1, 2, 3, 4))])
def recall_at(scores: torch.Tensor, k: int) -> float:
    """Return the share of the queries whose right document is among the k best.

    scores: shape (N, M), M at least N. Entry (i, j) is the score of document j for query i.
        Document i is the right one for query i. No two scores of a row are equal.
    k: how many documents with the highest scores are looked at.

    Example: recall_at(torch.tensor([[0.9, 0.1], [0.8, 0.3]]), 1) returns 0.5.
    """
    better = (scores > scores.diagonal()[:, None]).sum(1)
    return (better < k).float().mean().item()


def _found(scores, k):
    return (scores.topk(k).indices == torch.arange(len(scores))[:, None]).any(1).float().mean()


recall_at.mistakes(
    ("this is the number of queries. Divide by how many there are.",
     lambda s, k: recall_at(s, k) * len(s)),
    ("this is divided by k as well. That is precision; recall asks whether the one right document "
     "was found.", lambda s, k: recall_at(s, k) / k),
    ("the lowest scores come first. The highest should.", lambda s, k: recall_at(-s, k)),
    ("one document too many is looked at: it is among the k best if fewer than k score higher.",
     lambda s, k: recall_at(s, k + 1)),
    ("one document too few is looked at: it is among the k best if fewer than k score higher.",
     lambda s, k: recall_at(s, k - 1)),
    ("the columns are searched. Row i is the query; look for its best columns.",
     lambda s, k: recall_at(s[:, :len(s)].T, k)),
    ("only the best document of each query counts. Use k.", lambda s, k: recall_at(s, 1)),
    ("this is the chance level. Compare the scores.", lambda s, k: k / s.shape[1]),
    ("this is the share that was not found.", lambda s, k: 1 - recall_at(s, k)))
recall_at.also_right(_found, lambda s, k: numpy.mean(
    [i in best[:k] for i, best in enumerate(numpy.argsort(-s.numpy(), axis=1))]))


@exercise("contrastive-uniformity", "the uniformity",
          "directions that are spread out give a low value.",
          cases=[  # right angles: four pairs at squared distance 2, two at 4; then 60 degrees
              case(torch.tensor([[3.0, 0], [0, 0.5], [-2, 0], [0, -1]]),
                   expected=torch.tensor(math.log((4 * math.exp(-4) + 2 * math.exp(-8)) / 6))),
              case(torch.tensor([[1.0, 0], [0.5, math.sqrt(0.75)]]), expected=torch.tensor(-2.0))])
def uniformity(vectors: torch.Tensor) -> torch.Tensor:
    """Return the uniformity of vectors.

    vectors: one for each text, shape (N, H), of any length but zero.
    Returns a tensor with one number: scale each vector to length 1; for each pair of
    different rows take exp(-2 d^2), where d is their distance; then the logarithm of the
    mean over the pairs.

    Example: it is 0 when all vectors have the same direction.
    """
    distances = torch.pdist(normalize(vectors, dim=1))
    return (-2 * distances**2).exp().mean().log()


def _pairs(rule):
    return lambda vectors: rule(torch.pdist(normalize(vectors)))


uniformity.mistakes(
    ("pairs of a row with itself count, too. Their distance is always 0: leave them out.",
     lambda x: (-2 * torch.cdist(normalize(x), normalize(x)) ** 2).exp().mean().log()),
    ("the vectors are not scaled to length 1. Only directions count.",
     lambda x: (-2 * torch.pdist(x) ** 2).exp().mean().log()),
    ("the distances are not squared.", _pairs(lambda d: (-2 * d).exp().mean().log())),
    ("the factor 2 before the squared distance is missing.",
     _pairs(lambda d: (-d**2).exp().mean().log())),
    ("the logarithm is missing at the end.", _pairs(lambda d: (-2 * d**2).exp().mean())),
    ("this is the mean of the exponents. Take exp first, then the mean, then the logarithm.",
     _pairs(lambda d: (-2 * d**2).mean())),
    ("the sign is wrong: lower is better, and no value is above zero.", lambda x: -uniformity(x)),
    ("the pairs are summed. Take their mean.", _pairs(lambda d: (-2 * d**2).logsumexp(0)),
     _pairs(lambda d: torch.cat([d, d]).square().mul(-2).logsumexp(0))),
    ("the minus sign in the exponent is missing.", _pairs(lambda d: (2 * d**2).exp().mean().log())))
uniformity.also_right(lambda x: (normalize(x) @ normalize(x).T)[~torch.eye(len(x)).bool()].mul(
    4).sub(4).exp().mean().log())


@exercise("contrastive-copies", "the loss", "a copy of the right answer is no wrong answer.",
          cases=[case(_SMALL, 1 / math.log(2), torch.tensor([5, 3, 5]),
                      expected=_mean_log(3 / 2, 7 / 4, 2)),
                 case(_LARGE, 0.2, torch.tensor([4, 1, 4, 9, 2, 1, 4]))])
def info_nce_with_copies(similarities, temperature, texts):
    """Compute InfoNCE for a batch in which a text may occur more than once.

    similarities: as in exercise 1, shape (N, N).
    temperature: the similarities are divided by it.
    texts: shape (N,), whole numbers. Rows with the same number show the same text.
    Returns a tensor with one number, in nats: the mean over all N rows. For row i, the
    right answer is i; another row with the same text is no answer to choose from.
    """
    same = texts[:, None] == texts
    copies = same & ~torch.eye(len(texts)).bool()
    scores = (similarities / temperature).masked_fill(copies, float("-inf"))
    return cross_entropy(scores, torch.arange(len(texts)))


def _copied(texts):
    return (texts[:, None] == texts) & ~torch.eye(len(texts)).bool()


def _without(places):
    """The loss when the scores at `places(texts)` are left out."""
    return lambda s, t, texts: info_nce(s.masked_fill(places(texts), -math.inf), t)


def _only(kept):
    """The loss of a batch that has only the texts that `kept` gives."""
    return lambda s, t, texts: info_nce_with_copies(
        s[kept(texts)][:, kept(texts)], t, texts[kept(texts)])


info_nce_with_copies.mistakes(
    *_of_both(info_nce_with_copies),
    ("copies still count as wrong answers. Leave out each place where texts[i] == texts[j] and i "
     "is not j.", lambda s, t, x: info_nce(s, t)),
    ("the scores of the copies are set to 0. exp(0) is 1, so they still count: use minus infinity.",
     lambda s, t, x: info_nce(s.masked_fill(_copied(x), 0), t)),
    ("only one of two copies leaves out the other. Both must.",
     _without(lambda x: _copied(x).triu()), _without(lambda x: _copied(x).tril())),
    ("texts that occur twice are left out altogether. They are questions like the others.",
     _only(lambda x: ~_copied(x).any(1))),
    ("the second copy is no question any more. Every row has a loss.",
     _only(lambda x: ~_copied(x).tril().any(1))),
    ("the rows of the copies are missing in the mean. Every row has a loss.",
     lambda s, t, x: cross_entropy(
         (s / t).masked_fill(_copied(x), -math.inf),
         torch.arange(len(s)).masked_fill(_copied(x).any(1), -100))),
    ("copies count as right answers. Row i has one right answer, its own second view.",
     lambda s, t, x: -((s / t).softmax(1) * (x[:, None] == x)).sum(1).log().mean()),
    ("the right answer is left out, too: a text is the same as itself. Keep the diagonal.",
     _without(lambda x: x[:, None] == x)))
info_nce_with_copies.also_right(lambda s, t, x: torch.stack([
    row[(x != x[i]) | (torch.arange(len(s)) == i)].logsumexp(0) - row[i]
    for i, row in enumerate(s / t)]).mean())
