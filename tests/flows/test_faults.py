"""Faults in the middle of a run: real processes, real signals, a real disk that is full."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import psutil
import pytest

from tests._disk import disk
from tests._project import ROOT
from tests._stand_in import pipeline
from tests.flows._processes import environment, gone, wait_for
from tests.flows._projects import commit, write

pytestmark = pytest.mark.slow

WELL = "Not published - the run was started without publishing"
RUN = """
import sys
from pathlib import Path
from flows.scheduling import supervisor
root = Path(sys.argv[1])
supervisor.start_prefect(root)
from flows.retrain import retrain
state = retrain(project=str(root), scheduled="scheduled" in sys.argv, publish=False, return_state=True)
print("ENDED", state.name, "-", state.message, flush=True)
"""


class Project:
    """A project under Git whose stages do next to nothing, and its runs as processes."""

    def __init__(self, root):
        self.root = root
        root.mkdir()
        pipeline(root, git=True)
        shutil.copy(ROOT / "params.yaml", root)
        write(root, "reports/verdict.json", json.dumps({"passed": True, "rules": []}))
        write(root, "data/raw/rows", "")
        write(root, "data/.gitignore", "/raw\n")
        commit(root, "start")
        self.children = []

    def start(self, *options, **extra):
        child = subprocess.Popen(
            [sys.executable, "-c", RUN, str(self.root), *options],
            cwd=self.root,
            env=environment(**extra),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.children.append(child)
        return child

    def ended(self, child):
        """What a run came to."""
        said, _ = child.communicate(timeout=300)
        (line,) = [line for line in said.splitlines() if line.startswith("ENDED")] or [said[-3000:]]
        return line.removeprefix("ENDED ")

    def run(self, *options):
        return self.ended(self.start(*options))

    def held(self, tree):
        """A run is held up in `train`; the process of that stage."""
        return int(wait_for(lambda: _read(tree / "sleeping")))

    def go_on(self, tree):
        """The held-up stage ends well: it was only slow."""
        os.kill(self.held(tree), signal.SIGUSR1)

    def server(self):
        return psutil.Process(json.loads((self.root / ".prefect" / "server.json").read_text())["pid"])


def _read(path):
    with contextlib.suppress(FileNotFoundError):
        return path.read_text()
    return ""


@pytest.fixture
def project(tmp_path, own_home):
    made = Project(tmp_path / "project")
    yield made
    for child in made.children:
        child.kill()
        child.wait()
        child.stdout.close()


def hold(project):
    """From now on `train` is held up."""
    (project.root / "start").write_text("sleep")
    commit(project.root, "held up")


def test_a_run_whose_prefect_server_is_killed_starts_it_again_and_ends_well(project):
    hold(project)
    child = project.start()
    project.held(project.root)
    project.server().kill()
    time.sleep(1)
    project.go_on(project.root)
    assert project.ended(child) == WELL


@pytest.mark.parametrize("shell", ["/bin/sh", "/bin/bash"])  # DVC starts a stage through it
def test_a_killed_run_leaves_no_process_a_killed_stage_is_named_and_the_next_run_heals(project, shell):
    hold(project)
    child = project.start("scheduled", SHELL=shell)
    clone = project.root / ".digits" / "workspace"
    project.held(clone)
    family = psutil.Process(child.pid).children(recursive=True)
    child.kill()
    child.wait()
    wait_for(lambda: all(map(gone, family)), 60)
    (clone / "sleeping").unlink()
    child = project.start("scheduled")
    os.kill(project.held(clone), signal.SIGKILL)
    assert project.ended(child).startswith("Failed - train: failed to reproduce 'train'")
    (clone / "sleeping").unlink()
    child = project.start("scheduled")
    project.go_on(clone)
    assert project.ended(child) == WELL


@pytest.fixture
def small_disk(project):
    """DVC's cache on a disk of its own, of 256 kB."""
    with disk(project.root / ".dvc" / "cache", "256k") as cache:
        yield cache


def test_a_cache_on_a_full_disk_fails_the_run_in_a_line_and_the_next_one_heals(project, small_disk):
    write(project.root, "train.recipe", "x" * 300_000)
    commit(project.root, "a large model")
    said = project.run("scheduled")
    assert said.startswith("Failed - ") and "No space left" in said and len(said.splitlines()) == 1
    subprocess.run(["mount", "-o", "remount,size=8m", str(small_disk)], check=True)
    assert project.run("scheduled") == WELL
