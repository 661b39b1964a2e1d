import csv
import io

import pytest
import yaml

from digits.runtime import params
from flows.search import experiments
from flows.search.study import Row
from tests._project import ROOT
from tests.flows._projects import commit, dvc, sh, write

ROWS = [
    Row(1, "complete", {"train.rate": 0.00001, "train.augmentation.shift": 2.0}, 0.97, 0.2),
    Row(2, "pruned", {"train.rate": 0.1, "train.augmentation.shift": 1.0}, 0.5),
    Row(3, "complete", {"train.rate": 0.004, "train.augmentation.shift": 0.5}, 0.98, 0.1),
    Row(4, "failed", {"train.rate": 0.2, "train.augmentation.shift": 0.5}, error="the loss is nan"),
]


@pytest.fixture
def root(tmp_path, own_home):
    """A committed repository with this project's params, a stage and the metrics of its model."""
    stage = {
        "cmd": "cp params.yaml used.yaml && mkdir -p reports && echo '{\"right\": 1}' > reports/metrics.json",
        "params": ["train"],
        "outs": ["used.yaml"],
        "metrics": [{"reports/metrics.json": {"cache": False}}],
    }
    root = write(tmp_path / "p", "dvc.yaml", yaml.safe_dump({"stages": {"train": stage}})).parent
    write(root, "params.yaml", (ROOT / "params.yaml").read_text())
    sh(root, "git", "init", "-q", "-b", "main")
    dvc(root, "init", "-q")
    dvc(root, "repro", "-q")
    commit(root, "start")
    return root


def test_whole_trials_are_experiments_that_dvc_shows_and_applies(root):
    written = (root / "params.yaml").read_text()
    (root / "params.yaml").write_text(written + "# changed, not committed\n")
    before = sh(root, "git", "status", "--porcelain")
    assert experiments.record(root, "s", "speedrun", ROWS) == ["s-1", "s-3"]
    assert sh(root, "git", "status", "--porcelain") == before
    shown = {r["Experiment"]: r for r in csv.DictReader(io.StringIO(dvc(root, "exp", "show", "--csv")))}
    assert float(shown["s-3"]["train.rate"]) == 0.004
    assert shown["s-3"]["train.profile"] == "speedrun"
    assert float(shown["s-3"]["validation.accuracy"]) == 0.98
    assert shown["s-3"]["right"] == "!"  # none: the model at HEAD has one, this one has not
    assert "s-2" not in shown

    sh(root, "git", "checkout", "-q", "params.yaml")
    dvc(root, "exp", "apply", "s-1")
    section = params.load("train", root / "params.yaml")
    assert (section.profile, section.rate, section.augmentation.shift) == ("speedrun", 0.00001, 2.0)
    text = (root / "params.yaml").read_text()
    assert "# highest learning rate" in text and "# changed, not committed" in text


def test_what_is_an_experiment_already_is_left_alone_and_without_git_there_are_none(root, tmp_path):
    experiments.record(root, "s", "fast", ROWS[:1])
    first = sh(root, "git", "for-each-ref", "refs/exps")
    write(root, "notes.txt", "main goes on")
    commit(root, "on")
    assert experiments.record(root, "s", "fast", ROWS) == ["s-1", "s-3"]
    after = sh(root, "git", "for-each-ref", "refs/exps").splitlines()
    assert first in after and len(after) == 2
    assert experiments.record(tmp_path, "s", "fast", ROWS) == []
