"""The start of a JPEG file → the orientation that its EXIF data ask for, as graph operations.

Core. Phones store what the sensor saw and note how the phone was held; a 7 taken upright may lie on its side
in the pixels, where it reads as a 2. TensorFlow's decoders ignore the note.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

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
    """[h, w, c] as stored → [h, w, c] as meant, for an `orientation`."""
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
