"""The record of what a model was made from, which travels with it so that any served answer can be traced.

Content only: publishing adds the commit and the time, which would make equal models differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from digits import wire


def provenance(
    manifest: Mapping[str, Any],
    recipe: Mapping[str, Any],
    metrics: Mapping[str, Any],
    verdict: Mapping[str, Any],
    export: Mapping[str, Any],
    threshold: float,
    weights_sha256: str,
    libraries: Mapping[str, str],
    lines: Mapping[str, Any],
) -> dict[str, Any]:
    """Plain values for provenance.json.

    manifest: data set, rows and digests. recipe: how it was trained. export: that section of params.yaml.
    threshold: the least confidence of an accepted answer.
    weights_sha256: digest of the weights in the model's order. libraries: name → version.
    lines: of the line reader `recipe`, `weights_sha256`, and `validation_sha256` of its validation lines.
    """
    return {
        "model": wire.MODEL,
        "dataset": manifest["dataset"],
        "sample": manifest["sample"],
        "data": dict(manifest),
        "recipe": dict(recipe),
        "metrics": dict(metrics),
        "verdict": dict(verdict),
        "export": dict(export),
        "threshold": threshold,
        "weights_sha256": weights_sha256,
        "libraries": dict(libraries),
        "lines": dict(lines),
    }
