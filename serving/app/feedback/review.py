"""Corrections as a reviewer meets them: listed, found by the start of an id, decided once, deleted.

`review` takes a reviewer's keys as decisions, one pending correction after the other; it has no terminal of
its own.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import sqlalchemy as sql
from sqlalchemy.ext.asyncio import AsyncConnection

from digits.runtime.errors import DataError, StoreError
from serving.app.feedback import ACCEPTED, EXPORTED, EXPORTING, PENDING, REJECTED, STATES
from serving.app.feedback.corrections import EDGE, SIDE
from serving.app.feedback.database import StoreBusy, StoreFull
from serving.app.feedback.schema import CORRECTIONS, Row, row
from serving.app.feedback.store import FeedbackStore

SHORTEST = 4  # characters of an id that must be given
NAME = 100  # characters of a reviewer's name that are kept


class DecidedAlready(StoreError):
    """Somebody else has decided on a correction."""


async def counts(store: FeedbackStore) -> dict[str, int]:
    """How many corrections are in each state; each state is named."""
    query = sql.select(CORRECTIONS.c.state, sql.func.count()).group_by(CORRECTIONS.c.state)
    async with store.transaction(reading=True) as connection:
        find = {str(state): int(n) for state, n in (await connection.execute(query)).all()}
    return {state: find.get(state, 0) for state in STATES}


async def rows(store: FeedbackStore, state: str | None = None, most: int | None = None) -> list[Row]:
    """Corrections in a state, or all, the oldest first."""
    query = sql.select(CORRECTIONS).order_by(CORRECTIONS.c.received, CORRECTIONS.c.id).limit(most)
    if state is not None:
        query = query.where(CORRECTIONS.c.state == state)
    async with store.transaction(reading=True) as connection:
        return [row(each) for each in (await connection.execute(query)).all()]


async def find(store: FeedbackStore, start: str) -> Row:
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


KEYS = "a accept · r reject · 0–9 accept as that digit · s skip · q quit"
BLOCKS = " ▄▀█"  # by ink below and above: half a line each


@dataclass
class Tally:
    """What came of a review."""

    accepted: int = 0
    rejected: int = 0
    skipped: int = 0


async def review(
    store: FeedbackStore, ask: Callable[[], Awaitable[str]], tell: Callable[[str], None], reviewer: str
) -> Tally:
    """Show each pending correction, the oldest first, and do as the keys say until q or the last.

    ask: the next key; "" when there will be none. tell: lines to show. What was decided stays decided,
    however the review ends. Raises StoreBusy, StoreFull.
    """
    tally = Tally()
    waiting = [each.id for each in await rows(store, PENDING)]
    for number, identity in enumerate(waiting, 1):
        try:
            shown = await find(store, identity)
        except DataError:
            continue  # deleted meanwhile
        if shown.state != PENDING:
            tell(f"somebody else has decided: {identity} is {shown.state}")
            continue
        tell(f"\n{draw(shown.image)}\n{number} of {len(waiting)} · {described(shown)}\n{KEYS}")
        if not await _decided(store, shown, ask, tell, reviewer, tally):
            break
    return tally


async def _decided(
    store: FeedbackStore,
    shown: Row,
    ask: Callable[[], Awaitable[str]],
    tell: Callable[[str], None],
    reviewer: str,
    tally: Tally,
) -> bool:
    """Ask until one correction is done with; whether to go on."""
    while True:
        key = await ask()
        if key in ("q", ""):
            return False
        if key == "s":
            tally.skipped += 1
            tell("skipped: it goes on waiting")
            return True
        label = int(key) if key in set("0123456789") else None
        if label is None and key not in ("a", "r"):
            tell(KEYS)
            continue
        state = REJECTED if key == "r" else ACCEPTED
        try:
            await decide(store, shown.id, state, reviewer=reviewer, label=label)
        except (StoreBusy, StoreFull):
            raise
        except DecidedAlready as error:
            tell(str(error))
            return True
        except StoreError as error:  # another label for an image that has one: choose again
            tell(str(error))
            continue
        if state == ACCEPTED:
            tally.accepted += 1
            tell(f"accepted as {shown.label if label is None else label}")
        else:
            tally.rejected += 1
            tell("rejected")
        return True


def described(shown: Row) -> str:
    """A line: what the person and what the model said, where it comes from."""
    sure = "" if shown.confidence is None else f" ({shown.confidence:.0%})"
    model = "no answer of the model" if shown.digit is None else f"the model: {shown.digit}{sure}"
    version = "" if shown.version is None else f", version {shown.version}"
    at = shown.received.strftime("%Y-%m-%d %H:%M")
    return f"the person: {shown.label} · {model}{version} · {shown.source}, {at} · {shown.id[:8]}"


def draw(image: bytes) -> str:
    """784 grey levels as 14 lines of half blocks: ink is what is above the share of the strongest."""
    levels = np.frombuffer(image, np.uint8).reshape(SIDE, SIDE)
    ink = (levels > EDGE * max(int(levels.max()), 1)).astype(int)
    pairs = 2 * ink[::2] + ink[1::2]
    return "\n".join("".join(BLOCKS[each] for each in line) for line in pairs)
