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
