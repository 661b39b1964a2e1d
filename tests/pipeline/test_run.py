"""`digits run`: the summary, the sample that heals, one run at a time."""

import contextlib
import fcntl
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests._project import project


def dataset(made):
    return json.loads((made.root / "data/raw/manifest.json").read_text())["dataset"]


@pytest.mark.slow
def test_the_summary_tells_stages_data_accuracy_verdict_reports_and_what_next(built):
    done = built.digits("run", "--no-publish")
    assert done.returncode == 0, done.stderr
    assert not (built.root / "models/serving").exists()
    for word in ("cached", "synthetic", "accuracy", "interval", "passed", "reports/report.html", "next"):
        assert word in done.stdout


@pytest.mark.slow
def test_a_sample_run_followed_by_a_run_with_a_source_takes_the_source(tmp_path):
    made = project(tmp_path, train=100, test=50)
    mirror = made.environment.pop("DIGITS_MIRROR")
    made.edit({"ingest": {"allow_sample": True}})
    first = made.digits("run", "ingest")
    assert first.returncode == 0, first.stderr
    assert dataset(made) == "mnist-sample-5k"
    assert "mnist-sample-5k" in first.stdout + first.stderr

    again = made.digits("run", "ingest")
    assert dataset(made) == "mnist-sample-5k"
    assert "cached" in again.stdout

    healed = made.digits("run", "ingest", DIGITS_MIRROR=mirror)
    assert healed.returncode == 0, healed.stderr
    assert dataset(made) == "synthetic"

    made.ok("rm", "-r", "data/raw")
    back = made.digits("run", "ingest")
    assert back.returncode == 0
    assert dataset(made) == "synthetic", "without a source the cached data stay, not the sample"


@pytest.mark.slow
def test_the_run_cache_does_not_bring_the_sample_back(tmp_path):
    made = project(tmp_path, train=100, test=50)
    mirror = made.environment.pop("DIGITS_MIRROR")
    made.edit({"ingest": {"allow_sample": True}})
    assert made.digits("run", "ingest").returncode == 0
    made.ok("rm", "-r", "data/raw", "dvc.lock")
    assert made.digits("run", "ingest", DIGITS_MIRROR=mirror).returncode == 0
    assert dataset(made) == "synthetic"


def test_a_second_run_at_the_same_time_is_refused_in_one_line(built):
    with (built.root / ".dvc/tmp/digits-run.lock").open("a+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        done = built.digits("run")
    assert done.returncode == 1
    assert "another run" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_outside_a_project_it_says_so(built, tmp_path):
    command = [sys.executable, "-m", "digits_cli", "run"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "no dvc.yaml" in done.stderr


def processes_in(folder):
    """Command lines of the processes that work in a folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (entry / "cwd").readlink() == folder:
                found.append((entry / "cmdline").read_text().replace("\0", " "))
    return found


def wait_until(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


@pytest.mark.slow
def test_a_killed_run_leaves_no_process_and_the_next_one_heals(copy):
    copy.edit({"preprocess": {"seed": 2}})
    started = subprocess.Popen(
        [sys.executable, "-m", "digits_cli", "run"],
        cwd=copy.root,
        env=copy.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    assert wait_until(lambda: any("digits.preprocess.stage" in p for p in processes_in(copy.root)))
    started.send_signal(signal.SIGKILL)
    started.wait()
    assert wait_until(lambda: not processes_in(copy.root), seconds=60)
    assert copy.digits("run", "preprocess").returncode == 0
    assert "up to date" in copy.repro("preprocess")
