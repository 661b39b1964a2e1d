"""The CSV tables that `dvc plots` draws, and the history that train wrote."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits.evaluate.metrics import Reliability
from digits.evaluate.selective import RiskCoverage
from digits.runtime.errors import DataError

POINTS = 200  # of the risk-coverage table at most: a template draws no more
VALIDATED = ("train_accuracy", "val_loss", "val_accuracy")  # measured in some epochs only
HISTORY = ("epoch", "loss", "accuracy", *VALIDATED)


def to_csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """CSV text; numbers to 6 digits, NaN as an empty field."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_field(value) for value in row] for row in rows)
    return stream.getvalue()


def history(text: str) -> dict[str, NDArray[np.float64]]:
    """The columns of train's history.csv by name, a value an epoch, NaN where a field is empty.

    An epoch that was not validated repeats what the last validation found: NaN there, too. Raises DataError
    when it is not a table of numbers or lacks a column of HISTORY.
    """
    heading, *lines = csv.reader(io.StringIO(text)) if text else [[]]
    try:
        columns = np.array([[float(field or "nan") for field in line] for line in lines]).T
        table = dict(zip(heading, columns, strict=True))
    except ValueError as error:
        raise DataError(f"the training history is damaged ({error}): run `dvc repro --force train`") from None
    if missing := [name for name in HISTORY if name not in table]:
        raise DataError(f"the training history lacks {', '.join(missing)}: run `dvc repro --force train`")
    measured = np.array([table[name] for name in VALIDATED])
    repeated = (measured[:, 1:] == measured[:, :-1]).all(axis=0)
    for name in VALIDATED:
        table[name][1:][repeated] = np.nan
    return table


def confusion(labels: NDArray[np.uint8], predicted: NDArray[np.intp]) -> str:
    """One row an image, which is what the `confusion` template counts."""
    return to_csv(["actual", "predicted"], zip(labels.tolist(), predicted.tolist(), strict=True))


def reliability(scores: Reliability) -> str:
    """One row for each bin of confidence that holds an image."""
    rows = zip(scores.confidence.tolist(), scores.accuracy.tolist(), scores.n.tolist(), strict=True)
    return to_csv(["confidence", "accuracy", "images"], (row for row in rows if row[2]))


def corruptions(table: dict[str, float], clean: float) -> str:
    """One row a corruption, after the clean images."""
    return to_csv(["corruption", "accuracy"], {"clean": clean, **table}.items())


def lines(kinds: Mapping[str, Mapping[str, Any]]) -> str:
    """One row a kind of line."""
    columns = ("exact", "character_error_rate", "coverage", "precision")
    return to_csv(["kind", *columns], ([kind, *(row[c] for c in columns)] for kind, row in kinds.items()))


def risk_coverage(curve: RiskCoverage) -> str:
    """One row for each of at most 200 thresholds, from the surest answers to all of them."""
    rows = np.unique(np.linspace(0, len(curve.threshold) - 1, POINTS).round().astype(np.intp))
    columns = (curve.coverage, curve.risk, curve.threshold)
    table = zip(*(column[rows].tolist() for column in columns), strict=True)
    return to_csv(["coverage", "risk", "threshold"], table)


def _field(value: object) -> object:
    if isinstance(value, float):
        return f"{value:.6g}" if math.isfinite(value) else ""
    return value
