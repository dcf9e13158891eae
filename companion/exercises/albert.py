"""The exercises of the chapter "ALBERT"."""

from __future__ import annotations

from functools import cache

import torch

from companion.exercises import albert_hints as hints
from companion.exercises.old import Case, Exercise


@cache
def _parameter_cases() -> list[Case]:
    """Counted in `transformers.AlbertModel`, which is built without memory for its numbers."""
    from transformers import AlbertConfig, AlbertModel

    names = ("vocab_size", "max_position_embeddings", "embedding_size", "hidden_size",
             "intermediate_size", "num_hidden_layers", "num_hidden_groups")
    sizes = [(70, 10, 6, 16, 30, 4, 2), (50, 20, 8, 12, 40, 6, 1),
             (30000, 512, 128, 768, 3072, 12, 1)]
    given = ("vocabulary", "positions", "embedding", "hidden", "inner", "layers", "groups")
    cases = []
    for values in sizes:
        config = AlbertConfig(**dict(zip(names, values, strict=True)), num_attention_heads=2)
        with torch.device("meta"):
            model = AlbertModel(config)
        cases.append(Case(dict(zip(given, values, strict=True)),
                          float(sum(p.numel() for p in model.parameters()))))
    return cases


@cache
def _embedding_cases() -> list[Case]:
    """`torch.nn.Embedding` followed by `torch.nn.Linear`; in the second case both are as wide."""
    cases = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(41)
        for narrow, wide in ((3, 5), (4, 4)):
            table, lift = torch.nn.Embedding(9, narrow), torch.nn.Linear(narrow, wide)
            ids = torch.tensor([[2, 8, 5, 3], [2, 7, 7, 0]])
            given = {"ids": ids, "table": table.weight.detach(), "lift": lift.weight.detach(),
                     "bias": lift.bias.detach()}
            cases.append(Case(given, lift(table(ids)).detach()))
    return cases


def _group_cases() -> list[Case]:
    """Worked out by hand: groups of neighbouring layers, all of one size."""
    return [Case({"layers": 6, "groups": 3}, [0, 0, 1, 1, 2, 2]),
            Case({"layers": 6, "groups": 2}, [0, 0, 0, 1, 1, 1]),
            Case({"layers": 3, "groups": 1}, [0, 0, 0]),
            Case({"layers": 4, "groups": 4}, [0, 1, 2, 3])]


def _row_cases() -> list[Case]:
    """Worked out by hand. The room is odd, and both stretches are longer than either place."""
    first, second = [11, 12, 13, 14, 15], [21, 22, 23, 24, 25, 26]
    given = {"a": first, "b": second, "swapped": False, "room": 7, "cls_id": 2, "sep_id": 3}
    segments = [0, 0, 0, 0, 0, 1, 1, 1, 1, 1]
    return [Case(given, ([2, 13, 14, 15, 3, 21, 22, 23, 24, 3], segments)),
            Case({**given, "swapped": True}, ([2, 24, 25, 26, 3, 11, 12, 13, 14, 3], segments)),
            Case({**given, "swapped": True, "room": 6},
                 ([2, 24, 25, 26, 3, 11, 12, 13, 3], segments[:-1]))]


@cache
def _loss_cases() -> list[Case]:
    """Logits and loss of `transformers.AlbertForPreTraining`; then a batch without a pair, for
    which that class gives no number: there the masked part alone counts."""
    from transformers import AlbertConfig, AlbertForPreTraining

    config = AlbertConfig(vocab_size=11, embedding_size=6, hidden_size=8, num_hidden_layers=1,
                          num_attention_heads=2, intermediate_size=16, max_position_embeddings=8,
                          initializer_range=1.0)
    ids = torch.tensor([[2, 5, 4, 3, 4, 3], [2, 4, 3, 8, 9, 3], [2, 6, 3, 4, 4, 3],
                        [2, 7, 10, 3, 8, 3], [2, 9, 3, 10, 6, 3]])
    labels = torch.full_like(ids, -100)
    labels[0, 2], labels[1, 1], labels[1, 4], labels[3, 4], labels[4, 1] = 6, 4, 9, 0, 9
    order = torch.tensor([0, -100, 1, 0, -100])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(17)
        model = AlbertForPreTraining(config).eval()
    with torch.no_grad():
        out = model(input_ids=ids, labels=labels, sentence_order_label=order)
        plain = torch.nn.functional.cross_entropy(out.prediction_logits.flatten(0, 1),
                                                  labels.flatten())
    given = {"logits": out.prediction_logits.requires_grad_(), "labels": labels,
             "order_logits": out.sop_logits.requires_grad_(), "order": order}
    return [Case(given, out.loss.requires_grad_()),
            Case({**given, "order": torch.full_like(order, -100)}, plain.requires_grad_())]


EXERCISES = (
    Exercise(
        id="albert-parameters", function="albert_parameters", results=("the number",),
        success="AlbertModel has exactly as many.",
        cases=_parameter_cases, hint=hints.parameters),
    Exercise(
        id="albert-embedding", function="embed", results=("the embeddings",),
        success="this is what an Embedding and a Linear of PyTorch give.",
        cases=_embedding_cases, hint=hints.embedding, error_hint=hints.embedding_error),
    Exercise(
        id="albert-groups", function="group_of_layers", results=("the groups",),
        success="one group is a shared ALBERT, as many groups as layers an unshared one.",
        cases=_group_cases, hint=hints.groups),
    Exercise(
        id="albert-row", function="order_row", results=("ids", "segments"),
        success="the row is cut in the same way whatever its label is.",
        cases=_row_cases, hint=hints.row),
    Exercise(
        id="albert-loss", function="albert_loss", results=("the loss",),
        success="your loss is the one that AlbertForPreTraining computes.",
        cases=_loss_cases, hint=hints.loss, error_hint=hints.loss_error),
)
