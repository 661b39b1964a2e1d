"""The package by itself: light to import, small to install, in step with the project."""

import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import digits_client
from digits import wire
from digits.runtime import errors as project_errors
from digits_client import contract, errors

PACKAGE = Path(digits_client.__file__).parent
HEAVY = ("grpc", "httpcore", "httpx", "google.protobuf", "numpy", "tensorflow", "asyncio")

IMPORT = f"""
import sys, time
started = time.perf_counter()
import digits_client, digits_client.cli
print(time.perf_counter() - started)
print([name for name in {HEAVY} if name in sys.modules])
"""


def test_importing_it_takes_less_than_a_fifth_of_a_second_and_loads_nothing_heavy():
    times = []
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", IMPORT], capture_output=True, text=True, check=True)
        seconds, loaded = done.stdout.splitlines()
        assert loaded == "[]"
        times.append(float(seconds))
    assert min(times) < 0.2


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
    assert contract.MODEL == wire.MODEL
    assert (contract.PIXELS, contract.ENCODED) == (wire.PIXELS, wire.ENCODED)
    assert wire.INPUTS[contract.PIXELS] == {contract.IMAGES: ("uint8", (None, contract.SIDE, contract.SIDE))}
    assert wire.INPUTS[contract.ENCODED] == {contract.IMAGE_BYTES: ("string", (None,))}
    outputs = {
        contract.PROBABILITIES: ("float32", (None, contract.DIGITS)),
        contract.DIGIT: ("int64", (None,)),
        contract.CONFIDENCE: ("float32", (None,)),
        contract.ACCEPTED: ("bool", (None,)),
    }
    assert wire.OUTPUTS[contract.PIXELS] == wire.OUTPUTS[contract.ENCODED] == outputs


def test_its_errors_are_the_projects_in_name_order_and_code():
    for name in ("Unavailable", "DeadlineExceeded", "BadRequest", "ModelNotFound"):
        assert issubclass(getattr(errors, name), errors.ServingError)
        assert issubclass(getattr(project_errors, name), project_errors.ServingError)
    assert errors.ServingError.exit_code == project_errors.ServingError.exit_code


def installed_size(name, seen):
    """Bytes on disk of a distribution and all that it requires here, without extras that nobody asked for."""
    name, _, extras = name.partition("[")
    if name in seen:
        return 0
    seen.add(name)
    size = sum(Path(file.locate()).stat().st_size for file in metadata.files(name) if file.locate().exists())
    for need in metadata.requires(name) or ():
        marker = need.partition(";")[2]
        wanted = re.search(r"extra == ['\"]([^'\"]+)", marker)
        if wanted and wanted[1] not in extras:
            continue
        if "python_version <" in marker and '"3.15"' not in marker:
            continue
        size += installed_size(re.match(r"[A-Za-z0-9._-]+", need)[0].lower(), seen)
    return size


def test_it_installs_in_less_than_60_megabytes_with_all_that_it_needs():
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())["project"]
    seen = set()
    own = sum(file.stat().st_size for file in PACKAGE.glob("*.py"))
    needs = [re.match(r"[a-z]+(\[[a-z]+\])?", need)[0].rstrip("]") for need in project["dependencies"]]
    size = own + sum(installed_size(need, seen) for need in needs)
    assert {"grpcio", "protobuf", "httpcore", "h11", "anyio"} <= seen
    assert not {"numpy", "tensorflow"} & seen
    assert size < 60e6
