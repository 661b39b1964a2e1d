"""JSON bodies that cost far more to read than to send: refused by their bytes, before they are parsed."""

import json
import random
import time
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest
from tensorflow_serving.apis import input_pb2

from digits_model_server.limits import Limits
from digits_model_server.rest.json import decode, examples, scan, text
from digits_model_server.runtime.saved_model import Tensor
from digits_model_server.status import DEADLINE_EXCEEDED, Status

FLOAT, UINT8, STRING, BOOL = 1, 4, 7, 10
SIZE = 30_000_000
LIMITS = Limits()


def signature(dtype=FLOAT, shape=(-1, -1), **more):
    return SimpleNamespace(inputs={"x": Tensor("x:0", dtype, shape), **more})


def read(body, taker, bounds=None):
    """Read a body as the REST API does."""
    scan.check_parts(body, LIMITS.json_parts)
    if len(body) > scan.SMALL:
        scan.check_predict(body, [taker], LIMITS)
    return decode.predict_inputs(text.parse(body), taker, bounds or decode.Bounds(LIMITS.json_depth))[0]


def repeated(unit, head=b'{"instances":[', tail=b"]}", size=SIZE):
    return head + unit * ((size - len(head) - len(tail)) // len(unit)) + unit.rstrip(b",") + tail


MANY = "lists, objects and strings"
ROW = b'{"instances":[['
HOSTILE = {  # what makes a body, and why it is refused
    "lists": (b"[],", MANY),
    "deep lists": (b"[", b"", b"", MANY),
    "objects": (b"{},", MANY),
    "strings": (b'"ab",', MANY),
    "objects with a key": (b'{"a":1},', MANY),
    "long keys": (b'"%s":0,' % (b"k" * 100), b"{", b"}", "an object of more than 1000 keys"),
    "rows": (b"0,", "more than 4096 rows"),
    "a list among numbers": (b"0,", ROW + b"[0],", b"]]}", "unequal lengths"),
    "a string among numbers": (b"0,", ROW + b'"%s",' % (b"a" * 1000), b"]]}", "unequal lengths"),
    "null at the end": (b"0,", ROW, b",null]]}", "true, false or null"),
}  # fmt: skip


@pytest.mark.parametrize("kind", HOSTILE)
def test_thirty_megabytes_that_no_model_takes_cost_two_seconds_and_three_times_their_size(kind):
    *given, said = HOSTILE[kind]
    body = repeated(*given)
    assert len(body) > 0.99 * SIZE
    tracemalloc.start()
    begun = time.process_time()
    try:
        with pytest.raises(Status, match=said):
            read(body, signature())
        assert time.process_time() - begun < 2
        assert tracemalloc.get_traced_memory()[1] < 3 * len(body)
    finally:
        tracemalloc.stop()


def test_a_wrong_number_behind_millions_of_right_ones_is_found_in_two_seconds():
    begun = time.process_time()
    with pytest.raises(Status, match="is not of expected type: uint8"):
        read(ROW + b"0," * 7_000_000 + b"256]]}", signature(UINT8))
    assert time.process_time() - begun < 2


def test_a_string_for_a_number_is_not_copied_for_each_number_beside_it():
    body = ROW + b'"%s",' % (b"a" * 1000) + b"0," * 100_000 + b"0]]}"  # NumPy would make 400 MB of it
    tracemalloc.start()
    try:
        with pytest.raises(Status, match=r'JSON Value: "aaa.* Type: String is not of expected type: float'):
            read(body, signature())
        assert tracemalloc.get_traced_memory()[1] < 20 * len(body)
    finally:
        tracemalloc.stop()


def test_thirty_megabytes_of_numbers_are_read_to_the_last_digit():
    numbers = np.random.default_rng(5).normal(size=(400, 3800))
    body = json.dumps({"instances": numbers.tolist()}).encode()
    assert len(body) > 0.95 * SIZE
    assert np.array_equal(read(body, signature(2))["x"], numbers)


def rows(count, values=1):
    """A body beyond SMALL that counts as so many rows."""
    row = ", ".join(["0." + "0" * (2 * scan.SMALL // count // values)] * values)
    return ('{"instances": [' + ", ".join([f"[{row}]"] * count) + "]}").encode()


def test_as_many_rows_as_allowed_are_read_and_one_more_is_refused():
    for count in (LIMITS.batch_rows - 1, LIMITS.batch_rows):
        assert len(rows(count)) > scan.SMALL
        assert read(rows(count), signature())["x"].shape == (count, 1)
    with pytest.raises(Status, match="more than 4096 rows: send smaller batches, or raise --max_batch_rows"):
        read(rows(LIMITS.batch_rows + 1), signature())
    assert read(rows(LIMITS.batch_rows + 1), signature(shape=(4097, 1)))["x"].shape == (4097, 1)
    scan.check_examples(json.dumps({"examples": [{"x": [1, 2]}] * LIMITS.batch_rows}).encode(), LIMITS)
    with pytest.raises(Status, match="more than 4096 rows"):
        scan.check_examples(json.dumps({"examples": [{}] * (LIMITS.batch_rows + 1)}).encode(), LIMITS)


def test_values_are_counted_against_the_shape_of_the_signature():
    most = 3 * LIMITS.batch_rows + scan.EXTRA
    for values in (most, most + 1):
        assert read(rows(1, values), signature())["x"].shape == (1, values)
    scan.check_predict(rows(1, most + 1), [signature(shape=(-1, 3))], LIMITS)
    with pytest.raises(Status, match="more values than the model takes, 12288"):
        scan.check_predict(rows(1, most + 2), [signature(shape=(-1, 3))], LIMITS)


def test_no_tensor_that_json_can_say_is_taken_for_a_hostile_one():
    dice = random.Random(3)
    words = ['[[,"', "]}\\", '\\"', '"', "é{", "true,null", ""]

    values = {
        FLOAT: [0, -1.5, 1e30, float("nan"), float("inf")],
        STRING: [*words, {"b64": "YQ=="}],
        BOOL: [True, False],
    }

    def tensor(kind, shape):
        return [tensor(kind, shape[1:]) for _ in range(shape[0])] if shape else dice.choice(values[kind])

    for _ in range(300):
        kind, other = dice.choice([FLOAT, STRING, BOOL]), dice.choice([FLOAT, STRING])
        shape = [dice.randrange(1, 4) for _ in range(dice.randrange(1, 4))]
        x, y = tensor(kind, shape), tensor(other, shape[:1])
        pair = signature(kind, (-1,) * len(shape), y=Tensor("y:0", other, (-1,)))
        alone = signature(kind, (-1,) * len(shape))
        objects = [dice.choice([{"x": a, "y": b}, {"y": b, "x": a}]) for a, b in zip(x, y, strict=True)]
        for body, taker in (
            ({"instances": x}, alone),
            ({"inputs": x, "signature_name": "é[", "debug": True}, alone),
            ({"inputs": {"x": x, "y": y}}, pair),
            ({"note": {"a": "b"}, "instances": objects}, pair),
        ):
            written = json.dumps(
                body, indent=dice.choice([None, 2]), ensure_ascii=dice.random() < 0.5
            ).encode()
            before, after = dice.choice([b"", b"\xef\xbb\xbf"]), dice.choice([b"", b" ]], text"])
            scan.check_predict(before + written + after, [taker], LIMITS)
            assert text.parse(before + written + after), written


def test_reading_ends_when_the_time_of_the_request_is_up():
    late = decode.Bounds(end=time.monotonic())
    begun = time.monotonic()
    with pytest.raises(Status) as caught:
        read(json.dumps({"inputs": [[True]] * 400_000}).encode(), signature(BOOL, None), late)
    assert caught.value.code == DEADLINE_EXCEEDED and time.monotonic() - begun < 5

    with pytest.raises(Status) as caught:
        examples.fill(input_pb2.Input(), {"examples": [{"x": 1}]}, late)
    assert caught.value.code == DEADLINE_EXCEEDED
