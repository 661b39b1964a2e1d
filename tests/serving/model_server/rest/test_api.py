"""Upstream's REST bodies over HTTP: JSON that is read, predict, classify, regress, status, metadata.

Answers are compared byte for byte, errors to the letter.
"""

import json

import pytest

from tests.serving.model_server.rest._http import ask


def post(server, call, body):
    """(status, the bytes of the answer)."""
    body = body if isinstance(body, bytes) else body.encode()
    status, _, data = ask(server, "POST", f"/v1/models/{call}", body)
    return status, data


def refused(server, call, body):
    status, data = post(server, call, body)
    return status, json.loads(data)["error"]


def in_type(name, form, values):
    return f'{{"signature_name": "{name}", "{form}": {values}}}'


ROW, COLUMN = '{\n    "predictions": %s\n    ]\n}', '{\n    "outputs": %s\n}'
PAIR = '{\n            "total": %s,\n            "twice": %s\n        }'


@pytest.mark.parametrize(
    ("call", "body", "expected"),
    [
        ("half:predict", '{"instances": [1.0, 2.0, 5.0]}', ROW % "[2.5, 3.0, 4.5"),
        ("half:predict", '{"instances": [[1.0], [2]]}', ROW % "[[2.5], [3.0]"),
        ("half:predict", '{"inputs": [[1.0]]}', COLUMN % "[\n        [\n            2.5\n        ]\n    ]"),
        ("half:predict", '{"signature_name": "", "inputs": {"x": [3.0]}}', COLUMN % "[\n        3.5\n    ]"),
        (
            "many:predict",
            '{"instances": [{"a": [1, 2], "b": 3}, {"b": 0, "a": [0.5, 0]}]}',
            ROW % f"[\n        {PAIR % (6.0, 12.0)},\n        {PAIR % (0.5, 1.0)}",
        ),
        (
            "many:predict",
            '{"inputs": {"a": [[1, 2]], "b": [3], "unknown": 1}}',
            COLUMN % '{\n        "total": [\n            6.0\n        ],\n        "twice": [\n'
            "            12.0\n        ]\n    }",
        ),
        ("many:predict", in_type("scalar", "inputs", 7), COLUMN % "7.0"),
        (
            "many:predict",
            in_type("strings", "instances", '[{"b64": "aGk="}]'),
            ROW % '[\n        {\n            "raw_bytes": {\n                "b64": "aGk="\n            },\n'
            '            "shouted": "HI"\n        }',
        ),
        ("graded:regress", '{"examples": [{"x": 80.0}, {"x": 1.5}]}', '{\n    "results": [42.0, 2.75]\n}'),
        (
            "graded:classify",
            '{"signature_name": "classify", "examples": [{"x": 1.0}, {"x": [20.0]}]}',
            '{\n    "results": [[["2.5", 2.5], ["other", -2.5]], '
            '[["12.0", 12.0], ["other", -12.0]]\n    ]\n}',
        ),
        (
            "graded:regress",
            '{"context": {"x": 80.0}, "examples": [{}, {"x": 2.0}], "signature_name": "regress_column"}',
            '{\n    "results": [42.0, 3.0]\n}',
        ),
        ("half:predict", '{"instances": [1.0]} and what follows', ROW % "[2.5"),
        ("half:predict", '\ufeff {"instances": [NaN, Inf, -Infinity]}', ROW % "[NaN, Infinity, -Infinity"),
        ("half:predict", '{"instances": [1], "n": ' + "[" * 900 + "]" * 900 + "}", ROW % "[2.5"),
        ("half:predict", '{"instances": [1e300, -1e300, 1e-50]}', ROW % "[Infinity, -Infinity, 2.0"),
    ],
)
def test_answers_byte_for_byte(server, call, body, expected):
    status, data = post(server, call, body)
    assert (status, data.decode()) == (200, expected)


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("float32", "[9e6, 999999, 0.0003, 3e-05]", "[9e+06, 999999.0, 0.0003, 3e-05"),
        ("float32", "[0.2, 16777217, -0.0, 0.33333333]", "[0.2, 16777216.0, -0.0, 0.333333343"),
        ("float64", "[1e-310, 123456789.125, 1e308]", "[1e-310, 123456789.125, 1e+308"),
        ("float64", f"[0.30000000000000004, {1 / 3}]", "[0.30000000000000004, 0.33333333333333331"),
        ("float64", f"[NaN, 18446744073709551616, -1{'0' * 300}]", "[NaN, 1.8446744073709552e+19, -1e+300"),
        ("int32", "[2147483647, -2147483648, -0]", "[2147483647, -2147483648, 0"),
        ("int64", f"[{2**63 - 1}, -{2**63}]", f"[{2**63 - 1}, -{2**63}"),
        ("uint32", "[4294967295]", "[4294967295"),
        ("uint64", "[18446744073709551615]", "[18446744073709551615"),
        ("int8", "[-128, 127]", "[-128, 127"),
        ("int16", "[-32768]", "[-32768"),
        ("uint8", "[255, 0]", "[255, 0"),
        ("bool", "[true, false]", "[true, false"),
        ("string", r'["a\"\\\n\u00e9\ud83d\ude00/", {"b64": "aGVsbG8"}]', '["a\\"\\\\\\né😀/", "hello"'),
    ],
)
def test_numbers_and_words_of_every_type(server, name, given, expected):
    status, data = post(server, "typed:predict", in_type(name, "instances", given))
    assert (status, data.decode()) == (200, ROW % expected)


