import csv
import io
import subprocess
import sys

import pytest
import yaml

from digits.runtime import params
from flows.search import experiments
from flows.search.study import Row
from tests._project import ROOT, environment

ROWS = [
    Row(1, "complete", {"train.rate": 0.00001, "train.augmentation.shift": 2.0}, 0.97, 0.2),
    Row(2, "pruned", {"train.rate": 0.1, "train.augmentation.shift": 1.0}, 0.5),
    Row(3, "complete", {"train.rate": 0.004, "train.augmentation.shift": 0.5}, 0.98, 0.1),
    Row(4, "failed", {"train.rate": 0.2, "train.augmentation.shift": 0.5}, error="the loss is nan"),
]


class Tree:
    def __init__(self, root, home):
        self.root, self.environment = root, environment(home)

    def ok(self, *command):
        made = subprocess.run(
            command, cwd=self.root, env=self.environment, check=True, capture_output=True, text=True
        )
        return made.stdout

    def dvc(self, *arguments):
        return self.ok(sys.executable, "-m", "dvc", *arguments)


@pytest.fixture
def tree(tmp_path):
    """A committed repository with this project's params, a stage and the metrics of its model."""
    root, home = tmp_path / "p", tmp_path / "home"
    root.mkdir()
    home.mkdir()
    (root / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    stage = {
        "cmd": "cp params.yaml used.yaml && mkdir -p reports && echo '{\"right\": 1}' > reports/metrics.json",
        "params": ["train"],
        "outs": ["used.yaml"],
        "metrics": [{"reports/metrics.json": {"cache": False}}],
    }
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"train": stage}}))
    made = Tree(root, home)
    made.ok("git", "init", "-q", "-b", "main")
    made.dvc("init", "-q")
    made.dvc("repro", "-q")
    made.ok("git", "add", "-A")
    made.ok("git", "commit", "-qm", "start")
    return made


def test_whole_trials_are_experiments_that_dvc_shows_and_applies(tree):
    written = (tree.root / "params.yaml").read_text()
    (tree.root / "params.yaml").write_text(written + "# changed, not committed\n")
    before = tree.ok("git", "status", "--porcelain")
    names = experiments.record(tree.root, "s", "speedrun", ROWS)
    assert names == ["s-1", "s-3"]
    assert tree.ok("git", "status", "--porcelain") == before
    shown = {r["Experiment"]: r for r in csv.DictReader(io.StringIO(tree.dvc("exp", "show", "--csv")))}
    assert float(shown["s-3"]["train.rate"]) == 0.004
    assert shown["s-3"]["train.profile"] == "speedrun"
    assert float(shown["s-3"]["validation.accuracy"]) == 0.98
    assert shown["s-3"]["right"] == "!"  # none: the model at HEAD has one, this one has not
    assert "s-2" not in shown

    tree.ok("git", "checkout", "-q", "params.yaml")
    tree.dvc("exp", "apply", "s-1")
    text = (tree.root / "params.yaml").read_text()
    section = params.load("train", tree.root / "params.yaml")
    assert (section.profile, section.rate, section.augmentation.shift) == ("speedrun", 0.00001, 2.0)
    assert "# highest learning rate" in text
    assert "# changed, not committed" in text


def test_what_is_an_experiment_already_is_left_alone(tree):
    experiments.record(tree.root, "s", "fast", ROWS[:1])
    first = tree.ok("git", "for-each-ref", "refs/exps")
    tree.ok("git", "commit", "-q", "--allow-empty", "-m", "on")
    assert experiments.record(tree.root, "s", "fast", ROWS) == ["s-1", "s-3"]
    assert first.strip() in tree.ok("git", "for-each-ref", "refs/exps")
    assert len(tree.ok("git", "for-each-ref", "refs/exps").splitlines()) == 2


def test_without_git_there_are_none(tmp_path):
    assert experiments.record(tmp_path, "s", "fast", ROWS) == []
