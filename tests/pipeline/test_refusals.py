"""What is not good enough is refused where it should be, in one line, and the score stays on record."""

import json

import pytest

from tests._project import project


def one_line(done, stage):
    """The stage's own message: one line, no traceback."""
    lines = [line for line in done.stderr.splitlines() if line.startswith(f"{stage}: ")]
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert done.returncode != 0
    return lines[0]


@pytest.fixture(scope="session")
def weak(built, tmp_path_factory):
    made = built.copy(tmp_path_factory.mktemp("weak") / "project")
    made.edit({"train": {"steps": 2}})
    made.outcome = made.digits("run")
    return made


@pytest.mark.slow
def test_export_refuses_a_weak_model_in_one_line(weak):
    assert "accuracy" in one_line(weak.outcome, "export")
    assert not (weak.root / "models/exported").exists()


@pytest.mark.slow
def test_the_bad_score_is_still_on_record(weak):
    shown = json.loads(weak.ok("dvc", "metrics", "show", "--json"))
    assert "accuracy" in json.dumps(shown)
    assert json.loads((weak.root / "reports/verdict.json").read_text())["passed"] is False
    assert "evaluate" in (weak.root / "dvc.lock").read_text()


@pytest.mark.slow
def test_the_summary_says_refused_and_which_rule(weak):
    assert "refused" in weak.outcome.stdout
    assert "export" in weak.outcome.stdout


@pytest.mark.parametrize(
    ("section", "change", "said"),
    [
        ("train", {"sede": 1}, "unknown key 'train.sede' (did you mean 'seed'?)"),
        ("train", {"seed": "one"}, "'train.seed' is 'one'"),
        ("evaluate", {"accuracy": 98}, "'evaluate.accuracy' is 98"),
        ("ingest", {"retries": -1}, "'ingest.retries' is -1"),
    ],
)
def test_a_wrong_key_or_type_stops_the_run_before_anything_starts(tmp_path, section, change, said):
    made = project(tmp_path, train=20, test=20, git=False)
    made.edit({section: change})
    done = made.digits("run")
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (made.root / "data/raw").exists()
