"""A model in another format beside the exported one → how its answers compare, and why it is refused.

Core. What phones and browsers get is judged by accuracy on the validation images: an answer that was nearly
even may fall the other way, and where as many fall right as wrong nothing is lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FORGIVEN = 1  # image: a single one that falls the other way is no trend, however few images there are


@dataclass(frozen=True)
class Compared:
    """agreement: share of the images that get the exported model's digit. accuracy: share right. points_lost:
    of accuracy, below the exported model; negative where more are right. difference: the largest of a
    probability. same_acceptance: share of the images whose confidence is on the same side of the threshold.
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
) -> Compared:
    """A format's logits float32 [n, 10] beside the exported model's probabilities of the same images, n > 0.

    answer: of `answer`.
    """
    probabilities = softmax(logits, answer["temperature"])
    digits, known = probabilities.argmax(axis=1), expected.argmax(axis=1)
    right = float(np.mean(digits == labels))
    sure, known_sure = (p.max(axis=1) >= np.float32(answer["threshold"]) for p in (probabilities, expected))
    return Compared(
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


def refusal(found: Compared, images: int, most: float) -> str | None:
    """Why a format is not to be used; None when it may be. most: points of accuracy that it may lose."""
    if not np.isfinite(found.difference):
        return "it answers with values that are no numbers"
    if found.points_lost <= most or round(found.points_lost / 100 * images) <= FORGIVEN:
        return None
    lost = f"it loses {found.points_lost:.2f} points of accuracy on {images:,} validation images"
    return f"{lost}, at most {most:g} allowed"


def answer(record: Mapping[str, Any]) -> dict[str, Any]:
    """What a caller does with the logits, from the provenance of an export."""
    return {
        "temperature": record["metrics"]["temperature"],
        "threshold": record["threshold"],
        "normalization": record["recipe"]["normalization"],
    }
