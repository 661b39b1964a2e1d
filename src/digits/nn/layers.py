"""Keras layers of the networks: batch normalisation by TensorFlow's fused kernel, and dropout.

Dropout's draws, and the statistics of normalisation, do not depend on how many replicas share a batch.
"""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow as tf

from digits.nn import replica_context


@keras.saving.register_keras_serializable(package="digits")
class FusedBatchNorm(keras.layers.Layer):  # type: ignore[misc]
    """Batch normalisation (Ioffe & Szegedy 2015, arXiv:1502.03167) over all but the last axis.

    Through TensorFlow's fused kernel: Keras 3's own layer is unfused, which makes a whole step 1.4 × slower
    on CPU. Statistics and parameters stay float32 whatever the precision of the images. Where replicas share
    a batch, the statistics are those of all its rows; that way is unfused.
    """

    def __init__(self, momentum: float = 0.9, epsilon: float = 1e-3, **options: Any) -> None:
        super().__init__(**options)
        self.momentum = momentum
        self.epsilon = epsilon

    def build(self, shape: tuple[int | None, ...]) -> None:
        """Make the parameters and the moving statistics."""

        def weight(name: str, initial: str, trainable: bool) -> Any:
            options = {"dtype": "float32", "autocast": False, "trainable": trainable}
            return self.add_weight(name=name, shape=(shape[-1],), initializer=initial, **options)

        self.gamma = weight("gamma", "ones", True)
        self.beta = weight("beta", "zeros", True)
        self.moving_mean = weight("moving_mean", "zeros", False)
        self.moving_variance = weight("moving_variance", "ones", False)

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Normalise by the batch's statistics when training, else by the moving ones."""
        if training and replica_context.several():
            return self._shared(inputs)
        options = {"epsilon": self.epsilon, "is_training": bool(training)}
        scale, offset = tf.convert_to_tensor(self.gamma), tf.convert_to_tensor(self.beta)
        mean, variance = tf.convert_to_tensor(self.moving_mean), tf.convert_to_tensor(self.moving_variance)
        result = tf.raw_ops.FusedBatchNormV3(
            x=inputs, scale=scale, offset=offset, mean=mean, variance=variance, **options
        )
        if training:
            self.moving_mean.assign(mean + (1 - self.momentum) * (result.batch_mean - mean))
            self.moving_variance.assign(variance + (1 - self.momentum) * (result.batch_variance - variance))
        return result.y

    def _shared(self, inputs: Any) -> Any:
        """Normalise a replica's rows by the statistics of the whole batch."""
        x = tf.cast(inputs, tf.float32)
        axes = list(range(x.shape.rank - 1))
        batch_mean = replica_context.total(replica_context.part(tf.reduce_mean(x, axes)))
        centred = x - batch_mean  # before squaring: a difference of squares would lose digits
        batch_variance = replica_context.total(replica_context.part(tf.reduce_mean(tf.square(centred), axes)))
        values = math.prod(x.shape[:-1]) * replica_context.count()
        unbiased = batch_variance * (values / (values - 1))  # as the fused kernel keeps it
        mean, variance = tf.convert_to_tensor(self.moving_mean), tf.convert_to_tensor(self.moving_variance)
        self.moving_mean.assign(mean + (1 - self.momentum) * (batch_mean - mean))
        self.moving_variance.assign(variance + (1 - self.momentum) * (unbiased - variance))
        scale = tf.math.rsqrt(batch_variance + self.epsilon) * tf.convert_to_tensor(self.gamma)
        return tf.cast(centred * scale + tf.convert_to_tensor(self.beta), inputs.dtype)

    def compute_output_spec(self, inputs: Any, training: bool = False) -> Any:  # noqa: ARG002 - Keras passes it
        """Shape and type of the result."""
        return keras.KerasTensor(inputs.shape, dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """What rebuilds the layer."""
        return {**super().get_config(), "momentum": self.momentum, "epsilon": self.epsilon}


@keras.saving.register_keras_serializable(package="digits")
class SharedDropout(keras.layers.Dropout):  # type: ignore[misc]
    """Keras's dropout; a replica draws for the whole batch and keeps what is drawn for its own rows."""

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Set a share of the inputs to 0 when training, and scale the others up."""
        if not (training and replica_context.several()):
            return super().call(inputs, training=training)
        rows, *rest = inputs.shape
        whole = tf.ones([rows * replica_context.count(), *rest], inputs.dtype)
        return inputs * replica_context.share(super().call(whole, training=training))
