"""The command line `digits`, one module per command with HELP, EPILOG, `arguments(parser)` and `run(given)`.

EPILOG has examples and the exit codes; the commands with PASSES_ON print the help of another program. `run`
returns an exit code. This is the top layer: commands read the command line, call the other packages, and
print. What a command needs is imported when it runs, so that `digits --help` answers at once.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version
from typing import Any

import shtab

from digits.runtime.errors import DigitsError
from digits.runtime.progress import escape_unprintable

DESCRIPTION = "Train, test and serve a reader of handwritten digits."
EPILOG = """\
examples:
  digits run                  run what is stale, and put the model in service if it is no worse
  digits app                  draw a digit in the browser
  digits read photo.jpg       read the numbers on a photo
  digits explain 3            data, code, parameters and scores behind version 3

exit codes: 0 done, 1 any other error, 2 wrong arguments or params.yaml, 3 data, 4 training,
5 refused by a gate, 6 the model store, 7 the model server, 8 `digits monitor`: an alarm stands,
130 interrupted
"""
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
    "monitor",
    "sweep",
    "crossval",
)


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command and exit with its code: 0, that of its error, or 130 when interrupted."""
    escape_unprintable()
    parser = argparse.ArgumentParser(
        "digits",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"digits {version('digits')}")
    shtab.add_argument_to(parser, "--print-completion", help="print a completion script for a shell")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name in COMMANDS:
        module = import_module(f"digits_cli.{name}")
        # The arguments of another command line, --help too, are passed on unparsed: none has this prefix.
        others: dict[str, Any] = (
            {"prefix_chars": "\0", "add_help": False} if hasattr(module, "PASSES_ON") else {}
        )
        command = commands.add_parser(
            name,
            help=module.HELP,
            description=module.HELP,
            epilog=getattr(module, "EPILOG", None),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            **others,
        )
        module.arguments(command)
        command.set_defaults(function=module.run)
    given = parser.parse_args(argv)
    if given.command is None:
        parser.print_help()
        sys.exit(0)
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
