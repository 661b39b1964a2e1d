"""Severe damage: fog, broken glass, stripes, several lines, or only the outline of the ink.

A second group beside `damage`, made alike, for what MNIST-C's fifteen have and that group lacks: motion and
glass blur, zigzags, dotted lines, stripes, fog, edges, spatter (see `mnist_c`). None is that table's formula:
directions, places and strengths are drawn, with the published severity somewhere in their range. A model
trained with them has met the kinds of that table, though not its pictures: say so beside its figures.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from digits.augment.damage import DAMAGES, SIZE, Damage, blur, each_way, rows_hit
from digits.augment.random_numbers import normal, uniform

NUMBERS = 7  # that one of them may use
STREAM = 8  # of the numbers; what is drawn for every pixel has the next ones
FAR = 7  # pixels that a pixel's ink comes from at most, along each axis


def damage_severely(images: Any, key: Any, share: float, damaged: float) -> Any:
    """Damage `share` of the rows, those before the last `damaged` of them, equal parts each way of SEVERE.

    float32 [n, 28, 28] of 0–1 → the same. `key`: int32 [2]; equal keys damage equally. n must be known.
    """
    spared = rows_hit(images.shape[0], damaged, len(DAMAGES))
    return each_way(images, key, share, SEVERE, NUMBERS, STREAM, spared)


def _from(images: Any, down: Any, right: Any) -> Any:
    """float32 [m, k, 28, 28]: what stands so many pixels `down` and `right` of each; int32 of ±FAR."""
    wide = SIZE + 2 * FAR
    place = np.arange(FAR, FAR + SIZE)
    here = tf.constant(place[:, None] * wide + place, tf.int32)
    padded = tf.reshape(tf.pad(images, [[0, 0], [FAR, FAR], [FAR, FAR]]), [images.shape[0], wide**2])
    return tf.gather(padded, here + down * wide + right, axis=1, batch_dims=1)


def _motion(images: Any, numbers: Any, _: Any) -> Any:
    """Smeared over 3 to 14 px in any direction, one end of the smear heavier."""
    angle, reach, lean = tf.unstack(numbers[:3, :, None])
    step = tf.linspace(-1.0, 1.0, 2 * FAR + 1)[:, None, None]
    reach = (1.5 + (FAR - 1.5) * reach) * step
    down = tf.cast(tf.round(reach * tf.sin(2 * math.pi * angle)), tf.int32)
    right = tf.cast(tf.round(reach * tf.cos(2 * math.pi * angle)), tf.int32)
    return tf.reduce_mean(_from(images, down, right) * (1 + lean * step), axis=1)


def _glass(images: Any, numbers: Any, key: Any) -> Any:
    """Each pixel comes from somewhere within 0.6 to 2.4 px of its place; a little blurred."""
    reach, sigma = tf.unstack(numbers[:2])
    drawn = uniform([images.shape[0], 2, SIZE, SIZE], key, STREAM + 1, -1.0, 1.0)
    moves = tf.cast(tf.round(drawn * (0.6 + 1.8 * reach)[:, None]), tf.int32)
    return blur(_from(images, moves[:, :1], moves[:, 1:])[:, 0], 0.3 + 0.5 * sigma)


def _along_and_across(angle: Any, offset: Any) -> tuple[Any, Any]:
    """Each pixel's coordinates in px along and across a line; `offset`, 0–1, moves it by up to ±10 px."""
    place = tf.range(SIZE, dtype=tf.float32) - (SIZE - 1) / 2
    cos, sin = tf.cos(math.pi * angle), tf.sin(math.pi * angle)
    down, right = place[:, None], place
    return cos * right + sin * down, cos * down - sin * right - 20 * (offset - 0.5)


def _zigzag(images: Any, numbers: Any, _: Any) -> Any:
    """A zigzag of 1 to 4 px to each side, a turn every 2.5 to 7 px, in any direction."""
    angle, offset, height, turn, phase, width, ink = tf.unstack(numbers)
    along, across = _along_and_across(angle, offset)
    height, turn = 1 + 3 * height, 2.5 + 4.5 * turn
    wave = 2 * tf.abs(2 * tf.math.floormod(along / (2 * turn) + phase, 1.0) - 1) - 1
    apart = tf.abs(across - height * wave) / tf.sqrt(1 + (2 * height / turn) ** 2)  # square to it
    return tf.maximum(images, tf.clip_by_value(0.9 + 0.5 * width - apart, 0.0, 1.0) * (0.5 + 0.5 * ink))


