"""The report of a validation: frames for the suites, figures, tables, contact sheets, and the refusal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from digits.dataset import Split
from digits.runtime.errors import DataError
from digits.runtime.progress import count
from digits.validate import table
from digits.validate.contact_sheet import contact_sheet
from digits.validate.labels import Group
from digits.validate.rules import Outcome, split_frame
from digits.validate.table import COLUMNS

NAMED = 3  # failed rules that a refusal spells out; the report has them all


def frames(
    rows: pd.DataFrame,
    set_aside: pd.Series[bool],
    lines: pd.DataFrame,
    split_facts: pd.DataFrame,
    groups: Mapping[str, Group],
) -> dict[str, pd.DataFrame]:
    """The frames that `rules.suites` judges. Rows that are set aside stand in none of them.

    lines: those of `validate.lines.table` that are passed on.
    """
    base, kept = rows["base"], ~set_aside
    doubted = {name: [int(group.doubts.doubted.sum())] for name, group in groups.items()}
    return {
        "splits": split_facts,
        "train": split_frame(rows[base & (rows["split"] == "train")]),
        "test": split_frame(rows[base & (rows["split"] == "test")]),
        "incoming": split_frame(rows[~base & kept]),
        "lines": lines,
        "labels": pd.DataFrame(doubted),
    }


def split_facts(
    splits: Mapping[str, Split],
    manifest: Mapping[str, Any],
    digests: Mapping[str, Mapping[str, str]],
) -> pd.DataFrame:
    """One row a split: what it holds beside what the manifest says. digests: of each, as in the manifest."""
    facts = []
    for name, split in splits.items():
        said = manifest["splits"][name]
        base = int((split.batches == manifest["dataset"]).sum())
        facts.append(
            {
                "split": name,
                "rows": len(split),
                "manifest_rows": said["n"],
                "images": f"{split.images.dtype} {'×'.join(map(str, split.images.shape[1:]))}",
                "labels": str(split.labels.dtype),
                "digests": " ".join(digests[name][key] for key in sorted(digests[name])),
                "manifest_digests": " ".join(said[key] for key in sorted(digests[name])),
                "base_rows": base,
                "least_rows": 0 if name == "heldout" else 1,
            }
        )
    return pd.DataFrame(facts)


def most_doubted(groups: Mapping[str, Group], checked: Collection[str]) -> dict[str, int]:
    """How many doubted labels each group may have; as many as it has rows once a person has checked them."""
    return {
        name: len(group.rows) if name in checked else group.doubts.limit for name, group in groups.items()
    }


def without_reference(dataset: str) -> Outcome:
    """Says that a data set has no reference: visible, and no reason to refuse it."""
    return Outcome(
        "reference",
        "a reference to compare distributions with",
        f"no reference for data set {dataset}: not compared",
        True,
    )


def report(
    manifest: Mapping[str, Any],
    rows: pd.DataFrame,
    bad: pd.DataFrame,
    groups: Mapping[str, Group],
    outcomes: Sequence[Outcome],
) -> dict[str, Any]:
    """The content of reports/validation.json: equal data give an equal report.

    What is a list here stays out of the table of `dvc metrics show`, which has a column for every value.
    rows: of images and of lines. bad: every row with a fault, columns batch, split, reason, action.
    """
    aside = bad[bad["action"] != "refused"]
    gone = aside[aside["action"] == "quarantined"]
    incoming = rows[~rows["base"]]
    return {
        "dataset": manifest["dataset"],
        "sample": manifest["sample"],
        "passed": all(outcome.passed for outcome in outcomes),
        "rows": {
            split: int((rows["split"] == split).sum() - (gone["split"] == split).sum())
            for split in manifest["splits"]
        },
        "quarantined": dict(sorted(Counter(map(table.kind, aside["reason"])).items())),
        "batches": [
            {
                "batch": batch,
                "accepted": int((incoming["batch"] == batch).sum() - (gone["batch"] == batch).sum()),
                "quarantined": int((aside["batch"] == batch).sum()),
            }
            for batch in sorted(manifest["batches"])
        ],
        "labels": [
            {
                "group": name,
                "rows": len(group.rows),
                "doubted": int(group.doubts.doubted.sum()),
                "excess": round(_excess(group), 5),
                "limit": group.doubts.limit,
                "alarm": group.doubts.alarm,
            }
            for name, group in groups.items()
        ],
        "rules": [asdict(outcome) for outcome in outcomes],
    }


def _excess(group: Group) -> float:
    """Share of rows that are doubted beyond what clean labels would give."""
    return (int(group.doubts.doubted.sum()) - group.doubts.expected) / max(len(group.rows), 1)


def refusal(outcomes: Sequence[Outcome], groups: Mapping[str, Group], dataset: str, sheet: str) -> str:
    """The failed rules, the first few spelt out, and what to do about poisoned labels; "" when all passed.

    sheet: where the doubted images are shown.
    """
    failed = [outcome for outcome in outcomes if not outcome.passed]
    if not failed:
        return ""
    said = [f"{each.rule}: {each.observed}, expected {each.expected}" for each in failed[:NAMED]]
    if len(failed) > NAMED:
        said.append(f"and {len(failed) - NAMED} more")
    suspects = [f"labels: doubted in {name}" for name, group in groups.items() if group.doubts.alarm]
    wrong = [
        rule.removeprefix("labels: doubted in ") for rule in suspects if rule in {f.rule for f in failed}
    ]
    if wrong:
        batches = [name for name in wrong if name not in (f"{dataset} train", f"{dataset} test")]
        fix = f"fix labels of {', '.join(batches)} in data/incoming" if batches else "fix the data set"
        said.append(f"look at {sheet} and {fix}, or list {', '.join(wrong)} in validate.labels_checked")
    return "; ".join(said)


def accepted_manifest(
    manifest: Mapping[str, Any],
    splits: Mapping[str, Mapping[str, Any]],
    gone: pd.DataFrame,
) -> dict[str, Any]:
    """The manifest of the accepted rows: data/raw's, its counts and digests renewed, `quarantined` added.

    splits: what the manifest says of each now. gone: the rows that were set aside.
    """
    batches = {}
    for name, counts in manifest["batches"].items():
        of_it = gone[gone["batch"] == name]
        here = {
            part: counts[part] - int(of_it["split"].isin(names).sum())
            for part, names in (("train", ("train", "lines")), ("heldout", ("heldout", "heldout_lines")))
        }
        batches[name] = {**counts, **here, "quarantined": len(of_it)}
    return {**manifest, "splits": dict(splits), "batches": batches}


def write_index(directory: Path, report: Mapping[str, Any]) -> None:
    """index.html and its style: the rules, and the way to the sheets, tables and Great Expectations' pages.

    report: the content of validation.json. directory: with all that the page leads to.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("digits.validate", ""), autoescape=True, undefined=jinja2.StrictUndefined
    )
    suites: dict[str, list[Any]] = {}
    for rule in report["rules"]:
        suites.setdefault(rule["rule"].partition(":")[0], []).append(rule)
    shown = {
        path.parts[-4]: path.relative_to(directory) for path in directory.glob("validations/*/*/*/*.html")
    }
    page = environment.get_template("index.html.j2").render(
        report=report,
        failed=[rule for rule in report["rules"] if not rule["passed"]],
        suites=suites,
        count=count,
        pages={suite: shown[suite].as_posix() if suite in shown else "" for suite in suites},
    )
    (directory / "index.html").write_text(page, encoding="utf-8")
    style = environment.get_template("style.css.j2").render()
    (directory / "style.css").write_text(style, encoding="utf-8")


