"""What `digits status` tells of a scheduler: a real one, with a real server."""

import pytest

from digits_cli import status
from flows.scheduling import deployment
from tests.flows._processes import wait_for
from tests.flows._scheduler import Project


def told(root):
    return dict(status._retraining(deployment.state(root)))


def test_without_a_scheduler_the_status_says_how_to_start_one(tmp_path):
    assert told(tmp_path) == {"schedule": "no scheduler is running: `digits schedule`"}
    assert deployment.state(tmp_path)["runs"] == []


@pytest.mark.slow
def test_schedule_inbox_and_last_runs_are_told_while_a_scheduler_is_at_work(tmp_path):
    project = Project(tmp_path / "project")
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    scheduler = project.start("--interval", "3600", "--inbox", str(inbox))
    try:
        assert project.run("--once", "--why", "a new pen").returncode == 0
        wait_for(lambda: [r for r in deployment.state(project.root)["runs"] if r["state"] == "Nothing new"])
        found = deployment.state(project.root)
        assert (found["process"], found["schedules"]) == (str(scheduler.pid), ["every 3600 s"])
        assert found["page"] == f"http://127.0.0.1:{project.port}" and found["next"].endswith("Z")
        lines = told(project.root)
        assert lines["inbox"] == f"{inbox}: nothing waiting"
        assert lines["run"].endswith("Nothing new: nothing is stale")
    finally:
        project.end()
    assert deployment.state(project.root)["process"] is None
