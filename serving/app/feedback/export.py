"""Writes the accepted corrections as batches into the inbox of retraining, exactly once in effect.

Digits and lines are batches of their own. Digits are arrays, rows.npz, which training takes as they are: a
picture would be stretched and centred first, and what the model saw pale or aside would not be learnt. Lines
are PNG files and a labels.csv.

    accepted   → exporting   in one transaction, with the batch's name
    .feedback-NAME           the batch is written beside its place, then renamed: it appears whole
    exporting  → exported

An export that is killed in between leaves rows `exporting`; the next one writes the same batch again, byte
for byte. The inbox knows a batch by its content, so one that was taken already changes nothing.
"""

from __future__ import annotations

import csv
import io
import secrets
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import sqlalchemy as sql
from PIL import Image

from digits.runtime import locks
from digits.runtime.errors import StoreError
from serving.app.feedback import ACCEPTED, DIGIT, EXPORTED, EXPORTING, KINDS
from serving.app.feedback.corrections import levels
from serving.app.feedback.database import StoreBusy
from serving.app.feedback.schema import CORRECTIONS, Row, row
from serving.app.feedback.store import FeedbackStore
from serving.store import disk

HIDDEN = ".feedback-"  # the inbox looks at no name that begins with a dot
ARRAYS = "rows.npz"
MARK = ".complete"  # by which the inbox knows that all of a batch is there
PATIENCE = 10.0  # seconds to wait for another export


@dataclass(frozen=True)
class Exported:
    """A batch that is in the inbox now. again: it had been begun by an export that did not end."""

    path: Path
    rows: int
    again: bool


async def export(store: FeedbackStore, inbox: Path) -> list[Exported]:
    """Finish what an earlier export began, then give what was accepted since as one batch of each kind.

    Empty when there is nothing. Raises StoreError when the inbox is missing, full or not to be written, or
    when another batch has the name; StoreBusy when another export is at work.
    """
    if not inbox.is_dir():
        raise StoreError(f"the inbox {inbox} is no folder: make it, then export again")
    with (
        disk.plain_errors(inbox),
        locks.hold(inbox / f"{HIDDEN}lock", lambda holder: _busy(holder, inbox), PATIENCE),
    ):
        for left in inbox.glob(f"{HIDDEN}*"):  # of exports that were killed: this one is alone
            if left.is_dir():
                shutil.rmtree(left)
        done = [await _give(store, inbox, name, again=True) for name in await _begun(store)]
        for kind in KINDS:
            if (name := await _claim(store, kind)) is not None:
                done.append(await _give(store, inbox, name, again=False))
    return done


async def _begun(store: FeedbackStore) -> list[str]:
    query = sql.select(CORRECTIONS.c.batch).where(CORRECTIONS.c.state == EXPORTING).distinct()
    async with store.transaction(reading=True) as connection:
        return sorted(str(name) for name in (await connection.execute(query)).scalars())


async def _claim(store: FeedbackStore, kind: str) -> str | None:
    """Mark what is accepted of a kind as a new batch's; its name, None when nothing is accepted."""
    name = f"feedback-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
    claim = sql.update(CORRECTIONS).where(CORRECTIONS.c.state == ACCEPTED, CORRECTIONS.c.kind == kind)
    async with store.transaction() as connection:
        claimed = await connection.execute(claim.values(state=EXPORTING, batch=name))
    return name if claimed.rowcount else None


async def _give(store: FeedbackStore, inbox: Path, name: str, *, again: bool) -> Exported:
    """Put a batch in the inbox, then say that its corrections are exported."""
    mine = (CORRECTIONS.c.batch == name, CORRECTIONS.c.state == EXPORTING)
    async with store.transaction(reading=True) as connection:
        found = [row(each) for each in (await connection.execute(sql.select(CORRECTIONS).where(*mine))).all()]
    _put(inbox / name, contents(found))
    async with store.transaction() as connection:
        await connection.execute(sql.update(CORRECTIONS).where(*mine).values(state=EXPORTED))
    return Exported(inbox / name, len(found), again)


def contents(rows: Sequence[Row]) -> dict[str, bytes]:
    """The files of a batch, by name: equal rows give equal bytes. An image that two people sent is one."""
    ordered = {each.digest: each for each in sorted(rows, key=lambda each: each.digest)}.values()
    if rows[0].kind == DIGIT:
        stream = io.BytesIO()
        pixels = np.stack([levels(each.kind, each.image) for each in ordered])
        np.savez(stream, images=pixels, labels=np.array([int(each.final) for each in ordered], np.uint8))
        return {ARRAYS: stream.getvalue()}
    images = {f"{each.digest[:32]}.png": each for each in ordered}
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["file", "text"])
    writer.writerows([name, each.final] for name, each in images.items())
    return {**{name: _png(each) for name, each in images.items()}, "labels.csv": table.getvalue().encode()}


def _png(row: Row) -> bytes:
    """Stored, not compressed: another zlib must not make another file, hence another batch, of an image."""
    stream = io.BytesIO()
    Image.fromarray(levels(row.kind, row.image)).save(stream, "PNG", compress_level=0)
    return stream.getvalue()


def _put(place: Path, files: Mapping[str, bytes]) -> None:
    """Write a folder whole; one that is there already must be the same."""
    if place.exists():
        there = {path.name: path.read_bytes() for path in place.iterdir() if path.name != MARK}
        if there != files:
            raise StoreError(
                f"{place} has been changed since it was exported: move it away, then export again"
            )
        return
    new = place.with_name(f"{HIDDEN}{place.name}")
    try:
        new.mkdir()
        for name, data in {**files, MARK: b""}.items():
            (new / name).write_bytes(data)
            disk.sync(new / name)
        disk.sync(new)
        new.rename(place)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise
    disk.sync(place.parent)


def _busy(holder: str, inbox: Path) -> StoreBusy:
    return StoreBusy(f"process {holder} exports to {inbox}: try again when it has ended")
