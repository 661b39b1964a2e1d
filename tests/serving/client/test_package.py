"""The package by itself: light to import, in step with the project."""

import subprocess
import sys

from digits import wire
from digits.export.lines import MOST_COLUMNS
from digits.line_model import lines as line_model
from digits_client import contract
from digits_client.results import LineOutputs

HEAVY = ("grpc", "httpcore", "httpx", "google.protobuf", "numpy", "tensorflow", "asyncio")

IMPORT = f"""
import sys, time
started = time.process_time()
import digits_client, digits_client.cli
print(time.process_time() - started)
print([name for name in {HEAVY} if name in sys.modules])
"""


def test_importing_it_takes_less_than_a_fifth_of_a_second_and_loads_nothing_heavy():
    seconds, loaded = subprocess.check_output([sys.executable, "-c", IMPORT], text=True).splitlines()
    assert loaded == "[]" and float(seconds) < 0.2


def test_using_it_needs_neither_numpy_nor_tensorflow(fake):
    code = f"""
import sys, asyncio
from digits_client import AsyncDigitClient, DigitClient
image = [[5] + [0] * 27] + [[0] * 28] * 27
async def one(address, transport):
    async with AsyncDigitClient(address, transport) as client:
        return await client.predict(image)
for transport, address in (("grpc", {fake.grpc!r}), ("rest", {fake.rest!r})):
    with DigitClient(address, transport) as client:
        assert client.predict(image)[0].digit == 5
    assert asyncio.run(one(address, transport))[0].digit == 5
print([name for name in ("numpy", "tensorflow", "tensorflow_serving", "digits") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_its_names_are_the_contracts():
    names = ("MODEL", "PIXELS", "ENCODED", "LINES", "LINES_ENCODED")
    assert [getattr(contract, name) for name in names] == [getattr(wire, name) for name in names]
    assert wire.INPUTS[contract.PIXELS] == {contract.IMAGES: ("uint8", (None, contract.SIDE, contract.SIDE))}
    assert wire.INPUTS[contract.ENCODED] == {contract.IMAGE_BYTES: ("string", (None,))}
    outputs = {
        contract.PROBABILITIES: ("float32", (None, contract.DIGITS)),
        contract.DIGIT: ("int64", (None,)),
        contract.CONFIDENCE: ("float32", (None,)),
        contract.ACCEPTED: ("bool", (None,)),
    }
    assert wire.OUTPUTS[contract.PIXELS] == wire.OUTPUTS[contract.ENCODED] == outputs
    assert wire.INPUTS[contract.LINES_ENCODED] == {contract.IMAGE_BYTES: ("string", (None,))}
    pixels, width = ("uint8", (None, contract.HEIGHT, None)), ("int32", (None,))
    assert wire.INPUTS[contract.LINES] == {contract.LINE_IMAGES: pixels, contract.WIDTH: width}
    named = {name: shape for name, (_, shape) in wire.OUTPUTS[contract.LINES].items()}
    assert set(named) == set(LineOutputs.__slots__) - {"version"}
    assert named[contract.CHARACTER] == (None, contract.LONGEST)
    assert named[contract.COLUMNS] == (None, None, contract.COLUMN)
    assert (contract.SEPARATOR, contract.WIDEST) == (line_model.SEPARATOR, line_model.WIDEST)
    assert contract.MOST_LINES * contract.WIDEST <= MOST_COLUMNS
