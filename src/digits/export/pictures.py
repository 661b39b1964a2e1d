"""Bytes of a PNG or JPEG → grey levels [h, w], as graph operations that refuse what they can't read.

The first half of the `encoded` signature; digits.export.graph_normalize is the second. Only stock TensorFlow
operations, so that any TensorFlow Serving runs it. Every refusal is an InvalidArgument error that says which
picture of the batch it was.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from digits.export import exif
from digits.wire import IMAGE_BYTES

PNG, JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
LUMA = (0.299, 0.587, 0.114)  # as in digits.normalize, whose step 1 this is


def grey(picture: Any, row: Any, max_pixels: int) -> Any:
    """A scalar string → float32 [h, w], 0–255.

    row: the picture's place in its batch, for messages. More than `max_pixels` are refused after a look at
    the header, before anything is decoded: 2 KB of PNG can hold 2.5 billion pixels.
    """
    is_png = tf.strings.substr(picture, 0, len(PNG)) == PNG
    is_jpeg = tf.strings.substr(picture, 0, len(JPEG)) == JPEG
    known = _refuse_unless(is_png | is_jpeg, row, "is neither a PNG nor a JPEG file")
    with tf.control_dependencies([known]):
        height, width = tf.cond(is_png, lambda: _png_size(picture), lambda: _jpeg_size(picture))
    # As float64: the product of two 32-bit sides does not overflow there.
    pixels = tf.cast(height, tf.float64) * tf.cast(width, tf.float64)
    size = tf.strings.format("is {} pixels wide and {} high", (width, height))
    limit = f"; expected 1 to {max_pixels} pixels in all: make it smaller"
    readable = (width > 0) & (height > 0) & (pixels <= max_pixels)
    with tf.control_dependencies([_refuse_unless(readable, row, size + limit)]):
        picture = tf.identity(picture)
    return tf.cond(is_png, lambda: _png(picture), lambda: _jpeg(picture))


def _refuse_unless(condition: Any, row: Any, reason: Any) -> Any:
    message = tf.strings.join([tf.strings.format(f"{IMAGE_BYTES}[{{}}] ", row), reason])
    return tf.debugging.Assert(condition, [message])


def _png_size(picture: Any) -> tuple[Any, Any]:
    # IHDR is the first chunk: 8 bytes signature, 4 length, 4 "IHDR", 4 width, 4 height. Zeros if cut short;
    # a side of 2³¹ or more, which PNG forbids, comes out negative and is refused as well.
    head = tf.strings.join([tf.strings.substr(picture, 0, 24), b"\0" * 24])
    sides = tf.io.decode_raw(tf.strings.substr(head, 16, 8), tf.int32, little_endian=False)
    return sides[1], sides[0]


def _jpeg_size(picture: Any) -> tuple[Any, Any]:
    shape = tf.image.extract_jpeg_shape(
        picture
    )  # reads as far as the SOF marker, with the decoder's own code
    return shape[0], shape[1]


def _jpeg(picture: Any) -> Any:
    # Three channels whatever the file has: CMYK can't be decoded to one. The accurate DCT is Pillow's.
    levels = tf.io.decode_jpeg(picture, channels=3, dct_method="INTEGER_ACCURATE")
    return _luma(exif.upright(levels, exif.orientation(picture)))


def _png(picture: Any) -> Any:
    # The channels of the file: asked for four, the decoder gives pictures of 1 to 4 bits a false alpha of 1.
    levels = tf.io.decode_png(picture, channels=0)
    channels = tf.shape(levels)[2]
    luma = tf.cond(channels >= 3, lambda: _luma(levels), lambda: tf.cast(levels[..., 0], tf.float32))
    return tf.cond(channels % 2 == 0, lambda: _on_paper(luma, levels[..., -1]), lambda: luma)


def _luma(levels: Any) -> Any:
    return tf.add_n([weight * tf.cast(levels[..., i], tf.float32) for i, weight in enumerate(LUMA)])


def _on_paper(luma: Any, alpha: Any) -> Any:
    alpha = tf.cast(alpha, tf.float32) / 255
    mean = tf.reduce_sum(luma * alpha) / tf.maximum(tf.reduce_sum(alpha), 1e-6)
    return luma * alpha + tf.where(mean < 128, 255.0, 0.0) * (1 - alpha)