@pytest.mark.parametrize("packed", ["//4=", "__4"])
def test_bytes_that_are_no_utf8_come_as_base64_and_go_as_they_are(server, packed):
    body = in_type("string", "instances", f'[{{"b64": "{packed}"}}]')
    assert post(server, "typed:predict", body) == (200, b'{\n    "predictions": ["\xff\xfe"\n    ]\n}')
    said = 'JSON Parse error: Not UTF-8. at offset: 16; send such bytes as base64, {"b64": "..."}'
    assert refused(server, "typed:predict", b'{"instances": ["\xff"]}') == (400, said)


ELEMENT = "Failed to process element: %s of 'instances' list. Error: INVALID_ARGUMENT: %s"
OBJECT = "JSON Value: {\n    %s\n} %s"
KIND = "JSON Value: %s Type: %s is not of expected type: %s"
MIXED = "Unexpected element type in feature: x expecting type: "
WRONG = {
    "half:predict": {
        "": "JSON Parse error: The document is empty",
        "instances = [1, 2]": "JSON Parse error: Invalid value. at offset: 0",
        "[1.0]": "JSON Value: [1.0] Is not object",
        '{"signature_name": 100}': OBJECT
        % ('"signature_name": 100', "not formatted correctly. 'signature_name' key must be a string value."),
        '{"signature_name": "s"}': 'Serving signature name: "s" not found in signature def',
        "{}": "Missing 'inputs' or 'instances' key",
        '{"instances": [1], "inputs": [1]}': OBJECT
        % (
            '"instances": [1],\n    "inputs": [1]',
            "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist ",
        ),
        '{"instances": {}}': OBJECT % ('"instances": {}', "Expecting 'instances' to be an list/array"),
        '{"instances": []}': OBJECT % ('"instances": []', "No values in 'instances' array"),
        '{"instances": ["x", "y"]}': ELEMENT % (0, KIND % ('"x"', "String", "float")),
        '{"instances": [[1, 2], [3]]}': ELEMENT % (1, "Expecting tensor size: 2 but got: 1"),
        '{"instances": [1, [1]]}': ELEMENT % (1, "Expecting shape [] but got: [1]"),
        '{"instances": [{"x": 1, "z": 2}]}': ELEMENT
        % ("0 key: z", "JSON object: does not have named input: z"),
        '{"instances": [1, {"x": 1}]}': "Expecting value/list but got object at item 1 of input list",
        '{"inputs": [[1], [2, 3]]}': "Encountered list at unexpected size: 2 at level: 1 expected size: 1",
        '{"inputs": [1, [2]]}': "Encountered list at unexpected level: 1 expected < 1",
        '{"inputs": [[1], 2]}': "JSON Value: 2 found at incorrect level: 2 in the JSON DOM. "
        "Expected at level: 2",
        '{"inputs": [true]}': KIND % ("true", "True", "float"),
        '{"inputs": [null]}': KIND % ("null", "Null", "float"),
        '{"inputs": [{"b64": "YQ=="}]}': KIND % ('{\n    "b64": "YQ=="\n}', "Object", "float"),
    },
    "many:predict": {
        '{"instances": [{"a": [1, 2], "b": 1}, {"a": [1, 2]}]}': "Failed to process element: 1 of "
        "'instances' list. JSON object: {\n    \"a\": [1, 2]\n} keys must be equal to: a,b",
        '{"instances": [[1, 2]]}': "instances is a plain list, but expecting list of objects as multiple "
        "input tensors required as per tensorinfo_map",
        '{"inputs": [1, 2]}': "inputs is a plain value/list, but expecting an object as multiple input "
        "tensors required as per tensorinfo_map",
        '{"instances": [{"a": [1, 2], "b": 1}, 5]}': "Expecting object but got list at item 1 of input list",
        '{"inputs": {"a": [[1, 2]]}}': "Missing named input: b in 'inputs' object.",
        in_type("scalar", "instances", "[7]"): "Tensor name: sum has no shape information ",
    },
    "typed:predict": {
        in_type("int32", "inputs", "[1.0]"): KIND % ("1.0", "Number", "int32"),
        in_type("int32", "inputs", "[2147483648]"): KIND % (2**31, "Number", "int32"),
        in_type("int64", "inputs", f"[{2**63}]"): KIND % (2**63, "Number", "int64"),
        in_type("uint64", "inputs", f"[{2**64}]"): KIND % ("18446744073709552000.0", "Number", "uint64"),
        in_type("uint8", "inputs", "[256]"): KIND % (256, "Number", "uint8"),
        in_type("uint8", "inputs", "[-1]"): KIND % (-1, "Number", "uint8"),
        in_type("uint8", "inputs", "[NaN]"): KIND % ("", "Number", "uint8"),
        in_type("uint8", "inputs", "[[1, 2], [3, false]]"): KIND % ("false", "False", "uint8"),
        in_type("bool", "inputs", "[0]"): KIND % (0, "Number", "bool"),
        in_type("string", "inputs", "[5]"): KIND % (5, "Number", "string"),
        in_type("string", "inputs", '[{"b64": "*"}]'): "Unable to base64 decode",
        in_type("string", "inputs", '[{"b64": "YQ==", "x": [1, {}]}]'): OBJECT
        % ('"b64": "YQ==",\n    "x": [1, {}]', "not formatted correctly for base64 data"),
    },
    "graded:classify": {
        "{}": "JSON Value: {} When method is classify, key 'examples' is expected and was not found",
        '{"examples": {}}': OBJECT % ('"examples": {}', "Expecting 'examples' value to be an list/array"),
        '{"examples": []}': OBJECT % ('"examples": []', "'examples' value is an empty array"),
        '{"context": [{}]}': "Example must be JSON object but got JSON Array",
    },
    "graded:regress": {
        '{"signature_name": "s", "examples": [{}]}': "No signature was found with the name: s",
        '{"examples": [5]}': "Example must be JSON object but got JSON Number",
        '{"examples": [{"x": [10, null]}]}': "Feature: x has element with unexpected JSON type: Null",
        '{"examples": [{"x": [10, {"t": 10}]}]}': "Feature: x has element with unexpected JSON type: Object",
        '{"examples": [{"x": [[10], 20]}]}': "Feature: x has element with unexpected JSON type: Array",
        '{"examples": [{"x": [10, 10.0]}]}': MIXED + "int64",
        '{"examples": [{"x": [10.0, "a"]}]}': MIXED + "float",
        '{"examples": [{"x": ["a", true]}]}': MIXED + "bytes",
        '{"examples": [{"x": [18446744073709551603]}]}': "Feature: x has uint64_t element. "
        "Only int64_t is supported.",
        '{"examples": [{"x": {"b64": "*"}}]}': "Unable to base64 decode",
    },
}


