"""`setup.sh` on every other Python that is installed and a run of the pipeline there; the locked extras.

What installs needs a package index, or uv's cache: the slow tests.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests._project import ROOT, project


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
    made.ok("sh", "setup.sh", "ssh")
    assert (made.root / ".venv" / ".extras").read_text() == "ssh\n"
    python = made.root / ".venv" / "bin" / "python"
    made.ok(str(python), "-c", "import digits, dvc_ssh, sys; assert 'site-packages' not in digits.__file__")
    assert made.ok(str(python), "--version").startswith(f"Python 3.{name.rpartition('.')[2]}")
    done = made.run(str(python), "-m", "digits_cli", "run")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed" in done.stdout
    shutil.rmtree(made.root / ".venv")


SMALL = {"azure": "adlfs", "gs": "gcsfs", "ssh": "sshfs"}  # and a package that each brings


@pytest.mark.slow
def test_extras_install_as_they_are_locked(tmp_path):
    """The small ones for real; of CUDA's gigabytes only that the index has them, with the lock's digests."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    python = str(tmp_path / "venv" / "bin" / "python")
    uv = [sys.executable, "-m", "uv", "pip", "sync", "--python", python]  # as setup.sh does

    def locks(*names):
        return [str(ROOT / "requirements-extras" / f"{name}.lock") for name in names]

    subprocess.run([*uv, *locks(*SMALL)], check=True, timeout=300)
    installed = {path.name for path in tmp_path.glob("venv/lib/*/site-packages/*")}
    assert set(SMALL.values()) <= installed
    done = subprocess.run([*uv, "--dry-run", *locks("gpu")], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and " + nvidia-cudnn-cu12==" in done.stderr, done.stderr


def test_an_extra_that_there_is_not_is_refused_before_anything_is_installed(tmp_path):
    made = project(tmp_path, train=20, test=20, git=False)
    done = made.run("sh", "setup.sh", "ssh", "gpu,s3")
    assert done.returncode == 2 and not (made.root / ".venv").exists()
    assert done.stderr == (
        "setup: there is no extra 'gpu,s3': expected some of azure gpu gs s3 ssh, with spaces between them\n"
    )


def test_without_a_fitting_python_setup_says_what_to_install(tmp_path):
    made = project(tmp_path, train=20, test=20, git=False)
    done = made.run("sh", "setup.sh", PYTHON="/nonexistent/python")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1 and "3.11 to 3.13" in done.stderr
