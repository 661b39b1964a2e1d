"""Augmentation policies: each profile has one, few images and params.yaml change it."""

import pytest

from digits.augment.policies import FEW_IMAGES, SMALL, augmentation
from digits.runtime.errors import ParamsError


def test_few_images_are_bent_farther_unless_the_profile_is_a_tutorials_or_params_says_otherwise():
    assert augmentation("fast", SMALL, {}).rotation == FEW_IMAGES["rotation"]
    assert augmentation("fast", SMALL + 1, {}).rotation < FEW_IMAGES["rotation"]
    assert augmentation("S1", SMALL, {}).rotation == 0
    found = augmentation("fast", SMALL, {"rotation": 0.0, "shift": None})
    assert (found.rotation, found.shift) == (0.0, FEW_IMAGES["shift"])


def test_more_damage_than_there_are_images_is_refused():
    augmentation("fast", 55_000, {"damaged": 0.6, "severe": 0.4})
    with pytest.raises(ParamsError, match=r"damaged 0\.6 and severe 0\.5 .* lower one of them"):
        augmentation("fast", 55_000, {"damaged": 0.6, "severe": 0.5})
