"""A classifier that was never trained as one: template, masked LM, verbalizer."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from companion.errors import CourseError
from companion.guards import checked_scores, door, listed
from companion.objectives.lengths import longest
from companion.pretraining.loop import fast_at_bf16
from companion.prompting import calibration
from companion.prompting.batching import batches, pad
from companion.prompting.loaded import loaded
from companion.prompting.projection import word_logits
from companion.prompting.template import Encoded, Input, Template
from companion.prompting.verbalizer import Label, Verbalizer, numbers, plain
from companion.tokenization import warn_of_unknown

PRECISIONS = ("fp32", "bf16", "auto")


def in_bf16(precision: str) -> bool:
    """Whether a ``precision`` means bf16 on this machine.

    Raises:
        CourseError: it is none of ``PRECISIONS``.
    """
    if precision not in PRECISIONS:
        raise CourseError(f"unknown precision {precision!r}: use one of {', '.join(PRECISIONS)}")
    return precision == "bf16" or (precision == "auto" and fast_at_bf16())


def _copy_in_bf16(model: PreTrainedModel) -> PreTrainedModel:
    """A copy in bf16 throughout: faster than autocast, which turns weights and sums to and fro.

    It is made for every call, as the model may have been trained in between. deepcopy is told
    to take the new numbers for the old ones, so nothing is copied in fp32 first.
    """
    numbers = [*model.parameters(), *model.buffers()]
    memo = {id(t): nn.Parameter(t.detach().bfloat16(), requires_grad=False)
            if isinstance(t, nn.Parameter) else t.bfloat16()
            for t in numbers if t.is_floating_point()}
    return copy.deepcopy(model, memo)


class Predictor:
    """What follows from ``scores(texts)``: probabilities, labels, accuracy.

    Attributes:
        labels: in the order of the scores.
        truncated: for each text of the latest call, how many of its tokens were cut off.
        unknown: for each text of the latest call, the share of its tokens that are ``[UNK]``.
            A warning tells when it is above a third.
    """

    labels: tuple[Label, ...]
    truncated: list[int]
    unknown: list[float]

    def scores(self, texts: Sequence[Input], calibrated: bool = True) -> torch.Tensor:
        raise NotImplementedError

    def predict_proba(self, texts: Sequence[Input]) -> torch.Tensor:
        """Probabilities (texts, labels); every row sums to 1."""
        return self.scores(texts).softmax(-1)

    def predict(self, texts: Sequence[Input]) -> list[Label]:
        """The most probable label of each text."""
        return [self.labels[i] for i in self.scores(texts).argmax(-1).tolist()]

    def evaluate(self, texts: Sequence[Input], labels: Sequence[Label]) -> dict[str, float]:
        """``accuracy``, ``count`` of texts, how many were ``truncated``, and ``unknown``: the mean
        share of their tokens that are ``[UNK]``.

        Raises:
            CourseError: one text in place of a list, another number of labels than of texts, a
                label that the verbalizer does not have.
        """
        texts, labels = listed(texts), plain(labels)
        if len(texts) != len(labels):
            raise CourseError(f"there are {len(texts)} texts and {len(labels)} labels: give one "
                              "label for each text")
        right = numbers(labels, self.labels)
        found = self.scores(texts).argmax(-1).tolist()
        right = sum(a == b for a, b in zip(found, right))
        return {"accuracy": right / len(texts), "count": len(texts),
                "truncated": sum(cut > 0 for cut in self.truncated),
                "unknown": sum(self.unknown) / len(texts)}


class PromptClassifier(Predictor):
    """Zero-shot classification (Schick and Schütze, 2021, section 3.1, without training).

    The score of a label comes from the logits of its words at the mask. Nothing else is
    computed: neither other positions nor other words. Logits differ from log-probabilities
    by a constant per text, which does not change any comparison. Only where words of
    different numbers of tokens are compared the constant is needed, and the whole vocabulary.

    Args:
        model: a masked LM in evaluation mode, the name of its checkpoint, or what
            ``companion.checkpoints.load`` gave.
        template: with one ``{mask}``, which is repeated for words of several tokens; or with
            as many as each of the label words has tokens. A str becomes a ``Template``.
        verbalizer: the label words; a dictionary becomes a ``Verbalizer``.
        tokenizer: needed only where ``model`` is nothing but a model.
        precision: ``"fp32"``: the same predictions as text by text with the whole model;
            ``"bf16"``: faster on some processors, scores differ in the third digit;
            ``"auto"``: bf16 where it is fast.
        tokens: the most tokens of a batch, padding included.

    Attributes:
        bias: what ``scores`` adds to each label, shape (labels,); ``calibrate`` sets it.

    Raises:
        CourseError: words that the tokenizer does not know, a number of masks that does not
            fit them, a model in training mode or without a masked-LM head.
    """

    @door
    def __init__(self, model: Any, template: str | Template, verbalizer: Mapping | Verbalizer, *,
                 tokenizer: Any = None, precision: str = "fp32", tokens: int = 1024):
        model, tokenizer = loaded(model, tokenizer)
        template = Template(template) if isinstance(template, str) else template
        if isinstance(verbalizer, Mapping):
            verbalizer = Verbalizer(verbalizer)
        if tokens < 1:
            raise CourseError(f"tokens is {tokens}: give at least 1")
        self.model, self.template, self.verbalizer = model, template, verbalizer
        self.tokenizer, self.tokens = tokenizer, tokens
        self.half = in_bf16(precision)
        self.labels, self.truncated, self.unknown = verbalizer.labels, [], []
        self.max_length = longest(model, tokenizer)
        self._words = verbalizer.tokens(tokenizer, template.before)
        self._counts = sorted({len(ids) for ids in self._words})
        if template.places > 1 and self._counts != [template.places]:
            raise CourseError(f"the template has {template.places} masks, but label words have "
                              f"{' or '.join(map(str, self._counts))} tokens: write one {{mask}}, "
                              "it is repeated for longer words")
        self.calibrate("none")

    @door
    def calibrate(self, method: str, texts: Sequence[Input] | None = None,
                  prior: Sequence[float] | None = None) -> "PromptClassifier":
        """Choose the bias that is added to the scores of each label. No label is read.

        Args:
            method: ``"none"``; ``"contextual"`` (``texts``: content-free inputs, by default
                ``calibration.CONTENT_FREE``); ``"prior"`` or ``"median"`` (``texts``: unlabelled
                ones).
            prior: the shares of the labels among ``texts``, for the last two; uniform if not
                given.

        Returns:
            The classifier itself.

        Raises:
            CourseError: an unknown method, one text in place of a list of them, no texts where
                they are needed, a prior that is none.
        """
        if method == "none":
            self.bias = torch.zeros(len(self.labels))
        elif method == "contextual":
            self.bias = calibration.contextual(self._free_scores(texts))
        elif method in ("prior", "median"):
            if texts is None:
                raise CourseError(f"calibration by {method} needs unlabelled texts: give texts=")
            choose = {"prior": calibration.prior_matching, "median": calibration.median}[method]
            self.bias = choose(self.scores(texts, calibrated=False), prior)
        else:
            raise CourseError(f"unknown calibration {method!r}: use none, contextual, prior or "
                              "median")
        return self

    def scores(self, texts: Sequence[Input], calibrated: bool = True) -> torch.Tensor:
        """Scores (texts, labels), float32: log-probabilities up to a constant for each text."""
        scores = self.verbalizer.aggregate(self.word_scores(texts))
        return scores + self.bias if calibrated else scores

    def word_scores(self, texts: Sequence[Input], content_free: bool = False) -> torch.Tensor:
        """Scores (texts, words) before aggregation, words in the order of ``verbalizer.pairs``.

        ``content_free``: see ``Template.encode``.
        """
        texts = listed(texts)
        result = None
        for count in self._counts:
            masks = 1 if self.template.places > 1 else count
            encoded = self.template.encode(self.tokenizer, texts, self.max_length, masks,
                                           content_free)
            if result is None:
                result = torch.empty(len(texts), len(self._words))
                self.truncated, self.unknown = encoded.truncated, encoded.unknown
                warn_of_unknown(self.unknown)
            self.truncated = [max(pair) for pair in zip(self.truncated, encoded.truncated)]
            which = [i for i, ids in enumerate(self._words) if len(ids) == count]
            result[:, which] = self._scored(encoded, [self._words[i] for i in which])
        return checked_scores(result)

    @torch.inference_mode()
    def _scored(self, encoded: Encoded, words: list[tuple[int, ...]]) -> torch.Tensor:
        """Scores (texts, words) of words that have the same number of tokens."""
        device = self.model.device
        rows, pieces = torch.tensor(words).unique(return_inverse=True)  # pieces: (words, k)
        rows, at = rows.to(device), torch.arange(pieces.shape[1])
        result = torch.empty(len(encoded.ids), len(words))
        model = _copy_in_bf16(self.model) if self.half else self.model
        for group in batches([len(ids) for ids in encoded.ids], self.tokens):
            ids, attention = pad([encoded.ids[i] for i in group], self._padding)
            masks = torch.tensor([encoded.masks[i] for i in group])
            logits = word_logits(
                model, ids.to(device), masks.to(device), rows,
                attention if attention is None else attention.to(device),
                normalised=len(self._counts) > 1,
            ).cpu()
            result[group] = logits[:, at, pieces].mean(-1)
        return result

    @property
    def _padding(self) -> int:
        padding = self.tokenizer.pad_token_id
        return 0 if padding is None else padding

    def _free_scores(self, texts: Sequence[Input] | None) -> torch.Tensor:
        if not self.template.slots:
            raise CourseError("the template has no slot, so it has no content to take away: "
                              'calibrate with "prior"')
        texts = calibration.CONTENT_FREE if texts is None else listed(texts)
        filled = [{slot: text.replace("[MASK]", self.tokenizer.mask_token)
                   for slot in self.template.slots} if isinstance(text, str) else text
                  for text in texts]
        return self.verbalizer.aggregate(self.word_scores(filled, content_free=True))
