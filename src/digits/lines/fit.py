"""Trains the line reader on lines that are composed while it trains.

The batch of a step follows from (seed, step), so a training that was killed goes on where it was, and ends
with the weights of an unbroken one on the same CPU type and thread count. One thread composes ahead while
TensorFlow computes, half a millisecond a line.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from digits.line_model import network
from digits.line_model.candidate import scorer
from digits.line_model.lines import BLANK, COLUMN, HEIGHT, LONGEST, Lines, digits_of, edits
from digits.lines.profiles import LineRecipe
from digits.runtime.errors import TrainingError

AHEAD = 4  # batches that are composed before they are needed
REPORTS = 20  # times that a training is scored on validation, checkpointed and shown
WARMUP = 0.1  # share of the steps in which the rate rises from 0

Compose = Callable[[int], Lines]  # step → its batch


@dataclass(frozen=True)
class Report:
    """A row of history.csv: the averaged weights after `step` steps."""

    step: int
    learning_rate: float
    loss: float  # of training, mean since the report before
    val_exact: float  # share of the validation lines whose digits are all right
    val_character_error: float  # wrong, missing and extra characters, as a share of those written


@dataclass(frozen=True)
class Progress:
    """A training between two steps: all that `fit(resume=…)` needs to go on."""

    step: int
    arrays: tuple[NDArray[Any], ...]  # of the model and the optimizer
    history: tuple[Report, ...]


class KernelMuon(keras.optimizers.Muon):  # type: ignore[misc]
    """Muon for every kernel but the last, Adam for the rest (Jordan et al. 2024,
    kellerjordan.github.io/posts/muon). A convolution's kernel is taken as a matrix of inputs × filters,
    orthogonalised in `precision`, one of float32 and bfloat16.
    """

    def __init__(self, rate: Any, *, precision: str, **options: Any) -> None:
        super().__init__(rate, **options)
        self.precision = precision

    def _should_use_adamw(self, variable: Any) -> bool:
        return len(variable.shape) < 2 or variable.shape[-1] == COLUMN

    def _muon_update_step(self, gradient: Any, variable: Any, lr: Any, m: Any) -> None:
        self.assign(m, self.momentum * m + gradient)
        ahead = gradient + self.momentum * m  # Nesterov's
        matrix = tf.cast(tf.reshape(ahead, [-1, ahead.shape[-1]]), self.precision)
        made = tf.cast(self.zeropower_via_newtonschulz5(matrix, self.ns_steps), tf.float32)
        self.assign_sub(variable, lr * tf.reshape(self.lr_adjust(made), ahead.shape))


def loss(logits: Any, texts: Any, lengths: Any) -> Any:
    """Mean over the lines of the negative log-likelihood of what they say, per character.

    logits: float32 [n, t, 12]. texts: int32 [n, 24], padded with -1. A line that says nothing is one whose
    columns are all blank; TensorFlow's kernel does not take those.
    """
    n, columns = tf.shape(logits)[0], tf.shape(logits)[1]
    some = tf.where((lengths == 0)[:, tf.newaxis] & (tf.range(LONGEST) == 0), 0, texts)
    at = tf.where(some >= 0)
    shape = tf.cast(tf.stack([n, LONGEST]), tf.int64)
    labels = tf.SparseTensor(at, tf.gather_nd(some, at), shape)
    along = tf.transpose(logits, [1, 0, 2])
    said = tf.compat.v1.nn.ctc_loss(
        labels, along, tf.fill([n], columns), ignore_longer_outputs_than_inputs=True
    )
    silent = -tf.reduce_sum(tf.nn.log_softmax(logits)[..., BLANK], axis=1)
    return tf.reduce_mean(tf.where(lengths == 0, silent, said) / tf.cast(tf.maximum(lengths, 1), tf.float32))


class Loop:
    """The moving parts of a training."""

    def __init__(self, recipe: LineRecipe) -> None:
        self.recipe = recipe
        self.model = network.build(
            recipe.architecture, dropout=recipe.dropout, precision=recipe.precision, seed=recipe.seed
        )
        warm = max(1, round(WARMUP * recipe.steps))
        self.schedule = keras.optimizers.schedules.CosineDecay(
            0.0, max(1, recipe.steps - warm), warmup_target=recipe.rate, warmup_steps=warm
        )
        self.optimizer = KernelMuon(
            self.schedule,
            precision="bfloat16" if recipe.precision == "bfloat16" else "float32",
            weight_decay=recipe.weight_decay,
            adam_weight_decay=0.0,
            adam_beta_2=0.99,  # rather than 0.999: runs are short
            use_ema=True,
            ema_momentum=recipe.ema,
        )
        self.weights = self.model.trainable_variables
        self.optimizer.exclude_from_weight_decay(var_list=[v for v in self.weights if len(v.shape) < 2])
        self.optimizer.build(self.weights)
        self.score = scorer(self.model)
        lines = tf.TensorSpec([None, HEIGHT, None], tf.uint8)
        texts, lengths = tf.TensorSpec([None, LONGEST], tf.int32), tf.TensorSpec([None], tf.int32)
        self.step = tf.function(self._step, input_signature=[lines, texts, lengths], autograph=False)

    def _step(self, lines: Any, texts: Any, lengths: Any) -> Any:
        width = tf.fill([tf.shape(lines)[0]], tf.shape(lines)[2])
        with tf.GradientTape() as tape:
            mean = loss(self.model([lines, width], training=True), texts, lengths)
        self.optimizer.apply(tape.gradient(mean, self.weights), self.weights)
        return mean

    @property
    def _variables(self) -> list[Any]:
        return [*self.model.variables, *self.optimizer.variables]

    def arrays(self) -> tuple[NDArray[Any], ...]:
        """A copy of everything that training changes."""
        return tuple(np.array(keras.ops.convert_to_numpy(v)) for v in self._variables)

    def restore(self, arrays: Sequence[NDArray[Any]]) -> None:
        """Go back, or on, to a state."""
        for variable, array in zip(self._variables, arrays, strict=True):
            variable.assign(array)

    def average(self) -> None:
        """Take the averaged weights."""
        self.optimizer.finalize_variable_values(self.weights)


def fit(
    compose: Compose,
    validation: Sequence[Lines],
    recipe: LineRecipe,
    *,
    on_report: Callable[[Progress], None] | None = None,
    resume: Progress | None = None,
) -> tuple[keras.Model, tuple[Report, ...]]:
    """Train by the recipe; return the model with its averaged weights, and the history.

    compose: gives a step's batch; the same for the same step. on_report: called REPORTS times with all it
    takes to go on from there. resume: what it was given by an earlier call with the same arguments. Raises
    TrainingError when the loss is not finite.
    """
    loop = Loop(recipe)
    step, history = 0, tuple[Report, ...]()
    if resume:
        loop.restore(resume.arrays)
        step, history = resume.step, resume.history
    every = max(1, -(-recipe.steps // REPORTS))
    losses: list[float] = []
    for number, lines in composed(compose, step, recipe.steps):
        losses.append(float(loop.step(lines.images, lines.texts, lines.lengths)))
        if not math.isfinite(losses[-1]):
            raise TrainingError(
                f"the loss is {losses[-1]} at step {number}, expected a number: lower lines.rate, or use "
                "lines.precision float32"
            )
        done = number + 1
        if done % every and done != recipe.steps:
            continue
        arrays = loop.arrays()
        loop.average()
        exact, wrong = score(loop.score, validation)
        rate = float(loop.schedule(number))
        history = (*history, Report(done, rate, float(np.mean(losses)), exact, wrong))
        losses.clear()
        if on_report:
            on_report(Progress(done, arrays, history))
        if done != recipe.steps:
            loop.restore(arrays)
    loop.average()
    return loop.model, history


def composed(compose: Compose, start: int, end: int) -> Iterator[tuple[int, Lines]]:
    """The steps from `start` to `end` with their batches, composed ahead in a thread."""
    waiting: deque[tuple[int, Future[Lines]]] = deque()
    with ThreadPoolExecutor(1, "compose") as pool:
        try:
            for step in range(start, end):
                waiting.append((step, pool.submit(compose, step)))
                if len(waiting) > AHEAD:
                    number, batch = waiting.popleft()
                    yield number, batch.result()
            while waiting:
                number, batch = waiting.popleft()
                yield number, batch.result()
        finally:
            for _, batch in waiting:
                batch.cancel()


def score(
    read: Callable[[NDArray[np.uint8]], NDArray[np.float32]], groups: Sequence[Lines]
) -> tuple[float, float]:
    """(share of the lines whose digits are all right, character error rate)."""
    right = total = wrong = characters = 0
    for lines in groups:
        for columns, truth in zip(read(lines.images), lines.characters(), strict=True):
            said = collapse(columns)
            right += digits_of(said) == digits_of(truth)
            wrong += edits(said, truth)
            characters += len(truth)
            total += 1
    return right / max(1, total), wrong / max(1, characters)


def collapse(columns: NDArray[np.float32]) -> list[int]:
    """What the columns [t, 12] of a line say: the likeliest classes without repeats and blanks."""
    likeliest = columns.argmax(axis=1)
    starts = np.flatnonzero(np.diff(likeliest, prepend=BLANK))
    return [int(each) for each in likeliest[starts] if each != BLANK]
