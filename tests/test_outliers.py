"""Pictures without a digit in every batch: where they stand, what befalls them, and what counts of them."""

import numpy as np
import pytest
import tensorflow as tf

from digits.errors import TrainingError
from digits.feed import Feed
from digits.fit import fit
from digits.loop import Loop
from digits.metrics import confidence
from digits.outliers import Outliers
from digits.splits import Split

from ._digits import digits
from ._recipes import BENT, STILL, tiny

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


def as_they_are(images, step):
    return tf.cast(images, tf.float32)


def same_weights(first, second):
    pairs = zip(first.model.get_weights(), second.model.get_weights(), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


def test_the_last_rows_are_outliers_by_seed_and_step():
    shown = np.arange(15, dtype=np.uint8)[:, None, None] * np.ones((1, 28, 28), np.uint8)
    made = Outliers(SOME, PICTURES)
    first, again, later = (made.added(shown, step, as_they_are).numpy()[:, 0, 0] for step in (3, 3, 4))
    assert first.tolist()[:15] == list(range(15))  # the digits, in order
    assert (first[15:] >= 100).all() and len(first) == 20
    assert (first == again).all() and (first[15:] != later[15:]).any()
    other = Outliers(tiny(batch=20, outliers=0.25, seed=2), PICTURES).added(shown, 3, as_they_are)
    assert (other.numpy()[15:, 0, 0] != first[15:]).any()


def test_every_picture_gets_its_turn():
    made = Outliers(SOME, PICTURES)
    shown = np.zeros((15, 28, 28), np.uint8)
    drawn = [made.added(shown, step, as_they_are).numpy()[15:, 0, 0] for step in range(100)]
    assert set(np.concatenate(drawn).astype(int)) == set(range(100, 150))


def test_they_stand_anywhere_while_the_batch_is_damaged():
    def marked(images, step):  # as damage does: the last half of the rows
        return tf.cast(images, tf.float32) + 1000.0 * tf.cast(tf.range(20) >= 10, tf.float32)[:, None, None]

    made = Outliers(SOME, PICTURES)
    shown = np.zeros((15, 28, 28), np.uint8)
    hit = np.stack([made.added(shown, step, marked).numpy()[:, 0, 0] >= 1000 for step in range(200)])
    assert (hit.sum(axis=1) == 10).all()
    assert np.abs(hit.mean(axis=0) - 0.5).max() < 0.15  # each row as often as any other


def test_the_truth_about_them_is_that_any_digit_is_as_likely():
    truth = Outliers(SOME, PICTURES).truth(tf.one_hot([3] * 15, 10)).numpy()
    assert truth.shape == (20, 10)
    assert np.allclose(truth[15:], 0.1) and (truth[:15, 3] == 1).all()


def test_without_a_share_nothing_is_touched():
    none = Outliers(tiny(batch=20), None)
    batch = tf.zeros([20, 28, 28])
    assert none.without(batch) is batch and none.truth(batch) is batch
    assert none.added(batch, 1, lambda images, _: images) is batch


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


def test_a_teacher_is_not_asked_about_them(train, crosses):
    """Whatever it answers, and it is sure of everything: the truth about an outlier stays what it is."""
    recipe = tiny(batch=40, outliers=0.25, teacher=tiny(steps=5), distillation=1.0)

    def teacher(images, training):
        assert images.shape[0] == 30
        return 1000.0 * tf.one_hot(tf.fill([30], 7), 10)

    loop = Loop(recipe, Feed(train), teacher, crosses)
    images = tf.zeros([40, 28, 28])
    truth = loop.outliers.truth(loop._truth(tf.zeros([30], tf.int32), loop.outliers.without(images))).numpy()
    assert (truth[:30, 7] == 1).all() and np.allclose(truth[30:], 0.1)
