"""Reads the columns of the line network as text, in the graph: likeliest classes, repeats and blanks dropped.

No search: TensorFlow's CTC decoders fail on an empty batch, and no converter takes them. Callers that know
more about the text (a format, a number of digits) decode the columns themselves.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf

from digits.line_model.lines import BLANK, COLUMN, LONGEST, SEPARATOR, STEP

SIGNS = [*"0123456789", ".", ""]  # by class; a separator is written as a dot


class Characters(NamedTuple):
    """The characters of each line, from left to right, padded with -1 to LONGEST."""

    character: Any  # int32 [n, 24]: 0–9, SEPARATOR
    probability: Any  # float32 [n, 24]: the highest of the columns that show it
    position: Any  # float32 [n, 24]: its middle, in pixels from the line's left edge
    length: Any  # int32 [n]: how many there are
    complete: Any  # bool [n]: whether there were no more than LONGEST


def characters(probabilities: Any, count: Any) -> Characters:
    """probabilities: float32 [n, t, 12] of columns. count: int32 [n], how many of these are the line's."""
    n, columns = tf.shape(probabilities)[0], tf.shape(probabilities)[1]
    inside = tf.sequence_mask(count, columns)
    likeliest = tf.where(inside, tf.argmax(probabilities, 2, tf.int32), BLANK)
    highest = tf.where(inside, tf.reduce_max(probabilities, 2), 1.0)
    before = tf.concat([tf.fill([n, 1], BLANK), likeliest[:, :-1]], 1)
    starts = likeliest != before
    shown = likeliest != BLANK
    # Each run of equal columns is a segment, numbered through all lines.
    run = tf.cumsum(tf.cast(starts, tf.int32), axis=1) + tf.range(n)[:, tf.newaxis] * (columns + 1)
    runs = n * (columns + 1) + 1

    def over_runs(reduce: Any, values: Any) -> Any:
        return tf.gather(reduce(tf.reshape(values, [-1]), tf.reshape(run, [-1]), runs), run)

    best = over_runs(tf.math.unsorted_segment_max, highest)
    place = tf.cast(tf.range(columns), tf.float32) * STEP + STEP / 2
    weight = over_runs(tf.math.unsorted_segment_sum, highest)
    middle = over_runs(tf.math.unsorted_segment_sum, highest * place) / weight
    kept = starts & shown
    number = tf.cumsum(tf.cast(kept, tf.int32), axis=1) - 1
    found = tf.where(kept & (number < LONGEST))
    at = tf.stack([tf.cast(found[:, 0], tf.int32), tf.gather_nd(number, found)], 1)

    def placed(values: Any) -> Any:
        empty = tf.fill([n, LONGEST], tf.constant(-1, values.dtype))
        return tf.tensor_scatter_nd_update(empty, at, tf.gather_nd(values, found))

    total = tf.reduce_sum(tf.cast(kept, tf.int32), 1)
    return Characters(
        character=placed(likeliest),
        probability=placed(best),
        position=placed(middle),
        length=tf.minimum(total, LONGEST),
        complete=total <= LONGEST,
    )


def likelihood(log_probabilities: Any, count: Any, found: Characters) -> Any:
    """float32 [n]: the logarithm of the probability that each line says its characters, and nothing else.

    Summed over all ways to spread them over the columns (the forward algorithm, Graves et al. 2006): far
    better at telling right from wrong than the product of the likeliest classes. 0 lines are not possible.
    """
    empty = found.length == 0
    # The kernel takes no line without characters: one stands in, and the columns' blanks are what counts.
    character = tf.where(empty[:, tf.newaxis] & (tf.range(LONGEST) == 0), 0, found.character)
    at = tf.where(character >= 0)
    shape = tf.cast(tf.shape(character), tf.int64)
    labels = tf.SparseTensor(at, tf.gather_nd(character, at), shape)
    along = tf.transpose(log_probabilities, [1, 0, 2])
    said = -tf.compat.v1.nn.ctc_loss(labels, along, count, ignore_longer_outputs_than_inputs=True)
    inside = tf.sequence_mask(count, tf.shape(log_probabilities)[1])
    silent = tf.reduce_sum(tf.where(inside, log_probabilities[..., BLANK], 0.0), 1)
    return tf.where(found.complete, tf.where(empty, silent, said), -1e9)


def text(character: Any) -> Any:
    """The digits alone: string [n]."""
    digits = tf.where(character == SEPARATOR, -1, character)
    return written(digits)


def written(character: Any) -> Any:
    """The digits, and a dot for every separator: string [n]."""
    signs = tf.gather(tf.constant(SIGNS), tf.where(character < 0, COLUMN - 1, character))
    return tf.strings.reduce_join(signs, axis=1)
