"""Operations of models whose count is known by hand, and the figures of trained models."""

import keras
import numpy as np
import pytest

from bench import flops, recipes, references, scores
from digits.dataset import Split
from digits.model import architectures
from tests.train._recipes import tiny

LAYERS = [
    ((4, 7), keras.layers.Dense(5), 2 * 4 * 7 * 5),
    ((10, 8, 3), keras.layers.Conv2D(6, 3, strides=2, padding="same"), 2 * (5 * 4) * (3 * 3 * 3 * 6)),
    ((10, 8, 4), keras.layers.Conv2D(6, 3, groups=2), 2 * (8 * 6) * (3 * 3 * 2 * 6)),
    ((10, 8, 3), keras.layers.DepthwiseConv2D(3), 2 * (8 * 6) * (3 * 3 * 3)),
    ((10, 8, 3), keras.layers.SeparableConv2D(6, 3), 2 * (8 * 6) * (3 * 3 * 3 + 3 * 6)),
    ((10, 8, 3), keras.layers.MaxPooling2D(), 0),
]


@pytest.mark.parametrize(("shape", "layer", "expected"), LAYERS)
def test_a_multiply_add_counts_as_two_operations(shape, layer, expected):
    assert flops.forward(keras.Sequential([keras.Input(shape), layer])) == expected


def test_whole_models_have_the_count_that_was_worked_out_by_hand():
    # S1: 26×26 places of 9×32, 11×11 of 288×64, 3×3 of 576×64, 576×64 and 64×10
    by_hand = 26**2 * 9 * 32 + 11**2 * 288 * 64 + 3**2 * 576 * 64 + 576 * 64 + 640
    assert flops.forward(references.build("S1")) == 2 * by_hand == 5_588_480
    # compact: 12×12 of 25×32, 10×10 of 288×64, 8×8 and, pooled, 2×2 of 576 × 64 and 96, 384×10
    by_hand = 12**2 * 25 * 32 + 10**2 * 288 * 64 + 8**2 * 576 * 64 + 2**2 * 576 * 96 + 3840
    image, compact = keras.Input((28, 28), dtype="uint8"), architectures.build("compact")
    assert flops.forward(keras.Model(image, compact(image))) == 2 * by_hand == 9_085_440, "nested"
    recipe = tiny(batch=64, steps=10)
    assert recipes.planned_flop(recipe) == 3 * 9_085_440 * 640, "a step is three forward passes"
    assert recipes.flop(recipe, 5) == recipes.planned_flop(recipe) / 2, "stopped half way"


def test_a_layer_that_is_unknown_is_named_and_not_left_out():
    model = keras.Sequential([keras.Input((4, 4)), keras.layers.LSTM(3, name="memory")])
    with pytest.raises(ValueError, match="memory is a LSTM"):
        flops.forward(model)


def marked(n):
    """Images whose first pixel tells the digit."""
    images = np.zeros((n, 28, 28), np.uint8)
    images[:, 0, 0] = np.arange(n) % 10
    return Split(images, images[:, 0, 0].copy(), np.full(n, "x"))


def test_confidence_is_judged_after_the_temperature_of_validation():
    def predict(images):
        """Right in nine of ten, and always sure to 1 − 1e-6."""
        wrong = (np.arange(len(images)) // 10) % 10 == 0
        return 16.0 * np.eye(10, dtype=np.float32)[(images[:, 0, 0] + wrong) % 10]

    found = scores.calibration(predict, marked(2000), marked(2000))
    assert found["temperature"] > 2
    assert found["calibration_error"] < 0.01, "0.1 without a temperature"


def test_the_answers_that_validation_calls_unsure_are_withheld():
    def predict(images):
        """Right and sure, but for images whose second pixel is 255: wrong, and less sure."""
        off = images[:, 0, 1] == 255
        return np.eye(10)[(images[:, 0, 0] + off) % 10] * np.where(off, 2.0, 9.0)[:, None]

    validation, test = marked(400), marked(200)
    for split in (validation, test):
        split.images[:, 1] = 200  # ink
    validation.images[:8, 0, 1] = test.images[:20, 0, 1] = 255
    given = scores.abstention(predict, validation, test, 1.0)["abstention"]
    assert (given["n"], given["answered"], given["correct"]) == (200, 180, 180)
