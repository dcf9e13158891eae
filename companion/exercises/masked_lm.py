"""The exercises of the chapter "Masked language modelling"."""

from __future__ import annotations

import math
from itertools import groupby

import numpy
import torch
from torch import where
from torch.nn.functional import cross_entropy

from companion.exercises.exercise import case, exercise


@exercise("masked-positions", "the mask",
          "words may be masked, special tokens and padding may not.",
          cases=lambda: [  # a pair of sentences with padding, then ids of another tokenizer
              case(torch.tensor([101, 2023, 2003, 102, 2204, 102, 0, 0]), [101, 102, 0],
                   expected=torch.tensor([0, 1, 1, 0, 1, 0, 0, 0]).bool()),
              case(torch.tensor([0, 101, 713, 2, 102, 2, 1]), [0, 2, 1],
                   expected=torch.tensor([0, 1, 1, 0, 1, 0, 0]).bool())])
def which_positions(ids: torch.Tensor, special_ids: list[int]) -> torch.Tensor:
    """Say for each position of one row whether it may be masked.

    ids: the token ids of the row, shape (L,).
    special_ids: the ids of [CLS], [SEP] and [PAD], in this order.
    Returns a boolean tensor of shape (L,): False at a special token, True elsewhere.

    Example: which_positions(torch.tensor([2, 11, 12, 3, 0]), [2, 3, 0])
    returns tensor([False, True, True, False, False]).
    """
    return ~torch.isin(ids, torch.tensor(special_ids))


which_positions.mistakes(
    ("the mask is the wrong way round: True means that a position may be masked.",
     lambda ids, special: torch.isin(ids, torch.tensor(special))),
    ("only the padding is left out; [CLS] and [SEP] must not be masked either.",
     lambda ids, special: ids != special[2]),
    ("padding is still True: there is no word to predict at [PAD].",
     lambda ids, special: (ids != special[0]) & (ids != special[1])),
    ("only the first and the last position are left out. Compare the ids: [SEP] is elsewhere too.",
     lambda ids, special: torch.tensor([False] + [True] * (len(ids) - 2) + [False])),
    ("[SEP] is still True. It can stand in the middle of a row as well as at its end.",
     lambda ids, special: (ids != special[0]) & (ids != special[2])),
    ("the ids of BERT are written into your function. Use special_ids: other tokenizers differ.",
     lambda ids, special: (ids != 101) & (ids != 102) & (ids != 0)),
)
which_positions.also_right(
    lambda ids, special: torch.tensor([number not in special for number in ids.tolist()]))


def _apply_cases():
    """One example worked out by hand, then a larger one from the rule written as `torch.where`."""
    ids = torch.tensor([[2, 11, 12, 13, 14, 3], [2, 15, 16, 17, 3, 0]])
    chosen = torch.tensor([[0, 1, 1, 1, 0, 0], [0, 1, 0, 1, 0, 0]]).bool()
    kinds = torch.tensor([[.10, .30, .85, .95, .20, .97], [.85, .50, .88, .92, .40, .10]])
    random_ids = torch.tensor([[20, 21, 22, 23, 24, 25], [30, 31, 32, 33, 34, 35]])
    right = (torch.tensor([[2, 4, 22, 13, 14, 3], [2, 4, 16, 17, 3, 0]]),
             torch.tensor([[-100, 11, 12, 13, -100, -100], [-100, 15, -100, 17, -100, -100]]))
    source = torch.Generator().manual_seed(13)
    # So few ids that a random id is often the original one: its label must stay all the same.
    few, drawn = torch.randint(5, 9, (2, 8, 32), generator=source)
    some, kind = torch.rand((8, 32), generator=source) < 0.5, torch.rand((8, 32), generator=source)
    masked = where(kind < 0.8, 4, where(kind < 0.9, drawn, few))
    return [case(ids, chosen, kinds, 4, random_ids, expected=right),
            case(few, some, kind, 4, drawn,
                 expected=(where(some, masked, few), where(some, few, -100)))]


@exercise("masked-apply", ("inputs", "labels"),
          "inputs and labels are those of BERT's 80/10/10 rule.", cases=_apply_cases)
def mask_ids(ids, chosen, kinds, mask_id, random_ids):
    """Make inputs and labels for masked language modelling.

    ids: the original token ids, shape (B, L). They must not be modified.
    chosen: boolean, shape (B, L). True where the model must predict the original id.
    kinds: numbers from 0 to 1, shape (B, L). They decide what a chosen position becomes:
        below 0.8 mask_id, from 0.8 to below 0.9 its entry of random_ids, else no change.
    mask_id: the id of [MASK].
    random_ids: ids drawn at random, shape (B, L).
    Returns inputs and labels, both of shape (B, L). A label is the original id where
    chosen is True, and -100 elsewhere.
    """
    inputs = ids.clone()
    inputs[chosen & (kinds < 0.8)] = mask_id
    exchange = chosen & (kinds >= 0.8) & (kinds < 0.9)
    inputs[exchange] = random_ids[exchange]
    labels = torch.where(chosen, ids, -100)
    return inputs, labels


