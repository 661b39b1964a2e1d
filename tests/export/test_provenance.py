"""The record that travels with a model."""

import json

from digits.export.provenance import provenance


def test_it_holds_what_the_model_came_from():
    manifest = {"dataset": "mnist-sample-5k", "sample": True, "splits": {"train": {"n": 3}}}
    record = provenance(
        manifest,
        {"profile": "fast"},
        {"accuracy": 0.99},
        {"passed": True},
        {"max_pixels": 5},
        0.97,
        "abc",
        {"keras": "3"},
    )
    assert record["dataset"] == "mnist-sample-5k" and record["sample"] is True
    assert record["data"] == manifest and record["recipe"] == {"profile": "fast"}
    assert record["weights_sha256"] == "abc"
    assert record["threshold"] == 0.97
    json.dumps(record)
