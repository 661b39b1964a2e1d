"""The scheduler as people use it: real processes, a real Prefect server, a stand-in for the flow."""

import argparse
import shutil
import signal
from datetime import UTC, datetime

import psutil
import pytest

from digits.runtime.errors import ParamsError
from digits_cli import schedule
from flows import deploy
from flows.scheduling import server, settings
from tests._ports import free_port
from tests._project import ROOT
from tests.flows._processes import gone, wait_for
from tests.flows._projects import batch, write
from tests.flows._scheduler import Project, family


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A Prefect server that the projects of this module share."""
    folder, port = tmp_path_factory.mktemp("shared"), free_port()
    found = server.ensure(folder, port)
    yield settings.home(folder), port
    found.stop()


@pytest.fixture
def project(shared, tmp_path, request):
    """A project that finds that server as its own."""
    home, port = shared
    made = Project(tmp_path / f"project-{abs(hash(request.node.name))}")
    made.port = port
    settings.home(made.root).mkdir()
    for name in ("server.json", settings.PASSWORD_FILE):
        shutil.copy(home / name, settings.home(made.root))
    yield made
    made.end()


@pytest.fixture
def alone(tmp_path):
    """A project that starts a server of its own."""
    made = Project(tmp_path / "alone")
    yield made
    made.end()


def own_states(project):
    """The states of a project's runs, among those of all that share the server."""
    body = {"deployments": project.named, "limit": 200, "sort": "EXPECTED_START_TIME_ASC"}
    runs = project.ask("flow_runs/filter", body)
    return [(run["id"], run["state_name"], run["state"]["message"]) for run in runs]


def named(project, *names):
    return [run for run, name, _ in own_states(project) if name in names]


def missed(project):
    """Runs whose time has passed and that nobody has started."""
    now = datetime.now(UTC).isoformat()
    past = {"expected_start_time": {"before_": now}, "state": {"name": {"any_": ["Scheduled"]}}}
    return project.ask("flow_runs/filter", {"deployments": project.named, "flow_runs": past})


@pytest.mark.slow
def test_a_schedule_really_fires_and_goes_on(project):
    scheduler = project.start("--interval", "2", "--profile", "speedrun")
    wait_for(lambda: len(project.fired()) >= 2, told=project.said)
    first, second = project.fired()[:2]
    assert first["pid"] != second["pid"] != scheduler.pid
    assert first["at"] < second["at"]
    wanted = {"why": "schedule", "profile": "speedrun", "scheduled": True, "cwd": str(project.root)}
    assert wanted.items() <= first.items()
    wait_for(lambda: named(project, "Nothing new"), told=lambda: own_states(project))


@pytest.mark.slow
def test_a_scheduler_at_work_does_a_run_by_hand_and_a_second_one_is_refused_in_one_line(project):
    scheduler = project.start("--cron", "0 3 * * *", "--timezone", "Europe/Berlin")
    done = project.run("--once", "--profile", "speedrun", "--seed", "7", "--why", "a new pen")
    assert done.returncode == 0, done.stderr
    wait_for(project.fired, told=project.said)
    (run,) = project.fired()
    assert (run["profile"], run["seed"], run["why"]) == ("speedrun", 7, "a new pen")
    assert run["pid"] != scheduler.pid
    refused = project.run("--interval", "60")
    assert refused.returncode == 1
    (line,) = refused.stderr.splitlines()
    assert line.startswith("digits: ") and f"process {scheduler.pid}" in line
    assert scheduler.poll() is None


@pytest.mark.slow
def test_without_a_scheduler_a_run_by_hand_is_done_here_and_its_end_is_the_exit_code(project):
    done = project.run("--once", "--force", "train")
    assert done.returncode == 0, done.stderr
    assert "Nothing new: nothing is stale" in done.stderr
    (project.root / "fail").touch()
    failed = project.run("--once")
    assert failed.returncode == 1 and "told to fail" in failed.stderr
    assert [run["force"] for run in project.fired()] == ["train", None]


