"""Reads the files of a chunk, on a worker. Whatever is wrong with one of them is a line of the result."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from digits.runtime.errors import DigitsError
from digits_client import BadRequest, ServingError
from digits_client.reading import Reading, read
from flows.reading import models, sources
from flows.reading.models import Asking
from flows.reading.pages import pages


class Row(NamedTuple):
    """A field; a page without any has a row with its file and page alone."""

    file: str
    page: int  # from 1 on, as line and field
    line: int | None = None
    field: int | None = None
    text: str | None = None
    confidence: float | None = None
    accepted: bool | None = None
    x: int | None = None  # the field's box, in pixels of the upright page: left, top, width, height
    y: int | None = None
    w: int | None = None
    h: int | None = None
    version: int | None = None  # of the model that read the page


class Failure(NamedTuple):
    """A page that was not read, or with no page a whole file, and why."""

    file: str
    page: int | None
    reason: str


@dataclass
class Part:
    """What reading some files gave: a row a field, what failed, and how many files and pages there were."""

    rows: list[Row] = dataclasses.field(default_factory=list)
    failures: list[Failure] = dataclasses.field(default_factory=list)
    files: int = 0
    pages: int = 0

    def add(self, other: Part) -> None:
        """Add what reading the following files gave."""
        self.rows += other.rows
        self.failures += other.failures
        self.files += other.files
        self.pages += other.pages


@dataclass(frozen=True)
class How:
    """How files are read. base: the folder that relative names begin at. least, form: as for `read`."""

    base: Path
    asking: Asking
    least: float | None = None
    form: str | None = None


class Broken(NamedTuple):
    """Why no file could be read at all: a line for the user, and the exit code that belongs to it."""

    line: str
    exit_code: int


def read_files(names: tuple[str, ...], how: How) -> Part | Broken:
    """Read some files; runs on a worker. A model that can't be asked is returned, since Dask would log it."""
    part = Part(files=len(names))
    try:
        models.warm(how.asking)
        for name in names:
            _read_file(name, how, part)
    except (ServingError, DigitsError) as error:
        return Broken(" ".join(str(error).split()), error.exit_code)
    return part


def _read_file(name: str, how: How, part: Part) -> None:
    try:
        data = sources.content(name, how.base)
        for number, page in pages(data):
            part.pages += 1
            if isinstance(page, BadRequest):
                part.failures.append(Failure(name, number, str(page)))
                continue
            try:
                found = read(page, models.ask(how.asking), how.least, form=how.form)
            except BadRequest as error:
                part.failures.append(Failure(name, number, str(error)))
            else:
                part.rows += _rows(name, number, found)
    except (BadRequest, sources.UnreadableError) as error:
        part.failures.append(Failure(name, None, str(error)))
    except (ServingError, DigitsError):
        raise
    except Exception as error:  # a library's, of a file that nobody has thought of: the others go on
        part.failures.append(Failure(name, None, f"can't be read ({type(error).__name__}: {error})"[:300]))


def _rows(name: str, page: int, found: Reading) -> list[Row]:
    made = []
    for i, line in enumerate(found.lines, 1):
        for j, field in enumerate(line.fields, 1):
            said = (field.text, round(field.confidence, 6), field.accepted)
            box = (field.box.x, field.box.y, field.box.w, field.box.h)
            made.append(Row(name, page, i, j, *said, *box, found.version))
    return made or [Row(name, page, version=found.version)]
