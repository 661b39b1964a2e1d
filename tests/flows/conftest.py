"""A home of their own for Git and DVC, and a tiny project."""

import pytest

from tests.flows._projects import make


@pytest.fixture(scope="session")
def server():
    """One Prefect server: after a second one in the same process, flows still speak to the first."""
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.fixture
def own_home(tmp_path, monkeypatch, request):
    home = tmp_path / "home"
    home.mkdir()
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "DVC_SITE_CACHE_DIR"):
        monkeypatch.setenv(name, str(home))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    for role in ("AUTHOR", "COMMITTER"):
        for part in ("NAME", "EMAIL"):
            monkeypatch.delenv(f"GIT_{role}_{part}", raising=False)
    if not request.node.get_closest_marker("slow"):  # these kill processes, whose Git must die with them
        # Without a function to run in the child, Python need not copy the page tables of a process that has
        # TensorFlow loaded: a millisecond a command rather than sixty.
        monkeypatch.setattr("flows.clone.git.die_with_parent", None)


@pytest.fixture
def project(tmp_path, own_home):
    return make(tmp_path / "project")


@pytest.fixture
def inbox(tmp_path):
    (tmp_path / "inbox").mkdir()
    return tmp_path / "inbox"
