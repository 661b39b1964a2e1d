"""Which version serves: promote, try as a canary, roll back. Each replaces the one pointer, and nothing else.

Whoever promotes says which version the candidate was judged against; when another one serves by now, nothing
is written (compare and swap). Times are text for a person; None leaves them out.
"""

from __future__ import annotations

from digits.runtime.errors import StoreError
from serving.store import history
from serving.store.history import Event, History, Refusal
from serving.store.pointer import Pointer
from serving.store.store import Store


def promote(
    store: Store,
    number: int,
    expected_champion: int | None,
    *,
    canary: bool = False,
    base_path: str | None = None,
    at: str | None = None,
) -> Pointer:
    """Have servers serve a version, or with `canary` try it beside the stable one.

    expected_champion: the stable version that it was judged against, None for none; StoreError when another
    one serves by now. base_path: the folder of the versions as servers see it, when that is not where it is
    here (a container); it is remembered until another one is given.
    """
    with store.alone():
        chosen, pointer = store.intact(number), store.current()
        champion = pointer.stable if pointer else None
        if champion != expected_champion:
            raise StoreError(
                f"version {number} was judged against {_named(expected_champion)}, but by now "
                f"{_named(champion)} serves: run `digits promote {number}` again to judge it against that"
            )
        known = store.history()
        if base_path is not None:
            known = known.based_at(None if base_path == str(store.folder) else base_path)
        event = Event(number, history.PROMOTE, at, chosen.accuracy, chosen.test_images)
        if not canary:
            return _point(store, known, number, None, event)
        if champion is None or champion == number:
            why = "nothing serves beside it yet" if champion is None else "it is the stable version already"
            raise StoreError(f"version {number} can't be on trial, {why}: promote it without --canary")
        trial = Event(number, history.CANARY, at, chosen.accuracy, chosen.test_images)
        return _point(store, known, champion, number, trial)


def rollback(
    store: Store, to: int | None = None, *, expected_champion: int | None = None, at: str | None = None
) -> Pointer:
    """Go back to the version that served before, or to any published one; no comparison is made.

    A trial ends with it, since its candidate was judged against the version that leaves. expected_champion:
    when given, StoreError if another one serves by now: of two rollbacks at once only one goes back.
    """
    with store.alone():
        pointer, known = store.current(), store.history()
        if pointer is None:
            raise StoreError("nothing serves, so there is nothing to go back from: run `digits promote`")
        if expected_champion is not None and pointer.stable != expected_champion:
            raise StoreError(
                f"version {pointer.stable} serves by now, not {expected_champion}: look at `digits status`, "
                "then roll back again if that is still wanted"
            )
        number = known.previous() if to is None else to
        if number is None:
            raise StoreError(
                f"no version served before version {pointer.stable}; {store.published()}: name one of them"
            )
        if number == pointer.stable and pointer.base_path == store.base_path(known):
            raise StoreError(f"version {number} serves already; {store.published()}")
        chosen = store.intact(number)
        event = Event(number, history.ROLLBACK, at, chosen.accuracy, chosen.test_images)
        return _point(store, known, number, None, event)


def withdraw(store: Store) -> Pointer:
    """End the trial: the canary goes, the stable version stays. Raises StoreError when none is on trial."""
    with store.alone():
        pointer = store.current()
        if pointer is None or pointer.canary is None:
            raise StoreError("no version is on trial: `digits status` says what serves")
        return _point(store, store.history(), pointer.stable, None, None)


def refuse(store: Store, refusal: Refusal) -> None:
    """Remember that a candidate lost against the version in service."""
    with store.alone():
        store.write_history(store.history().with_refusal(refusal))


def _point(store: Store, known: History, stable: int, canary: int | None, event: Event | None) -> Pointer:
    """Write the pointer; when it says so already, only what the record lacks."""
    pointer = Pointer(store.base_path(known), stable, canary)
    if pointer == store.current():
        store.write_history(known)
    else:
        store.write_pointer(pointer, known.with_event(event) if event else known)
    return pointer


def _named(number: int | None) -> str:
    return "nothing" if number is None else f"version {number}"
