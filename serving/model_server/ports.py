"""Flags and models → open ports, and what closes them again."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

from serving.model_server import grpc_api, grpc_server, http_server, rest_api
from serving.model_server.flags import Flags
from serving.model_server.manager import Manager
from serving.model_server.predict import Settings

LOG = logging.getLogger("digits-model-server")
Close = Callable[[float], None]  # takes no more requests; waits so many seconds for those under way


def opened(flags: Flags, manager: Manager, settings: Settings) -> list[Close]:
    """Open the ports, gRPC's first; what closes each. Raises Status."""
    threads = 4 * (os.cpu_count() or 1)
    server = grpc_server.GrpcServer(
        grpc_api.methods(manager, settings),
        _addresses(flags),
        flags.grpc_max_threads or threads,
        flags.max_request_bytes,
        flags.grpc_channel_arguments,
    )
    server.start()
    LOG.info("gRPC on %s:%d", flags.host, flags.port)
    closing: list[Close] = [server.stop]
    if flags.rest_api_port and flags.rest_api_port != flags.port:
        rest = http_server.HttpServer(
            rest_api.RestApi(manager, settings, flags.rest_api_enable_cors_support),
            http_server.bind(flags.host, flags.rest_api_port),  # after gRPC: whoever sees it finds both
            flags.limits,
            flags.rest_api_num_threads or threads,
            flags.rest_api_timeout_in_ms / 1000,
        )
        rest.start()
        LOG.info("REST on %s:%d", flags.host, flags.rest_api_port)
        closing.append(rest.stop)
    elif flags.rest_api_port:
        LOG.error("--rest_api_port is --port: REST is left out")
    return closing


def _addresses(flags: Flags) -> list[str]:
    host = f"[{flags.host}]" if ":" in flags.host else flags.host
    addresses = [f"{host}:{flags.port}"] if flags.port else []
    if flags.grpc_socket_path:
        Path(flags.grpc_socket_path).unlink(missing_ok=True)  # of a server that was killed
        addresses.append(f"unix:{flags.grpc_socket_path}")
    return addresses
