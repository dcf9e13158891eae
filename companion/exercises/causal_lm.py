"""The exercises of the chapter "Causal language modelling"."""

import math

import torch
from torch.nn.functional import cross_entropy, pad

from companion.exercises.exercise import case, exercise


def _loss_cases():
    """Logits and loss of `transformers.GPT2LMHeadModel`, with random weights."""
    from transformers import GPT2Config, GPT2LMHeadModel

    ids = torch.tensor([[0, 5, 4, 6, 4, 3], [0, 2, 7, 8, 0, 3], [0, 6, 10, 1, 9, 3]])
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(13)
        # Weights this large make the classes unequal, so that wrong losses have other values.
        model = GPT2LMHeadModel(GPT2Config(
            vocab_size=11, n_embd=8, n_layer=1, n_head=2, n_positions=8, initializer_range=1.0,
            bos_token_id=0, eos_token_id=0)).eval()
        model.loss_type = "ForCausalLM"  # its name does not say so, and transformers would warn
        out = model(input_ids=ids, labels=ids)
    return [case(out.logits.requires_grad_(), ids, expected=out.loss.requires_grad_())]


@exercise("causal-loss", "the loss", "your loss is the one that GPT2LMHeadModel computes.",
          cases=_loss_cases)
def next_token_loss(logits: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """Compute the loss of causal language modelling.

    logits: what each position predicts, a score for each token, shape (B, L, V).
    ids: the token ids of the rows, shape (B, L), without padding.
    Returns a tensor with one number, in nats: the mean cross-entropy over all tokens but
    the first of each row. Gradients must be able to flow from it to the logits.

    Example: when all logits are 0, the loss is ln V, whatever the ids are.
    """
    predicted, targets = logits[:, :-1], ids[:, 1:]
    return cross_entropy(predicted.flatten(0, 1), targets.flatten())


def _each(x, ids):  # the loss of each prediction, shape (B, L - 1)
    return cross_entropy(x[:, :-1].mT, ids[:, 1:], reduction="none")


next_token_loss.mistakes(
    ("every position is asked for the token that it sees itself. Position t must be asked for "
     "token t + 1: drop the last logits and the first id.",
     lambda x, ids: cross_entropy(x.mT, ids)),
    ("the shift goes the wrong way: each position is asked for the token before it, which it has "
     "seen.", lambda x, ids: cross_entropy(x[:, 1:].mT, ids[:, :-1])),
    ("the last position is asked for the first token of the row (look for `roll`). Nothing follows "
     "the last position: leave it out.", lambda x, ids: cross_entropy(x.mT, ids.roll(-1, 1))),
    ("the last position of a row is asked for the first token of the next row. Shift before you "
     "flatten.", lambda x, ids: cross_entropy(x.flatten(0, 1)[:-1], ids.flatten()[1:])),
    ("the labels are shifted twice: position t is asked for token t + 2.",
     lambda x, ids: cross_entropy(x[:, :-2].mT, ids[:, 2:])),
    ("only the last prediction of each row counts. All of them should.",
     lambda x, ids: _each(x, ids)[:, -1].mean()),
    ("this is the sum over the predictions. The loss is their mean.",
     lambda x, ids: _each(x, ids).sum()),
    ("the sum is divided by all positions. A row of L tokens has L - 1 predictions.",
     lambda x, ids: _each(x, ids).sum() / ids.numel()),
    ("the sum is divided by the number of rows. Divide by the number of predictions.",
     lambda x, ids: _each(x, ids).sum() / len(ids)),
    ("labels that are 0 were dropped. 0 is a token like any other here.",
     lambda x, ids: _each(x, ids)[ids[:, 1:] > 0].mean()),
    ("softmax is applied twice. Cross-entropy takes the logits as they are.",
     lambda x, ids: next_token_loss(x.softmax(-1), ids)),
    ("the sign is wrong. The loss is minus the mean log-probability.",
     lambda x, ids: -next_token_loss(x, ids)),
    ("the logarithm has base 2. The loss is in nats: use ln.",
     lambda x, ids: next_token_loss(x, ids) / math.log(2)),
    ("cross_entropy wants the classes on axis 1: flatten to (N, V) and (N,).",
     lambda x, ids: cross_entropy(x[:, :-1], ids[:, 1:]),
     lambda x, ids: cross_entropy(x[:, :-1].flatten(0, 1), ids.flatten())))
next_token_loss.also_right(
    lambda x, ids: -x[:, :-1].log_softmax(-1).gather(-1, ids[:, 1:, None]).mean(),
    lambda x, ids: torch.stack([cross_entropy(a[:-1], b[1:]) for a, b in zip(x, ids)]).mean())


# Padding on the right, an end of text inside a row, and a token that is asked for twice.
@exercise("causal-labels", "the labels",
          "every token but the first has a label, the end of a text too; padding has none.", cases=[
    case(torch.tensor([[0, 11, 12, 0, 13, 0], [0, 14, 14, 0, 1, 1]]), 1, expected=torch.tensor(
        [[-100, 11, 12, 0, 13, 0], [-100, 14, 14, 0, -100, -100]])),
    case(torch.tensor([[7, 3, 3, 9, 9, 9]]), 9,
         expected=torch.tensor([[-100, 3, 3, -100, -100, -100]]))])
def causal_labels(ids: torch.Tensor, pad_id: int) -> torch.Tensor:
    """Write the labels of a batch for a causal model of transformers.

    ids: token ids, shape (B, L), padded on the right. They must not be modified.
    pad_id: the id of the padding. No other token has it.
    Returns a tensor of shape (B, L): the ids themselves (the model shifts them), and -100
    at padding and at the first position, which nothing can predict.

    Example: causal_labels(torch.tensor([[0, 5, 6, 9]]), 9)
    returns tensor([[-100, 5, 6, -100]]).
    """
    labels = ids.masked_fill(ids == pad_id, -100)
    labels[:, 0] = -100
    return labels


causal_labels.mistakes(
    ("every position has a label, padding too. A model would learn to write padding.",
     lambda ids, p: ids),
    ("the first position has a label, but nothing to its left could predict it.",
     lambda ids, p: ids.masked_fill(ids == p, -100)),
    ("padding has labels. A model would learn to write padding.",
     lambda ids, p: causal_labels(ids, -1)),
    ("the labels are shifted already. transformers shifts them once more, so that every position "
     "would be asked for the token after the next one.",
     lambda ids, p: pad(causal_labels(ids, p)[:, 1:], (0, 1), value=-100),
     lambda ids, p: pad(ids[:, 1:], (0, 1), value=-100)),
    ("the ends of texts have no label: a model never learns to stop. Only position 0 has none.",
     lambda ids, p: causal_labels(ids, p).masked_fill(ids == ids[:, :1], -100)),
    ("there is a 0 where nothing is asked. 0 is the id of a token; only -100 is skipped.",
     lambda ids, p: causal_labels(ids, p).clamp(min=0)),
    ("the id 1 is written into your function. Use pad_id.", lambda ids, p: causal_labels(ids, 1)))
causal_labels.hint_if(
    "the first label must be -100.",
    lambda case, got: got[:, 1:].equal(case.expected[:, 1:]),
    lambda ids, p: causal_labels(ids, p).index_fill(1, torch.tensor(0), -1))
causal_labels.also_right(lambda ids, p: torch.where(
    (ids != p) & (torch.arange(ids.shape[1]) > 0), ids, -100))


# Three texts; a row that is one text; numbers of texts may fall.
@exercise("causal-mask", "the mask",
          "a position sees itself and what is to its left in its own text.", cases=[
    case(torch.tensor([0, 0, 0, 1, 1, 2]), expected=torch.tensor(
        [[1, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0], [1, 1, 1, 0, 0, 0],
         [0, 0, 0, 1, 0, 0], [0, 0, 0, 1, 1, 0], [0, 0, 0, 0, 0, 1]]).bool()),
    case(torch.full((4,), 5), expected=torch.ones(4, 4).tril().bool()),
    case(torch.tensor([5, 5, 2]), expected=torch.tensor([[1, 0, 0], [1, 1, 0], [0, 0, 1]]).bool())])
def may_look(texts: torch.Tensor) -> torch.Tensor:
    """Say which positions each position may look at.

    texts: for each position the number of its text, shape (L,).
    Returns a boolean tensor of shape (L, L): at [i, j] whether position i may look at
    position j. It may look at itself and to its left, in its own text.

    Example: may_look(torch.tensor([0, 0, 1])) returns
    tensor([[True, False, False], [True, True, False], [False, False, True]]).
    """
    same_text = texts[:, None] == texts[None, :]
    place = torch.arange(len(texts))
    return same_text & (place[:, None] >= place[None, :])


may_look.mistakes(
    ("positions look into the texts before their own. Compare the numbers in `texts`.",
     lambda t: torch.ones(len(t), len(t)).tril().bool()),
    ("positions look to their right, at the tokens that they are asked for.",
     lambda t: t[:, None] == t),
    ("rows and columns are exchanged: row i says what position i may look at.",
     lambda texts: may_look(texts).T),
    ("the mask is the wrong way round: True means that a position may look.",
     lambda texts: ~may_look(texts)),
    ("a position must also see itself: it holds the newest token that is known.",
     lambda texts: (texts[:, None] == texts).tril(-1)),
    ("use `and`, not `or`: the same text and not to the right.",
     lambda t: (t[:, None] == t) | torch.ones(len(t), len(t)).tril().bool()),
    ("the numbers of the texts need not rise: compare them with ==, and the positions with >=.",
     lambda texts: texts[:, None] >= texts, lambda texts: (texts[:, None] >= texts).tril(),
     lambda texts: (texts[:, None] <= texts).tril()))
may_look.also_right(lambda texts: torch.tensor([
    [j <= i and bool(texts[i] == texts[j]) for j in range(len(texts))] for i in range(len(texts))]))


@exercise("causal-nucleus", "the probabilities",
          "the fewest tokens that reach p share all of the probability.", cases=[
    case(torch.tensor([0.05, 0.40, 0.10, 0.25, 0.20]), 0.7,
         expected=torch.tensor([0, 0.40, 0, 0.25, 0.20]) / 0.85),
    case(torch.tensor([0.125, 0.5, 0.125, 0.25]), 0.75,  # exact in binary: the sum is p itself
         expected=torch.tensor([0, 0.5, 0, 0.25]) / 0.75),
    case(torch.tensor([0.9, 0.06, 0.04]), 0.5, expected=torch.tensor([1.0, 0, 0])),
    case(torch.tensor([0.2, 0.5, 0.3]), 0.4, expected=torch.tensor([0, 1.0, 0]))])
def nucleus(probabilities: torch.Tensor, p: float) -> torch.Tensor:
    """Keep the fewest most probable tokens whose probabilities sum to p or more.

    probabilities: shape (V,), from 0 to 1, with sum 1. Those that are kept all differ.
    p: the sum to reach, above 0 and below 1.
    Returns a tensor of shape (V,) in the same order: 0 for the tokens that are left out,
    and the others divided by their sum.

    Example: nucleus(torch.tensor([0.125, 0.5, 0.375]), 0.625)
    returns tensor([0.0000, 0.5714, 0.4286]).
    """
    ordered, order = probabilities.sort(descending=True)
    before = ordered.cumsum(0) - ordered
    keep = torch.zeros_like(probabilities).bool()
    keep[order] = before < p
    left = torch.where(keep, probabilities, 0.0)
    return left / left.sum()


def _keeping(rule, descending=True):
    """Keep where `rule(sum before, probability, p)` holds; with and without dividing."""
    def raw(chances, p):
        ordered, order = chances.sort(descending=descending)
        kept = rule(ordered.cumsum(0) - ordered, ordered, p)
        return torch.zeros_like(chances).scatter(0, order, ordered * kept)
    return (lambda *given: raw(*given) / raw(*given).sum(), raw)


nucleus.mistakes(
    ("nothing was left out.", lambda chances, p: chances),
    ("the probabilities that are left do not sum to 1: divide by their sum.",
     lambda chances, p: chances * (nucleus(chances, p) > 0)),
    ("the token with which the sum reaches p is missing. Without it the sum is below p.",
     *_keeping(lambda before, one, p: before + one <= p),
     *_keeping(lambda before, one, p: before + one < p)),
    ("there is one token too many: when the sum is p exactly, the set is complete.",
     *_keeping(lambda before, one, p: before <= p)),
    ("p was compared with each probability. It is compared with their sum, from the most probable "
     "token on.", *_keeping(lambda before, one, p: one >= p)),
    ("the least probable tokens come first: sort in descending order.",
     *_keeping(lambda before, one, p: before < p, descending=False)),
    ("the result is sorted. Each probability must stay at the place of its token.",
     lambda *given: nucleus(*given).sort(descending=True).values),
    ("the sum runs in the order of the vocabulary. Sort by probability first.",
     lambda chances, p: (left := chances * (chances.cumsum(0) - chances < p)) / left.sum()),
    ("softmax was applied to probabilities. They only need to be divided by their sum.",
     lambda chances, p: chances.masked_fill(nucleus(chances, p) == 0, -math.inf).softmax(0)))
nucleus.also_right(lambda c, p: (left := c * (c >= c.sort(descending=True).values[
    (c.sort(descending=True).values.cumsum(0) < p - 1e-7).sum()])) / left.sum())


_LOSSES = torch.tensor([2.0, 0.5, 3.5, 1.0])


@exercise("causal-perplexity", "the perplexity",
          "this figure can be compared between models with different vocabularies.",
          cases=[case(_LOSSES, text, expected=math.exp(7 / size)) for text, size in (
              ("a film well worth seeing", 24), ("naïve café", 10), ("电影很好看", 5), (" good \n", 7)
          )])
def perplexity_per_character(losses: torch.Tensor, text: str) -> float:
    """Return the perplexity of a text per character.

    losses: the cross-entropy of each of its tokens, in nats, shape (T,).
    text: the text itself.
    Returns one number: exp of the loss per character. Characters are counted as Python
    counts them.

    Example: perplexity_per_character(torch.tensor([1.0, 2.0]), "abc") returns 2.718...
    """
    return math.exp(losses.sum().item() / len(text))


perplexity_per_character.mistakes(
    ("this is the perplexity per token: divide the sum of the losses by the number of characters "
     "instead.", lambda losses, text: losses.mean().exp()),
    ("this is the loss per character. The perplexity is exp of it.",
     lambda losses, text: losses.sum() / len(text)),
    ("these are bits per character. The perplexity is exp of the loss in nats per character.",
     lambda losses, text: losses.sum() / len(text) / math.log(2)),
    ("the losses are in nats: use exp, not a power of 2.",
     lambda losses, text: 2 ** (losses.sum() / len(text))),
    ("divide by the number of characters before you take exp.",
     lambda losses, text: losses.sum().exp(), lambda losses, text: losses.sum().exp() / len(text)),
    ("exp comes after the mean: take it of the loss per character, once.",
     lambda losses, text: losses.exp().sum() / len(text)),
    ("the division is outside exp. Divide the sum of the losses, then take exp.",
     lambda losses, text: losses.mean().exp() / len(text)),
    ("you divided by bytes. A letter with an accent is one character but several bytes.",
     lambda losses, text: math.exp(losses.sum() / len(text.encode()))),
    ("you divided by words, not by characters.",
     lambda losses, text: math.exp(losses.sum() / len(text.split()))),
    ("spaces and ends of lines are characters too: count the text as it is.",
     lambda losses, text: perplexity_per_character(losses, text.strip()),
     lambda losses, text: perplexity_per_character(losses, text.replace(" ", ""))),
    ("the sign is wrong: losses are positive, and so perplexity is above 1.",
     lambda losses, text: 1 / perplexity_per_character(losses, text)))
perplexity_per_character.also_right(lambda losses, text: (losses.sum() / len(text)).exp())
