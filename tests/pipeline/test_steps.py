"""A `dvc repro` followed stage by stage, on a DVC project whose stages are named as ours and print a line."""

import pytest

from digits import STAGES
from digits.pipeline import repro
from digits.pipeline.repro import steps
from digits.runtime import processes
from tests._stand_in import pipeline
from tests.flows._processes import wait_for


@pytest.fixture
def root(tmp_path):
    return pipeline(tmp_path)


class Watcher:
    """Keeps what a stage prints, apart from DVC's own lines."""

    def __init__(self):
        self.said, self.noted = [], []

    def say(self, line):
        self.said.append(line)

    def note(self, line):
        self.noted.append(line)


def followed(root, **options):
    """The outcome and the lines of each stage, and the whole run."""
    found = {}
    with steps(root, **options) as following:
        for stage in STAGES:
            watcher = Watcher()
            done = following.stage(stage, watcher)
            found[stage] = (done.outcome, watcher)
            if done.outcome == "failed":
                break
        return found, following.finish()


def test_each_stage_has_its_own_lines_and_runs_again_when_it_is_stale_or_forced(root):
    found, run = followed(root)
    assert run.ok
    for stage, (outcome, watcher) in found.items():
        assert outcome == "ran"
        assert watcher.said == [f"{stage} says"], "what it says to a person, and nothing of DVC's"
        assert f"{stage} at work" in watcher.noted
    before = (root / "train.recipe").read_text()
    (root / "train.recipe").write_text("another")
    found, run = followed(root, force="validate")
    assert run.ok
    expected = ["cached", "ran", "cached"] + ["ran"] * 5
    assert [outcome for outcome, _ in found.values()] == expected
    assert [stage.outcome for stage in run.stages] == expected
    (root / "train.recipe").write_text(before)
    found, _ = followed(root)
    assert [outcome for outcome, _ in found.values()] == ["cached"] * 3 + ["restored"] * 5


def test_a_failed_stage_is_told_with_its_reason_and_the_rest_is_not_reached(root):
    (root / "start").write_text("preprocess")
    found, run = followed(root)
    assert found["preprocess"][0] == "failed"
    assert [(s.stage, s.outcome, s.error) for s in run.stages[2:]] == [("preprocess", "failed", "bad")]
    assert "preprocess" in run.error


def test_what_is_not_up_to_date_is_known_even_a_sample_whose_source_answers_again(root, monkeypatch):
    (root / "params.yaml").write_text("{}\n")
    (root / "data" / "raw").mkdir(parents=True)
    assert [stage.stage for stage in repro.bring_up_to_date(root, "validate").stages] == list(STAGES[:2])
    assert not repro.up_to_date(root)
    repro.bring_up_to_date(root)
    assert repro.up_to_date(root)
    with monkeypatch.context() as patch:
        patch.setattr(repro, "_source_replacing_sample", lambda *_: "the mirror")
        assert not repro.up_to_date(root)
        outcomes = [stage.outcome for stage in repro.bring_up_to_date(root, "validate").stages]
    assert outcomes == ["ran", "cached"], "ingest ran, though nothing had changed"
    (root / "convert.recipe").write_text("another")
    assert not repro.up_to_date(root)


@pytest.mark.slow
def test_leaving_early_ends_the_stage_and_lets_the_next_run_start(root):
    (root / "start").write_text("sleep")
    with steps(root) as following:
        for stage in ("ingest", "validate", "preprocess"):
            following.stage(stage, Watcher())
        wait_for((root / "sleeping").exists, 30)
    pid = int((root / "sleeping").read_text())
    wait_for(lambda: not processes.alive(pid), 30, lambda: "the stage's process stayed")
    (root / "start").write_text("fine")
    assert followed(root)[1].ok
