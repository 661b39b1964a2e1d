"""The operations that turn PNG or JPEG bytes into 28×28 pixels in MNIST's manner, in the graph.

They are the preprocessing of the `encoded` signature: decoding, the orientation that EXIF data ask for
(phones store what the sensor saw and note how the phone was held; TensorFlow's decoders ignore the note), and
normalisation. Only stock TensorFlow operations, so that any TensorFlow Serving runs them. Every refusal is an
InvalidArgument error that says which picture of the batch it was. `lines_encoded` reads its pictures with the
same decoding.

Normalisation repeats the steps, numbers and constants of `digits.normalize`, which explains them; a test
holds the two equal. They are repeated rather than shared since that module is NumPy, SciPy and Pillow, which
a model server does not run.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from digits.normalize import BLANK, BOX, CENTRE, EDGE, FLOOR, SIDE, SMOOTH_FROM, WHITE_RANK
from digits.wire import IMAGE_BYTES

HEAD = 1 << 17  # bytes looked at: EXIF is one segment of at most 64 KiB, first or nearly so
IFD_ENTRY, ORIENTATION = 12, 0x0112  # size in bytes, tag (Exif 2.3, section 4.6)
UPRIGHT = 1


def orientation(jpeg: Any) -> Any:
    """int32 scalar, 1–8, as EXIF counts them; 1 (upright) when the file says nothing or nonsense."""
    head = tf.cast(tf.io.decode_raw(tf.strings.substr(jpeg, 0, HEAD), tf.uint8), tf.int32)
    head = tf.concat([head, tf.zeros([16], tf.int32)], 0)  # reads past the end give zeros
    exif = _exif_at(head)
    return tf.cond(exif > 0, lambda: _orientation_at(head, exif + 10), lambda: tf.constant(UPRIGHT))


def upright(picture: Any, turn: Any) -> Any:
    """Return the stored picture [h, w, c] turned as its EXIF `orientation` says."""
    picture = tf.cond(turn >= 5, lambda: tf.transpose(picture, [1, 0, 2]), lambda: picture)
    mirrored = tf.reduce_any(turn == [2, 3, 6, 7])
    upside_down = tf.reduce_any(turn == [3, 4, 7, 8])
    picture = tf.cond(mirrored, lambda: tf.reverse(picture, [1]), lambda: picture)
    return tf.cond(upside_down, lambda: tf.reverse(picture, [0]), lambda: picture)


def _byte(head: Any, at: Any) -> Any:
    return tf.gather(head, tf.minimum(at, tf.size(head) - 1))


def _big(head: Any, at: Any) -> Any:
    return _byte(head, at) * 256 + _byte(head, at + 1)


def _exif_at(head: Any) -> Any:
    """Offset of the EXIF segment's marker, or 0: segments are walked while they are APPn or comments."""

    def is_exif(at: Any) -> Any:
        return (_big(head, at) == 0xFFE1) & (_big(head, at + 4) == 0x4578) & (_big(head, at + 6) == 0x6966)

    def is_passed_over(at: Any) -> Any:
        marker = _big(head, at)
        return ((marker >= 0xFFE0) & (marker <= 0xFFEF) | (marker == 0xFFFE)) & ~is_exif(at)

    def following(at: Any) -> tuple[Any]:
        return (at + 2 + tf.maximum(_big(head, at + 2), 2),)

    (at,) = tf.while_loop(is_passed_over, following, (tf.constant(2),), parallel_iterations=1)
    return tf.where(is_exif(at), at, 0)


def _orientation_at(head: Any, tiff: Any) -> Any:
    little = _big(head, tiff) == 0x4949  # "II", Intel; else "MM", Motorola

    def two(at: Any) -> Any:
        first, second = _byte(head, at), _byte(head, at + 1)
        return tf.where(little, first + second * 256, first * 256 + second)

    # An offset past 64 KiB can't lie in the segment, so the 16 bits that matter are enough.
    directory = tiff + tf.where(little, two(tiff + 4), two(tiff + 6))
    entries = directory + 2 + IFD_ENTRY * tf.range(tf.minimum(two(directory), 64))
    entries = tf.boolean_mask(entries, two(entries) == ORIENTATION)
    value = tf.cond(tf.size(entries) > 0, lambda: two(entries[0] + 8), lambda: tf.constant(UPRIGHT))
    return tf.where((value >= 1) & (value <= 8), value, UPRIGHT)


PNG, JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
LUMA = (0.299, 0.587, 0.114)  # as in digits.normalize, whose step 1 this is


def grey(picture: Any, row: Any, max_pixels: int) -> Any:
    """Decode the bytes of one picture, a scalar string, to float32 [h, w] of 0–255.

    row: the picture's place in its batch, for messages. More than `max_pixels` are refused after a look at
    the header, before anything is decoded: 2 KB of PNG can hold 2.5 billion pixels.
    """
    is_png = tf.strings.substr(picture, 0, len(PNG)) == PNG
    is_jpeg = tf.strings.substr(picture, 0, len(JPEG)) == JPEG
    known = refuse_unless(is_png | is_jpeg, row, "is neither a PNG nor a JPEG file")
    with tf.control_dependencies([known]):
        height, width = tf.cond(is_png, lambda: _png_size(picture), lambda: _jpeg_size(picture))
    # As float64: the product of two 32-bit sides does not overflow there.
    pixels = tf.cast(height, tf.float64) * tf.cast(width, tf.float64)
    size = tf.strings.format("is {} pixels wide and {} high", (width, height))
    limit = f"; expected 1 to {max_pixels} pixels in all: make it smaller"
    readable = (width > 0) & (height > 0) & (pixels <= max_pixels)
    with tf.control_dependencies([refuse_unless(readable, row, size + limit)]):
        picture = tf.identity(picture)
    return tf.cond(is_png, lambda: _png(picture), lambda: _jpeg(picture))


def refuse_unless(condition: Any, row: Any, reason: Any) -> Any:
    """An operation that fails with InvalidArgument, naming the picture by its `row`, unless `condition`."""
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
    return _luma(upright(levels, orientation(picture)))


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


def normalize(grey: Any, row: Any) -> Any:
    """Return a picture, float32 [h, w] of 0–255, as uint8 [28, 28], white ink on black.

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
