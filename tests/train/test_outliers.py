"""Pictures without a digit in every batch: where they stand, what befalls them, and what counts of them."""

import numpy as np
import pytest
import tensorflow as tf

from digits.evaluate.metrics import confidence
from digits.non_digits import KINDS, SEEN, every
from digits.runtime.errors import TrainingError
from digits.train.fit import fit
from digits.train.input_pipeline import Feed
from digits.train.loop import Loop
from digits.train.outliers import Outliers, outlier_pool
from tests.train._recipes import STILL, tiny

PICTURES = np.arange(100, 150, dtype=np.uint8)[:, None, None] * np.ones((1, 28, 28), np.uint8)
SOME = tiny(batch=20, outliers=0.25, augmentation=STILL)  # 5 of 20


def added(step, seed=1):
    """Shade and label of the 20 rows that 15 digits, of the shades 0 to 14, and their outliers make."""
    digits = np.arange(15, dtype=np.uint8)[:, None, None] * np.ones((1, 28, 28), np.uint8)
    made = Outliers(tiny(batch=20, outliers=0.25, seed=seed), PICTURES)
    images, labels = made.add(digits, np.arange(15, dtype=np.int32) % 10, step)
    return images.numpy()[:, 0, 0], labels.numpy()


def test_they_join_the_digits_by_seed_and_step_without_a_label():
    shades, labels = added(3)
    assert sorted(shades[labels >= 0]) == list(range(15))
    assert (labels[labels >= 0] == shades[labels >= 0] % 10).all()
    assert (shades[labels < 0] >= 100).all() and (labels < 0).sum() == 5
    assert (added(3)[0] == shades).all()
    assert set(added(4)[0]) != set(shades) and set(added(3, seed=2)[0]) != set(shades)


def test_every_picture_gets_its_turn():
    drawn = [shades[labels < 0] for shades, labels in map(added, range(100))]
    assert set(np.concatenate(drawn)) == set(range(100, 150))


def test_they_stand_anywhere_since_damage_goes_by_position():
    standing = np.stack([added(step)[1] < 0 for step in range(200)])
    assert np.abs(standing.mean(axis=0) - 0.25).max() < 0.13


def test_the_truth_about_them_is_that_any_digit_is_as_likely():
    labels = tf.constant([3, -1, 3])
    truth = Outliers(SOME, PICTURES).truth(tf.one_hot([3, 7, 3], 10), labels).numpy()
    assert np.allclose(truth[1], 0.1) and (truth[[0, 2], 3] == 1).all()


@pytest.mark.parametrize("pictures", [None, PICTURES])
def test_without_a_share_nothing_is_touched(pictures):
    none = Outliers(tiny(batch=20), pictures)
    digits, labels = tf.zeros([20, 28, 28]), tf.zeros([20], tf.int32)
    images, same = none.add(digits, labels, 1)
    assert images is digits and same is labels
    assert none.truth(digits, labels) is digits


@pytest.mark.parametrize("pictures", [None, PICTURES[:0]])
def test_a_share_of_no_pictures_is_refused(train, validation, pictures):
    with pytest.raises(TrainingError, match=r"train\.outliers is 0\.25, and no picture"):
        fit(train, validation, SOME, outliers=pictures)


def test_accuracy_counts_digits_only_and_all_of_them(train):
    """A network that answers 0 to everything has the zeros right, and no outlier is right or wrong."""
    recipe = tiny(architecture="mlp-128", batch=40, outliers=0.25, augmentation=STILL, rate=1e-9)
    loop = Loop(recipe, Feed(train), None, PICTURES)
    for variable in (*loop.now.values(), *loop.average.values()):
        variable.assign(tf.zeros_like(variable))  # equal logits: argmax is 0
    zeros = np.flatnonzero(train.labels == 0)[:30]
    rows = np.stack([zeros, np.flatnonzero(train.labels == 1)[:30]]).astype(np.int32)
    loss, accuracy = loop.run(rows, 0)
    assert accuracy == 0.5
    assert loss == pytest.approx(np.log(10), abs=1e-3)


def test_it_learns_digits_and_to_be_unsure_of_what_is_none(train, validation):
    """Sevens stand in for what is no digit: one model never meets any, the other as outliers."""
    changes = {"architecture": "mlp-128", "rate": 0.01, "steps": 60, "label_smoothing": 0.0}
    changes |= {"augmentation": STILL, "ema": 0.0}
    sevens, rest = train.take(train.labels == 7), train.take(train.labels != 7)
    held = validation
    sevens_held, rest_held = held.take(held.labels == 7), held.take(held.labels != 7)
    plain = fit(rest, rest_held, tiny(**changes))
    exposed = fit(rest, rest_held, tiny(outliers=0.2, **changes), outliers=sevens.images)
    unsure, sure = (
        confidence(result.model.predict(sevens_held.images, verbose=0), 1.0).mean()
        for result in (exposed, plain)
    )
    assert unsure < 0.4 < 0.6 < sure
    assert exposed.validation_accuracy > 0.9
    assert exposed.history[-1].step == 60


def test_a_teacher_has_no_say_about_them(train):
    """Whatever it answers, and it is sure of everything: the truth about an outlier stays what it is."""
    recipe = tiny(architecture="mlp-128", batch=40, outliers=0.25, teacher=tiny(steps=5), distillation=1.0)

    def teacher(images, training):
        return 1000.0 * tf.one_hot(tf.fill([40], 7), 10)

    loop = Loop(recipe, Feed(train), teacher, PICTURES)
    labels = tf.concat([tf.zeros([30], tf.int32), tf.fill([10], -1)], axis=0)
    truth = loop._truth(labels, tf.zeros([40, 28, 28])).numpy()
    assert (truth[:30, 7] == 1).all() and np.allclose(truth[30:], 0.1)


def test_a_pool_is_of_the_family_that_may_be_trained_on(train):
    recipe = tiny(outliers=0.1, outlier_pool=30, seed=3)
    made = outlier_pool(recipe, train)
    assert made is not None and len(made) == 5 * len(KINDS)  # as many of each kind, at least those wanted
    assert np.array_equal(made, np.concatenate(list(every(5, 3, train, SEEN).values())))


def test_a_pool_is_made_when_any_network_wants_it_and_else_not(train):
    assert outlier_pool(tiny(), train) is None
    teacher = tiny(outliers=0.1, outlier_pool=7)
    assert outlier_pool(tiny(teacher=teacher, distillation=0.5), train) is not None
