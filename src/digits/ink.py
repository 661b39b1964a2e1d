"""Whether pixels hold enough ink to be a digit at all: with less, no answer is accepted.

In the graph: what is served and what is scored is this one function. A model is sure of all kinds of
things about an empty page, since training has none. The rule is far from any digit, so that it refuses no
faint, thin or small one: those are for the confidence to judge.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from digits.normalize import BLANK, EDGE, SIDE

# Ink: pixels that differ from the paper by more than EDGE of what the farthest does, either way, and have two
# neighbours that do, diagonal ones too. The thinnest of MNIST's 60,000 training digits has 24 of them.
LEAST = 8


def has_ink(images: Any) -> Any:
    """Tell which images, uint8 [n, 28, 28] of either polarity, show anything: bool [n].

    An image has ink when its contrast reaches BLANK levels and at least LEAST pixels are ink.
    """
    levels = tf.cast(images, tf.int32)
    contrast = tf.reduce_max(levels, axis=[1, 2]) - tf.reduce_min(levels, axis=[1, 2])
    border = tf.concat([levels[:, 0], levels[:, -1], levels[:, 1:-1, 0], levels[:, 1:-1, -1]], axis=1)
    paper = tf.math.top_k(border, border.shape[1] // 2).values[:, -1]  # the upper median, as in `normalize`
    apart = tf.abs(levels - paper[:, None, None])
    inked = _more_than(apart, EDGE)
    framed = tf.pad(tf.cast(inked, tf.int32), [[0, 0], [1, 1], [1, 1]])
    across = framed[:, :, :SIDE] + framed[:, :, 1:-1] + framed[:, :, 2:]
    together = across[:, :SIDE] + across[:, 1:-1] + across[:, 2:]  # each pixel and its eight neighbours
    solid = tf.cast(inked & (together >= 3), tf.int32)
    return (contrast >= int(BLANK)) & (tf.reduce_sum(solid, axis=[1, 2]) >= LEAST)


def _more_than(apart: Any, share: float) -> Any:
    """In whole numbers, so that every machine agrees."""
    farthest = tf.reduce_max(apart, axis=[1, 2], keepdims=True)
    return apart * 100 > farthest * round(share * 100)
