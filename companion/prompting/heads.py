"""Head fine-tuning: the usual way from a pretrained encoder to a classifier.

The masked-LM head is taken off. One vector stands for the text, and a new linear layer, which
starts at random, makes scores of labels from it (Devlin et al., 2019, section 4.1). All weights
are trained. It is the yardstick for prompt tuning, so it has the same loop and the same budget.
"""

import copy
from collections.abc import Hashable, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.nn.utils import skip_init

from companion.errors import CourseError
from companion.guards import checked_scores, door, is_blank, listed
from companion.objectives.contrastive import POOLINGS, embed
from companion.objectives.lengths import longest
from companion.prompting.batching import batches, pad
from companion.prompting.classifier import Predictor, in_bf16
from companion.prompting.loaded import loaded
from companion.prompting.training import Budget, check_examples, follow
from companion.prompting.verbalizer import Label, numbers, plain
from companion.tokenization import fast_backend, unknown_share, warn_of_unknown


class HeadClassifier(Predictor):
    """An encoder, one vector for a text, and a linear layer.

    Args:
        model: a model of Hugging Face, the name of a checkpoint, or what
            ``companion.checkpoints.load`` gave; a head that it has is not used.
        labels: in the order of the scores.
        pooling: ``"mean"`` over the tokens, or ``"cls"``: the state of the first token.
        cut: the side of a long text that is cut off, ``"end"`` or ``"beginning"``.
        seed: decides the random start of the linear layer.
        precision, tokens: as for ``PromptClassifier``.

    Attributes:
        max_length: the most tokens of a row, special tokens included.
        truncated: for each text of the latest call, how many of its tokens were cut off.

    Raises:
        CourseError: fewer than two labels, a model in training mode, an unknown ``pooling``,
            ``cut`` or ``precision``.
    """

    @door
    def __init__(self, model: Any, labels: Sequence, *, tokenizer: Any = None,
                 pooling: str = "mean", cut: str = "end", seed: int = 0, precision: str = "fp32",
                 tokens: int = 4096):
        _refuse_settings(pooling, cut, tokens)
        labels = plain(labels)
        if not all(isinstance(label, Hashable) for label in labels) or len(set(labels)) < 2:
            raise CourseError("there are fewer than two labels: give a list of different labels")
        model, tokenizer = loaded(model, tokenizer, "encoder")
        self.model, self.tokenizer, self.labels = model, tokenizer, tuple(labels)
        self.pooling, self.cut, self.tokens = pooling, cut, tokens
        self.half = in_bf16(precision)
        self.max_length, self.truncated, self.unknown = longest(model, tokenizer), [], []
        width = model.config.hidden_size
        # skip_init: the state of the global random generator stays as it is.
        self.head = skip_init(nn.Linear, width, len(self.labels)).to(model.device)
        start = torch.randn(self.head.weight.shape, generator=torch.Generator().manual_seed(seed))
        self.head.weight.data = (0.02 * start).to(model.device)  # BERT's spread
        self.head.bias.data.zero_()

    @door
    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Rows of ids with the tokenizer's special tokens, cut to ``max_length``.

        Raises:
            CourseError: no texts, one in place of a list, one that is empty, a slow tokenizer.
        """
        for place, text in enumerate(listed(texts)):
            if is_blank(text):
                raise CourseError(f"text {place} is empty: leave it out")
        encodings = fast_backend(self.tokenizer).encode_batch(texts)
        for place, encoding in enumerate(encodings):
            if all(encoding.special_tokens_mask):
                raise CourseError(f"text {place} has no token: leave it out")
        self.truncated = [max(0, len(e.ids) - self.max_length) for e in encodings]
        self.unknown = unknown_share([e.ids for e in encodings], self.tokenizer)
        warn_of_unknown(self.unknown)
        return [self._shortened(e, gone) for e, gone in zip(encodings, self.truncated)]

    def _shortened(self, encoding, gone: int) -> list[int]:
        inside = [at for at, special in enumerate(encoding.special_tokens_mask) if not special]
        out = set(() if not gone else inside[-gone:] if self.cut == "end" else inside[:gone])
        return [token for at, token in enumerate(encoding.ids) if at not in out]

    def vectors(self, rows: Sequence[Sequence[int]]) -> torch.Tensor:
        """One vector for each row, (rows, width), float32, in one batch."""
        ids, attention = pad(rows, self.tokenizer.pad_token_id or 0)
        device = self.model.device
        return embed(self.model, ids.to(device),
                     None if attention is None else attention.to(device), self.pooling)

    @torch.inference_mode()
    def features(self, texts: Sequence[str]) -> torch.Tensor:
        """The vector of each text, (texts, width): what a linear probe learns from."""
        rows = self.encode(texts)
        result = torch.empty(len(rows), self.model.config.hidden_size)
        with torch.autocast(self.model.device.type, torch.bfloat16, enabled=self.half):
            for group in batches([len(row) for row in rows], self.tokens):
                result[group] = self.vectors([rows[i] for i in group]).cpu()
        return result

    @torch.inference_mode()
    def scores(self, texts: Sequence[str], calibrated: bool = True) -> torch.Tensor:
        """Scores (texts, labels), float32. There is nothing to calibrate."""
        features = self.features(texts).to(self.head.weight.device)
        return checked_scores(self.head(features).cpu())


def _refuse_settings(pooling: str, cut: str, tokens: int) -> None:
    if tokens < 1:
        raise CourseError(f"tokens is {tokens}: give at least 1")
    if pooling not in POOLINGS:
        raise CourseError(f"pooling is {pooling!r}: give one of {', '.join(POOLINGS)}")
    if cut not in ("end", "beginning"):
        raise CourseError(f'cut is {cut!r}: use "end" or "beginning"')


@door
def head_tuning(classifier: HeadClassifier, texts: Sequence[str], labels: Sequence[Label],
                budget: Budget = Budget(), dropout: float = 0.1, in_place: bool = False,
                progress: bool = False) -> tuple[HeadClassifier, list[float]]:
    """Fine-tune encoder and linear layer together; the counterpart of ``tune``.

    Args:
        labels: one for each text, as in the classifier.
        budget: ``fresh_rate`` is for the linear layer.
        dropout: share of the vector that is set to zero before the linear layer.
        in_place: train the given classifier instead of a copy. If anything goes wrong, it is
            as it was before.

    Returns:
        The tuned classifier, and the loss of every step in nats.

    Raises:
        CourseError: nothing to learn from, a label that the classifier does not have, a dropout
            that is no share, a loss or weights that are no longer finite.
    """
    texts, labels = check_examples(texts, labels)
    if not 0 <= dropout < 1:
        raise CourseError(f"dropout is {dropout}: give a share below 1")
    targets = torch.tensor(numbers(labels, classifier.labels))
    tuned = classifier if in_place else copy.copy(classifier)
    if not in_place:
        tuned.model, tuned.head = copy.deepcopy((classifier.model, classifier.head))
    rows = tuned.encode(texts)

    def loss(batch: list[int]) -> torch.Tensor:
        vectors = nn.functional.dropout(tuned.vectors([rows[i] for i in batch]), dropout)
        scores = tuned.head(vectors).float()
        return cross_entropy(scores, targets[batch].to(scores.device))

    used = [*tuned.model.base_model.parameters(), *tuned.head.parameters()]
    both = nn.ModuleList([tuned.model, tuned.head])
    losses = follow(both, used, loss, len(rows), budget, fresh=list(tuned.head.parameters()),
                    progress=progress)
    return tuned, losses
