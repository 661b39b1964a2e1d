"""The line reader on disk, weights beside the recipe that rebuilds them, and its answers for lines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from digits import files
from digits.line_model import network
from digits.line_model.lines import COLUMN, HEIGHT, STEP
from digits.runtime.errors import DataError

WEIGHTS = "line_model.weights.h5"
RECIPE = "recipe.json"
VALIDATION = "validation.npz"  # lines of validation digits, which thresholds are chosen on

BATCH = 128  # lines

LineScorer = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def save_candidate(directory: Path, model: keras.Model, recipe: Mapping[str, Any]) -> None:
    """Write a trained line reader and its recipe into an existing directory."""
    model.save_weights(directory / WEIGHTS)
    files.write_json(directory / RECIPE, dict(recipe))


def load_candidate(directory: Path) -> keras.Model:
    """The model of `save_candidate`, in float32. Raises DataError when files are missing or damaged."""
    recipe = files.read_json(directory / RECIPE)
    architecture = recipe.get("architecture") if isinstance(recipe, dict) else None
    if architecture not in network.ARCHITECTURES:
        raise DataError(
            f"{directory / RECIPE} names the architecture {architecture!r}, expected one of "
            f"{', '.join(network.ARCHITECTURES)}: run `dvc repro lines`"
        )
    model = network.build(architecture)
    try:
        model.load_weights(directory / WEIGHTS)
    except FileNotFoundError:
        raise DataError(f"{directory / WEIGHTS} is missing: run `dvc repro lines`") from None
    except (OSError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(
            f"{directory / WEIGHTS} does not hold the weights of its recipe ({reason}): run `dvc repro lines`"
        ) from None
    return model


def scorer(model: keras.Model) -> LineScorer:
    """Return a function of lines uint8 [n, 32, w], all as wide, to log-probabilities of the columns,
    float32 [n, ⌈w / 4⌉, 12]. Compiled once; n may be 0.
    """

    def forward(lines: Any) -> Any:
        width = tf.fill([tf.shape(lines)[0]], tf.shape(lines)[2])
        return tf.nn.log_softmax(tf.cast(model([lines, width], training=False), tf.float32))

    signature = [tf.TensorSpec([None, HEIGHT, None], tf.uint8)]
    traced = tf.function(forward, input_signature=signature, autograph=False)

    def score(lines: NDArray[np.uint8]) -> NDArray[np.float32]:
        made = np.empty((len(lines), -(-lines.shape[2] // STEP), COLUMN), np.float32)
        for start in range(0, len(lines), BATCH):
            batch = np.ascontiguousarray(lines[start : start + BATCH])
            made[start : start + len(batch)] = traced(tf.constant(batch)).numpy()
        return made

    return score
