"""Figures and small tables of the course: one palette, few words, readable without colour."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from companion.errors import CourseError
from companion.guards import door

# Okabe and Ito's palette: distinguishable for all common kinds of colour blindness.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
# From white to the first colour: the larger a value, the darker, so it reads in grey too.
SHADES = LinearSegmentedColormap.from_list("course", ["white", PALETTE[0], "#00243A"])
MARKERS = ("o", "s", "^", "D", "v", "P", "X")


@door
def read_log(path: str | Path, event: str | None = None) -> list[dict]:
    """Lines of a recipe's log; with ``event`` only those (``"validation"``, for example).

    Raises:
        CourseError: no such file, or a line of it that is no JSON.
    """
    try:
        lines = Path(path).read_text(encoding="utf8").splitlines()
        entries = [json.loads(line) for line in lines]
    except OSError as problem:
        raise CourseError(f"the log {path} cannot be read ({problem.strerror}): name the "
                          "log.jsonl of a run") from None
    except ValueError:
        raise CourseError(f"{path} is no log: name the log.jsonl of a run") from None
    return [e for e in entries if e.get("event") == event] if event else entries


@door
def curves(
    series: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    x: str,
    y: str,
    level: tuple[float, str] | None = None,
    logx: bool = False,
) -> Figure:
    """Lines of ``(x values, y values)`` by name, told apart by colour and by marker.

    Args:
        level: a horizontal line and its label, for a value known beforehand.

    Raises:
        CourseError: nothing to draw, or a line with other numbers of x and y values.
    """
    if not series:
        raise CourseError("there is nothing to draw: give at least one line")
    for name, (xs, ys) in series.items():
        if len(xs) != len(ys):
            raise CourseError(f"'{name}' has {len(xs)} x values and {len(ys)} y values: give as "
                              "many of both")
    figure, axes = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
    for i, (name, (xs, ys)) in enumerate(series.items()):
        axes.plot(xs, ys, label=name, color=PALETTE[i % len(PALETTE)],
                  marker=MARKERS[i % len(MARKERS)], markersize=4, markevery=0.1)
    if level:
        axes.axhline(level[0], color="0.4", linestyle="--", linewidth=1, label=level[1])
    if logx:
        axes.set_xscale("log")
    elif all(value == int(value) for xs, _ in series.values() for value in xs):
        axes.xaxis.get_major_locator().set_params(integer=True)  # no half epochs
    axes.set(xlabel=x, ylabel=y)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    plt.close(figure)  # a notebook would show an open figure a second time
    return figure


@door
def spreads(
    panels: Mapping[str, Mapping[str, Mapping[float, Sequence[float]]]],
    x: str,
    y: str,
    levels: Mapping[str, tuple[float, str]] | None = None,
) -> Figure:
    """Means over repeated runs with bars of one standard deviation, panels side by side.

    Args:
        panels: by name of the panel and name of the line, x -> the values of all runs, at
            least two. The x axis is logarithmic, with base 2.
        levels: by name of a panel, a horizontal line and its label.

    Raises:
        CourseError: nothing to draw, or a point with fewer than two values.
    """
    if not any(points for lines in panels.values() for points in lines.values()):
        raise CourseError("there is nothing to draw: give at least one point")
    figure, axes = plt.subplots(1, len(panels), squeeze=False, sharey=True, layout="constrained",
                                figsize=(1.0 + 3.4 * len(panels), 3.4))
    for axis, (name, lines) in zip(axes[0], panels.items()):
        for i, (line, points) in enumerate(lines.items()):
            if short := [k for k, values in points.items() if len(values) < 2]:
                raise CourseError(f"{line} has fewer than two values at {short[0]}: a spread "
                                  "needs at least two")
            xs = sorted(points)
            axis.errorbar([k * (1 + 0.03 * (i - 1)) for k in xs],  # side by side, to see all bars
                          [np.mean(points[k]) for k in xs],
                          [np.std(points[k], ddof=1) for k in xs], label=line, capsize=3,
                          color=PALETTE[i % len(PALETTE)], marker=MARKERS[i % len(MARKERS)])
        if levels and name in levels:
            axis.axhline(levels[name][0], color="0.4", linestyle="--", linewidth=1,
                         label=levels[name][1])
        ticks = sorted({k for points in lines.values() for k in points})
        axis.set_xscale("log", base=2)
        axis.set_xticks(ticks, [f"{k:g}" for k in ticks])
        axis.set(title=name, xlabel=x)
        axis.grid(alpha=0.3)
    axes[0, 0].set_ylabel(y)
    axes[0, -1].legend(frameon=False)
    plt.close(figure)
    return figure


@door
def bars(values: Mapping[str, float], x: str) -> Figure:
    """Horizontal bars by name, the first at the top, each with its value.

    Raises:
        CourseError: nothing to draw, or a value that is no number.
    """
    if not values:
        raise CourseError("there is nothing to draw: give at least one bar")
    figure, axes = plt.subplots(figsize=(6.4, 0.35 * len(values) + 0.9), layout="constrained")
    drawn = axes.barh(range(len(values)), list(values.values()), color=PALETTE[0])
    axes.bar_label(drawn, fmt="%.2f", padding=3)
    axes.set_yticks(range(len(values)), list(values))
    axes.invert_yaxis()
    axes.set_xlabel(x)
    axes.margins(x=0.15)
    axes.spines[["top", "right"]].set_visible(False)
    plt.close(figure)
    return figure


@door
def heatmaps(
    panels: Mapping[str, Sequence[Sequence[float]]],
    rows: Sequence[str],
    columns: Sequence[str],
    x: str,
    y: str,
    top: float | None = None,
) -> Figure:
    """Tables of numbers as shades, side by side on one scale: white is 0, dark is ``top``.

    Args:
        panels: tables by name, each of shape (len(rows), len(columns)), no number below 0.
        rows, columns: labels, the first row at the top.
        top: the number with the darkest shade; None for the largest of all panels.

    Raises:
        CourseError: nothing to draw, a table of another shape, a number below 0 or not finite.
    """
    if not panels or not rows or not columns:
        raise CourseError("there is nothing to draw: give at least one table, with a row and a column")
    if ragged := [n for n, values in panels.items() if len({len(row) for row in values}) > 1]:
        raise CourseError(f"table '{ragged[0]}' has rows of several lengths")
    tables = {name: np.asarray(values, dtype=float) for name, values in panels.items()}
    for name, values in tables.items():
        if values.shape != (len(rows), len(columns)):
            raise CourseError(f"table '{name}' has shape {values.shape}: {len(rows)} rows and "
                              f"{len(columns)} columns are labelled")
        if not np.isfinite(values).all() or values.min() < 0:
            raise CourseError(f"table '{name}' has a number below 0 or not finite: shades begin "
                              "at 0")
    top = top or max(values.max() for values in tables.values()) or 1.0
    side = min(0.24, 3.0 / max(len(columns), 1))
    figure, axes = plt.subplots(
        1, len(tables), squeeze=False, sharey=True, layout="constrained",
        figsize=(1.4 + max(1.6, side * len(columns)) * len(tables), 1.0 + 0.24 * len(rows)))
    for axis, (name, values) in zip(axes[0], tables.items()):
        image = axis.imshow(values, cmap=SHADES, vmin=0, vmax=top, aspect="auto")
        axis.set(title=name, xlabel=x)
        axis.set_xticks(range(len(columns)), columns, fontsize=8,
                        rotation=90 if max(map(len, columns)) > 2 else 0)
    axes[0, 0].set_yticks(range(len(rows)), rows, fontsize=8)
    axes[0, 0].set_ylabel(y)
    figure.colorbar(image, ax=axes, shrink=0.8)
    plt.close(figure)
    return figure


@door
def table(header: Sequence, rows: Sequence[Sequence]) -> str:
    """Text table: columns padded to their widest entry, numbers to the right.

    Raises:
        CourseError: a row with another number of entries than the header.
    """
    for number, row in enumerate(rows):
        if len(row) != len(header):
            raise CourseError(f"row {number} has {len(row)} entries, the header has {len(header)}: "
                              "give one for each column")
    cells = [[str(c) for c in row] for row in [header, *rows]]
    width = [max(len(row[i]) for row in cells) for i in range(len(header))]
    right = [all(isinstance(row[i], (int, float)) or _number(row[i]) for row in rows)
             for i in range(len(header))]
    lines = ["  ".join(c.rjust(w) if r else c.ljust(w) for c, w, r in zip(row, width, right))
             for row in cells]
    return "\n".join(line.rstrip() for line in lines)


def _number(text) -> bool:
    try:
        float(str(text).replace(",", "").rstrip("%"))
    except ValueError:
        return False
    return True
