"""`digits read`: reads the numbers on photos, as `digits-read` with a bar, or of a pile into a table."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable, Iterator

HELP = "find and read the numbers on photos, or in piles of scans; arguments as for digits-read, and --table"
PASSES_ON = True  # every argument is the client's, or a pile's


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("given", nargs="*", metavar="ARGUMENT", help="photos and options, see --help")


def run(given: argparse.Namespace) -> int:
    """Read the photos and print the digits, or the pile and print its summary."""
    from digits_cli import pile

    if pile.is_pile(given.given):
        return pile.run(given.given)
    from digits_client.reading import command

    try:
        return command.main(given.given, prog=pile.PROG, bar=_bar)
    finally:
        if {"-h", "--help"} & set(given.given):
            print(f"\n{'-' * 78}\nand for piles:\n")  # noqa: T201
            pile.parser().print_help()


@contextlib.contextmanager
def _bar(title: str, total: int) -> Iterator[Callable[[int], None]]:
    from digits.runtime import progress

    with progress.bar(title, total) as advance:
        yield advance
