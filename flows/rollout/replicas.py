"""Running model servers: their addresses, the versions they serve, and waiting until all have followed.

By the status API alone, so that it is the same for TensorFlow Serving and the embedded server, here or far.
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
LOOK = 2.0  # seconds for one server to tell its state
AVAILABLE, LOADING, END = "AVAILABLE", "LOADING", "END"
PLACE = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\s:/\[\]]+)(?::([0-9]+)?(?:/([0-9]+))?)?")
FORM = "expected HOST, HOST:GRPC_PORT, HOST:GRPC_PORT/REST_PORT or HOST:/REST_PORT, with commas between"


class LoadFailed(ServingError):
    """A server says that a version can't be loaded."""


class NotFollowed(ServingError):
    """A server did not come to serve a version in time. loading: it was still at loading it."""

    def __init__(self, text: str, *, loading: bool) -> None:
        super().__init__(text)
        self.loading = loading


@dataclass(frozen=True)
class Server:
    """Where one replica listens, as `host:port`; empty for an API that it does not offer."""

    grpc: str
    rest: str = ""

    def __str__(self) -> str:
        return self.grpc or self.rest

    def client(self, model: str, timeout: float, retries: int = 0) -> DigitClient:
        """A client of one of its models, over gRPC where it is offered. timeout: seconds for a call."""
        from digits_client import DigitClient

        if self.grpc:
            return DigitClient(self.grpc, "grpc", model=model, timeout=timeout, retries=retries)
        return DigitClient(self.rest, "rest", model=model, timeout=timeout, retries=retries)


HERE = Server(f"127.0.0.1:{GRPC}", f"127.0.0.1:{REST}")


@dataclass(frozen=True)
class State:
    """One version on a server. name: START, LOADING, AVAILABLE, UNLOADING or END; error: of a failed load."""

    name: str
    error: str = ""


def parse(text: str) -> tuple[Server, ...]:
    """Addresses of replicas: `host:8500/8501,host2`. Raises ParamsError.

    Without ports both APIs are where TensorFlow Serving has them; a port that is left out is not offered.
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
        raise ParamsError(f"'{text}' is no server: {FORM}")
    return Server(f"{host}:{grpc}" if grpc else "", f"{host}:{rest}" if rest else "")


def states(server: Server, model: str, timeout: float = LOOK) -> dict[int, State]:
    """Version → state of every version of a model that a server knows; empty when it has no such model.

    Raises digits.runtime.errors.Unavailable when it gives no answer within `timeout` seconds.
    """
    import digits_client

    try:
        with server.client(model, timeout) as client:
            told = client.status()
    except digits_client.ModelNotFound:
        return {}
    except digits_client.ServingError as error:
        raise Unavailable(f"server {server} tells nothing: {error}") from None
    return {each.version: State(each.state, digits_client.errors.one_line(each.error)) for each in told}


def running(store: Store, server: Server = HERE) -> tuple[Server, ...]:
    """The server on this machine's usual ports, if it serves the store's stable version; else none."""
    pointer = store.current()
    try:
        found = states(server, wire.MODEL, timeout=1.0) if pointer else {}
    except Unavailable:
        return ()
    return (server,) if pointer and _available(found) == {pointer.stable} else ()


def failures(servers: Sequence[Server], model: str, version: int) -> dict[Server, str]:
    """Why a version could not be loaded, by server, where it failed before now.

    TensorFlow Serving tells of a failed load as long as it runs: `wait_for` must not take it for a new one.
    """
    found = {}
    for server in servers:
        try:
            state = states(server, model).get(version)
        except Unavailable:
            continue
        if state and state.name == END and state.error:
            found[server] = state.error
    return found


def wait_for(
    servers: Sequence[Server],
    model: str,
    version: int | None,
    timeout: float,
    *,
    alive: Callable[[], None] | None = None,
    earlier: Mapping[Server, str] | None = None,
) -> None:
    """Wait until every server serves exactly this version of a model; None: until it serves none.

    timeout: seconds. alive: called between looks; what it raises ends the wait. earlier: what `failures`
    found. Raises LoadFailed with the server's own words once one can't load it; NotFollowed naming every
    server that did not follow in time, one that gives no answer included.
    """
    end = time.monotonic() + timeout
    waiting = dict.fromkeys(servers, State("not asked"))
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
            raise NotFollowed(
                f"{seen}, expected it to serve {wanted} within {timeout:g} s: see whether it runs and "
                "follows this store's models.config",
                loading=any(state.name.endswith(LOADING) for state in waiting.values()),
            )
        if alive is not None:
            alive()
        time.sleep(POLL)


def _look(server: Server, model: str, version: int | None, earlier: str) -> State:
    """AVAILABLE when a server is where it is waited for, else in words where it is. Raises LoadFailed."""
    try:
        found = states(server, model)
    except Unavailable as error:
        return State(f"gives no answer ({error})" if version is not None else AVAILABLE)
    serves = _available(found)
    if version is None:
        return State(f"serves {model} {_listed(serves)}") if _busy(found) else State(AVAILABLE)
    if serves == {version}:
        return State(AVAILABLE)
    wanted = found.get(version)
    if wanted and wanted.name == END and wanted.error and wanted.error != earlier:
        raise LoadFailed(f"server {server} can't load version {version}: {wanted.error}")
    if wanted and wanted.name == LOADING:
        return State(f"has version {version} still {LOADING}")
    return State(f"serves {_listed(serves)} of {model}")


def _available(found: Mapping[int, State]) -> set[int]:
    return {version for version, state in found.items() if state.name == AVAILABLE}


def _busy(found: Mapping[int, State]) -> bool:
    return any(state.name != END for state in found.values())


def _listed(versions: set[int]) -> str:
    return f"version {', '.join(map(str, sorted(versions)))}" if versions else "no version"
