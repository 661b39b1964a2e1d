"""What `digits read` takes and leaves on disk: photos, a table, pictures with boxes."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from digits_client.errors import BadRequest, one_line
from digits_client.reading.drawing import annotated
from digits_client.reading.opening import SUFFIXES
from digits_client.reading.results import Reading

COLUMNS = (
    *("file", "line", "field", "kind", "text", "confidence", "accepted"),
    *("x", "y", "w", "h", "unread", "version", "error"),
)
DRAWN = (".png", ".jpg", ".jpeg")  # what pictures with boxes are written as
FORMULA = ("=", "+", "-", "@", "\t")  # spreadsheets run what begins so


def photos(given: Sequence[str]) -> list[str]:
    """The files, and in place of a folder the pictures in it by name. Raises BadRequest for an empty one."""
    names: list[str] = []
    for each in given:
        if not Path(each).is_dir():
            names.append(each)
            continue
        inside = [str(path) for path in sorted(Path(each).iterdir()) if _is_picture(path)]
        if not inside:
            raise BadRequest(f"{each}: no picture in this folder: expected files with {', '.join(SUFFIXES)}")
        names += inside
    return names


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.is_dir()


class Table:
    """Rows for a CSV file, written whole at the end; None as its path: no table."""

    def __init__(self, path: str | None) -> None:
        self.path = path
        self.rows: list[list[object]] | None = None if path is None else []
        if path is not None and not Path(path).absolute().parent.is_dir():
            raise BadRequest(f"--csv {path}: no such folder: make it first")

    def add(self, name: str, made: Reading) -> None:
        """A row a field; one without a text for a photo without digits."""
        if self.rows is None:
            return
        about = (len(made.unread), made.version if made.version is not None else "", "")
        own: list[list[object]] = []
        for i, line in enumerate(made.lines, 1):
            for j, field in enumerate(line.fields, 1):
                box, sure = field.box, str(field.accepted).lower()
                what = (i, j, field.kind, field.text, round(field.confidence, 6), sure)
                own.append([harmless(name), *what, box.x, box.y, box.w, box.h, *about])
        self.rows += own or [[harmless(name), *[""] * 10, *about]]

    def refused(self, name: str, reason: str) -> None:
        """A row for a photo that was not read."""
        if self.rows is not None:
            self.rows.append([harmless(name), *[""] * 12, harmless(reason)])

    def write(self) -> None:
        """The file, whole or not at all."""
        if self.rows is None or self.path is None:
            return
        text = io.StringIO(newline="")
        csv.writer(text).writerows([COLUMNS, *self.rows])
        replace_with(Path(self.path), text.getvalue().encode("utf-8", "backslashreplace"))


class Drawn:
    """Pictures with boxes: one file, or for several photos a folder of them; None: none."""

    def __init__(self, path: str | None, *, several: bool) -> None:
        self.path = None if path is None else Path(path)
        self.several = several
        self.taken: set[str] = set()
        if self.path is None:
            return
        if several:
            if self.path.suffix.lower() in DRAWN or self.path.is_file():
                raise BadRequest(f"--out {path}: expected a folder, as there are several photos")
            self.path.mkdir(parents=True, exist_ok=True)
        elif self.path.suffix.lower() not in DRAWN:
            raise BadRequest(f"--out {path}: expected a name that ends with {', '.join(DRAWN)}")

    def add(self, name: str, photo: NDArray[np.uint8], made: Reading) -> None:
        """Write one."""
        if self.path is None:
            return
        path = self.path / self._name(name) if self.several else self.path
        stream = io.BytesIO()
        kind = "PNG" if path.suffix.lower() == ".png" else "JPEG"
        Image.fromarray(annotated(photo, made)).save(stream, kind)
        replace_with(path, stream.getvalue())

    def _name(self, name: str) -> str:
        stem, number = Path(name).stem, 1
        own = f"{stem}.png"
        while own.lower() in self.taken:
            number += 1
            own = f"{stem}-{number}.png"
        self.taken.add(own.lower())
        return own


def replace_with(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        new.write_bytes(data)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def harmless(text: str) -> str:
    """A text for a table's cell: on one line, and no formula in a spreadsheet."""
    line = one_line(text, 4096)
    return f"'{line}" if line.startswith(FORMULA) else line
