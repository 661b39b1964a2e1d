"""Augmentation policies: each profile has one, few images and params.yaml change it."""

import pytest

from digits.augment.policies import FEW_IMAGES, PROFILES, SMALL, augmentation
from digits.runtime.errors import ParamsError
from digits.train import profiles


def test_every_profile_has_a_policy_and_no_other_name_has():
    assert tuple(PROFILES) == tuple(profiles.PROFILES)


def test_few_images_are_bent_farther_unless_the_profile_is_a_tutorials():
    assert augmentation("fast", SMALL, {}).rotation == FEW_IMAGES["rotation"]
    assert augmentation("fast", SMALL + 1, {}).rotation < FEW_IMAGES["rotation"]
    assert augmentation("S1", SMALL, {}).rotation == 0


def test_a_strength_of_the_params_goes_before_both():
    found = augmentation("fast", SMALL, {"rotation": 0.0, "shift": None})
    assert (found.rotation, found.shift) == (0.0, FEW_IMAGES["shift"])


def test_more_damage_than_there_are_images_is_refused():
    augmentation("fast", 55_000, {"damaged": 0.6, "severe": 0.4})
    with pytest.raises(ParamsError, match=r"damaged 0\.6 and severe 0\.5 .* lower one of them"):
        augmentation("fast", 55_000, {"damaged": 0.6, "severe": 0.5})
