"""Does one job of `bench.train` in a process of its own: a training or a timing.

    python -m bench.one JOB OUT

JOB: {"kind": "training", "model": "S1", "seed": 1, "quick": false, "scratch": ".bench"}
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from bench.references import REFERENCES
from digits import files
from digits.runtime.processes import die_with_parent

BATCH, PAIRS, WARM_UP = 32, 500, 20  # images, and calls of each, where canonicalisation is timed


def measure(job: dict[str, Any]) -> dict[str, Any]:
    """Return the figures of a job."""
    # Imported here, not above: TensorFlow is to be set up by the job that runs.
    if job["kind"] == "canonicalisation":
        return canonicalisation(job)
    if job["kind"] == "peak":
        return {"gflops": peak()}
    if job["kind"] == "training" and job["model"] in REFERENCES:
        from bench import references

        return references.train(job)
    from bench import train_ours

    return train_ours.train_pair(job) if job["kind"] == "line_reader" else train_ours.train_profile(job)


def canonicalisation(job: dict[str, Any]) -> dict[str, Any]:
    """Measure what canonicalising adds to answering a batch: the model with and without it, alternating."""
    import tensorflow as tf

    from bench import recipes, workspace
    from digits.model import architectures

    (test,) = workspace.splits(job, "full", "prepared", "test")
    model = architectures.build(recipes.recipe(job, len(test)).architecture)
    bare = architectures.network(model)
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
    """Return the GFLOP/s of the machine's fastest matrix product, in float32 and in the precision of
    trainings.
    """
    from bench import flops, recipes
    from digits.runtime.hardware import find_hardware

    fastest = find_hardware(recipes.params_of("fast", 0)).precision
    return {precision: flops.peak(precision) for precision in dict.fromkeys(["float32", fastest])}


def main(argv: list[str]) -> None:
    """Do the job argv[0], a JSON object, and write its record to argv[1]."""
    die_with_parent()
    job = json.loads(argv[0])
    known = {key: job[key] for key in ("kind", "model", "seed")}
    files.write_text(Path(argv[1]), json.dumps(measure(job) | known))


if __name__ == "__main__":
    main(sys.argv[1:])
