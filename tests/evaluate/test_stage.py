"""The stage on synthetic digits; the candidate is a stand-in of known skill rather than a trained network."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from digits import dataset, files
from digits.dataset import Split
from digits.evaluate import stage
from digits.evaluate.corruptions import CORRUPTIONS
from digits.evaluate.line_sets import WITHOUT
from digits.evaluate.plots import HISTORY
from digits.line_model import network
from digits.line_model.candidate import save_candidate
from digits.line_model.lines import save_lines, save_real_lines
from digits.lines.compose import KINDS as LINE_KINDS
from digits.non_digits import KINDS
from digits.runtime import params
from digits.runtime.errors import DataError
from tests._digits import digits
from tests._lines import real_lines
from tests._project import LINE_FLOORS
from tests.lines._written import one_digit, recipe

PARTS = ("candidate", "lines", "validation", "test", "heldout", "heldout_lines")
Model = Callable[..., Any]
FLOORS = {  # within reach of a nearest mean
    "n_test": {"tiny": 300}, "accuracy": 0.95, "lower_bound_small": 0.9, "digit": 0.8,
    "corruption_mean": 0.3, "corruption_worst": 0.0, "lines_of_a_kind": 20,
} | {key: {"tiny": 0.0} for key in LINE_FLOORS}  # fmt: skip
PARAMS = params.load("evaluate", Path(__file__).parents[2] / "params.yaml").model_copy(update=FLOORS)


def prototypes(images, labels):
    """A model that answers with the class of the nearest mean image: nearly always right on these digits."""
    import tensorflow as tf

    flat = images.reshape(len(images), -1).astype(np.float32) / 255
    means = np.stack([flat[labels == digit].mean(axis=0) for digit in range(10)])

    def model(pixels, training):
        assert training is False and pixels.dtype == tf.uint8
        x = tf.reshape(tf.cast(pixels, tf.float32) / 255.0, [-1, 784])
        return 2 * x @ tf.constant(means.T) - tf.constant((means**2).sum(axis=1))

    return model


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """prepared/ and candidate/ as the stages before would leave them, without weights."""
    root = tmp_path_factory.mktemp("data")
    for name, n, seed in (("validation", 200, 1), ("test", 300, 2), ("heldout", 40, 3)):
        images, labels = digits(n, seed)
        dataset.save_split(root / name, Split(images, labels, np.array(["scans"] * n)))
    manifest = {"dataset": "tiny", "sample": False, "splits": {}, "batches": {}}
    files.write_json(root / "manifest.json", manifest)
    summary = {"profile": "fast", "parameters": 7850, "steps": 10, "train_accuracy": 0.99}
    files.write_json(root / "candidate" / "summary.json", summary)
    history = f"{','.join(HISTORY)}\n1,1.0,0.7,,,\n2,0.5,0.9,0.99,0.4,0.95\n"
    files.write_text(root / "candidate" / "history.csv", history)
    save_real_lines(root / "heldout_lines", real_lines(40, 40, 2048))
    (root / "lines").mkdir()
    untrained = network.build("tiny", seed=1)  # which reads nothing yet
    save_candidate(root / "lines", untrained, recipe().to_dict())
    save_lines(root / "lines" / "validation.npz", [one_digit(np.arange(20), seed=2)])
    return root


@pytest.fixture(scope="module")
def good():
    return prototypes(*digits(400, seed=1))


@pytest.fixture(scope="module")
def score(data):
    """Run the stage with a model in the candidate's place; metrics and verdict."""

    def run(model, out, **paths):
        given = {n: data / n for n in PARTS} | {n: out / n for n in ("figures", "plots")}
        given |= {"manifest": data / "manifest.json"}
        given |= {n: out / f"{n}.json" for n in ("metrics", "summary", "verdict")}
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("digits.model.candidate.load_candidate", lambda _: model)
            patch.setattr(stage, "NON_DIGITS", 40)
            stage.run(**(given | {"report": out / "report.html"} | paths), params=PARAMS)
        return {name: json.loads((out / f"{name}.json").read_text()) for name in ("metrics", "verdict")}

    return run


