"""Upstream's REST bodies over HTTP: JSON that is read, predict, classify, regress, status, metadata.

Answers are compared byte for byte, errors to the letter.
"""

import json
import urllib.error
import urllib.request

import pytest

from tests.serving import _models
from tests.serving.model_server._calls import serving


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    base = tmp_path_factory.mktemp("models")
    _models.half_plus(base / "half" / "123")
    _models.many(base / "many" / "1")
    _models.graded(base / "graded" / "1")
    _models.typed(base / "typed" / "1")
    names = ("half", "many", "graded", "typed")
    with serving(tmp_path_factory.mktemp("log"), {name: base / name for name in names}) as made:
        yield made


def post(server, call, body):
    """(status, the bytes of the answer)."""
    data = body if isinstance(body, bytes) else body.encode()
    request = urllib.request.Request(f"http://127.0.0.1:{server.rest_port}/v1/models/{call}", data)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=20) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def refused(server, call, body):
    status, data = post(server, call, body)
    return status, json.loads(data)["error"]


def in_type(name, form, values, more=""):
    return f'{{"signature_name": "{name}", "{form}": {values}{more}}}'


ROW, COLUMN = '{\n    "predictions": %s\n    ]\n}', '{\n    "outputs": %s\n}'


@pytest.mark.parametrize(
    ("call", "body", "expected"),
    [
        ("half:predict", '{"instances": [1.0, 2.0, 5.0]}', ROW % "[2.5, 3.0, 4.5"),
        ("half:predict", '{"instances": [[1.0], [2]]}', ROW % "[[2.5], [3.0]"),
        (
            "half:predict",
            '{"inputs": [[1.0], [2.0]]}',
            COLUMN
            % "[\n        [\n            2.5\n        ],\n        [\n            3.0\n        ]\n    ]",
        ),
        ("half:predict", '{"signature_name": "", "inputs": {"x": [3.0]}}', COLUMN % "[\n        3.5\n    ]"),
        (
            "many:predict",
            '{"instances": [{"a": [1, 2], "b": 3}, {"b": 0, "a": [0.5, 0]}]}',
            ROW
            % '[\n        {\n            "total": 6.0,\n            "twice": 12.0\n        },\n        {\n'
            '            "total": 0.5,\n            "twice": 1.0\n        }',
        ),
        (
            "many:predict",
            '{"inputs": {"a": [[1, 2]], "b": [3], "unknown": 1}}',
            COLUMN % '{\n        "total": [\n            6.0\n        ],\n        "twice": [\n'
            "            12.0\n        ]\n    }",
        ),
        ("many:predict", '{"signature_name": "scalar", "inputs": 7}', COLUMN % "7.0"),
        (
            "many:predict",
            '{"signature_name": "strings", "instances": [{"b64": "aGk="}]}',
            ROW % '[\n        {\n            "raw_bytes": {\n                "b64": "aGk="\n            },\n'
            '            "shouted": "HI"\n        }',
        ),
        ("graded:regress", '{"examples": [{"x": 80.0}, {"x": 1.5}]}', '{\n    "results": [42.0, 2.75]\n}'),
        (
            "graded:classify",
            '{"signature_name": "classify", "examples": [{"x": 1.0}, {"x": [20.0]}]}',
            '{\n    "results": [[["2.5", 2.5], ["other", -2.5]], [["12.0", 12.0], ["other", '
            "-12.0]]\n    ]\n}",
        ),
        (
            "graded:regress",
            '{"context": {"x": 80.0}, "examples": [{}, {"x": 2.0}], "signature_name": "regress_column"}',
            '{\n    "results": [42.0, 3.0]\n}',
        ),
        ("half:predict", '{"instances": [1.0]} and what follows', ROW % "[2.5"),
        ("half:predict", '\ufeff {"instances": [NaN, Inf, -Infinity]}', ROW % "[NaN, Infinity, -Infinity"),
        ("half:predict", '{"instances": [1], "n": ' + "[" * 900 + "]" * 900 + "}", ROW % "[2.5"),
        ("half:predict", '{"instances": [1e300, -1e300]}', ROW % "[Infinity, -Infinity"),
        ("half:predict", '{"instances": [1435774380, 1435774380.0]}', ROW % "[717887168.0, 717887168.0"),
    ],
)
def test_answers_byte_for_byte(server, call, body, expected):
    status, data = post(server, call, body)
    assert (status, data.decode()) == (200, expected)


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        (
            "float32",
            "[9000000, 999999, 0.5, 0.0003, 0.00003, 555557.5]",
            "[9e+06, 999999.0, 0.5, 0.0003, 3e-05, 555557.5",
        ),
        ("float32", "[0.2, 0.1, 16777217, -0.0]", "[0.2, 0.1, 16777216.0, -0.0"),
        ("float64", "[0.1, 1e-310, 123456789.125, 1e308]", "[0.1, 1e-310, 123456789.125, 1e+308"),
        ("float64", "[0.30000000000000004]", "[0.30000000000000004"),
        ("int32", "[2147483647, -2147483648, -0]", "[2147483647, -2147483648, 0"),
        (
            "int64",
            "[9223372036854775807, -9223372036854775808]",
            "[9223372036854775807, -9223372036854775808",
        ),
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


