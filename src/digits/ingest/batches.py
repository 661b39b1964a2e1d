"""Labelled digits or lines that people bring: each `data/incoming/<name>/` as rows, usable or rejected.

A batch of digits is a directory, either with PNG and JPEG files and a `labels.csv` (columns file,label), or
with one `.npz` that holds the arrays `images` (uint8 [n, h, w] or [n, h, w, channels]) and `labels`
(integers [n]). A batch of lines of writing has pictures and a `labels.csv` with the columns file,text.
No picture is decoded before the size in its header is known to be harmless. `hold_out` chooses the rows that
are never trained on, so that the model's worth on the batch is known.
"""

from __future__ import annotations

import csv
import hashlib
import io
import itertools
import re
import unicodedata
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from digits.dataset import split_stratified
from digits.ingest.lines import characters, line_of
from digits.line_model.lines import RealLines
from digits.normalize import SIDE, normalize, thumbnail
from digits.runtime.errors import DataError
from digits.runtime.progress import track

FORMATS = ("PNG", "JPEG")
SUFFIXES = (".png", ".jpg", ".jpeg")
MAX_PIXELS = 16_000_000  # as in a photo of a phone; a few hundred bytes of PNG can claim billions


def decode(data: bytes) -> NDArray[Any]:
    """Decode a PNG or JPEG to uint8 [h, w] or [h, w, 3 or 4], or uint16 [h, w], turned as its EXIF data say.

    Raises DataError when the file is neither, truncated, damaged, or of more than `MAX_PIXELS`.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd but legible files; the size is checked here
            picture = Image.open(io.BytesIO(data), formats=FORMATS)
            width, height = picture.size
            if width * height > MAX_PIXELS:
                raise DataError(
                    f"the picture has {width}×{height} pixels, expected at most {MAX_PIXELS / 1e6:g} million"
                )
            return _pixels(ImageOps.exif_transpose(picture))
    except DataError:
        raise
    except Image.DecompressionBombError:
        raise DataError(
            f"the picture has too many pixels, expected at most {MAX_PIXELS / 1e6:g} million"
        ) from None
    except UnidentifiedImageError:
        raise DataError("the file is no PNG or JPEG picture") from None
    except (
        Exception
    ) as error:  # Pillow's decoders raise whatever damaged headers, pixels or EXIF data lead to
        raise DataError(f"the picture is damaged: {_plain(error)}") from None


def _pixels(picture: Image.Image) -> NDArray[Any]:
    if picture.mode.startswith("I"):  # 16-bit grey, which some versions of Pillow open as 32-bit
        return np.asarray(picture).astype(np.uint16)
    if "A" in picture.mode or "transparency" in picture.info:
        return np.asarray(picture.convert("RGBA"))
    return np.asarray(picture.convert("L" if picture.mode in ("1", "L") else "RGB"))


DIGITS, LINES = ["file", "label"], ["file", "text"]  # the columns of a labels.csv
MAX_FILE = 64 << 20  # bytes of a picture or a labels.csv, which are read whole
DIGIT = re.compile(r"0*([0-9])(?:\.0*)?")  # also 7.0 and 07, as spreadsheets write a column of numbers


@dataclass(frozen=True)
class Rejected:
    """A row that can't be used: where it stands in its batch, why, and a thumbnail, blank if none decodes."""

    row: int  # from 0, in labels.csv or the arrays; -1 for a picture that labels.csv does not name
    file: str
    label: str
    reason: str
    picture: NDArray[np.uint8] = field(default_factory=lambda: np.zeros((SIDE, SIDE), np.uint8))


@dataclass(frozen=True)
class Batch:
    """Its usable rows, uint8 [n, 28, 28] and uint8 [n] or else lines, and the rejected ones, in order.

    files: where each usable row is in the batch, for a person.
    """

    name: str
    files: list[str]
    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    lines: RealLines
    rejected: list[Rejected]


@dataclass(frozen=True)
class _Row:
    row: int
    file: str
    label: str  # of a line: its text
    is_line: bool = False
    path: str = ""  # of the file in the batch, which may be written in another way than labels.csv has it
    picture: NDArray[Any] | None = None  # None: still to be decoded from the file
    fault: str = ""  # why it can't be used whatever the picture holds


def read_batches(incoming: Path, *, rows: int, size: int) -> list[Batch]:
    """Every batch, by name. Raises DataError when one can't be read as a whole or a file lies loose.

    rows, size: most rows of a batch, most bytes of its unpacked arrays.
    """
    if not incoming.is_dir():
        raise DataError(f"{incoming} is missing: make that folder (empty is fine)")
    entries = sorted(p for p in incoming.iterdir() if not p.name.startswith(".") and p.suffix != ".dvc")
    for entry in entries:
        if not entry.is_dir():
            raise DataError(
                f"{entry} is not in a batch: move it to {incoming / entry.stem}/ and `dvc add` that"
            )
    return [read_batch(entry, rows=rows, size=size) for entry in entries]


