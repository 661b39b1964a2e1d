"""Arrays and a recipe → a trained model: its networks one after another, a teacher's before them.

    result = fit(train, validation, recipe)
    result.model.predict(images)                  # uint8 [n, 28, 28] → logits float32 [n, 10]

One call trains a whole epoch inside TensorFlow. Every random choice follows from (seed, epoch) or (seed,
step), so `resume` ends where an unbroken run ends, bit for bit on the same CPU type and thread count.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from digits.dataset import Split
from digits.model import architectures
from digits.model.candidate import scorer as scorer_of
from digits.model.recipe import Recipe
from digits.runtime.errors import TrainingError
from digits.train import flat_weights
from digits.train.epochs import Epochs, Watch, gap_rows
from digits.train.history import Epoch, Probe, Progress
from digits.train.input_pipeline import Feed, Read
from digits.train.loop import Loop
from digits.train.replicas import Replicas


@dataclass(frozen=True)
class FitResult:
    """A finished training. The model computes in float32, with normalisation inside."""

    model: keras.Model
    history: tuple[Epoch, ...]
    probes: tuple[Probe, ...]
    train_accuracy: float  # of the finished model, on some clean training images
    validation_accuracy: float
    validation_loss: float
    stopped_early: bool

    def summary(self, recipe: Recipe) -> dict[str, Any]:
        """The figures of the training as a whole, for JSON."""
        return {
            "architecture": recipe.architecture,
            "device": recipe.device,
            "epochs": len(self.history),
            "gap": self.train_accuracy - self.validation_accuracy,
            "n_train": recipe.n_train,
            "parameters": self.model.count_params(),
            "precision": recipe.precision,
            "profile": recipe.profile,
            "small_data": recipe.small_data,
            "steps": self.history[-1].step,
            "stopped_early": self.stopped_early,
            "train_accuracy": self.train_accuracy,
            "validation_accuracy": self.validation_accuracy,
            "validation_loss": self.validation_loss,
        }


def fit(
    train: Split,
    validation: Split,
    recipe: Recipe,
    *,
    on_epoch: Callable[[Progress, Epoch], None] | None = None,
    probe_steps: Sequence[int] = (),
    clock: Callable[[], float] | None = None,
    resume: Progress | None = None,
    read: Read | None = None,
    outliers: NDArray[np.uint8] | None = None,
    together: Replicas | None = None,
) -> FitResult:
    """Train by the recipe.

    on_epoch: called after every epoch with all it takes to go on from there, and its figures.
    probe_steps, clock: with `clock=time.perf_counter` (or process_time), accuracy on validation is measured
    after these steps of each network, with the clock stopped meanwhile; steps past the last are left out.
    resume: what `on_epoch` was given by an earlier call with the same data and recipe.
    read: rows → their images, for training images that are to stay on disk: else they are held in memory.
    outliers: pictures without a digit, uint8 [m, 28, 28], for a recipe that wants a share of them.
    together: the replicas that share each batch; of several hosts each makes this call, with equal arguments.

    Raises TrainingError when there is nothing to train or validate on, the loss is not finite, or outliers
    are wanted and none given.
    """
    for name, split in (("training", train), ("validation", validation)):
        if not len(split):
            raise TrainingError(f"there are no {name} images: add data, then run `dvc repro`")
    together = together or Replicas()
    watch = Watch(clock)
    probes: list[Probe] = []
    feed = Feed(train, read)
    done = resume or Progress(None, ())
    trainings = recipe.trainings()
    for one in trainings[len(done.finished) :]:
        with together.scope():  # each replica has its own copy of the teacher too
            teacher = _teacher(one, done.finished)
        loop = Loop(one, feed, teacher, outliers, together)
        epochs = Epochs(loop, train, validation, watch, probe_steps if clock else ())
        done = epochs.run(done, on_epoch)
        probes += epochs.probes
        done = Progress(None, done.history, finished=(*done.finished, loop.vectors()))
    model = assembled(recipe, done.finished[-len(recipe.networks()) :])
    rows = gap_rows(train)
    train_accuracy, _ = _evaluate(model, feed.take(rows), train.labels[rows])
    validation_accuracy, validation_loss = _evaluate(model, validation.images, validation.labels)
    return FitResult(
        model=model,
        history=done.history,
        probes=tuple(probes),
        train_accuracy=train_accuracy,
        validation_accuracy=validation_accuracy,
        validation_loss=validation_loss,
        stopped_early=done.history[-1].step < recipe.all_steps,
    )


def assembled(
    recipe: Recipe, vectors: Sequence[Mapping[str, NDArray[np.float32]]], precision: str = "float32"
) -> keras.Model:
    """The recipe's model with the weights of its networks."""
    model = architectures.build(recipe.architecture, normalization=recipe.normalization, precision=precision)
    for net, weights in zip(architectures.networks(model), vectors, strict=True):
        flat_weights.fill(net, weights)
    return model


def _teacher(recipe: Recipe, finished: Sequence[Mapping[str, NDArray[np.float32]]]) -> keras.Model | None:
    """The teacher of a network, which is trained before it: normalised images → logits."""
    if recipe.teacher is None:
        return None
    weights = finished[: len(recipe.teacher.networks())]
    return architectures.network(assembled(recipe.teacher, weights, recipe.precision))


def _evaluate(
    model: keras.Model, images: NDArray[np.uint8], labels: NDArray[np.uint8]
) -> tuple[float, float]:
    """Accuracy and cross-entropy."""
    logits = scorer_of(model)(images)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels.astype(np.int32), logits)
    return float(np.mean(logits.argmax(axis=1) == labels)), float(tf.reduce_mean(losses))
