"""Flags and models → open ports, and what closes them again."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

from serving.model_server import counted, grpc_api, grpc_server, http_server, logged, rest_api
from serving.model_server.flags import Flags
from serving.model_server.manager import Manager
from serving.model_server.predict import Settings
from serving.model_server.request_log import Bounds, RequestLog

LOG = logging.getLogger("digits-model-server")
Close = Callable[[float], None]  # takes no more requests; waits so many seconds for those under way


def opened(flags: Flags, manager: Manager, settings: Settings, page: str = "") -> list[Close]:
    """Open the ports, gRPC's first; what closes each. page: where the metrics are shown. Raises Status."""
    threads = 4 * (os.cpu_count() or 1)
    observer, log = settings.observer, _request_log(flags, manager, settings)
    methods = logged.methods(grpc_api.methods(manager, settings), log)
    if observer:
        methods = counted.methods(methods, observer, lambda name: name in manager.models)
    server = grpc_server.GrpcServer(
        methods,
        _addresses(flags),
        flags.grpc_max_threads or threads,
        flags.max_request_bytes,
        flags.grpc_channel_arguments,
    )
    server.start()
    LOG.info("gRPC on %s:%d", flags.host, flags.port)
    closing: list[Close] = [server.stop]
    if flags.rest_api_port and flags.rest_api_port != flags.port:
        api: http_server.Api = rest_api.RestApi(manager, settings, flags.rest_api_enable_cors_support, log)
        if observer:
            api = counted.CountedApi(api, observer, lambda name: name in manager.models, page)
        rest = http_server.HttpServer(
            api,
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
    if observer and len(closing) == 1:
        LOG.warning("--monitoring_config_file: the metrics are shown on the REST port, and there is none")
    return [*closing, log.close]  # last: it takes what the ports still answer


def _request_log(flags: Flags, manager: Manager, settings: Settings) -> RequestLog:
    bounds = Bounds(flags.request_log_max_bytes, flags.request_log_max_files)
    tags = [tag for tag in flags.saved_model_tags.split(",") if tag]
    return RequestLog(manager, bounds, tags, settings.observer)


def _addresses(flags: Flags) -> list[str]:
    host = f"[{flags.host}]" if ":" in flags.host else flags.host
    addresses = [f"{host}:{flags.port}"] if flags.port else []
    if flags.grpc_socket_path:
        Path(flags.grpc_socket_path).unlink(missing_ok=True)  # of a server that was killed
        addresses.append(f"unix:{flags.grpc_socket_path}")
    return addresses
