"""`digits run`: the summary, the sample that heals, one run at a time."""

import fcntl
import json

import pytest

from tests._project import Project, project


def dataset(made):
    return json.loads((made.root / "data/raw/manifest.json").read_text())["dataset"]


@pytest.mark.slow
def test_the_summary_tells_stages_data_accuracy_verdict_reports_and_what_next(built):
    done = built.digits("run", "--no-publish")
    assert done.returncode == 0, done.stderr
    assert not (built.root / "models/serving").exists()
    for word in (
        "nothing has changed",
        "synthetic",
        "accuracy",
        "interval",
        "passed",
        "reports/report.html",
        "next",
    ):
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
    assert "nothing has changed" in made.digits("run", "ingest").stdout
    sample = (made.root / "dvc.lock").read_text()

    healed = made.digits("run", "ingest", DIGITS_MIRROR=mirror)
    assert healed.returncode == 0, healed.stderr
    assert dataset(made) == "synthetic"

    made.ok("rm", "-r", "data/raw")
    assert made.digits("run", "ingest").returncode == 0
    assert dataset(made) == "synthetic", "without a source the cached data stay, not the sample"

    made.ok("rm", "-r", "data/raw")
    (made.root / "dvc.lock").write_text(sample)
    assert made.digits("run", "ingest", DIGITS_MIRROR=mirror).returncode == 0
    assert dataset(made) == "synthetic", "nor does the run cache bring it back"


def test_a_second_run_at_the_same_time_is_refused_in_one_line(built):
    with (built.root / ".dvc/tmp/digits-run.lock").open("a+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        done = built.digits("run")
    assert done.returncode == 1
    assert "another run" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_outside_a_project_it_says_so(built, tmp_path):
    done = Project(tmp_path, built.environment).digits("run")
    assert done.returncode == 1 and "no dvc.yaml" in done.stderr
