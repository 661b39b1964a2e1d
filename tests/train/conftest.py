"""What the tests of training share: a section of params.yaml to change, and synthetic digits."""

import pytest
import yaml

from digits.runtime import params
from tests._raw import split
from tests.runtime.test_params import FILE

NO_OVERRIDES = {"device", "distribution", "precision", "xla", "seed", "profile", "in_memory"}


@pytest.fixture
def section():
    """The train section with some keys changed."""

    def make(**changes):
        tree = yaml.safe_load(FILE.read_text())["train"]
        tree = {k: v if k in NO_OVERRIDES else None for k, v in tree.items()}
        tree["augmentation"] = dict.fromkeys(params.AugmentationParams.model_fields) | changes.pop(
            "augmentation", {}
        )
        return params.parse("train", tree | changes)

    return make


@pytest.fixture(scope="session")
def train():
    return split(320, seed=1)


@pytest.fixture(scope="session")
def validation():
    return split(100, seed=2)
