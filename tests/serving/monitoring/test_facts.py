"""Facts are those of what a client sent, and no picture takes long."""

import time

import numpy as np
from PIL import Image

from digits.facts import FACTS, facts
from serving.monitoring.facts import UNKNOWN, Allowance, of_digits, of_line, of_picture
from tests._pictures import encode


def drawing(side):
    """A dark ring on light paper, left of the middle."""
    y, x = np.mgrid[:side, :side] / side
    ring = np.abs(np.hypot(x - 0.4, y - 0.5) - 0.25) < 0.05
    return np.where(ring, 30, 220).astype(np.uint8)


def values(image):
    return [float(value[0]) for value in facts(image[None]).values()]


def test_facts_are_those_of_the_pixels_the_line_and_the_decoded_picture():
    rng = np.random.default_rng(5)
    images = rng.integers(0, 256, (3, 28, 28)).astype(np.uint8)
    assert [list(row) for row in of_digits([each.tobytes() for each in images])] == [*map(values, images)]
    line = rng.integers(0, 256, (32, 70)).astype(np.uint8)
    assert list(of_line(line.tobytes())) == values(line)
    assert list(of_picture(encode(Image.fromarray(drawing(60))))) == values(drawing(60))


def test_a_large_picture_has_about_the_facts_of_the_whole_in_its_own_pixels():
    small = dict(zip(FACTS, values(drawing(550)), strict=True))
    for side, form in ((1000, "PNG"), (1500, "JPEG")):
        found = dict(zip(FACTS, of_picture(encode(Image.fromarray(drawing(side)), form)), strict=True))
        for name in ("centre_x", "width", "stroke"):
            assert abs(found[name] / small[name] - side / 550) < 0.1 * side / 550, name
        assert abs(found["mean"] - small["mean"]) < 3 and found["polarity"] < -10


def test_what_would_take_long_or_is_no_picture_has_no_facts():
    many = np.zeros((2100, 2100), np.uint8)
    scans = encode(Image.fromarray(drawing(64)), "JPEG") + b"\xff\xda\x00\x02" * 100
    began = time.perf_counter()
    cut = encode(Image.fromarray(drawing(60)))[:80]
    for data in (b"", b"no picture", cut, encode(Image.fromarray(many)), scans):
        assert of_picture(data) == UNKNOWN
    assert time.perf_counter() - began < 5


def test_a_thread_spends_a_share_of_a_processor_on_them():
    allowance = Allowance(0.001, most=0.01)
    assert allowance
    with allowance.spent():
        end = time.thread_time() + 0.05
        while time.thread_time() < end:
            pass
    assert not allowance
