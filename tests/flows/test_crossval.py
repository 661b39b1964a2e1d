import numpy as np
import pytest

from digits.dataset import Split
from digits.runtime.errors import DataError
from flows import crossval
from tests.flows._prepared import Prepared


def test_folds_are_stratified_disjoint_even_and_seeded():
    labels = np.random.default_rng(0).integers(0, 10, 517).astype(np.uint8)
    fold = crossval.parts(labels, 5, seed=3)
    for chosen in (fold, *(fold[labels == digit] for digit in range(10))):
        each = np.bincount(chosen, minlength=5)
        assert len(each) == 5 and each.max() - each.min() <= 1
    assert (fold == crossval.parts(labels, 5, seed=3)).all()
    assert (fold != crossval.parts(labels, 5, seed=4)).any()


def test_scores_are_mean_sd_and_the_interval_of_students_t():
    found, half = crossval.scores([0.97, 0.98, 0.99]), 4.302653 * 0.01 / 3**0.5
    assert (found.mean, found.sd) == pytest.approx((0.98, 0.01))
    assert (found.high - 0.98, 0.98 - found.low) == pytest.approx((half, half), rel=1e-6)
    assert crossval.scores([0.9, 0.9]).sd == 0


def test_folds_that_other_code_trained_are_other_folds(monkeypatch):
    data = Split(np.zeros((2, 28, 28), np.uint8), np.array([0, 1], np.uint8), np.full(2, "x"))
    before = crossval._digest({"seed": 1}, data, 2)
    assert before == crossval._digest({"seed": 1}, data, 2)
    monkeypatch.setattr(crossval, "code_sha256", lambda stage: f"another {stage}")
    assert crossval._digest({"seed": 1}, data, 2) != before


@pytest.mark.slow
def test_folds_are_trained_kept_and_gone_on_with(tmp_path):
    made = Prepared(tmp_path)
    command = ("crossval", "--profile", "speedrun", "--folds", "3", "--seed", "5")
    ended = made.succeed(*command)
    found = made.json("reports/crossval/speedrun.json")
    assert [fold["fold"] for fold in found["folds"]] == [1, 2, 3]
    assert sum(fold["n_scored"] for fold in found["folds"]) == 340
    assert {fold["n_train"] + fold["n_scored"] for fold in found["folds"]} == {340}
    accuracies = [fold["accuracy"] for fold in found["folds"]]
    assert found["scores"]["mean"] == pytest.approx(np.mean(accuracies))
    assert f"{np.mean(accuracies):.2%} ± {np.std(accuracies, ddof=1):.2%}" in ended.stdout
    assert found["params"]["seed"] == 5

    (folder,) = (made.root / ".digits" / "crossval").iterdir()
    (folder / "1.json").unlink()
    again = made.succeed(*command)
    assert "2 of 3 folds are done already" in again.stdout
    second = made.json("reports/crossval/speedrun.json")
    for fold in (*found["folds"], *second["folds"]):
        del fold["seconds"]
    assert second == found
    other = made.digits(*command[:-1], "6", "--folds", "400")
    assert other.returncode == DataError.exit_code
    assert len(other.stderr.strip().splitlines()) == 1
