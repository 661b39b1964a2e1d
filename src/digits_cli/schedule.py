"""`digits schedule`: retrains at set times and when batches arrive, or once, by Prefect."""

from __future__ import annotations

import argparse

HELP = "retrain on a schedule and when a batch arrives in the inbox, until stopped; --once: now"

EPILOG = """\
examples:
  digits schedule --cron '0 3 * * *' --inbox inbox    every night, and when a batch arrives
  digits schedule --once                              now, and return when it is done
  digits schedule --once --profile standard --why 'a larger model'

exit codes: 0 done or ended by a signal, 1 another scheduler or run is at work, or Prefect can't start,
2 wrong options; with --once also those of `digits run`
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    from flows import deploy

    deploy.arguments(parser)


def run(given: argparse.Namespace) -> int:
    """Run the project's scheduler. Raises DigitsError when one is running already or Prefect can't start."""
    from digits_cli import project
    from flows import deploy

    return deploy.run(project.project_root(), given)
