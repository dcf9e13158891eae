"""Answers to the exercises of "Masked language modelling", as learners write them.

What the tables hold is said in `answer_tables.py`.
"""

import math

import numpy
import torch
from answer_tables import tables
from torch.nn.functional import cross_entropy, one_hot

MUTANTS, STOPPED, RIGHT, wrong, stops, right = tables()


# --- masked-positions ---------------------------------------------------------------------

@wrong("masked-positions", "wrong way round")
def _(ids, special_ids):
    return torch.isin(ids, torch.tensor(special_ids))


@wrong("masked-positions", "only the padding is left out")
def _(ids, special_ids):
    return ids != special_ids[2]


@wrong("masked-positions", "padding is still True")
def _(ids, special_ids):
    return (ids != special_ids[0]) & (ids != special_ids[1])


@wrong("masked-positions", "only the first and the last position")
def _(ids, special_ids):
    mask = torch.ones(len(ids), dtype=torch.bool)
    mask[[0, -1]] = False
    return mask


@wrong("masked-positions", "[SEP] is still True")
def _(ids, special_ids):
    return (ids != special_ids[0]) & (ids != special_ids[2])


@wrong("masked-positions", "Use special_ids")
def _(ids, special_ids):
    return (ids != 101) & (ids != 102) & (ids != 0)


@wrong("masked-positions", "dtype is torch.int64")
def _(ids, special_ids):
    return torch.tensor([int(number not in special_ids) for number in ids.tolist()])


@wrong("masked-positions", "not a list")
def _(ids, special_ids):
    return [number not in special_ids for number in ids.tolist()]


@wrong("masked-positions", "the shape is (3,)")
def _(ids, special_ids):
    return (~torch.isin(ids, torch.tensor(special_ids))).nonzero().flatten()


# --- masked-apply -------------------------------------------------------------------------

def _right_inputs(ids, chosen, kinds, mask_id, random_ids):
    inputs = torch.where(chosen & (kinds < 0.8), mask_id, ids)
    return torch.where(chosen & (kinds >= 0.8) & (kinds < 0.9), random_ids, inputs)


@wrong("masked-apply", "at every position")
def _(*given):
    return _right_inputs(*given), given[0].clone()


@wrong("masked-apply", "whose id stays the same")
def _(ids, *rest):
    inputs = _right_inputs(ids, *rest)
    labels = ids.clone()
    labels[inputs == ids] = -100
    return inputs, labels


@wrong("masked-apply", "after masking")
def _(ids, chosen, *rest):
    inputs = _right_inputs(ids, chosen, *rest)
    labels = inputs.clone()
    labels[~chosen] = -100
    return inputs, labels


@wrong("masked-apply", "copy of the masked inputs")
def _(*given):
    inputs = _right_inputs(*given)
    return inputs, inputs


@wrong("masked-apply", "labels are the wrong way round")
def _(ids, chosen, *rest):
    return _right_inputs(ids, chosen, *rest), ids.masked_fill(chosen, -100)


@wrong("masked-apply", "labels are 0")
def _(ids, chosen, *rest):
    return _right_inputs(ids, chosen, *rest), ids * chosen


@wrong("masked-apply", "modifies its argument `ids`")
def _(ids, chosen, kinds, mask_id, random_ids):
    inputs, labels = ids, torch.where(chosen, ids, -100)
    inputs[chosen & (kinds < 0.8)] = mask_id
    swap = chosen & (kinds >= 0.8) & (kinds < 0.9)
    inputs[swap] = random_ids[swap]
    return inputs, labels


@wrong("masked-apply", "the last two tenths are swapped")
def _(ids, chosen, kinds, mask_id, random_ids):
    inputs = torch.where(chosen & (kinds < 0.8), mask_id, ids)
    inputs = torch.where(chosen & (kinds >= 0.9), random_ids, inputs)
    return inputs, torch.where(chosen, ids, -100)


