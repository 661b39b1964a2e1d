"""Measures the overhead of the retraining flow where nothing is stale, compared with empty tasks and `dvc
repro`.

Two ways, alternating, each in a process of its own: `retrain`, as `digits run` calls it when something is
stale; and a flow of as many empty tasks, with one `dvc repro` in it. Both are measured twice: each process
with a Prefect server of its own, and with one that is already running. Wall time from the start of the
process to its end.
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
WAYS = ("empty tasks and dvc repro", "retrain")
RETRAIN = """
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
EMPTY = """
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


def measure(rounds: int) -> list[Record]:
    """Return a record for each way in each round. Every stage has to be up to date."""
    records = _rounds(SERVERS[0], rounds)
    settings.apply(ROOT)
    running = server.ensure(ROOT, server.PORT)
    try:
        return records + _rounds(SERVERS[1], rounds)
    finally:
        running.stop()


def _rounds(name: str, rounds: int) -> list[Record]:
    records: list[Record] = []
    for place in range(rounds + 1):
        for way in WAYS:
            seconds = _timed(way)
            print(f"{name}, {way}: {seconds:.1f} s", file=sys.stderr, flush=True)
            if place:  # the first one warms the disk
                work = {"kind": "orchestration", "work": f"nothing stale, {name}", "way": way}
                records.append(work | {"round": place, "seconds": seconds})
    return records


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
