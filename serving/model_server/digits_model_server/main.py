"""The command `digits-model-server`: loads the models, opens the ports, and drains them after SIGTERM."""

from __future__ import annotations

import io
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from digits_model_server import flags
from digits_model_server.flags import Flags, FlagsError
from digits_model_server.models import config
from digits_model_server.models.config import ConfigError, ModelSettings
from digits_model_server.status import Status

LOG = logging.getLogger("digits-model-server")
FAILED = 255  # as upstream's exit(-1)
KILLED = 128  # plus the signal's number, as in shells
LAST = 2.0  # seconds for unloading the models


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT and return the exit code."""
    for stream in (sys.stdout, sys.stderr):  # the encoding of a pipe may lack signs of texts and paths
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        given = flags.parse(sys.argv[1:] if argv is None else argv)
    except FlagsError as error:
        return _failed(str(error), usage=True)
    if given.flags.help:
        _print(flags.usage())
        return FAILED
    if given.flags.version:
        return _version()
    _log_to_stderr(given.flags.log_format)
    if given.unknown:
        _print("\n".join([*(f"unknown argument: {each}" for each in given.unknown), flags.usage()]))
    for name in given.ignored:
        LOG.warning("--%s has %s", name, flags.HELP[name])
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
        named = self._settings()  # before anything heavy: a bad file is reported at once
        page = self._page()
        from digits_model_server import metrics, ports, process
        from digits_model_server.models import factory

        ports.check(self.flags)
        facts = ports.facts_log(self.flags)
        stop = process.StopRequest()
        starting = True

        def end(number: int, _: object) -> None:
            if starting:
                raise _Terminated
            if stop.is_set():  # a second signal: end at once
                os._exit(KILLED + number)
            stop.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, end)

        manager, settings = factory.make_manager(self.flags, metrics.Observer() if page else None)
        manager.start(named)
        if self.flags.model_config_file and self.flags.model_config_file_poll_wait_seconds > 0:
            manager.follow(self._settings, self.flags.model_config_file_poll_wait_seconds)
        state = process.Readiness()
        starting = False  # from the first open port on there may be requests, which are to be drained
        closing, log = ports.open_ports(self.flags, manager, settings, state, page, facts)
        stop.wait()
        state.end()
        if self.flags.shutdown_delay_seconds:
            LOG.info("no longer ready: the ports stay open for %d s", self.flags.shutdown_delay_seconds)
            time.sleep(self.flags.shutdown_delay_seconds)
        LOG.info("stopping: no new requests, up to %d s for those under way", self.flags.drain_seconds)
        process.close_all(closing, self.flags.drain_seconds)
        log.close(self.flags.drain_seconds)  # last: it takes what the ports still answer
        if facts:
            facts.close(self.flags.drain_seconds)
        if not process.finishes_within(LAST, manager.stop):
            LOG.warning("requests under way are cut off: they took longer than --drain_seconds")
        return 0

    def _settings(self) -> list[ModelSettings]:
        if self.flags.model_config_file:
            return config.read(Path(self.flags.model_config_file))
        return config.single_model(self.flags.model_name, self.flags.model_base_path)

    def _page(self) -> str:
        """The URL path of the metrics; "" for none, then nothing is counted."""
        from digits_model_server import metrics

        file = self.flags.monitoring_config_file
        return metrics.configured_path(Path(file)) if file else ""


def _version() -> int:
    from digits_model_server import __version__, protos
    from digits_model_server.runtime import c_library

    protos.bypass_tensorflow_package()
    _print(f"TensorFlow ModelServer: digits-model-server {__version__}")
    _print(f"TensorFlow Library: {c_library.version()}")
    return 0


def _failed(why: str, *, usage: bool = False) -> int:
    _print(f"Failed to start server. Error: {why}")
    if usage:
        _print(flags.usage())
    return FAILED


def _print(text: str) -> None:
    print(text, flush=True)  # noqa: T201


class _JsonFormatter(logging.Formatter):
    """One object a line, with the fields of the gateway's log."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {"at": at, "level": record.levelname.lower(), "message": record.getMessage()}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def _log_to_stderr(form: str) -> None:
    handler = logging.StreamHandler()
    text = logging.Formatter("%(asctime)s %(levelname)s %(message)s")
    handler.setFormatter(_JsonFormatter() if form == "json" else text)
    LOG.addHandler(handler)
    LOG.setLevel(logging.INFO)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # what goes wrong comes back as a status
    os.environ.setdefault(
        "TF_OVERRIDE_GLOBAL_THREADPOOL", "1"
    )  # each session has threads of its own (`sessions`)


def run() -> None:
    """Entry point of the console script."""
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # TensorFlow's threads may still load or answer: exiting would wait for them


if __name__ == "__main__":
    run()
