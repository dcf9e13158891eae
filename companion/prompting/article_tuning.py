"""`fine_tune` and `predict` of `Prompting`: all weights are tuned through two label words.

Pattern-exploiting training with one pattern (Schick and Schütze, 2021, section 3.1): the
loss is the cross-entropy over the label words' logits at the mask.
"""

import copy
import math
from collections.abc import Mapping, Sequence

import torch
from torch.nn import functional
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from companion.errors import CourseError
from companion.guards import door
from companion.pretraining.loop import rate
from companion.prompting.template import Encoded, Template
from companion.prompting.training import refuse_ruined
from companion.prompting.verbalizer import Label, Verbalizer
from companion.tokenization import warn_of_unknown


class Tuning:
    """The part of `Prompting` that learns. The steps of the loop are methods of their own, so
    that `faults.py` can spoil one of them at a time."""

    @door
    def fine_tune(
        self, sentences: Sequence[str], labels: Sequence,
        prompt: str = "Since it was [MASK].", goodToken: str = "good", badToken: str = "bad", *,
        epochs: int = 5, batch_size: int = 8, learning_rate: float = 5e-5, warmup: float = 0.1,
        max_length: int | None = None, seed: int = 0,
    ) -> list[float]:
        """Tune all weights so that the label words divide the sentences as the labels do.

        Unlike in the article, label 1 means ``goodToken`` and 0 ``badToken``, as in the data
        sets of the course (1 is positive). The prompt and the words are kept as attributes, and
        ``predict`` asks with them. If anything goes wrong, the model is as it was before.

        Args:
            sentences: texts without the prompt.
            labels: 0 or 1 for each.
            prompt: follows each sentence; has one ``[MASK]``.
            epochs, batch_size: how often all sentences are read, and how many for one step.
            learning_rate: the highest; it rises over the share ``warmup`` of the steps and
                falls to zero (AdamW).
            max_length: cut longer *sentences*, never the prompt; ``truncated`` holds how many
                tokens each one lost. None refuses sentences that the model cannot read whole.
            seed: of the order and of dropout; the same seed gives the same weights.

        Returns:
            The loss of each step, in nats.

        Raises:
            CourseError: no sentences, an empty one, labels that are not 0 or 1 or not as many,
                no mask or two, a label word that is not one token, a sentence too long,
                settings out of range, a model of less than float32, a loss or weights that are
                no numbers.
        """
        _refuse_settings(epochs, batch_size, learning_rate, warmup, seed)
        _refuse_half(self.model)
        encoded = self._prompted(sentences, prompt, max_length)
        columns = self._columns(goodToken, badToken, prompt)
        targets = self._targets(labels)
        if len(targets) != len(encoded.ids):
            raise CourseError(f"there are {len(encoded.ids)} sentences and {len(targets)} labels: "
                              "give one label for each sentence")
        before = copy.deepcopy(self.model.state_dict())
        try:
            with torch.random.fork_rng():
                torch.manual_seed(seed)
                losses = self._train(encoded, targets, columns, epochs, batch_size,
                                     learning_rate, warmup)
            refuse_ruined(self.model.parameters(), "lower the learning rate")
        except BaseException:
            self.model.load_state_dict(before)
            raise
        finally:
            self.model.eval()
            self.model.zero_grad()
        self.prompt, self.goodToken, self.badToken = prompt, goodToken, badToken
        return losses

    @door
    @torch.no_grad()
    def predict(self, sentences: Sequence[str], max_length: int | None = None) -> list[int]:
        """1 where ``goodToken`` is at least as probable as ``badToken`` after the prompt, else 0.

        Args and errors as in ``fine_tune``. Before any tuning this is a zero-shot prediction.
        """
        encoded = self._prompted(sentences, self.prompt, max_length)
        logits = self._asked(encoded, self._columns(self.goodToken, self.badToken, self.prompt))
        return (logits[:, 1] >= logits[:, 0]).int().tolist()

    def _train(self, encoded, targets, columns, epochs, size, peak, warmup) -> list[float]:
        steps = epochs * math.ceil(len(targets) / size)
        optimizer = torch.optim.AdamW(self.model.parameters(), lr=peak)
        losses: list[float] = []
        self.model.train()
        for _ in range(epochs):
            for part in torch.randperm(len(targets)).split(size):
                optimizer.param_groups[0]["lr"] = peak * rate(len(losses), steps, warmup)
                ids, masks = [encoded.ids[i] for i in part], [encoded.masks[i] for i in part]
                batch = Encoded(ids, masks, [])
                loss = self._loss(self._word_logits(batch, columns), targets[part])
                if not loss.isfinite():
                    raise CourseError("the loss is no number any more: lower the learning rate")
                self._step(optimizer, loss)
                losses.append(loss.item())
        return losses

    def _loss(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return functional.cross_entropy(logits, targets)

    def _step(self, optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> None:
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def _columns(self, good: str, bad: str, prompt: str) -> torch.Tensor:
        """Ids of the words for the labels 0 and 1."""
        return word_ids({0: [bad], 1: [good]}, self.tokenizer, _template(prompt).before)

    def _targets(self, labels: Sequence[int]) -> torch.Tensor:
        # A row of an array cannot be looked up: "in" fails, or takes it for its one number.
        if wrong := [label for label in labels
                     if getattr(label, "ndim", 0) or label not in (0, 1)]:
            raise CourseError(f"the label {wrong[0]!r} is not 0 or 1: give 1 for goodToken and 0 "
                              "for badToken")
        return torch.tensor([int(label) for label in labels])

    def _prompted(self, sentences: Sequence[str], prompt: str, max_length: int | None) -> Encoded:
        if prompt.count("[MASK]") != 1:
            raise CourseError("the prompt must have one [MASK]: write one such as "
                              "'Since it was [MASK].'")
        if max_length is not None and max_length < 1:
            raise CourseError(f"max_length is {max_length}: give at least one token")
        limit = self.max_length if max_length is None else min(max_length, self.max_length)
        encoded = _template(prompt).encode(self.tokenizer, sentences, limit)
        if max_length is None and any(encoded.truncated):
            number = next(i for i, cut in enumerate(encoded.truncated) if cut)
            raise CourseError(f"sentence {number} has {encoded.truncated[number]} tokens more than "
                              f"the model reads: shorten it, or give max_length={limit} to cut it")
        self.truncated, self.unknown = encoded.truncated, encoded.unknown
        warn_of_unknown(self.unknown)
        return encoded


def _template(prompt: str) -> Template:
    """A sentence and the prompt after it."""
    return Template("{text} " + prompt.replace("{", "{{").replace("}", "}}"))


def word_ids(words: Mapping[Label, Sequence[str]], tokenizer: PreTrainedTokenizerBase,
             before: str = " ") -> torch.Tensor:
    """The ids of label words of one token each, list after list: (words,)."""
    try:
        tokens = Verbalizer(words).tokens(tokenizer, before)
    except CourseError as problem:  # its last advice is for `PromptClassifier` only
        raise CourseError(str(problem).removesuffix(", or allow several_tokens=True")) from None
    return torch.tensor(tokens)[:, 0]


def _refuse_settings(epochs, batch_size, learning_rate, warmup, seed) -> None:
    good = {"epochs": epochs >= 1, "batch_size": batch_size >= 1,
            "learning_rate": 0 < learning_rate < 1, "warmup": 0 <= warmup < 1,
            "seed": abs(seed) < 2**63}
    for name, fits in good.items():
        if not fits:
            raise CourseError(f"{name} is out of range: use at least 1 epoch and 1 sentence, a "
                              "learning rate such as 5e-5, a warm-up below 1, and a smaller seed")


def _refuse_half(model: PreTrainedModel) -> None:
    """AdamW's small numbers are 0 in half precision, and its steps are then no numbers."""
    for parameter in model.parameters():
        if parameter.dtype.itemsize < 4:
            kind = str(parameter.dtype).removeprefix("torch.")
            raise CourseError(f"the weights are {kind}, too coarse to be tuned: call "
                              "model.float() first")
