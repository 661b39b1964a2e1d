"""Makes data/raw, as ingest leaves it, from arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from digits import files
from digits.dataset import Split, array_sha256, concatenate, save_split
from digits.line_model.lines import RealLines, save_real_lines
from tests._digits import digits

NAME = "synthetic"
NO_LINES = RealLines.of([], [], [])


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
    raw: Path,
    splits: Mapping[str, Split],
    dataset: str = NAME,
    rejected: Sequence[Sequence[object]] = (),
    lines: RealLines = NO_LINES,
    heldout_lines: RealLines = NO_LINES,
) -> Path:
    """Write what `ingest` would; rejected: rows of rejected.csv, whose thumbnails are blank."""
    for name, part in splits.items():
        save_split(raw / name, part)
    (raw / "rejected").mkdir()
    table = [("batch", "row", "file", "label", "reason"), *rejected]
    files.write_text(raw / "rejected" / "rejected.csv", "".join(",".join(map(str, x)) + "\n" for x in table))
    np.save(raw / "rejected" / "images.npy", np.zeros((len(rejected), 28, 28), np.uint8))
    described = {
        name: {
            "n": len(part),
            "images_sha256": array_sha256(part.images),
            "labels_sha256": array_sha256(part.labels),
        }
        for name, part in splits.items()
    }
    written = {"lines": lines, "heldout_lines": heldout_lines}
    for name, some in written.items():
        save_real_lines(raw / name, some)
    described |= {name: some.facts() for name, some in written.items()}
    parts = {"train": (splits["train"], lines), "heldout": (splits["heldout"], heldout_lines)}
    everything = [*splits.values(), *written.values()]
    batches = {}
    for batch in sorted({str(b) for s in everything for b in s.batches} - {dataset}):
        counts = {part: sum(int((s.batches == batch).sum()) for s in both) for part, both in parts.items()}
        refused = sum(row[0] == batch for row in rejected)
        batches[batch] = {"rows": sum(counts.values()) + refused, **counts, "rejected": refused}
    rows = [
        f"{name},{row},{batch}-{row}.png\n"
        for name, some in (*splits.items(), *written.items())
        for row, batch in enumerate(some.batches)
        if batch != dataset
    ]
    files.write_text(raw / "files.csv", "".join(["split,row,file\n", *rows]))
    manifest = {"dataset": dataset, "sample": False, "splits": described, "batches": batches}
    files.write_json(raw / "manifest.json", manifest)
    return raw
