import numpy as np

from digits.evaluate import line_reading
from digits.evaluate.line_reading import reader
from digits.line_model import network
from digits.line_model.lines import COLUMN, LONGEST, Lines
from digits.lines.fit import collapse
from tests.lines._written import one_digit

GROUPS = [one_digit(np.arange(*rows), seed=1) for rows in ((5,), (0,), (9, 12))]


def test_lines_are_read_in_their_order_and_groups_may_be_empty():
    model = network.build("tiny", seed=6)
    found = reader(model)(GROUPS)
    score = line_reading.scorer(model)
    assert found.said == [collapse(row) for lines in (GROUPS[0], GROUPS[2]) for row in score(lines.images)]
    assert found.truth == GROUPS[0].characters() + GROUPS[2].characters()
    assert found.log_likelihood.shape == (8,) and (found.log_likelihood < 0).all()
    assert found.complete.all() and found.not_finite == 0


def test_columns_that_are_no_numbers_say_nothing_either_way(monkeypatch):
    def broken(model):
        def score(images):
            columns = np.log(np.full((len(images), 8, COLUMN), 1e-6) + np.eye(COLUMN)[7]).astype(np.float32)
            columns[1, 3, 2] = np.nan
            columns[2, 0, 0] = np.inf
            return columns

        return score

    monkeypatch.setattr(line_reading, "scorer", broken)
    found = reader(None)(GROUPS[:1])
    assert found.not_finite == 2
    assert [found.said[row] for row in (0, 3, 4)] == [[7]] * 3
    assert np.isfinite(found.log_likelihood).all() and (found.log_likelihood[[1, 2]] < -5).all()


def test_a_line_with_too_many_characters_is_not_complete(monkeypatch):
    monkeypatch.setattr(line_reading, "scorer", lambda _: lambda images: said[:, : images.shape[2] // 4])
    classes = [place % 2 for place in range(LONGEST + 1)]
    said = np.log(np.full((1, LONGEST + 1, COLUMN), 1e-3) + np.eye(COLUMN)[classes]).astype(np.float32)
    texts = np.full((1, LONGEST), -1, np.int32)
    for n in (LONGEST, LONGEST + 1):
        lines = Lines(np.zeros((1, 32, 4 * n), np.uint8), texts, np.zeros(1, np.int32))
        found = reader(None)([lines])
        assert found.complete.tolist() == [n == LONGEST] and len(found.said[0]) == LONGEST
