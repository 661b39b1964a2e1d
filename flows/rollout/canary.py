"""The canary: tries a published version on running servers, beside the one in service.

The flow's task `canary` calls `go_live`. Ordinary clients ask the model `digits`, which stays the stable
version until the pointer moves; the candidate answers as `digits_canary`. All of it goes through the pointer
file and the status API. A process that is killed in between leaves at worst a trial that no client sees:
`recover`, and with it the next `try_live`, ends it.
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
from flows.rollout import replicas, requests
from flows.rollout.analysis import Answer, Responses, Rules, Trial, judge
from flows.rollout.replicas import LoadFailed, NotUpdated, Server
from flows.rollout.requests import Kind, Samples
from serving.store import promote
from serving.store.history import Refusal
from serving.store.store import Store

TIMEOUT = 120.0  # seconds until all servers have loaded a version: a poll of the pointer, loading, warm-up
SETTLE_TIME = 10.0  # seconds for a state that should already have been reached
REQUEST_TIME = 20.0  # seconds for the requests of one kind on one server
RETRY_TIME = 60.0  # seconds after which a slow candidate is not tried again
TRIES = 3  # of a candidate that is only slow: a busy machine is slow at times, a slow model always
PAUSE = 0.5  # seconds between rounds of golden requests after a promotion
ENDED_MEANWHILE = "the trial of version {} was ended by another command"
RETRIES = 3  # for requests to a promoted version, whose failures count only if they last


def try_live(
    store: Store,
    number: int,
    servers: Sequence[Server],
    *,
    samples: Samples = (),
    rules: Rules | None = None,
    timeout: float = TIMEOUT,
    at: str | None = None,
    alive: Callable[[], None] | None = None,
) -> Trial:
    """Put a version on trial and judge it on every server; the trial goes on until `settle` ends it.

    samples: logged requests. timeout: seconds for the servers to load it. at: the time, as text. alive:
    called while waiting; an exception from it ends the trial. An earlier trial is ended first. Without
    servers, or when nothing is in service yet, the version passes untried. Raises StoreError when it can't be
    put on trial, DataError for an unreadable sample.
    """
    recover(store, servers)
    pointer = store.current()
    if pointer is None or not servers:
        return Trial(True)
    chosen = store.intact(number)
    lines = chosen.lines and store.version(pointer.stable).lines  # one made before there were lines has none
    kinds = (*requests.from_warmup(chosen.path, lines=lines), *requests.from_log(samples))
    earlier = replicas.failures(servers, wire.CANARY, number)
    try:
        with _ended_by_an_error(store, number):
            replicas.wait_for(servers, wire.MODEL, pointer.stable, SETTLE_TIME, alive=alive)
            promote.promote(store, number, pointer.stable, canary=True, at=at)
            replicas.wait_for(servers, wire.CANARY, number, timeout, alive=alive, earlier=earlier)
            replicas.wait_for(servers, wire.MODEL, pointer.stable, SETTLE_TIME, alive=alive)
            end = time.monotonic() + RETRY_TIME
            for _ in range(TRIES):
                trial = _judge(servers, kinds, rules)
                if not trial.slow or time.monotonic() > end:
                    break
    except LoadFailed as error:
        return Trial(False, (str(error),))
    except NotUpdated as error:
        return Trial(False, (str(error),), at_fault=error.loading)
    if not _on_trial(store, number):  # its failures would be taken for the candidate's fault
        return Trial(False, (ENDED_MEANWHILE.format(number),), at_fault=False)
    return trial


def settle(
    store: Store,
    number: int,
    trial: Trial,
    champion: int | None,
    at: str | None = None,
    *,
    servers: Sequence[Server] = (),
    timeout: float = TIMEOUT,
    alive: Callable[[], None] | None = None,
) -> Settlement:
    """Promote a version that passed and wait until every server serves it alone; otherwise withdraw it.

    champion: the version it was judged against, None for none; if another one is in service now, or another
    command ended the trial, the version is withdrawn. If a server does not switch to it, it is rolled back. A
    candidate that is itself at fault is recorded as refused.
    """
    if not trial.passed:
        reasons = trial.reasons + withdraw(store, number, servers)
        if trial.at_fault and champion is not None:
            promote.refuse(store, Refusal(number, champion, trial.reasons, at))
        return Settlement(WITHDRAWN, reasons)
    if trial.golden and not _on_trial(store, number):
        return Settlement(WITHDRAWN, (ENDED_MEANWHILE.format(number),))
    try:
        promote.promote(store, number, champion, at=at)
    except StoreError as error:
        return Settlement(WITHDRAWN, (str(error), *withdraw(store, number, servers)))
    try:
        replicas.wait_for(servers, wire.MODEL, number, timeout, alive=alive)
    except (LoadFailed, NotUpdated) as error:
        at_fault = isinstance(error, LoadFailed) or error.loading
        failed = Trial(False, (str(error),), at_fault=at_fault)
        return roll_back(store, number, failed, at, servers, timeout)
    return Settlement(PROMOTED, wait_until_gone(servers))


def recover(store: Store, servers: Sequence[Server] = ()) -> int | None:
    """End an abandoned trial; return the version that was on trial, None if there was none."""
    pointer = store.current()
    if pointer is None or pointer.canary is None:
        return None
    withdraw(store, pointer.canary, servers)
    return pointer.canary


def watch(
    store: Store,
    number: int,
    servers: Sequence[Server],
    seconds: float,
    *,
    golden: Sequence[int] = (),
    rules: Rules | None = None,
    at: str | None = None,
    timeout: float = TIMEOUT,
) -> Trial:
    """Send a promoted version its golden requests for `seconds`, at least once; roll back if it fails.

    golden: what it read in them while on trial (Trial.golden); without, and in lines, only failures and
    invalid probabilities count. A failure counts if the client's retries fail too. Raises StoreError when
    another version is in service.
    """
    end = time.monotonic() + seconds
    chosen = store.intact(number)
    (batches, *others) = requests.from_warmup(chosen.path, lines=chosen.lines)
    lines = [replace(kind, requests=kind.requests[-1:]) for kind in others if kind.lines]
    while True:
        pointer = store.current()
        if pointer is None or pointer.stable != number:
            raise StoreError(f"version {number} is no longer in service: `digits status` shows which is")
        responses = [_ask_again(server, batches, golden) for server in servers]
        responses += [_ask_again(server, kind, ()) for server in servers for kind in lines]
        trial = judge(responses, rules) if responses else Trial(True)
        if not trial.passed:
            settlement = roll_back(store, number, trial, at, servers, timeout)
            return replace(trial, reasons=settlement.reasons)
        if time.monotonic() >= end or not responses:
            return trial
        time.sleep(PAUSE)


def _judge(servers: Sequence[Server], kinds: Sequence[Kind], rules: Rules | None) -> Trial:
    """Ask both versions on every server, and judge."""
    responses = [
        replace(kind, name=f"{kind.name} on {server}" if len(servers) > 1 else kind.name)
        for server in servers
        for kind in requests.ask(server, wire.MODEL, wire.CANARY, kinds, REQUEST_TIME)
    ]
    golden = tuple(int(digit) for answer in responses[0].candidate for digit in answer.digits)
    return replace(judge(responses, rules), golden=golden)


def _ask_again(server: Server, batches: Kind, golden: Sequence[int]) -> Responses:
    """What a server's stable version answers now, beside what it answered while on trial."""
    with server.client(wire.MODEL, requests.DEADLINE, RETRIES) as client:
        now = [requests.answer(client, request)[0] for request in batches.requests]
    known, at = [], 0
    for request, answer in zip(batches.requests, now, strict=True):
        part = np.asarray(golden[at : at + len(request)], np.int64) if golden else answer.digits
        known.append(Answer(part, np.zeros((0, 10)), answer.seconds))
        at += len(request)
    name = f"{batches.name} on {server}"
    return Responses(name, known, now, lines=batches.lines, beside="itself on trial")


