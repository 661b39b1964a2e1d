"""A `dvc repro` followed stage by stage, on a DVC project whose stages are named as ours and print a line."""

import pytest

from digits import STAGES
from digits.pipeline.repro import steps
from digits.runtime import processes
from tests._stand_in import pipeline
from tests.flows._processes import wait_for


@pytest.fixture
def root(tmp_path):
    return pipeline(tmp_path)


def followed(root, **options):
    """The outcome and the lines of each stage, and the whole run."""
    found = {}
    with steps(root, **options) as following:
        for stage in STAGES:
            lines = []
            done = following.stage(stage, lines.append)
            found[stage] = (done.outcome, lines)
            if done.outcome == "failed":
                break
        return found, following.finish(), following.error


def test_each_stage_has_its_own_lines_and_runs_again_when_it_is_stale_or_forced(root):
    found, run, _ = followed(root)
    assert run.ok
    for stage, (outcome, lines) in found.items():
        assert outcome == "ran"
        lines = [line for line in lines if not line.startswith("WARNING: ")]  # of the stand-in's empty files
        assert lines == [f"{stage} at work"], "its own lines alone, and none of DVC's"
    again, run, _ = followed(root)
    assert run.ok
    assert {outcome for outcome, _ in again.values()} == {"cached"}
    assert [stage.outcome for stage in run.stages] == ["cached"] * len(STAGES)
    (root / "train.recipe").write_text("another")
    found, _, _ = followed(root, force="validate")
    assert [outcome for outcome, _ in found.values()] == ["cached", "ran", "cached"] + ["ran"] * 5


def test_a_failed_stage_is_told_with_its_reason_and_the_rest_is_not_reached(root):
    (root / "start").write_text("preprocess")
    found, run, error = followed(root)
    assert found["preprocess"][0] == "failed"
    assert [(s.outcome, s.error) for s in run.stages[2:4]] == [("failed", "bad"), ("not reached", "")]
    assert "preprocess" in error


@pytest.mark.slow
def test_leaving_early_ends_the_stage_and_lets_the_next_run_start(root):
    (root / "start").write_text("sleep")
    with steps(root) as following:
        for stage in ("ingest", "validate", "preprocess"):
            following.stage(stage, lambda _: None)
        wait_for((root / "sleeping").exists, 30)
    pid = int((root / "sleeping").read_text())
    wait_for(lambda: not processes.alive(pid), 30, lambda: "the stage's process stayed")
    (root / "start").write_text("fine")
    assert followed(root)[1].ok
