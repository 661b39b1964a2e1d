"""Labelled digits that people bring: each `data/incoming/<name>/` as 28×28 rows, usable or rejected.

A batch is a directory, either with PNG and JPEG files and a `labels.csv` (columns file,label), or with one
`.npz` that holds the arrays `images` (uint8 [n, h, w] or [n, h, w, channels]) and `labels` (integers [n]).
No picture is decoded before the size in its header is known to be harmless. `hold_out` chooses the rows that
are never trained on, so that the model's worth on the batch is known.
"""

from __future__ import annotations

import csv
import hashlib
import io
import struct
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from digits.dataset import CLASSES, split_stratified
from digits.normalize import SIDE, normalize, thumbnail
from digits.runtime.errors import DataError
from digits.runtime.progress import track

FORMATS = ("PNG", "JPEG")
SUFFIXES = (".png", ".jpg", ".jpeg")
MAX_PIXELS = 16_000_000  # as in a photo of a phone; a few hundred bytes of PNG can claim billions

# what Pillow's decoders were seen to raise, under random damage to the pixels and to the EXIF data
DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    EOFError,
    LookupError,
    ArithmeticError,
    AttributeError,
    struct.error,
    zlib.error,
)


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
    except Image.DecompressionBombError:
        raise DataError(
            f"the picture has too many pixels, expected at most {MAX_PIXELS / 1e6:g} million"
        ) from None
    except UnidentifiedImageError:
        raise DataError("the file is no PNG or JPEG picture") from None
    except DAMAGE as error:
        raise DataError(f"the picture is damaged: {' '.join(str(error).split())}") from None


def _pixels(picture: Image.Image) -> NDArray[Any]:
    if picture.mode.startswith("I"):  # 16-bit grey, which some versions of Pillow open as 32-bit
        return np.asarray(picture).astype(np.uint16)
    if "A" in picture.mode or "transparency" in picture.info:
        return np.asarray(picture.convert("RGBA"))
    return np.asarray(picture.convert("L" if picture.mode in ("1", "L") else "RGB"))


COLUMNS = ["file", "label"]
MAX_NPZ = 1 << 30  # bytes of a batch's arrays: a zip can claim more than any memory
MAX_FILE = 64 << 20  # bytes of one picture


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
    """Its usable rows, uint8 [n, 28, 28] and uint8 [n], and the rejected ones, in the batch's order."""

    name: str
    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    rejected: list[Rejected]


@dataclass(frozen=True)
class _Row:
    row: int
    file: str
    label: str
    picture: NDArray[Any] | None = None  # None: still to be decoded from the file
    fault: str = ""  # why it can't be used whatever the picture holds


def read_batches(incoming: Path) -> list[Batch]:
    """Every batch, by name. Raises DataError when one can't be read as a whole or a file lies loose."""
    if not incoming.is_dir():
        raise DataError(f"{incoming} is missing: make that folder (empty is fine)")
    entries = sorted(p for p in incoming.iterdir() if not p.name.startswith(".") and p.suffix != ".dvc")
    for entry in entries:
        if not entry.is_dir():
            raise DataError(
                f"{entry} is not in a batch: move it to {incoming / entry.stem}/ and `dvc add` that"
            )
    return [read_batch(entry) for entry in entries]


def read_batch(directory: Path) -> Batch:
    """One batch. Raises DataError when it can't be read as a whole."""
    archives = sorted(directory.glob("*.npz"))
    table = directory / "labels.csv"
    if table.is_file() == bool(archives) or len(archives) > 1:
        found = ", ".join(sorted(p.name for p in directory.iterdir())[:5]) or "nothing"
        raise DataError(f"batch {directory} holds {found}; expected pictures with a labels.csv, or one .npz")
    rows = _table_rows(directory, table) if table.is_file() else _archive_rows(archives[0])
    images, labels, rejected = [], [], []
    for row in track(rows, f"batch {directory.name}"):
        usable = _use(directory, row)
        if isinstance(usable, Rejected):
            rejected.append(usable)
        else:
            images.append(usable)
            labels.append(int(row.label))
    if not images and not rejected:
        raise DataError(f"batch {directory} holds no row: fill it or take it away")
    stacked = np.stack(images) if images else np.empty((0, SIDE, SIDE), np.uint8)
    return Batch(directory.name, stacked, np.array(labels, np.uint8), rejected)


