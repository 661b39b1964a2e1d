"""Computes a version's answers to its warm-up requests without a server, in a child process.

    python -m serving.checks.offline VERSION_DIRECTORY ANSWERS.npz

The infrastructure check compares a server's answers with them. A process of its own, on the CPU, so that the
check does not hold a second TensorFlow runtime, or the GPU, beside the server.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from digits import wire
from digits.runtime.errors import StoreError
from digits.runtime.processes import die_with_parent
from serving.checks import golden, server_process
from serving.checks.golden import Arrays


@contextlib.contextmanager
def compute(version: Path, directory: Path) -> Iterator[Callable[[], list[Arrays]]]:
    """Start computing; the block's value is a function that waits for the answers, in the requests' order.

    directory: for scratch files. The function raises StoreError if the version can't be loaded or run.
    """
    target, log = directory / "offline.npz", directory / "offline.log"
    with log.open("wb") as stream:
        child = subprocess.Popen(
            [sys.executable, "-m", "serving.checks.offline", str(version), str(target)],
            env=server_process.environment(),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            preexec_fn=die_with_parent,
        )

    def wait() -> list[Arrays]:
        if child.wait(server_process.PATIENCE) != 0:
            lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
            raise StoreError(
                f"the model can't be run without a server: {lines[-1] if lines else 'no reason given'}"
            )
        return _load(target)

    try:
        yield wait
    finally:
        child.kill()
        child.wait()


def _load(path: Path) -> list[Arrays]:
    with np.load(path, allow_pickle=False) as stored:
        answers: list[Arrays] = [{} for _ in range(int(stored["n"]))]
        for key in stored.files:
            number, _, alias = key.partition("/")
            if alias:
                answers[int(number)][alias] = stored[key]
    return answers


def _main(version: Path, target: Path) -> None:
    import tensorflow as tf

    model = tf.saved_model.load(str(version))
    requests = golden.read(version / wire.WARMUP)
    arrays: Arrays = {"n": np.asarray(len(requests))}
    for number, request in enumerate(requests):
        inputs = {alias: tf.constant(value) for alias, value in request.inputs.items()}
        for alias, value in model.signatures[request.signature](**inputs).items():
            answer = value.numpy()
            arrays[f"{number}/{alias}"] = answer.astype("S") if answer.dtype == object else answer
    with target.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)


if __name__ == "__main__":
    try:
        _main(Path(sys.argv[1]), Path(sys.argv[2]))
    except Exception as error:  # any error of TensorFlow's is the reason that `compute` gives
        print(" ".join(f"{type(error).__name__}: {error}".split())[:500], file=sys.stderr)  # noqa: T201
        sys.exit(1)
