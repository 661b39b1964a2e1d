"""The table of a pile: a Parquet file for each chunk, which appears whole or not at all.

    FOLDER/table/part=3f/3f….parquet   the rows of a chunk; what failed in it, and its counts, as metadata
    FOLDER/failed.csv, summary.json    made of these at the end
    FOLDER/pile.json                   which pile this is: another one is refused

Bytes of a file's name that are no UTF-8 are shown as escapes.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from digits import files
from digits.runtime.errors import DataError
from digits_client.reading.files import harmless
from flows.reading.worker import Failure, Part, Row

TABLE = "table"
META = b"digits"
KINDS = {
    "file": pa.string(),
    **dict.fromkeys(("page", "line", "field"), pa.int32()),
    "text": pa.string(),
    "confidence": pa.float64(),
    "accepted": pa.bool_(),
    **dict.fromkeys("xywh", pa.int32()),
    "version": pa.int64(),
}


@dataclass
class Summary:
    """Counts of a pile. read: files all of whose pages were read. failed: files of which some were not."""

    files: int = 0
    read: int = 0
    failed: int = 0
    pages: int = 0
    fields: int = 0
    accepted: int = 0

    def add(self, other: Summary) -> None:
        """Add the counts of another part."""
        for name, count in vars(other).items():
            setattr(self, name, getattr(self, name) + count)


def path(folder: Path, digest: str) -> Path:
    """The file of a chunk."""
    return folder / TABLE / f"part={digest[:2]}" / f"{digest}.parquet"


def write(folder: Path, digest: str, part: Part) -> None:
    """Write a chunk's file."""
    columns = zip(*part.rows, strict=True) if part.rows else [()] * len(Row._fields)
    text = ("file", "text")
    arrays = [
        pa.array([_plain(each) for each in column] if name in text else column, KINDS[name])
        for name, column in zip(Row._fields, columns, strict=True)
    ]
    meta = {"counts": asdict(_counts(part)), "failures": [list(each) for each in part.failures]}
    made = pa.Table.from_arrays(arrays, schema=pa.schema(KINDS, {META: json.dumps(meta).encode()}))
    with files.replacing(path(folder, digest)) as new:
        pq.write_table(made, new)


def _plain(text: str | None) -> str | None:
    return None if text is None else text.encode("utf-8", "backslashreplace").decode()


def _counts(part: Part) -> Summary:
    failed = len({each.file for each in part.failures})
    fields = [row for row in part.rows if row.field is not None]
    accepted = sum(bool(row.accepted) for row in fields)
    return Summary(part.files, part.files - failed, failed, part.pages, len(fields), accepted)


def notes(folder: Path, digest: str) -> tuple[Summary, list[Failure]]:
    """A chunk's counts, and what failed in it. Raises DataError for a damaged file."""
    where = path(folder, digest)
    try:
        meta = json.loads(pq.read_schema(where).metadata[META])
        return Summary(**meta["counts"]), [Failure(*each) for each in meta["failures"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{where} is damaged ({error}): delete it and run the same command again") from None


def summarize(folder: Path, digests: Iterable[str]) -> Summary:
    """Write failed.csv and summary.json from the chunks' files, one at a time."""
    total = Summary()
    with files.replacing(folder / "failed.csv") as new, new.open("w", encoding="utf-8", newline="") as stream:
        lines = csv.writer(stream)
        lines.writerow(Failure._fields)
        for digest in digests:
            counts, failures = notes(folder, digest)
            total.add(counts)
            lines.writerows([_cell(name), page, _cell(reason)] for name, page, reason in failures)
    files.write_json(folder / "summary.json", asdict(total))
    return total


def write_csv(folder: Path, digests: Iterable[str], target: Path) -> None:
    """Write all rows into a CSV file, chunk by chunk."""
    with files.replacing(target) as new, new.open("w", encoding="utf-8", newline="") as stream:
        lines = csv.writer(stream)
        lines.writerow(KINDS)
        for digest in digests:
            lines.writerows(_csv(row) for row in rows(folder, digest))


def rows(folder: Path, digest: str) -> Iterator[Sequence[Any]]:
    """The rows of a chunk."""
    columns = pq.read_table(path(folder, digest), columns=list(KINDS), partitioning=None).to_pydict()
    return zip(*columns.values(), strict=True)


def _csv(row: Sequence[Any]) -> list[Any]:
    name, *others = row
    return [_cell(name), *(str(each).lower() if isinstance(each, bool) else each for each in others)]


def _cell(text: str) -> str:
    return harmless(_plain(text) or "")


def remove_others(folder: Path, digests: set[str]) -> None:
    """Delete the files of chunks that are no longer in the pile, and what killed writers left."""
    for each in (folder / TABLE).glob("part=*/*"):
        if each.suffix != ".parquet" or each.stem not in digests:
            each.unlink()
