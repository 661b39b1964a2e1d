"""A request's JSON becomes a correction, or one line says what is wrong with it."""

import base64
import hashlib

import numpy as np
import pytest

from digits.ink import has_ink as has_ink_in_the_graph
from digits.line_model.lines import STEP
from digits.runtime.errors import DataError
from digits_client.reading import lines
from serving.app.feedback import corrections
from serving.app.feedback.corrections import correction, has_ink
from tests._pictures import png_claiming
from tests.serving.app.feedback._corrections import image, line, line_tree, png, tree


def test_a_whole_request_is_taken_as_it_is():
    made = correction(tree())
    assert made.image == image() and made.digest == hashlib.sha256(image()).hexdigest()
    assert (made.kind, made.label, made.said, made.confidence, made.version) == ("digit", "1", "7", 0.75, 3)
    assert (made.source, made.mode) == ("drawing", "server")
    unknown = correction(tree(digit=None, confidence=None, version=None))
    assert (unknown.said, unknown.confidence, unknown.version) == (None, None, None)


@pytest.mark.parametrize("text", ["", "7", "1.50", "1,50", "12 000.50", ".5", "3."])
def test_a_line_is_taken_with_its_pixels_and_text_however_its_file_is_packed(text):
    made = correction(line_tree(text=text))
    assert (made.kind, made.label, made.said) == ("line", text, "150")
    assert made.image == line().tobytes() and made.digest == hashlib.sha256(line().tobytes()).hexdigest()
    assert corrections.levels("line", made.image).shape == line().shape
    assert corrections.NARROWEST == lines.NARROWEST and corrections.COLUMN == STEP


def base64_of(data):
    return base64.b64encode(data).decode()


@pytest.mark.parametrize(
    ("strange", "told"),
    [
        ([], "a correction is a JSON object .* this is a list"),
        (tree(name="x"), "has no 'name'"),
        (tree(image="AAAA"), "has 3 bytes, expected 784"),
        (tree(image=base64.b64encode(bytes(784)).decode()), "blank"),
        (tree(label=10), "label is 10, expected a whole number of 0 to 9"),
        (tree(label=True), "label is True"),
        (tree(confidence=float("nan")), "confidence is a number"),
        (tree(version=2**31), "version is a number"),
        (line_tree(line="AAAA"), "no PNG file, or a damaged one"),
        (line_tree(line="%"), "the line is no base64"),
        (line_tree(line=base64_of(png(line())[:-60])), "no PNG file, or a damaged one"),
        (line_tree(line=base64_of(png(line()[:30]))), "a picture of 120 × 30 pixels, mode L; expected"),
        (line_tree(line=base64_of(png(np.dstack([line()] * 3)))), "mode RGB"),
        (line_tree(line=base64_of(png(line(width=2049)))), "2049 × 32"),
        (line_tree(line=base64_of(png_claiming(60_000, 60_000))), "no PNG file, or a damaged one; expected"),
        (line_tree(line=base64_of(png(np.full((32, 40), 9, np.uint8)))), "blank"),
        (line_tree(text=12), "text is a number"),
        *(
            (line_tree(text=text), "text is .* expected digits")
            for text in ("a", " 1", "1..2", ".", "1\n", "٣")
        ),
        (line_tree(text="1" * 25), "25 characters, expected at most 24 for a line 120 pixels wide"),
        (line_tree(line=base64_of(png(line(width=24))), text="1234567"), "at most 6 for a line 24 pixels"),
        (line_tree(said="x"), "said is 'x', expected up to 24 digits and points"),
        (line_tree(label=1), "a line's correction has no 'label'"),
        (tree(source="<script>alert(1)</script>"), "source is '<script>alert"),
    ],
)
def test_what_is_strange_is_refused_in_one_line(strange, told):
    with pytest.raises(DataError, match=told) as refused:
        correction(strange)
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 200


def test_what_has_too_little_ink_for_retraining_is_refused_and_digits_are_not():
    images = [np.zeros((28, 28), np.uint8) for _ in range(6)]
    images[1][14, 14] = 255  # a speck
    images[2][10:14, 10:14] = 9  # too faint
    images[3][6:22, 13:15] = 40  # faint
    images[4][:] = 255
    images[4][6:22, 13:15] = 0  # black on white
    images[5][:, 13:15] = 255
    told = [has_ink(each.tobytes()) for each in images]
    assert told == [False, False, False, True, True, True]
    assert told == np.asarray(has_ink_in_the_graph(np.stack(images))).tolist()
