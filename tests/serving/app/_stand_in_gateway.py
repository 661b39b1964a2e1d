"""A minimal gateway, so that its page can be tested against every behaviour of a server.

`gateway.say` replaces a route's usual answer; in `with gateway.away():` the port is closed; `gateway.asked`
holds the received bodies, by route.
"""

import contextlib
import json
import mimetypes
import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from bench.browser import STATIC
from serving.app.middleware import ALL
from serving.app.routes.pages import ROOT
from tests._loopback import Listener

MEASURED = {"accuracy": 0.9962, "n_test": 10000, "accuracy_interval": [0.9948, 0.9972], "ece": 0.0023}
MADE = {"sample": False, "dataset": "mnist", "profile": "fast", "commit": "4d4a05ea", "dirty": False}
AT = "2026-11-22T03:59:51Z"
FACTS = {**MEASURED, **MADE, "published": AT, "parameters": 116266, "threshold": 0.99, "passed": True}
CARD = "# digits, version 3\n\nRight on 99.62 % of the test images.\n"


class Refused(Exception):
    """An error as an answer."""

    def __init__(self, status, code, message, after=None):
        super().__init__(message)
        self.status, self.code, self.message, self.after = status, code, message, after


class Gateway:
    """predict: bytes [784] → probabilities; edge: files of a model by their path below /edge/<n>/."""

    def __init__(self, predict, edge, reading, record):
        self.predict, self.edge, self.reading, self.record = predict, edge, reading, record
        self.port, self.offers, self.openapi = 0, True, {}  # offers: the model for browsers
        self.reset()

    def reset(self):
        """Return to the initial state."""
        self.version, self.key = 3, None
        self.newer, self.moods = {}, {}  # newer: files of the page that were updated, by their path
        self.asked, self.crowded = defaultdict(list), False  # crowded: predictions were asked side by side

    def say(self, route, mood=None):
        """Set a route's answer: Refused, or a function from body to tree; None for the usual one."""
        self.moods[route] = mood

    def start(self):
        self._server = Listener(("127.0.0.1", self.port), type("Of", (_Handler,), {"gateway": self}))
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @contextlib.contextmanager
    def away(self):
        """Be stopped while the block runs."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    def answer(self, route, body):
        """Return the tree that answers an API call. Raises Refused."""
        self.asked[route].append(body)
        mood = self.moods.get(route)
        if isinstance(mood, Refused):
            raise mood
        return mood(body) if mood else self.usual(route, body)

    def usual(self, route, body):
        if route == "predict":
            shares = [float(share) for share in self.predict(body)]
            best = max(shares)
            found = {"digit": shares.index(best), "confidence": best, "accepted": best >= 0.5}
            return {"version": self.version, "predictions": [{**found, "probabilities": shares}]}
        if route == "feedback":
            return {"id": f"{len(self.asked[route])}", "state": "pending"}
        return {"about": self.about(), "read": self.reading, "versions": self.record, "card": CARD}[route]

    def about(self):
        return {
            "model": {"ready": True, "version": self.version, "message": ""},
            "edge": f"/edge/{self.version}/" if self.offers else None,
            "card": f"/api/versions/{self.version}/card",
            "feedback": True,
            "key": self.key is not None,
            "limits": {"bytes": 2_000_000, "pixels": 4_000_000},
            "facts": FACTS,
        }


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        path, gateway = self.path.partition("?")[0], self.gateway
        file = STATIC / (ROOT[path][0] if path in ROOT else path.removeprefix("/static/"))
        if path.startswith("/api/"):
            return self._api(path, b"")
        if path == "/openapi.json":
            content = json.dumps(gateway.openapi).encode()
        elif path.startswith("/edge/"):
            content = gateway.edge.get(path.split("/", 3)[3]) if self._has_key() else None
        else:
            content = gateway.newer.get(path) or (file.read_bytes() if file.is_file() else None)
        self._send(404 if content is None else 200, content or b"", file.name)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        self._api(self.path.partition("?")[0], body)

    def _has_key(self):
        return not self.gateway.key or self.headers["Authorization"] == f"Bearer {self.gateway.key}"

    def _api(self, path, body):
        try:
            if not self._has_key():
                raise Refused(401, "unauthorized", "an API key is needed")
            route, card = path.split("/")[2], path.endswith("/card")
            tree = self.gateway.answer("card" if card else route, body)
            self._send(200, (tree if card else json.dumps(tree)).encode(), ".txt" if card else ".json")
        except Refused as error:
            tree = {"error": {"code": error.code, "message": error.message}}
            headers = {"Retry-After": str(error.after)} if error.after else {}
            self._send(error.status, json.dumps(tree).encode(), ".json", headers)

    def _send(self, status, content, name, headers=()):
        kind = mimetypes.guess_type(f"a{Path(name).suffix}")[0] or "application/octet-stream"
        own = {"Content-Type": kind, "Content-Length": len(content), "Service-Worker-Allowed": "/"}
        self.send_response(status)
        for each in {**own, **ALL, **dict(headers)}.items():
            self.send_header(*map(str, each))
        self.end_headers()
        self.wfile.write(content)
