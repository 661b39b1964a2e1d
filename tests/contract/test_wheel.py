"""The wheels of the three projects: whole, and every entry point starts from them, not from this tree."""

import configparser
import json
import signal
import subprocess
import sys
import sysconfig
import time
import urllib.request
import zipfile
from functools import cache

import pytest

from digits_cli import COMMANDS
from tests._ports import free_port
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
CLIENT = {"serving/client/digits_client/": "digits_client/"}
MODEL_SERVER = {"serving/model_server/digits_model_server/": "digits_model_server/"}
# By project: which folders are in its wheel, where, and its commands. None: not there.
PROJECTS = {
    "": (
        {"src/digits/": "digits/", "src/digits_cli/": "digits_cli/", "flows/": "flows/"}
        | {"serving/": "serving/", "serving/client/": None, "serving/model_server/": None}
        | CLIENT
        | MODEL_SERVER,
        {"digits", "digits-client", "digits-read", "digits-model-server"},
    ),
    "serving/client": (CLIENT, {"digits-client", "digits-read"}),
    "serving/model_server": (MODEL_SERVER, {"digits-model-server"}),
}


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """Return a project's wheel and the folder where it is installed, without the libraries that it needs."""

    @cache
    def made(project):
        wheels, installed = (tmp_path_factory.mktemp(name) for name in ("wheels", "installed"))
        pip("wheel", "--no-build-isolation", "--wheel-dir", str(wheels), str(ROOT / project))
        (wheel,) = wheels.glob("*.whl")
        pip("install", "--target", str(installed), str(wheel))
        return wheel, installed

    return made


def pip(command, *arguments):
    options = ["-q", "--no-deps", "--no-index", "--disable-pip-version-check"]
    done = subprocess.run(
        [sys.executable, "-m", "pip", command, *options, *arguments], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def command(installed, *arguments):
    """The command line that runs a function of a module with arguments from what is installed."""
    path = json.dumps([str(installed), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")])
    return [sys.executable, "-I", "-S", "-c", START, path, *arguments]


def start(installed, *arguments):
    """Run it to its end."""
    words = command(installed, *arguments)
    done = subprocess.run(words, cwd=installed, capture_output=True, text=True, timeout=300)
    assert "Traceback" not in done.stderr, done.stderr
    return done


@pytest.mark.parametrize("project", PROJECTS)
def test_every_file_of_the_packages_is_in_it_and_nothing_else(build, project):
    places, _ = PROJECTS[project]
    expected = set()
    for name in source_files():
        folder = max((each for each in places if name.startswith(each)), key=len, default=None)
        if folder and places[folder] is not None:
            expected.add(places[folder] + name.removeprefix(folder))
    wheel, _ = build(project)
    assert {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name} == expected


@pytest.mark.parametrize("project", PROJECTS)
def test_every_entry_point_and_command_starts(build, project):
    _, installed = build(project)
    points = configparser.ConfigParser()
    points.read(next(installed.glob("*.dist-info")) / "entry_points.txt")
    scripts = dict(points["console_scripts"])
    assert set(scripts) == PROJECTS[project][1]
    for name, target in scripts.items():
        done = start(installed, *target.split(":"), "--help")
        assert done.returncode == (255 if name == "digits-model-server" else 0), done.stderr
        assert "usage" in (done.stdout + done.stderr).lower()
    for each in COMMANDS if "digits" in scripts else ():
        assert "usage" in start(installed, "digits_cli", "main", each, "--help").stdout


def test_the_model_server_alone_serves_any_saved_model(build, tmp_path):
    from tests.serving import _models  # loads TensorFlow

    _, installed = build("serving/model_server")
    port = free_port()
    flags = [f"--port={free_port()}", f"--rest_api_port={port}"]
    flags.append(f"--model_base_path={_models.half_plus(tmp_path / 'half' / '1').parent}")
    words = command(installed, "digits_model_server.main", "run", *flags)
    with (tmp_path / "log").open("w+") as log, subprocess.Popen(words, cwd=tmp_path, stderr=log) as process:
        try:
            url, body = f"http://127.0.0.1:{port}/v1/models/default:predict", b'{"instances": [1.0, 2.0]}'
            end = time.monotonic() + 60
            while True:
                try:
                    answer = json.load(urllib.request.urlopen(url, body, timeout=20))
                    break
                except OSError:
                    running = process.poll() is None and time.monotonic() < end
                    assert running, (tmp_path / "log").read_text()
                    time.sleep(0.2)
            assert answer == {"predictions": [2.5, 3.0]}
        finally:
            process.send_signal(signal.SIGTERM)
    assert process.returncode == 0
