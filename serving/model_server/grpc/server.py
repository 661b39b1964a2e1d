"""The gRPC port: calls to methods, and their failures as gRPC statuses."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from serving.model_server import status
from serving.model_server.event_loop import LoopedServer
from serving.model_server.grpc.service import Method
from serving.model_server.status import Status, invalid

LOG = logging.getLogger("digits-model-server")
CODES = {code.value[0]: code for code in grpc.StatusCode}
MOST = 2**31 - 1
PENDING = 100_000  # requests that gRPC may hold until the event loop takes them; its own limit is 1,000
_WHOLE = re.compile(r"[+-]?[0-9]+")
Service = Callable[[LoopedServer], grpc.GenericRpcHandler]  # made in the server's event loop


class GrpcServer(LoopedServer):
    """Serves methods on addresses until it is stopped."""

    def __init__(
        self,
        methods: Mapping[str, Method],
        addresses: list[str],
        threads: int,
        most_bytes: int,
        arguments: str,
        credentials: Any = None,
        services: Sequence[Service] = (),
    ) -> None:
        """arguments: channel arguments as `key=value,key=value`. Raises Status for others."""
        super().__init__("grpc", threads)
        self._methods, self._addresses = methods, addresses
        self._credentials, self._services = credentials, services
        self._options = [
            ("grpc.max_receive_message_length", most_bytes or MOST),
            ("grpc.max_send_message_length", MOST),
            ("grpc.server.max_pending_requests", PENDING),  # else those of a stalled second are cancelled
            ("grpc.server.max_pending_requests_hard_limit", PENDING),
            ("grpc.so_reuseport", 0),  # else a second server takes the same port and half of the calls
            *channel_arguments(arguments),
        ]

    async def serve(self) -> None:
        """See LoopedServer."""
        server = grpc.aio.server(options=self._options)
        handlers: dict[str, dict[str, Any]] = {}
        for path, method in self._methods.items():
            _, service, name = path.split("/")
            handlers.setdefault(service, {})[name] = grpc.unary_unary_rpc_method_handler(
                self._handler(path, method)
            )
        for service, listed in handlers.items():
            server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, listed)])
        server.add_generic_rpc_handlers([made(self) for made in self._services])
        for address in self._addresses:
            _listen(server, address, self._credentials)
        await server.start()
        self.opened()
        await self.stopping.wait()
        await server.stop(self.grace)

    def _handler(self, path: str, method: Method) -> Any:
        async def handle(data: bytes, context: Any) -> bytes:
            try:
                kind = path, len(data).bit_length()
                return await self.answered(kind, _answer, method, data, context.time_remaining())
            except Status as error:
                return await _abort(context, error)
            except Exception as error:
                LOG.exception("a request failed")
                return await _abort(context, Status(status.INTERNAL, f"{type(error).__name__}: {error}"))

        return handle


async def _answer(method: Method, data: bytes, seconds: float | None) -> bytes:
    """The serialized response. Raises Status."""
    try:
        request = method.request.FromString(data)
    except DecodeError:
        raise Status(status.INTERNAL, "the request is not the message that this call takes") from None
    response = method.response()
    await method.answer(request, response, seconds)
    serialized: bytes = response.SerializeToString()
    return serialized


async def _abort(context: Any, error: Status) -> bytes:
    await context.abort(CODES[error.code], status.shortened(error.message))
    raise AssertionError("abort raises")


def channel_arguments(text: str) -> list[tuple[str, Any]]:
    """`key=value,key=value` → pairs; whole numbers as such. Raises Status."""
    found: list[tuple[str, Any]] = []
    for pair in filter(None, text.split(",")):
        key, equals, value = pair.partition("=")
        if not equals:
            raise invalid(f"--grpc_channel_arguments: '{pair}' is not of the form key=value")
        whole = _WHOLE.fullmatch(value) and -MOST - 1 <= int(value) <= MOST
        found.append((key, int(value) if whole else value))
    return found


def _listen(server: Any, address: str, credentials: Any) -> None:
    try:
        if credentials is None:
            bound = server.add_insecure_port(address)
        else:
            bound = server.add_secure_port(address, credentials)
    except RuntimeError:
        bound = 0
    if not bound:
        raise Status(
            status.UNAVAILABLE,
            f"can't listen on {address}: it is taken, or not this machine's; stop what uses it, or choose "
            "another port",
        )
