"""The networks that read a line: uint8 [n, 32, w] and its width in, logits float32 [n, columns, 12] out.

Convolutions, then the columns beside each other, trained by CTC (Graves et al. 2006, "Connectionist temporal
classification"): each column of 4 pixels says which character is in its middle, if any. What lies right of
a line's width is zero before each layer, so padding changes no answer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from digits.line_model.lines import COLUMN, HEIGHT, STEP
from digits.nn.layers import FusedBatchNorm

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}
FAINT = 2.0  # grey levels of deviation that are added, so that bare paper's grain is not made writing


@keras.saving.register_keras_serializable(package="digits")
class NormalizeLine(keras.layers.Layer):  # type: ignore[misc]
    """Lines as float32 [n, 32, w, 1], w a multiple of STEP: ink above 0, paper near 0, deviation 1.

    Ink is the side of the mean on which the grey levels reach farther: it covers less than the paper. The
    mean, deviation and skewness are those of the pixels within the line's width.
    """

    def call(self, lines: Any, width: Any) -> Any:
        """lines: uint8 [n, 32, w]. width: int32 [n], at most w."""
        spare = -tf.shape(lines)[2] % STEP
        levels = tf.cast(tf.pad(lines, [[0, 0], [0, 0], [0, spare]]), tf.float32)
        inside = tf.sequence_mask(width, tf.shape(levels)[2], tf.float32)[:, tf.newaxis, :]
        count = tf.maximum(tf.reduce_sum(inside, 2, keepdims=True) * HEIGHT, 1)

        def mean(values: Any) -> Any:
            return tf.reduce_sum(values * inside, [1, 2], keepdims=True) / count

        ink = (mean(levels) - levels) * inside
        ink /= tf.sqrt(mean(tf.square(ink))) + FAINT
        ink = tf.where(mean(ink**3) < 0, -ink, ink)
        return ink[..., tf.newaxis]

    def compute_output_spec(self, lines: Any, width: Any) -> Any:  # noqa: ARG002 - Keras passes it
        """Shape and type of the result."""
        return keras.KerasTensor((lines.shape[0], HEIGHT, None, 1), dtype="float32")


@keras.saving.register_keras_serializable(package="digits")
class Within(keras.layers.Layer):  # type: ignore[misc]
    """Features [n, rows, columns, channels] with those right of the line's width set to 0.

    In training it changes nothing: the lines of a training's batch are all as wide as the batch.
    step: pixels of the line that a column of the features stands for.
    """

    def __init__(self, step: int, **options: Any) -> None:
        super().__init__(**options)
        self.step = step

    def call(self, features: Any, width: Any, training: bool = False) -> Any:
        """width: int32 [n], in pixels of the line."""
        if training:
            return features
        columns = -(-width // self.step)
        inside = tf.sequence_mask(columns, tf.shape(features)[2], features.dtype)
        return features * inside[:, tf.newaxis, :, tf.newaxis]

    def compute_output_spec(self, features: Any, width: Any, training: bool = False) -> Any:  # noqa: ARG002
        """Shape and type of the result."""
        return keras.KerasTensor(features.shape, dtype=features.dtype)

    def get_config(self) -> dict[str, Any]:
        """What rebuilds the layer."""
        return {**super().get_config(), "step": self.step}


class Layers:
    """Makes the layers of one network: one dtype policy, and a seed of its own for each initialiser."""

    def __init__(self, width: Any, precision: str, seed: int) -> None:
        """width: the model's input of that name."""
        self.width, self.policy = width, POLICIES[precision]
        self.seeds = np.random.default_rng(seed)
        self.step = 1  # pixels a column
        self.made = 0

    def _options(self, kind: str) -> dict[str, Any]:
        self.made += 1
        return {"name": f"{kind}_{self.made}", "dtype": self.policy}

    def convolution(
        self, x: Any, filters: int, size: int | tuple[int, int] = 3, stride: int | tuple[int, int] = 1
    ) -> Any:
        """Convolution, batch norm, relu; the bias is batch norm's. stride: (down, along) the line."""
        initial = keras.initializers.HeNormal(int(self.seeds.integers(2**31)))
        self.step *= stride if isinstance(stride, int) else stride[1]
        options = {"strides": stride, "padding": "same", "use_bias": False, "kernel_initializer": initial}
        x = keras.layers.Conv2D(filters, size, **options, **self._options("convolution"))(x)
        x = FusedBatchNorm(**self._options("norm"))(x)
        x = keras.layers.ReLU(**self._options("relu"))(x)
        return Within(self.step, **self._options("within"))(x, self.width)

    def pool(self, x: Any, size: int | tuple[int, int] = 2) -> Any:
        """The largest of each window of `size`, (down, along) the line."""
        self.step *= size if isinstance(size, int) else size[1]
        return keras.layers.MaxPooling2D(size, **self._options("pool"))(x)

    def head(self, x: Any, dropout: float) -> Any:
        """Two convolutions along the line, logits in float32. x: one row of features."""
        filters = x.shape[-1]
        if dropout:
            seed = int(self.seeds.integers(2**31))
            x = keras.layers.Dropout(dropout, seed=seed, **self._options("dropout"))(x)
        for _ in range(2):
            x = self.convolution(x, filters, (1, 5))
        initial = keras.initializers.GlorotUniform(int(self.seeds.integers(2**31)))
        x = keras.layers.Conv2D(COLUMN, 1, kernel_initializer=initial, **self._options("columns"))(x)
        return keras.layers.Reshape((-1, COLUMN), dtype="float32", name="logits")(x)


