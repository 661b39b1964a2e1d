"""REST bodies: text, tensors, answers."""

import numpy as np
import pytest

from serving.model_server.rest.json import decode, encode, text
from serving.model_server.runtime.saved_model import Signature, Tensor
from serving.model_server.status import Status

FLOAT, UINT8, STRING, INT32, BOOL = 1, 4, 7, 3, 10


def signature(**inputs):
    return Signature({name: Tensor(f"{name}:0", dtype, None) for name, dtype in inputs.items()}, {}, {}, "")


def read(body, **inputs):
    return decode.predict_inputs(text.parse(body.encode()), signature(**inputs), decode.Bounds(100))


@pytest.mark.parametrize("value", [b"1", b"Inf"])
def test_of_a_key_that_stands_twice_the_last_counts(value):
    assert text.parse(b'{"a": ' + value + b', "a": 2}') == {"a": 2}


@pytest.mark.parametrize("depth", [80, 500, 1000])
def test_lists_in_lists_are_bounded(depth):
    with pytest.raises(Status, match="nested deeper than"):
        read('{"inputs": ' + "[" * depth + "1" + "]" * depth + "}", x=FLOAT)


@pytest.mark.parametrize(
    ("body", "inputs", "expected", "row"),
    [
        ('{"instances": [[1, 2], [3, 4]]}', {"x": UINT8}, {"x": np.array([[1, 2], [3, 4]], np.uint8)}, True),
        ('{"instances": [1.5, 2]}', {"x": FLOAT}, {"x": np.array([1.5, 2], np.float32)}, True),
        (
            '{"instances": [1e40, -1e-50, NaN]}',
            {"x": FLOAT},
            {"x": np.array([np.inf, -0.0, np.nan], np.float32)},
            True,
        ),
        ('{"instances": [{"x": [1], "y": true}]}', {"x": FLOAT, "y": BOOL}, {"x": [[1]], "y": [True]}, True),
        ('{"inputs": {"x": [1], "y": 5, "z": 0}}', {"x": FLOAT, "y": INT32}, {"x": [1], "y": 5}, False),
        ('{"inputs": [[1, 2]]}', {"x": INT32}, {"x": [[1, 2]]}, False),
        ('{"inputs": 7}', {"x": INT32}, {"x": 7}, False),
        ('{"instances": ["a", {"b64": "AAE="}]}', {"s": STRING}, {"s": [b"a", b"\0\1"]}, True),
        ('{"inputs": {"b64": "_-8"}}', {"s": STRING}, {"s": b"\xff\xef"}, False),
    ],
)
def test_both_formats(body, inputs, expected, row):
    arrays, found_row = read(body, **inputs)
    assert found_row is row and arrays.keys() == expected.keys()
    for name, value in expected.items():
        want = np.asarray(value, dtype=arrays[name].dtype)
        np.testing.assert_array_equal(arrays[name], want)


