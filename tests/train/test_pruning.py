import keras
import numpy as np
import pytest
import tensorflow as tf

from digits.train.devices import Replicas
from digits.train.flat_weights import Flat
from digits.train.pruning import BEGIN, END, Pruning
from tests.train._recipes import tiny


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
