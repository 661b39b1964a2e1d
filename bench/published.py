"""The committed results: docs/results.md, the README's table, and the records that both are made of."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from bench import document, front, section
from bench.figures import Record
from digits import files
from digits.errors import DataError


def page(root: Path) -> Path:
    """The document."""
    return root / "docs" / "results.md"


def kept(root: Path) -> Path:
    """Its records, a line each, so that anyone can look behind a figure and measure on from there."""
    return root / "docs" / "results.jsonl"


def write(root: Path, records: Sequence[Record]) -> str:
    """Write all three, the records first: what a kill spares is made anew from them. Says what was done.

    Raises DataError where there is nothing to write, or only a trial of the bench.
    """
    sessions = [record for record in records if record["kind"] == "session"]
    if not sessions or any(each["quick"] for each in sessions):
        raise DataError("no records of a run that counts: python -m bench.train makes them")
    files.write_text(kept(root), "".join(json.dumps(record) + "\n" for record in records))
    write_page(page(root), records)
    readme = root / "README.md"
    files.write_text(readme, front.page(readme.read_text(encoding="utf-8"), list(records)))
    return f"written: {page(root)}, its records beside it, and the README's table"


def write_page(path: Path, records: Sequence[Record]) -> None:
    """A document, with the parts of other benches that were in it."""
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    files.write_text(path, section.carried(before, document.document(list(records))))


def records(path: Path) -> list[Record]:
    """Those of a file, but for a line that a killed run left half; none where there is no file."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


def begin_from(root: Path, raw: Path) -> bool:
    """Put the committed records where a run goes on from, if it has none of its own; whether it did."""
    if raw.exists() or not kept(root).exists():
        return False
    files.write_text(raw, kept(root).read_text(encoding="utf-8"))
    return True
