"""What was promoted, rolled back and refused → which version served before, and the best that ever did. Pure.

The pointer is the truth about what serves; this only remembers. When a crash came between writing the one and
the other, `reconciled` takes over what the pointer says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from digits.runtime.errors import StoreError

PROMOTE, ROLLBACK, CANARY = "promote", "rollback", "canary"
UNRECORDED = "unrecorded"  # found in the pointer: the writer died before it could note it here


@dataclass(frozen=True)
class Event:
    """One change of the pointer. accuracy: share in [0, 1] on the images with digest `test_images`."""

    version: int
    action: str
    at: str | None = None
    accuracy: float | None = None
    test_images: str | None = None


@dataclass(frozen=True)
class Refusal:
    """A candidate that lost the comparison with the version in service."""

    version: int
    champion: int
    reasons: tuple[str, ...]
    at: str | None = None


@dataclass(frozen=True)
class History:
    """highest: the highest number ever given. base_path: where servers see the store, None if where it is."""

    highest: int = 0
    base_path: str | None = None
    events: tuple[Event, ...] = ()
    refusals: tuple[Refusal, ...] = ()

    def served(self) -> list[int]:
        """The stable versions as a stack, the one in service last; rolling back takes off the top."""
        stack: list[int] = []
        for event in self.events:
            if event.action in (ROLLBACK, UNRECORDED) and event.version in stack:
                last = len(stack) - 1 - stack[::-1].index(event.version)
                del stack[last + 1 :]
            elif event.action != CANARY:
                stack.append(event.version)
        return stack

    def previous(self) -> int | None:
        """The version that served before the one in service; None when there was none."""
        below = [version for version in self.served()[:-1] if version != self.served()[-1]]
        return below[-1] if below else None

    def promoted(self, version: int) -> bool:
        """Whether it ever was the stable version."""
        return any(event.version == version and event.action != CANARY for event in self.events)

    def best(self, test_images: str) -> tuple[int, float] | None:
        """(version, accuracy) of the best version ever promoted that was tested on these images."""
        scored = [
            (event.accuracy, -event.version)
            for event in self.events
            if event.action in (PROMOTE, UNRECORDED)
            and event.accuracy is not None
            and event.test_images == test_images
        ]
        if not scored:
            return None
        accuracy, version = max(scored)
        return -version, accuracy

    def refused(self, version: int, champion: int) -> Refusal | None:
        """The last refusal of a version against a champion."""
        found = [r for r in self.refusals if (r.version, r.champion) == (version, champion)]
        return found[-1] if found else None

    def with_highest(self, number: int) -> History:
        """With a number that was given."""
        return replace(self, highest=max(self.highest, number))

    def based_at(self, base_path: str | None) -> History:
        """With the folder where servers see the store."""
        return replace(self, base_path=base_path)

    def with_event(self, event: Event) -> History:
        """One more event."""
        return replace(self, events=(*self.events, event))

    def with_refusal(self, refusal: Refusal) -> History:
        """One more refusal; it takes the place of an earlier one of the same pair."""
        pair = (refusal.version, refusal.champion)
        others = tuple(r for r in self.refusals if (r.version, r.champion) != pair)
        return replace(self, refusals=(*others, refusal))


def reconciled(history: History, stable: int | None, unrecorded: Event) -> History:
    """The history with `unrecorded` added when it does not know that `stable` serves."""
    served = history.served()
    if stable is None or (served and served[-1] == stable):
        return history
    return history.with_event(unrecorded)


def to_plain(history: History) -> dict[str, Any]:
    """Plain values, for history.json."""
    return asdict(history)


def from_plain(tree: Any, where: str) -> History:
    """Read what `to_plain` gave. Raises StoreError on anything else, naming `where`."""
    try:
        if not isinstance(tree, Mapping) or not isinstance(tree["highest"], int):
            raise TypeError("it holds no history")
        return History(
            tree["highest"],
            tree["base_path"],
            tuple(Event(**event) for event in tree["events"]),
            tuple(Refusal(**{**r, "reasons": tuple(r["reasons"])}) for r in tree["refusals"]),
        )
    except (KeyError, TypeError) as error:
        raise StoreError(
            f"{where} is damaged ({error}): delete it; numbers then go on after the highest version on disk, "
            "and which versions served before is forgotten"
        ) from None
