"""The canary: a published version is tried on running servers, beside the one in service.

Ordinary clients ask `digits`, which stays the stable version until the pointer moves; the candidate answers
as `digits_canary`. All of it goes through the pointer file and the status API. A process that is killed on
the way leaves at worst a trial that nobody sees: `recover`, and with it the next `try_live`, ends it.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from digits import files, wire
from digits.runtime.errors import DigitsError, ServingError, StoreError
from flows.rollout import replicas as servers
from flows.rollout import requests
from flows.rollout.analysis import Answer, Asked, Rules, Trial, judge
from flows.rollout.replicas import LoadFailed, NotFollowed, Server
from flows.rollout.requests import Kind, Samples
from serving.store import promote
from serving.store.history import Refusal
from serving.store.store import Store

TIMEOUT = 120.0  # seconds until all replicas have loaded a version: a poll of the pointer, loading, warm-up
SERVES = 10.0  # seconds for what should be so already
ASKING = 20.0  # seconds for the requests of one kind on one server
LOOKING = 60.0  # seconds after which a slow candidate is not looked at again
LOOKS = 3  # at a candidate that is only slow: a busy machine has slow moments, a slow model nothing else
PAUSE = 0.5  # seconds between rounds of golden requests after a promotion
ENDED = "the trial of version {} was ended by someone else"
RETRIES = 3  # of a promoted version, whose failures count only if they last


def try_live(
    store: Store,
    number: int,
    replicas: Sequence[Server],
    *,
    samples: Samples = (),
    rules: Rules | None = None,
    timeout: float = TIMEOUT,
    at: str | None = None,
    alive: Callable[[], None] | None = None,
) -> Trial:
    """Put a version on trial and judge it on every replica; the trial goes on until `settle` ends it.

    samples: logged requests. timeout: seconds for the replicas to load it. alive: called while waiting; what
    it raises ends the trial. An earlier trial is ended first. Without replicas, or when nothing serves yet,
    it passes untried. Raises StoreError when the version can't be pointed at, DataError for an unreadable
    sample.
    """
    recover(store, replicas)
    pointer = store.current()
    if pointer is None or not replicas:
        return Trial(True)
    kinds = (*requests.golden(store.intact(number).path), *requests.logged(samples))
    earlier = servers.failures(replicas, wire.CANARY, number)
    try:
        with _ended_by_an_error(store, number):
            servers.wait_for(replicas, wire.MODEL, pointer.stable, SERVES, alive=alive)
            promote.promote(store, number, pointer.stable, canary=True, at=at)
            servers.wait_for(replicas, wire.CANARY, number, timeout, alive=alive, earlier=earlier)
            servers.wait_for(replicas, wire.MODEL, pointer.stable, SERVES, alive=alive)
            end = time.monotonic() + LOOKING
            for _ in range(LOOKS):
                trial = _judged(replicas, kinds, rules)
                if not trial.slow or time.monotonic() > end:
                    break
    except LoadFailed as error:
        return Trial(False, (str(error),))
    except NotFollowed as error:
        return Trial(False, (str(error),), at_fault=error.loading)
    if not _on_trial(store, number):  # its failures would be held against it
        return Trial(False, (ENDED.format(number),), at_fault=False)
    return trial


def settle(
    store: Store,
    number: int,
    trial: Trial,
    champion: int | None,
    at: str | None = None,
    *,
    replicas: Sequence[Server] = (),
    timeout: float = TIMEOUT,
    alive: Callable[[], None] | None = None,
) -> Settled:
    """Have a version that passed serve, and wait until every replica serves it alone; else withdraw it.

    champion: the version it was judged against, None for none; when another one serves by now, or another run
    ended the trial, it is withdrawn. One that a replica does not take up is rolled back. A candidate that is
    itself at fault is remembered as refused.
    """
    if not trial.passed:
        reasons = trial.reasons + withdraw(store, number, replicas)
        if trial.at_fault and champion is not None:
            promote.refuse(store, Refusal(number, champion, trial.reasons, at))
        return Settled(WITHDRAWN, reasons)
    if trial.golden and not _on_trial(store, number):
        return Settled(WITHDRAWN, (ENDED.format(number),))
    try:
        promote.promote(store, number, champion, at=at)
    except StoreError as error:
        return Settled(WITHDRAWN, (str(error), *withdraw(store, number, replicas)))
    try:
        servers.wait_for(replicas, wire.MODEL, number, timeout, alive=alive)
    except (LoadFailed, NotFollowed) as error:
        at_fault = isinstance(error, LoadFailed) or error.loading
        failed = Trial(False, (str(error),), at_fault=at_fault)
        return roll_back(store, number, failed, at, replicas, timeout)
    return Settled(PROMOTED, left(replicas))


def recover(store: Store, replicas: Sequence[Server] = ()) -> int | None:
    """End a trial that nobody will settle: the version that was on trial, None when there was none."""
    pointer = store.current()
    if pointer is None or pointer.canary is None:
        return None
    withdraw(store, pointer.canary, replicas)
    return pointer.canary


def watch(
    store: Store,
    number: int,
    replicas: Sequence[Server],
    seconds: float,
    *,
    golden: Sequence[int] = (),
    rules: Rules | None = None,
    at: str | None = None,
    timeout: float = TIMEOUT,
) -> Trial:
    """Ask a promoted version its golden requests for so many seconds, at least once; roll back if it errs.

    golden: what it read in them while on trial (Trial.golden), else only failures and odd probabilities
    count. One failure counts when the client's retries do not heal it. Raises StoreError when another version
    serves.
    """
    end = time.monotonic() + seconds
    (batches, *_) = requests.golden(store.intact(number).path)
    while True:
        pointer = store.current()
        if pointer is None or pointer.stable != number:
            raise StoreError(f"version {number} does not serve by now: `digits status` says what does")
        asked = [_again(server, batches, golden) for server in replicas]
        trial = judge(asked, rules) if asked else Trial(True)
        if not trial.passed:
            settled = roll_back(store, number, trial, at, replicas, timeout)
            return replace(trial, reasons=settled.reasons)
        if time.monotonic() >= end or not asked:
            return trial
        time.sleep(PAUSE)


def _judged(replicas: Sequence[Server], kinds: Sequence[Kind], rules: Rules | None) -> Trial:
    """Ask both versions on every replica, and judge."""
    asked = [
        replace(kind, name=f"{kind.name} on {server}" if len(replicas) > 1 else kind.name)
        for server in replicas
        for kind in requests.ask(server, wire.MODEL, wire.CANARY, kinds, ASKING)
    ]
    golden = tuple(int(digit) for answer in asked[0].candidate for digit in answer.digits)
    return replace(judge(asked, rules), golden=golden)


def _again(server: Server, batches: Kind, golden: Sequence[int]) -> Asked:
    """What a server's stable version answers now, beside what is known of it."""
    with server.client(wire.MODEL, requests.DEADLINE, RETRIES) as client:
        now = [requests.answer(client, request)[0] for request in batches.requests]
    known, at = [], 0
    for request, answer in zip(batches.requests, now, strict=True):
        part = np.asarray(golden[at : at + len(request)], np.int64) if golden else answer.digits
        known.append(Answer(part, np.zeros((0, 10)), answer.seconds))
        at += len(request)
    return Asked(f"{batches.name} on {server}", known, now, beside="itself on trial")