def _on_trial(store: Store, number: int) -> bool:
    pointer = store.current()
    return pointer is not None and pointer.canary == number


@contextlib.contextmanager
def _ended_by_an_error(store: Store, number: int) -> Iterator[None]:
    """End the trial when an error or an interrupt stops it."""
    try:
        yield
    except (LoadFailed, NotUpdated):
        raise  # a verdict, which `settle` carries out
    except BaseException:
        with contextlib.suppress(DigitsError):
            clear_canary(store, number)
        raise


PROMOTED, WITHDRAWN, ROLLED_BACK = "promoted", "withdrawn", "rolled back"
LEAVE_TIMEOUT = 30.0  # seconds for a model to leave the servers: its requests in flight end first


@dataclass(frozen=True)
class Settlement:
    """The end of a trial. outcome: PROMOTED, WITHDRAWN or ROLLED_BACK.

    reasons: why the version was not promoted; of a promoted one, warnings, such as a server that lags behind.
    """

    outcome: str
    reasons: tuple[str, ...] = ()


def clear_canary(store: Store, number: int) -> None:
    """Remove a candidate from the pointer if it is on trial; clients of the stable version notice nothing."""
    pointer = store.current()
    if pointer is not None and pointer.canary == number:
        promote.withdraw(store)


def withdraw(store: Store, number: int, servers: Sequence[Server]) -> tuple[str, ...]:
    """End a candidate's trial and wait until it has left the servers; return a line if one still has it."""
    clear_canary(store, number)
    return wait_until_gone(servers)


