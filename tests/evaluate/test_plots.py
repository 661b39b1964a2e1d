import numpy as np
import pytest

from digits.evaluate import metrics, plots
from digits.evaluate.selective import RiskCoverage
from digits.runtime.errors import DataError

HEADING = ",".join(plots.HISTORY)


def test_the_history_comes_back_by_column_and_an_epoch_that_repeats_the_last_validation_has_none_of_its_own():
    columns = plots.history(f"{HEADING},step\n1,2,0.5,,,0.6,100\n2,1,0.7,0.8,1.5,0.75,200\n")
    assert columns["epoch"].tolist() == [1, 2] and columns["step"].tolist() == [100, 200]
    assert np.isnan(columns["val_loss"][0]) and columns["val_loss"][1] == 1.5
    rows = ("1,9,0.1,0.4,2,0.5", "2,8,0.2,0.4,2,0.5", "3,7,0.3,0.8,1,0.7", "4,6,0.4,0.8,1,0.7")
    columns = plots.history("\n".join([HEADING, *rows]))
    for name, first in (("train_accuracy", 0.4), ("val_loss", 2), ("val_accuracy", 0.5)):
        assert columns[name][0] == first and np.isnan(columns[name]).tolist() == [False, True] * 2
    assert columns["loss"].tolist() == [9, 8, 7, 6]


@pytest.mark.parametrize(
    "text", ["", HEADING, f"{HEADING}\n1\n", f"{HEADING}\n1,low,1,1,1,1\n", "epoch,loss\n1,2\n", "\0"]
)
def test_a_damaged_history_is_refused_with_what_to_do(text):
    with pytest.raises(DataError, match=r"training history.*dvc repro"):
        plots.history(text)


def test_tables_have_short_numbers_leave_empty_bins_out_and_a_thinned_curve_keeps_both_ends():
    assert plots.to_csv(["a", "b"], [[1, float("nan")], [2, 1 / 3]]) == "a,b\n1,\n2,0.333333\n"
    rows = plots.confusion(np.array([3, 5], np.uint8), np.array([3, 6]))
    assert rows == "actual,predicted\n3,3\n5,6\n"
    scores = metrics.Reliability(np.array([np.nan, 0.75]), np.array([np.nan, 0.5]), np.array([0, 8]))
    assert plots.reliability(scores) == "confidence,accuracy,images\n0.75,0.5,8\n"
    row = {"exact": 0.5, "character_error_rate": 0.25, "coverage": 0.125, "precision": None, "n": 8}
    heading = "kind,exact,character_error_rate,coverage,precision"
    assert plots.lines({"clean": row}) == f"{heading}\nclean,0.5,0.25,0.125,\n"
    assert plots.corruptions({"blur": 0.9}, 0.99) == "corruption,accuracy\nclean,0.99\nblur,0.9\n"
    n = np.arange(1, 1001)
    curve = RiskCoverage(1 - n / 2000, n, n // 100, 0.01)
    heading, first, *_, last = plots.risk_coverage(curve).splitlines()
    assert heading == "coverage,risk,threshold"
    assert first == "0.001,0,0.9995" and last == "1,0.01,0.5"
    assert len(plots.risk_coverage(curve).splitlines()) == 201
