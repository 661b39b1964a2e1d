import csv
import json
import os
import signal
import time

import numpy as np
import pytest
import tensorflow as tf

from digits import dataset
from digits.runtime import params
from digits.runtime.errors import TrainingError
from digits.train import additions, checkpoint, stage
from tests._project import tree_digest
from tests.train._stage import finish, prepare, start, write_params

CHANGES = {"architecture": "small", "steps": 24, "batch": 60, "xla": "nothing", "validation_every": 1}
CHANGES |= {"outliers": 0.1, "outlier_pool": 14}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with tiny prepared data and params: 6 epochs of 4 steps."""
    root = prepare(tmp_path_factory.mktemp("train"), 216, 60)
    write_params(root / "params.yaml", **CHANGES)
    return root


def test_candidate_and_live_metrics_tell_of_every_epoch_and_outliers_are_made_of_training_images(
    home, tmp_path, monkeypatch
):
    said, made, pool = [], [], additions.pool_of
    monkeypatch.chdir(tmp_path)  # checkpoints lie in the working directory
    monkeypatch.setattr(stage, "say", said.append)
    monkeypatch.setattr(tf.config.experimental, "enable_op_determinism", lambda: None)  # it would stay on
    monkeypatch.setattr(additions, "pool_of", lambda *given: made.append(given[1]) or pool(*given))
    candidate, live = tmp_path / "candidate", tmp_path / "live"
    train, validation = home / "prepared" / "train", home / "prepared" / "validation"
    stage.run(train, validation, candidate, live, params.load("train", home / "params.yaml"))
    written = {"model.weights.h5", "recipe.json", "history.csv", "summary.json"}
    assert {path.name for path in candidate.iterdir()} == written
    rows = list(csv.DictReader((candidate / "history.csv").read_text().splitlines()))
    assert [(int(row["epoch"]), int(row["step"])) for row in rows] == [(n, 4 * n) for n in range(1, 7)]
    assert {"loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "gap"} <= set(rows[0])
    summary = json.loads((candidate / "summary.json").read_text())
    assert summary["parameters"] > 1000 and summary["steps"] == 24
    assert summary["gap"] == summary["train_accuracy"] - summary["validation_accuracy"]
    assert not list(tmp_path.glob(".checkpoints/*"))
    last = json.loads((live / "metrics.json").read_text())
    assert last["val_accuracy"] == pytest.approx(float(rows[-1]["val_accuracy"]))
    assert len((live / "plots" / "metrics" / "val_accuracy.tsv").read_text().splitlines()) == 7
    recipe = json.loads((candidate / "recipe.json").read_text())
    assert "settings for few images" in "\n".join(said) and recipe["small_data"] is True
    assert recipe["n_train"] == 216 and (recipe["outliers"], recipe["outlier_pool"]) == (0.1, 14)
    (given,) = made
    assert np.array_equal(given.images, dataset.load_split(train).images)


def test_an_empty_validation_split_is_told(home, tmp_path):
    train, nothing, section = home / "prepared" / "train", tmp_path / "nothing", home / "params.yaml"
    dataset.save_split(nothing, dataset.load_split(train).take(np.arange(0)))
    with pytest.raises(TrainingError, match="no validation images"):
        stage.run(train, nothing, tmp_path / "no", tmp_path / "live", params.load("train", section))
    assert not (tmp_path / "no").exists()


@pytest.mark.slow
def test_killed_it_goes_on_and_ends_to_the_byte_as_an_unbroken_run(home):
    unbroken, out, section = home / "unbroken", home / "killed", home / "params.yaml"
    finish(start(home, unbroken, section))
    for epochs in (1, 3):
        process = start(home, out, section)
        deadline = time.monotonic() + 240
        while _epochs(out) < epochs and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        assert not (out / "candidate").exists()
    assert "going on after epoch" in finish(start(home, out, section))[0]
    assert tree_digest(out, "candidate", "live") == tree_digest(unbroken, "candidate", "live")


def _epochs(out):
    found = [checkpoint.load(path) for path in (out / ".checkpoints").glob("*.npz")]
    return max((len(progress.history) for progress in found if progress), default=0)
