"""digits.normalize as graph operations: grey levels [h, w] → 28×28 uint8 the way MNIST's pictures were made.

Core. The steps, their numbers and their constants are digits.normalize's, which explains them; a test holds
the two equal. They are repeated rather than shared since that module is NumPy, SciPy and Pillow, which a
model server does not run.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from digits.normalize import BLANK, BOX, CENTRE, EDGE, FLOOR, SIDE, SMOOTH_FROM, WHITE_RANK
from digits.wire import IMAGE_BYTES


def normalize(grey: Any, row: Any) -> Any:
    """float32 [h, w], 0–255 → uint8 [28, 28], white ink on black.

    row: the picture's place in its batch, for the message when it is blank (InvalidArgument).
    """
    paper = _paper(grey)
    as_is = tf.cond(
        tf.reduce_all(tf.shape(grey) == SIDE) & (paper == 0),
        lambda: tf.reduce_all(tf.abs(_centre_of_mass(grey) - CENTRE) <= 1),
        lambda: False,
    )
    image = tf.cond(as_is, lambda: grey, lambda: _redrawn(grey, paper, row) * 255)
    return tf.ensure_shape(tf.cast(tf.floor(image + 0.5), tf.uint8), [SIDE, SIDE])


def _paper(grey: Any) -> Any:
    sides = [grey[:1], grey[1:][-1:], grey[1:-1, :1], grey[1:-1, 1:][:, -1:]]
    ring = tf.sort(tf.concat([tf.reshape(side, [-1]) for side in sides], 0))
    return ring[tf.size(ring) // 2]


def _redrawn(grey: Any, paper: Any, row: Any) -> Any:
    ink = _ink(grey, paper)
    large = tf.reduce_min(tf.shape(ink)) >= SMOOTH_FROM
    soft = tf.cond(large, lambda: _smoothed(ink), lambda: ink)
    peak = tf.reduce_max(soft)
    message = tf.strings.format(
        f"{IMAGE_BYTES}[{{}}] is blank: its contrast is {{}} of 255 levels, expected {BLANK:.0f}",
        (row, tf.cast(peak, tf.int32)),
    )
    with tf.control_dependencies([tf.debugging.Assert(peak >= BLANK, [message])]):
        inside = soft > EDGE * peak  # waits for the refusal: below, an empty box would be an obscure error
        ink = tf.clip_by_value((ink / peak - FLOOR) / (1 - FLOOR), 0.0, 1.0)
    return _centred(_boxed(ink, inside))


def _ink(grey: Any, paper: Any) -> Any:
    bright, dark = tf.nn.relu(grey - paper), tf.nn.relu(paper - grey)
    is_bright = tf.reduce_sum(tf.square(bright)) >= tf.reduce_sum(tf.square(dark))
    return tf.cond(is_bright, lambda: bright, lambda: dark)


def _smoothed(ink: Any) -> Any:
    framed = tf.pad(ink, [[1, 1], [1, 1]])[tf.newaxis, :, :, tf.newaxis]
    return tf.nn.avg_pool2d(framed, 3, 1, "VALID")[0, :, :, 0]


def _boxed(ink: Any, inside: Any) -> Any:
    rows, columns = tf.where(tf.reduce_any(inside, 1))[:, 0], tf.where(tf.reduce_any(inside, 0))[:, 0]
    crop = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    sides = tf.cast(tf.shape(crop), tf.float64)
    scaled = tf.floor(sides * (BOX / tf.reduce_max(sides)) + 0.5)
    size = tf.maximum(tf.cast(scaled, tf.int32), 1)
    small = tf.image.resize(crop[:, :, tf.newaxis], size, "bilinear", antialias=True)[:, :, 0]
    ranked = tf.sort(tf.reshape(small, [-1]), direction="DESCENDING")
    kth = tf.concat([ranked[WHITE_RANK - 1 : WHITE_RANK], [0.0]], 0)[0]
    white = tf.maximum(tf.maximum(kth, ranked[0] / 4), 1e-6)
    return tf.clip_by_value(small / white, 0.0, 1.0)


def _centred(box: Any) -> Any:
    size = tf.shape(box)
    shift = tf.cast(tf.floor(CENTRE - _centre_of_mass(box) + 0.5), tf.int32)
    before = tf.clip_by_value(shift, 0, SIDE - size)
    return tf.pad(box, tf.stack([before, SIDE - size - before], axis=1))


def _centre_of_mass(grey: Any) -> Any:
    """(row, column) in pixel indices, float64; far outside any picture when there is no mass."""
    mass = tf.cast(grey, tf.float64)
    total = tf.reduce_sum(mass)
    size = tf.cast(tf.shape(grey), tf.float64)
    row = tf.reduce_sum(tf.reduce_sum(mass, 1) * tf.range(size[0], dtype=tf.float64))
    column = tf.reduce_sum(tf.reduce_sum(mass, 0) * tf.range(size[1], dtype=tf.float64))
    return tf.where(total > 0, tf.stack([row, column]) / total, tf.constant([-1e6, -1e6], tf.float64))
