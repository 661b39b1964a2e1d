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
    pointer, known = store.current(), store.history()
    champion = pointer.stable if pointer else None
    if pointer and champion == number:
        moved = bool(store.base_path_problem())
        release.promote(root, store, number, at=now())
        text = f"version {number} is in service" + (
            "; the project was moved, so its pointer was updated" if moved else ""
        )
        return Outcome(outcomes.SERVES, text, run, number)
    published = f"published version {number}" if new else f"version {number}"
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
    comparison = acts.compare(root, store, number, champion)
    if not comparison.passed:
        if champion is not None:
            promote.refuse(store, Refusal(number, champion, comparison.failed, now()))
        reason = release.refusal(number, champion, comparison.failed)
        return Outcome(outcomes.NOT_BETTER, reason, run, number, new)
    settlement = acts.go_live(store, number, champion, now())
    if settlement.outcome != PROMOTED:
        return Outcome(outcomes.ROLLED_BACK, "; ".join(settlement.reasons), run, number, new)
    text = f"{published}, promoted: `digits serve` serves it, and running servers switch to it"
    return Outcome(outcomes.PROMOTED, text, run, number, new)
