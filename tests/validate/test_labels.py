"""Poisoned labels raise the alarm, clean ones don't."""

import numpy as np
import pytest

from digits.dataset import Split, concatenate
from digits.validate import labels
from digits.validate.table import table
from tests._digits import digits
from tests._raw import NAME, base, split, with_batch

EXCESS = 0.003


def flipped(given, share, seed):
    """Labels with a share of them, chosen at random, turned into another digit; and which."""
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(given))[: round(share * len(given))]
    wrong = given.copy()
    wrong[rows] = (wrong[rows] + rng.integers(1, 10, len(rows))) % 10
    return wrong, rows


def judged(images, given, seed=0):
    model, scores = labels.fit(images, given, seed)
    return labels.judge(scores, given, model.fitted_on, EXCESS)


@pytest.fixture(scope="module")
def many():
    return digits(1500, 11)


@pytest.mark.parametrize("n", [60, 300, 1500])
def test_clean_labels_raise_no_alarm(many, n):
    images, given = many
    for seed in range(3 if n < 1500 else 1):
        rows = np.random.default_rng(seed).permutation(1500)[:n]
        assert not judged(images[rows], given[rows], seed).alarm


@pytest.mark.parametrize("share", [0.01, 0.05])
def test_random_flips_raise_the_alarm_and_are_named(many, share):
    images, given = many
    wrong, rows = flipped(given, share, 5)
    found = judged(images, wrong)
    assert found.alarm
    named = np.intersect1d(np.flatnonzero(found.doubted), rows)
    assert len(named) > 0.7 * len(rows)
    assert (found.predicted[named] == given[named]).mean() > 0.95


def test_a_batch_is_judged_by_the_model_of_the_data_set(many):
    images, given = digits(1000, 12)
    model, _ = labels.fit(*many, 0)
    scores = model.scores(images)
    assert not labels.judge(scores, given, model.fitted_on, EXCESS).alarm
    swapped = np.where(given == 7, 1, given).astype(np.uint8)  # a whole class
    for wrong in (flipped(given, 0.02, 1)[0], swapped):
        assert labels.judge(scores, wrong, model.fitted_on, EXCESS).alarm


def test_the_limit_follows_the_binomial_for_few_rows_and_the_excess_for_many():
    def limit(n, excess):
        return labels.judge(np.zeros((n, 10), np.float32), np.zeros(n, np.uint8), 60_000, excess).limit

    assert limit(100, 0.003) == limit(100, 0.0) == 2
    assert limit(60_000, 0.003) == int(60_000 * (labels.clean_rate(60_000) + 0.003))
    assert limit(60_000, 0.0) < limit(60_000, 0.003) < limit(60_000, 0.02)
    assert limit(0, 0.003) == 0


def test_degenerate_data_are_judged_without_an_error():
    blank = np.zeros((20, 28, 28), np.uint8)
    assert np.isfinite(judged(blank, np.arange(20, dtype=np.uint8) % 10).margin).all()
    assert not judged(*digits(1, 0)).alarm
    assert labels.fit(*digits(20, 0), 0)[0].scores(blank[:0]).shape == (0, 10)


def by_group(splits):
    rows = table(splits, NAME)
    everything = concatenate(list(splits.values()))
    return rows, labels.by_group(rows, everything, np.ones(len(rows), bool), excess=EXCESS, seed=1)


def test_only_the_poisoned_batch_raises_the_alarm_and_is_listed_first():
    post = split(200, 7, "post")
    wrong, flips = flipped(post.labels, 0.2, 3)
    splits = with_batch(base(1000, 100), Split(post.images, wrong, post.batches), 40)
    rows, groups = by_group(with_batch(splits, split(30, 8, "bank")))
    assert list(groups) == [f"{NAME} train", f"{NAME} test", "bank", "post"]
    assert [len(g.rows) for g in groups.values()] == [1000, 100, 30, 200]
    assert [name for name, group in groups.items() if group.doubts.alarm] == ["post"]
    found = labels.list_issues(rows, groups)
    assert set(found["batch"][:5]) == {"post"}
    assert (found["label"] != found["predicted"]).all()
    post = found[found["batch"] == "post"]
    named = np.where(post["split"] == "train", post["row"] - 1000, post["row"] + 160)
    assert len(set(named) & set(flips)) > 0.7 * len(flips)
    nothing = splits["train"].take(np.arange(0))
    assert by_group(base(20, 10) | {"train": nothing})[1] == {}, "without a training row nothing is judged"
