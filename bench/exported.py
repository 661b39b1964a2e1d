"""A trained model → what it weighs as a SavedModel, and how fast that answers."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench import latency, references
from bench.figures import YARDSTICK
from digits import params
from digits.errors import DigitsError
from digits.processes import die_with_parent

ROOT = Path(__file__).resolve().parents[1]
THREADS = {"one": 1, "all": 0}


def measure(model: Any, temperature: float, *, quick: bool) -> dict[str, Any]:
    """Bytes on disk, and latency by threads and images of a request. The files are gone afterwards.

    The yardstick is the reference model through the same signatures: untrained, since weights take no part in
    how long it takes, and with pixels divided by 255 as all that is done to them before.
    """
    reference = references.build(YARDSTICK)
    rounds = latency.QUICK_ROUNDS if quick else latency.ROUNDS
    with tempfile.TemporaryDirectory(prefix="digits-bench-") as scratch:
        ours, yardstick = Path(scratch) / "model", Path(scratch) / "yardstick"
        save(ours, lambda images: model(images, training=False), model.variables, temperature)
        save(yardstick, lambda images: _scaled(reference, images), reference.variables, 1.0)
        return {
            "saved_bytes": size(ours),
            "latency": {name: _timed(ours, yardstick, threads, rounds) for name, threads in THREADS.items()},
        }


def save(directory: Path, logits: Any, variables: Any, temperature: float) -> None:
    """Write the SavedModel as the export stage does; warm-up requests and provenance are left out."""
    from digits import bundle, signature

    limits = params.load("export", ROOT / "params.yaml")
    functions = signature.endpoints(logits, temperature, threshold=0.0, max_pixels=limits.max_pixels)
    bundle.save(directory, signature.traced(functions), [variable.value for variable in variables])


def size(directory: Path) -> int:
    """Bytes of all files below a directory."""
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def _scaled(model: Any, images: Any) -> Any:
    import tensorflow as tf

    return model(tf.cast(images, tf.float32) / 255.0, training=False)


def _timed(model: Path, yardstick: Path, threads: int, rounds: int) -> Any:
    """In a process of its own: TensorFlow takes its number of threads once."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.latency", str(model), str(yardstick), str(threads), str(rounds)],
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
