"""Starts and finds a project's own Prefect server: one at a time, on loopback, its database in the project.

The server is a child that dies with the process that started it. Other processes find it by the file
server.json beside the database, and may use it with the password beside that (`session`).
DIGITS_PREFECT_DATABASE names a PostgreSQL database in place of the SQLite one. Locks ensure that there is one
scheduler, and one start of a server at a time; the kernel releases them however their holder ends.

    python -m flows.scheduling.server PORT

is the child: Prefect's own application behind a check of Host and Origin. Prefect has no setting for that,
and a web page whose name leads to this machine could send requests as if it were the server's own page.
"""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import json
import os
import re
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from digits import files
from digits.runtime import locks
from digits.runtime.errors import DigitsError
from digits.runtime.processes import die_with_parent
from flows.scheduling import settings

if TYPE_CHECKING:
    import requests


class SchedulerBusy(DigitsError):
    """The project already has a scheduler."""

    def __init__(self, holder: str) -> None:
        super().__init__(
            f"this project already has a running scheduler (process {holder}): leave it running, or end it "
            f"with `kill {holder}` first"
        )


@contextlib.contextmanager
def only_scheduler(folder: Path) -> Iterator[None]:
    """Be the only scheduler of the project whose Prefect is in this folder; else raise SchedulerBusy."""
    folder.mkdir(parents=True, exist_ok=True)
    with locks.hold(folder / "scheduler.lock", SchedulerBusy):
        yield


def scheduler_process(folder: Path) -> str | None:
    """The process id of the scheduler of the project whose Prefect is in this folder; None without one."""
    try:
        with (folder / "scheduler.lock").open("r") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return stream.read().strip() or "unknown"
    except OSError:
        pass
    return None


@contextlib.contextmanager
def server_start(folder: Path, patience: float) -> Iterator[None]:
    """Let one process at a time look for a server and start it: the others then find the one it started.

    patience: seconds to wait. Raises DigitsError after that.
    """
    log = folder / "server.log"

    def slow(_: str) -> DigitsError:
        return DigitsError(
            f"another process has been starting this project's Prefect server for {patience:g} s: read {log}"
        )

    with locks.hold(folder / "server.lock", slow, patience):
        yield


PORT = 4200
PATIENCE = 120.0  # seconds until a new server must answer: the first start creates the database
GRACE = 10.0  # seconds between SIGTERM and SIGKILL, and that a server may be silent to `digits status`
# seconds that it may be silent to a process that needs it: its database may be waiting for writes
BUSY = 60.0
LARGE = 10_000_000  # bytes of log above which a start begins a new one


@dataclass(frozen=True)
class Server:
    """A Prefect server: the address of its API, and its process if this one started it."""

    url: str
    process: subprocess.Popen[bytes] | None

    @property
    def page(self) -> str:
        """The address for a browser."""
        return page_of(self.url)

    def has_ended(self) -> bool:
        """Whether this process started it and it has ended."""
        return self.process is not None and self.process.poll() is not None

    def stop(self) -> None:
        """Stop it if this process started it."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def ensure(project: Path, port: int = PORT, patience: float = PATIENCE) -> Server:
    """Find the project's server, or start one on loopback, which lives as long as the calling thread.

    patience: seconds for a start. Raises DigitsError when another program uses the port, when the server
    does not start, or when a running one does not answer for `BUSY` seconds.
    """
    folder = settings.home(project)
    folder.mkdir(parents=True, exist_ok=True)
    with server_start(folder, patience):
        if url := find_running(project, BUSY):
            return Server(url, None)
        if taken := _holder(port):
            raise DigitsError(
                f"port {port} is used by {taken}, so this project's Prefect server can't start: end that, "
                "or give another --port"
            )
        server = _start(project, folder, port)
        try:
            _await(server, folder / "server.log", patience)
        except BaseException:
            server.stop()
            raise
        return server


def find_running(project: Path, patience: float = GRACE) -> str | None:
    """The address of the API of the project's running server; None if none runs.

    Raises DigitsError when its process runs but does not answer for `patience` seconds.
    """
    try:
        record = json.loads((settings.home(project) / "server.json").read_bytes())
        pid, started, url = int(record["pid"]), float(record["started"]), str(record["url"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not _is_server(pid, started):
        return None
    end = time.monotonic() + patience
    while not _healthy(port_of(url)):
        if not _is_server(pid, started):
            return None
        if time.monotonic() > end:
            raise DigitsError(
                f"the project's Prefect server (process {pid}) has not answered at {url} for {patience:g} s: "
                f"read {settings.home(project) / 'server.log'}, end it with `kill {pid}` and try again"
            )
        time.sleep(0.2)
    return url


@contextlib.contextmanager
def session(project: Path, url: str) -> Iterator[requests.Session]:
    """A session for requests to the API of the project's server, without loading Prefect.

    url: the address of the API. Raises requests.RequestException when it does not answer.
    """
    import requests

    with requests.Session() as made:
        made.trust_env = False  # never through a proxy: the server is on this machine
        user, _, secret = settings.password(project).partition(":")
        made.auth = (user, secret)
        client = uuid.uuid4().hex
        answer = made.get(f"{url}/csrf-token", params={"client": client}, timeout=GRACE)
        answer.raise_for_status()
        made.headers.update({"Prefect-Csrf-Client": client, "Prefect-Csrf-Token": answer.json()["token"]})
        yield made


def _start(project: Path, folder: Path, port: int) -> Server:
    import psutil

    log = folder / "server.log"
    if log.exists() and log.stat().st_size > LARGE:
        log.replace(folder / "server.log.1")
    variables = settings.environment(project)
    variables.pop("PREFECT_API_URL", None)
    url = f"http://{settings.LOOPBACK}:{port}/api"
    variables["PREFECT_SERVER_UI_API_URL"] = url  # else its pages ask the default port, whatever this one is
    variables["PREFECT_SERVER_CORS_ALLOWED_ORIGINS"] = ",".join(origins(port))
    log.touch(mode=0o600)
    with log.open("ab") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "flows.scheduling.server", str(port)],
            cwd=project,
            env=variables,
            umask=0o077,  # its database and its log are the owner's alone
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C goes to the scheduler alone, which ends this process last
            preexec_fn=die_with_parent,
        )
    with contextlib.suppress(psutil.NoSuchProcess):
        started = psutil.Process(process.pid).create_time()
        files.write_json(folder / "server.json", {"pid": process.pid, "started": started, "url": url})
    return Server(url, process)


def _await(server: Server, log: Path, patience: float) -> None:
    end = time.monotonic() + patience
    while not _healthy(port_of(server.url)):
        if server.has_ended():
            named = settings.DATABASE in os.environ
            given = f" (its database is the one in {settings.DATABASE})" if named else ""
            raise DigitsError(f"Prefect's server ended at its start{given}: {_reason(log)}; {log} has more")
        if time.monotonic() > end:
            raise DigitsError(f"Prefect's server did not answer within {patience:g} s: read {log}")
        time.sleep(0.1)


def _reason(log: Path) -> str:
    """The last exception in a server's log; its last line if there is none."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    raised = [line for line in lines if re.match(r"[A-Za-z_][\w.]*(Error|Exception)\b", line)]
    return (raised or lines or ["its log is empty"])[-1].strip()[:300]


