"""The training loop of one network: many steps in one call of the graph."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from digits.augment.ops import augment
from digits.augment.policies import Augmentation
from digits.dataset import CLASSES
from digits.model import architectures
from digits.model.canonicalize import SIZE, canonicalize
from digits.model.recipe import Recipe
from digits.nn import replica_context
from digits.train import flat_weights
from digits.train.additions import Additions, Pool
from digits.train.devices import Replicas
from digits.train.history import State
from digits.train.input_pipeline import Feed
from digits.train.optimizers import Schedule, optimizer
from digits.train.pruning import Pruning

SCORED_AT_ONCE = 500  # images


def _graph(function: Any, **options: Any) -> Any:
    """A tf.function without AutoGraph, whose rewriting of Python took 2 of the 3 seconds of tracing."""
    return tf.function(function, autograph=False, **options)


class Loop:
    """The moving parts of one training."""

    def __init__(
        self,
        recipe: Recipe,
        feed: Feed,
        teacher: keras.Model | None = None,
        additions: Pool | None = None,
        together: Replicas | None = None,
    ) -> None:
        """teacher: canonical images float32 [n, 28, 28] → logits, for a recipe with distillation.

        additions: pictures without a digit and drawn digits, for a recipe with shares of them.
        together: the replicas that share each batch; None: one device has it to itself.
        """
        self.recipe, self.strengths = recipe, Augmentation(**recipe.augmentation)
        self.additions = Additions(recipe, additions)
        self.together = together or Replicas()
        self.teacher = teacher if recipe.distillation else None
        self.net = network_of(recipe)
        self.feed = feed
        self.function = flat_weights.Function(self.net, recipe.seed)
        layout, made = self.function.flat["kernels"], self.together.variable
        self.now = {name: made(vector, name) for name, vector in self.function.vectors().items()}
        self.average = {name: made(v.value, f"average_{name}") for name, v in self.now.items()}
        with self.together.scope():
            self.optimizer = optimizer(recipe, self.now["kernels"], self.now["others"], layout)
        self.schedule = Schedule(recipe)
        self.pruning = Pruning(recipe, layout, made)
        # On a CPU XLA makes augmentation several times faster, and the convolutions several times slower.
        self._prepare = _graph(self._prepared, jit_compile=recipe.xla != "nothing")
        alone = _graph(self._stepped, jit_compile=recipe.xla == "everything")
        self._step = self.together.step(self._stepped) if self.together.strategy else alone
        labels, rows = tf.TensorSpec([None], tf.int32), tf.TensorSpec([None, recipe.digits_a_step], tf.int32)
        images = tf.TensorSpec([None, SIZE, SIZE], tf.uint8)
        self._run = _graph(self._steps, input_signature=[images, labels, rows, tf.TensorSpec([], tf.int32)])
        pixels = tf.TensorSpec([None, SIZE, SIZE], tf.float32)
        self._score = _graph(self._scored, input_signature=[pixels, labels])

    # ------------------------------------------------------------------------------------------ training
    def run(self, order: NDArray[np.int32], start: int) -> tuple[float, float]:
        """Train on the rows of `order` int32 [k, digits a step], from step `start`.

        Mean loss, which counts outliers, and accuracy, which does not.
        """
        loss = hits = 0.0
        for images, labels, rows in self.feed.blocks(order):
            block_loss, block_hits = self._run(images, labels, rows, tf.constant(start))
            loss, hits, start = loss + float(block_loss), hits + float(block_hits), start + len(rows)
        return loss / len(order), hits / (len(order) * self.recipe.labelled_a_step)

    def _steps(self, images: Any, labels: Any, order: Any, start: Any) -> Any:
        count = tf.shape(order)[0]

        def take(place: Any) -> tuple[Any, Any]:
            rows = order[place]
            digits = tf.ensure_shape(tf.gather(images, rows), [self.recipe.digits_a_step, SIZE, SIZE])
            truth = tf.ensure_shape(tf.gather(labels, rows), [self.recipe.digits_a_step])
            batch, truth = self.additions.add(digits, truth, start + place)
            return self._prepare(batch, start + place), truth

        def one(done: Any, loss: Any, hits: Any, batch: Any, truth: Any) -> tuple[Any, ...]:
            # The next batch is prepared while this one is trained on: the one keeps the other's core busy.
            following = take(tf.minimum(done + 1, count - 1))
            step_loss, step_hits = self._step(batch, truth, start + done)
            return (done + 1, loss + step_loss, hits + step_hits, *following)

        state = (tf.constant(0), tf.constant(0.0), tf.constant(0.0), *take(0))
        _, loss, hits, _, _ = tf.while_loop(lambda done, *_: done < count, one, state)
        return loss, hits

    def _prepared(self, images: Any, step: Any) -> Any:
        augmented = augment(images, self.recipe.seed, step, self.strengths)
        return normalize(augmented, self.recipe, compiled=self.recipe.xla != "nothing")

    def _stepped(self, images: Any, labels: Any, step: Any) -> tuple[Any, Any]:
        now = self.now
        with tf.GradientTape() as tape:
            logits, statistics = self.function(now, images, step)
            loss = self._loss(logits, self._truth(labels, images))
            scaled = self.optimizer.scale_loss(replica_context.part(loss))
        sources = [now["kernels"].value, now["others"].value]
        gradients = tape.gradient(scaled, sources)
        if self.recipe.precision == "float16":  # all must see one replica's overflow, before Keras sums
            gradients = [replica_context.part(each) for each in replica_context.total(gradients)]
        self.optimizer.apply(gradients, [now["kernels"], now["others"]])
        now["statistics"].assign(statistics)
        if self.recipe.ema:
            seen = tf.cast(step, tf.float32)
            keep = tf.minimum(self.recipe.ema, (1 + seen) / (10 + seen))  # at first there is little to keep
            for name, mean in self.average.items():
                mean.assign(mean + (1 - keep) * (now[name] - mean))
        self.pruning.apply(step, [now["kernels"], self.average["kernels"]])
        hits = tf.argmax(logits, axis=1, output_type=tf.int32) == labels
        return loss, tf.reduce_sum(tf.cast(hits, tf.float32))

    def _truth(self, labels: Any, images: Any) -> Any:
        """What the answer should be, [n, 10]; part of it is the teacher's (Hinton 2015, arXiv:1503.02531)."""
        smooth, share = self.recipe.label_smoothing, self.recipe.distillation
        truth = tf.one_hot(labels, CLASSES) * (1 - smooth) + smooth / CLASSES
        if self.teacher is not None:
            taught = tf.nn.softmax(self.teacher(images, training=False))
            truth = tf.stop_gradient((1 - share) * truth + share * taught)
        return self.additions.truth(truth, labels)

    def _loss(self, logits: Any, truth: Any) -> Any:
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
        host, hosts = self.together.host, self.together.hosts  # each scores its part
        for start in range(host * SCORED_AT_ONCE, len(labels), hosts * SCORED_AT_ONCE):
            part = slice(start, start + SCORED_AT_ONCE)
            more_hits, more_loss = self._score(images[part], tf.constant(labels[part].astype(np.int32)))
            hits, loss = hits + float(more_hits), loss + float(more_loss)
        hits, loss = self.together.over_hosts([hits, loss])
        return hits / len(labels), loss / len(labels)

    def _scored(self, images: Any, labels: Any) -> tuple[Any, Any]:
        logits, _ = self.function(self.weights, images)
        loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        hits = tf.argmax(logits, axis=1, output_type=tf.int32) == labels
        return tf.reduce_sum(tf.cast(hits, tf.float32)), tf.reduce_sum(loss)

    # --------------------------------------------------------------------------------------------- state
    def _variables(self) -> dict[str, Any]:
        named = {f"now/{name}": v for name, v in self.now.items()}
        named |= {f"average/{name}": v for name, v in self.average.items()} | self.pruning.variables
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

    def vectors(self) -> dict[str, NDArray[np.float32]]:
        """The weights that are kept, by the names of `digits.train.flat_weights`."""
        return {name: variable.numpy() for name, variable in self.weights.items()}


def network_of(recipe: Recipe) -> keras.Model:
    """The network that a recipe trains, new: normalised images → logits, in the recipe's precision."""
    model = architectures.build(
        recipe.architecture, dropout=recipe.dropout, precision=recipe.precision, seed=recipe.seed
    )
    return architectures.network(model)


def normalize(images: Any, recipe: Recipe, *, compiled: bool = False) -> Any:
    """Return what the network sees of the images, uint8 or float32 of 0–1: float32 [n, 28, 28] of 0–1."""
    if recipe.normalization == "canonical":
        return canonicalize(images, compiled=compiled)
    return tf.image.convert_image_dtype(images, tf.float32)
