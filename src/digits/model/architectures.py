"""A name → the layers between a canonical image and the logits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from digits.dataset import CLASSES
from digits.model.dropout import SharedDropout
from digits.model.layers import FusedBatchNorm

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}


class Layers:
    """Makes the layers of one network: one dtype policy, and a seed of its own for each initialiser."""

    def __init__(self, precision: str, seed: int) -> None:
        self.policy = POLICIES[precision]
        self.seeds = np.random.default_rng(seed)
        self.made = 0

    def _next_seed(self) -> int:
        return int(self.seeds.integers(2**31))

    def _options(self, kind: str) -> dict[str, Any]:
        """Policy and name. Keras's own names count on from model to model, and are in the weights file."""
        self.made += 1
        return {"name": f"{kind}_{self.made}", "dtype": self.policy}

    def convolution(
        self, x: Any, filters: int, size: int = 3, stride: int = 1, padding: str = "valid"
    ) -> Any:
        """Convolution, batch norm, relu. The bias is batch norm's."""
        initial = keras.initializers.HeNormal(self._next_seed())
        options = {"strides": stride, "padding": padding, "use_bias": False, "kernel_initializer": initial}
        x = keras.layers.Conv2D(filters, size, **options, **self._options("convolution"))(x)
        x = FusedBatchNorm(**self._options("norm"))(x)
        return keras.layers.ReLU(**self._options("relu"))(x)

    def plain_convolution(self, x: Any, filters: int) -> Any:
        """3×3 convolution with a bias, relu: Keras's defaults, as the tutorials have it."""
        initial = keras.initializers.GlorotUniform(self._next_seed())
        options = {"activation": "relu", "kernel_initializer": initial}
        return keras.layers.Conv2D(filters, 3, **options, **self._options("convolution"))(x)

    def dense(self, x: Any, units: int) -> Any:
        """Flatten, dense, relu."""
        x = keras.layers.Flatten(**self._options("flatten"))(x)
        initial = keras.initializers.GlorotUniform(self._next_seed())
        options = {"activation": "relu", "kernel_initializer": initial}
        return keras.layers.Dense(units, **options, **self._options("dense"))(x)

    def pool(self, x: Any) -> Any:
        """The largest of each 2×2."""
        return keras.layers.MaxPooling2D(**self._options("pool"))(x)

    def head(self, x: Any, dropout: float) -> Any:
        """Flatten, dropout, logits in float32."""
        x = keras.layers.Flatten(**self._options("flatten"))(x)
        if dropout:
            options = {"seed": 0, "name": "dropout", "dtype": self.policy}  # the loop sets the seed
            x = SharedDropout(dropout, **options)(x)
        initial = keras.initializers.GlorotUniform(self._next_seed())
        x = keras.layers.Dense(CLASSES, kernel_initializer=initial, **self._options("dense"))(x)
        return keras.layers.Activation("linear", dtype="float32", name="logits")(x)


def _compact(x: Any, layers: Layers, dropout: float) -> Any:
    """116,266 weights, 9.1 MFLOP an image: stride 2 at once, since full resolution is what is slow."""
    x = layers.convolution(x, 32, size=5, stride=2)
    x = layers.convolution(x, 64)
    x = layers.convolution(x, 64)
    x = layers.pool(x)
    x = layers.convolution(x, 96)
    return layers.head(x, dropout)


def _wide(x: Any, layers: Layers, dropout: float) -> Any:
    """309,834 weights, 24.8 MFLOP an image."""
    x = layers.convolution(x, 64, size=5, stride=2)
    x = layers.convolution(x, 64, padding="same")
    x = layers.convolution(x, 64)
    x = layers.pool(x)
    x = layers.convolution(x, 128, padding="same")
    x = layers.convolution(x, 128)
    return layers.head(x, dropout)


def _deep(x: Any, layers: Layers, dropout: float) -> Any:
    """252,842 weights, 27.0 MFLOP an image: two layers at full resolution, then four at half of it."""
    x = layers.convolution(x, 32)
    x = layers.convolution(x, 32)
    x = layers.pool(x)
    for filters in (64, 64, 96, 128):
        x = layers.convolution(x, filters)
    return layers.head(x, dropout)


def _strided(x: Any, layers: Layers, dropout: float) -> Any:
    """418,346 weights, 32.2 MFLOP an image: one layer at full resolution, and no pooling after it."""
    x = layers.convolution(x, 32)
    x = layers.convolution(x, 64, size=4, stride=2)
    for filters in (64, 80, 96, 112, 128):
        x = layers.convolution(x, filters)
    return layers.head(x, dropout)


def _small(x: Any, layers: Layers, dropout: float) -> Any:
    """9,144 weights, for phones and microcontrollers: depth at a quarter of the pixels, where it is cheap."""
    x = layers.convolution(x, 14, size=5, stride=2)
    x = layers.convolution(x, 14, padding="same")
    x = layers.convolution(x, 14)
    x = layers.convolution(x, 16)
    x = layers.pool(x)
    x = layers.convolution(x, 16)
    return layers.head(x, dropout)


def _mlp_128(x: Any, layers: Layers, dropout: float) -> Any:
    """The tutorials' multi-layer perceptron: 101,770 weights."""
    return layers.head(layers.dense(x, 128), dropout)


def _mlp_128_32(x: Any, layers: Layers, dropout: float) -> Any:
    """104,938 weights."""
    return layers.head(layers.dense(layers.dense(x, 128), 32), dropout)


def _cnn_32(x: Any, layers: Layers, dropout: float) -> Any:
    """One convolution and a large dense layer: 693,962 weights."""
    return layers.head(layers.dense(layers.pool(layers.plain_convolution(x, 32)), 128), dropout)


def _cnn_32_64_64(x: Any, layers: Layers, dropout: float) -> Any:
    """Keras's own tutorial: 93,322 weights."""
    x = layers.pool(layers.plain_convolution(x, 32))
    x = layers.pool(layers.plain_convolution(x, 64))
    return layers.head(layers.dense(layers.plain_convolution(x, 64), 64), dropout)


ARCHITECTURES: dict[str, Callable[[Any, Layers, float], Any]] = {
    "compact": _compact,
    "wide": _wide,
    "deep": _deep,
    "strided": _strided,
    "small": _small,
    "mlp-128": _mlp_128,
    "mlp-128-32": _mlp_128_32,
    "cnn-32": _cnn_32,
    "cnn-32-64-64": _cnn_32_64_64,
}
