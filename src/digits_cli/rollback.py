"""`digits rollback`: returns to the version that served before, or to any published one, uncompared."""

from __future__ import annotations

import argparse

HELP = "go back to the version that served before, or to a given one; ends a trial"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    from digits_cli import project

    parser.add_argument(
        "version", nargs="?", type=project.version_number, metavar="VERSION", help="default: the previous one"
    )
    parser.add_argument("--canary", action="store_true", help="only end the trial; the stable version stays")


def run(given: argparse.Namespace) -> int:
    """Replace the pointer and print which version serves now."""
    from digits.runtime.errors import ParamsError
    from digits_cli import project
    from serving.store import promote

    store = project.store_of(project.project_root())
    if given.canary:
        if given.version:
            raise ParamsError("--canary ends the trial and takes no version: leave one of them out")
        ended = promote.withdraw(store)
        project.console().print(f"the trial has ended; version {ended.stable} serves")
        return 0
    current = store.current()
    pointer = promote.rollback(
        store, given.version, expected_champion=current.stable if current else None, at=project.now()
    )
    project.console().print(
        f"version {pointer.stable} serves again: servers that follow {store.pointer} load it"
    )
    return 0
