"""A reviewer's keys → decisions, one pending correction after the other; without a terminal of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import numpy as np

from digits.runtime.errors import DataError, StoreError
from serving.app.feedback import reviewing
from serving.app.feedback.corrections import EDGE, SIDE
from serving.app.feedback.faults import StoreBusy, StoreFull
from serving.app.feedback.schema import Row
from serving.app.feedback.states import ACCEPTED, PENDING, REJECTED
from serving.app.feedback.store import FeedbackStore

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
    waiting = [each.id for each in await reviewing.rows(store, PENDING)]
    for number, identity in enumerate(waiting, 1):
        try:
            shown = await reviewing.found(store, identity)
        except DataError:
            continue  # deleted meanwhile
        if shown.state != PENDING:
            tell(f"somebody else has decided: {identity} is {shown.state}")
            continue
        tell(f"\n{drawn(shown.image)}\n{number} of {len(waiting)} · {described(shown)}\n{KEYS}")
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
            await reviewing.decide(store, shown.id, state, reviewer=reviewer, label=label)
        except (StoreBusy, StoreFull):
            raise
        except reviewing.DecidedAlready as error:
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


def drawn(image: bytes) -> str:
    """784 grey levels as 14 lines of half blocks: ink is what is above the share of the strongest."""
    levels = np.frombuffer(image, np.uint8).reshape(SIDE, SIDE)
    ink = (levels > EDGE * max(int(levels.max()), 1)).astype(int)
    pairs = 2 * ink[::2] + ink[1::2]
    return "\n".join("".join(BLOCKS[each] for each in line) for line in pairs)