@pytest.mark.slow
def test_runs_that_come_due_during_another_are_skipped_and_one_that_is_killed_stops_no_schedule(project):
    (project.root / "hold").touch()
    project.start("--interval", "2")
    wait_for(lambda: len(named(project, "Cancelled")) >= 2, told=lambda: own_states(project))
    wait_for(project.fired, told=project.said)
    (at_work,) = project.fired()
    skipped = [message for _, name, message in own_states(project) if name == "Cancelled"]
    assert set(skipped) == {"Deployment concurrency limit reached."}
    psutil.Process(at_work["pid"]).kill()
    (project.root / "hold").unlink()
    wait_for(lambda: named(project, "Crashed"), told=lambda: own_states(project))
    wait_for(lambda: len(project.fired()) >= 3, told=project.said)


@pytest.mark.slow
def test_a_run_by_hand_is_refused_while_one_is_at_work_that_it_would_be_skipped_for(project):
    (project.root / "hold").touch()
    project.start("--interval", "3600")
    assert project.run("--once").returncode == 0
    wait_for(project.fired, told=project.said)
    refused = project.run("--once")
    assert refused.returncode == 1 and "a run is at work" in refused.stderr, refused.stderr
    (project.root / "hold").unlink()
    wait_for(lambda: named(project, "Nothing new"), told=lambda: own_states(project))
    assert len(project.fired()) == 1


@pytest.mark.slow
def test_a_new_batch_has_one_run_that_names_it(project):
    inbox = project.root / "inbox"
    inbox.mkdir()
    project.start("--inbox", str(inbox))
    for count, name in enumerate(("monday", "tuesday"), 1):
        write(batch(inbox, name), ".complete", "")
        wait_for(lambda: len(project.fired()) == count, told=project.said)  # noqa: B023 - called at once
        wait_for((project.root / name).exists, told=project.said)
    why = "new batch in the inbox: "
    assert [run["why"] for run in project.fired()] == [f"{why}monday", f"{why}tuesday"]


@pytest.mark.slow
def test_what_was_missed_while_no_scheduler_ran_is_made_up_for_once(project):
    scheduler = project.start("--interval", "2")
    wait_for(project.fired, told=project.said)
    scheduler.send_signal(signal.SIGTERM)
    scheduler.wait(60)
    wait_for(lambda: len(missed(project)) >= 3, told=lambda: own_states(project))
    fired, ended = len(project.fired()), len(named(project, "Nothing new"))
    project.start("--interval", "3600")
    wait_for(lambda: len(named(project, "Nothing new")) > ended, told=lambda: own_states(project))
    assert not missed(project) and not named(project, "Late", "Pending", "Running")
    assert len(project.fired()) == fired + 1
    skipped = len(named(project, "Skipped"))
    assert skipped >= 2 and f"{skipped} runs skipped" in project.said()


@pytest.mark.slow
def test_when_asked_to_end_it_cancels_the_run_and_leaves_no_process(alone):
    (alone.root / "hold").touch()
    scheduler = alone.start("--interval", "2")
    wait_for(alone.fired, told=alone.said)
    children = family(scheduler.pid)
    assert {alone.server(), alone.fired()[0]["pid"]} <= {child.pid for child in children}
    scheduler.send_signal(signal.SIGTERM)
    assert scheduler.wait(60) == 0, alone.said()
    assert [child for child in children if not gone(child)] == []
    assert server.find_running(alone.root) is None
    again = alone.start("--interval", "3600")
    assert again.poll() is None
    assert "Cancelled" in alone.states().values(), alone.states()


@pytest.mark.slow
def test_after_a_power_cut_the_next_scheduler_clears_the_stuck_run_and_fires_again(alone):
    (alone.root / "hold").touch()
    scheduler = alone.start("--interval", "2")
    wait_for(lambda: "Running" in alone.states().values(), told=alone.said)
    (stuck,) = [run for run, state in alone.states().items() if state == "Running"]
    children = family(scheduler.pid)
    psutil.Process(alone.server()).kill()
    scheduler.kill()
    scheduler.wait()
    wait_for(lambda: all(gone(child) for child in children), 60)
    (alone.root / "hold").unlink()
    fired = len(alone.fired())
    alone.start("--interval", "2")
    assert alone.states()[stuck] == "Crashed"
    wait_for(lambda: len(alone.fired()) >= fired + 2, told=alone.said)


