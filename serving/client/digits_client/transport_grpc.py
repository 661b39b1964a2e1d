"""Sends messages over gRPC, synchronously and in asyncio, whatever their content."""

from __future__ import annotations

from typing import Any

import grpc
import grpc.aio

from digits_client.effects import CLOSED, OK, Message, Reply
from digits_client.options import Target

OPTIONS = [
    ("grpc.max_send_message_length", -1),  # as the server's own; the client's chunks keep messages small
    ("grpc.max_receive_message_length", -1),
    ("grpc.enable_http_proxy", 0),  # a model server is internal: the environment's proxy is not for it
    # After a lost connection gRPC waits 1 to 120 s before it tries again, and fails calls meanwhile.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # Finds dead connections by TCP_USER_TIMEOUT; servers treat more than one ping in 5 minutes as an attack.
    ("grpc.keepalive_time_ms", 300_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.use_local_subchannel_pool", 1),  # this client's own connection, with these options
]


class GrpcTransport:
    """One channel. Threads may share it."""

    def __init__(self, target: Target, roots: bytes | None) -> None:
        self._channel = _open(grpc, target, roots)
        self._methods: dict[str, Any] = {}

    def exchange(self, message: Message, seconds: float) -> Reply:
        """Send a message and return the reply, within so many seconds."""
        try:
            method = self._methods.get(message.path)
            if method is None:  # two threads may each make one: they are equal
                method = self._methods[message.path] = self._channel.unary_unary(message.path)
            return Reply(OK, method(message.body, timeout=seconds))
        except grpc.RpcError as error:
            return _reply(error)
        except ValueError as error:  # what a closed channel raises
            return Reply(CLOSED, text=f"this client was closed during a call ({error})")

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()


class AsyncGrpcTransport:
    """One channel, for one event loop."""

    def __init__(self, target: Target, roots: bytes | None) -> None:
        self._channel = _open(grpc.aio, target, roots)

    async def exchange(self, message: Message, seconds: float) -> Reply:
        """Send a message and return the reply, within so many seconds."""
        try:
            return Reply(OK, await self._channel.unary_unary(message.path)(message.body, timeout=seconds))
        except grpc.RpcError as error:
            return _reply(error)
        except grpc.aio.UsageError as error:
            return Reply(CLOSED, text=f"this client was closed during a call ({error})")

    async def close(self) -> None:
        """Close the connection."""
        await self._channel.close()


def _open(module: Any, target: Target, roots: bytes | None) -> Any:
    if target.tls:
        return module.secure_channel(target.address, grpc.ssl_channel_credentials(roots), options=OPTIONS)
    return module.insecure_channel(target.address, options=OPTIONS)


def _reply(error: Any) -> Reply:
    return Reply(error.code().name, text=error.details() or "")