SHOWN = 96  # images on a sheet; the table beside it lists them all


def read_rejected(directory: Path) -> tuple[pd.DataFrame, NDArray[np.uint8]]:
    """What ingest could not use, as rows of quarantine.csv, with thumbnails uint8 [n, 28, 28]."""
    try:
        listed = pd.read_csv(directory / "rejected.csv", dtype=str, keep_default_na=False)
        images = np.load(directory / "images.npy", allow_pickle=False)
    except FileNotFoundError as error:
        raise DataError(f"{error.filename} is missing: run `dvc repro` to make it") from None
    if len(listed) != len(images):
        raise DataError(f"{directory} is damaged: delete data/raw and run `dvc repro`")
    return listed.assign(split="incoming", action="rejected by ingest")[COLUMNS], images


def read_files(path: Path) -> pd.Series[str]:
    """The file of each row that came with a batch, by split and row."""
    try:
        listed = pd.read_csv(path, dtype={"split": str, "row": int, "file": str}, keep_default_na=False)
    except FileNotFoundError:
        raise DataError(f"{path} is missing: run `dvc repro` to make it") from None
    return listed.set_index(["split", "row"])["file"]


def with_files(listed: pd.DataFrame, origin: pd.Series[str]) -> pd.DataFrame:
    """A list of rows with the file of each, as `read_files` has them; empty for the data set's own rows."""
    places = pd.MultiIndex.from_frame(listed[["split", "row"]])
    return listed.assign(file=origin.reindex(places).fillna("").to_numpy())


FORMULA = ("=", "+", "-", "@")  # a spreadsheet runs a cell that begins so


def harmless(cell: object) -> object:
    """A cell of a table for people: no control character for a terminal, no formula for a spreadsheet."""
    if not isinstance(cell, str):
        return cell
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cell)
    return f"'{text}" if text.lstrip().startswith(FORMULA) else text


def write_bad(directory: Path, listed: pd.DataFrame, images: NDArray[np.uint8]) -> None:
    """quarantine.csv and quarantine.png, of images uint8 [n, 28, 28]. Without a bad row both say so."""
    listed.map(harmless).to_csv(directory / "quarantine.csv", index=False, lineterminator="\n")
    captions = [
        f"{row['batch']}: {row['file'] or row['split'] + ' row ' + str(row['row'])}\n"
        f"label {row['label']}: {row['reason']}"
        for row in listed.head(SHOWN).to_dict("records")
    ]
    _write_sheet(directory / "quarantine.png", images, captions, _title("unusable image", len(listed)))


def write_doubted(directory: Path, listed: pd.DataFrame, images: NDArray[np.uint8]) -> None:
    """doubted.csv and doubted.png: the labels that the linear model doubts, alarming groups first."""
    listed.map(harmless).to_csv(directory / "doubted.csv", index=False, lineterminator="\n")
    captions = [
        f"{row['batch']}: {row['file'] or row['split'] + ' row ' + str(row['row'])}\n"
        f"label {row['label']}, looks like {row['predicted']}"
        for row in listed.head(SHOWN).to_dict("records")
    ]
    _write_sheet(directory / "doubted.png", images, captions, _title("doubted label", len(listed)))


def _title(what: str, n: int) -> str:
    some = count(n, what) if n else f"No {what}s"
    return some + (f"; the first {SHOWN} are shown" if n > SHOWN else "")


def _write_sheet(path: Path, images: NDArray[np.uint8], captions: list[str], title: str) -> None:
    Image.fromarray(contact_sheet(images[: len(captions)], captions, title)).save(path)
