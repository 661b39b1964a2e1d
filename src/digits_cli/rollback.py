"""`digits rollback`: returns to the version that served before, or to any published one, uncompared."""

from __future__ import annotations

import argparse

HELP = "go back to the version that served before, or to a given one, and end a trial"

EPILOG = """\
examples:
  digits rollback             to the version that served before
  digits rollback 2           to version 2, without a comparison
  digits rollback --canary    end the trial; what serves stays

exit codes: 0 done, or it serves already, 2 wrong arguments, 6 there is nothing to go back to
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    from digits_cli import project

    parser.add_argument(
        "version", nargs="?", type=project.version_number, metavar="VERSION", help="default: the previous one"
    )
    parser.add_argument("--canary", action="store_true", help="only end the trial; the stable version stays")
    parser.add_argument("--json", action="store_true", help="print the version that serves as JSON")


def run(given: argparse.Namespace) -> int:
    """Replace the pointer and print which version serves now."""
    from digits.runtime.errors import ParamsError
    from digits_cli import project
    from serving.store import promote

    store = project.store_of(project.project_root())
    current = store.current()
    if given.canary and given.version:
        raise ParamsError("--canary ends the trial and takes no version: leave one of them out")
    if given.canary:
        number, text = promote.withdraw(store).stable, "the trial has ended; version {} serves"
    elif current and given.version == current.stable and not store.base_path_problem():
        trial = f"; version {current.canary} stays on trial" if current.canary else ""
        number, text = current.stable, f"version {{}} serves already{trial}"
    else:
        champion = current.stable if current else None
        number = promote.rollback(store, given.version, expected_champion=champion, at=project.now()).stable
        text = f"version {{}} serves again: servers that follow {store.pointer} load it"
    if given.json:
        before = current.stable if current else None
        project.print_json({"version": number, "before": before})
    else:
        project.console().print(text.format(number))
    return 0