@pytest.mark.parametrize(
    ("call", "body", "said"), [(call, *each) for call, bodies in WRONG.items() for each in bodies.items()]
)
def test_bad_bodies_are_refused_to_the_letter(server, call, body, said):
    assert refused(server, call, body) == (400, said)


@pytest.mark.parametrize("name", ["float16", "bfloat16", "complex64", "complex128", "uint16"])
def test_types_without_a_json_form(server, name):
    word = {"float16": "half"}.get(name, name)
    said = f"Conversion of JSON Value: 1 to type: {word}"
    assert refused(server, "typed:predict", in_type(name, "inputs", "[[1]]")) == (501, said)
    empty = in_type(name, "inputs", "[]")
    assert post(server, "typed:predict", empty) == (200, (COLUMN % "[]").encode())


def test_an_answer_of_a_type_that_json_lacks_is_refused(server):
    said = "Failed to write JSON value for tensor type: bfloat16"
    assert refused(server, "modern:predict", '{"instances": [[1.0, 2.0, 3.0]]}') == (400, said)


def test_features_are_typed_by_how_they_are_written(server):
    said = "Feature: x (data type: float) is required"
    for value in ("2", "true", '"2.0"', '{"b64": "Mi4w"}', "[]"):
        status, text = refused(server, "graded:regress", f'{{"examples": [{{"x": {value}}}]}}')
        assert status == 400 and ("Data types don't match" in text or said in text), value
    for value in ("2.0", "[2.0]", "2e0", "NaN", "1e300", "20000000000000000000"):
        assert post(server, "graded:regress", f'{{"examples": [{{"x": {value}}}]}}')[0] == 200, value


