"""`digits …`: the command line. Everything is imported when it is used."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from digits.commands import COMMANDS
from digits.errors import DigitsError


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command and exit with its code: 0, that of its error, or 130 when interrupted."""
    parser = argparse.ArgumentParser(prog="digits", description=__import__("digits").__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in COMMANDS:
        module = import_module(f"digits.commands.{name}")
        # What belongs to another command line, --help too, is not looked at: no argument has this prefix.
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
        code = _told(str(error), error.exit_code)
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        code = _told(f"{error.strerror or error}{where}: mend it and run the same command again", 1)
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)


def _told(message: str, code: int) -> int:
    print(f"digits: {' '.join(message.split())}", file=sys.stderr)  # noqa: T201
    return code


if __name__ == "__main__":
    main()
