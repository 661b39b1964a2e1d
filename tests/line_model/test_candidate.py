import json
import shutil

import numpy as np
import pytest

from digits.line_model import candidate, network
from digits.runtime.errors import DataError
from tests.lines._written import recipe


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    where, model = tmp_path_factory.mktemp("saved"), network.build("tiny", seed=4)
    candidate.save_candidate(where, model, recipe().to_dict())
    return where, model


def test_a_model_comes_back_the_same(saved):
    where, model = saved
    lines = np.random.default_rng(1).integers(0, 255, (3, 32, 40), np.uint8)
    score = candidate.scorer(candidate.load_candidate(where))
    assert np.array_equal(score(lines), candidate.scorer(model)(lines))


@pytest.mark.filterwarnings("ignore:Skipping nested container")
def test_missing_and_damaged_files_and_weights_of_another_architecture_are_told(saved, tmp_path):
    where = shutil.copytree(saved[0], tmp_path / "copy")
    weights, facts = where / candidate.WEIGHTS, where / candidate.RECIPE
    facts.write_text(json.dumps({"architecture": "medium"}))
    with pytest.raises(DataError, match="does not hold the weights of its recipe"):
        candidate.load_candidate(where)
    shutil.copy(saved[0] / candidate.RECIPE, where)
    weights.write_bytes(weights.read_bytes()[:2000])
    with pytest.raises(DataError, match=r"line_model\.weights\.h5 does not hold the weights"):
        candidate.load_candidate(where)
    weights.unlink()
    with pytest.raises(DataError, match=r"line_model\.weights\.h5 is missing"):
        candidate.load_candidate(where)
    for text in ('{"architecture": "vast"}', "[]", "{}"):
        facts.write_text(text)
        with pytest.raises(DataError, match=r"architecture.*expected one of medium, large, tiny"):
            candidate.load_candidate(where)


def test_every_line_is_scored_once_in_its_place_whatever_the_number(saved, monkeypatch):
    monkeypatch.setattr(candidate, "BATCH", 4)
    lines = np.random.default_rng(2).integers(0, 255, (9, 32, 21), np.uint8)
    score = candidate.scorer(saved[1])
    whole = score(lines)
    assert whole.shape == (9, 6, 12) and whole.dtype == np.float32
    assert np.allclose(np.exp(whole).sum(axis=2), 1, atol=1e-5)
    for n in (0, 1, 4, 8):
        assert np.allclose(score(lines[:n]), whole[:n], atol=1e-5)