def read_batch(directory: Path, *, rows: int, size: int) -> Batch:
    """One batch. Raises DataError, which names it, for whatever makes it unreadable as a whole."""
    try:
        return _read(directory, rows, size)
    except DataError:
        raise
    except Exception as error:  # nobody lists what damaged input makes a library raise
        raise DataError(
            f"batch {directory} can't be read ({type(error).__name__}: {_plain(error)})"
        ) from None


def _read(directory: Path, most: int, size: int) -> Batch:
    archives = sorted(directory.glob("*.npz"))
    table = directory / "labels.csv"
    if table.is_file() == bool(archives) or len(archives) > 1:
        found = ", ".join(sorted(_plain(p.name) for p in directory.iterdir())[:5]) or "nothing"
        raise DataError(f"batch {directory} holds {found}; expected pictures with a labels.csv, or one .npz")
    rows = _table_rows(directory, table, most) if table.is_file() else _archive_rows(archives[0], most, size)
    images: dict[bool, list[NDArray[np.uint8]]] = {False: [], True: []}  # of digits, of lines
    labels, texts, used, rejected, unpacked = [], [], [], [], 0
    for row in track(rows, f"batch {directory.name}"):
        usable = _use(directory, row)
        if isinstance(usable, Rejected):
            rejected.append(usable)
            continue
        if row.is_line:
            texts.append(characters(row.label))
        else:
            labels.append(_digit(row.label))
        used.append(row.file if row.picture is None else f"{row.file} row {row.row}")
        images[row.is_line].append(usable)
        unpacked += usable.nbytes
        if unpacked > size:
            raise DataError(f"batch {directory} unpacks to more than {size >> 20} MiB: split the batch")
    if not labels and not texts and not rejected:
        raise DataError(f"batch {directory} holds no row: fill it or take it away")
    return Batch(
        directory.name,
        used,
        np.array(images[False], np.uint8).reshape(-1, SIDE, SIDE),
        np.array(labels, np.uint8),
        RealLines.of(images[True], texts, [directory.name] * len(texts)),
        rejected,
    )


def _digit(label: str) -> int | None:
    found = DIGIT.fullmatch(label)
    return int(found[1]) if found else None


def _text(text: str) -> list[int]:
    try:
        return characters(text)
    except DataError as error:
        raise DataError(f"the text is '{_plain(text)}': {error}") from None


def _plain(text: object) -> str:
    """What a batch wrote, or an error says of it: one line of a bounded length, for a terminal too."""
    line = " ".join(str(text).split())[:200]
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


def _use(directory: Path, row: _Row) -> NDArray[np.uint8] | Rejected:
    """The row's image, 28×28 or 32 pixels high, or why there is none."""
    picture = row.picture
    shown = np.zeros((SIDE, SIDE), np.uint8)
    try:
        if picture is None:
            picture = decode(_file_bytes(directory, row.path))
        shown = thumbnail(picture)
        if row.fault:
            raise DataError(row.fault)
        if row.is_line:
            return line_of(picture, _text(row.label))
        if _digit(row.label) is None:
            raise DataError(f"the label is '{_plain(row.label)}', expected 0–9")
        if row.picture is not None and picture.shape == (SIDE, SIDE):
            return picture  # arrays of 28×28 are MNIST's form already; validate judges them
        return normalize(picture)
    except DataError as error:
        return Rejected(row.row, row.file, row.label, str(error), shown)


def _file_bytes(directory: Path, file: str) -> bytes:
    parts = PurePosixPath(file)
    # judged by the name alone: under DVC's symlink cache a good file is itself a link out of the batch
    if not file or parts.is_absolute() or ".." in parts.parts or "\0" in file:
        raise DataError("the file's name leads out of the batch, expected one relative to labels.csv")
    try:
        path = directory / parts
        if path.stat().st_size > MAX_FILE:
            raise DataError(f"the file is larger than {MAX_FILE >> 20} MiB")
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"the file can't be read: {error.strerror}") from None


def _table_rows(directory: Path, table: Path, most: int) -> list[_Row]:
    """The rows of a labels.csv, then the pictures that it does not name."""
    if table.stat().st_size > MAX_FILE:
        raise DataError(f"{table} is larger than {MAX_FILE >> 20} MiB: split the batch")
    try:
        reader = csv.reader(io.StringIO(table.read_text("utf-8-sig"), newline=""), strict=True)
        lines = [line for line in itertools.islice(reader, most + 2) if line]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{table} is no CSV file in UTF-8 ({_plain(error)}): save it as one") from None
    header = [cell.strip() for cell in lines[0]] if lines else []
    if sorted(header) not in (DIGITS, LINES):
        columns = _plain(",".join(header)) or "nothing"
        raise DataError(
            f"{table} has the columns {columns}; expected {','.join(DIGITS)} for digits or {','.join(LINES)} "
            "for lines"
        )
    is_line = sorted(header) == LINES
    wanted = LINES if is_line else DIGITS
    cells = [[cell.strip() for cell in line] for line in lines[1:]]
    named = [{**dict.fromkeys(wanted, ""), **dict(zip(header, line, strict=False))} for line in cells]
    files = [path.relative_to(directory).as_posix() for path in directory.rglob("*")]
    paths = _paths([row["file"] for row in named], files)
    times = Counter(paths)
    rows = []
    for number, (line, row, path) in enumerate(zip(cells, named, paths, strict=True)):
        fault = f"the row has {len(line)} cells, expected {','.join(wanted)}" if len(line) != 2 else ""
        if times[path] > 1:
            fault = fault or f"labels.csv names the file {times[path]} times, expected once"
        rows.append(_Row(number, row["file"], row[wanted[1]], is_line, path, fault=fault))
    unnamed = sorted(file for file in files if _is_picture(file) and file not in times)
    reason = "labels.csv does not name this picture"
    rows += [_Row(-1, file, "", is_line, file, fault=reason) for file in unnamed]
    if len(rows) > most:
        raise DataError(f"batch {directory} has more than {most:,} rows and pictures: split it")
    return rows


