"""The record that travels with a model."""

import json

import numpy as np

from digits.provenance import provenance, weights_sha256

WEIGHTS = [np.arange(6, dtype=np.float32).reshape(2, 3), np.zeros(3, np.float32)]


def test_it_holds_what_the_model_came_from():
    manifest = {"dataset": "mnist-sample-5k", "sample": True, "splits": {"train": {"n": 3}}}
    record = provenance(
        manifest,
        {"profile": "fast"},
        {"accuracy": 0.99},
        {"passed": True},
        {"max_pixels": 5},
        0.97,
        WEIGHTS,
        {"keras": "3"},
    )
    assert record["dataset"] == "mnist-sample-5k" and record["sample"] is True
    assert record["data"] == manifest and record["recipe"] == {"profile": "fast"}
    assert record["weights_sha256"] == weights_sha256(WEIGHTS)
    assert record["threshold"] == 0.97
    json.dumps(record)


def test_the_digest_of_weights_is_of_their_content():
    assert weights_sha256(WEIGHTS) == weights_sha256([weight.copy() for weight in WEIGHTS])
    changed = [WEIGHTS[0] + np.float32(1e-6), WEIGHTS[1]]
    reshaped = [WEIGHTS[0].reshape(3, 2), WEIGHTS[1]]
    assert len({weights_sha256(w) for w in (WEIGHTS, changed, reshaped, WEIGHTS[::-1])}) == 4
