"""Adds exported models to the store as numbered versions, and deletes old versions from it.

`digits publish`, `digits prune` and the retraining flow use it. A version appears by one rename after
everything in it is on disk, so a kill at any moment leaves no partial version.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from digits import files, wire
from digits.runtime.errors import StoreError
from serving.store import cards, disk, edge, version
from serving.store.store import Store
from serving.store.version import Version

KEEP = 5  # versions that `prune` keeps: enough to go back over a bad week


def read_export(source: Path) -> Version:
    """Read an export. Raises StoreError when it is missing, incomplete, or did not pass the gate."""
    if not source.is_dir():
        raise StoreError(f"{source} is missing, so there is nothing to publish: `make run` makes it")
    export = version.read(0, source)
    if problems := version.problems(export):
        raise StoreError(
            f"{source} is not a complete export: {'; '.join(problems[:3])}: run `make run` again"
        )
    if version.find(export.provenance, "verdict", "passed") is not True:
        raise StoreError(f"{source} has no passing verdict, so it can't be published: run `make run` again")
    return export


def find_same(store: Store, export: Version) -> int | None:
    """The number of an intact published version with the same files; None without one."""
    listed = export.provenance["files"]
    same = [each for each in store.versions() if each.provenance.get("files") == listed]
    return next((each.number for each in reversed(same) if not version.problems(each)), None)


def publish(
    store: Store,
    source: Path,
    facts: Mapping[str, Any],
    *,
    force: bool = False,
    validated: Mapping[str, str] | None = None,
    formats: Path | None = None,
) -> int:
    """Copy an exported model into the store and return its number; it is not in service yet.

    facts: what export could not know (commit, dirty flag, time), added to provenance.json. validated: the
    digests of the files that were tried on a server. force: publish files again that are published already;
    otherwise the same files are one version. formats: the folder in which convert wrote the formats for
    phones and browsers, added after the version; a publish that was stopped between the two adds them when it
    is repeated. Formats of another export are not added. Raises StoreError when the source is incomplete or
    not what was validated, and when it can't be written.
    """
    with store.alone():
        export = read_export(source)
        listed = export.provenance["files"]
        if validated is not None and dict(validated) != dict(listed):
            raise StoreError(f"{source} was replaced while it was tried: run `digits publish` again")
        if not force and (same := find_same(store, export)) is not None:
            if formats is not None:
                edge.attach(store, same, formats, listed, facts)
            return same
        known = store.history()
        number = store.highest(known) + 1
        store.write_history(known.with_highest(number))  # before the version: a number is never given twice
        incoming = store.folder / f".incoming-{number}-{secrets.token_hex(4)}"
        try:
            disk.copy(source, incoming, listed)
            content = {**export.provenance, "published": {"version": number, **facts}}
            (incoming / wire.PROVENANCE).parent.mkdir(exist_ok=True)
            (incoming / wire.PROVENANCE).write_text(files.to_json(content), encoding="utf-8")
            disk.seal(incoming)
            incoming.rename(store.folder / str(number))
        except BaseException:
            disk.delete(incoming)
            raise
        disk.sync(store.folder)
        if formats is not None:
            edge.attach(store, number, formats, listed, facts)
        return number


def prune(store: Store, keep: int = KEEP) -> list[int]:
    """Delete all but the last `keep` versions, never one that is in service, on trial or served before.

    Returns the deleted numbers. Raises StoreError when keep < 1 or the store can't be written.
    """
    if keep < 1:
        raise StoreError(f"can't keep {keep} versions: keep at least 1")
    with store.alone():
        pointer = store.current()
        kept = {store.previous()} | (pointer.versions if pointer else set())
        pruned = [old for old in store.versions()[:-keep] if old.number not in kept]
        for old in pruned:  # one rename hides it from the servers; then it is deleted
            aside = store.folder / f".pruned-{old.number}-{secrets.token_hex(4)}"
            old.path.rename(aside)
            disk.delete(aside)
            edge.remove(store, old.number)
            cards.remove(store, old.number)
        return [old.number for old in pruned]
