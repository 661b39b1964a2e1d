"""The networks by name, and Keras models of them: uint8 [n, 28, 28] in, logits float32 [n, 10] out.

ARCHITECTURES has the layers between a canonical image and the logits; `build` puts normalisation before them.
A name such as `wide+wide+compact` is an ensemble: networks of their own, whose logits are averaged.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from digits.dataset import CLASSES
from digits.model.canonicalize import SIZE, canonicalize
from digits.model.recipe import members
from digits.nn.layers import FusedBatchNorm, SharedDropout

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


NORMALIZE = "normalize"  # the layer's name


@keras.saving.register_keras_serializable(package="digits")
class Canonicalize(keras.layers.Layer):  # type: ignore[misc]
    """`digits.model.canonicalize` as a layer; always float32."""

    def call(self, images: Any) -> Any:
        """Return uint8 [n, 28, 28] as float32 [n, 28, 28] of 0–1."""
        return canonicalize(images)

    def compute_output_spec(self, images: Any) -> Any:
        """Shape and type of the result."""
        return keras.KerasTensor(images.shape, dtype="float32")


NORMALIZATIONS: dict[str, Callable[[], keras.layers.Layer]] = {
    "canonical": lambda: Canonicalize(dtype="float32", name=NORMALIZE),
    "scaled": lambda: keras.layers.Rescaling(1 / 255, dtype="float32", name=NORMALIZE),
}


def build(
    architecture: str,
    *,
    normalization: str = "canonical",
    dropout: float = 0.0,
    precision: str = "float32",
    seed: int = 0,
) -> keras.Model:
    """A new model: uint8 [n, 28, 28] → logits float32 [n, 10]. Weights are drawn from `seed`.

    n must not be 0, on which oneDNN's convolutions fail: digits.export.signatures and digits.model.candidate
    see to that.
    precision: what the network computes in; weights are float32 in any case. Dropout and precision change no
    weight's shape or place, so a model trained in one precision runs in another.
    """
    images = keras.Input((SIZE, SIZE), dtype="uint8", name="images")
    normal = NORMALIZATIONS[normalization]()(images)
    x = keras.layers.Reshape((SIZE, SIZE, 1), dtype="float32", name="channel")(normal)
    names = members(architecture)
    if len(names) == 1:
        logits = ARCHITECTURES[architecture](x, Layers(precision, seed), dropout)
        return keras.Model(images, logits, name=architecture)
    answers = []
    for place, name in enumerate(names):
        channel = keras.Input((SIZE, SIZE, 1), dtype="float32")
        logits = ARCHITECTURES[name](channel, Layers(precision, seed + place), dropout)
        answers.append(keras.Model(channel, logits, name=_member(place))(x))
    return keras.Model(images, keras.layers.Average(dtype="float32", name="logits")(answers), name="ensemble")


def network(model: keras.Model) -> keras.Model:
    """The part of a built model that follows normalisation: float32 [n, 28, 28] of 0–1 → logits."""
    return keras.Model(model.get_layer(NORMALIZE).output, model.output, name="network")


def networks(model: keras.Model) -> list[keras.Model]:
    """The networks of a built model that are trained each on its own: those of an ensemble, else the one."""
    if model.name != "ensemble":
        return [network(model)]
    return [layer for layer in model.layers if isinstance(layer, keras.Model)]


def _member(place: int) -> str:
    return f"member_{place + 1}"
