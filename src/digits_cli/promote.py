"""`digits promote`: puts a published version into service if it is no worse than the current one."""

from __future__ import annotations

import argparse

HELP = "compare a published version with the one in service; if it is no worse, put it into service"

EPILOG = """\
examples:
  digits promote               the newest version, if it is no worse than the one in service
  digits promote 3 --canary    try version 3 beside it, as digits_canary

exit codes: 0 done, or it serves already, 5 it is worse, 6 there is no such version or it can't be compared
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    from digits_cli import project

    parser.add_argument(
        "version", nargs="?", type=project.version_number, metavar="VERSION", help="default: the newest"
    )
    parser.add_argument(
        "--canary", action="store_true", help="try it as digits_canary beside the stable version"
    )
    parser.add_argument(
        "--base-path",
        metavar="PATH",
        help="path under which servers see models/serving/digits, if another; remembered",
    )
    parser.add_argument("--json", action="store_true", help="print the comparison as JSON")


def run(given: argparse.Namespace) -> int:
    """Promote a version and print how it compared. Raises GateRefused when it is worse."""
    from digits.pipeline import summary
    from digits.runtime.errors import StoreError
    from digits_cli import project
    from flows.rollout import release

    root = project.project_root()
    store, console = project.store_of(root), project.console()
    number = given.version or max((version.number for version in store.versions()), default=None)
    if number is None:
        raise StoreError("nothing is published, so there is nothing to promote: run `digits publish`")
    before = store.current()
    with project.spoken_on_stderr(given.json):
        outcome = release.promote(
            root, store, number, at=project.now(), canary=given.canary, base_path=given.base_path
        )
    if given.json:
        comparison = outcome.as_dict() if outcome else None
        project.print_json({"version": number, "canary": given.canary, "comparison": comparison})
        return 0
    if outcome is None:
        console.print(f"version {number} serves already")
        return 0
    console.print(summary.all_rules(outcome.as_dict()["rules"]))
    if before and before.canary not in (None, number):
        console.print(f"the trial of version {before.canary} has ended")
    where = "is on trial as digits_canary" if given.canary else "serves"
    console.print(f"version {number} {where}: servers that follow {store.pointer} load it")
    return 0
