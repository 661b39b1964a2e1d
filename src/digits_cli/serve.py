"""`digits serve`: serves the promoted version, by TensorFlow Serving where it is installed, else by our
server.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

HELP = "serve the promoted version, and follow promotions; with TensorFlow Serving if it is installed"
EPILOG = """\
examples:
  digits serve
  digits serve --port 8600 --rest-port 8601
  digits serve -- --monitoring_config_file=serving/monitoring.config

exit codes: 0 ended by a signal, 2 wrong options, 6 no version is promoted, 255 the server can't start
"""
REAL = "tensorflow_model_server"
LOG = Path(".digits", "requests", "server")  # below the project's folder
FACTS = "serving.monitoring.served:rows"
POLL = 1  # seconds between looks at the pointer: a promotion is followed within that and the loading time


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--port", type=int, default=8500, help="for gRPC; default: 8500")
    parser.add_argument("--rest-port", type=int, default=8501, metavar="PORT", help="for REST; default: 8501")
    parser.add_argument(
        "flags",
        nargs="*",
        metavar="-- --FLAG=VALUE",
        help="flags of the server itself, as `digits-model-server --help` lists them",
    )


def run(given: argparse.Namespace) -> int:
    """Replace this process by the server, which then gets its signals and sets its exit code."""
    from digits.runtime.errors import ParamsError, StoreError
    from digits_cli import project

    for name, port in (("--port", given.port), ("--rest-port", given.rest_port)):
        if not 0 <= port < 65536:
            raise ParamsError(f"{name} {port} is not a port: give one from 1 to 65535, or 0 for none")
    if strange := [flag for flag in given.flags if not flag.startswith("--")]:
        raise ParamsError(f"'{strange[0]}' is not a flag of the server: expected --FLAG=VALUE after --")
    root = project.project_root()
    store = project.store_of(root)
    pointer = store.current()
    if pointer is None:
        raise StoreError("no version is promoted: `make run`, or `digits publish` and `digits promote`")
    if moved := store.base_path_problem():
        raise StoreError(moved)
    at = f"gRPC on {given.port or 'no port'}, REST on {given.rest_port or 'no port'}"
    print(f"serving version {pointer.stable} by {_described()}; {at}", file=sys.stderr)  # noqa: T201
    ports = {"--port": given.port, "--rest_api_port": given.rest_port}
    log, embedded = root / LOG, shutil.which(REAL) is None
    if embedded:
        log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    command = [*server(), *flags(store.pointer, log, ports, given.flags, embedded=embedded)]
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(command[0], command)


def server() -> list[str]:
    """Return the command of the server to use."""
    found = shutil.which(REAL)
    return [found] if found else [sys.executable, "-m", "digits_model_server"]


def flags(pointer: Path, log: Path, ports: dict[str, int], given: list[str], *, embedded: bool) -> list[str]:
    """Return the given flags, preceded by defaults for those left out.

    log: prefix of the facts log's files. embedded: for our own server.
    """
    ours: dict[str, object] = {
        **ports,
        "--model_config_file": pointer,
        "--model_config_file_poll_wait_seconds": POLL,
    }
    if embedded:
        ours["--enable_reload_config_request"] = "false"  # the pointer alone says what serves
        ours["--facts_log_prefix"] = log
        ours["--facts_function"] = FACTS
    named = {each.partition("=")[0] for each in given}
    return [f"{name}={value}" for name, value in ours.items() if name not in named] + given


def _described() -> str:
    found = shutil.which(REAL)
    if not found:
        return f"the embedded server ({REAL} is not on the PATH)"
    return f"{found}, which listens on every address of this machine: close its ports in the firewall"
