"""Augmentation policies: how far the training images of each profile are bent and damaged.

The `preprocess` stage draws its preview from them and the `train` stage applies them (`digits.augment.ops`).
A profile refers to its policy by name, in PROFILES; a policy is strengths by name, and what changes in them
where there are few images.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from digits.runtime.errors import ParamsError

SMALL = 10_000  # training images; up to here the settings for few images apply, where a profile has any

Strengths = dict[str, float]  # of an Augmentation, by the names of its fields


@dataclass(frozen=True)
class Augmentation:
    """How far training images are bent and damaged; each is drawn anew for every image of every step."""

    rotation: float  # degrees either way
    scale: float  # share larger or smaller, each axis on its own
    shear: float  # columns per row, either way
    shift: float  # pixels either way
    elastic: float  # pixels, standard deviation of a smooth random displacement
    damaged: float  # share of each batch that also gets one photometric damage
    severe: float  # share of each batch, other images, that also gets a severe one
    wide: float  # share of each batch that is bent `wide_by` times as far
    wide_by: float
    mirrored: float  # share of the images that are flipped left to right, as a tutorial does


NONE: Strengths = {
    "rotation": 0.0,
    "scale": 0.0,
    "shear": 0.0,
    "shift": 0.0,
    "elastic": 0.0,
    "damaged": 0.0,
    "severe": 0.0,
    "wide": 0.0,
    "wide_by": 1.0,
    "mirrored": 0.0,
}
# Keras's image generator with the values that tutorials give it; its shear is in degrees, 0.2 of them here.
GENERATOR: Strengths = NONE | {
    "rotation": 40.0,
    "scale": 0.2,
    "shear": 0.0035,
    "shift": 5.6,
    "mirrored": 0.5,
}
MODERATE: Strengths = NONE | {
    "rotation": 10.0,
    "scale": 0.1,
    "shear": 0.1,
    "shift": 1.5,
    "elastic": 0.6,
    "damaged": 0.4,
    "wide_by": 2.5,
}
# The longer a training, the more its images may be bent.
STRONG: Strengths = MODERATE | {
    "rotation": 18.0,
    "scale": 0.18,
    "shear": 0.18,
    "shift": 2.0,
    "elastic": 1.0,
    "damaged": 0.2,
}
FEW_IMAGES: Strengths = {"rotation": 15.0, "scale": 0.15, "shear": 0.2, "shift": 2.5, "elastic": 1.2}

# name → strengths, and what few images change in them
POLICIES: dict[str, tuple[Strengths, Strengths]] = {
    "none": (NONE, {}),
    "generator": (GENERATOR, {}),
    "light": (MODERATE | {"damaged": 0.1}, FEW_IMAGES),
    "moderate": (MODERATE, FEW_IMAGES),
    # More of everything that real pictures hold and MNIST does not.
    "varied": (MODERATE | {"damaged": 0.3, "severe": 0.15, "wide": 0.15}, FEW_IMAGES),
    "harsh": (MODERATE | {"damaged": 0.3, "severe": 0.3, "wide": 0.15}, FEW_IMAGES),
    "strong": (STRONG, FEW_IMAGES),
}

# profile → policy. Here and not in the profiles: `preprocess` knows no others of a profile's settings.
PROFILES: dict[str, str] = {
    "speedrun": "moderate",
    "fast": "varied",
    "standard": "strong",
    "full": "strong",
    "robust": "harsh",
    "tiny": "light",
    "S0": "none",
    "S1": "none",
    "S2": "none",
    "S3": "none",
    "S4": "none",
    "S4-dropout": "none",
    "S4-l2": "none",
    "S4-augmented": "generator",
    "S4-early-stopping": "none",
}


def augmentation(profile: str, n: int, overrides: Mapping[str, float | None]) -> Augmentation:
    """The strengths of a profile's policy for `n` training images.

    overrides: the section `train.augmentation` of params.yaml; None keeps the policy's strength. Raises
    ParamsError when more than all images would be damaged.
    """
    strengths, few = POLICIES[PROFILES[profile]]
    changed = {name: value for name, value in overrides.items() if value is not None}
    found = Augmentation(**strengths | (few if n <= SMALL else {}) | changed)
    if found.damaged + found.severe > 1:
        raise ParamsError(
            f"train.augmentation: damaged {found.damaged} and severe {found.severe} hit different images, "
            "so together they can't be more than 1: lower one of them"
        )
    return found
