import subprocess
import sys

import numpy as np
import pytest

from digits.train.devices import Replicas
from tests._project import ROOT, environment

CLOSE = 1e-3  # of weights around 0.1 to 1: five times what the order of float32's sums made in five steps


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A recipe's name → what one device made of it, and what two made together."""
    folder = tmp_path_factory.mktemp("replicas")
    env = environment(folder) | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "TF_CPP_MIN_LOG_LEVEL": "2"}
    command = [sys.executable, "-m", "tests.train._two_devices", str(folder)]
    ended = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return lambda name: tuple(dict(np.load(folder / f"{name}-{count}.npz")) for count in (1, 2))


def furthest(one, two):
    assert one.keys() == two.keys()
    return max(np.abs(one[name] - two[name]).max() for name in one if name.startswith("weight"))


@pytest.mark.slow
def test_two_devices_make_the_weights_of_one(made):
    """With augmentation, batch norm, dropout, penalties and averaged weights."""
    one, two = made("whole")
    assert furthest(one, two) < CLOSE
    assert two["loss"] == pytest.approx(one["loss"], rel=1e-4)


@pytest.mark.slow
def test_so_do_they_for_a_teacher_and_an_ensemble(made):
    one, two = made("ensemble")
    assert len(two["loss"]) == 3
    assert furthest(one, two) < CLOSE


@pytest.mark.slow
def test_so_do_they_with_outliers_in_the_batch(made):
    one, two = made("outliers")
    assert furthest(one, two) < CLOSE
    assert two["loss"] == pytest.approx(one["loss"], rel=1e-4)


@pytest.mark.slow
def test_so_do_they_with_muon(made):
    one, two = made("muon")
    assert furthest(one, two) < CLOSE


@pytest.mark.slow
def test_so_do_they_where_kernels_are_pruned(made):
    one, two = made("pruned")
    assert furthest(one, two) < CLOSE
    zeros = [np.mean(two[name] == 0) for name in two if name.startswith("weight") and two[name].ndim > 1]
    assert min(zeros) > 0.3


@pytest.mark.slow
def test_early_stopping_keeps_the_best_epoch_of_both(made):
    _, two = made("stopping")
    assert two["stopped"]
    assert two["kept"] == pytest.approx(two["val_loss"].min(), rel=1e-3)


@pytest.mark.slow
def test_both_pass_over_overflows_of_float16(made):
    one, two = made("float16")
    assert np.isfinite(furthest(one, two))
    assert two["loss"][-1] < two["loss"][0]


def test_one_device_hands_back_what_it_is_given():
    alone = Replicas()
    assert alone.count == 1 and alone.is_chief
    assert alone.over_hosts([0.1, 1e300]) == [0.1, 1e300]
    assert alone.from_chief(b"all") == b"all"
    assert alone.alike(b"digest")
