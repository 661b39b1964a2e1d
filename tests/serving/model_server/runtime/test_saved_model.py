import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from serving.model_server.runtime.saved_model import changes_state
from tests.serving import _models


def meta(path):
    return saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes()).meta_graphs[0]


@pytest.mark.parametrize("make", [_models.half_plus, _models.many, _models.modern, _models.typed])
def test_a_model_that_only_computes_changes_nothing_although_its_variables_are_assigned_at_the_load(
    tmp_path, make
):
    assert not changes_state(meta(make(tmp_path / "1")))


def test_reference_variables_that_a_signature_assigns_are_seen(tmp_path):
    assert changes_state(meta(_models.counter(tmp_path / "1")))


class Modern(tf.Module):
    def __init__(self):
        self.count = tf.Variable(0.0)
        self.table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(["a"], [1]), 0)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def look(self, x):
        return {"y": self.table.lookup(x), "z": tf.scatter_nd([[0]], [self.count], [1])}

    @tf.function(input_signature=[tf.TensorSpec([], tf.bool)])
    def maybe(self, add):
        return {"y": tf.cond(add, lambda: self.count.assign_add(1.0), lambda: self.count.read_value())}


def test_an_assignment_deep_in_a_function_is_seen_and_a_table_filled_at_the_load_is_none(tmp_path):
    model = Modern()
    tf.saved_model.save(model, str(tmp_path / "still"), signatures={"serving_default": model.look})
    tf.saved_model.save(
        model, str(tmp_path / "counts"), signatures={"serving_default": model.look, "maybe": model.maybe}
    )
    assert not changes_state(meta(tmp_path / "still"))
    assert changes_state(meta(tmp_path / "counts"))
