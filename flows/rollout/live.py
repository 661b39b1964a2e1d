"""A compared version onto the servers that run on this machine: tried there first, then in service or not."""

from __future__ import annotations

from pathlib import Path

from digits import files
from flows.rollout import canary
from flows.rollout import replicas as servers
from flows.rollout.settling import PROMOTED, ROLLED_BACK, Settled
from serving.store.store import Store

WATCH = 5.0  # seconds for which a promoted version is asked its golden requests


def go_live(store: Store, number: int, champion: int | None, at: str) -> Settled:
    """Try a version on the servers of this store, then promote or withdraw it. at: the time.

    Without a server that runs it is promoted untried: one has answered for it when it was published.
    Raises StoreError when it can't be pointed at.
    """
    replicas = servers.running(store)
    own = _own(store)
    if replicas and champion is not None:
        files.write_text(own, f"{number}\n")
    trial = canary.try_live(store, number, replicas, at=at)
    settled = canary.settle(store, number, trial, champion, at, replicas=replicas)
    own.unlink(missing_ok=True)
    if settled.outcome != PROMOTED or not replicas:
        return settled
    watched = canary.watch(store, number, replicas, WATCH, golden=trial.golden, at=at)
    return settled if watched.passed else Settled(ROLLED_BACK, watched.reasons)


def end_own(store: Store) -> None:
    """End the trial that a killed run left behind; one that a person began goes on."""
    own = _own(store)
    pointer = store.current()
    if own.exists() and pointer and str(pointer.canary) == own.read_text(encoding="utf-8").strip():
        canary.recover(store, servers.running(store))
    own.unlink(missing_ok=True)


def _own(store: Store) -> Path:
    """Names the version that a retraining has on trial."""
    return store.root / "trial-of-a-run"
