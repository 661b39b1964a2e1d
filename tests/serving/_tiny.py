"""A tiny SavedModel with this project's signatures, exported as the real one is."""

import numpy as np
import tensorflow as tf

from digits import saved_model, wire
from digits.export import warmup

IMAGES = np.random.default_rng(3).integers(0, 256, (32, 28, 28), dtype=np.uint8)


LINES = [np.full((32, 40 + place % 8), place, np.uint8) for place in range(32)]


def export(directory, *, shift=0, accuracy=0.99, images_sha256="", lines_sha256="", broken=False, lines=True):
    """Write it. Its digit is the index of the brightest of ten pixels plus `shift`; `broken`: it fails.

    A line says the last digit of its first pixel plus `shift`. Without `lines` it has no such signatures.
    """
    scale = tf.Variable(1 / 64, dtype=tf.float32)

    def answer(scores):
        scores = tf.roll(scores, shift, axis=1)
        probabilities = tf.nn.softmax(scores)
        return {
            wire.PROBABILITIES: probabilities,
            wire.DIGIT: tf.argmax(probabilities, axis=1),
            wire.CONFIDENCE: tf.reduce_max(probabilities, axis=1),
            wire.ACCEPTED: tf.reduce_max(probabilities, axis=1) >= 0.5,
        }

    @tf.function(input_signature=[tf.TensorSpec([None, None, None], tf.uint8, name=wire.IMAGES)])
    def pixels(images):
        images = tf.ensure_shape(images, [None, 28, 28])
        if broken:
            images = tf.ensure_shape(images, [7, 28, 28])
        return answer(tf.cast(images[:, 14, 5:15], tf.float32) * scale)

    def read(files):
        numbers = tf.strings.to_hash_bucket_fast(files, 97)
        return tf.cast(
            tf.math.floormod(numbers[:, tf.newaxis] * tf.range(1, 11, dtype=tf.int64), 13), tf.float32
        )

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name=wire.IMAGE_BYTES)])
    def encoded(image_bytes):
        return answer(read(image_bytes))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name=wire.EXAMPLES)])
    def classify(inputs):
        features = {wire.EXAMPLE_KEY: tf.io.FixedLenFeature([], tf.string)}
        scores = answer(read(tf.io.parse_example(inputs, features)[wire.EXAMPLE_KEY]))[wire.PROBABILITIES]
        labels = tf.constant([str(digit) for digit in range(10)])[tf.newaxis]
        return {wire.CLASSES: tf.tile(labels, [tf.shape(scores)[0], 1]), wire.SCORES: scores}

    def say(digit, count, columns):
        character = tf.pad(digit[:, tf.newaxis], [[0, 0], [0, wire.LONGEST - 1]], constant_values=-1)
        place = tf.cast(character >= 0, tf.float32)
        said = tf.strings.as_string(digit)
        shown = tf.one_hot(tf.tile(digit[:, tf.newaxis], [1, columns]), wire.COLUMN)
        sure = tf.ones_like(digit, tf.float32)
        return {
            wire.TEXT: said,
            wire.WRITTEN: tf.identity(said),
            wire.CONFIDENCE: sure * (64 * scale),
            wire.ACCEPTED: digit >= 0,
            wire.LENGTH: tf.ones_like(digit),
            wire.CHARACTER: character,
            wire.PROBABILITY: 2 * place - 1,
            wire.POSITION: 21 * place - 1,
            wire.COLUMNS: shown,
            wire.COLUMN_COUNT: count,
        }

    specs = [tf.TensorSpec([None, None, None], tf.uint8), tf.TensorSpec([None], tf.int32)]

    @tf.function(input_signature=specs)
    def lines_(lines, width):
        lines = tf.ensure_shape(lines, [None, 32, None])
        checked = tf.debugging.Assert(tf.reduce_all(width <= tf.shape(lines)[2]), ["width"])
        with tf.control_dependencies([checked]):
            digit = (tf.cast(lines[:, 0, 0], tf.int32) + shift) % 10
            return say(digit, (width + 3) // 4, (tf.shape(lines)[2] + 3) // 4)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name=wire.IMAGE_BYTES)])
    def lines_encoded(image_bytes):
        digit = tf.cast(tf.strings.to_hash_bucket_fast(image_bytes, 10), tf.int32)
        return say(digit, tf.fill(tf.shape(digit), 10), 10)

    functions = {wire.PIXELS: pixels, wire.ENCODED: encoded, wire.CLASSIFY: classify}
    if lines:
        functions |= {wire.LINES: lines_, wire.LINES_ENCODED: lines_encoded}
    saved_model.save(directory, {k: f.get_concrete_function() for k, f in functions.items()}, [scale])
    saved_model.add_extra(
        directory,
        warmup.records(IMAGES, LINES if lines else ()),
        ({"lines": {"validation_sha256": lines_sha256}} if lines else {})
        | {
            "metrics": {"accuracy": accuracy},
            "verdict": {"passed": True},
            "sample": False,
            "data": {"splits": {"test": {"images_sha256": images_sha256}}},
        },
        {"format": 1},
    )
    return directory


def digits(images, shift=0):
    """Return the model's digits of images [n, 28, 28]."""
    return (images[:, 14, 5:15].argmax(axis=1) + shift) % 10
