"""Changes which version is in service: promotes, puts on trial, rolls back. Only the pointer is replaced.

The caller says which version the candidate was judged against; if another one is in service now, nothing is
written (compare and swap). Times are text for a person; None leaves them out.
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
    """Put a version in service, or with `canary` on trial beside the stable one.

    expected_champion: the stable version that it was judged against, None for none; StoreError if another one
    is in service now. base_path: the folder of the versions as servers see it, if that differs from the path
    here (a container); it is kept until another one is given.
    """
    with store.alone():
        chosen, pointer = store.intact(number), store.current()
        champion = pointer.stable if pointer else None
        if champion != expected_champion:
            raise StoreError(
                f"version {number} was judged against {_name(expected_champion)}, but now {_name(champion)} "
                f"is in service: run `digits promote {number}` again to judge it against that"
            )
        known = store.history()
        if base_path is not None:
            known = known.with_base_path(None if base_path == str(store.folder) else base_path)
        event = Event(number, history.PROMOTE, at, chosen.accuracy, chosen.test_images)
        if not canary:
            return _point(store, known, number, None, event)
        if champion is None or champion == number:
            why = "nothing is in service yet" if champion is None else "it is the stable version already"
            raise StoreError(f"version {number} can't be put on trial, {why}: promote it without --canary")
        trial = Event(number, history.CANARY, at, chosen.accuracy, chosen.test_images)
        return _point(store, known, champion, number, trial)


def rollback(
    store: Store, to: int | None = None, *, expected_champion: int | None = None, at: str | None = None
) -> Pointer:
    """Go back to the version that served before, or to any published one; no comparison is made.

    This ends a trial, since its candidate was judged against the version that goes. expected_champion: if
    given, StoreError when another one is in service now, so that of two rollbacks at once only one goes back.
    """
    with store.alone():
        pointer, known = store.current(), store.history()
        if pointer is None:
            raise StoreError("nothing is in service, so there is nothing to roll back: run `digits promote`")
        if expected_champion is not None and pointer.stable != expected_champion:
            raise StoreError(
                f"version {pointer.stable} is in service now, not {expected_champion}: see `digits status`, "
                "then roll back again if you still want to"
            )
        number = store.previous() if to is None else to
        if number is None:
            gone = ", ".join(map(str, known.earlier()))
            lost = f" and is still published ({gone} did)" if gone else ""
            why = f"no version served before version {pointer.stable}{lost}"
            raise StoreError(f"{why}; {store.summary()}: name one of them")
        if number == pointer.stable and pointer.base_path == store.base_path(known):
            raise StoreError(f"version {number} is in service already; {store.summary()}")
        chosen = store.intact(number)
        event = Event(number, history.ROLLBACK, at, chosen.accuracy, chosen.test_images)
        return _point(store, known, number, None, event)


def withdraw(store: Store) -> Pointer:
    """End the trial: the canary goes, the stable version stays. Raises StoreError if there is no trial."""
    with store.alone():
        pointer = store.current()
        if pointer is None or pointer.canary is None:
            raise StoreError("no version is on trial: `digits status` shows what is in service")
        return _point(store, store.history(), pointer.stable, None, None)


def refuse(store: Store, refusal: Refusal) -> None:
    """Record that a candidate lost against the version in service."""
    with store.alone():
        store.write_history(store.history().with_refusal(refusal))


def _point(store: Store, known: History, stable: int, canary: int | None, event: Event | None) -> Pointer:
    """Write the pointer; if it says so already, only the record."""
    pointer = Pointer(store.base_path(known), stable, canary)
    if pointer == store.current():
        store.write_history(known)
    else:
        store.write_pointer(pointer, known.with_event(event) if event else known)
    return pointer


def _name(number: int | None) -> str:
    return "nothing" if number is None else f"version {number}"
