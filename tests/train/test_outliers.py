"""Pictures without a digit in every batch: where they stand, what befalls them, and what counts of them."""

import numpy as np
import pytest
import tensorflow as tf

from digits.dataset import Split
from digits.evaluate.metrics import confidence
from digits.non_digits import KINDS, SEEN, every
from digits.runtime.errors import TrainingError
from digits.train.fit import fit
from digits.train.input_pipeline import Feed
from digits.train.loop import Loop
from digits.train.outliers import Outliers, outlier_pool
from tests._digits import digits
from tests.train._recipes import BENT, STILL, tiny

PICTURES = np.arange(100, 150, dtype=np.uint8)[:, None, None] * np.ones((1, 28, 28), np.uint8)
SOME = tiny(batch=20, outliers=0.25, augmentation=STILL)  # 5 of 20


def split(n, seed):
    images, labels = digits(n, seed)
    return Split(images, labels, np.full(n, "synthetic"))


@pytest.fixture(scope="module")
def train():
    return split(320, seed=1)


@pytest.fixture(scope="module")
def validation():
    return split(100, seed=2)


@pytest.fixture(scope="module")
def crosses():
    """Big crosses, as no digit has them, and a few pixels of jitter."""
    page = np.zeros((28, 28), np.uint8)
    np.fill_diagonal(page, 255)
    page |= page[::-1]
    return np.stack([np.roll(page, (place % 5, place % 7), axis=(0, 1)) for place in range(35)])


def same_weights(first, second):
    pairs = zip(first.model.get_weights(), second.model.get_weights(), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


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
    standing = np.stack([added(step)[1] < 0 for step in range(400)])
    assert np.abs(standing.mean(axis=0) - 0.25).max() < 0.1


def test_the_truth_about_them_is_that_any_digit_is_as_likely():
    labels = tf.constant([3, -1, 3])
    truth = Outliers(SOME, PICTURES).truth(tf.one_hot([3, 7, 3], 10), labels).numpy()
    assert np.allclose(truth[1], 0.1) and (truth[[0, 2], 3] == 1).all()


def test_without_a_share_nothing_is_touched():
    none = Outliers(tiny(batch=20), None)
    digits, labels = tf.zeros([20, 28, 28]), tf.zeros([20], tf.int32)
    images, same = none.add(digits, labels, 1)
    assert images is digits and same is labels
    assert none.truth(digits, labels) is digits


@pytest.mark.parametrize("pictures", [None, PICTURES[:0]])
def test_a_share_of_no_pictures_is_refused(train, validation, pictures):
    with pytest.raises(TrainingError, match=r"train\.outliers is 0\.25, and no picture"):
        fit(train, validation, SOME, outliers=pictures)


def test_a_training_without_a_share_does_not_see_them(train, validation, crosses):
    recipe = tiny(architecture="small", steps=6)
    assert same_weights(fit(train, validation, recipe), fit(train, validation, recipe, outliers=crosses))


def test_accuracy_counts_digits_only_and_all_of_them(train, crosses):
    """A network that answers 0 to everything has the zeros right, and no outlier is right or wrong."""
    loop = Loop(tiny(batch=40, outliers=0.25, augmentation=STILL, rate=1e-9), Feed(train), None, crosses)
    for variable in (*loop.now.values(), *loop.average.values()):
        variable.assign(tf.zeros_like(variable))  # equal logits: argmax is 0
    zeros = np.flatnonzero(train.labels == 0)[:30]
    rows = np.stack([zeros, np.flatnonzero(train.labels == 1)[:30]]).astype(np.int32)
    loss, accuracy = loop.run(rows, 0)
    assert accuracy == 0.5
    assert loss == pytest.approx(np.log(10), abs=1e-3)


def test_it_learns_digits_and_to_be_unsure_of_what_is_none(train, validation):
    """Sevens stand in for what is no digit: one model never meets any, the other as outliers."""
    changes = {"steps": 60, "dropout": 0.0, "label_smoothing": 0.0, "augmentation": STILL}
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


PUPIL = {"teacher": tiny(steps=5, outliers=0.1), "distillation": 0.5}


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [{}, {"architecture": "small+mlp-128"}, PUPIL],
    ids=["one network", "an ensemble", "a pupil"],
)
def test_going_on_ends_where_an_unbroken_run_ends(train, validation, crosses, change):
    recipe = tiny(**({"architecture": "small"} | change), steps=10, outliers=0.1, augmentation=BENT)
    told = []
    whole = fit(train, validation, recipe, outliers=crosses, on_epoch=lambda made, _: told.append(made))
    resumed = fit(train, validation, recipe, outliers=crosses, resume=told[len(told) // 2])
    assert resumed.history == whole.history
    assert same_weights(resumed, whole)


def test_a_teacher_has_no_say_about_them(train, crosses):
    """Whatever it answers, and it is sure of everything: the truth about an outlier stays what it is."""
    recipe = tiny(batch=40, outliers=0.25, teacher=tiny(steps=5), distillation=1.0)

    def teacher(images, training):
        return 1000.0 * tf.one_hot(tf.fill([40], 7), 10)

    loop = Loop(recipe, Feed(train), teacher, crosses)
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
