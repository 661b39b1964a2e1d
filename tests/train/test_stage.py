import csv
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf
import yaml

from digits import dataset
from digits.runtime import params
from digits.runtime.errors import TrainingError
from digits.train import checkpoint, outliers, stage
from tests._project import ROOT, environment, tree_digest
from tests.train._recipes import split

CHANGES = {"architecture": "small", "steps": 24, "batch": 60, "xla": "nothing", "validation_every": 1}
CHANGES |= {"outliers": 0.1, "outlier_pool": 14}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with tiny prepared data and params: 6 epochs of 4 steps."""
    root = tmp_path_factory.mktemp("train")
    for name, n, seed in (("train", 216, 1), ("validation", 60, 2)):
        dataset.save_split(root / "prepared" / name, split(n, seed))
    tree = yaml.safe_load((ROOT / "params.yaml").read_text())
    tree["train"] |= CHANGES
    (root / "params.yaml").write_text(yaml.safe_dump(tree))
    return root


def start(home, out, params=None):
    """The stage in a process of its own."""
    out.mkdir(exist_ok=True)
    command = [
        *(sys.executable, "-m", "digits.train.stage", "--params", str(params or home / "params.yaml")),
        *("--train", str(home / "prepared" / "train"), "--validation", str(home / "prepared" / "validation")),
        *("--candidate", str(out / "candidate"), "--live", str(out / "live")),
    ]
    env = environment(out) | {"PYTHONPATH": str(ROOT / "src")}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=out, env=env, text=True, **pipes)


@pytest.fixture(scope="module")
def done(home, tmp_path_factory):
    """An unbroken run: where its files are, what it said, and what its outliers were made of."""
    out, said, made = tmp_path_factory.mktemp("done"), [], []
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(out)  # checkpoints lie in the working directory
        patch.setattr(stage, "say", said.append)
        patch.setattr(tf.config.experimental, "enable_op_determinism", lambda: None)  # it would stay on
        pool = outliers.outlier_pool
        patch.setattr(outliers, "outlier_pool", lambda *given: made.append(given[1]) or pool(*given))
        prepared, section = home / "prepared", params.load("train", home / "params.yaml")
        stage.run(prepared / "train", prepared / "validation", out / "candidate", out / "live", section)
    return out, "\n".join(said), made


def history(out):
    return list(csv.DictReader((out / "candidate" / "history.csv").read_text().splitlines()))


def test_the_candidate_is_whole(done):
    out, *_ = done
    assert {p.name for p in (out / "candidate").iterdir()} == {
        "model.weights.h5",
        "recipe.json",
        "history.csv",
        "summary.json",
    }
    rows = history(out)
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3, 4, 5, 6]
    assert [int(row["step"]) for row in rows] == [4, 8, 12, 16, 20, 24]
    assert {"loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "gap"} <= set(rows[0])
    summary = json.loads((out / "candidate" / "summary.json").read_text())
    assert summary["parameters"] > 1000
    assert summary["steps"] == 24
    assert summary["gap"] == summary["train_accuracy"] - summary["validation_accuracy"]
    assert not (out / ".checkpoints").exists() or not list((out / ".checkpoints").iterdir())


def test_small_data_settings_show_on_the_screen_and_in_the_recipe(done):
    out, said, _ = done
    assert "settings for few images" in said
    recipe = json.loads((out / "candidate" / "recipe.json").read_text())
    assert recipe["small_data"] is True
    assert recipe["n_train"] == 216
    assert recipe["dropout"] > 0


def test_live_metrics_hold_every_epoch(done):
    out, *_ = done
    last = json.loads((out / "live" / "metrics.json").read_text())
    assert last["val_accuracy"] == pytest.approx(float(history(out)[-1]["val_accuracy"]))
    curve = (out / "live" / "plots" / "metrics" / "val_accuracy.tsv").read_text().splitlines()
    assert len(curve) == 7


def test_outliers_are_made_of_the_training_images_and_trained_on(home, done):
    out, _, (given,) = done
    recipe = json.loads((out / "candidate" / "recipe.json").read_text())
    assert (recipe["outliers"], recipe["outlier_pool"]) == (0.1, 14)
    assert np.array_equal(given.images, dataset.load_split(home / "prepared" / "train").images)


@pytest.mark.slow
def test_killed_it_goes_on_and_ends_to_the_byte_as_an_unbroken_run(home):
    unbroken, out = home / "unbroken", home / "killed"
    ended(start(home, unbroken))
    for epochs in (1, 3):
        process = start(home, out)
        deadline = time.monotonic() + 240
        while _epochs(out) < epochs and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        assert not (out / "candidate").exists()
    assert "going on after epoch" in ended(start(home, out))
    assert tree_digest(out, "candidate", "live") == tree_digest(unbroken, "candidate", "live")


def ended(process):
    """What a run said that ended well."""
    said, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return said


def _epochs(out):
    found = [checkpoint.load(path) for path in (out / ".checkpoints").glob("*.npz")]
    return max((len(progress.history) for progress in found if progress), default=0)


def test_a_wrong_key_stops_it_before_anything_loads(home, tmp_path):
    tree = yaml.safe_load((home / "params.yaml").read_text())
    tree["train"]["dropuot"] = 0.1
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(tree))
    process = start(home, tmp_path, tmp_path / "params.yaml")
    _, errors = process.communicate(timeout=300)
    assert process.returncode == params.ParamsError.exit_code
    assert "train.dropuot" in errors and "dropout" in errors
    assert len(errors.splitlines()) == 1


def test_an_empty_validation_split_is_told(home, tmp_path):
    whole = dataset.load_split(home / "prepared" / "train")
    dataset.save_split(tmp_path / "nothing", whole.take(np.arange(0)))
    section = params.load("train", home / "params.yaml")
    with pytest.raises(TrainingError, match="no validation images"):
        stage.run(
            home / "prepared" / "train", tmp_path / "nothing", tmp_path / "no", tmp_path / "live", section
        )
    assert not (tmp_path / "no").exists()
