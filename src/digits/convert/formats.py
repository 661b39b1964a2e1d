"""The formats for phones, microcontrollers and browsers, and how each compares with the exported model.

A format is judged by accuracy on the validation images: an answer that was nearly even may fall the other
way, and where as many fall right as wrong nothing is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from digits.convert import tfjs, tflite
from digits.model import architectures

BATCH = 500  # images; bounds the memory

Ask = Callable[[NDArray[Any]], NDArray[np.float32]]


@dataclass(frozen=True)
class Made:
    """One format's files and a way to run them.

    files: content by path. ask: a function of images to logits float32 [n, 10]; of lines to their columns.
    normalizes: whether the files take raw pixels, uint8 [n, 28, 28]; else what `tflite.normalize` made of
    them. here: whether `ask` computes as a device does, so that its time tells something.
    """

    files: dict[str, bytes]
    ask: Ask
    normalizes: bool
    here: bool


def names() -> tuple[str, ...]:
    """Of the formats, in the order in which they are made."""
    return ("float32", "float16", "int8", "int8-network", "tfjs")


def make(name: str, model: keras.Model, calibration: NDArray[np.uint8], kernels: str) -> Made:
    """One of `names`. calibration: training images for int8. kernels: the browser's, float32 or float16.

    Raises DataError when the model can't be had in that format; TensorFlow's converters raise of every kind.
    """
    if name == "tfjs":
        made = tfjs.graph_model(architectures.network(model), kernels)
        ask = _in_batches(tfjs.load(made))
        return Made({f"tfjs/{path}": content for path, content in made.items()}, ask, False, here=False)
    form, _, part = name.partition("-")
    content = tflite.convert(model, form, calibration, normalizes=not part)
    return Made({f"{name}.tflite": content}, tflite.Interpreter(content), not part, here=True)


def _in_batches(ask: Ask) -> Ask:
    def asked(images: NDArray[Any]) -> NDArray[np.float32]:
        starts = range(0, len(images), BATCH)
        return np.concatenate([ask(images[start : start + BATCH]) for start in starts])

    return asked


FORGIVEN = 1  # image or line: a single one that falls the other way is no trend, however few there are


@dataclass(frozen=True)
class Comparison:
    """agreement: share of the images that get the exported model's digit, or of the lines that get its text.
    accuracy: share right. points_lost: of accuracy, below the exported model; negative where more are right.
    difference: the largest of a probability. same_acceptance: share that are accepted by both or by neither.
    """

    agreement: float
    accuracy: float
    points_lost: float
    difference: float
    same_acceptance: float

    def figures(self) -> dict[str, float]:
        """Plain values, rounded as reports hold them; none for what is no number."""
        return {name: round(value, 6) for name, value in asdict(self).items() if np.isfinite(value)}


def compare(
    logits: NDArray[np.float32],
    answer: Mapping[str, Any],
    expected: NDArray[np.float32],
    labels: NDArray[np.uint8],
) -> Comparison:
    """A format's logits float32 [n, 10] beside the exported model's probabilities of the same images, n > 0.

    answer: of `answer`.
    """
    probabilities = softmax(logits, answer["temperature"])
    digits, known = probabilities.argmax(axis=1), expected.argmax(axis=1)
    right = float(np.mean(digits == labels))
    sure, known_sure = (p.max(axis=1) >= np.float32(answer["threshold"]) for p in (probabilities, expected))
    return Comparison(
        agreement=float(np.mean(digits == known)),
        accuracy=right,
        points_lost=100 * (float(np.mean(known == labels)) - right),
        difference=float(np.abs(probabilities - expected).max()),
        same_acceptance=float(np.mean(sure == known_sure)),
    )


def softmax(logits: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    """Calibrated probabilities float32 [n, 10]."""
    scaled = logits.astype(np.float64) / temperature
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    shares: NDArray[np.float32] = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
    return shares


def refusal(found: Comparison, n: int, most: float, what: str = "images") -> str | None:
    """Why a format is not to be used; None when it may be.

    n: how many were compared of `what`. most: points of accuracy that it may lose.
    """
    if not np.isfinite(found.difference):
        return "it answers with values that are no numbers"
    if found.points_lost <= most or round(found.points_lost / 100 * n) <= FORGIVEN:
        return None
    lost = f"it loses {found.points_lost:.2f} points of accuracy on {n:,} validation {what}"
    return f"{lost}, at most {most:g} allowed"


def answer(record: Mapping[str, Any]) -> dict[str, Any]:
    """What a caller does with the logits, from the provenance of an export."""
    return {
        "temperature": record["metrics"]["temperature"],
        "threshold": record["threshold"],
        "normalization": record["recipe"]["normalization"],
    }
