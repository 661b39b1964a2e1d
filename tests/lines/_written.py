"""Digits to compose of, and a recipe that is done in seconds."""

from functools import cache

import numpy as np

from digits.line_model.lines import LONGEST, Lines
from digits.lines.compose import Digits
from digits.lines.grounds import Grounds
from digits.lines.profiles import LineRecipe
from tests._digits import digits
from tests._raw import split


@cache
def to_compose_of():
    return Digits(split(200, 1), seed=1, styled=20), Grounds(np.random.default_rng(1), n=16)


def recipe(**changes):
    values = {
        "profile": "tiny", "architecture": "tiny", "steps": 60, "batch": 32, "rate": 0.02,
        "weight_decay": 0.02, "dropout": 0.1, "ema": 0.9, "seed": 1, "device": "cpu",
        "precision": "float32", "n_train": 200, "n_real": 0, "real": 0.0, "small_data": False,
    }  # fmt: skip
    return LineRecipe(**(values | changes))


def one_digit(rows, seed):
    """Lines of a digit each, dark on light, 32 pixels wide."""
    images, labels = digits(200, seed)
    texts = np.full((len(rows), LONGEST), -1, np.int32)
    texts[:, 0] = labels[rows]
    return Lines(255 - np.pad(images[rows], ((0, 0), (2, 2), (2, 2))), texts, np.ones(len(rows), np.int32))


def one_digit_batch(step):
    return one_digit(np.random.default_rng(step).integers(0, 200, 32), seed=1)
