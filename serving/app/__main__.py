"""`python -m serving.app`: the gateway without a project, as in a container; options as of `digits app`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from digits.runtime.errors import DigitsError
from digits.runtime.progress import escape_unprintable
from serving.app import main, settings

if __name__ == "__main__":
    escape_unprintable()
    parser = argparse.ArgumentParser(prog="python -m serving.app", description=__doc__)
    settings.add_options(parser)
    try:
        code = main.start(parser.parse_args(), Path.cwd())
    except DigitsError as error:
        print(f"digits: {' '.join(str(error).split())}", file=sys.stderr)  # noqa: T201
        code = error.exit_code
    sys.exit(code)
