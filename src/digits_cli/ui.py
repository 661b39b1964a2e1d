"""`digits ui`: opens the page of the project's Prefect server in a browser, with the password to log in."""

from __future__ import annotations

import argparse
import sys

from digits.runtime.errors import DigitsError

HELP = "open the page of the project's Prefect, which shows its runs; prints the password on a terminal"

EPILOG = """\
examples:
  digits ui
  digits ui --no-browser    the address alone

exit codes: 0 done, 1 no Prefect server of this project is running
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--no-browser", action="store_true", help="print the address and open nothing")


def run(given: argparse.Namespace) -> int:
    """Print the page's address and open it. Raises DigitsError when no Prefect server runs for the project.

    The password is printed on a terminal alone: elsewhere, what is printed may be kept in a log.
    """
    import webbrowser

    from digits_cli import project
    from flows.scheduling import server, settings

    root = project.project_root()
    url = server.find_running(root)
    if url is None:
        raise DigitsError(
            "no Prefect server of this project is running: `digits schedule` starts one, and a run has one "
            "until it ends"
        )
    page = server.page_of(url)
    print(page)  # noqa: T201
    if not sys.stdout.isatty():
        return 0
    print(f"password, to be typed once: {settings.password(root)}")  # noqa: T201
    if not given.no_browser and not webbrowser.open(page):
        print("no browser was found here: open the address yourself")  # noqa: T201
    return 0
