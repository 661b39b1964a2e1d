"""What an evaluation draws: from each kind without a digit those that fooled the model most."""

import io
from dataclasses import replace

import numpy as np
from PIL import Image

from digits.evaluate import figures
from digits.evaluate.scorecard import Answers


def confident(sure: list[float]) -> Answers:
    logits = np.zeros((len(sure), 10), np.float32)
    logits[:, 2] = np.log(9 * np.array(sure) / (1 - np.array(sure)))
    return Answers.of(logits, np.zeros(len(sure), np.uint8), np.ones(len(sure), bool))


def test_the_sheet_shows_the_surest_of_each_kind_and_equal_pictures_once(monkeypatch) -> None:
    shown = {}
    monkeypatch.setattr(
        figures, "draw_non_digits", lambda *given: shown.update(zip("psct", given, strict=True)) or b""
    )
    images = np.arange(12, dtype=np.uint8)[:, None, None] * np.ones((1, 28, 28), np.uint8)
    images[3] = images[2]
    sure = [0.3, 0.4, 0.99, 0.99, 0.5, 0.6, 0.7, 0.8, 0.35, 0.45, 0.55, 0.65]
    figures._surest_non_digits(
        {"a": (images, confident(sure)), "b": (images[:2], confident([0.2, 0.9]))}, 1.0, 0.5
    )
    assert shown["p"][:, 0, 0].tolist() == [2, 7, 6, 11, 5, 10, 4, 9, 1, 0]
    assert np.allclose(shown["c"][[0, 1, 8, 9]], [0.99, 0.8, 0.9, 0.2]) and shown["t"] == 0.5


def test_what_has_no_ink_counts_as_unsure(monkeypatch) -> None:
    shown = {}
    monkeypatch.setattr(figures, "draw_non_digits", lambda *given: shown.update(s=given[2]) or b"")
    images = np.arange(3, dtype=np.uint8)[:, None, None] * np.ones((1, 28, 28), np.uint8)
    answers = replace(confident([0.99, 0.5, 0.7]), inked=np.array([False, True, True]))
    figures._surest_non_digits({"empty": (images, answers)}, 1.0, 0.6)
    assert np.allclose(shown["s"], [0.7, 0.5, 0])


def test_the_sheet_tells_answered_from_not_sure() -> None:
    images = np.random.default_rng(1).integers(0, 255, (3, 28, 28), np.uint8)
    non_digits = {"a": (images, confident([0.5, 0.8, 0.9]))}
    sheets = [figures._surest_non_digits(non_digits, 1.0, threshold) for threshold in (0.1, 0.7)]
    assert sheets[0] != sheets[1]
    assert Image.open(io.BytesIO(sheets[0])).width >= 600
