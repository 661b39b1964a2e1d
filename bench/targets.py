"""Raw records → every target of speed, size and memory beside its measured value. Pure; all is computed."""

from __future__ import annotations

from bench import figures
from bench.figures import Record
from bench.profile_targets import profile_targets
from bench.target import Target, largest, percent, worst

LIGHT = ("ingest", "validate", "preprocess", "evaluate", "export", "convert")  # every stage besides train


def targets(records: list[Record]) -> list[Target]:
    """All of them, in the order in which the project states them."""
    return [*profile_targets(records), *_canonicalisation(records), *_sample(records), *_pipeline(records)]


def _canonicalisation(records: list[Record]) -> list[Target]:
    took = figures.median(figures.of_kind(records, "canonicalisation"), "ms_per_image")
    return [Target("canonicalisation, an image in a batch of 32", True, 0.1, took, "ms", 4)]


def _sample(records: list[Record]) -> list[Target]:
    runs = figures.trainings(records, "fast", "sample")
    heldout = [float(r["heldout_accuracy"]) for r in runs]
    real = [float(r["accuracy"]) for r in runs]
    seconds = [float(r["wall"]) for r in runs]
    passed = [1.0 if r["gate_passed"] else 0.0 for r in runs if r.get("gate_passed") is not None]
    n = len(runs)
    gate = 100 * float(runs[0]["gate_accuracy"]) if runs else 98.0
    return [
        Target(
            f"sample, held-out images: worst of {n} seeds (the gate and 0.3 points)",
            False,
            gate + 0.3,
            percent(worst(heldout)),
            "%",
        ),
        Target(
            f"sample: share of {n} seeds that the whole gate passes",
            False,
            100.0,
            percent(figures.mean(passed)),
            "%",
            0,
        ),
        Target(f"sample, real test images: worst of {n} seeds", False, 99.0, percent(worst(real)), "%"),
        Target("sample: wall time of fit, longest", True, 180.0, largest(seconds), "s", 0),
    ]


def _pipeline(records: list[Record]) -> list[Target]:
    stages = {r["stage"]: r for r in figures.of_kind(records, "stage")}
    repro = figures.of_kind(records, "repro")
    noop = figures.median([{"wall": wall} for r in repro for wall in r["noop"]], "wall")
    complete = all(stage in stages for stage in LIGHT)
    cpu = sum(float(stages[stage]["cpu"]) for stage in LIGHT) if complete else None
    peak = largest([float(r["peak_mib"]) for r in stages.values()])
    validate = float(stages["validate"]["cpu"]) if "validate" in stages else None
    cold = figures.median(figures.of_kind(records, "cold"), "wall")
    return [
        Target("`dvc repro` with nothing to do, median", True, 3.0, noop, "s"),
        Target("all stages besides train, CPU", True, 90.0, cpu, "s", 1),
        Target("validate, CPU", True, 20.0, validate, "s", 1),
        Target("largest peak memory of a stage", True, 2048.0, peak, "MiB", 0),
        Target("cold `make run` on the sample", True, 360.0, cold, "s", 0),
    ]
