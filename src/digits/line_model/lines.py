"""Lines of writing: their size, the classes of a column, labelled lines and their files."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from digits.runtime.errors import DataError

HEIGHT = 32  # pixels of a line
STEP = 4  # pixels of a line's width that one column of the network stands for
WIDEST = 2048  # pixels; wider lines are refused
SEPARATOR = 10  # a dot or a comma between digits
BLANK = 11  # nothing, or the same character still
COLUMN = 12  # classes of a column: 0–9, SEPARATOR, BLANK
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
