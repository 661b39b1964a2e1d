"""Fixtures that whole-pipeline tests share."""

import pytest


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """One pipeline on synthetic digits, built once; don't change it."""
    from ._project import project

    made = project(tmp_path_factory.mktemp("built"))
    made.repro()
    return made


@pytest.fixture
def copy(built, tmp_path):
    """A copy of it to change."""
    return built.copy(tmp_path / "project")


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items):
    """Workers each build their own pipeline: keep the tests that use it on one."""
    for item in items:
        if {"pipeline", "faults"} & set(item.path.parts):
            item.add_marker(pytest.mark.xdist_group("pipeline"))
