"""Fixtures that whole-pipeline tests share."""

import fcntl
import gc
import os
import signal
from pathlib import Path

import pytest


def _once(factory, name, make):
    """Return a folder that `make` has filled, once for all processes that tests are shared out to."""
    base = factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared" / name
    shared.mkdir(parents=True, exist_ok=True)
    with (shared / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / "ready").exists():
            make(shared / "content")
            (shared / "ready").touch()
    return shared / "content"


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """One pipeline on synthetic digits; don't change it."""
    from tests._project import Project, environment, project

    made = _once(tmp_path_factory, "built", lambda where: project(where).repro())
    first = Project(made / "project", environment(made / "home") | {"DIGITS_MIRROR": str(made / "mirror")})
    return first.copy(tmp_path_factory.mktemp("built") / "project")


@pytest.fixture(scope="session")
def release(tmp_path_factory):
    """A candidate, the reports that let it pass, and its export (tests._release); don't change it."""
    from tests import _release

    return _once(tmp_path_factory, "release", _release.make)


@pytest.fixture
def copy(built, tmp_path):
    """A copy of it to change."""
    return built.copy(tmp_path / "project")


def pytest_configure():
    """Hear SIGINT, which a shell has what it starts in the background ignore, and tested commands inherit."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """What is imported here stays: to look through it for garbage, now and later, costs seconds."""
    gc.disable()
    found = yield
    gc.freeze()
    gc.enable()
    return found


@pytest.hookimpl(trylast=True)  # of the tests that are left to run
def pytest_collection_modifyitems(items):
    """Long files early, so that no process is left with one; while one makes what is shared, nobody waits."""
    top = Path(__file__).parent
    whole = {top / name for name in ("contract", "faults", "flows", "hostile", "pipeline", "serving")}
    early, late = set(), set()
    for made in ("built", "converted"):
        files = list(dict.fromkeys(item.path for item in items if made in getattr(item, "fixturenames", ())))
        early.update(files[:1])
        late.update(files[1:])

    def rank(item):
        if item.path in early:
            return 0
        return 1 if whole & set(item.path.parents) and item.path not in late else 2  # of one module: quick

    items.sort(key=rank)
