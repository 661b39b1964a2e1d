"""`digits publish`: makes models/exported the next version, after a model server has answered with it."""

from __future__ import annotations

import argparse

HELP = "check the export on a model server and give it a version number, without putting it into service"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--force", action="store_true", help="publish even if a version has the same content")


def run(given: argparse.Namespace) -> int:
    """Publish the export and print its version."""
    from digits_cli import project
    from flows.rollout import release

    root = project.project_root()
    number, new = release.publish(root, project.store_of(root), at=project.now(), force=given.force)
    console = project.console()
    if new:
        console.print(f"published version {number}: `digits promote {number}` puts it into service")
    else:
        console.print(f"version {number} has this content already (--force publishes it again)")
    return 0
