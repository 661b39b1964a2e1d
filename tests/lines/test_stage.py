"""The stage on synthetic digits, with a training of six steps."""

import csv
import json

import numpy as np
import pytest
import tensorflow as tf

from digits import dataset
from digits.dataset import Split
from digits.line_model.candidate import load_candidate
from digits.line_model.lines import load_lines, load_real_lines, save_real_lines
from digits.lines import stage
from digits.lines.compose import Digits
from digits.lines.fit import Progress, Report
from digits.lines.real import Mixture
from digits.runtime.errors import TrainingError
from tests._lines import real_lines
from tests._project import tree_digest
from tests._raw import split
from tests.lines._written import recipe
from tests.lines.test_profiles import section

FEW = {"OTHERS": 3, "SCORED": 14}
PARAMS = section(profile="tiny", steps=6, batch=4, real=0.5, validation=60, precision="float32", device="cpu")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    root = tmp_path_factory.mktemp("lines")
    for name, n, seed in (("train", 60, 1), ("validation", 30, 2)):
        dataset.save_split(root / name, split(n, seed))
    save_real_lines(root / "real", real_lines(40, 80, 300))
    return root


@pytest.fixture(scope="module")
def run(home):
    """Run the stage in a folder; what it said."""

    def start(out, train=home / "train", **patches):
        said = []
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(out)  # checkpoints lie in the working directory
            patch.setattr(tf.config.experimental, "enable_op_determinism", lambda: None)  # it would stay on
            patch.setattr(stage.compose, "Digits", lambda *given, **_: Digits(*given, 20))
            for name, value in (FEW | {"say": said.append} | patches).items():
                patch.setattr(stage, name, value)
            made = [out / name for name in ("models/lines", "reports/lines", "reports/lines.png")]
            stage.run(train, home / "validation", home / "real", *made, PARAMS)
        return "\n".join(said)

    return start


@pytest.fixture(scope="module")
def done(run, tmp_path_factory):
    out = tmp_path_factory.mktemp("done")
    return out, run(out)


def test_what_dvc_expects_is_written(done):
    out, said = done
    names = {"line_model.weights.h5", "recipe.json", "history.csv", "summary.json", "validation.npz"}
    assert {path.name for path in (out / "models/lines").iterdir()} == names
    assert (out / "reports/lines.png").read_bytes().startswith(b"\x89PNG")
    rows = list(csv.DictReader((out / "models/lines/history.csv").read_text().splitlines()))
    assert [int(row["step"]) for row in rows] == [1, 2, 3, 4, 5, 6]
    assert set(rows[0]) == {"step", "learning_rate", "loss", "val_exact", "val_character_error"}
    live = json.loads((out / "reports/lines/metrics.json").read_text())
    assert live["loss"] == pytest.approx(float(rows[-1]["loss"]))
    summary = json.loads((out / "models/lines/summary.json").read_text())
    assert summary["steps"] == 6 and 0 <= summary["validation_exact"] <= 1
    known = load_lines(out / "models/lines/validation.npz")
    assert sum(map(len, known)) == pytest.approx(60, abs=4) and len({each.width for each in known}) == 7
    model = load_candidate(out / "models/lines")
    assert model.count_params() == summary["parameters"]
    assert "tiny, 6 steps of 4 lines" in said and "read exactly" in said
    assert not list((out / ".checkpoints").iterdir())


def test_lines_that_people_brought_are_in_the_batches_and_the_recipe_says_how_many(home, done, monkeypatch):
    out, said = done
    assert "50% of a step's lines are of 3 that people brought" in said and "1 are too wide" in said
    about = json.loads((out / "models/lines/recipe.json").read_text())
    assert (about["n_real"], about["real"]) == (3, 0.5)
    monkeypatch.setattr(stage, "OTHERS", 3)
    monkeypatch.setattr(stage.compose, "Digits", lambda *given: Digits(*given, 20))
    lines, images = load_real_lines(home / "real"), dataset.load_split(home / "train")
    plain, mixed = (
        stage.composer_of(images, Mixture(lines, share, 160), recipe(batch=4))(1) for share in (0, 0.5)
    )
    changed = [not np.array_equal(one, other) for one, other in zip(plain.images, mixed.images, strict=True)]
    assert changed == [True, True, False, False] and mixed.characters()[:2] == [[1, 10, 2]] * 2


@pytest.mark.slow
def test_killed_it_goes_on_and_ends_to_the_byte_as_an_unbroken_run(run, done, tmp_path):
    out, _ = done
    save, saved = stage.save_checkpoint, []

    def dying(path, progress):
        save(path, progress)
        saved.append(path)
        if len(saved) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, save_checkpoint=dying)
    assert not (tmp_path / "models/lines").exists()
    assert "going on after step 3 of 6" in run(tmp_path)
    assert tree_digest(tmp_path, "models/lines") == tree_digest(out, "models/lines")


def test_a_damaged_checkpoint_is_passed_over(tmp_path):
    kept = Progress(2, (np.arange(6.0), np.arange(3)), (Report(2, 0.1, 2.5, 0.0, 1.0),))
    stage.save_checkpoint(tmp_path / "whole.npz", kept)
    whole = (tmp_path / "whole.npz").read_bytes()
    for name, content in {"cut": whole[: len(whole) // 2], "empty": b"", "text": b"PK no archive"}.items():
        (tmp_path / name).write_bytes(content)
        assert stage.load_checkpoint(tmp_path / name) is None
    assert stage.load_checkpoint(tmp_path / "missing") is None
    back = stage.load_checkpoint(tmp_path / "whole.npz")
    assert back.step == 2 and back.history == kept.history
    assert np.array_equal(back.arrays[0], kept.arrays[0])


def test_no_images_is_told_before_anything_is_composed(run, tmp_path):
    nothing = Split(np.empty((0, 28, 28), np.uint8), np.empty(0, np.uint8), np.empty(0, "U1"))
    dataset.save_split(tmp_path / "none", nothing)
    with pytest.raises(TrainingError, match="no training images"):
        run(tmp_path, train=tmp_path / "none")
    assert not (tmp_path / "models").exists()
