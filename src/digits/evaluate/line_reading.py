"""What the line reader says of lines."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from digits.evaluate.lines import LineAnswers
from digits.line_model import decoding
from digits.line_model.candidate import scorer
from digits.line_model.lines import COLUMN, Lines

LineReader = Callable[[Sequence[Lines]], LineAnswers]


def reader(model: keras.Model) -> LineReader:
    """Return a function of groups of lines, at least one line in all, to the answers to all of them in order.

    Lines whose columns are not all finite get columns that say nothing either way: a broken model gets a bad
    score rather than a crash.
    """
    score = scorer(model)

    def decode(columns: Any) -> Any:
        count = tf.fill([tf.shape(columns)[0]], tf.shape(columns)[1])
        found = decoding.characters(tf.exp(columns), count)
        return found.character, found.length, found.complete, decoding.likelihood(columns, count, found)

    signature = [tf.TensorSpec([None, None, COLUMN], tf.float32)]
    traced = tf.function(decode, input_signature=signature, autograph=False)

    def read(lines: Lines) -> LineAnswers:
        columns = score(lines.images)
        broken = ~np.isfinite(columns).all(axis=(1, 2))
        columns[broken] = -math.log(COLUMN)
        character, length, complete, likelihood = (each.numpy() for each in traced(columns))
        said = [row[:n].tolist() for row, n in zip(character, length, strict=True)]
        return LineAnswers(
            said, lines.characters(), likelihood.astype(np.float64), complete, int(broken.sum())
        )

    return lambda groups: LineAnswers.joined(read(lines) for lines in groups if len(lines))
