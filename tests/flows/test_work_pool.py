"""prefect.yaml with a real server, work pool and worker; what needs an engine or a cluster is only read."""

import shutil
import subprocess
import sys

import pytest
import yaml

from flows import server

from ._scheduler import ROOT, Project, environment, free_port, wait_for

DEPLOYMENTS = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda d: d["name"])
def test_each_deployment_runs_one_flow_at_a_time_on_a_schedule_that_is_off_until_asked_for(deployment):
    assert deployment["entrypoint"] == "flows/retrain.py:retrain"
    assert deployment["concurrency_limit"] == {"limit": 1, "collision_strategy": "CANCEL_NEW"}
    assert [schedule["active"] for schedule in deployment["schedules"]] == [False]
    assert deployment["work_pool"]["name"] == f"digits-{deployment['name']}"
    assert deployment["work_pool"]["job_variables"]["env"] == {"DIGITS_PREFECT": "own"}
    assert deployment["parameters"]["scheduled"] is True


@pytest.mark.slow
def test_a_worker_takes_the_runs_of_the_process_deployment(tmp_path):
    project = Project(tmp_path / "project")
    shutil.copy(ROOT / "prefect.yaml", project.root)
    (project.root / "flows").mkdir()
    shutil.copy(ROOT / "tests" / "flows" / "_tiny_flow.py", project.root / "flows" / "retrain.py")
    found = server.ensure(tmp_path, free_port())
    given = environment(
        DIGITS_PREFECT="own",
        PREFECT_HOME=str(tmp_path / "home"),
        PREFECT_API_URL=found.url,
        DIGITS_PROJECT=str(project.root),
    )

    def prefect(*arguments):
        command = [sys.executable, "-m", "prefect", "--no-prompt", *arguments]
        done = subprocess.run(
            command, cwd=project.root, env=given, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    try:
        prefect("work-pool", "create", "digits-process", "--type", "process")
        prefect("deploy", "--name", "process")
        prefect("deployment", "run", "retrain/process", "-p", "profile=speedrun")
        work = [
            sys.executable,
            "-m",
            "prefect",
            "worker",
            "start",
            "--pool",
            "digits-process",
            "--limit",
            "1",
        ]
        with (tmp_path / "worker.log").open("wb") as log:
            worker = subprocess.Popen([*work], cwd=tmp_path, env=given, stdout=log, stderr=log)
        try:
            wait_for(project.fired, told=(tmp_path / "worker.log").read_text)
        finally:
            worker.terminate()
            worker.wait(60)
    finally:
        found.stop()
    (run,) = project.fired()
    assert (run["profile"], run["why"], run["scheduled"]) == ("speedrun", "schedule", True)
