"""Folding batch norm: where it may be done, and where it has to stay."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from digits.convert.tfjs import fold_batch_norm

RNG = np.random.default_rng(2)
KERNEL = RNG.normal(size=(3, 3, 1, 4)).astype(np.float32)
HELD = [RNG.uniform(0.5, 2, 4).astype(np.float32) for _ in range(4)]
IMAGES = RNG.normal(size=(5, 8, 8, 1)).astype(np.float32)


def normed(x, training=False):
    return tf.raw_ops.FusedBatchNormV3(
        x=x, scale=HELD[0], offset=HELD[1], mean=HELD[2], variance=HELD[3], epsilon=1e-3, is_training=training
    ).y


def single(images):
    return tf.nn.relu(normed(tf.nn.conv2d(images, KERNEL, 1, "SAME")))


def read_twice(images):
    x = tf.nn.conv2d(images, KERNEL, 1, "SAME")
    return normed(x) + x


def without_convolution(images):
    return normed(tf.tile(images, [1, 1, 1, 4]))


def computed_kernel(images):
    return normed(tf.nn.conv2d(images, tf.reshape(images[0, :6, :6], [3, 3, 1, 4]), 1, "SAME"))


def kernel_of_two(images):
    kernel = tf.constant(KERNEL)
    return normed(tf.nn.conv2d(images, kernel, 1, "SAME")) + tf.nn.conv2d(-images, kernel, 1, "SAME")


def graph_of(function):
    spec = tf.TensorSpec([None, 8, 8, 1], tf.float32)
    frozen = convert_variables_to_constants_v2(tf.function(function, [spec]).get_concrete_function())
    return frozen.graph.as_graph_def(), frozen.inputs[0].name, frozen.outputs[0].name


def answer(graph, into, out):
    imported = tf.compat.v1.wrap_function(lambda: tf.graph_util.import_graph_def(graph, name=""), [])
    return imported.prune(*map(imported.graph.get_tensor_by_name, (into, out)))(tf.constant(IMAGES)).numpy()


@pytest.mark.parametrize(
    ("function", "folds"),
    [
        (single, True),
        (read_twice, False),
        (without_convolution, False),
        (computed_kernel, False),
        (kernel_of_two, False),
    ],
)
def test_it_is_folded_where_nothing_else_reads_the_convolution_and_the_values_stay(function, folds):
    graph, into, out = graph_of(function)
    before = graph.SerializeToString(deterministic=True)
    folded = fold_batch_norm(graph)
    assert any(node.op == "FusedBatchNormV3" for node in folded.node) != folds
    assert answer(folded, into, out) == pytest.approx(function(tf.constant(IMAGES)).numpy(), abs=1e-4)
    assert graph.SerializeToString(deterministic=True) == before, "what it was given stays"


def test_what_still_trains_stays():
    graph, _, _ = graph_of(lambda images: normed(tf.nn.conv2d(images, KERNEL, 1, "SAME"), training=True))
    assert any(node.op == "FusedBatchNormV3" for node in fold_batch_norm(graph).node)
