"""The models of beginners' tutorials, trained as the tutorials do it.

All: pixels in [0, 1] as float32, adam at its default rate, cross-entropy, no augmentation, plain `fit`.

S0  dense 128                               TensorFlow's quickstart for beginners
S1  three convolutions, dense 64            TensorFlow's and Chollet's convolutional network
S2  one convolution, dense 128              a short network of many blogs
S3  dense 128, dense 32, a fifth held back  a fully connected network of many blogs
S4  S1 at half the batch
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

BASELINE = "S1"  # what times are multiples of


@dataclass(frozen=True)
class Reference:
    """An architecture, and how its tutorial trains it."""

    layers: Callable[[], list[Any]]
    epochs: int
    batch: int
    validation_split: float = 0.0


def _dense() -> list[Any]:
    from keras import layers

    return [layers.Flatten(), layers.Dense(128, "relu"), layers.Dense(10, "softmax")]


def _three_convolutions() -> list[Any]:
    from keras import layers

    return [
        layers.Reshape((28, 28, 1)),
        layers.Conv2D(32, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(64, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(64, 3, activation="relu"),
        layers.Flatten(),
        layers.Dense(64, "relu"),
        layers.Dense(10, "softmax"),
    ]


def _one_convolution() -> list[Any]:
    from keras import layers

    return [
        layers.Reshape((28, 28, 1)),
        layers.Conv2D(32, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(128, "relu"),
        layers.Dense(10, "softmax"),
    ]


def _two_dense() -> list[Any]:
    from keras import layers

    return [
        layers.Flatten(),
        layers.Dense(128, "relu"),
        layers.Dense(32, "relu"),
        layers.Dense(10, "softmax"),
    ]


REFERENCES = {
    "S0": Reference(_dense, epochs=5, batch=32),
    "S1": Reference(_three_convolutions, epochs=5, batch=64),
    "S2": Reference(_one_convolution, epochs=10, batch=32),
    "S3": Reference(_two_dense, epochs=25, batch=32, validation_split=0.2),
    "S4": Reference(_three_convolutions, epochs=5, batch=32),
}


def scale_pixels(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the tutorials' input: float32 in [0, 1] from uint8 [n, 28, 28]."""
    return images.astype(np.float32) / np.float32(255)


def build(name: str) -> Any:
    """Return the compiled Keras model of a reference, from float32 [n, 28, 28] to probabilities [n, 10]."""
    import keras

    model = keras.Sequential([keras.Input((28, 28)), *REFERENCES[name].layers()])
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def steps(name: str, n: int, epochs: int | None = None) -> int:
    """Return the optimizer steps of a reference on n images. epochs: fewer of them, for trials."""
    reference = REFERENCES[name]
    kept = int(n * (1 - reference.validation_split))
    return (epochs or reference.epochs) * -(-kept // reference.batch)


def fit(
    name: str,
    model: Any,
    images: NDArray[np.float32],
    labels: NDArray[np.uint8],
    epochs: int | None = None,
) -> None:
    """Train a model of `build` as its tutorial does. epochs: fewer of them, for trials."""
    reference = REFERENCES[name]
    model.fit(
        images,
        labels,
        epochs=epochs or reference.epochs,
        batch_size=reference.batch,
        validation_split=reference.validation_split,
        verbose=0,
    )


def train(job: dict[str, Any]) -> dict[str, Any]:
    """Train a tutorial's model on all training images, score it and return the figures of its record."""
    import keras
    import tensorflow as tf

    from bench import flops, workspace
    from bench.clocks import Clock
    from bench.scores import scores

    training, test = workspace.splits(job, "full", "raw", "train", "test")
    keras.utils.set_random_seed(job["seed"])
    images = scale_pixels(training.images)
    name, epochs = job["model"], 1 if job["quick"] else None
    model = build(name)
    clock = Clock()
    clock.go()
    fit(name, model, images, training.labels, epochs)
    clock.stop()

    def predict(images: NDArray[np.uint8]) -> NDArray[Any]:
        return np.asarray(model.predict(scale_pixels(images), batch_size=500, verbose=0))

    taken, batch, forward = steps(name, len(training), epochs), REFERENCES[name].batch, flops.forward(model)
    return {
        "parameters": model.count_params(),
        "forward_flop": forward,
        "flop": flops.training(forward, taken * batch),
        "steps": taken,
        "batch": batch,
        "n": len(training),
        "wall": clock.wall,
        "cpu": clock.cpu,
        "device": "GPU" if tf.config.list_physical_devices("GPU") else "CPU",
        "precision": "float32",
        **scores(predict, test),
    }
