"""Reading and writing of arrays and JSON. Every write appears whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from digits.errors import DataError
from digits.mapped import let_go
from digits.processes import alive
from digits.splits import Split


def _sibling(path: Path, kind: str) -> Path:
    return path.with_name(f".{path.name}.{kind}-{os.getpid()}")


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _sweep(path: Path) -> None:
    """Tidy up after writers of `path` that were killed: put back what they had set aside, delete the rest."""
    for kind in ("old", "new"):
        for left in path.parent.glob(f".{path.name}.{kind}-*"):
            pid = left.name.rpartition("-")[2]
            if pid.isdecimal() and alive(int(pid)):
                continue
            if kind == "old" and not path.exists():
                left.rename(path)
            else:
                _delete(left)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path beside `path` to write a file or directory to; it takes `path`'s place on success.

    On an error nothing is left behind; what a killed writer left is removed by the next one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path)
    new, old = _sibling(path, "new"), _sibling(path, "old")
    _delete(new)
    try:
        yield new
        _sync(new)
        if path.is_dir():  # a directory can't be renamed over a full one: two renames, old one last to go
            _delete(old)
            path.rename(old)
            new.rename(path)
            _delete(old)
        else:
            new.replace(path)
    except BaseException:
        _delete(new)
        if old.exists() and not path.exists():
            old.rename(path)
        raise


def _sync(path: Path) -> None:
    """Flush a file, or every file below a directory, to disk: a rename must never expose unwritten blocks."""
    for each in [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]:
        descriptor = os.open(each, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file whole."""
    with replacing(path) as new:
        new.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 file whole."""
    write_bytes(path, text.encode())


def to_json(value: Any) -> str:
    """Indented JSON with sorted keys: equal values give equal bytes. NaN and infinity are refused."""
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file whole."""
    write_text(path, to_json(value))


def read_json(path: Path) -> Any:
    """Read a JSON file; DataError says which file is missing or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path} is missing: run `dvc repro` to make it") from None
    except (ValueError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not valid JSON ({error}): delete it and run `dvc repro`") from None


def save_split(directory: Path, split: Split) -> None:
    """Write `images.npy`, `labels.npy` and `batches.npy` into a new directory."""
    directory.mkdir(parents=True)
    np.save(directory / "images.npy", np.ascontiguousarray(split.images, dtype=np.uint8), allow_pickle=False)
    np.save(directory / "labels.npy", np.ascontiguousarray(split.labels, dtype=np.uint8), allow_pickle=False)
    np.save(directory / "batches.npy", np.asarray(split.batches, dtype=np.str_), allow_pickle=False)


def load_split(directory: Path, *, mmap: bool = False) -> Split:
    """Read what `save_split` wrote; with `mmap` the images stay on disk until used."""
    try:
        images = np.load(directory / "images.npy", mmap_mode="r" if mmap else None, allow_pickle=False)
        labels = np.load(directory / "labels.npy", allow_pickle=False)
        batches = np.load(directory / "batches.npy", allow_pickle=False)
    except FileNotFoundError as error:
        raise DataError(f"{error.filename} is missing: run `dvc repro` to make it") from None
    except (ValueError, EOFError) as error:
        raise DataError(f"{directory} is damaged ({error}): delete it and run `dvc repro`") from None
    if images.shape != (len(labels), 28, 28) or images.dtype != np.uint8 or len(batches) != len(labels):
        raise DataError(
            f"{directory} holds images {images.dtype}{list(images.shape)} for {len(labels)} labels, "
            "expected uint8[n, 28, 28]: delete it and run `dvc repro`"
        )
    return Split(images, labels, batches)


HASHED_AT_ONCE = 1 << 16  # rows


def array_sha256(array: np.ndarray[Any, Any]) -> str:
    """Digest of an array's dtype, shape and values; the array has a dimension."""
    digest = hashlib.sha256(f"{array.dtype.str}{array.shape}".encode())
    for start in range(0, len(array), HASHED_AT_ONCE):
        digest.update(np.ascontiguousarray(array[start : start + HASHED_AT_ONCE]).data)
        let_go(array)
    return digest.hexdigest()


def file_sha256(path: Path) -> str:
    """Digest of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