@pytest.mark.slow
def test_a_prefect_server_that_dies_comes_back_and_the_run_at_work_ends_well(alone):
    (alone.root / "hold").touch()
    alone.start("--interval", "2")
    wait_for(lambda: "Running" in alone.states().values(), told=alone.said)
    (at_work,) = [run for run, state in alone.states().items() if state == "Running"]
    psutil.Process(alone.server()).kill()
    wait_for(lambda: "the Prefect server answers again" in alone.said(), told=alone.said)
    (alone.root / "hold").unlink()
    wait_for(lambda: alone.states()[at_work] == "Nothing new", told=lambda: (alone.states(), alone.said()))
    fired = len(alone.fired())
    wait_for(lambda: len(alone.fired()) >= fired + 2, told=alone.said)


@pytest.mark.slow
def test_the_server_itself_takes_a_silent_run_for_dead(project):
    (project.root / "hold").touch()
    scheduler = project.start("--interval", "2")
    wait_for(project.fired, told=project.said)  # from here on it dies without a word
    run, *_ = named(project, "Running")
    beat = {
        "event": {"name": ["prefect.flow-run.heartbeat"]},
        "resource": {"id": [f"prefect.flow-run.{run}"]},
    }
    wait_for(lambda: project.ask("events/filter", {"filter": beat})["events"], told=project.said)
    scheduler.kill()
    scheduler.wait()
    wait_for(lambda: named(project, "Crashed"), told=lambda: own_states(project))
    assert [message for _, name, message in own_states(project) if name == "Crashed"] == [
        "no heartbeat for 90 s"
    ]


@pytest.mark.slow
def test_an_error_that_trying_again_would_not_help_ends_the_scheduler_in_one_line(alone):
    first = alone.start("--interval", "3600")
    first.send_signal(signal.SIGTERM)
    first.wait(60)
    scratch = settings.home(alone.root) / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.touch()
    done = alone.run("--interval", "3600")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("digits: the schedule can't be served")
    assert "Traceback" not in done.stderr


def planned(project, *options):
    parser = argparse.ArgumentParser()
    schedule.arguments(parser)
    return deploy.plan(project, parser.parse_args(options))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ((), "nothing to wait for"),
        (("--interval", "0.5"), "give 1 to 31,622,400 seconds"),
        (("--interval", "31622401"), "give 1 to 31,622,400 seconds"),
        (("--interval", "60", "--why", "x"), "--once"),
        (("--inbox", "nowhere"), "is not a folder"),
        (("--interval", "60", "--port", "0"), "is not a port"),
    ],
)
def test_what_makes_no_sense_is_told_in_one_line(tmp_path, options, told):
    with pytest.raises(ParamsError, match=told) as refused:
        planned(tmp_path, *options)
    assert "\n" not in str(refused.value)


def test_what_is_left_out_has_its_default(tmp_path):
    shutil.copy(ROOT / "params.yaml", tmp_path)
    plan = planned(tmp_path, "--cron", "0 3 * * *", "--profile", "speedrun", "--inbox", str(tmp_path))
    assert (plan.cron, plan.when_busy, plan.port, plan.inbox) == ("0 3 * * *", "skip", 4200, tmp_path)
    assert plan.parameters["profile"] == "speedrun" and "seed" not in plan.parameters
    assert plan.look_every == 60, "as params.yaml has it"


def test_a_prefect_of_ones_own_without_a_server_is_told(tmp_path):
    project = Project(tmp_path / "own", DIGITS_PREFECT="own", PREFECT_HOME=str(tmp_path / "home"))
    done = project.run("--interval", "60")
    assert done.returncode == 1
    assert "PREFECT_API_URL" in done.stderr and len(done.stderr.splitlines()) == 1


def test_a_flow_that_can_not_be_loaded_is_told_before_a_server_starts(tmp_path):
    project = Project(tmp_path / "project")
    broken = project.root / "broken.py"
    broken.write_text("import nothing_of_that_name\n")
    done = project.run("--interval", "60", "--entrypoint", f"{broken}:retrain")
    assert done.returncode == 1
    assert "nothing_of_that_name" in done.stderr and "Traceback" not in done.stderr
    assert not (settings.home(project.root) / "server.json").exists()
