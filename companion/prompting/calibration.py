"""Calibration: one number per label that is added to its scores.

A model prefers some words whatever the text says. None of these methods needs a label.
All work on scores of shape (texts, labels), which are log-probabilities up to a constant.
"""

import math
from collections.abc import Sequence

import torch

from companion.errors import CourseError
from companion.guards import door

CONTENT_FREE = ("N/A", "", "[MASK]")


@door
def contextual(scores: torch.Tensor) -> torch.Tensor:
    """From scores of content-free inputs (Zhao et al., 2021, section 5). Shape (labels,).

    With this bias added, the mean probability of the labels without content is uniform (with
    several inputs: the biased mean is).
    """
    scores = _checked(scores)
    mean = scores.softmax(-1).mean(0)
    if (mean > 0).all():
        return -mean.log()
    # Scores so far apart that a probability is 0 in float32: its logarithm is not.
    return math.log(len(scores)) - scores.log_softmax(-1).logsumexp(0)


@door
def prior_matching(scores: torch.Tensor, prior: Sequence[float] | None = None,
                   steps: int = 10_000) -> torch.Tensor:
    """The bias with which the *mean probability* of each label is ``prior``. Shape (labels,).

    From scores of unlabelled texts (Liusie et al., 2023). The mean of the bias is 0.

    Raises:
        CourseError: scores that are no numbers, a prior that is none; scores so far apart that
            the bias is not found in ``steps`` steps.
    """
    scores = _checked(scores).double()
    target = shares(prior, scores.shape[1]).log()
    bias = torch.zeros(scores.shape[1], dtype=torch.float64)
    for _ in range(steps):
        # The log of the mean probability, without leaving logarithms: it may be 0 in numbers.
        mean = (scores + bias).log_softmax(-1).logsumexp(0) - math.log(len(scores))
        step = target - mean
        bias += step
        if step.abs().max() < 1e-9:
            break
    else:
        raise CourseError(f"no bias was found in {steps} steps, so far apart are the scores: "
                          'calibrate with "median", or by hand')
    return (bias - bias.mean()).float()


@door
def median(scores: torch.Tensor, prior: Sequence[float] | None = None) -> torch.Tensor:
    """For two labels, the bias with which the *share of texts* given each label is ``prior``.

    With equal shares the border is the median of the difference of the scores.
    """
    scores = _checked(scores)
    if scores.shape[1] != 2:
        raise CourseError(f"the median needs two labels, not {scores.shape[1]}: calibrate with "
                          '"prior"')
    border = torch.quantile(scores[:, 1] - scores[:, 0], shares(prior, 2)[0].float())
    return torch.stack([border / 2, -border / 2])


def shares(prior: Sequence[float] | None, labels: int) -> torch.Tensor:
    """The prior as a tensor (labels,), float64; uniform if it is None."""
    if prior is None:
        return torch.full((labels,), 1 / labels, dtype=torch.float64)
    try:
        found = torch.as_tensor(prior, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError):  # words, a dictionary, a generator
        found = torch.empty(0)
    # Written so that a share that is no number (nan) is refused as well.
    fits = found.shape == (labels,) and (found > 0).all() and abs(found.sum() - 1) <= 1e-6
    if not fits:
        said = " ".join(str(prior).split())  # an array is printed on several lines
        raise CourseError(f"the prior is {said}: give {labels} shares above 0 whose sum is 1")
    return found


def _checked(scores: torch.Tensor) -> torch.Tensor:
    if scores.ndim != 2 or not scores.numel():
        raise CourseError(f"scores have shape {tuple(scores.shape)}: give (texts, labels), not "
                          "empty")
    if not scores.isfinite().all():
        raise CourseError("a score is NaN or infinite: leave its text out")
    return scores.float()
