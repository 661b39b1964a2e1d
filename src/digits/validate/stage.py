"""Stage `validate`: passes on the rows that keep to the rules, and writes a report of all others.

    python -m digits.validate.stage --raw data/raw --reference data/reference.json \\
        --validated data/validated --report reports/validation.json --details reports/validation

Unusable rows of incoming batches are quarantined. A fault of the data set itself, or labels that look
poisoned, are refused. The reports are written either way: they show what is wrong.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from digits import files
from digits.dataset import Split, array_sha256, concatenate, load_split, save_split
from digits.line_model.lines import RealLines, load_real_lines, save_real_lines
from digits.normalize import thumbnail
from digits.runtime.errors import DataError
from digits.runtime.params import ValidateParams
from digits.runtime.progress import count, say
from digits.runtime.stage_main import stage_main
from digits.validate import labels, lines, table
from digits.validate import report as validation_report
from digits.validate.gx import run_suites
from digits.validate.rules import Limits, suites

SPLITS = ("train", "test", "heldout")
LINES = ("lines", "heldout_lines")
Rows = TypeVar("Rows", Split, RealLines)
COUNTED = ["split", "batch", "base"]  # the columns of rows that the report counts by


def run(
    raw: Path, reference: Path, validated: Path, report: Path, details: Path, params: ValidateParams
) -> None:
    """Pass the accepted rows of `raw` on, with a report. Raises DataError when the data set is refused."""
    manifest = files.read_json(raw / "manifest.json")
    dataset = manifest["dataset"]
    splits = {name: load_split(raw / name) for name in SPLITS}
    brought = {name: load_real_lines(raw / name) for name in LINES}
    rejected, thumbnails = validation_report.read_rejected(raw / "rejected")
    origin = validation_report.read_files(raw / "files.csv")
    known = files.read_json(reference).get(dataset)
    limits = Limits.of(params)

    everything = concatenate(list(splits.values()))
    rows = table.table(splits, dataset)
    reasons = table.faults(rows, limits.row)
    bad = validation_report.with_files(table.list_bad(rows, reasons), origin)
    set_aside = (reasons != "") & ~rows["base"]
    line_rows = lines.table(brought)
    line_reasons = lines.faults(line_rows, params.min_contrast)
    bad_lines = validation_report.with_files(table.list_bad(line_rows, line_reasons), origin)
    usable_lines = (line_reasons == "").to_numpy(dtype=bool)
    with threadpool_limits(1, user_api="blas"):  # a quarter less CPU, and sums that no core count changes
        groups = labels.by_group(
            rows,
            everything,
            (reasons == "").to_numpy(dtype=bool),
            excess=params.label_alarm_excess,
            seed=params.seed,
        )
    digests = {name: _digests(split) for name, split in splits.items()}
    facts = validation_report.split_facts(splits, manifest, digests)
    frames = validation_report.frames(rows, set_aside, line_rows[usable_lines], facts, groups)
    most_doubted = validation_report.most_doubted(groups, params.labels_checked)

    with files.replacing(details) as new:
        new.mkdir()
        outcomes = run_suites(frames, suites(frames, limits, known, most_doubted), new)
        all_bad = pd.concat([bad, bad_lines, rejected], ignore_index=True)
        small = [
            thumbnail(brought[split].image(row))
            for split, row in zip(bad_lines["split"], bad_lines["row"], strict=True)
        ]
        shown = np.array(small, np.uint8).reshape(-1, *everything.images.shape[1:])
        pictures = np.concatenate([everything.images[bad.index.to_numpy()], shown, thumbnails])
        validation_report.write_bad(new, all_bad, pictures)
        listed = validation_report.with_files(labels.list_issues(rows, groups), origin)
        validation_report.write_doubted(new, listed, everything.images[listed.index.to_numpy()])
        if known is None:
            outcomes = [validation_report.without_reference(dataset), *outcomes]
            say(f"validate: {outcomes[0].observed}")
        counted = pd.concat([rows[COUNTED], line_rows[COUNTED]], ignore_index=True)
        content = validation_report.report(manifest, counted, all_bad, groups, outcomes)
        validation_report.write_index(new, content)
    files.write_json(report, content)
    if refused := validation_report.refusal(outcomes, groups, dataset, str(details / "doubted.png")):
        raise DataError(f"{dataset} is refused: {refused}; see {report} and {details / 'index.html'}")

    keep = ~set_aside.to_numpy(dtype=bool)
    accepted = _accepted(splits, keep)
    accepted_lines = _accepted(brought, usable_lines)
    described = {name: {"n": len(split), **_digests(split)} for name, split in accepted.items()}
    described |= {name: part.facts() for name, part in accepted_lines.items()}
    gone = pd.concat([bad, bad_lines], ignore_index=True)
    with files.replacing(validated) as new:
        for name, split in accepted.items():
            save_split(new / name, split)
        for name, part in accepted_lines.items():
            save_real_lines(new / name, part)
        accepted_manifest = validation_report.accepted_manifest(manifest, described, gone)
        files.write_json(new / "manifest.json", accepted_manifest)
    taken = int(keep.sum()) + int(usable_lines.sum())
    say(f"validate: {dataset}: {count(len(outcomes), 'rule')} passed; {count(taken, 'row')} accepted")
    if len(all_bad):
        rows_set_aside = count(len(all_bad), "row")
        say(f"validate: {rows_set_aside} of incoming batches quarantined: see {details / 'quarantine.csv'}")


def _digests(split: Split) -> dict[str, Any]:
    return {
        "images_sha256": array_sha256(split.images),
        "labels_sha256": array_sha256(split.labels),
    }


def _accepted(splits: dict[str, Rows], keep: np.ndarray[Any, np.dtype[np.bool_]]) -> dict[str, Rows]:
    """The kept rows of each split; `keep` runs over the splits one after another."""
    ends = np.cumsum([len(split) for split in splits.values()])
    parts = np.split(keep, ends[:-1])
    return {name: split.take(part) for (name, split), part in zip(splits.items(), parts, strict=True)}


if __name__ == "__main__":
    stage_main("validate", run)
