"""A base path → the versions in it; a policy → those that should serve; states → the next thing to do."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from serving.model_server.models.config import ALL, LATEST, Policy

START, LOADING, AVAILABLE, UNLOADING, END = 10, 20, 30, 40, 50
STATES = {START: "START", LOADING: "LOADING", AVAILABLE: "AVAILABLE", UNLOADING: "UNLOADING", END: "END"}
_LARGEST = 2**63 - 1


def on_disk(base: str) -> tuple[dict[int, Path], list[str]]:
    """Number → folder; names that are no number are passed over. Raises OSError for a missing base.

    The list has the names that another folder of the same number goes before: 007 goes for 7.
    """
    found: dict[int, Path] = {}
    hidden: list[str] = []
    with os.scandir(base) as entries:
        for entry in sorted(entries, key=lambda each: each.name):
            name = entry.name
            if name.isascii() and name.isdecimal() and int(name) <= _LARGEST and entry.is_dir():
                if int(name) in found:
                    hidden.append(found[int(name)].name)
                found[int(name)] = Path(entry.path)
    return found, hidden


def aspired(policy: Policy, present: Collection[int]) -> set[int]:
    """The versions that should serve."""
    if policy.kind == ALL:
        return set(present)
    if policy.kind == LATEST:
        return set(sorted(present, reverse=True)[: policy.count])
    return set(present) & policy.versions


@dataclass(frozen=True)
class Action:
    """Load or unload one version."""

    load: bool
    version: int


def next_action(states: Mapping[int, int], wanted: Collection[int]) -> Action | None:
    """What brings a model nearer to its wanted versions while something of it always serves; None: nothing.

    states: START for a version that is yet to be loaded, AVAILABLE for one that serves; others are at work or
    done with. Availability before memory: an old version goes only when a wanted one serves, or none is
    wanted.
    """
    ready = sorted(version for version, state in states.items() if state == AVAILABLE)
    unwanted = [version for version in ready if version not in wanted]
    if unwanted and (not wanted or len(unwanted) < len(ready) or len(unwanted) > 1):
        return Action(False, unwanted[0])
    new = [version for version, state in states.items() if state == START and version in wanted]
    return Action(True, max(new)) if new else None