@pytest.mark.parametrize(
    ("body", "inputs", "said"),
    [
        ("[1]", {"x": FLOAT}, "Is not object"),
        ("{}", {"x": FLOAT}, "Missing 'inputs' or 'instances' key"),
        ('{"inputs": 1, "instances": [1]}', {"x": FLOAT}, "only one of 'inputs' or 'instances'"),
        ('{"instances": 1}', {"x": FLOAT}, "Expecting 'instances' to be an list/array"),
        ('{"instances": []}', {"x": FLOAT}, "No values in 'instances' array"),
        ('{"instances": [[1, 2], [3]]}', {"x": FLOAT}, "element: 1 .*Expecting tensor size: 2 but got: 1"),
        ('{"instances": [[[1, 2]], [[1], [2]]]}', {"x": FLOAT}, r"Expecting shape \[1,2\] but got: \[2,1\]"),
        ('{"instances": [[1, [2]]]}', {"x": FLOAT}, "Encountered list at unexpected level: 1 expected < 1"),
        (
            '{"instances": [[[1], 2]]}',
            {"x": FLOAT},
            "JSON Value: 2 found at incorrect level: 2 in ",
        ),
        ('{"instances": [1, {"x": 1}]}', {"x": FLOAT}, "Expecting value/list but got object at item 1"),
        ('{"instances": [{"x": 1}, [1]]}', {"x": FLOAT}, "Expecting object but got list at item 1"),
        ('{"instances": [{"y": 1}]}', {"x": FLOAT}, "does not have named input: y"),
        ('{"instances": [0.5]}', {"x": UINT8}, "JSON Value: 0.5 Type: Number is not of expected type: uint8"),
        ('{"instances": [256]}', {"x": UINT8}, "JSON Value: 256 .* uint8"),
        ('{"instances": [-1]}', {"x": UINT8}, "JSON Value: -1 .* uint8"),
        (
            '{"instances": [1, true]}',
            {"x": FLOAT},
            "JSON Value: true Type: True is not of expected type: float",
        ),
        ('{"instances": [[1, 2], [3, false]]}', {"x": UINT8}, "Type: False is not of expected type: uint8"),
        ('{"instances": ["1"]}', {"x": FLOAT}, 'JSON Value: "1" Type: String'),
        ('{"instances": [5]}', {"s": STRING}, "is not of expected type: string"),
        ('{"instances": [{"b64": "*"}]}', {"s": STRING}, "Unable to base64 decode"),
        ('{"inputs": {"y": 1}}', {"x": FLOAT, "z": FLOAT}, "Missing named input: x in 'inputs' object."),
        ('{"inputs": [[1], [2, 3]]}', {"x": FLOAT}, "Encountered list at unexpected size: 2"),
        ('{"instances": [1]}', {"x": 8}, "UNIMPLEMENTED: Conversion of JSON Value: 1 to type: complex64"),
        ('{"instances": [NaN]}', {"x": UINT8}, "not of expected type: uint8"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(body, inputs, said):
    with pytest.raises(Status, match=said):
        read(body, **inputs)


@pytest.mark.parametrize(
    ("value", "single", "expected"),
    [
        (0.1, False, "0.1"),
        (float(np.float32(0.1)), True, "0.1"),
        (1.0, True, "1.0"),
        (float(np.float32(1 / 3)), True, "0.333333343"),
        (1 / 3, False, "0.33333333333333331"),
        (1e20, False, "1e+20"),
        (float("nan"), True, "NaN"),
        (float("-inf"), True, "-Infinity"),
    ],
)
def test_floats_are_as_short_as_they_may_be(value, single, expected):
    assert text.number(value, single) == expected


def test_answers_in_both_formats():
    arrays = {"a": np.array([[1.5, 2.0]], np.float32), "n": np.array([3], np.int64)}
    assert text.parse(encode.body(arrays, True).encode()) == {"predictions": [{"a": [1.5, 2], "n": 3}]}
    assert text.parse(encode.body(arrays, False).encode()) == {"outputs": {"a": [[1.5, 2]], "n": [3]}}
    assert text.parse(encode.body({"a": arrays["a"]}, True).encode()) == {"predictions": [[1.5, 2]]}


def test_bytes_are_base64_where_the_name_says_so():
    arrays = {"x_bytes": np.array([b"\xff"], object), "s": np.array(["é".encode()], object)}
    assert encode.body(arrays, True).count('"b64": "/w=="') == 1
    assert '"s": "é"' in encode.body(arrays, True)


def test_an_answer_that_has_no_rows_is_refused_in_the_row_format():
    with pytest.raises(Status, match="Tensor name: a has no shape information"):
        encode.body({"a": np.float32(1).reshape(())}, True)
    with pytest.raises(Status, match="inconsistent batch size: 2 expecting: 1"):
        encode.body({"a": np.zeros(1, np.float32), "b": np.zeros(2, np.float32)}, True)
    assert encode.body({"a": np.zeros((0, 3), np.float32)}, True).split() == [
        "{",
        '"predictions":',
        "[]",
        "}",
    ]
