"""The pictures of how lines are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from digits.evaluate.figures import BLUE, GREY, ORANGE, new_figure, png
from digits.evaluate.lines import Fit, LineAnswers
from digits.line_model.lines import HEIGHT, SEPARATOR, Lines

Image = NDArray[np.uint8]  # [32, w]

WORST = 40  # lines on the sheet
WIDE = 160  # pixels of a line that are shown


def draw_line_figures(
    content: Mapping[str, Any],
    fitted: Fit,
    lines: Mapping[str, Sequence[Lines]],
    answers: Mapping[str, LineAnswers],
) -> dict[str, bytes]:
    """The pictures as PNG bytes by name.

    content: of `lines` in metrics.json. lines and answers: of every kind, with digits and without.
    """
    examples = {kind: groups[-1].images[0] for kind, groups in lines.items()}  # the widest
    return {
        "lines": by_kind(content["kinds"], content["without_digits"], examples),
        "worst_lines": _surest_mistakes(fitted, lines, answers),
    }


def by_kind(
    kinds: Mapping[str, Mapping[str, Any]],
    without_digits: Mapping[str, Mapping[str, Any]],
    examples: Mapping[str, Image],
) -> bytes:
    """Shares of lines read exactly and of lines without a digit refused, each beside a line of its kind."""
    figure = new_figure(9, 7.2)
    parts = figure.subplots(2, 2, width_ratios=[2, 3], height_ratios=[len(kinds), len(without_digits)])
    for (shown, bars), rows, share, title in (
        (parts[0], kinds, "exact", "Read exactly (dark: accepted)"),
        (parts[1], without_digits, "share", "No digit here: refused"),
    ):
        _examples(shown, [examples[kind] for kind in rows], [kind.replace("_", " ") for kind in rows])
        values = [row[share] for row in rows.values()]
        away = [np.abs(np.array(row["interval"]) - row[share]) for row in rows.values()]
        bars.barh(range(len(rows)), values, color=BLUE, height=0.7, alpha=0.45 if share == "exact" else 1)
        if share == "exact":
            bars.barh(range(len(rows)), [row["coverage"] for row in rows.values()], color=BLUE, height=0.7)
        bars.errorbar(values, range(len(rows)), xerr=np.transpose(away), fmt="none", ecolor=GREY, capsize=3)
        for row, value in enumerate(values):
            bars.text(0.01, row, f"{value:.1%}", va="center", color="white" if value > 0.15 else "black")
        bars.set_title(title)
        bars.set_xlim(0, 1)
        bars.set_ylim(len(rows) - 0.5, -0.5)
        bars.set_yticks([])
        bars.xaxis.set_major_formatter(PercentFormatter(1))
        bars.spines[["top", "right", "left"]].set_visible(False)
    return png(figure)


def _examples(axes: Axes, images: Sequence[Image], names: Sequence[str]) -> None:
    for row, image in enumerate(images):
        long = image.shape[1] / WIDE
        options: dict[str, Any] = {"cmap": "gray", "vmin": 0, "vmax": 255, "aspect": "auto"}
        axes.imshow(image, extent=(0, long, row + 0.42, row - 0.42), **options)
    axes.set_xlim(0, 1)
    axes.set_ylim(len(images) - 0.5, -0.5)
    axes.set_yticks(range(len(names)), names)
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _surest_mistakes(
    fitted: Fit, lines: Mapping[str, Sequence[Lines]], answers: Mapping[str, LineAnswers]
) -> bytes:
    """The wrong answers that the model was surest of, of all kinds together."""
    together = LineAnswers.joined(answers[kind] for kind in lines)
    images = [image for groups in lines.values() for group in groups for image in group.images]
    sure, given = fitted.confidence(together), fitted.accepted(together)
    wrong = np.flatnonzero(together.answerable & ~together.right)
    worst = wrong[np.argsort(-sure[wrong], kind="stable")[:WORST]]
    told = [
        (f"{_written(together.truth[row])} read as {_written(together.said[row])}", sure[row], given[row])
        for row in worst
    ]
    return sheet([images[row] for row in worst], told, len(wrong))


def sheet(images: Sequence[Image], told: Sequence[tuple[str, float, bool]], total: int) -> bytes:
    """The given lines with what is told of each: a text, the confidence, whether it was accepted."""
    columns, tall, wide = 4, HEIGHT + 24, WIDE + 12
    rows = max(1, -(-len(images) // columns))
    figure = new_figure(11, 0.95 * rows + 0.5)
    axes = figure.add_subplot()
    axes.set_axis_off()
    axes.set_xlim(0, columns * wide)
    axes.set_ylim(rows * tall, 0)
    for place, (image, (text, sure, accepted)) in enumerate(zip(images, told, strict=True)):
        left, top = place % columns * wide, place // columns * tall + 22
        axes.imshow(
            image, cmap="gray", vmin=0, vmax=255, extent=(left, left + image.shape[1], top + HEIGHT, top)
        )
        caption = f"{text}\n{sure:.1%} sure, {'accepted' if accepted else 'not accepted'}"
        colour = ORANGE if accepted else "black"
        axes.text(left, top - 2, caption, fontsize=8, va="bottom", linespacing=1.1, color=colour)
    axes.set_title(f"The {len(images)} surest of {total:,} wrong answers" if images else "No wrong answer")
    return png(figure)


def _written(characters: Sequence[int]) -> str:
    return "".join("." if each == SEPARATOR else str(each) for each in characters) or "nothing"
