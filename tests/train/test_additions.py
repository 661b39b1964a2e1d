"""Pictures without a digit and drawn digits in every batch: where they stand, and what counts of them."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from digits.evaluate.metrics import confidence
from digits.non_digits import SEEN, every
from digits.runtime.errors import TrainingError
from digits.train.additions import STYLED, Additions, Pool, pool_of
from digits.train.fit import fit
from digits.train.input_pipeline import Feed
from digits.train.loop import Loop
from tests.train._recipes import STILL, tiny

PICTURES = np.arange(100, 150, dtype=np.uint8)[:, None, None] * np.ones((1, 28, 28), np.uint8)
DRAWN = np.arange(200, 210, dtype=np.uint8)[:, None, None] * np.ones((1, 28, 28), np.uint8)
POOL = Pool(PICTURES, DRAWN, np.arange(10, dtype=np.uint8))


def added(step, seed=1, styled=0.0):
    """Shade and label of the 20 rows that digits, of the shades 0 to 14, and their additions make."""
    recipe = tiny(batch=20, outliers=0.25, styled=styled, seed=seed)
    digits = np.arange(recipe.digits_a_step, dtype=np.uint8)[:, None, None] * np.ones((1, 28, 28), np.uint8)
    images, labels = Additions(recipe, POOL).add(digits, digits[:, 0, 0].astype(np.int32) % 10, step)
    return images.numpy()[:, 0, 0], labels.numpy()


def test_they_join_the_digits_by_seed_and_step_anywhere_and_without_a_label():
    shades, labels = added(3)
    assert sorted(shades[labels >= 0]) == list(range(15))
    assert (labels[labels >= 0] == shades[labels >= 0] % 10).all()
    assert (shades[labels < 0] >= 100).all() and (labels < 0).sum() == 5
    assert (added(3)[0] == shades).all()
    assert set(added(4)[0]) != set(shades) and set(added(3, seed=2)[0]) != set(shades)
    many = [added(step) for step in range(200)]
    assert set(np.concatenate([shades[labels < 0] for shades, labels in many])) == set(range(100, 150))
    standing = np.mean([labels < 0 for _, labels in many], axis=0)
    assert np.abs(standing - 0.25).max() < 0.13, "damage goes by position"


def test_drawn_digits_join_with_their_labels():
    many = [added(step, styled=0.2) for step in range(60)]
    drawn = [(shade, label) for shades, labels in many for shade, label in zip(shades, labels, strict=True)]
    assert {pair for pair in drawn if pair[0] >= 200} == {(200 + digit, digit) for digit in range(10)}
    assert all((shades >= 200).sum() == 4 and (shades < 100).sum() == 11 for shades, _ in many)


@pytest.mark.parametrize("pool", [None, Pool(PICTURES[:0], DRAWN[:0], POOL.labels[:0])])
@pytest.mark.parametrize("name", ["outliers", "styled"])
def test_a_share_of_no_pictures_is_refused(train, validation, pool, name):
    with pytest.raises(TrainingError, match=rf"train\.{name} is 0\.25, and no such picture"):
        fit(train, validation, tiny(batch=20, **{name: 0.25}), additions=pool)


def test_accuracy_counts_digits_only_and_all_of_them(train):
    """A network that answers 0 to everything has the zeros right, and no outlier is right or wrong."""
    recipe = tiny(architecture="mlp-128", batch=40, outliers=0.25, augmentation=STILL, rate=1e-9)
    loop = Loop(recipe, Feed(train), None, POOL)
    for variable in (*loop.now.values(), *loop.average.values()):
        variable.assign(tf.zeros_like(variable))  # equal logits: argmax is 0
    zeros = np.flatnonzero(train.labels == 0)[:30]
    rows = np.stack([zeros, np.flatnonzero(train.labels == 1)[:30]]).astype(np.int32)
    loss, accuracy = loop.run(rows, 0)
    assert accuracy == 0.5
    assert loss == pytest.approx(np.log(10), abs=1e-3)


def test_a_teacher_has_no_say_about_them(train):
    """Whatever it answers, and it is sure of everything: the truth about an outlier stays what it is."""
    recipe = tiny(architecture="mlp-128", batch=40, outliers=0.25, teacher=tiny(steps=5), distillation=1.0)

    def teacher(images, training):
        return 1000.0 * tf.one_hot(tf.fill([40], 7), 10)

    loop = Loop(recipe, Feed(train), teacher, POOL)
    labels = tf.concat([tf.zeros([30], tf.int32), tf.fill([10], -1)], axis=0)
    truth = loop._truth(labels, tf.zeros([40, 28, 28])).numpy()
    assert (truth[:30, 7] == 1).all() and np.allclose(truth[30:], 0.1)


@pytest.mark.slow
def test_it_learns_digits_and_to_be_unsure_of_what_is_none(train, validation):
    """Sevens stand in for what is no digit: one model never meets any, the other as outliers."""
    changes = {"architecture": "mlp-128", "rate": 0.01, "steps": 60, "label_smoothing": 0.0}
    changes |= {"augmentation": STILL, "ema": 0.0}
    rest, held = train.take(train.labels != 7), validation.take(validation.labels != 7)
    sevens = validation.images[validation.labels == 7]
    plain = fit(rest, held, tiny(**changes))
    pool = replace(POOL, outliers=train.images[train.labels == 7])
    exposed = fit(rest, held, tiny(outliers=0.2, **changes), additions=pool)
    unsure, sure = (confidence(r.model.predict(sevens, verbose=0), 1.0).mean() for r in (exposed, plain))
    assert unsure < 0.4 < 0.6 < sure
    assert exposed.validation_accuracy > 0.9


def test_a_pool_of_what_may_be_trained_on_is_made_when_any_network_wants_it(train):
    made = pool_of(tiny(outliers=0.1, outlier_pool=30, seed=3), train)
    # as many of each kind, at least those wanted
    assert np.array_equal(made.outliers, np.concatenate(list(every(5, 3, train, SEEN).values())))
    assert not len(made.styled)
    teacher = tiny(styled=0.1)
    taught = pool_of(tiny(teacher=teacher, distillation=0.5), train)
    assert np.bincount(taught.labels).tolist() == [STYLED] * 10 and not len(taught.outliers)
    assert pool_of(tiny(), train) is None
