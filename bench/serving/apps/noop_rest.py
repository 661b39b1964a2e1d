"""The baseline over REST: parses the JSON, writes JSON of the usual size, computes nothing.

python -m bench.serving.apps.noop_rest PORT

As cheap as Python's standard library can: a bare asyncio protocol that reads a POST with a Content-Length,
and `json`, whose parser is in C. It is not a server for anything else.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

# An answer of the size that a real one has.
# fmt: off
PROBABILITIES = [
    0.000214, 0.000187, 0.001342, 0.000471, 0.000093, 0.000128, 0.000055, 0.996204, 0.000318, 0.000988,
]
# fmt: on
DIGIT = 7
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


def answer(body: bytes) -> bytes:
    """Return as many predictions as the body has instances."""
    one: dict[str, Any] = {
        "probabilities": PROBABILITIES,
        "digit": DIGIT,
        "confidence": max(PROBABILITIES),
    }
    return json.dumps({"predictions": [one for _ in json.loads(body)["instances"]]}).encode()


class Server(asyncio.Protocol):
    """Answers one request after another on one connection."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._need = 0  # bytes of the request that is coming in; 0 while its head is not complete
        self._body = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport for the answers."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer once a whole request has arrived."""
        self._buffer += data
        if not self._need:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self._buffer[:end].lower()
            at = head.index(b"content-length:") + 15
            self._body = end + 4
            self._need = self._body + int(head[at:].split(b"\r\n", 1)[0])
        if len(self._buffer) < self._need:
            return
        body = answer(bytes(self._buffer[self._body : self._need]))
        del self._buffer[: self._need]
        self._need = 0
        self._transport.write(HEAD % len(body) + body)  # one write: two would wait for each other's receipt


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
