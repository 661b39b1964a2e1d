"""`digits predict`: asks a running server which digits pictures show. The same as `digits-client`."""

from __future__ import annotations

import argparse

HELP = "ask a running server which digits pictures show; arguments as for digits-client"
PASSES_ON = True  # every argument is the client's


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("given", nargs="*", metavar="ARGUMENT", help="images and options, see --help")


def run(given: argparse.Namespace) -> int:
    """Ask the server and print the answers."""
    from digits_client import cli

    return cli.main(given.given, prog="digits predict")
