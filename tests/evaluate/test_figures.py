import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from digits.evaluate import figures, line_figures, metrics
from digits.evaluate.corruptions import CORRUPTIONS, corrupt
from digits.evaluate.scorecard import Answers
from digits.evaluate.selective import risk_coverage
from tests._digits import digits

IMAGES, LABELS = digits(24, seed=1)
LOGITS = np.random.default_rng(0).normal(size=(24, 10))
SCORES = metrics.reliability(LOGITS, LABELS, 1.0)
CURVE = risk_coverage(LOGITS, LABELS, 1.0)
HISTORY = {
    "epoch": np.arange(1.0, 4),
    "loss": np.array([2.0, 1, 0.5]),
    "accuracy": np.array([0.3, 0.6, 0.9]),
    "train_accuracy": np.array([np.nan, 0.7, 0.95]),
    "val_loss": np.array([np.nan, 1.1, 0.6]),
    "val_accuracy": np.array([np.nan, 0.5, 0.8]),
}
LINE = np.full((32, 64), 200, np.uint8)
EXAMPLES = dict.fromkeys(("clean", "mixed", "letters"), LINE)
ROW = {"exact": 0.9, "coverage": 0.5, "interval": [0.86, 0.93], "share": 0.8}

DRAWN = {
    "confusion": lambda: figures.confusion(metrics.confusion(LABELS, LOGITS.argmax(axis=1))),
    "no confusion": lambda: figures.confusion(np.zeros((10, 10), np.int64)),
    "curves": lambda: figures.learning_curves(HISTORY),
    "one epoch": lambda: figures.learning_curves({k: v[-1:] for k, v in HISTORY.items()}),
    "reliability": lambda: figures.reliability(SCORES, SCORES),
    "mistakes": lambda: figures.mistakes(IMAGES[:9], LABELS[:9], LABELS[:9] + 1, np.full(9, 0.7), 30),
    "no mistakes": lambda: figures.mistakes(IMAGES[:0], LABELS[:0], LABELS[:0], np.empty(0), 0),
    "non_digits": lambda: figures.draw_non_digits(IMAGES[:9], np.arange(9), np.linspace(0.5, 1, 9), 0.9),
    "risk and coverage": lambda: figures.risk_coverage(CURVE, 0.3, 0.9),
    "nothing answered": lambda: figures.risk_coverage(CURVE, 1.01, 0.9995),
    "corruptions": lambda: figures.corruptions(
        dict.fromkeys(CORRUPTIONS, 0.9) | {"blur": 0.02},
        0.99,
        {name: corrupt(name, IMAGES[:8], 1) for name in CORRUPTIONS},
    ),
    "lines": lambda: line_figures.by_kind({"clean": ROW, "mixed": ROW}, {"letters": ROW}, EXAMPLES),
    "worst lines": lambda: line_figures.sheet([LINE] * 2, [("1 as 7", 0.9, True), ("2 as 3", 0.2, False)], 9),
    "no worst lines": lambda: line_figures.sheet([], [], 0),
}


@pytest.mark.parametrize("name", DRAWN)
def test_each_is_a_png_that_tells_neither_time_nor_software_and_the_same_again(name):
    data = DRAWN[name]()
    picture = Image.open(io.BytesIO(data))
    assert picture.format == "PNG" and picture.width >= 600
    assert not {"Software", "Creation Time"} & set(picture.info)
    assert len(np.unique(np.asarray(picture.convert("L")))) > 10
    assert DRAWN[name]() == data


def confident(sure):
    logits = np.zeros((len(sure), 10), np.float32)
    logits[:, 2] = np.log(9 * np.array(sure) / (1 - np.array(sure)))
    return Answers.of(logits, np.zeros(len(sure), np.uint8), np.ones(len(sure), bool))


def test_the_sheet_shows_the_surest_of_each_kind_and_equal_pictures_once(monkeypatch):
    shown = {}
    monkeypatch.setattr(
        figures, "draw_non_digits", lambda *given: shown.update(zip("psct", given, strict=True)) or b""
    )
    images = np.arange(12, dtype=np.uint8)[:, None, None] * np.ones((1, 28, 28), np.uint8)
    images[3] = images[2]
    sure = [0.3, 0.4, 0.99, 0.99, 0.5, 0.6, 0.7, 0.8, 0.35, 0.45, 0.55, 0.65]
    blank = replace(confident([0.2, 0.9, 0.99]), inked=np.array([True, True, False]))  # as if unsure
    figures._surest_non_digits({"a": (images, confident(sure)), "b": (images[:3], blank)}, 1.0, 0.5)
    assert shown["p"][:, 0, 0].tolist() == [2, 7, 6, 11, 5, 10, 4, 9, 1, 0, 2]
    assert np.allclose(shown["c"][[0, 1, 8, 9, 10]], [0.99, 0.8, 0.9, 0.2, 0]) and shown["t"] == 0.5
