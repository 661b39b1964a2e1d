"""`digits prune`: deletes old versions; never one that serves, is on trial or served before."""

from __future__ import annotations

import argparse

HELP = "delete old versions; never one that serves, is on trial or served before"

EPILOG = """\
examples:
  digits prune             keep the newest 5, and all that serve or served
  digits prune --keep 2

exit codes: 0 done, 6 the store can't be written, or K is below 1
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument(
        "--keep",
        type=int,
        metavar="K",
        help="how many of the newest versions to keep in any case; default: 5",
    )
    parser.add_argument("--json", action="store_true", help="print what was deleted and what is left as JSON")


def run(given: argparse.Namespace) -> int:
    """Delete old versions and print which."""
    from digits_cli import project
    from serving.store import publish

    store = project.store_of(project.project_root())
    gone = publish.prune(store, publish.KEEP if given.keep is None else given.keep)
    if given.json:
        kept = [version.number for version in store.versions()]
        project.print_json({"deleted": list(gone), "versions": kept})
        return 0
    said = f"deleted version {', '.join(map(str, gone))}" if gone else "nothing to delete"
    project.console().print(f"{said}; {store.summary()}")
    return 0
