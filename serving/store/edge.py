"""Stores the formats of a version for phones and browsers: models/edge is copied to models/serving/edge/<n>.

Publishing calls it; the gateway and `digits versions` read the result. The folder is not within the
version's own, since a version may have no formats, or get them later. Like a version it appears by one rename
after everything in it is on disk, and never changes.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from digits import files, wire
from serving.store import disk
from serving.store.store import Store


def find(store: Store, number: int) -> Path | None:
    """The folder with the formats of a version; None when it has none, or they are damaged."""
    folder = store.edges / str(number)
    return folder if folder.is_dir() and problem(folder) is None else None


def names(folder: Path | None) -> list[str]:
    """The formats in a folder, as `models/edge` names them: float32 … tfjs; empty for None."""
    if folder is None:
        return []
    tflite = [path.stem for path in folder.glob("*.tflite")]
    return sorted([*tflite, *(path.parent.name for path in folder.glob("*/model.json"))])


def mismatch(source: Path, exported: Mapping[str, str]) -> str | None:
    """Why the output of convert does not belong to an export; None if it does. exported: its digests."""
    if (wrong := problem(source)) is not None:
        return f"{source} is incomplete ({wrong}): run `dvc repro convert`"
    if _provenance(source)["exported"] != dict(exported):
        return f"{source} was made from another export: run `dvc repro convert`"
    return None


def add(
    store: Store, number: int, source: Path, exported: Mapping[str, str], facts: Mapping[str, Any]
) -> None:
    """Add the formats of a version that was published without. Raises StoreError as publishing does."""
    with store.alone():
        attach(store, number, source, exported, facts)


def attach(
    store: Store, number: int, source: Path, exported: Mapping[str, str], facts: Mapping[str, Any]
) -> None:
    """Add the formats of a version, unless it has them or they don't belong to it; only within `store.alone`.

    facts: what convert could not know (commit, time), added to the provenance. Raises StoreError when a file
    changes while it is copied.
    """
    target = store.edges / str(number)
    if find(store, number) is not None or mismatch(source, exported) is not None:
        return
    remove(store, number)
    store.edges.mkdir(exist_ok=True)
    incoming = store.edges / f".incoming-{number}-{secrets.token_hex(4)}"
    try:
        incoming.mkdir()
        content = _provenance(source)
        disk.copy(source, incoming, content["files"])
        content = {**content, "published": {"version": number, **facts}}
        (incoming / wire.EDGE_PROVENANCE).write_text(files.to_json(content), encoding="utf-8")
        disk.seal(incoming)
        incoming.rename(target)
    except BaseException:
        disk.delete(incoming)
        raise
    disk.sync(store.edges)


def remove(store: Store, number: int) -> None:
    """Delete the formats of a version, if it has any; only within `store.alone`."""
    if (folder := store.edges / str(number)).exists():
        aside = store.edges / f".pruned-{number}-{secrets.token_hex(4)}"
        folder.rename(aside)
        disk.delete(aside)


def problem(directory: Path) -> str | None:
    """What is wrong with a folder of formats; None when each file is what convert wrote."""
    content = _provenance(directory)
    if content is None:
        return f"its {wire.EDGE_PROVENANCE} can't be read"
    for name, digest in sorted(content["files"].items()):
        if not (directory / name).is_file():
            return f"{name} is missing"
        if files.file_sha256(directory / name) != digest:
            return f"{name} is not the file that convert wrote: its digest differs"
    present = {p.relative_to(directory).as_posix() for p in directory.rglob("*") if p.is_file()}
    unlisted = sorted(present - set(content["files"]) - {wire.EDGE_PROVENANCE})
    return f"{unlisted[0]} was not made by convert" if unlisted else None


def _provenance(directory: Path) -> Any:
    """The provenance that convert wrote; None if it is missing, damaged or names files outside."""
    try:
        content = json.loads((directory / wire.EDGE_PROVENANCE).read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(content, dict) or not isinstance(content.get("exported"), dict):
        return None
    listed = content.get("files")
    if not isinstance(listed, dict) or wire.ANSWER not in listed:
        return None
    paths = [PurePosixPath(name) for name in listed]
    return None if any(path.is_absolute() or ".." in path.parts for path in paths) else content
