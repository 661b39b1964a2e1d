"""Writes data/reference.json, with which `validate` compares data, from MNIST and its sample.

    python bench/reference.py --params params.yaml --reference data/reference.json

Downloads MNIST as ingest does (DIGITS_MIRROR, then `ingest.sources`). Run it again when the columns
of `digits.validate.table` or the grid of `digits.validate.rules` change.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

import numpy as np

from digits import files
from digits.dataset import Split
from digits.ingest import mnist, sources
from digits.runtime import params
from digits.validate import rules, table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    parser.add_argument("--reference", type=Path, default=Path("data/reference.json"))
    given = parser.parse_args()
    ingest = params.load("ingest", given.params)
    contents, passed_over = sources.fetch(ingest)
    if contents is None:
        raise SystemExit(f"no source gave {ingest.dataset}: {'; '.join(passed_over)}")
    known = {
        ingest.dataset: _splits(contents, ingest),
        mnist.SAMPLE: dict(
            zip(("train", "test"), mnist.load_sample(ingest.sample_test, ingest.seed), strict=True)
        ),
    }
    described = {name: rules.describe(table.table(splits, name)) for name, splits in known.items()}
    files.write_text(given.reference, _compact(described))


def _splits(contents: dict[str, bytes], ingest: params.IngestParams) -> dict[str, Split]:
    splits = {}
    for part in ("train", "test"):
        keys = f"{part}-images", f"{part}-labels"
        images, labels = mnist.labelled_images(contents[keys[0]], contents[keys[1]], keys)
        splits[part] = Split(images, labels, np.full(len(labels), ingest.dataset))
    return splits


def _compact(described: dict[str, Any]) -> str:
    """Return JSON with each list on a line of its own."""
    return re.sub(r"\[[^\[\]]*\]", lambda match: " ".join(match[0].split()), files.to_json(described))


if __name__ == "__main__":
    main()
