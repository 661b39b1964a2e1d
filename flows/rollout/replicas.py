"""Looks at running model servers: their addresses, the versions they serve, and when all have switched.

The canary uses it. It needs only the status API, which TensorFlow Serving and the embedded server share.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from digits import wire
from digits.runtime.errors import ParamsError, ServingError, Unavailable

if TYPE_CHECKING:
    from digits_client import DigitClient
    from serving.store.store import Store

GRPC, REST = 8500, 8501  # TensorFlow Serving's ports
POLL = 0.1  # seconds between looks
LOOK = 2.0  # seconds for the state of one server
AVAILABLE, LOADING, END = "AVAILABLE", "LOADING", "END"
PLACE = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\s:/\[\]]+)(?::([0-9]+)?(?:/([0-9]+))?)?")
FORM = "expected HOST, HOST:GRPC_PORT, HOST:GRPC_PORT/REST_PORT or HOST:/REST_PORT, with commas between"


class LoadFailed(ServingError):
    """A server reports that a version can't be loaded."""


class NotUpdated(ServingError):
    """A server did not switch to a version in time. loading: it was still loading it."""

    def __init__(self, text: str, *, loading: bool) -> None:
        super().__init__(text)
        self.loading = loading


@dataclass(frozen=True)
class Server:
    """The addresses of one replica, `host:port` for each API; empty for an API that it does not offer."""

    grpc: str
    rest: str = ""

    def __str__(self) -> str:
        return self.grpc or self.rest

    def client(self, model: str, timeout: float, retries: int = 0) -> DigitClient:
        """A client of one of its models, over gRPC if that is offered. timeout: seconds for a call."""
        from digits_client import DigitClient

        if self.grpc:
            return DigitClient(self.grpc, "grpc", model=model, timeout=timeout, retries=retries)
        return DigitClient(self.rest, "rest", model=model, timeout=timeout, retries=retries)


HERE = Server(f"127.0.0.1:{GRPC}", f"127.0.0.1:{REST}")


@dataclass(frozen=True)
class State:
    """The state of a version on a server: START, LOADING, AVAILABLE, UNLOADING or END.

    error: why its loading failed, if it did.
    """

    name: str
    error: str = ""


def parse(text: str) -> tuple[Server, ...]:
    """Parse the addresses of replicas, such as `host:8500/8501,host2`. Raises ParamsError.

    Without ports both APIs are at TensorFlow Serving's; with one port, only that API is offered.
    """
    servers = tuple(_server(part.strip()) for part in text.split(",") if part.strip())
    if len(set(servers)) != len(servers):
        raise ParamsError(f"'{text}' names a server twice: {FORM}")
    return servers


def _server(text: str) -> Server:
    found = PLACE.fullmatch(text)
    host, grpc, rest = found.groups() if found else ("", None, None)
    if text == host:
        return Server(f"{host}:{GRPC}", f"{host}:{REST}")
    ports = [int(port) for port in (grpc, rest) if port]
    if not ports or not all(0 < port < 65536 for port in ports):
        raise ParamsError(f"'{text}' is not a server's address: {FORM}")
    return Server(f"{host}:{grpc}" if grpc else "", f"{host}:{rest}" if rest else "")


def states(server: Server, model: str, timeout: float = LOOK) -> dict[int, State]:
    """The state of every version of a model that a server knows; empty when it has no such model.

    Raises digits.runtime.errors.Unavailable when it does not answer within `timeout` seconds.
    """
    import digits_client

    try:
        with server.client(model, timeout) as client:
            statuses = client.status()
    except digits_client.ModelNotFound:
        return {}
    except digits_client.ServingError as error:
        raise Unavailable(f"server {server} does not report its state: {error}") from None
    return {each.version: State(each.state, digits_client.errors.one_line(each.error)) for each in statuses}


def find_running(store: Store, server: Server = HERE) -> tuple[Server, ...]:
    """The server on this machine's usual ports if it serves the store's stable version, else nothing."""
    pointer = store.current()
    try:
        known = states(server, wire.MODEL, timeout=1.0) if pointer else {}
    except Unavailable:
        return ()
    return (server,) if pointer and _available(known) == {pointer.stable} else ()


def failures(servers: Sequence[Server], model: str, version: int) -> dict[Server, str]:
    """The errors of earlier attempts to load a version, by server.

    TensorFlow Serving reports a failed load as long as it runs; `wait_for` must not take it for a new one.
    """
    errors = {}
    for server in servers:
        try:
            state = states(server, model).get(version)
        except Unavailable:
            continue
        if state and state.name == END and state.error:
            errors[server] = state.error
    return errors


def wait_for(
    servers: Sequence[Server],
    model: str,
    version: int | None,
    timeout: float,
    *,
    alive: Callable[[], None] | None = None,
    earlier: Mapping[Server, str] | None = None,
) -> None:
    """Wait until every server serves exactly this version of a model; None: until it serves no version.

    timeout: seconds. alive: called between looks; an exception from it ends the wait. earlier: the result of
    `failures`. Raises LoadFailed with the server's own message once one can't load it; NotUpdated naming
    every server that did not switch in time, or did not answer.
    """
    end = time.monotonic() + timeout
    waiting = dict.fromkeys(servers, State("unknown"))
    while True:
        for server in list(waiting):
            waiting[server] = _look(server, model, version, (earlier or {}).get(server, ""))
            if waiting[server].name == AVAILABLE:
                del waiting[server]
        if not waiting:
            return
        if time.monotonic() > end:
            wanted = f"no {model}" if version is None else f"{model} {version}"
            seen = "; ".join(f"server {server} {state.name}" for server, state in waiting.items())
            raise NotUpdated(
                f"{seen}, expected it to serve {wanted} within {timeout:g} s: check that it runs and "
                "polls this store's models.config",
                loading=any(state.name.endswith(LOADING) for state in waiting.values()),
            )
        if alive is not None:
            alive()
        time.sleep(POLL)


def _look(server: Server, model: str, version: int | None, earlier: str) -> State:
    """AVAILABLE when a server has switched, else its state in words. Raises LoadFailed."""
    try:
        known = states(server, model)
    except Unavailable as error:
        return State(f"does not answer ({error})" if version is not None else AVAILABLE)
    serves = _available(known)
    if version is None:
        return State(f"serves {model} {_listed(serves)}") if _busy(known) else State(AVAILABLE)
    if serves == {version}:
        return State(AVAILABLE)
    wanted = known.get(version)
    if wanted and wanted.name == END and wanted.error and wanted.error != earlier:
        raise LoadFailed(f"server {server} can't load version {version}: {wanted.error}")
    if wanted and wanted.name == LOADING:
        return State(f"still has version {version} {LOADING}")
    return State(f"serves {_listed(serves)} of {model}")


def _available(known: Mapping[int, State]) -> set[int]:
    return {version for version, state in known.items() if state.name == AVAILABLE}


def _busy(known: Mapping[int, State]) -> bool:
    return any(state.name != END for state in known.values())


def _listed(versions: set[int]) -> str:
    return f"version {', '.join(map(str, sorted(versions)))}" if versions else "no version"
