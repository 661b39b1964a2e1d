"""`digits schedule`: retrain at given times and when new batches come, or once, by Prefect."""

from __future__ import annotations

import argparse

HELP = "retrain on a schedule and when a batch is in the inbox, until ended; --once: now"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    from flows import deploy

    deploy.arguments(parser)


def run(given: argparse.Namespace) -> int:
    """Become the project's scheduler. Raises DigitsError when it has one or Prefect can't start."""
    from digits_cli import project
    from flows import deploy

    return deploy.run(project.project_root(), given)
