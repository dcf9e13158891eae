"""Heat maps: what is drawn is what was given, on one scale, readable without colour."""

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from companion.display import PALETTE, SHADES, heatmaps, spreads
from companion.errors import CourseError

matplotlib.use("agg")
ONE, TWO = [[0.0, 0.5, 1.0], [0.25, 0.25, 0.5]], [[0.2, 0.2, 0.1], [3.0, 2.0, 1.0]]


def drawn(**settings):
    figure = heatmaps({"one": ONE, "two": TWO}, ["a", "b"], ["x", "y", "long"], x="to", y="from",
                      **settings)
    panels = [axis for axis in figure.axes if axis.images]
    return figure, panels


def test_each_panel_shows_its_table_with_the_first_row_at_the_top():
    figure, panels = drawn()
    assert [axis.get_title() for axis in panels] == ["one", "two"]
    for axis, values in zip(panels, (ONE, TWO), strict=True):
        assert np.array_equal(axis.images[0].get_array(), values)
        bottom, top = axis.get_ylim()
        assert bottom > top  # row 0 at the top
        assert [t.get_text() for t in axis.get_xticklabels()] == ["x", "y", "long"]
        assert axis.get_xlabel() == "to"
    assert [t.get_text() for t in panels[0].get_yticklabels()] == ["a", "b"]
    assert panels[0].get_ylabel() == "from"
    assert len(figure.axes) == 3, "two panels and one scale"


@pytest.mark.parametrize(("settings", "top"), [({}, 3.0), ({"top": 5.0}, 5.0)])
def test_all_panels_have_one_scale_that_begins_at_zero(settings, top):
    assert [axis.images[0].get_clim() for axis in drawn(**settings)[1]] == [(0, top)] * 2


def test_a_table_of_zeros_can_be_drawn():
    figure = heatmaps({"none": [[0.0]]}, ["a"], ["b"], x="x", y="y")
    assert figure.axes[0].images[0].get_clim() == (0, 1)


def test_larger_numbers_are_darker_also_in_grey():
    grey = SHADES(np.linspace(0, 1, 50))[:, :3] @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(grey) < 0).all() and grey[0] == pytest.approx(1) and grey[-1] < 0.2
    assert np.allclose(SHADES(128)[:3], to_rgb(PALETTE[0]), atol=0.02)


def test_the_figure_is_closed():
    before = plt.get_fignums()
    drawn()
    assert plt.get_fignums() == before


@pytest.mark.parametrize(("panels", "said"), [
    ({}, "nothing"), ({"p": [[1.0, 2.0]]}, "shape"), ({"p": [[1.0], [2.0]]}, "shape"),
    ({"p": [1.0]}, "list"), ({"p": [[-1.0]]}, "below 0"), ({"p": [[float("nan")]]}, "nan"),
    ({"good": [[1.0]], "p": [[float("inf")]]}, "'p'")])
def test_what_cannot_be_drawn_is_refused_in_one_line(panels, said):
    with pytest.raises(CourseError, match=said) as caught:
        heatmaps(panels, ["a"], ["b"], x="x", y="y")
    assert "\n" not in str(caught.value)


# --- means with their spread ----------------------------------------------------------------

RUNS = {"one": {"a": {4: [0.5, 0.7], 16: [0.8, 0.8, 0.8]}, "b": {4: [0.1, 0.2, 0.3]}},
        "two": {"a": {8: [0.2, 0.6]}}}


def bars_of(axis, line):
    """x, mean, lower and upper end of each bar of a line."""
    points, _, (segments,) = axis.containers[line]
    ends = [segment[:, 1] for segment in segments.get_segments()]
    values = points.get_xdata(), points.get_ydata(), ends
    return tuple(np.array(each, dtype=float) for each in values)


def test_bars_are_means_with_one_standard_deviation():
    axis = spreads(RUNS, "K", "accuracy").axes[0]
    places, means, ends = bars_of(axis, 0)
    np.testing.assert_allclose(places, [4, 16], rtol=0.05)
    np.testing.assert_allclose(means, [0.6, 0.8])
    deviation = np.std([0.5, 0.7], ddof=1)
    np.testing.assert_allclose(ends, [[0.6 - deviation, 0.6 + deviation], [0.8, 0.8]])
    assert bars_of(axis, 1)[0][0] > places[0]  # beside each other, not one over the other


def test_lines_have_colours_markers_names_and_a_level():
    figure = spreads(RUNS, "K", "accuracy", levels={"two": (0.4, "chance")})
    first, second = (container[0] for container in figure.axes[0].containers)
    assert first.get_marker() != second.get_marker() and first.get_color() != second.get_color()
    names = [text.get_text() for text in figure.axes[1].get_legend().get_texts()]
    assert set(names) == {"a", "chance"}
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["4", "16"]
    assert figure.number not in plt.get_fignums()


@pytest.mark.parametrize("panels, said", [
    ({}, "nothing to draw: give"), ({"one": {"a": {}}}, "nothing to draw: give"),
    ({"one": {"a": {4: [0.5]}}}, "a has fewer than two values at 4: a spread"),
])
def test_a_spread_needs_values(panels, said):
    with pytest.raises(CourseError, match=said) as problem:
        spreads(panels, "K", "accuracy")
    assert "\n" not in str(problem.value)
