"""Reading and writing of files. Every write appears whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from digits.runtime.errors import DataError
from digits.runtime.processes import alive


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


def file_sha256(path: Path) -> str:
    """Digest of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
