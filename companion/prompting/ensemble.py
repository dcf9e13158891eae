"""Several prompts asked the same question."""

from collections.abc import Sequence

import torch

from companion.errors import CourseError
from companion.guards import door, listed
from companion.prompting.classifier import Predictor, PromptClassifier
from companion.prompting.template import Input


class Ensemble(Predictor):
    """The mean of the (calibrated) log-probabilities of several classifiers.

    Raises:
        CourseError: no classifier, or classifiers with other labels or another order of them.
    """

    @door
    def __init__(self, members: Sequence[PromptClassifier]):
        self.members = members
        if not self.members:
            raise CourseError("the ensemble is empty: give at least one classifier")
        if len({member.labels for member in self.members}) > 1:
            raise CourseError("the classifiers have other labels or another order of them: use "
                              "verbalizers with the same labels")
        self.labels, self.truncated, self.unknown = self.members[0].labels, [], []

    def calibrate(self, method: str, texts: Sequence[Input] | None = None,
                  prior: Sequence[float] | None = None) -> "Ensemble":
        """Calibrate every member by itself; see ``PromptClassifier.calibrate``."""
        texts = None if texts is None else listed(texts)  # every member reads a generator
        for member in self.members:
            member.calibrate(method, texts, prior)
        return self

    def scores(self, texts: Sequence[Input], calibrated: bool = True) -> torch.Tensor:
        """Scores (texts, labels), float32: means of log-probabilities."""
        texts, found, cuts, lost = listed(texts), [], [], []
        for member in self.members:
            found.append(member.scores(texts, calibrated).log_softmax(-1))
            cuts.append(member.truncated)
            lost.append(member.unknown)
        self.truncated, self.unknown = ([max(each) for each in zip(*all_of)]
                                        for all_of in (cuts, lost))
        return torch.stack(found).mean(0)
