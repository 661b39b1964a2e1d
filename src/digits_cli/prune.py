"""`digits prune`: deletes old versions; never one that serves, is on trial or served before."""

from __future__ import annotations

import argparse

HELP = "delete old versions; never one that serves, is on trial or served before"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument(
        "--keep",
        type=int,
        metavar="K",
        help="how many of the newest versions to keep in any case; default: 5",
    )


def run(given: argparse.Namespace) -> int:
    """Delete old versions and print which."""
    from digits_cli import project
    from serving.store import publish

    store = project.store_of(project.project_root())
    gone = publish.prune(store, publish.KEEP if given.keep is None else given.keep)
    said = f"deleted version {', '.join(map(str, gone))}" if gone else "nothing to delete"
    project.console().print(f"{said}; {store.summary()}")
    return 0
