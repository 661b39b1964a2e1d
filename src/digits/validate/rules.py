"""What data must satisfy: the rules, their limits and the reference, as Great Expectations suites.

The reference is what the data set is known to look like: measured once, and compared with ever after.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import great_expectations.expectations as gxe
import numpy as np
import pandas as pd

from digits.dataset import CLASSES
from digits.runtime.params import ValidateParams
from digits.validate.table import SHAPE_COLUMNS, RowLimits

GRID = np.linspace(0.0, 1.0, 101)
PROBED = (0.05, 0.25, 0.5, 0.75, 0.95)  # the quantiles that a split is compared at
MISTAKE = 1e-6  # chance that a split drawn from the reference itself is found different


def describe(rows: pd.DataFrame) -> dict[str, Any]:
    """The reference made of a data set's rows: their number, digit shares, quantiles of each shape column."""
    counts = np.bincount(rows["label"], minlength=CLASSES)
    return {
        "rows": len(rows),
        "class_share": [round(float(c) / len(rows), 5) for c in counts],
        "quantiles": {
            column: [round(float(q), 4) for q in np.quantile(rows[column], GRID)] for column in SHAPE_COLUMNS
        },
    }


def quantile_ranges(reference: dict[str, Any], column: str, n: int, slack: float) -> list[list[float | None]]:
    """[low, high] for each probed quantile of a column over n rows; None is no bound on that side.

    The bounds are the reference's own quantiles at p ∓ (slack + ε). ε is the distance that, by the
    Dvoretzky–Kiefer–Wolfowitz inequality with Massart's constant (Annals of Probability 18(3), 1990), the
    empirical distribution of n rows keeps to but for chance `MISTAKE`; slack is for splits that were never
    drawn from one pot, as MNIST's writers were not.
    """
    reach = slack + math.sqrt(math.log(2 / MISTAKE) / (2 * n))
    known = np.asarray(reference["quantiles"][column])

    def at(p: float) -> float | None:
        return round(float(np.interp(p, GRID, known)), 4) if 0 <= p <= 1 else None

    return [[at(p - reach), at(p + reach)] for p in PROBED]


def share_ranges(
    reference: dict[str, Any] | None, n: int, tolerance: float, least: float
) -> list[tuple[float, float]]:
    """(low, high) for the share of each digit in n rows: the reference's ± (tolerance + 4 standard errors).

    Without a reference only the floor `least` holds.
    """
    if reference is None:
        return [(least, 1.0)] * CLASSES
    ranges = []
    for share in reference["class_share"]:
        reach = tolerance + 4 * math.sqrt(share * (1 - share) / n)
        ranges.append((round(max(least, share - reach), 4), round(min(1.0, share + reach), 4)))
    return ranges


@dataclass(frozen=True)
class Rule:
    """One rule of a suite: what a person calls it, what it expects in words, and the expectation itself."""

    name: str
    expected: str
    expectation: Any


@dataclass(frozen=True)
class Outcome:
    """What became of a rule. observed: what the data show, a number, a list of them or a sentence."""

    rule: str
    expected: str
    observed: Any
    passed: bool


@dataclass(frozen=True)
class Limits:
    """What a data set must keep to.

    row: of each image. class_share_tolerance: see `reference.share_ranges`; min_class_share: share of rows,
    with or without a reference. reference_slack: distance of distributions, 0–1, see
    `reference.quantile_ranges`.
    """

    row: RowLimits
    class_share_tolerance: float
    min_class_share: float
    reference_slack: float

    @classmethod
    def of(cls, params: ValidateParams) -> Limits:
        """The limits in the section `validate` of params.yaml."""
        return cls(
            RowLimits(params.min_contrast, params.min_ink, params.max_ink),
            params.class_share_tolerance,
            params.min_class_share,
            params.reference_slack,
        )


