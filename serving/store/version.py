"""Reads a version's directory: what it was made from, and whether its files are still those of the export.

`assets.extra/provenance.json` lists the digest of every other file; a file that is missing, changed or not
listed means that the version is damaged.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from digits import files, wire

MODEL_FILE = "saved_model.pb"


@dataclass(frozen=True)
class Version:
    """A published version. provenance: empty when it can't be read; `unreadable` then says why."""

    number: int
    path: Path
    provenance: Mapping[str, Any]
    unreadable: str = ""

    @property
    def accuracy(self) -> float | None:
        """The share of correct answers on its test images, as recorded by the evaluation."""
        value = find(self.provenance, "metrics", "accuracy")
        return float(value) if type(value) in (int, float) and 0 <= value <= 1 else None

    @property
    def test_images(self) -> str | None:
        """The digest of the images that `accuracy` was measured on."""
        value = find(self.provenance, "data", "splits", "test", "images_sha256")
        return str(value) if value is not None else None

    @property
    def lines(self) -> bool:
        """Whether it reads lines of writing; versions made before there was a line reader don't."""
        return isinstance(self.provenance.get("lines"), Mapping)

    @property
    def test_lines(self) -> str | None:
        """The digest of the file of the lines that its reader of lines was validated on."""
        value = find(self.provenance, "lines", "validation_sha256")
        return str(value) if value is not None else None

    @property
    def sample(self) -> bool:
        """Whether it was trained on the sample that stands in for MNIST."""
        return bool(self.provenance.get("sample"))

    @property
    def size(self) -> int:
        """The size of all its files, in bytes."""
        return sum(path.stat().st_size for path in self.path.rglob("*") if path.is_file())


def find(tree: Any, *path: str) -> Any:
    """The value at a path of keys in nested mappings; None where there is none."""
    for key in path:
        if not isinstance(tree, Mapping) or key not in tree:
            return None
        tree = tree[key]
    return tree


def read(number: int, path: Path) -> Version:
    """The version in a directory; never raises, whatever the directory contains."""
    try:
        provenance = json.loads((path / wire.PROVENANCE).read_bytes())
    except OSError as error:
        return Version(number, path, {}, f"{wire.PROVENANCE} can't be read ({error.strerror})")
    except (ValueError, RecursionError) as error:
        return Version(number, path, {}, f"{wire.PROVENANCE} is not valid JSON ({error})")
    if problem := _unusable(provenance):
        return Version(number, path, {}, problem)
    return Version(number, path, provenance)


def problems(version: Version) -> list[str]:
    """What is wrong with a version's files, a line each; empty when all are as exported."""
    if version.unreadable:
        return [version.unreadable]
    listed: Mapping[str, str] = version.provenance["files"]
    wrong: list[str] = []
    for name, digest in sorted(listed.items()):
        file = version.path / name
        if not file.is_file():  # a link is fine, DVC may make links: what counts is the content
            wrong.append(f"{name} is missing")
        elif files.file_sha256(file) != digest:
            wrong.append(f"{name} is not what was exported (its digest differs)")
    present = {p.relative_to(version.path).as_posix() for p in version.path.rglob("*") if not p.is_dir()}
    wrong += [f"{name} was not exported" for name in sorted(present - set(listed) - {wire.PROVENANCE})]
    return wrong


def _unusable(provenance: Any) -> str:
    """Why a provenance can't vouch for a directory; empty when it can."""
    listed = find(provenance, "files")
    if not isinstance(listed, Mapping) or not listed:
        return f"{wire.PROVENANCE} lists no files"
    for name, digest in listed.items():
        parts = PurePosixPath(name)
        if parts.is_absolute() or ".." in parts.parts or not isinstance(digest, str):
            return f"{wire.PROVENANCE} lists '{name}', which is not a file of this directory"
    if MODEL_FILE not in listed:
        return f"{wire.PROVENANCE} lists no {MODEL_FILE}"
    return ""
