"""`digits publish`: makes models/exported the next version, after a model server has answered with it."""

from __future__ import annotations

import argparse

HELP = "check the export on a model server and give it a version number, without putting it into service"

EPILOG = """\
examples:
  digits publish           the next number, for models/exported
  digits publish --json    for a script: the number, and whether it is new

exit codes: 0 done, 6 there is no whole export, no server answers with it, or the store can't be written
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--force", action="store_true", help="publish even if a version has the same content")
    parser.add_argument("--json", action="store_true", help="print the version and whether it is new as JSON")


def run(given: argparse.Namespace) -> int:
    """Publish the export and print its version."""
    from digits_cli import project
    from flows.rollout import release

    root = project.project_root()
    with project.spoken_on_stderr(given.json):
        number, new = release.publish(root, project.store_of(root), at=project.now(), force=given.force)
    if given.json:
        project.print_json({"version": number, "new": new})
        return 0
    console = project.console()
    if new:
        console.print(f"published version {number}: `digits promote {number}` puts it into service")
    else:
        console.print(f"version {number} has this content already (--force publishes it again)")
    return 0
