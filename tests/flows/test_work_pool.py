"""prefect.yaml with a real server, work pool and worker."""

import shutil
import subprocess
import sys

import pytest

from flows.scheduling import server, settings
from tests._ports import free_port
from tests._project import ROOT
from tests.flows._processes import environment, wait_for
from tests.flows._scheduler import Project


@pytest.fixture
def given(tmp_path):
    """The environment of Prefect's own commands, on a server of theirs."""
    found = server.ensure(tmp_path, free_port())
    yield environment(
        DIGITS_PREFECT="own",
        PREFECT_HOME=str(tmp_path / "home"),
        PREFECT_API_URL=found.url,
        PREFECT_API_AUTH_STRING=settings.password(tmp_path),
        DIGITS_PROJECT=str(tmp_path / "project"),
    )
    found.stop()


@pytest.mark.slow
def test_a_worker_takes_the_runs_of_a_deployment_and_monitoring_has_one_too(tmp_path, given):
    project = Project(tmp_path / "project")
    shutil.copy(ROOT / "prefect.yaml", project.root)
    (project.root / "flows").mkdir()
    shutil.copy(ROOT / "tests" / "flows" / "_tiny_flow.py", project.root / "flows" / "retrain.py")
    shutil.copy(ROOT / "flows" / "monitor.py", project.root / "flows")
    prefect = [sys.executable, "-m", "prefect", "--no-prompt"]
    for command in (
        ("work-pool", "create", "digits-process", "--type", "process"),
        ("deploy", "--name", "process", "--name", "watch"),
        ("deployment", "inspect", "monitor/watch"),
        ("deployment", "run", "retrain/process", "-p", "profile=speedrun"),
    ):
        done = subprocess.run(
            [*prefect, *command], cwd=project.root, env=given, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
    log = tmp_path / "worker.log"
    work = ("worker", "start", "--pool", "digits-process", "--limit", "1")
    with log.open("ab") as said:
        worker = subprocess.Popen([*prefect, *work], cwd=tmp_path, env=given, stdout=said, stderr=said)
    try:
        wait_for(project.fired, told=log.read_text)
        (run,) = project.fired()
        assert (run["profile"], run["why"], run["scheduled"]) == ("speedrun", "schedule", True)
    finally:
        worker.kill()
        worker.wait()
