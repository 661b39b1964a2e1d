"""Keeps corrections until somebody reviews them: in SQLite, or in PostgreSQL by its URL."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sql
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from digits.runtime.addresses import shown
from serving.app.feedback import DIGIT, LINE, PENDING, database, migrations
from serving.app.feedback.corrections import Correction
from serving.app.feedback.database import StoreBusy, StoreFull, translate_errors
from serving.app.feedback.schema import CORRECTIONS

__all__ = ["FeedbackStore", "StoreBusy", "StoreFull"]

PATIENCE = 5.0  # seconds to wait for other programs, or for a server's answer
# Corrections that wait for review: some 100 MB of digits; of lines usually as much, 650 MB of the widest.
MOST_PENDING = {DIGIT: 100_000, LINE: 10_000}


class FeedbackStore:
    """Corrections in a database. What `add` has returned is on disk."""

    def __init__(
        self, url: str, *, patience: float = PATIENCE, most_pending: Mapping[str, int] = MOST_PENDING
    ) -> None:
        """url: `sqlite:///FILE` or `postgresql://USER@HOST/NAME`. Raises ParamsError for any other."""
        parsed = database.parsed(url)
        self.file = database.file_of(parsed)
        self.shown = str(self.file) if self.file else shown(url)
        self._patience, self._most_pending = patience, most_pending
        self._engine = database.engine(parsed, patience)
        self._at_work: set[asyncio.Task[tuple[str, bool]]] = set()

    async def open(self) -> None:
        """Make the file and the tables, or bring them up to date; several processes may do so at once.

        Raises StoreBusy, StoreFull, or StoreError when the file is damaged or is not to be used.
        """
        with translate_errors(self.shown, self.file):
            await database.prepare(self._engine, self._patience)
        async with self.transaction(reading=True) as connection:
            if await connection.run_sync(migrations.current):
                return
        async with self.transaction() as connection:
            await connection.run_sync(migrations.upgrade)

    async def add(self, given: Correction) -> tuple[str, bool]:
        """Keep a correction for review: its id, and whether it is new. The same image and label is one.

        Who gives up waiting leaves it to be kept all the same: a connection that is cut in the middle of a
        transaction would hold the store's lock. Raises StoreBusy, StoreFull (the disk, or too many wait for
        review) and StoreError.
        """
        work = asyncio.create_task(self._add(given))
        self._at_work.add(work)
        work.add_done_callback(self._ended)
        return await asyncio.shield(work)

    def _ended(self, work: asyncio.Task[tuple[str, bool]]) -> None:
        self._at_work.discard(work)
        if not work.cancelled():
            work.exception()  # raised to the waiting caller, if one is left

    async def _add(self, given: Correction) -> tuple[str, bool]:
        same = sql.select(CORRECTIONS.c.id).where(
            CORRECTIONS.c.digest == given.digest, CORRECTIONS.c.label == given.label
        )
        async with self.transaction() as connection:
            known = (await connection.execute(same)).scalar()
            if known is not None:
                return str(known), False
            await self._room(connection, given.kind)
            made = str(uuid.uuid4())
            values = {
                "id": made,
                "received": datetime.now(UTC),
                "kind": given.kind,
                "image": given.image,
                "digest": given.digest,
                "label": given.label,
                "said": given.said,
                "confidence": given.confidence,
                "version": given.version,
                "source": given.source,
                "mode": given.mode,
                "state": PENDING,
            }
            if (await connection.execute(self._insert().values(values))).rowcount:
                return made, True
            return str((await connection.execute(same)).scalar_one()), False  # another process was first

    async def close(self) -> None:
        """Let go of the database, once what is at work has ended."""
        if self._at_work:
            await asyncio.wait(self._at_work)
        await self._engine.dispose()

    @contextlib.asynccontextmanager
    async def transaction(self, *, reading: bool = False) -> AsyncIterator[AsyncConnection]:
        """All or nothing of what is done in it. reading: it only looks, and waits for nobody that writes.

        Raises StoreBusy, StoreFull or StoreError for what the database refuses.
        """
        with translate_errors(self.shown, self.file):
            async with self._engine.connect() as connection:
                await connection.execution_options(**{database.READING: reading})
                async with connection.begin():
                    yield connection

    def _insert(self) -> Any:
        """An insert that leaves out what is there already."""
        dialect = sqlite if self.file else postgresql
        return dialect.insert(CORRECTIONS).on_conflict_do_nothing(index_elements=["digest", "label"])

    async def _room(self, connection: AsyncConnection, kind: str) -> None:
        most = self._most_pending[kind]
        mine = (CORRECTIONS.c.state == PENDING, CORRECTIONS.c.kind == kind)
        waiting = sql.select(sql.func.count()).where(*mine)
        if ((await connection.execute(waiting)).scalar_one()) >= most:
            raise StoreFull(
                f"{most:,} corrections of {kind}s wait for review, no more are taken: "
                "`digits feedback review` makes room"
            )
