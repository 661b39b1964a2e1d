"""Lines of writing: their size, the classes of a column, labelled lines and their files."""

from __future__ import annotations

import hashlib
import itertools
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits.dataset import array_sha256
from digits.runtime.errors import DataError

HEIGHT = 32  # pixels of a line
STEP = 4  # pixels of a line's width that one column of the network stands for
WIDEST = 2048  # pixels; wider lines are refused
SEPARATOR = 10  # a dot or a comma between digits
BLANK = 11  # nothing, or the same character still
COLUMN = 12  # classes of a column: 0–9, SEPARATOR, BLANK
GROUP = 64 * 1024  # pixels along the lines of a group of `RealLines`: reading them takes 300 MB at most
LONGEST = 24  # characters of a line's answer; of a longer one the first are given


@dataclass(frozen=True)
class Lines:
    """Labelled lines of one width.

    images: uint8 [n, 32, w]. texts: int32 [n, 24], 0–9 and SEPARATOR, padded with -1. lengths: int32 [n].
    """

    images: NDArray[np.uint8]
    texts: NDArray[np.int32]
    lengths: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.images)

    @property
    def width(self) -> int:
        """Pixels, of every line."""
        return int(self.images.shape[2])

    def characters(self) -> list[list[int]]:
        """What each line says."""
        return [text[:n].tolist() for text, n in zip(self.texts, self.lengths, strict=True)]


