"""`digits app`: reads the options, starts a model server where none runs, and the gateway."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from digits.runtime.errors import ParamsError, StoreError
from serving.app import backend, log_lines
from serving.app.server import Address, run
from serving.app.settings import FEEDBACK, KEY, MIB, OFF, SERVER, Limits, Settings, is_loopback
from serving.app.visitors import networks
from serving.checks import server_process
from serving.monitoring.record import Record
from serving.store.store import Store

KEPT = ".digits"  # below the project's folder: corrections, request log, the model server's own log
LOG = Path(KEPT) / "model-server.log"
SHORTEST = 16  # characters of a key: fewer could be tried out
PORTS = (8500, 8501)  # of the model server that is started where none runs


def start(given: argparse.Namespace, root: Path) -> int:
    """Serve until a signal. Raises DigitsError when it can't begin. root: the project's folder."""
    settings, address = read(given, root, os.environ)
    os.umask(0o077)  # what it keeps is for its user alone: images, corrections, logs
    _close(root / KEPT)
    form = given.log_format or ("text" if sys.stderr.isatty() else "json")
    tell = partial(log_lines.as_text if form == "text" else log_lines.as_json, sys.stderr)
    if not is_loopback(address.host) and settings.key is None:
        warning = f"anybody who can reach {address.host} can use it: --key-file asks for a key"
        tell(log_lines.event(warning, "warning"))
    with contextlib.ExitStack() as stack:
        if given.server is None and not backend.answers(SERVER):
            tell(log_lines.event("starting a model server …"))
            own = command(Store(settings.store or root / "models" / "serving"))
            stack.enter_context(backend.keep_running(own, root / LOG, tell)).wait(SERVER)
        return run(settings, address, tell)


def read(given: argparse.Namespace, root: Path, environment: Mapping[str, str]) -> tuple[Settings, Address]:
    """The settings and the address that the options give. Raises ParamsError."""
    if (given.tls_cert is None) != (given.tls_key is None):
        raise ParamsError("--tls-cert and --tls-key go together: give both")
    for path in (given.tls_cert, given.tls_key):
        if path is not None and not path.is_file():
            raise ParamsError(f"{path} is no file: expected PEM")
    if not 0 <= given.port <= 65535:
        raise ParamsError(f"--port is {given.port}: expected 0 to 65535")
    if not 0 <= given.log_share <= 1:
        raise ParamsError(f"--log-share is {given.log_share:g}: expected 0 to 1")
    if given.timeout <= 0 or given.drain < 0 or given.log_size < 1 or given.log_days <= 0:
        raise ParamsError("--timeout and --log-days are above 0, --drain 0 or more, --log-size at least 1")
    limits = Limits(
        body=given.max_body * MIB,
        pixels=given.max_pixels,
        rate=given.rate,
        seconds=given.seconds,
        readers=given.readers,
    )
    local = Settings().hosts
    hosts = (*local, given.host, *given.allow_host) if is_loopback(given.host) or given.allow_host else ()
    feedback = given.feedback or environment.get(FEEDBACK) or f"sqlite:///{root / KEPT / 'feedback.db'}"
    log = given.request_log or str(root / KEPT / "requests")
    settings = Settings(
        server=given.server or SERVER,
        timeout=given.timeout,
        store=given.store or root / "models" / "serving",
        feedback=None if feedback == OFF else feedback,
        log=None if log == OFF else Path(log),
        log_share=given.log_share,
        log_images=given.log_images,
        log_bytes=given.log_size * MIB,
        log_days=given.log_days,
        log_group=given.log_group,
        monitoring=Record(root).latest,
        key=_key(given.key_file, environment),
        hosts=hosts,
        proxies=networks(given.trusted_proxy),
        limits=limits,
    )
    return settings, Address(given.host, given.port, given.tls_cert, given.tls_key, given.drain)


def command(store: Store) -> Sequence[str]:
    """The command of a model server for the promoted version. Raises StoreError when there is none."""
    if store.current() is None:
        raise StoreError("no version is promoted: `make run`, or `digits publish` and `digits promote`")
    if moved := store.base_path_problem():
        raise StoreError(moved)
    grpc, rest = PORTS
    flags = {"port": grpc, "rest_api_port": rest, "model_config_file": store.pointer}
    flags["model_config_file_poll_wait_seconds"] = 1
    return [*server_process.command(), *(f"--{name}={value}" for name, value in flags.items())]


def _close(folder: Path) -> None:
    """Let nobody else look into a folder that was there before; another user's stays as it is."""
    with contextlib.suppress(OSError):
        if folder.is_dir():
            folder.chmod(0o700)


def _key(path: Path | None, environment: Mapping[str, str]) -> str | None:
    if path is None:
        key, source = environment.get(KEY, "").strip(), f"${KEY}"
        if not key:
            return None
    else:
        source = f"--key-file {path}"
        try:
            key = path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ParamsError(f"{source} can't be read ({error}): expected a line of text") from None
    if len(key) < SHORTEST:
        raise ParamsError(f"{source} holds {len(key)} characters: expected at least {SHORTEST}, at random")
    return key
