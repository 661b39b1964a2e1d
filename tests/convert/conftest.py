"""The formats of the shared release, made once for the tests of the stage and those of its files."""

import shutil

import numpy as np
import pytest
import tensorflow as tf

from digits import dataset, wire
from tests import _release
from tests.conftest import _once


@pytest.fixture(scope="session")
def converted(release, tmp_path_factory):
    """The small candidate, its export and its formats; don't change them."""

    def make(root):
        shutil.copytree(release, root)
        _release.convert(root, root)

    return _once(tmp_path_factory, "formats", make)


@pytest.fixture(scope="session")
def images(converted):
    return dataset.load_split(converted / "validation").images


@pytest.fixture(scope="session")
def expected(converted, images):
    """The probabilities that the exported model gives the images."""
    served = tf.saved_model.load(str(converted / "exported")).signatures[wire.PIXELS]
    return np.array(served(images=tf.constant(images))[wire.PROBABILITIES])
