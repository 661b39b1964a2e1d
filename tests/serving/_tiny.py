"""A tiny SavedModel with this project's signatures, exported as the real one is."""

import numpy as np
import tensorflow as tf

from digits import saved_model, wire
from digits.export import warmup

IMAGES = np.random.default_rng(3).integers(0, 256, (32, 28, 28), dtype=np.uint8)


def export(directory, *, shift=0, accuracy=0.99, images_sha256="", broken=False):
    """Write it. Its digit is the index of the brightest of ten pixels plus `shift`; `broken`: it fails."""
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

    functions = {wire.PIXELS: pixels, wire.ENCODED: encoded, wire.CLASSIFY: classify}
    saved_model.save(directory, {k: f.get_concrete_function() for k, f in functions.items()}, [scale])
    saved_model.add_extra(
        directory,
        warmup.records(IMAGES),
        {
            "metrics": {"accuracy": accuracy},
            "verdict": {"passed": True},
            "sample": False,
            "data": {"splits": {"test": {"images_sha256": images_sha256}}},
        },
    )
    return directory


def digits(images, shift=0):
    """Return the model's digits of images [n, 28, 28]."""
    return (images[:, 14, 5:15].argmax(axis=1) + shift) % 10
