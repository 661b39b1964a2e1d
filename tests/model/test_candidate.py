import json

import numpy as np
import pytest

from digits.model import architectures, candidate
from digits.runtime.errors import DataError
from tests._digits import digits
from tests.train._recipes import tiny


@pytest.fixture
def saved(tmp_path):
    model = architectures.build("compact", seed=4)
    candidate.save_candidate(tmp_path, model, tiny())
    return tmp_path, model


def test_a_model_comes_back_the_same_from_equal_bytes(saved, tmp_path):
    directory, model = saved
    images, _ = digits(8)
    assert np.array_equal(candidate.load_candidate(directory)(images), model(images))
    assert candidate.load_recipe(directory) == tiny()
    (tmp_path / "other").mkdir()
    candidate.save_candidate(tmp_path / "other", model, tiny())
    for name in (candidate.WEIGHTS, candidate.RECIPE):
        assert (tmp_path / "other" / name).read_bytes() == (directory / name).read_bytes()


def test_missing_and_damaged_files_are_told(saved):
    directory, _ = saved
    weights = directory / candidate.WEIGHTS
    whole = weights.read_bytes()
    recipe = directory / candidate.RECIPE
    for change, told in (
        (lambda: weights.write_bytes(whole[: len(whole) // 2]), r"model\.weights\.h5"),
        (weights.unlink, r"model\.weights\.h5 is missing"),
        (lambda: recipe.write_text(recipe.read_text().replace("compact", "vast")), "vast"),
        (lambda: recipe.write_text(json.dumps({"architecture": "compact"})), "recipe holds architecture"),
        (recipe.unlink, r"recipe\.json is missing"),
    ):
        change()
        with pytest.raises(DataError, match=told):
            candidate.load_candidate(directory)


def test_every_row_is_answered_once_in_its_place_whatever_the_number(monkeypatch):
    import tensorflow as tf

    calls = []

    def model(images, training):
        calls.append(training)  # once a trace
        total = tf.reduce_sum(tf.cast(images, tf.float64), axis=[1, 2])
        return total[:, None] * tf.one_hot(3, 10, dtype=tf.float64)

    images, _ = digits(25, seed=1)
    monkeypatch.setattr(candidate, "BATCH", 10)
    score = candidate.scorer(model)
    for n in (25, 20, 1, 0):
        logits = score(images[:n])
        assert logits.dtype == np.float32 and logits.shape == (n, 10)
        assert np.array_equal(logits[:, 3], images[:n].sum(axis=(1, 2)).astype(np.float32))
    assert calls == [False], "compiled once, as for inference"
