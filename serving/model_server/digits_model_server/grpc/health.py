"""The service grpc.health.v1.Health, which probes and load balancers call.

Its two messages are made at run time, so that the package grpcio-health-checking is not needed and, where it
is installed, does not conflict.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import cache
from typing import Any

import grpc

from digits_model_server.event_loop import EventLoopServer
from digits_model_server.process import Readiness

NAME = "grpc.health.v1.Health"
SERVICES = ("", "ModelService", "PredictionService")  # as upstream names them, without their package
SERVING, NOT_SERVING, SERVICE_UNKNOWN = 1, 2, 3
LONGEST = 200  # characters of a service's name


def service(readiness: Readiness, server: EventLoopServer) -> grpc.GenericRpcHandler:
    """Return the handler of Check and Watch for a server; to be called in its event loop."""
    ended = asyncio.Event()
    readiness.on_end(lambda: server.loop.call_soon_threadsafe(ended.set))

    def status() -> int:
        return SERVING if readiness.ready else NOT_SERVING

    async def check(data: bytes, context: Any) -> bytes:
        if await _name(data, context) not in SERVICES:
            await context.abort(grpc.StatusCode.NOT_FOUND, "service name unknown")
        return _response(status())

    async def watch(data: bytes, context: Any) -> AsyncIterator[bytes]:
        if await _name(data, context) in SERVICES:
            said = status()
            yield _response(said)
            if said == SERVING:
                await ended.wait()
                yield _response(NOT_SERVING)
        else:
            yield _response(SERVICE_UNKNOWN)
        await server.stopping.wait()  # not longer: draining does not wait for a watcher

    calls = {
        "Check": grpc.unary_unary_rpc_method_handler(check),
        "Watch": grpc.unary_stream_rpc_method_handler(watch),
    }
    return grpc.method_handlers_generic_handler(NAME, calls)


async def _name(data: bytes, context: Any) -> str:
    from google.protobuf.message import DecodeError

    try:
        name: str = message("HealthCheckRequest").FromString(data).service
    except DecodeError:
        name = "?" * (LONGEST + 1)
    if len(name) > LONGEST:
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "could not parse request")
    return name


def _response(status: int) -> bytes:
    serialized: bytes = message("HealthCheckResponse")(status=status).SerializeToString()
    return serialized


@cache
def message(name: str) -> Any:
    """Return the class of a message, HealthCheckRequest or HealthCheckResponse."""
    from google.protobuf import message_factory

    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(f"grpc.health.v1.{name}"))


@cache
def _pool() -> Any:
    from google.protobuf import descriptor_pb2, descriptor_pool

    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="digits_model_server/health.proto", package="grpc.health.v1", syntax="proto3"
    )
    field = file.message_type.add(name="HealthCheckRequest").field
    field.add(name="service", number=1, label=kinds.LABEL_OPTIONAL, type=kinds.TYPE_STRING)
    response = file.message_type.add(name="HealthCheckResponse")
    states = response.enum_type.add(name="ServingStatus")
    for number, state in enumerate(("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")):
        states.value.add(name=state, number=number)
    response.field.add(
        name="status",
        number=1,
        label=kinds.LABEL_OPTIONAL,
        type=kinds.TYPE_ENUM,
        type_name=".grpc.health.v1.HealthCheckResponse.ServingStatus",
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool
