"""Ending a trial: the candidate goes, or the version before it comes back, and the servers follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from digits import wire
from digits.runtime.errors import ServingError, StoreError
from flows.rollout import replicas as servers
from flows.rollout.analysis import Trial
from flows.rollout.replicas import Server
from serving.store import promote
from serving.store.history import Refusal
from serving.store.store import Store

PROMOTED, WITHDRAWN, ROLLED_BACK = "promoted", "withdrawn", "rolled back"
GONE = 30.0  # seconds for a model to leave the servers: its requests in flight end first


@dataclass(frozen=True)
class Settled:
    """How a trial ended: promoted, withdrawn or rolled back.

    reasons: why it was not promoted; of a promoted one what a person should know, as a server that lags.
    """

    outcome: str
    reasons: tuple[str, ...] = ()


def point_away(store: Store, number: int) -> None:
    """Take a candidate off the pointer if it is on trial; clients of the stable version notice nothing."""
    pointer = store.current()
    if pointer is not None and pointer.canary == number:
        promote.withdraw(store)


def withdraw(store: Store, number: int, replicas: Sequence[Server]) -> tuple[str, ...]:
    """End a candidate's trial and wait until it has left the servers; where it has not, in words."""
    point_away(store, number)
    return left(replicas)


def left(replicas: Sequence[Server]) -> tuple[str, ...]:
    """Wait until no server has a version on trial; where one still has, in words."""
    return _waited(replicas, wire.CANARY, None, GONE)


def roll_back(
    store: Store, number: int, failed: Trial, at: str | None, replicas: Sequence[Server], timeout: float
) -> Settled:
    """Bring back the version that served before `number`, and wait until every replica serves it.

    It is remembered as refused if the trial says that it is itself at fault. With none to go back to it stays
    promoted.
    """
    try:
        pointer = promote.rollback(store, expected_champion=number, at=at)
    except StoreError as error:
        return Settled(PROMOTED, (*failed.reasons, f"it was not rolled back: {error}"))
    if failed.at_fault:
        promote.refuse(store, Refusal(number, pointer.stable, failed.reasons, at))
    lagging = _waited(replicas, wire.MODEL, pointer.stable, timeout)
    return Settled(ROLLED_BACK, (*failed.reasons, *lagging))


def _waited(replicas: Sequence[Server], model: str, version: int | None, timeout: float) -> tuple[str, ...]:
    try:
        servers.wait_for(replicas, model, version, timeout)
    except ServingError as error:
        return (str(error),)
    return ()
