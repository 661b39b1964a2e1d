"""The files of monitoring in a project's folder, and how they are read.

    .digits/monitoring/state.json      how far the logs were read, the judge's state, what was acted on
    reports/monitoring/latest.json     what the last look found
    reports/monitoring/index.html      the same as a page, with its history
    reports/monitoring/history.jsonl   a line a look, the oldest first

Standard library and `digits.files` alone, so that a gateway and `digits status` read them at once.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from digits import files
from digits.runtime import locks
from digits.runtime.errors import DataError, DigitsError

PATIENCE = 60.0  # seconds to wait for another look
DAY = 24 * 3600.0


@dataclass(frozen=True)
class Record:
    """The files of one project."""

    project: Path

    @property
    def folder(self) -> Path:
        """Of the report."""
        return self.project / "reports" / "monitoring"

    @property
    def latest(self) -> Path:
        """What the last look found."""
        return self.folder / "latest.json"

    @property
    def page(self) -> Path:
        """The report for people."""
        return self.folder / "index.html"

    @property
    def history(self) -> Path:
        """A line a look."""
        return self.folder / "history.jsonl"

    @property
    def state(self) -> Path:
        """What the next look goes on from."""
        return self.project / ".digits" / "monitoring" / "state.json"

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Have no other look at the same time. Raises DigitsError when one takes too long."""
        for folder in (self.state.parent, self.folder):  # a report may show pictures that people sent
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locks.hold(self.state.with_name(".lock"), _busy, PATIENCE):
            yield


def _busy(holder: str) -> DigitsError:
    return DigitsError(f"process {holder} is looking: try again when it has ended")


def latest(path: Path) -> dict[str, Any] | None:
    """What the last look found; None before the first. Raises DataError when the file is damaged."""
    tree = _tree(path)
    if tree is not None and not {"at", "version", "rows", "alarms", "events", "picture", "time"} <= set(tree):
        raise DataError(f"{path} is not what `digits monitor` writes: the next look writes it anew")
    return tree


def read_state(path: Path) -> dict[str, Any]:
    """What the last look left for the next; empty before the first. Raises DataError when it is damaged."""
    return _tree(path) or {}


def write_state(path: Path, state: dict[str, Any]) -> None:
    """Leave this for the next look."""
    files.write_json(path, state)


def _tree(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path} can't be read ({error}): delete it, and `digits monitor` begins anew"
        ) from None
    if not isinstance(found, dict):
        raise DataError(f"{path} holds no object: delete it, and `digits monitor` begins anew")
    return found


def read_history(path: Path) -> list[dict[str, Any]]:
    """The looks that were kept, the oldest first. A line that is damaged is left out."""
    looks: list[dict[str, Any]] = []
    with contextlib.suppress(FileNotFoundError):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            with contextlib.suppress(ValueError):
                look = json.loads(line)
                if isinstance(look, dict) and {"at", "version", "events", "alarms"} <= set(look):
                    looks.append(look)
    return looks


def write_history(path: Path, looks: list[dict[str, Any]]) -> None:
    """Write the looks anew, whole."""
    files.write_text(path, "".join(json.dumps(look, sort_keys=True) + "\n" for look in looks))


def recent(looks: list[dict[str, Any]], now: float, days: int, most: int) -> list[dict[str, Any]]:
    """Those that are neither too old nor too many."""
    return [look for look in looks if look["at"] >= now - days * DAY][-most:]
