import sys

import numpy as np
import pytest

from digits.runtime.errors import StoreError
from serving.checks import served_scores
from serving.checks.served_scores import Written
from serving.store import publish
from serving.store.store import Store

IMAGES = np.random.default_rng(5).integers(0, 256, (1100, 28, 28), dtype=np.uint8)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Version 1 reads every image right by definition, version 2 none."""
    from tests.serving._tiny import export

    folder = tmp_path_factory.mktemp("judge")
    made = Store(folder / "serving")
    for shift in (0, 1):
        publish.publish(made, export(folder / str(shift), shift=shift), {})
    return made


@pytest.mark.slow
def test_each_version_is_scored_on_every_image_through_one_server(store):
    from tests.serving._tiny import digits

    labels = digits(IMAGES)
    labels[:100] = digits(IMAGES[:100], shift=1)
    server = [sys.executable, "-m", "digits_model_server"]
    lines = [np.repeat(np.arange(n, dtype=np.uint8)[:, None, None], w, 2) for n, w in ((60, 40), (10, 52))]
    written = [
        Written(np.repeat(group, 32, 1), [str((place + (place < 4)) % 10) for place in range(len(group))])
        for group in lines
    ]
    duel = served_scores.duel(store, 2, 1, IMAGES, labels.astype(np.uint8), server, written)
    assert duel.candidate_right.sum() == 100 and duel.candidate_right[:100].all()
    assert duel.champion_right.sum() == 1000 and duel.champion_right[100:].all()
    assert 0 < duel.candidate_latency < 1000 and 0 < duel.champion_latency < 1000
    lines = duel.lines
    assert np.flatnonzero(lines.candidate_right).tolist() == [0, 1, 2, 3, 60, 61, 62, 63]
    assert len(lines.champion_right) == 70 and (lines.champion_right == ~lines.candidate_right).all()
    assert 0 < lines.candidate_latency < 1000 and 0 < lines.champion_latency < 1000


def test_a_version_that_is_not_there_is_refused_before_a_server_starts(store):
    with pytest.raises(StoreError, match="version 7 is not in"):
        served_scores.duel(store, 7, 1, IMAGES, np.zeros(len(IMAGES), np.uint8), ["/nowhere"])