def _is_server(pid: int, started: float) -> bool:
    """Whether that process still runs, and its id has not been given to another one."""
    import psutil

    try:
        process = psutil.Process(pid)
        return bool(process.status() != psutil.STATUS_ZOMBIE and abs(process.create_time() - started) < 2)
    except psutil.Error:
        return False


def _healthy(port: int) -> bool:
    connection = http.client.HTTPConnection(settings.LOOPBACK, port, timeout=3)
    try:
        connection.request("GET", "/api/health")
        response = connection.getresponse()
        body: bytes = response.read(16)
        return response.status == 200 and body.strip() == b"true"
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _holder(port: int) -> str | None:
    """A description of what listens on a port of loopback; None for nothing."""
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            free.bind((settings.LOOPBACK, port))
        except OSError:
            return "another Prefect server" if _healthy(port) else "another program"
    return None


def free_port() -> int:
    """A port of loopback that nothing listens on at the moment."""
    with socket.socket() as free:
        free.bind((settings.LOOPBACK, 0))
        return int(free.getsockname()[1])


def page_of(url: str) -> str:
    """The address for a browser of the server whose API is at `url`."""
    return url.removesuffix("/api")


def port_of(url: str) -> int:
    """The port in the address of an API."""
    return int(url.removesuffix("/api").rpartition(":")[2])


NAMES = (settings.LOOPBACK, "localhost")

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
Receive = Callable[[], Awaitable[Message]]
Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


def origins(port: int) -> tuple[str, ...]:
    """The origins of the server's own pages."""
    return tuple(f"http://{name}:{port}" for name in NAMES)


class OwnAddress:
    """An ASGI application that passes requests on whose Host, and Origin if any, are the server's own.

    Its pages may send nothing to another server: Prefect's report what is clicked to its vendor. And no page
    of another server may show them in a frame.
    """

    def __init__(self, application: Application, port: int) -> None:
        self._application = application
        self._hosts = {f"{name}:{port}".encode() for name in NAMES}
        self._origins = {origin.encode() for origin in origins(port)}
        servers = " ".join(f"{origin} {origin.replace('http', 'ws')}" for origin in origins(port))
        policy = (
            f"default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; connect-src 'self' {servers}; "
            "frame-ancestors 'none'"
        )
        self._header = (b"content-security-policy", policy.encode())

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer a request: 403 and one line, or a closed websocket, if it is refused."""

        async def send_with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), self._header]
            await send(message)

        if scope["type"] == "lifespan" or self._is_own(scope["headers"]):
            await self._application(scope, receive, send_with_policy)
        elif scope["type"] == "websocket":
            await receive()
            await send(
                {"type": "websocket.close", "code": 1008}
            )  # answered as 403, since it was not accepted
        else:
            text = b"this server answers its own pages, and programs that name its own address, alone\n"
            headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(text)).encode())]
            await send({"type": "http.response.start", "status": 403, "headers": headers})
            await send({"type": "http.response.body", "body": text})

    def _is_own(self, headers: list[tuple[bytes, bytes]]) -> bool:
        hosts = [value for name, value in headers if name == b"host"]
        sent_from = [value for name, value in headers if name == b"origin"]
        return len(hosts) == 1 and hosts[0].lower() in self._hosts and set(sent_from) <= self._origins


def main() -> None:
    """Run Prefect's server on the port of the command line until a signal, as the environment sets it up.

    In place of `prefect server start`, which offers no way to wrap the application.
    """
    import uvicorn
    from prefect.server.api.server import create_app
    from prefect.settings import get_current_settings

    port, chosen = int(sys.argv[1]), get_current_settings().server
    uvicorn.run(
        OwnAddress(create_app(final=True), port),
        host=settings.LOOPBACK,
        port=port,
        timeout_keep_alive=chosen.api.keepalive_timeout,
        ws_ping_interval=chosen.api.websocket_ping_interval,
        ws_ping_timeout=chosen.api.websocket_ping_timeout,
        log_level=chosen.logging_level.lower(),
        server_header=False,
    )


if __name__ == "__main__":
    main()
