"""`digits app`: serves the web page for drawing digits and reading photos, and the gateway behind it."""

from __future__ import annotations

import argparse

HELP = "serve the page to draw on and read photos with, on port 8080; starts a model server if none runs"

EPILOG = """\
examples:
  digits app                                        http://localhost:8080
  digits app --port 8090 --server models.lan:8500   another port, and a model server elsewhere
  digits app --host 0.0.0.0 --key-file key.txt      for others, who need the key

exit codes: 0 ended by a signal, 1 the port is taken, 2 wrong options, 6 no version is promoted,
7 no model server
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    from serving.app import settings

    settings.add_options(parser)


def run(given: argparse.Namespace) -> int:
    """Serve until a signal."""
    from digits_cli import project
    from serving.app import main

    return main.start(given, project.project_root())
