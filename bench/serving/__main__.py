"""Measures model servers side by side in one run, and prints their figures.

    python -m bench.serving                      everything: about a quarter of an hour on two cores
    python -m bench.serving --quick              tries the bench itself, in a minute or two
    python -m bench.serving --only noop-grpc-aio,fastapi      some servers, no rollouts
    python -m bench.serving --only ours,ours-logging --rounds 0      what the request log costs, in a minute

Needs models/exported and models/candidate (`make run` makes them). Servers that can't run here are left out,
with the reason. Records are added to .bench/serving.jsonl.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.records import FOLDER, ROOT
from bench.serving.cases import SERVERS
from bench.serving.run import Bench
from digits.runtime.errors import DigitsError


def main(argv: Sequence[str] | None = None) -> int:
    """Run the bench; return the exit code."""
    given = parser().parse_args(argv)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        Bench(given, ROOT).run()
    except DigitsError as error:
        print(f"bench: {' '.join(str(error).split())}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("bench: interrupted; what was measured is in the file of records", file=sys.stderr)
        return 130
    return 0


def parser() -> argparse.ArgumentParser:
    """Return the parser of the options."""
    options = argparse.ArgumentParser(
        prog="python -m bench.serving", description=(__doc__ or "").split("\n")[0]
    )
    options.add_argument(
        "--only", type=_servers, help=f"some of {','.join(SERVERS)}; default: all that can run here"
    )
    options.add_argument(
        "--rounds",
        type=_count,
        default=3,
        help="rounds of every case; default: 3; 0: only what the request log costs",
    )
    options.add_argument("--seconds", type=float, default=1.0, help="seconds of load per case; default: 1")
    options.add_argument(
        "--rollouts", type=_count, default=100, help="rollouts under load; default: 100; 0: none"
    )
    options.add_argument("--every", type=float, default=3.0, help="seconds between two rollouts; default: 3")
    options.add_argument(
        "--reloads", type=_count, default=200, help="reloads for measuring memory; default: 200; 0: none"
    )
    options.add_argument("--quick", action="store_true", help="a short run of each: tries the bench itself")
    options.add_argument(
        "--models", type=Path, default=ROOT / "models", help="the folder with exported/ and candidate/"
    )
    options.add_argument("--out", type=Path, default=FOLDER / "serving.jsonl", help="the file of records")
    return options


def _servers(text: str) -> tuple[str, ...]:
    servers = tuple(text.split(","))
    if wrong := [server for server in servers if server not in SERVERS]:
        raise argparse.ArgumentTypeError(f"unknown server '{wrong[0]}'; valid: {', '.join(SERVERS)}")
    return servers


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"'{text}' is not a count; give 0 or more")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
