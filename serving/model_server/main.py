"""`digits-model-server`: flags → models loaded → ports open → requests → SIGTERM, drained."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from serving.model_server import config, flags
from serving.model_server.config import ConfigError, ModelSettings
from serving.model_server.flags import Flags, FlagsError
from serving.model_server.statuses import Status

LOG = logging.getLogger("digits-model-server")
FAILED = 255  # as upstream's exit(-1)


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; the exit code."""
    try:
        given = flags.parse(sys.argv[1:] if argv is None else argv)
    except FlagsError as error:
        return _failed(str(error), usage=True)
    if given.flags.help:
        _print(flags.usage())
        return FAILED
    if given.flags.version:
        return _version()
    _log_to_stderr()
    for argument in given.unknown:
        LOG.warning("unknown argument %s: passed over", argument)
    for name in given.ignored:
        LOG.warning("--%s has no effect in this server", name)
    try:
        return _Server(given.flags).run()
    except ConfigError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return FAILED
    except Status as error:
        return _failed(str(error))
    except _Terminated:
        return 0


class _Terminated(BaseException):
    """SIGTERM before the server was up."""


class _Server:
    def __init__(self, given: Flags) -> None:
        self.flags = given

    def run(self) -> int:
        settings = self._settings()  # before anything heavy: a bad file is reported at once
        self._try_ports()
        stop = threading.Event()
        starting = True

        def end(*_: object) -> None:
            if starting:
                raise _Terminated
            stop.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, end)
        manager, settings_of_requests = self._manager()
        manager.start(settings)
        if self.flags.model_config_file and self.flags.model_config_file_poll_wait_seconds > 0:
            manager.follow(self._settings, self.flags.model_config_file_poll_wait_seconds)
        closing = self._open(manager, settings_of_requests)
        starting = False
        stop.wait()
        LOG.info("stopping: no new requests, up to %d s for those under way", self.flags.drain_seconds)
        for close in closing:
            close(self.flags.drain_seconds)
        manager.stop()
        return 0

    def _settings(self) -> list[ModelSettings]:
        if self.flags.model_config_file:
            return config.read(Path(self.flags.model_config_file))
        return config.single(self.flags.model_name, self.flags.model_base_path)

    def _try_ports(self) -> None:
        """A taken port is reported before anything is loaded; it opens when the models are there."""
        from serving.model_server.http_server import bind

        for port in {self.flags.port, self.flags.rest_api_port} - {0}:
            bind(self.flags.host, port, listen=False).close()  # nobody is to think that it serves already

    def _manager(self) -> tuple[Any, Any]:
        from serving.model_server import protos

        protos.messages_only()
        from serving.model_server import savedmodel, warmup
        from serving.model_server.manager import Manager, Pace
        from serving.model_server.predict import Settings
        from serving.model_server.priority import yield_to_requests
        from serving.model_server.sessions import Threads

        chosen = self.flags
        settings = Settings(chosen.limits, chosen.enable_serialization_as_tensor_content)
        tags = [tag for tag in chosen.saved_model_tags.split(",") if tag]
        threads = Threads(
            chosen.tensorflow_session_parallelism,
            chosen.tensorflow_intra_op_parallelism,
            chosen.tensorflow_inter_op_parallelism,
        )

        def load(directory: Path) -> Any:
            model = savedmodel.SavedModel(directory, tags, threads)
            try:
                if chosen.enable_model_warmup:
                    yield_to_requests()  # not before: the session's threads have the priority of their maker
                    warmup.replay(model, directory, settings, chosen.num_request_iterations_for_warmup)
            except BaseException:
                model.close()
                raise
            return model

        pace = Pace(
            chosen.file_system_poll_wait_seconds,
            chosen.max_num_load_retries,
            chosen.load_retry_interval_micros / 1e6,
        )
        free = chosen.allow_version_labels_for_unavailable_models
        return Manager(load, pace, labels_for_unavailable=free), settings

    def _open(self, manager: Any, settings: Any) -> list[Callable[[float], None]]:
        """Open the ports; what closes them again, each within so many seconds."""
        from serving.model_server import grpc_api, grpc_server, http_server, rest_api

        chosen, threads = self.flags, 4 * (os.cpu_count() or 1)
        addresses = [f"{_bracketed(chosen.host)}:{chosen.port}"] if chosen.port else []
        if chosen.grpc_socket_path:
            Path(chosen.grpc_socket_path).unlink(missing_ok=True)
            addresses.append(f"unix:{chosen.grpc_socket_path}")
        server = grpc_server.GrpcServer(
            grpc_api.methods(manager, settings),
            addresses,
            chosen.grpc_max_threads or threads,
            chosen.max_request_bytes,
            chosen.grpc_channel_arguments,
        )
        server.start()
        LOG.info("gRPC on %s:%d", chosen.host, chosen.port)
        closing: list[Callable[[float], None]] = [server.stop]
        if chosen.rest_api_port and chosen.rest_api_port != chosen.port:
            rest = http_server.HttpServer(
                rest_api.RestApi(manager, settings, chosen.rest_api_enable_cors_support),
                http_server.bind(chosen.host, chosen.rest_api_port),  # after gRPC: whoever sees it finds both
                chosen.limits,
                chosen.rest_api_num_threads or threads,
                chosen.rest_api_timeout_in_ms / 1000,
            )
            rest.start()
            LOG.info("REST on %s:%d", chosen.host, chosen.rest_api_port)
            closing.append(rest.stop)
        elif chosen.rest_api_port:
            LOG.error("--rest_api_port is --port: REST is left out")
        return closing


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _version() -> int:
    from importlib.metadata import version

    from serving.model_server import clibrary, protos

    protos.messages_only()
    _print(f"TensorFlow ModelServer: digits-model-server {version('digits')}")
    _print(f"TensorFlow Library: {clibrary.version()}")
    return 0


def _failed(why: str, *, usage: bool = False) -> int:
    _print(f"Failed to start server. Error: {why}")
    if usage:
        _print(flags.usage())
    return FAILED


def _print(text: str) -> None:
    print(text, flush=True)  # noqa: T201


def _log_to_stderr() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    LOG.addHandler(handler)
    LOG.setLevel(logging.INFO)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # what goes wrong comes back as a status
    os.environ.setdefault(
        "TF_OVERRIDE_GLOBAL_THREADPOOL", "1"
    )  # each session has threads of its own (`sessions`)


def run() -> None:
    """The console script."""
    sys.exit(main())


if __name__ == "__main__":
    run()
