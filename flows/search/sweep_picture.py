"""Trials → a picture of parallel coordinates, as PNG bytes: an axis a key, a line a trial. Pure."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import Any

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from flows.search.sweep_space import Dimension, text
from flows.search.sweep_study import Row

GREY, RED = "#c3c7cd", "#c0392b"
Ticks = list[tuple[float, str]]  # place from 0 to 1, label


def draw(space: Sequence[Dimension], rows: Sequence[Row], best: Row | None) -> bytes:
    """One line a whole trial, darker the better, the winner's in red; pruned ones grey and broken.

    Failed trials are left out. Equal trials give equal bytes.
    """
    shown = [row for row in rows if row.outcome != "failed" and row.accuracy is not None]
    figure = Figure(figsize=(2.2 + 1.7 * len(space), 5), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    last = len(space)
    scores = [row.accuracy or 0.0 for row in shown]
    whole = [row.accuracy or 0.0 for row in shown if row.outcome == "complete"] or scores or [0.0, 1.0]
    low, high = min(whole), max(whole)
    for row in sorted(shown, key=lambda row: (row.outcome != "pruned", row == best, row.accuracy)):
        places = [_place(dimension, row.settings[dimension.key]) for dimension in space]
        places.append(min(max(_share(row.accuracy or 0.0, low, high), -0.04), 1.0))  # pruned: off the axis
        strength = 0.25 + 0.75 * _share(row.accuracy or 0.0, low, high)
        if row.outcome == "pruned":
            style: dict[str, Any] = {"color": GREY, "linestyle": "--", "linewidth": 1.0}
        elif row == best:
            style = {"color": RED, "linewidth": 2.6, "zorder": 5, "label": f"trial {row.number}"}
        else:
            style = {"color": colormaps["Blues"](strength), "linewidth": 1.6}
        axes.plot(range(last + 1), places, marker="o", markersize=3.5, **style)
    for at, dimension in enumerate(space):
        _axis(axes, at, _ticks(dimension))
    _axis(axes, last, [(i / 4, f"{low + (high - low) * i / 4:.2%}") for i in range(5)])
    axes.set_xticks(
        range(last + 1), [*(d.label.replace(".", ".\n") for d in space), "accuracy on\nvalidation"]
    )
    axes.set_xlim(-0.15, last + 0.55)
    axes.set_ylim(-0.08, 1.05)
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    pruned = sum(row.outcome == "pruned" for row in shown)
    title = f"{len(shown)} trials" + (f", {pruned} pruned (broken lines)" if pruned else "")
    axes.set_title(title + (f"; the winner in red: trial {best.number}" if best else ""), fontsize=10)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()


def _share(value: float, low: float, high: float) -> float:
    """Where a value lies from low (0) to high (1); 0.5 where they are equal."""
    return (value - low) / (high - low) if high > low else 0.5


def _place(dimension: Dimension, value: Any) -> float:
    if dimension.choices:
        return _share(dimension.choices.index(value), 0, len(dimension.choices) - 1)
    if dimension.log:
        return _share(math.log(value), math.log(dimension.low), math.log(dimension.high))
    return _share(value, dimension.low, dimension.high)


def _ticks(dimension: Dimension) -> Ticks:
    if dimension.choices:
        return [(_place(dimension, choice), text(choice)) for choice in dimension.choices]
    values = []
    for i in range(5):
        if dimension.log:
            values.append(dimension.low * (dimension.high / dimension.low) ** (i / 4))
        else:
            values.append(dimension.low + (dimension.high - dimension.low) * i / 4)
    return [(i / 4, f"{value:.3g}") for i, value in enumerate(values)]


def _axis(axes: Axes, at: float, ticks: Ticks) -> None:
    axes.plot([at, at], [0, 1], color="#5b616b", linewidth=1, zorder=1)
    for place, label in ticks:
        axes.annotate(
            label,
            (at, place),
            xytext=(5, 0),
            textcoords="offset points",
            fontsize=8,
            va="center",
            bbox={"boxstyle": "round,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.75},
            zorder=6,
        )
