"""Answers to the exercises of "ALBERT", as learners write them.

What the tables hold is said in `answer_tables.py`.
"""

import math

import torch
from answer_tables import tables
from torch.nn.functional import cross_entropy, linear, one_hot

MUTANTS, STOPPED, RIGHT, wrong, stops, right = tables()


# --- albert-parameters --------------------------------------------------------------------

def _parts(vocabulary, positions, embedding, hidden, inner, groups, norms=4, kinds=4):
    linear = kinds * (hidden * hidden + hidden) + hidden * inner + inner + inner * hidden + hidden
    return {"tables": (vocabulary + positions + 2) * embedding, "norm": 2 * embedding,
            "lift": embedding * hidden + hidden, "groups": groups * (linear + norms * hidden),
            "pooler": hidden * hidden + hidden}


@wrong("albert-parameters", "every layer was counted")
def _(v, p, e, h, i, layers, groups):
    return sum(_parts(v, p, e, h, i, layers).values())


@wrong("albert-parameters", "one group was counted")
def _(v, p, e, h, i, layers, groups):
    return sum(_parts(v, p, e, h, i, 1).values())


@wrong("albert-parameters", "It is factorised")
def _(v, p, e, h, i, layers, groups):
    return sum(_parts(v, p, e, h, i, groups).values()) + v * h - v * e


@wrong("albert-parameters", "the map from the embedding")
def _(v, p, e, h, i, layers, groups):
    parts = _parts(v, p, e, h, i, groups)
    return sum(parts.values()) - parts["lift"]


@wrong("albert-parameters", "one bias of length")
def _(v, p, e, h, i, layers, groups):
    return sum(_parts(v, p, e, h, i, groups).values()) - h


@wrong("albert-parameters", "the pooler is missing")
def _(v, p, e, h, i, layers, groups):
    parts = _parts(v, p, e, h, i, groups)
    return sum(parts.values()) - parts["pooler"]


@wrong("albert-parameters", "the table of segments, or")
def _(v, p, e, h, i, layers, groups):
    parts = _parts(v, p, e, h, i, groups)
    return sum(parts.values()) - parts["norm"]


@wrong("albert-parameters", "are both missing")
def _(v, p, e, h, i, layers, groups):
    parts = _parts(v, p, e, h, i, groups)
    return sum(parts.values()) - parts["norm"] - 2 * e


@wrong("albert-parameters", "the table of positions")
def _(v, p, e, h, i, layers, groups):
    return sum(_parts(v, 0, e, h, i, groups).values())


@wrong("albert-parameters", "the two layer normalisations of a layer are missing")
def _(v, p, e, h, i, layers, groups):
    return sum(_parts(v, p, e, h, i, groups, norms=0).values())


@wrong("albert-parameters", "a layer has two layer normalisations")
def _(v, p, e, h, i, layers, groups):
    return sum(_parts(v, p, e, h, i, groups, norms=2).values())


@wrong("albert-parameters", "four linear layers")
def _(v, p, e, h, i, layers, groups):
    return sum(_parts(v, p, e, h, i, groups, kinds=3).values())


@wrong("albert-parameters", "the biases are missing")
def _(v, p, e, h, i, layers, groups):
    return ((v + p + 4) * e + e * h + h * h + groups * (4 * h * h + 2 * h * i + 4 * h))


@wrong("albert-parameters", "one number is expected")
def _(v, p, e, h, i, layers, groups):
    return list(_parts(v, p, e, h, i, groups).values())


@right("albert-parameters", "the model itself, counted")
def _(v, p, e, h, i, layers, groups):
    from transformers import AlbertConfig, AlbertModel

    with torch.device("meta"):
        model = AlbertModel(AlbertConfig(
            vocab_size=v, max_position_embeddings=p, embedding_size=e, hidden_size=h,
            intermediate_size=i, num_hidden_layers=layers, num_hidden_groups=groups,
            num_attention_heads=1))
    return sum(math.prod(parameter.shape) for parameter in model.parameters())


