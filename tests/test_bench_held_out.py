import numpy as np
import pytest

from bench import held_out
from digits.dataset import Split
from tests._digits import digits


def split(n, seed):
    images, labels = digits(n, seed)
    return Split(images, labels, np.full(n, "synthetic"))


def test_held_out_images_are_the_same_ones_and_never_trained_on():
    train, validation = split(60, 1), split(20, 2)
    kept, held = held_out.divided(train, validation, held_out=25)
    again, _ = held_out.divided(train, validation, held_out=25)
    assert (len(kept), len(held)) == (35, 45)
    assert np.array_equal(kept.images, again.images)
    assert np.array_equal(held.images[:20], validation.images)
    both = np.concatenate([kept.images, held.images[20:]]).reshape(60, -1)
    assert sorted(map(bytes, both)) == sorted(map(bytes, train.images.reshape(60, -1)))


def test_settings_stand_over_the_profile():
    made = held_out.section("fast", 7, ["rate=0.01", "augmentation.wide=0.2", "teacher=speedrun"])
    assert (made["profile"], made["seed"], made["rate"], made["teacher"]) == ("fast", 7, 0.01, "speedrun")
    assert made["augmentation"]["wide"] == 0.2
    assert made["batch"] is None and made["augmentation"]["shift"] is None


def test_a_row_joins_those_before_it():
    first = held_out.added("", {"trial": "a", "held_out": "99.500"})
    both = held_out.added(first, {"trial": "b, c", "held_out": "99.600", "mnist_c": "97.0"})
    assert both.splitlines() == ["trial,held_out,mnist_c", "a,99.500,", '"b, c",99.600,97.0']


@pytest.mark.slow
def test_a_training_is_scored_on_what_it_never_saw(tmp_path, monkeypatch):
    images = {"train": split(300, 1), "validation": split(40, 2)}
    monkeypatch.setattr(held_out.files, "load_split", lambda path: images[path.name])
    monkeypatch.setattr(held_out, "HELD_OUT", 100)
    row = held_out.trained("few steps", "speedrun", 1, ["steps=12", "batch=20", "architecture=small"], 20)
    assert row["weights"] == 9144 and row["settings"] == "steps=12 batch=20 architecture=small"
    assert 0 < float(row["held_out"]) <= 100
    assert float(row["mnist_c_worst"]) <= float(row["mnist_c"]) <= 100
