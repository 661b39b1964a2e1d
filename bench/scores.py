"""Answers of a trained model → the figures that say how good it is: clean, corrupted, calibrated."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import mnist_c
from digits.corruptions import CORRUPTIONS, corrupt
from digits.dataset import Split

Predict = Callable[[NDArray[np.uint8]], NDArray[Any]]  # uint8 [n, 28, 28] → a score for each digit [n, 10]
Corrupt = Callable[[str, NDArray[np.uint8], int], NDArray[np.uint8]]

CORRUPTION_SEED = 1


def suites() -> Iterator[tuple[str, list[str], Corrupt]]:
    """(key of a record, the corruptions, the function that makes them) of each suite."""
    yield "corruptions", list(CORRUPTIONS), corrupt
    yield "mnist_c", list(mnist_c.CORRUPTIONS), mnist_c.corrupt


def accuracy(predict: Predict, images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> float:
    """Share of the images that are read right."""
    return float(np.mean(predict(images).argmax(axis=1) == labels))


def scores(predict: Predict, test: Split) -> dict[str, Any]:
    """Accuracy on the test images, clean and under each corruption: the one time that they are used."""
    found: dict[str, Any] = {"accuracy": accuracy(predict, test.images, test.labels)}
    for suite, names, corrupted in suites():
        found[suite] = {
            name: accuracy(predict, corrupted(name, test.images, CORRUPTION_SEED), test.labels)
            for name in names
        }
    return found


def calibration(predict: Predict, validation: Split, test: Split) -> dict[str, float]:
    """The temperature fitted on validation, and what confidences are then off by on the test images."""
    from digits.calibration import fit_temperature
    from digits.metrics import reliability

    temperature = fit_temperature(predict(validation.images), validation.labels)
    off = reliability(predict(test.images), test.labels, temperature).error
    return {"temperature": temperature, "calibration_error": off}
