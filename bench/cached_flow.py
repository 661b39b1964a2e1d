"""What the retraining flow adds where nothing is stale: it against as many empty tasks and `dvc repro`.

    python -m bench.cached_flow --rounds 5     in a project whose stages are up to date: about 4 minutes

Two ways, turn about, each a process of its own: `retrain` as `digits run` calls it; and a flow of as many
tasks that do nothing, with one `dvc repro` in it. Twice: each process with a server of its own, and with one
server that runs already. Wall time from the start of the process to its end.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from digits import files
from digits.processes import die_with_parent
from digits.stages import STAGES
from flows.scheduling import server, settings

ROOT = Path(__file__).resolve().parents[1]
TARGET = 1.3  # times the empty flow and `dvc repro`, at most
TASKS = len(STAGES) + 1  # `publish` finds the export in service
SERVERS = ("a server of its own", "a server that runs")
WAYS = ("empty tasks and dvc repro", "retrain")
RETRAIN = """
import sys
from pathlib import Path
from digits.commands import run
done, outcome = run.retrained(Path.cwd(), publish=True)
print([stage.outcome for stage in done.stages], outcome.name)
sys.exit(0 if outcome.name == "Nothing new" and {s.outcome for s in done.stages} == {"cached"} else 1)
"""
EMPTY = """
import subprocess, sys
from pathlib import Path
from flows.scheduling import keeper
keeper.for_this_process(Path.cwd())
from prefect import flow, task
from prefect.cache_policies import NO_CACHE

@task(cache_policy=NO_CACHE, persist_result=False)
def nothing(number):
    pass

@flow(name="empty", persist_result=False, validate_parameters=False)
def empty(tasks: int):
    for number in range(tasks):
        nothing(number)
    subprocess.run([sys.executable, "-m", "dvc", "repro"], check=True)

empty(int(sys.argv[1]))
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print the table; 1 when a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.cached_flow")
    parser.add_argument("--rounds", type=int, default=5, help="default: 5, after one that does not count")
    parser.add_argument("--out", type=Path, help="raw figures as JSON")
    given = parser.parse_args(argv)
    walls = measured(given.rounds)
    if given.out:
        files.write_json(given.out, walls)
    print(table(walls))
    return 0 if max(ratio(walls[each]) for each in SERVERS) <= TARGET else 1


def measured(rounds: int) -> dict[str, dict[str, list[float]]]:
    """Server → way → wall seconds of each round."""
    walls = {each: _rounds(each, rounds) for each in SERVERS[:1]}
    settings.apply(ROOT)
    found = server.ensure(ROOT, server.PORT)
    try:
        return walls | {each: _rounds(each, rounds) for each in SERVERS[1:]}
    finally:
        found.stop()


def _rounds(name: str, rounds: int) -> dict[str, list[float]]:
    walls: dict[str, list[float]] = {way: [] for way in WAYS}
    for place in range(rounds + 1):
        for way in WAYS:
            seconds = _timed(way)
            print(f"{name}, {way}: {seconds:.1f} s", file=sys.stderr, flush=True)
            if place:  # the first one warms the disk
                walls[way].append(seconds)
    return walls


def ratio(walls: dict[str, list[float]]) -> float:
    """The median of the rounds' ratios."""
    empty, ours = (walls[way] for way in WAYS)
    return statistics.median(b / a for a, b in zip(empty, ours, strict=True))


def table(walls: dict[str, dict[str, list[float]]]) -> str:
    """The figures as Markdown."""
    lines = [
        "| | empty tasks and `dvc repro` | `retrain` | ratio | limit | |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, each in walls.items():
        empty, ours = (statistics.median(each[way]) for way in WAYS)
        met = "met" if ratio(each) <= TARGET else "**not met**"
        lines.append(f"| {name} | {empty:.1f} s | {ours:.1f} s | {ratio(each):.2f} | ≤ {TARGET} | {met} |")
    return "\n".join(lines)


def _timed(way: str) -> float:
    code = RETRAIN if way == "retrain" else EMPTY
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code, str(TASKS)],
        cwd=ROOT,
        env=os.environ | {"DVC_NO_ANALYTICS": "1"},
        capture_output=True,
        text=True,
        preexec_fn=die_with_parent,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{way}: is every stage up to date? {done.stdout[-500:]}{done.stderr[-500:]}")
    return time.perf_counter() - started


if __name__ == "__main__":
    sys.exit(main())