def wait_until_gone(servers: Sequence[Server]) -> tuple[str, ...]:
    """Wait until no server has a version on trial; return a line if one still has."""
    return _wait(servers, wire.CANARY, None, LEAVE_TIMEOUT)


def roll_back(
    store: Store, number: int, failed: Trial, at: str | None, servers: Sequence[Server], timeout: float
) -> Settlement:
    """Go back to the version that served before `number`, and wait until every server serves it.

    `number` is recorded as refused if the trial says that it is itself at fault. With no version to go back
    to it stays promoted.
    """
    try:
        pointer = promote.rollback(store, expected_champion=number, at=at)
    except StoreError as error:
        return Settlement(PROMOTED, (*failed.reasons, f"it was not rolled back: {error}"))
    if failed.at_fault:
        promote.refuse(store, Refusal(number, pointer.stable, failed.reasons, at))
    lagging = _wait(servers, wire.MODEL, pointer.stable, timeout)
    return Settlement(ROLLED_BACK, (*failed.reasons, *lagging))


def _wait(servers: Sequence[Server], model: str, version: int | None, timeout: float) -> tuple[str, ...]:
    try:
        replicas.wait_for(servers, model, version, timeout)
    except ServingError as error:
        return (str(error),)
    return ()


WATCH_TIME = 5.0  # seconds for which a promoted version is sent its golden requests


def go_live(store: Store, number: int, champion: int | None, at: str) -> Settlement:
    """Try a version on the running servers of this store, then promote or withdraw it. at: the time, as text.

    Without a running server it is promoted untried: a server answered correctly when it was published.
    Raises StoreError when it can't be promoted.
    """
    servers = replicas.find_running(store)
    own = _own(store)
    if servers and champion is not None:
        files.write_text(own, f"{number}\n")
    trial = try_live(store, number, servers, at=at)
    settlement = settle(store, number, trial, champion, at, servers=servers)
    own.unlink(missing_ok=True)
    if settlement.outcome != PROMOTED or not servers:
        return settlement
    after = watch(store, number, servers, WATCH_TIME, golden=trial.golden, at=at)
    return settlement if after.passed else Settlement(ROLLED_BACK, after.reasons)


def end_abandoned_trial(store: Store) -> None:
    """End the trial that a killed run left behind; one that a person started goes on."""
    own = _own(store)
    pointer = store.current()
    if own.exists() and pointer and str(pointer.canary) == own.read_text(encoding="utf-8").strip():
        recover(store, replicas.find_running(store))
    own.unlink(missing_ok=True)


def _own(store: Store) -> Path:
    """The file that names the version which a retraining has on trial."""
    return store.root / "trial-of-a-run"