class ExpectQuantilesNearReference(gxe.ExpectColumnQuantileValuesToBeBetween):  # type: ignore[misc]
    """Column quantiles within ranges; the parent answers with NumPy booleans, which JSON refuses."""

    def _validate(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        answer: dict[str, Any] = super()._validate(*args, **kwargs)
        details = answer["result"]["details"]
        details["success_details"] = [bool(each) for each in details["success_details"]]
        return answer | {"success": bool(answer["success"])}


def split_frame(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of `table.table` of one split, as its suite reads them: `leak` is where an equal image stands in
    another split (None: nowhere), `is_0` … `is_9` are 1 for images of that digit."""
    leak = rows["copy_of"].where(rows["copy_split"] != rows["split"], None)
    marks = {f"is_{digit}": (rows["label"] == digit).astype(np.float64) for digit in range(CLASSES)}
    kept = rows.drop(columns=["digest", "copy_split"])
    return kept.assign(leak=leak.astype(object), **marks)


def row_rules(split: str, limits: RowLimits) -> list[Rule]:
    """What each image of a split must keep to."""
    between = gxe.ExpectColumnValuesToBeBetween
    last = CLASSES - 1
    return [
        Rule(
            f"{split}: labels", f"every label 0–{last}", between(column="label", min_value=0, max_value=last)
        ),
        Rule(f"{split}: grey levels", "all within 0–255", between(column="high", min_value=0, max_value=255)),
        Rule(
            f"{split}: no flat image, blank or saturated",
            f"grey levels of every image span ≥ {limits.contrast}",
            between(column="contrast", min_value=limits.contrast),
        ),
        Rule(
            f"{split}: no inverted image",
            "inside lighter than the border in every image",
            between(column="polarity", min_value=0, strict_min=True),
        ),
        Rule(
            f"{split}: ink",
            f"{limits.min_ink}–{limits.max_ink} of every image",
            between(column="ink", min_value=limits.min_ink, max_value=limits.max_ink),
        ),
        Rule(
            f"{split}: no image of another split",
            "no leak between splits",
            gxe.ExpectColumnValuesToBeNull(column="leak"),
        ),
    ]


def line_rules(contrast: int) -> list[Rule]:
    """What each line that is passed on must keep to. contrast: grey levels."""
    return [
        Rule(
            "lines: no blank line",
            f"grey levels of every line span ≥ {contrast}",
            gxe.ExpectColumnValuesToBeBetween(column="contrast", min_value=contrast),
        ),
        Rule(
            "lines: no line twice",
            "no equal lines, so no leak between splits",
            gxe.ExpectColumnValuesToBeNull(column="copy_of"),
        ),
    ]


def population_rules(split: str, n: int, limits: Limits, reference: dict[str, Any] | None) -> list[Rule]:
    """What the n images of a split must keep to together. Without a reference only class shares count."""
    shares = share_ranges(reference, n, limits.class_share_tolerance, limits.min_class_share)
    rules = [
        Rule(
            f"{split}: share of digit {digit}",
            f"{low}–{high}",
            gxe.ExpectColumnMeanToBeBetween(column=f"is_{digit}", min_value=low, max_value=high),
        )
        for digit, (low, high) in enumerate(shares)
    ]
    for column in SHAPE_COLUMNS if reference else ():
        ranges = quantile_ranges(reference or {}, column, n, limits.reference_slack)
        rules.append(
            Rule(
                f"{split}: quantiles of {column}",
                "; ".join(f"{_bound(low)}–{_bound(high)}" for low, high in ranges),
                ExpectQuantilesNearReference(
                    column=column, quantile_ranges={"quantiles": list(PROBED), "value_ranges": ranges}
                ),
            )
        )
    return rules


def _bound(value: float | None) -> str:
    return "any" if value is None else f"{value:g}"


def split_rules(reference: dict[str, Any] | None) -> list[Rule]:
    """What the frame of one row a split must keep to: columns rows, manifest_rows, images, labels, digests,
    manifest_digests, base_rows (of the data set itself), least_rows (of them)."""

    def equal(a: str, b: str) -> Any:
        return gxe.ExpectColumnPairValuesToBeEqual(column_A=a, column_B=b)

    def one_of(column: str, value: str) -> Any:
        return gxe.ExpectColumnValuesToBeInSet(column=column, value_set=[value])

    rules = [
        Rule("splits: images", "uint8 28×28", one_of("images", "uint8 28×28")),
        Rule("splits: labels", "uint8", one_of("labels", "uint8")),
        Rule("splits: counts", "as many rows as the manifest says", equal("rows", "manifest_rows")),
        Rule(
            "splits: none empty",
            "images to train on and to test with",
            gxe.ExpectColumnPairValuesAToBeGreaterThanB(
                column_A="base_rows", column_B="least_rows", or_equal=True
            ),
        ),
        Rule("splits: digests", "as the manifest says", equal("digests", "manifest_digests")),
    ]
    if reference:
        n = reference["rows"]
        rules.append(
            Rule(
                "splits: size of the data set",
                f"{n} rows",
                gxe.ExpectColumnSumToBeBetween(column="base_rows", min_value=n, max_value=n),
            )
        )
    return rules


def label_rules(most: Mapping[str, int]) -> list[Rule]:
    """One rule a group of rows: the frame's column of that name holds how many of its labels are doubted."""
    return [
        Rule(
            f"labels: doubted in {group}",
            f"at most {limit}",
            gxe.ExpectColumnMaxToBeBetween(column=group, max_value=limit),
        )
        for group, limit in most.items()
    ]


def suites(
    frames: Mapping[str, pd.DataFrame],
    limits: Limits,
    reference: dict[str, Any] | None,
    most_doubted: Mapping[str, int],
) -> dict[str, list[Rule]]:
    """The rules of each frame: `splits`, `train`, `test`, `incoming`, `lines`, `labels`; none for one without
    rows.
    """
    made = {"splits": split_rules(reference)}
    for split in ("train", "test"):
        rows = frames[split]
        if len(rows):
            made[split] = row_rules(split, limits.row) + population_rules(split, len(rows), limits, reference)
    if len(frames["incoming"]):
        made["incoming"] = row_rules("incoming", limits.row)
    if len(frames["lines"]):
        made["lines"] = line_rules(limits.row.contrast)
    made["labels"] = label_rules(most_doubted)
    return made
