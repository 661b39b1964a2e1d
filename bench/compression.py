"""A profile, trained, then made smaller: job → size, accuracy and latency of each TFLite format."""

from __future__ import annotations

import gzip
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import inputs, latency, recipes

CALIBRATION = 500  # training images, evenly spaced
THREADS = 1


def compression(job: dict[str, Any]) -> dict[str, Any]:
    """Every format, with normalisation in the file and without. The test images decide nothing here.

    Latency is that of one image, in turn with the float32 file that takes in the same; one thread.
    """
    import tensorflow as tf

    from digits import quantize
    from digits.fit import fit
    from digits.outliers import outlier_pool
    from digits.scoring import scorer

    tf.config.experimental.enable_op_determinism()  # as the pipeline trains
    train, validation = inputs.splits(job, "full", "prepared", "train", "validation")
    (test,) = inputs.splits(job, "full", "prepared", "test")
    recipe = recipes.recipe(job, len(train))
    model = fit(train, validation, recipe, outliers=outlier_pool(recipe, train)).model
    predict = scorer(model)
    reference = predict(test.images)
    seen = train.images[np.linspace(0, len(train) - 1, min(CALIBRATION, len(train))).astype(np.intp)]
    rounds = latency.QUICK_ROUNDS if job["quick"] else latency.ROUNDS
    files = []
    for normalizes in (True, False):
        taken = [s.images if normalizes else quantize.normalized(model, s.images) for s in (validation, test)]
        plain = quantize.Interpreted(quantize.convert(model, "float32", normalizes=normalizes), THREADS)
        for form in quantize.FORMATS:
            content = quantize.convert(model, form, seen, normalizes=normalizes)
            answers = quantize.Interpreted(content, THREADS)
            logits = answers(taken[1])
            # A trial's few steps leave digits almost even, which tells nothing of the format.
            agreed = quantize.proven(form, logits, reference, least=0.0 if job["quick"] else None)
            one = taken[1][:1]
            ours, theirs = latency.timed([partial(answers, one), partial(plain, one)], rounds)
            files.append(
                {
                    "format": form,
                    "normalizes": normalizes,
                    "bytes": len(content),
                    "gzip_bytes": len(gzip.compress(content, mtime=0)),
                    "validation_accuracy": _right(answers(taken[0]), validation.labels),
                    "accuracy": _right(logits, test.labels),
                    "agreement": agreed,
                    "us": ours,
                    "ratio": ours / theirs,
                }
            )
    return {
        "parameters": model.count_params(),
        "validation_accuracy": _right(predict(validation.images), validation.labels),
        "accuracy": _right(reference, test.labels),
        "n_test": len(test),
        "files": files,
    }


def _right(logits: NDArray[np.float32], labels: NDArray[np.uint8]) -> float:
    return float(np.mean(logits.argmax(axis=1) == labels))
