"""Equal pictures: never on both sides of a split."""

import numpy as np
import pytest

from digits.dataset import Split, split_stratified
from digits.preprocess.duplicates import digests, refuse_leaks, split_train
from digits.runtime.errors import DataError
from tests._digits import digits


def split(n=200, seed=0, batch="mnist"):
    images, labels = digits(n, seed)
    return Split(images, labels, np.full(n, batch))


def test_equal_pixels_have_equal_digests_and_others_do_not():
    images = split(50).images
    found = digests(np.concatenate([images, images]))
    assert (found[:50] == found[50:]).all()
    assert len(np.unique(found)) == 50


def test_without_copies_it_is_the_plain_stratified_split():
    whole = split()
    train, validation = split_train(whole, 0.2, seed=3)
    rest, part = split_stratified(whole.labels, 0.2, seed=3)
    assert (train.images == whole.images[rest]).all() and (validation.labels == whole.labels[part]).all()


def test_copies_stay_together_on_one_side():
    whole = split()
    again = whole.take(np.arange(0, 200, 2))
    doubled = Split(
        *(np.concatenate(pair) for pair in zip(vars(whole).values(), vars(again).values(), strict=True))
    )
    for seed in range(5):
        train, validation = split_train(doubled, 0.3, seed)
        assert len(train) + len(validation) == 300
        refuse_leaks({"train": train, "validation": validation})


def test_a_class_of_one_picture_however_often_can_t_be_split():
    whole = split()
    kept = np.flatnonzero(whole.labels != 7)
    one = np.repeat(np.flatnonzero(whole.labels == 7)[:1], 5)
    with pytest.raises(DataError, match="digit 7 has 1 image"):
        split_train(whole.take(np.concatenate([kept, one])), 0.1, seed=1)


def test_a_picture_in_two_splits_is_refused_with_where_it_is():
    train, test = split(100, 1), split(50, 2, batch="letters")
    refuse_leaks({"train": train, "test": test})
    leaking = test.take(np.arange(50))
    leaking.images[7] = train.images[31]
    with pytest.raises(
        DataError, match=r"1 pictures are in train and in test \(row 31 of train .* letters, mnist"
    ):
        refuse_leaks({"train": train, "test": leaking})
