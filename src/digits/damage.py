"""Digits → digits with noise, blur, lines, holes and other damage: what a trained model must see past.

Each damage takes float32 [m, 28, 28] of 0–1 and two random streams of its own, draws a severity for every
image, and is computed for its own rows only. Severities go from hardly any to beyond the robustness table's.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from digits.draws import normal, uniform

SIZE = 28
Damage = Callable[[Any, Any, int], Any]
STREAM = 2  # the first of two for each damage


def damage(images: Any, key: Any, share: float) -> Any:
    """Damage the last `share` of the rows, an equal part of them in each way of DAMAGES.

    float32 [n, 28, 28] of 0–1 → the same. `key`: int32 [2]; equal keys damage equally. n must be known.
    """
    n = images.shape[0]
    each = round(n * share / len(DAMAGES))
    if each == 0:
        return images
    first = n - each * len(DAMAGES)
    parts = [images[:first]]
    for place, apply in enumerate(DAMAGES):
        start = first + place * each
        parts.append(apply(images[start : start + each], key, STREAM + 2 * place))
    return tf.clip_by_value(tf.concat(parts, axis=0), 0.0, 1.0)


def _each(images: Any, key: Any, stream: int, low: float, high: float, *, parts: int = 1) -> list[Any]:
    """`parts` numbers for each image: tensors float32 [m, 1, 1]."""
    return list(tf.unstack(uniform([parts, images.shape[0], 1, 1], key, stream, low, high), axis=0))


def _blurred(images: Any, sigma: Any) -> Any:
    """Gaussian blur with sigma float32 [m, 1, 1], in pixels."""
    place = tf.range(SIZE, dtype=tf.float32)
    kernel = tf.exp(-(((place[:, None] - place) / sigma) ** 2) / 2)
    kernel = kernel / tf.reduce_sum(kernel, axis=2, keepdims=True)
    return tf.matmul(tf.matmul(kernel, images), kernel, transpose_b=True)


def _tone(images: Any, key: Any, stream: int) -> Any:
    """Dimmer, brighter, flatter, bent by a gamma; every second one black on white."""
    bend, gain, lift, side = _each(images, key, stream, 0.0, 1.0, parts=4)
    gain = 0.2 + 0.8 * gain
    toned = tf.pow(images, tf.exp(1.4 * bend - 0.7)) * gain + lift * (1 - gain)
    return tf.where(side < 0.5, 1 - toned, toned)


def _noise(images: Any, key: Any, stream: int) -> Any:
    (sigma,) = _each(images, key, stream, 0.0, 0.45)
    return images + sigma * normal(images.shape, key, stream + 1)


def _impulse(images: Any, key: Any, stream: int) -> Any:
    """Up to a fifth of the pixels white or black."""
    (share,) = _each(images, key, stream, 0.0, 0.2)
    drawn = uniform(images.shape, key, stream + 1)
    return tf.where(drawn < share / 2, 1.0, tf.where(drawn < share, 0.0, images))


def _blur(images: Any, key: Any, stream: int) -> Any:
    (sigma,) = _each(images, key, stream, 0.4, 2.0)
    return _blurred(images, sigma)


def _thick(images: Any, key: Any, stream: int) -> Any:
    (much,) = _each(images, key, stream, 0.2, 1.4)
    spread = tf.nn.max_pool2d(images[..., None], 3, 1, "SAME")[..., 0]
    return images + tf.minimum(much, 1.0) * (spread - images)


def _thin(images: Any, key: Any, stream: int) -> Any:
    (much,) = _each(images, key, stream, 0.2, 1.4)
    shrunk = -tf.nn.max_pool2d(-images[..., None], 2, 1, "SAME")[..., 0]
    return images + tf.minimum(much, 1.0) * (shrunk - images)


def _spatter(images: Any, key: Any, stream: int) -> Any:
    """Blobs: where smooth noise stands out."""
    sigma, above, strength = _each(images, key, stream, 0.0, 1.0, parts=3)
    sigma = 0.8 + 0.8 * sigma
    noise = _blurred(normal(images.shape, key, stream + 1), sigma)
    noise = noise * sigma * (2 * math.sqrt(math.pi))  # blurring had shrunk the deviation by that
    return images + (0.5 + strength) * tf.nn.relu(noise - (1.2 + 0.8 * above))


def _line(images: Any, key: Any, stream: int) -> Any:
    """A straight line from edge to edge, 0.8 to 2 px wide, at any angle."""
    angle, offset, width, ink = _each(images, key, stream, 0.0, 1.0, parts=4)
    angle = angle * math.pi
    place = tf.range(SIZE, dtype=tf.float32) - (SIZE - 1) / 2
    distance = tf.abs(tf.cos(angle) * place[:, None] + tf.sin(angle) * place - 16 * (offset - 0.5))
    line = tf.clip_by_value(0.9 + 0.6 * width - distance, 0.0, 1.0)
    return tf.maximum(images, line * (0.5 + 0.5 * ink))


def _hole(images: Any, key: Any, stream: int) -> Any:
    """A black rectangle of 3 to 8 px a side where the ink may be."""
    row, column, tall, broad = _each(images, key, stream, 0.0, 1.0, parts=4)
    place = tf.range(SIZE, dtype=tf.float32)
    rows = tf.abs(place[:, None] - 14 - 20 * (row - 0.5)) < 1.5 + 2.5 * tall
    columns = tf.abs(place - 14 - 20 * (column - 0.5)) < 1.5 + 2.5 * broad
    return tf.where(rows & columns, 0.0, images)


DAMAGES: tuple[Damage, ...] = (_tone, _noise, _impulse, _blur, _thick, _thin, _spatter, _line, _hole)
