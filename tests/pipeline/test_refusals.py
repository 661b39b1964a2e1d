"""What is not good enough is refused where it should be, in one line, and the score stays on record."""

import json

import pytest

from tests._digits import digits
from tests._project import project
from tests.ingest._idx import write_idx_dataset


def one_line(done, stage):
    """The stage's own message: one line, no traceback."""
    lines = [line for line in done.stderr.splitlines() if line.startswith(f"{stage}: ")]
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert done.returncode != 0
    return lines[0]


@pytest.mark.slow
def test_export_refuses_a_weak_model_and_its_bad_score_is_still_on_record(copy):
    copy.edit({"train": {"steps": 2}})
    done = copy.digits("run")
    assert "accuracy" in one_line(done, "export")
    assert "refused" in done.stdout and "export" in done.stdout
    assert not (copy.root / "models/exported").exists()
    assert "accuracy" in copy.ok("dvc", "metrics", "show", "--json")
    assert json.loads((copy.root / "reports/verdict.json").read_text())["passed"] is False
    assert "evaluate" in (copy.root / "dvc.lock").read_text()


@pytest.mark.slow
def test_a_bad_data_set_stops_at_validate_the_report_says_why_and_the_rerun_heals(tmp_path):
    made = project(tmp_path, git=False)
    (images, labels), test = digits(1200, seed=1), digits(400, seed=2)
    files = write_idx_dataset(tmp_path / "bad", train=(255 - images, labels), test=test)
    good = (made.root / "params.yaml").read_text()
    made.edit({"ingest": {"files": files}})
    line = one_line(made.digits("run", "preprocess", DIGITS_MIRROR=str(tmp_path / "bad")), "validate")
    assert "reports/validation" in line
    assert not (made.root / "data/validated").exists()
    assert not (made.root / "data/prepared/train").exists()
    assert (made.root / "reports/validation.json").exists()

    (made.root / "params.yaml").write_text(good)
    made.repro("validate")
    assert (made.root / "data/validated").exists()


def test_a_wrong_key_stops_the_run_before_anything_starts(tmp_path):
    made = project(tmp_path, train=20, test=20, git=False)
    made.edit({"train": {"sede": 1}})
    done = made.digits("run")
    assert done.returncode == 2
    assert "unknown key 'train.sede' (did you mean 'seed'?)" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (made.root / "data/raw").exists()
