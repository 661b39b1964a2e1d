"""Corrections as a reviewer meets them: listed, found by the start of an id, decided once, deleted.

`review` takes a reviewer's keys as decisions, one pending correction after the other; it has no terminal of
its own.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import sqlalchemy as sql
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from sqlalchemy.ext.asyncio import AsyncConnection

from digits.runtime.errors import DataError, StoreError
from serving.app.feedback import (
    ACCEPTED,
    DIGIT,
    EXPORTED,
    EXPORTING,
    LINE,
    PENDING,
    REJECTED,
    STATES,
    UNSAID,
)
from serving.app.feedback.corrections import EDGE, check_label, ink, levels
from serving.app.feedback.database import StoreBusy, StoreFull
from serving.app.feedback.schema import CORRECTIONS, Row, row
from serving.app.feedback.store import FeedbackStore

SHORTEST = 4  # characters of an id that must be given
NAME = 100  # characters of a reviewer's name that are kept


class DecidedAlready(StoreError):
    """Somebody else has decided on a correction."""


class LabelTaken(StoreError):
    """The same image was accepted with another label."""


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


async def following(store: FeedbackStore, after: str | None = None) -> Row | None:
    """The oldest pending correction, or the next one after another; None where there is none."""
    query = sql.select(CORRECTIONS).where(CORRECTIONS.c.state == PENDING)
    if after is not None:
        before = await find(store, after)
        later = CORRECTIONS.c.received > before.received
        same = sql.and_(CORRECTIONS.c.received == before.received, CORRECTIONS.c.id > before.id)
        query = query.where(sql.or_(later, same))
    async with store.transaction(reading=True) as connection:
        ordered = query.order_by(CORRECTIONS.c.received, CORRECTIONS.c.id).limit(1)
        found = (await connection.execute(ordered)).first()
    return None if found is None else row(found)


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
    store: FeedbackStore, identity: str, state: str, *, reviewer: str, label: str | None = None
) -> None:
    """Accept or reject a pending correction, for good. label: to accept with, in place of the person's.

    Raises DecidedAlready when it waits no longer, DataError for a label that is none, LabelTaken when the
    same image was accepted as another.
    """
    async with store.transaction() as connection:
        if state == ACCEPTED:
            await _check_label(connection, identity, label)
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


async def _check_label(connection: AsyncConnection, identity: str, label: str | None) -> None:
    """Refuse a label that is none, and another one than an image was accepted with: it would be trained on
    against the first.
    """
    image = sql.select(CORRECTIONS.c.digest).where(CORRECTIONS.c.id == identity).scalar_subquery()
    # Locked together, so that of two reviewers at once one sees what the other did (SQLite locks all).
    query = sql.select(CORRECTIONS).where(CORRECTIONS.c.digest == image).with_for_update()
    same = {each.id: each for each in map(row, (await connection.execute(query)).all())}
    if identity not in same:
        return
    mine = same[identity]
    if label is not None:
        check_label(mine.kind, label, mine.image)
    if label is None and is_unlabelled(mine):
        raise DataError(f"nobody has said which digit {identity[:8]} is: give it, or reject what is no digit")
    final = mine.label if label is None else label
    for other in same.values():
        taken = other.state in (ACCEPTED, EXPORTING, EXPORTED)
        if taken and other.id != identity and other.final != final:
            raise LabelTaken(
                f"the same image was accepted as {shown_label(other.final)} ({other.id}), so it can't be "
                f"{shown_label(final)} as well: "
                "reject this one"
            )


def is_unlabelled(row: Row) -> bool:
    """Whether it is a digit that was chosen from the request log, with no label of a person."""
    return row.kind == DIGIT and row.label == UNSAID


CHOSEN = "0–9 it is that digit · r it is none · s skip · q quit"  # keys for an image without a label
KEYS = {
    DIGIT: "a accept · r reject · 0–9 accept as that digit · s skip · q quit",
    LINE: "a accept · r reject · c change the text and accept · s skip · q quit",
}
BLOCKS = " ▄▀█"  # by ink below and above: half a line each
ACROSS = 80  # characters of a terminal: a wider line is drawn at half its size, and broken there


@dataclass
class Tally:
    """What came of a review."""

    accepted: int = 0
    rejected: int = 0
    skipped: int = 0


@dataclass(frozen=True)
class Terminal:
    """How a review speaks with a reviewer."""

    key: Callable[[], Awaitable[str]]  # the next key; "" when there will be none
    text: Callable[[], Awaitable[str | None]]  # a text that is ended by Enter; None: given up
    tell: Callable[[str], None]  # lines to show


async def review(store: FeedbackStore, terminal: Terminal, reviewer: str) -> Tally:
    """Show each pending correction, the oldest first, and do as the keys say until q or the last.

    What was decided stays decided, however the review ends. Raises StoreBusy, StoreFull.
    """
    tally = Tally()
    waiting = await _waiting(store)
    for number, identity in enumerate(waiting, 1):
        try:
            shown = await find(store, identity)
        except DataError:
            continue  # deleted meanwhile
        if shown.state != PENDING:
            terminal.tell(f"somebody else has decided: {identity} is {shown.state}")
            continue
        picture = draw(shown.kind, shown.image)
        terminal.tell(f"\n{picture}\n{number} of {len(waiting)} · {described(shown)}\n{_keys(shown)}")
        if not await _decided(store, shown, terminal, reviewer, tally):
            break
    return tally


async def _waiting(store: FeedbackStore) -> list[str]:
    """The ids of all that is pending, the oldest first; their images may not fit into memory together."""
    query = sql.select(CORRECTIONS.c.id).where(CORRECTIONS.c.state == PENDING)
    async with store.transaction(reading=True) as connection:
        found = await connection.execute(query.order_by(CORRECTIONS.c.received, CORRECTIONS.c.id))
        return [str(identity) for identity in found.scalars()]


async def _decided(store: FeedbackStore, shown: Row, terminal: Terminal, reviewer: str, tally: Tally) -> bool:
    """Ask until one correction is done with; whether to go on."""
    tell = terminal.tell
    while True:
        key = await terminal.key()
        if key in ("q", ""):
            return False
        if key == "s":
            tally.skipped += 1
            tell("skipped: it goes on waiting")
            return True
        label = None
        if shown.kind == DIGIT and key in set("0123456789"):
            label = key
        elif shown.kind == LINE and key == "c":
            label = await terminal.text()
            if label is None:
                tell(KEYS[LINE])
                continue
        elif key not in (("r",) if is_unlabelled(shown) else ("a", "r")):
            tell(_keys(shown))
            continue
        state = REJECTED if key == "r" else ACCEPTED
        try:
            await decide(store, shown.id, state, reviewer=reviewer, label=label)
        except (StoreBusy, StoreFull):
            raise
        except DecidedAlready as error:
            tell(str(error))
            return True
        except (
            StoreError,
            DataError,
        ) as error:  # another label for an image that has one, or none: choose again
            tell(str(error))
            continue
        if state == ACCEPTED:
            tally.accepted += 1
            tell(f"accepted as {shown_label(shown.label if label is None else label)}")
        else:
            tally.rejected += 1
            tell("rejected")
        return True


def _keys(shown: Row) -> str:
    return CHOSEN if is_unlabelled(shown) else KEYS[shown.kind]


def described(shown: Row) -> str:
    """A line: what the person and what the model said, where it comes from."""
    sure = "" if shown.confidence is None else f" ({shown.confidence:.0%})"
    model = "no answer of the model" if shown.said is None else f"the model: {shown_label(shown.said)}{sure}"
    version = "" if shown.version is None else f", version {shown.version}"
    at = shown.received.strftime("%Y-%m-%d %H:%M")
    person = "nobody has said" if is_unlabelled(shown) else f"the person: {persons_label(shown)}"
    return f"{person} · {model}{version} · {shown.source}, {at} · {shown.id[:8]}"


def persons_label(row: Row) -> str:
    """What the person said who sent it; a dash where nobody did."""
    return "–" if is_unlabelled(row) else shown_label(row.label)


def shown_label(label: str) -> str:
    """A digit, or the text of a line, for a person."""
    return label or "no digits"


def draw(kind: str, image: bytes) -> str:
    """Draw an image as lines of half blocks: ink is what is above the share of the strongest."""
    strength = ink(levels(kind, image))
    dark: NDArray[np.bool_] = strength > EDGE * max(int(strength.max()), 1)
    if dark.shape[1] > ACROSS:
        even = np.pad(dark, ((0, 0), (0, dark.shape[1] % 2)))
        dark = np.asarray(even.reshape(len(even) // 2, 2, -1, 2).any(axis=(1, 3)))
    pairs = 2 * dark[::2].astype(int) + dark[1::2]
    parts = [pairs[:, start : start + ACROSS] for start in range(0, pairs.shape[1], ACROSS)]
    return "\n".join("".join(BLOCKS[each] for each in line) for part in parts for line in part)


SCALE = 2  # screen pixels a pixel; less where a line would be wider than the sheet
GAP, CAPTION = 10, 24  # pixels: around a line, of its caption
PAPER, INK = (255, 255, 255), (20, 20, 20)


def line_sheet(lines: Sequence[NDArray[np.uint8]], captions: Sequence[str], width: int) -> NDArray[np.uint8]:
    """Draw lines, uint8 [32, w] each, below one another as uint8 [height, width, 3]."""
    scales = [min(float(SCALE), (width - 2 * GAP) / line.shape[1]) for line in lines]
    heights = [round(line.shape[0] * scale) for line, scale in zip(lines, scales, strict=True)]
    sheet = Image.new("RGB", (width, sum(heights) + len(lines) * (CAPTION + GAP)), PAPER)
    draw, font, top = ImageDraw.Draw(sheet), ImageFont.load_default(12), 0
    for line, caption, scale, height in zip(lines, captions, scales, heights, strict=True):
        size = (max(1, round(line.shape[1] * scale)), height)
        sheet.paste(Image.fromarray(line).resize(size), (GAP, top))
        draw.text((GAP, top + height + 2), caption, fill=INK, font=font)
        top += height + CAPTION + GAP
    return np.asarray(sheet)