def test_bytes_that_are_no_utf8_come_as_base64_and_go_as_they_are(server):
    body = in_type("string", "instances", '[{"b64": "//4="}]')
    assert post(server, "typed:predict", body) == (200, b'{\n    "predictions": ["\xff\xfe"\n    ]\n}')
    assert refused(server, "typed:predict", b'{"instances": ["\xff"]}') == (
        400,
        'JSON Parse error: Not UTF-8. at offset: 16; send such bytes as base64, {"b64": "..."}',
    )


def test_whole_numbers_beyond_64_bits_are_numbers_beside_nan_too(server):
    long = "1" + "0" * 300
    body = in_type("float64", "instances", f"[NaN, 18446744073709551616, -{long}]")
    said = ROW % "[NaN, 1.8446744073709552e+19, -1e+300"
    assert post(server, "typed:predict", body) == (200, said.encode())
    body = f'{{"examples": [{{"x": {long}}}, {{"x": 80.0}}]}} {{}}'
    assert post(server, "graded:regress", body) == (200, b'{\n    "results": [Infinity, 42.0]\n}')


@pytest.mark.parametrize(
    ("call", "body", "said"),
    [
        ("half:predict", "", "JSON Parse error: The document is empty"),
        ("half:predict", "instances = [1, 2]", "JSON Parse error: Invalid value. at offset: 0"),
        ("half:predict", "[1.0]", "JSON Value: [1.0] Is not object"),
        (
            "half:predict",
            '{"signature_name": 100}',
            'JSON Value: {\n    "signature_name": 100\n} not formatted correctly. '
            "'signature_name' key must be a "
            "string value.",
        ),
        ("half:predict", '{"signature_name": "s"}', 'Serving signature name: "s" not found in signature def'),
        ("half:predict", "{}", "Missing 'inputs' or 'instances' key"),
        (
            "half:predict",
            '{"instances": [1], "inputs": [1]}',
            'JSON Value: {\n    "instances": [1],\n    "inputs": [1]\n} Not formatted '
            "correctly expecting only "
            "one of 'inputs' or 'instances' keys to exist ",
        ),
        (
            "half:predict",
            '{"instances": {}}',
            "JSON Value: {\n    \"instances\": {}\n} Expecting 'instances' to be an list/array",
        ),
        (
            "half:predict",
            '{"instances": []}',
            "JSON Value: {\n    \"instances\": []\n} No values in 'instances' array",
        ),
        (
            "half:predict",
            '{"instances": ["x", "y"]}',
            "Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT: JSON "
            'Value: "x" Type: '
            "String is not of expected type: float",
        ),
        (
            "half:predict",
            '{"instances": [[1, 2], [3]]}',
            "Failed to process element: 1 of 'instances' list. Error: INVALID_ARGUMENT: "
            "Expecting tensor size: 2 "
            "but got: 1",
        ),
        (
            "half:predict",
            '{"instances": [1, [1]]}',
            "Failed to process element: 1 of 'instances' list. Error: INVALID_ARGUMENT: "
            "Expecting shape [] but "
            "got: [1]",
        ),
        (
            "half:predict",
            '{"instances": [{"x": 1, "z": 2}]}',
            "Failed to process element: 0 key: z of 'instances' list. Error: INVALID_ARGUMENT: "
            "JSON object: does "
            "not have named input: z",
        ),
        (
            "many:predict",
            '{"instances": [{"a": [1, 2], "b": 1}, {"a": [1, 2]}]}',
            "Failed to process element: 1 of 'instances' list. JSON object: {\n    \"a\": [1, "
            "2]\n} keys must be "
            "equal to: a,b",
        ),
        (
            "many:predict",
            '{"instances": [[1, 2]]}',
            "instances is a plain list, but expecting list of objects as multiple input "
            "tensors required as per "
            "tensorinfo_map",
        ),
        (
            "many:predict",
            '{"inputs": [1, 2]}',
            "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
            "tensorinfo_map",
        ),
        (
            "many:predict",
            '{"instances": [{"a": [1, 2], "b": 1}, 5]}',
            "Expecting object but got list at item 1 of input list",
        ),
        (
            "half:predict",
            '{"instances": [1, {"x": 1}]}',
            "Expecting value/list but got object at item 1 of input list",
        ),
        ("many:predict", '{"inputs": {"a": [[1, 2]]}}', "Missing named input: b in 'inputs' object."),
        (
            "half:predict",
            '{"inputs": [[1], [2, 3]]}',
            "Encountered list at unexpected size: 2 at level: 1 expected size: 1",
        ),
        ("half:predict", '{"inputs": [1, [2]]}', "Encountered list at unexpected level: 1 expected < 1"),
        (
            "half:predict",
            '{"inputs": [[1], 2]}',
            "JSON Value: 2 found at incorrect level: 2 in the JSON DOM. Expected at level: 2",
        ),
        ("half:predict", '{"inputs": [true]}', "JSON Value: true Type: True is not of expected type: float"),
        ("half:predict", '{"inputs": [null]}', "JSON Value: null Type: Null is not of expected type: float"),
        (
            "half:predict",
            '{"inputs": [{"b64": "YQ=="}]}',
            'JSON Value: {\n    "b64": "YQ=="\n} Type: Object is not of expected type: float',
        ),
        (
            "typed:predict",
            in_type("int32", "inputs", "[1.0]"),
            "JSON Value: 1.0 Type: Number is not of expected type: int32",
        ),
        (
            "typed:predict",
            in_type("int32", "inputs", "[2147483648]"),
            "JSON Value: 2147483648 Type: Number is not of expected type: int32",
        ),
        (
            "typed:predict",
            in_type("int64", "inputs", "[9223372036854775808]"),
            "JSON Value: 9223372036854775808 Type: Number is not of expected type: int64",
        ),
        (
            "typed:predict",
            in_type("uint64", "inputs", "[18446744073709551616]"),
            "JSON Value: 18446744073709552000.0 Type: Number is not of expected type: uint64",
        ),
        (
            "typed:predict",
            in_type("uint8", "inputs", "[NaN]"),
            "JSON Value:  Type: Number is not of expected type: uint8",
        ),
        (
            "typed:predict",
            in_type("bool", "inputs", "[0]"),
            "JSON Value: 0 Type: Number is not of expected type: bool",
        ),
        (
            "typed:predict",
            in_type("string", "inputs", "[5]"),
            "JSON Value: 5 Type: Number is not of expected type: string",
        ),
        ("typed:predict", in_type("string", "inputs", '[{"b64": "*"}]'), "Unable to base64 decode"),
        (
            "typed:predict",
            in_type("string", "inputs", '[{"b64": "YQ==", "x": [1, {}]}]'),
            'JSON Value: {\n    "b64": "YQ==",\n    "x": [1, {}]\n} not formatted correctly for base64 data',
        ),
        (
            "typed:predict",
            in_type("string", "inputs", '[{"b64": 5}]'),
            'JSON Value: {\n    "b64": 5\n} not formatted correctly for base64 data',
        ),
        (
            "typed:predict",
            in_type("float16", "instances", "[1]"),
            "Failed to process element: 0 of 'instances' list. Error: UNIMPLEMENTED: "
            "Conversion of JSON Value: 1 to "
            "type: half",
        ),
        (
            "many:predict",
            '{"signature_name": "scalar", "instances": [7]}',
            "Tensor name: sum has no shape information ",
        ),
        (
            "graded:regress",
            '{"signature_name": ["x"], "examples": [{}]}',
            'JSON Value: {\n    "signature_name": ["x"],\n    "examples": [{}]\n} not formatted '
            "correctly. 'signature_name' key must be a string value.",
        ),
        (
            "graded:regress",
            "{}",
            "JSON Value: {} When method is classify, key 'examples' is expected and was not found",
        ),
        (
            "graded:classify",
            '{"examples": {}}',
            "JSON Value: {\n    \"examples\": {}\n} Expecting 'examples' value to be an list/array",
        ),
        (
            "graded:classify",
            '{"examples": []}',
            "JSON Value: {\n    \"examples\": []\n} 'examples' value is an empty array",
        ),
        ("graded:classify", '{"context": [{}]}', "Example must be JSON object but got JSON Array"),
        ("graded:regress", '{"examples": [[{}]]}', "Example must be JSON object but got JSON Array"),
        ("graded:regress", '{"examples": [5]}', "Example must be JSON object but got JSON Number"),
        (
            "graded:regress",
            '{"examples": [{"x": [10, null]}]}',
            "Feature: x has element with unexpected JSON type: Null",
        ),
        (
            "graded:regress",
            '{"examples": [{"x": [10, {"t": 10}]}]}',
            "Feature: x has element with unexpected JSON type: Object",
        ),
        (
            "graded:regress",
            '{"examples": [{"x": [[10], 20]}]}',
            "Feature: x has element with unexpected JSON type: Array",
        ),
        (
            "graded:regress",
            '{"examples": [{"x": [10, 10.0]}]}',
            "Unexpected element type in feature: x expecting type: int64",
        ),
        (
            "graded:regress",
            '{"examples": [{"x": [10.0, "a"]}]}',
            "Unexpected element type in feature: x expecting type: float",
        ),
        (
            "graded:regress",
            '{"examples": [{"x": ["a", true]}]}',
            "Unexpected element type in feature: x expecting type: bytes",
        ),
        (
            "graded:regress",
            '{"examples": [{"x": [20, 18446744073709551603]}]}',
            "Feature: x has uint64_t element. Only int64_t is supported.",
        ),
        ("graded:regress", '{"examples": [{"x": {"b64": "*"}}]}', "Unable to base64 decode"),
        (
            "graded:regress",
            '{"signature_name": "s", "examples": [{}]}',
            "No signature was found with the name: s",
        ),
    ],
)
def test_bad_bodies_are_refused_to_the_letter(server, call, body, said):
    assert refused(server, call, body) == (400, said)


