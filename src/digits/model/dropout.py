"""Dropout whose draws do not depend on how many replicas share a batch."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from digits.model import replica_context


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