# --- albert-embedding ---------------------------------------------------------------------

@wrong("albert-embedding", "the bias is missing")
def _(ids, table, lift, bias):
    return table[ids] @ lift.T


@wrong("albert-embedding", "tanh was applied")
def _(ids, table, lift, bias):
    return torch.tanh(linear(table[ids], lift, bias))


@wrong("albert-embedding", "relu was applied")
def _(ids, table, lift, bias):
    return linear(table[ids], lift, bias).clamp(min=0)


@wrong("albert-embedding", "the result was scaled")
def _(ids, table, lift, bias):
    return linear(table[ids], lift, bias) * math.sqrt(len(lift))


@wrong("albert-embedding", "`lift` must be transposed")
def _(ids, table, lift, bias):
    fits = lift.shape[0] == lift.shape[1]
    return table[ids] @ (lift if fits else lift.T) + bias


@wrong("albert-embedding", "the shape is (2, 4, 3)")
def _(ids, table, lift, bias):
    return table[ids]


@stops("albert-embedding", "transpose it")
def _(ids, table, lift, bias):
    return table[ids] @ lift + bias


@stops("albert-embedding", "look them up with table[ids]")
def _(ids, table, lift, bias):
    return ids @ table


@right("albert-embedding", "one matrix for the whole vocabulary")
def _(ids, table, lift, bias):
    return (table @ lift.T + bias)[ids]


@right("albert-embedding", "one-hot vectors")
def _(ids, table, lift, bias):
    return torch.einsum("blv,ve,he->blh", one_hot(ids, len(table)).float(), table, lift) + bias


# --- albert-groups ------------------------------------------------------------------------

@wrong("albert-groups", "the groups take turns")
def _(layers, groups):
    return [layer % groups for layer in range(layers)]


