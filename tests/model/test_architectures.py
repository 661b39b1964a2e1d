import numpy as np
import pytest
import tensorflow as tf

from digits.model import architectures
from digits.model.architectures import ARCHITECTURES
from digits.model.recipe import members
from digits.nn.layers import FusedBatchNorm
from digits.runtime import params
from tests._digits import digits


@pytest.fixture(scope="module", params=[*sorted(ARCHITECTURES), "small+mlp-128"])
def model(request):
    return architectures.build(request.param, seed=3)


@pytest.fixture(scope="module")
def images():
    return digits(24, seed=5)[0]


def test_bytes_in_logits_out_of_the_network_after_canonicalisation(model, images):
    logits = model(images).numpy()
    assert logits.shape == (24, 10) and logits.dtype == np.float32
    assert np.isfinite(logits).all()
    assert np.allclose(logits[5:6], model(images[5:6]), atol=1e-4), "as in any other batch"
    assert np.allclose(model(255 - images), logits, atol=0.05)
    canonical = model.get_layer(architectures.NORMALIZE)(images)
    assert np.allclose(architectures.network(model)(canonical), logits, atol=1e-5)


def test_a_seed_draws_the_weights():
    first, same, other = (architectures.build("compact", seed=s).get_weights() for s in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, same, strict=True))
    assert not np.array_equal(first[0], other[0])
    two = [net.get_weights() for net in architectures.networks(architectures.build("small+small", seed=7))]
    assert not np.array_equal(two[0][0], two[1][0]), "networks of an ensemble start apart"


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_weights_fit_whatever_the_precision_and_dropout(precision, images):
    plain = architectures.build("compact", seed=1)
    mixed = architectures.build("compact", precision=precision, dropout=0.3, seed=2)
    trained = [w for w in mixed.weights if w.dtype == "float32"]
    for target, source in zip(plain.weights, trained, strict=True):
        target.assign(source)
    assert mixed(images).dtype == tf.float32
    assert np.allclose(plain(images), mixed(images), atol=0.2)


WEIGHTS = {
    "compact": 116_266, "wide": 309_834, "deep": 252_842, "strided": 418_346, "mlp-128": 101_770,
    "mlp-128-32": 104_938, "cnn-32": 693_962, "cnn-32-64-64": 93_322, "compact+mlp-128": 218_036,
    "small": 9_144,
}  # fmt: skip


@pytest.mark.parametrize(("architecture", "weights"), WEIGHTS.items())
def test_architectures_are_as_large_as_they_say(architecture, weights):
    assert architectures.build(architecture).count_params() == weights
    assert set(members(architecture)) <= set(params.ARCHITECTURES) == set(ARCHITECTURES)


def test_scaled_pixels_go_in_as_they_are(images):
    model = architectures.build("mlp-128", normalization="scaled", seed=1)
    scaled = tf.constant(images / np.float32(255))
    assert np.allclose(architectures.network(model)(scaled), model(images), atol=1e-5)
    assert not np.allclose(model(255 - images), model(images), atol=0.05)


def test_an_ensemble_answers_the_mean_of_its_networks(images):
    model = architectures.build("small+mlp-128", seed=7)
    nets = architectures.networks(model)
    assert len(nets) == 2
    canonical = model.get_layer(architectures.NORMALIZE)(images)[..., None]
    mean = np.mean([net(canonical) for net in nets], axis=0)
    assert np.allclose(model(images), mean, atol=1e-5)
    (alone,) = architectures.networks(architectures.build("small", seed=7))
    assert np.allclose(alone(canonical[..., 0]), nets[0](canonical), atol=1e-5)


def test_batch_norm_normalises_in_training_and_remembers():
    layer = FusedBatchNorm(momentum=0.5)
    x = tf.random.stateless_normal([64, 5, 5, 3], [1, 2], mean=4.0, stddev=2.0)
    y = layer(x, training=True).numpy()
    assert np.allclose(y.mean(axis=(0, 1, 2)), 0, atol=1e-3)
    assert np.allclose(y.std(axis=(0, 1, 2)), 1, atol=1e-2)
    assert np.allclose(layer.moving_mean, 2.0, atol=0.2)  # half way from 0 to 4
    for _ in range(20):
        layer(x, training=True)
    assert np.allclose(layer(x, training=False), y, atol=1e-2)
