"""Trains a model by a recipe: its networks one after another, a teacher's before them.

    result = fit(train, validation, recipe)
    result.model.predict(images)                  # uint8 [n, 28, 28] → logits float32 [n, 10]

One call trains a whole epoch inside TensorFlow. Every random choice follows from (seed, epoch) or (seed,
step), so `resume` ends where an unbroken run ends, bit for bit on the same CPU type and thread count.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
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
from digits.train.additions import Pool
from digits.train.devices import Replicas
from digits.train.history import Epoch, Probe, Progress, State
from digits.train.input_pipeline import Feed, Read, epoch_order
from digits.train.loop import Loop, normalize

GAP_IMAGES = 2000  # training images that the gap to validation is measured on: more would cost time


def gap_rows(train: Split) -> NDArray[np.intp]:
    """The training images that the gap to validation is measured on."""
    return np.linspace(0, len(train) - 1, min(GAP_IMAGES, len(train))).astype(np.intp)


class Watch:
    """The caller's clock, which can be stopped."""

    def __init__(self, clock: Callable[[], float] | None) -> None:
        self.clock = clock or float
        self.began = self.clock()
        self.paused = 0.0

    @property
    def seconds(self) -> float:
        """Since the beginning, without pauses."""
        return self.clock() - self.began - self.paused

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """Pause; `seconds` stands still."""
        paused, since = self.paused, self.clock()
        yield
        self.paused = paused + self.clock() - since


class Epochs:
    """The training of one network."""

    def __init__(
        self, loop: Loop, train: Split, validation: Split, watch: Watch, probe_steps: Sequence[int]
    ) -> None:
        self.loop, self.recipe, self.labels = loop, loop.recipe, train.labels
        self.watch, self.probe_steps = watch, probe_steps
        self.probes: list[Probe] = []
        rows = gap_rows(train)
        # normalised once
        self.seen, self.seen_labels = self._normal(loop.feed.take(rows)), train.labels[rows]
        self.held, self.held_labels = self._normal(validation.images), validation.labels

    def _normal(self, images: NDArray[np.uint8]) -> tf.Tensor:
        return normalize(tf.constant(images), self.recipe)

    def run(self, done: Progress, on_epoch: Callable[[Progress, Epoch], None] | None) -> Progress:
        """Begin, or go on from `done`, to the end; the loop then holds the weights to keep.

        Raises TrainingError when the loss is not finite.
        """
        if done.state is None:
            done = replace(done, state=self.loop.state(0))
        else:
            self.loop.restore(done.state)
        while not self._finished(done):
            done = self._epoch(done)
            if on_epoch:
                on_epoch(done, done.history[-1])
        self.loop.restore(done.best or _state(done))
        return done

    def _finished(self, done: Progress) -> bool:
        patience = self.recipe.early_stopping
        return _state(done).step >= self.recipe.steps or bool(patience and done.waited >= patience)

    def _epoch(self, done: Progress) -> Progress:
        recipe, step = self.recipe, _state(done).step
        order = epoch_order(self.labels, recipe.digits_a_step, recipe.seed, done.epochs)
        order = order[: recipe.steps - step]
        loss, accuracy = self._train(order, step)
        before = done.history[-1].step - step if done.history else 0  # steps of the networks before
        step += len(order)
        number, state = done.epochs + 1, self.loop.state(step)
        done = replace(done, state=state, epochs=number)
        told: dict[str, Any] = {"epoch": len(done.history) + 1, "step": before + step}
        told |= {"learning_rate": self.loop.rate(step - 1), "loss": loss, "accuracy": accuracy}
        if not (number == 1 or number % recipe.validation_every == 0 or step == recipe.steps):
            return replace(done, history=(*done.history, replace(done.history[-1], **told)))
        val_accuracy, val_loss = self._validation()
        train_accuracy, _ = self.loop.score(self.seen, self.seen_labels)
        epoch = Epoch(
            **told,
            train_accuracy=train_accuracy,
            val_accuracy=val_accuracy,
            val_loss=val_loss,
            gap=train_accuracy - val_accuracy,
        )
        own = done.history[len(done.history) - number + 1 :]
        better = val_loss < min((e.val_loss for e in own), default=math.inf)
        done = replace(done, history=(*done.history, epoch))
        if not recipe.early_stopping:
            return done
        return replace(done, best=state, waited=0) if better else replace(done, waited=done.waited + 1)

    def _validation(self) -> tuple[float, float]:
        return self.loop.score(self.held, self.held_labels)

    def _train(self, order: NDArray[np.int32], step: int) -> tuple[float, float]:
        """One epoch, interrupted at the steps to probe; mean loss and accuracy."""
        ends = sorted({s - step for s in self.probe_steps if 0 < s - step <= len(order)})
        loss = accuracy = 0.0
        start = 0
        for stop in [*ends, *([len(order)] if len(order) not in ends else [])]:
            part_loss, part_accuracy = self.loop.run(order[start:stop], step + start)
            if not math.isfinite(part_loss):
                raise TrainingError(
                    f"the loss is {part_loss} within steps {step + start} to {step + stop}, expected a "
                    "number: lower train.rate, or use train.precision float32"
                )
            loss += part_loss * (stop - start) / len(order)
            accuracy += part_accuracy * (stop - start) / len(order)
            if stop in ends:
                with self.watch.stopped():
                    accuracy_now = self._validation()[0]
                    self.probes.append(Probe(step + stop, self.watch.seconds, accuracy_now))
            start = stop
        return loss, accuracy


def _state(done: Progress) -> State:
    assert done.state is not None
    return done.state


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
    additions: Pool | None = None,
    together: Replicas | None = None,
) -> FitResult:
    """Train by the recipe.

    on_epoch: called after every epoch with all it takes to go on from there, and its figures.
    probe_steps, clock: with `clock=time.perf_counter` (or process_time), accuracy on validation is measured
    after these steps of each network, with the clock stopped meanwhile; steps past the last are left out.
    resume: what `on_epoch` was given by an earlier call with the same data and recipe.
    read: rows → their images, for training images that are to stay on disk: else they are held in memory.
    additions: pictures without a digit and drawn digits, for a recipe that wants shares of them.
    together: the replicas that share each batch; of several hosts each makes this call, with equal arguments.

    Raises TrainingError when there is nothing to train or validate on, the loss is not finite, or additions
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
        loop = Loop(one, feed, teacher, additions, together)
        epochs = Epochs(loop, train, validation, watch, probe_steps if clock else ())
        done = epochs.run(done, on_epoch)
        probes += epochs.probes
        done = Progress(None, done.history, finished=(*done.finished, loop.vectors()))
    model = assemble(recipe, done.finished[-len(recipe.networks()) :])
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


def assemble(
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
    return architectures.network(assemble(recipe.teacher, weights, recipe.precision))


def _evaluate(
    model: keras.Model, images: NDArray[np.uint8], labels: NDArray[np.uint8]
) -> tuple[float, float]:
    """Accuracy and cross-entropy."""
    logits = scorer_of(model)(images)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels.astype(np.int32), logits)
    return float(np.mean(logits.argmax(axis=1) == labels)), float(tf.reduce_mean(losses))
