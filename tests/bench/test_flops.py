"""Operations of models whose count is known by hand, and the figures of trained and of exported models."""

import json
import math
import subprocess
import sys

import keras
import numpy as np
import pytest

from bench import flops, latency, recipes, references, scores
from digits.dataset import Split
from digits.model import architectures
from tests.train._recipes import tiny

LAYERS = {
    "dense": ([keras.Input((7,)), keras.layers.Dense(5)], 2 * 7 * 5),
    "dense over places": ([keras.Input((4, 7)), keras.layers.Dense(5)], 2 * 4 * 7 * 5),
    "convolution": ([keras.Input((10, 8, 3)), keras.layers.Conv2D(6, 3)], 2 * (8 * 6) * (3 * 3 * 3 * 6)),
    "stride and padding": (
        [keras.Input((10, 8, 3)), keras.layers.Conv2D(6, 3, strides=2, padding="same")],
        2 * (5 * 4) * (3 * 3 * 3 * 6),
    ),
    "groups": ([keras.Input((10, 8, 4)), keras.layers.Conv2D(6, 3, groups=2)], 2 * (8 * 6) * (3 * 3 * 2 * 6)),
    "depthwise": ([keras.Input((10, 8, 3)), keras.layers.DepthwiseConv2D(3)], 2 * (8 * 6) * (3 * 3 * 3)),
    "separable": (
        [keras.Input((10, 8, 3)), keras.layers.SeparableConv2D(6, 3)],
        2 * (8 * 6) * (3 * 3 * 3 + 3 * 6),
    ),
    "nothing to multiply": ([keras.Input((10, 8, 3)), keras.layers.MaxPooling2D(), keras.layers.ReLU()], 0),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_multiply_add_counts_as_two_operations(name):
    layers, expected = LAYERS[name]
    assert flops.forward(keras.Sequential(layers)) == expected


def test_whole_models_have_the_count_that_was_worked_out_by_hand():
    # S1: 26×26 places of 9×32, 11×11 of 288×64, 3×3 of 576×64, 576×64 and 64×10
    by_hand = 26**2 * 9 * 32 + 11**2 * 288 * 64 + 3**2 * 576 * 64 + 576 * 64 + 640
    assert flops.forward(references.build("S1")) == 2 * by_hand == 5_588_480
    # compact: 12×12 of 25×32, 10×10 of 288×64, 8×8 and, pooled, 2×2 of 576 × 64 and 96, 384×10
    by_hand = 12**2 * 25 * 32 + 10**2 * 288 * 64 + 8**2 * 576 * 64 + 2**2 * 576 * 96 + 3840
    assert flops.forward(architectures.build("compact")) == 2 * by_hand == 9_085_440


def test_models_inside_a_model_are_counted_too():
    image = keras.Input((28, 28), dtype="uint8")
    members = [architectures.build("compact") for _ in range(2)]
    for place, member in enumerate(members):
        member.name = f"member_{place}"
    pair = keras.Model(image, keras.layers.Average()([member(image) for member in members]))
    assert flops.forward(pair) == 2 * 9_085_440


def test_a_layer_that_is_unknown_is_named_and_not_left_out():
    model = keras.Sequential([keras.Input((4, 4)), keras.layers.LSTM(3, name="memory")])
    with pytest.raises(ValueError, match="memory is a LSTM"):
        flops.forward(model)


def test_a_training_step_is_three_forward_passes():
    recipe = tiny(batch=64, steps=10)
    assert recipes.planned_flop(recipe) == 3 * 9_085_440 * 640
    assert recipes.flop(recipe, 5) == recipes.planned_flop(recipe) / 2, "stopped half way"


def test_the_machine_has_a_speed():
    rate = flops.peak("float32", side=128, repetitions=3)
    assert 0.01 < rate < 1e6


def test_turns_alternate_and_the_median_counts(monkeypatch):
    clock = iter(np.cumsum([0.001 * (1 + (i // 2) % 2) for i in range(10_000)]))
    monkeypatch.setattr(latency.time, "perf_counter", lambda: float(next(clock)))
    order = []
    found = latency.time_in_turn([lambda: order.append("a"), lambda: order.append("b")], rounds=2)
    turns = "".join(order[2 * latency.WARM_UP :])
    assert turns == ("a" * latency.CALLS + "b" * latency.CALLS) * 2
    assert all(900 < us < 2100 for us in found)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A model without training, exported."""
    where = tmp_path_factory.mktemp("saved") / "model"
    model = architectures.build("compact")
    latency.save(where, lambda images: model(images, training=False), model.variables, 1.5)
    return where


def test_an_export_weighs_its_weights_and_its_graph(saved):
    assert 116_266 * 4 < latency.size(saved) < 3 * 116_266 * 4


@pytest.mark.parametrize("threads", [1, pytest.param(0, marks=pytest.mark.slow)])
def test_an_export_is_timed_through_its_signature_in_its_own_process(saved, threads):
    done = subprocess.run(
        [sys.executable, "-m", "bench.latency", str(saved), str(saved), str(threads), "1"],
        cwd=latency.ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    assert set(found) == {"1", "32"}
    assert all(each["us"] > 10 and 0.2 < each["ratio"] < 5 for each in found.values()), "it against itself"


def test_confidence_is_judged_after_the_temperature_of_validation():
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 10, 4000).astype(np.uint8)
    images = np.zeros((4000, 28, 28), np.uint8)
    images[:, 0, 0] = labels

    def predict(images):
        """Right in nine of ten, and always sure to 1 − 1e-6."""
        n = len(images)
        answer = np.where(np.arange(n) % 10, images[:, 0, 0], (images[:, 0, 0] + 1) % 10)
        return 16.0 * np.eye(10, dtype=np.float32)[answer]

    half = [
        Split(images[rows], labels[rows], np.full(2000, "x")) for rows in (slice(2000), slice(2000, None))
    ]
    found = scores.calibration(predict, *half)
    assert found["temperature"] > 2
    assert found["calibration_error"] < 0.01, "0.1 without a temperature"
    assert math.isclose(scores.accuracy(predict, half[1].images, half[1].labels), 0.9)


def test_both_suites_are_scored(monkeypatch):
    monkeypatch.setattr(scores.mnist_c, "CORRUPTIONS", {"fog": None})
    monkeypatch.setattr(scores.mnist_c, "corrupt", lambda _, images, __: 255 - images)
    test = Split(np.zeros((4, 28, 28), np.uint8), np.zeros(4, np.uint8), np.full(4, "x"))
    found = scores.scores(lambda images: np.eye(10)[images[:, 0, 0] // 255], test)
    assert found["accuracy"] == 1.0
    assert found["mnist_c"] == {"fog": 0.0}
    assert len(found["corruptions"]) == 18


# --- answers withheld: the threshold comes from validation; the test images only meet it

RNG = np.random.default_rng(1)


def marked(n):
    images = RNG.integers(0, 256, (n, 28, 28), dtype=np.uint8)
    images[:, 0, 0] = np.arange(n) % 10  # which digit it is
    return Split(images, images[:, 0, 0].copy(), np.full(n, "x"))


def unsure(images):
    """Sure of everything, right but for images whose second pixel is 255, of which it is less sure."""
    logits = np.zeros((len(images), 10), np.float32)
    off = images[:, 0, 1] == 255
    logits[np.arange(len(images)), (images[:, 0, 0] + off) % 10] = np.where(off, 2.0, 9.0)
    return logits


@pytest.fixture(scope="module")
def withheld():
    validation, test = marked(400), marked(200)
    validation.images[:, 0, 1] = test.images[:, 0, 1] = 0
    validation.images[:8, 0, 1] = test.images[:20, 0, 1] = 255
    return scores.abstention(unsure, validation, test, 1.0)


def test_the_answers_that_validation_calls_unsure_are_withheld(withheld):
    given = withheld["abstention"]
    assert (given["n"], given["answered"], given["correct"]) == (200, 180, 180)
    assert given["target"] == 0.9995


def test_every_kind_of_picture_without_a_digit_is_asked_about(withheld):
    from digits.non_digits import KINDS

    assert set(withheld["refused"]) == set(KINDS)
    assert all(0 <= share <= 1 for share in withheld["refused"].values())
