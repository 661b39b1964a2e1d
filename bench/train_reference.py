"""A tutorial's model, trained and scored: job → the figures of its record."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import flops, inputs
from bench.clocks import Clock
from bench.scores import scores


def reference(job: dict[str, Any]) -> dict[str, Any]:
    """Train a tutorial's model on all training images, and score it; in the part `yardstick` only time it."""
    import keras
    import tensorflow as tf

    from bench import references

    train, test = inputs.splits(job, "full", "raw", "train", "test")
    keras.utils.set_random_seed(job["seed"])
    images = references.scaled(train.images)
    model = references.build(job["model"])
    epochs = 1 if job["quick"] else None
    clock = Clock()
    clock.go()
    references.fit(job["model"], model, images, train.labels, epochs)
    clock.stop()

    def predict(images: NDArray[np.uint8]) -> NDArray[Any]:
        return np.asarray(model.predict(references.scaled(images), batch_size=500, verbose=0))

    steps, batch = (
        references.steps(job["model"], len(train), epochs),
        references.REFERENCES[job["model"]].batch,
    )
    forward = flops.forward(model)
    return {
        "parameters": model.count_params(),
        "forward_flop": forward,
        "flop": flops.training(forward, steps * batch),
        "steps": steps,
        "batch": batch,
        "n": len(train),
        "wall": clock.wall,
        "cpu": clock.cpu,
        "device": "GPU" if tf.config.list_physical_devices("GPU") else "CPU",
        "precision": "float32",
        **({} if job["part"] == "yardstick" else scores(predict, test)),
    }
