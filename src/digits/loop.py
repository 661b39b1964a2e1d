"""A recipe and training images → weights, moved many steps in one call of the graph.

All kernels are one flat variable, all other parameters a second, batch norm's statistics a third: the
optimizer, the averaging and a checkpoint then handle three arrays rather than eighteen, which on two cores
saves a tenth of a step and more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from digits import models
from digits.augment import augment
from digits.canonicalize import SIZE, canonicalize
from digits.history import State
from digits.optimizers import Schedule, optimizer
from digits.recipe import Recipe
from digits.splits import CLASSES, Split

SCORED_AT_ONCE = 500  # images


class Flat:
    """Several arrays as one vector, and back."""

    def __init__(self, variables: Sequence[Any]) -> None:
        self.shapes = [tuple(v.shape) for v in variables]
        self.sizes = [int(np.prod(shape)) for shape in self.shapes]

    def join(self, parts: Sequence[Any]) -> Any:
        """One float32 vector."""
        return tf.concat([tf.reshape(tf.convert_to_tensor(part), [-1]) for part in parts], axis=0)

    def split(self, vector: Any) -> list[Any]:
        """The arrays."""
        parts = tf.split(vector, self.sizes)
        return [tf.reshape(part, shape) for part, shape in zip(parts, self.shapes, strict=True)]


def _graph(function: Any, **options: Any) -> Any:
    """A tf.function without AutoGraph, whose rewriting of Python took 2 of the 3 seconds of tracing."""
    return tf.function(function, autograph=False, **options)


class Loop:
    """The moving parts of one training."""

    def __init__(self, recipe: Recipe, train: Split) -> None:
        self.recipe = recipe
        model = models.build(
            recipe.architecture, dropout=recipe.dropout, precision=recipe.precision, seed=recipe.seed
        )
        self.net = models.network(model)
        self.images, self.labels = tf.constant(train.images), tf.constant(train.labels.astype(np.int32))
        trainable = self.net.trainable_variables
        self.is_kernel = [len(v.shape) > 1 for v in trainable]
        groups = {
            "kernels": [v for v in trainable if len(v.shape) > 1],
            "others": [v for v in trainable if len(v.shape) <= 1],
            "statistics": [v for v in self.net.non_trainable_variables if v.dtype == "float32"],
        }
        self.flat = {name: Flat(group) for name, group in groups.items()}
        self.now = {
            name: keras.Variable(self.flat[name].join(group), name=name) for name, group in groups.items()
        }
        self.average = {name: keras.Variable(v.value, name=f"average_{name}") for name, v in self.now.items()}
        self.optimizer = optimizer(recipe, self.now["kernels"], self.now["others"])
        self.schedule = Schedule(recipe)
        # On a CPU XLA makes augmentation several times faster, and the convolutions several times slower.
        self._prepare = _graph(self._prepared, jit_compile=recipe.xla != "nothing")
        self._step = _graph(self._stepped, jit_compile=recipe.xla == "everything")
        rows = tf.TensorSpec([None, recipe.batch], tf.int32)
        self._run = _graph(self._steps, input_signature=[rows, tf.TensorSpec([], tf.int32)])
        pixels = tf.TensorSpec([None, SIZE, SIZE], tf.float32)
        self._score = _graph(self._scored, input_signature=[pixels, tf.TensorSpec([None], tf.int32)])

    # ------------------------------------------------------------------------------------------ training
    def run(self, order: NDArray[np.int32], start: int) -> tuple[float, float]:
        """Train on the rows of `order` int32 [k, batch], from step `start`; mean loss and accuracy."""
        loss, hits = self._run(tf.constant(order), tf.constant(start))
        return float(loss) / len(order), float(hits) / order.size

    def _steps(self, order: Any, start: Any) -> Any:
        count = tf.shape(order)[0]

        def one(done: Any, loss: Any, hits: Any, images: Any, labels: Any) -> tuple[Any, ...]:
            # The next batch is prepared while this one is trained on: the one keeps the other's core busy.
            following = self._take(order[tf.minimum(done + 1, count - 1)], start + done + 1)
            step_loss, step_hits = self._step(images, labels, start + done)
            return (done + 1, loss + step_loss, hits + step_hits, *following)

        state = (tf.constant(0), tf.constant(0.0), tf.constant(0.0), *self._take(order[0], start))
        _, loss, hits, _, _ = tf.while_loop(lambda done, *_: done < count, one, state)
        return loss, hits

    def _take(self, rows: Any, step: Any) -> tuple[Any, Any]:
        images = tf.ensure_shape(tf.gather(self.images, rows), [self.recipe.batch, SIZE, SIZE])
        labels = tf.ensure_shape(tf.gather(self.labels, rows), [self.recipe.batch])
        return self._prepare(images, step), labels

    def _prepared(self, images: Any, step: Any) -> Any:
        augmented = augment(images, self.recipe.seed, step, self.recipe.augmentation)
        return canonicalize(augmented, compiled=self.recipe.xla != "nothing")

    def _stepped(self, images: Any, labels: Any, step: Any) -> tuple[Any, Any]:
        now = self.now
        with tf.GradientTape() as tape:
            logits, statistics = self._forward(now, images, step)
            loss = self._loss(logits, labels)
            scaled = self.optimizer.scale_loss(loss)
        sources = [now["kernels"].value, now["others"].value]
        self.optimizer.apply(tape.gradient(scaled, sources), [now["kernels"], now["others"]])
        now["statistics"].assign(statistics)
        if self.recipe.ema:
            seen = tf.cast(step, tf.float32)
            keep = tf.minimum(self.recipe.ema, (1 + seen) / (10 + seen))  # at first there is little to keep
            for name, mean in self.average.items():
                mean.assign(mean + (1 - keep) * (now[name] - mean))
        hits = tf.argmax(logits, axis=1, output_type=tf.int32) == labels
        return loss, tf.reduce_sum(tf.cast(hits, tf.float32))

    def _forward(self, weights: dict[str, Any], images: Any, step: Any = None) -> tuple[Any, Any]:
        """Logits, and the statistics as a training step leaves them; `step` None: inference."""
        kernels = iter(self.flat["kernels"].split(weights["kernels"]))
        others = iter(self.flat["others"].split(weights["others"]))
        trainable = [next(kernels if is_kernel else others) for is_kernel in self.is_kernel]
        statistics = iter(self.flat["statistics"].split(weights["statistics"]))
        fixed = []
        for place, variable in enumerate(self.net.non_trainable_variables):
            if variable.dtype == "float32":
                fixed.append(next(statistics))
            else:  # the state of a dropout layer's generator: replayable too
                drawn = tf.stack([self.recipe.seed ^ place, 0 if step is None else step])
                fixed.append(tf.cast(drawn, variable.dtype))
        logits, left = self.net.stateless_call(trainable, fixed, images, training=step is not None)
        kept = [
            v
            for v, made in zip(left, self.net.non_trainable_variables, strict=True)
            if made.dtype == "float32"
        ]
        return logits, self.flat["statistics"].join(kept)

    def _loss(self, logits: Any, labels: Any) -> Any:
        smooth = self.recipe.label_smoothing
        truth = tf.one_hot(labels, CLASSES) * (1 - smooth) + smooth / CLASSES
        loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(truth, logits))
        kernels = self.now["kernels"]
        if self.recipe.l1:
            loss += self.recipe.l1 * tf.reduce_sum(tf.abs(kernels))
        if self.recipe.l2:
            loss += self.recipe.l2 * tf.reduce_sum(tf.square(kernels))
        return loss

    # ------------------------------------------------------------------------------------------- scoring
    @property
    def weights(self) -> dict[str, Any]:
        """What is scored and kept: the averaged weights, or the last ones where nothing is averaged."""
        return self.average if self.recipe.ema else self.now

    def score(self, images: Any, labels: NDArray[np.uint8]) -> tuple[float, float]:
        """Accuracy and cross-entropy on canonical images float32 [n, 28, 28]."""
        hits = loss = 0.0
        for start in range(0, len(labels), SCORED_AT_ONCE):
            part = slice(start, start + SCORED_AT_ONCE)
            more_hits, more_loss = self._score(images[part], tf.constant(labels[part].astype(np.int32)))
            hits, loss = hits + float(more_hits), loss + float(more_loss)
        return hits / len(labels), loss / len(labels)

    def _scored(self, images: Any, labels: Any) -> tuple[Any, Any]:
        logits, _ = self._forward(self.weights, images)
        loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        hits = tf.argmax(logits, axis=1, output_type=tf.int32) == labels
        return tf.reduce_sum(tf.cast(hits, tf.float32)), tf.reduce_sum(loss)

    # --------------------------------------------------------------------------------------------- state
    def _variables(self) -> dict[str, Any]:
        named = {f"now/{name}": v for name, v in self.now.items()}
        named |= {f"average/{name}": v for name, v in self.average.items()}
        return named | {f"optimizer/{i}": v for i, v in enumerate(self.optimizer.variables)}

    def state(self, step: int) -> State:
        """A copy of everything that training has changed."""
        return State(step, {name: v.numpy().copy() for name, v in self._variables().items()})

    def restore(self, state: State) -> None:
        """Go back, or on, to a state."""
        for name, variable in self._variables().items():
            variable.assign(state.arrays[name])

    def rate(self, step: int) -> float:
        """The learning rate at a step."""
        return float(self.schedule(tf.constant(step)))

    def fill(self, model: keras.Model) -> None:
        """Give the weights to a model of the same architecture."""
        net = models.network(model)
        parts = {name: iter(self.flat[name].split(self.weights[name].value)) for name in self.flat}
        for variable in net.trainable_variables:
            variable.assign(next(parts["kernels" if len(variable.shape) > 1 else "others"]))
        for variable in net.non_trainable_variables:
            if variable.dtype == "float32":
                variable.assign(next(parts["statistics"]))