def _on_trial(store: Store, number: int) -> bool:
    pointer = store.current()
    return pointer is not None and pointer.canary == number


@contextlib.contextmanager
def _ended_by_an_error(store: Store, number: int) -> Iterator[None]:
    """End the trial when what it is for can't go on: an interrupt, a full disk."""
    try:
        yield
    except (LoadFailed, NotFollowed):
        raise  # a judgement, which `settle` carries out
    except BaseException:
        with contextlib.suppress(DigitsError):
            point_away(store, number)
        raise


PROMOTED, WITHDRAWN, ROLLED_BACK = "promoted", "withdrawn", "rolled back"
GONE = 30.0  # seconds for a model to leave the servers: its requests in flight end first


@dataclass(frozen=True)
class Settled:
    """How a trial ended: promoted, withdrawn or rolled back.

    reasons: why it was not promoted; of a promoted one what a person should know, as a server that lags.
    """

    outcome: str
    reasons: tuple[str, ...] = ()


def point_away(store: Store, number: int) -> None:
    """Take a candidate off the pointer if it is on trial; clients of the stable version notice nothing."""
    pointer = store.current()
    if pointer is not None and pointer.canary == number:
        promote.withdraw(store)


def withdraw(store: Store, number: int, replicas: Sequence[Server]) -> tuple[str, ...]:
    """End a candidate's trial and wait until it has left the servers; where it has not, in words."""
    point_away(store, number)
    return left(replicas)


def left(replicas: Sequence[Server]) -> tuple[str, ...]:
    """Wait until no server has a version on trial; where one still has, in words."""
    return _waited(replicas, wire.CANARY, None, GONE)


def roll_back(
    store: Store, number: int, failed: Trial, at: str | None, replicas: Sequence[Server], timeout: float
) -> Settled:
    """Bring back the version that served before `number`, and wait until every replica serves it.

    It is remembered as refused if the trial says that it is itself at fault. With none to go back to it stays
    promoted.
    """
    try:
        pointer = promote.rollback(store, expected_champion=number, at=at)
    except StoreError as error:
        return Settled(PROMOTED, (*failed.reasons, f"it was not rolled back: {error}"))
    if failed.at_fault:
        promote.refuse(store, Refusal(number, pointer.stable, failed.reasons, at))
    lagging = _waited(replicas, wire.MODEL, pointer.stable, timeout)
    return Settled(ROLLED_BACK, (*failed.reasons, *lagging))


def _waited(replicas: Sequence[Server], model: str, version: int | None, timeout: float) -> tuple[str, ...]:
    try:
        servers.wait_for(replicas, model, version, timeout)
    except ServingError as error:
        return (str(error),)
    return ()


WATCH = 5.0  # seconds for which a promoted version is asked its golden requests


def go_live(store: Store, number: int, champion: int | None, at: str) -> Settled:
    """Try a version on the servers of this store, then promote or withdraw it. at: the time.

    Without a server that runs it is promoted untried: one has answered for it when it was published.
    Raises StoreError when it can't be pointed at.
    """
    replicas = servers.running(store)
    own = _own(store)
    if replicas and champion is not None:
        files.write_text(own, f"{number}\n")
    trial = try_live(store, number, replicas, at=at)
    settled = settle(store, number, trial, champion, at, replicas=replicas)
    own.unlink(missing_ok=True)
    if settled.outcome != PROMOTED or not replicas:
        return settled
    watched = watch(store, number, replicas, WATCH, golden=trial.golden, at=at)
    return settled if watched.passed else Settled(ROLLED_BACK, watched.reasons)


def end_own(store: Store) -> None:
    """End the trial that a killed run left behind; one that a person began goes on."""
    own = _own(store)
    pointer = store.current()
    if own.exists() and pointer and str(pointer.canary) == own.read_text(encoding="utf-8").strip():
        recover(store, servers.running(store))
    own.unlink(missing_ok=True)


def _own(store: Store) -> Path:
    """Names the version that a retraining has on trial."""
    return store.root / "trial-of-a-run"
