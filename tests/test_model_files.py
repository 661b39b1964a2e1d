import json

import numpy as np
import pytest

from digits import model_files, models
from digits.errors import DataError

from ._digits import digits
from ._recipes import tiny


@pytest.fixture
def candidate(tmp_path):
    model = models.build("compact", seed=4)
    model_files.save_candidate(tmp_path, model, tiny())
    return tmp_path, model


def test_a_model_comes_back_the_same(candidate):
    directory, model = candidate
    images, _ = digits(8)
    assert np.array_equal(model_files.load_candidate(directory)(images), model(images))
    assert model_files.load_recipe(directory) == tiny()


def test_equal_models_give_equal_bytes(candidate, tmp_path):
    directory, _ = candidate
    other = tmp_path / "other"
    other.mkdir()
    model_files.save_candidate(other, models.build("compact", seed=4), tiny())
    for name in (model_files.WEIGHTS, model_files.RECIPE):
        assert (other / name).read_bytes() == (directory / name).read_bytes()


def test_the_recipe_names_everything_that_rebuilds_it(candidate):
    recipe = json.loads((candidate[0] / model_files.RECIPE).read_text())
    assert {"architecture", "profile", "seed", "n_train", "small_data", "augmentation"} <= set(recipe)


def test_missing_and_damaged_files_are_told(candidate):
    directory, _ = candidate
    weights = directory / model_files.WEIGHTS
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"model\.weights\.h5"):
        model_files.load_candidate(directory)
    weights.unlink()
    with pytest.raises(DataError, match=r"model\.weights\.h5 is missing"):
        model_files.load_candidate(directory)
    recipe = directory / model_files.RECIPE
    recipe.write_text(recipe.read_text().replace("compact", "vast"))
    with pytest.raises(DataError, match="vast"):
        model_files.load_candidate(directory)
    recipe.write_text(json.dumps({"architecture": "compact"}))
    with pytest.raises(DataError, match="recipe holds architecture"):
        model_files.load_candidate(directory)
    recipe.unlink()
    with pytest.raises(DataError, match=r"recipe\.json is missing"):
        model_files.load_candidate(directory)
