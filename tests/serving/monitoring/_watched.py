"""A project whose version 1 serves, and the rows of its request log, made up of drawn digits."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pandas as pd

from digits import wire
from digits.export import reference
from digits.facts import FACTS, facts
from digits.runtime import params
from serving.store import promote, publish
from serving.store.store import Store
from tests._project import ROOT
from tests.serving._exports import change, export

NOW = 1_900_000_000.0
HOUR = 3600.0
SETTINGS = params.load("monitor", ROOT / "params.yaml")
RULES = params.load("validate", ROOT / "params.yaml")


def serve(project, images, labels, sources):
    """Publish and promote a version made from these images."""
    exported = export(project / "exported")
    answers = {wire.CONFIDENCE: sure(len(labels)), wire.ACCEPTED: np.ones(len(labels), bool)}
    lines = {wire.CONFIDENCE: sure(50), wire.ACCEPTED: np.ones(50, bool)}
    inputs = facts(images) | {wire.DIGIT: labels}
    made = reference.reference(inputs, sources, answers, sources, lines, 0.99)
    text = json.dumps(made)
    (exported / wire.MONITORING).write_text(text)
    digest = hashlib.sha256(text.encode()).hexdigest()
    change(exported / wire.PROVENANCE, lambda tree: tree["files"].update({wire.MONITORING: digest}))
    store = Store(project / "models" / "serving")
    number = publish.publish(store, exported, {"at": "2030-01-01T00:00:00Z"})
    promote.promote(store, number, None)


def sure(n):
    return np.linspace(0.9, 0.999, n)


def fog(images):
    """As through a dirty pane: grey instead of black, and pale ink."""
    return (images // 3 + 90).astype(np.uint8)


def rows(images, labels, *, since=NOW - HOUR, version=1, keep=True):
    """The table that logs.read gives, one row an image, evenly over an hour."""
    n = len(images)
    found = facts(images)
    return pd.DataFrame(
        {
            "at": since + np.arange(n) * HOUR / n,
            "source": "gateway",
            "route": "/api/predict",
            "kind": "digit",
            "status": 200,
            "digest": [hashlib.sha256(each.tobytes()).hexdigest() for each in images],
            "digit": labels.astype(float),
            "confidence": np.resize(sure(50), n),
            "accepted": 1.0,
            "version": float(version),
            "latency": 0.01,
            **{name: found[name].astype(float) for name in FACTS},
            "image": [each.tobytes() if keep else None for each in images],
        }
    )