@dataclass(frozen=True)
class RealLines:
    """Labelled lines that people brought, of any widths.

    pixels: uint8 [32, sum of the widths], one line beside the other. widths: int32 [n]. texts: int32 [n, 24],
    as in `Lines`. batches: unicode [n], the incoming batch that each line came with.
    """

    pixels: NDArray[np.uint8]
    widths: NDArray[np.int32]
    texts: NDArray[np.int32]
    batches: NDArray[np.str_]

    @classmethod
    def of(
        cls, images: Sequence[NDArray[np.uint8]], texts: Sequence[Sequence[int]], batches: Sequence[str]
    ) -> RealLines:
        """From lines uint8 [32, w], what each says, and the name of each one's batch."""
        padded = np.full((len(images), LONGEST), -1, np.int32)
        for row, text in enumerate(texts):
            padded[row, : len(text)] = text
        return cls(
            np.concatenate([np.empty((HEIGHT, 0), np.uint8), *images], axis=1),
            np.array([image.shape[1] for image in images], np.int32),
            padded,
            np.array(batches, np.str_),
        )

    @classmethod
    def joined(cls, parts: Sequence[RealLines]) -> RealLines:
        """The lines of several, one after another."""
        every = [cls.of([], [], []), *parts]
        return cls(
            np.concatenate([part.pixels for part in every], axis=1),
            np.concatenate([part.widths for part in every]),
            np.concatenate([part.texts for part in every]),
            np.concatenate([part.batches for part in every]),
        )

    def __len__(self) -> int:
        return len(self.widths)

    @cached_property
    def _ends(self) -> NDArray[np.int64]:
        return np.cumsum(self.widths, dtype=np.int64)

    @cached_property
    def lengths(self) -> NDArray[np.int32]:
        """Characters of each line. [n]"""
        counts: NDArray[np.int32] = (self.texts >= 0).sum(axis=1, dtype=np.int32)
        return counts

    def image(self, row: int) -> NDArray[np.uint8]:
        """One line, uint8 [32, w]."""
        end = int(self._ends[row])
        return self.pixels[:, end - int(self.widths[row]) : end]

    def characters(self, row: int) -> list[int]:
        """What one line says."""
        text: list[int] = self.texts[row, : self.lengths[row]].tolist()
        return text

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> RealLines:
        """The lines that an index array or a mask names, in that order."""
        chosen = np.arange(len(self))[rows]
        images = [np.empty((HEIGHT, 0), np.uint8), *(self.image(row) for row in chosen)]
        return RealLines(
            np.concatenate(images, axis=1), self.widths[chosen], self.texts[chosen], self.batches[chosen]
        )

    def facts(self) -> dict[str, Any]:
        """For a manifest: how many lines, and their digests."""
        digests = [array_sha256(self.pixels), array_sha256(self.widths)]
        return {
            "n": len(self),
            "images_sha256": hashlib.sha256("\n".join(digests).encode()).hexdigest(),
            "labels_sha256": array_sha256(self.texts),
        }

    def groups(self) -> list[Lines]:
        """The lines by width, narrow ones first; none of the groups is too large to be read at once."""
        found = []
        for width in np.unique(self.widths):
            same = np.flatnonzero(self.widths == width)
            most = max(1, GROUP // int(width))
            for rows in (same[start : start + most] for start in range(0, len(same), most)):
                images = np.stack([self.image(row) for row in rows])
                found.append(Lines(images, self.texts[rows], self.lengths[rows]))
        return found


def first(groups: Sequence[Lines], n: int) -> list[Lines]:
    """The first lines of each group, as many of each, about `n` in all."""
    most = -(-n // max(1, len(groups)))
    return [Lines(lines.images[:most], lines.texts[:most], lines.lengths[:most]) for lines in groups]


def columns(text: Sequence[int]) -> int:
    """The columns that the network needs for a text: one a character, and a blank between equal ones."""
    return len(text) + sum(one == other for one, other in itertools.pairwise(text))


def digits_of(characters: Iterable[int]) -> str:
    """The digits alone, as text."""
    return "".join(str(c) for c in characters if 0 <= c < SEPARATOR)


def edits(one: Sequence[int], other: Sequence[int]) -> int:
    """Characters to insert, delete or replace to make one of the other (Levenshtein 1966)."""
    row = list(range(len(other) + 1))
    for i, mine in enumerate(one, 1):
        before, row[0] = row[0], i
        for j, theirs in enumerate(other, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (mine != theirs))
    return row[-1]


REAL = ("pixels", "widths", "texts", "batches")  # the arrays of RealLines, a file each


def save_lines(path: Path, groups: Sequence[Lines]) -> None:
    """Write lines of several widths into one .npz file."""
    arrays = {
        f"{place}/{name}": array for place, lines in enumerate(groups) for name, array in vars(lines).items()
    }
    with path.open("wb") as stream:
        np.savez_compressed(stream, allow_pickle=False, **arrays)


def load_lines(path: Path) -> list[Lines]:
    """Read what `save_lines` wrote. Raises DataError when it is missing or damaged."""
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        places = sorted({int(name.split("/")[0]) for name in arrays})
        return [
            Lines(*(arrays[f"{place}/{name}"] for name in ("images", "texts", "lengths"))) for place in places
        ]
    except FileNotFoundError:
        raise DataError(f"{path} is missing: run `dvc repro` to make it") from None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} is damaged ({error}): delete it and run `dvc repro`") from None


def save_real_lines(directory: Path, lines: RealLines) -> None:
    """Write an array a file into a new directory."""
    directory.mkdir(parents=True)
    for name in REAL:
        array = np.ascontiguousarray(getattr(lines, name))
        np.save(directory / f"{name}.npy", array, allow_pickle=False)


def load_real_lines(directory: Path) -> RealLines:
    """Read what `save_real_lines` wrote. Raises DataError when it is missing or damaged."""
    try:
        arrays = [np.load(directory / f"{name}.npy", allow_pickle=False) for name in REAL]
    except FileNotFoundError as error:
        raise DataError(f"{error.filename} is missing: run `dvc repro` to make it") from None
    except (ValueError, EOFError) as error:
        raise DataError(f"{directory} is damaged ({error}): delete it and run `dvc repro`") from None
    pixels, widths, texts, batches = arrays
    n = len(widths)
    if pixels.shape != (HEIGHT, widths.sum()) or texts.shape != (n, LONGEST) or len(batches) != n:
        raise DataError(
            f"{directory} holds pixels {list(pixels.shape)} and texts {list(texts.shape)} for {n} widths of "
            f"{widths.sum()} together: delete it and run `dvc repro`"
        )
    return RealLines(pixels, widths, texts, batches)