def test_a_good_model_is_scored_passed_and_drawn_and_nothing_holds_a_path(score, good, data, tmp_path):
    found = score(good, tmp_path)
    metrics, verdict = found["metrics"], found["verdict"]
    assert verdict["passed"], verdict
    assert metrics["dataset"] == verdict["dataset"] == "tiny" and metrics["n_test"] == 300
    assert metrics["accuracy"] == pytest.approx(metrics["correct"] / 300, abs=1e-6)
    assert sum(row["n"] for row in metrics["digits"].values()) == 300
    assert len((tmp_path / "plots" / "confusion.csv").read_text().splitlines()) == 301
    assert list(metrics["corruptions"]) == sorted(CORRUPTIONS)
    assert metrics["corruption_worst"] == min(metrics["corruptions"].values())
    assert metrics["slices"]["scans"]["n"] == 40
    assert metrics["ece"] < metrics["ece_uncalibrated"]
    assert metrics["gap"] == pytest.approx(0.99 - metrics["validation_accuracy"])
    assert metrics["abstention"]["target"] == PARAMS.answered_precision
    assert set(metrics["non_digits"]) == set(KINDS)
    lines = metrics["lines"]
    assert {kind: row["n"] for kind, row in lines["kinds"].items()} == dict.fromkeys(LINE_KINDS, 20)
    assert {kind: row["n"] for kind, row in lines["without_digits"].items()} == dict.fromkeys(WITHOUT, 4)
    assert {batch: row["n"] for batch, row in lines["slices"].items()} == {"cheques": 3}
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["accuracy"] == metrics["accuracy"] and summary["weights"] == 7850
    assert summary["lines"] == lines["kinds"]["mixed"]["exact"]
    assert set(lines["fit"]) == {"slope", "offset", "threshold", "target"}
    assert len((tmp_path / "plots" / "lines.csv").read_text().splitlines()) == 1 + len(LINE_KINDS)
    plots = {"confusion", "corruptions", "lines", "reliability", "risk_coverage"}
    figures = plots | {"learning_curves", "mistakes", "non_digits", "worst_lines"}
    assert {p.stem for p in (tmp_path / "figures").iterdir()} == figures
    assert {p.stem for p in (tmp_path / "plots").iterdir()} == plots | {"history"}
    assert (tmp_path / "report.html").read_text().count("data:image/png;base64,") == 9
    for path in (p for p in tmp_path.rglob("*") if p.is_file()):
        assert not re.search(rb"/tmp|" + str(data).encode(), path.read_bytes()), path


@pytest.fixture
def none(tmp_path):
    """A split without images."""
    nothing = Split(np.empty((0, 28, 28), np.uint8), np.empty(0, np.uint8), np.empty(0, "U1"))
    dataset.save_split(tmp_path / "none", nothing)
    return tmp_path / "none"


@pytest.mark.slow
def test_a_model_that_answers_nan_is_recorded_and_refused_without_an_error(score, good, none, tmp_path):
    def broken(pixels, training):
        return good(pixels, training) * np.float32("nan")

    found = score(broken, tmp_path / "reports", heldout=none)
    failed = {rule["rule"] for rule in found["verdict"]["rules"] if not rule["passed"]}
    assert {"accuracy", "finite_answers"} <= failed and not found["verdict"]["passed"]
    assert "new_batches" not in failed and found["metrics"]["slices"] == {}, "nothing held out is no reason"
    assert found["metrics"]["not_finite"] == 200 + 300 * 19 + 40 * len(KINDS)
    assert "Refused" in (tmp_path / "reports" / "report.html").read_text()


@pytest.mark.parametrize("part", ["test", pytest.param("validation", marks=pytest.mark.slow)])
def test_an_empty_split_can_not_be_scored(part, score, good, none, tmp_path):
    with pytest.raises(DataError, match=r"no image|is empty"):
        score(good, tmp_path / "reports", **{part: none})
    assert not (tmp_path / "reports").exists()