def _labels(way):
    """The right inputs, and the labels `way(ids, chosen, inputs)`."""
    def answer(ids, chosen, *rest):
        inputs, _ = mask_ids(ids, chosen, *rest)
        return inputs, way(ids, chosen, inputs)
    return answer


def _inputs(way):
    """The inputs `way(ids, chosen, kinds, mask_id, random_ids)`, and the right labels."""
    return lambda *given: (way(*given), mask_ids(*given)[1])


mask_ids.mistakes(
    ("the results are in the wrong order: return inputs first, then labels.",
     lambda *given: mask_ids(*given)[::-1]),
    ("labels hold the original id at every position. Put -100 where none was chosen.",
     _labels(lambda ids, chosen, inputs: ids)),
    ("labels leave out chosen positions whose id stays the same. Labels follow `chosen`.",
     _labels(lambda ids, chosen, inputs: where(inputs != ids, ids, -100))),
    ("labels hold the ids after masking. The model must predict the original ids.",
     _labels(lambda ids, chosen, inputs: where(chosen, inputs, -100)),
     _labels(lambda ids, chosen, inputs: inputs)),
    ("labels are the wrong way round: -100 stands at the chosen positions.",
     _labels(lambda ids, chosen, inputs: ids.masked_fill(chosen, -100))),
    ("labels are 0 where no position was chosen. 0 is a token; the loss skips only -100.",
     _labels(lambda ids, chosen, inputs: ids * chosen)),
    ("every chosen position became [MASK]. Only `kinds` below 0.8 should.",
     _inputs(lambda ids, chosen, kinds, mask, drawn: where(chosen, mask, ids))),
    ("the last two tenths are swapped: 0.8 to 0.9 takes the random id, 0.9 and above stays.",
     _inputs(lambda ids, chosen, kinds, mask, drawn: where(
         chosen & (kinds < 0.8), mask, where(chosen & (kinds >= 0.9), drawn, ids)))),
    ("random ids are where [MASK] belongs: the second step overwrites the first. Test both ends "
     "of 0.8 to 0.9.",
     _inputs(lambda ids, chosen, kinds, mask, drawn: where(chosen & (kinds < 0.9), drawn, ids))),
    ("no chosen position keeps its id: from 0.9 upwards the original stays.",
     _inputs(lambda ids, chosen, kinds, mask, drawn: where(
         chosen, where(kinds < 0.8, mask, drawn), ids))),
    ("no random id was written: `kinds` from 0.8 to 0.9 takes the id from random_ids.",
     _inputs(lambda ids, chosen, kinds, mask, drawn: where(chosen & (kinds < 0.8), mask, ids))),
)
mask_ids.hint_if(
    "inputs contain -100. That number belongs in the labels: no token has it.",
    lambda case, got: (got[0] == -100).any(),
    _inputs(lambda ids, chosen, *rest: where(chosen, mask_ids(ids, chosen, *rest)[0], -100)))
mask_ids.hint_if(
    "positions that were not chosen have changed. `kinds` counts only where `chosen` is True.",
    lambda case, got: (got[0] != case.given["ids"])[~case.given["chosen"]].any(),
    _inputs(lambda ids, chosen, *rest: mask_ids(ids, chosen | True, *rest)[0]))


@mask_ids.also_right
def _(ids, chosen, kinds, mask_id, random_ids):
    inputs, labels = ids.clone(), torch.full_like(ids, -100)
    for row, column in chosen.nonzero().tolist():
        labels[row, column] = ids[row, column]
        if kinds[row, column] < 0.8:
            inputs[row, column] = mask_id
        elif kinds[row, column] < 0.9:
            inputs[row, column] = random_ids[row, column]
    return [inputs, labels]


def _loss_cases():
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
    return [case(out.logits.requires_grad_(), labels, expected=out.loss.requires_grad_())]


@exercise("masked-loss", "the loss", "your loss is the one that BertForMaskedLM computes.",
          cases=_loss_cases)
