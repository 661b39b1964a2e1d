"""The proof that exported lines are the line reader's: quiet about a true copy, loud about false ones."""

import numpy as np
import pytest
import tensorflow as tf

from digits import wire
from digits.export.admission import LineFit
from digits.export.line_parity import disagreements
from digits.line_model.candidate import scorer
from tests._release import LINE_FIT, line_reader, lines
from tests.export._called import line_endpoints, traced

FIT = LineFit(**LINE_FIT)
GROUPS = [lines(width, 4) for width in (36, 61)]


@pytest.fixture(scope="module")
def functions():
    return traced(line_endpoints(line_reader()))


@pytest.fixture(scope="module")
def score():
    return scorer(line_reader())


def found(functions, score, change=lambda answers: answers, signature=wire.LINES, fit=FIT):
    def call(**tensors):
        return change(dict(functions[signature](**tensors)))

    return disagreements(functions | {signature: call}, GROUPS, score, fit)


def test_a_true_copy_passes_and_other_columns_none_and_another_fit_are_found(functions, score):
    assert found(functions, score) == []
    told = found(functions, lambda images: score(images) - 1e-3)
    assert all("off the model's" in line for line in told) and len(told) == 4  # two widths, mixed, pictures
    assert found(functions, lambda images: score(images) * np.nan)
    assert any("likelihood" in line for line in found(functions, score, fit=LineFit(0.5, 3.1, 0.5)))
    assert any("threshold of 0.9" in line for line in found(functions, score, fit=LineFit(0.5, 3.0, 0.9)))


def test_outputs_that_are_another_lines_are_found(functions, score):
    def shifted(answers):
        return answers | {output: tf.roll(answers[output], 1, 0)}

    for output in (wire.TEXT, wire.WRITTEN, wire.CHARACTER, wire.LENGTH, wire.CONFIDENCE):
        assert any(output in line for line in found(functions, score, shifted)), output


def test_padding_that_changes_an_answer_and_pictures_that_are_read_otherwise_are_found(functions, score):
    def call(lines, width):
        return functions[wire.LINES](lines=lines, width=tf.fill(tf.shape(width), tf.shape(lines)[2]))

    (told,) = disagreements(functions | {wire.LINES: call}, GROUPS, score, FIT)
    assert f"{wire.LINES} beside wider ones" in told

    def dimmed(answers):
        return answers | {wire.COLUMNS: tf.reverse(answers[wire.COLUMNS], [1])}

    told = found(functions, score, dimmed, wire.LINES_ENCODED)
    assert told and all(line.startswith(wire.LINES_ENCODED) for line in told)
