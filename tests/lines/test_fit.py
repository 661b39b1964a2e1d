import numpy as np
import pytest
import tensorflow as tf

from digits.line_model.lines import BLANK, COLUMN, LONGEST
from digits.lines import fit
from digits.runtime.errors import TrainingError
from tests.lines._written import one_digit, one_digit_batch, recipe

KNOWN = [one_digit(np.arange(100), seed=2), one_digit(np.arange(100, 200), seed=2)]


def test_a_short_training_reads_digits_that_it_never_saw():
    _, history = fit.fit(one_digit_batch, KNOWN, recipe())
    assert history[-1].val_exact > 0.4  # chance: 0.1
    assert history[-1].val_character_error < 0.6 and history[-1].loss < history[0].loss / 5
    assert [report.step for report in history] == list(range(3, 61, 3))


def test_broken_off_it_goes_on_and_ends_with_the_same_weights_and_history():
    short = recipe(steps=6, batch=8)
    few = [one_digit(np.arange(10), seed=2)]
    kept = []
    whole, history = fit.fit(one_digit_batch, few, short, on_report=kept.append)
    assert [progress.step for progress in kept] == [1, 2, 3, 4, 5, 6]
    resumed, again = fit.fit(one_digit_batch, few, short, resume=kept[2])
    assert [report.step for report in again] == [1, 2, 3, 4, 5, 6]
    assert again[3:] == history[3:]
    for one, other in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        assert np.array_equal(one, other)


def test_batches_come_in_order_and_a_failing_one_or_a_loss_that_is_no_number_ends_it():
    with pytest.raises(TrainingError, match=r"the loss is (nan|inf).*lines\.rate"):
        fit.fit(one_digit_batch, [], recipe(steps=10, rate=1e30))
    assert list(fit.composed(lambda step: step * 10, 3, 20)) == [(n, n * 10) for n in range(3, 20)]
    with pytest.raises(ZeroDivisionError):
        list(fit.composed(lambda step: 1 // (5 - step), 0, 9))


def columns(*likeliest):
    return np.log(np.full((len(likeliest), COLUMN), 0.01) + 0.88 * np.eye(COLUMN)[list(likeliest)])


def test_a_wrong_separator_is_a_wrong_character_of_an_exact_line_and_the_loss_is_that_of_what_a_line_says():
    lines = one_digit(np.arange(2), seed=2)
    lines.texts[:, 0] = 7
    said = np.stack([columns(7, 10), columns(1, 1)])
    assert fit.score(lambda _: said, [lines]) == (0.5, 1.0)
    assert fit.score(lambda _: said, []) == (0, 0)
    texts = np.full((3, LONGEST), -1, np.int32)
    texts[0, :2] = (4, 5)
    texts[2, :6] = (1, 1, 1, 1, 1, 1)  # more than three columns can say
    lengths = np.array([2, 0, 6], np.int32)
    right = np.stack([columns(4, BLANK, 5), columns(BLANK, BLANK, BLANK), columns(1, BLANK, 1)])
    wrong = np.stack([columns(5, BLANK, 4), columns(4, BLANK, BLANK), columns(1, BLANK, 1)])
    good, bad = (float(fit.loss(tf.constant(c, tf.float32), texts, lengths)) for c in (right, wrong))
    assert 0 < good < 0.5 < 1.5 < bad
