"""The suites: what each rule lets pass and what it refuses, judged by Great Expectations itself."""

import re

import numpy as np
import pandas as pd
import pytest

from digits import dataset, files
from digits.dataset import Split
from digits.validate import report
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
        frames = report.frames(rows, pd.Series(False, index=rows.index), facts, {})
        frames["labels"] = pd.DataFrame(doubted or {})
        rules = suites(frames, LIMITS, reference, {name: 5 for name in doubted or {}})
        return {each.rule: each for each in run_suites(frames, rules, tmp_path / "docs")}

    return run


def failed(found):
    return sorted(rule for rule, outcome in found.items() if not outcome.passed)


def changed(part, **fields):
    """A split with some of its arrays replaced."""
    return Split(**({"images": part.images, "labels": part.labels, "batches": part.batches} | fields))


def test_a_clean_data_set_passes_all(outcomes):
    found = outcomes(with_batch(base(), split(20, 5, "post")))
    assert failed(found) == []
    assert {rule.split(":")[0] for rule in found} == {"splits", "train", "test", "incoming"}


def test_a_clean_data_set_passes_its_own_reference(outcomes):
    whole = describe(table(base(), NAME))
    found = outcomes(base(), whole)
    assert failed(found) == []
    assert found["test: quantiles of ink"].passed
    assert found["splits: size of the data set"].observed == 400


def test_another_distribution_fails_the_reference(outcomes):
    reference = describe(table(base(), NAME))
    splits = base()
    dim = (splits["train"].images // 2).astype(np.uint8)
    found = outcomes(splits | {"train": changed(splits["train"], images=dim)}, reference)
    assert "train: quantiles of mean" in failed(found)
    assert not any(rule.startswith("test") for rule in failed(found))


def test_a_missing_class_fails_by_its_name(outcomes):
    splits = base()
    without = splits["train"].take(splits["train"].labels != 4)
    found = outcomes(splits | {"train": without})
    assert failed(found) == ["train: share of digit 4"]
    assert found["train: share of digit 4"].observed == 0


def test_an_overgrown_class_fails_the_reference(outcomes):
    reference = describe(table(base(), NAME))
    splits = base()
    keep = (splits["train"].labels == 4) | (np.arange(300) % 3 == 0)
    found = outcomes(splits | {"train": splits["train"].take(keep)}, reference)
    assert "train: share of digit 4" in failed(found)


@pytest.mark.parametrize(
    ("picture", "rule"),
    [
        (np.zeros((28, 28)), "no flat image"),
        (np.full((28, 28), 255), "no flat image"),
        ("inverted", "no inverted image"),
        (np.pad(np.full((26, 26), 250), 1), "ink"),
    ],
)
def test_one_bad_image_of_the_data_set_fails(outcomes, picture, rule):
    splits = base()
    images = splits["test"].images.copy()
    images[9] = 255 - images[9] if isinstance(picture, str) else picture
    found = outcomes(splits | {"test": changed(splits["test"], images=images)})
    [failing] = [f for f in failed(found) if rule in f]
    assert failing.startswith("test: ")
    assert "1 of 100 rows outside" in found[failing].observed


def test_a_label_that_is_no_digit_fails(outcomes):
    splits = base()
    given = splits["train"].labels.copy()
    given[3] = 10
    found = outcomes(splits | {"train": changed(splits["train"], labels=given)})
    assert failed(found) == ["train: labels"]
    assert found["train: labels"].observed == "1 of 300 rows outside, e.g. 10"


def test_a_test_image_in_train_is_a_leak(outcomes):
    splits = base()
    images = splits["test"].images.copy()
    images[4] = splits["train"].images[7]
    found = outcomes(splits | {"test": changed(splits["test"], images=images)})
    assert failed(found) == ["test: no image of another split"]
    assert "train row 7" in found["test: no image of another split"].observed


def test_an_image_twice_in_one_split_passes(outcomes):
    splits = base()
    twice = splits["train"].take(np.array([*range(300), 5]))
    assert failed(outcomes(splits | {"train": twice})) == []


def test_rows_that_the_manifest_does_not_know_fail(outcomes):
    splits = base()
    found = outcomes(splits | {"train": splits["train"].take(np.arange(299))}, told=splits)
    assert failed(found) == ["splits: counts", "splits: digests"]


def test_an_empty_test_split_fails(outcomes):
    splits = base()
    assert failed(outcomes(splits | {"test": splits["heldout"]})) == ["splits: none empty"]


def test_a_wrong_size_fails_the_reference(outcomes):
    reference = describe(table(base(), NAME)) | {"rows": 401}
    assert failed(outcomes(base(), reference)) == ["splits: size of the data set"]


def test_more_doubted_labels_than_the_limit_fail(outcomes):
    found = outcomes(base(), doubted={"post": [6], "bank": [5]})
    assert failed(found) == ["labels: doubted in post"]
    assert found["labels: doubted in post"].observed == 6


def test_the_pages_are_there_and_equal_runs_give_equal_pages(outcomes, tmp_path):
    outcomes(base())
    first = {
        p.name + str(i): p.read_text() for i, p in enumerate(sorted((tmp_path / "docs").rglob("*.html")))
    }
    assert (tmp_path / "docs" / "index.html").is_file()
    assert any("no inverted image" in page for page in first.values())
    (tmp_path / "raw").rename(tmp_path / "raw-1")
    (tmp_path / "docs").rename(tmp_path / "docs-1")
    outcomes(base())
    again = {
        p.name + str(i): p.read_text() for i, p in enumerate(sorted((tmp_path / "docs").rglob("*.html")))
    }
    assert first == again
    assert not any(re.search(r"great-expectations-web-assets\S*\?d=", page) for page in first.values())
    assert not any(str(tmp_path) in page for page in first.values())


def test_nothing_is_drawn_on_the_screen(outcomes, capfd):
    outcomes(base())
    assert capfd.readouterr() == ("", "")


def rows(n, seed=0, shift=0.0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {"label": rng.integers(0, 10, n), **{c: rng.normal(shift, 1, n) for c in SHAPE_COLUMNS}}
    )


def within(reference, sample, slack=0.0):
    values = np.quantile(sample["mean"], PROBED)
    ranges = quantile_ranges(reference, "mean", len(sample), slack)
    return all(
        (low is None or low <= value) and (high is None or value <= high)
        for value, (low, high) in zip(values, ranges, strict=True)
    )


def test_a_draw_from_the_reference_passes_at_every_size_and_a_shifted_one_does_not():
    reference = describe(rows(50_000))
    for n in (50, 300, 5000):
        assert all(within(reference, rows(n, seed)) for seed in range(1, 20))
    assert not within(reference, rows(300, 1, shift=0.8))
    assert not within(reference, rows(5000, 1, shift=0.2))


def test_slack_lets_more_pass():
    reference = describe(rows(50_000))
    assert within(reference, rows(20_000, 1, shift=0.15), slack=0.08)
    assert not within(reference, rows(20_000, 1, shift=0.15))


def test_share_ranges_narrow_with_n_and_keep_the_floor():
    reference = describe(rows(50_000))
    few, many = share_ranges(reference, 100, 0.01, 0.02), share_ranges(reference, 100_000, 0.01, 0.02)
    for (low, high), (low_many, high_many) in zip(few, many, strict=True):
        assert 0.02 <= low < low_many < 0.1 < high_many < high
    assert share_ranges(None, 100, 0.01, 0.02) == [(0.02, 1.0)] * 10
