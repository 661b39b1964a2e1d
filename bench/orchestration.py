"""Measures what orchestration costs and gains, and writes docs/results-orchestration.md.

python -m bench.orchestration     a quarter of an hour; every stage has to be up to date
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench import cached_flow, sweep
from bench.machine import machine
from digits import files

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "results-orchestration.md"


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, write the page; 1 when a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.orchestration")
    parser.add_argument("--rounds", type=int, default=5, help="of each comparison; default: 5")
    given = parser.parse_args(argv)
    about = {**machine(), "commit": _commit(), "date": datetime.now(UTC).strftime("%Y-%m-%d")}
    walls = cached_flow.measured(given.rounds)
    trials = sweep.measured(given.rounds)
    files.write_text(PAGE, page(about, given.rounds, cached_flow.table(walls), sweep.table(trials)))
    print(PAGE.read_text(encoding="utf-8"))
    slow = max(cached_flow.ratio(each) for each in walls.values()) > cached_flow.TARGET
    return 1 if slow or sweep.times(trials) < sweep.TARGET else 0


def page(about: dict[str, object], rounds: int, cached: str, trials: str) -> str:
    """The document."""
    return f"""# Results: orchestration

Written by `make bench-orchestration` from its own figures: change nothing here by hand, run it again.

|  |  |
| --- | --- |
| machine | {about["cpu"]}, {about["cores"]} cores |
| software | {about["software"]} |
| commit | `{about["commit"]}` |
| date | {about["date"]} |
| rounds | {rounds}, turn about; medians, ratios of the same round |
| load before it began | {about["load"]:.1f} processes |

## Nothing is stale

The retraining flow of {cached_flow.TASKS} tasks (each stage, then `publish`): its whole process.

{cached}

## A sweep of 8 small trials

{trials}
"""


def _commit() -> str:
    asked = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


if __name__ == "__main__":
    sys.exit(main())
