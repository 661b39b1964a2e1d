import keras
import numpy as np
import pytest
import tensorflow as tf

from digits.train.flat_weights import Flat
from digits.train.optimizers import Schedule, optimizer
from tests.train._recipes import tiny


@pytest.mark.parametrize(
    ("schedule", "middle", "end"), [("constant", 1, 1), ("linear", 0.5, 0), ("cosine", 0.5, 0)]
)
def test_schedules(schedule, middle, end):
    rate = Schedule(tiny(schedule=schedule, steps=1000, warmup=0.2, rate=0.1))
    assert float(rate(0)) == pytest.approx(0.1 / 200)
    assert float(rate(100)) == pytest.approx(0.05, rel=0.02)
    assert float(rate(200)) == pytest.approx(0.1, rel=1e-5)
    assert float(rate(600)) == pytest.approx(0.1 * middle, rel=1e-5)
    assert float(rate(1000)) == pytest.approx(0.1 * end, rel=1e-5, abs=1e-9)


@pytest.mark.parametrize("name", ["adam", "adamw", "muon", "sgd", "rmsprop"])
@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_every_optimizer_goes_downhill(name, precision):
    kernels, others = keras.Variable(np.full(3, 2.0, "float32")), keras.Variable(np.full(2, -1.0, "float32"))
    rate = 0.3 if name == "muon" else 0.05  # muon's steps are a fifth of Adam's a weight
    recipe = tiny(optimizer=name, precision=precision, rate=rate, steps=60, weight_decay=0.0)
    made = optimizer(recipe, kernels, others, Flat([tf.zeros([3, 1])]))

    def loss():
        return tf.reduce_sum(kernels.value**2) + tf.reduce_sum(others.value**2)

    before = float(loss())
    for _ in range(40):
        with tf.GradientTape() as tape:
            scaled = made.scale_loss(loss())
        made.apply(tape.gradient(scaled, [kernels.value, others.value]), [kernels, others])
    assert float(loss()) < 0.5 * before


@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_weight_decay_reaches_the_kernels_alone(name):
    kernels, others = keras.Variable(np.ones(3, "float32")), keras.Variable(np.ones(2, "float32"))
    recipe = tiny(optimizer=name, weight_decay=0.5, rate=0.1, warmup=0.0)
    made = optimizer(recipe, kernels, others, Flat([tf.zeros([3, 1])]))
    made.apply([tf.zeros(3), tf.zeros(2)], [kernels, others])
    assert np.allclose(kernels, 0.95)
    assert np.array_equal(others, np.ones(2))


def test_muon_moves_each_kernel_by_a_nearly_orthogonal_matrix():
    shapes = [(3, 3, 2, 8), (40, 6)]
    layout = Flat([tf.zeros(shape) for shape in shapes])
    rng = np.random.default_rng(1)
    gradients = [rng.normal(size=shape).astype("float32") * 10.0**place for place, shape in enumerate(shapes)]
    kernels, others = (keras.Variable(np.zeros(n, "float32")) for n in (sum(layout.sizes), 2))
    recipe = tiny(optimizer="muon", weight_decay=0.0, rate=0.1, warmup=0.0, schedule="constant")
    optimizer(recipe, kernels, others, layout).apply([layout.join(gradients), tf.ones(2)], [kernels, others])
    for moved, gradient in zip(layout.split(kernels.value), gradients, strict=True):
        matrix = -moved.numpy().reshape(-1, moved.shape[-1])
        gradient = gradient.reshape(matrix.shape)
        sizes = np.linalg.svd(matrix, compute_uv=False) / (0.1 * 0.2 * np.sqrt(max(matrix.shape)))
        assert (sizes > 0.6).all() and (sizes < 1.3).all()  # whatever the gradient's own were
        u, _, v = np.linalg.svd(gradient, full_matrices=False)
        assert np.vdot(matrix, u @ v) > 0.95 * np.linalg.norm(matrix) * np.linalg.norm(u @ v)
    assert np.allclose(others, -0.1, atol=1e-4)  # Adam's first step: the rate, by sign
