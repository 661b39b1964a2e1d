"""Compares readings of photos with what a person says that they show: `digits read --score labels.csv`."""

from __future__ import annotations

import csv
import math
import re
from dataclasses import dataclass, field
from pathlib import Path

from digits_client.errors import BadRequest, one_line
from digits_client.reading.results import Reading

WANTED = "expected a CSV file with the columns file and text, the files beside it"
MOST_BYTES = 64 << 20
Z = 1.959964  # standard deviations of a normal distribution within which 95 % lie


@dataclass(slots=True)
class Score:
    """Counts of photos, and lines that tell of each that was not read exactly."""

    texts: dict[str, str]  # file → what it shows
    right: int = 0
    accepted: int = 0
    accepted_right: int = 0
    wrong: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, path: str) -> Score:
        """The truth as a file has it. Raises BadRequest."""
        try:
            with Path(path).open(encoding="utf-8-sig", newline="") as stream:
                text = stream.read(MOST_BYTES)
            rows = list(csv.DictReader(text.splitlines()))
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            why = error.strerror if isinstance(error, OSError) else "is no table"
            raise BadRequest(f"--score {path}: can't be read ({why}): {WANTED}") from None
        pairs = [(row.get("file"), row.get("text")) for row in rows]
        if not pairs or not all(name and text is not None for name, text in pairs):
            raise BadRequest(f"--score {path}: has no rows, or some without a file or a text: {WANTED}")
        beside = Path(path).parent
        return cls({str(beside / str(name)): " ".join(str(text).split()) for name, text in pairs})

    def add(self, name: str, made: Reading) -> None:
        """Compare one. Separators count where the truth has any, and never line breaks."""
        wanted = self.texts[name]
        got = " ".join(made.text.split())
        if re.fullmatch("[0-9 ]*", wanted):
            got = re.sub("[^0-9 ]", "", got)
        accepted = bool(made.fields) and all(each.accepted for each in made.fields)
        self.right += got == wanted
        self.accepted += accepted
        self.accepted_right += accepted and got == wanted
        if got != wanted:
            self.refused(name, f"{one_line(got) or 'nothing'}\t{'sure' if accepted else 'not sure'}")

    def refused(self, name: str, why: str) -> None:
        """Count one that was not read."""
        self.wrong.append(f"{one_line(name, 4096)}\t{one_line(self.texts[name])}\t{why}")

    def lines(self) -> list[str]:
        """Lines for a person: the wrong ones with what they show and what was read, then the shares."""
        n = len(self.texts)
        return [
            *self.wrong,
            f"read exactly: {_share(self.right, n)}",
            f"accepted: {_share(self.accepted, n)}",
            f"of these right: {_share(self.accepted_right, self.accepted)}",
        ]


def _share(k: int, n: int) -> str:
    """A share with its 95 % interval (Wilson)."""
    if not n:
        return "none"
    middle, spread = (k + Z * Z / 2) / (n + Z * Z), Z / (n + Z * Z) * math.sqrt(k * (n - k) / n + Z * Z / 4)
    low, high = max(0.0, middle - spread), min(1.0, middle + spread)
    return f"{k} of {n}, {k / n:.2%} ({low:.2%} to {high:.2%} with 95% confidence)"