@wrong("albert-groups", "as many layers as there are groups")
def _(layers, groups):
    return [layer // groups for layer in range(layers)]


@wrong("albert-groups", "counted from 0")
def _(layers, groups):
    return [1 + layer * groups // layers for layer in range(layers)]


@wrong("albert-groups", "the order is reversed")
def _(layers, groups):
    return [layer * groups // layers for layer in reversed(range(layers))]


@wrong("albert-groups", "the sizes of the groups")
def _(layers, groups):
    return [layers // groups] * groups


@wrong("albert-groups", "the layers of each group")
def _(layers, groups):
    size = layers // groups
    return [list(range(i * size, i * size + size)) for i in range(groups)]


@wrong("albert-groups", "every layer is in group 0")
def _(layers, groups):
    return [0] * layers


@wrong("albert-groups", "a group of its own")
def _(layers, groups):
    return list(range(layers))


@wrong("albert-groups", "use // in place of /")
def _(layers, groups):
    return [layer * groups / layers for layer in range(layers)]


@wrong("albert-groups", "a list is expected")
def _(layers, groups):
    return {layer: layer * groups // layers for layer in range(layers)}


@right("albert-groups", "repeating each number")
def _(layers, groups):
    return [group for group in range(groups) for _ in range(layers // groups)]


# --- albert-row ---------------------------------------------------------------------------

def _row(first, second, cls_id, sep_id):
    ids = [cls_id, *first, sep_id, *second, sep_id]
    return ids, [0] * (len(first) + 2) + [1] * (len(second) + 1)


@wrong("albert-row", "were cut before they were swapped")
def _(a, b, swapped, room, cls_id, sep_id):
    a, b = a[-(room // 2):], b[: room - room // 2]
    return _row(*((b, a) if swapped else (a, b)), cls_id, sep_id)


@wrong("albert-row", "were not swapped")
def _(a, b, swapped, room, cls_id, sep_id):
    return _row(a[-(room // 2):], b[: room - room // 2], cls_id, sep_id)


@wrong("albert-row", "although `swapped` is false")
def _(a, b, swapped, room, cls_id, sep_id):
    return _row(b[-(room // 2):], a[: room - room // 2], cls_id, sep_id)


@wrong("albert-row", "the first place lost its end")
def _(a, b, swapped, room, cls_id, sep_id):
    first, second = (b, a) if swapped else (a, b)
    return _row(first[: room // 2], second[: room - room // 2], cls_id, sep_id)


@wrong("albert-row", "the second place lost its beginning")
def _(a, b, swapped, room, cls_id, sep_id):
    first, second = (b, a) if swapped else (a, b)
    return _row(first[-(room // 2):], second[-(room - room // 2):], cls_id, sep_id)


@wrong("albert-row", "the second place gets the larger part")
def _(a, b, swapped, room, cls_id, sep_id):
    first, second = (b, a) if swapped else (a, b)
    return _row(first[-(room - room // 2):], second[: room // 2], cls_id, sep_id)


@wrong("albert-row", "nothing was cut")
def _(a, b, swapped, room, cls_id, sep_id):
    return _row(*((b, a) if swapped else (a, b)), cls_id, sep_id)


def _right_row(a, b, swapped, room, cls_id, sep_id):
    first, second = (b, a) if swapped else (a, b)
    return _row(first[len(first) - room // 2:], second[: room - room // 2], cls_id, sep_id)


@wrong("albert-row", "the [SEP] between")
def _(*given):
    ids, segments = _right_row(*given)
    middle = ids.index(given[-1])
    return ids[:middle] + ids[middle + 1:], segments[1:]


@wrong("albert-row", "[CLS] is missing")
def _(*given):
    ids, segments = _right_row(*given)
    return ids[1:], segments[1:]


@wrong("albert-row", "the last [SEP] is missing")
def _(*given):
    ids, segments = _right_row(*given)
    return ids[:-1], segments[:-1]


@wrong("albert-row", "moved, they would give the label away")
def _(a, b, swapped, room, cls_id, sep_id):
    ids, segments = _right_row(a, b, swapped, room, cls_id, sep_id)
    return ids, [1 - s if swapped else s for s in segments]


@wrong("albert-row", "the wrong way round")
def _(*given):
    ids, segments = _right_row(*given)
    return ids, [1 - s for s in segments]


@wrong("albert-row", "the first [SEP] has segment 1")
def _(*given):
    ids, segments = _right_row(*given)
    segments[ids.index(given[-1])] = 1
    return ids, segments


@wrong("albert-row", "the last [SEP] has segment 0")
def _(*given):
    ids, segments = _right_row(*given)
    return ids, segments[:-1] + [0]


@wrong("albert-row", "the special tokens need a segment")
def _(*given):
    room = given[3]
    return _right_row(*given)[0], [0] * (room // 2) + [1] * (room - room // 2)


@wrong("albert-row", "all segments are 0")
def _(*given):
    ids, segments = _right_row(*given)
    return ids, [0] * len(segments)


@wrong("albert-row", "return 2 results")
def _(*given):
    return list(zip(*_right_row(*given)))


@wrong("albert-row", "modifies its argument `a`")
def _(a, b, swapped, room, cls_id, sep_id):
    first, second = (b, a) if swapped else (a, b)
    del first[: len(first) - room // 2], second[room - room // 2:]
    return _row(first, second, cls_id, sep_id)


@right("albert-row", "from the border outwards")
def _(a, b, swapped, room, cls_id, sep_id):
    both = [list(a), list(b)][:: -1 if swapped else 1]
    before = both[0][::-1][: room // 2][::-1]
    row = [cls_id, *before, sep_id]
    rest = [*both[1][: room - room // 2], sep_id]
    return row + rest, [0 for _ in row] + [1 for _ in rest]


# --- albert-loss --------------------------------------------------------------------------

def _masked(logits, labels):
    return cross_entropy(logits[labels != -100], labels[labels != -100])


def _order(logits, order, **rules):
    return cross_entropy(logits, order, **rules) if (order != -100).any() else logits.sum() * 0


@wrong("albert-loss", "the order of sentences is missing")
def _(logits, labels, order_logits, order):
    return _masked(logits, labels)


@wrong("albert-loss", "the masked words are missing")
def _(logits, labels, order_logits, order):
    return _order(order_logits, order)


@wrong("albert-loss", "the mean over no row")
def _(logits, labels, order_logits, order):
    return _masked(logits, labels) + cross_entropy(order_logits, order)


@wrong("albert-loss", "the masked part counts also without a pair")
def _(logits, labels, order_logits, order):
    if (order == -100).all():
        return logits.sum() * 0
    return _masked(logits, labels) + cross_entropy(order_logits, order)


@wrong("albert-loss", "the mean of the two losses")
def _(logits, labels, order_logits, order):
    return (_masked(logits, labels) + _order(order_logits, order)) / 2


@wrong("albert-loss", "divided by all rows")
def _(logits, labels, order_logits, order):
    return _masked(logits, labels) + cross_entropy(order_logits, order, reduction="none").mean()


@wrong("albert-loss", "0 is a class")
def _(logits, labels, order_logits, order):
    return _masked(logits, labels) + _order(order_logits[order > 0], order[order > 0])


@wrong("albert-loss", "plain rows count as pairs in order")
def _(logits, labels, order_logits, order):
    return _masked(logits, labels) + cross_entropy(order_logits, order.relu())


@wrong("albert-loss", "column 0 is the score of label 0")
def _(logits, labels, order_logits, order):
    return _masked(logits, labels) + _order(order_logits[:, [1, 0]], order)


@wrong("albert-loss", "divided by all positions")
def _(logits, labels, order_logits, order):
    every = cross_entropy(logits.transpose(1, 2), labels, reduction="none")
    return every.mean() + _order(order_logits, order)


@wrong("albert-loss", "these are sums")
def _(logits, labels, order_logits, order):
    return (cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum")
            + cross_entropy(order_logits, order, reduction="sum"))


@wrong("albert-loss", "softmax is applied before")
def _(logits, labels, order_logits, order):
    return _masked(logits, labels) + _order(torch.softmax(order_logits, -1), order)


@wrong("albert-loss", "Take two means and add them")
def _(logits, labels, order_logits, order):
    every = cross_entropy(logits[labels != -100], labels[labels != -100], reduction="none")
    pairs = cross_entropy(order_logits[order >= 0], order[order >= 0], reduction="none")
    return torch.cat([every, pairs]).mean()


@wrong("albert-loss", "no gradient can flow back")
def _(logits, labels, order_logits, order):
    return _masked(logits, labels).detach() + _order(order_logits, order).detach()


@stops("albert-loss", "flatten logits")
def _(logits, labels, order_logits, order):
    return cross_entropy(logits, labels) + cross_entropy(order_logits, order)


@stops("albert-loss", "does not skip it")
def _(logits, labels, order_logits, order):
    pairs = order_logits.log_softmax(-1).gather(1, order[:, None])
    return _masked(logits, labels) - pairs.mean()


@right("albert-loss", "by log-probabilities, without ignoring")
def _(logits, labels, order_logits, order):
    total = 0
    for scores, targets in ((logits.flatten(0, 1), labels.flatten()), (order_logits, order)):
        kept = targets >= 0
        if kept.any():
            chances = scores[kept].log_softmax(-1)
            total = total - chances[torch.arange(int(kept.sum())), targets[kept]].mean()
    return total


@right("albert-loss", "sums divided by counts")
def _(logits, labels, order_logits, order):
    pairs = cross_entropy(order_logits, order, reduction="sum") / max(1, int((order >= 0).sum()))
    words = cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum")
    return words / (labels >= 0).sum() + pairs
