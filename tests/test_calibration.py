"""Calibration: what each bias promises, and that no label is needed for it."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_template import refused

from companion.prompting import calibration


def some_scores(texts, labels, seed, spread=3.0):
    draw = torch.Generator().manual_seed(seed)
    return spread * torch.randn(texts, labels, generator=draw) + 4 * torch.randn(
        labels, generator=draw)


@settings(deadline=None)
@given(st.integers(1, 5), st.integers(2, 5), st.integers(0, 999))
def test_contextual_makes_the_content_free_answer_uniform(texts, labels, seed):
    scores = some_scores(texts, labels, seed)
    bias = calibration.contextual(scores)
    mean = scores.softmax(1).mean(0)  # Zhao et al.: multiply by the inverse, then normalise
    torch.testing.assert_close(bias.exp() * mean, torch.ones(labels))
    if texts == 1:
        torch.testing.assert_close((scores + bias).softmax(1), torch.full((1, labels), 1 / labels))


def test_contextual_with_scores_that_lie_far_apart():
    """A probability of 0 in float32 has a logarithm all the same."""
    assert calibration.contextual(torch.tensor([[0.0, 200.0]])).tolist() == [200, 0]
    bias = calibration.contextual(torch.tensor([[0.0, 200.0], [0.0, 300.0]]))
    torch.testing.assert_close(bias, torch.tensor([200 + math.log(2), 0.0]))


@settings(deadline=None)
@given(st.integers(2, 40), st.integers(2, 5), st.integers(0, 999), st.data())
def test_prior_matching_makes_the_mean_probability_the_prior(texts, labels, seed, data):
    parts = data.draw(st.lists(st.integers(1, 5), min_size=labels, max_size=labels))
    prior = [part / sum(parts) for part in parts]
    scores = some_scores(texts, labels, seed, 1.0)
    mean = (scores + calibration.prior_matching(scores, prior)).softmax(1).mean(0)
    torch.testing.assert_close(mean, torch.tensor(prior), atol=1e-4, rtol=1e-3)


@given(st.integers(2, 40), st.integers(0, 999), st.integers(1, 9))
def test_median_gives_each_label_its_share_of_the_texts(texts, seed, tenths):
    scores = some_scores(texts, 2, seed)
    bias = calibration.median(scores, [tenths / 10, 1 - tenths / 10])
    first = ((scores + bias).argmax(1) == 0).float().sum()
    assert abs(first - texts * tenths / 10) <= 1
    if tenths == 5:
        border = (scores[:, 1] - scores[:, 0]).quantile(0.5)
        torch.testing.assert_close(bias[0] - bias[1], border)


@pytest.mark.parametrize("scores, prior", [
    ([[0, -800]] * 2, (0.5, 0.5)), ([[0, -800]] * 3, (0.2, 0.8)), ([[0, -800], [0, 0]], (0.1, 0.9)),
    ([[0, -500, -900]] * 2, (0.2, 0.3, 0.5))])
def test_a_probability_may_be_0_before(scores, prior):
    """exp(-800) is no number above 0, but its logarithm is one."""
    scores = torch.tensor(scores, dtype=torch.float64)
    bias = calibration.prior_matching(scores, prior)
    mean = (scores + bias.double()).softmax(-1).mean(0)
    torch.testing.assert_close(mean, torch.tensor(prior).double(), atol=1e-4, rtol=1e-3)
    if scores.tolist() == [[0, -800]] * 2:
        assert bias.tolist() == [-400, 400]


@given(st.integers(0, 99))
def test_a_constant_for_each_text_changes_nothing(seed):
    scores = some_scores(9, 2, seed)
    moved = scores + torch.randn(9, 1, generator=torch.Generator().manual_seed(seed))
    for method in (calibration.contextual, calibration.prior_matching, calibration.median):
        torch.testing.assert_close(method(scores), method(moved), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("match, call", [
    (r"scores have shape \(0, 2\): give", lambda: calibration.contextual(torch.ones(0, 2))),
    (r"scores have shape \(3,\): give", lambda: calibration.prior_matching(torch.ones(3))),
    ("the median needs two labels, not 3: calibrate", lambda: calibration.median(torch.ones(4, 3))),
    ("the prior is .*: give 2 shares", lambda: calibration.median(torch.ones(4, 2), [0.5, 0.6])),
    ("the prior is .*: give 2 shares", lambda: calibration.prior_matching(
        torch.ones(4, 2), [1.0, 0.0])),
    ("the prior is .*: give 3 shares", lambda: calibration.prior_matching(
        torch.ones(4, 3), [0.5, 0.5])),
    ("the prior is .*: give 2 shares", lambda: calibration.median(
        torch.ones(4, 2), np.array([[0.5, 0.5]] * 2))),
    *((r"prior(\[0\])? is .*: give a (list|number)", lambda prior=prior: calibration.median(
        torch.ones(4, 2), prior)) for prior in (0.5, ["a", "b"], [math.nan] * 2, {"a": 1}, [[0.5]])),
    *(("a score is NaN or infinite: leave", lambda method=method: method(
        torch.tensor([[0, math.nan], [0, -math.inf]])))
      for method in (calibration.contextual, calibration.median, calibration.prior_matching)),
    ("scores is of type list: give a Tensor", lambda: calibration.contextual([[0.0, 1.0]])),
    ("no bias was found in 9 steps, .*: calibrate with", lambda: calibration.prior_matching(
        torch.tensor([[0.0, -800.0], [0.0, 0.0]]), [0.1, 0.9], 9)),
])
def test_bad_input_is_refused(match, call):
    refused(match, call)
