"""How long the gateway takes to refuse hostile requests: from the last byte needed to know, to its answer.

    python -m bench.hostile                      starts a gateway on loopback, without a model server
    python -m bench.hostile --repeat 50

Prints one row a kind: the median and the longest of so many requests, in milliseconds.
"""

from __future__ import annotations

import argparse
import io
import socket
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from bench.report import table
from bench.serving.children import free_ports, start, stop, wait

ROOT = Path(__file__).resolve().parents[1]
JSON, BYTES = "Content-Type: application/json", "Content-Type: application/octet-stream"
LIMIT = 16 << 20  # bytes of a body that the gateway takes


def requests(host: str) -> dict[str, bytes]:
    """What is sent, by kind: a head and as much of a body as is needed to know that it is refused."""

    def head(*lines: str, path: str = "/api/predict", name: str = host, method: str = "POST") -> bytes:
        return "\r\n".join([f"{method} {path} HTTP/1.1", f"Host: {name}", *lines, "", ""]).encode()

    def whole(kind: str, body: bytes, path: str = "/api/predict") -> bytes:
        return head(kind, f"Content-Length: {len(body)}", path=path) + body

    huge = io.BytesIO()
    one_strip = {278: 7000}  # rows a strip, which is decoded whole
    picture = Image.fromarray(np.zeros((7000, 7000), np.float32))
    picture.save(huge, "TIFF", compression="tiff_deflate", tiffinfo=one_strip)
    deep, rows = b"[" * 100_000, b'{"images":[' + b"[]," * 1_000_000 + b"[]]}"
    return {
        "a chunk of 2⁶⁴ − 1 bytes": head(JSON, "Transfer-Encoding: chunked") + b"ffffffffffffffff\r\n",
        "a chunk above the limit": head(JSON, "Transfer-Encoding: chunked") + f"{LIMIT + 1:x}\r\n".encode(),
        "a length above the limit": head(JSON, f"Content-Length: {LIMIT + 1}"),
        "two lengths": head(JSON, "Content-Length: 3", "Content-Length: 4"),
        "another name as Host": head(JSON, "Content-Length: 2", name="evil.example") + b"{}",
        "a page of another origin": head(JSON, "Content-Length: 2", "Origin: http://evil.example") + b"{}",
        "a compressed body": head(JSON, "Content-Encoding: gzip", "Content-Length: 2") + b"{}",
        "lists 100,000 deep": whole(JSON, deep),
        "a million empty rows": whole(JSON, rows),
        "a picture that takes 392 MB": whole("Content-Type: image/tiff", huge.getvalue(), "/api/read"),
        "half an image": whole(BYTES, bytes(392)),
        "a zero byte in the path": head(path="/edge/1/%00", method="GET"),
    }


def seconds(address: tuple[str, int], sent: bytes) -> tuple[float, int]:
    """The time from the last byte sent to the first of the answer, and the answer's status."""
    with socket.create_connection(address, 30) as connection:
        connection.sendall(sent)
        begun = time.perf_counter()
        answer = connection.recv(100)
        return time.perf_counter() - begun, int(answer[9:12] or 0)


def main(argv: Sequence[str] | None = None) -> int:
    """Start a gateway, refuse everything, print the table. Returns the exit code."""
    about = (__doc__ or "").split("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m bench.hostile", description=about)
    parser.add_argument("--repeat", type=int, default=20, help="requests of each kind; default: 20")
    given = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="digits-bench-") as name:
        (port,) = free_ports(1)
        options = [f"--port={port}", "--server=localhost:1", "--rate=0"]
        options += ["--feedback=none", "--request-log=none"]
        log = Path(name) / "log"
        gateway = start([sys.executable, "-m", "serving.app", *options], ROOT, log)
        try:
            wait(gateway, lambda: _answers(port), log, "the gateway", 60)
            rows = []
            for kind, sent in requests(f"localhost:{port}").items():
                found = [seconds(("localhost", port), sent) for _ in range(given.repeat)]
                if wrong := [status for _, status in found if not 400 <= status < 500]:
                    print(f"bench: {kind} was answered with {wrong[0]}", file=sys.stderr)
                    return 1
                times = [1000 * each for each, _ in found]
                rows.append([kind, str(found[0][1]), f"{statistics.median(times):.1f}", f"{max(times):.1f}"])
        finally:
            stop(gateway)
    print(table(("request", "answer", "median ms", "longest ms"), rows))
    return 0


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://localhost:{port}/healthz", timeout=2) as reply:
            return bool(reply.status == 200)
    except OSError:
        time.sleep(0.1)
        return False


if __name__ == "__main__":
    sys.exit(main())
