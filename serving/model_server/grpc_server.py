"""The gRPC port: one event loop, which answers by itself what is quick, and gives the rest to threads.

A hand-over between threads costs as much as a small model's answer. What is quick is learnt: the calls of one
path and one size that took little the last times.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from serving.model_server import statuses
from serving.model_server.grpc_api import Method
from serving.model_server.statuses import Status, invalid

LOG = logging.getLogger("digits-model-server")
CODES = {code.value[0]: code for code in grpc.StatusCode}
MOST = 2**31 - 1
QUICK = 0.002  # seconds
TRIES = 5  # calls before a kind can count as quick
MEMORY = 0.9  # share of what was known before, in the mean


class _Pace:
    """How long calls of one kind take."""

    def __init__(self) -> None:
        self.calls, self.mean = 0, 0.0

    @property
    def quick(self) -> bool:
        return self.calls >= TRIES and self.mean < QUICK

    def took(self, seconds: float) -> None:
        keep = MEMORY if self.calls >= TRIES else self.calls / (self.calls + 1)
        self.mean = keep * self.mean + (1 - keep) * seconds
        self.calls += 1


class GrpcServer:
    """Serves methods on addresses until it is stopped."""

    def __init__(
        self,
        methods: Mapping[str, Method],
        addresses: list[str],
        threads: int,
        most_bytes: int,
        arguments: str,
    ) -> None:
        """arguments: channel arguments as `key=value,key=value`. Raises Status for others."""
        self._methods, self._addresses = methods, addresses
        self._options = [
            ("grpc.max_receive_message_length", most_bytes or MOST),
            ("grpc.max_send_message_length", MOST),
            ("grpc.so_reuseport", 0),  # else a second server takes the same port and half of the calls
            *channel_arguments(arguments),
        ]
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="grpc")
        self._paces: dict[tuple[str, int], _Pace] = {}
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._grace = 0.0
        self._ready = threading.Event()
        self._failure: Status | None = None
        self._thread = threading.Thread(target=self._run, name="grpc", daemon=True)

    def start(self) -> None:
        """Take calls from now on. Raises Status where an address is taken."""
        self._thread.start()
        self._ready.wait()
        if self._failure:
            raise self._failure

    def stop(self, grace: float) -> None:
        """Take no more; wait so many seconds for those under way."""
        self._grace = grace
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._pool.shutdown(wait=False)
        self._loop.close()

    async def _serve(self) -> None:
        server = grpc.aio.server(options=self._options)
        handlers: dict[str, dict[str, Any]] = {}
        for path, method in self._methods.items():
            _, service, name = path.split("/")
            handlers.setdefault(service, {})[name] = grpc.unary_unary_rpc_method_handler(
                self._handler(path, method)
            )
        for service, listed in handlers.items():
            server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, listed)])
        try:
            for address in self._addresses:
                _listen(server, address)
            await server.start()
        except Status as error:
            self._failure = error
            return
        finally:
            self._ready.set()
        await self._stop.wait()
        await server.stop(self._grace)

    def _handler(self, path: str, method: Method) -> Any:
        async def handle(data: bytes, context: Any) -> bytes:
            try:
                pace = self._paces.setdefault((path, len(data).bit_length()), _Pace())
                seconds = context.time_remaining()
                began = time.perf_counter()
                if pace.quick:
                    answer = _answer(method, data, seconds)
                else:
                    answer = await self._loop.run_in_executor(self._pool, _answer, method, data, seconds)
                pace.took(time.perf_counter() - began)
                return answer
            except Status as error:
                return await _abort(context, error)
            except Exception as error:
                LOG.exception("a request failed")
                return await _abort(context, Status(statuses.INTERNAL, f"{type(error).__name__}: {error}"))

        return handle


def _answer(method: Method, data: bytes, seconds: float | None) -> bytes:
    """The serialized response. Raises Status."""
    try:
        request = method.request.FromString(data)
    except DecodeError:
        raise Status(statuses.INTERNAL, "the request is not the message that this call takes") from None
    response = method.response()
    method.answer(request, response, seconds)
    serialized: bytes = response.SerializeToString()
    return serialized


async def _abort(context: Any, error: Status) -> bytes:
    await context.abort(CODES[error.code], statuses.shortened(error.message))
    raise AssertionError("abort raises")


def channel_arguments(text: str) -> list[tuple[str, Any]]:
    """`key=value,key=value` → pairs; whole numbers as such. Raises Status."""
    found: list[tuple[str, Any]] = []
    for pair in filter(None, text.split(",")):
        key, equals, value = pair.partition("=")
        if not equals:
            raise invalid(f"--grpc_channel_arguments: '{pair}' is not of the form key=value")
        found.append((key, int(value) if value.lstrip("-").isdecimal() else value))
    return found


def _listen(server: Any, address: str) -> None:
    try:
        bound = server.add_insecure_port(address)
    except RuntimeError:
        bound = 0
    if not bound:
        raise Status(
            statuses.UNAVAILABLE,
            f"can't listen on {address}: it is taken, or not this machine's; stop what uses it, or choose "
            "another port",
        )
