"""`digits serve`: serves the promoted version, by TensorFlow Serving where it is installed, else by our
server.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

HELP = "serve the promoted version on gRPC 8500 and REST 8501; flags as for tensorflow_model_server"
PASSES_ON = True  # every argument is the server's
REAL = "tensorflow_model_server"
POLL = 1  # seconds between looks at the pointer: a promotion is followed within that and the loading time


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("flags", nargs="*", metavar="--FLAG=VALUE", help="a flag of the server")


def run(given: argparse.Namespace) -> int:
    """Replace this process by the server, which then gets its signals and sets its exit code."""
    from digits.runtime.errors import StoreError
    from digits_cli import project

    if {"-h", "--help"} & set(given.flags):
        from serving.model_server.flags import usage

        print(f"digits serve: {HELP}\n\n{usage()}")  # noqa: T201
        return 0
    root = project.project_root()
    store = project.store_of(root)
    pointer = store.current()
    if pointer is None:
        raise StoreError("no version is promoted: `make run`, or `digits publish` and `digits promote`")
    if moved := store.base_path_problem():
        raise StoreError(moved)
    print(f"serving version {pointer.stable} by {_described()}", file=sys.stderr)  # noqa: T201
    command = [
        *server(),
        *flags(root / "models" / "serving" / "models.config", given.flags, shutil.which(REAL) is None),
    ]
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(command[0], command)


def server() -> list[str]:
    """Return the command of the server to use."""
    found = shutil.which(REAL)
    return [found] if found else [sys.executable, "-m", "serving.model_server"]


def flags(pointer: Path, given: list[str], embedded: bool) -> list[str]:
    """Return the given flags, preceded by defaults for those left out. embedded: for our own server."""
    ours: dict[str, object] = {
        "--port": 8500,
        "--rest_api_port": 8501,
        "--model_config_file": pointer,
        "--model_config_file_poll_wait_seconds": POLL,
    }
    if embedded:
        ours["--enable_reload_config_request"] = "false"  # the pointer alone says what serves
    named = {each.partition("=")[0] for each in given}
    return [f"{name}={value}" for name, value in ours.items() if name not in named] + given


def _described() -> str:
    found = shutil.which(REAL)
    if not found:
        return f"the embedded server ({REAL} is not on the PATH)"
    return f"{found}, which listens on every address of this machine: close its ports in the firewall"
