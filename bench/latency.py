"""How long a SavedModel takes to answer, against a yardstick that is timed in the same process, turn about.

    python -m bench.latency MODEL YARDSTICK THREADS ROUNDS          THREADS 0: as many as there are cores

Both are asked through their signature `serving_default`, as a server asks them. Prints one JSON object.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from digits.processes import die_with_parent

SIZES = (1, 32)  # images of a request
WARM_UP, CALLS = 10, 20  # of each model: calls that do not count, and calls of one turn
ROUNDS, QUICK_ROUNDS = 10, 1  # turns of each
Call = Callable[[], Any]


def measure(model: Path, yardstick: Path, threads: int, rounds: int) -> dict[str, dict[str, float]]:
    """Images of a request → µs a request of both, medians, and the ratio of the two."""
    import tensorflow as tf

    if threads:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    loaded = [tf.saved_model.load(str(directory)) for directory in (model, yardstick)]
    rng = np.random.default_rng(1)
    found = {}
    for size in SIZES:
        images = tf.constant(rng.integers(0, 256, (size, 28, 28), dtype=np.uint8))
        ours, reference = timed([_call(each, images) for each in loaded], rounds)
        found[str(size)] = {"us": ours, "yardstick_us": reference, "ratio": ours / reference}
    return found


def _call(loaded: Any, images: Any) -> Call:
    from digits import wire

    answer = loaded.signatures[wire.PIXELS]
    return lambda: answer(**{wire.IMAGES: images})[wire.PROBABILITIES].numpy()


def timed(calls: list[Call], rounds: int) -> list[float]:
    """Median µs of each, their turns alternating so that a machine that slows down slows all of them."""
    for call in calls:
        for _ in range(WARM_UP):
            call()
    took: list[list[float]] = [[] for _ in calls]
    for _ in range(rounds):
        for call, seconds in zip(calls, took, strict=True):
            for _ in range(CALLS):
                started = time.perf_counter()
                call()
                seconds.append(time.perf_counter() - started)
    return [1e6 * float(np.median(seconds)) for seconds in took]


def main(argv: list[str]) -> None:
    die_with_parent()
    model, yardstick, threads, rounds = argv
    print(json.dumps(measure(Path(model), Path(yardstick), int(threads), int(rounds))))


if __name__ == "__main__":
    main(sys.argv[1:])
