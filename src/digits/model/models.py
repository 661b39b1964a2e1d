"""A name → a Keras model: uint8 [n, 28, 28] in, logits float32 [n, 10] out, normalisation inside.

A name such as `wide+wide+compact` is an ensemble: networks of their own, whose logits are averaged.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from digits.model.architectures import ARCHITECTURES, Layers
from digits.model.canonicalize import SIZE, canonicalize
from digits.model.recipe import members

NORMALIZE = "normalize"  # the layer's name


@keras.saving.register_keras_serializable(package="digits")
class Canonicalize(keras.layers.Layer):  # type: ignore[misc]
    """`digits.model.canonicalize` as a layer; always float32."""

    def call(self, images: Any) -> Any:
        """uint8 [n, 28, 28] → float32 [n, 28, 28] of 0–1."""
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

    n must not be 0, on which oneDNN's convolutions fail: digits.export.signatures and digits.model.scoring
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
