"""Measures what Prefect and this project's own commands add where nothing is stale.

Without Prefect: `digits run` and `dvc repro`. With it: `retrain`, as `digits run` calls it when something is
stale, and a flow of as many empty tasks with one `dvc repro` in it; first each with a server of its own, then
on one that is already running. The ways alternate, each in a process of its own; wall time from the start of
the process to its end.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time

from bench.records import ROOT, Record
from digits import STAGES
from digits.runtime.processes import die_with_parent
from flows.scheduling import server, settings

TASKS = len(STAGES) + 1  # `publish` finds the export in service
SERVERS = ("a server of its own", "a server that runs")
EMPTY, RETRAIN, REPRO, RUN = "empty tasks and dvc repro", "retrain", "dvc repro", "digits run"
RETRAIN_CODE = """
import sys
from pathlib import Path
from flows.scheduling import supervisor
supervisor.start_prefect(Path.cwd())
from flows.retrain import retrain
outcome = retrain(project=str(Path.cwd()), return_state=True).result()
done = outcome.run
print([stage.outcome for stage in done.stages], outcome.name)
sys.exit(0 if outcome.name == "Nothing new" and {s.outcome for s in done.stages} == {"cached"} else 1)
"""
EMPTY_CODE = """
import subprocess, sys
from pathlib import Path
from flows.scheduling import supervisor
supervisor.start_prefect(Path.cwd())
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


COMMANDS = {
    EMPTY: ["-c", EMPTY_CODE, str(TASKS)],
    RETRAIN: ["-c", RETRAIN_CODE],
    REPRO: ["-m", "dvc", "repro"],
    RUN: ["-m", "digits_cli", "run"],
}


def measure(rounds: int) -> list[Record]:
    """Return a record for each way in each round. Every stage has to be up to date, its model in service."""
    records = _rounds("no server", rounds, REPRO, RUN) + _rounds(SERVERS[0], rounds, EMPTY, RETRAIN)
    settings.apply(ROOT)
    running = server.ensure(ROOT, server.PORT)
    try:
        return records + _rounds(SERVERS[1], rounds, EMPTY, RETRAIN)
    finally:
        running.stop()


def _rounds(name: str, rounds: int, *ways: str) -> list[Record]:
    records: list[Record] = []
    for place in range(rounds + 1):
        for way in ways:
            seconds = _timed(way)
            print(f"{name}, {way}: {seconds:.1f} s", file=sys.stderr, flush=True)
            if place:  # the first one warms the disk
                work = {"kind": "orchestration", "work": f"nothing stale, {name}", "way": way}
                records.append(work | {"round": place, "seconds": seconds})
    return records


def _timed(way: str) -> float:
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *COMMANDS[way]],
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
