"""`setup.sh` on every other Python that is installed, and a run of the pipeline's light half there."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests._project import project


def other_pythons():
    """Interpreters of 3.11 to 3.13, other than this one, on PATH or under pyenv."""
    found = {}
    for minor in {11, 12, 13} - {sys.version_info.minor}:
        name = f"python3.{minor}"
        pyenv = sorted((Path.home() / ".pyenv" / "versions").glob(f"3.{minor}.*/bin/{name}"))
        for candidate in [*map(str, pyenv), shutil.which(name)]:
            if candidate and not subprocess.run([candidate, "-c", ""], check=False, stderr=-3).returncode:
                found[name] = candidate
    return found


PYTHONS = other_pythons()
OLDER = [pytest.param(name, marks=pytest.mark.exhaustive) for name in sorted(PYTHONS)[:-1]]


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", [*OLDER, *sorted(PYTHONS)[-1:]])
def test_the_lock_installs_and_the_pipeline_runs_on(name, tmp_path):
    made = project(tmp_path, git=False)
    kept = {k: v for k, v in os.environ.items() if k.startswith(("PIP_", "UV_", "SSL_", "HOME"))}
    made.environment |= kept | {"PYTHON": PYTHONS[name]}
    del made.environment["PYTHONPATH"]
    made.ok("sh", "setup.sh")
    python = made.root / ".venv" / "bin" / "python"
    assert made.ok(str(python), "--version").startswith(f"Python 3.{name.rpartition('.')[2]}")
    done = made.run(str(python), "-m", "digits_cli", "run")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed" in done.stdout
    shutil.rmtree(made.root / ".venv")


def test_without_a_fitting_python_setup_says_what_to_install(tmp_path):
    made = project(tmp_path, train=20, test=20, git=False)
    done = made.run("sh", "setup.sh", PYTHON="/nonexistent/python")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1 and "3.11 to 3.13" in done.stderr
