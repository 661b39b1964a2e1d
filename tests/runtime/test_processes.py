"""Children that end with who started them: real processes, killed for real."""

import os
import shutil
import signal
import subprocess
import sys
import time

import psutil
import pytest

from digits.runtime.processes import RUN_PID, is_dvc
from tests.flows._processes import gone, wait_for

ABOVE = "import subprocess, sys, time; subprocess.Popen(sys.argv[1:]); time.sleep(60)"
SLEEP = "print(os.getpid(), flush=True); time.sleep(60)"


def start(*command, **environment):
    """A process, and the one below it that says its number."""
    kept = {k: v for k, v in os.environ.items() if k != RUN_PID}
    top = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=kept | environment)
    return top, psutil.Process(int(top.stdout.readline()))


def kill(process):
    process.kill()
    process.wait()
    if process.stdout:
        process.stdout.close()


def stage(function):
    return f"import os, time; from digits.runtime.processes import {function}; {function}(); {SLEEP}"


def in_a_shell(code):
    """A shell that stays until its command has ended, as dash does."""
    return ["sh", "-c", '"$0" -c "$1"; true', sys.executable, code]


@pytest.fixture
def dvc(tmp_path):
    """A stand-in for DVC: a process of that name that starts what it is told."""
    script = tmp_path / "dvc"
    script.write_text(ABOVE)
    return [sys.executable, str(script)]


@pytest.mark.parametrize("between", [list, in_a_shell], ids=["no shell", "a shell that stays"])
def test_a_stage_dies_with_dvc(dvc, between):
    code = stage("die_with_dvc")
    started = [sys.executable, "-c", code] if between is list else between(code)
    parent, child = start(*dvc, *started)
    family = psutil.Process(parent.pid).children(recursive=True)
    kill(parent)
    wait_for(lambda: all(map(gone, [child, *family])), 30)


def test_a_stage_dies_with_the_run_above_dvc(dvc):
    run = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    parent, child = start(*dvc, *in_a_shell(stage("die_with_dvc")), **{RUN_PID: str(run.pid)})
    run.kill()  # nobody has collected it: it is a zombie
    wait_for(lambda: gone(child), 30)
    kill(run)
    kill(parent)


def test_a_stage_whose_run_is_gone_does_not_start():
    run = subprocess.Popen([sys.executable, "-c", ""])
    run.wait()
    code = "from digits.runtime.processes import die_with_dvc; die_with_dvc(); print('at work')"
    environment = os.environ | {RUN_PID: str(run.pid)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "") and "has ended" in done.stderr


def test_a_stage_that_a_person_started_outlives_their_shells_parent():
    parent, child = start(sys.executable, "-c", ABOVE, *in_a_shell(stage("die_with_dvc")))
    kill(parent)
    time.sleep(1)
    assert not gone(child)
    child.send_signal(signal.SIGKILL)


@pytest.mark.parametrize(
    ("words", "so"),
    [
        (["{folder}/dvc", "true"], True),
        (["-m", "dvc", "true"], True),
        (["-c", "import time; time.sleep(60)", "dvc-cache"], False),
    ],
)
def test_what_a_dvc_is(dvc, tmp_path, words, so):
    shutil.copy(tmp_path / "dvc", tmp_path / "dvc.py")
    process = subprocess.Popen([sys.executable, *(w.format(folder=tmp_path) for w in words)], cwd=tmp_path)
    while not psutil.Process(process.pid).cmdline():  # it is being executed
        time.sleep(0.01)
    assert is_dvc(psutil.Process(process.pid)) is so
    kill(process)
