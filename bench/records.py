"""Records of bench runs: lines of JSON, each with the machine, the commit and the date of its run.

A file may hold several runs. The "kind" of a record says what it measures; `date`, the time at which
its run began, tells runs apart.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.machine import commit, machine
from digits.runtime.errors import DataError

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".bench"  # Git ignores it
Record = dict[str, Any]


class Run:
    """One run of a bench, which adds its records to a file."""

    def __init__(self, path: Path, **facts: Any) -> None:
        """facts: added to every record of the run, besides machine, commit and date."""
        self.path = path
        name, changed = commit(ROOT)
        self.about: Record = {
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "commit": name + "+" * changed,  # +: with changes that are not committed
            "machine": machine(),
            **facts,
        }

    def keep(self, *records: Record) -> None:
        """Append records to the file."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as stream:
            stream.writelines(json.dumps(record | self.about) + "\n" for record in records)

    def records(self) -> list[Record]:
        """Return what this run has recorded so far."""
        return [each for each in read(self.path) if each["date"] == self.about["date"]]


def read(*paths: Path) -> list[Record]:
    """Return the records of some files in order; none of a file that is missing.

    Raises DataError for a line that is not a record, such as a run leaves that was killed while it wrote.
    """
    records = []
    for path in paths:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        for number, line in enumerate(text.splitlines(), 1):
            try:
                records.append(json.loads(line))
            except ValueError:
                raise DataError(f"{path}, line {number} is no record: delete that line") from None
    return records
