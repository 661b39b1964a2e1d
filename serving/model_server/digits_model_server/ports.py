"""Opens the server's ports, with metrics and the request log around their calls."""

from __future__ import annotations

import logging
import os
from functools import partial
from pathlib import Path

from digits_model_server import middleware
from digits_model_server.flags import Flags
from digits_model_server.grpc import health
from digits_model_server.grpc import server as grpc_server
from digits_model_server.grpc import service as grpc_service
from digits_model_server.inference.predict import Settings
from digits_model_server.models.manager import Manager
from digits_model_server.process import Close, Readiness
from digits_model_server.request_log import facts
from digits_model_server.request_log.facts import FactsLog
from digits_model_server.request_log.log import Bounds, RequestLog
from digits_model_server.rest import api as rest_api
from digits_model_server.rest import server as http_server

LOG = logging.getLogger("digits-model-server")


def check(flags: Flags) -> None:
    """Check, before the models are loaded, that the ports can be opened. Raises Status."""
    grpc_server.channel_arguments(flags.grpc_channel_arguments)
    _credentials(flags)
    if flags.grpc_socket_path:
        grpc_server.claim_path(flags.grpc_socket_path)
    for port in {flags.port, flags.rest_api_port} - {0}:
        http_server.bind(flags.host, port, listen=False).close()  # no client should find an open port yet


def open_ports(
    flags: Flags,
    manager: Manager,
    settings: Settings,
    readiness: Readiness,
    page: str = "",
    of_facts: FactsLog | None = None,
) -> tuple[list[Close], RequestLog]:
    """Open the ports, gRPC's first. Return the functions that close them, and their request log, which is to
    be closed after them. page: URL path of the metrics. of_facts: a log of their requests. Raises Status.
    """
    threads = 4 * (os.cpu_count() or 1)
    observer, log = settings.observer, _request_log(flags, manager, settings)
    methods = middleware.with_request_log(
        grpc_service.methods(manager, settings, flags.enable_reload_config_request), log
    )
    if of_facts:
        methods = middleware.with_facts_log(methods, of_facts, lambda name: name in manager.models)
    if observer:
        methods = middleware.with_metrics(methods, observer, lambda name: name in manager.models)
    if flags.grpc_socket_path:
        grpc_server.claim_path(
            flags.grpc_socket_path
        )  # again: gRPC would take it from a server that came since
    server = grpc_server.GrpcServer(
        methods,
        _addresses(flags),
        flags.grpc_max_threads if flags.grpc_max_threads > 0 else threads,
        flags.max_request_bytes,
        flags.grpc_channel_arguments,
        _credentials(flags),
        [partial(health.service, readiness)] if flags.enable_grpc_healthcheck_service else [],
    )
    server.start()
    sealed = ", encrypted" if flags.ssl_config_file else ""
    for address in _addresses(flags):
        LOG.info("gRPC on %s%s", address, sealed)
    closing: list[Close] = [server.stop]
    if flags.rest_api_port and flags.rest_api_port != flags.port:
        cors = flags.rest_api_enable_cors_support
        api: http_server.Api = rest_api.RestApi(manager, settings, cors, log, of_facts)
        if observer:
            api = middleware.ApiWithMetrics(api, observer, lambda name: name in manager.models, page)
        rest = http_server.HttpServer(
            api,
            http_server.bind(
                flags.host, flags.rest_api_port
            ),  # after gRPC: a client that finds it finds both
            flags.limits,
            flags.rest_api_num_threads if flags.rest_api_num_threads > 0 else threads,
            flags.rest_api_timeout_in_ms / 1000 if flags.rest_api_timeout_in_ms > 0 else None,
            readiness,
        )
        rest.start()
        plain = ", not encrypted: --ssl_config_file is for gRPC" if sealed else ""
        LOG.info("REST on %s:%d%s", flags.host, flags.rest_api_port, plain)
        closing.append(rest.stop)
    elif flags.rest_api_port:
        LOG.error("--rest_api_port is --port: REST is left out")
    if observer and len(closing) == 1:
        LOG.warning("--monitoring_config_file: the metrics are shown on the REST port, and there is none")
    return closing, log


def facts_log(flags: Flags) -> FactsLog | None:
    """Return the facts log that the flags ask for, None for none. Raises Status for a bad function."""
    if not flags.facts_log_prefix:
        return None
    bounds = facts.Bounds(
        flags.facts_log_max_bytes, flags.facts_log_max_files, flags.facts_log_days, flags.facts_log_rate
    )
    made = facts.function(flags.facts_function)
    return FactsLog(flags.facts_log_prefix, made, bounds, flags.facts_log_group)


def _request_log(flags: Flags, manager: Manager, settings: Settings) -> RequestLog:
    bounds = Bounds(flags.request_log_max_bytes, flags.request_log_max_files)
    tags = [tag for tag in flags.saved_model_tags.split(",") if tag]
    return RequestLog(manager, bounds, tags, settings.observer)


def _credentials(flags: Flags) -> object:
    return grpc_server.credentials(Path(flags.ssl_config_file)) if flags.ssl_config_file else None


def _addresses(flags: Flags) -> list[str]:
    host = f"[{flags.host}]" if ":" in flags.host else flags.host
    addresses = [f"{host}:{flags.port}"] if flags.port else []
    return addresses + ([f"unix:{flags.grpc_socket_path}"] if flags.grpc_socket_path else [])
