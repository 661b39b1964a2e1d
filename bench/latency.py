"""Measures the size and the latency of an exported model, compared with S1 exported the same way.

    python -m bench.latency MODEL BASELINE THREADS ROUNDS           THREADS 0: as many as there are cores
    python -m bench.latency lines MODEL THREADS ROUNDS

Times two SavedModels alternately in one process, through their signature `serving_default`, as a server calls
them, and prints one JSON object. With `lines` it times one model's signature of that name, for single lines.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bench import references
from digits.runtime import params
from digits.runtime.errors import DigitsError
from digits.runtime.processes import die_with_parent

ROOT = Path(__file__).resolve().parents[1]
THREADS = {"one": 1, "all": 0}
SIZES = (1, 32)  # images of a request
WARM_UP, CALLS = 10, 20  # of each model: calls that do not count, and calls of one turn
ROUNDS, QUICK_ROUNDS = 10, 1  # turns of each
LINE_WIDTHS = (112, 448)  # pixels of a line: an amount in figures, a whole row of a form
Call = Callable[[], Any]


def measure_export(model: Any, temperature: float, *, quick: bool) -> dict[str, Any]:
    """Return bytes on disk, and latency by threads and images of a request. The files are deleted afterwards.

    The baseline has the same signatures: untrained, since weights don't affect the time, and with division of
    the pixels by 255 as its only preprocessing.
    """
    reference = references.build(references.BASELINE)
    rounds = QUICK_ROUNDS if quick else ROUNDS
    with tempfile.TemporaryDirectory(prefix="digits-bench-") as scratch:
        ours, baseline = Path(scratch) / "model", Path(scratch) / "baseline"
        save(ours, lambda images: model(images, training=False), model.variables, temperature)
        save(baseline, lambda images: _scaled(reference, images), reference.variables, 1.0)
        return {
            "saved_bytes": size(ours),
            "latency": {name: _time(ours, baseline, threads, rounds) for name, threads in THREADS.items()},
        }


def save(directory: Path, logits: Any, variables: Any, temperature: float) -> None:
    """Write the SavedModel as the export stage does, without warm-up requests and provenance."""
    from digits import saved_model
    from digits.export import signatures

    limits = params.load("export", ROOT / "params.yaml")
    functions = signatures.endpoints(logits, temperature, threshold=0.0, max_pixels=limits.max_pixels)
    saved_model.save(directory, signatures.trace(functions), [variable.value for variable in variables])


def size(directory: Path) -> int:
    """Return the bytes of all files below a directory."""
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def _scaled(model: Any, images: Any) -> Any:
    import tensorflow as tf

    return model(tf.cast(images, tf.float32) / 255.0, training=False)


def _time(model: Path, baseline: Path, threads: int, rounds: int) -> Any:
    """Measure in a process of its own: TensorFlow sets its number of threads only once."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.latency", str(model), str(baseline), str(threads), str(rounds)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        preexec_fn=die_with_parent,
        check=False,
    )
    if done.returncode:
        last = (done.stderr.strip() or "no message").splitlines()[-1]
        raise DigitsError(f"the exported model could not be timed: {last}")
    return json.loads(done.stdout.splitlines()[-1])


def measure(model: Path, baseline: Path, threads: int, rounds: int) -> dict[str, dict[str, float]]:
    """Return the median µs of a request to both, and their ratio, by images of a request."""
    import tensorflow as tf

    if threads:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    loaded = [tf.saved_model.load(str(directory)) for directory in (model, baseline)]
    rng = np.random.default_rng(1)
    times = {}
    for size in SIZES:
        images = tf.constant(rng.integers(0, 256, (size, 28, 28), dtype=np.uint8))
        ours, reference = time_in_turn([_call(each, images) for each in loaded], rounds)
        times[str(size)] = {"us": ours, "baseline_us": reference, "ratio": ours / reference}
    return times


def measure_lines(model: Path, threads: int, rounds: int) -> dict[str, dict[str, float]]:
    """Return the median µs of a request for one line, by its width in pixels: of the wall and of the CPU."""
    import tensorflow as tf

    from digits import wire

    if threads:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    loaded = tf.saved_model.load(str(model))
    answer, rng, times = loaded.signatures[wire.LINES], np.random.default_rng(1), {}
    for width in LINE_WIDTHS:
        lines = tf.constant(rng.integers(0, 256, (1, wire.HEIGHT, width), dtype=np.uint8))
        inputs = {wire.LINE_IMAGES: lines, wire.WIDTH: tf.constant([width])}
        taken = []
        for turn in range(WARM_UP + rounds * CALLS):
            started = time.perf_counter(), time.process_time()
            answer(**inputs)[wire.TEXT].numpy()
            if turn >= WARM_UP:
                taken.append((time.perf_counter() - started[0], time.process_time() - started[1]))
        wall, processor = 1e6 * np.median(taken, axis=0)
        times[str(width)] = {"us": float(wall), "cpu_us": float(processor)}
    return times


def _call(loaded: Any, images: Any) -> Call:
    from digits import wire

    answer = loaded.signatures[wire.PIXELS]
    return lambda: answer(**{wire.IMAGES: images})[wire.PROBABILITIES].numpy()


def time_in_turn(calls: list[Call], rounds: int) -> list[float]:
    """Return the median µs of each call; they alternate, so that a slower machine slows all of them."""
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
    if argv[:1] == ["lines"]:
        _, model, threads, rounds = argv
        print(json.dumps(measure_lines(Path(model), int(threads), int(rounds))))
        return
    model, baseline, threads, rounds = argv
    print(json.dumps(measure(Path(model), Path(baseline), int(threads), int(rounds))))


if __name__ == "__main__":
    main(sys.argv[1:])
