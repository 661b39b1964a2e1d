"""Raw records → the Markdown document of results. Pure: every number is computed from the records."""

from __future__ import annotations

from bench import answers, claims, figures, latency, model_tables, run_tables
from bench.figures import YARDSTICK, Record
from bench.table import NONE, UNMEASURED, number, table
from bench.target import Target
from bench.targets import targets

CALLS = latency.CALLS * latency.ROUNDS  # of each size, a seed


def document(records: list[Record]) -> str:
    """The whole of docs/results.md."""
    parts = [
        "# Results",
        "Written by `make bench-train` from its raw records: change nothing here by hand, run it again. "
        "Serving has a page of its own: `make bench-serving` writes results-serving.md.",
        *(["**A trial of the bench itself: its figures mean nothing.**"] if _trial(records) else []),
        run_tables.machine(records),
        "## Targets",
        _targets(records),
        "## Models",
        model_tables.accuracy(records),
        "## Speed and size",
        model_tables.cost(records),
        model_tables.served(records),
        "## Answers withheld",
        answers.withheld(records),
        "## Accuracy over time",
        model_tables.over_time(records),
        "## Corruptions",
        model_tables.corruptions(records),
        *model_tables.mnist_c(records),
        "## The references, done right",
        claims.claims(records),
        "## Sample data set",
        run_tables.sample(records),
        "## Compression",
        run_tables.compression(records),
        "## Pipeline",
        run_tables.pipeline(records),
        "## How it is measured",
        METHOD,
    ]
    return "\n\n".join(parts) + "\n"


METHOD = f"""\
- Every training runs in a process of its own, one after another. The clock covers `fit`, tracing and
  compiling included; importing TensorFlow, loading data and scoring are outside it. CPU seconds are those of
  all threads.
- Runs are interleaved by seed, so that a machine that slows down slows all; × {YARDSTICK} is taken within the
  same round of one session, and the median of the rounds is given. A profile that trains much longer than
  {YARDSTICK} has rounds of its own, each begun with {YARDSTICK}. Where n is 1, a figure is one run.
- S0 to S4 are models of common tutorials with their own hyperparameters, on all of MNIST's training images
  (S3 holds a fifth of them back). Ours train on what `preprocess` leaves them; the rest is for validation.
- What tutorials say of variants of S4 is measured with all of them trained by the pipeline's own stage, a
  twelfth of the training images held back; a difference shows when its mean over the seeds is more than two
  standard errors from none.
- Operations are those of convolutions and dense layers, a multiply-add counted as two; a training step is
  counted as three forward passes. What augmentation, normalisation and the optimizer compute is not counted,
  compiling is in the time: so the share of the peak is what a training gets out of the machine, all in all.
- The peak is the fastest product of two 2048 × 2048 matrices (8192 on a GPU) that any round saw, on all
  threads, in the precision that the model trains in. Convolutions in bfloat16 can be faster than that.
- Latency is that of the exported SavedModel through `serving_default`, in a process with one thread and in
  one with all, turn about with {YARDSTICK} exported the same way: median of {CALLS} requests, median of the
  seeds. Ours canonicalise each image first, {YARDSTICK} only divides by 255.
- Compression is of one seed. A file with normalisation inside takes raw pixels, one without takes normalised
  ones: in int8 it is integers throughout, while normalisation inside stays float32. Latency is that of one
  image on one thread, in TensorFlow's interpreter for TFLite, turn about with the float32 file of the same
  input; 500 training images calibrate int8.
- ECE is the expected calibration error on the test images (15 bins), after the temperature that was fitted on
  the validation images.
- Accuracy over time is that of the validation images and of the averaged weights, which is what is exported;
  the clock stands still while they are scored. The test images are scored once, after a run has finished.
- ± is the standard deviation over seeds."""


def _trial(records: list[Record]) -> bool:
    return any(each["quick"] for each in figures.of_kind(records, "session"))


def _targets(records: list[Record]) -> str:
    found = targets(records)
    rows = [[t.what, _limit(t), _measured(t), _outcome(t)] for t in found]
    counted = [t.met for t in found if not t.only_reported and t.met is not None]
    unmeasured = sum(t.measured is None for t in found)
    text = f"{sum(counted)} of {len(counted)} measured targets met"
    text += f", {unmeasured} not measured in this run." if unmeasured else "."
    return text + "\n\n" + table(["target", "limit", "measured", ""], rows)


def _limit(target: Target) -> str:
    return f"{'≤' if target.at_most else '≥'} {target.limit:,g} {target.unit}"


def _measured(target: Target) -> str:
    if target.measured is None:
        return UNMEASURED
    return f"{number(target.measured, target.digits)} {target.unit}"


def _outcome(target: Target) -> str:
    if target.met is None:
        return NONE
    if target.only_reported:
        return f"reported ({target.only_reported})"
    return "met" if target.met else "**not met**"
