"""Rows of a request log and a reference that they fit, drawn from a few numbers instead of pictures."""

import numpy as np
import pandas as pd

from digits.export.reference import reference as made
from digits.facts import FACTS
from serving.monitoring.reference import parse

HOUR = 3600.0


def columns(n, seed=0, *, contrast=250.0, accepted=0.99):
    """Facts and answers of `n` images."""
    rng = np.random.default_rng(seed)
    table = {name: rng.uniform(5, 10, n) for name in FACTS}
    table["contrast"] = rng.normal(contrast, 3, n).clip(0, 255)
    table["digit"] = rng.permutation(np.arange(n) % 10).astype(float)
    table["confidence"] = rng.uniform(0.9, 1, n)
    table["accepted"] = (rng.random(n) < accepted).astype(float)
    return table


def reference(batches=(), version=1):
    """Return what is known of a version made of clean images, and of `batches` of (name, columns)."""
    parts = [("mnist", columns(10_000, 100)), *batches]
    table = {name: np.concatenate([part[name] for _, part in parts]) for name in parts[0][1]}
    sources = np.concatenate([np.full(len(part["digit"]), name) for name, part in parts])
    lines = {"confidence": np.linspace(0, 1, 1000), "accepted": np.arange(1000) % 2}
    return parse(made(table, sources, table, sources, lines, 0.99), version)


def rows(table, *, start=0.0, hourly=200, **fixed):
    """Return the rows of as many requests, one after the other, each for an image of its own."""
    n = len(table["digit"])
    at = start + (np.arange(n) + 1) * HOUR / hourly
    common = {"source": "gateway", "route": "/api/predict", "kind": "digit", "status": 200, "latency": 0.01}
    common |= {"version": 1.0, "at": at, "digest": [f"{start}/{place}" for place in range(n)]}
    return pd.DataFrame(table).assign(**common | fixed)


def mixed(share, n, seed, **changed):
    """Columns of clean images, a share of which is changed."""
    rng = np.random.default_rng([seed, 1])
    clean, other = columns(n, seed), columns(n, seed + 1, **changed)
    chosen = rng.random(n) < share
    return {name: np.where(chosen, other[name], clean[name]) for name in clean}
