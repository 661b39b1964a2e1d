"""The table of lines that people brought, a row each, and what can't be used of it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np
import pandas as pd

from digits.line_model.lines import SEPARATOR, RealLines


def table(splits: Mapping[str, RealLines]) -> pd.DataFrame:
    """One row a line of every split, in order.

    split, row, batch: where it stands and came from. label: what it says, separators as dots. base: False, as
    no data set has lines. contrast: grey levels between its darkest and lightest pixel. copy_of: the first
    line with the same pixels ("lines row 5"), None for one without an earlier equal. copy_label: what that
    line says.
    """
    rows = []
    firsts: dict[bytes, tuple[str, str]] = {}
    for split, lines in splits.items():
        for row in range(len(lines)):
            image, label = lines.image(row), written(lines.characters(row))
            digest = hashlib.blake2b(image.tobytes(), digest_size=16).digest()
            copy_of, copy_label = firsts.get(digest, (None, None))
            firsts.setdefault(digest, (f"{split} row {row}", label))
            place = (split, row, str(lines.batches[row]), label, False, int(np.ptp(image)))
            rows.append((*place, copy_of, copy_label))
    names = ["split", "row", "batch", "label", "base", "contrast", "copy_of", "copy_label"]
    return pd.DataFrame(rows, columns=names).astype({"base": bool, "copy_of": object, "copy_label": object})


def written(characters: list[int]) -> str:
    """A line's characters as text."""
    return "".join("." if each == SEPARATOR else str(each) for each in characters)


def faults(rows: pd.DataFrame, contrast: int) -> pd.Series[str]:
    """Why each row can't be used, "" where it can; the first reason that applies.

    contrast: grey levels that a line must span. Of equal lines the first stays, as of equal images; with
    another text one of the two is wrong.
    """
    span = ": its grey levels span " + rows["contrast"].astype(str) + f", at least {contrast} expected"
    origin, says = rows["copy_of"].fillna("").astype(str), rows["copy_label"].fillna("").astype(str)
    checks = [
        (rows["contrast"] < contrast, "blank" + span),
        (
            rows["copy_of"].notna() & (says != rows["label"]),
            "copy of " + origin + ", which says '" + says + "'",
        ),
        (rows["copy_of"].notna(), "copy of " + origin),
    ]
    reasons = np.select(
        [np.asarray(wrong, dtype=bool) for wrong, _ in checks],
        [np.asarray(reason, dtype=object) for _, reason in checks],
        default="",
    )
    return pd.Series(reasons, index=rows.index, dtype=object)