@wrong("masked-apply", "inputs contain -100")
def _(ids, chosen, *rest):
    inputs = _right_inputs(ids, chosen, *rest)
    return torch.where(chosen, inputs, -100), torch.where(chosen, ids, -100)


@wrong("masked-apply", "every chosen position became [MASK]")
def _(ids, chosen, kinds, mask_id, random_ids):
    return ids.masked_fill(chosen, mask_id), torch.where(chosen, ids, -100)


@wrong("masked-apply", "overwrites the first")
def _(ids, chosen, kinds, mask_id, random_ids):
    inputs = ids.clone()
    inputs[chosen & (kinds < 0.8)] = mask_id
    second = chosen & (kinds < 0.9)
    inputs[second] = random_ids[second]
    return inputs, torch.where(chosen, ids, -100)


@wrong("masked-apply", "no chosen position keeps its id")
def _(ids, chosen, kinds, mask_id, random_ids):
    inputs = torch.where(chosen, torch.where(kinds < 0.8, mask_id, random_ids), ids)
    return inputs, torch.where(chosen, ids, -100)


@wrong("masked-apply", "no random id was written")
def _(ids, chosen, kinds, mask_id, random_ids):
    inputs = torch.where(chosen & (kinds < 0.8), mask_id, ids)
    return inputs, torch.where(chosen, ids, -100)


@wrong("masked-apply", "not chosen have changed")
def _(ids, chosen, kinds, mask_id, random_ids):
    inputs = torch.where(kinds < 0.8, mask_id, torch.where(kinds < 0.9, random_ids, ids))
    return inputs, torch.where(chosen, ids, -100)


@wrong("masked-apply", "wrong order")
def _(ids, chosen, *rest):
    return torch.where(chosen, ids, -100), _right_inputs(ids, chosen, *rest)


@wrong("masked-apply", "return 2 results")
def _(*given):
    return _right_inputs(*given)


# --- masked-loss --------------------------------------------------------------------------

@wrong("masked-loss", "divided by all positions")
def _(logits, labels):
    total = cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum")
    return total / labels.numel()


@wrong("masked-loss", "sum over the positions")
def _(logits, labels):
    return cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum")


@wrong("masked-loss", "number of rows")
def _(logits, labels):
    total = cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum")
    return total / logits.shape[0]


@wrong("masked-loss", "mean of the rows' means")
def _(logits, labels):
    rows = [cross_entropy(scores, right) for scores, right in zip(logits, labels, strict=True)]
    return torch.stack(rows).mean()


@wrong("masked-loss", "whose label is 0 were dropped")
def _(logits, labels):
    counted = labels > 0
    return cross_entropy(logits[counted], labels[counted])


@wrong("masked-loss", "as if their label were 0")
def _(logits, labels):
    labels = labels.masked_fill(labels == -100, 0)
    return cross_entropy(logits.flatten(0, 1), labels.flatten())


@wrong("masked-loss", "softmax is applied twice")
def _(logits, labels):
    chances = torch.softmax(logits, dim=-1)
    return cross_entropy(chances.flatten(0, 1), labels.flatten())


@wrong("masked-loss", "base 2")
def _(logits, labels):
    counted = labels != -100
    chances = logits[counted].softmax(-1).gather(1, labels[counted][:, None])
    return -chances.log2().mean()


@wrong("masked-loss", "the sign is wrong")
def _(logits, labels):
    counted = labels != -100
    right = one_hot(labels[counted], logits.shape[-1])
    return (logits[counted].log_softmax(-1) * right).sum(-1).mean()


@wrong("masked-loss", "the logarithm is missing")
def _(logits, labels):
    counted = labels != -100
    chances = logits[counted].softmax(-1).gather(1, labels[counted][:, None])
    return (1 - chances).mean()


@wrong("masked-loss", "the labels are shifted")
def _(logits, labels):
    return cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())


