"""The table of images → which rows can't be used, and why."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from digits.dataset import CLASSES

COLUMNS = ["batch", "split", "row", "file", "label", "reason", "action"]


@dataclass(frozen=True)
class RowLimits:
    """What one image must keep to. contrast: grey levels between its darkest and lightest pixel, at least;
    min_ink, max_ink: share of its pixels that are ink."""

    contrast: int
    min_ink: float
    max_ink: float


def faults(rows: pd.DataFrame, limits: RowLimits) -> pd.Series[str]:
    """Why each row of `tables.table` can't be used, "" where it can; the first reason that applies.

    A copy counts as a fault when it stands in another split than its original (the test would then hold what
    was trained on), or when it came with a batch: it teaches nothing, and may hide a leak.
    """
    flat = rows["contrast"] < limits.contrast
    leak = rows["copy_split"].notna() & (rows["copy_split"] != rows["split"])
    copy = rows["copy_of"].notna() & ~rows["base"]
    origin = rows["copy_of"].fillna("").astype(str)
    span = ": its grey levels span " + rows["contrast"].astype(str) + f", at least {limits.contrast} expected"
    share = ": " + (100 * rows["ink"]).map("{:.1f}".format) + " % ink"
    checks = [
        (~rows["label"].between(0, CLASSES - 1), "label " + rows["label"].astype(str) + " is not a digit"),
        (flat & (rows["mean"] >= 128), "saturated" + span),
        (flat, "blank" + span),
        (rows["polarity"] <= 0, "inverted: the border is lighter than the inside"),
        (rows["ink"] < limits.min_ink, "blank" + share + f", at least {100 * limits.min_ink:.1f} % expected"),
        (
            rows["ink"] > limits.max_ink,
            "saturated" + share + f", at most {100 * limits.max_ink:.1f} % expected",
        ),
        (leak | copy, "copy of " + origin),
    ]
    reasons = np.select(
        [np.asarray(wrong, dtype=bool) for wrong, _ in checks],
        [np.broadcast_to(np.asarray(reason, dtype=object), len(rows)) for _, reason in checks],
        default="",
    )
    return pd.Series(reasons, index=rows.index, dtype=object)


def kind(reason: str) -> str:
    """A reason without its particulars, for counting: "blank", "inverted", "copy" …"""
    return reason.replace(":", " ").split(" ")[0]


def listed(rows: pd.DataFrame, reasons: pd.Series[str]) -> pd.DataFrame:
    """The faulty rows, as quarantine.csv shows them; the index is the position in the table of images.

    action: "quarantined" for a row of an incoming batch, which the pipeline goes on without; "refused" for
    one of the data set itself, which stops it.
    """
    bad = rows.loc[reasons != "", ["batch", "split", "row", "label", "base"]]
    return bad.assign(
        file="",
        reason=reasons[bad.index],
        action=np.where(bad["base"], "refused", "quarantined"),
    )[COLUMNS]
