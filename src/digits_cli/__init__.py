"""The command line `digits`, one module per command with HELP, `arguments(parser)` and `run(given)`.

`run` returns an exit code. This is the top layer: commands read the command line, call the other packages,
and print. What a command needs is imported when it runs, so that `digits --help` answers at once.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from digits.runtime.errors import DigitsError
from digits.runtime.progress import escape_unprintable

DESCRIPTION = "Handwritten digits: from labelled images to a gated, exported model."
COMMANDS = (
    "run",
    "schedule",
    "ui",
    "publish",
    "promote",
    "rollback",
    "versions",
    "prune",
    "status",
    "explain",
    "serve",
    "predict",
    "read",
    "app",
    "feedback",
    "sweep",
    "crossval",
)


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command and exit with its code: 0, that of its error, or 130 when interrupted."""
    escape_unprintable()
    parser = argparse.ArgumentParser(prog="digits", description=DESCRIPTION)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in COMMANDS:
        module = import_module(f"digits_cli.{name}")
        # The arguments of another command line, --help too, are passed on unparsed: none has this prefix.
        others: dict[str, Any] = (
            {"prefix_chars": "\0", "add_help": False} if hasattr(module, "PASSES_ON") else {}
        )
        command = commands.add_parser(name, help=module.HELP, description=module.HELP, **others)
        module.arguments(command)
        command.set_defaults(function=module.run)
    given = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that servers and scratch folders are ended
    try:
        code = given.function(given)
    except DigitsError as error:
        code = _print_error(str(error), error.exit_code)
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        code = _print_error(f"{error.strerror or error}{where}: fix it and run the same command again", 1)
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)


def _print_error(message: str, code: int) -> int:
    print(f"digits: {' '.join(message.split())}", file=sys.stderr)  # noqa: T201
    return code
