"""`digits publish`: makes models/exported the next version, once a server has answered with it."""

from __future__ import annotations

import argparse

HELP = "try the export on a model server and give it a version number; it serves nobody yet"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument(
        "--force", action="store_true", help="publish it though a version has the same content"
    )


def run(given: argparse.Namespace) -> int:
    """Publish and say which version that is."""
    from digits_cli import project
    from flows.rollout import release

    root = project.project_root()
    number, new = release.publish(root, project.store_of(root), at=project.now(), force=given.force)
    console = project.console()
    if new:
        console.print(f"published version {number}: `digits promote {number}` has it serve")
    else:
        console.print(f"version {number} has this content already (--force publishes it again)")
    return 0
