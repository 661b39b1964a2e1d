"""The suites: what each rule lets pass and what it refuses, judged by Great Expectations itself."""

import re

import numpy as np
import pandas as pd
import pytest

from digits import dataset, files
from digits.dataset import Split
from digits.validate import lines, report
from digits.validate.gx import run_suites
from digits.validate.rules import PROBED, Limits, describe, quantile_ranges, share_ranges, suites
from digits.validate.table import SHAPE_COLUMNS, RowLimits, table
from tests._raw import NAME, base, split, with_batch, write_raw

LIMITS = Limits(
    RowLimits(32, 0.01, 0.6), class_share_tolerance=0.01, min_class_share=0.02, reference_slack=0.02
)


@pytest.fixture
def outcomes(tmp_path):
    """Run the suites over splits; outcome by rule."""

    def run(splits, reference=None, *, told=None, doubted=None):
        raw = write_raw(tmp_path / "raw", told or splits)
        manifest = files.read_json(raw / "manifest.json")
        digests = {n: {"images_sha256": dataset.array_sha256(s.images)} for n, s in splits.items()}
        rows = table(splits, NAME)
        facts = report.split_facts(splits, manifest, digests)
        frames = report.frames(rows, pd.Series(False, index=rows.index), lines.table({}), facts, {})
        frames["labels"] = pd.DataFrame(doubted or {})
        rules = suites(frames, LIMITS, reference, {name: 5 for name in doubted or {}})
        return {each.rule: each for each in run_suites(frames, rules, tmp_path / "docs")}

    return run


def failed(found):
    return sorted(rule for rule, outcome in found.items() if not outcome.passed)


def changed(part, **fields):
    """A split with some of its arrays replaced."""
    return Split(**({"images": part.images, "labels": part.labels, "batches": part.batches} | fields))


def test_a_clean_data_set_passes_all_and_its_own_reference(outcomes, tmp_path, capfd):
    splits = base()
    splits["train"] = splits["train"].take(np.array([*range(300), 5]))  # twice in one split
    found = outcomes(with_batch(splits, split(20, 5, "post")), describe(table(splits, NAME)))
    assert failed(found) == []
    assert capfd.readouterr() == ("", "")
    assert {rule.split(":")[0] for rule in found} == {"splits", "train", "test", "incoming"}
    assert found["splits: size of the data set"].observed == 401
    pages = [path.read_text() for path in (tmp_path / "docs").rglob("*.html")]
    assert any("no inverted image" in page for page in pages)
    assert not any(re.search(r"<(?:script|link|img)[^>]*https?:", page) for page in pages), (
        "nothing is fetched"
    )
    assert not any(str(tmp_path) in page for page in pages)


def test_another_distribution_an_overgrown_class_and_a_wrong_size_fail_the_reference(outcomes):
    reference = describe(table(base(), NAME)) | {"rows": 401}
    splits = base()
    keep = (splits["train"].labels == 4) | (np.arange(300) % 3 == 0)
    train = splits["train"].take(keep)
    dim = (train.images // 2).astype(np.uint8)
    found = outcomes(splits | {"train": changed(train, images=dim)}, reference)
    assert {"train: quantiles of mean", "train: share of digit 4"} < set(failed(found))
    assert "splits: size of the data set" in failed(found)
    assert not any(rule.startswith("test") for rule in failed(found))


def test_each_fault_of_the_data_set_fails_its_own_rule_and_no_other(outcomes):
    splits = base()
    train, test = splits["train"].take(splits["train"].labels != 4), splits["test"]
    images, given = test.images.copy(), train.labels.copy()
    images[1], images[2], images[3] = 0, 255, np.pad(np.full((26, 26), 250, np.uint8), 1)
    images[4], images[5] = train.images[7], 255 - images[5]
    given[3] = 10
    found = outcomes(splits | {"train": changed(train, labels=given), "test": changed(test, images=images)})
    observed = {rule: found[rule].observed for rule in failed(found)}
    assert observed.pop("train: share of digit 4") == 0
    assert observed.pop("train: labels") == f"1 of {len(train)} rows outside, e.g. 10"
    assert observed.pop("test: no image of another split") == "1 of 100 rows outside, e.g. train row 7"
    assert observed.pop("test: no flat image, blank or saturated").startswith("2 of 100 rows outside")
    # a flat image has no polarity and no ink either
    assert observed.pop("test: no inverted image").startswith("3 of 100 rows outside")
    assert observed.pop("test: ink").startswith("4 of 100 rows outside")
    assert observed == {}


def test_unknown_rows_an_empty_split_and_too_many_doubted_labels_fail(outcomes):
    splits = base()
    given = {"train": splits["train"].take(np.arange(299)), "test": splits["heldout"]}
    found = outcomes(splits | given, told=splits, doubted={"post": [6], "bank": [5]})
    faults = ["counts", "digests", "none empty"]
    assert failed(found) == ["labels: doubted in post", *(f"splits: {fault}" for fault in faults)]
    assert found["labels: doubted in post"].observed == 6


def rows(n, seed=0, shift=0.0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {"label": rng.integers(0, 10, n), **{c: rng.normal(shift, 1, n) for c in SHAPE_COLUMNS}}
    )


def within(reference, sample, slack=0.0):
    values = np.quantile(sample["mean"], PROBED)
    ranges = quantile_ranges(reference, "mean", len(sample), slack)
    lows, highs = zip(
        *((-np.inf if a is None else a, np.inf if b is None else b) for a, b in ranges), strict=True
    )
    return bool(((lows <= values) & (values <= highs)).all())


def test_a_draw_from_the_reference_passes_at_every_size_and_a_shifted_one_does_not():
    reference = describe(rows(50_000))
    for n in (50, 300, 5000):
        assert all(within(reference, rows(n, seed)) for seed in range(1, 20))
    assert not within(reference, rows(300, 1, shift=0.8))
    assert not within(reference, rows(5000, 1, shift=0.2))
    assert not within(reference, rows(20_000, 1, shift=0.15))
    assert within(reference, rows(20_000, 1, shift=0.15), slack=0.08)


def test_share_ranges_narrow_with_n_and_keep_the_floor():
    reference = describe(rows(50_000))
    few, many = share_ranges(reference, 100, 0.01, 0.02), share_ranges(reference, 100_000, 0.01, 0.02)
    for (low, high), (low_many, high_many) in zip(few, many, strict=True):
        assert 0.02 <= low < low_many < 0.1 < high_many < high
    assert share_ranges(None, 100, 0.01, 0.02) == [(0.02, 1.0)] * 10
