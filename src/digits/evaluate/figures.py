"""The pictures and CSV tables of an evaluation, by name.

Equal values give equal PNG bytes: no date and no software version is inside.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from digits.dataset import CLASSES, Split
from digits.evaluate import plots
from digits.evaluate.corruptions import CORRUPTIONS, corrupt
from digits.evaluate.metrics import Reliability, confidence, wilson, worst_mistakes
from digits.evaluate.scorecard import Answers, Scorecard
from digits.evaluate.selective import RiskCoverage

BLUE, ORANGE, GREY, PALE = "#2563a8", "#f28c1e", "#8a8f98", "#c4c8cf"
MISTAKES = LinearSegmentedColormap.from_list("mistakes", ["#ffffff", ORANGE])
FEW = 10  # images; a bin of confidence with fewer says little, and is grey
Curves = Mapping[
    str, NDArray[np.float64]
]  # a column of history.csv each, one value an epoch, NaN where blank


def new_figure(width: float, height: float) -> Figure:
    """A figure of its own, in inches at 110 dpi: pyplot's global state is left alone."""
    figure = Figure(figsize=(width, height), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def png(figure: Figure) -> bytes:
    """The same figure, the same bytes."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()


def confusion(matrix: NDArray[np.int64]) -> bytes:
    """Heat map of counts [truth, predicted]; the colour is for mistakes: right answers would drown them."""
    figure = new_figure(6.4, 5.8)
    axes = figure.add_subplot()
    mistakes = np.where(np.eye(CLASSES, dtype=bool), 0, matrix)
    top = max(1, int(mistakes.max()))
    axes.imshow(mistakes, cmap=MISTAKES, vmin=0, vmax=top)
    for truth, predicted in np.ndindex(matrix.shape):
        count = int(matrix[truth, predicted])
        if truth == predicted:
            axes.text(predicted, truth, f"{count}", ha="center", va="center", color=BLUE, weight="bold")
        elif count:
            axes.text(predicted, truth, f"{count}", ha="center", va="center", color="black")
    axes.set_xticks(range(CLASSES))
    axes.set_yticks(range(CLASSES))
    axes.set_xlabel("predicted")
    axes.set_ylabel("truth")
    axes.set_title("Test images by truth and prediction (blue: right)")
    return png(figure)


def learning_curves(history: Curves) -> bytes:
    """Loss and accuracy over the epochs, on training and validation images."""
    lines = {
        "Loss": {"loss": ("training, augmented", GREY), "val_loss": ("validation", BLUE)},
        "Accuracy": {
            "accuracy": ("training, augmented", GREY),
            "train_accuracy": ("training", ORANGE),
            "val_accuracy": ("validation", BLUE),
        },
    }
    figure = new_figure(9, 3.8)
    epochs = history["epoch"]
    for place, (title, columns) in enumerate(lines.items(), start=1):
        axes = figure.add_subplot(1, 2, place)
        axes.spines[["top", "right"]].set_visible(False)
        for column, (label, colour) in columns.items():
            known = np.isfinite(history[column])
            x, y = epochs[known], history[column][known]
            marker = "o" if len(x) <= 30 else ""
            axes.plot(x, y, marker=marker, ls="-", ms=4, label=label, color=colour)
        axes.set_title(title)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.25)
        if title == "Accuracy":
            axes.yaxis.set_major_formatter(PercentFormatter(1))
        axes.legend(frameon=False)
    return png(figure)


def reliability(before: Reliability, after: Reliability) -> bytes:
    """Accuracy at each confidence, before and after the temperature, over how many images claim it.

    The thin lines are 95 % intervals; bins of fewer than FEW images are grey and on no curve.
    """
    figure = new_figure(6.4, 5.4)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    for axes in (upper, lower):
        axes.spines[["top", "right"]].set_visible(False)
    upper.plot([0, 1], [0, 1], ls="--", color=GREY, label="honest")
    for scores, name, colour in ((before, "raw", ORANGE), (after, "with temperature", BLUE)):
        enough = scores.n >= FEW
        label = f"{name}: off by {scores.error:.2%}"
        for shown, style, paint, text in (
            ((scores.n > 0) & ~enough, "o", PALE, None),
            (enough, "o-", colour, label),
        ):
            x, y, n = scores.confidence[shown], scores.accuracy[shown], scores.n[shown]
            ends = [wilson(round(rate * count), count) for rate, count in zip(y, n.tolist(), strict=True)]
            away = np.abs(np.reshape(ends, (-1, 2)) - y[:, None]).T
            upper.errorbar(x, y, yerr=away, fmt=style, color=paint, elinewidth=1, label=text, ms=5)
    upper.set_ylabel("accuracy")
    upper.set_title("Is the model right as often as it claims?")
    upper.legend(frameon=False, loc="best")
    bins = len(after.n)
    paints = np.where(after.n >= FEW, BLUE, PALE).tolist()
    lower.bar((np.arange(bins) + 0.5) / bins, after.n, width=0.9 / bins, color=paints)
    lower.set_yscale("log")
    lower.set_ylabel("images")
    lower.set_xlabel("confidence")
    upper.xaxis.set_major_formatter(PercentFormatter(1))
    upper.yaxis.set_major_formatter(PercentFormatter(1))
    return png(figure)


def mistakes(
    images: NDArray[np.uint8],
    truth: NDArray[np.uint8],
    predicted: NDArray[np.intp],
    confidence: NDArray[np.float64],
    total: int,
) -> bytes:
    """Sheet of the given images [n, 28, 28], worst first; `total` is the number of mistakes in all."""
    rows = zip(truth.tolist(), predicted.tolist(), confidence.tolist(), strict=True)
    captions = [f"{right} read as {read}\n{sure:.0%} sure" for right, read, sure in rows]
    return _sheet(
        images, captions, f"The {len(images)} worst of {total:,} mistakes" if captions else "No mistakes"
    )


def draw_non_digits(
    images: NDArray[np.uint8], predicted: NDArray[np.intp], confidence: NDArray[np.float64], threshold: float
) -> bytes:
    """Sheet of pictures without a digit [n, 28, 28], and which digit was read in each."""
    rows = zip(predicted.tolist(), confidence.tolist(), strict=True)
    captions = [
        f"{'answered' if sure >= threshold else 'not sure'}: {read}\n{sure:.2%} sure" for read, sure in rows
    ]
    return _sheet(images, captions, "No digit here: of each kind those that were taken for one most surely")


def _sheet(images: NDArray[np.uint8], captions: Sequence[str], title: str) -> bytes:
    columns, tile, text = 8, 32, 10  # pixels of a tile's side, and of the room for two lines above it
    rows = max(1, -(-len(images) // columns))
    figure = new_figure(9, 1.48 * rows + 0.5)
    axes = figure.add_subplot()
    axes.set_axis_off()
    axes.set_xlim(0, columns * tile)
    axes.set_ylim(rows * (tile + text), 0)
    for place, (image, caption) in enumerate(zip(images, captions, strict=True)):
        top, left = place // columns * (tile + text) + text, place % columns * tile + (tile - 28) / 2
        axes.imshow(image, cmap="gray", vmin=0, vmax=255, extent=(left, left + 28, top + 28, top))
        axes.text(left + 14, top - 1.5, caption, fontsize=9, ha="center", va="bottom", linespacing=1.1)
    axes.set_title(title)
    return png(figure)


def risk_coverage(curve: RiskCoverage, threshold: float, target: float) -> bytes:
    """Share of wrong answers against the share of images answered, with what the threshold chooses."""
    figure = new_figure(6.4, 4.4)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.plot(curve.coverage, curve.risk, color=BLUE, label=f"test images: area {curve.aurc:.2g}")
    axes.axhline(1 - target, ls="--", color=GREY, label=f"aimed at: {target:.2%} of the answers right")
    given = curve.threshold >= threshold
    if given.any():
        coverage, risk = curve.coverage[given][-1], curve.risk[given][-1]
        told = f"threshold {threshold:.4f}: {coverage:.1%} answered, {1 - risk:.2%} of them right"
        axes.plot([coverage], [risk], "o", color=ORANGE, ms=8, label=told)
    clean = curve.coverage[curve.wrong == 0]  # there is nothing to see
    axes.set_xlim(max(0, 1 - 1.5 * (1 - min(0.9, clean.max(initial=0)))), 1.005)
    axes.set_ylim(0, max(1.1 * float(curve.risk.max()), 3 * (1 - target)))
    axes.set_xlabel("share of the images answered (coverage)")
    axes.set_ylabel("share of the answers wrong (risk)")
    axes.set_title("What does it gain to say “not sure”?")
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.grid(alpha=0.25)
    axes.legend(frameon=False, loc="upper left")
    return png(figure)


def corruptions(table: Mapping[str, float], clean: float, examples: Mapping[str, NDArray[np.uint8]]) -> bytes:
    """Accuracy under each corruption, worst first, beside what it does to the examples [m, 28, 28]."""
    figure = new_figure(9, 7.6)
    names = sorted(table, key=lambda name: (table[name], name))
    pictures, axes = figure.subplots(1, 2, width_ratios=[2, 3])
    sheet = np.concatenate([np.concatenate(list(examples[name]), axis=1) for name in names])
    height = sheet.shape[0] / len(names)
    pictures.imshow(sheet, cmap="gray", vmin=0, vmax=255, aspect="auto")
    pictures.set_yticks((np.arange(len(names)) + 0.5) * height - 0.5, [n.replace("_", " ") for n in names])
    pictures.set_xticks([])
    pictures.tick_params(length=0)
    pictures.spines[:].set_visible(False)
    axes.barh(range(len(names)), [table[name] for name in names], color=BLUE, height=0.7)
    for row, name in enumerate(names):
        axes.text(
            min(table[name], 1) - 0.01, row, f"{table[name]:.1%}", va="center", ha="right", color="white"
        )
    axes.axvline(clean, color=GREY, ls="--")
    axes.set_title(f"Accuracy (dashed: clean, {clean:.1%})")
    axes.set_xlim(0, 1)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_yticks([])
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.spines[["top", "right", "left"]].set_visible(False)
    return png(figure)


WORST = 40  # mistakes on the sheet
EXAMPLES = 8  # images that show each corruption; pictures of each kind without a digit
Images = NDArray[np.uint8]


def draw_figures(
    card: Scorecard,
    test: Split,
    answers: Answers,
    non_digits: Mapping[str, tuple[Images, Answers]],
    history: Curves,
    seed: int,
) -> dict[str, bytes]:
    """Return the report's figures as PNG bytes by name.

    non_digits: the pictures without a digit and the answers to them, by kind.
    """
    content = card.content
    temperature, abstention = content["temperature"], content["abstention"]
    worst = worst_mistakes(answers.logits / temperature, answers.labels, WORST)
    sure = confidence(answers.logits[worst], temperature)
    wrong = len(test) - content["correct"]
    shown = test.images[np.unique(test.labels, return_index=True)[1][-EXAMPLES:]]
    examples = {name: corrupt(name, shown, seed) for name in CORRUPTIONS}
    return {
        "confusion": confusion(card.matrix),
        "learning_curves": learning_curves(history),
        "reliability": reliability(card.raw, card.calibrated),
        "mistakes": mistakes(test.images[worst], test.labels[worst], answers.predicted[worst], sure, wrong),
        "corruptions": corruptions(content["corruptions"], content["accuracy"], examples),
        "risk_coverage": risk_coverage(card.curve, abstention["threshold"], abstention["target"]),
        "non_digits": _surest_non_digits(non_digits, temperature, abstention["threshold"]),
    }


def _surest_non_digits(
    non_digits: Mapping[str, tuple[Images, Answers]], temperature: float, threshold: float
) -> bytes:
    """A row of each kind: the pictures that were taken for a digit most surely, equal ones once.

    Those without ink, which are refused whatever the confidence, count as unsure.
    """
    rows = []
    for images, answers in non_digits.values():
        first = np.sort(np.unique(images, axis=0, return_index=True)[1])
        sure = answers.inked[first] * confidence(answers.logits[first], temperature)
        top = np.argsort(-sure, kind="stable")[:EXAMPLES]
        rows.append((images[first[top]], answers.predicted[first[top]], sure[top]))
    pictures, digits, sure = (np.concatenate(column) for column in zip(*rows, strict=True))
    return draw_non_digits(pictures, digits, sure, threshold)


def plot_tables(card: Scorecard, answers: Answers, history: str) -> dict[str, str]:
    """CSV text by name. history: train's own table."""
    return {
        "confusion": plots.confusion(answers.labels, answers.predicted),
        "corruptions": plots.corruptions(card.content["corruptions"], card.content["accuracy"]),
        "history": history,
        "lines": plots.lines(card.content["lines"]["kinds"]),
        "reliability": plots.reliability(card.calibrated),
        "risk_coverage": plots.risk_coverage(card.curve),
    }
