"""The table of images, a row each with the facts that rules are written in, and what can't be used of it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from digits.dataset import CLASSES, Split
from digits.facts import facts

CHUNK = 4096  # images at a time: bounds the working memory to some tens of megabytes

# Columns that describe how the ink lies: what a data set is compared with its reference by.
SHAPE_COLUMNS = ("mean", "ink", "levels", "left", "top", "width", "height", "centre_x", "centre_y")


def image_facts(images: NDArray[np.uint8]) -> pd.DataFrame:
    """Facts of uint8 [n, 28, 28], a row each: those of `digits.facts`; digest: BLAKE2b of the pixels."""
    chunks = [_facts(images[start : start + CHUNK]) for start in range(0, len(images), CHUNK)]
    return pd.concat(chunks or [_facts(images)], ignore_index=True)


def _facts(images: NDArray[np.uint8]) -> pd.DataFrame:
    digests = [hashlib.blake2b(image.tobytes(), digest_size=16).hexdigest() for image in images]
    return pd.DataFrame({**facts(images), "digest": digests})


def table(splits: Mapping[str, Split], dataset: str) -> pd.DataFrame:
    """The facts of every row of every split, in order, and where each row stands.

    split, row: which row of which split. batch, label: as ingested. base: whether the row is of the data set
    itself rather than of an incoming batch. copy_of: the first row with the same pixels ("train row 5"), None
    for an image that has no earlier equal; rows of the data set count as earlier than those of batches.
    copy_split: the split of that row.
    """
    frames = []
    for name, split in splits.items():
        frame = image_facts(split.images)
        frame.insert(0, "split", name)
        frame.insert(1, "row", np.arange(len(split)))
        frame.insert(2, "batch", split.batches.astype(object))
        frame.insert(3, "label", split.labels.astype(np.int64))
        frame.insert(4, "base", split.batches == dataset)
        frames.append(frame)
    rows = pd.concat([frame for frame in frames if len(frame)] or frames[:1], ignore_index=True)
    return _mark_copies(rows)


def _mark_copies(rows: pd.DataFrame) -> pd.DataFrame:
    order = pd.concat([rows[rows["base"]], rows[~rows["base"]]])
    repeated = order.duplicated("digest", keep="first")
    firsts = order[~repeated].set_index("digest")
    copies = order.loc[repeated, "digest"]
    rows["copy_of"] = pd.Series(None, index=rows.index, dtype=object)
    rows["copy_split"] = pd.Series(None, index=rows.index, dtype=object)
    if len(copies):
        origin = firsts.loc[copies]
        places = origin["split"] + " row " + origin["row"].astype(str)
        rows.loc[copies.index, "copy_of"] = places.to_numpy(dtype=object)
        rows.loc[copies.index, "copy_split"] = origin["split"].to_numpy(dtype=object)
    return rows


COLUMNS = ["batch", "split", "row", "file", "label", "reason", "action"]


@dataclass(frozen=True)
class RowLimits:
    """What one image must keep to. contrast: grey levels between its darkest and lightest pixel, at least;
    min_ink, max_ink: share of its pixels that are ink."""

    contrast: int
    min_ink: float
    max_ink: float


def faults(rows: pd.DataFrame, limits: RowLimits) -> pd.Series[str]:
    """Why each row of `table.table` can't be used, "" where it can; the first reason that applies.

    A copy counts as a fault when it stands in another split than its original (the test would then hold what
    was trained on), or when it came with a batch: it teaches nothing, and may hide a leak.
    """
    flat = rows["contrast"] < limits.contrast
    leak = rows["copy_split"].notna() & (rows["copy_split"] != rows["split"])
    copy = rows["copy_of"].notna() & ~rows["base"]
    origin = rows["copy_of"].fillna("").astype(str)
    span = ": its grey levels span " + rows["contrast"].astype(str) + f", at least {limits.contrast} expected"
    share = ": " + rows["ink"].map("{:.1%}".format) + " ink"
    checks = [
        (~rows["label"].between(0, CLASSES - 1), "label " + rows["label"].astype(str) + " is not a digit"),
        (flat & (rows["mean"] >= 128), "saturated" + span),
        (flat, "blank" + span),
        (rows["polarity"] <= 0, "inverted: the border is lighter than the inside"),
        (rows["ink"] < limits.min_ink, "blank" + share + f", at least {limits.min_ink:.1%} expected"),
        (
            rows["ink"] > limits.max_ink,
            "saturated" + share + f", at most {limits.max_ink:.1%} expected",
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


def list_bad(rows: pd.DataFrame, reasons: pd.Series[str]) -> pd.DataFrame:
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
