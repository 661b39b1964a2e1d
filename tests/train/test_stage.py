import csv
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import yaml

from digits import dataset
from digits.dataset import Split
from digits.runtime import params
from tests._digits import digits
from tests._project import ROOT, environment, tree_digest

CHANGES = {"steps": 24, "batch": 60, "xla": "nothing", "validation_every": 1}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with tiny prepared data and params: 6 epochs of 4 steps."""
    root = tmp_path_factory.mktemp("train")
    for name, n, seed in (("train", 240, 1), ("validation", 60, 2)):
        images, labels = digits(n, seed)
        (root / "prepared").mkdir(exist_ok=True)
        dataset.save_split(root / "prepared" / name, Split(images, labels, np.full(n, "synthetic")))
    tree = yaml.safe_load((ROOT / "params.yaml").read_text())
    tree["train"] |= CHANGES
    (root / "params.yaml").write_text(yaml.safe_dump(tree))
    return root


def command(home, out):
    return [
        *(sys.executable, "-m", "digits.train.stage", "--params", str(home / "params.yaml")),
        *("--train", str(home / "prepared" / "train"), "--validation", str(home / "prepared" / "validation")),
        *("--candidate", str(out / "candidate"), "--live", str(out / "live")),
    ]


def start(home, out):
    out.mkdir(exist_ok=True)
    env = environment(out) | {"PYTHONPATH": str(ROOT / "src")}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command(home, out), cwd=out, env=env, text=True, **pipes)


@pytest.fixture(scope="module")
def done(home):
    """An unbroken run in a process of its own: where its files are, and what it said."""
    out = home / "unbroken"
    process = start(home, out)
    said, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return out, said


def history(out):
    return list(csv.DictReader((out / "candidate" / "history.csv").read_text().splitlines()))


def test_the_candidate_is_whole(done):
    out, _ = done
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
    assert summary["parameters"] == 116_266
    assert summary["steps"] == 24
    assert summary["gap"] == summary["train_accuracy"] - summary["validation_accuracy"]
    assert not (out / ".checkpoints").exists() or not list((out / ".checkpoints").iterdir())


def test_small_data_settings_show_on_the_screen_and_in_the_recipe(done):
    out, said = done
    assert "settings for few images" in said
    recipe = json.loads((out / "candidate" / "recipe.json").read_text())
    assert recipe["small_data"] is True
    assert recipe["n_train"] == 240
    assert recipe["dropout"] > 0


def test_live_metrics_hold_every_epoch(done):
    out, _ = done
    last = json.loads((out / "live" / "metrics.json").read_text())
    assert last["val_accuracy"] == pytest.approx(float(history(out)[-1]["val_accuracy"]))
    curve = (out / "live" / "plots" / "metrics" / "val_accuracy.tsv").read_text().splitlines()
    assert len(curve) == 7


@pytest.mark.slow
def test_killed_it_goes_on_and_ends_as_an_unbroken_run(home, done):
    out = home / "killed"
    for epochs in (1, 3):
        process = start(home, out)
        deadline = time.monotonic() + 240
        while _epochs(out) < epochs and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        assert not (out / "candidate").exists()
    process = start(home, out)
    said, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert "going on after epoch" in said
    assert tree_digest(out, "candidate", "live") == tree_digest(done[0], "candidate", "live")


def _epochs(out):
    from digits.train import checkpoint

    found = [checkpoint.load(path) for path in (out / ".checkpoints").glob("*.npz")]
    return max((len(progress.history) for progress in found if progress), default=0)


@pytest.mark.slow
def test_a_second_run_is_equal_to_the_byte(home, done):
    out = home / "second"
    process = start(home, out)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert tree_digest(out, "candidate", "live") == tree_digest(done[0], "candidate", "live")


def test_a_wrong_key_stops_it_before_anything_loads(home):
    out = home / "wrong"
    out.mkdir()
    tree = yaml.safe_load((home / "params.yaml").read_text())
    tree["train"]["dropuot"] = 0.1
    (out / "params.yaml").write_text(yaml.safe_dump(tree))
    arguments = [*command(home, out), "--params", str(out / "params.yaml")]
    env = environment(out) | {"PYTHONPATH": str(ROOT / "src"), "PYTHONVERBOSE": ""}
    ended = subprocess.run(arguments, cwd=out, env=env, capture_output=True, text=True, check=False)
    assert ended.returncode == params.ParamsError.exit_code
    assert "train.dropuot" in ended.stderr
    assert "dropout" in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1


def test_an_empty_validation_split_is_told(home):
    from digits.runtime.errors import TrainingError
    from digits.train import stage

    images, labels = digits(20)
    nothing = Split(images[:0], labels[:0], np.full(0, "synthetic"))
    dataset.save_split(home / "prepared" / "nothing", nothing)
    section = params.load("train", home / "params.yaml")
    with pytest.raises(TrainingError, match="no validation images"):
        stage.run(
            home / "prepared" / "train", home / "prepared" / "nothing", home / "no", home / "nolive", section
        )
    assert not (home / "no").exists()


def test_outliers_are_made_of_the_training_images_and_trained_on(home, tmp_path, monkeypatch):
    from digits.train import outliers, stage

    monkeypatch.chdir(tmp_path)  # checkpoints lie in the working directory
    made, pool = [], outliers.outlier_pool
    monkeypatch.setattr(outliers, "outlier_pool", lambda *given: made.append(given[1]) or pool(*given))
    section = params.load("train", home / "params.yaml")
    some = section.model_copy(update={"outliers": 0.1, "outlier_pool": 14, "steps": 4})
    prepared = home / "prepared"
    stage.run(prepared / "train", prepared / "validation", tmp_path / "a", tmp_path / "live", some)
    recipe = json.loads((tmp_path / "a" / "recipe.json").read_text())
    assert (recipe["outliers"], recipe["outlier_pool"], recipe["steps"]) == (0.1, 14, 4)
    (given,) = made
    assert np.array_equal(given.images, dataset.load_split(prepared / "train").images)
