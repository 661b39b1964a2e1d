"""A SavedModel directory: what lies in it, and that equal models have equal bytes."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from digits import saved_model, wire
from digits.export.signatures import endpoints, trace
from tests._nearest import nearest

WEIGHTS = [np.arange(6, dtype=np.float32).reshape(2, 3), np.zeros(3, np.float32)]


def saved(directory):
    model = nearest()
    functions = trace(endpoints(lambda images: model(images, training=False), 1.0, 0.9, 1_000_000))
    saved_model.save(directory, functions, [variable.value for variable in model.variables])
    return directory


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    directory = saved(tmp_path_factory.mktemp("bundle") / "model")
    saved_model.add_extra(directory, [b"one", b"two"], {"dataset": "mnist"}, {"format": 1})
    return directory


def test_only_what_a_server_reads_lies_there_and_nothing_tells_where_it_was_made(made):
    assert set(saved_model.digests(made)) == {
        "saved_model.pb",
        "variables/variables.index",
        "variables/variables.data-00000-of-00001",
        wire.WARMUP,
        wire.PROVENANCE,
        wire.MONITORING,
    }
    assert all(any(path.iterdir()) for path in made.rglob("*") if path.is_dir())
    stored = [name for name, _ in tf.train.list_variables(str(made / "variables" / "variables"))]
    assert sum(name.startswith("weights/") for name in stored) == 1, "no seed of the dropout"
    graph = (made / "saved_model.pb").read_bytes()
    assert str(Path.cwd()).encode() not in graph and str(made.parent).encode() not in graph
    assert [record.numpy() for record in tf.data.TFRecordDataset(str(made / wire.WARMUP))] == [b"one", b"two"]
    content = json.loads((made / wire.PROVENANCE).read_text())
    assert content["dataset"] == "mnist"
    assert content["files"]["saved_model.pb"] == hashlib.sha256(graph).hexdigest()


def test_random_and_python_operations_are_found():
    module = tf.Module()
    module.call = tf.function(
        lambda x: tf.random.normal([2], seed=1) + tf.py_function(lambda y: y, [x], tf.float32)
    )
    graph = module.call.get_concrete_function(tf.constant([1.0, 2.0])).graph.as_graph_def()
    whole = saved_model_pb2.SavedModel()
    whole.meta_graphs.add().graph_def.CopyFrom(graph)
    assert saved_model.unservable(whole) == ["EagerPyFunc", "RandomStandardNormal"]


def test_the_digest_of_weights_is_of_their_content():
    assert saved_model.weights_sha256(WEIGHTS) == saved_model.weights_sha256(
        [weight.copy() for weight in WEIGHTS]
    )
    changed = [WEIGHTS[0] + np.float32(1e-6), WEIGHTS[1]]
    reshaped = [WEIGHTS[0].reshape(3, 2), WEIGHTS[1]]
    assert len({saved_model.weights_sha256(w) for w in (WEIGHTS, changed, reshaped, WEIGHTS[::-1])}) == 4
