"""Upstream's tensors on the wire: typed lists and raw content of every type, and what contradicts itself."""

import re

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow.core.framework import tensor_pb2

from digits_model_server.runtime import tensors
from digits_model_server.status import Status
from tests.serving import _models

VALUES = {
    "string": [b"a", b"", b"\xff\0"],
    "bool": [True, False, True],
    "complex64": [1 + 2j, -0.5j, 3],
    "complex128": [1 + 2j, -0.5j, 3],
}


def array(name):
    return np.array(VALUES.get(name, [1, 0, 3]), dtype=tf.as_dtype(name).as_numpy_dtype)


@pytest.mark.parametrize("name", _models.TYPES)
@pytest.mark.parametrize("as_content", [False, True])
def test_every_type_goes_there_and_back(name, as_content):
    proto = tensor_pb2.TensorProto()
    tensors.fill(proto, array(name).reshape(3, 1), as_content)
    assert bool(proto.tensor_content) == (as_content and name != "string")
    np.testing.assert_array_equal(tensors.to_array(proto), array(name).reshape(3, 1))
    np.testing.assert_array_equal(tf.make_ndarray(proto), array(name).reshape(3, 1))


@pytest.mark.parametrize("name", _models.TYPES)
def test_the_last_value_of_a_list_stands_for_those_that_are_left_out(name):
    one = array(name)[:1]
    proto = tensor_pb2.TensorProto()
    tensors.fill(proto, one)
    proto.tensor_shape.dim[0].size = 3
    assert tensors.to_array(proto).tolist() == one.tolist() * 3
    empty = tensor_pb2.TensorProto(dtype=proto.dtype)
    empty.tensor_shape.dim.add(size=2)
    assert tensors.to_array(empty).tolist() == [b"" if name == "string" else 0] * 2


def test_strings_may_come_packed():
    words = [b"", b"abc", b"x" * 300]
    proto = tensor_pb2.TensorProto(dtype=7, tensor_content=b"\x00\x03\xac\x02" + b"".join(words))
    proto.tensor_shape.dim.add(size=3)
    assert tensors.to_array(proto).tolist() == words
    for content in (proto.tensor_content[:-1], proto.tensor_content + b"x", b"\x00", b"\xff" * 9):
        proto.tensor_content = content
        with pytest.raises(tensors.Undecodable):
            tensors.to_array(proto)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('dtype: DT_FLOAT tensor_shape { dim { size: 3 } } tensor_content: "abcd"', "4 bytes of content"),
        ("dtype: DT_FLOAT tensor_shape { dim { size: 1 } } float_val: [1, 2, 3]", "3 values for 1 places"),
        ("dtype: DT_FLOAT tensor_shape { unknown_rank: true } float_val: 1", "unknown"),
        ("dtype: DT_FLOAT tensor_shape { dim { size: -1 } } float_val: 1", "its shape is [-1]"),
        ("dtype: DT_FLOAT tensor_shape { dim { size: 9000000000 } } float_val: 1", "more than"),
    ],
)
def test_what_contradicts_itself_is_a_parsing_error_that_names_the_input(text, said):
    proto = text_format.Parse(text, tensor_pb2.TensorProto())
    expected = "INVALID_ARGUMENT: tensor parsing error: x.*" + re.escape(said)
    with pytest.raises(Status, match=expected):
        tensors.parse("x", proto, 1 << 20)
