"""The gateway as a process: its socket, its signals, and how it ends.

It is one process without workers, so that the limits of requests and the joining of calls to the model server
count in one place. For more cores, start more gateways.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import signal
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import uvicorn

from digits.runtime.errors import DigitsError
from serving.app import connections, log_lines
from serving.app.application import Gateway, open_gateway
from serving.app.log_lines import Tell
from serving.app.settings import Settings
from serving.app.visitors import Proxies

GRACE = 15  # seconds for requests that are under way when it ends
HEAD = 64 << 10  # bytes of a request's head


@dataclass(frozen=True, slots=True)
class Address:
    """Where it listens. drain: seconds between the signal to end and the first refused connection."""

    host: str = "127.0.0.1"
    port: int = 8080
    certificate: Path | None = None
    key: Path | None = None
    drain: float = 0.0

    def url(self, port: int) -> str:
        """The address for a browser, with the port that was taken."""
        names = {"127.0.0.1": "localhost", "0.0.0.0": "localhost", "::": "localhost", "::1": "[::1]"}
        return f"{'https' if self.certificate else 'http'}://{names.get(self.host, self.host)}:{port}/"


def run(settings: Settings, address: Address, tell: Tell) -> int:
    """Serve until a signal; the exit code. Raises DigitsError when it can't begin."""
    return asyncio.run(_serve(settings, address, tell))


async def _serve(settings: Settings, address: Address, tell: Tell) -> int:
    with bind(address) as listening:
        async with open_gateway(settings, tell) as gateway:
            connections.quiet(asyncio.get_running_loop(), tell)
            await Server(gateway, address, tell).serve([listening])
    return 0


class Server(uvicorn.Server):
    """Says where it listens. Before it ends it tells balancers so, then lets requests finish."""

    def __init__(self, gateway: Gateway, address: Address, tell: Tell) -> None:
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # `Observer` does that
        super().__init__(
            uvicorn.Config(
                gateway.app,
                http=connections.Protocol,
                loop="asyncio",  # whose accept is the listener's: see connections
                backlog=connections.BACKLOG,
                ssl_certfile=address.certificate,
                ssl_keyfile=address.key,
                log_config=None,
                access_log=False,
                server_header=False,
                lifespan="off",  # what lives as long as the gateway is opened around it
                proxy_headers=False,  # `Observer` does that
                timeout_keep_alive=int(connections.KEPT),
                timeout_graceful_shutdown=GRACE,
                h11_max_incomplete_event_size=HEAD,
            )
        )
        self._gateway, self._address, self._tell = gateway, address, tell
        self._deadlines, self._swept = connections.Deadlines(), 0.0
        self._ends: float | None = None
        self._told = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say so."""
        for each in sockets or ():
            if isinstance(each, connections.Listener):
                state = self._gateway.state
                limit = state.settings.limits.connections
                each.limit(limit, Proxies(state.settings.proxies), state.metrics, self._tell)
        await super().startup(sockets)
        port = sockets[0].getsockname()[1] if sockets else self._address.port
        self._tell(log_lines.event(f"digits is at {self._address.url(port)}"))

    async def on_tick(self, counter: int) -> bool:
        """Whether to end, asked ten times a second."""
        if (now := time.monotonic()) - self._swept >= connections.SWEEP:
            self._swept = now
            self._deadlines.sweep(self.server_state.connections, now)
        if self._ends is not None and not self._told:
            self._told = True
            if left := max(0.0, self._ends - time.monotonic()):
                self._tell(log_lines.event(f"ending: not ready any more, still answering for {left:.1f} s"))
        return await super().on_tick(counter) or (self._ends is not None and time.monotonic() >= self._ends)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """A signal to end; the second one ends requests too.

        It writes nothing: a signal may come in the middle of a line of the log, which can't be begun twice.
        """
        if self._ends is not None:
            self.should_exit = self.force_exit = True
            return
        drain = self._address.drain if sig == signal.SIGTERM else 0.0
        self._ends = time.monotonic() + drain
        self._gateway.state.draining = True


def bind(address: Address) -> connections.Listener:
    """A socket at the address. Raises DigitsError when it is taken, or none of this machine's."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    # Named TCP, or asyncio leaves Nagle on and every answer waits 40 ms for its second half.
    listening = connections.Listener(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((address.host, address.port))
    except OSError as error:
        listening.close()
        taken = error.errno == errno.EADDRINUSE
        why = "it is taken" if taken else error.strerror
        told = f"can't listen on port {address.port} of {address.host} ({why}): give another"
        raise DigitsError(f"{told} {'--port' if taken else '--host or --port'}") from None
    return listening
