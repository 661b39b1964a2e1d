"""The settings of batching, from a BatchingParameters file, checked with upstream's messages."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from digits_model_server import protos
from digits_model_server.status import invalid

VERSION_FILE = "batching_params.pbtxt"


@dataclass(frozen=True)
class BatchSettings:
    """How requests are batched.

    rows: most of a request, and of a batch where none is split. timeout: seconds that a batch waits for more.
    waiting: most batches of one queue. split: batches have `execution` rows, requests are cut to fit.
    """

    rows: int = 1000
    timeout: float = 0.0
    waiting: int = 10
    allowed: tuple[int, ...] = ()  # sizes that a batch is filled up to
    pad: bool = False  # inputs of different shapes are filled up to one
    split: bool = False
    execution: int = 1000

    def allowed_size(self, rows: int) -> int:
        """Return the size with which a batch of so many rows is run."""
        return next((size for size in self.allowed if size >= rows), rows)


@dataclass(frozen=True)
class Pool:
    """The threads that run batches, shared by all models."""

    threads: int = 0  # 0: one less than there are CPUs, for the event loop needs one too
    name: str = "model_server_batch_threads"

    @property
    def size(self) -> int:
        """The number of threads."""
        return self.threads or max(1, (os.cpu_count() or 1) - 1)


def read(path: Path) -> tuple[BatchSettings, Pool]:
    """Read a parameters file. Raises Status."""
    given = protos.read(path, "BatchingParameters")
    pool = Pool()
    if given.HasField("num_batch_threads"):
        if given.num_batch_threads.value < 1:
            raise invalid(f"num_batch_threads must be positive; was {given.num_batch_threads.value}")
        pool = replace(pool, threads=given.num_batch_threads.value)
    if given.HasField("thread_pool_name"):
        pool = replace(pool, name=given.thread_pool_name.value)
    return from_proto(given), pool


def read_for_version(directory: Path) -> BatchSettings | None:
    """Read the settings in a version's folder; None without such a file: it is not batched. Raises Status."""
    path = directory / VERSION_FILE
    return from_proto(protos.read(path, "BatchingParameters")) if path.exists() else None


def from_proto(given: Any) -> BatchSettings:
    """Return the settings of a BatchingParameters message, all but the pool's. Raises Status."""
    rows = given.max_batch_size.value if given.HasField("max_batch_size") else BatchSettings.rows
    timeout = given.batch_timeout_micros.value
    waiting = given.max_enqueued_batches.value if given.HasField("max_enqueued_batches") else 10
    allowed = tuple(given.allowed_batch_sizes)
    split = given.enable_large_batch_splitting.value
    if rows < 1:
        raise invalid(f"input_batch_size_limit must be positive; was {rows}")
    if timeout < 0:
        raise invalid(f"batch_timeout_micros must be non-negative; was {timeout}")
    if waiting < 1:
        raise invalid(f"max_enqueued_batches must be positive; was {waiting}")
    if any(size < 1 for size in allowed) or list(allowed) != sorted(set(allowed)):
        raise invalid("allowed_batch_sizes entries must be monotonically increasing")
    execution = rows
    if split and given.HasField("max_execution_batch_size"):
        execution = given.max_execution_batch_size.value
        if not 0 < execution <= rows:
            raise invalid(
                "When enable_large_batch_splitting is true, input_batch_size_limit must be greater than or "
                f"equal to max_execution_batch_size: {rows}, {execution}"
            )
    if allowed and split and allowed[-1] != execution:
        raise invalid(
            "Last entry in allowed_batch_sizes must be equal to max_execution_batch_size; last entry was "
            f"{allowed[-1]}; expected {execution}"
        )
    if allowed and not split and allowed[-1] != rows:
        raise invalid(
            "Last entry in allowed_batch_sizes must match max_batch_size; last entry was "
            f"{allowed[-1]}; expected {rows}"
        )
    return BatchSettings(
        rows, timeout / 1e6, waiting, allowed, given.pad_variable_length_inputs, split, execution
    )
