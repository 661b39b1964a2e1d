"""The wheel of the project: whole, and every entry point starts from it rather than from this tree."""

import configparser
import json
import subprocess
import sys
import sysconfig
import zipfile

import pytest

from digits_cli import COMMANDS
from tests._project import source_files
from tests.contract._graph import ROOT

pytestmark = pytest.mark.slow  # builds and installs

# Without the site module the editable install of this tree is not on the path.
START = """
import importlib, json, sys
sys.path[:0], (module, name, *arguments) = json.loads(sys.argv[1]), sys.argv[2:]
function = getattr(importlib.import_module(module), name)
assert sys.modules[module].__file__.startswith(sys.path[0]), sys.modules[module].__file__
sys.argv = [name, *arguments]
sys.exit(function())
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT))
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The folder that it is installed into, without the libraries that it needs: those are here."""
    folder = tmp_path_factory.mktemp("installed")
    pip("install", "--target", str(folder), str(wheel))
    return folder


def pip(command, *arguments):
    options = ["-q", "--no-deps", "--no-index", "--disable-pip-version-check"]
    done = subprocess.run(
        [sys.executable, "-m", "pip", command, *options, *arguments], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def start(installed, *arguments):
    """Run a function of a module with arguments from what is installed."""
    path = json.dumps([str(installed), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")])
    command = [sys.executable, "-I", "-S", "-c", START, path, *arguments]
    done = subprocess.run(command, cwd=installed, capture_output=True, text=True, timeout=300)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def test_every_file_of_the_packages_is_in_it_and_no_file_of_a_project_beside_them(wheel):
    inside = set(zipfile.ZipFile(wheel).namelist())
    client = "serving/client/"
    for name in source_files():
        if name.startswith(client):
            name = name.removeprefix(client)
            assert (name in inside) == name.startswith("digits_client/"), name
        elif name.startswith(("src/digits/", "src/digits_cli/", "serving/", "flows/")):
            assert name.removeprefix("src/") in inside, name
    tops = {name.partition("/")[0] for name in inside if ".dist-info" not in name}
    assert tops == {"digits", "digits_cli", "digits_client", "serving", "flows"}


def test_every_entry_point_and_command_starts(installed):
    points = configparser.ConfigParser()
    points.read(next(installed.glob("*.dist-info")) / "entry_points.txt")
    scripts = dict(points["console_scripts"])
    assert set(scripts) == {"digits", "digits-client", "digits-read", "digits-model-server"}
    for name, target in scripts.items():
        done = start(installed, *target.split(":"), "--help")
        assert done.returncode == (255 if name == "digits-model-server" else 0), done.stderr
        assert "usage" in (done.stdout + done.stderr).lower()
    for command in COMMANDS:
        assert "usage" in start(installed, "digits_cli", "main", command, "--help").stdout
