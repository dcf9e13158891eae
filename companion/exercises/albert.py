"""The exercises of the chapter "ALBERT"."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn.functional import cross_entropy, one_hot

from companion.exercises.exercise import case, exercise


_SIZES = ("vocab_size", "max_position_embeddings", "embedding_size", "hidden_size",
          "intermediate_size", "num_hidden_layers", "num_hidden_groups")


def _model(head, *sizes, **more):
    import transformers

    sizes = dict(zip(_SIZES, sizes, strict=True))
    return getattr(transformers, f"Albert{head}")(
        transformers.AlbertConfig(**sizes, num_attention_heads=2, **more))


def _counted(*sizes):
    with torch.device("meta"):  # no memory for its numbers
        return float(sum(part.numel() for part in _model("Model", *sizes).parameters()))


@exercise("albert-parameters", "the number", "AlbertModel has exactly as many.",
          cases=[case(70, 10, 6, 16, 30, 4, 2), case(50, 20, 8, 12, 40, 6, 1),
                 case(30000, 512, 128, 768, 3072, 12, 1)], expected=_counted)
def albert_parameters(vocabulary: int, positions: int, embedding: int, hidden: int, inner: int,
                      layers: int, groups: int) -> int:
    """Count the parameters of an ALBERT with a pooler and without other heads.

    vocabulary, positions: rows of the tables of tokens and of positions. A third table has
        2 rows, for the segments. Each row has `embedding` numbers. One layer normalisation
        follows, as wide as the embedding.
    embedding, hidden: widths. A linear layer leads from the first to the second.
    inner: the width inside the feed-forward network.
    layers, groups: how many layers are run, and how many of them have weights of their own.
    The pooler is a linear layer from hidden to hidden. Every linear layer has a bias.

    Example: albert_parameters(10, 4, 2, 3, 5, 6, 1) returns 155.
    """
    def linear(width_in: int, width_out: int) -> int:
        return width_in * width_out + width_out

    norm = 2 * hidden
    layer = 4 * linear(hidden, hidden) + linear(hidden, inner) + linear(inner, hidden) + 2 * norm
    entrance = (vocabulary + positions + 2) * embedding + 2 * embedding + linear(embedding, hidden)
    return entrance + groups * layer + linear(hidden, hidden)


def _without(way):
    return lambda v, p, e, h, i, n, g: albert_parameters(v, p, e, h, i, n, g) - way(e, h, i, g)


albert_parameters.mistakes(
    ("every layer was counted. Layers of one group share their parameters: count groups.",
     lambda *sizes: albert_parameters(*sizes[:-1], sizes[-2])),
    ("one group was counted. Count all of them.", lambda *x: albert_parameters(*x[:-1], 1)),
    ("the table of tokens is as wide as the hidden states. It is factorised: use `embedding`.",
     lambda v, p, e, h, *rest: albert_parameters(v, p, e, h, *rest) + v * (h - e)),
    ("the map from the embedding to hidden is missing.", _without(lambda e, h, *_: e * h + h)),
    ("one bias of length `hidden` is missing: of the map or pooler.", _without(lambda e, h, *_: h)),
    ("the pooler is missing: from hidden to hidden.", _without(lambda e, h, *_: h * h + h)),
    ("the table of segments, or the layer normalisation of the embeddings, is missing, or both.",
     _without(lambda e, h, i, g: 2 * e), _without(lambda e, h, i, g: 4 * e)),
    ("the table of positions is missing.", lambda v, p, *sizes: albert_parameters(v, 0, *sizes)),
    ("a layer has two layer normalisations of 2 * `hidden`: after the attention and at its end.",
     _without(lambda e, h, i, g: g * 4 * h), _without(lambda e, h, i, g: g * 2 * h)),
    ("attention has four linear layers: query, key, value, and the one that joins the heads.",
     _without(lambda e, h, i, g: g * (h * h + h))),
    ("the biases are missing. Each linear layer has one number for each output.",
     _without(lambda e, h, i, g: h + g * (5 * h + i) + h)),
)


def _embedding_case(narrow, wide):
    draw = torch.Generator().manual_seed(41)
    return case(torch.tensor([[2, 8, 5, 3], [2, 7, 7, 0]]), *(
        torch.randn(size, generator=draw) for size in ((9, narrow), (wide, narrow), (wide,))))


@exercise("albert-embedding", "the embeddings",
          "this is what an Embedding and a Linear of PyTorch give.",
          cases=lambda: [_embedding_case(3, 5), _embedding_case(4, 4)],
          expected=lambda ids, table, lift, bias: nn.functional.linear(
              nn.Embedding.from_pretrained(table)(ids), lift, bias))
def embed(ids: torch.Tensor, table: torch.Tensor, lift: torch.Tensor,
          bias: torch.Tensor) -> torch.Tensor:
    """Turn ids into vectors of the hidden size, by way of narrow ones.

    ids: token ids, shape (B, L).
    table: one narrow vector for each entry of the vocabulary, shape (V, E).
    lift, bias: weight and bias of the linear map from E to H, shapes (H, E) and (H,), as
        nn.Linear stores them.
    Returns a tensor of shape (B, L, H).

    Example: with the table [[1.], [2.]], lift [[1.], [10.]] and bias [0., 5.],
    the ids [[1, 0]] become [[[2., 25.], [1., 15.]]].
    """
    return table[ids] @ lift.T + bias


embed.mistakes(
    ("the bias is missing.", lambda ids, table, lift, bias: embed(ids, table, lift, 0)),
    ("tanh was applied. The map is linear.", lambda *given: embed(*given).tanh()),
    ("relu was applied. The map is linear.", lambda *given: embed(*given).relu()),
    ("the result was scaled. ALBERT does not.", lambda *x: embed(*x) * math.sqrt(len(x[2]))),
    ("`lift` has shape (hidden, embedding), as the weight of nn.Linear: transpose it.",
     lambda i, t, w, b: t[i] @ w + b, lambda i, t, w, b: t[i] @ (w if len(w) == 4 else w.T) + b),
    ("the ids are numbers of rows: look them up with table[ids], do not multiply them.",
     lambda i, t, w, b: i @ t, lambda i, t, w, b: i.float() @ t),
)
embed.also_right(lambda i, t, w, b: (t @ w.T + b)[i],
                 lambda i, t, w, b: one_hot(i, len(t)).float() @ t @ w.T + b)


@exercise("albert-groups", "the groups",
          "one group is a shared ALBERT, as many groups as layers an unshared one.",
          cases=[case(6, 3, expected=[0, 0, 1, 1, 2, 2]), case(6, 2, expected=[0, 0, 0, 1, 1, 1]),
                 case(3, 1, expected=[0, 0, 0]), case(4, 4, expected=[0, 1, 2, 3])])
def group_of_layers(layers: int, groups: int) -> list[int]:
    """Say for each layer which group of weights it uses.

    layers: how many layers are run; a multiple of groups.
    groups: how many groups of weights there are. Each serves a run of neighbouring layers,
        and all runs are equally long.
    Returns the numbers of the groups, counted from 0, in the order of the layers.

    Example: group_of_layers(4, 2) returns [0, 0, 1, 1].
    """
    return [layer * groups // layers for layer in range(layers)]


group_of_layers.mistakes(
    ("the groups take turns. In ALBERT a group is a run of neighbouring layers.",
     lambda n, groups: [i % groups for i in range(n)]),
    ("each group got as many layers as there are groups. A group has layers / groups layers.",
     lambda n, groups: [i // groups for i in range(n)]),
    ("groups are counted from 0.", lambda *given: [i + 1 for i in group_of_layers(*given)]),
    ("the order is reversed: the first layers belong to group 0.",
     lambda *given: group_of_layers(*given)[::-1]),
    ("these are the sizes of the groups. Say for each layer which group it belongs to.",
     lambda n, groups: [n // groups] * groups),
    ("these are the layers of each group. Say for each layer which group it belongs to.",
     lambda n, groups: torch.arange(n).view(groups, -1).tolist()),
    ("every layer is in group 0. That is right for one group only.", lambda n, groups: [0] * n),
    ("every layer has a group of its own. That is right only for as many groups as layers.",
     lambda n, groups: list(range(n))),
    ("groups are whole: use // in place of /.", lambda n, g: [i * g / n for i in range(n)]),
)
group_of_layers.also_right(lambda n, groups: [i for i in range(groups) for _ in range(n // groups)])


@exercise("albert-row", ("ids", "segments"),
          "the row is cut in the same way whatever its label is.",
          cases=[case([11, 12, 13, 14, 15], [21, 22, 23, 24, 25, 26], swapped, room, 2, 3,
                      expected=(ids, [0] * 5 + [1] * (room - 2))) for swapped, room, ids in (
              (False, 7, [2, 13, 14, 15, 3, 21, 22, 23, 24, 3]),
              (True, 7, [2, 24, 25, 26, 3, 11, 12, 13, 14, 3]),
              (True, 6, [2, 24, 25, 26, 3, 11, 12, 13, 3]))])
def order_row(a: list[int], b: list[int], swapped: bool, room: int, cls_id: int,
              sep_id: int) -> tuple[list[int], list[int]]:
    """Write a row for sentence-order prediction.

    a, b: token ids of two stretches of a text; b follows a, and they meet at the end of a
        sentence. Each is at least as long as its place. They must not be modified.
    swapped: whether b comes first.
    room: how many tokens of a and b the row holds. The first place has room // 2 of them,
        the second place the rest.
    A stretch in the first place loses its beginning, one in the second place its end.
    Returns the ids [CLS] first [SEP] second [SEP] and the segments: 0 up to the first
    [SEP], 1 behind it.

    Example: with room 3, [5, 6] and [7, 8, 9] become
    [cls_id, 6, sep_id, 7, 8, sep_id] and [0, 0, 0, 1, 1, 1].
    """
    first, second = (b, a) if swapped else (a, b)
    first, second = first[len(first) - room // 2 :], second[: room - room // 2]
    ids = [cls_id, *first, sep_id, *second, sep_id]
    return ids, [0] * (len(first) + 2) + [1] * (len(second) + 1)


def _cut(way):
    def answer(a, b, swapped, room, cls, sep):
        x, y = way(*((b, a) if swapped else (a, b)), room // 2, (room + 1) // 2, swapped)
        return [cls, *x, sep, *y, sep], order_row(a, b, swapped, room, cls, sep)[1]
    return answer


def _changed(way):
    """An answer made by `way(right ids, right segments, place of the first [SEP], swapped)`."""
    return lambda *given: way(*order_row(*given), given[3] // 2 + 1, given[2])


order_row.mistakes(
    ("the stretches were not swapped. With `swapped` true, b comes first.",
     lambda a, b, swapped, *rest: order_row(a, b, False, *rest)),
    ("the stretches were swapped although `swapped` is false.",
     lambda a, b, swapped, *rest: order_row(a, b, True, *rest),
     lambda a, b, swapped, *rest: order_row(a, b, not swapped, *rest)),
    ("the stretches were cut before they were swapped. Then only a swapped row breaks off before "
     "the first [SEP], which gives the label away. Swap, then cut by the place in the row.",
     _cut(lambda x, y, m, n, swapped: (x[:n], y[-m:]) if swapped else (x[-m:], y[:n]))),
    ("the first place lost its end, where the stretches meet. It loses its beginning.",
     _cut(lambda x, y, m, n, _: (x[:m], y[:n]))),
    ("the second place lost its beginning, where the stretches meet. It loses its end.",
     _cut(lambda x, y, m, n, _: (x[-m:], y[-n:]))),
    ("of an odd room the second place gets the larger part: room // 2 is for the first.",
     _cut(lambda x, y, m, n, _: (x[-n:], y[:m]))),
    ("nothing was cut: together, the stretches have `room` tokens.", _cut(lambda *x: x[:2])),
    ("the [SEP] between the stretches is missing.",
     _changed(lambda ids, kinds, sep, _: (ids[:sep] + ids[sep + 1:], kinds))),
    ("[CLS] is missing at the beginning.", _changed(lambda ids, kinds, *_: (ids[1:], kinds))),
    ("the last [SEP] is missing.", _changed(lambda ids, kinds, *_: (ids[:-1], kinds))),
    ("the segments moved with the stretches. They mark places: moved, they give the label away.",
     _changed(lambda ids, kinds, sep, swapped: (ids, [kind ^ swapped for kind in kinds]))),
    ("the segments are the wrong way round: the first place has 0.",
     _changed(lambda ids, kinds, *_: (ids, [1 - kind for kind in kinds]))),
    ("the first [SEP] has segment 1. It belongs to the stretch that it ends.",
     _changed(lambda ids, kinds, sep, _: (ids, [int(i >= sep) for i in range(len(ids))]))),
    ("the last [SEP] has segment 0. It ends the second stretch, so it has 1.",
     _changed(lambda ids, kinds, *_: (ids, kinds[:-1] + [0]))),
    ("the special tokens need a segment too.", _changed(lambda *x: (x[0], x[1][2:-1]))),
    ("all segments are 0. The second place has 1.", _changed(lambda x, *_: (x, [0] * len(x)))),
)
order_row.also_right(lambda a, b, swapped, room, cls, sep: (
    [cls, *[a, b][swapped][::-1][:room // 2][::-1], sep, *[b, a][swapped][:(room + 1) // 2], sep],
    [int(i > room // 2 + 1) for i in range(room + 3)]))


def _loss_cases():
    """From `AlbertForPreTraining`, which gives no number for the second batch, without a pair."""
    ids = torch.tensor([[2, 5, 4, 3, 4, 3], [2, 4, 3, 8, 9, 3], [2, 6, 3, 4, 4, 3],
                        [2, 7, 10, 3, 8, 3], [2, 9, 3, 10, 6, 3]])
    labels, order = torch.full_like(ids, -100), torch.tensor([0, -100, 1, 0, -100])
    labels[[0, 1, 1, 3, 4], [2, 1, 4, 4, 1]] = torch.tensor([6, 4, 9, 0, 9])
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(17)
        model = _model("ForPreTraining", 11, 8, 6, 8, 16, 1, 1, initializer_range=1.0).eval()
        out = model(input_ids=ids, labels=labels, sentence_order_label=order)
    words, pairs = out.prediction_logits.requires_grad_(), out.sop_logits.requires_grad_()
    return [case(words, labels, pairs, order, expected=out.loss.requires_grad_()),
            case(words, labels, pairs, torch.full_like(order, -100),
                 expected=cross_entropy(words[labels != -100], labels[labels != -100]))]


@exercise("albert-loss", "the loss", "your loss is the one that AlbertForPreTraining computes.",
          cases=_loss_cases)
def albert_loss(logits: torch.Tensor, labels: torch.Tensor, order_logits: torch.Tensor,
                order: torch.Tensor) -> torch.Tensor:
    """Compute the loss of ALBERT's pretraining.

    logits: scores of the vocabulary at every position, shape (B, L, V).
    labels: the right ids, shape (B, L); -100 where a position does not count.
    order_logits: scores of label 0 and label 1 for every row, shape (B, 2).
    order: 0 as written, 1 swapped, -100 for a row that is no pair; shape (B,).
    Returns a tensor with one number, in nats: the mean cross-entropy over the positions
    that count, plus the mean cross-entropy over the pairs. In a batch without a pair, the
    first of the two alone. Gradients must be able to flow from it to the logits.

    Example: when all logits are 0 and there is a pair, the loss is ln V + ln 2.
    """
    total = cross_entropy(logits.flatten(0, 1), labels.flatten())
    if (order != -100).any():
        total = total + cross_entropy(order_logits, order)
    return total


def _words(logits, labels, **rules):
    return cross_entropy(logits.flatten(0, 1), labels.flatten(), **rules)


def _sum(words=_words, pairs=cross_entropy):
    """Two answers that add these losses: one asks whether there is a pair, the other does not."""
    return (lambda x, y, z, o: words(x, y) + (pairs(z, o) if (o != -100).any() else 0),
            lambda x, y, z, o: words(x, y) + pairs(z, o))


albert_loss.mistakes(
    ("the order of sentences is missing.", lambda x, y, z, o: _words(x, y)),
    ("the masked words are missing.", *_sum(lambda x, y: 0 * x.sum())),
    ("without a pair the loss is not a number, the mean over no row. Then only the words count.",
     _sum()[1]),
    ("the masked part counts also without a pair.",
     lambda x, y, z, o: albert_loss(x, y, z, o) * (o != -100).any()),
    ("this is the mean of the two losses. ALBERT adds them.",
     *_sum(lambda x, y: _words(x, y) / 2, lambda z, o: cross_entropy(z, o) / 2)),
    ("the loss of order was divided by all rows. Divide by the pairs: plain rows do not count.",
     *_sum(pairs=lambda z, o: cross_entropy(z, o, reduction="none").mean())),
    ("the pairs with label 0 were left out. 0 is a class: as it was written.",
     *_sum(pairs=lambda z, o: cross_entropy(z[o > 0], o[o > 0]))),
    ("plain rows count as pairs in order. They have no order: leave out the label -100.",
     *_sum(pairs=lambda z, o: cross_entropy(z, o.clamp(min=0)))),
    ("the labels of order are the wrong way round: column 0 is the score of label 0.",
     *_sum(pairs=lambda z, o: cross_entropy(z.flip(-1), o))),
    ("the masked part was divided by all positions. Divide by those with a label.",
     *_sum(lambda x, y: _words(x, y, reduction="none").mean())),
    ("these are sums. Each of the two losses is a mean.",
     *_sum(lambda x, y: _words(x, y, reduction="sum"),
           lambda z, o: cross_entropy(z, o, reduction="sum"))),
    ("softmax is applied before cross_entropy, which does it itself.",
     *_sum(pairs=lambda z, o: cross_entropy(z.softmax(-1), o))),
    ("positions and pairs are in one mean: a pair weighs no more than a word. Add two means.",
     lambda x, y, z, o: torch.cat([_words(x, y, reduction="none")[y.flatten() >= 0],
                                   cross_entropy(z, o, reduction="none")[o >= 0]]).mean()),
    ("the shapes do not fit: flatten logits to (B * L, V) and labels to (B * L,).",
     *_sum(cross_entropy), *_sum(lambda x, y: cross_entropy(x.flatten(0, 1), y))),
    ("a label -100 reached a loss that does not skip it.",
     *_sum(pairs=lambda z, o: -z.log_softmax(-1).gather(1, o[:, None]).mean()),
     *_sum(pairs=lambda z, o: -z.log_softmax(-1)[range(len(o)), o].mean())),
)
albert_loss.also_right(
    lambda x, y, z, o: sum(
        -scores.log_softmax(-1)[kept, labels[kept]].mean()
        for scores, labels in ((x.flatten(0, 1), y.flatten()), (z, o))
        if len(kept := (labels >= 0).nonzero()[:, 0])),
    lambda x, y, z, o: _words(x, y, reduction="sum") / (y >= 0).sum() + (
        cross_entropy(z, o, reduction="sum") / max(1, int((o >= 0).sum()))))
