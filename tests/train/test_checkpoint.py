import os
from dataclasses import replace

import numpy as np
import pytest

from digits.dataset import Split
from digits.train import checkpoint
from digits.train.history import Epoch, Progress, State
from tests.train._recipes import outliers, tiny

EPOCH = Epoch(1, 5, 0.1, 0.2, 0.3, 0.4, 0.5, 0.1 + 0.2, 0.7)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def split():
    return Split(np.zeros((3, 28, 28), np.uint8), np.arange(3, dtype=np.uint8), np.full(3, "x"))


def state(step):
    return State(step, {"now/kernels": np.arange(step, dtype=np.float32), "optimizer/0": np.array(step)})


def plain(progress):
    """All that it holds, as values that can be compared."""

    def listed(arrays):
        return {name: (array.dtype, array.tolist()) for name, array in arrays.items()}

    states = [each and (each.step, listed(each.arrays)) for each in (progress.state, progress.best)]
    rest = progress.history, progress.waited, progress.epochs
    return *rest, *states, [listed(arrays) for arrays in progress.finished]


@pytest.mark.parametrize(
    "progress",
    [
        Progress(state(5), (EPOCH,)),
        Progress(state(9), (EPOCH,) * 2, state(5), 1),
        Progress(state(9), (EPOCH,) * 2, epochs=1, finished=(state(3).arrays, state(4).arrays)),
    ],
)
def test_a_checkpoint_comes_back_exactly_unless_it_is_damaged(here, split, progress):
    path = checkpoint.path_of(tiny(), split)
    assert checkpoint.load(path) is None
    checkpoint.save(path, progress)
    assert plain(checkpoint.load(path)) == plain(progress)
    path.write_bytes(path.read_bytes()[:200])
    assert checkpoint.load(path) is None, "a damaged one means a fresh start"


def test_other_data_code_or_another_recipe_is_another_training(here, split, monkeypatch):
    other = replace(split, labels=split.labels[::-1].copy())
    paths = {checkpoint.path_of(*k) for k in [(tiny(), split), (tiny(seed=2), split), (tiny(), other)]}
    assert len(paths) == 3
    assert checkpoint.path_of(tiny(), split) in paths
    pools = (None, outliers(split.images[:2]), outliers(split.images[:2] + 1))
    exposed = {checkpoint.path_of(tiny(), split, additions=pool) for pool in pools}
    assert len(exposed) == 3 and exposed & paths == {checkpoint.path_of(tiny(), split)}
    monkeypatch.setattr(checkpoint, "code_sha256", lambda stage: f"another {stage}")
    assert checkpoint.path_of(tiny(), split) not in paths


def test_a_finished_one_goes_and_the_newest_others_stay(here, split):
    paths = [checkpoint.path_of(tiny(seed=seed), split) for seed in range(6)]
    for age, path in enumerate(paths):
        checkpoint.save(path, Progress(state(1), (EPOCH,)))
        os.utime(path, (1000 - age, 1000 - age))
    checkpoint.prune(paths[0])
    assert sorted(paths[0].parent.iterdir()) == sorted(paths[1 : 1 + checkpoint.OTHERS])
