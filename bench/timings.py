"""What is timed without a training: canonicalisation in the graph, and the machine's matrix product."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from bench import flops, inputs, recipes
from bench.plan import OURS

BATCH, PAIRS, WARM_UP = 32, 500, 20  # images, and calls of each, where canonicalisation is timed


def canonicalisation(job: dict[str, Any]) -> dict[str, Any]:
    """What canonicalising adds to answering a batch: the model with it and without it, in turn."""
    import tensorflow as tf

    from digits import models

    (test,) = inputs.splits(job, "full", "prepared", "test")
    model = models.build(recipes.recipe(job, len(test)).architecture)
    bare = models.network(model)
    batch = tf.constant(test.images[:BATCH])
    whole = tf.function(lambda images: model(images, training=False))
    without = tf.function(lambda images: bare(tf.cast(images, tf.float32) / 255.0, training=False))
    times: list[tuple[float, float]] = []
    for turn in range(WARM_UP + (10 if job["quick"] else PAIRS)):
        order = (whole, without) if turn % 2 else (without, whole)
        took = {}
        for function in order:
            started = time.perf_counter()
            function(batch).numpy()
            took[function] = 1000 * (time.perf_counter() - started) / BATCH
        times.append((took[whole], took[without]))
    pairs = np.array(times[WARM_UP:])
    return {
        "batch": BATCH,
        "pairs": len(pairs),
        "with_ms": float(np.median(pairs[:, 0])),
        "without_ms": float(np.median(pairs[:, 1])),
        "ms_per_image": float(np.median(pairs[:, 0] - pairs[:, 1])),
    }


def peak() -> dict[str, float]:
    """Precision → GFLOP/s of the machine's fastest matrix product: float32, and what trainings compute in."""
    from digits import device

    found = ["float32"]
    fastest = device.find(recipes.params_of(OURS[0], 0)).precision
    found += [fastest] if fastest not in found else []
    return {precision: flops.peak(precision) for precision in found}