@pytest.mark.parametrize(("depth", "most"), [(65, 64), (900, 64), (100_000, 1000)])
def test_a_tensor_deeper_than_any_is_refused(server, depth, most):
    status, text = refused(server, "half:predict", '{"inputs": ' + "[" * depth + "]" * depth + "}")
    assert status == 400 and f"nested deeper than {most}" in text


def test_what_an_error_shows_of_a_value_is_cut(server):
    status, text = refused(server, "half:predict", json.dumps({"instances": 5, "x": list(range(5000))}))
    assert status == 400 and 256 < len(text) < 400 and text.endswith(" to be an list/array")


def test_a_signature_without_inputs_is_for_grpc_only_as_upstream(server):
    said = "Failed to get input map for signature: get_counter"
    assert refused(server, "counter:predict", in_type("get_counter", "inputs", "{}")) == (400, said)


def test_status_in_full(server):
    ok = {"error_code": "OK", "error_message": ""}
    listed = [{"version": "7", "state": "AVAILABLE", "status": ok}]
    assert server.rest("/v1/models/many") == (200, {"model_version_status": listed})


def test_metadata_in_full(server):
    def told(name):
        dims = [{"size": "-1", "name": ""}, {"size": "1", "name": ""}]
        return {"dtype": "DT_FLOAT", "tensor_shape": {"dim": dims, "unknown_rank": False}, "name": name}

    signature = {
        "inputs": {"x": told("x:0")},
        "outputs": {"y": told("y:0")},
        "method_name": "tensorflow/serving/predict",
        "defaults": {},
    }
    spec = {"name": "half", "signature_name": "", "version": "123"}
    metadata = {"signature_def": {"signature_def": {"serving_default": signature}}}
    assert server.rest("/v1/models/half/metadata") == (200, {"model_spec": spec, "metadata": metadata})