def _use(directory: Path, row: _Row) -> NDArray[np.uint8] | Rejected:
    """The row's 28×28 image, or why there is none."""
    picture = row.picture
    shown = np.zeros((SIDE, SIDE), np.uint8)
    try:
        if picture is None:
            picture = decode(_file_bytes(directory, row.file))
        shown = thumbnail(picture)
        if row.fault:
            raise DataError(row.fault)
        if row.label not in {str(digit) for digit in range(CLASSES)}:
            raise DataError(f"the label is '{row.label}', expected 0–9")
        if row.picture is not None and picture.shape == (SIDE, SIDE):
            return picture  # arrays of 28×28 are MNIST's form already; validate judges them
        return normalize(picture)
    except DataError as error:
        return Rejected(row.row, row.file, row.label, str(error), shown)


def _file_bytes(directory: Path, file: str) -> bytes:
    parts = PurePosixPath(file)
    # judged by the name alone: under DVC's symlink cache a good file is itself a link out of the batch
    if not file or parts.is_absolute() or ".." in parts.parts or "\\" in file or "\0" in file:
        raise DataError("the file's name leads out of the batch, expected one relative to labels.csv")
    try:
        path = directory / parts
        if path.stat().st_size > MAX_FILE:
            raise DataError(f"the file is larger than {MAX_FILE >> 20} MiB")
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"the file can't be read: {error.strerror}") from None


def _table_rows(directory: Path, table: Path) -> list[_Row]:
    """The rows of a labels.csv, then the pictures that it does not name."""
    try:
        lines = list(csv.reader(io.StringIO(table.read_text("utf-8-sig"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{table} is no CSV file in UTF-8 ({error}): save it as one") from None
    header = [cell.strip() for cell in lines[0]] if lines else []
    if sorted(header) != COLUMNS:
        raise DataError(f"{table} has the columns {','.join(header) or 'nothing'}; expected file,label")
    cells = [[cell.strip() for cell in line] for line in lines[1:] if line]
    named = [{**dict.fromkeys(COLUMNS, ""), **dict(zip(header, line, strict=False))} for line in cells]
    times = Counter(str(PurePosixPath(row["file"])) for row in named)
    rows = []
    for number, (line, row) in enumerate(zip(cells, named, strict=True)):
        count = times[str(PurePosixPath(row["file"]))]
        fault = f"the row has {len(line)} cells, expected file,label" if len(line) != 2 else ""
        fault = fault or (f"labels.csv names the file {count} times, expected once" if count > 1 else "")
        rows.append(_Row(number, row["file"], row["label"], fault=fault))
    pictures = (p.relative_to(directory).as_posix() for p in directory.rglob("*") if _is_picture(p))
    unnamed = sorted(file for file in pictures if file not in times)
    return rows + [_Row(-1, file, "", fault="labels.csv does not name this picture") for file in unnamed]


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def _archive_rows(path: Path) -> Iterator[_Row]:
    """The rows of an .npz; the arrays are judged before the first."""
    images, labels = _arrays(path)
    if images.dtype != np.uint8:
        nan = int(np.isnan(images).sum()) if images.dtype.kind == "f" else 0
        extent = f", {np.nanmin(images):g} to {np.nanmax(images):g}" if images.size > nan else ""
        raise DataError(
            f"{path}: images are {images.dtype}{extent}{f', {nan} values NaN' if nan else ''}; "
            "expected uint8, 0 to 255"
        )
    if images.ndim not in (3, 4) or 0 in images.shape[1:] or (images.ndim == 4 and images.shape[3] > 4):
        raise DataError(f"{path}: images are {list(images.shape)}; expected [n, h, w] or [n, h, w, 1 to 4]")
    if labels.dtype.kind not in "iu" or labels.shape != images.shape[:1]:
        raise DataError(
            f"{path}: labels are {labels.dtype}{list(labels.shape)}; expected integers [{len(images)}]"
        )
    pairs = enumerate(zip(images, labels, strict=True))
    return (_Row(number, path.name, str(label), picture) for number, (picture, label) in pairs)


def _arrays(path: Path) -> tuple[NDArray[Any], NDArray[Any]]:
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(member.file_size for member in archive.infolist()) > MAX_NPZ:
                raise DataError(f"{path} unpacks to more than {MAX_NPZ >> 30} GiB: split the batch")
        with np.load(path, allow_pickle=False) as arrays:
            if missing := {"images", "labels"} - set(arrays):
                held = ", ".join(arrays) or "nothing"
                raise DataError(f"{path} lacks {' and '.join(sorted(missing))}; it holds {held}")
            return arrays["images"], arrays["labels"]
    except (zipfile.BadZipFile, zlib.error, ValueError, EOFError, MemoryError) as error:
        raise DataError(f"{path} can't be read ({error}): save it again with numpy.savez") from None


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
