"""One training, or one timing, in a process of its own: job → record. Started by bench.train.

python -m bench.one '{"part": "full", "model": "S1", "seed": 1, "quick": false, "scratch": ".bench"}' OUT
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.references import REFERENCES
from digits import files
from digits.corruptions import CORRUPTIONS, corrupt
from digits.params import AugmentationParams, TrainParams
from digits.processes import die_with_parent
from digits.recipe import Recipe
from digits.splits import Split

Predict = Callable[[NDArray[np.uint8]], NDArray[Any]]  # uint8 [n, 28, 28] → a score for each digit [n, 10]

CORRUPTION_SEED = 1
STRANGERS = 20  # pictures of each kind without a digit: the gate reports on them and refuses nothing
QUICK_TRAIN, QUICK_TEST, QUICK_STEPS = 1000, 300, 20  # of a trial of the bench itself
BATCH, PAIRS, WARM_UP = 32, 500, 20  # images, and calls of each, where canonicalisation is timed


class Clock:
    """Wall and CPU seconds (all threads) of what happens while it runs."""

    def __init__(self) -> None:
        self.wall = self.cpu = 0.0
        self._since: tuple[float, float] | None = None

    def go(self) -> None:
        """Start, or go on."""
        self._since = (time.perf_counter(), time.process_time())

    def stop(self) -> None:
        """Stand still."""
        assert self._since
        self.wall += time.perf_counter() - self._since[0]
        self.cpu += time.process_time() - self._since[1]
        self._since = None


class Ticks:
    """A clock for `fit` to read around its probes; afterwards it tells what the probing took."""

    def __init__(self) -> None:
        self.read: list[tuple[float, float]] = []

    def __call__(self) -> float:
        """Seconds; the CPU's are noted beside them."""
        self.read.append((time.perf_counter(), time.process_time()))
        return self.read[-1][0]

    def probing(self, probes: int) -> tuple[float, float]:
        """(wall, CPU) seconds of the pauses of `fit`, which reads its clock equally often for every probe."""
        each, rest = divmod(len(self.read) - 1, probes) if probes else (0, 0)
        assert rest == 0, "fit reads its clock once when it starts, and equally often for every probe"
        pauses = [(self.read[1 + each * i], self.read[each * (i + 1)]) for i in range(probes)]
        return sum(b[0] - a[0] for a, b in pauses), sum(b[1] - a[1] for a, b in pauses)


def probe_steps(steps: int) -> list[int]:
    """Where accuracy over time is measured: every fortieth of the first quarter, then every tenth."""
    shares = [*(part / 40 for part in range(1, 11)), *(part / 10 for part in range(3, 11))]
    return sorted({max(1, round(share * steps)) for share in shares})


def first(split: Split, n: int) -> Split:
    """The first rows of a split, views."""
    return Split(split.images[:n], split.labels[:n], split.batches[:n])


