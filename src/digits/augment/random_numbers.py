"""Counter-based random numbers: a key and a stream's number give the same ones whenever they are drawn.

A key is int32 [2]; streams of one key do not meet. XLA draws other numbers than TensorFlow's own kernels do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

STREAMS = 32  # that a key may have


def key_of(seed: int, step: Any) -> Any:
    """The key of one step of one seed."""
    return tf.stack([tf.constant(seed, tf.int32), tf.cast(step, tf.int32) * STREAMS])


def uniform(shape: Sequence[int], key: Any, stream: int, low: float = 0.0, high: float = 1.0) -> Any:
    """float32 of `shape`, from low to high."""
    return tf.random.stateless_uniform(shape, key + tf.constant([0, stream]), low, high, alg="philox")


def normal(shape: Sequence[int], key: Any, stream: int) -> Any:
    """float32 of `shape`, mean 0, deviation 1."""
    return tf.random.stateless_normal(shape, key + tf.constant([0, stream]), alg="philox")
