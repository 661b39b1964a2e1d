"""Photometric damage: noise, blur, lines, holes and others, which a trained model must see past.

Each damage takes float32 [m, 28, 28] of 0–1 and four numbers for every image, 0–1, that set how hard it is
hit, and is computed for its own rows only. Severities go from hardly any to beyond the robustness table's.
The numbers of all damages are drawn at once: XLA compiles a draw for a tenth of a second.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from digits.augment.random_numbers import normal, uniform

SIZE = 28
NUMBERS = 4  # that a damage may use
Damage = Callable[[Any, Any, Any], Any]  # images, numbers float32 [NUMBERS, m, 1, 1], key
STREAM = 2  # of the numbers; what is drawn for every pixel has the next ones


def damage(images: Any, key: Any, share: float) -> Any:
    """Damage the last `share` of the rows, an equal part of them in each way of DAMAGES.

    float32 [n, 28, 28] of 0–1 → the same. `key`: int32 [2]; equal keys damage equally. n must be known.
    """
    return each_way(images, key, share, DAMAGES, NUMBERS, STREAM)


def rows_hit(n: int, share: float, ways: int) -> int:
    """How many of `n` rows `share` of them is when every way gets equally many."""
    return min(round(n * share / ways), n // ways) * ways


def each_way(
    images: Any, key: Any, share: float, ways: Sequence[Damage], count: int, stream: int, spared: int = 0
) -> Any:
    """Damage `share` of the rows, those before the last `spared`, an equal part of them in each of `ways`.

    Each is given `count` numbers a row, drawn from `stream`. Where fewer rows are left, fewer are damaged.
    """
    n = images.shape[0]
    last = n - spared
    each = min(rows_hit(n, share, len(ways)), last) // len(ways)
    if each == 0:
        return images
    first = last - each * len(ways)
    parts = [images[:first]]
    numbers = uniform([len(ways), count, each, 1, 1], key, stream)
    for place, apply in enumerate(ways):
        start = first + place * each
        parts.append(apply(images[start : start + each], numbers[place], key))
    return tf.clip_by_value(tf.concat([*parts, images[last:]], axis=0), 0.0, 1.0)


def blur(images: Any, sigma: Any) -> Any:
    """Gaussian blur with sigma float32 [m, 1, 1], in pixels."""
    place = tf.range(SIZE, dtype=tf.float32)
    kernel = tf.exp(-(((place[:, None] - place) / sigma) ** 2) / 2)
    kernel = kernel / tf.reduce_sum(kernel, axis=2, keepdims=True)
    return tf.matmul(tf.matmul(kernel, images), kernel, transpose_b=True)


def _tone(images: Any, numbers: Any, _: Any) -> Any:
    """Dimmer, brighter, flatter, bent by a gamma; every second one black on white."""
    bend, gain, lift, side = tf.unstack(numbers)
    gain = 0.2 + 0.8 * gain
    toned = tf.pow(images, tf.exp(1.4 * bend - 0.7)) * gain + lift * (1 - gain)
    return tf.where(side < 0.5, 1 - toned, toned)


def _noise(images: Any, numbers: Any, key: Any) -> Any:
    return images + 0.45 * numbers[0] * normal(images.shape, key, STREAM + 1)


def _impulse(images: Any, numbers: Any, key: Any) -> Any:
    """Up to a fifth of the pixels white or black."""
    share = 0.2 * numbers[0]
    drawn = uniform(images.shape, key, STREAM + 2)
    return tf.where(drawn < share / 2, 1.0, tf.where(drawn < share, 0.0, images))


def _blur(images: Any, numbers: Any, _: Any) -> Any:
    return blur(images, 0.4 + 1.6 * numbers[0])


def _thick(images: Any, numbers: Any, _: Any) -> Any:
    much = 0.2 + 1.2 * numbers[0]
    spread = tf.nn.max_pool2d(images[..., None], 3, 1, "SAME")[..., 0]
    return images + tf.minimum(much, 1.0) * (spread - images)


def _thin(images: Any, numbers: Any, _: Any) -> Any:
    much = 0.2 + 1.2 * numbers[0]
    shrunk = -tf.nn.max_pool2d(-images[..., None], 2, 1, "SAME")[..., 0]
    return images + tf.minimum(much, 1.0) * (shrunk - images)


def _spatter(images: Any, numbers: Any, key: Any) -> Any:
    """Blobs: where smooth noise stands out."""
    sigma, above, strength, _ = tf.unstack(numbers)
    sigma = 0.8 + 0.8 * sigma
    noise = blur(normal(images.shape, key, STREAM + 3), sigma)
    noise = noise * sigma * (2 * math.sqrt(math.pi))  # blurring had shrunk the deviation by that
    return images + (0.5 + strength) * tf.nn.relu(noise - (1.2 + 0.8 * above))


def _line(images: Any, numbers: Any, _: Any) -> Any:
    """A straight line from edge to edge, 0.8 to 2 px wide, at any angle."""
    angle, offset, width, ink = tf.unstack(numbers)
    angle = angle * math.pi
    place = tf.range(SIZE, dtype=tf.float32) - (SIZE - 1) / 2
    distance = tf.abs(tf.cos(angle) * place[:, None] + tf.sin(angle) * place - 16 * (offset - 0.5))
    line = tf.clip_by_value(0.9 + 0.6 * width - distance, 0.0, 1.0)
    return tf.maximum(images, line * (0.5 + 0.5 * ink))


def _hole(images: Any, numbers: Any, _: Any) -> Any:
    """A black rectangle of 3 to 8 px a side where the ink may be."""
    row, column, tall, broad = tf.unstack(numbers)
    place = tf.range(SIZE, dtype=tf.float32)
    rows = tf.abs(place[:, None] - 14 - 20 * (row - 0.5)) < 1.5 + 2.5 * tall
    columns = tf.abs(place - 14 - 20 * (column - 0.5)) < 1.5 + 2.5 * broad
    return tf.where(rows & columns, 0.0, images)


DAMAGES: tuple[Damage, ...] = (_tone, _noise, _impulse, _blur, _thick, _thin, _spatter, _line, _hole)
