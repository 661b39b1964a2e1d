"""A new batch in the inbox → one run of the flow, unless one is at work or has just failed on that batch."""

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
    """Which batches have had their run. A run takes a batch out of the inbox; one that died may not have."""

    seen: frozenset[tuple[str, int]] = frozenset()
    count: int = 0
    last: float = field(default=0.0)

    def due(self, batches: frozenset[tuple[str, int]], now: float) -> bool:
        """Whether these batches (name, time of change) want a run at this time in seconds; noted if so."""
        if not batches:
            self.seen, self.count = frozenset(), 0
            return False
        if batches <= self.seen and now < self.last + min(FIRST * 2 ** (self.count - 1), LONGEST):
            return False
        self.count = self.count + 1 if batches <= self.seen else 1
        self.seen, self.last = batches, now
        return True


def waiting(inbox: Path) -> Sequence[Path]:
    """The batches that are ready to be taken."""
    found: Sequence[Path] = import_module("flows.clone.inbox").waiting(inbox)
    return found


class Inbox:
    """Looks into one folder and asks for runs of one deployment. parameters: on top of the deployment's."""

    def __init__(self, folder: Path, deployment: UUID, look: Waiting = waiting) -> None:
        self.folder, self.deployment, self.look = folder, deployment, look
        self.tries = Tries()

    def tick(self, client: SyncPrefectClient) -> str | None:
        """Ask for a run if there is something to do and nothing at work; the run's name, None without."""
        batches = list(self.look(self.folder))
        if batches and busy(client, self.deployment):
            return None
        if not self.tries.due(frozenset((b.name, _changed(b)) for b in batches), time.monotonic()):
            return None
        names = ", ".join(sorted(batch.name for batch in batches))
        return ask(client, self.deployment, {"why": f"new batch in the inbox: {names}"})


def busy(client: SyncPrefectClient, deployment: UUID) -> bool:
    """Whether a run is at work or about to start."""
    from prefect.client.schemas.objects import StateType

    from flows.scheduling.recovery import find

    at_work = (StateType.PENDING, StateType.RUNNING, StateType.CANCELLING)
    soon = datetime.now(UTC) + timedelta(seconds=5)
    return bool(
        find(client, deployment, at_work) or find(client, deployment, (StateType.SCHEDULED,), until=soon)
    )


def ask(client: SyncPrefectClient, deployment: UUID, parameters: dict[str, Any]) -> str:
    """Create a run that starts at once; its name."""
    return client.create_flow_run_from_deployment(deployment, parameters=parameters).name


def _changed(batch: Path) -> int:
    try:
        return batch.stat().st_mtime_ns
    except OSError:  # taken this very moment
        return 0
