"""An exported model → a numbered version in the store; and old versions out of it.

A version appears by one rename after everything in it is on disk, so a kill at any moment leaves no half one.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from digits import files, wire
from digits.runtime.errors import StoreError
from serving.store import disk, edge, version
from serving.store.store import Store
from serving.store.version import Version

KEEP = 5  # versions that `prune` leaves: enough to go back over a bad week


def exported(source: Path) -> Version:
    """What export wrote. Raises StoreError when it is missing, not whole, or did not pass the gate."""
    if not source.is_dir():
        raise StoreError(f"{source} is missing, so there is nothing to publish: `make run` makes it")
    found = version.read(0, source)
    if problems := version.problems(found):
        raise StoreError(f"{source} is not a whole export: {'; '.join(problems[:3])}: run `make run` again")
    if version.find(found.provenance, "verdict", "passed") is not True:
        raise StoreError(f"{source} has no passing verdict, so it can't be published: run `make run` again")
    return found


def same_as(store: Store, found: Version) -> int | None:
    """The number of an intact published version with the same files; None without one."""
    listed = found.provenance["files"]
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
    """Copy an exported model into the store and return its number; it serves nobody yet.

    facts: what export could not know (commit, dirty flag, time), added to provenance.json. validated: the
    digests of the files that were tried on a server. The same files twice are one version, unless forced.
    formats: where convert wrote the formats for phones and browsers, laid beside the version after it; a
    publish that was stopped between the two adds them when it is repeated. Those of another export stay out.
    Raises StoreError when the source is not whole or not what was validated, and when it can't be written.
    """
    with store.alone():
        found = exported(source)
        listed = found.provenance["files"]
        if validated is not None and dict(validated) != dict(listed):
            raise StoreError(f"{source} was written anew while it was tried: run `digits publish` again")
        if not force and (same := same_as(store, found)) is not None:
            if formats is not None:
                edge.attach(store, same, formats, listed, facts)
            return same
        known = store.history()
        number = store.highest(known) + 1
        store.write_history(known.with_highest(number))  # before the version: a number is never given twice
        incoming = store.folder / f".incoming-{number}-{secrets.token_hex(4)}"
        try:
            incoming.mkdir()
            disk.copy(source, incoming, listed)
            content = {**found.provenance, "published": {"version": number, **facts}}
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
    """Delete old versions but the last `keep`; never one that serves, is on trial or served before.

    Returns the numbers deleted. Raises StoreError when keep < 1 or the store can't be written.
    """
    if keep < 1:
        raise StoreError(f"can't keep {keep} versions: keep at least 1")
    with store.alone():
        pointer, known = store.current(), store.history()
        kept = {known.previous()} | (pointer.named if pointer else set())
        gone = [old for old in store.versions()[:-keep] if old.number not in kept]
        if gone:
            store.write_history(known.with_highest(store.highest(known)))
        for old in gone:  # out of the servers' sight by one rename, then deleted
            aside = store.folder / f".pruned-{old.number}-{secrets.token_hex(4)}"
            old.path.rename(aside)
            disk.delete(aside)
            edge.remove(store, old.number)
        return [old.number for old in gone]