def accuracy(predict: Predict, images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> float:
    """Share of the images that are read right."""
    return float(np.mean(predict(images).argmax(axis=1) == labels))


def scores(predict: Predict, test: Split) -> dict[str, Any]:
    """Accuracy on the test images, clean and under each corruption: the one time that they are used."""
    found = {
        name: accuracy(predict, corrupt(name, test.images, CORRUPTION_SEED), test.labels)
        for name in CORRUPTIONS
    }
    return {"accuracy": accuracy(predict, test.images, test.labels), "corruptions": found}


def reference(job: dict[str, Any]) -> dict[str, Any]:
    """Train a tutorial's model on all training images, and score it."""
    import keras
    import tensorflow as tf

    from bench import references

    train, test = _splits(job, "full", "raw", "train", "test")
    keras.utils.set_random_seed(job["seed"])
    images = references.scaled(train.images)
    model = references.build(job["model"])
    epochs = 1 if job["quick"] else None
    clock = Clock()
    clock.go()
    references.fit(job["model"], model, images, train.labels, epochs)
    clock.stop()

    def predict(images: NDArray[np.uint8]) -> NDArray[Any]:
        return np.asarray(model.predict(references.scaled(images), batch_size=500, verbose=0))

    return {
        "parameters": model.count_params(),
        "steps": references.steps(job["model"], len(train), epochs),
        "batch": references.REFERENCES[job["model"]].batch,
        "n": len(train),
        "wall": clock.wall,
        "cpu": clock.cpu,
        "device": "GPU" if tf.config.list_physical_devices("GPU") else "CPU",
        **scores(predict, test),
    }


def _splits(job: dict[str, Any], data: str, folder: str, *names: str) -> list[Split]:
    where = Path(job["scratch"]) / data / "data" / folder
    limits = {"train": QUICK_TRAIN} if job["quick"] else {}
    default = QUICK_TEST if job["quick"] else sys.maxsize
    return [first(files.load_split(where / name), limits.get(name, default)) for name in names]


def ours(job: dict[str, Any]) -> dict[str, Any]:
    """Train one of our profiles, on full MNIST or on the sample, and score it."""
    import tensorflow as tf

    from digits.fit import fit
    from digits.scoring import scorer

    tf.config.experimental.enable_op_determinism()  # as the pipeline trains
    on_sample = job["part"] == "sample"
    train, validation = _splits(job, "sample" if on_sample else "full", "prepared", "train", "validation")
    (test,) = _splits(job, "full", "prepared", "test")
    recipe = _recipe(job, len(train))
    probed = [] if on_sample else probe_steps(recipe.steps)
    ticks, clock = Ticks(), Clock()
    clock.go()
    result = fit(train, validation, recipe, probe_steps=probed, clock=ticks)
    clock.stop()
    probing = ticks.probing(len(result.probes))
    predict = scorer(result.model)
    record = {
        "parameters": result.model.count_params(),
        "steps": result.history[-1].step,
        "batch": recipe.batch,
        "n": len(train),
        "wall": clock.wall - probing[0],
        "cpu": clock.cpu - probing[1],
        "device": f"{recipe.device.upper()}, {recipe.precision}",
        "validation_accuracy": result.validation_accuracy,
        "curve": [
            {"step": p.step, "seconds": p.seconds, "accuracy": p.validation_accuracy} for p in result.probes
        ],
        **scores(predict, test),
    }
    if on_sample:
        record |= {"n_validation": len(validation)}
        record |= _judged(job, predict, validation, result.train_accuracy)
    return record


def _recipe(job: dict[str, Any], n_train: int) -> Recipe:
    """The profile as it stands: what params.yaml overrides in it is left aside."""
    from digits import device, profiles

    free = dict.fromkeys(TrainParams.model_fields)
    auto = dict.fromkeys(("device", "precision", "xla"), "auto")
    bent = {"augmentation": dict.fromkeys(AugmentationParams.model_fields)}
    chosen = {"profile": job["model"], "seed": job["seed"]}
    params = TrainParams.model_validate(free | auto | bent | chosen)
    recipe = profiles.resolve(params, n_train, device.find(params))
    return replace(recipe, steps=QUICK_STEPS) if job["quick"] else recipe


def _judged(
    job: dict[str, Any], predict: Predict, validation: Split, train_accuracy: float
) -> dict[str, Any]:
    """What the pipeline's gate says of a model of the sample, on the sample's held-out images."""
    from digits import gate, non_digits, params
    from digits.scorecard import Answers, scorecard

    where = Path(job["scratch"]) / "sample"
    test, heldout = (files.load_split(where / "data" / "prepared" / name) for name in ("test", "heldout"))
    limits = params.load("evaluate", where / "params.yaml")
    known = [Answers.of(predict(split.images), split.labels) for split in (validation, test, heldout)]
    corrupted = {
        name: Answers.of(predict(corrupt(name, test.images, limits.seed)), test.labels)
        for name in CORRUPTIONS
    }
    strangers = {
        kind: Answers.of(predict(images), np.zeros(len(images), np.uint8))
        for kind, images in non_digits.every(STRANGERS, limits.seed, test).items()
    }
    manifest = files.read_json(where / "data" / "prepared" / "manifest.json")
    facts = {"train_accuracy": train_accuracy}
    card = scorecard(
        manifest,
        facts,
        known[0],
        known[1],
        known[2],
        heldout.batches,
        corrupted,
        strangers,
        limits.answered_precision,
    )
    verdict = gate.decide(card.content, limits)
    return {
        "n_heldout": len(test),
        "heldout_accuracy": known[1].accuracy,
        "gate_accuracy": limits.accuracy,
        "gate_passed": verdict.passed,
        "gate_reasons": "; ".join(rule.reason for rule in verdict.rules if not rule.passed),
    }


def canonicalisation(job: dict[str, Any]) -> dict[str, Any]:
    """What canonicalising adds to answering a batch: the model with it and without it, in turn."""
    import tensorflow as tf

    from digits import models

    (test,) = _splits(job, "full", "prepared", "test")
    model = models.build(_recipe(job, len(test)).architecture)
    bare = models.network(model)
    batch = tf.constant(test.images[:BATCH])
    whole = tf.function(lambda images: model(images, training=False))
    without = tf.function(lambda images: bare(tf.cast(images, tf.float32) / 255.0, training=False))
    times: list[tuple[float, float]] = []
    for turn in range(WARM_UP + (10 if job["quick"] else PAIRS)):
        order = (whole, without) if turn % 2 else (without, whole)
        took = {}
        for function in order:
            started = time.perf_counter()
            function(batch).numpy()
            took[function] = 1000 * (time.perf_counter() - started) / BATCH
        times.append((took[whole], took[without]))
    pairs = np.array(times[WARM_UP:])
    return {
        "batch": BATCH,
        "pairs": len(pairs),
        "with_ms": float(np.median(pairs[:, 0])),
        "without_ms": float(np.median(pairs[:, 1])),
        "ms_per_image": float(np.median(pairs[:, 0] - pairs[:, 1])),
    }


def main(argv: list[str]) -> None:
    """Do the job of argv[0], a JSON object; write its record to argv[1]."""
    die_with_parent()
    job = json.loads(argv[0])
    if job["part"] == "canonicalisation":
        record = {"kind": "canonicalisation"} | canonicalisation(job)
    else:
        record = {"kind": "training"} | (reference if job["model"] in REFERENCES else ours)(job)
    known = {key: job[key] for key in ("part", "model", "seed")}
    files.write_text(Path(argv[1]), json.dumps(record | known))


if __name__ == "__main__":
    main(sys.argv[1:])