@pytest.mark.parametrize("name", ["float16", "bfloat16", "complex64", "complex128", "uint16"])
def test_types_without_a_json_form(server, name):
    word = {"float16": "half"}.get(name, name)
    assert refused(server, "typed:predict", in_type(name, "inputs", "[[1]]")) == (
        501,
        f"Conversion of JSON Value: 1 to type: {word}",
    )
    empty = in_type(name, "inputs", "[]")
    assert post(server, "typed:predict", empty) == (200, (COLUMN % "[]").encode())


def test_features_are_typed_by_how_they_are_written(server):
    said = "Feature: x (data type: float) is required"
    for value in ("2", "true", '"2.0"', '{"b64": "Mi4w"}', "[]"):
        status, text = refused(server, "graded:regress", f'{{"examples": [{{"x": {value}}}]}}')
        assert status == 400 and ("Data types don't match" in text or said in text), value
    for value in ("2.0", "[2.0]", "2e0", "NaN", "1e300", "20000000000000000000"):
        assert post(server, "graded:regress", f'{{"examples": [{{"x": {value}}}]}}')[0] == 200, value


def test_nesting_of_a_bad_key_is_no_matter(server):
    deep = '{"signature_name": ' + "[" * 900 + "]" * 900 + "}"
    status, text = refused(server, "half:predict", deep)
    assert status == 400 and text.endswith("'signature_name' key must be a string value.")
    assert text.startswith('JSON Value: {\n    "signature_name": [[[[')