def _paths(named: Sequence[str], files: Sequence[str]) -> list[str]:
    """The file that each name means: as it is written, else the one that another system takes it for.

    Windows separates folders by backslashes, macOS has other code points for ü, and both take 0.PNG
    for 0.png.
    """
    alike: dict[str, list[str]] = {}
    for file in files:
        alike.setdefault(_folded(file), []).append(file)
    exact = set(files)

    def path(name: str) -> str:
        written, slashed = (
            str(PurePosixPath(form)) if form else "" for form in (name, name.replace("\\", "/"))
        )
        if written in exact:
            return written
        others = alike.get(_folded(slashed), [])
        return others[0] if len(others) == 1 and slashed not in exact else slashed

    return [path(name) for name in named]


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _is_picture(file: str) -> bool:
    name = PurePosixPath(file)
    return name.suffix.lower() in SUFFIXES and not name.name.startswith(".")


def _archive_rows(path: Path, most: int, size: int) -> Iterator[_Row]:
    """The rows of an .npz; the arrays are judged before the first."""
    images, labels = _arrays(path, size)
    if images.dtype != np.uint8:
        nan = int(np.isnan(images).sum()) if images.dtype.kind == "f" else 0
        numbers = images.dtype.kind in "iuf" and images.size > nan
        extent = f", {np.nanmin(images):g} to {np.nanmax(images):g}" if numbers else ""
        raise DataError(
            f"{path}: images are {_plain(images.dtype)}{extent}{f', {nan} values NaN' if nan else ''}; "
            "expected uint8, 0 to 255"
        )
    if images.ndim not in (3, 4) or 0 in images.shape[1:] or (images.ndim == 4 and images.shape[3] > 4):
        raise DataError(f"{path}: images are {list(images.shape)}; expected [n, h, w] or [n, h, w, 1 to 4]")
    if images.shape[1] * images.shape[2] > MAX_PIXELS:
        raise DataError(
            f"{path}: images are {list(images.shape)}; expected at most {MAX_PIXELS / 1e6:g} million pixels"
        )
    if len(images) > most:
        raise DataError(f"{path} has {len(images):,} rows, expected at most {most:,}: split the batch")
    if labels.dtype.kind not in "iu" or labels.shape != images.shape[:1]:
        raise DataError(
            f"{path}: labels are {_plain(labels.dtype)}{list(labels.shape)}; "
            f"expected integers [{len(images)}]"
        )
    pairs = enumerate(zip(images, labels, strict=True))
    return (_Row(number, path.name, str(label), picture=picture) for number, (picture, label) in pairs)


def _arrays(path: Path, size: int) -> tuple[NDArray[Any], NDArray[Any]]:
    again = "save it again with numpy.savez"
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(member.file_size for member in archive.infolist()) > size:
                raise DataError(f"{path} unpacks to more than {size >> 20} MiB: split the batch")
        with np.load(path, allow_pickle=False) as arrays:
            if missing := {"images", "labels"} - set(arrays):
                held = _plain(", ".join(arrays)) or "nothing"
                raise DataError(f"{path} lacks {' and '.join(sorted(missing))}; it holds {held}")
            images, labels = arrays["images"], arrays["labels"]
    except DataError:
        raise
    except Exception as error:  # damaged, encrypted, packed in an odd way
        raise DataError(f"{path} can't be read ({_plain(error) or type(error).__name__}): {again}") from None
    for name, array in {"images": images, "labels": labels}.items():
        if not isinstance(array, np.ndarray):  # a member without numpy's header comes as bytes
            raise DataError(f"{path}: {name} is no array of numpy: {again}")
    return images, labels


def hold_out(
    labels: NDArray[np.uint8], name: str, *, share: float, at_least: int, seed: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Row numbers (train, held out), ascending; about `share` of every digit is held out.

    Nothing is in a batch of fewer than `at_least` rows, where a fifth says too little to pay for its loss,
    and nothing of a digit with a single row. The choice hangs on the batch's name and rows alone: another
    batch beside it changes nothing.
    """
    every = np.arange(len(labels))
    splittable = every[np.bincount(labels, minlength=10)[labels] > 1]
    if share == 0 or len(labels) < at_least or len(splittable) == 0:
        return every, every[:0]
    own_seed = int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:4])
    _, part = split_stratified(labels[splittable], share, own_seed)
    held = splittable[part]
    return np.setdiff1d(every, held), held
