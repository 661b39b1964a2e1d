"""`digits read`: reads all digits of photos with a running server. The same as `digits-read`, with a bar."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable, Iterator

HELP = "find and read all digits in photos, with a running server; arguments as for digits-read"
PASSES_ON = True  # every argument is the client's


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("given", nargs="*", metavar="ARGUMENT", help="photos and options, see --help")


def run(given: argparse.Namespace) -> int:
    """Read the photos and print the digits."""
    from digits_client.reading import command

    return command.main(given.given, prog="digits read", bar=_bar)


@contextlib.contextmanager
def _bar(title: str, total: int) -> Iterator[Callable[[int], None]]:
    from digits.runtime import progress

    with progress.bar(title, total) as advance:
        yield advance