@wrong("masked-loss", "not a float")
def _(logits, labels):
    return cross_entropy(logits.flatten(0, 1), labels.flatten()).item()


@wrong("masked-loss", "no gradient can flow back")
def _(logits, labels):
    return cross_entropy(logits.flatten(0, 1), labels.flatten()).detach()


@wrong("masked-loss", "modifies its argument `labels`")
def _(logits, labels):
    counted = labels != -100
    labels[~counted] = 0
    return cross_entropy(logits[counted], labels[counted])


@wrong("masked-loss", "the shape is (3, 6)")
def _(logits, labels):
    return cross_entropy(logits.transpose(1, 2), labels, reduction="none")


@stops("masked-loss", "ignore_index")
def _(logits, labels):
    return cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=0)


@stops("masked-loss", "flatten to (B*L, V)")
def _(logits, labels):
    return cross_entropy(logits, labels)


@stops("masked-loss", "flatten to (B*L, V)")
def _(logits, labels):
    return cross_entropy(logits.flatten(0, 1), labels)


# --- masked-fresh -------------------------------------------------------------------------

@wrong("masked-fresh", "base 2")
def _(vocab_size):
    return math.log2(vocab_size)


@wrong("masked-fresh", "base 10")
def _(vocab_size):
    return math.log10(vocab_size)


@wrong("masked-fresh", "probability of the right token")
def _(vocab_size):
    return 1 / vocab_size


@wrong("masked-fresh", "the sign is wrong")
def _(vocab_size):
    return math.log(1 / vocab_size)


@wrong("masked-fresh", "perplexity")
def _(vocab_size):
    return vocab_size


@wrong("masked-fresh", "not a str")
def _(vocab_size):
    return f"{math.log(vocab_size)}"


@wrong("masked-fresh", "expected: 10.3262")  # an unknown mistake: the general comparison
def _(vocab_size):
    return round(math.log(vocab_size), 2)


# --- masked-whole-words -------------------------------------------------------------------

_SPECIAL = {"[CLS]", "[SEP]", "[PAD]"}


@wrong("masked-whole-words", "every piece is a group of its own")
def _(tokens):
    return [[place] for place, token in enumerate(tokens) if token not in _SPECIAL]


@wrong("masked-whole-words", "special tokens have groups too")
def _(tokens):
    groups = []
    for place, token in enumerate(tokens):
        if token.startswith("##"):
            groups[-1].append(place)
        else:
            groups.append([place])
    return groups


@wrong("masked-whole-words", "after the special tokens were removed")
def _(tokens):
    groups = []
    for place, token in enumerate([token for token in tokens if token not in _SPECIAL]):
        if token[:2] == "##":
            groups[-1].append(place)
        else:
            groups.append([place])
    return groups


@wrong("masked-whole-words", "the last word is missing")
def _(tokens):
    groups, current = [], []
    for place, token in enumerate(tokens):
        if token in _SPECIAL:
            continue
        if not token.startswith("##") and current:
            groups.append(current)
            current = []
        current.append(place)
    return groups


@wrong("masked-whole-words", "words of one piece are missing")
def _(tokens):
    starts = [place for place, token in enumerate(tokens)
              if token not in _SPECIAL and not token.startswith("##")]
    groups = []
    for start in starts:
        end = start + 1
        while end < len(tokens) and tokens[end].startswith("##"):
            end += 1
        if end - start > 1:
            groups.append(list(range(start, end)))
    return groups


@wrong("masked-whole-words", "the start of their word is not with them")
def _(tokens):
    groups, inside = [], False
    for place, token in enumerate(tokens):
        if token in _SPECIAL:
            inside = False
        elif token.startswith("##") and inside:
            groups[-1].append(place)
        else:
            groups.append([place])
            inside = token.startswith("##")
    return groups


