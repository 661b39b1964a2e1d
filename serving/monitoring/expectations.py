"""Holds the images of a window to the rules that the stage `validate` has for the data set.

It is a look without a memory: the rules say what is wrong with the pictures, in the words of the validation
report, and raise no alarm. Great Expectations is imported on the first call, for some seconds.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from digits import files
from digits.dataset import Split
from digits.runtime.params import ValidateParams
from serving.app.feedback.corrections import PIXELS, SIDE

FEWEST = 20  # images that are worth it
WINDOW = "requests"  # what the rules call the images


def check(
    digits: pd.DataFrame, dataset: str, reference: Path, params: ValidateParams
) -> list[dict[str, Any]]:
    """What became of each rule, those that fail first: rule, expected, observed and passed.

    digits: rows of a request log; those whose pixels were kept count, each image once, and what the model
    read stands for the label. dataset: what the version in service was made of. reference: the project's
    data/reference.json; without it, or for a data set that it lacks, the rules about distributions are left
    out. Empty where fewer than FEWEST images were kept.
    """
    whole = [isinstance(image, bytes) and len(image) == PIXELS for image in digits["image"]]
    kept = digits[np.array(whole, bool) & digits["digit"].notna()].drop_duplicates("digest")
    if len(kept) < FEWEST:
        return []
    from digits.validate import rules, table
    from digits.validate.gx import run_suites

    images = np.frombuffer(b"".join(kept["image"]), np.uint8).reshape(-1, SIDE, SIDE)
    split = Split(images, kept["digit"].to_numpy(np.uint8), np.full(len(kept), WINDOW))
    frame = rules.split_frame(table.table({WINDOW: split}, WINDOW))
    limits, known = rules.Limits.of(params), None
    if reference.is_file():
        known = files.read_json(reference).get(dataset)
    wanted = rules.row_rules(WINDOW, limits.row)
    wanted += rules.population_rules(WINDOW, len(kept), limits, known)
    with tempfile.TemporaryDirectory() as scratch:
        site = Path(scratch) / "site"
        site.mkdir()
        outcomes = run_suites({WINDOW: frame}, {WINDOW: wanted}, site)
    found = [
        {
            "rule": outcome.rule.removeprefix(f"{WINDOW}: "),
            "expected": outcome.expected,
            "observed": _said(outcome.observed),
            "passed": outcome.passed,
        }
        for outcome in outcomes
    ]
    return sorted(found, key=lambda each: each["passed"])


def _said(observed: Any) -> str:
    if isinstance(observed, list):
        return "; ".join(map(_said, observed))
    return f"{observed:g}" if isinstance(observed, float) else str(observed)
