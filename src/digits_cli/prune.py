"""`digits prune`: old versions out of the store; never one that serves, is on trial or served before."""

from __future__ import annotations

import argparse

HELP = "delete old versions; never one that serves, is on trial or served before"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument(
        "--keep", type=int, metavar="K", help="how many of the newest stay, whatever they are; default 5"
    )


def run(given: argparse.Namespace) -> int:
    """Prune and say what went."""
    from digits_cli import project
    from serving.store import publish

    store = project.store_of(project.project_root())
    gone = publish.prune(store, publish.KEEP if given.keep is None else given.keep)
    said = f"deleted version {', '.join(map(str, gone))}" if gone else "nothing to delete"
    project.console().print(f"{said}; {store.summary()}")
    return 0
