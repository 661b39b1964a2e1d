"""Broken connections: relays and listeners on loopback that misbehave as a test needs."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def listening(serve: Callable[[socket.socket, int], None]) -> Iterator[str]:
    """Yield an address.

    Each connection is passed to `serve`, with its number from 0, in a thread, then closed.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    open_ones: list[socket.socket] = []

    def one(connection: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError), connection:
            serve(connection, number)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                open_ones.append(connection)
                threading.Thread(target=one, args=(connection, len(open_ones) - 1), daemon=True).start()

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield "{}:{}".format(*listener.getsockname())
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for each in open_ones:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        thread.join()


def relay(address: str, cut: int) -> Callable[[socket.socket, int], None]:
    """Return a `serve` that relays to `address`; the first `cut` connections end after their first bytes."""
    host, _, port = address.rpartition(":")

    def pump(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def serve(connection: socket.socket, number: int) -> None:
        if number < cut:
            connection.recv(65536)
            return
        with socket.create_connection((host, int(port))) as upstream:
            back = threading.Thread(target=pump, args=(upstream, connection), daemon=True)
            back.start()
            pump(connection, upstream)
            back.join()

    return serve


def saying(answer: bytes, pause: float | None = None) -> Callable[[socket.socket, int], None]:
    """Return a `serve` that sends these bytes in any case; with a pause one at a time, repeatedly."""

    def serve(connection: socket.socket, number: int) -> None:
        connection.recv(65536)
        if pause is None:
            connection.sendall(answer)
            return
        clock = threading.Event()
        while True:
            for byte in answer:
                connection.sendall(bytes([byte]))
                clock.wait(pause)

    return serve
