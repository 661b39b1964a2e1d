"""Records what was promoted, rolled back and refused. The store keeps it in history.json.

From it follow the version that served before, and the best one ever promoted. Which version serves now, the
pointer alone decides; if a crash came between writing the two files, `reconcile` adds what the pointer says.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from digits.runtime.errors import StoreError

PROMOTE, ROLLBACK, CANARY = "promote", "rollback", "canary"
LARGEST = 2**53  # of version numbers: up to this every reader of JSON keeps them exact
UNRECORDED = "unrecorded"  # taken from the pointer: the writer died before it could record it here


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
    """The record. highest: the highest number ever given to a version.

    base_path: the folder of the versions as servers see it; None if it is the store's own path.
    """

    highest: int = 0
    base_path: str | None = None
    events: tuple[Event, ...] = ()
    refusals: tuple[Refusal, ...] = ()

    def serving_stack(self) -> list[int]:
        """The stable versions as a stack, the one in service last; a rollback removes the top."""
        stack: list[int] = []
        for event in self.events:
            if event.action in (ROLLBACK, UNRECORDED) and event.version in stack:
                last = len(stack) - 1 - stack[::-1].index(event.version)
                del stack[last + 1 :]
            elif event.action != CANARY:
                stack.append(event.version)
        return stack

    def earlier(self) -> list[int]:
        """The versions that served before the one in service, the last of them first."""
        stack = self.serving_stack()[::-1]
        return list(dict.fromkeys(version for version in stack if version != stack[0]))

    def previous(self, published: Container[int] | None = None) -> int | None:
        """The last version that served before the one in service, of those that are still published if they
        are given; None for none.
        """
        return next((each for each in self.earlier() if published is None or each in published), None)

    def was_promoted(self, version: int) -> bool:
        """Whether a version ever was the stable one."""
        return any(event.version == version and event.action != CANARY for event in self.events)

    def best(self, test_images: str) -> tuple[int, float] | None:
        """Version and accuracy of the best one ever promoted that was tested on these images. A digest."""
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

    def last_refusal(self, version: int, champion: int) -> Refusal | None:
        """The last refusal of a version against a champion."""
        matches = [r for r in self.refusals if (r.version, r.champion) == (version, champion)]
        return matches[-1] if matches else None

    def with_highest(self, number: int) -> History:
        """A copy in which the number is taken."""
        return replace(self, highest=max(self.highest, number))

    def with_base_path(self, base_path: str | None) -> History:
        """A copy with the folder of the versions as servers see it."""
        return replace(self, base_path=base_path)

    def with_event(self, event: Event) -> History:
        """A copy with one more event."""
        return replace(self, events=(*self.events, event))

    def with_refusal(self, refusal: Refusal) -> History:
        """A copy with one more refusal, which replaces an earlier one of the same pair."""
        pair = (refusal.version, refusal.champion)
        others = tuple(r for r in self.refusals if (r.version, r.champion) != pair)
        return replace(self, refusals=(*others, refusal))


def reconcile(history: History, stable: int | None, unrecorded: Event) -> History:
    """The history, with the event `unrecorded` added if its last stable version is not `stable`."""
    served = history.serving_stack()
    if stable is None or (served and served[-1] == stable):
        return history
    return history.with_event(unrecorded)


def to_plain(history: History) -> dict[str, Any]:
    """Plain values, for history.json."""
    return asdict(history)


def from_plain(tree: Any, where: str) -> History:
    """Read the result of `to_plain`. Raises StoreError on anything else; `where` names the file."""
    try:
        if not isinstance(tree, Mapping):
            raise TypeError("it is not a history")
        found = History(
            tree["highest"],
            tree["base_path"],
            tuple(Event(**event) for event in tree["events"]),
            tuple(Refusal(**{**r, "reasons": tuple(r["reasons"])}) for r in tree["refusals"]),
        )
        _check(found)
        return found
    except (KeyError, TypeError) as error:
        raise StoreError(
            f"{where} is damaged ({error}): delete it; numbers then continue after the highest version on "
            "disk, and the record of earlier versions in service is lost"
        ) from None


def _check(found: History) -> None:
    """Check the types of all values, and the bounds of numbers. Raises TypeError."""
    numbers = [("highest", found.highest, 0)]
    texts: list[tuple[str, object]] = [("base_path", found.base_path)]
    for event in found.events:
        numbers.append(("version", event.version, 1))
        texts += [("at", event.at), ("test_images", event.test_images)]
        if event.action not in (PROMOTE, ROLLBACK, CANARY, UNRECORDED):
            raise TypeError(f"action is {event.action!r:.40}")
        share = event.accuracy
        if share is not None and not (type(share) in (int, float) and 0 <= share <= 1):
            raise TypeError(f"accuracy is {share!r:.40}")
    for refusal in found.refusals:
        numbers += [("version", refusal.version, 1), ("champion", refusal.champion, 1)]
        texts.append(("at", refusal.at))
        if not all(isinstance(reason, str) for reason in refusal.reasons):
            raise TypeError("a reason is no text")
    for name, number, least in numbers:
        if type(number) is not int or not least <= number <= LARGEST:
            raise TypeError(f"{name} is {number!r:.40}")
    for name, text in texts:
        if text is not None and not isinstance(text, str):
            raise TypeError(f"{name} is {text!r:.40}")
