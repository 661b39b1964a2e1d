import keras
import numpy as np
import pytest
import tensorflow as tf

from digits.dataset import Split
from digits.train.devices import Replicas
from digits.train.fit import fit
from digits.train.flat_weights import Flat, groups
from digits.train.pruning import BEGIN, END, Pruning
from tests._digits import digits
from tests.train._recipes import tiny

STEPS = 15


def split(n, seed):
    images, labels = digits(n, seed)
    return Split(images, labels, np.full(n, "synthetic"))


@pytest.fixture(scope="module")
def data():
    return split(320, seed=1), split(60, seed=2)


def recipe(**changes):
    return tiny(architecture="small", steps=STEPS, dropout=0.0, sparsity=0.6, **changes)


@pytest.fixture(scope="module")
def whole(data):
    told = []
    return fit(*data, recipe(), on_epoch=lambda progress, _: told.append(progress)), told


def zeros(model):
    return [float(np.mean(v.numpy() == 0)) for v in groups(model)["kernels"]]


def test_each_kernel_of_the_averaged_weights_has_its_zeros(whole):
    for share in zeros(whole[0].model):
        assert share == pytest.approx(0.6, abs=0.01)


def test_the_last_weights_have_them_where_nothing_is_averaged(data):
    assert zeros(fit(*data, recipe(ema=0.0)).model) == pytest.approx([0.6] * 6, abs=0.01)


def test_without_sparsity_no_weight_is_zero_and_no_mask_is_kept(data):
    told = []
    plain = tiny(architecture="small", steps=5)
    model = fit(*data, plain, on_epoch=lambda progress, _: told.append(progress)).model
    assert max(zeros(model)) == 0
    assert "mask" not in told[0].state.arrays


def test_going_on_ends_where_an_unbroken_run_ends(data, whole):
    result, told = whole
    resumed = fit(*data, recipe(), resume=told[1])
    for one, other in zip(resumed.model.get_weights(), result.model.get_weights(), strict=True):
        assert np.array_equal(one, other)


def test_the_share_rises_fast_then_slowly_then_stands_still():
    made = tiny(steps=1000, sparsity=0.8)
    pruning = Pruning(made, Flat([tf.zeros([2, 2])]), Replicas().variable)
    share = [float(pruning.share(tf.constant(step))) for step in range(0, 1000, 50)]
    assert share[: int(1000 * BEGIN / 50) + 1] == [0] * 5
    assert share[int(1000 * END / 50) :] == pytest.approx([0.8] * 6)
    rises = np.diff(share)[int(20 * BEGIN) : int(20 * END)]
    assert (np.diff(rises) < 0).all() and (rises > 0).all()


def test_what_is_zero_is_the_smallest_and_stays_zero():
    made = tiny(steps=10, sparsity=0.5)
    kernel = np.array([[0.1, -3.0], [2.0, -0.2]], np.float32)
    pruning = Pruning(made, Flat([kernel]), Replicas().variable)
    weights = keras.Variable(kernel.ravel())
    pruning.apply(tf.constant(9), [weights])
    assert weights.numpy().tolist() == [0, -3, 2, 0]
    weights.assign(weights + 0.05)
    pruning.apply(tf.constant(9), [weights])
    assert weights.numpy()[[0, 3]].tolist() == [0, 0]
