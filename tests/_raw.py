"""Makes data/raw, as ingest leaves it, from arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from digits import files
from digits.dataset import Split, array_sha256, concatenate, save_split
from tests._digits import digits

NAME = "synthetic"


@cache
def split(n: int, seed: int, name: str = NAME) -> Split:
    """Return `n` synthetic digits of one batch; they are shared, so don't write into them."""
    images, labels = digits(n, seed)
    return Split(images, labels, np.full(n, name))


def base(train: int = 300, test: int = 100, name: str = NAME) -> dict[str, Split]:
    """Return a clean data set without incoming rows."""
    made = {"train": split(train, 1, name), "test": split(test, 2, name)}
    return made | {"heldout": made["train"].take(np.arange(0))}


def with_batch(splits: dict[str, Split], batch: Split, heldout: int = 0) -> dict[str, Split]:
    """Return the splits with a batch appended, its last `heldout` rows held out."""
    cut = len(batch) - heldout
    return splits | {
        "train": concatenate([splits["train"], batch.take(np.arange(cut))]),
        "heldout": concatenate([splits["heldout"], batch.take(np.arange(cut, len(batch)))]),
    }


def write_raw(
    raw: Path, splits: Mapping[str, Split], dataset: str = NAME, rejected: Sequence[Sequence[object]] = ()
) -> Path:
    """Write what `ingest` would; rejected: rows of rejected.csv, whose thumbnails are blank."""
    for name, part in splits.items():
        save_split(raw / name, part)
    (raw / "rejected").mkdir()
    lines = [("batch", "row", "file", "label", "reason"), *rejected]
    files.write_text(raw / "rejected" / "rejected.csv", "".join(",".join(map(str, x)) + "\n" for x in lines))
    np.save(raw / "rejected" / "images.npy", np.zeros((len(rejected), 28, 28), np.uint8))
    described = {
        name: {
            "n": len(part),
            "images_sha256": array_sha256(part.images),
            "labels_sha256": array_sha256(part.labels),
        }
        for name, part in splits.items()
    }
    batches = {}
    for batch in sorted({str(b) for s in splits.values() for b in s.batches} - {dataset}):
        counts = {part: int((splits[part].batches == batch).sum()) for part in ("train", "heldout")}
        refused = sum(row[0] == batch for row in rejected)
        batches[batch] = {"rows": sum(counts.values()) + refused, **counts, "rejected": refused}
    manifest = {"dataset": dataset, "sample": False, "splits": described, "batches": batches}
    files.write_json(raw / "manifest.json", manifest)
    return raw
