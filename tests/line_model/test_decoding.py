import itertools
import math

import numpy as np
import pytest
import tensorflow as tf

from digits.line_model import decoding
from digits.line_model.lines import BLANK, COLUMN, LONGEST, SEPARATOR
from digits.lines.fit import collapse

B, S = BLANK, SEPARATOR


def shown(*likeliest, sure=0.89):
    """Probabilities of columns whose likeliest classes are these."""
    rest = (1 - sure) / (COLUMN - 1)
    return (rest + (sure - rest) * np.eye(COLUMN)[list(likeliest)]).astype(np.float32)


def read(*lines, count=None):
    probabilities = np.stack(lines)
    count = np.full(len(lines), probabilities.shape[1]) if count is None else count
    return decoding.characters(tf.constant(probabilities), tf.constant(count, tf.int32))


def said(found):
    return [row[:n].tolist() for row, n in zip(found.character.numpy(), found.length.numpy(), strict=True)]


def test_repeats_and_blanks_are_dropped():
    found = read(shown(B, 3, 3, B, 3, S, 4), shown(B, B, B, B, B, B, B), shown(1, 2, 1, 2, 2, 2, 2))
    assert said(found) == [[3, 3, S, 4], [], [1, 2, 1, 2]]
    assert (found.character.numpy()[1] == -1).all() and found.complete.numpy().all()
    assert decoding.text(found.character).numpy().tolist() == [b"334", b"", b"1212"]
    assert decoding.written(found.character).numpy().tolist() == [b"33.4", b"", b"1212"]


def test_what_lies_beyond_a_lines_columns_is_not_read_and_changes_no_likelihood():
    line = shown(1, B, 2, 2, 3)
    assert said(read(line, line, line, line, count=[5, 3, 1, 0])) == [[1, 2, 3], [1, 2], [1], []]
    line, wide = shown(1, B, 2), np.concatenate([shown(1, B, 2), shown(5, 5, 5)])
    (alone,) = decoding.likelihood(tf.math.log(line[None]), tf.constant([3]), read(line)).numpy()
    (beside,) = decoding.likelihood(tf.math.log(wide[None]), tf.constant([3]), read(wide, count=[3])).numpy()
    assert alone == pytest.approx(beside, abs=1e-5)


def test_any_columns_are_read_as_training_scores_them():
    columns = np.random.default_rng(1).dirichlet(np.full(COLUMN, 0.3), (50, 20)).astype(np.float32)
    assert said(read(*columns)) == [collapse(each) for each in columns]


def test_a_character_is_where_its_columns_are_and_as_sure_as_the_surest():
    line = shown(B, 7, 7, 7, B, 5)
    line[2] = shown(7, sure=0.95)[0]
    found = read(line)
    assert found.position.numpy()[0, :2] == pytest.approx([10, 22])
    assert found.probability.numpy()[0, :2] == pytest.approx([0.95, 0.89])
    columns = np.random.default_rng(2).dirichlet(np.full(COLUMN, 0.3), (50, 20)).astype(np.float32)
    found = read(*columns)
    inside = np.arange(LONGEST) < found.length.numpy()[:, None]
    position = found.position.numpy()
    assert (position[inside] > 1.999).all() and (position[inside] < 78.001).all()
    assert all((np.diff(row[ok]) > 0).all() for row, ok in zip(position, inside, strict=True))


def test_of_a_line_that_is_too_long_the_first_characters_are_given():
    longest = [n % 10 for n in range(LONGEST)]
    found = read(shown(*longest, B), shown(*longest, S))
    assert said(found) == [longest, longest]
    assert found.complete.numpy().tolist() == [True, False]
    count = tf.fill([2], LONGEST + 1)
    columns = tf.math.log(np.stack([shown(*longest, B), shown(*longest, S)]))
    whole, cut = decoding.likelihood(columns, count, found).numpy()
    assert -10 < whole < 0 and cut < -1e8


@pytest.mark.parametrize("columns", [1, 3, 4])
def test_the_likelihood_is_the_sum_over_all_ways_to_say_it(columns):
    rng = np.random.default_rng(columns)
    few = np.zeros((6, columns, COLUMN), np.float32)
    few[..., [1, 2, S, B]] = rng.dirichlet(np.ones(4), (6, columns))  # the other classes can't be
    few = (few + 1e-7) / (1 + COLUMN * 1e-7)
    count = np.array([columns, columns, columns, max(1, columns - 1), columns, 1])
    found = read(*few, count=count)
    told = decoding.likelihood(tf.math.log(few), tf.constant(count, tf.int32), found).numpy()
    for row, n, what, given in zip(few, count, said(found), told, strict=True):
        ways = itertools.product((1, 2, S, B), repeat=int(n))
        right = [way for way in ways if [k for k, _ in itertools.groupby(way) if k != B] == what]
        total = sum(math.prod(row[place, each] for place, each in enumerate(way)) for way in right)
        assert given == pytest.approx(math.log(total), abs=1e-4) and given <= 1e-5
