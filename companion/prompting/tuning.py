"""Prompt tuning: fine-tuning a masked LM through its own head and a prompt.

The loss is the cross-entropy over the scores of the labels, which come from the logits of the
label words at the mask (Schick and Schütze, 2021, section 3.1; Gao et al., 2021, section 4).
No parameter starts at random, so the first prediction is already the zero-shot one.
"""

import copy
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from companion.errors import CourseError
from companion.guards import door
from companion.objectives.masked import head_of
from companion.prompting.batching import pad
from companion.prompting.classifier import PromptClassifier
from companion.prompting.projection import word_logits
from companion.prompting.soft import soft_prompt
from companion.prompting.template import Input
from companion.prompting.training import Budget, check_examples, follow
from companion.prompting.verbalizer import Label, numbers
from companion.tokenization import warn_of_unknown

PARTS = ("all", "head", "prompt")


class Examples:
    """Labelled texts as rows of ids, encoded once, and their loss.

    Args:
        classifier: says how texts become rows and logits become scores of labels.

    Raises:
        CourseError: nothing to learn from, or a label that the verbalizer does not have.
    """

    def __init__(self, classifier: PromptClassifier, texts: Sequence[Input],
                 labels: Sequence[Label]):
        texts, labels = check_examples(texts, labels)
        self.classifier = classifier
        self.targets = torch.tensor(numbers(labels, classifier.labels))
        before = classifier.template.before
        self.words = classifier.verbalizer.tokens(classifier.tokenizer, before)
        self.counts = sorted({len(ids) for ids in self.words})
        places = classifier.template.places
        self.encoded = [classifier.template.encode(
            classifier.tokenizer, texts, classifier.max_length, 1 if places > 1 else count)
            for count in self.counts]
        classifier.truncated = [max(cuts) for cuts in zip(*(e.truncated for e in self.encoded))]
        classifier.unknown = self.encoded[0].unknown
        warn_of_unknown(classifier.unknown)

    def __len__(self) -> int:
        return len(self.targets)

    def scores(self, batch: Sequence[int]) -> torch.Tensor:
        """Scores (batch, labels) as ``PromptClassifier.scores`` has them, with a gradient."""
        found = [self._word_scores(count, encoded, batch)
                 for count, encoded in zip(self.counts, self.encoded)]
        order = [i for count in self.counts for i in self._which(count)]
        words = torch.cat(found, -1)[:, torch.tensor(order).argsort()]
        return self.classifier.verbalizer.aggregate(words) + self.classifier.bias.to(words)

    def loss(self, batch: Sequence[int]) -> torch.Tensor:
        """Mean cross-entropy over the labels, in nats. Scalar tensor."""
        scores = self.scores(batch)
        return cross_entropy(scores, self.targets[list(batch)].to(scores.device))

    def _which(self, count: int) -> list[int]:
        return [i for i, ids in enumerate(self.words) if len(ids) == count]

    def _word_scores(self, count, encoded, batch) -> torch.Tensor:
        """Scores (batch, words) of the words that have ``count`` tokens."""
        model = self.classifier.model
        padding = self.classifier.tokenizer.pad_token_id or 0
        ids, attention = pad([encoded.ids[i] for i in batch], padding)
        masks = torch.tensor([encoded.masks[i] for i in batch])
        words = torch.tensor([self.words[i] for i in self._which(count)])
        rows, pieces = words.unique(return_inverse=True)
        device = model.device
        logits = word_logits(
            model, ids.to(device), masks.to(device), rows.to(device),
            None if attention is None else attention.to(device), normalised=len(self.counts) > 1)
        return logits[:, torch.arange(count), pieces].mean(-1)


@door
def tune(classifier: PromptClassifier, texts: Sequence[Input], labels: Sequence[Label],
         budget: Budget = Budget(), part: str = "all", in_place: bool = False,
         progress: bool = False) -> tuple[PromptClassifier, list[float]]:
    """Learn from labelled examples through the prompt.

    A bias from ``calibrate`` stays as it is, and is part of the scores that are trained.

    Args:
        labels: one for each text, as in the verbalizer.
        part: ``"all"`` weights; the masked-LM ``"head"`` alone, without its last table where
            that is the table of the embeddings; or the ``"prompt"`` alone: the vectors of the
            template's words, at their places in the template (see ``soft``).
        in_place: train the given model instead of a copy. Not for ``"prompt"``. If anything
            goes wrong, the model is as it was before.

    Returns:
        A classifier like the given one with the tuned model, and the loss of every step in nats.

    Raises:
        CourseError: nothing to learn from, labels that the verbalizer does not have, a part
            that is not one of the three, a loss or weights that are no longer finite.
    """
    if part not in PARTS:
        raise CourseError(f"part is {part!r}: give one of {', '.join(PARTS)}")
    if part == "prompt" and in_place:
        raise CourseError("a tuned prompt changes the form of the model: leave in_place out")
    tuned = copy.copy(classifier)
    tuned.bias = classifier.bias.clone()
    if not in_place:
        tuned.model = copy.deepcopy(classifier.model)
    if part == "prompt":
        tuned.template = soft_prompt(tuned.model, classifier.template, classifier.tokenizer)
    examples = Examples(tuned, texts, labels)
    losses = follow(tuned.model, wanted(tuned.model, part), examples.loss, len(examples), budget,
                    progress=progress)
    return tuned, losses


def wanted(model: nn.Module, part: str) -> list[nn.Parameter]:
    """The parameters that a part trains. A table of both encoder and head is the encoder's."""
    if part == "prompt":
        return [model.get_input_embeddings().soft]
    if part == "all":
        return list(model.parameters())
    head = head_of(model) or model  # without a head of its own: all that is not the encoder
    shared = {id(parameter) for parameter in model.base_model.parameters()}
    return [parameter for parameter in head.parameters() if id(parameter) not in shared]
