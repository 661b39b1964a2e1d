"""Models that several modules serve."""

import pytest

from tests.serving import _models


@pytest.fixture(scope="session")
def half(tmp_path_factory):
    """The base path of a model with one version: y = x / 2 + 1."""
    base = tmp_path_factory.mktemp("models") / "half"
    _models.half_plus(base / "1", 1.0)
    return base
