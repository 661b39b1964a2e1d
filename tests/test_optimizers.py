import keras
import numpy as np
import pytest
import tensorflow as tf

from digits.optimizers import Schedule, optimizer

from ._recipes import tiny


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


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd", "rmsprop"])
@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_every_optimizer_goes_downhill(name, precision):
    kernels, others = keras.Variable(np.full(3, 2.0, "float32")), keras.Variable(np.full(2, -1.0, "float32"))
    recipe = tiny(optimizer=name, precision=precision, rate=0.05, steps=60, weight_decay=0.0)
    made = optimizer(recipe, kernels, others)

    def loss():
        return tf.reduce_sum(kernels.value**2) + tf.reduce_sum(others.value**2)

    before = float(loss())
    for _ in range(40):
        with tf.GradientTape() as tape:
            scaled = made.scale_loss(loss())
        made.apply(tape.gradient(scaled, [kernels.value, others.value]), [kernels, others])
    assert float(loss()) < 0.5 * before


def test_weight_decay_reaches_the_kernels_alone():
    kernels, others = keras.Variable(np.ones(3, "float32")), keras.Variable(np.ones(2, "float32"))
    made = optimizer(tiny(weight_decay=0.5, rate=0.1, warmup=0.0), kernels, others)
    made.apply([tf.zeros(3), tf.zeros(2)], [kernels, others])
    assert np.allclose(kernels, 0.95)
    assert np.array_equal(others, np.ones(2))
