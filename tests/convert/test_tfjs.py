"""TensorFlow.js graph models: what the files hold, and that they compute what the network computes."""

import json

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from digits.convert import tfjs
from digits.convert.tfjs import MODEL, WEIGHTS, fold_batch_norm, graph_model, load
from digits.model import architectures
from digits.model.architectures import ARCHITECTURES
from digits.runtime.errors import DataError
from tests._digits import digits


def lived_in(model, seed=1):
    """Weights and statistics as after a training, so that each counts."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        noise = rng.normal(0, 0.2, weight.shape)
        weight.assign(np.asarray(weight) + (np.abs(noise) if "variance" in weight.path else noise))
    return model


@pytest.fixture(scope="module")
def images():
    return digits(20, seed=3)[0].astype(np.float32) / 255


@pytest.fixture(scope="module")
def network():
    return architectures.network(lived_in(architectures.build("compact")))


@pytest.fixture(scope="module")
def made(network):
    return graph_model(network)


@pytest.mark.parametrize("architecture", [*ARCHITECTURES, "small+compact"])
def test_every_architecture_and_an_ensemble_compute_the_same(architecture, images):
    part = architectures.network(lived_in(architectures.build(architecture)))
    expected = part(tf.constant(images), training=False).numpy()
    found = load(graph_model(part))(images)
    assert np.abs(found - expected).max() <= 1e-5 * max(1, np.abs(expected).max())
    assert np.abs(expected).max() > 0.05


def test_kernels_of_half_the_bytes_differ_little(network, made, images):
    small = graph_model(network, "float16")
    assert len(small[WEIGHTS]) < 0.51 * len(made[WEIGHTS])
    expected = load(made)(images)
    apart = np.abs(load(small)(images) - expected).max()
    assert 0 < apart <= 1e-2 * np.abs(expected).max()


def test_the_json_is_what_the_loader_reads(made):
    model = json.loads(made[MODEL])
    assert model["format"] == "graph-model"
    (into,), (out,) = (list(model["signature"][side]) for side in ("inputs", "outputs"))
    assert (into, out) == ("images", "logits")
    nodes = {node["name"]: node for node in model["modelTopology"]["node"]}
    for side in ("inputs", "outputs"):
        for tensor in model["signature"][side].values():
            name, _, output = tensor["name"].partition(":")
            assert name in nodes and output == "0" and tensor["dtype"] == "DT_FLOAT"
    (group,) = model["weightsManifest"]
    assert group["paths"] == [WEIGHTS]
    listed = {weight["name"] for weight in group["weights"]}
    assert listed == {name for name, node in nodes.items() if node["op"] == "Const"}
    size = {"float32": 4, "int32": 4}
    total = sum(size[weight["dtype"]] * int(np.prod(weight["shape"])) for weight in group["weights"])
    assert total == len(made[WEIGHTS])
    assert len(made[MODEL]) < 20_000, "weights stand in their own file"
    assert "NaN" not in made[MODEL].decode()
    operations = {node["op"] for node in nodes.values()}  # batch norm is folded, nothing still trains
    assert operations <= tfjs.KNOWN
    assert not {name for name in operations if "Norm" in name or "Variable" in name or "Resource" in name}


def test_a_network_with_an_operation_that_the_runtime_lacks_is_refused():
    import keras

    into = keras.Input((28, 28))
    flat = keras.layers.Flatten()(into)
    strange = keras.layers.Lambda(lambda x: tf.math.erfc(x[:, :10]))(flat)
    with pytest.raises(DataError, match="lacks operations of this network: Erfc"):
        graph_model(keras.Model(into, strange))


def test_weights_that_do_not_fit_half_precision_or_the_manifest_are_refused(images, made):
    model = architectures.build("mlp-128")
    kernel = next(weight for weight in model.weights if len(weight.shape) == 2)
    kernel.assign(np.full(kernel.shape, 1e6))
    with pytest.raises(DataError, match="does not fit float16: take weights of float32"):
        graph_model(architectures.network(model), "float16")
    with pytest.raises(DataError, match="'int4', expected one of float32, float16"):
        graph_model(architectures.network(model), "int4")
    with pytest.raises(DataError, match="cut short: it ends before"):
        load({**made, WEIGHTS: made[WEIGHTS][:-4]})
    with pytest.raises(DataError, match="the manifest lists"):
        load({**made, WEIGHTS: made[WEIGHTS] + b"more"})


RNG = np.random.default_rng(2)
KERNEL = RNG.normal(size=(3, 3, 1, 4)).astype(np.float32)
HELD = [RNG.uniform(0.5, 2, 4).astype(np.float32) for _ in range(4)]
IMAGES = RNG.normal(size=(5, 8, 8, 1)).astype(np.float32)


def normed(x, training=False):
    return tf.raw_ops.FusedBatchNormV3(
        x=x, scale=HELD[0], offset=HELD[1], mean=HELD[2], variance=HELD[3], epsilon=1e-3, is_training=training
    ).y


def convolved(images, kernel=KERNEL):
    return tf.nn.conv2d(images, kernel, 1, "SAME")


def kernel_of_two(images):
    kernel = tf.constant(KERNEL)
    return normed(convolved(images, kernel)) + convolved(-images, kernel)


@pytest.mark.parametrize(
    ("function", "folds"),
    [
        (lambda images: tf.nn.relu(normed(convolved(images))), True),
        (lambda images: normed(x := convolved(images)) + x, False),
        (lambda images: normed(tf.tile(images, [1, 1, 1, 4])), False),
        (lambda images: normed(convolved(images, tf.reshape(images[0, :6, :6], [3, 3, 1, 4]))), False),
        (kernel_of_two, False),
        (lambda images: normed(convolved(images), training=True), False),
    ],
    ids=["single", "read twice", "no convolution", "computed kernel", "kernel of two", "still trains"],
)
def test_it_is_folded_where_nothing_else_reads_the_convolution_and_the_values_stay(function, folds):
    spec = tf.TensorSpec([None, 8, 8, 1], tf.float32)
    frozen = convert_variables_to_constants_v2(tf.function(function, [spec]).get_concrete_function())
    graph = frozen.graph.as_graph_def()
    before = graph.SerializeToString(deterministic=True)
    folded = fold_batch_norm(graph)
    assert any(node.op == "FusedBatchNormV3" for node in folded.node) != folds
    ends = frozen.inputs[0].name, frozen.outputs[0].name
    imported = tf.compat.v1.wrap_function(lambda: tf.graph_util.import_graph_def(folded, name=""), [])
    found = imported.prune(*map(imported.graph.get_tensor_by_name, ends))(tf.constant(IMAGES)).numpy()
    assert found == pytest.approx(function(tf.constant(IMAGES)).numpy(), abs=1e-4)
    assert graph.SerializeToString(deterministic=True) == before, "what it was given stays"
