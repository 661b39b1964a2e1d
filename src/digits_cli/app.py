"""`digits app`: serves the web page for drawing digits and reading photos, and the gateway behind it."""

from __future__ import annotations

import argparse

HELP = "serve the page to draw on and read photos with, on port 8080; starts a model server if none runs"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    from serving.app import settings

    settings.add_options(parser)


def run(given: argparse.Namespace) -> int:
    """Serve until a signal."""
    from digits_cli import project
    from serving.app import main

    return main.start(given, project.project_root())
