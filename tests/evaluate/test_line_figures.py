import io

import numpy as np
from PIL import Image

from digits.evaluate import line_figures
from digits.evaluate.lines import Fit, LineAnswers
from digits.line_model.lines import SEPARATOR
from tests.lines._written import one_digit

ROW = {"exact": 0.9, "coverage": 0.5, "interval": [0.86, 0.93], "share": 0.8}
LINES = {"clean": [one_digit(np.arange(5), seed=1)], "letters": [one_digit(np.arange(2), seed=2)]}


def answers(said, truth, log_likelihood):
    n = len(said)
    return LineAnswers(said, truth, np.array(log_likelihood, float), np.ones(n, bool))


ANSWERS = {
    "clean": answers([[1], [2], [3, SEPARATOR], [], [5]], [[1], [3], [4], [4], [6]], [0, -1, -3, 0, -2]),
    "letters": answers([[7], []], [[], []], [-0.5, 0]),
}
CONTENT = {"kinds": {"clean": ROW, "low_contrast": ROW | {"exact": 0.02}}, "without_digits": {"letters": ROW}}


def test_the_pictures_are_pngs_that_are_the_same_again_and_show_the_figures():
    examples = {kind: np.full((32, 64), 200, np.uint8) for kind in ("clean", "low_contrast", "letters")}
    drawn = line_figures.by_kind(CONTENT["kinds"], CONTENT["without_digits"], examples)
    assert Image.open(io.BytesIO(drawn)).width >= 600
    assert drawn == line_figures.by_kind(CONTENT["kinds"], CONTENT["without_digits"], examples)
    better = {"clean": ROW, "low_contrast": ROW}
    assert drawn != line_figures.by_kind(better, CONTENT["without_digits"], examples)


def test_the_surest_wrong_answers_come_first_and_what_was_not_answered_not_at_all(monkeypatch):
    shown = []
    monkeypatch.setattr(line_figures, "sheet", lambda *given: shown.extend(given) or b"")
    line_figures._surest_mistakes(Fit(1.0, 2.0, 0.8), LINES, ANSWERS)
    images, told, total = shown
    assert [text for text, *_ in told] == ["nothing read as 7", "3 read as 2", "6 read as 5", "4 read as 3."]
    assert [bool(accepted) for *_, accepted in told] == [True, False, False, False]
    assert np.allclose([sure for _, sure, _ in told], 1 / (1 + np.exp([-1.5, -1, 0, 1])))
    expected = [LINES["letters"][0].images[0], *LINES["clean"][0].images[[1, 4, 2]]]
    assert all(np.array_equal(one, other) for one, other in zip(images, expected, strict=True))
    assert total == 4


def test_a_sheet_tells_accepted_from_not_and_may_be_empty():
    image = [one_digit(np.arange(1), seed=1).images[0]]
    sheets = [line_figures.sheet(image, [("1 read as 7", 0.9, given)], 1) for given in (True, False)]
    assert sheets[0] != sheets[1]
    assert Image.open(io.BytesIO(line_figures.sheet([], [], 0))).width >= 600


def test_every_picture_of_the_report_is_drawn():
    content = {"kinds": {"clean": ROW}, "without_digits": {"letters": ROW}}
    drawn = line_figures.draw_line_figures(content, Fit(1.0, 2.0, 0.8), LINES, ANSWERS)
    assert set(drawn) == {"lines", "worst_lines"} and all(
        png.startswith(b"\x89PNG") for png in drawn.values()
    )
