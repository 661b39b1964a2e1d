import numpy as np
import pytest

from digits_client.reading.layout import Placed, kind_of, rows
from digits_client.reading.results import Box, Digit, Field, LineImage

KINDS = {"7": "digit", "10115": "postcode", "3:2": "score", "10-8": "score"}
KINDS |= dict.fromkeys(("12.50", "1.234,56", "0,5"), "amount")
KINDS |= dict.fromkeys(("1234", "123456", "12.345", "1?3"), "number")


@pytest.mark.parametrize(("text", "kind"), KINDS.items())
def test_the_form_of_a_text_tells_its_kind(text, kind):
    assert kind_of(text) == kind


def placed(text, left, top, right, foot, confidence=0.99):
    box = Box(left, top, right - left, foot - top)
    digits = tuple(Digit(box, int(sign), confidence, True, ()) for sign in text)
    image = LineImage(np.zeros((32, 8), np.uint8), text, confidence)
    field = Field(kind_of(text), text, confidence, True, box, digits, (), image)
    return Placed(field, (left, top, right, foot))


def test_writing_that_was_found_twice_is_one_field():
    """The edge of a shadow through 7168, and a frame around the 4, each made a line of its own besides."""
    whole, part = placed("7168", 100, 50, 300, 90, 0.9), placed("71", 98, 48, 205, 88)
    surer, other = placed("4", 100, 120, 130, 160), placed("4", 96, 116, 136, 164, 0.8)
    found = rows([part, whole, other, surer, placed("25", 190, 86, 300, 124), placed("3", 302, 50, 330, 90)])
    assert [line.text for line in found] == ["7168 3", "25", "4"]
    assert found[2].fields[0] is surer.field
