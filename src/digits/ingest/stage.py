"""Stage `ingest`: fetches the data set and reads the new batches, as arrays, with what was refused.

    python -m digits.ingest.stage --incoming data/incoming --raw data/raw

When no source answers, a sample stands in (`ingest.allow_sample`), and the manifest says so. The environment
variable DIGITS_MIRROR, a directory or a base URL, goes before the sources of params.yaml.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np

from digits import files
from digits.dataset import Split, array_sha256, concatenate, save_split
from digits.ingest import mnist, sources
from digits.ingest.batches import Batch, hold_out, read_batches
from digits.line_model.lines import RealLines, save_real_lines
from digits.runtime.errors import DataError
from digits.runtime.params import IngestParams
from digits.runtime.progress import count, say
from digits.runtime.stage_main import stage_main

REJECTED = ["batch", "row", "file", "label", "reason"]


def run(incoming: Path, raw: Path, params: IngestParams) -> None:
    """Bring the data set and the incoming batches together in `raw`."""
    # first: a batch that can't be read should not cost a download
    batches = read_batches(incoming, rows=params.batch_rows, size=params.batch_mib << 20)
    for batch in batches:
        if batch.name in {params.dataset, mnist.SAMPLE}:  # its rows would pass for the data set's own
            raise DataError(f"{incoming / batch.name} is named like the data set: give it another name")
    dataset, train, test = _dataset(params)
    trained, held_out, counts = [train], [train.take(np.arange(0))], {}
    lines: dict[str, list[RealLines]] = {"lines": [], "heldout_lines": []}
    origins: dict[str, list[str]] = {name: [] for name in ("train", "heldout", *lines)}  # the files of rows
    for batch in batches:
        rest, part = hold_out(
            np.zeros(len(batch.lines), np.uint8) if len(batch.lines) else batch.labels,  # lines have no class
            batch.name,
            share=params.heldout_share,
            at_least=params.heldout_from,
            seed=params.seed,
        )
        counts[batch.name] = _counts(batch, len(rest), len(part))
        for name, chosen in zip(
            lines if len(batch.lines) else ("train", "heldout"), (rest, part), strict=True
        ):
            origins[name] += [batch.files[row] for row in chosen]
        if len(batch.lines):
            lines["lines"].append(batch.lines.take(rest))
            lines["heldout_lines"].append(batch.lines.take(part))
            continue
        rows = Split(batch.images, batch.labels, np.full(len(batch.labels), batch.name))
        trained.append(rows.take(rest))
        held_out.append(rows.take(part))
    # without the empty ones, whose batches' names would widen the array of names and so make training stale
    splits = {
        "train": concatenate([split for split in trained if len(split)]),
        "test": test,
        "heldout": concatenate(held_out),
    }
    written = {name: RealLines.joined(parts) for name, parts in lines.items()}
    with files.replacing(raw) as new:
        for name, split in splits.items():
            save_split(new / name, split)
        for name, some in written.items():
            save_real_lines(new / name, some)
        _write_rejected(new / "rejected", batches)
        _write_files(new / "files.csv", origins, len(train))
        files.write_json(new / "manifest.json", _manifest(dataset, splits, written, counts))
    sizes = [f"{len(split):,} {name}" for name, split in splits.items() if len(split)]
    if n := sum(map(len, written.values())):
        sizes.append(count(n, "line"))
    brought = f"; {count(len(batches), 'incoming batch', 'incoming batches')}" if batches else ""
    say(f"ingest: {dataset}: {', '.join(sizes)}{brought}")


def _dataset(params: IngestParams) -> tuple[str, Split, Split]:
    """(name, train, test) from the first source that has it, else the sample. Raises DataError."""
    contents, passed_over = sources.fetch(params)
    if contents is not None:
        train, test = (_parse(contents, part, params) for part in ("train", "test"))
        return params.dataset, train, test
    why = "; ".join(passed_over) or "ingest.sources is empty"
    if not params.allow_sample:
        raise DataError(
            f"no source gave {params.dataset} ({why}): set {sources.MIRROR} to a directory or address with it"
        )
    say(
        f"ingest: NO SOURCE GAVE {params.dataset.upper()}: using the embedded sample of "
        f"{mnist.SAMPLE_SIZE:,} images instead (dataset: {mnist.SAMPLE}); "
        f"{sources.MIRROR}=<directory or address> names another source; why: {why}"
    )
    return mnist.SAMPLE, *mnist.load_sample(params.sample_test, params.seed)


def _parse(contents: dict[str, bytes], part: str, params: IngestParams) -> Split:
    keys = f"{part}-images", f"{part}-labels"
    described = params.files.by_key()
    names = described[keys[0]].name, described[keys[1]].name
    images, labels = mnist.labelled_images(contents[keys[0]], contents[keys[1]], names)
    return Split(images, labels, np.full(len(labels), params.dataset))


def _counts(batch: Batch, train: int, heldout: int) -> dict[str, int]:
    rejected = len(batch.rejected)
    if rejected:
        refused = f"{count(rejected, 'row')} refused, the first: {batch.rejected[0].reason}"
        say(f"ingest: batch {batch.name}: {refused}")
    return {"rows": train + heldout + rejected, "train": train, "heldout": heldout, "rejected": rejected}


def _write_rejected(directory: Path, batches: list[Batch]) -> None:
    refused = [(batch.name, row) for batch in batches for row in batch.rejected]
    directory.mkdir()
    with (directory / "rejected.csv").open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(REJECTED)
        table.writerows([name, row.row, row.file, row.label, row.reason] for name, row in refused)
    pictures = np.array([row.picture for _, row in refused], np.uint8).reshape(-1, 28, 28)
    np.save(directory / "images.npy", pictures, allow_pickle=False)


def _write_files(path: Path, origins: dict[str, list[str]], base: int) -> None:
    """The file of each row that came with a batch, for validate's lists. base: rows of the data set's own."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(["split", "row", "file"])
        for split, names in origins.items():
            first = base if split == "train" else 0
            table.writerows([split, row, name] for row, name in enumerate(names, first))


def _manifest(
    dataset: str,
    splits: dict[str, Split],
    lines: dict[str, RealLines],
    batches: dict[str, dict[str, int]],
) -> dict[str, Any]:
    """What data/raw holds; no time and no source, so that equal data give an equal file."""
    described = {
        name: {
            "n": len(split),
            "images_sha256": array_sha256(split.images),
            "labels_sha256": array_sha256(split.labels),
        }
        for name, split in splits.items()
    }
    described |= {name: part.facts() for name, part in lines.items()}
    return {"dataset": dataset, "sample": dataset == mnist.SAMPLE, "splits": described, "batches": batches}


if __name__ == "__main__":
    stage_main("ingest", run)
