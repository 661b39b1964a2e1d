"""prefect.yaml with a real server, work pool and worker; what needs an engine or a cluster is only read."""

import shutil
import subprocess
import sys
import time

import psutil
import pytest
import yaml

from flows.scheduling import server, settings
from tests._ports import free_port
from tests.flows._processes import ROOT, environment, gone, wait_for
from tests.flows._scheduler import Project

DEPLOYMENTS = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda d: d["name"])
def test_each_deployment_runs_one_flow_at_a_time_on_a_schedule_that_is_off_until_asked_for(deployment):
    assert deployment["entrypoint"] == "flows/retrain.py:retrain"
    assert deployment["concurrency_limit"] == {"limit": 1, "collision_strategy": "CANCEL_NEW"}
    assert [schedule["active"] for schedule in deployment["schedules"]] == [False]
    assert deployment["work_pool"]["name"] == f"digits-{deployment['name']}"
    given = {"DIGITS_PREFECT": "own", "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30"}
    assert deployment["work_pool"]["job_variables"]["env"] == given
    assert deployment["parameters"]["scheduled"] is True


class Pool:
    """A project with its work pool on a server, and workers as processes."""

    def __init__(self, where, url):
        self.where, self.project, self.url = where, Project(where / "project"), url
        shutil.copy(ROOT / "prefect.yaml", self.project.root)
        (self.project.root / "flows").mkdir()
        shutil.copy(ROOT / "tests" / "flows" / "_tiny_flow.py", self.project.root / "flows" / "retrain.py")
        self.given = environment(
            DIGITS_PREFECT="own",
            PREFECT_HOME=str(where / "home"),
            PREFECT_API_URL=url,
            PREFECT_API_AUTH_STRING=settings.password(where),
            DIGITS_PROJECT=str(self.project.root),
        )
        self.log, self.workers = where / "worker.log", []
        self.prefect("work-pool", "create", "digits-process", "--type", "process")
        self.prefect("deploy", "--name", "process")

    def prefect(self, *arguments):
        done = subprocess.run(
            [sys.executable, "-m", "prefect", "--no-prompt", *arguments],
            cwd=self.project.root,
            env=self.given,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def ask(self):
        self.prefect("deployment", "run", "retrain/process", "-p", "profile=speedrun")

    def work(self):
        """A worker."""
        command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "digits-process"]
        with self.log.open("ab") as log:
            self.workers.append(
                subprocess.Popen(
                    [*command, "--limit", "1"], cwd=self.where, env=self.given, stdout=log, stderr=log
                )
            )
        return self.workers[-1]

    def states(self):
        with server.session(self.where, self.url) as session:
            return [run["state_name"] for run in session.post(f"{self.url}/flow_runs/filter", json={}).json()]

    def end(self):
        for worker in self.workers:
            worker.kill()
            worker.wait()


@pytest.fixture
def pool(tmp_path):
    found = server.ensure(tmp_path, free_port())
    made = Pool(tmp_path, found.url)
    yield made
    made.end()
    found.stop()


@pytest.mark.slow
def test_a_worker_takes_the_runs_of_the_process_deployment(pool):
    pool.ask()
    pool.work()
    wait_for(pool.project.fired, told=pool.log.read_text)
    (run,) = pool.project.fired()
    assert (run["profile"], run["why"], run["scheduled"]) == ("speedrun", "schedule", True)


@pytest.mark.exhaustive
def test_the_run_of_a_worker_that_is_killed_is_crashed_and_the_next_worker_goes_on(pool):
    hold = pool.project.root / "hold"
    hold.touch()
    pool.ask()
    worker = pool.work()
    wait_for(pool.project.fired, told=pool.log.read_text)
    process = psutil.Process(pool.project.fired()[0]["pid"])
    time.sleep(35)  # a sign of life
    worker.kill()
    wait_for(lambda: gone(process), 60)
    hold.unlink()
    wait_for(lambda: "Crashed" in pool.states(), told=pool.states)
    pool.work()
    pool.ask()
    wait_for(lambda: "Nothing new" in pool.states(), told=lambda: (pool.states(), pool.log.read_text()))
