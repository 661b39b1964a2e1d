"""Answers of a trained model → how often it says "I don't know", and what its other answers are worth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from bench.scores import Predict
from digits.dataset import Split

ROOT = Path(__file__).resolve().parents[1]
EACH = 100  # pictures of each kind that shows no digit


def abstention(predict: Predict, validation: Split, test: Split, temperature: float) -> dict[str, Any]:
    """The threshold of validation, tried on the test images and on unseen pictures without a digit."""
    from digits import non_digits, params, selective
    from digits.ink import has_ink

    limits = params.load("evaluate", ROOT / "params.yaml")
    wanted = limits.answered_precision
    threshold = selective.threshold_for(predict(validation.images), validation.labels, temperature, wanted)
    inked = np.asarray(has_ink(test.images))
    told, _ = selective.abstention(predict(test.images), test.labels, inked, temperature, wanted, threshold)
    pictures = non_digits.every(EACH, limits.seed, test)
    strangers = {kind: (predict(images), np.asarray(has_ink(images))) for kind, images in pictures.items()}
    refused = selective.refused(strangers, temperature, threshold)
    kept = ("target", "threshold", "n", "answered", "correct")
    return {
        "abstention": {name: told[name] for name in kept},
        "refused": {kind: row["share"] for kind, row in refused.items()},
    }
