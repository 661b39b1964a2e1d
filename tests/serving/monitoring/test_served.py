"""Rows of the embedded server for every signature of the wire contract."""

import hashlib

import numpy as np
import pytest
from PIL import Image

from digits import wire
from digits.facts import FACTS, facts
from serving.monitoring import served
from tests._pictures import encode

RNG = np.random.default_rng(4)
PIXELS = RNG.integers(0, 256, (3, 28, 28)).astype(np.uint8)
LINES = RNG.integers(0, 256, (2, 32, 50)).astype(np.uint8)
ANSWER = {
    wire.DIGIT: np.array([4, 5, 6]),
    wire.CONFIDENCE: np.array([0.5, 0.25, 1.0], np.float32),
    wire.ACCEPTED: np.array([False, True, True]),
}
CLASSES = {wire.SCORES: np.array([[0.25, 0.75], [1, 0]], np.float32)}


FILES = np.array([encode(Image.fromarray(LINES[0])), b"no picture"], object)


CUT = [LINES[0], LINES[1, :, :20]]
CUT_LINES = {wire.LINE_IMAGES: LINES, wire.WIDTH: np.array([50, 20])}


@pytest.mark.parametrize(
    ("signature", "inputs", "kind", "sent", "pixels"),
    [
        (wire.PIXELS, {wire.IMAGES: PIXELS}, "digit", [each.tobytes() for each in PIXELS], PIXELS),
        (wire.ENCODED, {wire.IMAGE_BYTES: FILES}, "picture", FILES, [LINES[0], None]),
        (wire.CLASSIFY, {wire.EXAMPLE_KEY: FILES}, "picture", FILES, [LINES[0], None]),
        (wire.LINES, CUT_LINES, "line", [each.tobytes() for each in CUT], CUT),
        (wire.LINES_ENCODED, {wire.IMAGE_BYTES: FILES}, "line", FILES, [LINES[0], None]),
    ],
)
def test_a_row_has_facts_and_answer_of_an_image_and_no_pixels(signature, inputs, kind, sent, pixels):
    lines = {name: ANSWER[name] for name in (wire.CONFIDENCE, wire.ACCEPTED)}
    answers = {"digit": ANSWER, "picture": ANSWER, "line": lines}[kind]
    rows = served.rows(signature, inputs, CLASSES if signature == wire.CLASSIFY else answers)
    assert [row["kind"] for row in rows] == [kind] * len(sent)
    assert [row["digest"] for row in rows] == [hashlib.sha256(each).hexdigest() for each in sent]
    for row, image in zip(rows, pixels, strict=True):
        known = {name: row[name] for name in FACTS if name in row}
        found = {} if image is None else {name: float(v[0]) for name, v in facts(image[None]).items()}
        assert known == found
    answered = [(row.get("digit"), row["confidence"], row.get("accepted")) for row in rows[:2]]
    one, other = (None, None) if kind == "line" else (4, 5)
    classes = [(1, 0.75, None), (0, 1.0, None)]
    assert answered == (classes if signature == wire.CLASSIFY else [(one, 0.5, False), (other, 0.25, True)])


def test_what_was_not_asked_for_or_is_of_another_model_is_left_out():
    rows = served.rows(wire.PIXELS, {wire.IMAGES: PIXELS}, {wire.DIGIT: ANSWER[wire.DIGIT]})
    assert "confidence" not in rows[0] and rows[2]["digit"] == 6
    assert served.rows("other", {"x": PIXELS}, {}) == [] == served.rows(wire.PIXELS, {"x": PIXELS}, {})
    many = np.zeros((4096, 28, 28), np.uint8)
    assert len(served.rows(wire.PIXELS, {wire.IMAGES: many}, {})) == served.MOST
