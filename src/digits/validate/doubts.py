"""The table of images → the rows whose labels a linear model doubts, per data set split and per batch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from digits.dataset import Split
from digits.validate import labels


@dataclass(frozen=True)
class Group:
    """Rows that are judged together. rows: positions in the table of images, as long as `doubts` is."""

    rows: NDArray[np.intp]
    doubts: labels.Doubts


def by_group(
    rows: pd.DataFrame, everything: Split, usable: NDArray[np.bool_], *, excess: float, seed: int
) -> dict[str, Group]:
    """Judge the usable rows of `everything` (in the table's order): "<data set> train" and "<data set> test",
    then each incoming batch, train and held-out rows together, by name. {} when the data set has no usable
    training row, since nothing can be learnt then.
    """
    base = rows["base"].to_numpy(dtype=bool) & usable
    training = np.flatnonzero(base & (rows["split"] == "train").to_numpy(dtype=bool))
    if not len(training):
        return {}
    learnt = everything.take(training)
    model, scores = labels.fit(learnt.images, learnt.labels, seed)
    name = str(learnt.batches[0])
    judged = {
        f"{name} train": Group(training, labels.judge(scores, learnt.labels, model.fitted_on, excess=excess))
    }
    others = {f"{name} test": np.flatnonzero(base & (rows["split"] == "test").to_numpy(dtype=bool))}
    came = ~rows["base"].to_numpy(dtype=bool) & usable
    for batch in sorted(set(rows.loc[came, "batch"])):
        others[batch] = np.flatnonzero(came & (rows["batch"] == batch).to_numpy(dtype=bool))
    for group, members in others.items():
        part = everything.take(members)
        verdict = labels.judge(model.scores(part.images), part.labels, model.fitted_on, excess=excess)
        judged[group] = Group(members, verdict)
    return judged


def listed(rows: pd.DataFrame, groups: dict[str, Group]) -> pd.DataFrame:
    """The doubted rows, groups with an alarm first, the most doubted first.

    Columns batch, split, row, label, predicted, margin; the index is the position in the table of images.
    """
    parts = [rows.loc[[], ["batch", "split", "row", "label"]].assign(predicted=0, margin=0.0, alarm=False)]
    for group in groups.values():
        doubted = group.doubts.doubted
        part = rows.loc[group.rows[doubted], ["batch", "split", "row", "label"]]
        parts.append(
            part.assign(
                predicted=group.doubts.predicted[doubted],
                margin=np.round(
                    group.doubts.margin[doubted].astype(float), 2
                ),  # the third differs by machine
                alarm=group.doubts.alarm,
            )
        )
    found = pd.concat([part for part in parts if len(part)] or parts[:1])
    found = found.sort_values(["alarm", "margin"], ascending=False, kind="stable")
    return found[["batch", "split", "row", "label", "predicted", "margin"]]
