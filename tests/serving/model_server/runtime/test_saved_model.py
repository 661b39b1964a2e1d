import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from digits_model_server.runtime.saved_model import changes_state


def changes(version):
    saved = saved_model_pb2.SavedModel.FromString((version / "saved_model.pb").read_bytes())
    return changes_state(saved.meta_graphs[0])


@pytest.mark.parametrize("name", ["one", "many", "modern", "typed", "counter"])
def test_a_signature_that_assigns_variables_is_seen_and_their_assignment_at_the_load_is_none(models, name):
    (version,) = models[name].iterdir()
    assert changes(version) == (name == "counter")


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
    for name, more in (("still", {}), ("counts", {"maybe": model.maybe})):
        tf.saved_model.save(model, str(tmp_path / name), signatures={"serving_default": model.look} | more)
        assert changes(tmp_path / name) == (name == "counts")
