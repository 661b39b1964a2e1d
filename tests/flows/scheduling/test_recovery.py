"""Which missed runs are skipped, and which processes of dead runs are ended."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

from flows.scheduling import recovery, settings


def run(hours, auto=True):
    at = datetime(2030, 1, 1, tzinfo=UTC) + timedelta(hours=hours)
    return SimpleNamespace(auto_scheduled=auto, expected_start_time=at)


def test_the_latest_missed_run_stands_for_all_but_those_that_somebody_asked_for():
    runs = [run(2), run(0), run(1), run(0, auto=False), run(3, auto=False)]
    assert recovery.all_but_latest(runs) == [runs[1], runs[2]]
    assert recovery.all_but_latest([run(0)]) == [] == recovery.all_but_latest([])


def test_processes_of_a_dead_run_are_ended_and_no_others():
    sleep = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]
    started = [
        subprocess.Popen(sleep, env=os.environ | {settings.RUN_ID: name}, stdout=subprocess.PIPE)
        for name in ("dead", "alive")
    ]
    dead, alive = started
    try:
        assert all(process.stdout.readline() == b"up\n" for process in started)
        recovery.end_processes(set())
        recovery.end_processes({"dead"})
        assert dead.wait(10) < 0
        assert alive.poll() is None
    finally:
        for process in started:
            process.kill()
            process.wait()
            process.stdout.close()