def _medium(x: Any, layers: Layers, dropout: float) -> Any:
    """778 thousand weights, 6.2 MFLOP a column."""
    x = layers.convolution(x, 32, size=5, stride=2)
    x = layers.convolution(x, 48)
    x = layers.pool(layers.convolution(x, 48))
    x = layers.convolution(x, 96)
    x = layers.pool(layers.convolution(x, 96), (2, 1))
    x = layers.convolution(x, 128)
    return layers.head(layers.convolution(x, 160, size=(4, 3), stride=(4, 1)), dropout)


def _large(x: Any, layers: Layers, dropout: float) -> Any:
    """1.4 million weights, 8.8 MFLOP a column."""
    x = layers.convolution(x, 32, size=5, stride=2)
    x = layers.convolution(x, 56)
    x = layers.pool(layers.convolution(x, 56))
    x = layers.convolution(x, 112)
    x = layers.pool(layers.convolution(x, 112), (2, 1))
    x = layers.convolution(x, 160)
    return layers.head(layers.convolution(x, 224, size=(4, 3), stride=(4, 1)), dropout)


def _tiny(x: Any, layers: Layers, dropout: float) -> Any:
    """15 thousand weights, for tests."""
    x = layers.pool(layers.convolution(x, 8, size=5, stride=2))
    x = layers.pool(layers.convolution(x, 16), (2, 1))
    return layers.head(layers.convolution(x, 24, size=(4, 3), stride=(4, 1)), dropout)


ARCHITECTURES: dict[str, Callable[[Any, Layers, float], Any]] = {
    "medium": _medium,
    "large": _large,
    "tiny": _tiny,
}


def build(
    architecture: str, *, dropout: float = 0.0, precision: str = "float32", seed: int = 0
) -> keras.Model:
    """A new model: [lines uint8 [n, 32, w], width int32 [n]] to logits float32 [n, ⌈w / 4⌉, 12].

    n must not be 0, on which oneDNN's convolutions fail. precision: what it computes in; weights are float32
    in any case, and a model trained in one precision runs in another.
    """
    lines = keras.Input((HEIGHT, None), dtype="uint8", name="lines")
    width = keras.Input((), dtype="int32", name="width")
    ink = NormalizeLine(dtype="float32", name="normalize")(lines, width)
    logits = ARCHITECTURES[architecture](ink, Layers(width, precision, seed), dropout)
    return keras.Model([lines, width], logits, name=architecture)
