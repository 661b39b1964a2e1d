"""A network's weights as three vectors: kernels, other parameters, batch norm's statistics.

The optimizer, the averaging and a checkpoint then handle three arrays rather than eighteen, which on two
cores saves a tenth of a step and more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf


class Flat:
    """Several arrays as one vector, and back."""

    def __init__(self, variables: Sequence[Any]) -> None:
        self.shapes = [tuple(v.shape) for v in variables]
        self.sizes = [int(np.prod(shape)) for shape in self.shapes]

    def join(self, parts: Sequence[Any]) -> Any:
        """One float32 vector; of nothing an empty one."""
        flat = [tf.reshape(tf.convert_to_tensor(part), [-1]) for part in parts]
        return tf.concat(flat, axis=0) if flat else tf.zeros([0])

    def split(self, vector: Any) -> list[Any]:
        """The arrays."""
        if not self.sizes:
            return []
        parts = tf.split(vector, self.sizes)
        return [tf.reshape(part, shape) for part, shape in zip(parts, self.shapes, strict=True)]


def is_kernel(variable: Any) -> bool:
    """Whether a trainable variable is a kernel: what weight decay and penalties reach."""
    return len(variable.shape) > 1


def is_statistic(variable: Any) -> bool:
    """Whether one that is not trained is a weight; the others are the seeds of dropout layers."""
    return bool(variable.dtype == "float32")


def groups(net: keras.Model) -> dict[str, list[Any]]:
    """The variables of each vector, in order."""
    trainable = net.trainable_variables
    return {
        "kernels": [v for v in trainable if is_kernel(v)],
        "others": [v for v in trainable if not is_kernel(v)],
        "statistics": [v for v in net.non_trainable_variables if is_statistic(v)],
    }


class Function:
    """A network as a function of its three vectors."""

    def __init__(self, net: keras.Model, seed: int) -> None:
        """seed: of what is random in a training step, dropout."""
        self.net, self.seed = net, seed
        self.flat = {name: Flat(group) for name, group in groups(net).items()}

    def vectors(self) -> dict[str, Any]:
        """The network's weights as they are."""
        return {name: self.flat[name].join(group) for name, group in groups(self.net).items()}

    def __call__(self, weights: Mapping[str, Any], images: Any, step: Any = None) -> tuple[Any, Any]:
        """Logits, and the statistics as a training step leaves them; `step` None: inference."""
        kernels = iter(self.flat["kernels"].split(weights["kernels"]))
        others = iter(self.flat["others"].split(weights["others"]))
        trainable = [next(kernels if is_kernel(v) else others) for v in self.net.trainable_variables]
        statistics = iter(self.flat["statistics"].split(weights["statistics"]))
        fixed = []
        for place, variable in enumerate(self.net.non_trainable_variables):
            if is_statistic(variable):
                fixed.append(next(statistics))
            else:  # the state of a dropout layer's generator: replayable too
                drawn = tf.stack([self.seed ^ place, 0 if step is None else step])
                fixed.append(tf.cast(drawn, variable.dtype))
        logits, left = self.net.stateless_call(trainable, fixed, images, training=step is not None)
        made = self.net.non_trainable_variables
        kept = [v for v, known in zip(left, made, strict=True) if is_statistic(known)]
        return logits, self.flat["statistics"].join(kept)


def fill(net: keras.Model, vectors: Mapping[str, Any]) -> None:
    """Give a network the weights of another one of its architecture."""
    for name, variables in groups(net).items():
        for variable, value in zip(variables, Flat(variables).split(vectors[name]), strict=True):
            variable.assign(value)
