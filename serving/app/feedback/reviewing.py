"""Corrections as a reviewer meets them: listed, found by the start of an id, decided once, deleted. Shell."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import sqlalchemy as sql
from sqlalchemy.ext.asyncio import AsyncConnection

from digits.runtime.errors import DataError, StoreError
from serving.app.feedback.schema import CORRECTIONS, Row, row
from serving.app.feedback.states import ACCEPTED, EXPORTED, EXPORTING, PENDING, STATES
from serving.app.feedback.store import FeedbackStore

SHORTEST = 4  # characters of an id that must be given
NAME = 100  # characters of a reviewer's name that are kept


class DecidedAlready(StoreError):
    """Somebody else has decided on a correction."""


async def counts(store: FeedbackStore) -> dict[str, int]:
    """How many corrections are in each state; each state is named."""
    query = sql.select(CORRECTIONS.c.state, sql.func.count()).group_by(CORRECTIONS.c.state)
    async with store.transaction(reading=True) as connection:
        found = {str(state): int(n) for state, n in (await connection.execute(query)).all()}
    return {state: found.get(state, 0) for state in STATES}


async def rows(store: FeedbackStore, state: str | None = None, most: int | None = None) -> list[Row]:
    """Corrections in a state, or all, the oldest first."""
    query = sql.select(CORRECTIONS).order_by(CORRECTIONS.c.received, CORRECTIONS.c.id).limit(most)
    if state is not None:
        query = query.where(CORRECTIONS.c.state == state)
    async with store.transaction(reading=True) as connection:
        return [row(each) for each in (await connection.execute(query)).all()]


async def found(store: FeedbackStore, start: str) -> Row:
    """The one correction whose id begins so. Raises DataError when there is none, or are several."""
    if len(start) < SHORTEST or not re.fullmatch("[0-9a-f-]{1,36}", start):
        raise DataError(f"'{start}' is no id of a correction: `digits feedback list` shows them")
    query = sql.select(CORRECTIONS).where(CORRECTIONS.c.id.startswith(start)).limit(2)
    async with store.transaction(reading=True) as connection:
        same = [row(each) for each in (await connection.execute(query)).all()]
    if len(same) != 1:
        count = "no correction has" if not same else "several corrections have"
        raise DataError(f"{count} an id that begins with {start}: `digits feedback list` shows them")
    return same[0]


async def decide(
    store: FeedbackStore, identity: str, state: str, *, reviewer: str, label: int | None = None
) -> None:
    """Accept or reject a pending correction, for good. label: to accept with, in place of the person's.

    Raises DecidedAlready when it waits no longer, StoreError when the same image was accepted as another.
    """
    async with store.transaction() as connection:
        if state == ACCEPTED:
            await _refuse_two_labels(connection, identity, label)
        values = {"state": state, "reviewer": reviewer[:NAME], "reviewed": datetime.now(UTC), "agreed": label}
        decided = await connection.execute(
            sql.update(CORRECTIONS)
            .where(CORRECTIONS.c.id == identity, CORRECTIONS.c.state == PENDING)
            .values(values)
        )
        if decided.rowcount:
            return
        query = sql.select(CORRECTIONS).where(CORRECTIONS.c.id == identity)
        known = (await connection.execute(query)).first()
    if known is None:
        raise DecidedAlready(f"correction {identity} is no longer there: somebody else has deleted it")
    there = row(known)
    raise DecidedAlready(f"somebody else has decided: {identity} is {there.state}, by {there.reviewer}")


async def delete(store: FeedbackStore, *, identity: str | None = None, state: str | None = None) -> int:
    """Forget one correction, or all in a state, images and all; how many. One that is exporting stays."""
    chosen = CORRECTIONS.c.id == identity if state is None else CORRECTIONS.c.state == state
    async with store.transaction() as connection:
        gone = await connection.execute(
            sql.delete(CORRECTIONS).where(chosen, CORRECTIONS.c.state != EXPORTING)
        )
    return gone.rowcount


async def _refuse_two_labels(connection: AsyncConnection, identity: str, label: int | None) -> None:
    """One image can't be two digits: the other would be training data against this one."""
    image = sql.select(CORRECTIONS.c.digest).where(CORRECTIONS.c.id == identity).scalar_subquery()
    # Locked together, so that of two reviewers at once one sees what the other did (SQLite locks all).
    query = sql.select(CORRECTIONS).where(CORRECTIONS.c.digest == image).with_for_update()
    same = {each.id: each for each in map(row, (await connection.execute(query)).all())}
    if identity not in same:
        return
    final = same[identity].label if label is None else label
    for other in same.values():
        taken = other.state in (ACCEPTED, EXPORTING, EXPORTED)
        if taken and other.id != identity and other.final != final:
            raise StoreError(
                f"the same image was accepted as {other.final} ({other.id}), so it can't be {final} as well: "
                "reject this one"
            )
