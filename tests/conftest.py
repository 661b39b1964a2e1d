"""Fixtures that whole-pipeline tests share."""

import fcntl
import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """One pipeline on synthetic digits; don't change it.

    Built once: of the processes that tests are shared out to, the others copy what the first has made.
    """
    from tests._project import Project, environment, project

    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared"
    shared.mkdir(exist_ok=True)
    with (shared / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        root, ready = shared / "built" / "project", shared / "ready"
        if not ready.exists():
            project(shared / "built").repro()
            ready.touch()
    mirror = {"DIGITS_MIRROR": str(shared / "built" / "mirror")}
    first = Project(root, environment(shared / "built" / "home") | mirror)
    return first.copy(tmp_path_factory.mktemp("built") / "project")


@pytest.fixture
def copy(built, tmp_path):
    """A copy of it to change."""
    return built.copy(tmp_path / "project")


def pytest_collection_modifyitems(items):
    """Long files early, so that no process is left with one; while one builds the pipeline, nobody waits."""
    files = dict.fromkeys(item.path for item in items if "built" in getattr(item, "fixturenames", ()))
    first, top = next(iter(files), None), Path(__file__).parent

    def rank(item):
        if item.path in files:
            return 0 if item.path == first else 2
        return 3 if item.path.parent == top else 1  # what tests one module is quick

    items.sort(key=rank)
