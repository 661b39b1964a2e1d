"""A trained model → the formats that phones, microcontrollers and browsers read, each with a way to ask it.

Shell helper, as `digits.convert.tflite` is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
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
    """One format. files: path → content. ask: images → logits float32 [n, 10].

    normalizes: whether the files take raw pixels, uint8 [n, 28, 28]; else what `quantize.normalized` made of
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
        ask = _in_batches(tfjs.loaded(made))
        return Made({f"tfjs/{path}": content for path, content in made.items()}, ask, False, here=False)
    form, _, part = name.partition("-")
    content = tflite.convert(model, form, calibration, normalizes=not part)
    return Made({f"{name}.tflite": content}, tflite.Interpreted(content), not part, here=True)


def _in_batches(ask: Ask) -> Ask:
    def asked(images: NDArray[Any]) -> NDArray[np.float32]:
        starts = range(0, len(images), BATCH)
        return np.concatenate([ask(images[start : start + BATCH]) for start in starts])

    return asked