def mlm_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Compute the loss of masked language modelling.

    logits: a score for each token of the vocabulary, shape (B, L, V).
    labels: the right ids, shape (B, L); -100 where a position does not count.
    Returns a tensor with one number, in nats: the mean cross-entropy over the positions
    that count. Gradients must be able to flow from it to the logits.

    Example: when all logits are 0, the loss is ln V, whatever the labels are.
    """
    counted = labels != -100
    return cross_entropy(logits[counted], labels[counted])


def _every(logits, labels):
    """The cross-entropy of each position, shape (B, L); 0 where the label is -100."""
    return cross_entropy(logits.transpose(1, 2), labels, reduction="none")


def _chances(logits, labels):
    """The probability of the right token at each position that counts."""
    return (-_every(logits, labels)[labels != -100]).exp()


mlm_loss.mistakes(
    ("the sum is divided by all positions. Divide by the number of labels that count.",
     lambda logits, labels: _every(logits, labels).mean()),
    ("this is the sum over the positions. The loss is their mean.",
     lambda logits, labels: _every(logits, labels).sum()),
    ("the sum is divided by the number of rows. Divide by the number of labels that count.",
     lambda logits, labels: _every(logits, labels).sum() / len(labels)),
    ("this is a mean of the rows' means: positions in rows with few labels weigh more.",
     lambda logits, labels: torch.stack([*map(cross_entropy, logits, labels)]).mean()),
    ("positions whose label is 0 were dropped. 0 is a class; only -100 is skipped.",
     lambda logits, labels: _every(logits, labels)[labels > 0].mean()),
    ("positions with -100 count as if their label were 0. Leave them out.",
     lambda logits, labels: mlm_loss(logits, labels.clamp(min=0))),
    ("softmax is applied twice. Cross-entropy takes the logits as they are.",
     lambda logits, labels: mlm_loss(logits.softmax(-1), labels)),
    ("the logarithm has base 2. The loss is in nats: use ln.",
     lambda logits, labels: -_chances(logits, labels).log2().mean()),
    ("the sign is wrong. The loss is minus the mean log-probability, above zero.",
     lambda logits, labels: _chances(logits, labels).log().mean()),
    ("the logarithm is missing: this is one minus the probability.",
     lambda logits, labels: 1 - _chances(logits, labels).mean()),
    ("the labels are shifted, as in GPT. A masked model is asked at the hidden place itself.",
     lambda logits, labels: mlm_loss(logits[:, :-1], labels[:, 1:])),
    ("cross_entropy was told to skip another number than -100 (ignore_index).",
     lambda logits, labels: cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=0)),
    ("cross_entropy wants the classes on axis 1: flatten to (B*L, V) and (B*L,).",
     cross_entropy, lambda logits, labels: cross_entropy(logits.flatten(0, 1), labels)),
)
mlm_loss.also_right(
    lambda logits, labels: cross_entropy(logits.view(-1, logits.shape[-1]), labels.view(-1)),
    lambda logits, labels: -_chances(logits, labels).log().mean(),
    lambda logits, labels: _every(logits, labels).sum() / (labels != -100).sum(),
    lambda logits, labels: mlm_loss(logits.double(), labels).reshape(1))


@exercise("masked-fresh", "the loss", "a model that knows nothing starts at this loss.",
          cases=[case(30522), case(12000), case(7)])
def fresh_loss(vocab_size: int) -> float:
    """Return the loss of a model that knows nothing, in nats.

    vocab_size: the number of tokens in the vocabulary. The model gives each of them the
    same probability.

    Example: fresh_loss(1) returns 0.0, since there is only one token to choose.
    """
    return math.log(vocab_size)


fresh_loss.mistakes(
    ("the logarithm has base 2. Losses in this course use the natural one.", math.log2),
    ("the logarithm has base 10. Losses here use the natural one.", math.log10),
    ("this is the probability of the right token. The loss is minus its logarithm.",
     lambda size: 1 / size),
    ("the sign is wrong: the loss is minus the log-probability, above zero.",
     lambda size: -math.log(size)),
    ("this is the perplexity, exp(loss). The loss is its logarithm.", float),
)
fresh_loss.also_right(numpy.log, lambda size: -torch.log(torch.tensor(1 / size)))


def _library_words():
    """The words that the `tokenizers` library itself reports."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    pieces = "[PAD] [CLS] [SEP] [UNK] # 1 film ##s un ##like ##ly number".split()
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    tokenizer.enable_padding(length=12)
    row = tokenizer.encode("unlikely films", "# 1 film")
    groups = [[place for place, _ in group] for word, group in groupby(
        enumerate(row.word_ids), key=lambda pair: pair[1]) if word is not None]
    return case(row.tokens, expected=groups)


@exercise("masked-whole-words", "the groups", "the pieces of each word stay together.",
          cases=lambda: [
              case("[CLS] a re ##mark ##able film , well act ##ed [SEP] [PAD]".split(),
                   expected=[[1], [2, 3, 4], [5], [6], [7], [8, 9]]),
              _library_words()])
