"""Starts a run of the flow when a new batch is in the inbox, unless one is running or just failed on it.

The supervisor's thread calls `Inbox.tick` every few seconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

Waiting = Callable[[Path], Sequence[Path]]

FIRST = 60.0  # seconds until a batch that a run has left in the inbox is tried again; doubled each time
LONGEST = 6 * 3600.0


@dataclass
class Tries:
    """The batches that have had their run. A run takes them out of the inbox; one that died may not have."""

    seen: frozenset[tuple[str, int]] = frozenset()
    count: int = 0
    last: float = field(default=0.0)

    def due(self, batches: frozenset[tuple[str, int]], now: float) -> bool:
        """Whether these batches (name, time of change) need a run now; if so, that is noted. now: seconds."""
        if not batches:
            self.seen, self.count = frozenset(), 0
            return False
        if batches <= self.seen and now < self.last + min(FIRST * 2 ** (self.count - 1), LONGEST):
            return False
        self.count = self.count + 1 if batches <= self.seen else 1
        self.seen, self.last = batches, now
        return True


def waiting(inbox: Path) -> Sequence[Path]:
    """The batches in the inbox that are complete."""
    batches: Sequence[Path] = import_module("flows.clone.inbox").waiting(inbox)
    return batches


class Inbox:
    """Watches one folder and starts runs of one deployment. look: returns the batches that are complete."""

    def __init__(self, folder: Path, deployment: UUID, look: Waiting = waiting) -> None:
        self.folder, self.deployment, self.look = folder, deployment, look
        self.tries = Tries()

    def tick(self, client: SyncPrefectClient) -> str | None:
        """Start a run if there is a new batch and no run is working; return the run's name, or None."""
        found = self.look(self.folder)
        if found and is_busy(client, self.deployment):
            return None
        # A run that ended just before the question has taken what it found.
        batches = [batch for batch in found if batch.exists()]
        if not self.tries.due(frozenset((b.name, _changed(b)) for b in batches), time.monotonic()):
            return None
        names = ", ".join(sorted(batch.name for batch in batches))
        return start_run(client, self.deployment, {"why": f"new batch in the inbox: {names}"})


def is_busy(client: SyncPrefectClient, deployment: UUID) -> bool:
    """Whether a run is working or about to start."""
    from prefect.client.schemas.objects import StateType

    from flows.scheduling.recovery import find_runs

    active = (StateType.PENDING, StateType.RUNNING, StateType.CANCELLING)
    soon = datetime.now(UTC) + timedelta(seconds=5)
    return bool(
        find_runs(client, deployment, active)
        or find_runs(client, deployment, (StateType.SCHEDULED,), until=soon)
    )


def start_run(client: SyncPrefectClient, deployment: UUID, parameters: dict[str, Any]) -> str:
    """Create a run that starts at once; return its name. parameters: on top of the deployment's."""
    return client.create_flow_run_from_deployment(deployment, parameters=parameters).name


def _changed(batch: Path) -> int:
    try:
        return batch.stat().st_mtime_ns
    except OSError:  # taken this very moment
        return 0
