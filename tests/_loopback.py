"""A web server on loopback, in a thread, whose answers a test provides."""

from __future__ import annotations

import contextlib
import json
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

Answer = tuple[int, bytes]  # status and body
Answers = Callable[[str], Answer]  # from the path, without the leading slash

PAGE = b"<!DOCTYPE html><html><body>Please log in to the network</body></html>"


class Listener(ThreadingHTTPServer):
    """A server that does not report clients that left early: standard error may be another test's by then."""

    def handle_error(self, request: object, address: object) -> None:
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, address)


class Posted(NamedTuple):
    """A request with a body."""

    path: str
    headers: Message
    json: Any


@dataclass
class Server:
    """The address of the server, and the requests that it has received: paths, and what came by POST."""

    url: str
    asked: list[str] = field(default_factory=list)
    posted: list[Posted] = field(default_factory=list)


@contextlib.contextmanager
def serving(answer: Answers, headers: dict[str, str] | None = None) -> Iterator[Server]:
    """Serve until the block ends. Status 0 cuts the connection after half of the body."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.asked.append(self.path[1:])
            status, body = answer(self.path[1:])
            self.send_response(status or 200)
            for each in {"Content-Length": str(len(body)), **(headers or {})}.items():
                self.send_header(*each)
            self.end_headers()
            with contextlib.suppress(ConnectionError):  # a probe leaves before the end
                self.wfile.write(body if status else body[: len(body) // 2])

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            server.posted.append(Posted(self.path, self.headers, body))
            self.do_GET()

        def log_message(self, *_: object) -> None:
            return

    listener = Listener(("127.0.0.1", 0), Handler)
    server = Server(f"http://127.0.0.1:{listener.server_port}/")
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        listener.shutdown()
        thread.join()
        listener.server_close()


def folder(directory: Path) -> Answers:
    """Return answers from the files of a directory, 404 for missing ones."""

    def answer(path: str) -> Answer:
        file = directory / path
        return (200, file.read_bytes()) if file.is_file() else (404, b"no such file")

    return answer


def refused_url() -> str:
    """Return an address on which nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/"
