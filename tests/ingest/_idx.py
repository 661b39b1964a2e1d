"""A data set in IDX files, as a mirror has it."""

from __future__ import annotations

import gzip
import hashlib
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits.runtime import params
from digits.runtime.params import IngestParams

NAMES = {
    "train-images": "train-images-idx3-ubyte",
    "train-labels": "train-labels-idx1-ubyte",
    "test-images": "t10k-images-idx3-ubyte",
    "test-labels": "t10k-labels-idx1-ubyte",
}

Labelled = tuple[NDArray[np.uint8], NDArray[np.uint8]]


def idx_bytes(array: NDArray[Any]) -> bytes:
    """Return an IDX file of unsigned bytes."""
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    return header + np.ascontiguousarray(array, dtype=np.uint8).tobytes()


def write_idx_dataset(directory: Path, train: Labelled, test: Labelled) -> dict[str, Any]:
    """Write the four files; return their names and sha256 as `ingest.files` of params.yaml lists them."""
    directory.mkdir(parents=True, exist_ok=True)
    files: dict[str, Any] = {}
    for (key, name), array in zip(NAMES.items(), (*train, *test), strict=True):
        data = idx_bytes(array)
        (directory / f"{name}.gz").write_bytes(gzip.compress(data, mtime=0))
        files[key] = {"name": name, "sha256": hashlib.sha256(data).hexdigest()}
    return files


def ingest_params(files: dict[str, Any], places: list[str], **changed: Any) -> IngestParams:
    """Return params of ingest for these files from these places, with short timeouts."""
    tree: dict[str, Any] = {
        "dataset": "synthetic",
        "sources": places,
        "files": files,
        "connect_timeout": 2.0,
        "read_timeout": 2.0,
        "retries": 2,
        "allow_sample": True,
        "sample_test": 1000,
        "heldout_share": 0.2,
        "heldout_from": 100,
        "batch_mib": 64,
        "batch_files": 1000,
        "batch_rows": 1000,
        "seed": 1,
    }
    made: IngestParams = params.parse("ingest", tree | changed)
    return made
