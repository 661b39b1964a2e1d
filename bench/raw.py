"""The raw file of a bench run: a line a record, kept over as many sessions as the run takes.

Each record carries the session, commit and date that it was made in, and the digest of what it depends on.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench import published
from bench.figures import Record
from bench.machine import commit, machine
from digits import files
from digits.errors import DataError

Digest = Callable[[Record], str]


class Raw:
    """Records on disk and in memory. `session` is the number of this one, from 1 on."""

    def __init__(self, path: Path, root: Path, facts: dict[str, Any], digest: Digest) -> None:
        self.path, self.root, self.facts, self.digest = path, root, facts, digest
        self.records: list[Record] = []
        self.session = 1
        self._begun = False

    def start(self) -> Path | None:
        """Begin anew; where the records of an earlier run were put, if there were any."""
        kept = self._beside("before") if self.path.exists() and self.path.stat().st_size else None
        if kept:
            self.path.replace(kept)
        files.write_text(self.path, "")
        return kept

    def go_on(self) -> list[Record]:
        """Read what there is; the records that other code made are set aside, beside the file, and returned.

        Raises DataError when a trial and a real run would be mixed.
        """
        records = published.records(self.path)
        if not records:
            return []
        sessions = [record for record in records if record["kind"] == "session"]
        if records and not sessions:
            raise DataError(f"{self.path} tells of no session, expected one: run without --continue")
        if any(each["quick"] != self.facts["quick"] for each in sessions):
            raise DataError(f"{self.path} is another kind of run: add or drop --quick, or give another --raw")
        stale = [record for record in records if record["kind"] != "session" and not self._fresh(record)]
        self.records = [record for record in records if record not in stale]
        self.session = 1 + max((int(each["session"]) for each in sessions), default=0)
        if stale:
            with self._beside("stale").open("a", encoding="utf-8") as stream:
                stream.writelines(json.dumps(record) + "\n" for record in stale)
        files.write_text(self.path, "".join(json.dumps(record) + "\n" for record in self.records))
        return stale

    def stamp(self, job: Record) -> Record:
        """What a record carries of when and by which code it was made; ask for it before the job is done."""
        name, dirty = commit(self.root)
        today = datetime.datetime.now(datetime.UTC).date().isoformat()
        code = self.digest(job)
        return {"session": self.session, "commit": name, "dirty": dirty, "date": today, "code": code}

    def keep(self, *records: Record) -> None:
        """Add records that carry their stamp; before the first, what there is to say of the session."""
        for record in records:
            if not self._begun:
                self._append({"kind": "session", "session": self.session, **self.facts, "machine": machine()})
                self._begun = True
            self._append(record)

    def _append(self, record: Record) -> None:
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(record) + "\n")
        self.records.append(record)

    def _fresh(self, record: Record) -> bool:
        try:
            return bool(record["code"] == self.digest(record))
        except (KeyError, ValueError):  # without a digest, or of a profile that is gone
            return False

    def _beside(self, word: str) -> Path:
        return self.path.with_name(f"{self.path.stem}.{word}{self.path.suffix}")
