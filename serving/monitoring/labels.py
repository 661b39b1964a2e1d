"""Images of the request log as a batch to label, in the store of corrections.

They wait there without a label until somebody says what they are: `digits feedback review` on a terminal, or
the gateway's page /review. What is accepted goes with `digits feedback export` to retraining, as corrections
do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import sqlalchemy as sql
from numpy.typing import NDArray

from digits.facts import FACTS
from serving.app.feedback import (
    ACCEPTED,
    DIGIT,
    EXPORTED,
    EXPORTING,
    MONITOR,
    PENDING,
    REJECTED,
    UNSAID,
)
from serving.app.feedback.corrections import PIXELS, Correction, has_ink
from serving.app.feedback.schema import CORRECTIONS
from serving.app.feedback.store import FeedbackStore

CONSIDERED = 20_000  # the newest rows with an image that a batch is chosen from


@dataclass(frozen=True)
class Labels:
    """How many images wait for a label, and how many labels wait for a retraining, corrections included."""

    waiting: int
    accepted: int


def choose(rows: pd.DataFrame, shows: NDArray[np.bool_], most: int) -> pd.DataFrame:
    """The rows that a person should look at: half the least sure, half the most typical of what is new.

    rows: of digits with their pixels. shows: which of them show what an alarm is about; typical are those of
    them whose facts are nearest to their middle. Each image once.
    """
    usable = rows.assign(shows=shows)[[_usable(image) for image in rows["image"]]]
    found = usable.drop_duplicates("digest").tail(CONSIDERED)
    unsure = found.sort_values("confidence", kind="stable").head(most - most // 2)
    others = found.drop(unsure.index)
    pool = others[others["shows"]] if others["shows"].any() else others
    values = pool[list(FACTS)].astype(float)
    spread = (values.quantile(0.9) - values.quantile(0.1)).replace(0.0, 1.0)
    apart = ((values - values.median()) / spread).abs().sum(axis=1)
    typical = pool.loc[apart.sort_values(kind="stable").index].head(most // 2)
    return pd.concat([unsure, typical])[rows.columns]


def _usable(image: object) -> bool:
    """Whether it holds the pixels of one digit, with ink in it."""
    return isinstance(image, bytes) and len(image) == PIXELS and has_ink(image)


async def propose(store: FeedbackStore, rows: pd.DataFrame) -> int:
    """Put images before reviewers; how many were not there yet. Raises StoreError when they can't be kept."""
    new = 0
    columns = (rows[name].tolist() for name in ("image", "digit", "confidence", "version"))
    for image, digit, confidence, version in zip(*columns, strict=True):
        proposed = Correction(
            kind=DIGIT,
            image=image,
            label=UNSAID,
            said=None if math.isnan(digit) else str(int(digit)),
            confidence=None if math.isnan(confidence) else confidence,
            version=None if math.isnan(version) else int(version),
            source=MONITOR,
            mode="server",
        )
        _, added = await store.add(proposed)
        new += added
    return new


async def waiting(store: FeedbackStore) -> Labels:
    """What waits now."""
    proposed = (CORRECTIONS.c.state == PENDING, CORRECTIONS.c.source == MONITOR)
    taken = (CORRECTIONS.c.state == ACCEPTED, CORRECTIONS.c.kind == DIGIT)
    async with store.transaction(reading=True) as connection:
        counts = [
            int((await connection.execute(sql.select(sql.func.count()).where(*chosen))).scalar_one())
            for chosen in (proposed, taken)
        ]
    return Labels(*counts)


async def wrong(store: FeedbackStore, version: int) -> int:
    """How many answers of a version people have corrected, and a reviewer agreed that they were wrong.

    People correct some of the wrong answers and hardly any other, so this is the least that were wrong. Those
    that the monitor had labelled are left out: it chose doubtful ones.
    """
    final = sql.func.coalesce(CORRECTIONS.c.agreed, CORRECTIONS.c.label)
    found = (
        CORRECTIONS.c.version == version,
        CORRECTIONS.c.kind == DIGIT,
        CORRECTIONS.c.source != MONITOR,
        CORRECTIONS.c.mode == "server",
        CORRECTIONS.c.said != final,
        CORRECTIONS.c.state.in_((ACCEPTED, EXPORTING, EXPORTED)),
    )
    async with store.transaction(reading=True) as connection:
        return int((await connection.execute(sql.select(sql.func.count()).where(*found))).scalar_one())


async def tidy(store: FeedbackStore, days: int) -> int:
    """Delete what has waited, or was rejected or exported, for longer than that; how many."""
    old = datetime.now(UTC) - timedelta(days=days)
    since = sql.func.coalesce(CORRECTIONS.c.reviewed, CORRECTIONS.c.received)
    done = CORRECTIONS.c.state.in_((PENDING, REJECTED, EXPORTED))
    async with store.transaction() as connection:
        gone = await connection.execute(sql.delete(CORRECTIONS).where(done, since < old))
    return gone.rowcount


async def forget(store: FeedbackStore, digest: str) -> tuple[int, list[str]]:
    """Delete all corrections of an image: how many there were, and the batches that some were exported in."""
    mine = CORRECTIONS.c.digest == digest
    query = sql.select(CORRECTIONS.c.batch).where(mine, CORRECTIONS.c.batch.is_not(None)).distinct()
    async with store.transaction() as connection:
        batches = sorted(str(name) for name in (await connection.execute(query)).scalars())
        gone = await connection.execute(sql.delete(CORRECTIONS).where(mine))
    return gone.rowcount, batches
