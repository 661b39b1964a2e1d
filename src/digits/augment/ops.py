"""The training images of one step, bent and damaged in the graph.

Every draw follows from (seed, step) alone, so any step can be replayed: a resumed training sees what an
unbroken one would have seen. Bending (rotation, scale, shear, shift, elastic, mirroring) is one displacement
field and one bilinear gather an image; the elastic part is a smooth random field (Simard 2003, "Best
practices for convolutional neural networks") from a coarse grid.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from digits.augment.damage import damage
from digits.augment.policies import Augmentation
from digits.augment.random_numbers import key_of, normal, uniform
from digits.augment.severe import damage_severely

SIZE = 28
MIDDLE = 14.0
KNOTS = 6  # of the elastic field, along each side
STREAM = 0  # this and the next are drawn from
MIRROR_STREAM = 31  # and this, where some are mirrored


def warp(images: Any, key: Any, strengths: Augmentation) -> Any:
    """Return the images bent at random, as float32 [n, 28, 28] of 0–1.

    images: uint8 [n, 28, 28]; n must be known. key: int32 [2]; equal keys bend equally. The first
    `strengths.wide` of the rows are bent `wide_by` times as far.
    """
    n = images.shape[0]
    source = tf.matmul(_coefficients(n, key, strengths), tf.constant(_basis()))
    source = tf.reshape(source, [n, 2, SIZE * SIZE]) + (MIDDLE + 1)  # in the image with a border of one pixel
    source = tf.clip_by_value(source, 0.0, SIZE + 0.999)
    corner = tf.floor(source)
    down, right = tf.unstack(source - corner, axis=1)
    row, column = tf.unstack(tf.cast(corner, tf.int32), axis=1)
    # Each int32 holds a pixel and its neighbours to the right and below: one gather in place of four.
    padded = tf.cast(tf.pad(images, [[0, 0], [1, 1], [1, 1]]), tf.int32)
    corners = [padded[:, :-1, :-1], padded[:, :-1, 1:], padded[:, 1:, :-1], padded[:, 1:, 1:]]
    packed = tf.add_n([tf.bitwise.left_shift(each, 8 * place) for place, each in enumerate(corners)])
    found = tf.gather(tf.reshape(packed, [n, -1]), row * (SIZE + 1) + column, axis=1, batch_dims=1)
    a, b, c, d = (tf.cast(tf.bitwise.right_shift(found, 8 * place) & 255, tf.float32) for place in range(4))
    top, bottom = a + (b - a) * right, c + (d - c) * right
    return tf.reshape((top + (bottom - top) * down) / 255.0, [n, SIZE, SIZE])


def _coefficients(n: int, key: Any, strengths: Augmentation) -> Any:
    """float32 [n * 2, 3 + KNOTS²]: where each image's rows and columns come from, in terms of `_basis`."""
    wide = round(n * strengths.wide)
    reach = np.ones((n, 1), np.float32)
    reach[:wide] = strengths.wide_by
    drawn = uniform([n, 6], key, STREAM, -1.0, 1.0) * reach
    turn, slant, tall, broad, lower, righter = tf.unstack(drawn, axis=1)
    turn = turn * math.radians(strengths.rotation)
    slant = slant * strengths.shear
    tall, broad = tf.exp(tall * math.log1p(strengths.scale)), tf.exp(broad * math.log1p(strengths.scale))
    cos, sin = tf.cos(turn), tf.sin(turn)
    # rotation · [[tall, 0], [slant, broad]]: the determinant, tall · broad, is negative for a mirror only
    if strengths.mirrored:
        broad = tf.where(uniform([n], key, MIRROR_STREAM) < strengths.mirrored, -broad, broad)
    rows = [lower * strengths.shift, cos * tall - sin * slant, -sin * broad]
    columns = [righter * strengths.shift, sin * tall + cos * slant, cos * broad]
    affine = tf.reshape(tf.stack(rows + columns, axis=1), [n * 2, 3])
    elastic = normal([n * 2, KNOTS**2], key, STREAM + 1) * strengths.elastic
    return tf.concat([affine, elastic], axis=1)


def _basis() -> NDArray[np.float32]:
    """float32 [3 + KNOTS², 784]: one, row, column (from the middle), and the bumps of the elastic field.

    The bumps' squares add up to one in each pixel, so that unit coefficients give unit displacement.
    """
    row, column = np.indices((SIZE, SIZE), dtype=np.float64).reshape(2, -1) - MIDDLE
    knots = np.linspace(-MIDDLE, MIDDLE - 1, KNOTS)
    spread = 0.75 * (knots[1] - knots[0])
    bump = np.exp(-(((np.arange(SIZE) - MIDDLE - knots[:, None]) / spread) ** 2) / 2)
    bumps = np.einsum("ar,bc->abrc", bump, bump).reshape(KNOTS**2, -1)
    bumps /= np.sqrt((bumps**2).sum(axis=0))
    return np.concatenate([[np.ones_like(row), row, column], bumps]).astype(np.float32)


def augment(images: Any, seed: int, step: Any, strengths: Augmentation) -> Any:
    """Return the images bent and damaged, as float32 [n, 28, 28] of 0–1.

    images: uint8 [n, 28, 28]; n must be known when traced. Which rows are damaged, and how, goes by position:
    the caller's order must be random.
    """
    key = key_of(seed, step)
    bent = warp(tf.convert_to_tensor(images), key, strengths)
    hit = damage_severely(bent, key, strengths.severe, strengths.damaged)
    return damage(hit, key, strengths.damaged)
