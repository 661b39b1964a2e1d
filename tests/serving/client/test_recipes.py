"""The recipes of serving/client/README.md, run as they stand but for the addresses.

grpcurl's is in test_messages, which has TensorFlow; Go's is not run.
"""

import json
import shutil
import subprocess
import sys

import pytest

from tests.serving.client._fake import picture
from tests.serving.client._page import recipes


@pytest.fixture
def run(fake, tmp_path):
    for name in ("seven.png", "line.png"):
        (tmp_path / name).write_bytes(picture(7))

    def of(recipe, *command):
        text = recipe.replace("localhost:8500", fake.grpc).replace("localhost:8501", fake.rest)
        return subprocess.check_output(command, input=text, cwd=tmp_path, text=True, timeout=60)

    return of


def needs(tool):
    return pytest.mark.skipif(not shutil.which(tool), reason=f"{tool} is not installed")


def test_python(run):
    synchronous, lines, asynchronous = recipes("`digits_client`", "python")
    assert run(synchronous, sys.executable, "-") == "7 0.9375 None by version 3\n"  # of the older contract
    assert run(asynchronous, sys.executable, "-") == "7\n"
    assert run(lines, sys.executable, "-") == "7.40 0.9375 True\n0.112 [0, None, 1, 1, 2]\n"


@needs("curl")
def test_curl(run):
    ask, line, status = recipes("curl", "sh")
    assert json.loads(run(ask, "sh"))["predictions"][0]["digit"] == 7
    assert json.loads(run(line, "sh"))["predictions"][0]["written"] == "7.40"
    for line in run(status.replace("\n", "; echo\n"), "sh").splitlines():
        (version,) = json.loads(line)["model_version_status"]
        assert (version["version"], version["state"]) == ("3", "AVAILABLE")


@needs("node")
def test_javascript(run):
    (recipe,) = recipes("JavaScript", "js")
    assert run(recipe, "node", "--input-type=module", "-") == "7 0.9375\n"
