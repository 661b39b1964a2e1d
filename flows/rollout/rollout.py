"""Brings an export that passed the gate into service, or says why not; acts and clock are given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from digits.pipeline.repro import Run
from flows.rollout import canary, outcomes, release
from flows.rollout.canary import PROMOTED, Settled
from flows.rollout.outcomes import Outcome
from serving.checks.comparison import Comparison
from serving.store import promote
from serving.store.history import Refusal
from serving.store.store import Store


@dataclass(frozen=True)
class Acts:
    """The functions that act on the store; a flow gives tasks, which show each act."""

    publish: Callable[[Path, Store, str], tuple[int, bool]]
    compare: Callable[[Path, Store, int, int | None], Comparison]
    go_live: Callable[[Store, int, int | None, str], Settled]


def into_service(root: Path, store: Store, run: Run, acts: Acts, now: Callable[[], str]) -> Outcome:
    """Publish the export if it is new, promote it if it never served and is no worse.

    One that served before is left alone: somebody rolled it back, and a run must not undo that.
    now: the time. Raises StoreError when the store can't be read or written, or somebody else promoted.
    """
    try:
        number, new = acts.publish(root, store, now())
    except release.Unfit as error:
        return Outcome(outcomes.NOT_FIT, str(error), run)
    canary.end_own(store)
    pointer, known = store.current(), store.history()
    champion = pointer.stable if pointer else None
    if pointer and champion == number:
        moved = bool(store.moved())
        release.promote(root, store, number, at=now())
        text = f"version {number} serves" + (
            "; the project was moved, so its pointer was written anew" if moved else ""
        )
        return Outcome(outcomes.SERVES, text, run, number)
    published = f"published version {number}" if new else f"version {number}"
    if pointer and pointer.canary is not None:
        trial = "is on trial" if pointer.canary == number else f"waits: version {pointer.canary} is on trial"
        text = f"{published} {trial}; `digits promote {number}` has it serve"
        return Outcome(outcomes.PUBLISHED, text, run, number, new)
    if known.promoted(number):
        text = f"{published} served before and was taken back: `digits promote {number}` has it serve again"
        return Outcome(outcomes.PUBLISHED, text, run, number, new)
    earlier = known.refused(number, champion) if champion is not None else None
    if earlier:
        reason = release.refusal(number, champion, earlier.reasons)
        return Outcome(outcomes.NOT_BETTER, reason, run, number)
    judged = acts.compare(root, store, number, champion)
    if not judged.passed:
        if champion is not None:
            promote.refuse(store, Refusal(number, champion, judged.failed, now()))
        reason = release.refusal(number, champion, judged.failed)
        return Outcome(outcomes.NOT_BETTER, reason, run, number, new)
    settled = acts.go_live(store, number, champion, now())
    if settled.outcome != PROMOTED:
        return Outcome(outcomes.ROLLED_BACK, "; ".join(settled.reasons), run, number, new)
    text = f"{published}, promoted: `digits serve` serves it, running servers take it up"
    return Outcome(outcomes.PROMOTED, text, run, number, new)
