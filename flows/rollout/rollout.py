"""Brings an export that passed the gate into service, or says why not. The flow `retrain` calls it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from digits.pipeline.repro import Run
from flows.rollout import canary, outcomes, release
from flows.rollout.canary import PROMOTED, Settlement
from flows.rollout.outcomes import Outcome
from serving.checks.comparison import Comparison
from serving.store import promote
from serving.store.history import Refusal
from serving.store.store import Store


@dataclass(frozen=True)
class Acts:
    """The functions that act on the store. The flow passes Prefect tasks, so that each act is shown."""

    publish: Callable[[Path, Store, str], tuple[int, bool]]
    compare: Callable[[Path, Store, int, int | None], Comparison]
    go_live: Callable[[Store, int, int | None, str], Settlement]


def bring_into_service(root: Path, store: Store, run: Run, acts: Acts, now: Callable[[], str]) -> Outcome:
    """Publish the export if it is new, and promote it if it never served and is no worse.

    A version that served before is left alone: it was rolled back, and a run must not undo that. now: returns
    the time as text. Raises StoreError when the store can't be read or written, or another version was
    promoted meanwhile.
    """
    try:
        number, new = acts.publish(root, store, now())
    except release.NotServable as error:
        return Outcome(outcomes.NOT_FIT, str(error), run)
    canary.end_abandoned_trial(store)
    if decided := without_comparison(root, store, run, number, new, now):
        return decided
    pointer = store.current()
    champion = pointer.stable if pointer else None
    comparison = acts.compare(root, store, number, champion)
    if not comparison.passed:
        if champion is not None:
            promote.refuse(store, Refusal(number, champion, comparison.failed, now()))
        reason = release.refusal(number, champion, comparison.failed)
        return Outcome(outcomes.NOT_BETTER, reason, run, number, new, comparison)
    settlement = acts.go_live(store, number, champion, now())
    if settlement.outcome != PROMOTED:
        return Outcome(outcomes.ROLLED_BACK, "; ".join(settlement.reasons), run, number, new, comparison)
    text = f"{_published(number, new)}, promoted: `digits serve` serves it, and running servers switch to it"
    return Outcome(outcomes.PROMOTED, text, run, number, new, comparison)


def settled(root: Path, store: Store, run: Run, now: Callable[[], str]) -> Outcome | None:
    """The outcome where the export is published already and nothing is left to compare; else None."""
    from serving.store import edge, publish

    if not (root / release.EXPORT).exists():
        return None
    export = publish.read_export(root / release.EXPORT)
    number = publish.find_same(store, export)
    pointer = store.current()
    if number is None or (pointer and pointer.canary is not None):  # a trial may be another run's left-over
        return None
    if (root / release.EDGE).is_dir() and edge.find(store, number) is None:
        return None
    return without_comparison(root, store, run, number, False, now)


def without_comparison(
    root: Path, store: Store, run: Run, number: int, new: bool, now: Callable[[], str]
) -> Outcome | None:
    """The outcome of a version that is not to be compared: it serves, waits, was rolled back or refused."""
    pointer, known = store.current(), store.history()
    champion = pointer.stable if pointer else None
    if pointer and champion == number:
        moved = bool(store.base_path_problem())
        release.promote(root, store, number, at=now())
        text = f"version {number} is in service" + (
            "; the project was moved, so its pointer was updated" if moved else ""
        )
        return Outcome(outcomes.SERVES, text, run, number)
    published = _published(number, new)
    if pointer and pointer.canary is not None:
        trial = "is on trial" if pointer.canary == number else f"waits: version {pointer.canary} is on trial"
        text = f"{published} {trial}; `digits promote {number}` puts it in service"
        return Outcome(outcomes.PUBLISHED, text, run, number, new)
    if known.was_promoted(number):
        text = f"{published} was rolled back earlier: `digits promote {number}` puts it in service again"
        return Outcome(outcomes.PUBLISHED, text, run, number, new)
    earlier = known.last_refusal(number, champion) if champion is not None else None
    if earlier:
        reason = release.refusal(number, champion, earlier.reasons)
        return Outcome(outcomes.NOT_BETTER, reason, run, number)
    return None


def _published(number: int, new: bool) -> str:
    return f"published version {number}" if new else f"version {number}"
