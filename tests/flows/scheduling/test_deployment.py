"""Which schedules are taken, and what `digits status` shows of a real scheduler with a real server."""

import pytest

from digits.runtime.errors import ParamsError
from digits_cli import status
from flows.scheduling import deployment
from flows.scheduling.deployment import Plan
from tests.flows._processes import wait_for
from tests.flows._scheduler import Project


def told(root):
    return dict(status._retraining(deployment.state(root)))


@pytest.mark.parametrize("cron", ["*/5 8-18 * * mon-fri", "0 0 29 2 *", "@daily"])
def test_a_line_of_crontab_is_taken_as_it_is(cron):
    assert deployment.schedule(Plan(cron=cron, timezone="Europe/Berlin")).cron == cron


@pytest.mark.parametrize(
    "cron", ["every night", "0 0 3 * * *", "0 3 31 2 *", "0 25 * * *", "0 3 * *", "@sometimes", ""]
)
def test_what_cron_itself_would_not_take_or_never_run_is_refused(cron):
    with pytest.raises(ParamsError, match="five fields"):
        deployment.schedule(Plan(cron=cron))


@pytest.mark.parametrize("zone", ["Mars/Base", "", "../UTC", "/etc/passwd", "x" * 300])
def test_a_time_zone_that_does_not_exist_is_refused(zone):
    with pytest.raises(ParamsError, match="is not a time zone"):
        deployment.schedule(Plan(cron="0 3 * * *", timezone=zone))


@pytest.mark.slow
def test_schedule_inbox_and_last_runs_are_told_while_a_scheduler_is_at_work(tmp_path):
    project = Project(tmp_path / "project")
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    scheduler = project.start("--interval", "3600", "--inbox", str(inbox))
    try:
        assert project.run("--once", "--why", "a new pen").returncode == 0
        wait_for(lambda: [r for r in deployment.state(project.root)["runs"] if r["state"] == "Nothing new"])
        # Prefect's server enters the dates of a new schedule by and by.
        wait_for(lambda: deployment.state(project.root)["next"])
        found = deployment.state(project.root)
        assert (found["process"], found["schedules"]) == (str(scheduler.pid), ["every 3600 s"])
        assert found["page"] == f"http://127.0.0.1:{project.port}" and found["next"].endswith("Z")
        lines = told(project.root)
        assert lines["inbox"] == f"{inbox}: nothing waiting"
        assert lines["run"].endswith("Nothing new: nothing is stale")
    finally:
        project.end()
    assert told(project.root) == {"schedule": "no scheduler is running: `digits schedule`"}