def _dotted(images: Any, numbers: Any, _: Any) -> Any:
    """A straight line, 1 to 2.6 px wide, of which a third to three quarters are drawn, in any direction."""
    angle, offset, period, drawn, phase, width, ink = tf.unstack(numbers)
    along, across = _along_and_across(angle, offset)
    period = 3 + 4 * period
    apart = tf.abs(tf.math.floormod(along / period + phase, 1.0) - 0.5) * period
    dots = tf.clip_by_value((0.33 + 0.42 * drawn) * period / 2 - apart + 0.5, 0.0, 1.0)
    line = tf.clip_by_value(1 + 0.8 * width - tf.abs(across), 0.0, 1.0)
    return tf.maximum(images, dots * line * (0.5 + 0.5 * ink))


def _lines(images: Any, numbers: Any, _: Any) -> Any:
    """Two straight lines from edge to edge, or three, about as bright as the digit."""
    width = 0.8 + 0.4 * numbers[6]
    ink = tf.zeros_like(images)
    for place in range(3):
        angle, offset = numbers[2 * place], numbers[2 * place + 1]
        line = tf.clip_by_value(width - tf.abs(_along_and_across(angle, offset)[1]), 0.0, 1.0)
        ink = tf.maximum(ink, tf.where(numbers[6] < 0.5, 0.0, line) if place == 2 else line)
    return tf.maximum(images, ink)


def _stripe(images: Any, numbers: Any, _: Any) -> Any:
    """Inverted in a band of 4 to 18 px, or beside it; upright or level, give or take 20°."""
    angle, offset, half, tilt, beside, strength = tf.unstack(numbers[:6])
    _, across = _along_and_across(0.5 * tf.floor(2 * angle) + (2 * tilt - 1) / 9, 0.5 + 0.4 * (offset - 0.5))
    inside = tf.clip_by_value(2 + 7 * half - tf.abs(across) + 0.5, 0.0, 1.0)
    band = tf.where(beside < 0.6, 1 - inside, inside) * (0.6 + 0.4 * strength)
    return images + band * (1 - 2 * images)


def _smooth(m: int, knots: int, key: Any, stream: int) -> Any:
    """Smooth noise float32 [m, 28, 28] of mean 0 and deviation 1, from `knots` by `knots` numbers."""
    spread = SIZE / (knots - 1)
    apart = (np.arange(SIZE) - np.linspace(0, SIZE - 1, knots)[:, None]) / (0.75 * spread)
    bumps: NDArray[np.float64] = np.exp(-(apart**2) / 2).T
    bumps /= np.sqrt((bumps**2).sum(axis=1, keepdims=True))
    basis = tf.constant(bumps, tf.float32)
    return tf.matmul(tf.matmul(basis, normal([m, knots, knots], key, stream)), basis, transpose_b=True)


def _fog(images: Any, numbers: Any, key: Any) -> Any:
    """Under clouds that take 30 to 85 % of the contrast."""
    thick, light, rough = tf.unstack(numbers[:3])
    thick = 0.3 + 0.55 * thick
    m = images.shape[0]
    clouds = _smooth(m, 4, key, STREAM + 2) + 0.6 * rough * _smooth(m, 10, key, STREAM + 3)
    return images * (1 - thick) + thick * tf.sigmoid(clouds + 4 * light - 2)


def _outline(images: Any, numbers: Any, _: Any) -> Any:
    """Only the ink's outline: of every second row a thin crisp one, of the others the slope of the ink."""
    sigma, level, gain, kind, rest = tf.unstack(numbers[:5])
    soft = blur(images, 0.4 + 0.8 * sigma)
    ink = tf.sigmoid((soft - 0.15 - 0.35 * level) * (10 + 40 * gain))[..., None]
    thin = tf.nn.max_pool2d(ink, 2, 1, "SAME") + tf.nn.max_pool2d(-ink, 2, 1, "SAME")
    padded = tf.pad(soft, [[0, 0], [1, 1], [1, 1]])
    down, right = padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1], padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]
    slope = (1.5 + 5 * gain) * (tf.sqrt(down**2 + right**2) - 0.3 * level)
    edges = tf.where(kind < 0.5, thin[..., 0], tf.clip_by_value(slope, 0.0, 1.0))
    return tf.maximum(edges, images * tf.nn.relu(rest - 0.7))  # a little of the inside in some


def _splash(images: Any, numbers: Any, key: Any) -> Any:
    """Blobs of one grey, black to white, cover the digit and the ground."""
    sigma, above, crisp, grey = tf.unstack(numbers[:4])
    sigma = 0.8 + 1.4 * sigma
    noise = blur(normal(images.shape, key, STREAM + 4), sigma) * sigma * (2 * math.sqrt(math.pi))
    cover = tf.sigmoid((noise - 0.5 - 1.2 * above) * (4 + 12 * crisp))
    return images + cover * (grey - images)


SEVERE: tuple[Damage, ...] = (*(_motion, _glass, _zigzag, _dotted, _lines, _stripe, _fog, _outline, _splash),)
