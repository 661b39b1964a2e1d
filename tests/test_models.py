import numpy as np
import pytest
import tensorflow as tf

from digits import models

from ._digits import digits


@pytest.fixture(scope="module", params=sorted(models.ARCHITECTURES))
def model(request):
    return models.build(request.param, seed=3)


@pytest.fixture(scope="module")
def images():
    return digits(24, seed=5)[0]


def test_bytes_in_logits_out(model, images):
    logits = model(images)
    assert logits.shape == (24, 10)
    assert logits.dtype == tf.float32
    assert np.isfinite(logits).all()


def test_an_image_scores_the_same_in_any_batch(model, images):
    assert np.allclose(model(images)[5:6], model(images[5:6]), atol=1e-4)


def test_canonicalisation_is_inside(model, images):
    inverted = model(255 - images).numpy()
    assert np.allclose(inverted, model(images), atol=0.05)


def test_the_network_is_the_part_after_canonicalisation(model, images):
    canonical = model.get_layer("canonicalize")(images)
    assert np.allclose(models.network(model)(canonical), model(images), atol=1e-5)


def test_a_seed_draws_the_weights():
    first, same, other = (models.build("compact", seed=s).get_weights() for s in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, same, strict=True))
    assert not np.array_equal(first[0], other[0])


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_weights_fit_whatever_the_precision_and_dropout(precision, images):
    plain = models.build("compact", seed=1)
    mixed = models.build("compact", precision=precision, dropout=0.3, seed=2)
    trained = [w for w in mixed.weights if w.dtype == "float32"]
    for target, source in zip(plain.weights, trained, strict=True):
        target.assign(source)
    assert mixed(images).dtype == tf.float32
    assert np.allclose(plain(images), mixed(images), atol=0.2)


def test_compact_is_as_small_as_it_says():
    assert models.build("compact").count_params() == 116_266


def test_batch_norm_normalises_in_training_and_remembers():
    layer = models.FusedBatchNorm(momentum=0.5)
    x = tf.random.stateless_normal([64, 5, 5, 3], [1, 2], mean=4.0, stddev=2.0)
    y = layer(x, training=True).numpy()
    assert np.allclose(y.mean(axis=(0, 1, 2)), 0, atol=1e-3)
    assert np.allclose(y.std(axis=(0, 1, 2)), 1, atol=1e-2)
    assert np.allclose(layer.moving_mean, 2.0, atol=0.2)  # half way from 0 to 4
    for _ in range(20):
        layer(x, training=True)
    assert np.allclose(layer(x, training=False), y, atol=1e-2)
