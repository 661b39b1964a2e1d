import numpy as np

from digits.evaluate import line_figures
from digits.evaluate.lines import Fit, LineAnswers
from digits.line_model.lines import SEPARATOR
from tests.lines._written import one_digit

LINES = {"clean": [one_digit(np.arange(5), seed=1)], "letters": [one_digit(np.arange(2), seed=2)]}


SAID = [[1], [2], [3, SEPARATOR], [], [5]]
ANSWERS = {
    "clean": LineAnswers(SAID, [[1], [3], [4], [4], [6]], np.array([0, -1, -3, 0, -2.0]), np.ones(5, bool)),
    "letters": LineAnswers([[7], []], [[], []], np.array([-0.5, 0]), np.ones(2, bool)),
}


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
