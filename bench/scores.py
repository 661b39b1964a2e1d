"""The figures for the quality of a trained model: clean, corrupted, calibration, and when it is unsure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import mnist_c
from digits.dataset import Split
from digits.evaluate.corruptions import CORRUPTIONS, corrupt

Predict = Callable[[NDArray[np.uint8]], NDArray[Any]]  # uint8 [n, 28, 28] → a score for each digit [n, 10]
Corrupt = Callable[[str, NDArray[np.uint8], int], NDArray[np.uint8]]

ROOT = Path(__file__).resolve().parents[1]
CORRUPTION_SEED = 1
EACH = 100  # pictures of each kind that shows no digit


def suites() -> Iterator[tuple[str, list[str], Corrupt]]:
    """Yield (key of a record, the corruptions, the function that makes them) of each suite."""
    yield "corruptions", list(CORRUPTIONS), corrupt
    yield "mnist_c", list(mnist_c.CORRUPTIONS), mnist_c.corrupt


def accuracy(predict: Predict, images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> float:
    """Return the share of images that are read correctly."""
    return float(np.mean(predict(images).argmax(axis=1) == labels))


def scores(predict: Predict, test: Split) -> dict[str, Any]:
    """Return accuracy on the test images, clean and under each corruption: their only use."""
    figures: dict[str, Any] = {"accuracy": accuracy(predict, test.images, test.labels)}
    for suite, names, corrupted in suites():
        figures[suite] = {
            name: accuracy(predict, corrupted(name, test.images, CORRUPTION_SEED), test.labels)
            for name in names
        }
    return figures


def calibration(predict: Predict, validation: Split, test: Split) -> dict[str, float]:
    """Return the temperature fitted on validation, and the calibration error with it on the test images."""
    from digits.evaluate.metrics import fit_temperature, reliability

    temperature = fit_temperature(predict(validation.images), validation.labels)
    off = reliability(predict(test.images), test.labels, temperature).error
    return {"temperature": temperature, "calibration_error": off}


def abstention(predict: Predict, validation: Split, test: Split, temperature: float) -> dict[str, Any]:
    """Return how often a model is unsure, and how accurate its other answers are.

    The threshold comes from validation and is tried on the test images and on pictures without a digit.
    """
    from digits import non_digits
    from digits.evaluate import selective
    from digits.ink import has_ink
    from digits.runtime import params

    limits = params.load("evaluate", ROOT / "params.yaml")
    wanted = limits.answered_precision
    threshold = selective.threshold_for(predict(validation.images), validation.labels, temperature, wanted)
    inked = np.asarray(has_ink(test.images))
    figures, _ = selective.abstention(
        predict(test.images), test.labels, inked, temperature, wanted, threshold
    )
    pictures = non_digits.every(EACH, limits.seed, test)
    logits = {kind: (predict(images), np.asarray(has_ink(images))) for kind, images in pictures.items()}
    refused = selective.refusal_table(logits, temperature, threshold)
    return {
        "abstention": {name: figures[name] for name in ("target", "threshold", "n", "answered", "correct")},
        "refused": {kind: row["share"] for kind, row in refused.items()},
    }
