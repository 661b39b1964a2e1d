"""The candidate on disk, weights beside the recipe that rebuilds them, and its logits for images.

Keras's own `.keras` archive holds a date, so equal models would differ in bytes; these files don't.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from digits import files
from digits.dataset import CLASSES
from digits.model import architectures
from digits.model.architectures import ARCHITECTURES
from digits.model.recipe import Recipe, members
from digits.runtime.errors import DataError

WEIGHTS = "model.weights.h5"
RECIPE = "recipe.json"


def save_candidate(directory: Path, model: keras.Model, recipe: Recipe) -> None:
    """Write a trained model and its recipe into an existing directory."""
    model.save_weights(directory / WEIGHTS)
    files.write_json(directory / RECIPE, recipe.to_dict())


def load_recipe(directory: Path) -> Recipe:
    """The recipe that a candidate was trained by. Raises DataError when it is missing or damaged."""
    return Recipe.from_dict(files.read_json(directory / RECIPE))


def load_candidate(directory: Path) -> keras.Model:
    """The model of `save_candidate`: uint8 [n, 28, 28] → logits float32 [n, 10], normalisation inside.

    It computes in float32, whatever it was trained in. Raises DataError when files are missing or damaged.
    """
    recipe = load_recipe(directory)
    if unknown := [name for name in members(recipe.architecture) if name not in ARCHITECTURES]:
        raise DataError(
            f"{directory / RECIPE} names the architecture {unknown[0]!r}, expected one of "
            f"{', '.join(ARCHITECTURES)}: run `dvc repro train`"
        )
    model = architectures.build(recipe.architecture, normalization=recipe.normalization)
    try:
        model.load_weights(directory / WEIGHTS)
    except FileNotFoundError:
        raise DataError(f"{directory / WEIGHTS} is missing: run `dvc repro train`") from None
    except (OSError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(
            f"{directory / WEIGHTS} does not hold the weights of its recipe ({reason}): run `dvc repro train`"
        ) from None
    return model


BATCH = 500  # images; larger ones are no faster on a CPU and take more memory

Scorer = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def scorer(model: Any) -> Scorer:
    """Return a function of uint8 [n, 28, 28] to logits float32 [n, 10], compiled once; n may be 0."""

    def forward(images: Any) -> Any:
        return tf.cast(model(images, training=False), tf.float32)

    traced = tf.function(forward, input_signature=[tf.TensorSpec([None, 28, 28], tf.uint8)], autograph=False)

    def score(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        logits = np.empty((len(images), CLASSES), dtype=np.float32)
        for start in range(0, len(images), BATCH):
            batch = np.ascontiguousarray(images[start : start + BATCH])
            logits[start : start + len(batch)] = traced(tf.constant(batch)).numpy()
        return logits

    return score
