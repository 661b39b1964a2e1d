"""models/edge → models/serving/edge/<n>: version n in the formats for phones and browsers, beside it.

A folder of its own, not within the version's: a version can do without, and gets them later where they are
made later. Like a version it appears by one rename after everything in it is on disk, and then stays.
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


def of(store: Store, number: int) -> Path | None:
    """Where the formats of a version lie; None when it has none, or they are damaged."""
    found = store.edges / str(number)
    return found if found.is_dir() and problem(found) is None else None


def names(folder: Path | None) -> list[str]:
    """The formats in a folder, as `models/edge` names them: float32 … tfjs; none of None."""
    if folder is None:
        return []
    tflite = [path.stem for path in folder.glob("*.tflite")]
    return sorted([*tflite, *(["tfjs"] if (folder / "tfjs" / "model.json").is_file() else [])])


def unfit(source: Path, exported: Mapping[str, str]) -> str | None:
    """Why what convert wrote can't go with an export; None when it can. exported: digests of its files."""
    if (wrong := problem(source)) is not None:
        return f"{source} is not whole ({wrong}): run `dvc repro convert`"
    if _provenance(source)["exported"] != dict(exported):
        return f"{source} was made from another export: run `dvc repro convert`"
    return None


def add(
    store: Store, number: int, source: Path, exported: Mapping[str, str], facts: Mapping[str, Any]
) -> None:
    """Lay the formats beside a version that was published without. Raises StoreError as publishing does."""
    with store.alone():
        attach(store, number, source, exported, facts)


def attach(
    store: Store, number: int, source: Path, exported: Mapping[str, str], facts: Mapping[str, Any]
) -> None:
    """Lay the formats beside a version, unless it has them or they are unfit; only while alone.

    facts: what convert could not know (commit, time), added to the provenance. Raises StoreError when a file
    changes while it is copied.
    """
    target = store.edges / str(number)
    if of(store, number) is not None or unfit(source, exported) is not None:
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
    """Take the formats of a version away, if it has any; only while alone."""
    if (gone := store.edges / str(number)).exists():
        aside = store.edges / f".pruned-{number}-{secrets.token_hex(4)}"
        gone.rename(aside)
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
            return f"{name} is not what was made: its digest differs"
    present = {p.relative_to(directory).as_posix() for p in directory.rglob("*") if p.is_file()}
    strangers = sorted(present - set(content["files"]) - {wire.EDGE_PROVENANCE})
    return f"{strangers[0]} was not made by convert" if strangers else None


def _provenance(directory: Path) -> Any:
    """What convert wrote about a folder; None when it is missing, damaged or names files outside of it."""
    try:
        content = json.loads((directory / wire.EDGE_PROVENANCE).read_bytes())
    except (OSError, ValueError):
        return None
    if not isinstance(content, dict) or not isinstance(content.get("exported"), dict):
        return None
    listed = content.get("files")
    if not isinstance(listed, dict) or wire.ANSWER not in listed:
        return None
    paths = [PurePosixPath(name) for name in listed]
    return None if any(path.is_absolute() or ".." in path.parts for path in paths) else content