@wrong("masked-whole-words", "the token # is a word of its own")
def _(tokens):
    groups = []
    for place, token in enumerate(tokens):
        if token in _SPECIAL:
            continue
        if token.startswith("#"):
            groups[-1].append(place)
        else:
            groups.append([place])
    return groups


@wrong("masked-whole-words", "the groups hold tokens")
def _(tokens):
    groups = []
    for token in tokens:
        if token in _SPECIAL:
            continue
        if token.startswith("##"):
            groups[-1].append(token)
        else:
            groups.append([token])
    return groups


@wrong("masked-whole-words", "must be lists themselves")
def _(tokens):
    return [place for place, token in enumerate(tokens) if token not in _SPECIAL]


@wrong("masked-whole-words", "modifies its argument `tokens`")
def _(tokens):
    tokens.remove("[CLS]")
    return []


@stops("masked-whole-words", "line")
def _(tokens):
    groups = []
    for place, token in enumerate(tokens):
        if token.startswith("##"):
            groups[-1].append(place)
        else:
            groups[place].append(place)
    return groups


# --- masked-share -------------------------------------------------------------------------

@wrong("masked-share", "One tenth of them keeps its id")
def _(vocab_size, share):
    return share


@wrong("masked-share", "a random id can be the original")
def _(vocab_size, share):
    return 0.9 * share


@wrong("masked-share", "the random ids are missing")
def _(vocab_size, share):
    return 0.8 * share


@wrong("masked-share", "share among the chosen positions")
def _(vocab_size, share):
    return 0.8 + 0.1 * (1 - 1 / vocab_size)


@wrong("masked-share", "share that stays the same")
def _(vocab_size, share):
    return 1 - share * (0.9 - 0.1 / vocab_size)


@wrong("masked-share", "the chance that it is another one")
def _(vocab_size, share):
    return share * (0.8 + 0.1 / vocab_size)


# --- right answers, written in another way --------------------------------------------------

@right("masked-positions", "plain Python")
def _(ids, special_ids):
    return torch.tensor([number not in special_ids for number in ids.tolist()])


@right("masked-apply", "loops, and a list of two results")
def _(ids, chosen, kinds, mask_id, random_ids):
    inputs, labels = ids.clone(), torch.full_like(ids, -100)
    for place in chosen.nonzero().tolist():
        row, column = place
        labels[row, column] = ids[row, column]
        if kinds[row, column] < 0.8:
            inputs[row, column] = mask_id
        elif kinds[row, column] < 0.9:
            inputs[row, column] = random_ids[row, column]
    return [inputs, labels]


@right("masked-loss", "flattened")
def _(logits, labels):
    return cross_entropy(logits.view(-1, logits.shape[-1]), labels.view(-1))


@right("masked-loss", "softmax and logarithm")
def _(logits, labels):
    counted = labels != -100
    return -logits[counted].softmax(-1).log().gather(1, labels[counted][:, None]).mean()


@right("masked-loss", "weights, divided by their sum")
def _(logits, labels):
    weights = (labels != -100).float()
    every = cross_entropy(logits.transpose(1, 2), labels.clamp(min=0), reduction="none")
    return (every * weights).sum() / weights.sum()


@right("masked-fresh", "a tensor")
def _(vocab_size):
    return -torch.log(torch.tensor(1 / vocab_size))


@right("masked-fresh", "numpy")
def _(vocab_size):
    return numpy.log(vocab_size)


@right("masked-whole-words", "from the right, with tuples")
def _(tokens):
    groups, current = [], []
    for place in reversed(range(len(tokens))):
        if tokens[place] in _SPECIAL:
            continue
        current.append(place)
        if not tokens[place].startswith("##"):
            groups.append(tuple(reversed(current)))
            current = []
    return tuple(reversed(groups))


@right("masked-share", "one minus the rest")
def _(vocab_size, share):
    stays = (1 - share) + share * (0.1 + 0.1 / vocab_size)
    return 1 - stays
