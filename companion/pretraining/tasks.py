"""What an objective means to the loop: a model class, rows, batches, a loss.

A recipe names one of ``TASKS`` as its ``objective``. All else (order of rows, learning rate,
log, resuming) is the same for all of them, so that objectives can be compared.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from torch import nn
from transformers import PreTrainedTokenizerBase

from companion.objectives import causal, masked, masked_order, spans
from companion.pretraining.recipe import Recipe
from companion.tokenization import pack

Batch = dict[str, torch.Tensor]
Collator = Callable[[np.ndarray, int], Batch]


@dataclass(frozen=True)
class Task:
    """One objective.

    Attributes:
        model: name of the Auto class of transformers.
        kinds: examples of ``model.kind``, for the message about an unknown one.
        prepare: adds to a tokenizer what the objective needs.
        pack: texts, tokenizer and row length -> rows (rows, length).
        collator: recipe and tokenizer -> what makes batches for training.
        judge: the same for validation; never depends on how a recipe corrupts its training
            batches, so that recipes of one objective can be compared. A causal model is judged
            as it is trained: documents of a row apart or not, as ``causal.isolate`` says.
        loss: model and batch -> scalar tensor.
        predictions: model and batch -> logits (positions, vocabulary) and targets (positions,)
            of the positions that count.
        also: further predictions of the kind, by name; validation logs their accuracy.
    """

    model: str
    kinds: str
    prepare: Callable[[PreTrainedTokenizerBase, Recipe], PreTrainedTokenizerBase]
    pack: Callable[[Iterable[str], PreTrainedTokenizerBase, int], np.ndarray]
    collator: Callable[[Recipe, PreTrainedTokenizerBase], Collator]
    judge: Callable[[Recipe, PreTrainedTokenizerBase], Collator]
    loss: Callable[[nn.Module, Batch], torch.Tensor]
    predictions: Callable[[nn.Module, Batch], tuple[torch.Tensor, torch.Tensor]]
    also: dict[str, Callable] = field(default_factory=dict)


def _masked_predictions(model: nn.Module, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    where = batch["labels"] != masked.IGNORE
    inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
    return masked.masked_logits(model, where=where, **inputs), batch["labels"][where]


def _causal_predictions(model: nn.Module, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
    targets = batch["labels"][:, 1:]
    where = targets != masked.IGNORE
    return causal.logits(model, **inputs)[:, :-1][where], targets[where]


def _span_predictions(model: nn.Module, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    where = batch["labels"] != masked.IGNORE
    return spans.logits(model, batch)[where], batch["labels"][where]


def _with_end(tokenizer: PreTrainedTokenizerBase, recipe: Recipe) -> PreTrainedTokenizerBase:
    """BERT's vocabulary has no token for the end of a text: its ``[SEP]`` becomes it."""
    if tokenizer.eos_token_id is None:
        tokenizer.eos_token = tokenizer.sep_token
    causal.eos_of(tokenizer)
    return tokenizer


def _with_sentinels(tokenizer: PreTrainedTokenizerBase, recipe: Recipe):
    tokenizer = _with_end(tokenizer, recipe)
    s = recipe.spans
    # As many as a row needs, and one more for the end; those of the yardstick too.
    needed = max(spans.counts(recipe.text.row_length, share, mean)[1]
                 for share, mean in ((s.share, s.mean), (0.15, 3.0)))
    return spans.with_sentinels(tokenizer, needed + 1)


def _with_pairs(question: str) -> Task:
    """Masked words, and a question about pairs of stretches; see ``masked_order``."""
    def answers(model: nn.Module, batch: Batch, which: str):
        return masked_order.predictions(model, batch)[which]

    return Task(
        model="AutoModelForPreTraining", kinds="albert or bert",
        prepare=lambda tokenizer, recipe: tokenizer, pack=masked_order.pack_pairs,
        collator=lambda r, t: masked_order.MaskedOrder(
            t, seed=r.seed, question=question, **vars(r.masking)),
        judge=lambda r, t: masked_order.MaskedOrder(
            t, share=0.15, seed=r.seed, question=question),
        loss=masked_order.loss, predictions=partial(answers, which="masked"),
        also={question: partial(answers, which="order")})


TASKS = {
    "masked": Task(
        model="AutoModelForMaskedLM", kinds="bert, albert or roberta",
        prepare=lambda tokenizer, recipe: tokenizer, pack=pack,
        collator=lambda r, t: masked.MaskedLM(t, seed=r.seed, **vars(r.masking)),
        judge=lambda r, t: masked.MaskedLM(t, share=0.15, seed=r.seed),
        loss=masked.loss, predictions=_masked_predictions),
    "masked_order": _with_pairs("order"),
    "masked_next": _with_pairs("next"),
    "causal": Task(
        model="AutoModelForCausalLM", kinds="gpt2", prepare=_with_end, pack=causal.pack,
        collator=lambda r, t: causal.CausalLM(t, isolate=r.causal.isolate),
        judge=lambda r, t: causal.CausalLM(t, isolate=r.causal.isolate),
        loss=causal.loss, predictions=_causal_predictions),
    "spans": Task(
        model="AutoModelForSeq2SeqLM", kinds="t5", prepare=_with_sentinels, pack=spans.pack,
        collator=lambda r, t: spans.SpanCorruption(t, seed=r.seed, **vars(r.spans)),
        judge=lambda r, t: spans.SpanCorruption(t, seed=r.seed),
        loss=spans.loss, predictions=_span_predictions),
}
