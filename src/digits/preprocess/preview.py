"""Draws real digits beside what augmentation makes of them, in one picture.

Apart from the stage since it loads TensorFlow, which refused data need not wait for.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from digits.augment.ops import augment
from digits.augment.policies import Augmentation

VARIANTS = 14  # of each digit
SCALE, GAP, HEAD = 3, 4, 26  # screen pixels a pixel; between tiles; above the first row
PAPER, TEXT, FRAME = (255, 255, 255), (20, 20, 20), (216, 90, 20)


def variants(images: NDArray[np.uint8], strengths: Augmentation, seed: int) -> NDArray[np.uint8]:
    """Return variants of the images, uint8 [m, VARIANTS, 28, 28], as one training batch would hold them.

    images: uint8 [m, 28, 28]. What befalls a row of a batch goes by its place, so the variants come bent far,
    bent, damaged.
    """
    batch = np.tile(images, (VARIANTS, 1, 1))
    changed = augment(batch, seed, 0, strengths)
    levels = tf.cast(tf.floor(changed * 255 + 0.5), tf.uint8).numpy()
    return np.asarray(levels).reshape(VARIANTS, len(images), 28, 28).swapaxes(0, 1)


def sheet(images: NDArray[np.uint8], changed: NDArray[np.uint8], title: str) -> NDArray[np.uint8]:
    """Lay images out as uint8 [height, width, 3], a row each: the real one, framed, then its variants.

    images: uint8 [m, 28, 28]. variants: uint8 [m, k, 28, 28].
    """
    tile = 28 * SCALE
    step = tile + GAP
    page = Image.new("RGB", (GAP * 4 + (1 + changed.shape[1]) * step, HEAD + GAP + len(images) * step), PAPER)
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(14)
    draw.text((GAP, GAP), title, fill=TEXT, font=font)
    for row, (image, others) in enumerate(zip(images, changed, strict=True)):
        top = HEAD + row * step
        draw.rectangle((GAP - 2, top - 2, GAP + tile + 1, top + tile + 1), fill=FRAME)
        for column, each in enumerate([image, *others]):
            left = GAP + column * step + (2 * GAP if column else 0)
            page.paste(Image.fromarray(each).resize((tile, tile), Image.Resampling.NEAREST), (left, top))
    return np.asarray(page)
