"""Equal pictures: never on both sides of a split."""

import numpy as np
import pytest

from digits.dataset import split_stratified
from digits.preprocess.duplicates import refuse_leaks, split_train
from digits.runtime.errors import DataError
from tests._raw import split


def test_without_copies_it_is_the_plain_stratified_split_and_copies_stay_together_on_one_side():
    whole = split(200, seed=0)
    train, validation = split_train(whole, 0.2, seed=3)
    rest, part = split_stratified(whole.labels, 0.2, seed=3)
    assert (train.images == whole.images[rest]).all() and (validation.labels == whole.labels[part]).all()
    whole = split(200, seed=0)
    for seed in range(5):
        train, validation = split_train(whole.take(np.r_[0:200, 0:200:2]), 0.3, seed)
        assert len(train) + len(validation) == 300
        refuse_leaks({"train": train, "validation": validation})


def test_a_class_of_one_picture_however_often_can_t_be_split():
    whole = split(200, seed=0)
    kept = np.flatnonzero(whole.labels != 7)
    one = np.repeat(np.flatnonzero(whole.labels == 7)[:1], 5)
    with pytest.raises(DataError, match="digit 7 has 1 image"):
        split_train(whole.take(np.concatenate([kept, one])), 0.1, seed=1)