@pytest.mark.parametrize(("depth", "most"), [(65, 64), (900, 64), (100_000, 1000)])
def test_a_tensor_deeper_than_any_is_refused(server, depth, most):
    status, text = refused(server, "half:predict", '{"inputs": ' + "[" * depth + "]" * depth + "}")
    assert status == 400 and f"nested deeper than {most}" in text


def test_a_body_of_too_many_lists_is_refused(server):
    status, text = refused(server, "half:predict", '{"inputs": [' + "[]," * 1_000_000 + "[]]}")
    assert status == 400 and text == (
        "the request has more than 1000000 lists, objects and strings: send less at once, or raise "
        "--max_json_parts"
    )


def test_what_an_error_shows_of_a_value_is_cut(server):
    status, text = refused(server, "half:predict", json.dumps({"instances": 5, "x": list(range(5000))}))
    assert status == 400 and 256 < len(text) < 400 and text.endswith(" to be an list/array")


def test_errors_of_the_graph_come_through(server):
    status, text = refused(server, "many:predict", '{"inputs": {"a": [[1, 2], [3, 4]], "b": [1, 2, 3]}}')
    assert status == 400 and "Incompatible shapes: " in text


def test_status_in_full(server):
    ok = {"error_code": "OK", "error_message": ""}
    listed = [{"version": "123", "state": "AVAILABLE", "status": ok}]
    assert server.rest("/v1/models/half") == (200, {"model_version_status": listed})


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
    assert server.rest("/v1/models/half/metadata") == (
        200,
        {
            "model_spec": {"name": "half", "signature_name": "", "version": "123"},
            "metadata": {"signature_def": {"signature_def": {"serving_default": signature}}},
        },
    )
