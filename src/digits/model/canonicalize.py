"""Makes digits of any polarity, contrast and place white on black, full range and centred; in the graph.

A clean MNIST image passes almost unchanged: it is already white on black and centred by its mass.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

SIZE = 28
MIDDLE = 14.0  # row and column where MNIST puts the centre of mass
BRIGHT_RANK = 8  # the n-th brightest pixel is taken for full ink: robust to a few hot pixels
FAINTEST = 8 / 255  # less contrast than this is a blank image, not a digit
SOLID = 0.2  # ink whose 3×3 neighbourhood is darker on average is taken for noise when centring


def canonicalize(images: Any, *, compiled: bool = False) -> Any:
    """Return the images white on black, of full range and centred, as float32 [n, 28, 28] of 0–1.

    images: uint8 [n, 28, 28] of 0–255, or float of 0–1; n may be 0. An image without contrast becomes zeros.
    compiled: whether XLA compiles it; the result is the same bit for bit, but each way is several times
    slower in the other's place.
    """
    pixels = tf.cast(images, tf.float32)
    if tf.as_dtype(images.dtype).is_integer:
        pixels = pixels / 255.0
    return centre(stretch(pixels, compiled))


def stretch(pixels: Any, compiled: bool = False) -> Any:
    """Polarity and contrast: the border's level becomes 0, ink becomes 1. float32 [n, 28, 28] → the same."""
    border = tf.concat([pixels[:, 0], pixels[:, -1], pixels[:, 1:-1, 0], pixels[:, 1:-1, -1]], axis=1)
    nth_brightest = by_bisection if compiled else by_selection
    ground, _ = nth_brightest(border, border.shape[1] // 2)  # the median: strokes that cross it don't count
    flat = tf.reshape(pixels, [-1, SIZE * SIZE])
    dark_ink = tf.reduce_mean(flat, axis=1, keepdims=True) < ground
    ink = tf.nn.relu(tf.where(dark_ink, ground - flat, flat - ground))
    _, full = nth_brightest(ink, BRIGHT_RANK)
    ink = tf.where(full < FAINTEST, 0.0, tf.minimum(ink / full, 1.0))
    return tf.reshape(ink, [-1, SIZE, SIZE])


def centre(ink: Any) -> Any:
    """Whole pixels of shift that bring the centre of mass to the middle; what moves in from outside is 0."""
    padded = tf.pad(ink, [[0, 0], [1, 1], [1, 1]])
    sums = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
    sums = sums[:, :, :-2] + sums[:, :, 1:-1] + sums[:, :, 2:]
    solid = tf.where(sums > 9 * SOLID, ink, 0.0)
    mass = tf.reduce_sum(solid, axis=[1, 2])
    place = tf.range(SIZE, dtype=tf.float32) - MIDDLE
    shifted = tf.pad(ink, [[0, 0], [0, 1], [0, 1]])  # row and column 28 are what lies outside
    for axis, across in ((1, 2), (2, 1)):
        moment = tf.reduce_sum(tf.reduce_sum(solid, axis=across) * place, axis=1)
        offset = tf.cast(tf.round(tf.math.divide_no_nan(moment, mass)), tf.int32)
        source = tf.range(SIZE) + offset[:, None]
        source = tf.where((source < 0) | (source >= SIZE), SIZE, source)
        shifted = tf.gather(shifted, source, axis=axis, batch_dims=1)
    return shifted


def by_selection(values: Any, rank: int) -> tuple[Any, Any]:
    """The rank-th largest of each row of float32 [n, k] in 0–1, as bounds 1/256 apart: ([n, 1], [n, 1]).

    The lower bound is the largest multiple of 1/256 below it, and 0 where it is 0.
    """
    largest = tf.math.top_k(values, rank).values[:, rank - 1 :]
    low = tf.maximum(tf.math.ceil(largest * 256) - 1, 0.0) / 256
    return low, low + 1 / 256


def by_bisection(values: Any, rank: int) -> tuple[Any, Any]:
    """The same bounds in eight halvings: 130 operations, which XLA makes one, faster than any sort."""
    low = tf.zeros_like(values[:, :1])
    high = tf.ones_like(low)
    for _ in range(8):
        middle = (low + high) / 2
        enough = tf.reduce_sum(tf.cast(values > middle, tf.float32), axis=1, keepdims=True) >= rank
        low, high = tf.where(enough, middle, low), tf.where(enough, high, middle)
    return low, high
