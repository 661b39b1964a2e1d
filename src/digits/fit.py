"""Arrays and a recipe → a trained model: the training loop, in the graph.

    result = fit(train, validation, recipe)
    result.model.predict(images)                  # uint8 [n, 28, 28] → logits float32 [n, 10]

One call trains a whole epoch inside TensorFlow. Every random choice follows from (seed, epoch) or (seed,
step), so `resume` ends where an unbroken run ends, bit for bit on the same CPU type and thread count.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from digits import models
from digits.canonicalize import canonicalize
from digits.errors import TrainingError
from digits.history import Epoch, Probe, Progress
from digits.loop import Loop
from digits.order import epoch_order
from digits.recipe import Recipe
from digits.scoring import scorer as scorer_of
from digits.splits import Split

GAP_IMAGES = 2000  # training images that the gap to validation is measured on: more would cost time


@dataclass(frozen=True)
class FitResult:
    """A finished training. The model computes in float32, with canonicalisation inside."""

    model: keras.Model
    history: tuple[Epoch, ...]
    probes: tuple[Probe, ...]
    train_accuracy: float  # of the finished model, on up to GAP_IMAGES clean training images
    validation_accuracy: float
    validation_loss: float
    stopped_early: bool


def fit(
    train: Split,
    validation: Split,
    recipe: Recipe,
    *,
    on_epoch: Callable[[Progress, Epoch], None] | None = None,
    probe_steps: Sequence[int] = (),
    clock: Callable[[], float] | None = None,
    resume: Progress | None = None,
) -> FitResult:
    """Train by the recipe.

    on_epoch: called after every epoch with all it takes to go on from there, and its figures.
    probe_steps, clock: with `clock=time.perf_counter` (or process_time), accuracy on validation is measured
    after these steps, with the clock stopped meanwhile; steps past the last are left out.
    resume: what `on_epoch` was given by an earlier call with the same data and recipe.

    Raises TrainingError when there is nothing to train or validate on, or the loss is not finite.
    """
    for name, split in (("training", train), ("validation", validation)):
        if not len(split):
            raise TrainingError(f"there are no {name} images: add data, then run `dvc repro`")
    watch = _Watch(clock)
    loop = Loop(recipe, train)
    scorer = _Scorer(loop, train, validation)
    done = resume or Progress(loop.state(0), ())
    if resume:
        loop.restore(resume.state)
    probes: list[Probe] = []

    def probe(step: int) -> None:
        with watch.stopped():
            probes.append(Probe(step, watch.seconds, scorer.validation()[0]))

    while not _finished(done, recipe):
        step = done.state.step
        order = epoch_order(train.labels, recipe.batch, recipe.seed, len(done.history))
        order = order[: recipe.steps - step]
        loss, accuracy = _train(loop, order, step, probe, probe_steps if clock else ())
        done = _progress(done, loop, scorer, recipe, step + len(order), loss, accuracy)
        if on_epoch:
            on_epoch(done, done.history[-1])

    loop.restore(done.best or done.state)
    model = models.build(recipe.architecture)
    loop.fill(model)
    train_accuracy, _ = _evaluate(model, scorer.images, scorer.labels)
    validation_accuracy, validation_loss = _evaluate(model, validation.images, validation.labels)
    return FitResult(
        model=model,
        history=done.history,
        probes=tuple(probes),
        train_accuracy=train_accuracy,
        validation_accuracy=validation_accuracy,
        validation_loss=validation_loss,
        stopped_early=done.state.step < recipe.steps,
    )


def _evaluate(
    model: keras.Model, images: NDArray[np.uint8], labels: NDArray[np.uint8]
) -> tuple[float, float]:
    """Accuracy and cross-entropy."""
    logits = scorer_of(model)(images)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels.astype(np.int32), logits)
    return float(np.mean(logits.argmax(axis=1) == labels)), float(tf.reduce_mean(losses))


def _finished(done: Progress, recipe: Recipe) -> bool:
    impatient = recipe.early_stopping and done.waited >= recipe.early_stopping
    return done.state.step >= recipe.steps or bool(impatient)


def _train(
    loop: Loop, order: NDArray[np.int32], step: int, probe: Callable[[int], None], probe_steps: Sequence[int]
) -> tuple[float, float]:
    """One epoch, interrupted at the steps to probe; mean loss and accuracy."""
    ends = sorted({s - step for s in probe_steps if 0 < s - step <= len(order)})
    loss = accuracy = 0.0
    start = 0
    for stop in [*ends, *([len(order)] if len(order) not in ends else [])]:
        part_loss, part_accuracy = loop.run(order[start:stop], step + start)
        if not math.isfinite(part_loss):
            raise TrainingError(
                f"the loss is {part_loss} within steps {step + start} to {step + stop}, expected a number: "
                "lower train.rate, or use train.precision float32"
            )
        loss += part_loss * (stop - start) / len(order)
        accuracy += part_accuracy * (stop - start) / len(order)
        if stop in ends:
            probe(step + stop)
        start = stop
    return loss, accuracy


def _validates(number: int, step: int, recipe: Recipe) -> bool:
    return number == 1 or number % recipe.validation_every == 0 or step == recipe.steps


def _progress(
    done: Progress, loop: Loop, scorer: _Scorer, recipe: Recipe, step: int, loss: float, accuracy: float
) -> Progress:
    """What is known, and where the training stands, after one more epoch."""
    number, state = len(done.history) + 1, loop.state(step)
    if not _validates(number, step, recipe):
        last = done.history[-1]
        rate = loop.rate(step - 1)
        epoch = replace(last, epoch=number, step=step, learning_rate=rate, loss=loss, accuracy=accuracy)
        return replace(done, state=state, history=(*done.history, epoch))
    val_accuracy, val_loss = scorer.validation()
    train_accuracy = scorer.train()
    epoch = Epoch(
        epoch=number,
        step=step,
        learning_rate=loop.rate(step - 1),
        loss=loss,
        accuracy=accuracy,
        train_accuracy=train_accuracy,
        val_accuracy=val_accuracy,
        val_loss=val_loss,
        gap=train_accuracy - val_accuracy,
    )
    better = val_loss < min((e.val_loss for e in done.history), default=math.inf)
    history = (*done.history, epoch)
    if not recipe.early_stopping:
        return Progress(state, history)
    return Progress(state, history, *((state, 0) if better else (done.best, done.waited + 1)))


class _Watch:
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


class _Scorer:
    """The images that accuracy is measured on between epochs, made canonical once."""

    def __init__(self, loop: Loop, train: Split, validation: Split) -> None:
        self.loop = loop
        rows = np.linspace(0, len(train) - 1, min(GAP_IMAGES, len(train))).astype(np.intp)
        self.images, self.labels = train.images[rows], train.labels[rows]
        self.canonical = canonicalize(tf.constant(self.images))
        self.held, self.held_labels = canonicalize(tf.constant(validation.images)), validation.labels

    def train(self) -> float:
        """Accuracy on clean training images."""
        return self.loop.score(self.canonical, self.labels)[0]

    def validation(self) -> tuple[float, float]:
        """Accuracy and cross-entropy on validation."""
        return self.loop.score(self.held, self.held_labels)