def word_groups(tokens: list[str]) -> list[list[int]]:
    """Group the positions of one row by word.

    tokens: the tokens of the row. One that starts with ## continues the word before it.
    Returns one list of positions for each word, in the order of the row. Positions are
    counted from 0 in the whole row. [CLS], [SEP] and [PAD] are in no group.

    Example: word_groups(["[CLS]", "a", "film", "##s", "[SEP]"])
    returns [[1], [2, 3]].
    """
    groups = []
    for position, token in enumerate(tokens):
        if token in ("[CLS]", "[SEP]", "[PAD]"):
            continue
        if token.startswith("##"):
            groups[-1].append(position)
        else:
            groups.append([position])
    return groups


def _ordinary(tokens):
    return [place for place, token in enumerate(tokens)
            if token not in ("[CLS]", "[SEP]", "[PAD]")]


def _joined(tokens, places, sign="##"):
    """Groups of these positions, where another sign continues a word."""
    groups = []
    for place in places:
        if tokens[place].startswith(sign) and groups:
            groups[-1].append(place)
        else:
            groups.append([place])
    return groups


word_groups.mistakes(
    ("every piece is a group of its own. A token that starts with ## continues a word.",
     lambda tokens: [[place] for place in _ordinary(tokens)]),
    ("special tokens have groups too. They are never masked: leave them out.",
     lambda tokens: _joined(tokens, range(len(tokens)))),
    ("the positions are counted without the special tokens. Count them in the whole row.",
     lambda tokens: word_groups([tokens[place] for place in _ordinary(tokens)])),
    ("the last word is missing. Is it stored when the loop ends?",
     lambda tokens: word_groups(tokens)[:-1]),
    ("words of one piece are missing. Each is a group with one position.",
     lambda tokens: [group for group in word_groups(tokens) if len(group) > 1]),
    ("the ## pieces are joined to each other, but the start of their word is not with them.",
     lambda tokens: [part for group in word_groups(tokens)
                     for part in (group[:1], group[1:]) if part]),
    ("the token # is a word of its own. Only two of them, ##, continue a word.",
     lambda tokens: _joined(tokens, _ordinary(tokens), sign="#")),
    ("the groups must be lists themselves, also for a word of one piece: [[1], [2, 3]].",
     _ordinary,
     lambda tokens: [group if len(group) > 1 else group[0] for group in word_groups(tokens)]),
    ("the groups hold tokens; they should hold positions, which are numbers.",
     lambda tokens: [[tokens[place] for place in group] for group in word_groups(tokens)]),
)


@word_groups.also_right
def _(tokens):
    groups, current = [], []
    for place in reversed(_ordinary(tokens)):  # from the right, with tuples
        current.append(place)
        if not tokens[place].startswith("##"):
            groups.append(tuple(reversed(current)))
            current = []
    return tuple(reversed(groups))


# The small vocabulary comes first: there, a random id is often the original one.
@exercise("masked-share", "the share",
          "this is the share of positions that the model sees changed.",
          cases=[case(5, 0.15, expected=0.15 * 0.88), case(30522, 0.15), case(12000, 0.4)])
def changed_share(vocab_size: int, share: float) -> float:
    """Return the expected share of all positions whose input id is not the original.

    vocab_size: the size of the vocabulary. A random id is any of its ids, each with the
        same probability. The text itself never contains [MASK].
    share: the share of positions that are chosen, for example 0.15. Of these, 80 % become
        [MASK], 10 % get a random id, and 10 % stay.

    Example: changed_share(1, 0.5) returns 0.4, since the only random id is the original.
    """
    random_differs = (vocab_size - 1) / vocab_size
    return share * (0.8 + 0.1 * random_differs)


changed_share.mistakes(
    ("this is the share of chosen positions. One tenth of them keeps its id.",
     lambda size, share: share),
    ("a random id can be the original one. How often, among vocab_size ids?",
     lambda size, share: 0.9 * share),
    ("the random ids are missing: most of them differ from the original.",
     lambda size, share: 0.8 * share),
    ("this is the share among the chosen positions. Count among all positions.",
     lambda size, share: changed_share(size, 1.0)),
    ("this is the share that stays the same. The changed share is asked.",
     lambda size, share: 1 - changed_share(size, share)),
    ("1 / vocab_size is the chance of the original id. You need that of another one.",
     lambda size, share: share * (0.8 + 0.1 / size)),
)
changed_share.also_right(lambda size, share: 1 - (1 - share) - share * (0.1 + 0.1 / size))
