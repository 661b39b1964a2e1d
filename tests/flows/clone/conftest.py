"""A project under Git and DVC, and its clone: made once, and copied for each test."""

import shutil

import pytest

from flows.clone.workspace import Workspace, prepare, share_settings
from tests._project import ROOT
from tests.flows._projects import commit, make, sh


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    """A project whose clone is prepared; don't change it."""
    where = tmp_path_factory.mktemp("template")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HOME", "XDG_CONFIG_HOME", "DVC_SITE_CACHE_DIR"):
            patch.setenv(name, str(where))
        patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
        project = make(where / "project")
        shutil.copy(ROOT / "params.yaml", project)
        commit(project, "parameters")
        with prepare(project):
            return project


@pytest.fixture
def project(template, tmp_path, own_home):
    """A project that has no clone yet."""
    return shutil.copytree(template, tmp_path / "project", ignore=shutil.ignore_patterns(".digits"))


@pytest.fixture
def clone(project, template):
    """The project's clone, as `prepare` yields it."""
    root = shutil.copytree(template / ".digits", project / ".digits") / "workspace"
    share_settings(project, root)
    return Workspace(project, root, sh(project, "git", "rev-parse", "main"))
