"""Measures what orchestration costs and gains, and prints it.

    python -m bench.orchestration     a quarter of an hour; every stage has to be up to date

Records are added to .bench/orchestration.jsonl.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from bench import cached_flow, sweep
from bench.records import FOLDER, Run
from bench.report import report


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.orchestration", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each comparison; default: 5")
    parser.add_argument(
        "--out", type=Path, default=FOLDER / "orchestration.jsonl", help="the file of records"
    )
    given = parser.parse_args(argv)
    run = Run(given.out)
    run.keep(*cached_flow.measure(given.rounds))
    run.keep(*sweep.measure(given.rounds))
    print(report(run.records()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
