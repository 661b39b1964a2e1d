"""The gateway on a free port of the loopback, in a thread of the test's process.

Each answer to a test is held against the OpenAPI document.
"""

import asyncio
import contextlib
import functools
import http.client
import json
import time
from concurrent.futures import ThreadPoolExecutor

from serving.app.application import open_gateway
from serving.app.server import Address, Server, bind
from serving.app.settings import Limits, Settings
from tests.flows._processes import wait_for
from tests.serving.app import _openapi

FREE = Limits(rate=0)  # tests ask fast


class Running:
    """A running gateway: its address and its output."""

    def __init__(self) -> None:
        self.port, self.said, self.state, self._server = 0, [], None, None

    def ask(self, method, path, body=None, kind="application/octet-stream", **headers):
        """Return (status, headers, body), the body parsed where it is JSON, after a check by the document."""
        status, found, tree = self.exchange(method, path, body, kind, **headers)
        answered = found.get("content-type", "").partition(";")[0]
        _openapi.check(document(), method, path, status, answered, tree)
        return status, found, tree

    def exchange(self, method, path, body=None, kind="application/octet-stream", **headers):
        """Do the same without checking against the document. headers: `address` is where the visitor is."""
        source = (headers.pop("address", "127.0.0.1"), 0)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            given.setdefault("Content-Type", kind)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300, source_address=source)
        try:
            connection.request(method, path, body, given)
            reply = connection.getresponse()
            data = reply.read()
            found = {name.lower(): value for name, value in reply.getheaders()}
        finally:
            connection.close()
        is_json = found.get("content-type", "").startswith("application/json")
        return reply.status, found, json.loads(data) if is_json and data else data

    def line(self, status):
        """The first line about a request that was answered so; it comes after the answer."""
        return wait_for(lambda: [each for each in self.said if each.get("status") == status])[0]

    def end(self) -> None:
        """End it as a signal does."""
        self._server.handle_exit(15, None)

    async def serve(self, settings, drain) -> None:
        address = Address(port=0, drain=drain)
        with bind(address) as listening:
            self.port = listening.getsockname()[1]
            async with open_gateway(settings, self.said.append) as gateway:
                self.state = gateway.state
                self._server = Server(gateway, address, self.said.append)
                await self._server.serve([listening])


@contextlib.contextmanager
def running(*, drain=0.0, **changes):
    """Run a gateway. `changes` to the settings; without a rate limit unless they set one."""
    made = Running()
    with ThreadPoolExecutor(1) as thread:
        served = thread.submit(asyncio.run, made.serve(Settings(**{"limits": FREE, **changes}), drain))
        while not (made._server and made._server.started):
            assert not served.done(), served.exception()
            time.sleep(0.005)
        try:
            yield made
        finally:
            made._server.should_exit = True


@functools.cache
def document():
    """Of a gateway without a key."""
    with running() as gateway:
        return gateway.exchange("GET", "/openapi.json")[2]
