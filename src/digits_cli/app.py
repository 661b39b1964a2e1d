"""`digits app`: a page to draw on, photos, and the gateway behind them."""

from __future__ import annotations

import argparse

HELP = "the page to draw on and read photos with, on port 8080; starts a model server where none runs"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    from serving.app import settings

    settings.add_options(parser)


def run(given: argparse.Namespace) -> int:
    """Serve until a signal."""
    from digits_cli import project
    from serving.app import main

    return main.start(given, project.project_root())
