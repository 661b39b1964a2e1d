"""A minimal gateway, so that its page can be tested against every behaviour of a server.

`gateway.say` replaces a route's usual answer; `gateway.stop()` and `start()` close the port and open it
again; `gateway.asked` holds the received bodies, by route.
"""

from __future__ import annotations

import json
import mimetypes
import threading
import time
from collections import defaultdict
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from bench.browser import STATIC
from serving.app.middleware import ALL
from serving.app.routes.pages import ROOT
from tests._loopback import Listener

AT_ROOT = {path: name for path, (name, _) in ROOT.items()}


class Refused(Exception):
    """An error as an answer."""

    def __init__(self, status: int, code: str, message: str, after: int | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.after = status, code, message, after


class Gateway:
    """predict: bytes [784] → probabilities; edge: files of a model by their path below /edge/<n>/."""

    def __init__(self, predict: Any, edge: dict[str, bytes], reading: dict[str, Any]) -> None:
        self.predict, self.edge, self.reading = predict, edge, reading
        self.version, self.key, self.hangs = 3, None, 0.0  # seconds before anything answers
        self.offers = True  # the model for browsers
        self.newer: dict[str, bytes] = {}  # files of the page that were updated, by their path
        self.moods: dict[str, Any] = {}
        self.asked: dict[str, list[bytes]] = defaultdict(list)
        self.record: dict[str, Any] = {}
        self.openapi: dict[str, Any] = {}
        self.port = 0
        self.at_once: dict[str, int] = defaultdict(int)  # most calls of a route that were under way together
        self._now: dict[str, int] = defaultdict(int)
        self._lock = threading.Lock()

    def reset(self) -> None:
        """Return to the initial state."""
        self.version, self.key, self.hangs = 3, None, 0.0
        for kept in (self.newer, self.moods, self.asked, self.at_once):
            kept.clear()

    def say(self, route: str, mood: Any = None) -> None:
        """Set a route's answer: Refused, or a function from body to tree; None for the usual one."""
        self.moods[route] = mood

    def start(self) -> None:
        self._server = Listener(("127.0.0.1", self.port), _handler(self))
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def about(self) -> dict[str, Any]:
        facts = {"accuracy": 0.9962, "n_test": 10000, "accuracy_interval": [0.9948, 0.9972], "sample": False}
        facts |= {"dataset": "mnist", "profile": "fast", "commit": "4d4a05ea", "dirty": False, "ece": 0.0023}
        facts |= {
            "published": "2026-11-22T03:59:51Z",
            "parameters": 116266,
            "threshold": 0.99,
            "passed": True,
        }
        return {
            "model": {"ready": True, "version": self.version, "message": ""},
            "edge": f"/edge/{self.version}/" if self.offers else None,
            "feedback": True,
            "key": self.key is not None,
            "limits": {"bytes": 2_000_000, "pixels": 4_000_000},
            "facts": facts,
        }

    def answer(self, route: str, body: bytes) -> tuple[int, Any]:
        """Return status and tree of an API call. Raises Refused."""
        with self._lock:
            self.asked[route].append(body)
            self._now[route] += 1
            self.at_once[route] = max(self.at_once[route], self._now[route])
        try:
            return self._answer(route, body)
        finally:
            with self._lock:
                self._now[route] -= 1

    def _answer(self, route: str, body: bytes) -> tuple[int, Any]:
        mood = self.moods.get(route)
        if isinstance(mood, Refused):
            raise mood
        if mood is not None:
            return 200, mood(body)
        if route == "about":
            return 200, self.about()
        if route == "versions":
            return 200, self.record
        if route == "predict":
            shares = [float(share) for share in self.predict(body)]
            best = max(shares)
            found = {"digit": shares.index(best), "confidence": best, "accepted": best >= 0.5}
            return 200, {"version": self.version, "predictions": [{**found, "probabilities": shares}]}
        if route == "read":
            return 200, self.reading
        if route == "feedback":
            return 201, {"id": f"{len(self.asked[route])}", "state": "pending"}
        raise Refused(404, "not_found", f"there is no /api/{route}")


def slow(seconds: float, tree: Any) -> Any:
    """Return an answer for `say` that comes later."""

    def wait(_: bytes) -> Any:
        time.sleep(seconds)
        return tree

    return wait


def _handler(gateway: Gateway) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            time.sleep(gateway.hangs)
            if path.startswith("/api/"):
                return self._api(path, b"")
            if path == "/openapi.json":
                return self._send(200, json.dumps(gateway.openapi).encode(), ".json")
            if path.startswith("/edge/") and not self._has_key():
                return self._send(401, b"", ".json")
            content = self._file(path)
            self._send(404 if content is None else 200, content or b"", Path(AT_ROOT.get(path, path)).suffix)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            self._api(self.path.partition("?")[0], body)

        def _has_key(self) -> bool:
            return not gateway.key or self.headers["Authorization"] == f"Bearer {gateway.key}"

        def _file(self, path: str) -> bytes | None:
            if path in gateway.newer:
                return gateway.newer[path]
            if path.startswith("/edge/"):
                return gateway.edge.get(path.split("/", 3)[3])
            file = STATIC / AT_ROOT[path] if path in AT_ROOT else STATIC / path.removeprefix("/static/")
            return file.read_bytes() if file.is_file() else None

        def _api(self, path: str, body: bytes) -> None:
            try:
                if not self._has_key():
                    raise Refused(401, "unauthorized", "an API key is needed")
                status, tree = gateway.answer(path.split("/")[2], body)
                self._send(status, json.dumps(tree).encode(), ".json")
            except Refused as error:
                tree = {"error": {"code": error.code, "message": error.message}}
                headers = {"Retry-After": str(error.after)} if error.after else {}
                self._send(error.status, json.dumps(tree).encode(), ".json", headers)

        def _send(self, status: int, content: bytes, suffix: str, headers: Any = None) -> None:
            kind = mimetypes.guess_type(f"a{suffix}")[0] or "application/octet-stream"
            own = {"Content-Type": kind, "Content-Length": str(len(content))}
            self.send_response(status)
            for name, value in {**own, **ALL, **(headers or {})}.items():
                self.send_header(name, value)
            if self.path == "/sw.js":
                self.send_header("Service-Worker-Allowed", "/")
            self.end_headers()
            self.wfile.write(content)

    return Handler
