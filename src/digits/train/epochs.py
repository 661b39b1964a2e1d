"""One network, epoch by epoch: its order, its scores between epochs, when it ends, where it stands."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from digits.dataset import Split
from digits.runtime.errors import TrainingError
from digits.train.history import Epoch, Probe, Progress, State
from digits.train.loop import Loop, normalized
from digits.train.order import epoch_order

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
        return normalized(tf.constant(images), self.recipe)

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
