"""The versions of a model: the state of each, the requests inside it, and which of them should be served."""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from digits_model_server.models.config import ALL, LATEST, Policy
from digits_model_server.status import Status


class Version:
    """A version, from the time it was seen to its end. error: why it ended, None where it was unloaded."""

    def __init__(self, model: str, number: int, path: Path) -> None:
        self.model, self.number, self.path = model, number, path
        self.state = START
        self.error: Status | None = None
        self.loaded: Any = None
        self.attempts = 0
        self.again_at = 0.0  # by time.monotonic(), while it is loaded again and again
        self._idle = threading.Condition(threading.Lock())
        self._users = 0
        self._open = False

    def open(self, loaded: Any) -> None:
        """Admit requests. loaded: the loaded model."""
        with self._idle:
            self.loaded, self._open = loaded, True

    def enter(self) -> bool:
        """Begin a request; return False when the version is being unloaded."""
        with self._idle:
            self._users += self._open
            return self._open

    def leave(self) -> None:
        """End a request."""
        with self._idle:
            self._users -= 1
            if not self._users and not self._open:
                self._idle.notify_all()

    def close(self) -> None:
        """Admit no more requests, wait for those inside, free the memory."""
        with self._idle:
            self._open = False
            while self._users:
                self._idle.wait()
            loaded, self.loaded = self.loaded, None
        if loaded is not None:
            loaded.close()


START, LOADING, AVAILABLE, UNLOADING, END = 10, 20, 30, 40, 50
STATES = {START: "START", LOADING: "LOADING", AVAILABLE: "AVAILABLE", UNLOADING: "UNLOADING", END: "END"}
_LARGEST = 2**63 - 1


def on_disk(base: str) -> tuple[dict[int, Path], list[str]]:
    """Return the folder of each version number. Raises OSError for a missing base.

    The list has what is left out and why: names that another folder of the same number hides, such as 007 by
    7, and those that the system can't read, such as a link to itself. Other names are skipped.
    """
    found: dict[int, Path] = {}
    left_out: list[str] = []
    with os.scandir(base) as entries:
        for entry in sorted(entries, key=lambda each: each.name):
            name = entry.name
            if not (name.isascii() and name.isdecimal() and int(name) <= _LARGEST):
                continue
            try:
                if not entry.is_dir():
                    continue
            except OSError as error:
                left_out.append(f"{name}: {error.strerror}")
                continue
            if int(name) in found:
                left_out.append(f"{found[int(name)].name}: another folder has the same number")
            found[int(name)] = Path(entry.path)
    return found, left_out


def aspired(policy: Policy, present: Collection[int]) -> set[int]:
    """Return the versions that should be served."""
    if policy.kind == ALL:
        return set(present)
    if policy.kind == LATEST:
        return set(sorted(present, reverse=True)[: policy.count])
    return set(present) & policy.versions


@dataclass(frozen=True)
class Action:
    """Loading or unloading of one version."""

    load: bool
    version: int


def next_action(states: Mapping[int, int], wanted: Collection[int]) -> Action | None:
    """Return what brings a model nearer to its wanted versions while something of it always serves, or None.

    states: START for a version that is yet to be loaded, AVAILABLE for one that serves; others are in
    progress or ended. Availability before memory: an old version is unloaded only when a wanted one serves,
    or none is wanted.
    """
    ready = sorted(version for version, state in states.items() if state == AVAILABLE)
    unwanted = [version for version in ready if version not in wanted]
    if unwanted and (not wanted or len(unwanted) < len(ready) or len(unwanted) > 1):
        return Action(False, unwanted[0])
    new = [version for version, state in states.items() if state == START and version in wanted]
    return Action(True, max(new)) if new else None
